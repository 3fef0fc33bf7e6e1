/* SPDX-License-Identifier: MIT
 * ledger_test.c - deposits, transfers, corrections, leases and the audit, as a caller sees them.
 * Floor: controlplane/ledger tests.
 * Owns: nothing.
 * Invariant: see ledger.h. */
#include "controlplane/ledger/ledger_test_rig.h"

/* "general limit usage remaining held", nano */
static const char *
balances(const char *wallet)
{
    struct ledger_balances b;
    assert_int_equal(ledger_balances(ledger, str_from(wallet), &b, &err), 0);
    check_audit();
    return arena_printf(&arena, "%lld %lld %lld %lld %lld", (long long)b.general.nano,
                        (long long)b.ai_limit.nano, (long long)b.ai_usage.nano,
                        (long long)b.ai_remaining.nano, (long long)b.held.nano)
        .ptr;
}

static int
deposit(const char *wallet, int64_t nano, const char *key)
{
    struct ledger_receipt receipt;
    return ledger_deposit(ledger, str_from(wallet), LEDGER_GENERAL, (struct money){nano},
                          str_from(key), &receipt, &err);
}

static void
test_deposit(void **state)
{
    (void)state;
    struct ledger_receipt receipt = {0};
    assert_string_equal(balances("a"), "0 0 0 0 0");
    assert_int_equal(ledger_deposit(ledger, STR("a"), LEDGER_GENERAL, (struct money){100},
                                    STR("pay_1"), &receipt, &err),
                     0);
    assert_true(receipt.general.nano == 100 && receipt.net.nano == 100 && !receipt.replayed);
    assert_int_equal(deposit("a", 50, "pay_2"), 0);
    assert_int_equal(ledger_deposit(ledger, STR("a"), LEDGER_GENERAL, (struct money){100},
                                    STR("pay_1"), &receipt, &err),
                     0);
    assert_true(receipt.replayed && receipt.general.nano == 100 && receipt.transaction == 1);
    assert_int_equal(deposit("a", 101, "pay_1"), -ERR_KEY_REUSED);
    assert_int_equal(ledger_deposit(ledger, STR("a"), LEDGER_AI, (struct money){100}, STR("pay_1"),
                                    &receipt, &err),
                     -ERR_KEY_REUSED);
    assert_int_equal(deposit("b", 7, "pay_1"), 0); /* each wallet has its own keys */
    assert_int_equal(ledger_deposit(ledger, STR("a"), LEDGER_AI, (struct money){5}, STR("pay_3"),
                                    &receipt, &err),
                     0);
    assert_string_equal(balances("a"), "150 5 0 5 0");
    assert_string_equal(balances("b"), "7 0 0 0 0");
}

