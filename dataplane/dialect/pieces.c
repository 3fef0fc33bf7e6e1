/* SPDX-License-Identifier: MIT
 * pieces.c - tool calls in pieces.
 * Floor: dataplane/dialect; one thread a stream.
 * Owns: see pieces_int.h.
 * Invariant: see pieces_int.h. */
#include "dataplane/dialect/pieces_int.h"

#include <stdlib.h>

#include "lib/base/check.h"

#define NAME_BYTES_MAX 256u
#define ID_BYTES_MAX (64u << 10) /* with a signature sealed in */
#define CALL_BYTES_MAX (8u << 20)

struct piece {
    uint32_t choice;
    uint32_t tool;
    bool custom;
    struct buf id;
    struct buf name;
    struct buf text;
};

static void
piece_free(struct piece *piece)
{
    buf_fini(&piece->id);
    buf_fini(&piece->name);
    buf_fini(&piece->text);
}

void
pieces_fini(struct pieces *pieces)
{
    for (uint32_t i = 0; i < pieces->count; i++)
        piece_free(&pieces->open[i]);
    free(pieces->open);
    *pieces = (struct pieces){0};
}

static int
begin(struct pieces *pieces, const struct chat_event *event)
{
    if (pieces->count == pieces->cap) {
        uint32_t cap = pieces->cap == 0 ? 4 : pieces->cap * 2;
        if (cap > FEED_CALLS_MAX)
            return -ERR_TOO_LARGE;
        struct piece *grown = realloc(pieces->open, cap * sizeof(*grown));
        if (grown == NULL)
            return -ERR_NOMEM;
        pieces->open = grown;
        pieces->cap = cap;
    }
    struct piece *piece = &pieces->open[pieces->count++];
    *piece = (struct piece){.choice = event->choice, .tool = event->tool, .custom = event->custom};
    buf_init(&piece->id, ID_BYTES_MAX);
    buf_init(&piece->name, NAME_BYTES_MAX);
    buf_init(&piece->text, CALL_BYTES_MAX);
    buf_put_str(&piece->id, event->id);
    buf_put_str(&piece->name, event->name);
    return piece->id.failed || piece->name.failed ? -ERR_TOO_LARGE : 0;
}

static struct piece *
find(const struct pieces *pieces, const struct chat_event *event)
{
    for (uint32_t i = 0; i < pieces->count; i++)
        if (pieces->open[i].choice == event->choice && pieces->open[i].tool == event->tool)
            return &pieces->open[i];
    return NULL;
}

int
pieces_take(struct pieces *pieces, const struct chat_event *event)
{
    if (event->kind == CHAT_EVENT_TOOL_START)
        return begin(pieces, event);
    struct piece *piece = find(pieces, event);
    return piece == NULL ? 0 : buf_put_str(&piece->text, event->text);
}

static void
show(const struct piece *piece, struct chat_part *ret_call)
{
    *ret_call = (struct chat_part){.kind = CHAT_PART_TOOL_CALL,
                                   .custom = piece->custom,
                                   .id = buf_str(&piece->id),
                                   .name = buf_str(&piece->name),
                                   .text = buf_str(&piece->text),
                                   .signature = STR_EMPTY};
}

bool
pieces_find(struct pieces *pieces, const struct chat_event *event, struct chat_part *ret_call)
{
    struct piece *piece = find(pieces, event);
    if (piece == NULL)
        return false;
    /* to the front: drop takes the first */
    struct piece first = *piece;
    memmove(&pieces->open[1], &pieces->open[0], (size_t)(piece - pieces->open) * sizeof(*piece));
    pieces->open[0] = first;
    show(&pieces->open[0], ret_call);
    return true;
}

bool
pieces_first(struct pieces *pieces, struct chat_part *ret_call)
{
    if (pieces->count == 0)
        return false;
    show(&pieces->open[0], ret_call);
    return true;
}

void
pieces_drop(struct pieces *pieces, const struct chat_part *call)
{
    ASSERT(pieces->count > 0 && call->kind == CHAT_PART_TOOL_CALL);
    piece_free(&pieces->open[0]);
    pieces->count--;
    memmove(&pieces->open[0], &pieces->open[1], pieces->count * sizeof(*pieces->open));
}
