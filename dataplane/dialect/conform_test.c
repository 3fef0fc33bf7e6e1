/* SPDX-License-Identifier: MIT
 * conform_test.c - every dialect of dialects.def against the same conversation in its own words
 *                  (api/golden/chat_tools.NAME.{sse,json}): the same canonical answer, streamed or
 *                  whole, however it is cut, and again after a way through every other dialect.
 * Floor: dataplane/dialect, tests only.
 * Owns: nothing.
 * Invariant: must hold: one meaning, whatever the wire. */
#include "dataplane/dialect/test_int.h"

static const char want_answer_text[] = "reasoning [Two cities, two calls.]\n"
                                       "text [Let me look: caf\xc3\xa9 \xf0\x9f\x98\x80]\n"
                                       "call call_a weather [{\"city\":\"Oslo\"}]\n"
                                       "call call_b now [{}]\n"
                                       "finish tool_calls\n";

/* What a dialect can say of the usage: input, cached, written (5 min, 1 h), output, reasoning; and
 * whether it names the model. */
static const struct says {
    const char *name;
    const char *usage;
    bool no_model;
} says[] = {
    {"openai", "usage 15 100 5 0 33 7\n", false},
    {"anthropic", "usage 15 100 5 0 33 7\n", false},
    {"openai-responses", "usage 15 100 5 0 33 7\n", false},
    {"azure-openai", "usage 15 100 5 0 33 7\n", false},
    {"ollama-native", "usage 120 0 0 0 40 0\n", false},
    {"bedrock-converse", "usage 15 100 5 0 40 0\n", true},
    {"cohere-v2", "usage 20 100 0 0 40 0\n", true},
    {"gemini", "usage 20 100 0 0 33 7\n", false},
};

static const struct says *
says_of(const struct dialect *dialect)
{
    for (size_t i = 0; i < ARRAY_LEN(says); i++)
        if (str_eq(str_from(says[i].name), str_from(dialect->name)))
            return &says[i];
    fail_msg("no row for %s", dialect->name);
    return NULL;
}

/* All of an answer but the usage; then the usage, as far as both dialects can say it. */
static void
want_same(const struct chat_answer *answer, const struct buf *dump, const struct dialect *from,
          const struct dialect *to)
{
    const uint64_t *count = answer->usage.count;
    uint64_t in = count[USAGE_input] + count[USAGE_cached] + count[USAGE_cache_write] +
                  count[USAGE_cache_write_1h];
    struct str text = buf_str(dump);
    struct str model;
    struct str rest;
    (void)str_cut(text, '\n', &model, &rest);
    bool named = !says_of(from)->no_model && !says_of(to)->no_model;
    assert_str(model, named ? STR("model golden-1") : model);
    size_t end = str_find(rest, STR("usage "));
    assert_str(str_make(rest.ptr, end), str_from(want_answer_text));
    if (from == to)
        assert_str(str_skip(rest, end), str_from(says_of(from)->usage));
    assert_int_equal(in, 120);
    assert_int_equal(count[USAGE_output] + count[USAGE_reasoning], 40);
}

static void
dump_answer(struct buf *out, const struct chat_answer *answer)
{
    static const char *const kinds[] = {"text", "refusal", "reasoning", "redacted", "image",
                                        "file", "audio",   "call",      "result"};
    const uint64_t *count = answer->usage.count;
    const struct chat_choice *choice = answer->choices;
    buf_printf(out, "model %.*s\n", STR_ARG(answer->model));
    for (const struct chat_part *part = choice ? choice->parts : NULL; part; part = part->next) {
        if (part->kind == CHAT_PART_TOOL_CALL)
            buf_printf(out, "call %.*s %.*s [%.*s]\n", STR_ARG(part->id), STR_ARG(part->name),
                       STR_ARG(part->text));
        else
            buf_printf(out, "%s [%.*s]\n", kinds[part->kind], STR_ARG(part->text));
    }
    buf_printf(out, "finish %s\n", chat_finish_name(choice ? choice->finish : 0));
    buf_printf(out, "usage %d %d %d %d %d %d\n", (int)count[USAGE_input], (int)count[USAGE_cached],
               (int)count[USAGE_cache_write], (int)count[USAGE_cache_write_1h],
               (int)count[USAGE_output], (int)count[USAGE_reasoning]);
}

