/* SPDX-License-Identifier: MIT
 * ledger_edge_test.c - what every call of the ledger refuses, and the edges of its sizes and
 *            numbers.
 * Floor: controlplane/ledger tests.
 * Owns: nothing.
 * Invariant: see ledger.h. */
#include "controlplane/ledger/ledger_test_rig.h"

static int
audit_and_end(void **state)
{
    struct ledger_audit audit;
    if (ledger_audit(ledger, &audit, &err) < 0)
        fail_msg("%s", err.text);
    (void)teardown(state);
    ledger_free(&ledger); /* harmless */
    ledger_free(NULL);
    return 0;
}

static void
test_names(void **state)
{
    static const char *const good[] = {"a", "z", "A", "Z", "0", "9", "a.b", "a_b", "a-b", "..."};
    static const char *const bad[] = {"",  ".", "..", "/",   ":",     "@",        "[",
                                      "`", "{", "!",  "a b", "a\x7f", "a\xc3\xa9"};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        if (!ledger_name_valid(str_from(good[i])))
            fail_msg("%s", good[i]);
    }
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        if (ledger_name_valid(str_from(bad[i])))
            fail_msg("%s", bad[i]);
    }
}

static void
test_refused(void **state)
{
    char long_text[STORE_KEY_BYTES_MAX + 2];
    const struct str bad = STR("a/b");
    const struct str good = STR("a");
    const struct ledger_stream of_bad_node = {bad, 1, STR("0")};
    const struct ledger_stream bad_stream = {STR("n"), 1, bad};
    const struct ledger_stream quarantine = {STR("quarantine"), 1, STR("0")};
    const struct usage_filter no_group = {.group = (enum usage_group)9};
    const struct usage_query queries[] = {
        {.since_s = -1}, {.until_s = -1}, {.since_s = 7200, .until_s = 3600}};
    struct ledger_receipt receipt;
    struct ledger_balances balances;
    struct ledger_lease lease;
    struct ledger_lease_row *leases;
    struct ledger_transaction *transactions;
    struct store_row *rows;
    struct usage_sum *sums;
    struct usage_row *used;
    struct money moved;
    uint64_t next;
    size_t count;
    bool flag;
    const struct money one = {1};
    memset(long_text, 'x', sizeof long_text - 1);
    long_text[sizeof long_text - 1] = '\0';
    (void)state;
#define REFUSED(call) assert_int_equal(call, -ERR_INVALID)
    REFUSED(ledger_deposit(ledger, good, (enum ledger_purse)7, one, good, &receipt, &err));
    REFUSED(ledger_transfer(ledger, bad, one, good, 0, &receipt, &err));
    REFUSED(ledger_adjust(ledger, good, LEDGER_AI, one, good, STR(""), &receipt, &err));
    REFUSED(ledger_adjust(ledger, good, LEDGER_AI, one, good, str_make(long_text, 201), &receipt,
                          &err));
    REFUSED(ledger_adjust(ledger, good, LEDGER_AI, one, good, STR("\xff"), &receipt, &err));
    REFUSED(ledger_balances(ledger, bad, &balances, &err));
    REFUSED(ledger_allow(ledger, bad, good, one, &moved, &flag, &err));
    REFUSED(ledger_allow(ledger, good, bad, one, &moved, &flag, &err));
    REFUSED(ledger_allow(ledger, good, good, one, &moved, &flag, &err));
    REFUSED(lease_want(ledger, good, 1, bad, one, one, &lease, &err));
    REFUSED(lease_get(ledger, bad, 1, good, &lease, &err));
    REFUSED(lease_get(ledger, good, 1, bad, &lease, &err));
    REFUSED(lease_list(ledger, bad, 1, &arena, &leases, &count, &err));
    REFUSED(lease_return(ledger, bad, 1, good, one, &err));
    REFUSED(lease_orphan(ledger, bad, 1, good, &err));
    REFUSED(lease_close(ledger, bad, 1, &err));
    REFUSED(usage_mark(ledger, &of_bad_node, &next, &err));
    REFUSED(usage_mark(ledger, &bad_stream, &next, &err));
    REFUSED(usage_mark(ledger, &quarantine, &next, &err));
    REFUSED(usage_list(ledger, STR_EMPTY, 0, &arena, &rows, &count, &err));
    REFUSED(usage_list(ledger, STR_EMPTY, 1001, &arena, &rows, &count, &err));
    REFUSED(usage_list(ledger, str_from(long_text), 10, &arena, &rows, &count, &err));
    REFUSED(ledger_transactions(ledger, good, 0, 0, &arena, &transactions, &count, &next, &err));
    REFUSED(ledger_transactions(ledger, good, 0, 101, &arena, &transactions, &count, &next, &err));
    REFUSED(usage_sums(ledger, &no_group, &arena, &sums, &count, &err));
    for (size_t i = 0; i < ARRAY_LEN(queries); i++)
        REFUSED(usage_query(ledger, &queries[i], &arena, &used, &count, &flag, &err));
}

