/* SPDX-License-Identifier: MIT
 * refund_test.c - what goes back of a payment, and comes again: once, in any order, never more than
 *                 was paid.
 * Floor: controlplane/billing tests.
 * Owns: nothing.
 * Invariant: see refund.c. */
#include "controlplane/billing/payment_test_rig.h"
#include "lib/base/alloc_test_rig.h"
#include "lib/base/rand.h"

/* Events in the order of their rows; the wallet's General balance and what is lent of its 30.00 AI
 * after each, in cents. */
static void
test_refunds(void **state)
{
    static const struct {
        const char *body;
        int corrected; /* cents */
        int general;
        int lendable;
    } steps[] = {
        {SESSION("evt_1", "completed", "paid", "2000", "usd", PI), 0, 2000, 3000},
        {REFUND("evt_2", "\"pi_1\"", "500"), -500, 1500, 3000},
        {REFUND("evt_2", "\"pi_1\"", "500"), 0, 1500, 3000},    /* said again */
        {REFUND("evt_4", "\"pi_1\"", "900"), -400, 1100, 3000}, /* all that was refunded */
        {REFUND("evt_3", "\"pi_1\"", "700"), 0, 1100, 3000},    /* late */
        {DISPUTE("evt_5", "funds_withdrawn", "dp_1", "1100"), -1100, 0, 3000},
        {DISPUTE("evt_5", "funds_withdrawn", "dp_1", "1100"), 0, 0, 3000},
        /* never more than was paid, but the fee; what General owes is not lent */
        {MOVED("evt_6", "funds_withdrawn", "dp_2", "800", OUT("800", "1500")), -1500, -1500, 1500},
        {MOVED("evt_6", "funds_withdrawn", "dp_2", "800", OUT("800", "1500")), 0, -1500, 1500},
        /* one dispute is won: there is room for the other one */
        {DISPUTE("evt_7", "funds_reinstated", "dp_1", "1100"), 300, -1200, 1800},
        {DISPUTE("evt_7", "funds_reinstated", "dp_1", "1100"), 0, -1200, 1800},
        {MOVED("evt_8", "funds_reinstated", "dp_2", "800",
               OUT("800", "1500") "," BACK("800", "-1500")),
         2300, 1100, 3000},
        {SESSION("evt_1", "completed", "paid", "2000", "usd", PI), 0, 1100, 3000},
        {INTENT("evt_8", "succeeded", "2000", TO_A), 0, 1100, 3000},
        {REFUND("evt_9", "\"pi_1\"", "990000"), -1100, 0, 3000},
        {MOVED("evt_10", "funds_withdrawn", "dp_3", "2000", OUT("2000", "800")), -800, -800, 2200},
        {MOVED("evt_11", "funds_withdrawn", "dp_33", "100", OUT("100", "50")), -50, -850, 2150},
    };
    struct payment_receipt receipt;
    struct ledger_receipt moved;
    (void)state;
    assert_int_equal(ledger_deposit(ledger, STR("default"), LEDGER_AI,
                                    (struct money){30 * MONEY_NANO_PER_USD}, STR("ai"), &moved,
                                    &err),
                     0);
    for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
        struct ledger_balances b;
        if (receive(WEBHOOK_stripe, steps[i].body, AT, &receipt) < 0)
            fail_msg("step %zu: %s", i, err.text);
        assert_int_equal(ledger_balances(ledger, STR("default"), &b, &err), 0);
        int corrected = (int)(receipt.corrected.nano / (MONEY_NANO_PER_USD / 100));
        int lendable = (int)(b.lendable.nano / (MONEY_NANO_PER_USD / 100));
        if (corrected != steps[i].corrected || general("default") != steps[i].general ||
            lendable != steps[i].lendable)
            fail_msg("step %zu: %d %lld %d", i, corrected, (long long)general("default"), lendable);
    }
    struct ledger_lease lease;
    assert_int_equal(lease_want(ledger, STR("n"), 1, STR("default"), (struct money){0},
                                (struct money){INT64_MAX}, &lease, &err),
                     0);
    assert_true(lease.granted.nano == 2150 * (MONEY_NANO_PER_USD / 100) && lease.empty);
}

/* Events about payment pi_N of 20.00, in cents. */
static const char *
paid_event(unsigned number)
{
    return arena_printf(
               &arena,
               "{\"id\":\"p%u\",\"type\":\"payment_intent.succeeded\",\"data\":{\"object\":{"
               "\"id\":\"pi_%u\",\"status\":\"succeeded\",\"amount_received\":2000,"
               "\"currency\":\"usd\",\"metadata\":{\"wallet\":\"default\"}}}}",
               number, number)
        .ptr;
}

static const char *
dispute_event(unsigned number, unsigned dispute, unsigned out, unsigned fee, unsigned back)
{
    const char *what = back > 0 ? "reinstated" : "withdrawn";
    const char *again = "";
    if (back > 0)
        again = arena_printf(&arena, "," BACK("%u", "-%u"), back, fee).ptr;
    return arena_printf(&arena,
                        "{\"id\":\"e\",\"type\":\"charge.dispute.funds_%s\",\"data\":{\"object\":{"
                        "\"id\":\"dp_%u\",\"payment_intent\":\"pi_%u\",\"amount\":%u,"
                        "\"currency\":\"usd\",\"balance_transactions\":[" OUT("%u", "%u") "%s]}}}",
                        what, dispute, number, out, out, fee, again)
        .ptr;
}

