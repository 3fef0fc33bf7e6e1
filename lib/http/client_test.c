/* SPDX-License-Identifier: MIT
 * client_test.c - the client over HTTP/1.1: requests on the wire, pools, retries, cancel, uploads,
 * TLS. Floor: lib/http, test. Owns: nothing. Invariant: what an upstream and a caller see, through
 * raw sockets. */
#include "lib/http/client_test_rig.h"

#include "lib/base/buf.h"
#include "lib/http/client_int.h" /* how much is queued */

#define OK_HI "HTTP/1.1 200 OK\r\nx-test: yes\r\ncontent-length: 2\r\n\r\nhi"

static void
answer(struct rig *rig, int fd, struct watch *watch)
{
    char text[8192] = "";
    rig_read(rig, fd, text, sizeof(text), "\r\n\r\n");
    rig_send(rig, fd, STR(OK_HI));
    rig_wait(rig, watch_ended, watch);
    assert_int_equal(watch->dones, 1);
    assert_string_equal(watch->body, "hi");
}

struct wire_row {
    const char *name;
    struct str method;
    struct str segments[3];
    size_t segment_count;
    const char *want_end;
    const char *want;
};

static void
test_on_the_wire(void **state)
{
    static const struct wire_row rows[] = {
        {"GET", STR("GET"), {{0}}, 0, "\r\n\r\n", "GET /v1/x?y=1 HTTP/1.1\r\n"},
        {"GET has no length", STR("GET"), {{0}}, 0, "\r\n\r\n", NULL},
        {"POST without a body", STR("POST"), {{0}}, 0, "\r\n\r\n", "content-length: 0\r\n"},
        {"segments",
         STR("POST"),
         {STR("{\"a\":"), STR(""), STR("1}")},
         3,
         "{\"a\":1}",
         "content-length: 7\r\n"},
        {"fields", STR("GET"), {{0}}, 0, "\r\n\r\n", "authorization: Bearer k\r\n"},
    };
    static const struct http_field fields[] = {{STR("authorization"), STR("Bearer k")}};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct rig rig;
        static struct watch watch;
        char text[4096] = "";
        struct http_call_conf conf = {.method = rows[i].method,
                                      .target = STR("/v1/x?y=1"),
                                      .fields = fields,
                                      .field_count = 1,
                                      .segments = rows[i].segments,
                                      .segment_count = rows[i].segment_count};
        rig_open(&rig, NULL);
        rig_start(&rig, &watch, &conf);
        int fd = rig_accept(&rig);
        rig_read(&rig, fd, text, sizeof(text), rows[i].want_end);
        if (rows[i].want == NULL)
            assert_null(strcasestr(text, "content-length"));
        else
            assert_non_null(strcasestr(text, rows[i].want));
        char host[64];
        (void)snprintf(host, sizeof(host), "\r\nhost: 127.0.0.1:%u\r\n", (unsigned)rig.port);
        assert_non_null(strcasestr(text, host));
        rig_send(&rig, fd, STR(OK_HI));
        rig_wait(&rig, watch_ended, &watch);
        assert_int_equal(watch.dones, 1);
        assert_int_equal(watch.status, 200);
        assert_int_equal(watch.lasts, 1);
        assert_string_equal(watch.field, "yes");
        close(fd);
        rig_close(&rig);
    }
}

static void
test_last_in_first_out(void **state)
{
    (void)state;
    struct rig rig;
    static struct watch a;
    static struct watch b;
    rig_open(&rig, NULL);
    rig_start(&rig, &a, NULL);
    rig_start(&rig, &b, NULL);
    int first = rig_accept(&rig);
    int second = rig_accept(&rig);
    answer(&rig, second, &b);
    answer(&rig, first, &a);
    for (int i = 0; i < 3; i++) {
        rig_start(&rig, &a, NULL);
        answer(&rig, first, &a);
        assert_int_equal((int)(a.call == NULL), 1);
    }
    assert_true(rig_nobody_connects(&rig));
    close(first);
    close(second);
    rig_close(&rig);
}

static void
test_queue(void **state)
{
    (void)state;
    struct rig rig;
    static struct watch a;
    static struct watch b;
    static struct watch c;
    struct http_origin_conf conf = {.conn_count_max = 1, .queue_max = 1};
    rig_open(&rig, &conf);
    rig_start(&rig, &a, NULL);
    int fd = rig_accept(&rig);
    char text[4096] = "";
    rig_read(&rig, fd, text, sizeof(text), "\r\n\r\n");
    rig_start(&rig, &b, NULL);
    assert_int_equal(http_call_phase(b.call), HTTP_QUEUED);
    struct http_call_conf call = {
        .ops = &watch_ops, .user = &c, .method = STR("GET"), .target = STR("/")};
    assert_int_equal(http_call_start(rig.origin, &call, &c.call), -ERR_OVERLOADED);
    rig_send(&rig, fd, STR(OK_HI));
    rig_wait(&rig, watch_ended, &a);
    answer(&rig, fd, &b);
    assert_true(rig_nobody_connects(&rig));
    close(fd);
    rig_close(&rig);
}

