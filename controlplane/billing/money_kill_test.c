/* SPDX-License-Identifier: MIT
 * money_kill_test.c - kill -9 in front of every call that writes in a month of a wallet: the books
 *            balance, what was answered is there, and who goes on from there ends where a month
 *            without a death ends.
 * Floor: controlplane/billing tests.
 * Owns: a folder under /tmp; memory that a child shares.
 * Invariant: see ledger.h, payment.h, invoice.h. BERTH_KILLS=full: every point; else a sample. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "controlplane/billing/cap.h"
#include "controlplane/billing/invoice.h"
#include "controlplane/billing/payment.h"
#include "controlplane/ledger/usage_rollup.h"
#include "controlplane/object/object.h"
#include "lib/base/kill_story_test_rig.h"

#define SECRET "whsec_test_0123456789abcdef"
#define USD MONEY_NANO_PER_USD
enum { AT = 1700000000 };

static struct store *store;
static struct ledger *ledger;
static struct secret *secret;
static struct billing *billing;
static struct arena arena;
static struct err err;
static char folder[64];

static int64_t (*granted)[2]; /* what the nodes know; survives the child */

static void
open_all(void)
{
    char url[96];
    const struct ledger_config config = {.fee_bps = 100};
    (void)snprintf(url, sizeof url, "sqlite:%s/a.db", folder);
    arena_init(&arena, 64u << 20);
    if (store_open(url, NULL, &store, &err) < 0 || ledger_new(store, &config, &ledger, &err) < 0)
        fail_msg("%s", err.text);
    secret = secret_new(STR(SECRET));
    const struct billing_conf conf = {.store = store,
                                      .ledger = ledger,
                                      .server = "1a2b3c4d5e6f708192a3b4c5d6e7f809",
                                      .markup_bps = 500,
                                      .fee_bps = 100,
                                      .secrets = {secret, secret}};
    if (billing_new(&conf, &billing, &err) < 0)
        fail_msg("%s", err.text);
}

static void
close_all(void)
{
    billing_free(&billing);
    secret_free(&secret);
    ledger_free(&ledger);
    store_close(&store);
    arena_fini(&arena);
}

/* ---- the steps: each may be asked for again -------------------------------------------------- */

static int
deposit(const char *wallet, enum ledger_purse purse, int64_t usd, const char *key)
{
    struct ledger_receipt receipt;
    return ledger_deposit(ledger, str_from(wallet), purse, (struct money){usd * USD}, str_from(key),
                          &receipt, &err);
}

static int
transfer(const char *wallet, int64_t usd, const char *key)
{
    struct ledger_receipt receipt;
    int code = ledger_transfer(ledger, str_from(wallet), (struct money){usd * USD}, str_from(key),
                               100, &receipt, &err);
    return code == -ERR_OVERDRAWN && usd > 1000 ? 0 : code;
}

static int
adjust(const char *wallet, int64_t usd, const char *key)
{
    struct ledger_receipt receipt;
    return ledger_adjust(ledger, str_from(wallet), LEDGER_GENERAL, (struct money){usd * USD},
                         str_from(key), STR("correction"), &receipt, &err);
}

static int
webhook(enum webhook which, const char *body)
{
    uint8_t mac[SHA256_BYTES];
    char hex[2 * SHA256_BYTES + 1];
    struct payment_receipt receipt;
    digest_hmac_sha256(STR(SECRET), arena_printf(&arena, "%d.%s", AT, body), mac);
    hex_encode(mac, sizeof mac, hex);
    return payment_receive(billing, which, arena_printf(&arena, "t=%d,v1=%s", AT, hex),
                           str_from(body), AT, &arena, &receipt, &err);
}

static int
apply(const char *kind, const char *name, const char *spec)
{
    struct tree *list;
    struct manifest manifest;
    struct object object;
    enum object_change change;
    char key[API_KEY_BYTES + 1];
    struct str yaml =
        arena_printf(&arena, "apiVersion: " API_VERSION "\nkind: %s\nmetadata: {name: %s}\n%s",
                     kind, name, spec);
    int code = tree_from_yaml(yaml, &arena, &list, &err);
    code = code < 0 ? code : schema_check(list->first, &arena, &manifest, &err);
    return code < 0 ? code
                    : object_apply(store, &manifest, "", &arena, &object, &change, key, &err);
}

static int
drop(enum kind_id kind, const char *name)
{
    int code = object_delete(store, kind_at(kind), str_from(name), 0, &err);
    return code == -ERR_NOT_FOUND ? 0 : code;
}

