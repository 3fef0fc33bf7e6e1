/* SPDX-License-Identifier: MIT
 * claim.h - what a provider says it used, turned into disjoint classes.
 * Floor: dataplane/chat; values, any thread.
 * Owns: nothing.
 * Invariant: whatever is claimed, no count is negative or above USAGE_COUNT_MAX, the parts of a
 *            total never add up to more than it, and every cut sets `clamped`. Proved by
 *            claim_test.c. */
#ifndef BERTH_DATAPLANE_CHAT_CLAIM_H
#define BERTH_DATAPLANE_CHAT_CLAIM_H

#include "lib/text/json.h"
#include "api/usage.h"

/* claim_count - a count as it stands in a reply: absent or null is 0; negative, fractional or not a
 * number is 0 and sets *clamped; above USAGE_COUNT_MAX is cut to it and sets *clamped. */
uint64_t claim_count(const struct json_doc *doc, uint32_t node, bool *clamped);
/* claim_carve - move up to `part` out of *rest; sets *clamped when it is more. */
uint64_t claim_carve(uint64_t *rest, uint64_t part, bool *clamped);
/* claim_openai - a usage object in the shape of chat completions and its dialects (WIRE-FORMATS
 * 4.2): cached, written, audio and reasoning tokens inside the totals; reasoning beside where the
 * total says so (xAI). Sets *usage and returns true when it names prompt or completion tokens. */
bool claim_openai(const struct json_doc *doc, uint32_t object, struct usage *usage);
/* claim_service - a `service_tier` in an answer: by which prices the provider served it. Anything
 * but a text leaves what is known. */
void claim_service(const struct json_doc *doc, uint32_t node, struct usage *usage);
/* claim_anthropic - a usage object of Messages, laid over *usage: only the fields that are present
 * replace earlier ones, so that message_delta corrects message_start. true when it had any. */
bool claim_anthropic(const struct json_doc *doc, uint32_t object, struct usage *usage);

#endif
