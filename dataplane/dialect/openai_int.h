/* SPDX-License-Identifier: MIT
 * openai_int.h - the files of the OpenAI dialect, to each other.
 * Floor: dataplane/dialect.
 * Owns: nothing.
 * Invariant: see dialect.h. */
#ifndef BERTH_DATAPLANE_DIALECT_OPENAI_INT_H
#define BERTH_DATAPLANE_DIALECT_OPENAI_INT_H

#include "dataplane/dialect/dialect_int.h"

int openai_request_in(const struct json_doc *doc, struct arena *arena,
                      struct chat_request *ret_request, struct err *err);
int openai_request_out(const struct chat_request *request, const struct dialect_target *target,
                       struct arena *arena, struct buf *out, struct err *err);
int openai_answer_in(const struct json_doc *doc, struct arena *arena,
                     struct chat_answer *ret_answer, struct err *err);
int openai_answer_out(const struct chat_answer *answer, struct arena *arena, struct buf *out);
void openai_answer_look(const struct json_doc *doc, struct stream_look *ret_look);
int openai_error_event(const struct chat_error *error, struct buf *out);

extern const struct stream_reader_class openai_reader_class;
extern const struct stream_writer_class openai_writer_class;

/* ---- shared by whole answers and streams ---- */
enum chat_finish openai_finish(const struct json_doc *doc, uint32_t node);
/* openai_usage - usage of a chunk or an answer: top level, x_groq, or in a choice. */
bool openai_usage(const struct json_doc *doc, uint32_t root, struct usage *usage);
/* openai_put_usage - member "usage". */
void openai_put_usage(struct json_writer *writer, const struct usage *usage);
/* openai_put_call - one element of tool_calls; openai_put_delta - the first fragment of one in a
 * stream, whose arguments may be empty. */
void openai_put_call(struct json_writer *writer, const struct chat_part *call);
void openai_put_delta(struct json_writer *writer, const struct chat_part *call, uint32_t index);
/* openai_put_thinking - one element of thinking_blocks. index: UINT32_MAX outside of streams. */
void openai_put_thinking(struct json_writer *writer, const struct chat_part *part, uint32_t index);
/* openai_parts_in - a message's (or delta's) content (string, list of parts), reasoning, refusal
 * and, when `calls`, tool calls as parts, in this order: reasoning, content, refusal, tool
 * calls. */
int openai_parts_in(const struct intake *in, uint32_t message, bool calls,
                    struct chat_part **ret_parts);
void openai_look(struct stream_look *look, const struct stream_frame *frame,
                 struct json_doc *scratch);

/* Addresses below the base URL; NULL: no such endpoint. */
extern const char *const openai_paths[CHAT_ENDPOINT_COUNT];

/* openai_put_function_call - a call of before 2024: `function_call` of a message (name), or a
 * further piece of its arguments in a stream (name empty). openai_finish_name - and its finish. */
void openai_put_function_call(struct json_writer *writer, struct str name, struct str arguments);
const char *openai_finish_name(enum chat_finish finish, bool old_calls);

#endif
