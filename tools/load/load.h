/* SPDX-License-Identifier: MIT
 * load.h - one run: its calls, what they counted, and the three ways to make them.
 * Floor: tools/load; one loop, one thread.
 * Owns: the slots and, through them, the calls in flight.
 * Invariant: every call that was begun ends as exactly one of answered, bad, failed or
 *   unfinished. */
#ifndef BERTH_TOOLS_LOAD_LOAD_H
#define BERTH_TOOLS_LOAD_LOAD_H

#include "lib/http/client.h"
#include "tools/load/histogram.h"
#include "tools/load/options.h"

struct load;

/* One call at a time. */
struct load_slot {
    struct load *load;
    struct http_call *call;
    struct list node; /* load: free */
    uint64_t due_ns;  /* when it should have left */
    uint16_t status;
    bool alive;   /* streams: it has had an event */
    bool newline; /* streams: the last byte was a line end */
};

struct load_counts {
    uint64_t begun;
    uint64_t answered; /* whole, 2xx; in the counted time */
    uint64_t bad;      /* whole, other statuses; at any time */
    uint64_t failed;
    uint64_t unfinished;
    uint64_t late; /* rate: due, but every slot was taken */
    uint64_t bytes;
    uint64_t events; /* streams */
    uint64_t alive;  /* streams open that have had an event */
};

struct load {
    const struct options *options;
    struct loop *loop;
    struct http_client *client;
    struct http_origin *origin;
    struct load_slot *slots;
    size_t slot_count;
    struct list free;
    size_t in_flight;
    struct load_counts counts;
    struct histogram latency;
    char failure[256]; /* the first */
    int failure_code;
    unsigned bad_status; /* the first */
    uint64_t started_ns;
    uint64_t count_from_ns; /* after the warm-up */
    uint64_t stop_ns;       /* UINT64_MAX: until a signal */
    bool stopping;
    bool over;
    /* rate */
    struct loop_io pace;
    uint64_t next_due_ns;
    /* streams */
    struct timer tick;
    size_t opened;
    uint64_t reported_s; /* age at the last progress report */
    struct timer deadline;
};

/* load_run - until its time is over or load_stop. -ERR_...: it could not begin. */
int load_run(struct load *load, const struct options *options, struct loop *loop,
             struct err *err) MUST_USE;
/* load_stop - begin nothing more; calls in flight get 5 s (streams are cut). */
void load_stop(struct load *load);
void load_fini(struct load *load);
/* load_begin - a call in a free slot, due at due_ns; false when there is none. */
bool load_begin(struct load *load, uint64_t due_ns);

/* ---- pace.c: when calls begin ---- */
int pace_start(struct load *load, struct err *err) MUST_USE;
void pace_stop(struct load *load);
/* pace_again - a slot has become free. */
void pace_again(struct load *load);

/* ---- report.c ---- */
void report_progress(const struct load *load); /* streams, once a second */
void report_result(const struct load *load);

#endif
