/* SPDX-License-Identifier: MIT
 * admin_test.c - the admin API over a real socket, and its document against its routes.
 * Floor: controlplane/admin tests; the loop has a thread of its own, the test calls from outside.
 * Owns: nothing.
 * Invariant: see admin.h. */
#include "controlplane/admin/admin.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/base/clock.h"
#include "lib/base/digest.h"
#include "lib/http/fetch.h"
#include "lib/net/sock.h"

#define TOKEN "bth-admin-0123456789abcdef0123456789abcdef"
#define WEBHOOK_SECRET "whsec_test_0123456789abcdef"
#define BASE "/apis/berth.dev/v1alpha1"
#define HEAD "apiVersion: berth.dev/v1alpha1\n"

struct fixture {
    char dir[64];
    char socket[128];
    char url[64];
    struct loop *loop;
    struct store *store;
    struct ledger *ledger;
    struct ed25519_key *key;
    struct secret *token;
    struct engine *engine;
    struct secret *webhook_secret;
    struct billing *billing;
    struct admin *admin;
    int unix_fd;
    int tcp_fd;
    pthread_t thread;
    struct err err;
    struct buf reply;
};

static void *
run_loop(void *arg)
{
    loop_run(arg);
    return NULL;
}

static int
listen_on(struct fixture *f, const char *text, int *ret_fd, struct sock_addr *ret_addr)
{
    if (sock_addr_parse(str_from(text), ret_addr, &f->err) < 0 ||
        sock_listen(ret_addr, 16, false, 0600, ret_fd, &f->err) < 0)
        return -1;
    ret_addr->len = sizeof ret_addr->u;
    return getsockname(*ret_fd, &ret_addr->u.any, &ret_addr->len);
}

static int
setup(void **state)
{
    static struct fixture fixture;
    struct fixture *f = &fixture;
    const struct ledger_config ledger_config = {.fee_bps = 100};
    struct sock_addr addr;
    char text[160];
    *f = (struct fixture){.dir = "/tmp/berth-admin-test-XXXXXX"};
    *state = f;
    buf_init(&f->reply, 4u << 20);
    if (!mkdtemp(f->dir) || loop_new(&f->loop, &f->err) < 0 ||
        store_open("memory:", f->loop, &f->store, &f->err) < 0 || ed25519_generate(&f->key) < 0 ||
        ledger_new(f->store, &ledger_config, &f->ledger, &f->err) < 0)
        return -1;
    const struct engine_conf conf = {.loop = f->loop,
                                     .store = f->store,
                                     .ledger = f->ledger,
                                     .key = f->key,
                                     .settings = SNAPSHOT_SETTINGS_DEFAULT};
    f->token = secret_new(STR(TOKEN));
    if (!f->token || engine_new(&conf, &f->engine, &f->err) < 0)
        return -1;
    f->webhook_secret = secret_new(STR(WEBHOOK_SECRET));
    const struct billing_conf billing_conf = {.store = f->store,
                                              .ledger = f->ledger,
                                              .server = f->engine->server,
                                              .secrets = {f->webhook_secret},
                                              .markup_bps = 500,
                                              .fee_bps = 100};
    if (!f->webhook_secret || billing_new(&billing_conf, &f->billing, &f->err) < 0)
        return -1;
    const struct admin_conf admin_conf = {.loop = f->loop,
                                          .engine = f->engine,
                                          .ledger = f->ledger,
                                          .billing = f->billing,
                                          .token = f->token,
                                          .version = "test"};
    (void)snprintf(f->socket, sizeof f->socket, "%.63s/admin.sock", f->dir);
    (void)snprintf(text, sizeof text, "unix:%.120s", f->socket);
    if (admin_new(&admin_conf, &f->admin, &f->err) < 0 ||
        listen_on(f, text, &f->unix_fd, &addr) < 0 ||
        admin_listen(f->admin, f->unix_fd, true, &f->err) < 0 ||
        listen_on(f, "127.0.0.1:0", &f->tcp_fd, &addr) < 0 ||
        admin_listen(f->admin, f->tcp_fd, false, &f->err) < 0)
        return -1;
    (void)snprintf(f->url, sizeof f->url, "http://127.0.0.1:%u", ntohs(addr.u.in4.sin_port));
    return pthread_create(&f->thread, NULL, run_loop, f->loop);
}

