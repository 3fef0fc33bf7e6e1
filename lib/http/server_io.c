/* SPDX-License-Identifier: MIT
 * server_io.c - moving bytes between a connection's socket and its protocol.
 * Floor: lib/http; its loop's thread.
 * Owns: nothing; the scratch buffer is the server's and holds bytes only during one call.
 * Invariant: edge-triggered: when reading stops before -ERR_AGAIN or a short read, read_pending
 *            says so; an idle connection holds no buffer; server_test.c. */
#include <linux/sockios.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>

#include "lib/http/server_int.h"

static const struct str h2_preface = {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 24};

static void
conn_open(struct http_conn *conn, const struct server_proto *proto)
{
    conn->proto = proto;
    conn->state = CONN_OPEN;
    conn->late = conn->server->draining;
    if (proto->start != NULL && proto->start(conn) < 0)
        conn_kill(conn, HTTP_ABORTED, false);
}

/* The first bytes tell. Returns false while they could still be either. */
static bool
conn_detect(struct http_conn *conn, const char *bytes, size_t count)
{
    size_t compared = MIN(count, h2_preface.len);
    if (memcmp(bytes, h2_preface.ptr, compared) != 0)
        conn_open(conn, &server_h1);
    else if (compared == h2_preface.len)
        conn_open(conn, &server_h2);
    else
        return false;
    return true;
}

static void
conn_late(struct http_conn *conn)
{
    if (!conn->late)
        return;
    conn->late = false;
    http_conn_drain(conn);
}

/* Hand what is in conn->in to the protocol, as long as it takes some. */
static void
conn_feed_held(struct http_conn *conn)
{
    if (conn->in.len == 0)
        return;
    if (conn->state == CONN_DETECT && !conn_detect(conn, conn->in.ptr, conn->in.len))
        return;
    if (conn->state != CONN_OPEN)
        return;
    size_t used = conn->proto->input(conn, conn->in.ptr, conn->in.len);
    buf_consume(&conn->in, used);
    if (conn->in.len == 0)
        buf_fini(&conn->in);
    conn_late(conn);
}

static void
conn_feed(struct http_conn *conn, char *bytes, size_t count)
{
    if (count == 0)
        return;
    if (conn->in.len > 0 || (conn->state == CONN_DETECT && !conn_detect(conn, bytes, count))) {
        if (buf_put(&conn->in, bytes, count) < 0) {
            conn_kill(conn, HTTP_REFUSED, false);
            return;
        }
        conn_feed_held(conn);
        return;
    }
    if (conn->state != CONN_OPEN)
        return;
    size_t used = conn->proto->input(conn, bytes, count);
    ASSERT(used <= count);
    if (used < count && conn->state == CONN_OPEN &&
        buf_put(&conn->in, bytes + used, count - used) < 0)
        conn_kill(conn, HTTP_REFUSED, false);
    conn_late(conn);
}

/* A collected h1 body is read straight into its block. */
static struct out_block *
conn_direct_block(const struct http_conn *conn)
{
    if (conn->proto != &server_h1 || conn->in.len > 0 || conn->u.h1.phase != H1_IN_LENGTH)
        return NULL;
    const struct http_stream *stream = conn->u.h1.stream;
    if (!stream->collecting || stream->body == NULL || stream->closing || stream->ended ||
        stream->paused)
        return NULL;
    return stream->body;
}

static COLD void
conn_read_end(struct http_conn *conn, int code)
{
    conn->peer_end = true;
    conn->read_pending = false;
    if (code != -ERR_CLOSED || conn->state != CONN_OPEN)
        conn_kill(conn, HTTP_PEER_GONE, false);
    else
        conn->proto->input_end(conn);
}

