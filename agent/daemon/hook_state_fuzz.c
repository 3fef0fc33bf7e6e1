/* SPDX-License-Identifier: MIT
 * hook_state_fuzz.c - any bytes on the hook socket.
 * Floor: agent/daemon, fuzz.
 * Owns: nothing.
 * Invariant: no crash; what is accepted has a bounded id and no control bytes in it. */
#include "agent/daemon/hook_state.h"

#include "lib/base/check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct hook_state state;
    struct err err = {0};
    if (hook_state_parse(str_make((const char *)data, size), &state, &err) == 0) {
        size_t len = strlen(state.id);
        ASSERT(len > 0 && len < sizeof(state.id));
        for (size_t i = 0; i < len; i++)
            ASSERT(state.id[i] > 0x20 && state.id[i] < 0x7f);
    }
    return 0;
}