static int
teardown(void **state)
{
    struct fixture *f = *state;
    loop_stop(f->loop);
    pthread_join(f->thread, NULL);
    admin_free(&f->admin);
    billing_free(&f->billing);
    secret_free(&f->webhook_secret);
    engine_free(&f->engine);
    ledger_free(&f->ledger);
    store_close(&f->store);
    loop_free(&f->loop);
    ed25519_free(&f->key);
    secret_free(&f->token);
    buf_fini(&f->reply);
    close(f->unix_fd);
    close(f->tcp_fd);
    unlink(f->socket);
    rmdir(f->dir);
    return 0;
}

/* One call over the socket; the reply is in f->reply. */
static long
call(struct fixture *f, const char *method, const char *path, const char *body)
{
    static const char *const json[] = {"Content-Type: application/json", NULL};
    static const char *const yaml[] = {"Content-Type: application/yaml", NULL};
    char url[512];
    long status = 0;
    (void)snprintf(url, sizeof url, "http://localhost%s", path);
    const struct fetch fetch = {.method = method,
                                .url = url,
                                .unix_path = f->socket,
                                .fields = body && body[0] != '{' && body[0] != '[' ? yaml : json,
                                .body = body ? str_from(body) : STR_EMPTY,
                                .timeout_ms = 10000};
    f->reply.len = 0;
    if (fetch_run(&fetch, &status, &f->reply, &f->err) < 0)
        fail_msg("%s %s: %s", method, path, f->err.text);
    return status;
}

struct step {
    const char *method;
    const char *path;
    const char *body;
    long want;
    const char *want_text;
};

static void
run_steps(struct fixture *f, const struct step *steps, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        long status = call(f, steps[i].method, steps[i].path, steps[i].body);
        if (status != steps[i].want ||
            (steps[i].want_text && !strstr(buf_cstr(&f->reply), steps[i].want_text)))
            fail_msg("step %zu %s %s: %ld, want %ld with %s in:\n%s", i, steps[i].method,
                     steps[i].path, status, steps[i].want, steps[i].want_text, buf_cstr(&f->reply));
    }
}

static void
test_objects(void **state)
{
    static const struct step steps[] = {
        {"GET", BASE "/wallets", NULL, 200, "\"kind\":\"WalletList\""},
        {"GET", BASE "/walets", NULL, 404, "the nearest is \\\"wallets\\\""},
        {"GET", BASE "/wallets?limti=1", NULL, 400, "unknown query parameter"},
        {"PUT", BASE "/wallets/a", HEAD "kind: Wallet\nmetadata: {name: a}\n", 201,
         "\"generation\":\"1\""},
        {"PUT", BASE "/wallets/a", HEAD "kind: Wallet\nmetadata: {name: a}\n", 200, NULL},
        {"PUT", BASE "/wallets/a", HEAD "kind: Wallet\nmetadata: {name: b}\n", 400,
         "must be those of the path"},
        {"PUT", BASE "/wallets/a", HEAD "kind: Wallet\nmetadata: {name: a, revision: '1'}\n", 409,
         "\"code\":\"CONFLICT\""},
        {"PUT", BASE "/wallets/a",
         "{\"apiVersion\":\"berth.dev/v1alpha1\",\"kind\":\"Wallet\","
         "\"metadata\":{\"name\":\"a\"},\"spec\":{\"frozne\":true}}",
         400, "did you mean \\\"frozen\\\"?"},
        {"GET", BASE "/wallets/a", NULL, 200, "\"frozen\":false"},
        {"GET", BASE "/wallets/b", NULL, 404, "\"statusCode\":404,\"error\":\"Not Found\""},
        {"PUT", BASE "/models/house/m%3A1",
         HEAD "kind: Model\nmetadata: {name: 'house/m:1'}\nspec: {provider: h, upstream: u}\n", 201,
         "house/m:1"},
        {"GET", BASE "/models/house/m:1", NULL, 200, "\"upstream\":\"u\""},
        {"DELETE", BASE "/models/house/m:1?revision=1", NULL, 409, NULL},
        {"DELETE", BASE "/models/house/m:1", NULL, 200, "\"deleted\":true"},
        {"DELETE", BASE "/models/house/m:1", NULL, 404, NULL},
        {"PUT", BASE "/apikeys/ci", HEAD "kind: ApiKey\nmetadata: {name: ci}\n", 201,
         "\"key\":\"sk-bth-"},
        {"POST", BASE "/wallets", NULL, 405, "METHOD_NOT_ALLOWED"},
        {"GET", "/nothing", NULL, 404, "openapi.yaml"},
        {"GET", BASE "/wallets/%zz", NULL, 400, NULL},
    };
    run_steps(*state, steps, ARRAY_LEN(steps));
    struct fixture *f = *state;
    assert_int_equal(call(f, "GET", BASE "/apikeys/ci", NULL), 200);
    assert_null(strstr(buf_cstr(&f->reply), "\"key\""));
}