static int64_t
adjust(const char *wallet, int64_t nano, const char *key)
{
    struct ledger_receipt receipt;
    return ledger_adjust(ledger, str_from(wallet), LEDGER_AI, (struct money){nano}, str_from(key),
                         STR("why"), &receipt, &err);
}

static void
test_numbers(void **state)
{
    struct ledger_receipt receipt;
    struct ledger_lease lease;
    struct money moved;
    bool is_short;
    (void)state;
    /* a lease whose sum of grants leaves int64, though the money is there */
    assert_int_equal(adjust("a", INT64_MAX - 9, "1"), 0);
    assert_int_equal(lease_want(ledger, STR("n"), 1, STR("a"), (struct money){0},
                                (struct money){INT64_MAX}, &lease, &err),
                     0);
    assert_int_equal(lease_return(ledger, STR("n"), 1, STR("a"), lease.granted, &err), 0);
    assert_int_equal(
        lease_want(ledger, STR("n"), 1, STR("a"), lease.granted, (struct money){100}, &lease, &err),
        -ERR_RANGE);
    /* what is left of a wallet that is fed leaves int64: purse and lease, or far below zero */
    assert_int_equal(lease_want(ledger, STR("m"), 1, STR("a"), (struct money){0},
                                (struct money){100}, &lease, &err),
                     0);
    assert_int_equal(
        ledger_deposit(ledger, STR("a"), LEDGER_AI, (struct money){109}, STR("2"), &receipt, &err),
        0); /* the house's account of corrections is full */
    assert_int_equal(
        ledger_allow(ledger, STR("b"), STR("a"), (struct money){5}, &moved, &is_short, &err),
        -ERR_RANGE);
    assert_int_equal(adjust("c", -100, "1"), 0);
    assert_int_equal(ledger_allow(ledger, STR("b"), STR("c"), (struct money){INT64_MAX}, &moved,
                                  &is_short, &err),
                     -ERR_RANGE);
    assert_int_equal(lease_return(ledger, STR("m"), 1, STR("a"), (struct money){100}, &err),
                     -ERR_RANGE);
}

/* A page shorter than what there is; one that begins where there is nothing; and a search that ends
 * before it has found anything. */
static void
test_transactions(void **state)
{
    struct ledger_transaction *rows;
    uint64_t next;
    size_t count;
    (void)state;
    assert_int_equal(adjust("a", 1, "1"), 0);
    for (unsigned i = 0; i < 10001; i++)
        assert_int_equal(adjust("b", 1, arena_printf(&arena, "%u", i).ptr), 0);
    assert_int_equal(
        ledger_transactions(ledger, STR("b"), 0, 2, &arena, &rows, &count, &next, &err), 0);
    assert_true(count == 2 && rows[0].id == 10002 && next == 10001);
    assert_int_equal(
        ledger_transactions(ledger, STR("b"), 99999, 2, &arena, &rows, &count, &next, &err), 0);
    assert_true(count == 2 && rows[0].id == 10002);
    assert_int_equal(
        ledger_transactions(ledger, STR("a"), 0, 2, &arena, &rows, &count, &next, &err), 0);
    assert_true(count == 0 && next == 3);
    assert_int_equal(
        ledger_transactions(ledger, STR("a"), next, 2, &arena, &rows, &count, &next, &err), 0);
    assert_true(count == 1 && rows[0].id == 1 && next == 0);
}

