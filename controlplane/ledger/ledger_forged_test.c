/* SPDX-License-Identifier: MIT
 * ledger_forged_test.c - books that somebody made up, with a chain that fits: the audit says what
 *            is wrong with them; rows that no ledger wrote are refused by whoever reads them.
 * Floor: controlplane/ledger tests.
 * Owns: nothing.
 * Invariant: see ledger.h; HARDENING LW-21. */
#include "controlplane/ledger/ledger_test_rig.h"

#include "controlplane/ledger/usage_pack.h"
#include "controlplane/ledger/usage_sum.h"
#include "lib/base/digest.h"

#define MOST "9223372036854775807"
#define NAME100                                                                                    \
    "n123456789n123456789n123456789n123456789n123456789n123456789n123456789n123456789n123456789n1" \
    "2"                                                                                            \
    "3456789"
#define NAME600 NAME100 NAME100 NAME100 NAME100 NAME100 NAME100

static void
put(const char *key, const char *value)
{
    const struct store_op op = {.key = str_from(key), .value = str_from(value)};
    assert_int_equal(store_commit(store, NULL, 0, &op, 1, NULL), 0);
}

/* Transactions with these members, chained as ours are. */
static void
forge(const char *const *members, size_t count)
{
    char hash[2 * SHA256_BYTES + 1];
    memset(hash, '0', sizeof hash - 1);
    hash[sizeof hash - 1] = '\0';
    for (size_t i = 0; i < count && members[i] != NULL; i++) {
        uint8_t digest[SHA256_BYTES];
        struct str text =
            arena_printf(&arena, "{\"id\":\"%zu\",%s,\"prev\":\"%s\"}", i + 1, members[i], hash);
        put(arena_printf(&arena, "ledger/tx/%020zu", i + 1).ptr, text.ptr);
        digest_sha256(text, digest);
        hex_encode(digest, sizeof digest, hash);
        put("ledger/head",
            arena_printf(&arena, "{\"seq\":\"%zu\",\"hash\":\"%s\"}", i + 1, hash).ptr);
    }
}

#define ENTRY(account, amount) "{\"account\":\"" account "\",\"amount\":\"" amount "\"}"
#define ENTRIES(list) "\"entries\":[" list "]"

