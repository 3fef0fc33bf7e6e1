/* SPDX-License-Identifier: MIT
 * store.h - rows of bytes under '/'-separated keys, with one global revision and watches.
 * Floor: controlplane/store; the engine thread only, every call is synchronous.
 * Owns: the backend (memory, or one SQLite connection) and the kept history of events.
 * Invariant: a commit happens whole or not at all; the revision grows by one a commit; a watch sees
 *            every event of its prefix once, in order; quiet ops make none. Proved for every row of
 *            stores.def by store_test.c. */
#ifndef BERTH_CONTROLPLANE_STORE_STORE_H
#define BERTH_CONTROLPLANE_STORE_STORE_H

#include <stdbool.h>

#include "lib/base/arena.h"
#include "lib/base/err.h"

#define STORE_KEY_BYTES_MAX 512u              /* printable ASCII without space */
#define STORE_VALUE_BYTES_MAX (1024u * 1024u) /* of one value */
#define STORE_COMMIT_BYTES_MAX (1536u * 1024u)
#define STORE_COMMIT_OPS_MAX 128u
#define STORE_HISTORY_EVENTS 10000u

struct loop;
struct store;
struct store_watch;
struct seal;

struct store_row {
    struct str key;
    struct str value;
    uint64_t create_rev; /* revision of the commit that made it */
    uint64_t mod_rev;    /* and of the last one that wrote it */
};
struct store_cond {
    struct str key;
    uint64_t mod_rev; /* 0 = must not exist */
};
struct store_op {
    bool delete_; /* deleting what is not there is fine and makes no event */
    bool quiet;   /* nobody watches this row: no event, and no copy of the value in the history */
    struct str key;
    struct str value;
};
struct store_event {
    struct str key;
    struct str value; /* empty when deleted */
    uint64_t revision;
    bool deleted;
};
/* events[count] belong to the call; revision: the watch has now seen everything up to here. May
 * commit, watch and unwatch. */
typedef void (*store_watch_fn)(struct store_watch *watch, const struct store_event *events,
                               size_t count, uint64_t revision, void *user);

/* store_open - url: "memory:" or "sqlite:/absolute/path" (made with mode 0600 when missing).
 * loop  borrowed, delivers the watches; may be NULL when there will be none
 * Returns 0; -ERR_INVALID, -ERR_IN_USE (another process or store has it open), -ERR_NO_SPACE,
 * -ERR_PERMISSION, -ERR_UNSUPPORTED (a schema newer than ours), -ERR_STORE, -ERR_NOMEM. */
int store_open(const char *url, struct loop *loop, struct store **ret_store,
               struct err *err) MUST_USE;
/* store_close - frees its watches too. Not from inside a watch callback. */
void store_close(struct store **store);
/* store_set_seal - what those above close secrets with before they store them (controlplane/seal);
 * borrowed, outlives the store. store_seal - it, or NULL: secrets are stored as they are (tests).
 */
void store_set_seal(struct store *store, const struct seal *seal);
const struct seal *store_seal(const struct store *store);

/* store_get - ret_row's key and value live in the arena. 0, -ERR_NOT_FOUND, -ERR_STORE,
 * -ERR_NOMEM. */
int store_get(struct store *store, struct str key, struct arena *arena,
              struct store_row *ret_row) MUST_USE;
/* store_list - rows[count] of a prefix (may be empty) in byte order of their keys, those behind
 * after_key (empty: from the first), at most limit (0: all that the arena holds).
 * ret_revision (may be NULL): what was read; watch from here. 0, -ERR_STORE, -ERR_NOMEM. */
int store_list(struct store *store, struct str prefix, struct str after_key, size_t limit,
               struct arena *arena, struct store_row **ret_rows, size_t *ret_count,
               uint64_t *ret_revision) MUST_USE;
/* store_commit - all ops when all conds hold, else nothing. Keys of ops are distinct;
 * 1 <= op_count <= STORE_COMMIT_OPS_MAX. ret_revision may be NULL.
 * Returns 0; -ERR_CONFLICT (a cond does not hold), -ERR_INVALID, -ERR_TOO_LARGE, -ERR_NO_SPACE,
 * -ERR_STORE, -ERR_NOMEM. */
int store_commit(struct store *store, const struct store_cond *conds, size_t cond_count,
                 const struct store_op *ops, size_t op_count, uint64_t *ret_revision) MUST_USE;
uint64_t store_revision(const struct store *store);

/* store_watch - the kept events of a prefix behind from_revision, then live ones; each batch is
 * whole commits, delivered from the loop after the commit (never inside it).
 * Returns 0; -ERR_COMPACTED (list again), -ERR_INVALID (from_revision is in the future),
 * -ERR_NOMEM.
 * store_unwatch - no call after it; fine inside the watch's own callback. */
int store_watch(struct store *store, struct str prefix, uint64_t from_revision, store_watch_fn fn,
                void *user, struct store_watch **ret_watch) MUST_USE;
void store_unwatch(struct store_watch **watch);

/* store_fail_commit - for tests: the nth commit from now (1 = the next) returns -ERR_STORE; done:
 * after it was made (a lost answer), else instead of it. 0 = never. */
void store_fail_commit(struct store *store, unsigned nth, bool done);
/* store_fail_call - for tests: the nth get, list or commit from now (1 = the next) returns code, a
 * negative one of its own, and does nothing. 0 = never. */
void store_fail_call(struct store *store, unsigned nth, int code);
/* store_hook_call - for tests: fn runs before the nth get, list or commit from now, as if somebody
 * else had come first. */
typedef void store_hook_fn(void *user);
void store_hook_call(struct store *store, unsigned nth, store_hook_fn *fn, void *user);
/* store_failed_call - it has happened since. */
bool store_failed_call(const struct store *store);

#endif
