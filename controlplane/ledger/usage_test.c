/* SPDX-License-Identifier: MIT
 * usage_test.c - usage records are posted exactly once; poison is set aside; sums are right.
 * Floor: controlplane/ledger tests.
 * Owns: nothing.
 * Invariant: see ledger.h and usage_record.h. */
#include "controlplane/ledger/ledger_test_rig.h"

static const struct ledger_stream stream = {{"n1", 2}, 9, {"0", 1}};

static struct str
record(uint64_t seq, const char *wallet, const char *model, const char *provider, int64_t charge,
       int64_t cost)
{
    return arena_printf(
        &arena,
        "{\"seq\":\"%llu\",\"id\":\"req_%llu\",\"at_ms\":%llu,\"wallet\":\"%s\","
        "\"subject\":\"container/dev\",\"model\":\"%s\",\"provider\":\"%s\","
        "\"usage\":{\"input\":12,\"output\":3},\"charge\":\"%lld\",\"cost\":\"%lld\"}",
        (unsigned long long)seq, (unsigned long long)seq, (unsigned long long)seq * 1000, wallet,
        model, provider, (long long)charge, (long long)cost);
}

static void
fund(const char *wallet, int64_t ai, int64_t lease_nano)
{
    struct ledger_receipt receipt;
    struct ledger_lease lease;
    assert_int_equal(ledger_deposit(ledger, str_from(wallet), LEDGER_AI, (struct money){ai},
                                    STR("d"), &receipt, &err),
                     0);
    assert_int_equal(lease_want(ledger, stream.node, stream.epoch, str_from(wallet),
                                (struct money){0}, (struct money){lease_nano}, &lease, &err),
                     0);
}

/* "limit usage remaining held" */
static const char *
balances(const char *wallet)
{
    struct ledger_balances b;
    assert_int_equal(ledger_balances(ledger, str_from(wallet), &b, &err), 0);
    return arena_printf(&arena, "%lld %lld %lld %lld", (long long)b.ai_limit.nano,
                        (long long)b.ai_usage.nano, (long long)b.ai_remaining.nano,
                        (long long)b.held.nano)
        .ptr;
}

/* "seq posted repeated quarantined" */
static const char *
apply(uint64_t first, const struct str *records, size_t count)
{
    struct ledger_applied applied;
    int r = usage_apply(ledger, &stream, first, records, count, &applied, &err);
    return arena_printf(&arena, "%s%llu %zu %zu %zu", r < 0 ? err_name(r) : "",
                        (unsigned long long)applied.seq, applied.posted, applied.repeated,
                        applied.quarantined)
        .ptr;
}

static const char *
row(const char *key)
{
    struct store_row found;
    if (store_get(store, str_from(key), &arena, &found) < 0)
        return "-";
    return found.value.ptr;
}

/* The record behind a key. */
static const char *
listed(const char *after)
{
    struct store_row *rows;
    size_t count;
    if (usage_list(ledger, str_from(after), 1, &arena, &rows, &count, &err) < 0 || count == 0)
        return "-";
    return rows[0].value.ptr;
}

static void
test_exactly_once(void **state)
{
    (void)state;
    fund("a", 1000, 500);
    struct str records[] = {
        record(1, "a", "m", "openai", 105, 100), record(2, "a", "m", "openai", 21, 20),
        record(3, "a", "m", "anthropic", 10, 10), record(4, "a", "m", "", 0, 0)};
    assert_string_equal(apply(2, records + 1, 1), "CONFLICT0 0 0 0"); /* a gap */
    assert_string_equal(apply(0, records, 1), "INVALID0 0 0 0");
    assert_string_equal(apply(1, records, 2), "2 2 0 0");
    assert_string_equal(balances("a"), "1000 126 874 374");
    assert_string_equal(apply(1, records, 2), "2 0 2 0");
    assert_string_equal(apply(2, records + 1, 3), "4 2 1 0");
    assert_string_equal(apply(1, records, 1), "4 0 1 0");
    assert_string_equal(balances("a"), "1000 136 864 364");
    assert_string_equal(row("ledger/balance/provider_cost/openai"), "{\"nano\":\"120\"}");
    assert_string_equal(row("ledger/balance/provider_cost/anthropic"), "{\"nano\":\"10\"}");
    assert_string_equal(row("ledger/balance/markup"), "{\"nano\":\"6\"}");
    /* a row a commit, under its last sequence */
    assert_string_equal(row("usage/n1/9/0/00000000000000000001"), "-");
    assert_int_equal(row("usage/n1/9/0/00000000000000000002")[0], 1);
    assert_string_equal(listed("usage/n1/9/0/00000000000000000002"), records[2].ptr);
    uint64_t mark;
    assert_int_equal(usage_mark(ledger, &stream, &mark, &err), 0);
    assert_true(mark == 4);
    struct ledger_stream other = {STR("n1"), 10, STR("0")};
    struct ledger_applied applied;
    assert_int_equal(usage_apply(ledger, &other, 1, records, 1, &applied, &err), 0);
    assert_true(applied.posted == 1); /* another epoch is another stream */
    other.node = STR("quarantine");
    assert_int_equal(usage_apply(ledger, &other, 1, records, 1, &applied, &err), -ERR_INVALID);
}

