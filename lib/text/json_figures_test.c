/* SPDX-License-Identifier: MIT
 * json_figures_test.c - what a scan of a chat body costs, beside a parse by cJSON where that
 *                       library is installed (libcjson1; Berth does not use it).
 * Floor: lib/text, tests.
 * Owns: nothing.
 * Invariant: a document at ten times cJSON's pace, what agents send at 4.5 times, at nine times
 *            where json_marks.h has its CPU (BERTH_FIGURES=full, nobody else on the machine; else
 *            at three times and twice). */
#include "lib/text/json.h"

#include <dlfcn.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "lib/base/check.h"
#include "lib/base/clock.h"
#include "lib/text/json_marks.h"

#define BODIES_BYTES (2u << 20)
#define BODIES_MAX 256u
#define ROUNDS (getenv("BERTH_FIGURES") != NULL ? 60 : 3)

static uint32_t dice_state;

/* The same bodies in every run. */
static uint32_t
dice(uint32_t sides)
{
    dice_state = dice_state * 1664525u + 1013904223u;
    return (dice_state >> 16) % sides;
}

static void
put_words(struct buf *out, uint32_t count)
{
    static const char *const words[] = {
        "Why does the second test of the parser fail? ",
        "Look at the file first.\\n",
        "static int\\nnext_token(struct lexer *lexer)\\n{\\n",
        "    while (is_space(*lexer->at))\\n        lexer->at++;\\n",
        "    if (*lexer->at == '\\\\0')\\n        return TOKEN_END;\\n",
        "The loop reads one byte behind the end when the input is only blanks, ",
        "because `is_space` is asked before the end is. ",
        "I would test the end first \\u2013 as the ",
        "na\xc3\xafve version did:\\n\\n",
        "```c\\nreturn punctuation(lexer);\\n```\\n",
        "{\\\"path\\\":\\\"src/parser.c\\\",\\\"first\\\":120}",
        "Nothing else depends on it, so a change is safe; say \\\"yes\\\" and I make it. ",
    };
    while (count-- > 0)
        buf_printf(out, "%s", words[dice(ARRAY_LEN(words))]);
}

static void
put_turn(struct buf *out)
{
    switch (dice(4)) {
    case 0:
        buf_printf(out, ",{\"role\":\"user\",\"content\":\"");
        put_words(out, 1 + dice(6));
        buf_printf(out, "\"}");
        break;
    case 1:
        buf_printf(
            out,
            ",{\"role\":\"assistant\",\"content\":null,\"tool_calls\":[{\"id\":\"call_%08x\","
            "\"type\":\"function\",\"function\":{\"name\":\"read_file\",\"arguments\":"
            "\"{\\\"path\\\":\\\"src/%u.c\\\",\\\"first\\\":%u}\"}}]}",
            dice(UINT32_MAX), dice(1000), dice(1000));
        break;
    case 2:
        buf_printf(out, ",{\"role\":\"tool\",\"tool_call_id\":\"call_%08x\",\"content\":\"",
                   dice(UINT32_MAX));
        put_words(out, 4 + dice(16));
        buf_printf(out, "\"}");
        break;
    default:
        buf_printf(out, ",{\"role\":\"assistant\",\"content\":\"");
        put_words(out, 2 + dice(10));
        buf_printf(out, "\"}");
        break;
    }
}

/* What agents send: a system text, tools with their schemas, then turns: questions, answers with
 * code in them, tool calls with JSON inside a string, and their results. */
static void
put_agent(struct buf *out, size_t size)
{
    size_t end = out->len + size;
    buf_printf(
        out, "{\"model\":\"gpt-4o-mini\",\"stream\":true,\"temperature\":0.2,\"max_tokens\":4096,"
             "\"stream_options\":{\"include_usage\":true},\"tools\":[{\"type\":\"function\","
             "\"function\":{\"name\":\"read_file\",\"description\":\"Read lines of a file in the "
             "workspace.\",\"parameters\":{\"type\":\"object\",\"properties\":{\"path\":{\"type\":"
             "\"string\",\"description\":\"Path below the root.\"},\"first\":{\"type\":"
             "\"integer\",\"minimum\":1},\"count\":{\"type\":\"integer\",\"minimum\":1}},"
             "\"required\":[\"path\"],\"additionalProperties\":false},\"strict\":true}}],"
             "\"messages\":[{\"role\":\"system\",\"content\":\"You are a careful programmer. "
             "Answer briefly; change as little as possible; say what you tested.\"}");
    while (out->len + 400 < end)
        put_turn(out);
    buf_printf(out, "]}");
}

