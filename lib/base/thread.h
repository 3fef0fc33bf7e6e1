/* SPDX-License-Identifier: MIT
 * thread.h - how a thread shares its core with its siblings.
 * Floor: lib/base; the calling thread.
 * Owns: nothing.
 * Invariant: a hint only: where the kernel does not know it, nothing changes. */
#ifndef BERTH_LIB_BASE_THREAD_H
#define BERTH_LIB_BASE_THREAD_H

#include "lib/base/cc.h"

/* thread_share - nice: -20..19, as setpriority(2); slice_us: how long it may run before a waking
 * thread of the core can take over (Linux 6.12 and newer, sched_setattr(2) sched_runtime;
 * 100..100000; 0 = the kernel's own, some milliseconds). A thread with a short slice also takes
 * over sooner. */
void thread_share(int nice, uint32_t slice_us);

#endif
