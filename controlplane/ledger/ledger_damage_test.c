/* SPDX-License-Identifier: MIT
 * ledger_damage_test.c - any row of the ledger is damaged: no operation crashes or hangs, and each
 *            that fails says why.
 * Floor: controlplane/ledger tests.
 * Owns: nothing.
 * Invariant: see ledger.h. */
#include "controlplane/ledger/budget.h"
#include "controlplane/ledger/usage_rollup.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static struct store *store;
static struct ledger *ledger;
static struct err err;
static uint64_t serial; /* of payments and records, so that each is new */

static const struct ledger_stream stream = {{"n1", 2}, 1, {"0", 1}};

static int
do_deposit(struct arena *arena)
{
    struct ledger_receipt receipt;
    struct str key = arena_printf(arena, "pay %llu", (unsigned long long)++serial);
    return ledger_deposit(ledger, STR("a"), LEDGER_GENERAL, (struct money){5}, key, &receipt, &err);
}
static int
do_replay(struct arena *arena)
{
    struct ledger_receipt receipt;
    (void)arena;
    return ledger_deposit(ledger, STR("a"), LEDGER_AI, (struct money){100000}, STR("first"),
                          &receipt, &err);
}
static int
do_transfer(struct arena *arena)
{
    struct ledger_receipt receipt;
    struct str key = arena_printf(arena, "move %llu", (unsigned long long)++serial);
    return ledger_transfer(ledger, STR("a"), (struct money){1}, key, LEDGER_ANY_FEE, &receipt,
                           &err);
}
static int
do_adjust(struct arena *arena)
{
    struct ledger_receipt receipt;
    struct str key = arena_printf(arena, "adjust %llu", (unsigned long long)++serial);
    return ledger_adjust(ledger, STR("a"), LEDGER_AI, (struct money){1}, key, STR("why"), &receipt,
                         &err);
}
static int
do_balances(struct arena *arena)
{
    struct ledger_balances balances;
    (void)arena;
    return ledger_balances(ledger, STR("a"), &balances, &err);
}
static int
do_lease(struct arena *arena)
{
    struct ledger_lease lease;
    (void)arena;
    int r = lease_get(ledger, stream.node, 1, STR("a"), &lease, &err);
    return r < 0 ? r
                 : lease_want(ledger, stream.node, 1, STR("a"), lease.granted, (struct money){5},
                              &lease, &err);
}
static int
do_return(struct arena *arena)
{
    struct ledger_lease lease;
    (void)arena;
    int r = lease_get(ledger, stream.node, 1, STR("a"), &lease, &err);
    lease.returned.nano++;
    return r < 0 ? r : lease_return(ledger, stream.node, 1, STR("a"), lease.returned, &err);
}
static int
do_list(struct arena *arena)
{
    struct ledger_lease_row *rows;
    size_t count;
    return lease_list(ledger, STR(""), 0, arena, &rows, &count, &err);
}
static int
do_orphan(struct arena *arena)
{
    (void)arena;
    return lease_orphan(ledger, STR("n2"), 1, STR("a"), &err);
}
static int
do_close(struct arena *arena)
{
    (void)arena;
    return lease_close(ledger, STR("n3"), 1, &err);
}
static int
do_usage(struct arena *arena)
{
    struct ledger_applied applied;
    uint64_t mark;
    int r = usage_mark(ledger, &stream, &mark, &err);
    struct str record = arena_printf(
        arena,
        "{\"seq\":\"%llu\",\"wallet\":\"a\",\"provider\":\"p\",\"charge\":\"3\",\"cost\":\"2\"}",
        (unsigned long long)mark + 1);
    return r < 0 ? r : usage_apply(ledger, &stream, mark + 1, &record, 1, &applied, &err);
}
static int
do_cap(struct arena *arena)
{
    const struct budget_caps caps = {.capped = {false, true, false},
                                     .amount = {[PERIOD_DAY] = {1000 + (int64_t)++serial}}};
    (void)arena;
    return budget_set(ledger, STR("key/ci"), &caps, &err);
}
static int
do_borrow(struct arena *arena)
{
    struct ledger_lease lease = {.granted = {0}};
    (void)arena;
    int r = lease_get(ledger, stream.node, 1, STR("key/ci"), &lease, &err);
    return r < 0 && r != -ERR_NOT_FOUND
               ? r
               : lease_want(ledger, stream.node, 1, STR("key/ci"), lease.granted, (struct money){5},
                            &lease, &err);
}
static int
do_capped_call(struct arena *arena)
{
    struct ledger_applied applied;
    uint64_t mark;
    int r = usage_mark(ledger, &stream, &mark, &err);
    struct str record = arena_printf(arena,
                                     "{\"seq\":\"%llu\",\"wallet\":\"a\",\"subject\":\"key/ci\","
                                     "\"provider\":\"p\",\"charge\":\"3\",\"cost\":\"2\"}",
                                     (unsigned long long)mark + 1);
    return r < 0 ? r : usage_apply(ledger, &stream, mark + 1, &record, 1, &applied, &err);
}
static int
do_state(struct arena *arena)
{
    struct budget_state state;
    (void)arena;
    int r = budget_get(ledger, STR("key/ci"), &state, &err);
    return r == -ERR_NOT_FOUND ? 0 : r;
}
static int
do_lose(struct arena *arena)
{
    (void)arena;
    return lease_orphan(ledger, stream.node, 1, STR("key/ci"), &err);
}
static int
do_roll(struct arena *arena)
{
    bool more;
    (void)arena;
    return usage_rollup_step(ledger, &more, &err);
}
static int
do_query(struct arena *arena)
{
    const struct usage_query query = {.by = USAGE_WALLET};
    struct usage_row *rows;
    size_t count;
    bool behind;
    return usage_query(ledger, &query, arena, &rows, &count, &behind, &err);
}
static int
do_prune(struct arena *arena)
{
    bool more;
    (void)arena;
    return usage_rollup_prune(ledger, 1, &more, &err);
}
static int
do_records(struct arena *arena)
{
    struct store_row *rows;
    size_t count;
    return usage_list(ledger, STR(""), 100, arena, &rows, &count, &err);
}
static int
do_transactions(struct arena *arena)
{
    struct ledger_transaction *rows;
    size_t count;
    uint64_t next;
    return ledger_transactions(ledger, STR("a"), 0, 100, arena, &rows, &count, &next, &err);
}
static int
do_movements(struct arena *arena)
{
    struct ledger_movement *rows;
    size_t count;
    return ledger_movements(ledger, STR("a"), 0, arena, &rows, &count, &err);
}
static int
do_head(struct arena *arena)
{
    struct store_cond cond;
    uint64_t id;
    (void)arena;
    return ledger_head(ledger, &cond, &id, &err);
}
static int
do_audit(struct arena *arena)
{
    struct ledger_audit audit;
    (void)arena;
    return ledger_audit(ledger, &audit, &err);
}

