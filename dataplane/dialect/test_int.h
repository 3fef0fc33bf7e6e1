/* SPDX-License-Identifier: MIT
 * test_int.h - for the tests of this room: feeding streams whole, byte by byte and cut at random,
 *              and events as lines of text to compare.
 * Floor: dataplane/dialect, tests only.
 * Owns: nothing.
 * Invariant: a failing random cut prints its seed. */
#ifndef BERTH_DATAPLANE_DIALECT_TEST_INT_H
#define BERTH_DATAPLANE_DIALECT_TEST_INT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "dataplane/chat/collect.h"
#include "dataplane/dialect/dialect_int.h"
#include "dataplane/dialect/frames.h"

#define TEST_BYTES_MAX (32u << 20)

/* How the bytes of a stream arrive: 0 whole, 1 byte by byte, else a seed of random cuts. */
static inline size_t
test_cut(uint32_t *seed, size_t left)
{
    if (*seed == 0)
        return left;
    if (*seed == 1)
        return 1;
    *seed = *seed * 1664525u + 1013904223u;
    *seed |= 2;
    size_t size = 1 + (*seed >> 16) % 97;
    return size < left ? size : left;
}

/* One event as a line; texts of one kind in a row are joined by the caller's eye, not here. */
static inline void
test_dump(struct buf *out, const struct chat_event *event)
{
    static const char *const names[] = {"start",    "text",     "reasoning",  "signature",
                                        "redacted", "refusal",  "tool_start", "delta",
                                        "tool_end", "logprobs", "citation",   "finish",
                                        "usage",    "ping",     "error",      "end"};
    buf_printf(out, "%s %u %u [%.*s]", names[event->kind], event->choice, event->tool,
               STR_ARG(event->text));
    if (event->kind == CHAT_EVENT_TOOL_START || event->kind == CHAT_EVENT_START)
        buf_printf(out, " id=%.*s name=%.*s model=%.*s", STR_ARG(event->id), STR_ARG(event->name),
                   STR_ARG(event->model));
    if (event->kind == CHAT_EVENT_CITATION)
        buf_printf(out, " %u..%u %.*s", (unsigned)event->citation->start,
                   (unsigned)event->citation->end, STR_ARG(event->citation->url));
    if (event->kind == CHAT_EVENT_FINISH)
        buf_printf(out, " %s", chat_finish_name(event->finish));
    if (event->kind == CHAT_EVENT_USAGE)
        for (size_t i = 0; i < USAGE_CLASS_COUNT; i++)
            buf_printf(out, " %llu", (unsigned long long)event->usage.count[i]);
    if (event->kind == CHAT_EVENT_ERROR)
        buf_printf(out, " %u %.*s", event->error.status, STR_ARG(event->error.message));
    buf_put_byte(out, '\n');
}

/* What a stream gave. Any member that is NULL is not wanted. */
struct test_stream {
    struct collect *collect;
    struct buf *dump;
    struct stream_look *look;
    void *writer; /* of `out_class`; its bytes go to `out` */
    const struct stream_writer_class *out_class;
    struct buf *out;
};

static inline int
test_events(struct test_stream *stream, const struct chat_event *event)
{
    int rc = 0;
    for (; rc == 0 && event != NULL; event = event->next) {
        if (stream->dump != NULL)
            test_dump(stream->dump, event);
        if (stream->collect != NULL)
            rc = collect_event(stream->collect, event);
        if (rc == 0 && stream->out_class != NULL)
            rc = stream->out_class->write(stream->writer, event, stream->out);
    }
    return rc;
}

static inline int
test_frame(const struct dialect *dialect, void *reader, const struct stream_frame *frame,
           struct json_doc *scratch, struct test_stream *stream)
{
    struct arena arena;
    struct chat_event *event = NULL;
    struct err err = {0};
    arena_init(&arena, TEST_BYTES_MAX);
    if (stream->look != NULL)
        dialect->reader->look(stream->look, frame, scratch);
    int rc = dialect->reader->read(reader, frame, scratch, &arena, &event, &err);
    rc = rc == 0 ? test_events(stream, event) : rc;
    arena_fini(&arena);
    return rc;
}

/* The connection ends: where that is the stream's end, the reader says what is left. */
static inline int
test_close(const struct dialect *dialect, void *reader, struct test_stream *stream)
{
    struct arena arena;
    struct chat_event *event = NULL;
    int rc = 0;
    if (dialect->reader->close == NULL)
        return 0;
    arena_init(&arena, TEST_BYTES_MAX);
    rc = dialect->reader->close(reader, &arena, &event);
    if (stream->look != NULL && (stream->look->seen & STREAM_FINISH) != 0)
        stream->look->seen |= STREAM_END;
    rc = rc == 0 ? test_events(stream, event) : rc;
    arena_fini(&arena);
    return rc;
}

/* Feed a stream of the dialect. Returns 0 or the first error. */
static inline int
test_feed(const struct dialect *dialect, struct str bytes, uint32_t seed,
          struct test_stream *stream)
{
    struct frames frames;
    struct json_doc scratch;
    struct sse_event event;
    int rc = 0;
    void *reader = calloc(1, dialect->reader->size);
    assert_non_null(reader);
    dialect->reader->init(reader);
    json_init(&scratch);
    frames_init(&frames, dialect->framing, 0);
    while (bytes.len > 0 && rc == 0) {
        size_t size = test_cut(&seed, bytes.len);
        frames_feed(&frames, str_make(bytes.ptr, size));
        bytes = str_skip(bytes, size);
        while (rc == 0 && frames_next(&frames, &event) == 0) {
            const struct stream_frame frame = {event.name, event.data};
            if (event.has_data)
                rc = test_frame(dialect, reader, &frame, &scratch, stream);
        }
    }
    if (rc == 0)
        rc = test_close(dialect, reader, stream);
    frames_fini(&frames);
    json_fini(&scratch);
    dialect->reader->fini(reader);
    free(reader);
    return rc;
}

/* Scan a document that must be valid. */
static inline void
test_scan(struct json_doc *doc, struct str text)
{
    struct err err = {0};
    json_init(doc);
    if (json_scan(doc, text, NULL, &err) < 0)
        fail_msg("%s in %.*s", err.text, STR_ARG(text));
}

/* The conversation of api/golden/ in the dialect's own words. For free(). */
static UNUSED char *
test_golden(const struct dialect *dialect, bool stream, size_t *ret_size)
{
    char path[256];
    const char *name = dialect->wire != NULL ? dialect->wire->name : dialect->name;
    const char *suffix = !stream                             ? "json"
                         : dialect->framing == STREAM_NDJSON ? "ndjson"
                         : dialect->framing == STREAM_AWS    ? "bin"
                                                             : "sse";
    (void)snprintf(path, sizeof(path), "api/golden/chat_tools.%s.%s", name, suffix);
    FILE *file = fopen(path, "rbe");
    if (file == NULL)
        fail_msg("no %s", path);
    char *bytes = malloc(TEST_BYTES_MAX);
    assert_non_null(bytes);
    *ret_size = fread(bytes, 1, TEST_BYTES_MAX, file);
    (void)fclose(file);
    return bytes;
}

#define assert_str(got, want)                                                   \
    do {                                                                        \
        struct str got_ = (got);                                                \
        struct str want_ = (want);                                              \
        if (!str_eq(got_, want_))                                               \
            fail_msg("got:\n%.*s\nwant:\n%.*s", STR_ARG(got_), STR_ARG(want_)); \
    } while (0)

#endif
