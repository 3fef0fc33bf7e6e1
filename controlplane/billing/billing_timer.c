/* SPDX-License-Identifier: MIT
 * billing_timer.c - the invoices of a month, a minute after it ended.
 * Floor: controlplane/billing; engine thread.
 * Owns: the timer in struct billing.
 * Invariant: level-triggered: what is due is asked of the rows each time, so that a month that
 *            ended while we were away is invoiced at the next start. invoice_test.c. */
#include <time.h>

#include "controlplane/billing/billing_int.h"
#include "controlplane/billing/invoice.h"
#include "controlplane/object/object.h"
#include "lib/base/check.h"
#include "lib/base/clock.h"

#define ARENA_BYTES_MAX (64u << 20)
#define HOUR_MS 3600000
#define GRACE_MS 60000 /* usage of the last seconds is on its way */

static int64_t
wall_ms(void)
{
    return clock_wall_ns() / 1000000;
}

/* Begin of the month of a time, UTC, or of the next one. */
static int64_t
month_ms(int64_t at_ms, int later)
{
    time_t seconds = (time_t)(at_ms / 1000);
    struct tm tm;
    ASSERT(gmtime_r(&seconds, &tm) != NULL);
    struct tm first = {.tm_year = tm.tm_year, .tm_mon = tm.tm_mon + later, .tm_mday = 1};
    return (int64_t)timegm(&first) * 1000;
}

/* 1: one more wallet was looked at; 0: there are no more. */
static int
next_wallet(struct billing *billing, struct arena *arena, struct err *err)
{
    struct object *objects;
    struct invoice_row row;
    size_t count;
    int64_t month = month_ms(wall_ms() - GRACE_MS, 0);
    int code = object_list(billing->conf.store, kind_at(KIND_WALLET), str_from(billing->after), 1,
                           arena, &objects, &count, err);
    if (code < 0 || count == 0)
        return code;
    ASSERT(str_copy(billing->after, sizeof billing->after, objects[0].name));
    code = invoice_due(billing, objects[0].name, month, arena, err);
    if (code == 1)
        code = invoice_issue(billing, objects[0].name, arena, &row, err);
    return code == 0 || code == -ERR_NOT_FOUND ? 1 : code;
}

static void
on_timer(struct timer *timer)
{
    struct billing *billing = CONTAINER_OF(timer, struct billing, timer);
    CLEANUP(arena_fini) struct arena arena;
    struct err err = {0};
    arena_init(&arena, ARENA_BYTES_MAX);
    int code = next_wallet(billing, &arena, &err);
    if (code < 0 && billing->conf.failed)
        billing->conf.failed(billing->conf.user, str_from(billing->after), &err);
    uint64_t wait_ms = 0;
    if (code == 0) {
        int64_t now = wall_ms();
        int64_t until = month_ms(now - GRACE_MS, 1) + GRACE_MS - now;
        billing->after[0] = '\0';
        wait_ms = (uint64_t)MIN(until, (int64_t)HOUR_MS);
    } else if (code < 0) {
        wait_ms = 1000;
    }
    timer_arm(loop_timers(billing->conf.loop), timer, loop_now_ms(billing->conf.loop) + wait_ms);
}

int
billing_start(struct billing *billing, struct err *err)
{
    ASSERT(billing->conf.loop);
    timer_init(&billing->timer, on_timer);
    timer_arm(loop_timers(billing->conf.loop), &billing->timer, loop_now_ms(billing->conf.loop));
    return cap_start(billing, err);
}

void
billing_stop(struct billing *billing)
{
    if (billing->conf.loop && billing->timer.fire)
        timer_cancel(loop_timers(billing->conf.loop), &billing->timer);
}