static void
want_stream(const struct dialect *dialect, struct str bytes, uint32_t seed)
{
    struct collect collect;
    struct chat_answer answer;
    struct stream_look look = {0};
    struct buf dump;
    buf_init(&dump, TEST_BYTES_MAX);
    collect_init(&collect, TEST_BYTES_MAX);
    struct test_stream stream = {.collect = &collect, .look = &look};
    assert_int_equal(test_feed(dialect, bytes, seed, &stream), 0);
    assert_true(collect.ended && !collect.failed);
    assert_int_equal(collect_answer(&collect, &answer), 0);
    dump_answer(&dump, &answer);
    want_same(&answer, &dump, dialect, dialect);
    assert_int_equal(look.seen & (STREAM_ERROR | STREAM_MALFORMED), 0);
    assert_true((look.seen & STREAM_END) != 0 && (look.seen & STREAM_TOKEN) != 0);
    assert_memory_equal(look.usage.count, answer.usage.count, sizeof(look.usage.count));
    buf_fini(&dump);
    collect_fini(&collect);
}

static void
test_streams(void **state)
{
    (void)state;
    const struct dialect *dialect;
    for (size_t i = 0; (dialect = dialect_at(i)) != NULL; i++) {
        size_t size = 0;
        char *bytes = test_golden(dialect, true, &size);
        for (uint32_t seed = 0; seed < 200; seed++)
            want_stream(dialect, str_make(bytes, size), seed < 2 ? seed : seed * 7919u + 2u);
        free(bytes);
    }
}

static void
want_body(const struct dialect *dialect, struct str body)
{
    struct json_doc doc;
    struct arena arena;
    struct chat_answer answer;
    struct stream_look look;
    struct err err;
    struct buf dump;
    buf_init(&dump, TEST_BYTES_MAX);
    arena_init(&arena, TEST_BYTES_MAX);
    test_scan(&doc, body);
    assert_int_equal(dialect->answer_in(&doc, &arena, &answer, &err), 0);
    dump_answer(&dump, &answer);
    want_same(&answer, &dump, dialect, dialect);
    dialect->answer_look(&doc, &look);
    assert_memory_equal(look.usage.count, answer.usage.count, sizeof(look.usage.count));
    assert_int_equal(look.finish, CHAT_FINISH_TOOL_CALLS);
    json_fini(&doc);
    arena_fini(&arena);
    buf_fini(&dump);
}

static void
test_bodies(void **state)
{
    (void)state;
    const struct dialect *dialect;
    for (size_t i = 0; (dialect = dialect_at(i)) != NULL; i++) {
        size_t size = 0;
        char *bytes = test_golden(dialect, false, &size);
        want_body(dialect, str_make(bytes, size));
        free(bytes);
    }
}

/* Not every count comes back from a writer, in its own dialect either. */
static const struct dialect other = {.name = "openai"};

/* Every pair: a stream of `from` written by `to` reads as the same answer. The reasoning count is
 * only told by some. */
static void
test_stream_pairs(void **state)
{
    (void)state;
    const struct dialect *from;
    const struct dialect *to;
    for (size_t i = 0; (from = dialect_at(i)) != NULL; i++) {
        for (size_t j = 0; (to = dialect_at(j)) != NULL; j++) {
            if (to->writer == NULL) /* spoken to providers only */
                continue;
            const struct stream_writer_options options = {.include_usage = true};
            struct collect collect;
            struct chat_answer answer;
            struct buf out;
            struct buf dump;
            size_t size = 0;
            char *bytes = test_golden(from, true, &size);
            void *writer = calloc(1, to->writer->size);
            buf_init(&out, TEST_BYTES_MAX);
            buf_init(&dump, TEST_BYTES_MAX);
            to->writer->init(writer, &options);
            struct test_stream first = {.writer = writer, .out_class = to->writer, .out = &out};
            assert_int_equal(test_feed(from, str_make(bytes, size), 5, &first), 0);
            collect_init(&collect, TEST_BYTES_MAX);
            struct test_stream second = {.collect = &collect};
            assert_int_equal(test_feed(to, buf_str(&out), 1, &second), 0);
            assert_int_equal(collect_answer(&collect, &answer), 0);
            dump_answer(&dump, &answer);
            want_same(&answer, &dump, from, from == to ? &other : to);
            assert_true(collect.ended);
            to->writer->fini(writer);
            free(writer);
            free(bytes);
            buf_fini(&out);
            buf_fini(&dump);
            collect_fini(&collect);
        }
    }
}

