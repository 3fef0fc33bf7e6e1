/* SPDX-License-Identifier: MIT
 * feed_int.h - what the stream readers of this room share: a growing list of canonical events.
 * Floor: dataplane/dialect; one thread a stream.
 * Owns: nothing: events live in the arena of the call.
 * Invariant: a text that is empty makes no event; a whole call is start, delta, end. */
#ifndef BERTH_DATAPLANE_DIALECT_FEED_INT_H
#define BERTH_DATAPLANE_DIALECT_FEED_INT_H

#include "dataplane/dialect/dialect_int.h"

#define FEED_CALLS_MAX 256u /* tool calls that one stream may make */

/* One call of read(): what is read, and where its events go. */
struct feed {
    struct intake in;
    struct chat_event *list;
    struct chat_event **end;
    int rc; /* of feed_open */
    void *reader;
};
/* What is read of a frame of a type. */
struct feed_row {
    const char *type;
    int (*read)(struct feed *feed);
};

/* feed_open - begin a read: the frame scanned, an object. false: nothing to read (the stream has
 * ended, chat completions' last word, or feed->rc). feed_close - end it: *ret_events on success. A
 * field of the wrong kind is a malformed frame. */
bool feed_open(struct feed *feed, void *reader, const struct intake *in, struct json_doc *scratch,
               const struct stream_frame *frame, bool ended);
int feed_close(const struct feed *feed, int rc, struct chat_event **ret_events);
/* feed_row_read - by the row of `type`; a type without one means nothing. feed_typed - the same by
 * the member `type` of the frame. */
int feed_row_read(struct feed *feed, const struct feed_row *rows, size_t count, struct str type);
int feed_typed(struct feed *feed, const struct feed_row *rows, size_t count);
/* feed_look - a reader's look: `at` for a frame that is an object. */
void feed_look(struct stream_look *look, const struct stream_frame *frame, struct json_doc *scratch,
               void (*at)(const struct json_doc *doc, struct stream_look *look));

/* feed_event - append one; texts are empty. NULL on no memory. */
struct chat_event *feed_event(struct feed *feed, enum chat_event_kind kind, uint32_t choice);
/* feed_text - an event with a text; none when it is empty. 0 or -ERR_NOMEM. */
int feed_text(struct feed *feed, enum chat_event_kind kind, uint32_t choice, struct str text);
/* feed_member - the same with the text in a member of an object. */
int feed_member(struct feed *feed, enum chat_event_kind kind, uint32_t object, const char *field);
/* feed_delta, feed_tool_end - of call `tool`. */
int feed_delta(struct feed *feed, uint32_t choice, uint32_t tool, struct str text);
int feed_tool_end(struct feed *feed, uint32_t choice, uint32_t tool);
int feed_tool_start(struct feed *feed, uint32_t choice, uint32_t tool, struct str id,
                    struct str name);
/* feed_call - a call that came whole. */
int feed_call(struct feed *feed, uint32_t choice, uint32_t tool, struct str id, struct str name,
              struct str arguments);
int feed_finish(struct feed *feed, uint32_t choice, enum chat_finish finish);
int feed_usage(struct feed *feed, const struct usage *usage);
int feed_start(struct feed *feed, struct str id, struct str model);
/* feed_end - the clean end; feed_error - an error of the stream, from the value of `error`. */
int feed_end(struct feed *feed);
int feed_error(struct feed *feed, uint32_t node);
/* feed_bytes - bytes of a string node's content as written, 0 for anything else. */
uint32_t feed_bytes(const struct json_doc *doc, uint32_t node);

#endif
