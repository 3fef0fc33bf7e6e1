/* SPDX-License-Identifier: MIT
 * cap_test.c - what a capped wallet may spend in its periods, with nodes that lend from it.
 * Floor: controlplane/billing tests.
 * Owns: nothing.
 * Invariant: see cap.h. */
#include "controlplane/billing/billing_test_rig.h"
#include "controlplane/billing/cap.h"
#include "lib/base/rand.h"

#define DAY_MS (24 * HOUR_MS)

static int failures;

static void
on_failed(void *user, struct str wallet, const struct err *why)
{
    (void)user;
    (void)wallet;
    (void)why;
    failures++;
}

static void
top_up(const char *wallet, int64_t usd)
{
    struct ledger_receipt receipt;
    struct str key = arena_printf(&arena, "%llu", (unsigned long long)rand_u64());
    assert_int_equal(ledger_deposit(ledger, str_from(wallet), LEDGER_AI, (struct money){usd * USD},
                                    key, &receipt, &err),
                     0);
}

static int
setup(void **state)
{
    const struct billing_conf conf = {.server = "12345678", .failed = on_failed};
    (void)state;
    failures = 0;
    rig_open(&conf, true);
    wallet_put(store, "main", "", &arena);
    assert_int_equal(billing_start(billing, &err), 0);
    return 0;
}

static void
turns(void)
{
    for (unsigned i = 0; i < 8; i++)
        loop_step(loop, 0);
}

/* Cents of AI money left, what is lent included. */
static int64_t
left(const char *wallet)
{
    struct ledger_balances balances;
    turns();
    assert_int_equal(ledger_balances(ledger, str_from(wallet), &balances, &err), 0);
    return balances.ai_remaining.nano / (USD / 100);
}

/* The node borrows what it can get, up to so many cents; how much it has. */
static int64_t
borrow(const char *wallet, int64_t cents)
{
    return rig_borrow(wallet, cents * (USD / 100)).nano / (USD / 100);
}

static void
spend(const char *wallet, int64_t cents)
{
    int64_t nano = cents * (USD / 100);
    rig_use(wallet, "key/k", "m", now_ms, (const uint64_t[2]){1, 0}, nano, nano);
}

/* "spent of amount, end", cents and seconds from now */
static const char *
word(const char *wallet)
{
    struct object object;
    struct ledger_balances b;
    struct cap_word word;
    turns();
    assert_int_equal(
        object_get(store, kind_at(KIND_WALLET), str_from(wallet), &arena, &object, &err), 0);
    assert_int_equal(ledger_balances(ledger, str_from(wallet), &b, &err), 0);
    assert_int_equal(cap_look(store, &object, b.ai_usage, now_ms, &arena, &word), 0);
    return arena_printf(&arena, "%lld of %lld, %lld", (long long)word.spent.nano / (USD / 100),
                        (long long)word.amount.nano / (USD / 100),
                        (long long)(word.resets_s == 0 ? 0 : word.resets_s - now_ms / 1000))
        .ptr;
}

static void
test_day(void **state)
{
    (void)state;
    wallet_put(store, "ci", "cap: {from: main, amount: '5.00', per: day}", &arena);
    assert_int_equal(left("ci"), 0); /* main has nothing yet */
    top_up("main", 100);
    now_ms += 1000;
    assert_int_equal(left("ci"), 500);
    assert_int_equal(left("main"), 9500);
    assert_int_equal(borrow("ci", 200), 200);
    assert_string_equal(word("main"), "0 of 0, 0");
    assert_string_equal(word("ci"), "0 of 500, 86399");
    spend("ci", 150);
    assert_string_equal(word("ci"), "150 of 500, 86399");
    now_ms += 12 * HOUR_MS;
    assert_int_equal(left("ci"), 350);
    assert_int_equal(borrow("ci", 100000), 350);
    spend("ci", 350);
    now_ms += HOUR_MS;
    assert_int_equal(left("ci"), 0);
    assert_int_equal(borrow("ci", 1), 0);
    /* the next day; what is left of a day is not carried over */
    assert_string_equal(word("ci"), "500 of 500, 39599");
    now_ms = (now_ms / DAY_MS + 1) * DAY_MS;
    assert_int_equal(left("ci"), 500);
    assert_string_equal(word("ci"), "0 of 500, 86400");
    assert_int_equal(left("main"), 9000);
    borrow("ci", 500);
    spend("ci", 100);
    now_ms += DAY_MS;
    assert_int_equal(left("ci"), 500);
    assert_int_equal(left("main"), 8900);
}