static int (*const operations[])(struct arena *arena) = {
    do_audit, do_deposit, do_replay, do_transfer, do_adjust,       do_balances,
    do_lease, do_return,  do_list,   do_orphan,   do_close,        do_usage,
    do_roll,  do_query,   do_prune,  do_records,  do_transactions, do_movements,
    do_head,  do_cap,     do_borrow, do_state,    do_capped_call,  do_lose};

/* Books with a row of every sort. */
static void
fill(void)
{
    struct arena arena;
    struct ledger_lease lease;
    const char *const nodes[] = {"n1", "n2", "n3"};
    const struct ledger_config config = {.fee_bps = 100};
    arena_init(&arena, 1u << 20);
    assert_int_equal(store_open("memory:", NULL, &store, &err), 0);
    assert_int_equal(ledger_new(store, &config, &ledger, &err), 0);
    assert_int_equal(do_replay(&arena), 0);
    assert_int_equal(do_deposit(&arena), 0);
    for (size_t i = 0; i < ARRAY_LEN(nodes); i++)
        assert_int_equal(lease_want(ledger, str_from(nodes[i]), 1, STR("a"), (struct money){0},
                                    (struct money){100}, &lease, &err),
                         0);
    const struct str poison = STR("poison");
    struct ledger_applied applied;
    assert_int_equal(do_usage(&arena), 0);
    assert_int_equal(usage_apply(ledger, &stream, 2, &poison, 1, &applied, &err), 0);
    const struct str text = STR(
        "{\"seq\":\"3\",\"odd\":1,\"wallet\":\"a\",\"provider\":\"p\",\"charge\":\"3\",\"cost\":"
        "\"2\"}");
    assert_int_equal(usage_apply(ledger, &stream, 3, &text, 1, &applied, &err), 0);
    assert_int_equal(do_roll(&arena), 0);
    assert_int_equal(do_usage(&arena), 0);
    assert_int_equal(lease_close(ledger, STR("n4"), 1, &err), 0);
    assert_int_equal(do_cap(&arena), 0);
    assert_int_equal(do_borrow(&arena), 0);
    arena_fini(&arena);
}

