/* SPDX-License-Identifier: MIT
 * discover_int.h - one scan of one provider, and its summary.
 * Floor: controlplane/reconcile, private to the folder.
 * Owns: see struct scan.
 * Invariant: see discover.h. */
#ifndef BERTH_CONTROLPLANE_RECONCILE_DISCOVER_INT_H
#define BERTH_CONTROLPLANE_RECONCILE_DISCOVER_INT_H

#include "controlplane/catalog/seen.h"
#include "controlplane/reconcile/discover.h"
#include "controlplane/reconcile/lister.h"

struct discover {
    struct discover_conf conf;
    struct lister *lister;
    struct timer tick;
    struct list scans;
    bool started;        /* the first tick is over */
    uint64_t scans_done; /* since this process began */
    uint64_t scans_failed;
    uint64_t news[SEEN_NEWS];
    struct strike *strikes; /* strike_count of them */
    size_t strike_count;
    uint64_t retired; /* since this process began */
};

/* listing: everything that the fetches of this scan have named; texts in the arena. */
struct scan {
    struct list node;
    struct discover *discover;
    char provider[64];
    enum discover_trigger trigger;
    struct lister_job *job; /* under way, or NULL: the timer runs */
    struct timer timer;
    unsigned confirms;
    struct arena arena;
    struct listing listing;
};

/* discover_header - how a dialect shows a key: the field up to it. */
const char *discover_header(struct str dialect);
/* discover_scans - is its list read by schedule? */
bool discover_scans(const struct object *provider, struct arena *arena);
/* strikes_fini - probes under way end unheard. */
void strikes_fini(struct discover *discover);

/* ---- discover_note.c: what a scan found, stored and said ------------------------------------- */
/* discover_retire - the model is gone: the provider's row and its changes, in one commit. 0;
 * -ERR_EXISTS: it is gone already. */
int discover_retire(struct discover *discover, struct str provider, struct str model,
                    struct err *err) MUST_USE;
/* scan_load - what its provider has listed before. An unreadable row counts as none. */
void scan_load(const struct scan *scan, struct seen *seen);
/* scan_note - the listing holds: apply, store, set the condition, log. */
int scan_note(struct scan *scan, struct err *err) MUST_USE;
/* scan_note_failure - it ended without a list. */
void scan_note_failure(struct scan *scan, const struct err *why);
/* discover_last - member "last" of the provider's row as text in the arena, or empty; *ret_at_ms:
 * when that was, 0 = never. */
struct str discover_last(struct store *store, struct str provider, struct arena *arena,
                         int64_t *ret_at_ms);

#endif
