/* SPDX-License-Identifier: MIT
 * exchanges_test.c - recorded exchanges of real providers, where BERTH_EXCHANGES names their folder
 *                    (NAME.response.{sse,json,jsonl} and expected.json): the same canonical answer
 *                    whole, byte by byte and cut at random, the one an independent parser found,
 *                    and again after a way through every dialect that is written.
 * Floor: dataplane/dialect, tests only.
 * Owns: nothing.
 * Invariant: must hold: text, reasoning, tool calls, finish and usage classes are exactly
 *   theirs. */
#include <dirent.h>

#include "dataplane/dialect/test_int.h"

static char *folder;
static char *
read_all(const char *name, const char *suffix, size_t *ret_size)
{
    char path[1024];
    (void)snprintf(path, sizeof(path), "%s/%s%s", folder, name, suffix);
    FILE *file = fopen(path, "rbe");
    if (file == NULL)
        return NULL;
    char *bytes = malloc(TEST_BYTES_MAX);
    assert_non_null(bytes);
    *ret_size = fread(bytes, 1, TEST_BYTES_MAX, file);
    (void)fclose(file);
    return bytes;
}

/* The dialect of a case by its name, or NULL for those that are not spoken yet. */
static const struct dialect *
dialect_of(struct str name)
{
    if (str_starts(name, STR("bedrock-")))
        return &dialect_bedrock;
    if (str_starts(name, STR("ollama-")))
        return &dialect_ollama;
    if (str_starts(name, STR("cohere-")))
        return &dialect_cohere;
    if (str_starts(name, STR("openai-responses-")))
        return &dialect_responses;
    if (str_starts(name, STR("gemini-")) || str_starts(name, STR("google-")))
        return &dialect_gemini;
    return str_starts(name, STR("anthropic-")) ? &dialect_anthropic : &dialect_openai;
}

/* ---- comparing ------------------------------------------------------------------------------- */

static void
want_text(const struct json_doc *doc, uint32_t node, const struct chat_part *parts,
          enum chat_part_kind kind, const char *name, const char *what)
{
    struct arena arena;
    struct str want = STR_EMPTY;
    struct buf got;
    arena_init(&arena, TEST_BYTES_MAX);
    buf_init(&got, TEST_BYTES_MAX);
    if (node != JSON_NONE)
        assert_int_equal(json_string(doc, node, &arena, &want), 0);
    for (; parts != NULL; parts = parts->next)
        if (parts->kind == kind)
            buf_put_str(&got, parts->text);
    if (!str_eq(buf_str(&got), want))
        fail_msg("%s: %s is\n%.*s\nnot\n%.*s", name, what, STR_ARG(buf_str(&got)), STR_ARG(want));
    buf_fini(&got);
    arena_fini(&arena);
}

static void
want_calls(const struct json_doc *doc, uint32_t list, const struct chat_part *part,
           const char *name)
{
    for (uint32_t at = json_first(doc, list); at != JSON_NONE; at = json_sibling(doc, list, at)) {
        while (part != NULL && part->kind != CHAT_PART_TOOL_CALL)
            part = part->next;
        if (part == NULL)
            fail_msg("%s: a tool call is missing", name);
        bool same = json_string_eq(doc, json_get(doc, at, STR("id")), part->id) &&
                    json_string_eq(doc, json_get(doc, at, STR("name")), part->name) &&
                    json_string_eq(doc, json_get(doc, at, STR("arguments")), part->text);
        if (!same)
            fail_msg("%s: got call %.*s %.*s %.*s", name, STR_ARG(part->id), STR_ARG(part->name),
                     STR_ARG(part->text));
        part = part->next;
    }
    for (; part != NULL; part = part->next)
        assert_int_not_equal(part->kind, CHAT_PART_TOOL_CALL);
}

