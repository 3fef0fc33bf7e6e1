/* SPDX-License-Identifier: MIT
 * test_int.h - what the tests of this folder share.
 * Floor: lib/text, private, tests only.
 * Owns: nothing.
 * Invariant: a failed comparison prints both sides. */
#ifndef BERTH_LIB_TEXT_TEST_INT_H
#define BERTH_LIB_TEXT_TEST_INT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "lib/base/err.h"
#include "lib/base/num.h"
#include "lib/base/rand.h"
#include "lib/base/str.h"

#define TEST_STR_EQ(got, want)                                                      \
    do {                                                                            \
        struct str got_ = (got);                                                    \
        struct str want_ = (want);                                                  \
        if (!str_eq(got_, want_)) {                                                 \
            fail_msg("got \"%.*s\"\nwant \"%.*s\"", STR_ARG(got_), STR_ARG(want_)); \
        }                                                                           \
    } while (0)

#define TEST_CODE_EQ(row, got, want)                                                 \
    do {                                                                             \
        int got_ = (got);                                                            \
        int want_ = (want);                                                          \
        if (got_ != want_) {                                                         \
            fail_msg("%s: got %s, want %s", (row), err_name(got_), err_name(want_)); \
        }                                                                            \
    } while (0)

/* A different stream each run; printed, so that a failing one can be repeated with BERTH_SEED. */
static inline uint64_t
test_seed(void)
{
    const char *given = getenv("BERTH_SEED");
    uint64_t seed = rand_u64() | 1;
    if (given != NULL && num_u64(str_from(given), UINT64_MAX, &seed) != 0) {
        fail_msg("BERTH_SEED is no number");
    }
    (void)printf("BERTH_SEED=%llu\n", (unsigned long long)seed);
    rand_seed(seed);
    return seed;
}

#endif
