/* SPDX-License-Identifier: MIT
 * usage_prune.c - old records go, their sums stay.
 * Floor: controlplane/ledger; the engine thread.
 * Owns: nothing.
 * Invariant: a row goes only when all of its records are older than the cutoff and in the sums; of
 *            a stream the oldest go first. Proved in usage_rollup_test.c. */
#include "controlplane/ledger/ledger_int.h"
#include "controlplane/ledger/usage_rollup.h"
#include "controlplane/ledger/usage_sum.h"
#include "lib/base/check.h"

/* One call is one commit of bounded size and time. */
#define STREAMS_AT_ONCE 64u
#define ROWS_AT_ONCE 8u
#define SCRATCH_BYTES_MAX ((ROWS_AT_ONCE + 1u) * (2u << 20))

struct prune {
    struct ledger *ledger;
    uint64_t cutoff_ms;
    struct arena arena; /* keys of ops */
    struct store_op ops[STORE_COMMIT_OPS_MAX];
    size_t op_count;
};

static int
record_old(const struct usage_form *record, void *user)
{
    const uint64_t *cutoff_ms = user;
    return form_number(record, FORM_at_ms) < *cutoff_ms ? 0 : 1;
}

/* The next rows of a stream behind *after. 1: go on; 0: what is behind them is too young, or not
 * there. */
static int
rows_prune(struct prune *prune, struct str prefix, uint64_t rolled,
           char after[STORE_KEY_BYTES_MAX + 1])
{
    CLEANUP(arena_fini) struct arena scratch;
    struct store_row *rows;
    size_t count;
    arena_init(&scratch, SCRATCH_BYTES_MAX);
    int r = store_list(prune->ledger->store, prefix, str_from(after), ROWS_AT_ONCE, &scratch, &rows,
                       &count, NULL);
    if (r < 0)
        return r;
    for (size_t i = 0; i < count; i++) {
        uint64_t last;
        struct store_op op = {.delete_ = true, .quiet = true, .value = STR_EMPTY};
        if (num_padded(str_skip(rows[i].key, prefix.len), &last) < 0)
            return -ERR_STORE;
        if (last > rolled)
            return 0;
        r = usage_walk(prune->ledger, &rows[i], record_old, &prune->cutoff_ms);
        if (r != 0)
            return MIN(r, 0);
        if (arena_dup(&prune->arena, rows[i].key, &op.key) < 0)
            return -ERR_NOMEM;
        prune->ops[prune->op_count++] = op;
        ASSERT(str_copy(after, STORE_KEY_BYTES_MAX + 1, op.key));
    }
    return count == ROWS_AT_ONCE;
}

/* 1: all of the stream that can go is among the ops; 0: there is no room for more of them. */
static int
stream_prune(struct prune *prune, struct str stream, uint64_t rolled)
{
    char after[STORE_KEY_BYTES_MAX + 1] = "";
    struct str prefix = arena_printf(&prune->arena, KEY_USAGE "%.*s/", STR_ARG(stream));
    int r = prefix.ptr ? 1 : -ERR_NOMEM;
    while (r == 1) {
        if (prune->op_count + ROWS_AT_ONCE > STORE_COMMIT_OPS_MAX)
            return 0;
        r = rows_prune(prune, prefix, rolled, after);
    }
    return r < 0 ? r : 1;
}

/* Streams behind *after, which moves behind those that are done. 1: that was all. */
static int
streams_prune(struct prune *prune, char after[STORE_KEY_BYTES_MAX + 1])
{
    CLEANUP(arena_fini) struct arena page;
    struct store_row *rows;
    size_t count;
    arena_init(&page, LEDGER_ARENA_BYTES_MAX);
    int r = store_list(prune->ledger->store, STR(KEY_ROLLED), str_from(after), STREAMS_AT_ONCE,
                       &page, &rows, &count, NULL);
    for (size_t i = 0; i < count && r == 0; i++) {
        const struct draft_row row = {.key = rows[i].key, .value = rows[i].value};
        struct draft_field rolled = {"seq", 0};
        r = fields_read(prune->ledger, &row, &rolled, 1, NULL);
        if (r == 0)
            r = stream_prune(prune, str_skip(row.key, sizeof KEY_ROLLED - 1),
                             (uint64_t)rolled.value);
        if (r == 1) {
            ASSERT(str_copy(after, STORE_KEY_BYTES_MAX + 1, row.key));
            r = 0;
        } else if (r == 0) {
            return 0;
        }
    }
    return r < 0 ? r : count < STREAMS_AT_ONCE;
}

int
usage_rollup_prune(struct ledger *ledger, int64_t cutoff_ms, bool *ret_more, struct err *err)
{
    struct prune prune = {.ledger = ledger, .cutoff_ms = (uint64_t)MAX(cutoff_ms, 0)};
    char after[STORE_KEY_BYTES_MAX + 1];
    ASSERT(str_copy(after, sizeof after, str_from(ledger->rollup.prune_after)));
    arena_init(&prune.arena, LEDGER_ARENA_BYTES_MAX);
    int r = streams_prune(&prune, after);
    bool all = r == 1;
    if (r >= 0 && prune.op_count > 0)
        r = store_commit(ledger->store, NULL, 0, prune.ops, prune.op_count, NULL);
    arena_fini(&prune.arena);
    if (r < 0)
        return ledger_fail(err, r);
    ASSERT(str_copy(ledger->rollup.prune_after, sizeof ledger->rollup.prune_after,
                    all ? STR_EMPTY : str_from(after)));
    *ret_more = !all;
    return 0;
}
