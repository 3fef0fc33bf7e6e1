/* SPDX-License-Identifier: MIT
 * client_origin.c - the client object, its origins, and who gets which connection.
 * Floor: lib/http; its loop's thread.
 * Owns: origins, their lists of connections and queues; the FLUSH and FREE hooks.
 * Invariant: a queued call waits only while every connection is busy or being dialed; idle
 *            connections are used last in, first out, and closed after idle_timeout_ms.
 * client_test.c. */
#include <stdlib.h>

#include "lib/base/check.h"
#include "lib/http/client_int.h"

#define STREAMS_EXPECTED 100u /* of an h2 connection whose peer has not said yet */
#define DIAL_AGAIN_MS 1000u   /* when the queue must wait after a dial that failed */

/* ---- end of turn ----------------------------------------------------------------------------- */

static void
client_flush(struct loop_hook *hook)
{
    struct http_client *client = CONTAINER_OF(hook, struct http_client, flush);
    struct list batch;
    list_init(&batch);
    /* What becomes dirty meanwhile goes into the next turn. */
    while (!list_empty(&client->dirty))
        list_push_back(&batch, list_pop_front(&client->dirty));
    for (struct list *node; (node = list_pop_front(&batch)) != NULL;) {
        struct client_conn *conn = LIST_ENTRY(node, struct client_conn, dirty);
        if (conn->state == CONN_OPEN)
            conn->proto->flush(conn);
    }
}

static void
client_spare(struct list *dead, struct list *spare, uint32_t *count, size_t node_offset)
{
    for (struct list *node; (node = list_pop_front(dead)) != NULL;) {
        if (*count < CLIENT_POOL_MAX) {
            list_push_front(spare, node);
            ++*count;
        } else {
            free((char *)node - node_offset);
        }
    }
}

static void
client_reap(struct loop_hook *hook)
{
    struct http_client *client = CONTAINER_OF(hook, struct http_client, reap);
    LIST_FOREACH (node, &client->dead_calls) {
        buf_fini(&LIST_ENTRY(node, struct http_call, node)->held);
    }
    client_spare(&client->dead_calls, &client->spare_calls, &client->spare_call_count,
                 offsetof(struct http_call, node));
    client_spare(&client->dead_conns, &client->spare_conns, &client->spare_conn_count,
                 offsetof(struct client_conn, node));
    for (struct list *node; (node = list_pop_front(&client->dead_origins)) != NULL;) {
        struct http_origin *origin = LIST_ENTRY(node, struct http_origin, node);
        free(origin->host);
        free(origin->unix_path);
        free(origin->authority);
        free(origin);
    }
}

void
client_soon(struct http_client *client)
{
    if (!timer_armed(&client->soon))
        timer_arm(loop_timers(client->loop), &client->soon, loop_now_ms(client->loop));
}

static void
client_run_soon(struct timer *timer)
{
    struct http_client *client = CONTAINER_OF(timer, struct http_client, soon);
    struct list conns;
    struct list calls;
    list_init(&conns);
    list_init(&calls);
    for (struct list *node; (node = list_pop_front(&client->soon_origins)) != NULL;)
        origin_pump(LIST_ENTRY(node, struct http_origin, soon));
    while (!list_empty(&client->soon_conns))
        list_push_back(&conns, list_pop_front(&client->soon_conns));
    while (!list_empty(&client->soon_calls))
        list_push_back(&calls, list_pop_front(&client->soon_calls));
    for (struct list *node; (node = list_pop_front(&calls)) != NULL;) {
        struct http_call *call = LIST_ENTRY(node, struct http_call, soon);
        if (!call->ended && !call->paused && call->conn != NULL)
            call->conn->proto->resume(call->conn, call);
    }
    for (struct list *node; (node = list_pop_front(&conns)) != NULL;) {
        struct client_conn *conn = LIST_ENTRY(node, struct client_conn, soon);
        if (conn->state == CONN_DIALING)
            conn_dial_failed(conn);
        else if (conn->state == CONN_OPEN)
            conn->proto->readable(conn, true);
    }
}

