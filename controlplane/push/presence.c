/* SPDX-License-Identifier: MIT
 * presence.c - nodes beyond their connections: agents that went silent, data planes that were lost.
 * Floor: controlplane/push; engine thread.
 * Owns: push->presences.
 * Invariant: an agent that was silent for its TTL has no row in force until it said what it hosts;
 *            push_test.c. */
#include "controlplane/push/push_int.h"

#include <stdio.h>
#include <stdlib.h>

#include "controlplane/reconcile/amend.h"
#include "lib/base/check.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"

/* A node pings every 4 s: two are lost. */
#define AGENT_TTL_MS_MIN 10000u

static uint64_t
agent_ttl_ms(const struct push *push)
{
    return MAX(push->conf.lease_ms / 3u * 2u, AGENT_TTL_MS_MIN);
}

static struct presence *
presence_of(struct push *push, enum node_role role, const char *name)
{
    char key[NODE_NAME_BYTES_MAX + 3];
    (void)snprintf(key, sizeof key, "%c/%s", role == ROLE_AGENT ? 'a' : 'd', name);
    struct presence *presence = map_get(&push->presences, str_from(key));
    if (presence)
        return presence;
    presence = calloc(1, sizeof *presence);
    if (!presence)
        return NULL;
    memcpy(presence->name, key, sizeof key);
    presence->role = role;
    presence->heard_ms = clock_mono_ms();
    if (map_put(&push->presences, str_from(presence->name), presence, NULL) < 0) {
        free(presence);
        return NULL;
    }
    return presence;
}

static const char *
name_of(const struct presence *presence)
{
    return presence->name + 2;
}

static struct node *
connection_of(const struct push *push, const struct presence *presence)
{
    LIST_FOREACH (at, &push->nodes) {
        struct node *node = LIST_ENTRY(at, struct node, in_push);
        if (node_is_live(node, presence->role) &&
            str_eq(str_from(node->name), str_from(name_of(presence))))
            return node;
    }
    return NULL;
}

void
presence_heard(struct node *node)
{
    struct presence *presence = presence_of(node->push, node->role, node->name);
    if (presence)
        presence->heard_ms = clock_mono_ms();
}

void
presence_ticked(struct node *node)
{
    struct presence *presence = presence_of(node->push, node->role, node->name);
    if (presence)
        presence->ticked_ms = clock_mono_ms();
}

void
presence_hosting(struct node *node)
{
    struct presence *presence = presence_of(node->push, node->role, node->name);
    struct err err = {0};
    if (amend_agent_away(node->push->engine, str_from(node->name), false, &err) < 0) {
        LOG_ERROR("an agent's containers could not be resumed", LOG_E(&err));
        node_drop(node, "its containers could not be resumed; it shall say its list again");
        return;
    }
    if (presence && presence->away)
        LOG_INFO("the agent is back; its containers are in force again", LOG_C("node", node->name));
    if (presence)
        presence->away = false;
}

void
presence_start(struct push *push)
{
    LIST_FOREACH (at, &push->engine->bindings.all) {
        const struct binding_row *row = LIST_ENTRY(at, struct binding_row, node_in_all);
        char name[NODE_NAME_BYTES_MAX + 1];
        if (str_copy(name, sizeof name, row->node) && !presence_of(push, ROLE_AGENT, name))
            LOG_WARN("an agent cannot be watched: out of memory", LOG_C("node", name));
    }
}

static void
send_away(struct push *push, struct presence *presence)
{
    struct err err = {0};
    struct node *node = connection_of(push, presence);
    if (node)
        node_drop(node, "it has been silent");
    if (amend_agent_away(push->engine, str_from(name_of(presence)), true, &err) < 0) {
        LOG_ERROR("a silent agent's containers could not be suspended; trying again", LOG_E(&err));
        return;
    }
    presence->away = true;
    LOG_WARN("an agent is away; its containers are suspended", LOG_C("node", name_of(presence)));
}

/* The older keys are done when every connected data plane holds what the new one signed; those that
 * are not connected get all of it, and the keys, when they come back. */
static void
finish_rotation(struct push *push)
{
    struct err err = {0};
    if (push->engine->accepted_count < 2)
        return;
    LIST_FOREACH (at, &push->nodes) {
        const struct node *node = LIST_ENTRY(at, struct node, in_push);
        if (node_is_live(node, ROLE_DATAPLANE) &&
            node->acked[PART_bindings] < MIN(push->engine->resigned, node->sent[PART_bindings]))
            return;
    }
    if (amend_retire(push->engine, &err) < 0)
        LOG_ERROR("an older server key is still accepted", LOG_E(&err));
}

void
presence_look(struct push *push)
{
    uint64_t now = clock_mono_ms();
    MAP_FOREACH (slot, &push->presences) {
        struct presence *presence = slot->value;
        if (presence->role == ROLE_AGENT && !presence->away &&
            now - presence->heard_ms > agent_ttl_ms(push))
            send_away(push, presence);
    }
    finish_rotation(push);
}

void
presence_put_lost(const struct push *push, struct json_writer *writer)
{
    uint64_t now = clock_mono_ms();
    MAP_FOREACH (slot, &push->presences) {
        const struct presence *presence = slot->value;
        uint64_t ends_ms = presence->ticked_ms + push->conf.lease_ms;
        if (presence->role != ROLE_DATAPLANE || presence->ticked_ms == 0 || now >= ends_ms ||
            connection_of(push, presence))
            continue;
        json_open_object(writer);
        json_member_str(writer, "role", STR("dataplane"));
        json_member_str(writer, "name", str_from(name_of(presence)));
        json_member_bool(writer, "connected", false);
        json_member_u64(writer, "serves_ms", ends_ms - now);
        json_close_object(writer);
    }
}

void
presence_free(struct push *push)
{
    MAP_FOREACH (slot, &push->presences)
        free(slot->value);
    map_fini(&push->presences);
}
