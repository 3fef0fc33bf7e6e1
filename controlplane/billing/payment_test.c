/* SPDX-License-Identifier: MIT
 * payment_test.c - events of senders, true, false, twice, in any order and with commits that fail.
 * Floor: controlplane/billing tests.
 * Owns: nothing.
 * Invariant: see payment.h. */
#include "controlplane/billing/payment.h"

#include "controlplane/billing/payment_test_rig.h"

struct row {
    const char *name;
    enum webhook webhook;
    const char *body;
    int want;
    const char *text; /* "WALLET PAYMENT DOLLARS", why it is ignored, or what the error says */
};

static const struct row rows[] = {
    {"paid session", WEBHOOK_stripe, SESSION("evt_1", "completed", "paid", "2000", "usd", PI), 0,
     "default pi_1 20.00"},
    {"wallet by metadata", WEBHOOK_stripe,
     SESSION("evt_1", "completed", "paid", "1", "usd", PI TO_A), 0, "team-a pi_1 0.01"},
    {"wallet by client_reference_id", WEBHOOK_stripe,
     SESSION("e", "completed", "paid", "5", "usd", PI ",\"client_reference_id\":\"team-a\""), 0,
     "team-a pi_1 0.05"},
    {"metadata wins", WEBHOOK_stripe,
     SESSION("e", "completed", "paid", "5", "usd", PI TO_A ",\"client_reference_id\":\"x\""), 0,
     "team-a pi_1 0.05"},
    {"no PaymentIntent", WEBHOOK_stripe,
     SESSION("e", "completed", "paid", "5", "usd", ",\"payment_intent\":null"), 0,
     "default cs_1 0.05"},
    {"paid later", WEBHOOK_stripe,
     SESSION("e", "async_payment_succeeded", "paid", "700", "usd", PI), 0, "default pi_1 7.00"},
    {"not paid yet", WEBHOOK_stripe, SESSION("e", "completed", "unpaid", "700", "usd", PI), 0,
     "the session is not paid"},
    {"free session", WEBHOOK_stripe,
     SESSION("e", "completed", "no_payment_required", "0", "usd", PI), 0,
     "the session is not paid"},
    {"euros", WEBHOOK_stripe, SESSION("e", "completed", "paid", "700", "eur", PI), 0,
     "the currency is not USD"},
    {"upper-case currency", WEBHOOK_stripe, SESSION("e", "completed", "paid", "7", "USD", PI), 0,
     "the currency is not USD"},
    {"expired", WEBHOOK_stripe, SESSION("e", "expired", "unpaid", "700", "usd", PI), 0,
     "events of this type move nothing"},
    {"unknown type", WEBHOOK_stripe, "{\"id\":\"e\",\"type\":\"invoice.paid\"}", 0,
     "events of this type move nothing"},
    {"no type", WEBHOOK_stripe, "{\"id\":\"e\"}", 0, "events of this type move nothing"},
    {"subscription", WEBHOOK_stripe,
     "{\"id\":\"e\",\"type\":\"checkout.session.completed\",\"data\":{\"object\":{\"id\":\"cs\","
     "\"mode\":\"subscription\",\"payment_status\":\"paid\"}}}",
     0, "the session's mode is not payment"},
    {"intent", WEBHOOK_stripe, INTENT("e", "succeeded", "300", TO_A), 0, "team-a pi_1 3.00"},
    {"intent of a session", WEBHOOK_stripe, INTENT("e", "succeeded", "300", ",\"metadata\":{}"), 0,
     "the PaymentIntent has no metadata.wallet"},
    {"intent that failed", WEBHOOK_stripe, INTENT("e", "canceled", "300", TO_A), 0,
     "the PaymentIntent has not succeeded"},
    {"fraction of a cent", WEBHOOK_stripe, INTENT("e", "succeeded", "300.5", TO_A), -ERR_RANGE,
     "whole number of cents"},
    {"exponent", WEBHOOK_stripe, INTENT("e", "succeeded", "3e2", TO_A), -ERR_RANGE, "cents"},
    {"nothing", WEBHOOK_stripe, INTENT("e", "succeeded", "0", TO_A), -ERR_RANGE, "cents"},
    {"negative", WEBHOOK_stripe, INTENT("e", "succeeded", "-300", TO_A), -ERR_RANGE, "cents"},
    {"as text", WEBHOOK_stripe, INTENT("e", "succeeded", "\"300\"", TO_A), -ERR_INVALID, "cents"},
    {"2^63", WEBHOOK_stripe, INTENT("e", "succeeded", "9223372036854775808", TO_A), -ERR_RANGE,
     "cents"},
    {"ten million and a cent", WEBHOOK_stripe, INTENT("e", "succeeded", "1000000001", TO_A),
     -ERR_RANGE, "cents"},
    {"amount twice", WEBHOOK_stripe, INTENT("e", "succeeded", "300,\"amount_received\":1", TO_A),
     -ERR_DUPLICATE, NULL},
    {"no event id", WEBHOOK_stripe, "{\"type\":\"payment_intent.succeeded\"}", -ERR_INVALID,
     "lacks \"id\""},
    {"id with a slash", WEBHOOK_stripe, INTENT("a/b", "succeeded", "300", TO_A), -ERR_INVALID,
     "\"id\""},
    {"id that is empty", WEBHOOK_stripe, INTENT("", "succeeded", "300", TO_A), -ERR_INVALID,
     "\"id\""},
    {"wallet that is no text", WEBHOOK_stripe,
     INTENT("e", "succeeded", "300", ",\"metadata\":{\"wallet\":1}"), -ERR_INVALID, "\"wallet\""},
    {"no JSON", WEBHOOK_stripe, "id=evt_1", -ERR_PARSE, NULL},
    {"empty", WEBHOOK_stripe, "", -ERR_PARSE, NULL},
    {"refund", WEBHOOK_stripe, REFUND("e", "\"pi_1\"", "500"), 0, "refund pi_1 5.00"},
    {"refund of a charge without an intent", WEBHOOK_stripe, REFUND("e", "null", "500"), 0,
     "the charge has no PaymentIntent"},
    {"refund, long name", WEBHOOK_stripe,
     REFUND("e", "\"pi_123456789012345678901234567890123456789012\"", "500"), -ERR_INVALID,
     "\"payment_intent\""},
    {"refund of nothing", WEBHOOK_stripe, REFUND("e", "\"pi_1\"", "0"), -ERR_RANGE, "cents"},
    {"dispute", WEBHOOK_stripe, DISPUTE("e", "funds_withdrawn", "dp_1", "700"), 0,
     "dispute pi_1 7.00"},
    {"dispute that is won", WEBHOOK_stripe, DISPUTE("e", "funds_reinstated", "dp_1", "700"), 0,
     "reinstated pi_1 7.00"},
    {"dispute with a fee", WEBHOOK_stripe,
     MOVED("e", "funds_withdrawn", "dp_1", "700", OUT("700", "1500")), 0,
     "dispute pi_1 7.00 fee 15.00 0.00"},
    {"dispute of a part that was refunded", WEBHOOK_stripe,
     MOVED("e", "funds_reinstated", "dp_1", "700", OUT("700", "1500") "," BACK("300", "-1500")), 0,
     "reinstated pi_1 3.00 fee 15.00 15.00"},
    {"dispute, nothing moved yet", WEBHOOK_stripe, MOVED("e", "funds_withdrawn", "dp_1", "700", ""),
     0, "dispute pi_1 7.00"},
    {"dispute, account in euros", WEBHOOK_stripe,
     MOVED("e", "funds_withdrawn", "dp_1", "700",
           "{\"amount\":-600,\"fee\":1300,\"currency\":\"eur\"},1,\"txn_1\",null"),
     0, "dispute pi_1 7.00"},
    {"dispute, fee of half a cent", WEBHOOK_stripe,
     MOVED("e", "funds_withdrawn", "dp_1", "700", OUT("700", "0.5")), -ERR_RANGE,
     "balance_transactions.fee"},
    {"dispute, fee without a number", WEBHOOK_stripe,
     MOVED("e", "funds_withdrawn", "dp_1", "700", OUT("700", "null")), -ERR_INVALID,
     "balance_transactions.fee"},
    {"dispute, more than there is money", WEBHOOK_stripe,
     MOVED("e", "funds_withdrawn", "dp_1", "700",
           OUT("1000000000", "0") "," OUT("1", "0") "," OUT("1000000000", "0")),
     -ERR_RANGE, "balance_transactions.amount"},
    {"dispute, balance_transactions is no list", WEBHOOK_stripe,
     DISPUTE("e", "funds_withdrawn", "dp_1", "700,\"balance_transactions\":{\"amount\":-1}"), 0,
     "dispute pi_1 7.00"},
    {"dispute that is opened", WEBHOOK_stripe, DISPUTE("e", "created", "dp_1", "700"), 0,
     "events of this type move nothing"},
    {"dispute without a name", WEBHOOK_stripe, DISPUTE("e", "funds_withdrawn", "", "700"),
     -ERR_INVALID, "\"id\""},
    {"crypto", WEBHOOK_crypto, CRYPTO("e", "payment.confirmed", "12.50", "USD", ""), 0,
     "default np-1 12.50"},
    {"crypto with a wallet", WEBHOOK_crypto,
     CRYPTO("e", "payment.confirmed", "12.5", "USD", ",\"wallet\":\"team-a\""), 0,
     "team-a np-1 12.50"},
    {"crypto on its way", WEBHOOK_crypto, CRYPTO("e", "payment.pending", "12.50", "USD", ""), 0,
     "events of this type move nothing"},
    {"crypto in coins", WEBHOOK_crypto, CRYPTO("e", "payment.confirmed", "0.5", "BTC", ""), 0,
     "the currency is not USD"},
    {"crypto, three decimals", WEBHOOK_crypto, CRYPTO("e", "payment.confirmed", "1.001", "USD", ""),
     -ERR_INVALID, "amount"},
    {"crypto, negative", WEBHOOK_crypto, CRYPTO("e", "payment.confirmed", "-1", "USD", ""),
     -ERR_INVALID, "amount"},
    {"crypto, nothing", WEBHOOK_crypto, CRYPTO("e", "payment.confirmed", "0.00", "USD", ""),
     -ERR_INVALID, "amount"},
    {"crypto, too much", WEBHOOK_crypto, CRYPTO("e", "payment.confirmed", "10000000.01", "USD", ""),
     -ERR_INVALID, "amount"},
    {"crypto, a number", WEBHOOK_crypto,
     "{\"id\":\"e\",\"type\":\"payment.confirmed\",\"payment\":\"p\",\"currency\":\"USD\","
     "\"amount\":1}",
     -ERR_INVALID, "\"amount\""},
};

