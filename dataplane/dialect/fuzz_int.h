/* SPDX-License-Identifier: MIT
 * fuzz_int.h - one input, tried as request, answer, error body and stream of a dialect.
 * Floor: dataplane/dialect, tests only.
 * Owns: nothing.
 * Invariant: what one dialect writes, its reader takes. */
#ifndef BERTH_DATAPLANE_DIALECT_FUZZ_INT_H
#define BERTH_DATAPLANE_DIALECT_FUZZ_INT_H

#include <stdlib.h>

#include "lib/base/check.h"
#include "dataplane/chat/collect.h"
#include "dataplane/dialect/dialect_int.h"
#include "dataplane/dialect/frames.h"

#define FUZZ_BYTES_MAX (8u << 20)

static inline void
fuzz_is_json(const struct buf *out)
{
    struct json_doc doc;
    const struct json_limits limits = {.allow_duplicates = true, .depth_max = 400};
    json_init(&doc);
    ASSERT(out->failed || json_scan(&doc, buf_str(out), &limits, NULL) == 0);
    json_fini(&doc);
}

static inline void
fuzz_request(const struct dialect *from, const struct dialect *to, const struct json_doc *doc,
             struct arena *arena)
{
    struct chat_facts facts = {.model = STR_EMPTY};
    struct chat_request request;
    struct splice splice;
    struct str *segments = NULL;
    size_t count = 0;
    size_t bytes = 0;
    struct err err;
    struct buf out;
    struct buf dropped;
    buf_init(&out, FUZZ_BYTES_MAX);
    buf_init(&dropped, 4096);
    if (from->facts(doc, CHAT_ENDPOINT_CHAT, arena, &facts, &err) == 0) {
        for (struct chat_run *run = facts.runs; run != NULL; run = run->next)
            run->left_out = run->offered;
        splice_init(&splice, arena);
        if (from->forward_edits(doc, CHAT_ENDPOINT_CHAT, &facts, STR("up"), true, &splice) == 0 &&
            splice_segments(&splice, doc->text, &segments, &count, &bytes) == 0) {
            for (size_t i = 0; i < count; i++)
                buf_put_str(&out, segments[i]);
            fuzz_is_json(&out);
        }
    }
    if (from->request_in(doc, arena, &request, &err) == 0) {
        const struct dialect *const targets[] = {from, to};
        for (size_t i = 0; i < ARRAY_LEN(targets); i++) {
            const struct dialect_target target = {
                .model = STR("up"), .lenient = true, .dropped = &dropped};
            buf_consume(&out, out.len);
            if (targets[i]->request_out(&request, &target, arena, &out, &err) == 0)
                fuzz_is_json(&out);
        }
    }
    buf_fini(&out);
    buf_fini(&dropped);
}

static inline void
fuzz_answer(const struct dialect *from, const struct dialect *to, const struct json_doc *doc,
            struct arena *arena)
{
    struct chat_answer answer;
    struct stream_look look;
    struct err err;
    struct buf out;
    buf_init(&out, FUZZ_BYTES_MAX);
    from->answer_look(doc, &look);
    if (from->answer_in(doc, arena, &answer, &err) == 0) {
        if (from->answer_out != NULL)
            (void)from->answer_out(&answer, arena, &out);
        else
            buf_put_str(&out, STR("{}"));
        fuzz_is_json(&out);
        buf_consume(&out, out.len);
        (void)to->answer_out(&answer, arena, &out);
        fuzz_is_json(&out);
    }
    buf_fini(&out);
}

/* Read by `from`, look at every frame; written by `to` when it is not NULL. */
static inline int
fuzz_stream(const struct dialect *from, const struct dialect *to, struct str bytes, struct buf *out)
{
    struct frames frames;
    struct sse_event event;
    struct json_doc scratch;
    struct collect collect;
    struct stream_look look = {0};
    const struct stream_writer_options options = {.include_usage = true};
    void *reader = calloc(1, from->reader->size);
    void *writer = calloc(1, to != NULL ? to->writer->size : 1);
    int rc = 0;
    ASSERT(reader != NULL && writer != NULL);
    from->reader->init(reader);
    if (to != NULL)
        to->writer->init(writer, &options);
    collect_init(&collect, FUZZ_BYTES_MAX);
    json_init(&scratch);
    frames_init(&frames, from->framing, 0);
    frames_feed(&frames, bytes);
    while (rc == 0 && frames_next(&frames, &event) == 0) {
        const struct stream_frame frame = {event.name, event.data};
        struct chat_event *list = NULL;
        struct arena arena;
        struct err err;
        arena_init(&arena, FUZZ_BYTES_MAX);
        from->reader->look(&look, &frame, &scratch);
        rc = from->reader->read(reader, &frame, &scratch, &arena, &list, &err);
        for (; rc == 0 && list != NULL; list = list->next) {
            rc = collect_event(&collect, list);
            if (rc == 0 && to != NULL)
                rc = to->writer->write(writer, list, out);
        }
        arena_fini(&arena);
    }
    if (rc == 0 && from->reader->close != NULL) {
        struct chat_event *list = NULL;
        struct arena arena;
        arena_init(&arena, FUZZ_BYTES_MAX);
        rc = from->reader->close(reader, &arena, &list);
        for (; rc == 0 && list != NULL && to != NULL; list = list->next)
            rc = to->writer->write(writer, list, out);
        arena_fini(&arena);
    }
    struct chat_answer answer;
    ASSERT(collect_answer(&collect, &answer) != -ERR_INVALID);
    frames_fini(&frames);
    json_fini(&scratch);
    collect_fini(&collect);
    if (to != NULL)
        to->writer->fini(writer);
    from->reader->fini(reader);
    free(reader);
    free(writer);
    return rc;
}

static inline void
fuzz_pair(const struct dialect *from, const struct dialect *to, struct str input)
{
    struct json_doc doc;
    struct arena arena;
    struct chat_error error;
    struct err err;
    struct buf out;
    uint16_t status = 0;
    arena_init(&arena, FUZZ_BYTES_MAX);
    buf_init(&out, FUZZ_BYTES_MAX);
    json_init(&doc);
    if (json_scan(&doc, input, NULL, &err) == 0) {
        fuzz_request(from, to, &doc, &arena);
        fuzz_answer(from, to, &doc, &arena);
    }
    if (from->error_in(500, input, &arena, &error) == 0) {
        (void)to->error_out(&error, &out, &status);
        fuzz_is_json(&out);
    }
    buf_consume(&out, out.len);
    if (fuzz_stream(from, to, input, &out) == 0)
        ASSERT(fuzz_stream(to, NULL, buf_str(&out), NULL) == 0);
    json_fini(&doc);
    arena_fini(&arena);
    buf_fini(&out);
}

/* To a given dialect, and to one by the input's length. */
static inline void
fuzz_one(const struct dialect *from, const struct dialect *to, struct str input)
{
    const struct dialect *other = NULL;
    size_t count = 0;
    while (dialect_at(count) != NULL)
        count++;
    for (size_t i = input.len % count; other == NULL; i = (i + 1) % count)
        other = dialect_at(i)->writer != NULL ? dialect_at(i) : NULL;
    fuzz_pair(from, to, input);
    if (other != to)
        fuzz_pair(from, other, input);
}

#endif
