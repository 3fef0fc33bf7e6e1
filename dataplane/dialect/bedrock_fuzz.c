/* SPDX-License-Identifier: MIT
 * bedrock_fuzz.c - hostile bytes through everything the Bedrock dialect reads.
 * Floor: dataplane/dialect, tests only.
 * Owns: nothing.
 * Invariant: no input crashes; whatever was translated or streamed out reads again in its
 *   dialect. */
#include "dataplane/dialect/fuzz_int.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_one(&dialect_bedrock, &dialect_anthropic, str_make((const char *)data, size));
    return 0;
}
