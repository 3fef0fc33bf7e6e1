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
    fund->target = FUND_LEASE_NANO;
    atomic_store(&fund->low, FUND_LEASE_NANO / 2);
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

struct fund *
funds_get_budget(struct funds *funds, const char *kind, struct str name)
{
    struct buf text;
    buf_init(&text, 1024);
    (void)buf_printf(&text, "%s/%.*s", kind, STR_ARG(name));
    struct fund *fund = text.failed ? NULL : funds_get(funds, buf_str(&text));
    buf_fini(&text);
    return fund;
}

bool
fund_is_budget(const struct fund *fund)
{
    return strchr(fund->wallet, '/') != NULL; /* no wallet has one in its name */
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
    int status = atomic_load_explicit(&fund->status, memory_order_relaxed);
    if (status == FUND_FROZEN)
        return -ERR_PERMISSION;
    int64_t available = atomic_load_explicit(&fund->available, memory_order_relaxed);
    /* Held before it is taken, and until it is back: whoever sees nothing held sees all of it. */
    atomic_fetch_add_explicit(&fund->held, amount, memory_order_relaxed);
    do {
        if (available < amount || status == FUND_OVER) {
            atomic_fetch_sub_explicit(&fund->held, amount, memory_order_relaxed);
            int64_t need = atomic_load_explicit(&fund->need, memory_order_relaxed);
            while (need < amount && !atomic_compare_exchange_weak(&fund->need, &need, amount)) {
            }
            return -ERR_OVERDRAWN;
        }
    } while (!atomic_compare_exchange_weak_explicit(&fund->available, &available,
                                                    available - amount, memory_order_acq_rel,
                                                    memory_order_relaxed));
    return 0;
}

bool
fund_owe(struct fund *fund, int64_t amount)
{
    ASSERT(amount >= 0);
    atomic_fetch_add_explicit(&fund->held, amount, memory_order_relaxed);
    int64_t before = atomic_fetch_sub_explicit(&fund->available, amount, memory_order_acq_rel);
    return before < amount && !atomic_exchange(&fund->wanted, true);
}

void
fund_capture(struct fund *fund, int64_t held, int64_t charge)
{
    ASSERT(held >= 0 && charge >= 0);
    atomic_fetch_add_explicit(&fund->spent, charge, memory_order_relaxed);
    atomic_fetch_add_explicit(&fund->available, held - charge, memory_order_acq_rel);
    atomic_fetch_sub_explicit(&fund->held, held, memory_order_release);
}

/* What came is less than what was wanted: half of it is used before more is asked for, so that
 * nobody draws a wallet empty by asking often. */
static void
low_set(struct fund *fund)
{
    int64_t available = MAX(atomic_load(&fund->available), (int64_t)0);
    atomic_store(&fund->low, MIN(fund->target, available) / 2);
}

void
fund_hear(struct fund *fund, const struct fund_word *word)
{
    int64_t before = atomic_load(&fund->granted);
    if (word->granted > before) {
        atomic_store(&fund->granted, word->granted);
        atomic_fetch_add(&fund->available, word->granted - before);
    }
    if (word->returned > fund->returned) {
        atomic_fetch_sub(&fund->available, word->returned - fund->returned);
        fund->returned = word->returned;
    }
    atomic_store(&fund->free, word->free);
    atomic_store(&fund->balance, word->balance);
    atomic_store(&fund->cap, word->cap);
    atomic_store(&fund->cap_spent, word->cap_spent);
    atomic_store(&fund->cap_resets_s, word->cap_resets_s);
    atomic_store(&fund->cap_per, (int)word->cap_per);
    atomic_store(&fund->status, (int)word->status);
    low_set(fund);
    atomic_store(&fund->wanted, false);
    atomic_store(&fund->need, 0);
    atomic_fetch_add(&fund->answers, 1u);
}

void
fund_grant(struct fund *fund, int64_t granted, enum fund_status status)
{
    int64_t free = status == FUND_OK ? INT64_MAX : 0;
    fund_hear(fund, &(struct fund_word){.granted = granted, .free = free, .status = status});
}

bool
fund_should_ask(struct fund *fund)
{
    int64_t available = atomic_load_explicit(&fund->available, memory_order_relaxed);
    int64_t need = atomic_load_explicit(&fund->need, memory_order_relaxed);
    int64_t low = atomic_load_explicit(&fund->low, memory_order_relaxed);
    int status = atomic_load_explicit(&fund->status, memory_order_relaxed);
    if (available >= MAX(low, need) && status != FUND_OVER)
        return false;
    /* An empty wallet is asked for again only when somebody needs more than we have. */
    if (need == 0 && status != FUND_OK)
        return false;
    return !atomic_exchange(&fund->wanted, true);
}

