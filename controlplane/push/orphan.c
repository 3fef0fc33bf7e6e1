/* SPDX-License-Identifier: MIT
 * orphan.c - leases of data planes that are lost: after a time the money goes back to its wallet.
 * Floor: controlplane/push; engine thread.
 * Owns: push->lost.
 * Invariant: the lease of a connected epoch is never taken back. A control plane that starts counts
 *            from its start. push_test.c. */
#include <stdio.h>
#include <stdlib.h>

#include "controlplane/push/push_int.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"

#define ARENA_BYTES_MAX (64u * 1024u * 1024u)
#define LOOKS_A_WAIT 20u /* how often it is looked within the time */

/* An epoch of a node that has leases and is not connected; key of the map. */
struct lost {
    uint64_t since_ms;
    uint64_t round;
    char key[NODE_NAME_BYTES_MAX + 24];
};

static bool
is_connected(const struct push *push, const struct ledger_lease_row *row)
{
    LIST_FOREACH (at, &push->nodes) {
        const struct node *node = LIST_ENTRY(at, struct node, in_push);
        if (node_is_live(node, ROLE_DATAPLANE) && node->epoch == row->epoch &&
            str_eq(str_from(node->name), row->node))
            return true;
    }
    return false;
}

static struct lost *
lost_of(struct push *push, const struct ledger_lease_row *row)
{
    char key[sizeof((struct lost *)0)->key];
    (void)snprintf(key, sizeof key, "%.*s/%llu", STR_ARG(row->node),
                   (unsigned long long)row->epoch);
    struct lost *lost = map_get(&push->lost, str_from(key));
    if (lost)
        return lost;
    lost = calloc(1, sizeof *lost);
    if (!lost)
        return NULL;
    memcpy(lost->key, key, sizeof key);
    lost->since_ms = clock_mono_ms();
    if (map_put(&push->lost, str_from(lost->key), lost, NULL) < 0) {
        free(lost);
        return NULL;
    }
    return lost;
}

static void
lease_look(struct push *push, const struct ledger_lease_row *row, uint64_t now)
{
    char rest[32];
    struct err err = {0};
    struct lost *lost = row->rest.nano > 0 && !is_connected(push, row) ? lost_of(push, row) : NULL;
    if (!lost)
        return;
    lost->round = push->lost_round;
    if (now - lost->since_ms < push->conf.orphan_ms)
        return;
    money_format(row->rest, rest);
    if (lease_orphan(push->conf.ledger, row->node, row->epoch, row->wallet, &err) < 0)
        LOG_ERROR("the lease of a lost data plane was not taken back; trying again",
                  LOG_S("node", row->node), LOG_S("wallet", row->wallet), LOG_E(&err));
    else
        LOG_WARN("the lease of a lost data plane went back to its wallet", LOG_S("node", row->node),
                 LOG_U("epoch", row->epoch), LOG_S("wallet", row->wallet), LOG_C("usd", rest));
}

void
orphan_look(struct push *push)
{
    uint64_t now = clock_mono_ms();
    struct arena arena;
    struct ledger_lease_row *rows = NULL;
    size_t count = 0;
    struct err err = {0};
    if (now < push->orphans_due_ms)
        return;
    push->orphans_due_ms = now + push->conf.orphan_ms / LOOKS_A_WAIT;
    push->lost_round++;
    arena_init(&arena, ARENA_BYTES_MAX);
    if (lease_list(push->conf.ledger, STR_EMPTY, 0, &arena, &rows, &count, &err) < 0)
        LOG_ERROR("listing the leases failed", LOG_E(&err));
    for (size_t i = 0; i < count; i++)
        lease_look(push, &rows[i], now);
    arena_fini(&arena);
    MAP_FOREACH (slot, &push->lost) {
        struct lost *lost = slot->value;
        if (lost->round != push->lost_round && err.code == 0)
            free(map_remove(&push->lost, slot->key));
    }
}

void
orphan_free(struct push *push)
{
    MAP_FOREACH (slot, &push->lost)
        free(slot->value);
    map_fini(&push->lost);
}
