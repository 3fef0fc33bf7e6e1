/* SPDX-License-Identifier: MIT
 * rand.c - the kernel's random bytes, taken 256 at a time.
 * Floor: lib/base; any thread.
 * Owns: per thread a pool; bytes given out are wiped from it.
 * Invariant: no byte is given twice, not even across fork; proved in rand_test.c. */
#include "lib/base/rand.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/random.h>

#include "lib/base/check.h"

struct pool {
    uint8_t bytes[256];
    size_t left; /* the last `left` bytes are fresh */
    unsigned generation;
    uint64_t seed; /* 0: the kernel */
};
static _Thread_local struct pool pool;

/* A forked child has a copy of the pool and must not use it. */
static atomic_uint fork_generation = 1;
static pthread_once_t fork_once = PTHREAD_ONCE_INIT;

static void
fork_child(void)
{
    atomic_fetch_add_explicit(&fork_generation, 1, memory_order_relaxed);
}

static void
fork_setup(void)
{
    ASSERT(pthread_atfork(NULL, NULL, fork_child) == 0);
}

static void
kernel_bytes(uint8_t *out, size_t count)
{
    while (count > 0) {
        ssize_t got = getrandom(out, count, 0);
        ASSERT(got > 0 || (got < 0 && errno == EINTR));
        if (got < 0)
            continue;
        out += got;
        count -= (size_t)got;
    }
}

/* SplitMix64: for tests only. */
static uint64_t
seeded_u64(void)
{
    uint64_t z = pool.seed += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

static void
seeded_bytes(uint8_t *out, size_t count)
{
    while (count > 0) {
        uint64_t word = seeded_u64();
        size_t part = MIN(count, sizeof(word));
        memcpy(out, &word, part);
        out += part;
        count -= part;
    }
}

void
rand_seed(uint64_t seed)
{
    pool.seed = seed;
}

void
rand_bytes(void *out, size_t count)
{
    if (UNLIKELY(pool.seed != 0)) {
        seeded_bytes(out, count);
        return;
    }
    if (count > sizeof(pool.bytes)) {
        kernel_bytes(out, count);
        return;
    }
    unsigned generation = atomic_load_explicit(&fork_generation, memory_order_relaxed);
    if (UNLIKELY(count > pool.left || pool.generation != generation)) {
        pthread_once(&fork_once, fork_setup);
        kernel_bytes(pool.bytes, sizeof(pool.bytes));
        pool.left = sizeof(pool.bytes);
        pool.generation = generation;
    }
    if (count == 0)
        return;
    uint8_t *fresh = pool.bytes + sizeof(pool.bytes) - pool.left;
    memcpy(out, fresh, count);
    explicit_bzero(fresh, count);
    pool.left -= count;
}

uint64_t
rand_u64(void)
{
    uint64_t value;
    rand_bytes(&value, sizeof(value));
    return value;
}

uint64_t
rand_below(uint64_t limit)
{
    ASSERT(limit > 0);
    /* Lemire: the high word of a product; the low word tells the few draws that would be biased. */
    uint128_t product = (uint128_t)rand_u64() * limit;
    if ((uint64_t)product < limit) {
        uint64_t floor = (0u - limit) % limit;
        while ((uint64_t)product < floor)
            product = (uint128_t)rand_u64() * limit;
    }
    return (uint64_t)(product >> 64);
}