static void
empty(void)
{
    ledger_free(&ledger);
    store_close(&store);
}

/* A budget's row; caps, what is spent and what is late are the same in each period. */
#define WINDOW(name, cap, spent, late)                                                            \
    "\"" name "_cap\":\"" cap "\",\"" name "_at\":\"0\",\"" name "_spent\":\"" spent "\",\"" name \
    "_late\":\"" late "\",\"" name "_skewed\":\"0\""
#define BUDGET(lent, cap, spent, late)                                                        \
    "{\"lent\":\"" lent "\",\"ahead_ms\":\"0\"," WINDOW("hour", cap, spent, late) "," WINDOW( \
        "day", cap, spent, late) "," WINDOW("month", cap, spent, late) "}"
#define MOST "9223372036854775807"

static const char *const damages[] = {
    "",
    "{",
    "{}",
    "[]",
    "\1",
    "\1\377\377\377\377\377\377\377\377\377\377",
    "{\"seq\":\"-1\"}",
    "{\"seq\":\"9223372036854775807\"}",
    "{\"nano\":\"x\"}",
    BUDGET("-1", "5", "0", "0"),
    BUDGET("0", "-2", "0", "0"),
    BUDGET("0", "5", "-1", "0"),
    BUDGET("0", "5", "0", "-1"),
    BUDGET("0", "5", "0", "0"),
    BUDGET(MOST, MOST, MOST, MOST),
    "{\"nano\":\"9223372036854775807\"}",
    "{\"nano\":\"-9223372036854775808\"}",
    "{\"seq\":\"1\",\"hash\":\"short\"}",
    "{\"id\":\"1\",\"kind\":\"charge\",\"wallet\":1,\"entries\":7}",
    "{\"id\":\"1\",\"kind\":\"charge\",\"entries\":[{}]}"};

/* All operations in turn, the row damaged again before each. */
static void
test_every_row(void **state)
{
    (void)state;
    size_t tried = 0;
    for (size_t at = 0;; at++) {
        struct arena arena;
        struct store_row *rows;
        size_t count;
        fill();
        arena_init(&arena, 64u << 20);
        assert_int_equal(store_list(store, STR(""), STR(""), 0, &arena, &rows, &count, NULL), 0);
        if (at == count) {
            arena_fini(&arena);
            empty();
            break;
        }
        for (size_t d = 0; d < ARRAY_LEN(damages); d++) {
            const struct store_op op = {.key = rows[at].key, .value = str_from(damages[d])};
            empty();
            fill();
            for (size_t i = 0; i < ARRAY_LEN(operations); i++) {
                assert_int_equal(store_commit(store, NULL, 0, &op, 1, NULL), 0);
                err.text[0] = '\0';
                int r = operations[i](&arena);
                tried++;
                if (r < 0 && err.text[0] == '\0')
                    fail_msg("row %.*s, damage %zu, operation %zu: %d without a word",
                             STR_ARG(rows[at].key), d, i, r);
            }
        }
        arena_fini(&arena);
        empty();
    }
    print_message("%zu operations on damaged books\n", tried);
    assert_true(tried > 3000);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_every_row)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