static void
test_apply(void **state)
{
    static const struct step steps[] = {
        {"POST", BASE "/apply?dryRun=true", HEAD "kind: Wallet\nmetadata: {name: x}\n", 200,
         "\"change\":\"checked\""},
        {"GET", BASE "/wallets/x", NULL, 404, NULL},
        {"POST", BASE "/apply",
         HEAD "kind: Wallet\nmetadata: {name: x}\n---\n" HEAD
              "kind: ApiKey\nmetadata: {name: k}\nspec: {wallet: x}\n",
         200, "\"name\":\"k\",\"change\":\"created\""},
        {"POST", BASE "/apply", HEAD "kind: Wallet\nmetadata: {name: x}\n", 200, "unchanged"},
        {"POST", BASE "/apply", HEAD "kind: Wallet\nmetadata: {name: x}\nspec: {frozen: true}\n",
         200, "configured"},
        /* one bad document: none is stored, and the place is named */
        {"POST", BASE "/apply",
         HEAD "kind: Wallet\nmetadata: {name: y}\n---\n" HEAD
              "kind: Wallet\nmetadata: {name: z}\nspec: {frozne: true}\n",
         400, "line 8, column 8: unknown key"},
        {"GET", BASE "/wallets/y", NULL, 404, NULL},
        {"POST", BASE "/apply",
         HEAD "kind: Wallet\nmetadata: {name: y}\n---\n" HEAD "kind: Wallet\nmetadata: {name: y}\n",
         400, "is there twice"},
        {"POST", BASE "/apply", "a: &x 1\nb: *x\n", 400, NULL},
        {"POST", BASE "/apply", "{\"a\":1,\"a\":2}", 400, NULL},
        {"POST", BASE "/apply", "[]", 400, "no object in it"},
        {"POST", BASE "/apply", "a:\n\tb: 1\n", 400, "line 2, column 1: found character"},
        {"POST", BASE "/apply", "a: 1\na: 2\n", 400, "line 2, column 1: duplicate key `a`"},
        {"POST", BASE "/apply", HEAD "kind: Container\nmetadata: {name: c}\nspec: {wallet: nope}\n",
         200, "\"missing\":\"Wallet/nope\""},
        {"POST", BASE "/apply", NULL, 400, "no body"},
        {"POST", BASE "/apply",
         "[{\"apiVersion\":\"berth.dev/"
         "v1alpha1\",\"kind\":\"Wallet\",\"metadata\":{\"name\":\"j\"}}]",
         200, "created"},
    };
    run_steps(*state, steps, ARRAY_LEN(steps));
}

