/* SPDX-License-Identifier: MIT
 * upkeep.h - what the ledger has to do from time to time: add usage up, let old records go, put
 *            caps on the time at hand when a clock was ahead.
 * Floor: controlplane/ledger; the engine thread.
 * Owns: its timers.
 * Invariant: one commit of bounded size a turn; with nothing to do there is none. Proved in
 *            upkeep_test.c. */
#ifndef BERTH_CONTROLPLANE_LEDGER_UPKEEP_H
#define BERTH_CONTROLPLANE_LEDGER_UPKEEP_H

#include "controlplane/ledger/ledger.h"

#define UPKEEP_RETENTION_MS (90ll * 24 * 3600 * 1000)
#define UPKEEP_RETENTION_MS_MIN (35ll * 24 * 3600 * 1000) /* an invoice looks a month back */

struct upkeep;
struct upkeep_conf {
    struct loop *loop; /* borrowed, like the ledger */
    struct ledger *ledger;
    int64_t retention_ms; /* of single records; 0 = UPKEEP_RETENTION_MS; <0: for ever */
    /* something could not be done and will be tried again; may be NULL */
    void (*failed)(const char *what, const struct err *err, void *user);
    /* the wall clock was set by so much; may be NULL */
    void (*stepped)(int64_t step_ms, void *user);
    void *user;
};
int upkeep_new(const struct upkeep_conf *conf, struct upkeep **ret_upkeep,
               struct err *err) MUST_USE;
void upkeep_free(struct upkeep **upkeep);

#endif
