/* SPDX-License-Identifier: MIT
 * period.c - see period.h.
 * Floor: controlplane/ledger; any thread.
 * Owns: nothing.
 * Invariant: see period.h. */
#include "controlplane/ledger/period.h"

#include <time.h>

#include "lib/base/check.h"

#define HOUR_MS 3600000ll
#define DAY_MS (24 * HOUR_MS)

static const char *const names[PERIOD_COUNT] = {
    [PERIOD_HOUR] = "hour", [PERIOD_DAY] = "day", [PERIOD_MONTH] = "month"};

const char *
period_name(enum period period)
{
    ASSERT(period < PERIOD_COUNT);
    return names[period];
}

bool
period_of(struct str name, enum period *ret_period)
{
    for (unsigned i = 0; i < PERIOD_COUNT; i++) {
        if (str_eq(name, str_from(names[i]))) {
            *ret_period = (enum period)i;
            return true;
        }
    }
    return false;
}

int64_t
period_begin_ms(enum period period, int64_t at_ms)
{
    struct tm tm;
    time_t seconds = (time_t)(at_ms / 1000);
    if (period == PERIOD_HOUR)
        return at_ms - at_ms % HOUR_MS;
    if (period == PERIOD_DAY)
        return at_ms - at_ms % DAY_MS;
    ASSERT(gmtime_r(&seconds, &tm) != NULL);
    struct tm first = {.tm_year = tm.tm_year, .tm_mon = tm.tm_mon, .tm_mday = 1};
    return (int64_t)timegm(&first) * 1000;
}

int64_t
period_end_ms(enum period period, int64_t at_ms)
{
    int64_t begin_ms = period_begin_ms(period, at_ms);
    if (period == PERIOD_HOUR)
        return begin_ms + HOUR_MS;
    if (period == PERIOD_DAY)
        return begin_ms + DAY_MS;
    return period_begin_ms(period, begin_ms + 31 * DAY_MS + HOUR_MS); /* in the next month */
}