static void
test_overdraft(void **state)
{
    (void)state;
    fund("a", 100, 60);
    struct str records[] = {record(1, "a", "m", "openai", 50, 50),
                            record(2, "a", "m", "openai", 80, 70)};
    assert_string_equal(apply(1, records, 1), "1 1 0 0");
    assert_null(strstr(row("ledger/tx/00000000000000000003"), "overdraft"));
    assert_string_equal(apply(2, records + 1, 1), "2 1 0 0");
    assert_string_equal(balances("a"), "100 130 -30 0");
    assert_non_null(strstr(row("ledger/tx/00000000000000000004"), "\"overdraft\":true"));
    assert_non_null(strstr(row("ledger/tx/00000000000000000004"),
                           "\"entries\":[{\"account\":\"wallet/a/holds\",\"amount\":\"-10\"},"
                           "{\"account\":\"wallet/a/ai\",\"amount\":\"-70\"},"
                           "{\"account\":\"provider_cost/openai\",\"amount\":\"70\"},"
                           "{\"account\":\"markup\",\"amount\":\"10\"}]"));
    struct ledger_lease lease;
    assert_int_equal(lease_want(ledger, stream.node, stream.epoch, STR("a"), (struct money){60},
                                (struct money){10}, &lease, &err),
                     0);
    assert_true(lease.granted.nano == 60 && lease.rest.nano == 0 && lease.empty);
}

static void
test_poison(void **state)
{
    (void)state;
    char *large = arena_zalloc(&arena, 3u << 20);
    memset(large, 1, (3u << 20) - 1);
    const struct {
        struct str text;
        const char *reason;
    } rows[] = {
        {STR_EMPTY, "no JSON"},
        {STR("{\"seq\""), "no JSON"},
        {STR("[]"), "not an object"},
        {STR("{\"seq\":\"1\",\"seq\":\"2\"}"), "no JSON"},
        {STR("\xff\xfe"), "no JSON"},
        {record(99, "a", "m", "openai", 1, 1), "seq is not"},
        {record(7, "a/b", "m", "openai", 1, 1), "bad wallet"},
        {record(8, "", "m", "openai", 1, 1), "bad wallet"},
        {record(9, "a", "m", "openai", -1, -1), "charge is not"},
        {record(10, "a", "m", "openai", LEDGER_CHARGE_NANO_MAX + 1, 1), "charge is not"},
        {record(11, "a", "m", "openai", 1, 2), "cost is not"},
        {record(12, "a", "m", "openai", 1, -2), "cost is not"},
        {record(13, "a", "m", "x y", 1, 1), "bad provider"},
        {STR("{\"seq\":\"14\",\"wallet\":\"a\",\"charge\":5,\"cost\":\"5\"}"), "charge is not"},
        {STR("{\"seq\":\"15\",\"wallet\":\"a\",\"charge\":\"5\",\"provider\":\"p\"}"), "cost is"},
        {STR("{\"seq\":\"16\",\"wallet\":\"a\",\"charge\":\"99999999999999999999\"}"), "charge is"},
        {str_make(large, 3u << 20), "no JSON"},
        {str_make(large, 60000), "no JSON"},
        {str_make(large, 60000), "no JSON"},
        {str_make(large, 60000), "no JSON"},
        {str_make(large, 60000), "no JSON"},
    };
    struct str records[ARRAY_LEN(rows) + 1];
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        records[i] = rows[i].text;
    records[ARRAY_LEN(rows)] = record(ARRAY_LEN(rows) + 1, "a", "m", "openai", 5, 5);
    fund("a", 100, 50);
    assert_string_equal(apply(1, records, ARRAY_LEN(records)), "22 1 0 21");
    assert_string_equal(balances("a"), "100 5 95 45");
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char key[64];
        (void)snprintf(key, sizeof key, "usage/quarantine/n1/9/0/%020zu", i + 1);
        if (!strstr(row(key), rows[i].reason))
            fail_msg("row %zu: %s", i, row(key));
    }
    assert_string_equal(apply(1, records, ARRAY_LEN(records)), "22 0 22 0");
    struct store_row *list;
    size_t count;
    assert_int_equal(usage_list(ledger, STR(""), 10, &arena, &list, &count, &err), 0);
    assert_int_equal(count, 1);
}

