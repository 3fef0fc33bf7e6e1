/* SPDX-License-Identifier: MIT
 * ledger_fault_test.c - the nth allocation or the nth call of the store fails in each operation: a
 *            clean error with a reason, the books balance, and asking again gives what it would
 *            have given.
 * Floor: controlplane/ledger tests.
 * Owns: malloc, for this program.
 * Invariant: see ledger.h; HARDENING LW-17. */
#include "controlplane/ledger/budget.h"
#include "controlplane/ledger/usage_rollup.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "lib/base/alloc_test_rig.h"
#include "lib/base/clock.h"

static struct store *store;
static struct ledger *ledger;
static bool can_fail_malloc;
static const struct ledger_stream stream = {{"n1", 2}, 1, {"0", 1}};

#define TEXT(literal)                \
    {                                \
        literal, sizeof(literal) - 1 \
    }
#define RECORD(seq, charge)                                                              \
    TEXT("{\"seq\":\"" seq "\",\"wallet\":\"a\",\"provider\":\"p\",\"charge\":\"" charge \
         "\",\"cost\":\"1\"}")
/* As data planes write it, one that is poison, one of another form with a name in escapes. */
static const struct str records[] = {
    RECORD("1", "5"), RECORD("2", "-5"),
    TEXT("{\"seq\":\"3\",\"odd\":1,\"wallet\":\"a\",\"subject\":\"key/"
         "\\u00e9\\u0001\\u007f\\\"\\\\\",\"provider\":\"q\","
         "\"charge\":\"7\",\"cost\":\"1\",\"usage\":{\"input\":3}}")};

