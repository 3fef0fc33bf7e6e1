/* SPDX-License-Identifier: MIT
 * client_dial.c - connections of the HTTP client: resolve, filter, connect, TLS, and their end.
 * Floor: lib/http; its loop's thread.
 * Owns: struct client_conn, and struct client_dial until the connection is open.
 * Invariant: one deadline covers all addresses and the handshake; no address is connected to that
 * the origin's filter refuses; a dial that fails tells the queue later, never from inside
 *            http_call_start. client_test.c. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>

#include "lib/base/check.h"
#include "lib/http/client_int.h"

struct client_dial {
    struct resolve_query query;
    struct timer deadline;
    struct client_conn *conn;
    struct sock_addr addrs[RESOLVE_ADDRS_MAX];
    size_t addr_count;
    size_t addr_index;
    bool resolving;
    bool connected; /* TCP is; TLS may not be */
    struct err err;
};

static void dial_next(struct client_conn *conn);

void
upstream_dirty(struct client_conn *conn)
{
    struct http_client *client = conn_client(conn);
    if (conn->state == CONN_DEAD)
        return;
    if (list_empty(&conn->dirty))
        list_push_back(&client->dirty, &conn->dirty);
    loop_at_end(client->loop, &client->flush, LOOP_FLUSH);
}

void
conn_soon(struct client_conn *conn)
{
    struct http_client *client = conn_client(conn);
    if (conn->state == CONN_DEAD)
        return;
    if (list_empty(&conn->soon))
        list_push_back(&client->soon_conns, &conn->soon);
    client_soon(client);
}

void
conn_idle(struct client_conn *conn)
{
    struct http_origin *origin = conn->origin;
    struct loop *loop = origin->client->loop;
    conn->idle_since_ms = loop_now_ms(loop);
    list_remove(&conn->node);
    list_push_front(&origin->idle, &conn->node);
    if (!timer_armed(&origin->sweep))
        timer_arm(loop_timers(loop), &origin->sweep,
                  conn->idle_since_ms + origin->conf.idle_timeout_ms);
    origin_pump(origin);
}

void
conn_busy(struct client_conn *conn)
{
    list_remove(&conn->node);
    list_push_back(&conn->origin->busy, &conn->node);
}

static void
dial_free(struct client_conn *conn)
{
    struct client_dial *dial = TAKE(conn->dial);
    if (dial == NULL)
        return;
    if (dial->resolving)
        resolve_cancel(&dial->query);
    timer_cancel(loop_timers(conn_client(conn)->loop), &dial->deadline);
    free(dial);
}

static void
conn_close_channel(struct client_conn *conn)
{
    if (conn->channel.io.fd < 0)
        return;
    loop_remove(conn_client(conn)->loop, &conn->channel.io);
    if (conn->state == CONN_OPEN && conn->channel.tls != NULL)
        channel_shutdown(&conn->channel);
    channel_fini(&conn->channel);
    conn->channel.io.fd = -1;
}

void
conn_destroy(struct client_conn *conn)
{
    struct http_origin *origin = conn->origin;
    struct http_client *client = origin->client;
    ASSERT(conn->state != CONN_DEAD);
    conn_close_channel(conn);
    dial_free(conn);
    if (conn->proto != NULL)
        conn->proto->close(conn);
    buf_fini(&conn->out);
    list_remove(&conn->node);
    list_remove(&conn->dirty);
    list_remove(&conn->soon);
    ASSERT(origin->conn_count > 0);
    origin->conn_count--;
    if (conn->state == CONN_DIALING)
        origin->dialing_count--;
    conn->state = CONN_DEAD;
    if (!list_empty(&origin->queue) && list_empty(&origin->soon)) {
        /* Its place is free for another; not now: we may be inside origin_pump. */
        list_push_back(&client->soon_origins, &origin->soon);
        client_soon(client);
    }
    list_push_back(&client->dead_conns, &conn->node);
    loop_at_end(client->loop, &client->reap, LOOP_FREE);
}

/* ---- dialing --------------------------------------------------------------------------------- */

