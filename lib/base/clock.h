/* SPDX-License-Identifier: MIT
 * clock.h - the two clocks, replaceable in tests.
 * Floor: lib/base; any thread.
 * Owns: one process-wide source pointer.
 * Invariant: deadlines and durations use mono; only records and certificates use wall. */
#ifndef BERTH_LIB_BASE_CLOCK_H
#define BERTH_LIB_BASE_CLOCK_H

#include "lib/base/cc.h"

/* Nanoseconds since an arbitrary start; never goes back. */
uint64_t clock_mono_ns(void);
static inline uint64_t
clock_mono_ms(void)
{
    return clock_mono_ns() / 1000000u;
}
/* Nanoseconds since 1970-01-01T00:00:00Z. */
int64_t clock_wall_ns(void);
/* clock_format_rfc3339 - "2026-01-31T12:00:00.123Z" into out[32], NUL-terminated. */
void clock_format_rfc3339(int64_t wall_ns, char out[32]);

struct clock_source {
    uint64_t (*mono_ns)(void *user);
    int64_t (*wall_ns)(void *user);
    void *user;
};
/* clock_replace - for tests; NULL restores the kernel's clocks. Call before threads start. */
void clock_replace(const struct clock_source *source);

#endif