static int
do_deposit(struct arena *arena, struct err *err)
{
    struct ledger_receipt receipt;
    (void)arena;
    return ledger_deposit(ledger, STR("a"), LEDGER_GENERAL, (struct money){1000}, STR("1"),
                          &receipt, err);
}
static int
do_adjust(struct arena *arena, struct err *err)
{
    struct ledger_receipt receipt;
    (void)arena;
    return ledger_adjust(ledger, STR("a"), LEDGER_GENERAL, (struct money){-100}, STR("1"),
                         STR("why"), &receipt, err);
}
static int
do_transfer(struct arena *arena, struct err *err)
{
    struct ledger_receipt receipt;
    (void)arena;
    return ledger_transfer(ledger, STR("a"), (struct money){500}, STR("1"), LEDGER_ANY_FEE,
                           &receipt, err);
}
static int
do_balances(struct arena *arena, struct err *err)
{
    struct ledger_balances balances;
    (void)arena;
    return ledger_balances(ledger, STR("a"), &balances, err);
}
static int
do_want(struct arena *arena, struct err *err)
{
    struct ledger_lease lease;
    (void)arena;
    return lease_want(ledger, stream.node, 1, STR("a"), (struct money){0}, (struct money){100},
                      &lease, err);
}
static int
do_get(struct arena *arena, struct err *err)
{
    struct ledger_lease lease;
    (void)arena;
    return lease_get(ledger, stream.node, 1, STR("a"), &lease, err);
}
static int
do_leases(struct arena *arena, struct err *err)
{
    struct ledger_lease_row *rows;
    size_t count;
    return lease_list(ledger, stream.node, 1, arena, &rows, &count, err);
}
static int
do_usage(struct arena *arena, struct err *err)
{
    struct ledger_applied applied;
    (void)arena;
    return usage_apply(ledger, &stream, 1, records, ARRAY_LEN(records), &applied, err);
}
/* Of two providers in one commit, and of a second stream. */
static int
do_usage_list(struct arena *arena, struct err *err)
{
    static const struct ledger_stream other = {{"n2", 2}, 1, {"0", 1}};
    static const struct str list =
        TEXT("{\"seq\":\"1\",\"wallet\":\"a\",\"provider\":\"p\",\"charge\":\"2\",\"cost\":\"1\"},"
             "{\"seq\":\"2\",\"wallet\":\"a\",\"provider\":\"q\",\"charge\":\"3\",\"cost\":\"1\"}");
    struct ledger_applied applied;
    (void)arena;
    return usage_apply_list(ledger, &other, 1, list, &applied, err);
}
static int
do_mark(struct arena *arena, struct err *err)
{
    uint64_t seq;
    (void)arena;
    return usage_mark(ledger, &stream, &seq, err);
}
static int
do_records(struct arena *arena, struct err *err)
{
    struct store_row *rows;
    size_t count;
    return usage_list(ledger, STR_EMPTY, 10, arena, &rows, &count, err);
}
static int
do_return(struct arena *arena, struct err *err)
{
    (void)arena;
    return lease_return(ledger, stream.node, 1, STR("a"), (struct money){20}, err);
}
static int
do_sums(struct arena *arena, struct err *err)
{
    struct usage_filter filter = {.group = USAGE_BY_MODEL};
    struct usage_sum *sums;
    size_t count;
    return usage_sums(ledger, &filter, arena, &sums, &count, err);
}
/* A record more, and the sums with it, onto a page that is there. */
static int
do_roll(struct arena *arena, struct err *err)
{
    static const struct str more = RECORD("4", "1");
    struct ledger_applied applied;
    bool left;
    (void)arena;
    int r = usage_apply(ledger, &stream, 4, &more, 1, &applied, err);
    return r < 0 ? r : usage_rollup_step(ledger, &left, err);
}
/* As after a start: nothing is in memory yet. */
static int
restart(struct err *err)
{
    struct ledger_config config = {0};
    struct ledger *again = NULL;
    int r = ledger_new(store, &config, &again, err);
    if (r < 0)
        return r;
    ledger_free(&ledger);
    ledger = again;
    return 0;
}
/* Streams are found by their marks. */
static int
do_restart(struct arena *arena, struct err *err)
{
    static const struct ledger_stream fresh = {{"n3", 2}, 1, {"0", 1}};
    static const struct str text =
        TEXT("{\"seq\":\"1\",\"odd\":1,\"wallet\":\"a\",\"provider\":\"p\",\"charge\":\"1\","
             "\"cost\":\"1\"}");
    struct ledger_applied applied;
    bool left;
    (void)arena;
    int r = restart(err);
    if (r == 0)
        r = usage_apply(ledger, &fresh, 1, &text, 1, &applied, err);
    return r < 0 ? r : usage_rollup_step(ledger, &left, err);
}
static int
do_query(struct arena *arena, struct err *err)
{
    const struct usage_query query = {.by = USAGE_HOUR | USAGE_SUBJECT};
    struct usage_row *rows;
    size_t count;
    bool behind;
    return usage_query(ledger, &query, arena, &rows, &count, &behind, err);
}
static int
do_allow(struct arena *arena, struct err *err)
{
    struct money moved;
    bool is_short;
    (void)arena;
    return ledger_allow(ledger, STR("a"), STR("b"), (struct money){50}, &moved, &is_short, err);
}
static int
do_transactions(struct arena *arena, struct err *err)
{
    struct ledger_transaction *rows;
    size_t count;
    uint64_t next;
    return ledger_transactions(ledger, STR("a"), 0, 100, arena, &rows, &count, &next, err);
}
static int
do_movements(struct arena *arena, struct err *err)
{
    struct ledger_movement *rows;
    size_t count;
    return ledger_movements(ledger, STR("a"), 0, arena, &rows, &count, err);
}
static int
do_head(struct arena *arena, struct err *err)
{
    struct store_cond cond;
    uint64_t id;
    (void)arena;
    return ledger_head(ledger, &cond, &id, err);
}
static int
do_prune(struct arena *arena, struct err *err)
{
    bool more;
    (void)arena;
    return usage_rollup_prune(ledger, INT64_MAX, &more, err);
}
static int
do_ask(struct arena *arena, struct err *err)
{
    const struct ledger_ask ask = {.node = stream.node,
                                   .epoch = 1,
                                   .wallet = STR("a"),
                                   .granted = {100},
                                   .want = {60},
                                   .need = {1}};
    struct ledger_lease lease;
    (void)arena;
    return lease_ask(ledger, &ask, &lease, err);
}
static int
do_orphan(struct arena *arena, struct err *err)
{
    (void)arena;
    return lease_orphan(ledger, stream.node, 1, STR("a"), err);
}
static int
do_close(struct arena *arena, struct err *err)
{
    (void)arena;
    return lease_close(ledger, stream.node, 1, err);
}
static int
do_audit(struct arena *arena, struct err *err)
{
    struct ledger_audit audit;
    (void)arena;
    return ledger_audit(ledger, &audit, err);
}

