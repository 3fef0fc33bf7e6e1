/* SPDX-License-Identifier: MIT
 * cohere_int.h - the files of the Cohere v2 dialect, to each other.
 * Floor: dataplane/dialect.
 * Owns: nothing.
 * Invariant: see dialect.h. */
#ifndef BERTH_DATAPLANE_DIALECT_COHERE_INT_H
#define BERTH_DATAPLANE_DIALECT_COHERE_INT_H

#include "dataplane/dialect/feed_int.h"
#include "dataplane/dialect/seal_int.h"

int cohere_request_in(const struct json_doc *doc, struct arena *arena,
                      struct chat_request *ret_request, struct err *err);
int cohere_request_out(const struct chat_request *request, const struct dialect_target *target,
                       struct arena *arena, struct buf *out, struct err *err);
int cohere_answer_in(const struct json_doc *doc, struct arena *arena,
                     struct chat_answer *ret_answer, struct err *err);
int cohere_answer_out(const struct chat_answer *answer, struct arena *arena, struct buf *out);
void cohere_answer_look(const struct json_doc *doc, struct stream_look *ret_look);

extern const struct stream_reader_class cohere_reader_class;
extern const struct stream_writer_class cohere_writer_class;

/* ---- shared ---- */
/* cohere_message_in - plan, content and calls of a message, in this order. */
int cohere_message_in(const struct intake *in, uint32_t message, bool answer,
                      struct chat_part **ret_parts);
enum chat_finish cohere_finish(const struct json_doc *doc, uint32_t node);
struct str cohere_finish_name(enum chat_finish finish, struct str stop_text);
/* cohere_usage - from the `usage` of an answer or of message-end. */
bool cohere_usage(const struct json_doc *doc, uint32_t object, struct usage *usage);
void cohere_put_usage(struct json_writer *writer, const struct usage *usage);
void cohere_put_call(struct json_writer *writer, const struct chat_part *call);

/* ---- citations ---- */
/* cohere_cite - one citation of a block whose text begins at `base`: one of ours for each source.
 * cohere_cite_message - all of a message. */
int cohere_cite(const struct intake *in, uint32_t node, uint64_t base, struct chat_citation **list);
int cohere_cite_message(const struct intake *in, uint32_t message, struct chat_citation **list);
/* cohere_put_citation - of the answer's text `text`, in content block `content_index`, which begins
 * at `base` of it. */
void cohere_put_citation(struct json_writer *writer, const struct chat_citation *citation,
                         struct str text, uint64_t base, uint32_t content_index);

#endif