/* Any events about a payment, in any order, some twice, the payment itself anywhere among them:
 * what is taken in the end is what was refunded and is disputed, never more than was paid, and the
 * fees on top; and at no time more. */
static void
test_refunds_in_any_order(void **state)
{
    uint64_t seed = rand_u64() | 1;
    print_message("seed %llu\n", (unsigned long long)seed);
    rand_seed(seed);
    (void)state;
    for (unsigned round = 0; round < 300; round++) {
        enum { DISPUTES = 3, EVENTS = 2 + 2 * DISPUTES };
        const char *events[EVENTS];
        unsigned refund = (unsigned)rand_below(1500);
        unsigned due = refund;
        unsigned fees = 0;
        events[0] = paid_event(round);
        events[1] = arena_printf(&arena,
                                 "{\"id\":\"r\",\"type\":\"charge.refunded\",\"data\":{\"object\":{"
                                 "\"payment_intent\":\"pi_%u\",\"amount_refunded\":%u,"
                                 "\"currency\":\"usd\"}}}",
                                 round, refund + 1)
                        .ptr;
        due++;
        for (unsigned i = 0; i < DISPUTES; i++) {
            unsigned out = 1 + (unsigned)rand_below(1500);
            unsigned fee = (unsigned)rand_below(20);
            bool won = (unsigned)rand_below(2) == 0;
            unsigned back = won ? 1 + (unsigned)rand_below(out) : 0;
            events[2 + 2 * i] = dispute_event(round, i, out, fee, 0);
            events[3 + 2 * i] = dispute_event(round, i, out, fee, back);
            due += out - back;
            fees += won ? 0 : fee;
        }
        int64_t before = general("default");
        bool paid = false;
        for (unsigned left = EVENTS, twice = 0; left > 0;) {
            struct payment_receipt receipt;
            unsigned at = (unsigned)rand_below(left);
            assert_int_equal(receive(WEBHOOK_stripe, events[at], AT, &receipt), 0);
            paid = paid || events[at][7] == 'p';
            int64_t now = general("default") - before;
            if (now > (paid ? 2000 : 0) || now < -60)
                fail_msg("round %u: %lld", round, (long long)now);
            if (twice++ % 3 == 0)
                continue;
            events[at] = events[--left];
        }
        int64_t want = 2000 - (int64_t)MIN(due, 2000u) - (int64_t)fees;
        if (general("default") - before != want)
            fail_msg("round %u: %lld, want %lld", round, (long long)(general("default") - before),
                     (long long)want);
    }
    rand_seed(0);
}

/* Rows of the version before: what they say is booked, and goes on from there. */
static void
test_refunds_of_the_version_before(void **state)
{
    struct payment_receipt receipt;
    const struct store_op op = {.key = STR("billing/refund/stripe/pi_1/refund"),
                                .value = STR("{\"from\":\"0\",\"to\":\"5000000000\"}")};
    (void)state;
    assert_int_equal(store_commit(store, NULL, 0, &op, 1, NULL), 0);
    assert_int_equal(receive(WEBHOOK_stripe, INTENT("e1", "succeeded", "2000", TO_A), AT, &receipt),
                     0);
    assert_int_equal(general("team-a"), 1500);
    assert_int_equal(store_commit(store, NULL, 0, &op, 1, NULL), 0); /* it was booked by that one */
    assert_int_equal(receive(WEBHOOK_stripe, REFUND("e2", "\"pi_1\"", "700"), AT, &receipt), 0);
    assert_int_equal(receipt.corrected.nano, -200 * (MONEY_NANO_PER_USD / 100));
    assert_int_equal(general("team-a"), 1300);
}

/* Rows that nobody of ours wrote move nothing. */
static void
test_damaged_rows(void **state)
{
    static const struct {
        const char *name;
        const char *value;
        bool paid;
    } rows[] = {
        {"loan", "{\"told\":\"1\",\"from\":\"0\",\"to\":\"1\"}", true},
        {"refund", "{\"told\":\"9\",\"from\":\"5\",\"to\":\"3\"}", true},
        {"refund", "{\"told\":\"9\",\"from\":\"0\",\"to\":\"3\"}", false},
        {"refund", "{\"told\":\"-9\",\"from\":\"0\",\"to\":\"0\"}", true},
        {"refund", "{\"told\":\"9\",\"from\":\"0\"}", true},
        {"refund", "{\"told\":\"9\",\"to\":\"0\"}", true},
        {"refund", "told", true},
    };
    (void)state;
    for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
        struct payment_receipt receipt;
        if (rows[i].paid)
            assert_int_equal(receive(WEBHOOK_stripe, paid_event(i), AT, &receipt), 0);
        int64_t before = general("default");
        const struct store_op op = {
            .key = arena_printf(&arena, "billing/refund/stripe/pi_%u/%s", i, rows[i].name),
            .value = str_from(rows[i].value)};
        assert_int_equal(store_commit(store, NULL, 0, &op, 1, NULL), 0);
        if (receive(WEBHOOK_stripe, dispute_event(i, 1, 500, 0, 0), AT, &receipt) != -ERR_STORE)
            fail_msg("row %u: %s", i, err.text);
        assert_int_equal(general("default"), before);
    }
}