/* ---- what a caller may spend; wallet c pays and has nothing ---- */

static const struct str capped = TEXT("key/ci");

static int
caps_set(int64_t day, struct err *err)
{
    struct budget_caps caps = {.capped = {[PERIOD_DAY] = day >= 0}};
    caps.amount[PERIOD_DAY].nano = MAX(day, (int64_t)0);
    return budget_set(ledger, capped, &caps, err);
}
static int
capped_calls(const char *node, uint64_t first, struct err *err)
{
    static char text[640];
    const struct ledger_stream calls = {str_from(node), 1, STR("0")};
    struct ledger_applied applied;
    long long now_ms = (long long)(clock_wall_ns() / 1000000);
    (void)snprintf(text, sizeof text,
                   "{\"seq\":\"%llu\",\"at_ms\":%lld,\"wallet\":\"c\",\"subject\":\"key/ci\","
                   "\"provider\":\"p\",\"charge\":\"4\",\"cost\":\"1\"},"
                   "{\"seq\":\"%llu\",\"at_ms\":%lld,\"wallet\":\"c\",\"subject\":\"key/other\","
                   "\"provider\":\"p\",\"charge\":\"1\",\"cost\":\"1\"},"
                   "{\"seq\":\"%llu\",\"at_ms\":%lld,\"wallet\":\"c\",\"subject\":\"key/ci\","
                   "\"provider\":\"p\",\"charge\":\"5\",\"cost\":\"1\"}",
                   (unsigned long long)first, now_ms, (unsigned long long)first + 1, now_ms,
                   (unsigned long long)first + 2, now_ms);
    return usage_apply_list(ledger, &calls, first, str_from(text), &applied, err);
}
static int
capped_lease(const char *node, int64_t granted, struct err *err)
{
    struct ledger_lease lease;
    return lease_want(ledger, str_from(node), 1, capped, (struct money){granted},
                      (struct money){100}, &lease, err);
}
static int
do_uncapped_calls(struct arena *arena, struct err *err)
{
    bool left;
    (void)arena;
    int r = capped_calls("n5", 1, err);
    return r < 0 ? r : usage_rollup_step(ledger, &left, err);
}
static int
do_cap(struct arena *arena, struct err *err)
{
    const struct budget_caps other = {.capped = {[PERIOD_HOUR] = true}};
    (void)arena;
    int r = caps_set(1000, err);
    return r < 0 ? r : budget_set(ledger, STR("container/box"), &other, err);
}
static int
do_borrow(struct arena *arena, struct err *err)
{
    (void)arena;
    return capped_lease("n5", 0, err);
}
static int
do_capped_calls(struct arena *arena, struct err *err)
{
    (void)arena;
    return capped_calls("n5", 4, err);
}
/* Which names have a budget is read, by whoever asks first. */
static int
do_capped_restart(struct arena *arena, struct err *err)
{
    (void)arena;
    int r = restart(err);
    return r < 0 ? r : capped_calls("n6", 1, err);
}
static int
do_state(struct arena *arena, struct err *err)
{
    struct budget_state state;
    (void)arena;
    int r = restart(err);
    if (r == 0)
        r = budget_get(ledger, capped, &state, err);
    if (r == 0)
        assert_true(state.spent[PERIOD_DAY].nano == 27 && state.lent.nano == 91);
    return r;
}
static int
do_give_back(struct arena *arena, struct err *err)
{
    (void)arena;
    return lease_return(ledger, STR("n5"), 1, capped, (struct money){50}, err);
}
static int
do_lose(struct arena *arena, struct err *err)
{
    (void)arena;
    return lease_orphan(ledger, STR("n5"), 1, capped, err);
}
static int
do_uncap(struct arena *arena, struct err *err)
{
    (void)arena;
    int r = restart(err);
    return r < 0 ? r : caps_set(-1, err);
}
/* What was posted meanwhile is added up on the way; -ERR_UNAVAILABLE: it could not be. */
static int
do_cap_again(struct arena *arena, struct err *err)
{
    (void)arena;
    return caps_set(60, err);
}