static void
want_choice(const struct json_doc *doc, uint32_t want, const struct chat_choice *choice,
            const char *name)
{
    const struct chat_part *parts = choice != NULL ? choice->parts : NULL;
    enum chat_finish finish = choice != NULL ? choice->finish : CHAT_FINISH_NONE;
    uint32_t reason = json_get(doc, want, STR("finish_reason"));
    want_text(doc, json_get(doc, want, STR("text")), parts, CHAT_PART_TEXT, name, "text");
    want_text(doc, json_get(doc, want, STR("reasoning")), parts, CHAT_PART_REASONING, name,
              "reasoning");
    want_text(doc, json_get(doc, want, STR("refusal")), parts, CHAT_PART_REFUSAL, name, "refusal");
    want_calls(doc, json_get(doc, want, STR("tool_calls")), parts, name);
    if (json_is(doc, reason, JSON_NULL))
        assert_int_equal(finish, CHAT_FINISH_NONE);
    else if (!json_string_eq(doc, reason, str_from(chat_finish_name(finish))))
        fail_msg("%s: finish is %s", name, chat_finish_name(finish));
    uint64_t redacted = 0;
    uint64_t redacted_want = 0;
    bool any_signed = false;
    for (; parts != NULL; parts = parts->next) {
        redacted += parts->kind == CHAT_PART_REDACTED && parts->signature.len > 0;
        any_signed = any_signed || (parts->kind == CHAT_PART_REASONING && parts->signature.len > 0);
    }
    if (json_u64(doc, json_get(doc, want, STR("redacted_thinking_blocks")), 100, &redacted_want) ==
        0)
        assert_int_equal(redacted, redacted_want);
    assert_int_equal(any_signed,
                     json_is(doc, json_get(doc, want, STR("has_signature")), JSON_TRUE));
}

static void
want_usage(const struct json_doc *doc, uint32_t want, const struct usage *usage, const char *name)
{
    const uint64_t *count = usage->count;
    uint64_t written = count[USAGE_cache_write] + count[USAGE_cache_write_1h];
    const struct {
        struct str key;
        uint64_t got;
    } rows[] = {
        {STR("prompt_tokens"),
         count[USAGE_input] + count[USAGE_cached] + written + count[USAGE_audio_in]},
        {STR("cached_tokens"), count[USAGE_cached]},
        {STR("cache_write_tokens"), written},
        {STR("cache_write_1h_tokens"), count[USAGE_cache_write_1h]},
        {STR("completion_tokens"),
         count[USAGE_output] + count[USAGE_reasoning] + count[USAGE_audio_out]},
        {STR("reasoning_tokens"), count[USAGE_reasoning]},
    };
    uint64_t all = 0;
    bool zeros = json_u64(doc, json_get(doc, want, STR("prompt_tokens")), UINT32_MAX, &all) == 0 &&
                 all == 0; /* an answer to no prompt is no report */
    if (json_is(doc, want, JSON_NULL) || zeros) {
        assert_int_equal(usage->evidence, EVIDENCE_NONE);
        return;
    }
    assert_int_equal(usage->evidence, EVIDENCE_PROVIDER);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        uint64_t value = 0;
        uint32_t node = json_get(doc, want, rows[i].key);
        if (node == JSON_NONE)
            continue;
        assert_int_equal(json_u64(doc, node, USAGE_COUNT_MAX, &value), 0);
        if (value != rows[i].got)
            fail_msg("%s: %.*s is %llu, not %llu", name, STR_ARG(rows[i].key),
                     (unsigned long long)rows[i].got, (unsigned long long)value);
    }
}

static void
want_answer(const struct json_doc *doc, uint32_t want, const struct chat_answer *answer,
            const char *name)
{
    uint32_t list = json_get(doc, want, STR("choices"));
    const struct chat_choice *choice = answer->choices;
    if (list == JSON_NONE) {
        want_choice(doc, want, choice, name);
    } else {
        for (uint32_t at = json_first(doc, list); at != JSON_NONE;
             at = json_sibling(doc, list, at)) {
            want_choice(doc, at, choice, name);
            choice = choice != NULL ? choice->next : NULL;
        }
    }
    want_usage(doc, json_get(doc, want, STR("usage")), &answer->usage, name);
}

/* ---- one case -------------------------------------------------------------------------------- */

static void
check_body(const struct dialect *dialect, struct str body, const struct json_doc *doc,
           uint32_t want, const char *name)
{
    struct json_doc reply;
    struct arena arena;
    struct chat_answer answer;
    struct stream_look look;
    struct err err = {0};
    arena_init(&arena, TEST_BYTES_MAX);
    test_scan(&reply, body);
    if (dialect->answer_in(&reply, &arena, &answer, &err) < 0)
        fail_msg("%s: %s", name, err.text);
    want_answer(doc, want, &answer, name);
    dialect->answer_look(&reply, &look);
    want_usage(doc, json_get(doc, want, STR("usage")), &look.usage, name);
    assert_true((look.flags & STREAM_END) != 0);
    json_fini(&reply);
    arena_fini(&arena);
}