static void
test_read(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct payment payment;
        char dollars[32];
        err = (struct err){0};
        int code = payment_read(rows[i].webhook, str_from(rows[i].body), &arena, &payment, &err);
        const char *told = err.text;
        if (code == 0 && payment.ignored) {
            told = payment.ignored;
        } else if (code == 0) {
            money_format(payment.amount, dollars);
            static const char *const kinds[] = {"", "refund", "dispute", "reinstated"};
            struct str first =
                payment.kind == PAYMENT_PAID ? payment.wallet : str_from(kinds[payment.kind]);
            told = arena_printf(&arena, "%.*s %.*s %s", STR_ARG(first), STR_ARG(payment.payment),
                                dollars)
                       .ptr;
            if (payment.fee.nano > 0) {
                char back[32];
                money_format(payment.fee, dollars);
                money_format(payment.fee_back, back);
                told = arena_printf(&arena, "%s fee %s %s", told, dollars, back).ptr;
            }
        }
        if (code != rows[i].want || (rows[i].text && !strstr(told, rows[i].text)))
            fail_msg("%s: %s \"%s\"", rows[i].name, err_name(code), told);
    }
}

static void
test_once(void **state)
{
    (void)state;
    struct payment_receipt receipt;
    const char *session = SESSION("evt_1", "completed", "paid", "2000", "usd", PI TO_A);
    assert_int_equal(receive(WEBHOOK_stripe, session, AT, &receipt), 0);
    assert_true(receipt.credited);
    assert_int_equal(receipt.transaction, 1);
    assert_int_equal(receive(WEBHOOK_stripe, session, AT + 299, &receipt), 0);
    assert_false(receipt.credited);
    assert_int_equal(receipt.transaction, 1);
    /* the same payment in other events, also when they name another wallet or amount */
    assert_int_equal(
        receive(WEBHOOK_stripe, INTENT("evt_2", "succeeded", "2000", TO_A), AT, &receipt), 0);
    assert_false(receipt.credited);
    assert_int_equal(
        receive(WEBHOOK_stripe,
                INTENT("evt_3", "succeeded", "9999", ",\"metadata\":{\"wallet\":\"default\"}"), AT,
                &receipt),
        0);
    assert_false(receipt.credited);
    assert_true(str_eq(receipt.payment.wallet, STR("team-a")));
    assert_int_equal(general("team-a"), 2000);
    assert_int_equal(general("default"), 0);
    /* another sender's payment of the same name is another payment */
    assert_int_equal(receive(WEBHOOK_crypto,
                             CRYPTO("evt_1", "payment.confirmed", "1.00", "USD", ""), AT, &receipt),
                     0);
    assert_true(receipt.credited);
    assert_int_equal(general("default"), 100);
    /* what moves nothing */
    assert_int_equal(receive(WEBHOOK_stripe, "{\"id\":\"evt_9\",\"type\":\"x\"}", AT, &receipt), 0);
    assert_false(receipt.credited);
    assert_string_equal(receipt.payment.ignored, "events of this type move nothing");
}

