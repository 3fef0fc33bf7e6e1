/* SPDX-License-Identifier: MIT
 * client_hostile_test.c - upstreams that break HTTP/1.1: what the caller sees, and whether the
 *                         connection is used again (HARDENING SS-07, SS-16, SS-17, SS-18).
 * Floor: lib/http, test.
 * Owns: nothing.
 * Invariant: no byte after a bad reply ever reaches another call. */
#include "lib/base/buf.h"
#include "lib/http/client_test_rig.h"

#define OK "HTTP/1.1 200 OK\r\n"
enum reuse { REUSED, DESTROYED };

struct reply_row {
    const char *name;
    struct str reply;
    bool then_close;
    int want; /* 0 = done */
    const char *want_body;
    enum reuse reuse;
};

static const struct reply_row rows[] = {
    {"length", STR(OK "content-length: 2\r\n\r\nhi"), false, 0, "hi", REUSED},
    {"chunked", STR(OK "transfer-encoding: chunked\r\n\r\n2\r\nhi\r\n1;x=y\r\n!\r\n0\r\n\r\n"),
     false, 0, "hi!", REUSED},
    {"chunked with trailer",
     STR(OK "transfer-encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nx-a: b\r\n\r\n"), false, 0, "hi",
     REUSED},
    {"until close", STR(OK "\r\nhello"), true, 0, "hello", DESTROYED},
    {"connection: close", STR(OK "connection: close\r\ncontent-length: 2\r\n\r\nhi"), false, 0,
     "hi", DESTROYED},
    {"http/1.0", STR("HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nhi"), false, 0, "hi", DESTROYED},
    {"204", STR("HTTP/1.1 204 No Content\r\n\r\n"), false, 0, "", REUSED},
    {"204 with body", STR("HTTP/1.1 204 No Content\r\n\r\nhello"), false, 0, "", DESTROYED},
    {"interim, then final",
     STR("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n" OK
         "content-length: 2\r\n\r\nhi"),
     false, 0, "hi", REUSED},
    {"100, then nothing", STR("HTTP/1.1 100 Continue\r\n\r\n"), true, -ERR_CLOSED, "", DESTROYED},
    {"101", STR("HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n"),
     false, -ERR_PROTOCOL, "", DESTROYED},
    {"two replies", STR(OK "content-length: 2\r\n\r\nhi" OK "content-length: 6\r\n\r\npoison"),
     false, 0, "hi", DESTROYED},
    {"byte after chunked end", STR(OK "transfer-encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\nX"),
     false, 0, "hi", DESTROYED},
    {"CL and TE", STR(OK "content-length: 2\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n"), false,
     -ERR_PROTOCOL, "", DESTROYED},
    {"two lengths", STR(OK "content-length: 2\r\ncontent-length: 3\r\n\r\nhi!"), false,
     -ERR_PROTOCOL, "", DESTROYED},
    {"negative length", STR(OK "content-length: -1\r\n\r\n"), false, -ERR_PROTOCOL, "", DESTROYED},
    {"huge length", STR(OK "content-length: 99999999999999999999\r\n\r\n"), false, -ERR_PROTOCOL,
     "", DESTROYED},
    {"TE gzip, chunked", STR(OK "transfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n"), false,
     -ERR_PROTOCOL, "", DESTROYED},
    {"bad chunk size", STR(OK "transfer-encoding: chunked\r\n\r\nzz\r\nhi\r\n"), false,
     -ERR_PROTOCOL, "", DESTROYED},
    {"chunk longer than said", STR(OK "transfer-encoding: chunked\r\n\r\n2\r\nhi!\r\n0\r\n\r\n"),
     false, -ERR_PROTOCOL, NULL, DESTROYED},
    {"chunk size overflow", STR(OK "transfer-encoding: chunked\r\n\r\n10000000000000000\r\nhi\r\n"),
     false, -ERR_PROTOCOL, "", DESTROYED},
    {"bare LF", STR("HTTP/1.1 200 OK\ncontent-length: 2\n\nhi"), false, -ERR_PROTOCOL, "",
     DESTROYED},
    {"bare LF in a field", STR(OK "x-a: b\ncontent-length: 2\r\n\r\nhi"), false, -ERR_PROTOCOL, "",
     DESTROYED},
    {"bare CR", STR(OK "x-a: b\rc\r\ncontent-length: 2\r\n\r\nhi"), false, -ERR_PROTOCOL, "",
     DESTROYED},
    {"obs-fold", STR(OK "x-a: b\r\n c\r\ncontent-length: 2\r\n\r\nhi"), false, -ERR_PROTOCOL, "",
     DESTROYED},
    {"NUL in a value", STR(OK "x-a: b\0c\r\ncontent-length: 2\r\n\r\nhi"), false, -ERR_PROTOCOL, "",
     DESTROYED},
    {"space before colon", STR(OK "content-length : 2\r\n\r\nhi"), false, -ERR_PROTOCOL, "",
     DESTROYED},
    {"not HTTP", STR("SSH-2.0-OpenSSH_9.2\r\n\r\n"), false, -ERR_PROTOCOL, "", DESTROYED},
    {"status 99", STR("HTTP/1.1 099 X\r\n\r\n"), false, -ERR_PROTOCOL, "", DESTROYED},
    {"closed without a byte", STR(""), true, -ERR_CLOSED, "", DESTROYED},
    {"closed in the head", STR("HTTP/1.1 200 O"), true, -ERR_CLOSED, "", DESTROYED},
    {"closed short of length", STR(OK "content-length: 5\r\n\r\nhi"), true, -ERR_CLOSED, "hi",
     DESTROYED},
    {"closed in a chunk", STR(OK "transfer-encoding: chunked\r\n\r\n5\r\nhi"), true, -ERR_CLOSED,
     "hi", DESTROYED},
    {"closed before the last chunk", STR(OK "transfer-encoding: chunked\r\n\r\n2\r\nhi\r\n"), true,
     -ERR_CLOSED, "hi", DESTROYED},
};

