/* SPDX-License-Identifier: MIT
 * cap_test.c - what a capped wallet may spend in its periods, with nodes that lend from it.
 * Floor: controlplane/billing tests.
 * Owns: nothing.
 * Invariant: see cap.h. */
#include "controlplane/billing/cap.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "controlplane/billing/invoice.h"
#include "controlplane/billing/wallet_test_rig.h"
#include "controlplane/object/object.h"
#include "lib/base/clock.h"
#include "lib/base/rand.h"
#include "lib/net/loop.h"

#define USD MONEY_NANO_PER_USD
#define HOUR_MS 3600000ll
#define DAY_MS (24 * HOUR_MS)

static struct store *store;
static struct ledger *ledger;
static struct billing *billing;
static struct loop *loop;
static struct arena arena;
static struct err err;
static int64_t now_ms;
static uint64_t seq;
static int failures;

static uint64_t
test_mono(void *user)
{
    (void)user;
    return (uint64_t)now_ms * 1000000u;
}

static int64_t
test_wall(void *user)
{
    (void)user;
    return now_ms * 1000000;
}

static const struct clock_source source = {test_mono, test_wall, NULL};

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
    const struct ledger_config config = {0};
    (void)state;
    now_ms = 1764547200000; /* 2025-12-01T00:00:00Z */
    seq = 0;
    failures = 0;
    clock_replace(&source);
    arena_init(&arena, 256u << 20);
    assert_int_equal(loop_new(&loop, &err), 0);
    assert_int_equal(store_open("memory:", loop, &store, &err), 0);
    assert_int_equal(ledger_new(store, &config, &ledger, &err), 0);
    const struct billing_conf conf = {
        .store = store, .ledger = ledger, .server = "12345678", .loop = loop, .failed = on_failed};
    assert_int_equal(billing_new(&conf, &billing, &err), 0);
    wallet_put(store, "main", "", &arena);
    assert_int_equal(billing_start(billing, &err), 0);
    return 0;
}

static int
teardown(void **state)
{
    struct ledger_audit audit;
    uint64_t count;
    (void)state;
    if (ledger_audit(ledger, &audit, &err) < 0 || invoice_audit(billing, &count, &err) < 0)
        fail_msg("%s", err.text);
    billing_free(&billing);
    ledger_free(&ledger);
    store_close(&store);
    loop_free(&loop);
    arena_fini(&arena);
    clock_replace(NULL);
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
    struct ledger_lease lease = {.granted = {0}};
    int code = lease_get(ledger, STR("n"), 1, str_from(wallet), &lease, &err);
    assert_true(code == 0 || code == -ERR_NOT_FOUND);
    assert_int_equal(lease_want(ledger, STR("n"), 1, str_from(wallet), lease.granted,
                                (struct money){cents * (USD / 100)}, &lease, &err),
                     0);
    return lease.rest.nano / (USD / 100);
}

static void
spend(const char *wallet, int64_t cents)
{
    const struct ledger_stream stream = {STR("n"), 1, STR("0")};
    struct ledger_applied applied;
    struct str record = arena_printf(
        &arena,
        "{\"seq\":\"%llu\",\"id\":\"r\",\"at_ms\":%lld,\"wallet\":\"%s\",\"subject\":\"key/k\","
        "\"incarnation\":\"\",\"model\":\"m\",\"provider\":\"p\",\"outcome\":\"completed\","
        "\"evidence\":\"provider_usage\",\"status\":200,\"stream\":false,\"usage\":{\"input\":1},"
        "\"charge\":\"%lld\",\"cost\":\"%lld\",\"price_version\":1,\"ttft_us\":1,\"total_us\":2,"
        "\"attempts\":1}",
        (unsigned long long)seq + 1, (long long)now_ms, wallet, (long long)(cents * (USD / 100)),
        (long long)(cents * (USD / 100)));
    if (usage_apply(ledger, &stream, ++seq, &record, 1, &applied, &err) < 0 || applied.posted != 1)
        fail_msg("%s", err.text);
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
    printf("BERTH_SEED=%llu\n", (unsigned long long)seed);
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
        cmocka_unit_test_setup_teardown(test_day, setup, teardown),
        cmocka_unit_test_setup_teardown(test_changes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_lent, setup, teardown),
        cmocka_unit_test_setup_teardown(test_invoices, setup, teardown),
        cmocka_unit_test_setup_teardown(test_random, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
