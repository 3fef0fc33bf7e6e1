/* SPDX-License-Identifier: MIT
 * fetch_test.c - one exchange with a server of canned answers, over TCP and a unix socket.
 * Floor: tests of lib/http.
 * Owns: the server's thread and socket, one for each case.
 * Invariant: limits hold, redirects are not followed, nobody is trusted who should not be. */
#include "lib/http/fetch.h"

#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/net/sock.h"

struct server {
    int listener;
    const char *answer; /* NULL: none */
    bool hold;          /* keep the connection open until the client leaves */
    pthread_t thread;
    char request[8192];
    size_t request_bytes;
};

static bool
readable(int fd)
{
    struct pollfd pollfd = {.fd = fd, .events = POLLIN};
    return poll(&pollfd, 1, 10000) == 1;
}

static void *
server_main(void *arg)
{
    struct server *server = arg;
    int fd = -1;
    if (!readable(server->listener) || sock_accept(server->listener, &fd, NULL) < 0)
        return NULL;
    for (;;) {
        size_t room = sizeof(server->request) - 1 - server->request_bytes;
        ssize_t got = readable(fd) ? read(fd, server->request + server->request_bytes, room) : 0;
        if (got <= 0)
            break;
        server->request_bytes += (size_t)got;
        server->request[server->request_bytes] = '\0';
        const char *end = strstr(server->request, "\r\n\r\n");
        const char *wanted = strstr(server->request, "Content-Length: 5\r\n");
        if (end == NULL || (wanted != NULL && strlen(end) < 9))
            continue;
        if (server->answer != NULL &&
            send(fd, server->answer, strlen(server->answer), MSG_NOSIGNAL) < 0)
            break;
        if (!server->hold)
            break;
    }
    (void)close(fd);
    return NULL;
}

static void
server_start(struct server *server, const char *where, const char *answer, char url[160])
{
    struct sock_addr addr;
    char text[128];
    *server = (struct server){.answer = answer};
    assert_int_equal(sock_addr_parse(str_from(where), &addr, NULL), 0);
    assert_int_equal(sock_listen(&addr, 4, false, 0600, &server->listener, NULL), 0);
    addr.len = sizeof(addr.u);
    assert_int_equal(getsockname(server->listener, &addr.u.any, &addr.len), 0);
    sock_addr_format(&addr, text);
    assert_true(snprintf(url, 160, "http://%s/path/../%%2e?q",
                         addr.u.any.sa_family == AF_UNIX ? "localhost" : text) > 0);
}

static void
server_run(struct server *server)
{
    assert_int_equal(pthread_create(&server->thread, NULL, server_main, server), 0);
}

static void
server_end(struct server *server)
{
    assert_int_equal(pthread_join(server->thread, NULL), 0);
    (void)close(server->listener);
}

#define ANSWER_HELLO "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"

static bool
on_body_stop(struct str bytes, void *user)
{
    (void)bytes;
    (void)user;
    return false;
}

static const struct {
    const char *name;
    const char *answer;
    bool hold;
    uint32_t timeout_ms;
    size_t reply_max;
    size_t buf_max;
    bool stop;
    int want;
    long status;
    const char *body;
} rows[] = {
    {"plain", ANSWER_HELLO, false, 0, 0, 100, false, 0, 200, "hello"},
    {"exact cap", ANSWER_HELLO, false, 0, 5, 100, false, 0, 200, "hello"},
    {"over the cap", ANSWER_HELLO, false, 0, 4, 100, false, -ERR_TOO_LARGE, 0, NULL},
    {"over the buffer", ANSWER_HELLO, false, 0, 0, 4, false, -ERR_TOO_LARGE, 0, NULL},
    {"error status", "HTTP/1.1 500 No\r\nContent-Length: 1\r\n\r\nx", false, 0, 0, 100, false, 0,
     500, "x"},
    {"redirect", "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n",
     false, 0, 0, 100, false, 0, 302, ""},
    {"cut body", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello", false, 0, 0, 100, false,
     -ERR_IO, 0, NULL},
    {"no answer", "", true, 200, 0, 100, false, -ERR_TIMEOUT, 0, NULL},
    {"closed", NULL, false, 0, 0, 100, false, -ERR_IO, 0, NULL},
    {"reader stops", ANSWER_HELLO, false, 0, 0, 100, true, -ERR_CANCELED, 0, NULL},
};

