/* SPDX-License-Identifier: MIT
 * hooks_fuzz.c - any config.json: refused, or edited into one that has our hooks.
 * Floor: agent/oci, fuzz.
 * Owns: nothing.
 * Invariant: an edited text scans, and needs no second edit.
 */
#include "agent/oci/hooks.h"
#include "lib/base/check.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count);

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
    const struct hooks hooks = {
        .path = "/h", .socket = "/s", .runtime = "runc", .when_down = "deny"};
    struct str text = str_make((const char *)bytes, count);
    struct buf out;
    struct buf again;
    bool changed = false;
    buf_init(&out, 1u << 20);
    buf_init(&again, 1u << 20);
    if (count < 65536 && hooks_add(&hooks, text, &out, &changed, NULL) == 0 && changed) {
        ASSERT(out.len > count);
        ASSERT(hooks_add(&hooks, buf_str(&out), &again, &changed, NULL) == 0 && !changed);
        ASSERT(again.len == 0);
    }
    buf_fini(&again);
    buf_fini(&out);
    return 0;
}