/* dial->err is set. The queue hears of it from the loop. */
static void
dial_give_up(struct client_conn *conn)
{
    conn_close_channel(conn);
    conn->origin->err = conn->dial->err;
    conn_soon(conn);
}

void
conn_dial_failed(struct client_conn *conn)
{
    struct http_origin *origin = conn->origin;
    conn_destroy(conn);
    bool alone =
        list_empty(&origin->busy) && list_empty(&origin->idle) && origin->dialing_count == 0;
    if (alone) {
        origin_fail_queue(origin, origin->queued);
        return;
    }
    if (origin->learned == HTTP_2) {
        origin_redial_later(origin); /* the others may still serve the queue */
        return;
    }
    origin_fail_queue(origin, 1);
}

static void
dial_done(struct client_conn *conn)
{
    struct http_origin *origin = conn->origin;
    struct err *err = &conn->dial->err;
    bool h2 = origin->conf.protocol == HTTP_2;
    if (conn->channel.tls != NULL) {
        bool offered = str_eq(channel_alpn(&conn->channel), STR("h2"));
        if (h2 && !offered) {
            err_set(err, ERR_PROTOCOL, "%s does not speak HTTP/2", origin->authority);
            dial_give_up(conn);
            return;
        }
        h2 = offered;
    }
    const struct client_proto *proto = h2 ? &client_proto_h2 : &client_proto_h1;
    if (proto->open(conn, err) != 0) {
        dial_give_up(conn);
        return;
    }
    conn->proto = proto;
    dial_free(conn);
    conn->state = CONN_OPEN;
    origin->dialing_count--;
    origin->learned = h2 ? HTTP_2 : HTTP_1_1;
    conn_idle(conn);
}