/* The clock is 40 days ahead for a while: each allowance ends when its period does, and what was
 * spent meanwhile counts. */
static void
test_clock(void **state)
{
    (void)state;
    const struct {
        const char *per;
        int64_t cents; /* left of 500 when the clock is set back */
    } rows[] = {{"hour", 250}, {"day", 250}, {"month", 250}};
    top_up("main", 1000);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        wallet_put(
            store, rows[i].per,
            arena_printf(&arena, "cap: {from: main, amount: '5.00', per: %s}", rows[i].per).ptr,
            &arena);
        (void)left(rows[i].per);
        assert_int_equal(borrow(rows[i].per, 100), 100);
        spend(rows[i].per, 100);
    }
    ahead_ms = 40 * DAY_MS;
    now_ms += 60000; /* nobody has to wait for the next hour */
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        assert_int_equal(left(rows[i].per), 500);
        assert_int_equal(borrow(rows[i].per, 150), 150);
        int64_t nano = 150 * (USD / 100);
        rig_use(rows[i].per, "key/k", "m", now_ms + ahead_ms, (const uint64_t[2]){1, 0}, nano,
                nano);
    }
    ahead_ms = 0;
    now_ms += 60000;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        assert_int_equal(left(rows[i].per), rows[i].cents);
    now_ms += HOUR_MS;
    assert_int_equal(left("hour"), 500);
    assert_int_equal(left("day"), 250);
    now_ms += DAY_MS;
    assert_int_equal(left("day"), 500);
    assert_int_equal(left("month"), 250);
    now_ms += 31 * DAY_MS;
    assert_int_equal(left("month"), 500);
}

static void
test_changes(void **state)
{
    (void)state;
    top_up("main", 10);
    wallet_put(store, "ci", "cap: {from: main, amount: '5.00', per: month}", &arena);
    assert_int_equal(left("ci"), 500);
    borrow("ci", 100);
    spend("ci", 100);
    wallet_put(store, "ci", "cap: {from: main, amount: '3.00', per: month}", &arena);
    assert_int_equal(left("ci"), 200);
    assert_int_equal(left("main"), 700);
    wallet_put(store, "ci", "cap: {from: main, amount: '0', per: month}", &arena);
    assert_int_equal(left("ci"), 0);
    wallet_put(store, "ci", "cap: {from: main, amount: '50.00', per: month}", &arena);
    assert_int_equal(left("ci"), 900); /* all that main has */
    top_up("main", 100);
    now_ms += 1000;
    assert_int_equal(left("ci"), 4900);
    wallet_put(store, "main", "frozen: true", &arena);
    assert_int_equal(left("ci"), 0);
    wallet_put(store, "main", "", &arena);
    assert_int_equal(left("ci"), 4900);
    /* no chains, no strangers; said once */
    failures = 0;
    wallet_put(store, "deep", "cap: {from: ci, amount: '1.00', per: hour}", &arena);
    assert_int_equal(left("deep"), 0);
    wallet_put(store, "lost", "cap: {from: nobody, amount: '1.00', per: hour}", &arena);
    now_ms += 5000;
    assert_int_equal(left("lost"), 0);
    assert_true(failures > 0 && failures <= 3);
}