/* More wallets, and more bytes, than one commit takes; records of the known form that are bad. */
static void
test_records(void **state)
{
    static const struct ledger_stream stream = {{"n", 1}, 1, {"0", 1}};
    static const char *const poison[] = {
        "{\"wallet\":\"a\",\"provider\":\"p\",\"charge\":\"1\",\"cost\":\"1\"}",
        "{\"seq\":\"%zu\",\"provider\":\"p\",\"charge\":\"1\",\"cost\":\"1\"}",
        "{\"seq\":\"%zu\",\"wallet\":\"a\",\"charge\":\"1\",\"cost\":\"1\"}",
        "{\"seq\":\"%zu\",\"wallet\":\"a\",\"provider\":\"p\",\"cost\":\"1\"}",
        "{\"seq\":\"%zu\",\"wallet\":\"a\",\"provider\":\"p\",\"charge\":\"1\"}",
        "{\"seq\":\"%zu\",\"wallet\":\"a\",\"provider\":\"p\",\"charge\":\"9999999999999999999\","
        "\"cost\":\"1\"}",
        "{\"seq\":\"%zu\",\"wallet\":\"a\",\"provider\":\"p\",\"charge\":\"1\",\"cost\":\"2\"}",
        "{\"seq\":\"-%zu\",\"odd\":1,\"wallet\":\"a\",\"provider\":\"p\",\"charge\":\"1\","
        "\"cost\":\"1\"}",
        "{\"odd\":1,\"wallet\":\"a\",\"provider\":\"p\",\"charge\":\"1\",\"cost\":\"1\"}",
        "{\"seq\":\"9%zu\",\"odd\":1,\"wallet\":\"a\",\"provider\":\"p\",\"charge\":\"1\","
        "\"cost\":\"1\"}",
    };
    struct ledger_applied applied;
    struct str records[64];
    size_t count = 0;
    (void)state;
    for (; count < 50; count++) {
        records[count] = arena_printf(&arena,
                                      "{\"seq\":\"%zu\",\"wallet\":\"w%zu\",\"provider\":\"p\","
                                      "\"charge\":\"1\",\"cost\":\"1\"}",
                                      count + 1, count);
    }
    for (size_t i = 0; i < ARRAY_LEN(poison); i++, count++) {
        struct str head;
        struct str rest;
        struct str text = str_from(poison[i]);
        records[count] = str_cut(text, '%', &head, &rest)
                             ? arena_printf(&arena, "%.*s%zu%.*s", STR_ARG(head), count + 1,
                                            STR_ARG(str_skip(rest, 2)))
                             : text;
    }
    size_t bytes = 70000; /* a record of the known form, larger than a record may be */
    char *large = arena_alloc(&arena, bytes);
    memset(large, 'i', bytes);
    records[count] = arena_printf(&arena,
                                  "{\"seq\":\"%zu\",\"id\":\"%.*s\",\"wallet\":\"a\",\"provider\":"
                                  "\"p\",\"charge\":\"1\",\"cost\":\"1\"}",
                                  count + 1, (int)bytes, large);
    count++;
    assert_int_equal(usage_apply(ledger, &stream, 1, records, count, &applied, &err), 0);
    if (applied.posted != 50 || applied.quarantined != count - 50)
        fail_msg("%zu posted, %zu not", applied.posted, applied.quarantined);
    assert_int_equal(usage_apply(ledger, &stream, count + 1, NULL, 0, &applied, &err), 0);
    assert_true(applied.posted == 0 && applied.seq == count);
}

/* Sums of two wallets that no number holds; names that no page holds. */
static void
test_sums(void **state)
{
    static const char *const wallets[] = {"a", "b"};
    const struct usage_query by_model = {.by = USAGE_MODEL};
    const struct usage_query by_wallet = {.by = USAGE_WALLET | USAGE_MODEL};
    char name[200];
    struct usage_row *rows;
    size_t count;
    bool behind;
    (void)state;
    memset(name, 'm', sizeof name);
    for (size_t w = 0; w < 2; w++) {
        const struct ledger_stream stream = {str_from(wallets[w]), 1, STR("0")};
        struct str records[500];
        for (uint64_t seq = 1; seq <= 5000; seq += ARRAY_LEN(records)) {
            struct ledger_applied applied;
            for (size_t i = 0; i < ARRAY_LEN(records); i++) {
                records[i] =
                    arena_printf(&arena,
                                 "{\"seq\":\"%llu\",\"wallet\":\"%s\",\"model\":\"%.*s\","
                                 "\"provider\":\"p%zu\",\"charge\":\"%lld\",\"cost\":\"%lld\"}",
                                 (unsigned long long)seq + i, wallets[w], (int)sizeof name, name, w,
                                 LEDGER_CHARGE_NANO_MAX, LEDGER_CHARGE_NANO_MAX);
            }
            assert_int_equal(
                usage_apply(ledger, &stream, seq, records, ARRAY_LEN(records), &applied, &err), 0);
            assert_int_equal(applied.posted + applied.quarantined, ARRAY_LEN(records));
        }
    }
    assert_int_equal(usage_query(ledger, &by_wallet, &arena, &rows, &count, &behind, &err), 0);
    assert_true(count == 2 && str_eq(rows[0].model, STR("(long)")));
    assert_int_equal(usage_query(ledger, &by_model, &arena, &rows, &count, &behind, &err),
                     -ERR_RANGE);
    assert_non_null(strstr(err.text, "range of money"));
}

/* An hour with more names than a page of it may have: the next page; and no step rewrites more than
 * it may. */