static void
test_refused(void **state)
{
    (void)state;
    struct payment_receipt receipt;
    const char *good = SESSION("evt_1", "completed", "paid", "2000", "usd", PI);
    assert_int_equal(receive(WEBHOOK_stripe, good, AT + 301, &receipt), -ERR_SIGNATURE);
    assert_int_equal(receive(WEBHOOK_stripe, good, AT - 301, &receipt), -ERR_SIGNATURE);
    assert_int_equal(payment_receive(billing, WEBHOOK_stripe, STR_EMPTY, str_from(good), AT, &arena,
                                     &receipt, &err),
                     -ERR_SIGNATURE);
    assert_int_equal(receive(WEBHOOK_stripe,
                             SESSION("evt_1", "completed", "paid", "5", "usd",
                                     ",\"client_reference_id\":\"nobody\""),
                             AT, &receipt),
                     -ERR_NOT_FOUND);
    assert_non_null(strstr(err.text, "there is no Wallet"));
    size_t bytes = PAYMENT_BODY_BYTES_MAX + 1;
    char *large = arena_alloc(&arena, bytes);
    memset(large, ' ', bytes);
    assert_int_equal(payment_receive(billing, WEBHOOK_stripe, STR("t=1,v1=00"),
                                     str_make(large, bytes), AT, &arena, &receipt, &err),
                     -ERR_TOO_LARGE);
    assert_int_equal(general("default"), 0);
    /* the wallet that was missing is made: the sender's next try credits it */
    wallet_put(store, "nobody", "", &arena);
    assert_int_equal(receive(WEBHOOK_stripe,
                             SESSION("evt_1", "completed", "paid", "5", "usd",
                                     ",\"client_reference_id\":\"nobody\""),
                             AT, &receipt),
                     0);
    assert_int_equal(general("nobody"), 5);
}