/* One long message, as of a pasted document. */
static void
put_document(struct buf *out, size_t size)
{
    size_t end = out->len + size;
    buf_printf(out, "{\"model\":\"gpt-4o-mini\",\"max_tokens\":64,\"messages\":[{\"role\":\"user\","
                    "\"content\":\"");
    while (out->len + 100 < end)
        buf_printf(out, "A line of an ordinary document, as people paste them to have it summed up "
                        "for them.\\n");
    buf_printf(out, "\"}]}");
}

struct other { /* cJSON */
    void *(*parse)(const char *text, size_t size);
    void (*drop)(void *tree);
};

static bool
other_open(struct other *other)
{
    void *library = dlopen("libcjson.so.1", RTLD_NOW);
    if (library == NULL)
        return false;
    *(void **)&other->parse = dlsym(library, "cJSON_ParseWithLength");
    *(void **)&other->drop = dlsym(library, "cJSON_Delete");
    return other->parse != NULL && other->drop != NULL;
}

/* Bodies that differ, as a gateway's do: nobody's branches learn one of them by heart. */
struct bodies {
    struct buf text;
    size_t size; /* bytes of all */
    size_t count;
    struct str body[BODIES_MAX];
};

static void
bodies_make(struct bodies *bodies, void (*put)(struct buf *out, size_t size), size_t size)
{
    size_t begin[BODIES_MAX + 1] = {0};
    dice_state = 1;
    buf_init(&bodies->text, 2u * BODIES_BYTES);
    bodies->count = MIN((size_t)BODIES_BYTES / size, (size_t)BODIES_MAX);
    for (size_t i = 0; i < bodies->count; i++) {
        put(&bodies->text, size);
        begin[i + 1] = bodies->text.len;
    }
    assert_false(bodies->text.failed);
    bodies->size = bodies->text.len;
    for (size_t i = 0; i < bodies->count; i++)
        bodies->body[i] = str_make(bodies->text.ptr + begin[i], begin[i + 1] - begin[i]);
}

/* Of a body, on average. */
static uint64_t
scan_ns(const struct bodies *bodies, struct json_doc *doc)
{
    uint64_t began = clock_mono_ns();
    for (size_t i = 0; i < bodies->count; i++)
        ASSERT(json_scan(doc, bodies->body[i], NULL, NULL) == 0);
    return (clock_mono_ns() - began) / bodies->count;
}

static uint64_t
other_ns(const struct other *other, const struct bodies *bodies)
{
    uint64_t began = clock_mono_ns();
    for (size_t i = 0; i < bodies->count; i++) {
        void *tree = other->parse(bodies->body[i].ptr, bodies->body[i].len);
        ASSERT(tree != NULL);
        other->drop(tree);
    }
    return (clock_mono_ns() - began) / bodies->count;
}

static void
compare(const char *name, void (*put)(struct buf *out, size_t size), size_t size,
        const struct other *other, UNUSED uint64_t want)
{
    static struct bodies bodies;
    struct json_doc doc;
    uint64_t ours = UINT64_MAX;
    uint64_t theirs = UINT64_MAX;
    bodies_make(&bodies, put, size);
    json_init(&doc);
    /* the best of interleaved rounds: others on the machine only make a round slower */
    for (int i = 0; i < ROUNDS; i++) {
        ours = MIN(ours, scan_ns(&bodies, &doc));
        if (other->parse != NULL)
            theirs = MIN(theirs, other_ns(other, &bodies));
    }
    size_t bytes = bodies.size / bodies.count;
    uint64_t tenths = other->parse == NULL ? 0 : theirs * 10 / ours;
    print_message("| %-8s | %8zu | %9llu ns | %2llu.%02llu GB/s | %9llu ns | %3llu.%llu |\n", name,
                  bytes, (unsigned long long)ours, (unsigned long long)(bytes / ours),
                  (unsigned long long)(bytes * 100 / ours % 100),
                  (unsigned long long)(other->parse == NULL ? 0 : theirs),
                  (unsigned long long)(tenths / 10), (unsigned long long)(tenths % 10));
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) /* in our code alone */
    if (other->parse != NULL)
        assert_true(tenths >= want);
#endif
    json_fini(&doc);
    buf_fini(&bodies.text);
}

static void
test_pace(void **state)
{
    (void)state;
    static const size_t sizes[] = {8u << 10, 100u << 10, 1u << 20};
    struct other other = {NULL, NULL};
    bool full = getenv("BERTH_FIGURES") != NULL;
    uint64_t agent = json_marks_usable() ? 90 : 45;
    if (!other_open(&other))
        print_message("libcjson1 is not installed: nothing to compare with\n");
    print_message("| body     |    bytes |         scan |             |        cJSON | ratio |\n");
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++)
        compare("agent", put_agent, sizes[i], &other, full ? agent : 20);
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++)
        compare("document", put_document, sizes[i], &other, full ? 100 : 30);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_pace)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
