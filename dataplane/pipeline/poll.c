/* SPDX-License-Identifier: MIT
 * poll.c - ask again, and take leave.
 * Floor: dataplane/pipeline; the worker's thread.
 * Owns: see poll.h.
 * Invariant: see poll.h. */
#include "dataplane/pipeline/poll.h"

#include <stdlib.h>

#define WAIT_MS 500u
#define WAIT_MS_MAX 3000u
#define STRIKES_MAX 5u /* in a row: the vendor stumbles while he makes it */
#define GOODBYE_MS 5000u

/* A vendor is told that nobody waits; nobody waits for his answer either. */
struct goodbye {
    struct list node; /* worker->goodbyes */
    struct http_call *call;
    struct http_origin *origin;
    struct timer timer;
    struct loop *loop;
};

static void
goodbye_free(struct goodbye *goodbye)
{
    timer_cancel(loop_timers(goodbye->loop), &goodbye->timer);
    if (goodbye->call != NULL)
        http_call_cancel(&goodbye->call);
    http_origin_release(&goodbye->origin);
    list_remove(&goodbye->node);
    free(goodbye);
}

static void
goodbye_head(struct http_call *call, const struct http_head *head)
{
    (void)call;
    (void)head;
}

static void
goodbye_body(struct http_call *call, struct str bytes, bool last)
{
    (void)call;
    (void)bytes;
    (void)last;
}

static void
goodbye_done(struct http_call *call)
{
    struct goodbye *goodbye = http_call_user(call);
    goodbye->call = NULL;
    goodbye_free(goodbye);
}

static void
goodbye_failed(struct http_call *call, int code, enum http_phase phase, const char *text)
{
    (void)code;
    (void)phase;
    (void)text;
    goodbye_done(call);
}

static void
goodbye_timer(struct timer *timer)
{
    goodbye_free(CONTAINER_OF(timer, struct goodbye, timer));
}

static const struct http_call_ops goodbye_ops = {
    .head = goodbye_head, .body = goodbye_body, .done = goodbye_done, .failed = goodbye_failed};

/* A call without a body to one of the vendor's addresses. */
static int
call(struct exchange *x, struct http_origin *origin, struct str method, struct str target,
     const struct http_call_ops *ops, void *user, struct http_call **ret_call)
{
    struct http_field fields[ATTEMPT_FIELDS_MAX];
    const struct http_call_conf conf = {.ops = ops,
                                        .user = user,
                                        .method = method,
                                        .target = target,
                                        .fields = fields,
                                        .field_count = attempt_fields(x, fields),
                                        .retry_stale = true};
    return http_call_start(origin, &conf, ret_call);
}

/* The origin and the target behind an address of the vendor's. */
static int
look_up(struct exchange *x, struct str url, struct http_origin **ret_origin, struct str *ret_target)
{
    const struct config_provider *provider = exchange_model(x)->provider;
    struct str host;
    struct str target;
    int rc = ticket_address(&provider->base, url, &x->arena, &host, &target);
    if (rc == 0)
        rc = origins_visit(x->worker->origins, provider, host, ret_origin, NULL);
    if (rc == 0)
        *ret_target = target;
    return rc;
}

static void
goodbye_send(struct exchange *x)
{
    struct goodbye *goodbye = calloc(1, sizeof(*goodbye));
    struct str target;
    if (goodbye == NULL)
        return;
    goodbye->loop = x->worker->loop;
    timer_init(&goodbye->timer, goodbye_timer);
    list_push_back(&x->worker->goodbyes, &goodbye->node);
    if (look_up(x, x->attempt.poll.cancel, &goodbye->origin, &target) != 0 ||
        call(x, goodbye->origin, STR("POST"), target, &goodbye_ops, goodbye, &goodbye->call) != 0) {
        goodbye_free(goodbye);
        return;
    }
    timer_arm(loop_timers(goodbye->loop), &goodbye->timer, loop_now_ms(goodbye->loop) + GOODBYE_MS);
}

void
poll_forget(struct worker *worker)
{
    LIST_FOREACH_SAFE (node, &worker->goodbyes)
        goodbye_free(LIST_ENTRY(node, struct goodbye, node));
}

/* ---- asking again ---------------------------------------------------------------------------- */

static void
wait_a_while(struct exchange *x)
{
    struct poll *poll = &x->attempt.poll;
    uint64_t wait = MAX(poll->wait_ms, WAIT_MS);
    uint64_t limit = x->config->settings.request_timeout_ms;
    uint64_t age = (loop_now_ns(x->worker->loop) - x->started_ns) / 1000000u;
    if (limit != 0 && age + wait >= limit) {
        attempt_failed(x, HTTP_ERROR_upstream_timeout, STR("The provider did not finish in time."));
        return;
    }
    poll->wait_ms = (uint32_t)MIN(wait + wait / 2, (uint64_t)WAIT_MS_MAX);
    poll->waiting = true;
    timer_arm(loop_timers(x->worker->loop), &x->timer, loop_now_ms(x->worker->loop) + wait);
}

void
poll_begin(struct exchange *x)
{
    struct attempt *a = &x->attempt;
    struct ticket ticket = {STR_EMPTY, STR_EMPTY};
    int rc = 0;
    attempt_reset(x);
    a->poll.strikes = 0;
    if (a->poll.origin == NULL) {
        rc = a->carrier->ticket(&x->worker->doc, &x->arena, &ticket);
        a->poll.cancel = ticket.cancel;
        if (rc == 0)
            rc = look_up(x, ticket.poll, &a->poll.origin, &a->poll.target);
    }
    if (rc == 0)
        wait_a_while(x);
    else {
        attempt_failed(x, HTTP_ERROR_upstream_protocol,
                       rc == -ERR_PERMISSION
                           ? STR("The provider's answer is to be asked for elsewhere.")
                           : STR("The provider's answer cannot be read."));
    }
}

bool
poll_again(struct exchange *x)
{
    struct poll *poll = &x->attempt.poll;
    if (poll->origin == NULL || x->settled || ++poll->strikes >= STRIKES_MAX)
        return false;
    attempt_reset(x);
    wait_a_while(x);
    return true;
}

bool
poll_timer(struct exchange *x)
{
    struct attempt *a = &x->attempt;
    if (!a->poll.waiting) {
        if (a->poll.origin == NULL || a->call == NULL || a->mode != REPLY_NONE)
            return false;
        http_call_cancel(&a->call); /* silence */
        if (!poll_again(x))
            attempt_failed(x, HTTP_ERROR_upstream_timeout,
                           STR("The provider did not answer in time."));
        return true;
    }
    a->poll.waiting = false;
    if (attempt_ask(x, a->poll.origin, a->poll.target) != 0 && !poll_again(x))
        attempt_failed(x, HTTP_ERROR_overloaded, STR_EMPTY);
    return true;
}

void
poll_done(struct exchange *x)
{
    x->attempt.poll.cancel = STR_EMPTY;
}

void
poll_end(struct exchange *x)
{
    struct poll *poll = &x->attempt.poll;
    if (poll->cancel.len > 0)
        goodbye_send(x);
    http_origin_release(&poll->origin);
    *poll = (struct poll){.origin = NULL};
}