static void
test_wallet(void **state)
{
#define DEPOSIT "/api/v1/wallet/deposits"
#define TRANSFER "/api/v1/wallet/transfers"
    static const struct step steps[] = {
        {"GET", "/api/v1/wallet/balances", NULL, 404, "there is no Wallet"},
        {"PUT", BASE "/wallets/default", HEAD "kind: Wallet\nmetadata: {name: default}\n", 201,
         NULL},
        {"GET", "/api/v1/wallet/balances", NULL, 200,
         "\"general_balance\":\"0.00\",\"ai_limit\":\"0.00\""},
        {"POST", DEPOSIT, "{\"amount\":\"100\",\"idempotency_key\":\"d1\"}", 200,
         "\"general_balance\":\"100.00\""},
        {"POST", DEPOSIT, "{\"amount\":\"100\",\"idempotency_key\":\"d1\"}", 200,
         "\"replayed\":true"},
        {"POST", TRANSFER,
         "{\"amount\":\"40.00\",\"idempotency_key\":\"t1\",\"expected_fee_bps\":100}", 200,
         "\"gross_transferred\":\"40.00\",\"net_ai_credit\":\"39.60\",\"fee\":\"0.40\","
         "\"general_balance\":\"60.00\",\"ai_balance\":\"39.60\""},
        {"POST", TRANSFER,
         "{\"amount\":\"40.00\",\"idempotency_key\":\"t1\",\"expected_fee_bps\":100}", 200,
         "\"replayed\":true"},
        {"POST", TRANSFER, "{\"amount\":\"41.00\",\"idempotency_key\":\"t1\"}", 409,
         "TRANSFER_IDEMPOTENCY_KEY_REUSED"},
        {"POST", TRANSFER,
         "{\"amount\":\"1.00\",\"idempotency_key\":\"t2\",\"expected_fee_bps\":0}", 409,
         "TRANSFER_FEE_CHANGED"},
        {"POST", TRANSFER, "{\"amount\":\"61.00\",\"idempotency_key\":\"t3\"}", 402,
         "INSUFFICIENT_BALANCE"},
        {"GET", "/api/v1/wallet/balances?wallet=default", NULL, 200,
         "\"ai_limit\":\"39.60\",\"ai_usage\":\"0.00\",\"ai_remaining\":\"39.60\""},
        {"GET", "/api/v1/wallet/transactions?limit=1", NULL, 200, "\"next\":\""},
        {"GET", "/api/v1/wallet/transactions?limit=0", NULL, 400, "a number from 1 to 100"},
        {"GET", "/api/v1/wallet/audit", NULL, 200, "\"ok\":true,\"transactions\":\"2\""},
        {"GET", "/api/v1/usage?group=moon", NULL, 400, "by must be"},
        {"GET", "/api/v1/usage?by=container,container", NULL, 400, "each once"},
        {"GET", "/api/v1/usage?by=hour,day", NULL, 400, "not both"},
        {"GET", "/api/v1/usage?by=", NULL, 400, "by must be"},
        {"GET", "/api/v1/usage?by=day,container,model&from_ms=5&to_ms=1", NULL, 200, NULL},
        {"GET", "/api/v1/usage?by=day&from_ms=5000000&to_ms=1", NULL, 400, "before its start"},
        {"GET", "/api/v1/usage", NULL, 200, "{\"items\":[]}"},
        {"GET", "/api/v1/usage/records", NULL, 200, "{\"records\":[]}"},
    };
    run_steps(*state, steps, ARRAY_LEN(steps));
    static const char *const bad_amounts[] = {
        "", "0", "-1", "1.001", "01.00", "1e2", " 1", "+1", "99999999999999999999", "0.00", "."};
    for (size_t i = 0; i < ARRAY_LEN(bad_amounts); i++) {
        char body[256];
        (void)snprintf(body, sizeof body, "{\"amount\":\"%s\",\"idempotency_key\":\"x\"}",
                       bad_amounts[i]);
        const struct step step = {"POST", TRANSFER, body, 400, "INVALID_AMOUNT"};
        run_steps(*state, &step, 1);
    }
    static const struct step strict[] = {
        {"POST", TRANSFER, "{\"amount\":1,\"idempotency_key\":\"x\"}", 400, "must be a string"},
        {"POST", TRANSFER, "{\"amount\":\"1\",\"idempotency_key\":\" \"}", 400, "IDEMPOTENCY"},
        {"POST", TRANSFER, "{\"amount\":\"1\",\"idempotency_key\":\"x\",\"amuont\":1}", 400,
         "unknown key"},
        {"POST", TRANSFER, "{\"amount\":\"1\",\"amount\":\"2\",\"idempotency_key\":\"x\"}", 400,
         NULL},
        {"POST", TRANSFER, "{\"amount\":\"1\",\"idempotency_key\":\"x\",\"wallet\":\"nobody\"}",
         404, NULL},
        {"POST", DEPOSIT, "{\"amount\":\"1\",\"idempotency_key\":\"x\",\"purse\":\"gold\"}", 400,
         "purse"},
    };
    run_steps(*state, strict, ARRAY_LEN(strict));
}

