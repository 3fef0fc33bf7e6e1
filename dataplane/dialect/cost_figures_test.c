/* SPDX-License-Identifier: MIT
 * cost_figures_test.c - what a translation costs beside bytes that only pass through, for each pair
 *                       of a provider's and a caller's dialect: a chunk of a stream, a whole call.
 * Floor: dataplane/dialect, tests only.
 * Owns: nothing.
 * Invariant: a chunk within ten microseconds (BERTH_FIGURES=full: within two). BERTH_PAIR=FROM,TO
 *            does the chunks of that pair alone, for a counter of instructions. */
#include "dataplane/dialect/test_int.h"
#include "lib/base/clock.h"

#define CHUNKS 1000u
#define ROUNDS (getenv("BERTH_FIGURES") != NULL ? 20 : 3)
#define CALLS 50u

static const char text_of_chunk[] = " a few words";

static void
put_event(const struct dialect *dialect, void *writer, const struct chat_event *event,
          struct buf *out)
{
    assert_int_equal(dialect->writer->write(writer, event, out), 0);
}

/* A stream of CHUNKS deltas in the dialect's words. Of one that nobody writes: its golden stream.
 * Returns the chunks in it. */
static size_t
stream_make(const struct dialect *dialect, struct buf *out)
{
    const struct stream_writer_options options = {.model = STR("m"), .include_usage = true};
    struct chat_event event = {.kind = CHAT_EVENT_START, .id = STR("c1"), .model = STR("m")};
    if (dialect->writer == NULL) {
        size_t size = 0;
        struct sse_event frame;
        struct frames frames;
        size_t count = 0;
        char *bytes = test_golden(dialect, true, &size);
        buf_put(out, bytes, size);
        free(bytes);
        frames_init(&frames, dialect->framing, 0);
        for (frames_feed(&frames, buf_str(out)); frames_next(&frames, &frame) == 0;)
            count++;
        frames_fini(&frames);
        return count;
    }
    void *writer = calloc(1, dialect->writer->size);
    assert_non_null(writer);
    dialect->writer->init(writer, &options);
    put_event(dialect, writer, &event, out);
    event = (struct chat_event){.kind = CHAT_EVENT_TEXT, .text = str_from(text_of_chunk)};
    for (size_t i = 0; i < CHUNKS; i++)
        put_event(dialect, writer, &event, out);
    event = (struct chat_event){.kind = CHAT_EVENT_FINISH, .finish = CHAT_FINISH_STOP};
    put_event(dialect, writer, &event, out);
    event = (struct chat_event){.kind = CHAT_EVENT_USAGE, .usage = {.count = {9, 9}}};
    put_event(dialect, writer, &event, out);
    event = (struct chat_event){.kind = CHAT_EVENT_END};
    put_event(dialect, writer, &event, out);
    dialect->writer->fini(writer);
    free(writer);
    return CHUNKS;
}

/* Once through the stream: frames and a look at each; with `to`, read and written anew as well. */
static __attribute__((noinline)) void
stream_pass(const struct dialect *from, const struct dialect *to, struct str bytes,
            struct json_doc *scratch, struct buf *out)
{
    const struct stream_writer_options options = {.model = STR("m"), .include_usage = true};
    struct stream_look look = {0};
    struct frames frames;
    struct sse_event event;
    void *reader = calloc(1, from->reader->size);
    void *writer = calloc(1, to != NULL ? to->writer->size : 1);
    struct test_stream stream = {
        .look = &look, .writer = writer, .out_class = to != NULL ? to->writer : NULL, .out = out};
    assert_true(reader != NULL && writer != NULL);
    from->reader->init(reader);
    if (to != NULL)
        to->writer->init(writer, &options);
    frames_init(&frames, from->framing, 0);
    for (frames_feed(&frames, bytes); frames_next(&frames, &event) == 0;) {
        const struct stream_frame frame = {event.name, event.data};
        if (to != NULL)
            assert_int_equal(test_frame(from, reader, &frame, scratch, &stream), 0);
        else
            from->reader->look(&look, &frame, scratch);
    }
    assert_true((look.seen & STREAM_TOKEN) != 0 && (to == NULL || out->len > 0));
    frames_fini(&frames);
    from->reader->fini(reader);
    if (to != NULL)
        to->writer->fini(writer);
    free(reader);
    free(writer);
}

