/* SPDX-License-Identifier: MIT
 * binding_fuzz.c - any bytes as a binding; what parses must print to itself.
 * Floor: api tests.
 * Owns: nothing.
 * Invariant: see binding.c. */
#include "api/binding.h"
#include "lib/base/check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct json_doc doc;
    struct arena arena;
    struct binding binding;
    json_init(&doc);
    arena_init(&arena, 1u << 20);
    struct str text = str_make((const char *)data, size);
    if (json_scan(&doc, text, NULL, NULL) == 0) {
        if (binding_parse(&doc, 0, &arena, &binding, NULL) == 0) {
            struct buf out;
            buf_init(&out, 8192);
            ASSERT(binding_put_json(&binding, true, &out) == 0);
            buf_fini(&out);
        }
        if (binding_parse_request(&doc, 0, &arena, &binding, NULL) == 0)
            ASSERT(binding.host.len > 0);
    }
    arena_fini(&arena);
    json_fini(&doc);
    return 0;
}