/* "seq posted repeated quarantined" */
static const char *
apply_list(uint64_t first, const char *list)
{
    struct ledger_applied applied;
    int r = usage_apply_list(ledger, &stream, first, str_from(list), &applied, &err);
    return arena_printf(&arena, "%s%llu %zu %zu %zu", r < 0 ? err_name(r) : "",
                        (unsigned long long)applied.seq, applied.posted, applied.repeated,
                        applied.quarantined)
        .ptr;
}

/* Lists as data planes write them are posted as they are; what else there is waits for JSON. */
static void
test_list(void **state)
{
    (void)state;
    const char *good[] = {
        record(1, "a", "m", "openai", 10, 9).ptr, record(2, "a", "m", "openai", 20, 18).ptr,
        record(3, "a", "m", "openai", 30, 27).ptr, record(4, "a", "m", "openai", 40, 36).ptr};
    char list[2048];
    fund("a", 1000, 1000);
    assert_string_equal(apply_list(1, ""), "0 0 0 0");
    (void)snprintf(list, sizeof list, "%s,%s", good[0], good[1]);
    assert_string_equal(apply_list(2, list), "CONFLICT0 0 0 0");
    assert_string_equal(apply_list(1, list), "2 2 0 0");
    assert_string_equal(apply_list(1, list), "2 0 2 0");
    (void)snprintf(list, sizeof list, "%s,%s,%s", good[0], good[1], good[2]);
    assert_string_equal(apply_list(1, list), "3 1 2 0");
    /* seq 9 in the place of 4: poison, but of the form */
    (void)snprintf(list, sizeof list, "%s,%s", record(9, "a", "m", "openai", 1, 1).ptr,
                   record(5, "a", "m", "openai", 50, 45).ptr);
    assert_string_equal(apply_list(4, list), "5 1 0 1");
    static const char *const odd[] = {
        "{\"seq\": \"7\"}", "{\"seq\":\"7\",\"more\":1}", "x", " ", "{}{}", "{", ""};
    for (size_t i = 0; i < ARRAY_LEN(odd); i++) {
        (void)snprintf(list, sizeof list, "%s,%s", record(6, "a", "m", "openai", 1, 1).ptr, odd[i]);
        /* a comma with nothing behind it spoils what it stands behind */
        const char *want = odd[i][0] == '\0' ? "UNSUPPORTED6 0 0 0"
                           : i == 0          ? "UNSUPPORTED6 1 0 0"
                                             : "UNSUPPORTED6 0 1 0";
        assert_string_equal(apply_list(6, list), want);
    }
    assert_string_equal(balances("a"), "1000 111 889 889");
    /* the other road takes it from there, in rows of its own */
    struct str texts[] = {
        record(6, "a", "m", "openai", 1, 1),
        STR("{\"charge\":\"7\", "
            "\"more\":[1],\"seq\":\"7\",\"wallet\":\"a\",\"provider\":\"p\",\"cost\":\"7\"}"),
        STR("{\"charge\":\"8\", "
            "\"more\":[2],\"seq\":\"8\",\"wallet\":\"a\",\"provider\":\"p\",\"cost\":\"8\"}"),
        record(9, "a", "m", "openai", 9, 9)};
    assert_string_equal(apply(6, texts, 4), "9 3 1 0");
    assert_string_equal(listed("usage/n1/9/0/00000000000000000002"), good[2]);
    assert_string_equal(listed("usage/n1/9/0/00000000000000000006"), texts[1].ptr);
    assert_string_equal(listed("usage/n1/9/0/00000000000000000007"), texts[2].ptr);
    assert_string_equal(listed("usage/n1/9/0/00000000000000000008"), texts[3].ptr);
    assert_string_equal(listed("usage/n1/9/0/00000000000000000009"), "-");
}