/* One payload a line: made into events first. */
static struct buf
as_events(struct str lines)
{
    struct buf out;
    struct str line;
    buf_init(&out, TEST_BYTES_MAX);
    while (lines.len > 0) {
        (void)str_cut(lines, '\n', &line, &lines);
        if (line.len > 0)
            assert_int_equal(sse_put(&out, STR_EMPTY, line), 0);
    }
    return out;
}

static void
check_stream(const struct dialect *dialect, struct str bytes, const struct json_doc *doc,
             uint32_t want, const char *name)
{
    struct buf first;
    uint32_t failure = json_get(doc, want, STR("stream_error"));
    buf_init(&first, TEST_BYTES_MAX);
    for (uint32_t seed = 0; seed < 40; seed++) {
        struct collect collect;
        struct chat_answer answer;
        struct stream_look look = {0};
        struct buf dump;
        buf_init(&dump, TEST_BYTES_MAX);
        collect_init(&collect, TEST_BYTES_MAX);
        struct test_stream stream = {.collect = &collect, .dump = &dump, .look = &look};
        if (test_feed(dialect, bytes, seed < 2 ? seed : seed * 7919u + 2u, &stream) < 0)
            fail_msg("%s: cannot be read (seed %u)", name, seed);
        assert_int_equal(collect_answer(&collect, &answer), 0);
        want_answer(doc, want, &answer, name);
        want_usage(doc, json_get(doc, want, STR("usage")), &look.usage, name);
        assert_int_equal(collect.failed, failure != JSON_NONE);
        assert_int_equal((look.seen & STREAM_ERROR) != 0, collect.failed);
        assert_int_equal((look.seen & STREAM_END) != 0, collect.ended);
        if (collect.failed)
            assert_true(
                json_string_eq(doc, json_get(doc, failure, STR("message")), collect.error.message));
        if (seed == 0)
            buf_put_str(&first, buf_str(&dump));
        if (!str_eq(buf_str(&first), buf_str(&dump)))
            fail_msg("%s: seed %u gives other events", name, seed);
        buf_fini(&dump);
        collect_fini(&collect);
    }
    buf_fini(&first);
}

/* ---- through another dialect and back -------------------------------------------------------- */

/* Texts of the first choice, of the kinds in `kinds` (1u << kind); calls as NAME(ARGUMENTS). Why it
 * was refused stands with the texts, as dialects without a place for it say it. */
static void
dump_choice(const struct chat_answer *answer, unsigned kinds, struct buf *out)
{
    const struct chat_choice *choice = answer->choices;
    const struct chat_part *part = choice != NULL ? choice->parts : NULL;
    bool refused = false;
    for (; part != NULL; part = part->next) {
        refused = refused || part->kind == CHAT_PART_REFUSAL;
        if ((kinds >> (unsigned)part->kind & 1u) == 0)
            continue;
        if (part->kind == CHAT_PART_TOOL_CALL)
            buf_printf(out, "%.*s(%.*s)", STR_ARG(part->name), STR_ARG(part->text));
        else
            buf_put_str(out, part->text);
    }
    if (choice != NULL && !refused && (kinds >> CHAT_PART_REFUSAL & 1u) != 0)
        buf_put_str(out, choice->refusal);
}

static const struct chat_part *
find_part(const struct chat_answer *answer, bool custom, enum chat_part_kind kind)
{
    const struct chat_part *part = answer->choices != NULL ? answer->choices->parts : NULL;
    while (part != NULL && (part->kind != kind || (custom && !part->custom)))
        part = part->next;
    return part;
}

