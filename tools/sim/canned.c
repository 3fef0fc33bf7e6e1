/* SPDX-License-Identifier: MIT
 * canned.c - connections of the canned server: sniff, skip, answer.
 * Floor: tools/sim; its loop's thread.
 * Owns: see canned.h.
 * Invariant: a request is answered once, when its last byte is here. Whatever it does not expect
 *            closes the connection: a benchmark counts that as an error. */
#include "tools/sim/canned.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/base/buf.h"
#include "lib/base/num.h"
#include "lib/net/sock.h"
#include "tools/sim/canned_int.h"

#define READ_BYTES ((size_t)256u << 10)
#define OUT_BYTES_MAX ((size_t)64u << 20)
#define HEAD_BYTES_MAX 65536u

static struct str
body_make(struct buf *body, bool anthropic, size_t bytes)
{
    static const char *const shapes[2][2] = {
        {"{\"id\":\"chatcmpl-sim\",\"object\":\"chat.completion\",\"created\":1700000000,"
         "\"model\":\"gpt-4o-mini\",\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\","
         "\"content\":\"",
         "\"},\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":20,\"completion_tokens\":"
         "10,\"total_tokens\":30}}"},
        {"{\"id\":\"msg_sim\",\"type\":\"message\",\"role\":\"assistant\",\"model\":"
         "\"claude-haiku-4-5\",\"content\":[{\"type\":\"text\",\"text\":\"",
         "\"}],\"stop_reason\":\"end_turn\",\"stop_sequence\":null,\"usage\":{\"input_tokens\":20,"
         "\"output_tokens\":10}}"},
    };
    const char *const *shape = shapes[anthropic ? 1 : 0];
    buf_put_str(body, str_from(shape[0]));
    while (body->len + strlen(shape[1]) < bytes && !body->failed)
        buf_put_byte(body, 'x');
    buf_put_str(body, str_from(shape[1]));
    return buf_str(body);
}

int
canned_new(struct loop *loop, size_t bytes, struct canned **ret_canned, struct err *err)
{
    struct canned *canned = calloc(1, sizeof(*canned));
    if (canned == NULL)
        return err_set(err, ERR_NOMEM, "no memory for canned answers");
    canned->loop = loop;
    list_init(&canned->conns);
    canned->scratch = malloc(READ_BYTES);
    bool failed = canned->scratch == NULL;
    for (size_t i = 0; i < ARRAY_LEN(canned->h1); i++) {
        struct buf body;
        buf_init(&body, CANNED_BODY_BYTES_MAX + 1024u);
        buf_init(&canned->h1[i], CANNED_BODY_BYTES_MAX + 2048u);
        struct str text = body_make(&body, i == 1, bytes);
        buf_printf(
            &canned->h1[i],
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %zu\r\n\r\n",
            text.len);
        buf_put_str(&canned->h1[i], text);
        failed = failed || body.failed || canned->h1[i].failed;
        if (i == 0)
            failed = canned_h2_make(canned, text) != 0 || failed;
        buf_fini(&body);
    }
    if (failed) {
        canned_free(&canned);
        return err_set(err, ERR_NOMEM, "no memory for canned answers");
    }
    *ret_canned = canned;
    return 0;
}

static void
conn_close(struct canned_conn *conn)
{
    loop_remove(conn->canned->loop, &conn->io);
    (void)close(conn->io.fd);
    list_remove(&conn->node);
    buf_fini(&conn->in);
    buf_fini(&conn->out);
    free(conn->waiting);
    free(conn);
}

void
canned_free(struct canned **ref)
{
    struct canned *canned = TAKE(*ref);
    if (canned == NULL)
        return;
    while (!list_empty(&canned->conns))
        conn_close(LIST_ENTRY(canned->conns.next, struct canned_conn, node));
    for (size_t i = 0; i < canned->listener_count; i++)
        loop_remove(canned->loop, &canned->listeners[i].io);
    for (size_t i = 0; i < ARRAY_LEN(canned->h1); i++)
        buf_fini(&canned->h1[i]);
    buf_fini(&canned->h2);
    free(canned->scratch);
    free(canned);
}

/* Length of the body that follows this head; -1: none of ours. */
static int64_t
h1_body_bytes(struct str head)
{
    uint64_t length = 0;
    while (head.len > 0) {
        size_t end = str_find_byte(head, '\n');
        struct str line = str_make(head.ptr, end == SIZE_MAX ? head.len : end);
        head = str_skip(head, line.len + 1);
        if (line.len > 15 && str_eq_nocase(str_make(line.ptr, 15), STR("content-length:"))) {
            if (num_u64(str_trim(str_skip(line, 15)), INT32_MAX, &length) != 0)
                return -1;
        } else if (line.len > 18 &&
                   str_eq_nocase(str_make(line.ptr, 18), STR("transfer-encoding:"))) {
            return -1;
        }
    }
    return (int64_t)length;
}