/* A connection that goes makes room for the next in the queue. */
static void
test_queue_after_close(void **state)
{
    (void)state;
    struct rig rig;
    static struct watch a;
    static struct watch b;
    static struct watch c;
    char text[4096] = "";
    struct http_origin_conf conf = {.conn_count_max = 1};
    rig_open(&rig, &conf);
    rig_start(&rig, &a, NULL);
    rig_start(&rig, &b, NULL);
    rig_start(&rig, &c, NULL);
    int fd = rig_accept(&rig);
    rig_read(&rig, fd, text, sizeof(text), "\r\n\r\n");
    rig_send(&rig, fd, STR("HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n"));
    rig_wait(&rig, watch_ended, &a);
    close(fd);
    fd = rig_accept(&rig);
    text[0] = '\0';
    rig_read(&rig, fd, text, sizeof(text), "\r\n\r\n");
    http_call_cancel(&b.call);
    close(fd);
    fd = rig_accept(&rig);
    answer(&rig, fd, &c);
    close(fd);
    rig_close(&rig);
}

struct stale_row {
    const char *name;
    bool retry_stale;
    bool some_bytes;
    int want;
};

static void
test_stale(void **state)
{
    static const struct stale_row rows[] = {
        {"closed after the request: once more", true, false, 0},
        {"not asked for", false, false, -ERR_CLOSED},
        {"a byte was seen", true, true, -ERR_CLOSED},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct rig rig;
        static struct watch watch;
        static const struct str body = STR("body");
        struct http_call_conf conf = {.method = STR("POST"),
                                      .segments = &body,
                                      .segment_count = 1,
                                      .retry_stale = rows[i].retry_stale};
        char text[4096] = "";
        rig_open(&rig, NULL);
        rig_start(&rig, &watch, &conf);
        int fd = rig_accept(&rig);
        rig_read(&rig, fd, text, sizeof(text), "body");
        rig_send(&rig, fd, STR(OK_HI));
        rig_wait(&rig, watch_ended, &watch);
        rig_start(&rig, &watch, &conf);
        text[0] = '\0';
        rig_read(&rig, fd, text, sizeof(text), "body");
        if (rows[i].some_bytes)
            rig_send(&rig, fd, STR("HTTP"));
        close(fd);
        if (rows[i].want == 0) {
            fd = rig_accept(&rig);
            text[0] = '\0';
            rig_read(&rig, fd, text, sizeof(text), "body");
            rig_send(&rig, fd, STR(OK_HI));
        }
        rig_wait(&rig, watch_ended, &watch);
        assert_int_equal(watch.code, rows[i].want);
        /* Not a second time, and never on a new connection. */
        if (rows[i].want == 0) {
            close(fd);
            rig_start(&rig, &watch, &conf);
            fd = rig_accept(&rig);
            text[0] = '\0';
            rig_read(&rig, fd, text, sizeof(text), "body");
            close(fd);
            rig_wait(&rig, watch_ended, &watch);
            assert_int_equal(watch.code, -ERR_CLOSED);
            assert_int_equal(watch.phase, HTTP_WAITING);
        }
        rig_close(&rig);
    }
}

static void
test_cancel(void **state)
{
    (void)state;
    struct rig rig;
    static struct watch watch;
    char text[4096] = "";
    rig_open(&rig, NULL);
    /* before it is connected */
    rig_start(&rig, &watch, NULL);
    http_call_cancel(&watch.call);
    assert_null(watch.call);
    /* the connection that was dialed serves the next */
    rig_start(&rig, &watch, NULL);
    int fd = rig_accept(&rig);
    rig_read(&rig, fd, text, sizeof(text), "\r\n\r\n");
    http_call_cancel(&watch.call);
    assert_true(rig_gone(&rig, fd));
    close(fd);
    /* from inside `body` */
    rig_start(&rig, &watch, NULL);
    watch.cancel_on_body = true;
    fd = rig_accept(&rig);
    text[0] = '\0';
    rig_read(&rig, fd, text, sizeof(text), "\r\n\r\n");
    rig_send(&rig, fd, STR(OK_HI));
    assert_true(rig_gone(&rig, fd));
    watch.cancel_on_body = false;
    assert_int_equal(watch.dones + watch.fails, 0);
    assert_string_equal(watch.body, "hi");
    close(fd);
    rig_close(&rig);
}

