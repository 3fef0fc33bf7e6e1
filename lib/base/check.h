/* SPDX-License-Identifier: MIT
 * check.h - assertions: for our own mistakes, never for input.
 * Floor: lib/base; any thread.
 * Owns: nothing.
 * Invariant: always compiled in; a failed one prints file, line and text, then aborts. */
#ifndef BERTH_LIB_BASE_CHECK_H
#define BERTH_LIB_BASE_CHECK_H

#include "lib/base/cc.h"

NORETURN COLD void check_failed(const char *file, int line, const char *text);

#define ASSERT(cond)                                 \
    do {                                             \
        if (UNLIKELY(!(cond)))                       \
            check_failed(__FILE__, __LINE__, #cond); \
    } while (0)

/* OWED marks handling that we still owe; there are none at a release (tools/check counts them). */
#define OWED(cond) ASSERT(cond)

#endif
