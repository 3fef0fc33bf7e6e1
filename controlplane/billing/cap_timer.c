/* SPDX-License-Identifier: MIT
 * cap_timer.c - when caps are settled: at each hour's begin, also of one that a step of the clock
 *               brought, when a Wallet changes, and soon again while money is missing.
 * Floor: controlplane/billing; engine thread.
 * Owns: timer and watch in struct billing.
 * Invariant: level-triggered: every round looks at all wallets. cap_test.c. */
#include "controlplane/billing/billing_int.h"
#include "controlplane/billing/cap.h"
#include "controlplane/object/object.h"
#include "lib/base/clock.h"

#define ARENA_BYTES_MAX (64u << 20)
#define WALLETS_AT_ONCE 100u
#define HOUR_MS 3600000
#define LOOK_MS 60000u /* what time it is: the clock may have been set */
#define AGAIN_MS 1000u

static void
arm(struct billing *billing, uint64_t wait_ms)
{
    timer_arm(loop_timers(billing->conf.loop), &billing->cap_timer,
              loop_now_ms(billing->conf.loop) + wait_ms);
}

/* Some wallets behind billing->cap_after. 1: there may be more. */
static int
settle_some(struct billing *billing, struct arena *arena, struct err *err)
{
    struct object *objects;
    size_t count;
    int64_t now_ms = clock_wall_ns() / 1000000;
    int code = object_list(billing->conf.store, kind_at(KIND_WALLET), str_from(billing->cap_after),
                           WALLETS_AT_ONCE, arena, &objects, &count, err);
    for (size_t i = 0; i < count && code == 0; i++) {
        bool missing = false;
        struct err why = {0};
        if (cap_settle(billing, &objects[i], now_ms, arena, &missing, &why) < 0) {
            billing->cap_again = true;
            if (billing->conf.failed && !billing->cap_told)
                billing->conf.failed(billing->conf.user, objects[i].name, &why);
            billing->cap_told = true;
        }
        billing->cap_again = billing->cap_again || missing;
        if (!str_copy(billing->cap_after, sizeof billing->cap_after, objects[i].name))
            billing->cap_after[0] = '\0';
    }
    return code == 0 && count == WALLETS_AT_ONCE ? 1 : code;
}

static void
on_timer(struct timer *timer)
{
    struct billing *billing = CONTAINER_OF(timer, struct billing, cap_timer);
    CLEANUP(arena_fini) struct arena arena;
    struct err err = {0};
    int64_t now_ms = clock_wall_ns() / 1000000;
    uint64_t wait_ms = MIN((uint64_t)(HOUR_MS - now_ms % HOUR_MS), (uint64_t)LOOK_MS);
    arena_init(&arena, ARENA_BYTES_MAX);
    if (billing->cap_after[0] == '\0') {
        int64_t hour_ms = now_ms - now_ms % HOUR_MS;
        if (!billing->cap_due && hour_ms == billing->cap_hour_ms) {
            arm(billing, wait_ms);
            return;
        }
        billing->cap_hour_ms = hour_ms;
        billing->cap_again = false;
    }
    int code = settle_some(billing, &arena, &err);
    if (code == 1) {
        arm(billing, 0);
        return;
    }
    billing->cap_after[0] = '\0';
    billing->cap_due = code < 0 || billing->cap_again;
    arm(billing, billing->cap_due ? AGAIN_MS : wait_ms);
}

static void
on_wallet(struct store_watch *watch, const struct store_event *events, size_t count,
          uint64_t revision, void *user)
{
    struct billing *billing = user;
    (void)watch;
    (void)events;
    (void)count;
    (void)revision;
    billing->cap_told = false;
    billing->cap_due = true;
    billing->cap_after[0] = '\0';
    arm(billing, 0);
}

int
cap_start(struct billing *billing, struct err *err)
{
    struct store *store = billing->conf.store;
    timer_init(&billing->cap_timer, on_timer);
    billing->cap_due = true;
    arm(billing, 0);
    int code = store_watch(store, STR(OBJECT_PREFIX "Wallet/"), store_revision(store), on_wallet,
                           billing, &billing->cap_watch);
    return code < 0 ? err_set(err, (enum err_code) - code, "wallets cannot be watched: %s",
                              err_text(code))
                    : 0;
}

void
cap_stop(struct billing *billing)
{
    if (billing->cap_watch)
        store_unwatch(&billing->cap_watch);
    if (billing->conf.loop && billing->cap_timer.fire)
        timer_cancel(loop_timers(billing->conf.loop), &billing->cap_timer);
}