/* A balance that would leave int64: that record alone is set aside. */
static void
test_range(void **state)
{
    (void)state;
    struct ledger_receipt receipt;
    fund("a", 1000, 1000);
    struct str first = record(1, "b", "m", "openai", 10, 10);
    assert_string_equal(apply(1, &first, 1), "1 1 0 0");
    assert_int_equal(ledger_adjust(ledger, STR("b"), LEDGER_AI, (struct money){INT64_MIN + 20},
                                   STR("k"), STR("edge"), &receipt, &err),
                     0);
    struct str records[] = {
        record(2, "a", "m", "openai", 10, 10), record(3, "b", "m", "openai", 11, 10),
        record(4, "b", "m", "openai", 10, 10), record(5, "a", "m", "openai", 10, 10)};
    assert_string_equal(apply(2, records, 4), "5 3 0 1");
    assert_string_equal(balances("a"), "1000 20 980 980");
    assert_non_null(strstr(row("usage/quarantine/n1/9/0/00000000000000000003"), "range"));
}

/* Many wallets, providers and records: several commits, nothing lost between them. */
static void
test_chunks(void **state)
{
    (void)state;
    enum { COUNT = 1000 };
    static struct str records[COUNT];
    int64_t want[50] = {0};
    for (size_t i = 0; i < COUNT; i++) {
        size_t wallet = i < 500 ? i % 50 : i % 3;
        const char *name = arena_printf(&arena, "w%zu", wallet).ptr;
        const char *provider = arena_printf(&arena, "p%zu", i % 47).ptr;
        records[i] = record(i + 1, name, "m", provider, (int64_t)i + 1, (int64_t)i);
        want[wallet] += (int64_t)i + 1;
    }
    assert_string_equal(apply(1, records, COUNT), "1000 1000 0 0");
    for (size_t i = 0; i < ARRAY_LEN(want); i++)
        assert_string_equal(
            balances(arena_printf(&arena, "w%zu", i).ptr),
            arena_printf(&arena, "0 %lld %lld 0", (long long)want[i], (long long)-want[i]).ptr);
    assert_string_equal(row("ledger/balance/markup"), "{\"nano\":\"1000\"}");
}

/* The nth commit fails, before or after it was made; the node sends again: the result is the
 * same. */
static void
test_fault(void **state)
{
    (void)state;
    enum { COUNT = 2500 };
    static struct str records[COUNT]; /* three commits */
    for (size_t i = 0; i < ARRAY_LEN(records); i++)
        records[i] = record(i + 1, i % 2 ? "a" : "b", "m", "openai", 10, 9);
    for (unsigned nth = 1; nth <= 4; nth++) {
        for (int done = 0; done < 2; done++) {
            assert_int_equal(audited_teardown(NULL), 0);
            assert_int_equal(setup(NULL), 0);
            for (size_t i = 0; i < ARRAY_LEN(records); i++)
                records[i] = record(i + 1, i % 2 ? "a" : "b", "m", "openai", 10, 9);
            fund("a", 100000, 50000);
            store_fail_commit(store, nth, done);
            struct ledger_applied applied;
            int r = usage_apply(ledger, &stream, 1, records, ARRAY_LEN(records), &applied, &err);
            assert_int_equal(r, nth <= 3 ? -ERR_STORE : 0);
            store_fail_commit(store, 0, false);
            struct ledger_audit audit;
            assert_int_equal(ledger_audit(ledger, &audit, &err), 0);
            assert_int_equal(
                usage_apply(ledger, &stream, 1, records, ARRAY_LEN(records), &applied, &err), 0);
            assert_true(applied.seq == COUNT);
            assert_string_equal(balances("a"), "100000 12500 87500 37500");
            assert_string_equal(balances("b"), "0 12500 -12500 0");
        }
    }
}

