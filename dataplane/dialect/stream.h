/* SPDX-License-Identifier: MIT
 * stream.h - one streamed answer: looked at in passing, read into events, written from events.
 * Floor: dataplane/dialect; one thread a stream.
 * Owns: nothing; states are the caller's memory of the class's size, aligned to 16.
 * Invariant: `look` allocates nothing in the steady state; however the bytes of a stream are cut,
 * the same events come out. Proved by conform_test.c. */
#ifndef BERTH_DATAPLANE_DIALECT_STREAM_H
#define BERTH_DATAPLANE_DIALECT_STREAM_H

#include "lib/text/json.h"
#include "lib/text/sse.h"
#include "dataplane/chat/chat.h"

/* How a streamed answer is cut into frames; see frames.h. */
enum stream_framing { STREAM_SSE, STREAM_NDJSON, STREAM_AWS };

/* One frame: name is empty where the framing has none. A frame of comments only is not fed. */
struct stream_frame {
    struct str name;
    struct str data;
};

enum stream_flag {
    STREAM_TOKEN = 1 << 0,      /* content, reasoning or tool-call delta that is not empty */
    STREAM_USAGE = 1 << 1,      /* look->usage has changed */
    STREAM_USAGE_ONLY = 1 << 2, /* the frame is nothing but a usage report: hide it from a caller
                                   who did not ask for one */
    STREAM_FINISH = 1 << 3,     /* a choice finished; look->finish */
    STREAM_END = 1 << 4,        /* the clean end ([DONE], message_stop) */
    STREAM_ERROR = 1 << 5,      /* an error event */
    STREAM_TOOLS = 1 << 6,      /* (with TOKEN) part of a tool call */
    STREAM_MALFORMED = 1 << 7 /* not the dialect's: bad JSON. Pass on or cut: the caller's choice */
};

/* What a stream means to a gateway that only passes it on. Zero it, give it to every frame of one
 * stream. flags: of the last frame; seen: of all. delta_bytes: bytes of answer text in the last
 * frame as written (escapes count), total_bytes of all: the base of an estimate. */
struct stream_look {
    uint32_t flags;
    uint32_t seen;
    uint32_t delta_bytes;
    uint64_t total_bytes;
    enum chat_finish finish;
    struct usage usage; /* evidence NONE until reported */
};

/* look: one scan of the frame, no allocation but the growth of `scratch` (one a thread is enough).
 * read: *ret_events = list in the arena, maybe empty; texts point into the frame or the arena.
 * After an ERROR or END event further frames give nothing. 0; -ERR_PARSE (malformed frame),
 *       -ERR_TOO_LARGE (more open choices or calls than a stream may have), -ERR_NOMEM.
 */
struct stream_reader_class {
    size_t size;
    void (*look)(struct stream_look *look, const struct stream_frame *frame,
                 struct json_doc *scratch);
    void (*init)(void *reader);
    void (*fini)(void *reader);
    int (*read)(void *reader, const struct stream_frame *frame, struct json_doc *scratch,
                struct arena *arena, struct chat_event **ret_events, struct err *err);
    /* the connection has ended: NULL, or where that is the end: what was left, then END, or
     * nothing when the stream was cut. For look: STREAM_FINISH seen means complete. */
    int (*close)(void *reader, struct arena *arena, struct chat_event **ret_events);
};

/* id, model: shown to the caller; empty = what START brings. Both are borrowed for the writer's
 * life. created: seconds, 0 = what START brings. prompt_estimate: tokens, shown where the dialect
 * wants a number before the upstream has told one. */
struct stream_writer_options {
    struct str id;
    struct str model;
    uint64_t created;
    uint64_t prompt_estimate;
    bool include_usage;
    bool old_calls; /* see chat_facts */
};

/* write: append the bytes of one event. The END event closes the stream cleanly; without it the
 * stream stays visibly cut. 0; -ERR_TOO_LARGE, -ERR_NOMEM. error: the dialect's error event in
 * mid-stream; nothing may follow. keepalive: bytes that keep an idle client waiting and mean
 * nothing. */
struct stream_writer_class {
    size_t size;
    void (*init)(void *writer, const struct stream_writer_options *options);
    void (*fini)(void *writer);
    int (*write)(void *writer, const struct chat_event *event, struct buf *out);
    int (*error)(const struct chat_error *error, struct buf *out);
    int (*keepalive)(struct buf *out);
};

#endif
