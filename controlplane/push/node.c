/* SPDX-License-Identifier: MIT
 * node.c - one node connection: bytes to records, records to bytes, a bounded queue in two lanes.
 * Floor: controlplane/push; engine thread.
 * Owns: the node, its frames, its line buffer.
 * Invariant: a frame that has begun is finished before another starts; see push_int.h. */
#include "controlplane/push/push_int.h"

#include <stdlib.h>

#include "lib/base/check.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"

#define SLICE_BYTES (64u * 1024u)

static const char *const part_names[PART_COUNT] = {
#define PART_ROW(name) [PART_##name] = #name,
#include "controlplane/push/parts.def"
#undef PART_ROW
};

const char *
node_part_name(enum node_part part)
{
    ASSERT(part < PART_COUNT);
    return part_names[part];
}

bool
node_is_live(const struct node *node, enum node_role role)
{
    return node->role == role && node->state == NODE_LIVE && !node->doomed;
}

int
node_new(struct push *push, struct http_stream *stream, struct node **ret_node)
{
    struct node *node = calloc(1, sizeof *node);
    if (!node)
        return -ERR_NOMEM;
    node->push = push;
    node->stream = stream;
    node->state = NODE_HELLO;
    node->since_ms = clock_wall_ns() / 1000000;
    node->since_mono_ms = clock_mono_ms();
    buf_init(&node->line, PUSH_RECORD_BYTES_MAX);
    list_init(&node->urgent);
    list_init(&node->frames);
    map_init(&node->rows);
    map_init(&node->funds);
    list_push_back(&push->nodes, &node->in_push);
    *ret_node = node;
    return 0;
}

static void
free_frames(struct list *frames)
{
    struct list *at;
    while ((at = list_pop_front(frames)) != NULL) {
        struct frame *frame = LIST_ENTRY(at, struct frame, node);
        explicit_bzero(frame->bytes, frame->len);
        free(frame);
    }
}

static void
free_map(struct map *map)
{
    size_t cursor = 0;
    struct map_slot *slot;
    while ((slot = map_next(map, &cursor)) != NULL)
        free(slot->value);
    map_fini(map);
}

void
node_free(struct node *node)
{
    list_remove(&node->in_push);
    free_frames(&node->urgent);
    free_frames(&node->frames);
    free_map(&node->rows);
    free_map(&node->funds);
    buf_fini(&node->line);
    free(node);
}

void
node_drop(struct node *node, const char *reason)
{
    if (node->doomed)
        return;
    node->doomed = true;
    LOG_WARN("dropping a node connection", LOG_C("node", node->name), LOG_C("reason", reason));
    http_stream_abort(node->stream);
}

/* ---- down ------------------------------------------------------------------------------------ */

static struct frame *
next_frame(struct node *node)
{
    if (!list_empty(&node->frames)) {
        struct frame *begun = LIST_ENTRY(node->frames.next, struct frame, node);
        if (begun->sent > 0)
            return begun;
    }
    if (!list_empty(&node->urgent))
        return LIST_ENTRY(node->urgent.next, struct frame, node);
    return list_empty(&node->frames) ? NULL : LIST_ENTRY(node->frames.next, struct frame, node);
}

static void
frame_done(struct node *node, struct frame *frame)
{
    list_remove(&frame->node);
    if (frame->kind != FRAME_FULL)
        node->queued_bytes -= frame->len;
    explicit_bzero(frame->bytes, frame->len); /* a config holds provider keys */
    free(frame);
}

void
node_pump(struct node *node)
{
    struct frame *frame;
    while (!node->doomed && !node->blocked && (frame = next_frame(node)) != NULL) {
        size_t count = MIN(frame->len - frame->sent, (size_t)SLICE_BYTES);
        struct str slice = str_make(frame->bytes + frame->sent, count);
        node->blocked = !http_stream_write(node->stream, slice);
        frame->sent += count;
        if (frame->sent == frame->len)
            frame_done(node, frame);
    }
}

/* A newer document makes one that still waits worthless. */
static void
drop_waiting_config(struct node *node)
{
    LIST_FOREACH_SAFE (at, &node->frames) {
        struct frame *frame = LIST_ENTRY(at, struct frame, node);
        if (frame->kind == FRAME_CONFIG && frame->sent == 0)
            frame_done(node, frame);
    }
}

void
node_send(struct node *node, enum frame_kind kind, struct str record)
{
    if (node->doomed)
        return;
    if (kind == FRAME_CONFIG)
        drop_waiting_config(node);
    if (record.len >= PUSH_RECORD_BYTES_MAX) {
        node_drop(node, "a record is too large for the protocol");
        return;
    }
    if (kind != FRAME_FULL && node->queued_bytes + record.len > PUSH_QUEUE_BYTES_MAX &&
        node->queued_bytes > 0) {
        node_drop(node, "too slow: its queue is full");
        return;
    }
    struct frame *frame = malloc(sizeof *frame + record.len + 1);
    if (!frame) {
        node_drop(node, "out of memory");
        return;
    }
    frame->kind = kind;
    frame->sent = 0;
    frame->len = record.len + 1;
    memcpy(frame->bytes, record.ptr, record.len);
    frame->bytes[record.len] = '\n';
    if (kind != FRAME_FULL)
        node->queued_bytes += frame->len;
    list_push_back(kind == FRAME_URGENT ? &node->urgent : &node->frames, &frame->node);
    node_pump(node);
}

/* ---- up -------------------------------------------------------------------------------------- */

void
node_feed(struct node *node, struct str bytes)
{
    presence_heard(node);
    while (bytes.len > 0 && !node->doomed) {
        size_t end = str_find_byte(bytes, '\n');
        struct str head = str_make(bytes.ptr, end == SIZE_MAX ? bytes.len : end);
        bytes = str_skip(bytes, end == SIZE_MAX ? bytes.len : end + 1);
        if (end != SIZE_MAX && node->line.len == 0) {
            record_handle(node, head);
            continue;
        }
        if (buf_put_str(&node->line, head) < 0) {
            node_drop(node, "it sent a record that is too large");
            return;
        }
        if (end == SIZE_MAX)
            return;
        struct buf line = node->line;
        buf_init(&node->line, PUSH_RECORD_BYTES_MAX);
        record_handle(node, buf_str(&line));
        buf_fini(&line);
    }
}
