/* SPDX-License-Identifier: MIT
 * server.c - life of a server and its connections: accept, limits, deadlines, drain, death.
 * Floor: lib/http; its loop's thread.
 * Owns: the server object, connections and the free lists.
 * Invariant: a connection that is no longer alive is in server->dead and is freed in the FREE
 *            phase, after closed() of each of its streams; server_test.c. */
#include "lib/http/server.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/http/h2_fields.h"
#include "lib/http/server_int.h"

#define ACCEPTS_A_TURN 16
#define ACCEPT_RETRY_MS 100u
#define FLUSH_BATCH \
    16u /* written one after the other, then looked after: loop_run_group says why */
#define DRAIN_FIRST_MS 1000u /* for the first bytes of who has said nothing yet */

static void server_flush(struct loop_hook *hook);
static void server_sweep(struct loop_hook *hook);
static void server_accept(struct loop_io *io, uint32_t events);
static void server_listen_again(struct timer *timer);

static void
conf_default_u32(uint32_t *value, uint32_t fallback)
{
    if (*value == 0)
        *value = fallback;
}

static void
conf_defaults(struct http_server_conf *conf)
{
    if (conf->body_bytes_max == 0)
        conf->body_bytes_max = 10u << 20;
    conf_default_u32(&conf->conn_count_max, 10000);
    conf_default_u32(&conf->head_timeout_ms, 10000);
    conf_default_u32(&conf->idle_timeout_ms, 60000);
    conf_default_u32(&conf->body_rate_min, 500);
    conf_default_u32(&conf->h2_streams_max, 100);
    conf_default_u32(&conf->h2_window_bytes, 65535);
    conf_default_u32(&conf->abuse_burst, 100);
    conf_default_u32(&conf->abuse_per_s, 10);
}

int
http_server_new(const struct http_server_conf *conf, struct http_server **ret_server,
                struct err *err)
{
    ASSERT(conf->loop != NULL && conf->handler != NULL);
    ASSERT(conf->handler->request != NULL && conf->handler->closed != NULL);
    CLEANUP(http_server_free) struct http_server *server = calloc(1, sizeof *server);
    if (server == NULL)
        return err_set(err, ERR_NOMEM, "no memory for an HTTP server");
    server->conf = *conf;
    conf_defaults(&server->conf);
    server->loop = conf->loop;
    list_init(&server->conns);
    list_init(&server->dirty);
    list_init(&server->more);
    list_init(&server->ended);
    list_init(&server->dead);
    list_init(&server->free_conns);
    list_init(&server->free_streams);
    list_init(&server->free_fields);
    loop_hook_init(&server->flush_hook, server_flush);
    loop_hook_init(&server->free_hook, server_sweep);
    timer_init(&server->listen_timer, server_listen_again);
    buf_init(&server->head, 2u * HTTP_HEAD_BYTES_MAX);
    server->scratch = malloc(SERVER_SCRATCH_BYTES);
    if (server->scratch == NULL)
        return err_set(err, ERR_NOMEM, "no memory for an HTTP server");
    *ret_server = TAKE(server);
    return 0;
}

void
http_server_free(struct http_server **server_at)
{
    if (server_at == NULL || *server_at == NULL)
        return;
    struct http_server *server = *server_at;
    LIST_FOREACH_SAFE (node, &server->conns)
        conn_kill(LIST_ENTRY(node, struct http_conn, node), HTTP_ABORTED, true);
    server->drained = NULL;
    server_sweep(&server->free_hook);
    ASSERT(server->conn_count == 0 && list_empty(&server->dead));
    for (uint32_t i = 0; i < server->listener_count; i++)
        loop_remove(server->loop, &server->listeners[i].io);
    timer_cancel(loop_timers(server->loop), &server->listen_timer);
    list_remove(&server->flush_hook.node);
    list_remove(&server->free_hook.node);
    for (struct list *node; (node = list_pop_front(&server->free_conns)) != NULL;)
        free(LIST_ENTRY(node, struct http_conn, node));
    for (struct list *node; (node = list_pop_front(&server->free_streams)) != NULL;)
        free(LIST_ENTRY(node, struct http_stream, node));
    h2_fields_free_all(&server->free_fields);
    out_pool_fini(&server->pool);
    buf_fini(&server->head);
    free(server->scratch);
    free(server);
    *server_at = NULL;
}

