/* SPDX-License-Identifier: MIT
 * cc.h - the compiler extensions that Berth allows itself, and nothing else.
 * Floor: lib/base. No state.
 * Owns: nothing.
 * Invariant: no other header uses __attribute__ or __builtin directly. */
#ifndef BERTH_LIB_BASE_CC_H
#define BERTH_LIB_BASE_CC_H

#include <stddef.h>
#include <stdint.h>

#define MUST_USE __attribute__((warn_unused_result))
/* Never on the usual path: kept out of the way of what is, and so are the branches that call it. */
#define COLD __attribute__((cold))
#define UNUSED __attribute__((unused))
#define NORETURN __attribute__((noreturn))
#define PRINTF(format_at, args_at) __attribute__((format(printf, format_at, args_at)))
#define PACKED __attribute__((packed))
#define ALIGNED(bytes) __attribute__((aligned(bytes)))
#define LIKELY(cond) __builtin_expect(!!(cond), 1)
#define UNLIKELY(cond) __builtin_expect(!!(cond), 0)
/* A big local that is written before it is read: spared the zeroes that other locals start with. */
#define UNINIT __attribute__((uninitialized))
#define NOINLINE __attribute__((noinline))
/* For what is a few instructions only when the compiler sees the arguments. */
#define INLINE inline __attribute__((always_inline))
#define NO_SANITIZE_ALIGNMENT __attribute__((no_sanitize("alignment")))

/* CLEANUP(x_free) struct x *x = NULL;   calls x_free(&x) when the scope ends. */
#define CLEANUP(free_fn) __attribute__((cleanup(free_fn)))
/* return TAKE(x);   hands the owned pointer over and leaves NULL behind. */
#define TAKE(ptr)                       \
    ({                                  \
        __typeof__(ptr) taken_ = (ptr); \
        (ptr) = NULL;                   \
        taken_;                         \
    })

#define ARRAY_LEN(array) (sizeof(array) / sizeof((array)[0]))
#define CONTAINER_OF(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))
#define MIN(a, b)               \
    ({                          \
        __typeof__(a) a_ = (a); \
        __typeof__(b) b_ = (b); \
        a_ < b_ ? a_ : b_;      \
    })
#define MAX(a, b)               \
    ({                          \
        __typeof__(a) a_ = (a); \
        __typeof__(b) b_ = (b); \
        a_ > b_ ? a_ : b_;      \
    })

/* Checked arithmetic for whatever comes from outside: true when the result does not fit. */
#define ADD_OVERFLOW(a, b, ret) __builtin_add_overflow((a), (b), (ret))
#define SUB_OVERFLOW(a, b, ret) __builtin_sub_overflow((a), (b), (ret))
#define MUL_OVERFLOW(a, b, ret) __builtin_mul_overflow((a), (b), (ret))

/* Zero bits above the highest and below the lowest one bit; x != 0. */
#define LEADING_ZEROS64(x) ((unsigned)__builtin_clzll(x))
#define TRAILING_ZEROS64(x) ((unsigned)__builtin_ctzll(x))
/* TARGET("sse4.2") on a function that is called only when CPU_HAS("sse4.2"). */
#define TARGET(isa) __attribute__((target(isa)))
#define CPU_HAS(isa) __builtin_cpu_supports(isa)

typedef __int128 int128_t;
typedef unsigned __int128 uint128_t;

#endif