static void
test_refused(void **state)
{
    (void)state;
    static char long_key[LEDGER_KEY_BYTES_MAX + 2];
    static char long_name[LEDGER_NAME_BYTES_MAX + 2];
    memset(long_key, 'k', sizeof long_key - 1);
    memset(long_name, 'n', sizeof long_name - 1);
    const struct {
        const char *wallet;
        int64_t nano;
        const char *key;
        int want;
    } rows[] = {
        {"", 1, "k", -ERR_INVALID},        {"a/b", 1, "k", -ERR_INVALID},
        {"..", 1, "k", -ERR_INVALID},      {"a b", 1, "k", -ERR_INVALID},
        {long_name, 1, "k", -ERR_INVALID}, {long_name + 1, 1, "k", 0},
        {"a", 0, "k", -ERR_INVALID},       {"a", -1, "k", -ERR_INVALID},
        {"a", 1, "", -ERR_INVALID},        {"a", 1, " \t", -ERR_INVALID},
        {"a", 1, long_key, -ERR_INVALID},  {"a", 1, long_key + 1, 0},
        {"a", 1, "\xff / \"", 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        if (deposit(rows[i].wallet, rows[i].nano, rows[i].key) != rows[i].want)
            fail_msg("row %zu: %s", i, err.text);
    }
    struct ledger_config config = {.fee_bps = 10000};
    struct ledger *other = NULL;
    assert_int_equal(ledger_new(store, &config, &other, &err), -ERR_INVALID);
    check_audit();
}

/* LW-05: at the edges of int64 an operation is refused and nothing moves. */
static void
test_edges(void **state)
{
    (void)state;
    assert_int_equal(deposit("a", INT64_MAX - 1, "1"), 0);
    assert_int_equal(deposit("a", 2, "2"), -ERR_RANGE);
    assert_int_equal(deposit("a", 1, "3"), 0);
    assert_int_equal(deposit("a", 1, "4"), -ERR_RANGE);
    assert_string_equal(balances("a"), "9223372036854775807 0 0 0 0");
}

static void
test_transfer(void **state)
{
    (void)state;
    static const struct {
        const char *key;
        int64_t nano;
        int32_t expected_fee_bps;
        int want;
        int64_t fee;
        bool replayed;
        const char *text;
    } rows[] = {
        {"t1", 1000, LEDGER_ANY_FEE, 0, 25, false, ""},
        {"t1", 1000, LEDGER_ANY_FEE, 0, 25, true, ""},
        {"t1", 1000, 9, 0, 25, true, ""}, /* a replay answers whatever the fee is now */
        {"t1", 1001, 250, -ERR_KEY_REUSED, 0, false, "KEY_REUSED"},
        {"t2", 20, 250, 0, 1, false, ""}, /* 0.5 rounds up */
        {"t3", 19, 250, 0, 0, false, ""},
        {"t4", 100, 249, -ERR_CONFLICT, 0, false, "FEE_CHANGED"},
        {"t4", 100, 10000, -ERR_INVALID, 0, false, ""},
        {"t4", 100, -2, -ERR_INVALID, 0, false, ""},
        {"t4", 8962, 250, -ERR_OVERDRAWN, 0, false, "INSUFFICIENT_BALANCE"},
        {"t4", INT64_MAX, 250, -ERR_OVERDRAWN, 0, false, "INSUFFICIENT_BALANCE"},
        {"t4", 0, 250, -ERR_INVALID, 0, false, ""},
        {"t4", 8961, 250, 0, 224, false, ""},
        {"t5", 1, 250, -ERR_OVERDRAWN, 0, false, ""},
    };
    reopen_with(250);
    assert_int_equal(deposit("a", 10000, "d"), 0);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct ledger_receipt receipt = {.gross = {-7}};
        int r = ledger_transfer(ledger, STR("a"), (struct money){rows[i].nano},
                                str_from(rows[i].key), rows[i].expected_fee_bps, &receipt, &err);
        if (r != rows[i].want || (r < 0 && !strstr(err.text, rows[i].text)))
            fail_msg("row %zu: %d %s", i, r, err.text);
        if (r < 0) {
            assert_true(receipt.gross.nano == -7);
            continue;
        }
        assert_true(receipt.replayed == rows[i].replayed && receipt.fee.nano == rows[i].fee);
        assert_true(receipt.gross.nano == receipt.net.nano + receipt.fee.nano);
    }
    assert_string_equal(balances("a"), "0 9750 0 9750 0");
    reopen_with(0); /* "a year later": the same answer */
    struct ledger_receipt receipt;
    assert_int_equal(ledger_transfer(ledger, STR("a"), (struct money){1000}, STR("t1"),
                                     LEDGER_ANY_FEE, &receipt, &err),
                     0);
    assert_true(receipt.replayed && receipt.fee.nano == 25 && receipt.general.nano == 9000);
}

static void
test_adjust(void **state)
{
    (void)state;
    struct ledger_receipt receipt;
    assert_int_equal(ledger_adjust(ledger, STR("a"), LEDGER_AI, (struct money){-5}, STR("k"),
                                   STR("chargeback \"x\""), &receipt, &err),
                     0);
    assert_true(receipt.ai.nano == -5);
    assert_int_equal(ledger_adjust(ledger, STR("a"), LEDGER_AI, (struct money){-5}, STR("k"),
                                   STR("chargeback"), &receipt, &err),
                     0);
    assert_true(receipt.replayed);
    assert_int_equal(ledger_adjust(ledger, STR("a"), LEDGER_AI, (struct money){1}, STR("l"),
                                   STR(""), &receipt, &err),
                     -ERR_INVALID);
    assert_int_equal(ledger_adjust(ledger, STR("a"), LEDGER_AI, (struct money){INT64_MIN}, STR("l"),
                                   STR("x"), &receipt, &err),
                     -ERR_RANGE);
    assert_string_equal(balances("a"), "0 -5 0 -5 0");
}