static void
check_reply(const struct reply_row *row, struct str reply, bool bytewise)
{
    struct rig rig;
    static struct watch watch;
    char text[4096] = "";
    rig_open(&rig, NULL);
    rig_start(&rig, &watch, NULL);
    int fd = rig_accept(&rig);
    rig_read(&rig, fd, text, sizeof(text), "\r\n\r\n");
    for (size_t i = 0; bytewise && i < reply.len && !watch_ended(&watch); i++) {
        rig_send(&rig, fd, str_make(reply.ptr + i, 1));
        loop_step(rig.loop, 1);
    }
    if (!bytewise)
        rig_send(&rig, fd, reply);
    if (row->then_close)
        shutdown(fd, SHUT_WR);
    rig_wait(&rig, watch_ended, &watch);
    if (watch.code != row->want)
        print_message("%s: code %s (%s)\n", row->name, err_name(watch.code), watch.text);
    assert_int_equal(watch.code, row->want);
    assert_int_equal(watch.dones, row->want == 0 ? 1 : 0);
    if (row->want_body != NULL)
        assert_string_equal(watch.body, row->want_body);
    /* The next call: on the same connection, or on a new one. */
    static struct watch next;
    rig_start(&rig, &next, NULL);
    int second = fd;
    if (row->reuse == DESTROYED && !bytewise) {
        assert_true(rig_gone(&rig, fd));
        second = rig_accept(&rig);
    }
    if (!(row->reuse == DESTROYED && bytewise)) {
        text[0] = '\0';
        rig_read(&rig, second, text, sizeof(text), "\r\n\r\n");
        rig_send(&rig, second, STR(OK "content-length: 5\r\n\r\nclean"));
        rig_wait(&rig, watch_ended, &next);
        assert_int_equal(next.dones, 1);
        assert_string_equal(next.body, "clean");
    } else {
        http_call_cancel(&next.call);
    }
    close(fd);
    if (second != fd)
        close(second);
    rig_close(&rig);
}

static void
test_replies(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        print_message("  %s\n", rows[i].name);
        check_reply(&rows[i], rows[i].reply, false);
    }
}

/* What comes after the end of a reply is seen at another time then: only the well-formed ones. */
static void
test_replies_bytewise(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        if (rows[i].reuse == REUSED || rows[i].want != 0)
            check_reply(&rows[i], rows[i].reply, true);
    }
}

struct big_row {
    const char *name;
    const char *start;
    const char *unit;
    size_t count;
    int want;
};