/* What every dialect can say: the same texts, calls, reason to stop and totals. */
static void
want_meaning(const struct chat_answer *was, const struct chat_answer *is, const struct dialect *to,
             const char *name)
{
    static const unsigned kinds[] = {1u << CHAT_PART_TEXT | 1u << CHAT_PART_REFUSAL,
                                     1u << CHAT_PART_REASONING, 1u << CHAT_PART_TOOL_CALL};
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        struct buf want;
        struct buf got;
        buf_init(&want, TEST_BYTES_MAX);
        buf_init(&got, TEST_BYTES_MAX);
        dump_choice(was, kinds[i], &want);
        dump_choice(is, kinds[i], &got);
        if (!str_eq(buf_str(&want), buf_str(&got)))
            fail_msg("%s by %s: got\n%.*s\nwant\n%.*s", name, to->name, STR_ARG(buf_str(&got)),
                     STR_ARG(buf_str(&want)));
        buf_fini(&want);
        buf_fini(&got);
    }
    enum chat_finish reason = was->choices != NULL ? was->choices->finish : CHAT_FINISH_NONE;
    /* some tell a refusal by the reason, some by the text, and some have a text like any other */
    bool plain = to == &dialect_ollama || to == &dialect_cohere || to == &dialect_responses;
    bool words = reason != CHAT_FINISH_NONE && find_part(was, false, CHAT_PART_REFUSAL) == NULL &&
                 (reason != CHAT_FINISH_FILTER || !plain);
    if (words && (is->choices == NULL || is->choices->finish != reason))
        fail_msg("%s by %s: finish is not %s", name, to->name, chat_finish_name(reason));
    if (is->usage.evidence == EVIDENCE_NONE)
        return;
    assert_int_equal(usage_prompt_tokens(&is->usage), usage_prompt_tokens(&was->usage));
    assert_int_equal(usage_answer_tokens(&is->usage), usage_answer_tokens(&was->usage));
}

static void
pair_stream(const struct dialect *from, const struct dialect *to, struct str bytes,
            const char *name)
{
    const struct stream_writer_options options = {.include_usage = true};
    struct collect first;
    struct collect second;
    struct chat_answer was;
    struct chat_answer is;
    struct buf out;
    void *writer = calloc(1, to->writer->size);
    assert_non_null(writer);
    buf_init(&out, TEST_BYTES_MAX);
    collect_init(&first, TEST_BYTES_MAX);
    collect_init(&second, TEST_BYTES_MAX);
    to->writer->init(writer, &options);
    struct test_stream there = {
        .collect = &first, .writer = writer, .out_class = to->writer, .out = &out};
    struct test_stream back = {.collect = &second};
    assert_int_equal(test_feed(from, bytes, 5, &there), 0);
    assert_int_equal(collect_answer(&first, &was), 0);
    if (test_feed(to, buf_str(&out), 1, &back) != 0)
        fail_msg("%s by %s cannot be read: %.*s", name, to->name, STR_ARG(buf_str(&out)));
    assert_int_equal(collect_answer(&second, &is), 0);
    assert_int_equal(second.failed, first.failed);
    assert_int_equal(second.ended, first.ended);
    if (first.ended && find_part(&was, true, CHAT_PART_TOOL_CALL) == NULL)
        want_meaning(&was, &is, to, name);
    to->writer->fini(writer);
    free(writer);
    buf_fini(&out);
    collect_fini(&first);
    collect_fini(&second);
}

static void
pair_body(const struct dialect *from, const struct dialect *to, struct str bytes, const char *name)
{
    struct json_doc doc;
    struct json_doc again;
    struct arena arena;
    struct chat_answer was;
    struct chat_answer is;
    struct err err = {0};
    struct buf out;
    buf_init(&out, TEST_BYTES_MAX);
    arena_init(&arena, TEST_BYTES_MAX);
    test_scan(&doc, bytes);
    assert_int_equal(from->answer_in(&doc, &arena, &was, &err), 0);
    assert_int_equal(to->answer_out(&was, &arena, &out), 0);
    test_scan(&again, buf_str(&out));
    if (to->answer_in(&again, &arena, &is, &err) != 0)
        fail_msg("%s by %s cannot be read: %s", name, to->name, err.text);
    if (find_part(&was, true, CHAT_PART_TOOL_CALL) == NULL)
        want_meaning(&was, &is, to, name);
    json_fini(&doc);
    json_fini(&again);
    arena_fini(&arena);
    buf_fini(&out);
}

