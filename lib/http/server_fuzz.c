/* SPDX-License-Identifier: MIT
 * server_fuzz.c - arbitrary bytes into a whole connection: HTTP/1.1 or, after the preface, HTTP/2.
 * Floor: lib/http, fuzzing; one thread.
 * Owns: one loop and server for the process, a socket pair an input.
 * Invariant: every announced stream is closed exactly once, and the connection goes when the peer
 *   does. */
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/base/check.h"
#include "lib/http/server.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct loop *loop;
static struct http_server *server;
static unsigned open_count;

static void
on_request(struct http_stream *stream, const struct http_head *head)
{
    open_count++;
    for (uint32_t i = 0; i < head->field_count; i++)
        ASSERT(http_valid_name(head->fields[i].name) && http_valid_value(head->fields[i].value));
    switch (head->target.len % 6) {
    case 0:
        http_stream_answer(stream, 401, NULL, 0, STR("early"));
        break;
    case 1:
        http_stream_collect(stream, 100);
        break;
    case 2:
        http_stream_pause(stream, true);
        break;
    case 3:
        http_stream_respond(stream, 200, NULL, 0, HTTP_LENGTH_UNKNOWN);
        break;
    default:
        break;
    }
}

static void
on_body(struct http_stream *stream, struct str bytes)
{
    if (bytes.len > 50)
        http_stream_abort(stream);
}

static void
on_complete(struct http_stream *stream)
{
    struct str target = http_stream_target(stream);
    if (target.len % 6 == 3) {
        const struct http_field trailer = {STR("x-fuzz"), http_stream_method(stream)};
        (void)http_stream_write_now(stream, http_stream_method(stream));
        http_stream_end_with(stream, &trailer, 1);
    } else if (target.len % 6 != 5) {
        http_stream_answer(stream, 200, NULL, 0, http_stream_body(stream));
    }
}

static void
on_closed(struct http_stream *stream, enum http_close_reason reason)
{
    (void)stream;
    (void)reason;
    ASSERT(open_count > 0);
    open_count--;
}

static void
fuzz_start(void)
{
    static const struct http_handler handler = {
        .request = on_request, .body = on_body, .complete = on_complete, .closed = on_closed};
    ASSERT(loop_new(&loop, NULL) == 0);
    struct http_server_conf conf = {.loop = loop, .handler = &handler, .body_bytes_max = 4096};
    ASSERT(http_server_new(&conf, &server, NULL) == 0);
}

static void
fuzz_step(int fd)
{
    char bytes[65536];
    loop_step(loop, 0);
    loop_step(loop, 0);
    while (recv(fd, bytes, sizeof bytes, MSG_DONTWAIT) > 0)
        continue;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (loop == NULL)
        fuzz_start();
    int pair[2];
    ASSERT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) == 0);
    ASSERT(http_server_adopt(server, pair[0], NULL) == 0);
    /* The first byte says how the rest is cut. */
    size_t step = size > 0 && data[0] % 4 != 0 ? (size_t)data[0] : 65536;
    for (size_t at = size > 0 ? 1 : 0; at < size;) {
        ssize_t sent = send(pair[1], data + at, MIN(step, size - at), MSG_NOSIGNAL);
        if (sent < 0 && errno != EAGAIN)
            break;
        at += sent > 0 ? (size_t)sent : 0;
        fuzz_step(pair[1]);
    }
    fuzz_step(pair[1]);
    (void)close(pair[1]);
    for (int i = 0; i < 8 && http_server_conn_count(server) > 0; i++)
        loop_step(loop, 0);
    ASSERT(http_server_conn_count(server) == 0 && open_count == 0);
    return 0;
}
