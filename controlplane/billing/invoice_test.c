/* SPDX-License-Identifier: MIT
 * invoice_test.c - invoices over real ledgers: what is on them, how they are numbered and checked.
 * Floor: controlplane/billing tests.
 * Owns: nothing.
 * Invariant: see invoice.h. */
#include <stdlib.h>

#include "controlplane/billing/billing_test_rig.h"
#include "lib/base/rand.h"

#define SERVER "1a2b3c4d5e6f708192a3b4c5d6e7f809"

/* 0.15 and 0.60 dollars a million tokens. */
static bool
test_price(void *user, struct str model, int64_t ret_pico[USAGE_CLASS_COUNT])
{
    (void)user;
    ret_pico[USAGE_input] = 150000;
    ret_pico[USAGE_output] = 600000;
    return str_starts(model, STR("openai/"));
}

static int
setup(void **state)
{
    const struct billing_conf conf = {
        .server = SERVER, .markup_bps = 500, .fee_bps = 100, .price = test_price};
    (void)state;
    rig_open(&conf, false);
    return 0;
}

/* ---- doing ----------------------------------------------------------------------------------- */

static void
deposit(const char *wallet, int64_t usd, const char *key)
{
    struct ledger_receipt receipt;
    assert_int_equal(ledger_deposit(ledger, str_from(wallet), LEDGER_GENERAL,
                                    (struct money){usd * USD}, str_from(key), &receipt, &err),
                     0);
}

static void
transfer(const char *wallet, int64_t usd, const char *key)
{
    struct ledger_receipt receipt;
    assert_int_equal(ledger_transfer(ledger, str_from(wallet), (struct money){usd * USD},
                                     str_from(key), LEDGER_ANY_FEE, &receipt, &err),
                     0);
}

static void
lend(const char *wallet, int64_t usd)
{
    (void)rig_borrow(wallet, usd * USD);
}

/* One call of `input` and `output` tokens at test_price and 5 % markup. */
static void
use(const char *wallet, const char *subject, const char *model, int64_t at_ms, int64_t input,
    int64_t output)
{
    int64_t cost = input * 150 + output * 600;
    int64_t charge = (cost * 105 + 50) / 100;
    rig_use(wallet, subject, model, at_ms, (const uint64_t[2]){(uint64_t)input, (uint64_t)output},
            charge, cost);
}

static const char *
issue(const char *wallet)
{
    struct invoice_row row;
    int code = invoice_issue(billing, str_from(wallet), &arena, &row, &err);
    return code == 0 ? row.text.ptr : err.text;
}

static void
must_have(const char *text, const char *const *parts)
{
    for (size_t i = 0; parts[i]; i++) {
        if (!strstr(text, parts[i]))
            fail_msg("no %s in\n%s", parts[i], text);
    }
}

/* ---- tests ----------------------------------------------------------------------------------- */