/* Every commit of a call fails once, before or after it was made; the sender tries again. */
static void
test_commits_that_fail(void **state)
{
    (void)state;
    for (unsigned done = 0; done < 2; done++) {
        for (unsigned nth = 1; nth <= 3; nth++) {
            struct payment_receipt receipt;
            struct str body = arena_printf(
                &arena,
                "{\"id\":\"e%u%u\",\"type\":\"payment.confirmed\",\"payment\":\"p%u%u\","
                "\"amount\":\"1\",\"currency\":\"USD\"}",
                done, nth, done, nth);
            int64_t before = general("default");
            store_fail_commit(store, nth, done == 1);
            assert_int_equal(receive(WEBHOOK_crypto, body.ptr, AT, &receipt), -ERR_STORE);
            store_fail_commit(store, 0, false);
            assert_int_equal(receive(WEBHOOK_crypto, body.ptr, AT, &receipt), 0);
            assert_int_equal(receive(WEBHOOK_crypto, body.ptr, AT, &receipt), 0);
            assert_false(receipt.credited);
            assert_int_equal(general("default"), before + 100);
        }
    }
}

static void
test_secrets(void **state)
{
    (void)state;
    static const struct {
        const char *secret; /* NULL: none */
        int want;
    } cases[] = {{NULL, 0},
                 {"", -ERR_PERMISSION},
                 {"whsec_", -ERR_PERMISSION},
                 {"0123456789abcde", -ERR_PERMISSION},
                 {"0123456789abcdef", 0}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        CLEANUP(secret_free)
        struct secret *given = cases[i].secret ? secret_new(str_from(cases[i].secret)) : NULL;
        CLEANUP(billing_free) struct billing *made = NULL;
        const struct billing_conf conf = {
            .store = store, .ledger = ledger, .server = "s", .secrets = {given, NULL}};
        assert_int_equal(billing_new(&conf, &made, &err), cases[i].want);
        if (cases[i].want < 0)
            assert_non_null(strstr(err.text, "BERTH_STRIPE_WEBHOOK_SECRET is empty or shorter"));
        if (made && !given) {
            struct payment_receipt receipt;
            assert_int_equal(payment_receive(made, WEBHOOK_stripe, STR("t=1,v1=00"), STR("{}"), AT,
                                             &arena, &receipt, &err),
                             -ERR_UNAVAILABLE);
        }
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_read, setup, teardown),
        cmocka_unit_test_setup_teardown(test_once, setup, teardown),
        cmocka_unit_test_setup_teardown(test_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(test_commits_that_fail, setup, teardown),
        cmocka_unit_test_setup_teardown(test_secrets, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
