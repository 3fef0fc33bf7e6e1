/* SPDX-License-Identifier: MIT
 * hold.c - the worst case of the request is set aside before the provider is called.
 * Floor: dataplane/pipeline/layers; the worker's thread, no I/O.
 * Owns: the hold until settle.
 * Invariant: what is captured was held before, of the wallet and of what the caller may spend (a
 *            cap that comes meanwhile: exchange_capped); a request that cannot be covered by both
 *            never reaches a provider. DESIGN section 7. */
#include "dataplane/pipeline/runs.h"

#include <time.h>

#include "lib/base/check.h"

#define LEASE_WAIT_MS 1500u      /* for an answer */
#define LEASE_WAIT_MS_MAX 10000u /* while there are answers, and others are quicker */

/* 0 and the amount; -ERR_NOT_FOUND: no price known; -ERR_UNSUPPORTED: none of a tool, *ret_text
 * says which; -ERR_RANGE. The dearest target counts. */
static int
worst_case(struct exchange *x, int64_t *ret_nano, struct str *ret_text)
{
    int64_t most = 0;
    for (uint32_t i = 0; i < x->targets.count; i++) {
        int64_t nano = 0;
        struct price_runs runs;
        const struct price_call call = exchange_price_call(x, x->targets.model[i], &runs);
        int rc = price_hold(&call, &nano);
        if (rc == 0)
            rc = runs_judge(x, x->targets.model[i], ret_text);
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

/* What the caller may spend is spent, or held by calls that run. left: as above. */
static struct str
budget_text(struct exchange *x, int64_t need, int64_t left)
{
    static const char *const periods[][2] = {[FUND_PER_NONE] = {"a period", "period"},
                                             [FUND_PER_HOUR] = {"an hour", "hour"},
                                             [FUND_PER_DAY] = {"a day", "day"},
                                             [FUND_PER_MONTH] = {"a month", "month"}};
    char want[32];
    char spent[32];
    char cap[32];
    char when[32] = "";
    struct tm tm;
    const struct fund *budget = x->budget;
    struct str kind;
    struct str name;
    int per = atomic_load(&budget->cap_per);
    const struct money all = {atomic_load(&budget->cap)};
    const struct money used = {MAX(all.nano - left, atomic_load(&budget->cap_spent))};
    time_t resets = (time_t)atomic_load(&budget->cap_resets_s);
    ASSERT(str_cut(str_from(budget->wallet), '/', &kind, &name));
    money_format((struct money){need}, want);
    money_format(used, spent);
    money_format(all, cap);
    if (gmtime_r(&resets, &tm) != NULL)
        (void)strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%SZ", &tm);
    return arena_printf(&x->arena,
                        "%s '%.*s' may spend $%s %s: $%s of it is spent or held, and this request "
                        "may cost up to $%s. The next %s begins at %s; or set a smaller "
                        "max_tokens.",
                        str_eq(kind, STR("key")) ? "API key" : "Container", STR_ARG(name), cap,
                        periods[per][0], spent, want, periods[per][1], when);
}

static struct str
wallet_text(struct exchange *x, int64_t need, int64_t left)
{
    char want[32];
    char there[32];
    char balance[32];
    if (atomic_load(&x->fund->status) == FUND_FROZEN)
        return arena_printf(&x->arena,
                            "Wallet '%s' is frozen by its owner, or there is no such wallet.",
                            x->fund->wallet);
    struct str text = cap_text(x, need, left);
    if (text.ptr != NULL)
        return text;
    money_format((struct money){need}, want);
    money_format((struct money){left}, there);
    money_format((struct money){atomic_load(&x->fund->balance)}, balance);
    return arena_printf(&x->arena,
                        "Wallet '%s' does not cover this request: it may cost up to $%s and $%s is "
                        "available (AI balance $%s). Add AI funds, or set a smaller max_tokens.",
                        x->fund->wallet, want, there, balance);
}

static enum layer_verdict
hold_refuse(struct exchange *x, const struct fund *lacking, int64_t need)
{
    /* What is held for other requests may come back, so that the balance may be more. */
    int64_t here = MAX(atomic_load(&lacking->available), (int64_t)0);
    int64_t elsewhere = atomic_load(&lacking->free);
    int64_t left = here > INT64_MAX - elsewhere ? INT64_MAX : here + elsewhere;
    struct str text =
        lacking == x->budget ? budget_text(x, need, left) : wallet_text(x, need, left);
    return exchange_fail(x, HTTP_ERROR_no_funds, text); /* no memory: the usual words */
}

static enum layer_verdict
hold_silence(struct exchange *x)
{
    x->retry_after_s = 2;
    return exchange_fail(x, HTTP_ERROR_overloaded,
                         STR("This node's budget is used up and Berth's control plane has not "
                             "lent it enough in time; try again shortly."));
}

static void
wait_end(struct exchange *x)
{
    list_remove(&x->wait_node);
    if (x->waits > 0)
        fund_wait_end(x->waits_for, x->waits);
    x->waits = 0;
}

static int
hold_one(struct exchange *x, struct fund *fund, int64_t need)
{
    int rc = fund_hold(fund, need);
    if (fund_should_ask(fund))
        x->worker->want_funds(x->worker, fund);
    return rc;
}

/* Of what the caller may spend, and of the wallet, or of neither. On failure *ret_lacking is who
 * lacks it, and *ret_answers what it had heard before we looked. */
static int
hold_both(struct exchange *x, int64_t need, struct fund **ret_lacking, uint32_t *ret_answers)
{
    if (x->budget != NULL) {
        *ret_lacking = x->budget;
        *ret_answers = atomic_load(&x->budget->answers);
        int rc = hold_one(x, x->budget, need);
        if (rc != 0)
            return rc;
    }
    *ret_lacking = x->fund;
    *ret_answers = atomic_load(&x->fund->answers);
    int rc = hold_one(x, x->fund, need);
    if (rc != 0 && x->budget != NULL)
        fund_capture(x->budget, need, 0);
    return rc;
}

/* Somebody lacks `need`: asked for, and waited for while there may be an answer that helps. */
static enum layer_verdict
hold_wait(struct exchange *x, struct fund *lacking, uint32_t answers, int64_t need)
{
    uint64_t now = loop_now_ms(x->worker->loop);
    if (x->wait_end_ms == 0)
        x->wait_end_ms = now + LEASE_WAIT_MS_MAX;
    if (x->waits_for != lacking) { /* first try: it was asked, and we wait for the answer */
        x->waits_for = lacking;
        x->wait_until_ms = MIN(now + LEASE_WAIT_MS, x->wait_end_ms);
    } else if (answers != x->funds_seen) {
        if (!fund_covers(lacking, need))
            return hold_refuse(x, lacking, need);
        /* It has enough: others took what came, or it was an older question's answer. */
        x->wait_until_ms = MIN(now + LEASE_WAIT_MS, x->wait_end_ms);
    }
    if (now >= x->wait_until_ms)
        return hold_silence(x);
    x->funds_seen = answers;
    x->waits = need;
    fund_wait(lacking, need);
    timer_arm(loop_timers(x->worker->loop), &x->timer, x->wait_until_ms);
    list_push_back(&x->worker->waiting, &x->wait_node);
    return LAYER_WAIT;
}

static enum layer_verdict
hold_request(struct exchange *x)
{
    int64_t need = 0;
    struct str text = STR_EMPTY;
    struct fund *lacking;
    uint32_t answers;
    if (x->made_s == 0)
        x->made_s = worker_clock(x->worker)->wall_ms / 1000;
    int rc = worst_case(x, &need, &text);
    if (rc == -ERR_NOT_FOUND)
        return exchange_fail(x, HTTP_ERROR_unpriced, STR_EMPTY);
    if (rc == -ERR_UNSUPPORTED)
        return exchange_fail(x, HTTP_ERROR_unpriced, text);
    if (rc != 0)
        return exchange_fail(x, HTTP_ERROR_amount_overflow, STR_EMPTY);
    if (need == 0 && all_free(x))
        return LAYER_NEXT; /* whatever the wallet's state */
    wait_end(x);
    if (x->holding && need <= x->held)
        return LAYER_NEXT;
    need -= x->held; /* of a form that turned out to be more than it looked */
    rc = hold_both(x, need, &lacking, &answers);
    if (rc == 0) {
        x->held += need;
        x->holding = true;
        return LAYER_NEXT;
    }
    return rc == -ERR_PERMISSION ? hold_refuse(x, lacking, need)
                                 : hold_wait(x, lacking, answers, need);
}

static void
capture_one(struct exchange *x, struct fund *fund)
{
    fund_capture(fund, x->held, x->charge.total.nano);
    if (fund_should_ask(fund))
        x->worker->want_funds(x->worker, fund);
}

void
exchange_capped(struct exchange *x)
{
    if (x->settled || x->budget != NULL)
        return;
    (void)!exchange_cap(x); /* no memory: as if it had ended before */
    if (x->budget != NULL && x->holding && fund_owe(x->budget, x->held))
        x->worker->want_funds(x->worker, x->budget);
}

static void
hold_settle(struct exchange *x)
{
    wait_end(x);
    if (!x->holding)
        return;
    x->holding = false;
    capture_one(x, x->fund);
    if (x->budget != NULL)
        capture_one(x, x->budget);
}

const struct layer layer_hold = {
    .name = "hold", .stage = LAYER_BODY, .request = hold_request, .settle = hold_settle};
