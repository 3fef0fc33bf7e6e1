/* SPDX-License-Identifier: MIT
 * media_test.c - forms with files: what is read of them, said of them and billed for them.
 * Floor: tools/sim, test.
 * Owns: nothing.
 * Invariant: see media.h. */
#include "tools/sim/media.h"

#include "tools/sim/test_int.h"

#define FORM "multipart/form-data; boundary=XX"
#define FIELD(name, value) \
    "--XX\r\nContent-Disposition: form-data; name=\"" name "\"\r\n\r\n" value "\r\n"
#define FILE_FIELD(value) \
    "--XX\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a\"\r\n\r\n" value "\r\n"

static void
test_forms(void **state)
{
    static const struct {
        enum sim_endpoint endpoint;
        const char *body;
        int want_err;
        const char *want_type;
        const char *want;
        uint64_t want_units;
        uint64_t want_completion;
    } rows[] = {
        {SIM_TRANSCRIPTIONS, FILE_FIELD("sound") FIELD("model", "whisper-1") "--XX--", 0,
         "application/json", "\"usage\":{\"type\":\"duration\",\"seconds\":1}", 1, 0},
        {SIM_TRANSCRIPTIONS,
         FIELD("model", "whisper-1") FIELD("response_format", "srt") FILE_FIELD("sound") "--XX--",
         0, "text/plain; charset=utf-8", "the tide was out\n", 1, 0},
        {SIM_TRANSCRIPTIONS,
         FIELD("model", "gpt-4o-transcribe") FIELD("stream", "true") FILE_FIELD("s") "--XX--", 0,
         "text/event-stream", "\"input_token_details\":{\"text_tokens\":0,\"audio_tokens\":10}", 10,
         4},
        {SIM_TRANSCRIPTIONS, FIELD("model", "whisper-1") "--XX--", -ERR_INVALID, "", "", 0, 0},
        {SIM_TRANSCRIPTIONS, FILE_FIELD("s") "--XX--", -ERR_INVALID, "", "", 0, 0},
        {SIM_TRANSCRIPTIONS, FILE_FIELD("s"), -ERR_PARSE, "", "", 0, 0},
        {SIM_IMAGES, FIELD("model", "gpt-image-1") FIELD("quality", "low") FILE_FIELD("p") "--XX--",
         0, "application/json", "\"image_tokens\":100", 100, 272},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct arena arena;
        struct json_doc doc;
        struct buf out;
        struct sim_media media = {.model = STR_EMPTY};
        struct sim_answer answer = {0};
        struct err err = {0};
        arena_init(&arena, 1u << 20);
        json_init(&doc);
        buf_init(&out, 1u << 20);
        int rc = media_parse(str_from(rows[i].body), STR(FORM), rows[i].endpoint, &doc, &arena,
                             &media, &err);
        assert_int_equal(rc, rows[i].want_err);
        if (rc == 0) {
            assert_string_equal(media_write(&media, &answer, &out), rows[i].want_type);
            if (str_find(buf_str(&out), str_from(rows[i].want)) == SIZE_MAX)
                fail_msg("row %zu: %s", i, buf_cstr(&out));
            assert_int_equal(answer.units, rows[i].want_units);
            assert_int_equal(answer.completion, rows[i].want_completion);
        }
        buf_fini(&out);
        json_fini(&doc);
        arena_fini(&arena);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_forms)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
