/* SPDX-License-Identifier: MIT
 * paid_int.h - tools that a provider runs and bills beside tokens: found in requests, counted in
 *              answers.
 * Floor: dataplane/dialect; any thread.
 * Owns: nothing.
 * Invariant: every element of `tools` either has a FREE row in paid.def or is a run of the facts,
 *            however it is written. Proved by paid_test.c. */
#ifndef BERTH_DATAPLANE_DIALECT_PAID_INT_H
#define BERTH_DATAPLANE_DIALECT_PAID_INT_H

#include "dataplane/dialect/dialect_int.h"

/* Whose words the request is in. */
enum paid_where {
    PAID_OPENAI = 1u << 0, /* and who speaks like it */
    PAID_RESPONSES = 1u << 1,
    PAID_ANTHROPIC = 1u << 2,
    PAID_GEMINI = 1u << 3
};

/* paid_facts - facts->runs by the whole request: tools, and members such as web_search_options.
 * -ERR_INVALID: more kinds of them than PAID_RUNS_MAX; -ERR_NOMEM. */
#define PAID_RUNS_MAX 32u
int paid_facts(const struct intake *in, unsigned where, struct chat_facts *facts) MUST_USE;
/* paid_leave_out - cut the elements of `tools` whose runs are left_out; with the last tool, the
 * choice among tools, too. */
int paid_leave_out(const struct json_doc *doc, const struct chat_facts *facts,
                   struct splice *splice) MUST_USE;

/* paid_items - usage->count by the items of `output` of a response, no fewer than were `seen` as
 * they passed; paid_item - one more of them. paid_details - no fewer than the usage object tells
 * (xAI's). */
void paid_items(const struct json_doc *doc, uint32_t output, const struct usage *seen,
                struct usage *usage);
void paid_item(const struct json_doc *doc, uint32_t item, struct usage *usage);
void paid_details(const struct json_doc *doc, uint32_t object, struct usage *usage);

#endif
