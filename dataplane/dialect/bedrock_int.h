/* SPDX-License-Identifier: MIT
 * bedrock_int.h - the files of the Bedrock Converse dialect, to each other. It is spoken to
 *                 providers only: no client calls Berth in it.
 * Floor: dataplane/dialect.
 * Owns: nothing.
 * Invariant: see dialect.h. */
#ifndef BERTH_DATAPLANE_DIALECT_BEDROCK_INT_H
#define BERTH_DATAPLANE_DIALECT_BEDROCK_INT_H

#include "dataplane/dialect/feed_int.h"
#include "dataplane/dialect/seal_int.h"

int bedrock_request_out(const struct chat_request *request, const struct dialect_target *target,
                        struct arena *arena, struct buf *out, struct err *err);
int bedrock_answer_in(const struct json_doc *doc, struct arena *arena,
                      struct chat_answer *ret_answer, struct err *err);
void bedrock_answer_look(const struct json_doc *doc, struct stream_look *ret_look);

extern const struct stream_reader_class bedrock_reader_class;

/* ---- shared ---- */
enum chat_finish bedrock_finish(const struct json_doc *doc, uint32_t node);
bool bedrock_usage(const struct json_doc *doc, uint32_t object, struct usage *usage);

#endif
