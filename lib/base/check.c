/* SPDX-License-Identifier: MIT
 * check.c - where a failed assertion ends.
 * Floor: lib/base; any thread.
 * Owns: nothing.
 * Invariant: allocates nothing and takes no lock before it aborts; proved in check_test.c. */
#include "lib/base/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

void
check_failed(const char *file, int line, const char *text)
{
    char message[512];
    int count =
        snprintf(message, sizeof(message), "%s:%d: assertion failed: %s\n", file, line, text);
    size_t size = count < 0 ? 0 : MIN((size_t)count, sizeof(message) - 1);

    /* write(2), not stdio: the heap or a stdio lock may be what is broken. */
    if (write(STDERR_FILENO, message, size) < 0)
        _exit(134);
    abort();
}
