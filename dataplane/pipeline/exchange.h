/* SPDX-License-Identifier: MIT
 * exchange.h - one request from head to settlement: the object that layers and attempts work on.
 * Floor: dataplane/pipeline; the worker's thread.
 * Owns: its arena, the hold, the journal ticket, the attempt. Freed by pipeline_end.
 * Invariant: it is settled exactly once, whoever ends it first: answer, refusal, client, upstream,
 *            timeout or revocation. */
#ifndef BERTH_DATAPLANE_PIPELINE_EXCHANGE_H
#define BERTH_DATAPLANE_PIPELINE_EXCHANGE_H

#include "dataplane/media/media.h"
#include "dataplane/meter/price.h"
#include "dataplane/pipeline/attempt.h"
#include "dataplane/pipeline/caller.h"
#include "dataplane/pipeline/endpoint.h"
#include "dataplane/pipeline/layer.h"
#include "dataplane/route/route.h"

#define REQUEST_ID_BYTES 26u /* "req_" and 22 of [0-9a-z] */
#define EXCHANGE_ARENA_BYTES ((size_t)8u * 1024u * 1024u)

struct exchange {
    struct worker *worker;
    struct http_stream *stream; /* NULL once the client is gone */
    const struct endpoint *endpoint;
    struct config *config; /* counted; NULL until admitted */
    struct list node;      /* worker->exchanges */
    struct list wait_node; /* worker->waiting */
    struct timer timer;
    char id[REQUEST_ID_BYTES + 1];
    uint64_t started_ns;

    /* head: what later steps need of it, in the arena */
    struct str credential;        /* the bearer as presented; empty = none */
    struct http_field *forwarded; /* fields that the dialect passes on */
    uint32_t forwarded_count;
    uint64_t content_length;
    enum coding_kind coding; /* of the body as sent */
    bool json_content;
    struct str form_type; /* content-type of a form, where the endpoint takes one */
    bool deputy;          /* smells of a confused deputy: proxy fields, a browser's Origin */
    bool misdirected;     /* so does a Host that is no name of a container's own listener */
    bool many_credentials;

    /* identify */
    struct live_binding *binding; /* borrowed from the connection's caller */
    struct fund *fund;
    const struct config_key *key; /* NULL: a container, or not known yet; in the config below */
    struct fund *budget;          /* what its owner lets it spend, whoever pays; NULL = no cap */
    struct str record_json;       /* who pays and who calls, for the journal */
    struct str tag;               /* what a container said instead of its own name; in the arena */
    const struct scope *scope;    /* what it may use, in the config; NULL = everything */

    /* route */
    struct chat_facts facts;   /* model and stream from the head on, where the URL says them */
    struct media_facts *media; /* of a call that is no conversation, in the arena; else NULL */
    struct upload *upload;     /* of a form, in the arena; else NULL */
    bool array;                /* the stream goes out as one JSON array (Gemini without alt=sse) */
    bool wants_cost;           /* usage.cost in the answer */
    struct route_targets targets;
    uint32_t target_at;
    bool by_responses; /* this target is tried a second time, through its Responses endpoint */

    /* hold, record */
    int64_t held;
    int64_t made_s;         /* wall clock, when the price was asked for; 0 = not yet */
    int64_t waits;          /* nano that it waits for */
    struct fund *waits_for; /* the one of the two that lacks them */
    uint64_t wait_until_ms;
    uint64_t wait_end_ms; /* not even then, however often there is an answer */
    uint32_t funds_seen;
    bool holding;
    struct journal_ticket ticket;

    /* pipeline */
    uint8_t layer_at;
    uint8_t layer_entered; /* layers whose request was called */
    bool body_ready;
    bool settled;
    bool parked;
    bool left; /* the caller is gone; the provider is read to its end, for its report */
    enum http_error refusal;
    struct str refusal_text;
    uint32_t retry_after_s;

    /* outcome */
    enum usage_outcome outcome;
    struct usage usage;
    struct charge charge;
    uint16_t status;         /* sent to the client */
    uint64_t first_token_ns; /* monotonic; 0 = none */
    uint64_t ended_ns;       /* monotonic; set before the layers settle */
    uint8_t attempts;

    bool attempted; /* `attempt` was in use */
    struct attempt attempt;
    struct arena arena;
};