static void
test_one(void **state)
{
    (void)state;
    struct ledger_receipt receipt;
    assert_non_null(strstr(issue("default"), "nothing was moved or used in wallet default"));
    deposit("default", 100, "stripe:pi_1");
    transfer("default", 40, "t1");
    assert_int_equal(ledger_adjust(ledger, STR("default"), LEDGER_GENERAL, (struct money){-USD},
                                   STR("r1"), STR("refund of pi_1"), &receipt, &err),
                     0);
    lend("default", 5);
    now_ms += 60000;
    use("default", "container/dev", "openai/gpt-4o-mini", now_ms, 1000, 100);
    use("default", "container/dev", "openai/gpt-4o-mini", now_ms, 1001, 101);
    use("default", "key/ci", "house/unpriced", now_ms, 10, 1);
    now_ms += 60000;
    static const char *const parts[] = {
        "{\"number\":\"B-1a2b3c4d-000001\",\"sequence\":\"1\",\"wallet\":\"default\"",
        "\"from\":\"2025-12-01T00:00:00.000Z\",\"to\":\"2025-12-01T00:02:00.000Z\"",
        "\"general\":{\"opening\":\"0.00\",\"topped_up\":\"100.00\",\"adjusted\":\"-1.00\","
        "\"closing\":\"59.00\"}",
        /* 39.60 - 0.000443993 */
        "\"ai\":{\"opening\":\"0.00\",\"topped_up\":\"0.00\",\"adjusted\":\"0.00\","
        "\"closing\":\"39.599556007\"}",
        "\"transferred\":\"40.00\",\"fees\":\"0.40\",\"credited\":\"39.60\"",
        "\"usage_late\":\"0.00\",\"usage\":\"0.000443993\"",
        "{\"kind\":\"top_up\",\"at\":\"2025-12-01T00:00:00.000Z\",\"transaction\":\"1\","
        "\"reference\":\"stripe:pi_1\",\"balance\":\"general\",\"amount\":\"100.00\"}",
        "{\"kind\":\"transfer\",\"at\":\"2025-12-01T00:00:00.000Z\",\"transaction\":\"2\","
        "\"reference\":\"t1\",\"fee\":\"0.40\",\"credited\":\"39.60\",\"amount\":\"40.00\"}",
        "\"kind\":\"adjustment\"", "\"reason\":\"refund of pi_1\",\"amount\":\"-1.00\"}",
        "{\"kind\":\"usage\",\"subject\":\"container/dev\",\"model\":\"openai/gpt-4o-mini\","
        "\"provider\":\"openai\",\"requests\":\"2\",\"units\":{\"input\":\"2001\","
        "\"output\":\"201\"},\"prices\":{\"input\":\"0.15\",\"output\":\"0.60\"},"
        "\"cost\":\"0.00042075\",\"markup\":\"0.000021038\",\"amount\":\"0.000441788\"}",
        "{\"kind\":\"usage\",\"subject\":\"key/ci\",\"model\":\"house/unpriced\","
        "\"provider\":\"openai\",\"requests\":\"1\",\"units\":{\"input\":\"10\",\"output\":\"1\"},"
        "\"cost\":",
        "\"markup_bps\":500,\"transfer_fee_bps\":100",
        "\"prev\":\"0000000000000000000000000000000000000000000000000000000000000000\"", NULL};
    must_have(issue("default"), parts);
    assert_non_null(strstr(issue("default"), "since its last invoice"));
}

/* Nothing is on two invoices, and nothing is on none: also what comes late. */
static void
test_each_once(void **state)
{
    (void)state;
    deposit("default", 100, "d");
    transfer("default", 100, "t");
    lend("default", 50);
    use("default", "container/a", "openai/m", now_ms, 10000, 0);
    now_ms += 1000;
    static const char *const first[] = {"000001", "\"usage\":\"0.001575\"", NULL};
    must_have(issue("default"), first);
    /* the same hour again; an hour of before the invoice; and one of long before */
    use("default", "container/a", "openai/m", now_ms, 20000, 0);
    use("default", "container/b", "openai/m", now_ms - 5 * HOUR_MS, 100, 0);
    use("default", "container/c", "openai/m", now_ms - 1000 * HOUR_MS, 2000, 0);
    now_ms += 1000;
    static const char *const second[] = {
        "000002",
        "\"from\":\"2025-12-01T00:00:01.000Z\"",
        "\"opening\":\"98.998425\"",
        ("\"subject\":\"container/a\",\"model\":\"openai/m\",\"provider\":\"openai\","
         "\"requests\":\"1\",\"units\":{\"input\":\"20000\"}"),
        "\"subject\":\"container/b\"",
        "{\"kind\":\"late_usage\",\"amount\":\"0.000315\"}",
        "\"usage\":\"0.00348075\"",
        NULL};
    const char *text = issue("default");
    must_have(text, second);
    assert_null(strstr(text, "container/c"));
    assert_non_null(strstr(issue("default"), "nothing was moved"));
}