static void
test_rows(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct server server;
        struct buf reply;
        struct err err = {.text = ""};
        char url[160];
        long status = 0;
        server_start(&server, "127.0.0.1:0", rows[i].answer, url);
        server.hold = rows[i].hold;
        server_run(&server);
        buf_init(&reply, rows[i].buf_max);
        struct fetch fetch = {.method = "GET",
                              .url = url,
                              .timeout_ms = rows[i].timeout_ms,
                              .reply_bytes_max = rows[i].reply_max,
                              .on_body = rows[i].stop ? on_body_stop : NULL};
        int r = fetch_run(&fetch, &status, &reply, &err);
        if (r != rows[i].want || status != rows[i].status)
            fail_msg("%s: %d %ld %s", rows[i].name, r, status, err.text);
        if (r == 0)
            assert_string_equal(buf_cstr(&reply), rows[i].body);
        else
            assert_true(err.text[0] != '\0');
        buf_fini(&reply);
        server_end(&server);
    }
}

static void
test_request(void **state)
{
    (void)state;
    static const char *const fields[] = {"X-A: b", "Content-Type: application/json", NULL};
    struct server server;
    struct buf reply;
    char url[160];
    char dir[] = "/tmp/fetch_test.XXXXXX";
    char where[64];
    long status = 0;
    assert_non_null(mkdtemp(dir));
    assert_true(snprintf(where, sizeof(where), "unix:%s/s", dir) > 0);
    server_start(&server, where, ANSWER_HELLO, url);
    server_run(&server);
    buf_init(&reply, 100);
    struct fetch fetch = {.method = "POST",
                          .url = url,
                          .unix_path = where + 5,
                          .fields = fields,
                          .body = STR("12345")};
    assert_int_equal(fetch_run(&fetch, &status, &reply, NULL), 0);
    buf_fini(&reply);
    server_end(&server);
    assert_non_null(strstr(server.request, "POST /path/../%2e?q HTTP/1.1\r\n"));
    assert_non_null(strstr(server.request, "\r\nX-A: b\r\n"));
    assert_null(strstr(server.request, "Expect"));
    assert_non_null(strstr(server.request, "\r\n\r\n12345"));
    assert_int_equal(unlink(where + 5), 0);
    assert_int_equal(rmdir(dir), 0);
}

static void
test_failures(void **state)
{
    (void)state;
    struct server server;
    struct buf reply;
    struct err err;
    char url[160];
    long status = 0;
    buf_init(&reply, 100);
    struct fetch fetch = {.method = "GET", .url = url};
    /* a port that nobody has: bound once, then closed */
    server_start(&server, "127.0.0.1:0", NULL, url);
    (void)close(server.listener);
    assert_int_equal(fetch_run(&fetch, &status, &reply, &err), -ERR_REFUSED);
    fetch.url = "file:///etc/passwd";
    assert_int_equal(fetch_run(&fetch, &status, &reply, &err), -ERR_INVALID);
    fetch.url = "http://no-such-name.invalid/";
    assert_int_equal(fetch_run(&fetch, &status, &reply, &err), -ERR_RESOLVE);
    /* clear text where TLS was asked for */
    server_start(&server, "127.0.0.1:0", ANSWER_HELLO, url);
    server.hold = false;
    server_run(&server);
    char secure[160];
    assert_true(snprintf(secure, sizeof(secure), "https%.150s", url + 4) > 0);
    fetch.url = secure;
    fetch.timeout_ms = 500;
    int r = fetch_run(&fetch, &status, &reply, &err);
    assert_true(r == -ERR_TLS || r == -ERR_TIMEOUT);
    server_end(&server);
    buf_fini(&reply);
}

/* SF-03: the listener is there and answers; whoever may not go there gets nowhere. */
static void
test_guard(void **state)
{
    static const char *const refused[] = {
        "127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "0.0.0.0", "0x7f.1", "2130706433"};
    struct server server;
    struct buf reply;
    struct err err = {0};
    char url[160];
    char other[200];
    long status = 0;
    bool yes = true;
    (void)state;
    server_start(&server, "127.0.0.1:0", ANSWER_HELLO, url);
    const char *rest = strchr(url + 7, ':');
    assert_non_null(rest);
    buf_init(&reply, 100);
    for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
        assert_true(snprintf(other, sizeof(other), "http://%s%s", refused[i], rest) > 0);
        const struct fetch fetch = {
            .method = "GET", .url = other, .body = STR_EMPTY, .allow = guard_allow};
        assert_int_equal(fetch_run(&fetch, &status, &reply, &err), -ERR_REFUSED);
        assert_non_null(strstr(err.text, "may not be connected to"));
    }
    const struct fetch fetch = {
        .method = "GET", .url = url, .body = STR_EMPTY, .allow = guard_allow, .allow_user = &yes};
    server_run(&server); /* its one accept is this one */
    assert_int_equal(fetch_run(&fetch, &status, &reply, &err), 0);
    assert_int_equal(status, 200);
    buf_fini(&reply);
    server_end(&server);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_request),
        cmocka_unit_test(test_failures),
        cmocka_unit_test(test_guard),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