static void
test_wallet_delete(void **state)
{
    static const struct step steps[] = {
        {"PUT", BASE "/wallets/rich", HEAD "kind: Wallet\nmetadata: {name: rich}\n", 201, NULL},
        {"POST", "/api/v1/wallet/deposits",
         "{\"amount\":\"1\",\"idempotency_key\":\"r\",\"wallet\":\"rich\"}", 200, NULL},
        {"DELETE", BASE "/wallets/rich", NULL, 409, "holds 1.00 USD in General and 0.00 USD in AI"},
        {"POST", "/api/v1/wallet/adjustments",
         "{\"amount\":\"-1.00\",\"idempotency_key\":\"r2\",\"wallet\":\"rich\","
         "\"purse\":\"general\",\"reason\":\"out\"}",
         200, NULL},
        {"DELETE", BASE "/wallets/rich", NULL, 200, "\"deleted\":true"},
    };
    run_steps(*state, steps, ARRAY_LEN(steps));
}

/* ---- payments and invoices ------------------------------------------------------------------- */

/* A webhook as its sender would call it, over TCP and without a token. field: NULL = signed now. */
static long
deliver(struct fixture *f, const char *path, const char *body, const char *field)
{
    char text[4096];
    char line[256];
    char url[256];
    char hex[2 * SHA256_BYTES + 1];
    uint8_t mac[SHA256_BYTES];
    long status = 0;
    long long now_s = (long long)(clock_wall_ns() / 1000000000);
    (void)snprintf(text, sizeof text, "%lld.%s", now_s, body);
    digest_hmac_sha256(STR(WEBHOOK_SECRET), str_from(text), mac);
    hex_encode(mac, sizeof mac, hex);
    (void)snprintf(line, sizeof line, "Stripe-Signature: t=%lld,v1=%s", now_s, hex);
    (void)snprintf(url, sizeof url, "%s%s", f->url, path);
    const char *const fields[] = {"Content-Type: application/json; charset=utf-8",
                                  field ? field : line, NULL};
    const struct fetch fetch = {
        .method = "POST", .url = url, .fields = fields, .body = str_from(body)};
    f->reply.len = 0;
    if (fetch_run(&fetch, &status, &f->reply, &f->err) < 0)
        fail_msg("%s", f->err.text);
    return status;
}

