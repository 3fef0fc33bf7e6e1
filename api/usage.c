/* SPDX-License-Identifier: MIT
 * usage.c - names of usage classes, evidence and outcomes.
 * Floor: api; any thread.
 * Owns: nothing; static tables.
 * Invariant: one name a row of the .def files. usage_test.c. */
#include "api/usage.h"

#include "lib/base/check.h"

static const char *const class_names[] = {
#define USAGE_ROW(name, field, as, text) #name,
#include "api/usage.def"
#undef USAGE_ROW
};
static const char *const price_fields[] = {
#define USAGE_ROW(name, field, as, text) field,
#include "api/usage.def"
#undef USAGE_ROW
};
static const enum usage_class falls_to[] = {
#define USAGE_ROW(name, field, as, text) USAGE_##as,
#include "api/usage.def"
#undef USAGE_ROW
};
static const char *const service_names[] = {
#define SERVICE_ROW(name, text) #name,
#include "api/services.def"
#undef SERVICE_ROW
};
const enum usage_class usage_prompt_classes[] = {
    USAGE_input,    USAGE_cached,       USAGE_cache_write, USAGE_cache_write_1h,
    USAGE_audio_in, USAGE_audio_cached, USAGE_image_in};
const enum usage_class usage_answer_classes[] = {USAGE_output, USAGE_reasoning, USAGE_audio_out,
                                                 USAGE_image_out};
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
_Static_assert(ARRAY_LEN(service_names) == SERVICE_COUNT, "a name a service");
_Static_assert(ARRAY_LEN(usage_prompt_classes) == USAGE_PROMPT_CLASS_COUNT, "as the header says");
_Static_assert(ARRAY_LEN(usage_answer_classes) == USAGE_ANSWER_CLASS_COUNT, "as the header says");
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

const char *
usage_service_name(enum usage_service service)
{
    ASSERT((size_t)service < ARRAY_LEN(service_names));
    return service_names[service];
}

enum usage_service
usage_service_find(struct str name)
{
    for (size_t i = 0; i < ARRAY_LEN(service_names); i++) {
        if (str_eq(name, str_from(service_names[i])))
            return (enum usage_service)i;
    }
    return SERVICE_standard;
}

enum usage_class
usage_falls_to(enum usage_class class_)
{
    ASSERT((size_t)class_ < ARRAY_LEN(falls_to));
    return falls_to[class_];
}

const char *
usage_price_field(enum usage_class class_)
{
    ASSERT((size_t)class_ < ARRAY_LEN(price_fields));
    return price_fields[class_];
}

bool
usage_is_tokens(enum usage_class class_)
{
    for (size_t i = 0; i < USAGE_PROMPT_CLASS_COUNT; i++) {
        if (usage_prompt_classes[i] == class_)
            return true;
    }
    for (size_t i = 0; i < USAGE_ANSWER_CLASS_COUNT; i++) {
        if (usage_answer_classes[i] == class_)
            return true;
    }
    return false;
}

uint64_t
usage_prompt_tokens(const struct usage *usage)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < USAGE_PROMPT_CLASS_COUNT; i++)
        sum += usage->count[usage_prompt_classes[i]];
    return sum;
}

uint64_t
usage_answer_tokens(const struct usage *usage)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < USAGE_ANSWER_CLASS_COUNT; i++)
        sum += usage->count[usage_answer_classes[i]];
    return sum;
}