/* ---- accepting ------------------------------------------------------------------------------- */

static void
server_listen_on(struct http_server *server, bool on)
{
    if (server->draining || timer_armed(&server->listen_timer))
        on = false;
    for (uint32_t i = 0; i < server->listener_count; i++) {
        struct loop_io *io = &server->listeners[i].io;
        if (!on)
            loop_remove(server->loop, io);
        else if (!io->added && loop_add(server->loop, io, true) < 0)
            timer_arm(loop_timers(server->loop), &server->listen_timer,
                      loop_now_ms(server->loop) + ACCEPT_RETRY_MS);
    }
}

static void
server_listen_again(struct timer *timer)
{
    struct http_server *server = CONTAINER_OF(timer, struct http_server, listen_timer);
    server_listen_on(server, server->conn_count < server->conf.conn_count_max);
}

int
http_server_listen(struct http_server *server, int listen_fd)
{
    ASSERT(server->listener_count < HTTP_LISTENERS_MAX && listen_fd >= 0);
    struct server_listener *listener = &server->listeners[server->listener_count];
    listener->server = server;
    listener->io = (struct loop_io){.fd = listen_fd, .ready = server_accept};
    int r = loop_add(server->loop, &listener->io, true);
    if (r == 0)
        server->listener_count++;
    return r;
}

static struct http_conn *
conn_new(struct http_server *server)
{
    struct list *node = list_pop_front(&server->free_conns);
    struct http_conn *conn =
        node != NULL ? LIST_ENTRY(node, struct http_conn, node) : malloc(sizeof *conn);
    if (conn != NULL)
        memset(conn, 0, sizeof *conn);
    return conn;
}

static void
conn_timer(struct timer *timer)
{
    struct http_conn *conn = CONTAINER_OF(timer, struct http_conn, timer);
    struct loop *loop = conn->server->loop;
    if (!conn_alive(conn) || conn->deadline_ms == 0)
        return;
    if (loop_now_ms(loop) < conn->deadline_ms) {
        timer_arm(loop_timers(loop), &conn->timer, conn->deadline_ms);
        return;
    }
    conn->deadline_ms = 0;
    if (conn->state == CONN_OPEN && conn->proto != NULL)
        conn->proto->timeout(conn);
    else
        conn_kill(conn, HTTP_TIMED_OUT, false);
}

void
conn_deadline(struct http_conn *conn, uint32_t ms)
{
    struct loop *loop = conn->server->loop;
    if (!conn_alive(conn) || ms == 0) {
        conn->deadline_ms = 0;
        return;
    }
    conn->deadline_ms = loop_now_ms(loop) + ms;
    /* A timer that is armed earlier looks at deadline_ms when it fires and goes on from there, so
     * that moving a deadline back, which every request does, costs nothing. */
    if (!timer_armed(&conn->timer) || conn->timer.due_ms > conn->deadline_ms)
        timer_arm(loop_timers(loop), &conn->timer, conn->deadline_ms);
}

int
http_server_adopt(struct http_server *server, int fd, void *conn_user)
{
    if (server->conn_count >= server->conf.conn_count_max || server->draining) {
        (void)close(fd);
        return -ERR_OVERLOADED;
    }
    int flags = fcntl(fd, F_GETFL);
    if (flags >= 0 && (flags & O_NONBLOCK) == 0)
        (void)fcntl(fd, F_SETFL, flags | O_NONBLOCK);
    struct http_conn *conn = conn_new(server);
    if (conn == NULL) {
        (void)close(fd);
        return -ERR_NOMEM;
    }
    int r = channel_init(&conn->channel, fd, server->conf.tls, true, NULL, NULL);
    if (r < 0) {
        free(conn);
        return r;
    }
    conn->server = server;
    conn->user = conn_user;
    conn->secure = server->conf.tls != NULL;
    conn->state = conn->secure ? CONN_HANDSHAKE : CONN_DETECT;
    conn->channel.io.ready = conn_ready;
    list_init(&conn->dirty);
    list_init(&conn->more);
    list_init(&conn->streams);
    timer_init(&conn->timer, conn_timer);
    buf_init(&conn->in, SERVER_HELD_BYTES_MAX + 2u * SERVER_SCRATCH_BYTES);
    r = loop_add(server->loop, &conn->channel.io, false);
    if (r < 0) {
        channel_fini(&conn->channel);
        free(conn);
        return r;
    }
    list_push_back(&server->conns, &conn->node);
    server->conn_count++;
    conn_deadline(conn, server->conf.head_timeout_ms);
    if (server->conn_count >= server->conf.conn_count_max)
        server_listen_on(server, false);
    return 0;
}