/* ---- the client ------------------------------------------------------------------------------ */

int
http_client_new(struct loop *loop, struct http_client **ret_client, struct err *err)
{
    struct http_client *client = malloc(sizeof(*client));
    if (client == NULL)
        return err_set(err, ERR_NOMEM, "no memory for an HTTP client");
    memset(client, 0, offsetof(struct http_client, h1_head));
    client->loop = loop;
    struct list *const lists[] = {
        &client->origins,     &client->dead_origins, &client->dirty,      &client->soon_conns,
        &client->soon_calls,  &client->soon_origins, &client->dead_conns, &client->dead_calls,
        &client->spare_conns, &client->spare_calls,
    };
    for (size_t i = 0; i < ARRAY_LEN(lists); i++)
        list_init(lists[i]);
    loop_hook_init(&client->flush, client_flush);
    loop_hook_init(&client->reap, client_reap);
    timer_init(&client->soon, client_run_soon);
    buf_init(&client->head_out, 512u * 1024u);
    *ret_client = client;
    return 0;
}

void
http_client_free(struct http_client **ref)
{
    struct http_client *client = TAKE(*ref);
    if (client == NULL)
        return;
    ASSERT(client->call_count == 0);
    while (!list_empty(&client->origins))
        origin_retire(LIST_ENTRY(client->origins.next, struct http_origin, node));
    client_reap(&client->reap);
    list_remove(&client->flush.node);
    list_remove(&client->reap.node);
    timer_cancel(loop_timers(client->loop), &client->soon);
    for (struct list *node; (node = list_pop_front(&client->spare_calls)) != NULL;)
        free(LIST_ENTRY(node, struct http_call, node));
    for (struct list *node; (node = list_pop_front(&client->spare_conns)) != NULL;)
        free(LIST_ENTRY(node, struct client_conn, node));
    while (client->spare_heads != NULL) {
        struct call_head *head = client->spare_heads;
        client->spare_heads = head->next;
        free(head);
    }
    buf_fini(&client->head_out);
    free(client);
}

/* ---- origins --------------------------------------------------------------------------------- */

static uint32_t
or_default(uint32_t value, uint32_t fallback)
{
    return value != 0 ? value : fallback;
}

static void
origin_defaults(struct http_origin_conf *conf)
{
    if (conf->protocol == HTTP_AUTO && conf->tls == NULL)
        conf->protocol = HTTP_1_1;
    conf->h2_streams_max = or_default(conf->h2_streams_max, 1000);
    conf->idle_timeout_ms = or_default(conf->idle_timeout_ms, 30000);
    conf->connect_timeout_ms = or_default(conf->connect_timeout_ms, 5000);
    conf->queue_max = or_default(conf->queue_max, 1024);
}

static bool
origin_same(const struct http_origin *origin, const struct http_origin_conf *conf)
{
    const struct http_origin_conf *mine = &origin->conf;
    struct str path = conf->unix_path != NULL ? str_from(conf->unix_path) : STR_EMPTY;
    struct str my_path = mine->unix_path != NULL ? str_from(mine->unix_path) : STR_EMPTY;
    return str_eq(mine->host, conf->host) && mine->port == conf->port && mine->tls == conf->tls &&
           str_eq(my_path, path) && mine->protocol == conf->protocol &&
           mine->conn_count_max == conf->conn_count_max &&
           mine->h2_streams_max == conf->h2_streams_max &&
           mine->idle_timeout_ms == conf->idle_timeout_ms &&
           mine->connect_timeout_ms == conf->connect_timeout_ms &&
           mine->queue_max == conf->queue_max && mine->allow == conf->allow &&
           mine->allow_user == conf->allow_user;
}

/* host[:port] as it goes into Host and :authority. */
static char *
origin_authority(const struct http_origin_conf *conf)
{
    struct buf text;
    bool bare_v6 = str_find_byte(conf->host, ':') != SIZE_MAX && conf->host.ptr[0] != '[';
    buf_init(&text, 512);
    buf_printf(&text, bare_v6 ? "[%.*s]" : "%.*s", STR_ARG(conf->host));
    if (conf->port != 0 && conf->port != (conf->tls != NULL ? 443 : 80))
        buf_printf(&text, ":%u", (unsigned)conf->port);
    char *copy = text.failed ? NULL : str_dup(buf_str(&text));
    buf_fini(&text);
    return copy;
}

