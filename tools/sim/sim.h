/* SPDX-License-Identifier: MIT
 * sim.h - the simulator: what its threads share, and what one thread has.
 * Floor: tools/sim. struct sim is written before the threads start; script and bill lock
 *   themselves.
 * Owns: see main.c.
 * Invariant: an exchange lives from `request` to `closed` and is billed exactly once, in
 *   `closed`. */
#ifndef BERTH_TOOLS_SIM_SIM_H
#define BERTH_TOOLS_SIM_SIM_H

#include <stdatomic.h>

#include "lib/http/server.h"
#include "tools/sim/answer.h"
#include "tools/sim/bill.h"
#include "tools/sim/canned.h"
#include "tools/sim/media.h"
#include "tools/sim/script.h"

#define SIM_BODY_BYTES_MAX (64u << 20)

struct sim {
    struct bill *bill;
    struct script *script;
    const char *key;        /* or NULL: any credential will do */
    const char *replay_dir; /* or NULL */
    atomic_uint_fast64_t next_id;
};

struct sim_thread {
    struct sim *sim;
    struct loop *loop;
    struct http_server *server;
    struct canned *canned; /* instead of server, with --bench */
    struct json_doc doc;   /* scratch of request_parse */
};

enum exchange_phase {
    EXCHANGE_READING,
    EXCHANGE_HEAD,
    EXCHANGE_BEGIN,
    EXCHANGE_CHUNKS,
    EXCHANGE_SPLIT, /* pieces of `body` */
    EXCHANGE_STALLED,
    EXCHANGE_ENDED
};

struct exchange {
    struct sim_thread *thread;
    struct http_stream *stream;
    struct timer timer;
    struct arena arena;
    struct buf body; /* an answer that is sent as a whole, or in pieces */
    size_t body_at;
    const struct sim_dialect *dialect;
    struct directives header; /* from x-sim */
    struct directives directives;
    struct sim_answer answer;
    struct bill_entry entry;
    const char *content_type;
    struct str form_type; /* content-type of the request, in the arena */
    struct str authority; /* as the caller names this server; in the arena */
    enum exchange_phase phase;
    enum sim_endpoint endpoint;
    uint64_t chunk;        /* content chunks written */
    uint64_t body_written; /* body bytes handed to the server */
    unsigned status;
    bool control; /* not a provider's endpoint: no bill */
    bool streamed;
    bool ended_well; /* everything that belongs to the answer was written */
    bool bad_header; /* x-sim does not parse */
    bool denied;
    bool models;
    bool later; /* about a ticket */
};

extern const struct http_handler sim_handler;

/* ---- exchange.c: the answer goes out, with its pacing and faults ----------------------------- */
/* exchange_start - directives and answer are known: begin after delay_ms. */
void exchange_start(struct exchange *exchange);
/* exchange_answer_now - exchange->body with this status, no pacing. */
void exchange_answer_now(struct exchange *exchange, unsigned status, const char *content_type);
/* exchange_error - in the dialect's shape. */
void exchange_error(struct exchange *exchange, unsigned status, struct str message);
void exchange_step(struct exchange *exchange);

/* ---- listing.c: GET /v1/models, /v1beta/models, /api/tags ------------------------------------ */
bool listing_is(struct str method, struct str path);
void listing_answer(struct exchange *exchange, struct str path, struct str query);

/* ---- later.c: pictures that are made later, as by Black Forest Labs, and by Replicate for a model
 * whose name says "slow" ---------------------------------------------------------------------- */
/* later_ticket - such a one: the answer becomes a ticket, which costs nothing. later_is - a call
 * about a ticket; its picture is billed once, by the call that gets it. */
bool later_ticket(struct exchange *exchange, const struct sim_media *media);
bool later_is(struct str method, struct str path);
void later_answer(struct exchange *exchange, struct str path, struct str query);

/* ---- control.c: /sim/... --------------------------------------------------------------------- */
void control_handle(struct exchange *exchange);

/* ---- replay.c -------------------------------------------------------------------------------- */
/* replay_load - NAME.response.json or .sse of the folder, appended to out. *ret_type: content type.
 * -ERR_INVALID (name), -ERR_NOT_FOUND, -ERR_TOO_LARGE. */
int replay_load(const char *dir, struct str name, struct buf *out, const char **ret_type,
                struct err *err) MUST_USE;

#endif