static void
test_webhooks(void **state)
{
    struct fixture *f = *state;
#define STRIPE "/api/v1/wallet/webhooks/stripe"
#define PAID(event, cents)                                                                 \
    "{\"id\":\"" event "\",\"type\":\"checkout.session.completed\",\"data\":{\"object\":{" \
    "\"id\":\"cs_1\",\"mode\":\"payment\",\"payment_status\":\"paid\",\"payment_intent\":" \
    "\"pi_" event "\",\"amount_total\":" cents ",\"currency\":\"usd\"}}}"
    static const struct {
        const char *path;
        const char *body;
        const char *field;
        long want;
        const char *text;
    } rows[] = {
        {STRIPE, PAID("e1", "2000"), NULL, 404, "there is no Wallet"},
        {NULL, NULL, NULL, 0, NULL}, /* here the wallet is made */
        {STRIPE, PAID("e1", "2000"), NULL, 200, "\"credited\":true,\"transaction\":\"1\""},
        {STRIPE, PAID("e1", "2000"), NULL, 200, "\"credited\":false,\"transaction\":\"1\""},
        {STRIPE, "{\"id\":\"e2\",\"type\":\"charge.succeeded\"}", NULL, 200,
         "\"ignored\":\"events"},
        {STRIPE, PAID("e3", "2000"), "X: y", 400, "there is none"},
        {STRIPE, PAID("e3", "2000"), "Stripe-Signature: t=1,v1=00", 400, "\"code\":\"SIGNATURE\""},
        {STRIPE, PAID("e3", "2000"), "Authorization: Bearer " TOKEN, 400, "SIGNATURE"},
        {STRIPE, PAID("e3", "-1"), NULL, 400, "cents"},
        {STRIPE, "{", NULL, 400, NULL},
        {"/api/v1/wallet/webhooks/crypto", "{}", NULL, 400, "WEBHOOK_OFF"},
        {"/api/v1/wallet/webhooks/paypal", "{}", NULL, 404, "no webhook"},
        {STRIPE "/x", "{}", NULL, 401, "UNAUTHENTICATED"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        if (!rows[i].path) {
            call(f, "PUT", BASE "/wallets/default",
                 HEAD "kind: Wallet\nmetadata: {name: default}\n");
            continue;
        }
        long status = deliver(f, rows[i].path, rows[i].body, rows[i].field);
        if (status != rows[i].want || (rows[i].text && !strstr(buf_cstr(&f->reply), rows[i].text)))
            fail_msg("row %zu: %ld %s", i, status, buf_cstr(&f->reply));
    }
    CLEANUP(buf_fini) struct buf large;
    buf_init(&large, 4u << 20);
    for (size_t i = 0; i < (2u << 20); i++)
        buf_put_byte(&large, ' ');
    assert_int_equal(deliver(f, STRIPE, buf_cstr(&large), "Stripe-Signature: t=1,v1=00"), 413);
    const struct step after = {"GET", "/api/v1/wallet/balances", NULL, 200,
                               "\"general_balance\":\"20.00\""};
    run_steps(f, &after, 1);
}

static void
test_invoices(void **state)
{
    struct fixture *f = *state;
#define INVOICES "/api/v1/wallet/invoices"
    static const struct step steps[] = {
        {"PUT", BASE "/wallets/default", HEAD "kind: Wallet\nmetadata: {name: default}\n", 201,
         NULL},
        {"GET", INVOICES, NULL, 200, "{\"invoices\":[]}"},
        {"POST", INVOICES, "{}", 409, "NOTHING_TO_INVOICE"},
        {"POST", INVOICES, "{\"wallet\":\"nobody\"}", 404, "there is no Wallet"},
        {"POST", INVOICES, "{\"walet\":\"x\"}", 400, "unknown key"},
        {"POST", DEPOSIT, "{\"amount\":\"100\",\"idempotency_key\":\"bank:4711\"}", 200, NULL},
        {"POST", TRANSFER, "{\"amount\":\"40.00\",\"idempotency_key\":\"t\"}", 200, NULL},
        {"POST", "/api/v1/wallet/adjustments",
         "{\"amount\":\"-0.50\",\"idempotency_key\":\"a\",\"purse\":\"general\",\"reason\":"
         "\"refund\"}",
         200, "\"adjusted\":\"-0.50\",\"general_balance\":\"59.50\""},
        {"POST", "/api/v1/wallet/adjustments",
         "{\"amount\":\"-0.50\",\"idempotency_key\":\"b\",\"purse\":\"general\"}", 400, "reason"},
        {"POST", "/api/v1/wallet/adjustments",
         "{\"amount\":\"-0\",\"idempotency_key\":\"b\",\"purse\":\"ai\",\"reason\":\"r\"}", 400,
         "INVALID_AMOUNT"},
        {"GET", "/api/v1/wallet/ai-fee-history", NULL, 200,
         "{\"fees\":[{\"id\":\"2\",\"transaction_id\":\"2\",\"amount\":\"0.40\""},
        {"GET", "/api/v1/wallet/ai-fee-history?before=2", NULL, 200, "{\"fees\":[]}"},
        {"GET", "/api/v1/wallet/transactions/3", NULL, 200, "\"reason\":\"refund\""},
        {"GET", "/api/v1/wallet/transactions/4", NULL, 404, NULL},
        {"GET", "/api/v1/wallet/transactions/0", NULL, 404, NULL},
        {"GET", "/api/v1/wallet/transactions/x", NULL, 404, NULL},
        {"GET", "/api/v1/wallet/balances/general", NULL, 200, "\"general_balance\":\"59.50\""},
        {"GET", "/api/v1/wallet/balances/ai", NULL, 200, "\"ai_usage_status\":\"live\""},
        {"GET", "/api/v1/wallet/payment-availability", NULL, 200,
         "{\"stripe\":{\"enabled\":true,\"min_usd\":\"0.01\",\"max_usd\":\"10000000.00\"},"
         "\"crypto\":{\"enabled\":false"},
        {"GET", "/api/v1/settings", NULL, 200,
         "{\"markup_bps\":500,\"transfer_fee_bps\":100,\"webhooks\":{\"stripe\":true,\"crypto\":"
         "false},\"container_tokens\":\"strict\",\"invoices\":\"on demand\"}"},
        {"POST", INVOICES, "{}", 201, "\"sequence\":\"1\",\"wallet\":\"default\""},
        {"POST", INVOICES, "{}", 409, "since its last invoice"},
        {"GET", INVOICES "?wallet=default&limit=1", NULL, 200, "\"closing\":\"59.50\""},
        {"GET", INVOICES "?wallet=other", NULL, 200, "{\"invoices\":[]}"},
        {"GET", INVOICES "?limit=101", NULL, 400, NULL},
        {"GET", INVOICES "/1", NULL, 200, "\"reference\":\"bank:4711\""},
        {"GET", INVOICES "/2", NULL, 404, "there is no invoice 2"},
        {"GET", INVOICES "/1/pdf", NULL, 200, "%PDF-"},
        {"GET", INVOICES "/2/pdf", NULL, 404, NULL},
        {"GET", INVOICES "/1/png", NULL, 404, NULL},
        {"DELETE", INVOICES "/1", NULL, 405, NULL},
        {"GET", "/api/v1/wallet/audit", NULL, 200, "\"ok\":true,\"transactions\":\"3\""},
        {"GET", "/api/v1/wallet/audit", NULL, 200, "\"invoices\":\"1\""},
    };
    run_steps(f, steps, ARRAY_LEN(steps));
}

static void
test_open_endpoints(void **state)
{
    static const struct step steps[] = {
        {"GET", "/healthz", NULL, 200, "ok"},
        {"GET", "/livez", NULL, 200, "ok"},
        {"GET", "/readyz", NULL, 200, "ok"},
        {"GET", "/version", NULL, 200, "\"version\":\"test\""},
        {"GET", "/metrics", NULL, 200, "# TYPE berth_controlplane_revision gauge"},
        {"GET", "/openapi.yaml", NULL, 200, "openapi: 3.1.0"},
        {"GET", "/api/v1/nodes", NULL, 200, "\"nodes\":[]"},
        {"POST", "/api/v1/containers/dev/revoke", NULL, 404, "there is no Container"},
        {"GET", "/api/v1/containers/dev/log", NULL, 404, "there is no Container"},
        {"PUT", BASE "/containers/dev", HEAD "kind: Container\nmetadata: {name: dev}\n", 201, NULL},
        {"GET", "/api/v1/containers/dev/log", NULL, 200, "{\"name\":\"dev\",\"items\":[]}"},
        {"GET", "/api/v1/containers/dev/log?limit=1", NULL, 400, NULL},
        {"GET", "/api/v1/server/keys", NULL, 200, "\"use\":\"signs\"}]"},
        {"POST", "/api/v1/server/keys/rotate", NULL, 400, "not kept in a file"},
    };
    run_steps(*state, steps, ARRAY_LEN(steps));
}

static void
test_token(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *field;
        const char *path;
        long want;
    } rows[] = {
        {"X: y", "/version", 200},
        {"X: y", BASE "/wallets", 401},
        {"X: y", "/nothing", 401},
        {"Authorization: Bearer " TOKEN, BASE "/wallets", 200},
        {"Authorization: bearer " TOKEN, BASE "/wallets", 200},
        {"Authorization: Bearer " TOKEN "0", BASE "/wallets", 401},
        {"Authorization: Bearer ", BASE "/wallets", 401},
        {"Authorization: Basic " TOKEN, BASE "/wallets", 401},
        {"Authorization: " TOKEN, BASE "/wallets", 401},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const char *const fields[] = {rows[i].field, NULL};
        char url[256];
        long status = 0;
        (void)snprintf(url, sizeof url, "%s%s", f->url, rows[i].path);
        const struct fetch fetch = {.method = "GET", .url = url, .fields = fields};
        f->reply.len = 0;
        assert_int_equal(fetch_run(&fetch, &status, &f->reply, &f->err), 0);
        assert_int_equal(status, rows[i].want);
        assert_null(strstr(buf_cstr(&f->reply), TOKEN));
    }
}

