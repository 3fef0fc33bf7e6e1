/* SPDX-License-Identifier: MIT
 * fund.c - leased money per wallet, spent without a lock.
 * Floor: dataplane/view; see fund.h for threads.
 * Owns: the funds of a table.
 * Invariant: fund_hold never leaves `available` negative. fund_test.c. */
#include "dataplane/view/fund.h"

#include <stdlib.h>

#include "lib/base/check.h"
#include "lib/base/err.h"
#include "lib/text/json.h"

void
funds_init(struct funds *funds)
{
    pthread_mutex_init(&funds->lock, NULL);
    map_init(&funds->by_wallet);
}

void
funds_fini(struct funds *funds)
{
    MAP_FOREACH (slot, &funds->by_wallet) {
        struct fund *fund = slot->value;
        free(fund->wallet);
        free(fund);
    }
    map_fini(&funds->by_wallet);
    pthread_mutex_destroy(&funds->lock);
}

static struct fund *
fund_new(struct str wallet)
{
    struct fund *fund = calloc(1, sizeof(*fund));
    if (fund == NULL)
        return NULL;
    fund->wallet = str_dup(wallet);
    if (fund->wallet == NULL) {
        free(fund);
        return NULL;
    }
    return fund;
}

struct fund *
funds_get(struct funds *funds, struct str wallet)
{
    pthread_mutex_lock(&funds->lock);
    struct fund *fund = map_get(&funds->by_wallet, wallet);
    if (fund == NULL) {
        fund = fund_new(wallet);
        if (fund != NULL && map_put(&funds->by_wallet, str_from(fund->wallet), fund, NULL) != 0) {
            free(fund->wallet);
            free(fund);
            fund = NULL;
        }
    }
    pthread_mutex_unlock(&funds->lock);
    return fund;
}

int
fund_record(const struct fund *fund, const char *kind, struct str name, struct str incarnation,
            struct arena *arena, struct str *ret_members)
{
    struct buf out;
    struct buf subject;
    buf_init(&out, 4096);
    buf_init(&subject, 1024);
    (void)buf_printf(&subject, "%s/%.*s", kind, STR_ARG(name));
    (void)buf_put_str(&out, STR(",\"wallet\":"));
    (void)json_put_string(&out, str_from(fund->wallet));
    (void)buf_put_str(&out, STR(",\"subject\":"));
    (void)json_put_string(&out, buf_str(&subject));
    if (incarnation.len > 0) {
        (void)buf_put_str(&out, STR(",\"incarnation\":"));
        (void)json_put_string(&out, incarnation);
    }
    int rc =
        out.failed || subject.failed ? -ERR_NOMEM : arena_dup(arena, buf_str(&out), ret_members);
    buf_fini(&subject);
    buf_fini(&out);
    return rc;
}

int
fund_hold(struct fund *fund, int64_t amount)
{
    ASSERT(amount >= 0);
    if (atomic_load_explicit(&fund->status, memory_order_relaxed) == FUND_FROZEN)
        return -ERR_PERMISSION;
    int64_t available = atomic_load_explicit(&fund->available, memory_order_relaxed);
    do {
        if (available < amount) {
            int64_t need = atomic_load_explicit(&fund->need, memory_order_relaxed);
            while (need < amount && !atomic_compare_exchange_weak(&fund->need, &need, amount)) {
            }
            return -ERR_OVERDRAWN;
        }
    } while (!atomic_compare_exchange_weak_explicit(&fund->available, &available,
                                                    available - amount, memory_order_acq_rel,
                                                    memory_order_relaxed));
    atomic_fetch_add_explicit(&fund->held, amount, memory_order_relaxed);
    return 0;
}

void
fund_capture(struct fund *fund, int64_t held, int64_t charge)
{
    ASSERT(held >= 0 && charge >= 0);
    atomic_fetch_sub_explicit(&fund->held, held, memory_order_relaxed);
    atomic_fetch_add_explicit(&fund->spent, charge, memory_order_relaxed);
    atomic_fetch_add_explicit(&fund->available, held - charge, memory_order_acq_rel);
}

void
fund_grant(struct fund *fund, int64_t granted, enum fund_status status)
{
    int64_t before = atomic_load(&fund->granted);
    if (granted > before) {
        atomic_store(&fund->granted, granted);
        atomic_fetch_add(&fund->available, granted - before);
    }
    atomic_store(&fund->status, (int)status);
    atomic_store(&fund->wanted, false);
    atomic_store(&fund->need, 0);
    atomic_fetch_add(&fund->answers, 1u);
}

bool
fund_should_ask(struct fund *fund)
{
    int64_t available = atomic_load_explicit(&fund->available, memory_order_relaxed);
    int64_t need = atomic_load_explicit(&fund->need, memory_order_relaxed);
    int64_t low = need > FUND_LEASE_NANO / 2 ? need : FUND_LEASE_NANO / 2;
    if (available >= low)
        return false;
    /* An empty wallet is asked for again only when somebody needs more than we have. */
    if (need == 0 && atomic_load_explicit(&fund->status, memory_order_relaxed) != FUND_OK)
        return false;
    return !atomic_exchange(&fund->wanted, true);
}
