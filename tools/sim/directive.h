/* SPDX-License-Identifier: MIT
 * directive.h - what a request asks of the simulator: faults, pacing, sizes (directive.def).
 * Floor: tools/sim; any thread.
 * Owns: nothing; values.
 * Invariant: an unknown name or a value out of range is an error, never ignored.
 *   directive_test.c. */
#ifndef BERTH_TOOLS_SIM_DIRECTIVE_H
#define BERTH_TOOLS_SIM_DIRECTIVE_H

#include "lib/base/err.h"
#include "lib/base/str.h"

enum directive_id {
#define DIRECTIVE(id, name, max, help) DIRECTIVE_##id,
#include "tools/sim/directive.def"
#undef DIRECTIVE
    DIRECTIVE_COUNT
};

enum directive_lie { LIE_NONE, LIE_NEGATIVE, LIE_HUGE, LIE_ZERO, LIE_MISSING, LIE_CACHED };

/* Bit `id` of `set`: values[id] was given. */
struct directives {
    uint32_t set;
    uint64_t values[DIRECTIVE_COUNT];
};

static inline bool
directive_given(const struct directives *directives, enum directive_id id)
{
    return (directives->set >> (unsigned)id & 1u) != 0;
}
static inline uint64_t
directive_value(const struct directives *directives, enum directive_id id, uint64_t fallback)
{
    return directive_given(directives, id) ? directives->values[id] : fallback;
}
/* directives_set - one by name; value empty = 1. 0, -ERR_NOT_FOUND (unknown), -ERR_RANGE. */
int directives_set(struct directives *directives, struct str name, struct str value,
                   struct err *err) MUST_USE;
/* directives_parse - "a=1, b=2, c" on top of what is set. */
int directives_parse(struct directives *directives, struct str text, struct err *err) MUST_USE;
/* directives_merge - `from` wins. */
void directives_merge(struct directives *into, const struct directives *from);
/* directives_in_text - the inside of the first "[[sim: ...]]" of text, or empty. */
struct str directives_in_text(struct str text);
/* directive_name / help - for --help; id < DIRECTIVE_COUNT. Static. */
const char *directive_name(enum directive_id id);
const char *directive_help(enum directive_id id);

#endif