static void
test_pause(void **state)
{
    (void)state;
    struct rig rig;
    static struct watch watch;
    static char block[1 << 16];
    char text[4096] = "";
    size_t total = sizeof(block) * 64;
    int room = sizeof(block); /* or the kernel may hold all of it: it remembers fast addresses */
    memset(block, 'x', sizeof(block));
    rig_open(&rig, NULL);
    rig_start(&rig, &watch, NULL);
    watch.pause_on_head = true;
    int fd = rig_accept(&rig);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &room, sizeof(room)), 0);
    rig_read(&rig, fd, text, sizeof(text), "\r\n\r\n");
    (void)snprintf(text, sizeof(text), "HTTP/1.1 200 OK\r\ncontent-length: %zu\r\n\r\n", total);
    rig_send(&rig, fd, str_from(text));
    /* Flow control stops the upstream long before the end. */
    size_t sent = 0;
    for (int blocked = 0; blocked < 20 && sent < total;) {
        ssize_t put = send(fd, block, sizeof(block), MSG_NOSIGNAL);
        if (put > 0)
            sent += (size_t)put;
        else
            blocked++;
        loop_step(rig.loop, 1);
    }
    assert_true(sent < total);
    assert_int_equal(watch.heads, 1);
    assert_int_equal(watch.body_total, 0);
    http_call_pause(watch.call, false);
    assert_int_equal(watch.body_total, 0); /* not from inside our call */
    uint64_t end = clock_mono_ms() + RIG_DEADLINE_MS;
    while (sent < total && clock_mono_ms() < end) {
        size_t want = total - sent < sizeof(block) ? total - sent : sizeof(block);
        ssize_t put = send(fd, block, want, MSG_NOSIGNAL);
        sent += put > 0 ? (size_t)put : 0;
        loop_step(rig.loop, 0);
    }
    rig_wait(&rig, watch_ended, &watch);
    assert_int_equal(watch.dones, 1);
    assert_int_equal(watch.body_total, total);
    watch.pause_on_head = false;
    close(fd);
    rig_close(&rig);
}

static void
test_upload(void **state)
{
    (void)state;
    struct rig rig;
    static struct watch watch;
    static char block[100000];
    char text[4096] = "";
    struct http_call_conf conf = {.method = STR("POST"), .streaming = true};
    memset(block, 'u', sizeof(block));
    rig_open(&rig, NULL);
    rig_start(&rig, &watch, &conf);
    assert_true(http_call_write(watch.call, STR("first")));
    int fd = rig_accept(&rig);
    rig_read(&rig, fd, text, sizeof(text), "\r\n\r\n5\r\nfirst\r\n");
    assert_non_null(strstr(text, "chunked"));
    text[0] = '\0';
    assert_true(http_call_write(watch.call, STR("se")));
    assert_true(http_call_write(watch.call, STR("cond")));
    rig_read(&rig, fd, text, sizeof(text), "6\r\nsecond\r\n");
    while (http_call_write(watch.call, str_make(block, sizeof(block))))
        ;
    http_call_end(watch.call);
    uint64_t end = clock_mono_ms() + RIG_DEADLINE_MS;
    char tail[6] = "";
    while (memcmp(tail, "0\r\n\r\n", 5) != 0) {
        static char bytes[65536];
        ssize_t got = read(fd, bytes, sizeof(bytes));
        assert_true(clock_mono_ms() < end);
        if (got >= 5)
            memcpy(tail, bytes + got - 5, 5);
        loop_step(rig.loop, 1);
    }
    assert_int_equal(watch.writables, 1);
    rig_send(&rig, fd, STR(OK_HI));
    rig_wait(&rig, watch_ended, &watch);
    assert_int_equal(watch.dones, 1);
    close(fd);
    rig_close(&rig);
}

static void
send_all(struct rig *rig, struct watch *watch, uint64_t bytes, int fd, size_t *drained,
         size_t *ret_most)
{
    static char block[50000];
    memset(block, 'u', sizeof(block));
    while (bytes > 0) {
        struct str piece = str_make(block, (size_t)MIN(bytes, sizeof(block)));
        int writables = watch->writables;
        bytes -= piece.len;
        if (http_call_write(watch->call, piece) || bytes == 0)
            continue;
        *ret_most = MAX(*ret_most, call_upload_left(watch->call) + watch->call->conn->out.len);
        for (uint64_t end = clock_mono_ms() + RIG_DEADLINE_MS; watch->writables == writables;) {
            static char bin[65536];
            assert_true(clock_mono_ms() < end);
            loop_step(rig->loop, 1);
            *drained += (size_t)MAX(read(fd, bin, sizeof(bin)), 0);
        }
    }
    http_call_end(watch->call);
}