static void
server_accept(struct loop_io *io, uint32_t events)
{
    (void)events;
    struct http_server *server = CONTAINER_OF(io, struct server_listener, io)->server;
    for (int i = 0; i < ACCEPTS_A_TURN && io->added; i++) {
        int fd = -1;
        int r = sock_accept(io->fd, &fd, NULL);
        if (r == -ERR_AGAIN)
            return;
        if (r == -ERR_NO_SPACE || (r == 0 && http_server_adopt(server, fd, NULL) < 0)) {
            /* Out of descriptors or memory: leave the rest in the kernel's queue for a while. */
            server_listen_on(server, false);
            timer_arm(loop_timers(server->loop), &server->listen_timer,
                      loop_now_ms(server->loop) + ACCEPT_RETRY_MS);
            return;
        }
    }
}

/* ---- the phases ------------------------------------------------------------------------------ */

void
conn_dirty(struct http_conn *conn)
{
    struct http_server *server = conn->server;
    if (!list_empty(&conn->dirty) || conn->state == CONN_DEAD)
        return;
    list_push_back(&server->dirty, &conn->dirty);
    loop_at_end(server->loop, &server->flush_hook, LOOP_FLUSH);
}

void
conn_more(struct http_conn *conn)
{
    struct http_server *server = conn->server;
    if (!list_empty(&conn->more) || !conn_alive(conn))
        return;
    list_push_back(&server->more, &conn->more);
    loop_at_end(server->loop, &server->free_hook, LOOP_FREE);
}

static void
list_take_all(struct list *from, struct list *to)
{
    list_init(to);
    if (list_empty(from))
        return;
    list_add_between(to, from->prev, from);
    list_remove(from);
}

static void
server_flush(struct loop_hook *hook)
{
    struct http_server *server = CONTAINER_OF(hook, struct http_server, flush_hook);
    /* Whoever becomes dirty by this gets the next turn, which will not block. */
    struct list dirty;
    list_take_all(&server->dirty, &dirty);
    struct http_conn *batch[FLUSH_BATCH];
    while (!list_empty(&dirty)) {
        size_t count = 0;
        for (struct list *node; count < FLUSH_BATCH && (node = list_pop_front(&dirty)) != NULL;) {
            batch[count] = LIST_ENTRY(node, struct http_conn, dirty);
            conn_write(batch[count++]);
        }
        for (size_t i = 0; i < count; i++)
            conn_written(batch[i]);
    }
}

void
conn_kill(struct http_conn *conn, enum http_close_reason reason, bool soft)
{
    struct http_server *server = conn->server;
    if (!soft && conn->state != CONN_DEAD)
        out_clear(&server->pool, &conn->out);
    if (!conn_alive(conn)) {
        if (!soft)
            conn->state = CONN_DEAD;
        return;
    }
    conn->state = soft ? CONN_DYING : CONN_DEAD;
    conn->reason = reason;
    conn->deadline_ms = 0;
    timer_cancel(loop_timers(server->loop), &conn->timer);
    loop_remove(server->loop, &conn->channel.io);
    list_remove(&conn->more);
    list_remove(&conn->node);
    list_push_back(&server->dead, &conn->node);
    if (soft)
        conn_dirty(conn);
    loop_at_end(server->loop, &server->free_hook, LOOP_FREE);
}

