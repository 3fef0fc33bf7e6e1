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
#define USAGE_ROW(name, field, as, text) USAGE_##name,
#include "api/usage.def"
#undef USAGE_ROW
    USAGE_CLASS_COUNT
};
#define USAGE_COUNT_MAX 1000000000ull

/* Which of its price lists the provider served the call by. */
enum usage_service {
#define SERVICE_ROW(name, text) SERVICE_##name,
#include "api/services.def"
#undef SERVICE_ROW
    SERVICE_COUNT
};

enum usage_evidence { EVIDENCE_NONE, EVIDENCE_PROVIDER, EVIDENCE_COUNTED, EVIDENCE_ESTIMATE };

struct usage {
    uint64_t count[USAGE_CLASS_COUNT];
    enum usage_evidence evidence;
    enum usage_service service;
    bool clamped; /* the provider's numbers were impossible and were cut */
};

/* Names as in the .def, "none|provider_usage|counted_stream|estimate"; static. */
const char *usage_class_name(enum usage_class class_);
const char *usage_evidence_name(enum usage_evidence evidence);
const char *usage_service_name(enum usage_service service);
/* usage_service_find - by the provider's word for it; what is not known is `standard`. */
enum usage_service usage_service_find(struct str name);
/* usage_falls_to - the class whose price holds where this one has none of its own; itself: it then
 * costs nothing. Going through the classes in order, a class is met after the one it falls to. */
enum usage_class usage_falls_to(enum usage_class class_);
/* usage_price_field - its name in the catalogue's `pricing`; static. */
const char *usage_price_field(enum usage_class class_);
/* usage_prompt_tokens, usage_answer_tokens - sums over the classes of tokens on that side. */
uint64_t usage_prompt_tokens(const struct usage *usage);
uint64_t usage_answer_tokens(const struct usage *usage);
/* usage_is_tokens - a class of either side; the others are counted by the piece. */
bool usage_is_tokens(enum usage_class class_);
/* The classes of each side. */
extern const enum usage_class usage_prompt_classes[];
extern const enum usage_class usage_answer_classes[];
#define USAGE_PROMPT_CLASS_COUNT 7u
#define USAGE_ANSWER_CLASS_COUNT 4u

/* Terminal states of a request: who pays what hangs on them (docs/internals/money.md). */
enum usage_outcome {
#define OUTCOME_ROW(name, text) OUTCOME_##name,
#include "api/outcomes.def"
#undef OUTCOME_ROW
    OUTCOME_COUNT
};
const char *usage_outcome_name(enum usage_outcome outcome);

#endif
