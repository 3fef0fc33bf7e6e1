/* SPDX-License-Identifier: MIT
 * rand.h - random bytes from the kernel, buffered per thread; replaceable in tests.
 * Floor: lib/base; any thread.
 * Owns: a per-thread pool.
 * Invariant: never returns predictable bytes: aborts when the kernel has none. */
#ifndef BERTH_LIB_BASE_RAND_H
#define BERTH_LIB_BASE_RAND_H

#include "lib/base/cc.h"

/* rand_bytes - fill out[count]. Fit for keys and ids. */
void rand_bytes(void *out, size_t count);
uint64_t rand_u64(void);
/* rand_below - uniform in [0, limit), limit > 0. */
uint64_t rand_below(uint64_t limit);
/* rand_seed - for tests: a deterministic stream from now on in this thread; 0 = back to the kernel.
 */
void rand_seed(uint64_t seed);

#endif