/* What is said of a payment that is not credited yet waits for it. */
static void
test_refund_first(void **state)
{
    struct payment_receipt receipt;
    (void)state;
    assert_int_equal(receive(WEBHOOK_stripe, REFUND("e2", "\"pi_1\"", "500"), AT, &receipt), 0);
    assert_non_null(strstr(receipt.payment.ignored, "kept for when it is"));
    assert_int_equal(receive(WEBHOOK_stripe, REFUND("e3", "\"pi_1\"", "700"), AT, &receipt), 0);
    assert_int_equal(
        receive(WEBHOOK_stripe, DISPUTE("e4", "funds_withdrawn", "dp_1", "100"), AT, &receipt), 0);
    assert_int_equal(general("team-a"), 0);
    assert_int_equal(receive(WEBHOOK_stripe, INTENT("e1", "succeeded", "2000", TO_A), AT, &receipt),
                     0);
    assert_true(receipt.credited);
    assert_int_equal(general("team-a"), 1200);
    assert_int_equal(receive(WEBHOOK_stripe, REFUND("e3", "\"pi_1\"", "700"), AT, &receipt), 0);
    assert_int_equal(receive(WEBHOOK_stripe, REFUND("e5", "\"pi_1\"", "800"), AT, &receipt), 0);
    assert_int_equal(general("team-a"), 1100);
}

/* Every call of the store fails in the middle of it; the sender tries again. */
static void
test_refund_faults(void **state)
{
    int64_t before = 0;
    (void)state;
    for (unsigned done = 0; done < 2; done++) {
        unsigned nth = 0;
        for (bool failed = true; failed;) {
            struct payment_receipt receipt;
            unsigned number = 1000 * done + ++nth;
            const char *back = dispute_event(number, 1, 2000, 10, 0);
            assert_int_equal(receive(WEBHOOK_stripe, paid_event(number), AT, &receipt), 0);
            if (done == 1)
                store_fail_commit(store, nth, true);
            else
                store_fail_call(store, nth, -ERR_STORE);
            failed = receive(WEBHOOK_stripe, back, AT, &receipt) != 0;
            store_fail_commit(store, 0, false);
            store_fail_call(store, 0, 0);
            assert_int_equal(receive(WEBHOOK_stripe, back, AT, &receipt), 0);
            assert_int_equal(general("default"), before -= 10);
        }
        assert_true(nth > 4);
    }
}

/* The nth allocation fails, once: an error, or it was done without; said again, all is well. */
static void
test_refund_allocations(void **state)
{
    (void)state;
    if (!ALLOC_RIG_HERE)
        skip();
    for (unsigned what = 0; what < 3; what++) {
        static const int want[] = {2000, -10, 2000}; /* of all of it, in cents */
        bool happened = true;
        for (unsigned nth = 1; happened; nth++) {
            unsigned number = 1000 * what + nth;
            const char *events[] = {paid_event(number), dispute_event(number, 1, 2000, 10, 0),
                                    dispute_event(number, 1, 2000, 10, 2000)};
            struct payment_receipt receipt;
            int64_t before = general("default");
            for (unsigned i = 0; i < what; i++)
                assert_int_equal(receive(WEBHOOK_stripe, events[i], AT, &receipt), 0);
            int64_t between = general("default");
            struct arena kept = arena;
            arena_init(&arena, 64u << 20); /* empty: its memory may fail, too */
            err.text[0] = '\0';
            alloc_rig_arm(nth, false);
            int code = receive(WEBHOOK_stripe, events[what], AT, &receipt);
            happened = alloc_rig.happened;
            alloc_rig_arm(0, false);
            arena_fini(&arena);
            arena = kept;
            if (code < 0 && err.text[0] == '\0')
                fail_msg("event %u, allocation %u: %d without a word", what, nth, code);
            assert_true(code < 0 || happened || general("default") != between);
            assert_int_equal(receive(WEBHOOK_stripe, events[what], AT, &receipt), 0);
            int64_t now = general("default") - before;
            if (now != want[what])
                fail_msg("event %u, allocation %u: %lld", what, nth, (long long)now);
        }
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_refunds, setup, teardown),
        cmocka_unit_test_setup_teardown(test_refunds_in_any_order, setup, teardown),
        cmocka_unit_test_setup_teardown(test_refunds_of_the_version_before, setup, teardown),
        cmocka_unit_test_setup_teardown(test_damaged_rows, setup, teardown),
        cmocka_unit_test_setup_teardown(test_refund_first, setup, teardown),
        cmocka_unit_test_setup_teardown(test_refund_faults, setup, teardown),
        cmocka_unit_test_setup_teardown(test_refund_allocations, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