static void
test_media_type(void **state)
{
    struct fixture *f = *state;
    static const char *const fields[] = {"Content-Type: text/plain", NULL};
    long status = 0;
    const struct fetch fetch = {.method = "POST",
                                .url = "http://localhost" BASE "/apply",
                                .unix_path = f->socket,
                                .fields = fields,
                                .body = STR("x: 1")};
    f->reply.len = 0;
    assert_int_equal(fetch_run(&fetch, &status, &f->reply, &f->err), 0);
    assert_int_equal(status, 415);
}

/* Every path and method of the document is routed, and every route is documented. */
static void
test_document_matches_routes(void **state)
{
    struct arena arena;
    struct tree *list = NULL;
    struct err err = {0};
    const char *method;
    const char *path;
    size_t documented = 0;
    size_t routed = 0;
    (void)state;
    arena_init(&arena, 8u << 20);
    if (tree_from_yaml(admin_openapi(), &arena, &list, &err) < 0)
        fail_msg("%s", err.text);
    const struct tree *paths = tree_get(list->first, STR("paths"));
    assert_non_null(paths);
    for (const struct tree *entry = paths->first; entry; entry = entry->next) {
        for (const struct tree *op = entry->first; op; op = op->next) {
            bool found = false;
            if (str_eq(op->key, STR("parameters")))
                continue;
            for (size_t i = 0; admin_endpoint(i, &method, &path); i++)
                found = found || (str_eq_nocase(op->key, str_from(method)) &&
                                  str_eq(entry->key, str_from(path)));
            if (!found)
                fail_msg("documented, not routed: %.*s %.*s", STR_ARG(op->key),
                         STR_ARG(entry->key));
            assert_non_null(tree_get(op, STR("operationId")));
            assert_non_null(tree_get(op, STR("responses")));
            documented++;
        }
    }
    while (admin_endpoint(routed, &method, &path))
        routed++;
    assert_int_equal(documented, routed);
    arena_fini(&arena);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_objects, setup, teardown),
        cmocka_unit_test_setup_teardown(test_apply, setup, teardown),
        cmocka_unit_test_setup_teardown(test_wallet, setup, teardown),
        cmocka_unit_test_setup_teardown(test_wallet_delete, setup, teardown),
        cmocka_unit_test_setup_teardown(test_webhooks, setup, teardown),
        cmocka_unit_test_setup_teardown(test_invoices, setup, teardown),
        cmocka_unit_test_setup_teardown(test_open_endpoints, setup, teardown),
        cmocka_unit_test_setup_teardown(test_token, setup, teardown),
        cmocka_unit_test_setup_teardown(test_media_type, setup, teardown),
        cmocka_unit_test(test_document_matches_routes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
