/* SPDX-License-Identifier: MIT
 * guest.h - callers who ask for embeddings in other words than OpenAI's: into his shape, from
 *           where a carrier goes on, and the answer back into theirs.
 * Floor: dataplane/media, on dialect; any thread, no I/O.
 * Owns: nothing.
 * Invariant: what has no place in OpenAI's shape is refused or named; numbers pass as the very text
 *            that they came in. guest_test.c, guest_fuzz.c. */
#ifndef BERTH_DATAPLANE_MEDIA_GUEST_H
#define BERTH_DATAPLANE_MEDIA_GUEST_H

#include "dataplane/media/carry.h"

/* request: doc is the caller's body, an object; written with the target's name `model` as OpenAI's
 * request. known_task: the target knows what texts may be for (`input_type`), else that is dropped.
 * *ret_wish: count, tokens, dropped. 0; -ERR_INVALID, -ERR_RANGE, -ERR_UNSUPPORTED with the field
 * in err, -ERR_NOMEM.
 * answer: doc is OpenAI's answer. 0; -ERR_INVALID: it is none, or not as many as asked; -ERR_NOMEM.
 */
struct guest {
    int (*request)(const struct json_doc *doc, struct str model, bool known_task,
                   struct arena *arena, struct buf *out, struct carry_wish *ret_wish,
                   struct err *err);
    int (*answer)(const struct json_doc *doc, const struct carry_wish *wish, struct buf *out);
};
/* guest_find - who says calls of this endpoint, made in this dialect, in OpenAI's words; NULL:
 * they are, or nobody. */
const struct guest *guest_find(const struct dialect *caller, enum chat_endpoint endpoint);

#endif
