/* SPDX-License-Identifier: MIT
 * alloc_test_rig.h - the nth allocation of this program fails, once or from then on.
 * Floor: tests of any room; glibc only, and not under a sanitizer, which owns malloc there.
 * Owns: malloc and its kin, for the program whose one file includes this.
 * Invariant: none of its own. alloc_rig_here() is false where it cannot do anything. */
#ifndef BERTH_LIB_BASE_ALLOC_TEST_RIG_H
#define BERTH_LIB_BASE_ALLOC_TEST_RIG_H

#include <stdbool.h>
#include <stdlib.h>

#include <openssl/crypto.h>

#include "lib/base/cc.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || !defined(__GLIBC__)
#define ALLOC_RIG_HERE 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define ALLOC_RIG_HERE 0
#endif
#endif
#ifndef ALLOC_RIG_HERE
#define ALLOC_RIG_HERE 1
#endif

static struct {
    unsigned nth; /* 0 = never */
    bool forever;
    bool happened;
} alloc_rig;

/* From now on. nth: 1 is the next allocation; 0: none fails. */
static inline void
alloc_rig_arm(unsigned nth, bool forever)
{
    alloc_rig.happened = false;
    alloc_rig.forever = forever;
    alloc_rig.nth = nth;
}

#if ALLOC_RIG_HERE
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *block, size_t size);

static bool
alloc_rig_fails(void)
{
    if (LIKELY(alloc_rig.nth == 0))
        return false;
    if (alloc_rig.nth > 1) {
        alloc_rig.nth--;
        return false;
    }
    if (!alloc_rig.forever)
        alloc_rig.nth = 0;
    alloc_rig.happened = true;
    return true;
}

void *
malloc(size_t size)
{
    return alloc_rig_fails() ? NULL : __libc_malloc(size);
}

void *
calloc(size_t count, size_t size)
{
    return alloc_rig_fails() ? NULL : __libc_calloc(count, size);
}

void *
realloc(void *block, size_t size)
{
    return alloc_rig_fails() ? NULL : __libc_realloc(block, size);
}

/* digest.h has no error to return: without memory it ends the process. OpenSSL is left out. */
static void *
alloc_rig_openssl_malloc(size_t size, const char *file, int line)
{
    (void)file;
    (void)line;
    return __libc_malloc(size);
}

static void *
alloc_rig_openssl_realloc(void *block, size_t size, const char *file, int line)
{
    (void)file;
    (void)line;
    return __libc_realloc(block, size);
}

static void
alloc_rig_openssl_free(void *block, const char *file, int line)
{
    (void)file;
    (void)line;
    free(block);
}
#endif

/* First thing in main, before anything of OpenSSL. false: the test has to be skipped. */
static inline bool
alloc_rig_init(void)
{
#if ALLOC_RIG_HERE
    return CRYPTO_set_mem_functions(alloc_rig_openssl_malloc, alloc_rig_openssl_realloc,
                                    alloc_rig_openssl_free) == 1;
#else
    return false;
#endif
}

#endif
