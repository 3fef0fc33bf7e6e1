/* SPDX-License-Identifier: MIT
 * canned_test.c - each request gets one whole answer, however it arrives; windows are kept.
 * Floor: tools/sim, test.
 * Owns: a rig a test.
 * Invariant: see canned.h. */
#include "tools/sim/canned.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/base/buf.h"
#include "lib/net/sock.h"

struct rig {
    struct loop *loop;
    struct canned *canned;
    int listener;
    int client;
    struct buf got;
};

static void
rig_open(struct rig *rig, size_t bytes)
{
    struct sock_addr addr;
    struct err err = {0};
    assert_int_equal(loop_new(&rig->loop, &err), 0);
    assert_int_equal(canned_new(rig->loop, bytes, &rig->canned, &err), 0);
    assert_int_equal(sock_addr_parse(STR("127.0.0.1:0"), &addr, &err), 0);
    assert_int_equal(sock_listen(&addr, 8, false, 0600, &rig->listener, &err), 0);
    assert_int_equal(canned_listen(rig->canned, rig->listener), 0);
    addr.len = sizeof(addr.u);
    assert_int_equal(getsockname(rig->listener, &addr.u.any, &addr.len), 0);
    assert_int_equal(sock_connect(&addr, &rig->client, &err), 0);
    loop_step(rig->loop, 1000);
    buf_init(&rig->got, 16u << 20);
}

static void
rig_close(struct rig *rig)
{
    (void)close(rig->client);
    canned_free(&rig->canned);
    (void)close(rig->listener);
    loop_free(&rig->loop);
    buf_fini(&rig->got);
}

static void
rig_send(struct rig *rig, struct str bytes)
{
    assert_int_equal(send(rig->client, bytes.ptr, bytes.len, MSG_NOSIGNAL), bytes.len);
    loop_step(rig->loop, 1000);
    for (;;) {
        char part[65536];
        ssize_t n = recv(rig->client, part, sizeof(part), MSG_DONTWAIT);
        if (n <= 0)
            break;
        buf_put_str(&rig->got, str_make(part, (size_t)n));
        loop_step(rig->loop, 0);
    }
}

static size_t
answers(const struct rig *rig)
{
    size_t count = 0;
    struct str rest = buf_str(&rig->got);
    for (size_t at; (at = str_find(rest, STR("\"usage\":"))) != SIZE_MAX; count++)
        rest = str_skip(rest, at + 1);
    return count;
}

static void
test_h1(void **state)
{
    struct rig rig;
    (void)state;
    rig_open(&rig, 500);
    rig_send(&rig, STR("POST /v1/chat/completions HTTP/1.1\r\ncontent-le"));
    assert_int_equal(answers(&rig), 0);
    rig_send(&rig, STR("ngth: 5\r\n\r\n123"));
    assert_int_equal(answers(&rig), 0);
    rig_send(&rig, STR("45"));
    assert_int_equal(answers(&rig), 1);
    rig_send(
        &rig,
        STR("GET /a HTTP/1.1\r\n\r\nPOST /v1/messages HTTP/1.1\r\nContent-Length: 1\r\n\r\nx"));
    assert_int_equal(answers(&rig), 3);
    assert_true(str_find(buf_str(&rig.got), STR("\"type\":\"message\"")) != SIZE_MAX);
    rig_close(&rig);
}

#define HELLO "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0"
#define REQUEST(id) "\0\0\1\1\5\0\0\0" id "\x82"

static void
test_h2(void **state)
{
    struct rig rig;
    (void)state;
    rig_open(&rig, 500);
    rig_send(&rig, STR(HELLO "\0\0\1\1\4\0\0\0\1\x82\0\0\3\0\0\0\0\0\1"));
    assert_int_equal(answers(&rig), 0);
    rig_send(&rig, STR("abc\0\0\0\0\1\0\0\0\1" REQUEST("\3")));
    assert_int_equal(answers(&rig), 2);
    /* The last frame: DATA, END_STREAM, stream 3, 500 bytes. */
    assert_memory_equal(rig.got.ptr + rig.got.len - 509, "\0\1\xf4\0\1\0\0\0\3", 9);
    rig_close(&rig);
}

static void
test_h2_window(void **state)
{
    struct rig rig;
    (void)state;
    rig_open(&rig, 40000);
    rig_send(&rig, STR(HELLO REQUEST("\1") REQUEST("\3")));
    assert_int_equal(answers(&rig), 1);
    rig_send(&rig, STR("\0\0\4\x8\0\0\0\0\0\0\0\x40\0"));
    assert_int_equal(answers(&rig), 2);
    rig_close(&rig);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_h1),
        cmocka_unit_test(test_h2),
        cmocka_unit_test(test_h2_window),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