static void
check_pairs(const struct dialect *from, struct str bytes, bool stream, const char *name)
{
    const struct dialect *to;
    for (size_t i = 0; (to = dialect_at(i)) != NULL; i++) {
        if (to->writer != NULL && stream)
            pair_stream(from, to, bytes, name);
        else if (to->writer != NULL)
            pair_body(from, to, bytes, name);
    }
}

static bool
check_case(const struct json_doc *doc, uint32_t key)
{
    char name[128];
    struct str raw = json_raw(doc, key);
    size_t size = 0;
    struct buf events = {0};
    const struct dialect *dialect = NULL;
    (void)snprintf(name, sizeof(name), "%.*s", (int)raw.len - 2, raw.ptr + 1);
    dialect = dialect_of(str_from(name));
    if (dialect == NULL)
        return false;
    char *bytes = read_all(name, ".response.sse", &size);
    if (bytes == NULL)
        bytes = read_all(name, ".response.ndjson", &size);
    if (bytes == NULL)
        bytes = read_all(name, ".response.eventstream.bin", &size);
    if (bytes != NULL) {
        check_stream(dialect, str_make(bytes, size), doc, key + 1, name);
        check_pairs(dialect, str_make(bytes, size), true, name);
    } else if ((bytes = read_all(name, ".response.jsonl", &size)) != NULL) {
        events = as_events(str_make(bytes, size));
        check_stream(dialect, buf_str(&events), doc, key + 1, name);
        check_pairs(dialect, buf_str(&events), true, name);
        buf_fini(&events);
    } else if ((bytes = read_all(name, ".response.json", &size)) != NULL) {
        check_body(dialect, str_make(bytes, size), doc, key + 1, name);
        check_pairs(dialect, str_make(bytes, size), false, name);
    } else {
        return false;
    }
    free(bytes);
    return true;
}

static void
test_exchanges(void **state)
{
    (void)state;
    struct json_doc doc;
    size_t size = 0;
    unsigned count = 0;
    folder = getenv("BERTH_EXCHANGES");
    if (folder == NULL || *folder == '\0') {
        print_message("skipped: BERTH_EXCHANGES names no folder\n");
        skip();
    }
    char *expected = read_all("expected", ".json", &size);
    assert_non_null(expected);
    test_scan(&doc, str_make(expected, size));
    uint32_t cases = json_get(&doc, 0, STR("cases"));
    for (uint32_t key = json_first(&doc, cases); key != JSON_NONE;
         key = json_sibling(&doc, cases, key))
        count += check_case(&doc, key);
    print_message("%u recorded exchanges match\n", count);
    assert_true(count > 0);
    json_fini(&doc);
    free(expected);
}

/* Error bodies: the message is read, and the class is the one that the next step hangs on. */
static void
test_errors(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        uint16_t status;
        enum chat_error_class class_;
        const char *type;
    } rows[] = {
        {"anthropic-401", 401, CHAT_ERROR_AUTH, "authentication_error"},
        {"openai-400-max-tokens", 400, CHAT_ERROR_PARAMETER, "invalid_request_error"},
        {"openai-429-quota", 429, CHAT_ERROR_QUOTA, "insufficient_quota"},
        {"groq-tool-use-failed", 400, CHAT_ERROR_OTHER, "invalid_request_error"},
        {"gemini-bad-key-400", 400, CHAT_ERROR_AUTH, ""},
        {"bedrock-400", 400, CHAT_ERROR_OTHER, ""},
    };
    folder = getenv("BERTH_EXCHANGES");
    if (folder == NULL)
        skip();
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct arena arena;
        struct chat_error error;
        size_t size = 0;
        char *body = read_all(rows[i].name, ".response.json", &size);
        if (body == NULL)
            continue;
        const struct dialect *dialect = dialect_of(str_from(rows[i].name));
        arena_init(&arena, TEST_BYTES_MAX);
        assert_int_equal((dialect != NULL ? dialect->error_in : error_read)(
                             rows[i].status, str_make(body, size), &arena, &error),
                         0);
        assert_int_equal(error.class_, rows[i].class_);
        assert_str(error.type, str_from(rows[i].type));
        assert_true(error.message.len > 10);
        arena_fini(&arena);
        free(body);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_exchanges),
        cmocka_unit_test(test_errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