/* What is lent stays lent: it comes back with the lease. */
static void
test_lent(void **state)
{
    (void)state;
    top_up("main", 10);
    wallet_put(store, "ci", "cap: {from: main, amount: '5.00', per: month}", &arena);
    assert_int_equal(left("ci"), 500);
    assert_int_equal(borrow("ci", 300), 300);
    wallet_put(store, "ci", "cap: {from: main, amount: '1.00', per: month}", &arena);
    assert_int_equal(left("ci"), 300);
    assert_int_equal(lease_return(ledger, STR("n"), 1, STR("ci"), (struct money){3 * USD}, &err),
                     0);
    now_ms += 1000;
    assert_int_equal(left("ci"), 100);
}

static void
test_invoices(void **state)
{
    (void)state;
    struct invoice_row row;
    top_up("main", 10);
    wallet_put(store, "ci", "cap: {from: main, amount: '5.00', per: day}", &arena);
    assert_int_equal(left("ci"), 500);
    borrow("ci", 500);
    spend("ci", 500);
    now_ms += DAY_MS;
    assert_int_equal(left("ci"), 500);
    assert_int_equal(invoice_issue(billing, STR("ci"), &arena, &row, &err), 0);
    assert_non_null(strstr(row.text.ptr, "\"allowed\":\"10.00\""));
    assert_non_null(strstr(row.text.ptr, "\"kind\":\"allowance\""));
    assert_non_null(strstr(row.text.ptr, "\"reference\":\"main\""));
    assert_int_equal(invoice_issue(billing, STR("main"), &arena, &row, &err), 0);
    assert_non_null(strstr(row.text.ptr, "\"allowed\":\"-10.00\""));
    assert_non_null(strstr(row.text.ptr, "\"reference\":\"ci\""));
    assert_int_equal(invoice_issue(billing, STR("ci"), &arena, &row, &err), -ERR_NOT_FOUND);
}

/* Random lending, spending, returning, restarts and clock: in no day more than the cap, by what was
 * posted in it; commits fail at times. */
static void
test_random(void **state)
{
    (void)state;
    uint64_t seed = rand_u64() | 1;
    int64_t day = now_ms / DAY_MS;
    int64_t spent = 0;
    (void)printf("BERTH_SEED=%llu\n", (unsigned long long)seed);
    rand_seed(seed);
    top_up("main", 1000);
    wallet_put(store, "ci", "cap: {from: main, amount: '5.00', per: day}", &arena);
    turns();
    for (unsigned step = 0; step < 3000; step++) {
        int64_t lent;
        now_ms += (int64_t)rand_below(2 * HOUR_MS);
        if (rand_below(20) == 0)
            store_fail_commit(store, 1 + (unsigned)rand_below(2), rand_below(2) == 0);
        turns();
        store_fail_commit(store, 0, false);
        if (now_ms / DAY_MS != day) {
            day = now_ms / DAY_MS;
            spent = 0;
        }
        switch (rand_below(4)) {
        case 0:
            (void)borrow("ci", (int64_t)rand_below(300));
            break;
        case 1:
            lent = borrow("ci", 0);
            if (lent > 0)
                assert_int_equal(lease_return(ledger, STR("n"), 1, STR("ci"),
                                              (struct money){lent * (USD / 100)}, &err),
                                 0);
            break;
        default:
            lent = borrow("ci", 0);
            if (lent > 0) {
                int64_t cents = 1 + (int64_t)rand_below((uint64_t)lent);
                spend("ci", cents);
                spent += cents;
            }
        }
        if (spent > 500)
            fail_msg("step %u: %lld cents in a day", step, (long long)spent);
    }
    rand_seed(0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_day, setup, rig_close),
        cmocka_unit_test_setup_teardown(test_clock, setup, rig_close),
        cmocka_unit_test_setup_teardown(test_changes, setup, rig_close),
        cmocka_unit_test_setup_teardown(test_lent, setup, rig_close),
        cmocka_unit_test_setup_teardown(test_invoices, setup, rig_close),
        cmocka_unit_test_setup_teardown(test_random, setup, rig_close),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
