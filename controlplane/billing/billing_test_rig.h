/* SPDX-License-Identifier: MIT
 * billing_test_rig.h - a store, a ledger and billing in memory, at a time that the test sets.
 * Floor: controlplane/billing tests.
 * Owns: all of them, and the clock of the process, from rig_open to rig_close.
 * Invariant: what a test leaves passes both audits. */
#ifndef BERTH_CONTROLPLANE_BILLING_BILLING_TEST_RIG_H
#define BERTH_CONTROLPLANE_BILLING_BILLING_TEST_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "controlplane/billing/invoice.h"
#include "controlplane/billing/wallet_test_rig.h"
#include "lib/base/clock.h"
#include "lib/net/loop.h"

#define USD MONEY_NANO_PER_USD
#define HOUR_MS 3600000ll

static struct store *store;
static struct ledger *ledger;
static struct billing *billing;
static struct loop *loop;
static struct arena arena;
static struct err err;
static int64_t now_ms;
static int64_t ahead_ms; /* the wall clock, of the other one */
static uint64_t seq;     /* of the last record that was posted */

static inline uint64_t
rig_mono(void *user)
{
    (void)user;
    return (uint64_t)now_ms * 1000000u;
}

static inline int64_t
rig_wall(void *user)
{
    (void)user;
    return (now_ms + ahead_ms) * 1000000;
}

/* conf: without store and ledger; a loop only if with_loop. */
static inline void
rig_open(const struct billing_conf *conf, bool with_loop)
{
    static const struct clock_source source = {rig_mono, rig_wall, NULL};
    const struct ledger_config config = {.fee_bps = conf->fee_bps};
    struct billing_conf whole = *conf;
    now_ms = 1764547200000; /* 2025-12-01T00:00:00Z */
    ahead_ms = 0;
    seq = 0;
    clock_replace(&source);
    arena_init(&arena, 256u << 20);
    assert_int_equal(loop_new(&loop, &err), 0);
    assert_int_equal(store_open("memory:", loop, &store, &err), 0);
    assert_int_equal(ledger_new(store, &config, &ledger, &err), 0);
    whole.store = store;
    whole.ledger = ledger;
    whole.loop = with_loop ? loop : NULL;
    assert_int_equal(billing_new(&whole, &billing, &err), 0);
}

static inline int
rig_close(void **state)
{
    struct ledger_audit audit;
    uint64_t count;
    (void)state;
    if (ledger_audit(ledger, &audit, &err) < 0 || invoice_audit(billing, &count, &err) < 0)
        fail_msg("%s", err.text);
    billing_free(&billing);
    ledger_free(&ledger);
    store_close(&store);
    loop_free(&loop);
    arena_fini(&arena);
    clock_replace(NULL);
    return 0;
}

/* A node borrows what it can get, up to so much; what it has. */
static inline struct money
rig_borrow(const char *wallet, int64_t nano)
{
    struct ledger_lease lease = {.granted = {0}};
    int code = lease_get(ledger, STR("n"), 1, str_from(wallet), &lease, &err);
    assert_true(code == 0 || code == -ERR_NOT_FOUND);
    assert_int_equal(lease_want(ledger, STR("n"), 1, str_from(wallet), lease.granted,
                                (struct money){nano}, &lease, &err),
                     0);
    return lease.rest;
}

/* One call that the node reports. */
static inline void
rig_use(const char *wallet, const char *subject, const char *model, int64_t at_ms,
        const uint64_t tokens[2], int64_t charge, int64_t cost)
{
    const struct ledger_stream stream = {STR("n"), 1, STR("0")};
    struct ledger_applied applied;
    unsigned long long number = ++seq;
    struct str record = arena_printf(
        &arena,
        "{\"seq\":\"%llu\",\"id\":\"req_%llu\",\"at_ms\":%lld,\"wallet\":\"%s\",\"subject\":\"%s\","
        "\"incarnation\":\"\",\"model\":\"%s\",\"provider\":\"openai\",\"outcome\":\"completed\","
        "\"evidence\":\"provider_usage\",\"status\":200,\"stream\":false,"
        "\"usage\":{\"input\":%llu,\"output\":%llu},\"charge\":\"%lld\",\"cost\":\"%lld\","
        "\"price_version\":1,\"ttft_us\":1,\"total_us\":2,\"attempts\":1}",
        number, number, (long long)at_ms, wallet, subject, model, (unsigned long long)tokens[0],
        (unsigned long long)tokens[1], (long long)charge, (long long)cost);
    if (usage_apply(ledger, &stream, seq, &record, 1, &applied, &err) < 0 || applied.posted != 1)
        fail_msg("%s", err.text);
}

#endif
