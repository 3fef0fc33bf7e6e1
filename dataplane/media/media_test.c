/* SPDX-License-Identifier: MIT
 * media_test.c - what requests ask for, what sound files last, and what is charged of a report.
 * Floor: test.
 * Owns: nothing.
 * Invariant: proves media.h and sound.h. */
#include "dataplane/media/media.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "dataplane/media/sound.h"

#define FIELD(name, value) \
    "--XX\r\nContent-Disposition: form-data; name=\"" name "\"\r\n\r\n" value "\r\n"
#define FILE_FIELD(name, value)                                                                    \
    "--XX\r\nContent-Disposition: form-data; name=\"" name "\"; filename=\"a\"\r\n\r\n" value "\r" \
    "\n"

static int
read_form(struct str body, struct arena *arena, struct form **ret_form, struct err *err)
{
    int rc = form_new(arena, STR("XX"), body.len, ret_form, err);
    for (size_t i = 0; rc == 0 && i < body.len; i++) /* as slowly as it can come */
        rc = form_take(*ret_form, str_make(body.ptr + i, 1), err);
    return rc == 0 ? form_end(*ret_form, err) : rc;
}

static int
read_facts(enum chat_endpoint endpoint, const char *text, struct json_doc *doc, struct arena *arena,
           struct form **ret_form, struct media_facts *ret_facts, struct err *err)
{
    struct str body = str_from(text);
    int rc = 0;
    *ret_form = NULL;
    if (media_is_form(endpoint))
        rc = read_form(body, arena, ret_form, err);
    else
        rc = json_scan(doc, body, NULL, err);
    return rc != 0 ? rc
                   : media_facts(endpoint, *ret_form != NULL ? NULL : doc, body, *ret_form,
                                 STR_EMPTY, arena, ret_facts, err);
}

static const struct {
    enum chat_endpoint endpoint;
    const char *body;
    int want_err;
    const char *want; /* of the error, or the model */
    uint64_t want_tokens;
    enum usage_class piece;
    uint64_t want_most;
    uint64_t want_counted;
} asked[] = {
    {CHAT_ENDPOINT_IMAGES, "{\"model\":\"m\",\"n\":2,\"size\":\"1024x1536\"}", 0, "m", 2 * 2 * 8192,
     USAGE_image, 2, 2},
    {CHAT_ENDPOINT_IMAGES, "{\"size\":\"auto\",\"n\":null}", 0, "dall-e-2", 2 * 8192, USAGE_image,
     1, 1},
    {CHAT_ENDPOINT_IMAGES, "{\"model\":\"m\",\"size\":\"1024x1024\",\"quality\":\"medium\"}", 0,
     "m", 8192, USAGE_image_out, 0, 1056},
    {CHAT_ENDPOINT_IMAGES, "{\"model\":\"m\",\"size\":\"1x99999999999\"}", 0, "m", 2 * 8192,
     USAGE_image, 1, 1},
    {CHAT_ENDPOINT_IMAGES, "{\"model\":\"m\",\"n\":0}", -ERR_RANGE, "field `n`", 0, 0, 0, 0},
    {CHAT_ENDPOINT_IMAGES, "{\"model\":\"m\",\"n\":\"2\"}", -ERR_RANGE, "field `n`", 0, 0, 0, 0},
    {CHAT_ENDPOINT_IMAGES, "{\"model\":7}", -ERR_INVALID, "field `model`", 0, 0, 0, 0},
    {CHAT_ENDPOINT_IMAGES, "{\"model\":\"a\\u0000\"}", -ERR_INVALID, "no name", 0, 0, 0, 0},
    {CHAT_ENDPOINT_IMAGES, "{\"model\":\"m\",\"stream\":\"yes\"}", -ERR_INVALID, "field `stream`",
     0, 0, 0, 0},
    {CHAT_ENDPOINT_IMAGES, "[]", -ERR_INVALID, "object", 0, 0, 0, 0},
    {CHAT_ENDPOINT_IMAGE_EDITS,
     FILE_FIELD("image[]", "1") FILE_FIELD("image[]", "2") FIELD("n", "3") "--XX--", 0, "dall-e-2",
     3 * 2 * 8192, USAGE_image_read, 2, 2},
    {CHAT_ENDPOINT_IMAGE_EDITS, FIELD("n", "1") FIELD("n", "2") "--XX--", -ERR_INVALID,
     "there twice", 0, 0, 0, 0},
    {CHAT_ENDPOINT_IMAGE_EDITS, FIELD("n", "1") FILE_FIELD("n", "2") "--XX--", -ERR_INVALID,
     "there twice", 0, 0, 0, 0},
    {CHAT_ENDPOINT_IMAGE_EDITS, FILE_FIELD("model", "w") "--XX--", -ERR_INVALID,
     "field `model` is no file", 0, 0, 0, 0},
    {CHAT_ENDPOINT_IMAGE_EDITS, FIELD("model", "") "--XX--", -ERR_INVALID, "no name", 0, 0, 0, 0},
    {CHAT_ENDPOINT_SPEECH, "{\"model\":\"m\",\"input\":\"\\u00e9\\ud83d\\ude00!\"}", 0, "m",
     (1 + 10) * 32, USAGE_character_in, 3, 3},
    {CHAT_ENDPOINT_SPEECH, "{\"input\":\"x\"}", -ERR_INVALID, "field `model` is missing", 0, 0, 0,
     0},
    {CHAT_ENDPOINT_TRANSCRIPTIONS, FILE_FIELD("file", "0123456789") FIELD("model", "w") "--XX--", 0,
     "w", 0, USAGE_second_in, 1, 1},
    {CHAT_ENDPOINT_TRANSCRIPTIONS,
     FILE_FIELD("file", "1") FILE_FIELD("file", "2") FIELD("model", "w") "--XX--", -ERR_INVALID,
     "there twice", 0, 0, 0, 0},
    {CHAT_ENDPOINT_MODERATIONS, "{\"input\":[\"a\"]}", 0, "omni-moderation-latest", 0, USAGE_input,
     0, 4},
    {CHAT_ENDPOINT_RERANK, "{\"model\":\"m\",\"query\":\"q\",\"documents\":[\"a\",{}]}", 0, "m", 0,
     USAGE_query, 1, 1},
    {CHAT_ENDPOINT_RERANK, "{\"model\":\"m\",\"query\":\"q\"}", -ERR_INVALID, "field `documents`",
     0, 0, 0, 0},
};