/* A body whose length is announced, on a connection of its own, no faster than it is read. */
static void
test_upload_announced(void **state)
{
    (void)state;
    struct rig rig;
    static struct watch first;
    static struct watch watch;
    char text[65536] = "";
    const uint64_t bytes = 20000000;
    struct http_call_conf conf = {.method = STR("POST"),
                                  .streaming = true,
                                  .upload_bytes = bytes,
                                  .upload_high = 65536,
                                  .fresh = true};
    rig_open(&rig, NULL);
    rig_start(&rig, &first, NULL);
    int old = rig_accept(&rig);
    rig_read(&rig, old, text, sizeof(text), "\r\n\r\n");
    rig_send(&rig, old, STR(OK_HI));
    rig_wait(&rig, watch_ended, &first);
    rig_start(&rig, &watch, &conf);
    assert_false(http_call_write(watch.call, STR("u"))); /* not on its way */
    rig_start(&rig, &first, NULL);
    assert_int_equal(http_call_phase(first.call), HTTP_SENDING); /* others need not wait for that */
    assert_int_equal(http_call_phase(watch.call), HTTP_CONNECTING);
    int fd = rig_accept(&rig);
    text[0] = '\0';
    rig_read(&rig, fd, text, sizeof(text), "\r\n\r\n");
    assert_non_null(strstr(text, "content-length: 20000000\r\n"));
    size_t drained = strlen(strstr(text, "\r\n\r\n") + 4);
    size_t most = 0;
    send_all(&rig, &watch, bytes - 1, fd, &drained, &most);
    assert_true(most < 65536 + 50000 + 40000);
    for (uint64_t end = clock_mono_ms() + RIG_DEADLINE_MS; drained < bytes;) {
        assert_true(clock_mono_ms() < end);
        loop_step(rig.loop, 1);
        drained += (size_t)MAX(read(fd, text, sizeof(text)), 0);
    }
    assert_int_equal(drained, bytes);
    rig_send(&rig, fd, STR(OK_HI));
    rig_wait(&rig, watch_ended, &watch);
    assert_int_equal(watch.dones, 1);
    close(fd);
    close(old);
    rig_close(&rig);
}

/* The upstream refuses a large body before it has read it, and closes. */
static void
test_early_reply(void **state)
{
    (void)state;
    struct rig rig;
    static struct watch watch;
    static char block[1 << 20];
    struct str segments[64]; /* more than a kernel holds of what nobody reads */
    char text[4096] = "";
    int room = sizeof(text);
    for (size_t i = 0; i < ARRAY_LEN(segments); i++)
        segments[i] = str_make(block, sizeof(block));
    memset(block, 'b', sizeof(block));
    struct http_call_conf conf = {
        .method = STR("POST"), .segments = segments, .segment_count = ARRAY_LEN(segments)};
    rig_open(&rig, NULL);
    /* what is accepted has it from there */
    assert_int_equal(setsockopt(rig.listen_fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof(room)), 0);
    rig_start(&rig, &watch, &conf);
    int fd = rig_accept(&rig);
    rig_read(&rig, fd, text, sizeof(text), "\r\n\r\n");
    rig_send(&rig, fd, STR("HTTP/1.1 413 Too Large\r\ncontent-length: 2\r\n\r\nno"));
    rig_wait(&rig, watch_ended, &watch);
    assert_int_equal(watch.dones, 1);
    assert_int_equal(watch.status, 413);
    assert_true(rig_gone(&rig, fd)); /* half a request is in it */
    close(fd);
    rig_close(&rig);
}

