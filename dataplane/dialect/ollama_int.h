/* SPDX-License-Identifier: MIT
 * ollama_int.h - the files of Ollama's own dialect, to each other.
 * Floor: dataplane/dialect.
 * Owns: nothing.
 * Invariant: see dialect.h. */
#ifndef BERTH_DATAPLANE_DIALECT_OLLAMA_INT_H
#define BERTH_DATAPLANE_DIALECT_OLLAMA_INT_H

#include "dataplane/dialect/feed_int.h"
#include "dataplane/dialect/seal_int.h"

int ollama_request_in(const struct json_doc *doc, struct arena *arena,
                      struct chat_request *ret_request, struct err *err);
int ollama_request_out(const struct chat_request *request, const struct dialect_target *target,
                       struct arena *arena, struct buf *out, struct err *err);
int ollama_answer_in(const struct json_doc *doc, struct arena *arena,
                     struct chat_answer *ret_answer, struct err *err);
int ollama_answer_out(const struct chat_answer *answer, struct arena *arena, struct buf *out);
void ollama_answer_look(const struct json_doc *doc, struct stream_look *ret_look);
int ollama_put_error(const struct chat_error *error, struct buf *out);

extern const struct stream_reader_class ollama_reader_class;
extern const struct stream_writer_class ollama_writer_class;

/* ---- shared ---- */
/* ollama_message_in - thinking, content, pictures and calls of a message, in this order. answer: a
 * call without an id gets one made of what it says. */
int ollama_message_in(const struct intake *in, uint32_t message, bool answer,
                      struct chat_part **ret_parts);
void ollama_look_at(const struct json_doc *doc, struct stream_look *look);
enum chat_finish ollama_finish(const struct json_doc *doc, bool called);
bool ollama_usage(const struct json_doc *doc, struct usage *usage);
/* ollama_put_call - one element of tool_calls. */
void ollama_put_call(struct json_writer *writer, const struct chat_part *call);
/* ollama_put_end - the members of the last line, behind `message`. */
void ollama_put_end(struct json_writer *writer, enum chat_finish finish, const struct usage *usage);
/* ollama_put_time - member "created_at"; seconds since 1970. */
void ollama_put_time(struct json_writer *writer, uint64_t seconds);

#endif
