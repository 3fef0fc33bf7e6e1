/* SPDX-License-Identifier: MIT
 * usage.c - names of usage classes, evidence and outcomes.
 * Floor: api; any thread.
 * Owns: nothing; static tables.
 * Invariant: one name a row of the .def files. usage_test.c. */
#include "api/usage.h"

#include "lib/base/check.h"

static const char *const class_names[] = {
#define USAGE_ROW(name, field, text) #name,
#include "api/usage.def"
#undef USAGE_ROW
};
static const char *const outcome_names[] = {
#define OUTCOME_ROW(name, text) #name,
#include "api/outcomes.def"
#undef OUTCOME_ROW
};
static const char *const evidence_names[] = {
    [EVIDENCE_NONE] = "none",
    [EVIDENCE_PROVIDER] = "provider_usage",
    [EVIDENCE_COUNTED] = "counted_stream",
    [EVIDENCE_ESTIMATE] = "estimate",
};
_Static_assert(ARRAY_LEN(class_names) == USAGE_CLASS_COUNT, "a name a class");
_Static_assert(ARRAY_LEN(outcome_names) == OUTCOME_COUNT, "a name an outcome");

const char *
usage_class_name(enum usage_class class_)
{
    ASSERT((size_t)class_ < ARRAY_LEN(class_names));
    return class_names[class_];
}

const char *
usage_evidence_name(enum usage_evidence evidence)
{
    ASSERT((size_t)evidence < ARRAY_LEN(evidence_names));
    return evidence_names[evidence];
}

const char *
usage_outcome_name(enum usage_outcome outcome)
{
    ASSERT((size_t)outcome < ARRAY_LEN(outcome_names));
    return outcome_names[outcome];
}