/* One read. Returns false when reading is over for now. */
static bool
conn_read_once(struct http_conn *conn)
{
    struct http_server *server = conn->server;
    struct out_block *block = conn->state == CONN_OPEN ? conn_direct_block(conn) : NULL;
    struct iovec iov[2];
    int iov_count = 0;
    size_t room = 0;
    if (block != NULL) {
        /* The block may be larger than the body: what follows it is another request's. */
        room = (size_t)MIN((uint64_t)(block->size - block->end), conn->u.h1.body_left);
        iov[iov_count++] = (struct iovec){block->bytes + block->end, room};
    }
    /* Little also of a body that is passed on as it comes: it is kept when its stream is paused. */
    bool little = conn->proto == &server_h1 &&
                  (conn->u.h1.phase == H1_AT_HEAD ||
                   (conn->u.h1.stream != NULL && !conn->u.h1.stream->collecting));
    size_t scratch_bytes = little ? SERVER_HEAD_READ_BYTES : SERVER_SCRATCH_BYTES;
    iov[iov_count++] = (struct iovec){server->scratch, scratch_bytes};
    size_t count = 0;
    int r = iov_count == 1 ? channel_read(&conn->channel, server->scratch, scratch_bytes, &count)
                           : channel_readv(&conn->channel, iov, iov_count, &count);
    if (r == -ERR_AGAIN) {
        conn->read_pending = false;
        return false;
    }
    if (r < 0) {
        conn_read_end(conn, r);
        return false;
    }
    bool drained = !conn->secure && count < room + scratch_bytes && !conn->peer_end;
    conn->read_pending = !drained;
    if (conn->state == CONN_LINGER)
        return !drained;
    size_t direct = MIN(room, count);
    if (direct > 0) {
        /* The protocol sees the bytes where they already are. */
        (void)conn->proto->input(conn, block->bytes + block->end, direct);
    }
    if (conn->state == CONN_OPEN || conn->state == CONN_DETECT)
        conn_feed(conn, server->scratch, count - direct);
    return !drained;
}

static bool
conn_wants_input(const struct http_conn *conn)
{
    switch (conn->state) {
    case CONN_DETECT:
    case CONN_LINGER:
        return true;
    case CONN_OPEN:
        return conn->proto->wants_input(conn);
    case CONN_HANDSHAKE:
    case CONN_CLOSING:
    case CONN_DYING:
    case CONN_DEAD:
        break;
    }
    return false;
}

static void
conn_read(struct http_conn *conn)
{
    for (unsigned i = 0; i < SERVER_READS_MAX; i++) {
        if (!conn_wants_input(conn)) {
            conn->read_pending = true;
            return;
        }
        if (!conn_read_once(conn))
            return;
    }
    conn_more(conn);
}

void
conn_pump(struct http_conn *conn)
{
    if (!conn_alive(conn))
        return;
    if (conn->state == CONN_OPEN && conn->proto->pump != NULL)
        conn->proto->pump(conn);
    conn_feed_held(conn);
    if (conn_alive(conn) && conn->read_pending)
        conn_read(conn);
    else if (conn->state == CONN_OPEN && conn->peer_end)
        conn->proto->input_end(conn); /* what they sent before their end is used up now */
    conn_late(conn);
}

static COLD void
conn_handshake(struct http_conn *conn)
{
    int r = channel_handshake(&conn->channel, NULL);
    if (r == -ERR_AGAIN)
        return;
    if (r < 0) {
        conn_kill(conn, HTTP_PEER_GONE, false);
        return;
    }
    conn_open(conn, str_eq(channel_alpn(&conn->channel), STR("h2")) ? &server_h2 : &server_h1);
}

void
conn_ready(struct loop_io *io, uint32_t events)
{
    struct http_conn *conn = CONTAINER_OF(io, struct http_conn, channel.io);
    if (!conn_alive(conn))
        return;
    if ((events & EPOLLERR) != 0) {
        conn_kill(conn, HTTP_PEER_GONE, false);
        return;
    }
    if (conn->state == CONN_HANDSHAKE)
        conn_handshake(conn);
    if ((events & EPOLLRDHUP) != 0)
        conn->peer_end = true;
    /* TLS may need either direction for either call. */
    if (conn->out_blocked && ((events & EPOLLOUT) != 0 || conn->secure)) {
        conn->out_blocked = false;
        conn_dirty(conn);
    }
    if ((events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP)) != 0 || conn->secure)
        conn_read(conn);
}

/* ---- writing --------------------------------------------------------------------------------- */

