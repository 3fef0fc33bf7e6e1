/* SPDX-License-Identifier: MIT
 * signature_fuzz.c - any header: what is read can be checked, and never passes.
 * Floor: controlplane/billing, fuzzing.
 * Owns: nothing.
 * Invariant: nobody without the secret makes a signature that fits. */
#include "controlplane/billing/signature.h"
#include "lib/base/check.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count);

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
    struct signature signature;
    struct str header = str_make((const char *)bytes, count);
    if (signature_read(header, &signature, NULL) < 0)
        return 0;
    ASSERT(signature.count >= 1 && signature.count <= SIGNATURE_COUNT_MAX);
    ASSERT(signature.time.ptr >= header.ptr &&
           signature.time.ptr + signature.time.len <= header.ptr + header.len);
    ASSERT(signature_check(&signature, STR("0123456789abcdef-not-guessed"), STR("{}"),
                           signature.at_s, NULL) == -ERR_SIGNATURE);
    return 0;
}