void
conn_reset_on_close(struct http_conn *conn)
{
    struct linger linger = {.l_onoff = 1, .l_linger = 0};
    (void)setsockopt(conn->channel.io.fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
}

void
conn_finish(struct http_conn *conn, bool linger)
{
    if (conn->state >= CONN_CLOSING)
        return;
    conn->state = CONN_CLOSING;
    conn->channel.io.ahead = false;
    conn->linger = linger;
    conn_deadline(conn, conn->server->conf.idle_timeout_ms);
    conn_dirty(conn);
}

static void
server_close_ended(struct http_server *server)
{
    for (struct list *node; (node = list_pop_front(&server->ended)) != NULL;) {
        struct http_stream *stream = LIST_ENTRY(node, struct http_stream, node);
        stream_close(stream, stream->reason);
    }
}

static COLD void
conn_free(struct http_conn *conn)
{
    struct http_server *server = conn->server;
    ASSERT(!conn_alive(conn) && list_empty(&conn->node));
    if (conn->state == CONN_DYING)
        conn_write(conn);
    conn->state = CONN_DEAD;
    if (conn->proto != NULL)
        conn->proto->fini(conn);
    while (!list_empty(&conn->streams))
        stream_close(LIST_ENTRY(conn->streams.next, struct http_stream, node), conn->reason);
    /* closed() may have ended streams of other connections, never of this one: it is dead. */
    if (server->conf.handler->conn_closed != NULL)
        server->conf.handler->conn_closed(conn);
    server_close_ended(server);
    list_remove(&conn->dirty);
    ASSERT(conn->stream_count == 0);
    out_clear(&server->pool, &conn->out);
    buf_fini(&conn->in);
    channel_fini(&conn->channel);
    server->conn_count--;
    list_push_front(&server->free_conns, &conn->node);
}

static void
server_sweep(struct loop_hook *hook)
{
    struct http_server *server = CONTAINER_OF(hook, struct http_server, free_hook);
    struct list more;
    list_take_all(&server->more, &more);
    for (struct list *node; (node = list_pop_front(&more)) != NULL;)
        conn_pump(LIST_ENTRY(node, struct http_conn, more));
    server_close_ended(server);
    for (struct list *node; (node = list_pop_front(&server->dead)) != NULL;)
        conn_free(LIST_ENTRY(node, struct http_conn, node));
    if (server->conn_count < server->conf.conn_count_max)
        server_listen_on(server, true);
    if (server->draining && server->conn_count == 0 && server->drained != NULL) {
        void (*drained)(void *user) = server->drained;
        server->drained = NULL;
        drained(server->drained_user);
    }
}

void
http_conn_drain(struct http_conn *conn)
{
    if (conn->state == CONN_OPEN)
        conn->proto->drain(conn);
}

void
http_server_drain(struct http_server *server, void (*drained)(void *user), void *user)
{
    for (uint32_t i = 0; i < server->listener_count; i++) {
        uint32_t before;
        do {
            before = server->conn_count;
            server_accept(&server->listeners[i].io, 0);
        } while (server->conn_count - before == ACCEPTS_A_TURN);
    }
    server->draining = true;
    server->drained = drained;
    server->drained_user = user;
    server_listen_on(server, false);
    LIST_FOREACH_SAFE (node, &server->conns) {
        struct http_conn *conn = LIST_ENTRY(node, struct http_conn, node);
        if (conn->proto == NULL) {
            conn_deadline(conn, DRAIN_FIRST_MS);
        } else if (conn->state == CONN_OPEN) {
            conn->late = true; /* what it asked may lie in its socket: that is read before */
            conn->read_pending = true;
            conn_more(conn);
        }
    }
    loop_at_end(server->loop, &server->free_hook, LOOP_FREE);
}

/* ---- small public calls ---------------------------------------------------------------------- */

uint32_t
http_server_conn_count(const struct http_server *server)
{
    return server->conn_count;
}
void *
http_server_user(const struct http_server *server)
{
    return server->conf.user;
}
struct http_server *
http_conn_server(const struct http_conn *conn)
{
    return conn->server;
}
void *
http_conn_user(const struct http_conn *conn)
{
    return conn->user;
}
void
http_conn_set_user(struct http_conn *conn, void *user)
{
    conn->user = user;
}
bool
http_conn_is_h2(const struct http_conn *conn)
{
    return conn->proto == &server_h2;
}
void
http_conn_peer_uri(const struct http_conn *conn, char *out, size_t size)
{
    channel_peer_uri(&conn->channel, out, size);
}
void
http_conn_abort(struct http_conn *conn)
{
    conn_kill(conn, HTTP_ABORTED, false);
}
