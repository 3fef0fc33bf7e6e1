/* SPDX-License-Identifier: MIT
 * watch.c - sightings become steps of instances: rename, pause, the end, or a late beginning.
 * Floor: agent/daemon; loop thread.
 * Owns: see watch.h.
 * Invariant: see watch.h. A container that runs without an identity (its hook did not run, or the
 *            control plane was away and the policy let it start) is bound like any other, once its
 *            process is known; until then it is an alarm in the log. */
#include "agent/daemon/watch.h"

#include <stdlib.h>

#include "api/binding.h"
#include "lib/base/check.h"
#include "lib/base/log.h"

#include "agent/daemon/agent.h"
#include "agent/daemon/control.h"
#include "agent/daemon/lifecycle.h"
#include "agent/daemon/plane.h"

#define DECLARED_MAX 1024u

/* A container that exists and does not run. */
struct declared {
    struct list node;
    struct facts facts;
};
struct watch {
    struct agent *agent;
    struct source *sources[2]; /* by kind; NULL = not watched */
    struct list declared;      /* oldest first */
    size_t declared_count;
};

static struct declared *
declared_find(const struct watch *watch, const char *id)
{
    LIST_FOREACH (node, &watch->declared) {
        struct declared *declared = LIST_ENTRY(node, struct declared, node);
        if (strcmp(declared->facts.id, id) == 0)
            return declared;
    }
    return NULL;
}

static void
declared_drop(struct watch *watch, struct declared *declared)
{
    if (declared == NULL)
        return;
    list_remove(&declared->node);
    watch->declared_count--;
    free(declared);
}

static void
declared_put(struct watch *watch, const struct facts *facts)
{
    struct declared *declared = declared_find(watch, facts->id);
    if (declared == NULL) {
        if (watch->declared_count == DECLARED_MAX)
            declared_drop(watch, LIST_ENTRY(watch->declared.next, struct declared, node));
        declared = calloc(1, sizeof(*declared));
        if (declared == NULL)
            return;
        list_push_back(&watch->declared, &declared->node);
        watch->declared_count++;
    }
    declared->facts = *facts;
}

static struct instance *
find_instance(struct agent *agent, const char *id)
{
    LIST_FOREACH (node, &agent->instances) {
        struct instance *instance = LIST_ENTRY(node, struct instance, node);
        if (strcmp(instance->container_id, id) == 0 &&
            (instance->state == INSTANCE_BINDING || instance_lives(instance)))
            return instance;
    }
    return NULL;
}

/* ---- a late beginning ----------------------------------------------------------------------- */

static void
begin(struct watch *watch, const struct facts *facts, enum source_kind kind)
{
    struct agent *agent = watch->agent;
    struct hook_state state = {.stage = HOOK_CREATE_RUNTIME, .pid = facts->pid};
    if (facts->ai_off || facts->infra || !plane_connected(agent->plane) ||
        !control_is_up(agent->control))
        return; /* the next list says it again */
    if (!facts->whole) {
        source_look(watch->sources[kind], facts->id);
        return;
    }
    if (facts->pid == 0)
        return;
    LOG_WARN("a container runs without an identity; it gets one now", LOG_C("container", facts->id),
             LOG_C("name", facts->name), LOG_C("runtime", source_kind_name(kind)));
    (void)!str_copy(state.id, sizeof(state.id), str_from(facts->id));
    (void)!str_copy(state.runtime, sizeof(state.runtime), str_from(source_kind_name(kind)));
    if (binding_valid_name(str_from(facts->name)))
        (void)!str_copy(state.name, sizeof(state.name), str_from(facts->name));
    state.is_name_loose = !facts->name_fixed;
    lifecycle_create(agent, NULL, &state, 0);
}

/* ---- sightings ------------------------------------------------------------------------------ */

static void
update(struct instance *instance, const struct facts *facts)
{
    if (facts->ai_off || facts->infra) {
        (void)instance_step(instance, EVENT_ordered,
                            facts->infra ? "infrastructure" : "io.berth.ai=false");
        return;
    }
    if (facts->name[0] != '\0')
        lifecycle_rename(instance, str_from(facts->name));
    (void)instance_step(instance, facts->state == FACTS_PAUSED ? EVENT_paused : EVENT_unpaused,
                        "its runtime says so");
}

void
watch_seen(struct watch *watch, const struct facts *facts, enum source_kind kind)
{
    bool runs = facts->state == FACTS_RUNNING || facts->state == FACTS_PAUSED;
    struct instance *instance = find_instance(watch->agent, facts->id);
    if (facts->state == FACTS_IDLE)
        declared_put(watch, facts);
    else
        declared_drop(watch, declared_find(watch, facts->id));
    if (!runs) {
        /* What the pidfd says counts: a hook may just be starting it again. */
        (void)lifecycle_poststop(watch->agent, facts->id);
    } else if (instance != NULL) {
        update(instance, facts);
    } else {
        begin(watch, facts, kind);
    }
}

void
watch_prepare(const struct watch *watch, struct hook_state *state, char *name, size_t size)
{
    const struct declared *declared = watch != NULL ? declared_find(watch, state->id) : NULL;
    if (declared == NULL)
        return;
    state->ai_off = state->ai_off || declared->facts.ai_off;
    state->infra = state->infra || declared->facts.infra;
    if (state->name[0] == '\0' && binding_valid_name(str_from(declared->facts.name)))
        (void)!str_copy(name, size, str_from(declared->facts.name));
}

static void
on_seen(const struct facts *facts, enum source_kind kind, void *user)
{
    watch_seen(user, facts, kind);
}

int
watch_new(struct agent *agent, struct watch **ret_watch, struct err *err)
{
    const char *const sockets[] = {[SOURCE_DOCKER] = agent->options->docker_socket,
                                   [SOURCE_PODMAN] = agent->options->podman_socket};
    CLEANUP(watch_free) struct watch *watch = calloc(1, sizeof(*watch));
    if (watch == NULL)
        return err_set(err, ERR_NOMEM, "no memory");
    watch->agent = agent;
    list_init(&watch->declared);
    for (size_t i = 0; i < ARRAY_LEN(sockets); i++) {
        struct source_conf conf = {.kind = (enum source_kind)i,
                                   .socket = sockets[i],
                                   .loop = agent->loop,
                                   .seen = on_seen,
                                   .user = watch};
        if (sockets[i] == NULL || strcmp(sockets[i], "none") == 0)
            continue;
        int code = source_new(&conf, &watch->sources[i], err);
        if (code < 0)
            return code;
    }
    *ret_watch = TAKE(watch);
    return 0;
}

void
watch_free(struct watch **ref)
{
    struct watch *watch = TAKE(*ref);
    if (watch == NULL)
        return;
    for (size_t i = 0; i < ARRAY_LEN(watch->sources); i++)
        source_free(&watch->sources[i]);
    while (!list_empty(&watch->declared))
        declared_drop(watch, LIST_ENTRY(watch->declared.next, struct declared, node));
    free(watch);
}
