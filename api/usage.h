/* SPDX-License-Identifier: MIT
 * usage.h - what a request used, in disjoint classes, and how we know.
 * Floor: api; any thread.
 * Owns: nothing; values.
 * Invariant: every count <= USAGE_COUNT_MAX; what a provider claims beyond is clamped and
 *   flagged. */
#ifndef BERTH_API_USAGE_H
#define BERTH_API_USAGE_H

#include <stdbool.h>

#include "lib/base/str.h"

enum usage_class {
#define USAGE_ROW(name, field, text) USAGE_##name,
#include "api/usage.def"
#undef USAGE_ROW
    USAGE_CLASS_COUNT
};
#define USAGE_COUNT_MAX 1000000000ull

enum usage_evidence { EVIDENCE_NONE, EVIDENCE_PROVIDER, EVIDENCE_COUNTED, EVIDENCE_ESTIMATE };

struct usage {
    uint64_t count[USAGE_CLASS_COUNT];
    enum usage_evidence evidence;
    bool clamped; /* the provider's numbers were impossible and were cut */
};

/* Names as in the .def, "none|provider_usage|counted_stream|estimate"; static. */
const char *usage_class_name(enum usage_class class_);
const char *usage_evidence_name(enum usage_evidence evidence);

/* Terminal states of a request: who pays what hangs on them (docs/internals/money.md). */
enum usage_outcome {
#define OUTCOME_ROW(name, text) OUTCOME_##name,
#include "api/outcomes.def"
#undef OUTCOME_ROW
    OUTCOME_COUNT
};
const char *usage_outcome_name(enum usage_outcome outcome);

#endif
