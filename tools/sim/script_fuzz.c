/* SPDX-License-Identifier: MIT
 * script_fuzz.c - any bytes as a script, and as directives.
 * Floor: tools/sim, fuzz target.
 * Owns: nothing.
 * Invariant: no crash, no leak; what loads can be applied. */
#include <stdint.h>

#include "tools/sim/script.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str text = str_make((const char *)data, size);
    struct directives directives = {0};
    struct script *script = NULL;
    struct err err;
    (void)!directives_parse(&directives, text, &err);
    (void)!directives_parse(&directives, directives_in_text(text), &err);
    if (script_new(&script, &err) != 0)
        return 0;
    if (script_load(script, text, &err) == 0)
        script_apply(script, STR("/v1/messages"), STR("m"), &directives);
    script_free(&script);
    return 0;
}
