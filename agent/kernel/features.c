/* SPDX-License-Identifier: MIT
 * features.c - the environment's list of kernel calls to do without.
 * Floor: agent/kernel; any thread.
 * Owns: nothing.
 * Invariant: see features.h.
 */
#include "agent/kernel/features.h"

#include <stdlib.h>

bool
features_without(struct str name)
{
    const char *list = getenv("BERTH_KERNEL_WITHOUT");
    struct str rest = list != NULL ? str_from(list) : STR_EMPTY;
    while (rest.len > 0) {
        struct str item = STR_EMPTY;
        (void)str_cut(rest, ',', &item, &rest);
        if (str_eq(str_trim(item), name))
            return true;
    }
    return false;
}