static void
test_sums(void **state)
{
    (void)state;
    struct str records[] = {
        record(1, "a", "gpt", "openai", 10, 9),      record(2, "b", "claude", "anthropic", 50, 40),
        record(3, "a", "claude", "anthropic", 7, 6), record(4, "", "x", "y", 1, 1),
        record(5, "a", "g\\u0070t", "openai", 1, 1), record(6, "b", "tiny", "openai", 0, 0)};
    struct usage_sum *sums;
    size_t count;
    struct usage_filter filter = {.group = USAGE_BY_MODEL};
    assert_int_equal(usage_sums(ledger, &filter, &arena, &sums, &count, &err), 0);
    assert_int_equal(count, 0);
    assert_string_equal(apply(1, records, 6), "6 5 0 1");
    struct ledger_stream later = {STR("z"), 1, STR("0")}; /* behind the quarantine in key order */
    struct ledger_applied applied;
    assert_int_equal(usage_apply(ledger, &later, 1, records, 1, &applied, &err), 0);
    assert_int_equal(usage_sums(ledger, &filter, &arena, &sums, &count, &err), 0);
    assert_int_equal(count, 3);
    assert_true(str_eq(sums[0].name, STR("claude")) && sums[0].charge.nano == 57 &&
                sums[0].cost.nano == 46 && sums[0].requests == 2);
    assert_true(str_eq(sums[1].name, STR("gpt")) && sums[1].charge.nano == 21 &&
                sums[1].requests == 3 && sums[1].count[USAGE_input] == 36);
    assert_true(str_eq(sums[2].name, STR("tiny")) && sums[2].requests == 1);
    filter = (struct usage_filter){.group = USAGE_BY_WALLET,
                                   .wallet = STR("a"),
                                   .from_ms = 3000,
                                   .to_ms = 5000}; /* its hour */
    assert_int_equal(usage_sums(ledger, &filter, &arena, &sums, &count, &err), 0);
    assert_int_equal(count, 1);
    assert_true(str_eq(sums[0].name, STR("a")) && sums[0].charge.nano == 28);
    filter.from_ms = 3600000;
    filter.to_ms = 0;
    assert_int_equal(usage_sums(ledger, &filter, &arena, &sums, &count, &err), 0);
    assert_int_equal(count, 0);
    filter = (struct usage_filter){.group = USAGE_BY_SUBJECT, .subject = STR("key/ci")};
    assert_int_equal(usage_sums(ledger, &filter, &arena, &sums, &count, &err), 0);
    assert_int_equal(count, 0);
    struct store_row *list;
    struct str after = STR_EMPTY;
    const char *seen = "";
    for (;;) {
        assert_int_equal(usage_list(ledger, after, 2, &arena, &list, &count, &err), 0);
        if (count == 0)
            break;
        for (size_t i = 0; i < count; i++)
            seen = arena_printf(&arena, "%s%.*s ", seen,
                                STR_ARG(str_skip(list[i].key, list[i].key.len - 1)))
                       .ptr;
        after = list[count - 1].key;
    }
    assert_string_equal(seen, "1 2 3 5 6 1 ");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_exactly_once, setup, audited_teardown),
        cmocka_unit_test_setup_teardown(test_overdraft, setup, audited_teardown),
        cmocka_unit_test_setup_teardown(test_poison, setup, audited_teardown),
        cmocka_unit_test_setup_teardown(test_list, setup, audited_teardown),
        cmocka_unit_test_setup_teardown(test_range, setup, audited_teardown),
        cmocka_unit_test_setup_teardown(test_chunks, setup, audited_teardown),
        cmocka_unit_test_setup_teardown(test_fault, setup, audited_teardown),
        cmocka_unit_test_setup_teardown(test_sums, setup, audited_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