static int
settle(const char *name)
{
    struct object object;
    bool is_short;
    int code = object_get(store, kind_at(KIND_WALLET), str_from(name), &arena, &object, &err);
    return code < 0 ? code : cap_settle(billing, &object, AT * 1000ll, &arena, &is_short, &err);
}

static const char *const nodes[] = {"n1", "n2"};

static int
lend(int node, int64_t nano, bool all)
{
    struct ledger_lease lease;
    const struct ledger_ask ask = {.node = str_from(nodes[node]),
                                   .epoch = 1,
                                   .wallet = STR("default"),
                                   .granted = {(*granted)[node]},
                                   .want = {nano},
                                   .all = all};
    int code = lease_ask(ledger, &ask, &lease, &err);
    if (code == 0)
        (*granted)[node] = lease.granted.nano; /* the node has heard */
    return code;
}

static int
give_back(int node, int64_t nano)
{
    return lease_return(ledger, str_from(nodes[node]), 1, STR("default"), (struct money){nano},
                        &err);
}

/* Records first..last of a node; the one with the number `poison` was lost. */
static int
post(int node, uint64_t first, uint64_t last, uint64_t poison)
{
    struct str records[16];
    struct ledger_applied applied;
    const struct ledger_stream stream = {str_from(nodes[node]), 1, STR("0")};
    size_t count = 0;
    for (uint64_t seq = first; seq <= last; seq++) {
        records[count++] =
            seq == poison
                ? arena_printf(&arena, /* as a journal says of what a power loss took */
                               "{\"seq\":\"%llu\",\"outcome\":\"interrupted\","
                               "\"evidence\":\"lost\"}",
                               (unsigned long long)seq)
                : arena_printf(&arena,
                               "{\"seq\":\"%llu\",\"at_ms\":%lld,\"wallet\":\"default\","
                               "\"provider\":\"openai\",\"model\":\"openai/m%llu\","
                               "\"charge\":\"%llu\",\"cost\":\"%llu\"}",
                               (unsigned long long)seq, AT * 1000ll + (long long)seq * 900000,
                               (unsigned long long)seq % 3, (unsigned long long)seq * 1050001,
                               (unsigned long long)seq * 1000001);
    }
    return usage_apply(ledger, &stream, first, records, count, &applied, &err);
}

static int
add_up(void)
{
    bool more = true;
    int code = 0;
    while (code == 0 && more)
        code = usage_rollup_step(ledger, &more, &err);
    return code;
}

static int
prune(void)
{
    bool more = true;
    int code = 0;
    while (code == 0 && more)
        code = usage_rollup_prune(ledger, AT * 1000ll + 4 * 3600000, &more, &err);
    return code;
}

static int
invoice(const char *wallet)
{
    struct invoice_row row;
    int code = invoice_issue(billing, str_from(wallet), &arena, &row, &err);
    return code == -ERR_NOT_FOUND ? 0 : code;
}

static int
allow(int64_t usd)
{
    struct money moved;
    bool is_short;
    return ledger_allow(ledger, STR("default"), STR("team"), (struct money){usd * USD}, &moved,
                        &is_short, &err);
}

#define STRIPE(event, cents)                                                                      \
    "{\"id\":\"" event "\",\"type\":\"payment_intent.succeeded\",\"data\":{\"object\":{"          \
    "\"id\":\"pi_1\",\"status\":\"succeeded\",\"amount_received\":" cents ",\"currency\":\"usd\"" \
    ",\"metadata\":{\"wallet\":\"team\"}}}}"
#define REFUND(event, cents)                                                    \
    "{\"id\":\"" event "\",\"type\":\"charge.refunded\",\"data\":{\"object\":{" \
    "\"payment_intent\":\"pi_1\",\"amount_refunded\":" cents ",\"currency\":\"usd\"}}}"
#define CRYPTO                                                                                \
    "{\"id\":\"e\",\"type\":\"payment.confirmed\",\"payment\":\"np-1\",\"amount\":\"12.50\"," \
    "\"currency\":\"USD\"}"
