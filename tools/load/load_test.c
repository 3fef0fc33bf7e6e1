/* SPDX-License-Identifier: MIT
 * load_test.c - each mode against a server on the same loop: what is counted is what was served.
 * Floor: tools/load, test.
 * Owns: nothing.
 * Invariant: load.h: every call ends as exactly one kind. */
#include "tools/load/load.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/http/server.h"
#include "lib/net/sock.h"

#define ENOUGH 200u

struct rig {
    struct loop *loop;
    struct http_server *server;
    int listen_fd;
    char url[64];
    uint64_t served;
    unsigned status;
};
static struct rig rig;
static struct load load;

static void
on_request(struct http_stream *stream, const struct http_head *head)
{
    (void)stream;
    (void)head;
}

static void
on_complete(struct http_stream *stream)
{
    rig.served++;
    if (str_eq(http_stream_target(stream), STR("/stream"))) {
        http_stream_respond(stream, 200, NULL, 0, HTTP_LENGTH_UNKNOWN);
        (void)http_stream_write(stream, STR("data: a\n"));
        (void)http_stream_write(stream, STR("\ndata: b\n\nda"));
    } else {
        http_stream_answer(stream, rig.status, NULL, 0, STR("hello"));
    }
    if (rig.served == ENOUGH)
        load_stop(&load);
}

static void
on_closed(struct http_stream *stream, enum http_close_reason reason)
{
    (void)stream;
    (void)reason;
}

static const struct http_handler handler = {
    .request = on_request, .complete = on_complete, .closed = on_closed};

static int
setup(void **state)
{
    struct sock_addr addr;
    char name[128];
    (void)state;
    rig = (struct rig){.status = 200};
    load = (struct load){0};
    assert_int_equal(loop_new(&rig.loop, NULL), 0);
    const struct http_server_conf conf = {.loop = rig.loop, .handler = &handler};
    assert_int_equal(http_server_new(&conf, &rig.server, NULL), 0);
    assert_int_equal(sock_addr_parse(STR("127.0.0.1:0"), &addr, NULL), 0);
    assert_int_equal(sock_listen(&addr, 1024, false, 0, &rig.listen_fd, NULL), 0);
    assert_int_equal(getsockname(rig.listen_fd, &addr.u.any, &addr.len), 0);
    assert_int_equal(http_server_listen(rig.server, rig.listen_fd), 0);
    sock_addr_format(&addr, name);
    int size = snprintf(rig.url, sizeof(rig.url), "http://%s/stream", name);
    assert_in_range(size, 1, sizeof(rig.url) - 1);
    return 0;
}

static int
teardown(void **state)
{
    (void)state;
    load_fini(&load);
    http_server_free(&rig.server);
    (void)close(rig.listen_fd);
    loop_step(rig.loop, 0);
    loop_free(&rig.loop);
    return 0;
}

static void
run(struct options *options, const char *mode, const char *more)
{
    char *argv[] = {(char *)(uintptr_t)mode, rig.url,       (char[]){"--seconds"},  (char[]){"0"},
                    (char[]){"--warmup"},    (char[]){"0"}, (char *)(uintptr_t)more};
    struct err err = {0};
    int argc = (int)ARRAY_LEN(argv) - (more == NULL ? 1 : 0);
    assert_int_equal(options_parse(argc, argv, options, &err), 0);
    if (options->mode != LOAD_STREAMS)
        options->target = STR("/");
    else
        options->concurrency = options->connections = ENOUGH;
    assert_int_equal(load_run(&load, options, rig.loop, &err), 0);
    options_fini(options);
}

static void
expect(uint64_t bad)
{
    const struct load_counts *counts = &load.counts;
    assert_int_equal(counts->failed, 0);
    assert_int_equal(counts->unfinished, 0);
    assert_int_equal(counts->late, 0);
    assert_int_equal(counts->bad, bad);
    assert_int_equal(counts->begun, rig.served);
    assert_int_equal(counts->begun, counts->answered + counts->bad);
}

static void
test_closed(void **state)
{
    static const char *const protocols[] = {NULL, "--h2"};
    for (size_t i = 0; i < ARRAY_LEN(protocols); i++) {
        struct options options;
        run(&options, "closed", protocols[i]);
        expect(0);
        assert_true(load.counts.answered >= ENOUGH);
        assert_int_equal(load.latency.count, load.counts.answered);
        assert_int_equal(load.counts.bytes, 5 * load.counts.answered);
        (void)teardown(state);
        (void)setup(state);
    }
}

static void
test_rate(void **state)
{
    struct options options;
    (void)state;
    run(&options, "rate", NULL);
    expect(0);
    assert_true(load.counts.answered >= ENOUGH);
    assert_true(histogram_quantile(&load.latency, 50000) > 0);
}

static void
test_bad(void **state)
{
    struct options options;
    (void)state;
    rig.status = 503;
    run(&options, "closed", NULL);
    expect(load.counts.begun);
    assert_int_equal(load.bad_status, 503);
    assert_int_equal(load.latency.count, 0);
}

static void
test_streams(void **state)
{
    struct options options;
    (void)state;
    run(&options, "streams", NULL);
    assert_int_equal(load.counts.begun, ENOUGH);
    assert_int_equal(load.counts.failed, 0);
    /* the last of them was cut before its events came */
    assert_true(load.counts.events <= 2 * ENOUGH);
    assert_true(load.counts.events == 2 * load.counts.alive);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_closed, setup, teardown),
        cmocka_unit_test_setup_teardown(test_rate, setup, teardown),
        cmocka_unit_test_setup_teardown(test_bad, setup, teardown),
        cmocka_unit_test_setup_teardown(test_streams, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
