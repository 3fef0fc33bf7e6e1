/* SPDX-License-Identifier: MIT
 * clock.c - the kernel's two clocks through the vDSO, or a test's.
 * Floor: lib/base; any thread.
 * Owns: the process-wide source pointer, written before threads start.
 * Invariant: no system call on the usual path; proved in clock_test.c. */
#include "lib/base/clock.h"

#include <stdio.h>
#include <time.h>

#include "lib/base/check.h"

#define NS_PER_S 1000000000

static const struct clock_source *replaced;

void
clock_replace(const struct clock_source *source)
{
    replaced = source;
}

uint64_t
clock_mono_ns(void)
{
    if (UNLIKELY(replaced != NULL))
        return replaced->mono_ns(replaced->user);
    struct timespec now;
    ASSERT(clock_gettime(CLOCK_MONOTONIC, &now) == 0);
    return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

int64_t
clock_wall_ns(void)
{
    if (UNLIKELY(replaced != NULL))
        return replaced->wall_ns(replaced->user);
    struct timespec now;
    ASSERT(clock_gettime(CLOCK_REALTIME, &now) == 0);
    return (int64_t)now.tv_sec * NS_PER_S + (int64_t)now.tv_nsec;
}

void
clock_format_rfc3339(int64_t wall_ns, char out[32])
{
    /* Rounded down, before 1970 too. */
    int64_t rest = wall_ns % NS_PER_S;
    time_t seconds = (time_t)(wall_ns / NS_PER_S - (rest < 0 ? 1 : 0));
    int milliseconds = (int)((rest < 0 ? rest + NS_PER_S : rest) / 1000000);
    struct tm tm;
    ASSERT(gmtime_r(&seconds, &tm) != NULL); /* 64-bit nanoseconds stay within 1677..2262 */
    int count = snprintf(out, 32, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", tm.tm_year + 1900,
                         tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, milliseconds);
    ASSERT(count == 24);
}