static void
test_body_pairs(void **state)
{
    (void)state;
    const struct dialect *from;
    const struct dialect *to;
    for (size_t i = 0; (from = dialect_at(i)) != NULL; i++) {
        for (size_t j = 0; (to = dialect_at(j)) != NULL; j++) {
            if (to->writer == NULL) /* spoken to providers only */
                continue;
            struct json_doc doc;
            struct json_doc again;
            struct arena arena;
            struct chat_answer answer;
            struct chat_answer back;
            struct err err;
            struct buf out;
            struct buf dump;
            size_t size = 0;
            char *bytes = test_golden(from, false, &size);
            buf_init(&out, TEST_BYTES_MAX);
            buf_init(&dump, TEST_BYTES_MAX);
            arena_init(&arena, TEST_BYTES_MAX);
            test_scan(&doc, str_make(bytes, size));
            assert_int_equal(from->answer_in(&doc, &arena, &answer, &err), 0);
            assert_int_equal(to->answer_out(&answer, &arena, &out), 0);
            test_scan(&again, buf_str(&out));
            assert_int_equal(to->answer_in(&again, &arena, &back, &err), 0);
            dump_answer(&dump, &back);
            want_same(&back, &dump, from, from == to ? &other : to);
            json_fini(&doc);
            json_fini(&again);
            arena_fini(&arena);
            buf_fini(&out);
            buf_fini(&dump);
            free(bytes);
        }
    }
}

/* What a keep-alive is to its own reader: nothing. */
static void
test_keepalive(void **state)
{
    (void)state;
    const struct dialect *dialect;
    for (size_t i = 0; (dialect = dialect_at(i)) != NULL; i++) {
        if (dialect->writer == NULL)
            continue;
        struct collect collect;
        struct stream_look look = {0};
        struct buf out;
        buf_init(&out, 4096);
        collect_init(&collect, 4096);
        struct test_stream stream = {.collect = &collect, .look = &look};
        assert_int_equal(dialect->writer->keepalive(&out), 0);
        assert_true(out.len > 0);
        assert_int_equal(test_feed(dialect, buf_str(&out), 0, &stream), 0);
        assert_int_equal(look.seen, 0);
        assert_int_equal(collect.part_count, 0);
        buf_fini(&out);
        collect_fini(&collect);
    }
}

/* An error in mid-stream: seen as one, not as an end, and with its words. */
static void
test_error_event(void **state)
{
    (void)state;
    const struct dialect *dialect;
    const struct chat_error error =
        chat_error_ours(HTTP_ERROR_upstream_timeout, STR_EMPTY, STR_EMPTY);
    for (size_t i = 0; (dialect = dialect_at(i)) != NULL; i++) {
        if (dialect->writer == NULL)
            continue;
        struct collect collect;
        struct stream_look look = {0};
        struct buf out;
        buf_init(&out, 4096);
        collect_init(&collect, 4096);
        struct test_stream stream = {.collect = &collect, .look = &look};
        assert_int_equal(dialect->writer->error(&error, &out), 0);
        assert_int_equal(test_feed(dialect, buf_str(&out), 0, &stream), 0);
        assert_int_equal(look.seen, STREAM_ERROR);
        assert_true(collect.failed && !collect.ended);
        assert_str(collect.error.message, STR("The provider did not answer in time."));
        buf_fini(&out);
        collect_fini(&collect);
    }
}

static void
test_table(void **state)
{
    (void)state;
    assert_ptr_equal(dialect_find(STR("openai")), &dialect_openai);
    assert_ptr_equal(dialect_find(STR("anthropic")), &dialect_anthropic);
    assert_null(dialect_find(STR("Openai")));
    assert_null(dialect_find(STR_EMPTY));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table),       cmocka_unit_test(test_streams),
        cmocka_unit_test(test_bodies),      cmocka_unit_test(test_stream_pairs),
        cmocka_unit_test(test_body_pairs),  cmocka_unit_test(test_keepalive),
        cmocka_unit_test(test_error_event),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