void
conn_put(struct http_conn *conn, struct str bytes)
{
    if (conn->state >= CONN_DYING)
        return;
    if (out_put(&conn->server->pool, &conn->out, bytes) < 0)
        conn_kill(conn, HTTP_ABORTED, false);
    else
        conn_dirty(conn);
}

size_t
conn_write_iov(struct http_conn *conn, struct iovec *iov, int count)
{
    size_t total = 0;
    for (int i = 0; i < count; i++)
        total += iov[i].iov_len;
    size_t written = 0;
    int r = channel_writev(&conn->channel, iov, count, &written);
    if (r < 0 && r != -ERR_AGAIN) {
        conn_kill(conn, HTTP_PEER_GONE, false);
        return 0;
    }
    if (r < 0)
        written = 0;
    conn->out_blocked = r == -ERR_AGAIN || (written < total && !conn->secure);
    conn->taken_total += written;
    return written;
}

static void
conn_write_queue(struct http_conn *conn)
{
    while (conn->out.bytes > 0 && !conn->out_blocked && conn->state != CONN_DEAD) {
        UNINIT struct iovec iov[SERVER_IOV_MAX];
        int count = out_iov(&conn->out, iov, SERVER_IOV_MAX);
        size_t written = conn_write_iov(conn, iov, count);
        /* A failed write has emptied the queue. */
        if (conn->state != CONN_DEAD)
            out_take(&conn->server->pool, &conn->out, written);
    }
}

COLD bool
peer_too_slow(const struct http_server *server, struct peer_wait *wait, uint64_t taken,
              uint64_t waiting)
{
    const struct http_server_conf *conf = &server->conf;
    uint64_t now_ms = loop_now_ms(server->loop);
    uint64_t wanted = (uint64_t)conf->body_rate_min * conf->idle_timeout_ms / 1000u;
    if (wait->since_ms != 0 && now_ms - wait->since_ms < conf->idle_timeout_ms)
        return false;
    if (wait->since_ms != 0 && taken < wait->mark + wait->wanted)
        return true;
    /* Whoever waits for a slow provider is asked for no more than there was. */
    wanted = MIN(wanted, waiting);
    *wait =
        (struct peer_wait){.since_ms = now_ms, .mark = taken, .wanted = MAX(wanted, (uint64_t)1)};
    return false;
}

COLD bool
conn_too_slow(struct http_conn *conn)
{
    /* What the peer's kernel acknowledged: ours takes more only when a third of its buffer is free,
     * which a slow reader may need minutes for. */
    int unsent = 0;
    if (ioctl(conn->channel.io.fd, SIOCOUTQ, &unsent) < 0 || unsent < 0)
        unsent = 0;
    uint64_t kept = MIN((uint64_t)unsent, conn->taken_total);
    return peer_too_slow(conn->server, &conn->wait, conn->taken_total - kept,
                         conn->out.bytes + kept);
}

/* Everything is written: close, or read away what the peer still sends first. */
static COLD void
conn_closing_done(struct http_conn *conn)
{
    channel_shutdown(&conn->channel);
    if (!conn->linger || conn->peer_end) {
        conn_kill(conn, HTTP_DONE, false);
        return;
    }
    conn->state = CONN_LINGER;
    conn_deadline(conn, SERVER_LINGER_MS);
    conn->read_pending = true;
    conn_more(conn);
}

static COLD void
conn_blocked(struct http_conn *conn)
{
    conn->wait.since_ms = 0;
    (void)conn_too_slow(conn);
    conn_deadline(conn, conn->server->conf.idle_timeout_ms);
}

void
conn_write(struct http_conn *conn)
{
    if (conn->state == CONN_DEAD || conn->state == CONN_LINGER)
        return;
    if (conn->proto != NULL)
        conn->proto->fill(conn);
    conn_write_queue(conn);
}

void
conn_written(struct http_conn *conn)
{
    if (!conn_alive(conn) || conn->state == CONN_LINGER)
        return;
    if (conn->proto != NULL && conn->state == CONN_OPEN)
        conn->proto->flushed(conn);
    if (conn->state == CONN_CLOSING && conn->out.bytes == 0)
        conn_closing_done(conn);
    else if (UNLIKELY(conn->out_blocked) && conn->deadline_ms == 0)
        conn_blocked(conn);
}
