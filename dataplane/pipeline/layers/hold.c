/* SPDX-License-Identifier: MIT
 * hold.c - the worst case of the request is set aside before the provider is called.
 * Floor: dataplane/pipeline/layers; the worker's thread, no I/O.
 * Owns: the hold until settle.
 * Invariant: what is captured was held before; a request that cannot be covered never reaches a
 *            provider. DESIGN section 7. */
#include "dataplane/pipeline/exchange.h"

#include <time.h>

#include "lib/base/check.h"

#define LEASE_WAIT_MS 1500u      /* for an answer */
#define LEASE_WAIT_MS_MAX 10000u /* while there are answers, and others are quicker */

/* 0 and the amount; -ERR_NOT_FOUND: no price known; -ERR_RANGE. The dearest target counts. */
static int
worst_case(const struct exchange *x, int64_t *ret_nano)
{
    int64_t most = 0;
    for (uint32_t i = 0; i < x->targets.count; i++) {
        int64_t nano = 0;
        const struct price_call call = exchange_price_call(x, x->targets.model[i]);
        int rc = price_hold(&call, &nano);
        if (rc != 0)
            return rc;
        most = MAX(most, nano);
    }
    *ret_nano = most;
    return 0;
}

static bool
all_free(const struct exchange *x)
{
    for (uint32_t i = 0; i < x->targets.count; i++) {
        if (!x->targets.model[i]->free)
            return false;
    }
    return true;
}

/* The wallet was given all that its cap allows. left: nano, neither spent nor held. ptr NULL: it is
 * not the cap. */
static struct str
cap_text(struct exchange *x, int64_t need, int64_t left)
{
    char want[32];
    char spent[32];
    char cap[32];
    char when[32];
    struct tm tm;
    const struct money all = {atomic_load(&x->fund->cap)};
    const struct money used = {MAX(all.nano - left, (int64_t)0)};
    int64_t given = atomic_load(&x->fund->cap_spent) + atomic_load(&x->fund->balance);
    time_t resets = (time_t)atomic_load(&x->fund->cap_resets_s);
    if (all.nano == 0 || given < all.nano || gmtime_r(&resets, &tm) == NULL)
        return str_make(NULL, 0);
    money_format((struct money){need}, want);
    money_format(used, spent);
    money_format(all, cap);
    (void)strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%SZ", &tm);
    return arena_printf(
        &x->arena,
        "Wallet '%s' is capped: $%s of its $%s is spent or held, and this request may cost "
        "up to $%s. It begins anew at %s; or set a smaller max_tokens.",
        x->fund->wallet, spent, cap, want, when);
}

static enum layer_verdict
hold_refuse(struct exchange *x, int64_t need, bool silence)
{
    char want[32];
    char left[32];
    char balance[32];
    if (silence) {
        x->retry_after_s = 2;
        return exchange_fail(x, HTTP_ERROR_overloaded,
                             STR("This node's budget is used up and Berth's control plane has not "
                                 "lent it enough in time; try again shortly."));
    }
    money_format((struct money){need}, want);
    /* What is held for other requests may come back, so that the balance may be more. */
    int64_t here = MAX(atomic_load(&x->fund->available), (int64_t)0);
    int64_t elsewhere = atomic_load(&x->fund->free);
    const struct money sum = {here > INT64_MAX - elsewhere ? INT64_MAX : here + elsewhere};
    money_format(sum, left);
    money_format((struct money){atomic_load(&x->fund->balance)}, balance);
    bool frozen = atomic_load(&x->fund->status) == FUND_FROZEN;
    struct str text = frozen ? str_make(NULL, 0) : cap_text(x, need, sum.nano);
    if (text.ptr != NULL)
        return exchange_fail(x, HTTP_ERROR_no_funds, text);
    text = arena_printf(
        &x->arena,
        frozen ? "Wallet '%s' is frozen by its owner."
               : "Wallet '%s' does not cover this request: it may cost up to $%s and $%s is "
                 "available (AI balance $%s). Add AI funds, or set a smaller max_tokens.",
        x->fund->wallet, want, left, balance);
    return exchange_fail(x, HTTP_ERROR_no_funds, text); /* no memory: the usual words */
}

static void
wait_end(struct exchange *x)
{
    list_remove(&x->wait_node);
    if (x->waits > 0)
        fund_wait_end(x->fund, x->waits);
    x->waits = 0;
}

static enum layer_verdict
hold_request(struct exchange *x)
{
    int64_t need = 0;
    if (x->made_s == 0)
        x->made_s = worker_clock(x->worker)->wall_ms / 1000;
    int rc = worst_case(x, &need);
    if (rc == -ERR_NOT_FOUND)
        return exchange_fail(x, HTTP_ERROR_unpriced, STR_EMPTY);
    if (rc != 0)
        return exchange_fail(x, HTTP_ERROR_amount_overflow, STR_EMPTY);
    if (need == 0 && all_free(x))
        return LAYER_NEXT; /* whatever the wallet's state */
    wait_end(x);
    uint32_t answers = atomic_load(&x->fund->answers);
    rc = fund_hold(x->fund, need);
    if (fund_should_ask(x->fund))
        x->worker->want_funds(x->worker, x->fund);
    if (rc == 0) {
        x->held = need;
        x->holding = true;
        return LAYER_NEXT;
    }
    uint64_t now = loop_now_ms(x->worker->loop);
    if (rc == -ERR_PERMISSION)
        return hold_refuse(x, need, false);
    if (x->wait_until_ms == 0) { /* first try: ask, and wait for the answer */
        x->wait_until_ms = now + LEASE_WAIT_MS;
        x->wait_end_ms = now + LEASE_WAIT_MS_MAX;
    } else if (answers != x->funds_seen) {
        if (!fund_covers(x->fund, need))
            return hold_refuse(x, need, false);
        /* The wallet has enough: others took what came, or it was an older question's answer. */
        x->wait_until_ms = MIN(now + LEASE_WAIT_MS, x->wait_end_ms);
    }
    if (now >= x->wait_until_ms)
        return hold_refuse(x, need, true);
    x->funds_seen = answers;
    x->waits = need;
    fund_wait(x->fund, need);
    timer_arm(loop_timers(x->worker->loop), &x->timer, x->wait_until_ms);
    list_push_back(&x->worker->waiting, &x->wait_node);
    return LAYER_WAIT;
}

static void
hold_settle(struct exchange *x)
{
    wait_end(x);
    if (!x->holding)
        return;
    x->holding = false;
    fund_capture(x->fund, x->held, x->charge.total.nano);
    if (fund_should_ask(x->fund))
        x->worker->want_funds(x->worker, x->fund);
}

const struct layer layer_hold = {
    .name = "hold", .stage = LAYER_BODY, .request = hold_request, .settle = hold_settle};