/* "granted rest" or the error's name */
static const char *
want(const char *wallet, uint64_t epoch, int64_t granted, int64_t more)
{
    struct ledger_lease lease;
    int r = lease_want(ledger, STR("n1"), epoch, str_from(wallet), (struct money){granted},
                       (struct money){more}, &lease, &err);
    check_audit();
    if (r < 0)
        return err_name(r);
    return arena_printf(&arena, "%lld %lld%s", (long long)lease.granted.nano,
                        (long long)lease.rest.nano, lease.empty ? " empty" : "")
        .ptr;
}

static void
test_lease(void **state)
{
    (void)state;
    struct ledger_receipt receipt;
    struct ledger_lease lease;
    assert_string_equal(want("a", 1, 0, 10), "0 0 empty");
    assert_int_equal(lease_get(ledger, STR("n1"), 1, STR("a"), &lease, &err), -ERR_NOT_FOUND);
    assert_int_equal(
        ledger_deposit(ledger, STR("a"), LEDGER_AI, (struct money){100}, STR("d"), &receipt, &err),
        0);
    assert_string_equal(want("a", 1, 0, 60), "60 60");
    assert_string_equal(balances("a"), "0 100 0 100 60");
    assert_string_equal(want("a", 1, 0, 60), "60 60"); /* the answer was lost: no more money */
    assert_string_equal(want("a", 1, 60, 0), "60 60");
    assert_string_equal(want("a", 1, 61, 1), "CONFLICT");
    assert_string_equal(want("a", 1, 60, -1), "INVALID");
    assert_string_equal(want("a", 1, 60, 60), "100 100 empty"); /* what there is */
    assert_string_equal(want("a", 2, 0, 1), "0 0 empty");
    struct money part = {30};
    assert_int_equal(lease_return(ledger, STR("n1"), 1, STR("a"), part, &err), 0);
    assert_string_equal(balances("a"), "0 100 0 100 70");
    assert_int_equal(lease_return(ledger, STR("n1"), 1, STR("a"), part, &err), 0); /* again */
    assert_string_equal(balances("a"), "0 100 0 100 70");
    part.nano = 101;
    assert_int_equal(lease_return(ledger, STR("n1"), 1, STR("a"), part, &err), -ERR_RANGE);
    part.nano = -1;
    assert_int_equal(lease_return(ledger, STR("n1"), 1, STR("a"), part, &err), -ERR_INVALID);
    assert_int_equal(lease_get(ledger, STR("n1"), 1, STR("a"), &lease, &err), 0);
    assert_true(lease.granted.nano == 100 && lease.rest.nano == 70 && !lease.empty);
    assert_string_equal(want("a", 2, 0, 10), "10 10");
    struct ledger_lease_row *rows;
    size_t count;
    assert_int_equal(lease_list(ledger, STR(""), 0, &arena, &rows, &count, &err), 0);
    assert_true(count == 2 && str_eq(rows[1].node, STR("n1")) && rows[1].epoch == 2);
    assert_int_equal(lease_list(ledger, STR("n1"), 1, &arena, &rows, &count, &err), 0);
    assert_true(count == 1 && str_eq(rows[0].wallet, STR("a")) && rows[0].granted.nano == 100 &&
                rows[0].rest.nano == 70);
    assert_int_equal(lease_list(ledger, STR("n2"), 1, &arena, &rows, &count, &err), 0);
    assert_true(count == 0);
    assert_int_equal(lease_close(ledger, STR("n1"), 1, &err), 0);
    assert_string_equal(balances("a"), "0 100 0 100 10");
    assert_string_equal(want("a", 1, 100, 1), "REVOKED");
    part.nano = 90;
    assert_int_equal(lease_return(ledger, STR("n1"), 1, STR("a"), part, &err), 0);
    assert_int_equal(lease_get(ledger, STR("n1"), 1, STR("a"), &lease, &err), -ERR_NOT_FOUND);
    assert_int_equal(lease_close(ledger, STR("n1"), 1, &err), 0);
    assert_string_equal(want("a", 2, 10, 90), "100 100 empty"); /* the other epoch goes on */
}