static void
test_pages(void **state)
{
    struct usage_row *rows;
    size_t count;
    bool more = true;
    uint64_t posted = 0;
    char name[121];
    (void)state;
    memset(name, 's', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    for (unsigned round = 0; round < 3; round++) {
        const struct ledger_stream stream = {STR("n"), round + 1, STR("0")};
        struct str records[600];
        uint64_t seq = 1;
        for (unsigned part = 0; part < 15; part++) {
            struct ledger_applied applied;
            for (size_t i = 0; i < ARRAY_LEN(records); i++) {
                records[i] = arena_printf(
                    &arena,
                    "{\"seq\":\"%llu\",\"at_ms\":%u,\"wallet\":\"a\",\"subject\":\"%.110s%llu\","
                    "\"provider\":\"p\",\"charge\":\"1\",\"cost\":\"1\"}",
                    (unsigned long long)seq + i, (part % (round == 0 ? 2 : 5)) * 3600000u, name,
                    (unsigned long long)seq + i);
            }
            assert_int_equal(
                usage_apply(ledger, &stream, seq, records, ARRAY_LEN(records), &applied, &err), 0);
            seq += ARRAY_LEN(records);
            posted += ARRAY_LEN(records);
        }
        for (more = true; more;)
            assert_int_equal(usage_rollup_step(ledger, &more, &err), 0);
    }
    const struct usage_query all = {.by = USAGE_WALLET};
    const struct usage_query each = {.by = USAGE_PROVIDER};
    const struct ledger_stream other = {STR("m"), 1, STR("0")};
    struct ledger_applied applied;
    const struct str two[] = {
        STR("{\"seq\":\"1\",\"wallet\":\"b\",\"provider\":\"y\",\"charge\":\"1\",\"cost\":\"1\"}"),
        STR("{\"seq\":\"2\",\"wallet\":\"b\",\"provider\":\"x\",\"charge\":\"1\",\"cost\":\"1\"}")};
    assert_int_equal(usage_apply(ledger, &other, 1, two, 2, &applied, &err), 0);
    assert_int_equal(usage_query(ledger, &each, &arena, &rows, &count, &more, &err), 0);
    assert_true(count == 3 && str_eq(rows[1].provider, STR("x")));
    assert_int_equal(usage_query(ledger, &all, &arena, &rows, &count, &more, &err), 0);
    assert_true(count == 2 && rows[0].requests == posted);
    assert_true(rows[0].charge.nano == (int64_t)posted);
}

/* Another control plane posts between our look at the mark and our commit. */
static void
post_first(void *user)
{
    const struct str record = STR("{\"seq\":\"1\",\"wallet\":\"a\",\"provider\":\"p\","
                                  "\"charge\":\"1\",\"cost\":\"1\"}");
    struct ledger_config config = {0};
    struct ledger_applied applied;
    struct ledger *other;
    assert_int_equal(ledger_new(store, &config, &other, &err), 0);
    assert_int_equal(usage_apply(other, user, 1, &record, 1, &applied, &err), 0);
    ledger_free(&other);
}

static void
test_somebody_else(void **state)
{
    static struct ledger_stream stream = {{"n", 1}, 1, {"0", 1}};
    const struct str records[] = {
        STR("{\"seq\":\"1\",\"wallet\":\"a\",\"provider\":\"p\",\"charge\":\"1\",\"cost\":\"1\"}"),
        STR("{\"seq\":\"2\",\"wallet\":\"a\",\"provider\":\"p\",\"charge\":\"2\",\"cost\":\"1\"}")};
    struct ledger_applied applied;
    struct ledger_balances balances;
    (void)state;
    store_hook_call(store, 2, post_first, &stream);
    assert_int_equal(usage_apply(ledger, &stream, 1, records, 2, &applied, &err), -ERR_CONFLICT);
    assert_int_equal(usage_apply(ledger, &stream, 1, records, 2, &applied, &err), 0);
    assert_true(applied.repeated == 1 && applied.posted == 1);
    assert_int_equal(ledger_balances(ledger, STR("a"), &balances, &err), 0);
    assert_true(balances.ai_usage.nano == 3);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),
        cmocka_unit_test_setup_teardown(test_refused, setup, audit_and_end),
        cmocka_unit_test_setup_teardown(test_numbers, setup, audit_and_end),
        cmocka_unit_test_setup_teardown(test_transactions, setup, audit_and_end),
        cmocka_unit_test_setup_teardown(test_records, setup, audit_and_end),
        cmocka_unit_test_setup_teardown(test_sums, setup, audit_and_end),
        cmocka_unit_test_setup_teardown(test_pages, setup, audit_and_end),
        cmocka_unit_test_setup_teardown(test_somebody_else, setup, audit_and_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
