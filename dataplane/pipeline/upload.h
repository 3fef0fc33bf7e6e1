/* SPDX-License-Identifier: MIT
 * upload.h - the body of a form on its way to the provider: it goes on as it comes, once its model
 *            is known and it is paid for; until then it is kept.
 * Floor: dataplane/pipeline; the worker's thread.
 * Owns: what is kept of the body.
 * Invariant: no provider has a whole form before all of it was read, checked and held for; what
 *            leaves is the caller's bytes with the model's name in them; what a request costs of
 *            memory hangs on no file's size. front_upload_test.c. */
#ifndef BERTH_DATAPLANE_PIPELINE_UPLOAD_H
#define BERTH_DATAPLANE_PIPELINE_UPLOAD_H

#include "dataplane/pipeline/exchange.h"

/* upload_begin - the endpoint takes a form, whose head is here: bytes of its body are for
 * upload_bytes, its end for upload_complete. 0, -ERR_NOMEM, -ERR_INVALID. */
int upload_begin(struct exchange *exchange) MUST_USE;
void upload_bytes(struct exchange *exchange, struct str bytes);
void upload_complete(struct exchange *exchange);
/* upload_end - free it; NULL is fine. */
void upload_end(struct exchange *exchange);
/* upload_form - as far as it is read. upload_kept_bytes - of it, in memory. */
const struct form *upload_form(const struct exchange *exchange);
size_t upload_kept_bytes(const struct exchange *exchange);

/* ---- for attempt.c ----
 * upload_call - what the call of the target that is being tried is told of its body. 0, -ERR_NOMEM.
 * upload_started - it runs: send what is here. */
int upload_call(struct exchange *exchange, struct http_call_conf *conf) MUST_USE;
void upload_started(struct exchange *exchange);
/* upload_put_off - the target cannot be tried before the form is whole and paid for, which it is
 * not: attempt_start is called again then. upload_draft - the body that its carrier makes of the
 * form. As carried_build. upload_digest - SHA-256 of that body. 0, -ERR_IO, -ERR_NOMEM. */
bool upload_put_off(struct exchange *exchange);
int upload_draft(struct exchange *exchange, struct err *err) MUST_USE;
int upload_digest(struct exchange *exchange, uint8_t ret_digest[SHA256_BYTES]) MUST_USE;
/* upload_writable - the provider takes bytes again. upload_resume - as pipeline_resume; false: what
 * waits is not the upload. */
void upload_writable(struct exchange *exchange);
bool upload_resume(struct exchange *exchange);
/* upload_again - all that left is still here, so that another target can be tried. */
bool upload_again(const struct exchange *exchange);
/* upload_refused - the provider did not look at the call: true, it is tried once more at the same
 * target, if all that left is still here. */
bool upload_refused(struct exchange *exchange);
/* upload_timer - the exchange's timer fired; false: the whole body is sent, look at the reply. */
bool upload_timer(struct exchange *exchange);
/* upload_sent_ns - when all of it was given away, or `started_ns` of who has none. */
uint64_t upload_sent_ns(const struct exchange *exchange);

#endif