static void
test_big_heads(void **state)
{
    static const struct big_row big[] = {
        {"1 MiB field", OK "x-a: ", "aaaaaaaaaaaaaaaa", 65536, -ERR_TOO_LARGE},
        {"10,000 fields", OK, "x-a: b\r\n", 10000, -ERR_TOO_LARGE},
        {"101 fields", OK "content-length: 0\r\n", "x-a: b\r\n", 101, -ERR_PROTOCOL},
        {"1,000 interim replies", "", "HTTP/1.1 103 E\r\n\r\n", 1000, -ERR_PROTOCOL},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(big); i++) {
        struct buf text;
        print_message("  %s\n", big[i].name);
        buf_init(&text, 4u << 20);
        buf_put_str(&text, str_from(big[i].start));
        for (size_t k = 0; k < big[i].count; k++)
            buf_put_str(&text, str_from(big[i].unit));
        buf_put_str(&text, STR("\r\n\r\n"));
        const struct reply_row row = {big[i].name, buf_str(&text), false, big[i].want,
                                      "",          DESTROYED};
        check_reply(&row, buf_str(&text), false);
        buf_fini(&text);
    }
}

/* SS-16: bytes that arrive on an idle connection destroy it before anyone can read them. */
static void
test_late_poison(void **state)
{
    (void)state;
    struct rig rig;
    static struct watch watch;
    char text[4096] = "";
    rig_open(&rig, NULL);
    rig_start(&rig, &watch, NULL);
    int fd = rig_accept(&rig);
    rig_read(&rig, fd, text, sizeof(text), "\r\n\r\n");
    rig_send(&rig, fd, STR(OK "content-length: 2\r\n\r\nhi"));
    rig_wait(&rig, watch_ended, &watch);
    /* It lies in the socket while the next call is given that connection. */
    rig_send(&rig, fd, STR(OK "content-length: 6\r\n\r\npoison"));
    rig_start(&rig, &watch, NULL);
    int second = rig_accept(&rig);
    text[0] = '\0';
    rig_read(&rig, second, text, sizeof(text), "\r\n\r\n");
    rig_send(&rig, second, STR(OK "content-length: 5\r\n\r\nclean"));
    rig_wait(&rig, watch_ended, &watch);
    assert_string_equal(watch.body, "clean");
    close(fd);
    close(second);
    rig_close(&rig);
}

/* A greeting before the request is no HTTP server, and is not tried for ever. */
static void
test_greeting(void **state)
{
    (void)state;
    struct rig rig;
    static struct watch watch;
    rig_open(&rig, NULL);
    rig_start(&rig, &watch, NULL);
    int fd = -1;
    while (sock_accept(rig.listen_fd, &fd, NULL) != 0)
        ; /* before the loop turns */
    assert_int_equal(send(fd, "220 mail\r\n", 10, MSG_NOSIGNAL), 10);
    rig_wait(&rig, watch_ended, &watch);
    assert_int_equal(watch.code, -ERR_PROTOCOL);
    close(fd);
    rig_close(&rig);
}

/* SS-16: abandoned answers never leak into the answers of others. */
static void
test_canary(void **state)
{
    (void)state;
    struct rig rig;
    static struct watch watch;
    char text[4096];
    rig_open(&rig, NULL);
    int fd = -1;
    for (int i = 0; i < 300; i++) {
        bool abandoned = i % 3 == 0;
        rig_start(&rig, &watch, NULL);
        if (fd < 0)
            fd = rig_accept(&rig);
        text[0] = '\0';
        rig_read(&rig, fd, text, sizeof(text), "\r\n\r\n");
        if (abandoned) {
            rig_send(&rig, fd, STR(OK "content-length: 100\r\n\r\nCANARY"));
            loop_step(rig.loop, 5);
            http_call_cancel(&watch.call);
            rig_send(&rig, fd, STR("CANARY"));
            assert_true(rig_gone(&rig, fd));
            close(fd);
            fd = -1;
            assert_int_equal(watch.dones + watch.fails, 0);
            continue;
        }
        rig_send(&rig, fd, STR(OK "content-length: 2\r\n\r\nhi"));
        rig_wait(&rig, watch_ended, &watch);
        assert_string_equal(watch.body, "hi");
    }
    close(fd);
    rig_close(&rig);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_replies),   cmocka_unit_test(test_replies_bytewise),
        cmocka_unit_test(test_big_heads), cmocka_unit_test(test_late_poison),
        cmocka_unit_test(test_greeting),  cmocka_unit_test(test_canary),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