static void
origin_sweep(struct timer *timer)
{
    struct http_origin *origin = CONTAINER_OF(timer, struct http_origin, sweep);
    struct loop *loop = origin->client->loop;
    uint64_t now = loop_now_ms(loop);
    while (!list_empty(&origin->idle)) {
        struct client_conn *oldest = LIST_ENTRY(origin->idle.prev, struct client_conn, node);
        uint64_t due = oldest->idle_since_ms + origin->conf.idle_timeout_ms;
        if (due > now) {
            timer_arm(loop_timers(loop), &origin->sweep, due);
            return;
        }
        conn_destroy(oldest);
    }
}

static void
origin_redial(struct timer *timer)
{
    origin_pump(CONTAINER_OF(timer, struct http_origin, redial));
}

int
http_origin_acquire(struct http_client *client, const struct http_origin_conf *conf,
                    struct http_origin **ret_origin, struct err *err)
{
    struct http_origin_conf full = *conf;
    if (conf->host.len == 0 || conf->host.len > 253)
        return err_set(err, ERR_INVALID, "a host of 1 to 253 bytes is needed");
    origin_defaults(&full);
    LIST_FOREACH (node, &client->origins) {
        struct http_origin *origin = LIST_ENTRY(node, struct http_origin, node);
        if (origin_same(origin, &full)) {
            origin->refs++;
            *ret_origin = origin;
            return 0;
        }
    }
    struct http_origin *origin = calloc(1, sizeof(*origin));
    if (origin == NULL)
        return err_set(err, ERR_NOMEM, "no memory for an origin");
    origin->client = client;
    origin->conf = full;
    origin->refs = 1;
    origin->learned = full.protocol;
    origin->host = str_dup(full.host);
    origin->authority = origin_authority(&full);
    if (full.unix_path != NULL)
        origin->unix_path = str_dup(str_from(full.unix_path));
    if (origin->host == NULL || origin->authority == NULL ||
        (full.unix_path != NULL && origin->unix_path == NULL)) {
        free(origin->host);
        free(origin->authority);
        free(origin->unix_path);
        free(origin);
        return err_set(err, ERR_NOMEM, "no memory for an origin");
    }
    origin->conf.host = str_make(origin->host, full.host.len);
    origin->conf.unix_path = origin->unix_path;
    struct list *const lists[] = {&origin->queue, &origin->dialing, &origin->idle, &origin->busy};
    for (size_t i = 0; i < ARRAY_LEN(lists); i++)
        list_init(lists[i]);
    list_init(&origin->soon);
    timer_init(&origin->sweep, origin_sweep);
    timer_init(&origin->redial, origin_redial);
    list_push_back(&client->origins, &origin->node);
    *ret_origin = origin;
    return 0;
}

void
origin_retire(struct http_origin *origin)
{
    struct http_client *client = origin->client;
    struct list *const lists[] = {&origin->dialing, &origin->idle, &origin->busy};
    ASSERT(origin->call_count == 0);
    for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
        while (!list_empty(lists[i]))
            conn_destroy(LIST_ENTRY(lists[i]->next, struct client_conn, node));
    }
    timer_cancel(loop_timers(client->loop), &origin->sweep);
    timer_cancel(loop_timers(client->loop), &origin->redial);
    list_remove(&origin->node);
    list_remove(&origin->soon);
    list_push_back(&client->dead_origins, &origin->node);
    loop_at_end(client->loop, &client->reap, LOOP_FREE);
}

void
http_origin_release(struct http_origin **ref)
{
    struct http_origin *origin = TAKE(*ref);
    if (origin == NULL)
        return;
    ASSERT(origin->refs > 0);
    origin->refs--;
    if (origin->refs == 0 && origin->call_count == 0)
        origin_retire(origin);
}

