/* SPDX-License-Identifier: MIT
 * node.h - the process: worker threads, the sync thread, and what they share.
 * Floor: dataplane/node; see each member.
 * Owns: everything in it.
 * Invariant: workers get configuration, revocations and funds as tasks on their own loop; the sync
 * thread never touches a worker's state directly. */
#ifndef BERTH_DATAPLANE_NODE_NODE_H
#define BERTH_DATAPLANE_NODE_NODE_H

#include <pthread.h>

#include "api/handoff.h"
#include "api/link.h"
#include "dataplane/front/front.h"
#include "dataplane/node/options.h"

struct node_worker {
    struct worker worker;
    struct node *node;
    struct http_server *server;
    struct http_server *tls_server; /* NULL without --listen-tls */
    pthread_t thread;
    bool started;
    /* funds: at most one task in flight */
    struct loop_task funds_task;
    _Atomic bool funds_posted;
    bool drained;
    bool drained_tls;
};

/* An epoch's journals while they are uploaded; stream i of the current epoch is worker i's. */
struct upload {
    struct list node;
    struct journal *journal; /* current epoch: borrowed from the worker; older: owned */
    bool own;
    uint64_t posted; /* in the ledger */
    uint64_t sent;   /* last seq of the batch that is on its way; 0 = none */
    uint64_t sent_ms;
    uint64_t ping;       /* older: "flushed" was said, with this ping behind it; 0 = not yet */
    uint64_t mark;       /* what ended before the configuration at hand; see node_upload_mark */
    uint64_t round_mark; /* what had ended when this round began; see node_upload_round */
    uint64_t retry_ms;   /* its journal could not be read: not before then */
    uint32_t wait_ms;    /* how long that was put off; 0 = it can be read */
};

struct node {
    struct options options;
    struct loop *loop; /* the sync thread's = the main thread's */
    struct live live;
    struct funds funds;
    struct metrics *metrics;
    struct trust trust;
    struct node_worker *workers;
    uint32_t worker_count;
    uint64_t epoch;
    char boot[64];

    /* sync thread */
    struct link *link;
    struct config *config; /* the newest applied, for the state file and the admin surface */
    uint64_t config_rev;
    uint64_t bindings_rev;
    bool bindings_heard; /* since the start */
    uint64_t funds_rev;
    char *last_good; /* path of the state file */
    struct list uploads;
    uint64_t pings; /* sent behind `flushed`; numbers them, above LINK_PINGS_MAX */
    bool leaving;   /* no more traffic: what is posted last is waited for */
    bool left;      /* and our leases are released */
    uint64_t leave_ping;
    uint64_t rounds;  /* see node_upload_round */
    bool lease_waits; /* a budget's first lease is not asked for before uploads are marked */
    struct timer upload_timer;
    struct loop_task upload_task;
    _Atomic bool want_posted; /* a worker wants funds */
    struct loop_task want_task;
    struct gone_models *gone; /* gone.c */
    bool takes_gone;          /* the control plane knows `gone`; since `welcome` */
    uint32_t lease_ms;
    uint64_t funds_tick_ms; /* next node_funds_tick */
    struct handoff_server *handoff;
    struct http_server *admin;
    int admin_fd;
    int *listen_fds;
    uint32_t listen_count;
    int *tls_fds;
    uint32_t tls_count;
    struct tls_context *tls;
    bool listening;        /* the workers accept; see node_workers_listen */
    uint64_t listen_by_ms; /* they do from then on, whatever is missing */
    pthread_t fsync_thread;
    bool fsync_started;
    pthread_mutex_t fsync_lock; /* for its sleep while nothing is to be synced */
    pthread_cond_t fsync_wake;
    _Atomic bool fsync_asleep;
    _Atomic bool stopping;
    uint32_t workers_left; /* to drain */
    struct buf out;        /* scratch for records */
    struct buf shared;     /* scratch of upload.c */
    bool usage_texts;      /* the control plane knows them; since `welcome` */
};

/* ---- gone.c ---- */
/* node_gone_init - 0 or -ERR_NOMEM; node_gone_fini: the workers have stopped. node_model_gone - any
 * worker: told to the control plane by the sync thread; what no longer fits is told by the next
 * call of that model. */
