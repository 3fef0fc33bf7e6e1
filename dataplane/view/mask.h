/* SPDX-License-Identifier: MIT
 * mask.h - a provider's key in what the provider sends: found plain and encoded, and, in a stream,
 *          spread over events.
 * Floor: dataplane/view; made by the sync thread, read by every worker.
 * Owns: nothing; needles live in the config's arena.
 * Invariant: bytes without the key pass unchanged, at once and uncopied; a masked text has the
 *            length it had, so JSON stays JSON. mask_test.c, mask_fuzz.c, e2e/hostile SS-24. */
#ifndef BERTH_DATAPLANE_VIEW_MASK_H
#define BERTH_DATAPLANE_VIEW_MASK_H

#include "lib/base/arena.h"
#include "lib/base/buf.h"

#define MASK_NEEDLES_MAX 16u
/* Shorter keys are no secrets, and would be found in any text. */
#define MASK_KEY_BYTES_MIN 8u
/* Of a key that comes in pieces, at most MASK_RUN - 1 bytes leave; shorter keys than
 * MASK_RUN_KEY_MIN are looked for in one piece only. */
#define MASK_RUN 16u
#define MASK_RUN_KEY_MIN 32u

/* key: and what it looks like in base64 (at every alignment), hex, percent and JSON escapes; where
 * it has parts with colons between, each part of 16 bytes. */
struct mask {
    struct str key;
    struct str needle[MASK_NEEDLES_MAX];
    uint32_t count;
};
/* How much of the key the end of the last event may have held; zero it for a new stream. */
struct mask_run {
    uint32_t lengths; /* bit n: n bytes, n < MASK_RUN */
    size_t sure;      /* MASK_RUN bytes and more, or 0 */
};

/* mask_init - key: borrowed as long as the arena. 0; -ERR_NOMEM. */
int mask_init(struct mask *mask, struct str key, struct arena *arena) MUST_USE;
/* mask_holds - the key stands in these bytes, in one piece. */
bool mask_holds(const struct mask *mask, struct str bytes);
/* mask_stream - the next bytes of a stream of JSON events: these themselves, or a copy of them in
 * `out` with '*' for each byte of the key. They may be out's own. token: they carry text of the
 * answer, so what the last ones began is gone on with here or never. Empty on no memory: better
 * nothing than the key. */
struct str mask_stream(const struct mask *mask, struct mask_run *run, struct str bytes, bool token,
                       struct buf *out);

#endif
