/* SPDX-License-Identifier: MIT
 * seal_int.h - opaque state of one vendor, carried through clients that speak another's dialect.
 * Floor: dataplane/dialect; any thread.
 * Owns: nothing.
 * Invariant: what was sealed comes back byte for byte; a canonical request holds no sealed id.
 *            Proved by carry_test.c. Spec: WIRE-FORMATS trap 4, 3.7. */
#ifndef BERTH_DATAPLANE_DIALECT_SEAL_INT_H
#define BERTH_DATAPLANE_DIALECT_SEAL_INT_H

#include "dataplane/dialect/dialect_int.h"

/* Gemini signs tool calls, and wants the signature back with the call (WIRE-FORMATS trap 4). Every
 * client sends a call's id back, so the signature rides in it: ID "__ts_" SIGNATURE, in the
 * alphabet [A-Za-z0-9_-] that all dialects take. */

/* seal_id - *ret_id = id with the signature (base64 text) in it, or id alone when the signature is
 * empty or is no base64. 0 or -ERR_NOMEM. */
int seal_id(struct arena *arena, struct str id, struct str signature, struct str *ret_id);
/* seal_open_id - the id and the signature that it carries (empty: none). 0 or -ERR_NOMEM. */
int seal_open_id(struct arena *arena, struct str sealed, struct str *ret_id,
                 struct str *ret_signature);
/* seal_open - the same for all calls and results of a request: part->signature of a call. */
int seal_open(struct chat_request *request, struct arena *arena);

/* A reasoning item of the Responses API is an id and an encrypted text; as a signature it is
 * "berthrs", two hex digits of the id's length, the id, the text. */
int seal_reasoning(struct arena *arena, struct str id, struct str encrypted,
                   struct str *ret_signature);
bool seal_open_reasoning(struct str signature, struct str *ret_id, struct str *ret_encrypted);
/* Redacted reasoning where a dialect has only signatures: a prefix that is base64 itself. */
#define SEAL_REDACTED STR("cmVkYWN0ZWQ6")

#endif