/* ---- who gets which connection --------------------------------------------------------------- */

static uint32_t
origin_conn_max(const struct http_origin *origin)
{
    if (origin->conf.conn_count_max != 0)
        return origin->conf.conn_count_max;
    return origin->learned == HTTP_2 ? 4 : 256;
}

static struct client_conn *
origin_pick(struct http_origin *origin, const struct http_call *call)
{
    if (origin->learned == HTTP_2) {
        LIST_FOREACH (node, &origin->busy) {
            struct client_conn *conn = LIST_ENTRY(node, struct client_conn, node);
            if (conn->proto->has_room(conn))
                return conn;
        }
    }
    while (!list_empty(&origin->idle)) {
        struct client_conn *first = LIST_ENTRY(origin->idle.next, struct client_conn, node);
        if (!first->proto->has_room(first)) { /* an h2 connection that got GOAWAY */
            conn_destroy(first);
            continue;
        }
        if (!call->retried || first->used == 0 || first->proto == &client_proto_h2)
            return first;
        /* Not twice on a connection with a history; make room for a new one. */
        if (origin->conn_count >= origin_conn_max(origin))
            conn_destroy(LIST_ENTRY(origin->idle.prev, struct client_conn, node));
        break;
    }
    return NULL;
}

/* The first call that may have any connection. */
static COLD struct http_call *
origin_next_used(const struct http_origin *origin)
{
    LIST_FOREACH (node, &origin->queue) {
        struct http_call *call = LIST_ENTRY(node, struct http_call, node);
        if (!call->retried)
            return call;
    }
    return NULL;
}

/* How many dials the queue is worth at the moment. */
static uint32_t
origin_dials_wanted(const struct http_origin *origin)
{
    uint32_t each = 0;
    switch (origin->learned) {
    case HTTP_1_1:
        return origin->queued;
    case HTTP_2:
        each = MIN(origin->conf.h2_streams_max, STREAMS_EXPECTED);
        return (origin->queued + each - 1) / each;
    case HTTP_AUTO:
        break;
    }
    return 1;
}

void
origin_pump(struct http_origin *origin)
{
    while (!list_empty(&origin->queue)) {
        struct http_call *call = LIST_ENTRY(origin->queue.next, struct http_call, node);
        struct client_conn *conn = origin_pick(origin, call);
        if (UNLIKELY(conn == NULL && call->retried)) { /* it alone waits for a new one */
            call = origin_next_used(origin);
            conn = call != NULL ? origin_pick(origin, call) : NULL;
        }
        if (conn == NULL)
            break;
        list_remove(&call->node);
        ASSERT(origin->queued > 0);
        origin->queued--;
        call->conn = conn;
        call->phase = HTTP_SENDING;
        conn->used++;
        conn->proto->assign(conn, call);
    }
    if (list_empty(&origin->queue))
        return;
    if (timer_armed(&origin->redial))
        return;
    uint32_t wanted = origin_dials_wanted(origin);
    while (origin->dialing_count < wanted && origin->conn_count < origin_conn_max(origin)) {
        if (conn_dial(origin) != 0) {
            origin_redial_later(origin);
            break;
        }
    }
}

void
origin_redial_later(struct http_origin *origin)
{
    struct loop *loop = origin->client->loop;
    timer_arm(loop_timers(loop), &origin->redial, loop_now_ms(loop) + DIAL_AGAIN_MS);
}

void
origin_fail_queue(struct http_origin *origin, uint32_t count)
{
    /* A copy: a callback may dial again, which clears the origin's. */
    struct err err = origin->err;
    /* The callback may release the origin or start calls: those go behind `count`. */
    origin->refs++;
    while (count-- > 0 && !list_empty(&origin->queue)) {
        struct http_call *call = LIST_ENTRY(origin->queue.next, struct http_call, node);
        list_remove(&call->node);
        origin->queued--;
        call->phase = HTTP_CONNECTING;
        call_fail(call, -err.code, err.text);
    }
    struct http_origin *mine = origin;
    http_origin_release(&mine);
}
