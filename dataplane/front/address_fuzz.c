/* SPDX-License-Identifier: MIT
 * address_fuzz.c - any method and target: what comes out lies in the target, and reads alike again.
 * Floor: dataplane/front; one thread.
 * Owns: nothing.
 * Invariant: proves address.h. Input: the method, a newline, the target. */
#include "dataplane/front/address.h"

#include "lib/base/check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
assert_inside(struct str part, struct str whole)
{
    ASSERT(part.len == 0 ||
           (part.ptr >= whole.ptr && part.ptr + part.len <= whole.ptr + whole.len));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str method;
    struct str target;
    struct address address;
    struct address again;
    (void)str_cut(str_make((const char *)data, size), '\n', &method, &target);
    if (address_read(method, target, &address) != 0)
        return 0;
    assert_inside(address.path, target);
    assert_inside(address.query, target);
    assert_inside(address.model, target);
    ASSERT(address.endpoint == NULL || address.path.len > 0);
    /* without the query it is the same address */
    int rc = address_read(method, address.path, &again);
    ASSERT(rc == 0);
    ASSERT(again.endpoint == address.endpoint && str_eq(again.model, address.model));
    return 0;
}