static void
test_numbers(void **state)
{
    (void)state;
    struct invoice_row *rows;
    struct invoice_row row;
    size_t count;
    uint64_t next;
    deposit("a", 1, "d");
    deposit("b", 2, "d");
    assert_non_null(strstr(issue("a"), "\"number\":\"B-1a2b3c4d-000001\""));
    /* a commit that fails, before or after it was made, leaves no gap */
    store_fail_commit(store, 1, false);
    assert_non_null(strstr(issue("b"), "invoices:"));
    assert_non_null(strstr(issue("b"), "\"number\":\"B-1a2b3c4d-000002\""));
    deposit("a", 1, "d2");
    store_fail_commit(store, 1, true);
    assert_non_null(strstr(issue("a"), "invoices:"));
    assert_non_null(strstr(issue("a"), "nothing was moved"));
    assert_int_equal(invoice_list(billing, STR_EMPTY, 0, 2, &arena, &rows, &count, &next, &err), 0);
    assert_int_equal(count, 2);
    assert_int_equal(rows[0].sequence, 3);
    assert_int_equal(next, 2);
    assert_null(strstr(rows[0].text.ptr, "\"lines\""));
    assert_int_equal(invoice_list(billing, STR_EMPTY, next, 2, &arena, &rows, &count, &next, &err),
                     0);
    assert_int_equal(count, 1);
    assert_int_equal(next, 0);
    assert_int_equal(invoice_list(billing, STR("b"), 0, 100, &arena, &rows, &count, &next, &err),
                     0);
    assert_int_equal(count, 1);
    assert_int_equal(rows[0].sequence, 2);
    assert_int_equal(invoice_list(billing, STR("c"), 0, 100, &arena, &rows, &count, &next, &err),
                     0);
    assert_int_equal(count, 0);
    static const struct {
        const char *number;
        int want;
    } cases[] = {{"B-1a2b3c4d-000002", 0},
                 {"2", 0},
                 {"B-1a2b3c4d-2", -ERR_NOT_FOUND},
                 {"B-00000000-000002", -ERR_NOT_FOUND},
                 {"0", -ERR_NOT_FOUND},
                 {"4", -ERR_NOT_FOUND},
                 {"", -ERR_NOT_FOUND},
                 {"-1", -ERR_NOT_FOUND},
                 {"99999999999999999999", -ERR_NOT_FOUND}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        int code = invoice_get(billing, str_from(cases[i].number), &arena, &row, &err);
        if (code != cases[i].want)
            fail_msg("\"%s\": %s", cases[i].number, err_name(code));
        if (code == 0)
            assert_int_equal(row.sequence, 2);
    }
}

static void
put_row(const char *key, struct str value)
{
    const struct store_op op = {.delete_ = !value.ptr, .key = str_from(key), .value = value};
    assert_int_equal(store_commit(store, NULL, 0, &op, 1, NULL), 0);
}

static void
test_audit(void **state)
{
    (void)state;
    uint64_t count;
    struct store_row kept;
    static const char key[] = "billing/invoice/00000000000000000002";
    for (unsigned i = 0; i < 3; i++) {
        deposit("a", 1 + i, arena_printf(&arena, "d%u", i).ptr);
        assert_non_null(strstr(issue("a"), "number"));
    }
    assert_int_equal(invoice_audit(billing, &count, &err), 0);
    assert_int_equal(count, 3);
    assert_int_equal(store_get(store, str_from(key), &arena, &kept), 0);
    /* an amount of the document, in a way that still adds up, and in one that does not */
    char *forged = str_dup(kept.value);
    assert_non_null(forged);
    memcpy(strstr(forged, "\"adjusted\":\"0.00\""), "\"adjusted\":\"1.00\"", 17);
    put_row(key, str_from(forged));
    assert_int_equal(invoice_audit(billing, &count, &err), -ERR_STORE);
    assert_string_equal(err.text,
                        "invoice 2: the General balance does not follow from its movements");
    memcpy(forged, kept.value.ptr, kept.value.len);
    memcpy(strstr(forged, "\"reference\":\"d1\""), "\"reference\":\"dX\"", 16);
    put_row(key, str_from(forged));
    assert_int_equal(invoice_audit(billing, &count, &err), -ERR_STORE);
    assert_string_equal(err.text, "invoice 3: it does not continue the one before");
    put_row(key, (struct str){NULL, 0});
    assert_int_equal(invoice_audit(billing, &count, &err), -ERR_STORE);
    assert_string_equal(err.text, "invoice 2: it is missing");
    put_row(key, kept.value);
    free(forged);
}