#define CAP "spec: {cap: {amount: \"3.00\", per: day, from: default}}\n"
static int
step(uint32_t number)
{
    uint32_t at = 0;
    STEP(apply("Wallet", "default", ""));
    STEP(apply("Wallet", "team", ""));
    STEP(deposit("default", LEDGER_GENERAL, 100, "wire 1"));
    STEP(deposit("default", LEDGER_GENERAL, 100, "wire 1"));
    STEP(deposit("team", LEDGER_AI, 5, "wire 2"));
    STEP(transfer("default", 40, "t1"));
    STEP(transfer("default", 40, "t1"));
    STEP(transfer("default", 4000, "t2"));
    STEP(adjust("default", -1, "a1"));
    STEP(webhook(WEBHOOK_stripe, STRIPE("evt_1", "700")));
    STEP(webhook(WEBHOOK_stripe, STRIPE("evt_2", "9900")));
    STEP(webhook(WEBHOOK_stripe, REFUND("evt_3", "300")));
    STEP(webhook(WEBHOOK_stripe, REFUND("evt_4", "500")));
    STEP(webhook(WEBHOOK_crypto, CRYPTO));
    STEP(lend(0, 2 * USD, true));
    STEP(lend(1, USD, false));
    STEP(post(0, 1, 6, 0));
    STEP(post(0, 4, 12, 0));
    STEP(post(1, 1, 8, 5));
    STEP(lend(0, USD, true));
    STEP(give_back(0, USD / 2));
    STEP(allow(2));
    STEP(apply("Wallet", "capped", CAP));
    STEP(settle("capped"));
    STEP(add_up());
    STEP(invoice("default"));
    STEP(deposit("default", LEDGER_GENERAL, 3, "wire 3"));
    STEP(post(0, 13, 20, 0));
    STEP(add_up());
    STEP(invoice("team"));
    STEP(invoice("default"));
    STEP(apply("ApiKey", "laptop", ""));
    STEP(apply("Container", "dev-env", "spec: {ai: true}\n"));
    STEP(apply("Container", "dev-env", "spec: {ai: false}\n"));
    STEP(drop(KIND_CONTAINER, "dev-env"));
    STEP(lease_orphan(ledger, STR("n2"), 1, STR("default"), &err));
    STEP(post(1, 9, 10, 0));
    STEP(lease_close(ledger, STR("n1"), 1, &err));
    STEP(prune());
    STEP(drop(KIND_API_KEY, "laptop"));
    return (int)at;
}

/* ---- what the books say ---------------------------------------------------------------------- */

static size_t
row_count(const char *kind_name)
{
    struct object *objects;
    size_t count = 0;
    enum kind_id kind = strcmp(kind_name, "key") == 0 ? KIND_API_KEY : KIND_CONTAINER;
    assert_int_equal(
        object_list(store, kind_at(kind), STR_EMPTY, 0, &arena, &objects, &count, &err), 0);
    return count;
}

static void
state_put(char out[KILL_STORY_STATE_BYTES])
{
    static const char *const wallets[] = {"default", "team", "capped"};
    size_t at = 0;
    uint64_t mark;
    memset(out, 0, KILL_STORY_STATE_BYTES);
    for (size_t i = 0; i < ARRAY_LEN(wallets); i++) {
        struct ledger_balances b;
        assert_int_equal(ledger_balances(ledger, str_from(wallets[i]), &b, &err), 0);
        at += (size_t)snprintf(out + at, KILL_STORY_STATE_BYTES - at, "%s %lld %lld %lld %lld\n",
                               wallets[i], (long long)b.general.nano, (long long)b.ai_limit.nano,
                               (long long)b.ai_usage.nano, (long long)b.held.nano);
    }
    for (size_t i = 0; i < ARRAY_LEN(nodes); i++) {
        const struct ledger_stream stream = {str_from(nodes[i]), 1, STR("0")};
        assert_int_equal(usage_mark(ledger, &stream, &mark, &err), 0);
        at += (size_t)snprintf(out + at, KILL_STORY_STATE_BYTES - at, "mark %llu\n",
                               (unsigned long long)mark);
    }
    at += (size_t)snprintf(out + at, KILL_STORY_STATE_BYTES - at, "keys %zu containers %zu\n",
                           row_count("key"), row_count("container"));
}

static void
audit(void)
{
    struct ledger_audit counts;
    uint64_t invoices;
    if (ledger_audit(ledger, &counts, &err) < 0 || invoice_audit(billing, &invoices, &err) < 0)
        fail_msg("%s", err.text);
}

static void
folder_empty(void)
{
    story_folder_empty(folder);
    memset(granted, 0, sizeof *granted);
}

/* Invoices are counted apart: a step that issues one is more than one row, but one commit. */
static void
test_every_point(void **state)
{
    const struct kill_story month = {.step = step,
                                     .state = state_put,
                                     .begin = folder_empty,
                                     .open = open_all,
                                     .close = close_all,
                                     .audit = audit,
                                     .err = &err};
    (void)state;
    story_tell(&month, 60);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_every_point)};
    (void)snprintf(folder, sizeof folder, "/tmp/berth-money-kill-XXXXXX");
    granted = kill_rig_shared(sizeof *granted);
    if (granted == NULL || mkdtemp(folder) == NULL)
        return 1;
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    folder_empty();
    return rmdir(folder) == 0 ? failed : 1;
}
