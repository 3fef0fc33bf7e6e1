/* SPDX-License-Identifier: MIT
 * naming_fuzz.c - any bytes as podman's containers.json.
 * Floor: agent/daemon, fuzz.
 * Owns: nothing.
 * Invariant: no crash; a name that is found fits and is terminated. */
#include "agent/daemon/naming.h"

#include "lib/base/check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char raw[64] = "";
    if (naming_find(str_make((const char *)data, size), STR("aa"), raw, sizeof(raw)) == 0)
        ASSERT(strlen(raw) < sizeof(raw));
    return 0;
}