static void
dial_ready(struct client_conn *conn, uint32_t events)
{
    struct client_dial *dial = conn->dial;
    if (!dial->connected) {
        if ((events & (EPOLLOUT | EPOLLERR | EPOLLHUP)) == 0)
            return;
        if (sock_error(conn->channel.io.fd, &dial->err) != 0) {
            conn_close_channel(conn);
            dial_next(conn);
            return;
        }
        dial->connected = true;
    }
    int rc = channel_handshake(&conn->channel, &dial->err);
    if (rc == -ERR_AGAIN)
        return;
    if (rc == 0) {
        dial_done(conn);
        /* This edge may have told of bytes too; the handshake may have read some. */
        if (conn->state == CONN_OPEN && (conn->channel.tls != NULL || (events & EPOLLIN) != 0))
            conn->proto->readable(conn, (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0);
        return;
    }
    if (dial->err.code == 0)
        err_set(&dial->err, (enum err_code) - rc, "%s closed the connection in the TLS handshake",
                conn->origin->authority);
    dial_give_up(conn);
}

static void
conn_io_ready(struct loop_io *io, uint32_t events)
{
    struct client_conn *conn = CONTAINER_OF(io, struct client_conn, channel.io);
    if (conn->state == CONN_DEAD)
        return;
    if (conn->state == CONN_DIALING) {
        if (list_empty(&conn->soon))
            dial_ready(conn, events);
        return;
    }
    bool tls = conn->channel.tls != NULL;
    if ((tls || (events & EPOLLOUT) != 0) && conn->proto->unsent(conn))
        upstream_dirty(conn);
    bool hangup = (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0;
    if (tls || hangup || (events & EPOLLIN) != 0)
        conn->proto->readable(conn, hangup);
}

/* Try the next address; give up when there is none. dial->err tells of the last one. */
static void
dial_next(struct client_conn *conn)
{
    struct client_dial *dial = conn->dial;
    struct http_origin *origin = conn->origin;
    while (dial->addr_index < dial->addr_count) {
        const struct sock_addr *addr = &dial->addrs[dial->addr_index++];
        int fd = -1;
        if (origin->unix_path == NULL && origin->conf.allow != NULL &&
            !origin->conf.allow(addr, origin->conf.allow_user)) {
            char text[128];
            sock_addr_format(addr, text);
            err_set(&dial->err, ERR_REFUSED, "the address %s of %s may not be connected to", text,
                    origin->authority);
            continue;
        }
        if (sock_connect(addr, &fd, &dial->err) != 0)
            continue;
        if (channel_init(&conn->channel, fd, origin->conf.tls, false, origin->host, &dial->err) !=
            0) {
            conn->channel.io.fd = -1;
            continue;
        }
        conn->channel.io.ready = conn_io_ready;
        dial->connected = false;
        dial->err.code = 0;
        if (loop_add(origin->client->loop, &conn->channel.io, false) == 0)
            return;
        err_set(&dial->err, ERR_SYSTEM, "cannot watch a socket");
        conn_close_channel(conn);
    }
    if (dial->err.code == 0)
        err_set(&dial->err, ERR_RESOLVE, "%s has no address", origin->authority);
    dial_give_up(conn);
}

static void
dial_resolved(struct resolve_query *query, int code, const struct sock_addr *addrs, size_t count)
{
    struct client_dial *dial = CONTAINER_OF(query, struct client_dial, query);
    dial->resolving = false;
    if (code != 0) {
        err_set(&dial->err, (enum err_code) - code, "%s: %s", dial->conn->origin->host,
                err_text(code));
        dial_give_up(dial->conn);
        return;
    }
    dial->addr_count = MIN(count, (size_t)RESOLVE_ADDRS_MAX);
    memcpy(dial->addrs, addrs, dial->addr_count * sizeof(*addrs));
    dial_next(dial->conn);
}

static void
dial_late(struct timer *timer)
{
    struct client_dial *dial = CONTAINER_OF(timer, struct client_dial, deadline);
    const struct http_origin *origin = dial->conn->origin;
    if (dial->resolving) {
        resolve_cancel(&dial->query);
        dial->resolving = false;
    }
    err_set(&dial->err, ERR_TIMEOUT, "no connection to %s within %u ms", origin->authority,
            (unsigned)origin->conf.connect_timeout_ms);
    dial_give_up(dial->conn);
}

static struct client_conn *
conn_new(struct http_origin *origin)
{
    struct http_client *client = origin->client;
    struct list *spare = list_pop_front(&client->spare_conns);
    struct client_conn *conn = NULL;
    if (spare != NULL) {
        client->spare_conn_count--;
        conn = LIST_ENTRY(spare, struct client_conn, node);
    } else {
        conn = malloc(sizeof(*conn));
    }
    if (conn == NULL)
        return NULL;
    *conn = (struct client_conn){.origin = origin, .state = CONN_DIALING};
    conn->channel.io.fd = -1;
    list_init(&conn->node);
    list_init(&conn->dirty);
    list_init(&conn->soon);
    buf_init(&conn->out, CLIENT_UPLOAD_MAX);
    return conn;
}

int
conn_dial(struct http_origin *origin)
{
    struct loop *loop = origin->client->loop;
    struct client_dial *dial = calloc(1, sizeof(*dial));
    struct client_conn *conn = dial != NULL ? conn_new(origin) : NULL;
    if (conn == NULL) {
        free(dial);
        return -ERR_NOMEM;
    }
    conn->dial = dial;
    dial->conn = conn;
    timer_init(&dial->deadline, dial_late);
    list_push_back(&origin->dialing, &conn->node);
    origin->conn_count++;
    origin->dialing_count++;
    timer_arm(loop_timers(loop), &dial->deadline,
              loop_now_ms(loop) + origin->conf.connect_timeout_ms);
    if (origin->unix_path == NULL) {
        dial->resolving = true;
        resolve_start(&dial->query, loop, origin->conf.host, origin->conf.port, dial_resolved);
        return 0;
    }
    char text[sizeof(dial->addrs[0].u.un.sun_path) + 8];
    int length = snprintf(text, sizeof(text), "unix:%s", origin->unix_path);
    if (length > 0 && (size_t)length < sizeof(text) &&
        sock_addr_parse(str_from(text), &dial->addrs[0], &dial->err) == 0)
        dial->addr_count = 1;
    dial_next(conn);
    return 0;
}