/* Requests out of bytes; how many bytes are done with, -1: close. */
static ptrdiff_t
h1_input(struct canned_conn *conn, struct str bytes)
{
    size_t done = 0;
    while (done < bytes.len) {
        struct str rest = str_skip(bytes, done);
        if (conn->body_left > 0) {
            size_t part = (size_t)MIN((uint64_t)rest.len, conn->body_left);
            conn->body_left -= part;
            done += part;
        } else {
            size_t end = str_find(rest, STR("\r\n\r\n"));
            if (end == SIZE_MAX)
                return rest.len > HEAD_BYTES_MAX ? -1 : (ptrdiff_t)done;
            struct str head = str_make(rest.ptr, end + 2);
            int64_t length = h1_body_bytes(head);
            if (length < 0)
                return -1;
            conn->anthropic = str_starts(head, STR("POST /v1/messages"));
            conn->body_left = (uint64_t)length;
            done += end + 4;
        }
        if (conn->body_left == 0)
            buf_put_str(&conn->out, buf_str(&conn->canned->h1[conn->anthropic ? 1 : 0]));
    }
    return (ptrdiff_t)done;
}

/* false: closed */
static bool
conn_flush(struct canned_conn *conn)
{
    while (conn->out_at < conn->out.len) {
        ssize_t sent = send(conn->io.fd, conn->out.ptr + conn->out_at, conn->out.len - conn->out_at,
                            MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent < 0 && (errno == EAGAIN || errno == EINTR))
            return true;
        if (sent < 0) {
            conn_close(conn);
            return false;
        }
        conn->out_at += (size_t)sent;
    }
    conn->out.len = 0;
    conn->out_at = 0;
    return true;
}

static bool
conn_input(struct canned_conn *conn, struct str bytes)
{
    if (conn->kind == CANNED_SNIFF) {
        if (bytes.len < 4)
            return true;
        conn->kind = str_starts(bytes, STR("PRI ")) ? CANNED_H2 : CANNED_H1;
    }
    ptrdiff_t done = conn->kind == CANNED_H1 ? h1_input(conn, bytes) : canned_h2_input(conn, bytes);
    if (done < 0)
        return false;
    struct str rest = str_skip(bytes, (size_t)done);
    if (conn->in.len > 0 && rest.len > 0)
        memmove(conn->in.ptr, rest.ptr, rest.len);
    else if (rest.len > 0)
        buf_put_str(&conn->in, rest);
    conn->in.len = rest.len;
    return !conn->in.failed && !conn->out.failed;
}

static void
conn_ready(struct loop_io *io, uint32_t events)
{
    struct canned_conn *conn = CONTAINER_OF(io, struct canned_conn, io);
    struct canned *canned = conn->canned;
    (void)events;
    for (;;) {
        ssize_t got = recv(io->fd, canned->scratch, READ_BYTES, MSG_DONTWAIT);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0 && errno == EAGAIN)
            break;
        struct str bytes = str_make(canned->scratch, got > 0 ? (size_t)got : 0);
        if (got > 0 && conn->in.len > 0) {
            buf_put_str(&conn->in, bytes);
            bytes = buf_str(&conn->in);
        }
        if (got <= 0 || !conn_input(conn, bytes)) {
            conn_close(conn);
            return;
        }
        /* A short read emptied the socket: no second call to hear that. */
        if ((size_t)got < READ_BYTES)
            break;
    }
    (void)conn_flush(conn);
}

static void
listener_ready(struct loop_io *io, uint32_t events)
{
    struct canned_listener *listener = CONTAINER_OF(io, struct canned_listener, io);
    struct canned *canned = listener->canned;
    int fd = -1;
    (void)events;
    while (sock_accept(io->fd, &fd, NULL) == 0) {
        struct canned_conn *conn = calloc(1, sizeof(*conn));
        if (conn == NULL) {
            (void)close(fd);
            return;
        }
        conn->canned = canned;
        conn->io = (struct loop_io){.fd = fd, .ready = conn_ready};
        conn->window = 65535;
        buf_init(&conn->in, READ_BYTES + 2 * HEAD_BYTES_MAX);
        buf_init(&conn->out, OUT_BYTES_MAX);
        list_push_back(&canned->conns, &conn->node);
        if (loop_add(canned->loop, &conn->io, false) != 0)
            conn_close(conn);
    }
}

int
canned_listen(struct canned *canned, int listen_fd)
{
    if (canned->listener_count == CANNED_LISTENERS_MAX)
        return -ERR_RANGE;
    struct canned_listener *listener = &canned->listeners[canned->listener_count];
    listener->canned = canned;
    listener->io = (struct loop_io){.fd = listen_fd, .ready = listener_ready};
    int rc = loop_add(canned->loop, &listener->io, true);
    if (rc == 0)
        canned->listener_count++;
    return rc;
}