static void
test_due(void **state)
{
    (void)state;
    int64_t december = now_ms;
    now_ms -= 1000;
    assert_int_equal(invoice_due(billing, STR("a"), december, &arena, &err), 0);
    deposit("a", 1, "d");
    assert_int_equal(invoice_due(billing, STR("a"), december, &arena, &err), 1);
    now_ms += 61000;
    assert_non_null(strstr(issue("a"), "number"));
    assert_int_equal(invoice_due(billing, STR("a"), december, &arena, &err), 0);
    assert_int_equal(invoice_due(billing, STR("a"), december + 31ll * 24 * HOUR_MS, &arena, &err),
                     1);
    deposit("b", 1, "d");
    assert_int_equal(invoice_due(billing, STR("b"), december, &arena, &err), 0);
}

/* Numbers and wallets of all invoices, newest first. */
static const char *
all_invoices(void)
{
    struct invoice_row *rows;
    size_t count;
    uint64_t next;
    struct str text = STR_EMPTY;
    assert_int_equal(invoice_list(billing, STR_EMPTY, 0, 100, &arena, &rows, &count, &next, &err),
                     0);
    for (size_t i = 0; i < count; i++)
        text = arena_printf(&arena, "%.*s%llu%.1s ", STR_ARG(text),
                            (unsigned long long)rows[i].sequence,
                            strstr(rows[i].text.ptr, "\"wallet\":\"") + 10);
    return text.ptr;
}

/* A minute after the month, not before; every wallet that moved money; once; also when the month
 * ended while nobody looked. */
static void
test_months(void **state)
{
    (void)state;
    billing_free(&billing);
    const struct billing_conf conf = {
        .store = store, .ledger = ledger, .server = SERVER, .loop = loop};
    assert_int_equal(billing_new(&conf, &billing, &err), 0);
    wallet_put(store, "a", "", &arena);
    wallet_put(store, "b", "", &arena);
    wallet_put(store, "c", "", &arena);
    now_ms += 30ll * 24 * HOUR_MS; /* 2025-12-31 */
    deposit("a", 1, "d");
    deposit("c", 1, "d");
    assert_int_equal(billing_start(billing, &err), 0);
    for (unsigned hour = 0; hour < 24; hour++) {
        for (unsigned turn = 0; turn < 8; turn++)
            loop_step(loop, 0);
        assert_string_equal(all_invoices(), "");
        now_ms += HOUR_MS;
    }
    now_ms += 59999;
    for (unsigned turn = 0; turn < 8; turn++)
        loop_step(loop, 0);
    assert_string_equal(all_invoices(), "");
    now_ms += 2;
    for (unsigned turn = 0; turn < 8; turn++)
        loop_step(loop, 0);
    assert_string_equal(all_invoices(), "2c 1a ");
    deposit("b", 1, "d");
    now_ms += 80ll * 24 * HOUR_MS;
    for (unsigned turn = 0; turn < 8; turn++)
        loop_step(loop, 0);
    assert_string_equal(all_invoices(), "3b 2c 1a ");
    billing_free(&billing);
    assert_int_equal(billing_new(&conf, &billing, &err), 0);
    loop_step(loop, 0);
    billing_free(&billing);
    const struct billing_conf after = {.store = store, .ledger = ledger, .server = SERVER};
    assert_int_equal(billing_new(&after, &billing, &err), 0);
}

/* The clock was years ahead when a month's invoice was made: when it is set back the next one
 * follows at once and not years later, what moved is on it, and then it is months again. */
