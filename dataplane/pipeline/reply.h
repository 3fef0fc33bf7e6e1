/* SPDX-License-Identifier: MIT
 * reply.h - the way of a provider's reply back to the caller.
 * Floor: dataplane/pipeline; the worker's thread.
 * Owns: nothing; works on the exchange's attempt.
 * Invariant: settled before the last byte may leave; front_test.c, front_stream_test.c. */
#ifndef BERTH_DATAPLANE_PIPELINE_REPLY_H
#define BERTH_DATAPLANE_PIPELINE_REPLY_H

#include "dataplane/pipeline/exchange.h"

/* reply_whole - the collected reply of a 200: account, translate, answer.
 * reply_error - a reply that is an error: pass on, or try the next target.
 * reply_error_event - the same inside a 200: an answer, or an event of a stream, which ends there
 * when it has begun.
 * reply_stream_bytes, _done - a streamed reply as it comes, and its end. */
void reply_whole(struct exchange *exchange);
/* reply_tokens - answer a question for the count of tokens ourselves, by estimate. */
void reply_tokens(struct exchange *exchange);
void reply_error(struct exchange *exchange);
void reply_error_event(struct exchange *exchange, struct str data);
void reply_stream_bytes(struct exchange *exchange, struct str bytes);
void reply_stream_done(struct exchange *exchange);
/* reply_answer - a whole answer, with the cost in it where the caller wants it. Settled before. */
void reply_answer(struct exchange *exchange, unsigned status, struct str body,
                  struct str content_type);
/* ---- reply_media.c: what is no conversation.
 * reply_media_head - the reply, whose head is here, is sound that is passed on as it comes.
 * reply_media_bytes, _done - it comes, and ends. reply_media_whole - any other reply of a 200.
 * reply_scan - into worker->doc, *ret_doc NULL where the kind answers in plain text; false: it is
 * neither, or an error, and the attempt has failed. reply_settle_whole - all of it came at once.
 * reply_media_delivered - account for what came, reported or not. */
#define REPLY_MEDIA_HEAD_BYTES ((size_t)4096u)
bool reply_media_head(struct exchange *exchange, struct str content_type);
void reply_media_bytes(struct exchange *exchange, struct str bytes);
void reply_media_done(struct exchange *exchange);
void reply_media_whole(struct exchange *exchange);
bool reply_scan(struct exchange *exchange, struct str body, struct json_doc **ret_doc);
void reply_settle_whole(struct exchange *exchange);
void reply_media_delivered(struct exchange *exchange);
/* reply_stream_cut - the upstream failed or timed out in mid-stream, or we cut: error event, end.
 */
void reply_stream_cut(struct exchange *exchange, enum usage_outcome outcome,
                      enum http_error refusal, struct str text);
/* reply_head_fields - fill fields[] (room for REPLY_FIELDS_MAX) with what every answer carries. */
#define REPLY_FIELDS_MAX 9u
uint32_t reply_head_fields(struct exchange *exchange, struct http_field *fields,
                           struct str content_type, bool with_cost);
/* reply_estimated - four bytes a token, marked as an estimate. reply_estimate - a whole answer
 * without a report is that.
 * reply_delivered - usage of a stream that ends here, however it ends: the provider's report if it
 * is complete, else what it had reported of the prompt and what was forwarded of the answer. */
struct usage reply_estimated(const struct exchange *exchange);
void reply_estimate(struct exchange *exchange);
void reply_delivered(struct exchange *exchange);

#endif