/* By a clock that is 40 days ahead, and what puts that right. */
static int64_t
ahead_wall(void *user)
{
    (void)user;
    struct timespec now;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    return (now.tv_sec + 40ll * 24 * 3600) * 1000000000 + now.tv_nsec;
}
static uint64_t
plain_mono(void *user)
{
    (void)user;
    return 1;
}
static int
do_cap_ahead(struct arena *arena, struct err *err)
{
    static const struct clock_source ahead = {plain_mono, ahead_wall, NULL};
    const struct budget_caps caps = {.capped = {[PERIOD_HOUR] = true}};
    (void)arena;
    clock_replace(&ahead);
    int r = budget_set(ledger, STR("container/ahead"), &caps, err);
    clock_replace(NULL);
    return r;
}
static int
do_rewind(struct arena *arena, struct err *err)
{
    struct budget_state budget;
    size_t count;
    (void)arena;
    int r = restart(err);
    if (r == 0)
        r = budgets_rewind(ledger, &count, err);
    if (r == 0)
        r = budget_get(ledger, STR("container/ahead"), &budget, err);
    if (r == 0)
        assert_true(budget.begins_ms[PERIOD_HOUR] <= clock_wall_ns() / 1000000);
    return r;
}

#define STEP(name)       \
    {                    \
#name, do_##name \
    }
static const struct {
    const char *name;
    int (*run)(struct arena *arena, struct err *err);
} steps[] = {STEP(deposit),  STEP(adjust),         STEP(transfer),
             STEP(balances), STEP(want),           STEP(get),
             STEP(leases),   STEP(usage),          STEP(usage_list),
             STEP(mark),     STEP(records),        STEP(return ),
             STEP(sums),     STEP(roll),           STEP(restart),
             STEP(query),    STEP(allow),          STEP(orphan),
             STEP(ask),      STEP(transactions),   STEP(movements),
             STEP(head),     STEP(prune),          STEP(close),
             STEP(audit),    STEP(uncapped_calls), STEP(cap),
             STEP(borrow),   STEP(capped_calls),   STEP(capped_restart),
             STEP(state),    STEP(give_back),      STEP(lose),
             STEP(uncap),    STEP(cap_again),      STEP(cap_ahead),
             STEP(rewind),   STEP(audit)};

enum fault { FAULT_ALLOC_ONCE, FAULT_ALLOC_FOREVER, FAULT_STORE, FAULT_STORE_ANSWER };

static void
fault_arm(enum fault fault, unsigned nth, int code)
{
    if (fault == FAULT_STORE)
        store_fail_call(store, nth, code);
    else if (fault == FAULT_STORE_ANSWER)
        store_fail_commit(store, nth, true);
    else
        alloc_rig_arm(nth, fault == FAULT_ALLOC_FOREVER);
}

