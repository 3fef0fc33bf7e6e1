/* SPDX-License-Identifier: MIT
 * claude_int.h - thinking of Claude's, whichever API serves it: Anthropic's own or Bedrock.
 * Floor: dataplane/dialect; any thread.
 * Owns: nothing.
 * Invariant: what the upstream refuses beside thinking is left out and named, not sent. Proved by
 *            request_test.c and carry_test.c. Spec: WIRE-FORMATS 3.2, 3.7, trap 5. */
#ifndef BERTH_DATAPLANE_DIALECT_CLAUDE_INT_H
#define BERTH_DATAPLANE_DIALECT_CLAUDE_INT_H

#include "dataplane/dialect/emit_int.h"

/* budget: tokens, 0 = the model decides (adaptive). effort: then, or empty. */
struct claude_thinking {
    bool on;
    uint64_t budget;
    struct str effort;
};

/* claude_thinking - what becomes of the caller's wish; reasoning_effort is noted where nothing
 * does. max_output: tokens, of this request. */
struct claude_thinking claude_thinking(const struct emit *emit, uint64_t max_output);
/* claude_put_thinking - member "thinking"; none when it is off. */
void claude_put_thinking(struct emit *emit, const struct claude_thinking *thinking);
/* claude_put_sampling - a number under `key`, unless thinking is on, which takes none. */
void claude_put_sampling(struct emit *emit, const struct claude_thinking *thinking, const char *key,
                         struct str raw, const char *field);

#endif