static const struct {
    const char *name;
    const char *transactions[2];
    const char *rows[2][2]; /* key, value */
    const char *want;       /* of the audit; NULL: it finds nothing */
} books[] = {
    {"nothing", {NULL}, {{NULL}}, NULL},
    {"no entries", {"\"kind\":\"x\""}, {{NULL}}, "it has no entries"},
    {"entries that are none", {"\"entries\":{}"}, {{NULL}}, "it has no entries"},
    {"account that is no text", {"\"entries\":[{\"account\":1}]"}, {{NULL}}, "an entry is damaged"},
    {"amount that is no text",
     {"\"entries\":[{\"account\":\"x\",\"amount\":1}]"},
     {{NULL}},
     "an entry is damaged"},
    {"money from nowhere", {ENTRIES(ENTRY("x", "5"))}, {{NULL}}, "do not sum to zero"},
    {"least amount",
     {ENTRIES(ENTRY("wallet/a/ai", "-9223372036854775808"))},
     {{NULL}},
     "out of range"},
    {"account with a long name", {ENTRIES(ENTRY(NAME600, "0"))}, {{NULL}}, "ledger:"},
    {"charge to nobody", {"\"kind\":\"charge\"," ENTRIES(ENTRY("x", "0"))}, {{NULL}}, "ledger:"},
    {"charge to a long name",
     {"\"kind\":\"charge\",\"wallet\":\"" NAME600 "\"," ENTRIES(ENTRY("x", "0"))},
     {{NULL}},
     "ledger:"},
    {"more orphaned than there is money",
     {"\"kind\":\"lease_orphan\"," ENTRIES(ENTRY("x", MOST) "," ENTRY("y", "-" MOST)),
      "\"kind\":\"lease_orphan\"," ENTRIES(ENTRY("x", MOST) "," ENTRY("y", "-" MOST))},
     {{NULL}},
     "out of range"},
    {"balance without a transaction",
     {NULL},
     {{"ledger/balance/wallet/a/ai", "{\"nano\":\"5\"}"}},
     "is 5 nano, its transactions say 0"},
    {"empty balance without a transaction",
     {NULL},
     {{"ledger/balance/wallet/a/ai", "{\"nano\":\"0\"}"}},
     NULL},
    {"transaction without a balance",
     {ENTRIES(ENTRY("x", "5") "," ENTRY("y", "-5"))},
     {{NULL}},
     "is missing"},
    {"and one that takes it back",
     {ENTRIES(ENTRY("x", "5") "," ENTRY("y", "-5")), ENTRIES(ENTRY("x", "-5") "," ENTRY("y", "5"))},
     {{NULL}},
     NULL},
    {"lease that is overdrawn",
     {NULL},
     {{"ledger/lease/n/1/a", "{\"granted\":\"1\",\"used\":\"2\",\"returned\":\"0\"}"}},
     "is overdrawn"},
    {"lease of a long name",
     {NULL},
     {{"ledger/lease/n/1/" NAME100, "{\"granted\":\"1\",\"used\":\"0\",\"returned\":\"0\"}"}},
     "is no lease"},
    {"lease of a node alone",
     {NULL},
     {{"ledger/lease/n", "{\"granted\":\"1\",\"used\":\"0\",\"returned\":\"0\"}"}},
     "is no lease"},
    {"lease of nobody",
     {NULL},
     {{"ledger/lease/n/1", "{\"granted\":\"1\",\"used\":\"0\",\"returned\":\"0\"}"}},
     "is no lease"},
    {"lease of a budget that is gone",
     {NULL},
     {{"ledger/lease/n/1/key/ci", "{\"granted\":\"1\",\"used\":\"0\",\"returned\":\"0\"}"}},
     "is missing"},
    {"and one of which nothing is left",
     {NULL},
     {{"ledger/lease/n/1/key/ci", "{\"granted\":\"1\",\"used\":\"1\",\"returned\":\"0\"}"}},
     NULL},
    {"lease that nothing holds",
     {NULL},
     {{"ledger/lease/n/1/a", "{\"granted\":\"1\",\"used\":\"0\",\"returned\":\"0\"}"}},
     "is not the sum of its leases"},
    {"page of sums without a page", {NULL}, {{"ledger/rollup/0000000001", "\1"}}, "is damaged"},
    {"page of sums of no hour", {NULL}, {{"ledger/rollup/one/999999", "\1"}}, "is damaged"},
    {"page of sums that is empty", {NULL}, {{"ledger/rollup/0000000001/999999", ""}}, "is damaged"},
    {"page of sums that is JSON",
     {NULL},
     {{"ledger/rollup/0000000001/999999", "{}"}},
     "is damaged"},
    {"spent without a record",
     {"\"kind\":\"charge\",\"wallet\":\"a\"," ENTRIES(
         ENTRY("wallet/a/ai", "-5") "," ENTRY("x", "5"))},
     {{"ledger/spent/a", "{\"nano\":\"5\"}"}, {"ledger/balance/wallet/a/ai", "{\"nano\":\"-5\"}"}},
     "is missing"},
    {"nothing spent, no record", {NULL}, {{"ledger/spent/a", "{\"nano\":\"0\"}"}}, NULL},
    {"sums of a stream whose mark is damaged", {NULL}, {{"ledger/mark/n/1/0", "{}"}}, "is damaged"},
    {"records under no number",
     {NULL},
     {{"ledger/mark/n/1/0", "{\"seq\":\"1\"}"}, {"usage/n/1/0/one", "\1"}},
     "ledger:"},
    {"records under another's number",
     {NULL},
     {{"ledger/mark/n/1/0", "{\"seq\":\"5\"}"},
      {"usage/n/1/0/00000000000000000005",
       "{\"seq\":\"1\",\"wallet\":\"a\",\"provider\":\"p\",\"charge\":\"1\",\"cost\":\"1\"}"}},
     "ledger:"},
};

static void
test_books(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(books); i++) {
        struct ledger_audit audit;
        (void)setup(state);
        forge(books[i].transactions, ARRAY_LEN(books[i].transactions));
        for (size_t k = 0; k < 2 && books[i].rows[k][0] != NULL; k++)
            put(books[i].rows[k][0], books[i].rows[k][1]);
        err = (struct err){0};
        int r = ledger_audit(ledger, &audit, &err);
        bool right = books[i].want == NULL ? r == 0 : r < 0 && strstr(err.text, books[i].want);
        if (!right)
            fail_msg("%s: %d %s", books[i].name, r, err.text);
        (void)teardown(state);
    }
}

/* Spent, with balances that fit, and no sums of it. */
static void
test_spent_without_sums(void **state)
{
    static const char *const charge[] = {"\"kind\":\"charge\",\"wallet\":\"a\"," ENTRIES(
        ENTRY("wallet/a/ai", "-5") "," ENTRY("x", "5"))};
    struct ledger_audit audit;
    (void)state;
    forge(charge, 1);
    put("ledger/spent/a", "{\"nano\":\"5\"}");
    put("ledger/balance/wallet/a/ai", "{\"nano\":\"-5\"}");
    put("ledger/balance/x", "{\"nano\":\"5\"}");
    assert_int_equal(ledger_audit(ledger, &audit, &err), -ERR_STORE);
    assert_non_null(strstr(err.text, "the sums of usage are not what it spent"));
}