static uint64_t
chunk_ns(const struct dialect *from, const struct dialect *to)
{
    struct buf bytes;
    struct buf out;
    struct json_doc scratch;
    uint64_t best = UINT64_MAX;
    buf_init(&bytes, TEST_BYTES_MAX);
    buf_init(&out, TEST_BYTES_MAX);
    json_init(&scratch);
    size_t chunks = stream_make(from, &bytes);
    size_t times = CHUNKS / chunks;
    for (int i = 0; i < ROUNDS; i++) {
        uint64_t began = clock_mono_ns();
        for (size_t k = 0; k < times; k++) {
            out.len = 0;
            stream_pass(from, to, buf_str(&bytes), &scratch, &out);
        }
        best = MIN(best, (clock_mono_ns() - began) / (times * chunks));
    }
    json_fini(&scratch);
    buf_fini(&bytes);
    buf_fini(&out);
    return best;
}

static bool
pair_wanted(const struct dialect *from, const struct dialect *to)
{
    char name[64];
    const char *wanted = getenv("BERTH_PAIR");
    (void)snprintf(name, sizeof(name), "%s,%s", from->name, to != NULL ? to->name : "pass");
    return wanted == NULL || strcmp(wanted, name) == 0;
}

/* Callers' dialects: the columns. Azure's bodies are OpenAI's. */
static const struct dialect *
caller_at(size_t index)
{
    static const struct dialect *const callers[] = {&dialect_openai,    &dialect_anthropic,
                                                    &dialect_responses, &dialect_gemini,
                                                    &dialect_ollama,    &dialect_cohere};
    return index < ARRAY_LEN(callers) ? callers[index] : NULL;
}

static void
print_head(const char *what)
{
    const struct dialect *to;
    print_message("| %-16s | %9s |", what, "pass");
    for (size_t j = 0; (to = caller_at(j)) != NULL; j++)
        print_message(" %16s |", to->name);
    print_message("\n");
}

static uint64_t
limit_ns(void)
{
#ifdef __SANITIZE_ADDRESS__
    return 1000000;
#else
    if (getenv("BERTH_PAIR") != NULL) /* valgrind's time */
        return UINT64_MAX;
    return getenv("BERTH_FIGURES") != NULL ? 2000 : 10000;
#endif
}

static void
test_chunks(void **state)
{
    (void)state;
    const struct dialect *from;
    const struct dialect *to;
    uint64_t limit = limit_ns();
    print_head("ns a chunk");
    for (size_t i = 0; (from = dialect_at(i)) != NULL; i++) {
        if (from->wire != NULL)
            continue;
        if (pair_wanted(from, NULL))
            print_message("| %-16s | %9llu |", from->name,
                          (unsigned long long)chunk_ns(from, NULL));
        for (size_t j = 0; (to = caller_at(j)) != NULL; j++) {
            if (!pair_wanted(from, to))
                continue;
            uint64_t ns = to == from ? 0 : chunk_ns(from, to);
            print_message(" %16llu |", (unsigned long long)ns);
            assert_true(ns <= limit);
        }
        if (pair_wanted(from, NULL))
            print_message("\n");
    }
}

/* ---- whole calls ----------------------------------------------------------------------------- */

/* A conversation of some 4 KB with a tool, in OpenAI's words. */
static void
put_request(struct buf *out)
{
    buf_printf(out, "{\"model\":\"m\",\"max_tokens\":64,\"tools\":[{\"type\":\"function\","
                    "\"function\":{\"name\":\"read_file\",\"description\":\"Read a file.\","
                    "\"parameters\":{\"type\":\"object\",\"properties\":{\"path\":{\"type\":"
                    "\"string\"}},\"required\":[\"path\"]}}}],\"messages\":[{\"role\":\"system\","
                    "\"content\":\"Be brief.\"}");
    for (int i = 0; i < 16; i++) {
        buf_printf(out,
                   ",{\"role\":\"user\",\"content\":\"Question %d: why does the test fail, and "
                   "what would you change?\\nLook at the file first.\"},{\"role\":\"assistant\","
                   "\"content\":\"The loop reads one byte behind the end.\\nTest the end first.\"}",
                   i);
    }
    buf_printf(out, ",{\"role\":\"user\",\"content\":\"And now?\"}]}");
}