int node_gone_init(struct node *node) MUST_USE;
void node_gone_fini(struct node *node);
void node_model_gone(struct worker *worker, struct str provider, struct str upstream);

/* ---- workers.c ---- */
int node_workers_start(struct node *node, struct err *err) MUST_USE;
/* node_workers_listen - accept, from now on: as soon as callers can be known, or it has taken too
 * long; until then they wait in the kernel's queue. Sync thread; the first call counts. */
void node_workers_listen(struct node *node);
/* node_workers_drain - stop accepting, finish what runs (at most deadline_ms), then stop the loops.
 */
void node_workers_drain(struct node *node, uint32_t deadline_ms);
void node_workers_join(struct node *node);
/* node_each_worker - run fn(worker, arg) on every worker's thread; returns when all have done it.
 * Sync thread only; workers answer within a turn. */
typedef void (*node_worker_fn)(struct node_worker *worker, void *arg);
void node_each_worker(struct node *node, node_worker_fn fn, void *arg);
/* node_adopt - give an accepted connection to the next worker. binding: reference taken over; NULL
 * = not attested: everything on it is 401. */
void node_adopt(struct node *node, int fd, struct live_binding *binding);
/* node_revoke - refuse and cut everywhere; returns when every worker has done it. */
void node_revoke(struct node *node, const uint8_t incarnation[INCARNATION_BYTES]);
/* node_suspend - the same, but a later row may bring it back. */
void node_suspend(struct node *node, const uint8_t incarnation[INCARNATION_BYTES]);
/* node_replace - connections of `old` become `new`'s on every worker; both are borrowed. */
void node_replace(struct node *node, struct live_binding *old, struct live_binding *new);
void node_want_funds(struct worker *worker, struct fund *fund);
void node_journal_written(struct worker *worker); /* wakes the fdatasync thread when it sleeps */

/* ---- sync.c, apply.c, upload.c ---- */
int node_sync_start(struct node *node, struct err *err) MUST_USE;
void node_sync_stop(struct node *node);
/* node_apply_* - one record each; see api/plane.md. */
void node_apply_config(struct node *node, const struct json_doc *doc, bool from_disk);
void node_apply_bindings(struct node *node, const struct json_doc *doc);
void node_apply_funds(struct node *node, const struct json_doc *doc);
/* ---- lease.c ---- */
void node_send_lease(struct node *node);   /* for the funds that want one */
void node_say_returned(struct node *node); /* of all funds, on a new connection */
void node_funds_tick(struct node *node);   /* once a second */
/* node_drop_budgets - calls of whoever has no cap any more are held of none: what is here of it
 * goes back before the ledger posts one of them. */
void node_drop_budgets(struct node *node);
int node_uploads_recover(struct node *node, struct err *err) MUST_USE;
void node_upload_kick(struct node *node); /* send what is there and not on its way */
void node_upload_posted(struct node *node, const struct json_doc *doc);
void node_upload_pong(struct node *node, const struct json_doc *doc);
/* node_upload_leave - the workers are drained: post what is left, then give all leases back. */
void node_upload_leave(struct node *node, uint32_t deadline_ms);
void node_upload_reset(struct node *node); /* a new connection: nothing is on its way */
/* node_upload_mark - every worker has a new configuration: what ended under the one before has a
 * number up to here. node_upload_marked - and all of that is in the ledger. */
void node_upload_mark(struct node *node);
/* node_upload_round - one round ends when all that had ended at its begin is in the ledger. What
 * ended before this call is there when the answer has grown by two. */
uint64_t node_upload_round(struct node *node);
bool node_upload_marked(const struct node *node);

/* ---- handoff.c ---- */
int node_handoff_start(struct node *node, struct err *err) MUST_USE;
/* node_handoff_listen - the agents' connections are taken from now on; see node_workers_listen. */
void node_handoff_listen(struct node *node);
void node_handoff_stop(struct node *node);

/* ---- admin.c ---- */
int node_admin_start(struct node *node, struct err *err) MUST_USE;
void node_admin_stop(struct node *node);

#endif
