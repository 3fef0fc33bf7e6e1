/* SPDX-License-Identifier: MIT
 * worker.h - what a request finds around it on its loop: configuration, journal, pools, counters.
 * Floor: dataplane/pipeline; one a worker thread; the sync thread talks to it through tasks only.
 * Owns: everything in it but `live`, `funds` and `metrics`, which all workers share.
 * Invariant: `config` changes between turns only; a request keeps the one it began with. */
#ifndef BERTH_DATAPLANE_PIPELINE_WORKER_H
#define BERTH_DATAPLANE_PIPELINE_WORKER_H

#include "dataplane/meter/journal.h"
#include "dataplane/pipeline/spool.h"
#include "dataplane/route/route.h"
#include "dataplane/upstream/origins.h"
#include "dataplane/view/live.h"
#include "lib/base/metrics.h"
#include "lib/http/server.h"

enum dataplane_metric {
#define METRIC_ROW(name, ...) METRIC_##name,
#include "dataplane/pipeline/metrics.def"
#undef METRIC_ROW
    DATAPLANE_METRIC_COUNT
};

/* Room for those members of a usage record that it shares with no other. */
#define RECORD_OWN_BYTES 1536u
/* Text of the wall clock, made once a tick of the loop. */
/* The wall clock, ms since 1970, and as digits. */
struct record_clock {
    uint64_t tick_ms;
    int64_t wall_ms;
    size_t bytes; /* 0 = none yet */
    char text[20];
};
/* How requests end, as members of a usage record; key: how, 0 = none. */
#define RECORD_RESULT_BITS 4u
struct record_result {
    uint32_t key;
    uint32_t bytes;
    char text[152];
};

/* A name that a request said, and what the current configuration makes of it. */
#define ROUTE_MEMO_BITS 4u
#define ROUTE_MEMO_BYTES 80u
struct route_memo {
    uint64_t config_generation; /* 0 = none */
    enum config_kind kind;
    uint32_t bytes;
    char name[ROUTE_MEMO_BYTES];
    struct route_targets targets;
};

struct worker {
    uint32_t index;
    struct loop *loop;
    struct config *config;      /* NULL before the first snapshot */
    uint64_t config_generation; /* 1, 2, ...: which one that is */
    struct journal *journal;
    struct origins *origins;
    struct live *live;
    struct funds *funds;
    struct metrics *metrics;
    struct loop_hook commit; /* journal_commit in the COMMIT phase */
    struct loop_hook tell;   /* journal_written in the FREE phase: behind the bytes that leave */
    struct json_doc doc;     /* scratch: valid within one callback */
    struct json_doc frame_doc;
    char record_own[RECORD_OWN_BYTES]; /* scratch */
    struct route_memo route_memos[1u << ROUTE_MEMO_BITS];
    struct record_clock record_clock;
    struct record_result record_results[1u << RECORD_RESULT_BITS];
    struct buf target;     /* scratch */
    struct buf spare;      /* a reply's block for the next one; ptr NULL = none */
    struct list exchanges; /* all open requests of this worker */
    struct list waiting;   /* those that wait for a lease */
    struct list goodbyes;  /* vendors who are told that nobody waits: poll.c */
    uint32_t open_count;
    uint32_t open_max;       /* admission: more is 503 */
    uint64_t form_bytes_max; /* of a form's body; set by the node, as is the room */
    struct spool_room spool; /* for forms that cannot go on yet */
    uint64_t request_salt;   /* request ids: salt and counter, scrambled */
    uint64_t request_count;
    /* Asks the sync thread for more money; set by the node. Any time, cheap. */
    void (*want_funds)(struct worker *worker, struct fund *fund);
    /* A provider has no such model; set by the node, or NULL. Texts are borrowed. */
    void (*model_gone)(struct worker *worker, struct str provider, struct str upstream);
    /* Something waits for journal_sync; set by the node. Cheap. */
    void (*journal_written)(struct worker *worker);
    void *node;
    struct metric_series *series_open;
    /* of the current config's models, by index: what nearly every request counts */
    struct worker_series {
        bool tools_by_responses; /* learned: see exchange_dialect */
        struct metric_series *completed;
        struct metric_series *charge;
        struct metric_series *duration;
        struct metric_series *ttft;
    } * series;
};

/* worker_metrics - the definitions, for metrics_new. */
extern const struct metric_def worker_metric_defs[DATAPLANE_METRIC_COUNT];

/* worker_init - loop is borrowed. worker_fini: no request may be open. */
int worker_init(struct worker *worker, uint32_t index, struct loop *loop, struct live *live,
                struct funds *funds, struct metrics *metrics, struct trust *trust,
                struct err *err) MUST_USE;
void worker_fini(struct worker *worker);
/* worker_set_config - swap; takes over one reference. -ERR_...: the old one stays, the new is
 * released. */
int worker_set_config(struct worker *worker, struct config *config, struct err *err) MUST_USE;
/* worker_funds_changed - look again at the requests that wait for a lease. */
void worker_funds_changed(struct worker *worker);
/* worker_revoke - cut every open request and connection of this binding. Returns how many. */
size_t worker_revoke(struct worker *worker, struct live_binding *binding);
/* worker_abandon - end the exchanges that are read on though their callers are gone. */
void worker_abandon(struct worker *worker);
/* worker_clock - read once a millisecond of the loop. Until the next call. */
const struct record_clock *worker_clock(struct worker *worker);
/* worker_touch_journal - something was appended: commit at the end of this turn. */
void worker_touch_journal(struct worker *worker);

#endif
