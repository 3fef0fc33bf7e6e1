/* SPDX-License-Identifier: MIT
 * resolve_test.c - literals at once, names through the thread, cancels at every moment.
 * Floor: tests of lib/net.
 * Owns: nothing.
 * Invariant: a canceled query never calls back, even when its loop is gone; needs /etc/hosts only.
 */
#include "lib/net/resolve.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "lib/base/clock.h"

struct result {
    struct resolve_query query;
    unsigned calls;
    int code;
    size_t count;
    char first[128];
};

static void
on_done(struct resolve_query *query, int code, const struct sock_addr *addrs, size_t count)
{
    struct result *result = CONTAINER_OF(query, struct result, query);
    result->calls++;
    result->code = code;
    result->count = count;
    if (count > 0)
        sock_addr_format(&addrs[0], result->first);
}

static struct loop *
new_loop(void)
{
    struct loop *loop = NULL;
    assert_int_equal(loop_new(&loop, NULL), 0);
    return loop;
}

static void
wait_done(struct loop *loop, const struct result *result)
{
    uint64_t deadline = clock_mono_ms() + 20000;
    while (result->calls == 0 && clock_mono_ms() < deadline)
        loop_step(loop, 100);
    assert_int_equal(result->calls, 1);
}

static const struct {
    const char *host;
    int want;
    const char *first;
} at_once_rows[] = {
    {"127.0.0.1", 0, "127.0.0.1:80"},
    {"::1", 0, "[::1]:80"},
    {"[::1]", 0, "[::1]:80"},
    {"", -ERR_RESOLVE, NULL},
    {".", -ERR_RESOLVE, NULL},
    {"a b", -ERR_RESOLVE, NULL},
    {"a/b", -ERR_RESOLVE, NULL},
    {"a\n", -ERR_RESOLVE, NULL},
    {"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
     "aaaaaa"
     "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
     "aaaaaa"
     "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
     "aaaaaa",
     -ERR_RESOLVE, NULL},
};

static void
test_at_once(void **state)
{
    (void)state;
    struct loop *loop = new_loop();
    for (size_t i = 0; i < sizeof(at_once_rows) / sizeof(at_once_rows[0]); i++) {
        struct result result = {.calls = 0};
        resolve_start(&result.query, loop, str_from(at_once_rows[i].host), 80, on_done);
        assert_int_equal(result.calls, 1);
        assert_int_equal(result.code, at_once_rows[i].want);
        if (result.code == 0)
            assert_string_equal(result.first, at_once_rows[i].first);
        resolve_cancel(&result.query); /* harmless after the end */
    }
    loop_free(&loop);
}

static void
test_name(void **state)
{
    (void)state;
    struct loop *loop = new_loop();
    struct result result = {.calls = 0};
    resolve_start(&result.query, loop, STR("LocalHost."), 81, on_done);
    wait_done(loop, &result);
    assert_int_equal(result.code, 0);
    assert_true(result.count > 0 && result.count <= RESOLVE_ADDRS_MAX);
    assert_non_null(strstr(result.first, ":81"));
    struct result again = {.calls = 0};
    resolve_start(&again.query, loop, STR("localhost"), 82, on_done);
    assert_int_equal(again.calls, 1); /* from the cache, with its own port */
    assert_non_null(strstr(again.first, ":82"));

    struct result bad = {.calls = 0};
    resolve_start(&bad.query, loop, STR("no-such-name.invalid"), 80, on_done);
    wait_done(loop, &bad);
    assert_true(bad.code == -ERR_RESOLVE || bad.code == -ERR_TIMEOUT);
    struct result bad_again = {.calls = 0};
    resolve_start(&bad_again.query, loop, STR("no-such-name.invalid"), 80, on_done);
    assert_int_equal(bad_again.calls, 1); /* failures are kept too */
    loop_free(&loop);
}

static void
test_cancel(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 50; i++) {
        struct loop *loop = new_loop();
        struct result results[8];
        memset(results, 0, sizeof(results));
        for (size_t q = 0; q < 8; q++) {
            char host[] = "cancel-aa.localhost";
            host[7] = (char)('a' + i % 25);
            host[8] = (char)('a' + q);
            resolve_start(&results[q].query, loop, str_from(host), 80, on_done);
        }
        if (i % 2 == 0)
            loop_step(loop, 1); /* some may be posted, some running, some queued */
        unsigned calls[8];
        for (size_t q = 0; q < 8; q++) {
            resolve_cancel(&results[q].query);
            resolve_cancel(&results[q].query);
            calls[q] = results[q].calls;
        }
        loop_step(loop, 0);
        for (size_t q = 0; q < 8; q++)
            assert_int_equal(results[q].calls, calls[q]);
        loop_free(&loop);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_at_once),
        cmocka_unit_test(test_name),
        cmocka_unit_test(test_cancel),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