static void
test_clock(void **state)
{
    (void)state;
    int64_t december = now_ms;
    deposit("a", 1, "d");
    ahead_ms = 2000ll * 24 * HOUR_MS;
    assert_non_null(strstr(issue("a"), "\"topped_up\":\"1.00\""));
    ahead_ms = 0;
    now_ms += HOUR_MS;
    assert_int_equal(invoice_due(billing, STR("a"), december, &arena, &err), 1);
    deposit("a", 2, "e");
    now_ms += HOUR_MS;
    const char *text = issue("a");
    assert_non_null(strstr(text, "\"from\":\"2025-12-01T01:00:00.000Z\""));
    assert_non_null(strstr(text, "\"to\":\"2025-12-01T02:00:00.000Z\""));
    assert_non_null(strstr(text, "\"topped_up\":\"2.00\""));
    assert_int_equal(invoice_due(billing, STR("a"), december, &arena, &err), 0);
    int64_t january = december + 31ll * 24 * HOUR_MS;
    assert_int_equal(invoice_due(billing, STR("a"), january, &arena, &err), 1);
}

/* Random money in three wallets; every invoice adds up (or is not made), and together they say what
 * the ledger says. */
static void
test_random(void **state)
{
    (void)state;
    static const char *const wallets[] = {"a", "b", "c"};
    uint64_t seed = rand_u64() | 1;
    (void)printf("BERTH_SEED=%llu\n", (unsigned long long)seed);
    rand_seed(seed);
    for (size_t i = 0; i < ARRAY_LEN(wallets); i++) {
        deposit(wallets[i], 1000, "start");
        transfer(wallets[i], 500, "start");
        lend(wallets[i], 100);
    }
    for (unsigned step = 0; step < 400; step++) {
        const char *wallet = wallets[rand_below(3)];
        const char *key = arena_printf(&arena, "k%u", step).ptr;
        const char *subject = arena_printf(&arena, "container/%u", (unsigned)rand_below(5)).ptr;
        now_ms += (int64_t)rand_below(2 * HOUR_MS);
        switch (rand_below(6)) {
        case 0:
            deposit(wallet, 1 + (int64_t)rand_below(9), key);
            break;
        case 1:
            transfer(wallet, 1, key);
            break;
        case 2:
            if (!strstr(issue(wallet), "number") && !strstr(err.text, "nothing was moved"))
                fail_msg("%s", err.text);
            break;
        default:
            use(wallet, subject, "openai/m", now_ms - (int64_t)rand_below(200 * HOUR_MS),
                (int64_t)rand_below(5000), (int64_t)rand_below(500));
            break;
        }
    }
    for (size_t i = 0; i < ARRAY_LEN(wallets); i++) {
        struct invoice_row *rows;
        struct ledger_balances balances;
        size_t count;
        uint64_t next;
        char closing[64];
        char text[32];
        (void)issue(wallets[i]);
        assert_int_equal(
            invoice_list(billing, str_from(wallets[i]), 0, 1, &arena, &rows, &count, &next, &err),
            0);
        assert_int_equal(ledger_balances(ledger, str_from(wallets[i]), &balances, &err), 0);
        money_format(balances.ai_remaining, text);
        (void)snprintf(closing, sizeof closing, "\"closing\":\"%s\"", text);
        if (!strstr(rows[0].text.ptr, closing))
            fail_msg("no %s in %s", closing, rows[0].text.ptr);
    }
    rand_seed(0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_one, setup, rig_close),
        cmocka_unit_test_setup_teardown(test_each_once, setup, rig_close),
        cmocka_unit_test_setup_teardown(test_numbers, setup, rig_close),
        cmocka_unit_test_setup_teardown(test_audit, setup, rig_close),
        cmocka_unit_test_setup_teardown(test_due, setup, rig_close),
        cmocka_unit_test_setup_teardown(test_months, setup, rig_close),
        cmocka_unit_test_setup_teardown(test_clock, setup, rig_close),
        cmocka_unit_test_setup_teardown(test_random, setup, rig_close),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