/* exchange_fail - set the refusal and return LAYER_FAIL: `return exchange_fail(x, HTTP_ERROR_...,
 * text)`. text: borrowed until the exchange ends, or empty for the row's own sentence. */
enum layer_verdict exchange_fail(struct exchange *exchange, enum http_error refusal,
                                 struct str text);
/* exchange_cap - sets `budget` by the worker's configuration of now; one that it has stays.
 * 0, -ERR_NOMEM. identify.c */
int exchange_cap(struct exchange *exchange) MUST_USE;
/* exchange_capped - a new configuration came while it runs: from here on a first cap of its caller
 * counts what it holds, too. hold.c */
void exchange_capped(struct exchange *exchange);
/* exchange_read_form - facts of its form, as far as it is read: again when more of it is. 0, and as
 * media_facts. route.c */
int exchange_read_form(struct exchange *exchange, struct err *err) MUST_USE;
/* exchange_price_call - what the price of the exchange at a model hangs on; *runs is where a part
 * of it is put. After route. */
struct price_call exchange_price_call(const struct exchange *exchange,
                                      const struct config_model *model, struct price_runs *runs);
/* exchange_model - the target that is being tried. After route. */
const struct config_model *exchange_model(const struct exchange *exchange);
/* exchange_dialect - what is spoken with it: the provider's dialect, but for models that take tools
 * at OpenAI's other endpoint only (WIRE-FORMATS trap 3). After route. */
const struct dialect *exchange_dialect(const struct exchange *exchange);
/* exchange_dialect_at - the same of any of its targets. */
const struct dialect *exchange_dialect_at(const struct exchange *exchange,
                                          const struct config_model *model);

/* exchange_reader - who looks at the events of its streamed answer. After route. */
const struct stream_reader_class *exchange_reader(const struct exchange *exchange);

/* exchange_ttft_ms, exchange_stall_ms - how long a stream may take to its first token, and be
 * silent after it: the route's word, else the settings'. */
static inline uint32_t
exchange_ttft_ms(const struct exchange *x)
{
    const struct config_route *route = x->targets.route;
    return route != NULL && route->ttft_timeout_ms != 0 ? route->ttft_timeout_ms
                                                        : x->config->settings.ttft_timeout_ms;
}
static inline uint32_t
exchange_stall_ms(const struct exchange *x)
{
    const struct config_route *route = x->targets.route;
    return route != NULL && route->stall_timeout_ms != 0 ? route->stall_timeout_ms
                                                         : x->config->settings.stall_timeout_ms;
}

/* ---- pipeline.c ---- */
/* pipeline_start - a request head arrived; runs the HEAD layers. May answer and end at once: then
 * NULL. */
struct exchange *pipeline_start(struct worker *worker, struct http_stream *stream,
                                const struct http_head *head, const struct endpoint *endpoint);
/* pipeline_body - the body is complete (http_stream_body), or enough of a form is here: runs the
 * BODY layers and the first attempt. */
void pipeline_body(struct exchange *exchange);
/* pipeline_too_large - the words of a 413: what the limit is; in the exchange's arena. */
struct str pipeline_too_large(struct exchange *x, uint64_t max);
/* pipeline_request_id - the next id of this worker, with its NUL. */
void pipeline_request_id(struct worker *worker, char out[REQUEST_ID_BYTES + 1]);
/* pipeline_body_refused - the server takes no more of the body: answer 413, 400 or 503. */
void pipeline_body_refused(struct exchange *exchange, unsigned status);
void pipeline_resume(struct exchange *exchange);
/* pipeline_closed - the stream is gone: cancel what runs, settle, free. */
void pipeline_closed(struct exchange *exchange, enum http_close_reason reason);
/* pipeline_abandon - end an exchange that is read on though its caller is gone: charge what was
 * delivered, free. Harmless for others. pipeline_leave_end - it has been settled: free it when this
 * turn's callbacks are through. */
void pipeline_abandon(struct exchange *exchange);
void pipeline_leave_end(struct exchange *exchange);
/* pipeline_settle - run `settle` of the layers, once. outcome and usage are set. */
void pipeline_settle(struct exchange *exchange, enum usage_outcome outcome);
/* pipeline_refuse - answer with the refusal in the endpoint's dialect (whole, or as the error event
 * of a stream that has begun), after settling. */
void pipeline_refuse(struct exchange *exchange);
/* pipeline_revoke - the binding died: cut this request. */
void pipeline_revoke(struct exchange *exchange);

#endif
