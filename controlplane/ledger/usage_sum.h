/* SPDX-License-Identifier: MIT
 * usage_sum.h - the sums of an hour: one for each (wallet, subject, model, provider), in memory and
 *               as pages of the store.
 * Floor: controlplane/ledger, private; the engine thread.
 * Owns: a table owns its map; sums and texts live in the arena that it was given.
 * Invariant: a page that was written reads as the same sums. Proved in usage_rollup_test.c. */
#ifndef BERTH_CONTROLPLANE_LEDGER_USAGE_SUM_H
#define BERTH_CONTROLPLANE_LEDGER_USAGE_SUM_H

#include "controlplane/ledger/usage_walk.h"
#include "lib/base/map.h"

#define KEY_ROLLUP "ledger/rollup/" /* HOUR/PAGE, both of fixed width */
#define KEY_ROLLED "ledger/rolled/" /* NODE/EPOCH/STREAM: the last record that is in the sums */
#define HOUR_S 3600
#define HOUR_MAX 9999999999ll

struct sum_name {
    int64_t hour; /* since 1970, or whatever a table is about */
    struct str wallet;
    struct str subject;
    struct str model;
    struct str provider;
};
struct sum {
    struct sum_name name;
    uint64_t requests;
    uint64_t count[USAGE_CLASS_COUNT];
    int64_t charge;
    int64_t cost;
};
struct sum_table {
    struct arena *arena;
    struct map map;
    struct sum *last; /* what was asked for last, likely to be asked for again */
    size_t bytes;     /* no page of all of them is larger */
};
void sum_table_init(struct sum_table *table, struct arena *arena);
void sum_table_fini(struct sum_table *table);
/* sum_find - find or make it; texts of name are copied. 0; -ERR_NOMEM. */
int sum_find(struct sum_table *table, const struct sum_name *name, struct sum **ret_sum) MUST_USE;
/* sum_add - counts saturate. 0; -ERR_RANGE: charge or cost would leave int64. */
int sum_add(struct sum *sum, const struct sum *more) MUST_USE;
/* sum_of_record - texts that are too long for a page become "(long)". */
void sum_of_record(const struct usage_form *record, struct sum *ret_sum);

/* sum_page_write - the sums of one hour. Returns how many; out may fail. */
size_t sum_page_write(const struct sum_table *table, int64_t hour, struct buf *out);
/* sum_page_read - fn for each sum of the row (a key under KEY_ROLLUP); texts point into it. 0;
 * -ERR_STORE (damaged), or what fn said. */
typedef int (*sum_fn)(const struct sum *sum, void *user);
int sum_page_read(const struct store_row *row, sum_fn fn, void *user) MUST_USE;

#endif