static void
requests(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(asked); i++) {
        struct json_doc doc;
        struct arena arena;
        struct media_facts facts = {0};
        struct err err = {0};
        json_init(&doc);
        arena_init(&arena, 1u << 20);
        struct form *form;
        int rc = read_facts(asked[i].endpoint, asked[i].body, &doc, &arena, &form, &facts, &err);
        struct str said = rc == 0 ? facts.model : str_from(err.text);
        if (rc != asked[i].want_err || str_find(said, str_from(asked[i].want)) == SIZE_MAX)
            fail_msg("%s: %d %.*s", asked[i].body, rc, STR_ARG(said));
        if (rc == 0 && (facts.answer_tokens_max != asked[i].want_tokens ||
                        facts.most[asked[i].piece] != asked[i].want_most ||
                        facts.counted[asked[i].piece] != asked[i].want_counted)) {
            fail_msg("%s: %llu %llu %llu", asked[i].body,
                     (unsigned long long)facts.answer_tokens_max,
                     (unsigned long long)facts.most[asked[i].piece],
                     (unsigned long long)facts.counted[asked[i].piece]);
        }
        arena_fini(&arena);
        json_fini(&doc);
    }
}

static void
edits(void **state)
{
    (void)state;
    static const struct {
        enum chat_endpoint endpoint;
        const char *body;
        const char *want;
    } rows[] = {
        {CHAT_ENDPOINT_MODERATIONS, "{ \"input\":1, \"model\" : \"a/b\" }",
         "{ \"input\":1, \"model\" : \"u\\\"p\" }"},
        {CHAT_ENDPOINT_MODERATIONS, "{\"input\":1}", "{\"model\":\"u\\\"p\",\"input\":1}"},
        {CHAT_ENDPOINT_IMAGE_EDITS, FIELD("model", "a/b") "--XX--",
         FIELD("model", "u\"p") "--XX--"},
        {CHAT_ENDPOINT_IMAGE_EDITS, FIELD("n", "1") "--XX--",
         FIELD("model", "u\"p") FIELD("n", "1") "--XX--"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct json_doc doc;
        struct arena arena;
        struct media_facts facts = {0};
        struct err err = {0};
        struct splice splice;
        struct str *segments = NULL;
        struct buf out;
        size_t count = 0;
        size_t bytes = 0;
        json_init(&doc);
        arena_init(&arena, 1u << 20);
        buf_init(&out, 1u << 20);
        struct form *form = NULL;
        struct form_edit edit;
        assert_int_equal(
            read_facts(rows[i].endpoint, rows[i].body, &doc, &arena, &form, &facts, &err), 0);
        splice_init(&splice, &arena);
        if (form == NULL) {
            assert_int_equal(media_edit(&facts, &doc, STR("u\"p"), &splice), 0);
        } else {
            assert_int_equal(form_edit_model(form, STR("u\"p"), &edit), 0);
            assert_int_equal(
                splice_replace(&splice, (uint32_t)edit.start, (uint32_t)edit.end, edit.text), 0);
        }
        assert_int_equal(
            splice_segments(&splice, str_from(rows[i].body), &segments, &count, &bytes), 0);
        for (size_t s = 0; s < count; s++)
            buf_put_str(&out, segments[s]);
        assert_string_equal(buf_cstr(&out), rows[i].want);
        buf_fini(&out);
        arena_fini(&arena);
        json_fini(&doc);
    }
}

/* A header of a WAV of 16 kHz, 16 bit, one channel: 32,000 bytes a second. */
#define WAVE(rate)                                                                       \
    "RIFF\xff\xff\xff\xffWAVEfmt \x10\0\0\0\x01\0\x01\0" rate "\0\0\x7d\0\0\x02\0\x10\0" \
    "data\xff\xff\xff\xff"

static void
sounds(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        struct str head;
        uint64_t bytes;
        uint64_t want;
        uint64_t want_max;
    } rows[] = {
        {"a WAV as streams have it", STR(WAVE("\x80\x3e\0")), 44 + 64001, 3, 3},
        {"a rate that no decoder takes", STR(WAVE("\x01\0\0")), 44 + 4000, 2, 6},
        {"a WAV without its data", STR("RIFF\0\0\0\0WAVE"), 4000, 1, 6},
        {"an MP3 of 128 kbit/s", STR("\xff\xfb\x90\x44"), 32000, 2, 43},
        {"behind its tag", STR("ID3\x04\0\0\0\0\0\x02xx\xff\xfb\x90\x44"), 32012, 2, 43},
        {"a tag that lies", STR("ID3\x04\0\0\x7f\x7f\x7f\x7f\xff\xfb\x90\x44"), 8000, 2, 11},
        {"whatever", STR("OggS"), 4001, 2, 6},
        {"nothing", STR(""), 0, 0, 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct sound sound = sound_of(rows[i].head, rows[i].bytes);
        if (sound.seconds != rows[i].want || sound.seconds_max != rows[i].want_max)
            fail_msg("%s: %llu, at most %llu", rows[i].name, (unsigned long long)sound.seconds,
                     (unsigned long long)sound.seconds_max);
    }
}

static const struct {
    const char *name;
    enum usage_class priced[2];
    const char *answer;
    enum usage_class want_class;
    uint64_t want;
    enum usage_evidence want_evidence;
} priced[] = {
    {"seconds told, seconds priced",
     {USAGE_second_in, USAGE_second_in},
     "{\"usage\":{\"type\":\"duration\",\"seconds\":7}}",
     USAGE_second_in,
     7,
     EVIDENCE_PROVIDER},
    {"a duration with a fraction",
     {USAGE_second_in, USAGE_second_in},
     "{\"duration\":6.01}",
     USAGE_second_in,
     7,
     EVIDENCE_PROVIDER},
    {"a duration with an exponent is none",
     {USAGE_second_in, USAGE_second_in},
     "{\"duration\":1e3}",
     USAGE_second_in,
     1,
     EVIDENCE_ESTIMATE},
    {"a negative one is none",
     {USAGE_second_in, USAGE_second_in},
     "{\"duration\":-3}",
     USAGE_second_in,
     1,
     EVIDENCE_ESTIMATE},
    {"tokens told, tokens priced",
     {USAGE_audio_in, USAGE_second_in},
     "{\"usage\":{\"input_tokens\":9,\"input_token_details\":{\"audio_tokens\":8}}}",
     USAGE_audio_in,
     8,
     EVIDENCE_PROVIDER},
    {"tokens told, seconds priced",
     {USAGE_second_in, USAGE_second_in},
     "{\"usage\":{\"input_tokens\":9}}",
     USAGE_second_in,
     1,
     EVIDENCE_ESTIMATE},
    {"nothing told, tokens priced",
     {USAGE_audio_in, USAGE_audio_in},
     "{}",
     USAGE_audio_in,
     10,
     EVIDENCE_ESTIMATE},
};

static void
charges(void **state)
{
    (void)state;
    static const char body[] = FILE_FIELD("file", "0123456789") FIELD("model", "w") "--XX--";
    for (size_t i = 0; i < ARRAY_LEN(priced); i++) {
        struct json_doc doc;
        struct arena arena;
        struct media_facts facts = {0};
        struct err err = {0};
        struct usage told = {.evidence = EVIDENCE_NONE};
        struct usage usage;
        struct tariff_row row = {.price = {.known = true}};
        const struct tariff tariff = {.rows = &row, .count = 1};
        row.price.pico[priced[i].priced[0]] = 1;
        row.price.pico[priced[i].priced[1]] = 1;
        json_init(&doc);
        arena_init(&arena, 1u << 20);
        struct form *form;
        assert_int_equal(
            read_facts(CHAT_ENDPOINT_TRANSCRIPTIONS, body, &doc, &arena, &form, &facts, &err), 0);
        assert_int_equal(json_scan(&doc, str_from(priced[i].answer), NULL, &err), 0);
        (void)media_report(CHAT_ENDPOINT_TRANSCRIPTIONS, &doc, 0, &told);
        media_usage(&facts, &tariff, &told, &usage);
        if (usage.count[priced[i].want_class] != priced[i].want ||
            usage.evidence != priced[i].want_evidence)
            fail_msg("%s: %llu, %s", priced[i].name,
                     (unsigned long long)usage.count[priced[i].want_class],
                     usage_evidence_name(usage.evidence));
        arena_fini(&arena);
        json_fini(&doc);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(requests), cmocka_unit_test(edits),
                                       cmocka_unit_test(sounds), cmocka_unit_test(charges)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