static void
test_large_request(void **state)
{
    (void)state;
    struct rig rig;
    static struct watch watch;
    static char block[10007];
    static struct str segments[300];
    static char bytes[65536];
    for (size_t i = 0; i < sizeof(block); i++)
        block[i] = (char)('a' + i % 26);
    for (size_t i = 0; i < ARRAY_LEN(segments); i++)
        segments[i] = str_make(block + i % 7, sizeof(block) - i % 7);
    struct http_call_conf conf = {
        .method = STR("POST"), .segments = segments, .segment_count = ARRAY_LEN(segments)};
    struct buf got;
    buf_init(&got, 8u << 20);
    rig_open(&rig, NULL);
    rig_start(&rig, &watch, &conf);
    int fd = rig_accept(&rig);
    struct buf want;
    buf_init(&want, 8u << 20);
    for (size_t i = 0; i < ARRAY_LEN(segments); i++)
        buf_put_str(&want, segments[i]);
    uint64_t end = clock_mono_ms() + RIG_DEADLINE_MS;
    while (got.len < want.len + 50 || !str_ends(buf_str(&got), buf_str(&want))) {
        ssize_t count = read(fd, bytes, sizeof(bytes));
        assert_true(clock_mono_ms() < end);
        if (count > 0)
            buf_put(&got, bytes, (size_t)count);
        else
            loop_step(rig.loop, 1);
    }
    rig_send(&rig, fd, STR(OK_HI));
    rig_wait(&rig, watch_ended, &watch);
    assert_int_equal(watch.dones, 1);
    buf_fini(&got);
    buf_fini(&want);
    close(fd);
    rig_close(&rig);
}

static bool
refuse_all(const struct sock_addr *addr, void *user)
{
    (void)addr;
    ++*(int *)user;
    return false;
}

static void
test_no_connection(void **state)
{
    (void)state;
    struct rig rig;
    static struct watch a;
    static struct watch b;
    /* refused by the kernel: every call that waits is told */
    rig_open(&rig, NULL);
    close(rig.listen_fd);
    rig.listen_fd = -1;
    rig_start(&rig, &a, NULL);
    rig_start(&rig, &b, NULL);
    assert_int_equal(a.fails, 0);
    rig_wait(&rig, watch_ended, &a);
    rig_wait(&rig, watch_ended, &b);
    assert_int_equal(a.code, -ERR_REFUSED);
    assert_int_equal(b.code, -ERR_REFUSED);
    assert_int_equal(a.phase, HTTP_CONNECTING);
    rig_close(&rig);
    /* refused by the filter */
    int asked = 0;
    struct http_origin_conf guarded = {.allow = refuse_all, .allow_user = &asked};
    rig_open(&rig, &guarded);
    rig_start(&rig, &a, NULL);
    assert_int_equal(a.fails, 0);
    rig_wait(&rig, watch_ended, &a);
    assert_int_equal(a.code, -ERR_REFUSED);
    assert_int_equal(asked, 1);
    assert_true(rig_nobody_connects(&rig));
    rig_close(&rig);
}

static void
test_idle_timeout(void **state)
{
    (void)state;
    struct rig rig;
    static struct watch watch;
    struct http_origin_conf conf = {.idle_timeout_ms = 20};
    rig_open(&rig, &conf);
    rig_start(&rig, &watch, NULL);
    int fd = rig_accept(&rig);
    answer(&rig, fd, &watch);
    assert_true(rig_gone(&rig, fd));
    close(fd);
    rig_close(&rig);
}

static void
test_unix_socket(void **state)
{
    (void)state;
    struct rig rig;
    static struct watch watch;
    char path[128];
    char text[256];
    char wire[4096] = "";
    struct sock_addr addr;
    struct err err = {0};
    (void)snprintf(path, sizeof(path), "/tmp/berth-client-test-%d.sock", (int)getpid());
    (void)snprintf(text, sizeof(text), "unix:%s", path);
    struct http_origin_conf conf = {.unix_path = path, .host = STR("docker")};
    rig_open(&rig, &conf);
    close(rig.listen_fd);
    assert_int_equal(sock_addr_parse(str_from(text), &addr, &err), 0);
    assert_int_equal(sock_listen(&addr, 8, false, 0600, &rig.listen_fd, &err), 0);
    rig_start(&rig, &watch, NULL);
    int fd = rig_accept(&rig);
    rig_read(&rig, fd, wire, sizeof(wire), "\r\n\r\n");
    assert_non_null(strcasestr(wire, "\r\nhost: docker"));
    rig_send(&rig, fd, STR(OK_HI));
    rig_wait(&rig, watch_ended, &watch);
    assert_int_equal(watch.dones, 1);
    close(fd);
    unlink(path);
    rig_close(&rig);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_on_the_wire),
        cmocka_unit_test(test_last_in_first_out),
        cmocka_unit_test(test_queue),
        cmocka_unit_test(test_queue_after_close),
        cmocka_unit_test(test_stale),
        cmocka_unit_test(test_cancel),
        cmocka_unit_test(test_pause),
        cmocka_unit_test(test_upload),
        cmocka_unit_test(test_upload_announced),
        cmocka_unit_test(test_early_reply),
        cmocka_unit_test(test_large_request),
        cmocka_unit_test(test_no_connection),
        cmocka_unit_test(test_idle_timeout),
        cmocka_unit_test(test_unix_socket),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
