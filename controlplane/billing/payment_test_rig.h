/* SPDX-License-Identifier: MIT
 * payment_test_rig.h - a ledger with two wallets, and events of senders as they come in.
 * Floor: controlplane/billing tests.
 * Owns: a store in memory, its ledger and billing.
 * Invariant: the ledger's audit passes at the end of every test. */
#ifndef BERTH_CONTROLPLANE_BILLING_PAYMENT_TEST_RIG_H
#define BERTH_CONTROLPLANE_BILLING_PAYMENT_TEST_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "controlplane/billing/payment.h"
#include "controlplane/billing/signature.h"
#include "controlplane/billing/wallet_test_rig.h"
#include "controlplane/object/object.h"

#define SECRET "whsec_test_0123456789abcdef"
#define AT 1700000000

static struct store *store;
static struct ledger *ledger;
static struct secret *secret;
static struct billing *billing;
static struct arena arena;
static struct err err;

static inline int
setup(void **state)
{
    const struct ledger_config config = {.fee_bps = 0};
    (void)state;
    arena_init(&arena, 64u << 20);
    assert_int_equal(store_open("memory:", NULL, &store, &err), 0);
    assert_int_equal(ledger_new(store, &config, &ledger, &err), 0);
    secret = secret_new(STR(SECRET));
    const struct billing_conf conf = {
        .store = store, .ledger = ledger, .server = "s", .secrets = {secret, secret}};
    assert_int_equal(billing_new(&conf, &billing, &err), 0);
    wallet_put(store, "default", "", &arena);
    wallet_put(store, "team-a", "", &arena);
    return 0;
}

static inline int
teardown(void **state)
{
    struct ledger_audit audit;
    (void)state;
    assert_int_equal(ledger_audit(ledger, &audit, &err), 0);
    billing_free(&billing);
    secret_free(&secret);
    ledger_free(&ledger);
    store_close(&store);
    arena_fini(&arena);
    return 0;
}

#define SESSION(event, type, status, cents, currency, rest)                                   \
    "{\"id\":\"" event "\",\"object\":\"event\",\"type\":\"checkout.session." type "\","      \
    "\"data\":{\"object\":{\"id\":\"cs_1\",\"mode\":\"payment\",\"payment_status\":\"" status \
    "\",\"amount_total\":" cents ",\"currency\":\"" currency "\"" rest "}}}"
#define INTENT(event, status, cents, rest)                                               \
    "{\"id\":\"" event "\",\"type\":\"payment_intent.succeeded\",\"data\":{\"object\":{" \
    "\"id\":\"pi_1\",\"status\":\"" status "\",\"amount_received\":" cents               \
    ",\"currency\":\"usd\"" rest "}}}"
#define PI ",\"payment_intent\":\"pi_1\""
#define TO_A ",\"metadata\":{\"wallet\":\"team-a\"}"
#define REFUND(event, intent, cents)                                                           \
    "{\"id\":\"" event "\",\"type\":\"charge.refunded\",\"data\":{\"object\":{"                \
    "\"id\":\"ch_1\",\"payment_intent\":" intent ",\"amount\":2000,\"amount_refunded\":" cents \
    ",\"currency\":\"usd\"}}}"
#define DISPUTE(event, what, dispute, cents)                                            \
    "{\"id\":\"" event "\",\"type\":\"charge.dispute." what "\",\"data\":{\"object\":{" \
    "\"id\":\"" dispute "\",\"payment_intent\":\"pi_1\",\"amount\":" cents              \
    ",\"currency\":\"usd\",\"status\":\"needs_response\"}}}"
/* As Stripe has them: the withdrawal with its fee, and behind it what came again. */
#define OUT(cents, fee) "{\"amount\":-" cents ",\"fee\":" fee ",\"currency\":\"usd\"}"
#define BACK(cents, fee) "{\"amount\":" cents ",\"fee\":" fee ",\"currency\":\"usd\"}"
#define MOVED(event, what, dispute, cents, list) \
    DISPUTE(event, what, dispute, cents ",\"balance_transactions\":[" list "]")
#define CRYPTO(event, type, amount, currency, rest)                                         \
    "{\"id\":\"" event "\",\"type\":\"" type "\",\"payment\":\"np-1\",\"amount\":\"" amount \
    "\",\"currency\":\"" currency "\"" rest "}"

/* One call as its sender would make it. */
static inline int
receive(enum webhook webhook, const char *body, int64_t now_s, struct payment_receipt *ret_receipt)
{
    uint8_t mac[SHA256_BYTES];
    char hex[2 * SHA256_BYTES + 1];
    struct str text = arena_printf(&arena, "%d.%s", AT, body);
    digest_hmac_sha256(STR(SECRET), text, mac);
    hex_encode(mac, sizeof mac, hex);
    struct str header = arena_printf(&arena, "t=%d,v1=%s", AT, hex);
    return payment_receive(billing, webhook, header, str_from(body), now_s, &arena, ret_receipt,
                           &err);
}

static inline int64_t
general(const char *wallet)
{
    struct ledger_balances balances;
    assert_int_equal(ledger_balances(ledger, str_from(wallet), &balances, &err), 0);
    return balances.general.nano / (MONEY_NANO_PER_USD / 100);
}

#endif