static void
request_translate(const struct dialect *from, const struct dialect *to, const struct json_doc *doc,
                  struct arena *arena, struct buf *out)
{
    struct err err = {0};
    struct buf dropped;
    struct chat_request request = {.model = STR_EMPTY};
    buf_init(&dropped, 4096);
    const struct dialect_target target = {.model = STR("up"), .lenient = true, .dropped = &dropped};
    if (from->request_in(doc, arena, &request, &err) != 0 ||
        to->request_out(&request, &target, arena, out, &err) != 0)
        fail_msg("%s to %s: %s", from->name, to->name, err.text);
    buf_fini(&dropped);
}

/* The caller's request to the provider: the same bytes with another model, or written anew. */
static void
request_pass(const struct dialect *caller, const struct dialect *provider, struct str body,
             struct json_doc *doc, struct buf *out)
{
    struct arena arena;
    struct chat_facts facts = {.model = STR("m")}; /* where the URL says it */
    struct splice splice;
    struct str *segments = NULL;
    size_t count = 0;
    size_t bytes = 0;
    struct err err = {0};
    arena_init(&arena, TEST_BYTES_MAX);
    out->len = 0;
    assert_int_equal(json_scan(doc, body, NULL, &err), 0);
    assert_int_equal(caller->facts(doc, CHAT_ENDPOINT_CHAT, &arena, &facts, &err), 0);
    if (caller != provider) {
        request_translate(caller, provider, doc, &arena, out);
    } else {
        splice_init(&splice, &arena);
        assert_int_equal(
            caller->forward_edits(doc, CHAT_ENDPOINT_CHAT, &facts, STR("up"), false, &splice), 0);
        assert_int_equal(splice_segments(&splice, body, &segments, &count, &bytes), 0);
    }
    arena_fini(&arena);
}

static void
answer_pass(const struct dialect *provider, const struct dialect *caller, struct str body,
            struct json_doc *doc, struct buf *out)
{
    struct arena arena;
    struct stream_look look = {0};
    struct chat_answer answer;
    struct err err = {0};
    arena_init(&arena, TEST_BYTES_MAX);
    out->len = 0;
    assert_int_equal(json_scan(doc, body, NULL, &err), 0);
    provider->answer_look(doc, &look);
    if (caller != provider) {
        assert_int_equal(provider->answer_in(doc, &arena, &answer, &err), 0);
        assert_int_equal(caller->answer_out(&answer, &arena, out), 0);
    }
    arena_fini(&arena);
}

static uint64_t
call_ns(const struct dialect *provider, const struct dialect *caller)
{
    struct json_doc doc;
    struct buf plain;
    struct buf body;
    struct buf out;
    struct arena arena;
    uint64_t best = UINT64_MAX;
    size_t size = 0;
    char *answer = test_golden(provider, false, &size);
    json_init(&doc);
    arena_init(&arena, TEST_BYTES_MAX);
    buf_init(&plain, TEST_BYTES_MAX);
    buf_init(&body, TEST_BYTES_MAX);
    buf_init(&out, TEST_BYTES_MAX);
    put_request(&plain);
    assert_int_equal(json_scan(&doc, buf_str(&plain), NULL, NULL), 0);
    request_translate(&dialect_openai, caller, &doc, &arena, &body);
    for (int i = 0; i < ROUNDS; i++) {
        uint64_t began = clock_mono_ns();
        for (size_t k = 0; k < CALLS; k++) {
            request_pass(caller, provider, buf_str(&body), &doc, &out);
            answer_pass(provider, caller, str_make(answer, size), &doc, &out);
        }
        best = MIN(best, (clock_mono_ns() - began) / CALLS);
    }
    free(answer);
    json_fini(&doc);
    arena_fini(&arena);
    buf_fini(&plain);
    buf_fini(&body);
    buf_fini(&out);
    return best;
}

static void
test_calls(void **state)
{
    (void)state;
    const struct dialect *provider;
    const struct dialect *caller;
    if (getenv("BERTH_PAIR") != NULL)
        return;
    print_head("ns a call");
    for (size_t i = 0; (provider = dialect_at(i)) != NULL; i++) {
        if (provider->wire != NULL)
            continue;
        bool passes = provider->writer != NULL;
        print_message("| %-16s | %9llu |", provider->name,
                      (unsigned long long)(passes ? call_ns(provider, provider) : 0));
        for (size_t j = 0; (caller = caller_at(j)) != NULL; j++)
            print_message(" %16llu |",
                          (unsigned long long)(caller == provider ? 0 : call_ns(provider, caller)));
        print_message("\n");
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_chunks), cmocka_unit_test(test_calls)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