bool
fund_covers(const struct fund *fund, int64_t amount)
{
    int64_t available = atomic_load(&fund->available);
    int64_t free = atomic_load(&fund->free);
    if (atomic_load(&fund->status) == FUND_OVER)
        return false;
    return amount <= available || amount - available <= free;
}

void
fund_wait(struct fund *fund, int64_t amount)
{
    atomic_fetch_add_explicit(&fund->waiting, amount, memory_order_relaxed);
}

void
fund_wait_end(struct fund *fund, int64_t amount)
{
    atomic_fetch_sub_explicit(&fund->waiting, amount, memory_order_relaxed);
}

/* ---- sync thread ----------------------------------------------------------------------------- */

static int64_t
twice(int64_t nano)
{
    return nano > INT64_MAX / 2 ? INT64_MAX : 2 * nano;
}

/* >= 0 */
static int64_t
above(int64_t amount, int64_t available)
{
    int64_t more;
    if (SUB_OVERFLOW(amount, available, &more))
        return INT64_MAX;
    return MAX(more, (int64_t)0);
}

static void
target_set(struct fund *fund)
{
    int64_t target = twice(atomic_load(&fund->held));
    int64_t ahead;
    if (MUL_OVERFLOW(fund->use_nano_s, (int64_t)FUND_AHEAD_S, &ahead))
        ahead = INT64_MAX;
    target = MAX(target, ahead);
    fund->target = MAX(target, (int64_t)FUND_LEASE_NANO);
}

void
fund_ask(struct fund *fund, int64_t *ret_want, int64_t *ret_need)
{
    /* Calls that run without cover are asked for; what was spent above the lease is spent. */
    int64_t available = MAX(atomic_load(&fund->available), -atomic_load(&fund->held));
    int64_t need = atomic_load(&fund->need);
    int64_t waiting = atomic_load(&fund->waiting);
    target_set(fund);
    int64_t want = MAX(fund->target, need);
    want = MAX(want, waiting);
    *ret_want = above(want, available);
    *ret_need = above(need, available);
}

/* Out of `available`, down to `keep`. */
static int64_t
take(struct fund *fund, int64_t keep)
{
    int64_t available = atomic_load(&fund->available);
    do {
        if (available <= keep)
            return 0;
    } while (!atomic_compare_exchange_weak(&fund->available, &available, keep));
    fund->returned += available - keep;
    low_set(fund);
    return available - keep;
}

int64_t
fund_take_all(struct fund *fund)
{
    return take(fund, 0);
}

/* What a call owes meanwhile is held before it is taken, and comes back: that is none of it. */
void
fund_forgive(struct fund *fund)
{
    int64_t available = atomic_load(&fund->available);
    if (fund->idle_s < FUND_IDLE_EMPTY_S)
        return;
    /* A call that came and went since the tick is not posted: what it spent is seen here, or makes
     * the exchange fail. */
    while (available < 0 && atomic_load(&fund->held) == 0 &&
           atomic_load(&fund->spent) == fund->spent_before &&
           !atomic_compare_exchange_weak(&fund->available, &available, 0)) {
    }
}

/* The use of this second, or what is left of busier ones, an eighth less each second. */
int64_t
fund_tick(struct fund *fund)
{
    int64_t spent = atomic_load(&fund->spent);
    int status = atomic_load(&fund->status);
    bool idle = spent == fund->spent_before && atomic_load(&fund->held) == 0 &&
                atomic_load(&fund->waiting) == 0;
    fund->use_nano_s = MAX(spent - fund->spent_before, fund->use_nano_s - fund->use_nano_s / 8);
    fund->spent_before = spent;
    fund->idle_s = idle ? fund->idle_s + 1 : 0;
    target_set(fund);
    if (status == FUND_FROZEN || status == FUND_OVER)
        return take(fund, 0);
    if (fund->idle_s >= (status == FUND_EMPTY ? FUND_IDLE_EMPTY_S : FUND_IDLE_S))
        return take(fund, 0);
    /* Four times as much as is wanted came from busier times. */
    return atomic_load(&fund->available) / 4 > fund->target ? take(fund, fund->target) : 0;
}
