/* SPDX-License-Identifier: MIT
 * attempt.h - one try at one target: the upstream call and the way its reply goes back.
 * Floor: dataplane/pipeline; the worker's thread.
 * Owns: the call; reply buffers; reader and writer state of a translated stream.
 * Invariant: nothing of a reply reaches the client before its first token (stream) or its end
 * (whole), so that another target can still be tried; after that, never. A cut stream ends in an
 * error event, never in a clean end. */
#ifndef BERTH_DATAPLANE_PIPELINE_ATTEMPT_H
#define BERTH_DATAPLANE_PIPELINE_ATTEMPT_H

#include "api/money.h"
#include "dataplane/dialect/dialect.h"
#include "dataplane/dialect/frames.h"
#include "dataplane/media/guest.h"
#include "dataplane/view/mask.h"
#include "lib/base/digest.h"
#include "lib/http/client.h"

struct coding;
struct exchange;

/* BYTES: sound, passed on as it comes. */
enum reply_mode { REPLY_NONE, REPLY_WHOLE, REPLY_ERROR, REPLY_STREAM, REPLY_BYTES };

/* What a translated stream carries beyond a passed one. */
struct translation {
    void *reader; /* of the target's dialect, in the exchange's arena */
    void *writer; /* of the caller's dialect */
};

/* What the vendor makes later; origin NULL: nothing of the kind. poll.c. */
struct poll {
    struct http_origin *origin; /* counted */
    struct str target;
    struct str cancel; /* an address; empty = nothing to cancel */
    uint32_t wait_ms;
    uint32_t strikes;
    bool waiting; /* the exchange's timer is for it */
};

struct attempt {
    struct http_call *call;
    const struct dialect *dialect; /* what is spoken with the target; set when it is called */
    enum reply_mode mode;
    uint16_t status; /* of the upstream */
    bool translated;
    const struct carrier *carrier; /* translates what is no conversation; else NULL */
    struct poll poll;
    const struct guest *guest; /* before it: the caller's words into OpenAI's; else NULL */
    struct carry_wish wish;
    bool committed;        /* the client has our head: no other target any more */
    bool ended;            /* the stream's clean end was seen */
    struct coding *coding; /* of the reply's body, undone here; NULL = none */
    bool json;             /* content-type of the reply */
    struct str type;       /* the same as it stands, where it is passed on */
    uint32_t retry_after_s;
    bool hopeless;          /* the same again will not help, however late */
    uint64_t last_bytes_ms; /* stall watch */
    struct buf reply;       /* WHOLE, ERROR: collected; STREAM: held until the first token */
    struct buf body;        /* translated request body */
    struct str dropped;     /* fields that the translation left out, comma separated */
    struct frames frames;
    bool frames_open;
    bool array_open; /* the first element of exchange->array is out */
    struct stream_look look;
    struct mask_run mask_run; /* pieces of our key in the stream */
    struct translation translation;
};

/* attempt_start - try exchange->targets.model[target_at]. May end the exchange (refusal). */
void attempt_start(struct exchange *exchange);
/* attempt_stop - cancel the call and free what the attempt holds; harmless when nothing runs. */
void attempt_stop(struct exchange *exchange);
/* attempt_failed - before anything was committed: the next target, or the refusal. text: for the
 * caller. */
void attempt_failed(struct exchange *exchange, enum http_error refusal, struct str text);
/* attempt_fields - of every call to the target, into fields[ATTEMPT_FIELDS_MAX]: how many.
 * attempt_ask - a further call for the same answer, without a body. 0, or as http_call_start.
 * attempt_reset - forget a reply that was none, before one. */
#define ATTEMPT_FIELDS_MAX 51u
#define RETRY_AFTER_S_MAX 300u /* what a provider can make a caller wait */
size_t attempt_fields(struct exchange *exchange, struct http_field *fields);
/* attempt_is_signed - the credential is a pair that signs each call. attempt_sign - this one, by
 * the SHA-256 of its body, with three more fields. 0, -ERR_NOMEM, -ERR_INVALID. */
bool attempt_is_signed(const struct exchange *exchange);
int attempt_sign(struct exchange *exchange, struct str target, const uint8_t digest[SHA256_BYTES],
                 struct http_field *fields, size_t *count) MUST_USE;
int attempt_ask(struct exchange *exchange, struct http_origin *origin, struct str target) MUST_USE;
void attempt_reset(struct exchange *exchange);
/* attempt_arm - the exchange's timer, after so many ms; 0: never. attempt_timer - it fired: first
 * token, stall or whole deadline. */
void attempt_arm(struct exchange *exchange, uint32_t after_ms);
void attempt_timer(struct exchange *exchange);
/* attempt_writable - the client takes bytes again. */
void attempt_writable(struct exchange *exchange);

#endif
