/* SPDX-License-Identifier: MIT
 * thread.c - see thread.h.
 * Floor: lib/base; the calling thread.
 * Owns: nothing.
 * Invariant: see thread.h. */
#include "lib/base/thread.h"

#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

/* include/uapi/linux/sched/types.h, first version; glibc 2.36 does not declare it. */
struct thread_attr {
    uint32_t size;
    uint32_t policy;
    uint64_t flags;
    int32_t nice;
    uint32_t priority;
    uint64_t runtime_ns;
    uint64_t deadline_ns;
    uint64_t period_ns;
};

void
thread_share(int nice, uint32_t slice_us)
{
    struct thread_attr attr = {.size = sizeof(attr),
                               .policy = SCHED_OTHER,
                               .nice = nice,
                               .runtime_ns = (uint64_t)slice_us * 1000u};
    (void)syscall(SYS_sched_setattr, 0, &attr, 0u);
}
