/* SPDX-License-Identifier: MIT
 * instance.c - the setter and the table of the state machine.
 * Floor: agent/daemon; loop thread.
 * Owns: see instance.h.
 * Invariant: see instance.h; instance_test.c walks the table.
 */
#include "agent/daemon/instance.h"

#include <stdlib.h>
#include <unistd.h>

#include "lib/base/check.h"
#include "lib/base/log.h"
#include "lib/base/rand.h"

#include "agent/daemon/agent.h"
#include "agent/daemon/lifecycle.h"

struct edge {
    enum instance_state from;
    enum instance_event event;
    enum instance_state to;
    void (*action)(struct instance *instance, const char *reason);
};
static const struct edge edges[] = {
#define EDGE_ROW(from, event, to, action) {INSTANCE_##from, EVENT_##event, INSTANCE_##to, action},
#include "agent/daemon/states.def"
#undef EDGE_ROW
};

const char *
instance_state_name(enum instance_state state)
{
    static const char *const names[] = {
#define STATE_ROW(name, text) #name,
#include "agent/daemon/states.def"
#undef STATE_ROW
    };
    ASSERT(state < INSTANCE_STATE_COUNT);
    return names[state];
}

static const char *
event_word(enum instance_event event)
{
    static const char *const words[] = {
#define EVENT_ROW(name, word, text) word,
#include "agent/daemon/states.def"
#undef EVENT_ROW
    };
    ASSERT(event < INSTANCE_EVENT_COUNT);
    return words[event];
}

static const struct edge *
find_edge(enum instance_state state, enum instance_event event)
{
    for (size_t i = 0; i < ARRAY_LEN(edges); i++) {
        if (edges[i].from == state && edges[i].event == event)
            return &edges[i];
    }
    return NULL;
}

bool
instance_next(enum instance_state state, enum instance_event event, enum instance_state *ret_next)
{
    const struct edge *edge = find_edge(state, event);
    if (edge != NULL)
        *ret_next = edge->to;
    return edge != NULL;
}

bool
instance_step(struct instance *instance, enum instance_event event, const char *reason)
{
    const struct edge *edge = find_edge(instance->state, event);
    if (edge == NULL)
        return false;
    instance->state = edge->to;
    if (event != EVENT_hook) /* what began it is known better: a hook, an event, or by hand */
        instance->by = event_word(event);
    LOG_DEBUG("instance", LOG_C("container", instance->container_id),
              LOG_C("incarnation", instance->hex), LOG_C("from", instance_state_name(edge->from)),
              LOG_C("to", instance_state_name(edge->to)), LOG_C("reason", reason));
    edge->action(instance, reason);
    return true;
}

static void
pidfd_ready(struct loop_io *io, uint32_t events)
{
    (void)events;
    lifecycle_exited(CONTAINER_OF(io, struct instance, pidfd));
}

static void
deadline_fire(struct timer *timer)
{
    struct instance *instance = CONTAINER_OF(timer, struct instance, deadline);
    (void)instance_step(instance, EVENT_late, lifecycle_late_reason(instance));
}

void
instance_unwatch(struct instance *instance)
{
    if (instance->pidfd.fd < 0)
        return;
    loop_remove(instance->agent->loop, &instance->pidfd);
    (void)close(instance->pidfd.fd);
    instance->pidfd.fd = -1;
}

static void
instance_reap(struct loop_hook *hook)
{
    struct instance *instance = CONTAINER_OF(hook, struct instance, reap);
    struct loop *loop = instance->agent->loop;
    ASSERT(instance->sandbox == NULL && instance->waiter == NULL);
    timer_cancel(loop_timers(loop), &instance->deadline);
    list_remove(&instance->node);
    instance_unwatch(instance);
    free(instance);
}

void
instance_set_incarnation(struct instance *instance, const uint8_t bytes[INCARNATION_BYTES])
{
    memcpy(instance->incarnation, bytes, INCARNATION_BYTES);
    hex_encode(bytes, INCARNATION_BYTES, instance->hex);
}

struct instance *
instance_new(struct agent *agent)
{
    struct instance *instance = calloc(1, sizeof(*instance));
    if (instance == NULL)
        return NULL;
    uint8_t incarnation[INCARNATION_BYTES];
    rand_bytes(incarnation, sizeof(incarnation));
    instance_set_incarnation(instance, incarnation);
    instance->agent = agent;
    instance->pidfd.fd = -1;
    list_init(&instance->in_sandbox);
    timer_init(&instance->deadline, deadline_fire);
    loop_hook_init(&instance->reap, instance_reap);
    list_push_back(&agent->instances, &instance->node);
    return instance;
}

int
instance_watch(struct instance *instance, int pidfd)
{
    ASSERT(instance->pidfd.fd < 0);
    instance->pidfd = (struct loop_io){.fd = pidfd, .ready = pidfd_ready};
    return loop_add(instance->agent->loop, &instance->pidfd, false);
}

void
instance_retire(struct instance *instance)
{
    loop_at_end(instance->agent->loop, &instance->reap, LOOP_FREE);
}
