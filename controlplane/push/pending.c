/* SPDX-License-Identifier: MIT
 * pending.c - binds that are committed and wait until the data planes know them.
 * Floor: controlplane/push; engine thread.
 * Owns: one entry a waiting bind.
 * Invariant: every bind is answered once: bound, or refused and revoked; never left half done. */
#include "controlplane/push/push_int.h"

#include <stdlib.h>

#include "controlplane/reconcile/bind.h"
#include "lib/base/check.h"
#include "lib/base/log.h"

#define RECORD_BYTES_MAX (64u * 1024u)

static void
pending_free(struct pending *pending)
{
    timer_cancel(loop_timers(pending->push->conf.loop), &pending->timer);
    list_remove(&pending->in_push);
    free(pending);
}

void
pending_refuse(struct node *agent, uint64_t id, const char *code, const char *reason)
{
    struct buf text;
    struct json_writer writer;
    buf_init(&text, RECORD_BYTES_MAX);
    json_writer_init(&writer, &text);
    json_open_object(&writer);
    json_member_str(&writer, "type", STR("refused"));
    json_member_u64(&writer, "id", id);
    json_member_str(&writer, "code", str_from(code));
    json_member_str(&writer, "reason", str_from(reason));
    json_close_object(&writer);
    node_send(agent, FRAME_PLAIN, buf_str(&text));
    buf_fini(&text);
}

void
pending_answer_bound(struct node *agent, uint64_t id, const struct binding_row *row)
{
    struct buf text;
    struct json_writer writer;
    buf_init(&text, RECORD_BYTES_MAX);
    json_writer_init(&writer, &text);
    json_open_object(&writer);
    json_member_str(&writer, "type", STR("bound"));
    json_member_u64(&writer, "id", id);
    json_member_raw(&writer, "binding", row->json);
    json_close_object(&writer);
    node_send(agent, FRAME_PLAIN, buf_str(&text));
    buf_fini(&text);
}

/* Takes the pending apart, revokes its row, tells the agent why. */
static void
give_up(struct pending *pending, const char *code, const char *reason)
{
    struct node *agent = pending->agent;
    struct push *push = pending->push;
    uint64_t id = pending->id;
    struct binding_row *row = bindings_find(&push->engine->bindings, str_from(pending->hex));
    struct err err = {0};
    ASSERT(row); /* a row that ends takes what waits for it along: pending_forget_row */
    pending_free(pending);
    /* the reason first: behind the revocation nobody would read it */
    pending_refuse(agent, id, code, reason);
    if (bind_revoke(push->engine, row, "not_acknowledged", &err) < 0)
        LOG_ERROR("a refused binding could not be revoked", LOG_E(&err));
}

static void
deadline(struct timer *timer)
{
    struct pending *pending = CONTAINER_OF(timer, struct pending, timer);
    size_t count = push_node_count(pending->push, "dataplane");
    give_up(pending, "not_acknowledged",
            count == 0 ? "no data plane is connected to the control plane"
                       : "the data plane did not acknowledge in time");
}

static bool
is_complete(const struct pending *pending)
{
    size_t told = 0;
    LIST_FOREACH (at, &pending->push->nodes) {
        const struct node *node = LIST_ENTRY(at, struct node, in_push);
        if (!node_is_live(node, ROLE_DATAPLANE) || !map_get(&node->rows, str_from(pending->hex)))
            continue;
        told++;
        if (node->acked[PART_bindings] < pending->revision)
            return false;
    }
    return told > 0;
}

void
pending_look(struct push *push)
{
    LIST_FOREACH_SAFE (at, &push->pending) {
        struct pending *pending = LIST_ENTRY(at, struct pending, in_push);
        if (!is_complete(pending))
            continue;
        const struct binding_row *row =
            bindings_find(&push->engine->bindings, str_from(pending->hex));
        struct node *agent = pending->agent;
        uint64_t id = pending->id;
        ASSERT(row);
        pending_free(pending);
        pending_answer_bound(agent, id, row);
    }
}

void
pending_add(struct node *agent, uint64_t id, const struct binding_row *row)
{
    struct push *push = agent->push;
    if (row->suspended != 0) { /* no data plane is told of it: it starts, and is nobody there */
        pending_answer_bound(agent, id, row);
        return;
    }
    struct pending *pending = calloc(1, sizeof *pending);
    if (!pending) {
        pending_refuse(agent, id, "store", "out of memory");
        return;
    }
    pending->push = push;
    pending->agent = agent;
    pending->id = id;
    pending->revision = row->revision;
    memcpy(pending->hex, row->hex, sizeof pending->hex);
    timer_init(&pending->timer, deadline);
    timer_arm(loop_timers(push->conf.loop), &pending->timer,
              loop_now_ms(push->conf.loop) + PUSH_BIND_DEADLINE_MS);
    list_push_back(&push->pending, &pending->in_push);
    pending_look(push);
}

void
pending_nacked(struct push *push, struct node *dataplane, uint64_t revision)
{
    for (;;) {
        struct pending *found = NULL;
        LIST_FOREACH (at, &push->pending) {
            struct pending *pending = LIST_ENTRY(at, struct pending, in_push);
            if (pending->revision == revision && map_get(&dataplane->rows, str_from(pending->hex)))
                found = pending;
        }
        if (!found)
            return;
        give_up(found, "not_acknowledged", dataplane->nack);
    }
}

void
pending_forget_agent(struct push *push, struct node *agent)
{
    LIST_FOREACH_SAFE (at, &push->pending) {
        struct pending *pending = LIST_ENTRY(at, struct pending, in_push);
        if (pending->agent == agent)
            pending_free(pending);
    }
}

void
pending_forget_row(struct push *push, const char *hex)
{
    LIST_FOREACH_SAFE (at, &push->pending) {
        struct pending *pending = LIST_ENTRY(at, struct pending, in_push);
        if (memcmp(pending->hex, hex, sizeof pending->hex) != 0)
            continue;
        struct node *agent = pending->agent;
        uint64_t id = pending->id;
        pending_free(pending);
        pending_refuse(agent, id, "revoked", "the container was revoked meanwhile");
    }
}