/* Takes the fault away again. true: it had happened. */
static bool
fault_end(enum fault fault, int r)
{
    bool happened = fault == FAULT_STORE          ? store_failed_call(store)
                    : fault == FAULT_STORE_ANSWER ? r == -ERR_STORE || r == -ERR_UNAVAILABLE
                                                  : alloc_rig.happened;
    store_fail_call(store, 0, 0);
    store_fail_commit(store, 0, false);
    alloc_rig_arm(0, false);
    return happened;
}

/* All steps; in step `at` the nth allocation or call fails. false: it has fewer. */
static bool
run(enum fault fault, int code, size_t at, unsigned nth)
{
    struct ledger_config config = {0};
    struct ledger_balances a;
    struct ledger_balances b;
    struct err err = {0};
    bool happened = false;
    assert_int_equal(store_open("memory:", NULL, &store, &err), 0);
    assert_int_equal(ledger_new(store, &config, &ledger, &err), 0);
    for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
        struct arena arena;
        arena_init(&arena, 1u << 20);
        err = (struct err){0};
        if (i == at)
            fault_arm(fault, nth, code);
        int r = steps[i].run(&arena, &err);
        if (i == at && nth > 0)
            happened = fault_end(fault, r);
        arena_fini(&arena);
        arena_init(&arena, 1u << 20);
        bool behind =
            r == -ERR_UNAVAILABLE && (steps[i].run == do_cap_again || steps[i].run == do_rewind);
        bool fair = r == 0 || (i == at && happened && (r == code || r == -ERR_STORE || behind));
        if (!fair || (r < 0 && err.text[0] == '\0'))
            fail_msg("%s, fault %d, number %u: %d %s", steps[i].name, fault, nth, r, err.text);
        if (i == at)
            assert_int_equal(do_audit(&arena, &err), 0);
        if (r < 0)
            assert_int_equal(steps[i].run(&arena, &err), 0);
        arena_fini(&arena);
    }
    assert_int_equal(ledger_balances(ledger, STR("a"), &a, &err), 0);
    assert_int_equal(ledger_balances(ledger, STR("b"), &b, &err), 0);
    assert_true(a.general.nano == 400 && a.ai_limit.nano == 450 && a.ai_usage.nano == 19);
    assert_true(a.held.nano == 0 && b.ai_remaining.nano == 50);
    struct budget_state cap;
    assert_int_equal(budget_get(ledger, capped, &cap, &err), 0);
    assert_true(cap.spent[PERIOD_DAY].nano == 27 && cap.free.nano == 33 && cap.lent.nano == 0);
    ledger_free(&ledger);
    store_close(&store);
    return happened;
}

static unsigned
every_fault(enum fault fault, int code)
{
    unsigned some = 0;
    for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
        unsigned nth = 1; /* what is kept from step to step needs none */
        while (run(fault, code, i, nth))
            nth++;
        some += nth - 1;
    }
    return some;
}

static void
test_every_allocation(void **state)
{
    (void)state;
    if (!can_fail_malloc)
        skip();
    (void)run(FAULT_ALLOC_ONCE, 0, 0, 0); /* whatever is made once a process is made now */
    unsigned once = every_fault(FAULT_ALLOC_ONCE, -ERR_NOMEM);
    unsigned forever = every_fault(FAULT_ALLOC_FOREVER, -ERR_NOMEM);
    print_message("%u allocations failed once, %u from then on\n", once, forever);
    assert_true(once > 20 && forever > 20);
}

static void
test_every_call_of_the_store(void **state)
{
    static const int codes[] = {-ERR_STORE, -ERR_NO_SPACE, -ERR_CONFLICT, -ERR_NOMEM};
    unsigned some = 0;
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(codes); i++)
        some += every_fault(FAULT_STORE, codes[i]);
    print_message("%u calls failed\n", some);
    assert_true(some > 400);
    /* The commit is made, its answer is lost. */
    assert_true(every_fault(FAULT_STORE_ANSWER, -ERR_STORE) > 15);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_every_allocation),
                                       cmocka_unit_test(test_every_call_of_the_store)};
    can_fail_malloc = alloc_rig_init();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