static void
test_rows(void **state)
{
    static const char *const leases[] = {"ledger/lease/n", "ledger/lease/n/1",
                                         "ledger/lease/n/x/a"};
    const struct usage_form empty = {.has = 1ull << FORM_wallet, .at[FORM_wallet].text = STR("a")};
    const struct usage_form before = {0};
    CLEANUP(buf_fini) struct buf packed;
    buf_init(&packed, 1024);
    (void)buf_put_byte(&packed, PACK_MARK);
    pack_put(&empty, &before, &packed);
    const char *no_seq = buf_cstr(&packed);
    const struct {
        const char *key;
        const char *value;
    } usage[] = {{"usage/n", "{}"},
                 {"usage/n/1/0/00000000000000000001", ""},
                 {"usage/n/1/0/00000000000000000001", "\1\1\1\1"},
                 {"usage/n/1/0/00000000000000000001", "{"},
                 {"usage/n/1/0/00000000000000000001", "{\"seq\":1}"},
                 {"usage/n/1/0/00000000000000000001", no_seq}};
    struct store_row *rows;
    struct ledger_lease_row *found;
    size_t count;
    for (size_t i = 0; i < ARRAY_LEN(leases); i++) {
        put(leases[i], "{\"granted\":\"1\",\"used\":\"0\",\"returned\":\"0\"}");
        assert_int_equal(lease_list(ledger, STR_EMPTY, 0, &arena, &found, &count, &err),
                         -ERR_STORE);
        assert_non_null(strstr(err.text, "is no lease"));
        (void)teardown(state);
        (void)setup(state);
    }
    for (size_t i = 0; i < ARRAY_LEN(usage); i++) {
        put(usage[i].key, usage[i].value);
        assert_int_equal(usage_list(ledger, STR_EMPTY, 9, &arena, &rows, &count, &err), -ERR_STORE);
        (void)teardown(state);
        (void)setup(state);
    }
    /* what is added up and what is pruned */
    bool more;
    put("ledger/mark/n/1/0", "{\"seq\":\"1\"}");
    put("ledger/mark/n/2/0", "{\"seq\":\"1\"}");
    put("ledger/rolled/n/1/0", "{\"seq\":\"1\"}");
    put("ledger/rolled/n/2/0", "{\"seq\":\"1\"}");
    put("usage/n/1/0/one", "\1");
    assert_int_equal(usage_rollup_prune(ledger, INT64_MAX, &more, &err), -ERR_STORE);
    put("usage/n/2/0/00000000000000000001", "{");
    put("ledger/rolled/n/1/0", "{}");
    assert_int_equal(usage_rollup_prune(ledger, INT64_MAX, &more, &err), -ERR_STORE);
}

static void
test_transaction_of_a_movement(void **state)
{
    static const char *const damages[] = {"{}", "{\"at_ms\":1}",
                                          "{\"at_ms\":1,\"reference\":\"r\",\"reason\":5}"};
    struct ledger_receipt receipt;
    struct ledger_movement *rows;
    size_t count;
    (void)state;
    assert_int_equal(
        ledger_deposit(ledger, STR("a"), LEDGER_AI, (struct money){5}, STR("k"), &receipt, &err),
        0);
    for (size_t i = 0; i < ARRAY_LEN(damages); i++) {
        put("ledger/tx/00000000000000000001", damages[i]);
        assert_int_equal(ledger_movements(ledger, STR("a"), 0, &arena, &rows, &count, &err),
                         -ERR_STORE);
        assert_non_null(strstr(err.text, "missing or damaged"));
    }
}

/* The newest page of an hour has no number that one could count down from. */
static void
test_page_numbers(void **state)
{
    static const char *const keys[] = {"ledger/rollup/0000000000/zero",
                                       "ledger/rollup/0000000000/000000"};
    static const struct ledger_stream stream = {{"n", 1}, 1, {"0", 1}};
    const struct str record = STR("{\"seq\":\"1\",\"wallet\":\"a\",\"provider\":\"p\","
                                  "\"charge\":\"1\",\"cost\":\"1\"}");
    for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
        struct ledger_applied applied;
        bool more;
        assert_int_equal(usage_apply(ledger, &stream, 1, &record, 1, &applied, &err), 0);
        put(keys[i], "\1");
        assert_int_equal(usage_rollup_step(ledger, &more, &err), -ERR_STORE);
        (void)teardown(state);
        (void)setup(state);
    }
}

static void
test_sums(void **state)
{
    const struct sum most = {.charge = INT64_MAX, .cost = INT64_MAX, .requests = UINT64_MAX};
    struct sum sum = {.charge = 0, .cost = 1};
    (void)state;
    assert_int_equal(sum_add(&sum, &most), -ERR_RANGE);
    sum = (struct sum){.charge = 1};
    assert_int_equal(sum_add(&sum, &most), -ERR_RANGE);
    assert_true(sum.charge == 1 && sum.cost == 0 && sum.requests == 0);
    sum = (struct sum){.requests = 5};
    assert_int_equal(sum_add(&sum, &most), 0); /* wraps */
    assert_true(sum.requests == FORM_NUMBER_MAX);
    sum = (struct sum){.requests = 5};
    const struct sum many = {.requests = FORM_NUMBER_MAX};
    assert_int_equal(sum_add(&sum, &many), 0);
    assert_true(sum.requests == FORM_NUMBER_MAX);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_books),
        cmocka_unit_test_setup_teardown(test_spent_without_sums, setup, teardown),
        cmocka_unit_test_setup_teardown(test_rows, setup, teardown),
        cmocka_unit_test_setup_teardown(test_transaction_of_a_movement, setup, teardown),
        cmocka_unit_test_setup_teardown(test_page_numbers, setup, teardown),
        cmocka_unit_test(test_sums),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
