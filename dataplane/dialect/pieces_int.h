/* SPDX-License-Identifier: MIT
 * pieces_int.h - tool calls that arrive in pieces, for writers whose dialect takes them whole.
 * Floor: dataplane/dialect; one thread a stream.
 * Owns: the texts of the open calls.
 * Invariant: at most FEED_CALLS_MAX are open; each is found by choice and position. */
#ifndef BERTH_DATAPLANE_DIALECT_PIECES_INT_H
#define BERTH_DATAPLANE_DIALECT_PIECES_INT_H

#include "dataplane/dialect/feed_int.h"

struct piece;
/* Zeroed is empty. */
struct pieces {
    struct piece *open;
    uint32_t count;
    uint32_t cap;
};

void pieces_fini(struct pieces *pieces);
/* pieces_take - a TOOL_START or TOOL_DELTA. 0, -ERR_TOO_LARGE, -ERR_NOMEM. */
int pieces_take(struct pieces *pieces, const struct chat_event *event);
/* pieces_find - the call of this event as a part, its texts borrowed until the next take or drop;
 * pieces_first - the oldest open one. false: none. */
bool pieces_find(struct pieces *pieces, const struct chat_event *event, struct chat_part *ret_call);
bool pieces_first(struct pieces *pieces, struct chat_part *ret_call);
/* pieces_drop - the call that was found last is done. */
void pieces_drop(struct pieces *pieces, const struct chat_part *call);

#endif