/* What a node gets of what there is. */
static void
test_share(void **state)
{
    (void)state;
#define USD 1000000000ll
    static const struct {
        const char *name;
        int64_t has;
        int64_t want;
        int64_t need;
        int64_t got;
    } rows[] = {
        {"a little of much", 100 * USD, USD, 0, USD},
        {"a quarter at most", 100 * USD, 60 * USD, 0, 25 * USD},
        {"what waits for it", 100 * USD, 60 * USD, 50 * USD, 50 * USD},
        {"all of it, needed", 100 * USD, 0, 100 * USD, 100 * USD},
        {"more than there is", 100 * USD, 200 * USD, 100 * USD + 1, 25 * USD},
        {"nothing but that", 100 * USD, 0, 101 * USD, 0},
        {"crumbs", USD / 100, USD, 0, USD / 100},
        {"nearly crumbs", USD / 25, USD, 0, USD / 50},
        {"nothing there", 0, USD, USD, 0},
        {"nothing wanted", USD, 0, 0, 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct ledger_receipt receipt;
        struct ledger_lease lease;
        char name[16];
        (void)snprintf(name, sizeof name, "w%zu", i);
        const struct ledger_ask ask = {.node = STR("n1"),
                                       .epoch = 1,
                                       .wallet = str_from(name),
                                       .want = {rows[i].want},
                                       .need = {rows[i].need}};
        if (rows[i].has > 0)
            assert_int_equal(ledger_deposit(ledger, ask.wallet, LEDGER_AI,
                                            (struct money){rows[i].has}, STR("d"), &receipt, &err),
                             0);
        assert_int_equal(lease_ask(ledger, &ask, &lease, &err), 0);
        if (lease.granted.nano != rows[i].got || lease.rest.nano != rows[i].got)
            fail_msg("%s: %lld", rows[i].name, (long long)lease.granted.nano);
    }
    const struct ledger_ask bad = {
        .node = STR("n1"), .epoch = 1, .wallet = STR("w0"), .need = {-1}};
    struct ledger_lease lease;
    assert_int_equal(lease_ask(ledger, &bad, &lease, &err), -ERR_INVALID);
    check_audit();
}

/* The lease of a lost node comes back; what it had spent of it is posted all the same. */
static void
test_orphan(void **state)
{
    (void)state;
    struct ledger_receipt receipt;
    struct ledger_applied applied;
    struct ledger_lease lease;
    struct ledger_lease_row *rows;
    struct ledger_audit audit;
    size_t count;
    const struct ledger_stream stream = {STR("n1"), 1, STR("0")};
#define PAID "\"wallet\":\"a\",\"provider\":\"p\",\"cost\":\"9\",\"charge\":"
    const struct str records[] = {STR("{\"seq\":\"1\"," PAID "\"20\"}"),
                                  STR("{\"seq\":\"2\"," PAID "\"30\"}")};
    assert_int_equal(
        ledger_deposit(ledger, STR("a"), LEDGER_AI, (struct money){100}, STR("d"), &receipt, &err),
        0);
    assert_string_equal(want("a", 1, 0, 60), "60 60");
    assert_int_equal(usage_apply(ledger, &stream, 1, records, 1, &applied, &err), 0);
    assert_int_equal(lease_orphan(ledger, STR("n1"), 1, STR("b"), &err), 0);
    assert_int_equal(lease_orphan(ledger, STR("n1"), 1, STR("a"), &err), 0);
    assert_int_equal(lease_orphan(ledger, STR("n1"), 1, STR("a"), &err), 0);
    assert_int_equal(lease_orphan(ledger, STR("n1"), 1, STR("/"), &err), -ERR_INVALID);
    assert_string_equal(balances("a"), "0 100 20 80 0");
    assert_int_equal(lease_list(ledger, STR("n1"), 1, &arena, &rows, &count, &err), 0);
    assert_true(count == 1 && rows[0].orphaned.nano == 40 && rows[0].rest.nano == 0);
    assert_int_equal(ledger_audit(ledger, &audit, &err), 0);
    assert_true(audit.orphans == 1 && audit.orphaned.nano == 40);
    /* it is back: it hears how much it has lost, posts what it owes, and gets new money */
    assert_int_equal(usage_apply(ledger, &stream, 2, records + 1, 1, &applied, &err), 0);
    assert_string_equal(balances("a"), "0 100 50 50 0");
    assert_int_equal(lease_get(ledger, STR("n1"), 1, STR("a"), &lease, &err), 0);
    assert_true(lease.returned.nano == 40);
    assert_string_equal(want("a", 1, 60, 10), "70 10");
    assert_int_equal(lease_return(ledger, STR("n1"), 1, STR("a"), (struct money){50}, &err), 0);
    assert_string_equal(balances("a"), "0 100 50 50 0");
}

/* More wallets than a commit or a page holds. */
static void
test_close_many(void **state)
{
    (void)state;
    char name[16];
    struct ledger_receipt receipt;
    struct ledger_lease lease;
    for (unsigned i = 0; i < 450; i++) {
        (void)snprintf(name, sizeof name, "w%u", i);
        assert_int_equal(ledger_deposit(ledger, str_from(name), LEDGER_AI, (struct money){10},
                                        STR("d"), &receipt, &err),
                         0);
        assert_int_equal(lease_want(ledger, STR("n1"), 1, str_from(name), (struct money){0},
                                    (struct money){7}, &lease, &err),
                         0);
    }
    store_fail_commit(store, 200, false);
    assert_int_equal(lease_close(ledger, STR("n1"), 1, &err), -ERR_STORE);
    assert_int_equal(lease_close(ledger, STR("n1"), 1, &err), 0);
    for (unsigned i = 0; i < 450; i++) {
        struct ledger_balances b;
        (void)snprintf(name, sizeof name, "w%u", i);
        assert_int_equal(ledger_balances(ledger, str_from(name), &b, &err), 0);
        assert_true(b.held.nano == 0 && b.ai_remaining.nano == 10);
    }
    check_audit();
}

static void
test_transactions(void **state)
{
    (void)state;
    char key[16];
    for (unsigned i = 1; i <= 25; i++) {
        (void)snprintf(key, sizeof key, "k%u", i);
        assert_int_equal(deposit(i % 5 ? "a" : "b", i, key), 0);
    }
    struct ledger_transaction *page;
    size_t count;
    uint64_t next = 0;
    const char *seen = "";
    do {
        assert_int_equal(
            ledger_transactions(ledger, STR("b"), next, 2, &arena, &page, &count, &next, &err), 0);
        for (size_t i = 0; i < count; i++)
            seen = arena_printf(&arena, "%s%llu ", seen, (unsigned long long)page[i].id).ptr;
        seen = arena_printf(&arena, "%s| ", seen).ptr;
    } while (next != 0);
    assert_string_equal(seen, "25 20 | 15 10 | 5 | ");
    assert_int_equal(
        ledger_transactions(ledger, STR(""), 0, 100, &arena, &page, &count, &next, &err), 0);
    assert_true(count == 25 && page[0].id == 25 && next == 0);
    assert_true(str_find(page[0].text,
                         STR("{\"account\":\"deposits\",\"amount\":\"-25\"},"
                             "{\"account\":\"wallet/b/general\",\"amount\":\"25\"}")) != SIZE_MAX);
    assert_true(str_find(page[0].text, STR("\"kind\":\"deposit\",\"wallet\":\"b\"")) != SIZE_MAX);
    assert_int_equal(
        ledger_transactions(ledger, STR(""), 0, 101, &arena, &page, &count, &next, &err),
        -ERR_INVALID);
}

/* LW-21: whatever somebody does to the rows offline, the audit says where. */
static void
test_audit(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        const char *key;
        const char *from; /* NULL: delete the row */
        const char *to;
        const char *want;
        uint64_t bad;
    } rows[] = {
        {"edited amount", "ledger/tx/00000000000000000002", "\"20\"", "\"21\"", "sum to zero", 2},
        {"edited account", "ledger/tx/00000000000000000002", "deposits", "gifts", "chain is broken",
         3},
        {"edited kind", "ledger/tx/00000000000000000002", "deposit", "gift", "chain is broken", 3},
        {"edited last", "ledger/tx/00000000000000000005", "lease", "other", "the head", 5},
        {"deleted", "ledger/tx/00000000000000000002", NULL, NULL, "missing", 2},
        {"deleted last", "ledger/tx/00000000000000000005", NULL, NULL, "the head", 4},
        {"renumbered", "ledger/tx/00000000000000000001", "\"id\":\"1\"", "\"id\":\"2\"",
         "its id is another", 1},
        {"balance", "ledger/balance/wallet/a/general", "30", "31", "its transactions say", 0},
        {"no balance", "ledger/balance/wallet/a/general", NULL, NULL, "is missing", 0},
        {"lease", "ledger/lease/n1/1/a", "\"granted\":\"6\"", "\"granted\":\"7\"",
         "sum of its leases", 0},
        {"no lease", "ledger/lease/n1/1/a", NULL, NULL, "sum of its leases", 0},
        {"head", "ledger/head", "\"5\"", "\"6\"", "the head", 5},
        {"garbage", "ledger/tx/00000000000000000003", "{", "[", "no JSON", 3},
    };
    struct ledger_receipt receipt;
    assert_int_equal(deposit("a", 10, "1"), 0);
    assert_int_equal(deposit("a", 20, "2"), 0);
    assert_int_equal(
        ledger_deposit(ledger, STR("a"), LEDGER_AI, (struct money){7}, STR("3"), &receipt, &err),
        0);
    assert_int_equal(deposit("b", 1, "4"), 0);
    assert_string_equal(want("a", 1, 0, 6), "6 6");
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct store_row row;
        assert_int_equal(store_get(store, str_from(rows[i].key), &arena, &row), 0);
        struct store_op op = {.delete_ = rows[i].from == NULL, .key = row.key, .value = STR_EMPTY};
        struct str rest = row.value;
        size_t at;
        while (rows[i].from && (at = str_find(rest, str_from(rows[i].from))) != SIZE_MAX) {
            op.value = arena_printf(&arena, "%.*s%.*s%s", STR_ARG(op.value), (int)at, rest.ptr,
                                    rows[i].to);
            rest = str_skip(rest, at + strlen(rows[i].from));
        }
        op.value = arena_printf(&arena, "%.*s%.*s", STR_ARG(op.value), STR_ARG(rest));
        assert_int_equal(store_commit(store, NULL, 0, &op, 1, NULL), 0);
        struct ledger_audit audit;
        assert_int_equal(ledger_audit(ledger, &audit, &err), -ERR_STORE);
        if (!strstr(err.text, rows[i].want) || audit.bad != rows[i].bad)
            fail_msg("%s: %s (%llu)", rows[i].name, err.text, (unsigned long long)audit.bad);
        op = (struct store_op){.key = row.key, .value = row.value};
        assert_int_equal(store_commit(store, NULL, 0, &op, 1, NULL), 0);
        check_audit();
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_deposit, setup, teardown),
        cmocka_unit_test_setup_teardown(test_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(test_edges, setup, teardown),
        cmocka_unit_test_setup_teardown(test_transfer, setup, teardown),
        cmocka_unit_test_setup_teardown(test_adjust, setup, teardown),
        cmocka_unit_test_setup_teardown(test_lease, setup, teardown),
        cmocka_unit_test_setup_teardown(test_share, setup, teardown),
        cmocka_unit_test_setup_teardown(test_orphan, setup, teardown),
        cmocka_unit_test_setup_teardown(test_close_many, setup, teardown),
        cmocka_unit_test_setup_teardown(test_transactions, setup, teardown),
        cmocka_unit_test_setup_teardown(test_audit, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
