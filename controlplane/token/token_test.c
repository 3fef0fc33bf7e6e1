/* SPDX-License-Identifier: MIT
 * token_test.c - access tokens from a token endpoint on the same loop: the first, the next before
 *                it expires, refusals, addresses that are not connected to.
 * Floor: controlplane/token, tests.
 * Owns: nothing.
 * Invariant: nothing that is said about a failure holds a key or a token. */
#include "controlplane/token/token.h"

#include <string.h>
#include <unistd.h>

#include "controlplane/token/token_test_rig.h"
#include "lib/base/clock.h"
#include "lib/http/server.h"

#define WAIT_MS 10000u
#define STEP_MS 10

static struct {
    struct loop *loop;
    struct http_server *server;
    struct tokens *tokens;
    int fd;
    char *pem;
    char *file;
    /* the endpoint */
    unsigned status;
    const char *answer;
    unsigned asked;
    bool claim_good;
    unsigned changes;
    uint64_t jump_ms;
} rig;

static uint64_t
rig_mono_ns(void *user)
{
    (void)user;
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec + rig.jump_ms * 1000000u;
}

static int64_t
rig_wall_ns(void *user)
{
    (void)user;
    return 1700000000000000000;
}

static void
endpoint_request(struct http_stream *stream, const struct http_head *head)
{
    (void)head;
    http_stream_collect(stream, 65536);
}

static void
endpoint_complete(struct http_stream *stream)
{
    const struct http_field type = {STR("content-type"), STR("application/json")};
    struct str body = http_stream_body(stream);
    size_t at = str_find(body, STR("&assertion="));
    struct str claim = at == SIZE_MAX ? STR_EMPTY : str_skip(body, at + 11);
    struct str head;
    struct str rest;
    struct str claims;
    struct str signature;
    rig.asked++;
    rig.claim_good =
        str_starts(body,
                   STR("grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&")) &&
        str_cut(claim, '.', &head, &rest) && str_cut(rest, '.', &claims, &signature) &&
        rig_verifies(rig.pem, str_make(claim.ptr, head.len + 1 + claims.len), signature);
    http_stream_answer(stream, rig.status, &type, 1, str_from(rig.answer));
}

static void
endpoint_closed(struct http_stream *stream, enum http_close_reason reason)
{
    (void)stream;
    (void)reason;
}

static void
on_changed(void *user)
{
    (void)user;
    rig.changes++;
}

static int
rig_open(void **state)
{
    static const struct http_handler handler = {
        .request = endpoint_request, .complete = endpoint_complete, .closed = endpoint_closed};
    static const struct clock_source source = {rig_mono_ns, rig_wall_ns, NULL};
    struct sock_addr addr;
    struct err err = {0};
    char url[64];
    (void)state;
    memset(&rig, 0, sizeof rig);
    clock_replace(&source);
    assert_int_equal(loop_new(&rig.loop, &err), 0);
    const struct http_server_conf conf = {.loop = rig.loop, .handler = &handler};
    assert_int_equal(http_server_new(&conf, &rig.server, &err), 0);
    assert_int_equal(sock_addr_parse(STR("127.0.0.1:0"), &addr, &err), 0);
    assert_int_equal(sock_listen(&addr, 8, false, 0, &rig.fd, &err), 0);
    addr.len = sizeof addr.u;
    assert_int_equal(getsockname(rig.fd, &addr.u.any, &addr.len), 0);
    assert_int_equal(http_server_listen(rig.server, rig.fd), 0);
    const struct tokens_conf tokens = {.loop = rig.loop, .changed = on_changed};
    assert_int_equal(tokens_new(&tokens, &rig.tokens, &err), 0);
    (void)snprintf(url, sizeof url, "http://127.0.0.1:%u/token", ntohs(addr.u.in4.sin_port));
    rig.pem = rig_rsa_key(2048);
    rig.file = rig_key_file(rig.pem, url);
    return 0;
}

static int
rig_close(void **state)
{
    (void)state;
    tokens_free(&rig.tokens);
    http_server_free(&rig.server);
    loop_step(rig.loop, 0);
    loop_free(&rig.loop);
    clock_replace(NULL);
    (void)close(rig.fd);
    free(rig.pem);
    free(rig.file);
    return 0;
}

static void
endpoint_says(unsigned status, const char *answer)
{
    rig.status = status;
    rig.answer = answer;
}

static void
want(bool allow_private, const char *token, const char *problem)
{
    struct arena arena;
    struct str got = {NULL, 0};
    const char *why = "";
    arena_init(&arena, 65536);
    assert_int_equal(tokens_get(rig.tokens, str_from(rig.file), allow_private, &arena, &got, &why),
                     0);
    if (token != NULL)
        assert_true(got.ptr != NULL && str_eq(got, str_from(token)));
    else
        assert_null(got.ptr);
    if (strstr(why, problem) == NULL || strstr(why, "PRIVATE") != NULL ||
        strstr(why, "ya29") != NULL)
        fail_msg("wanted '%s', got '%s'", problem, why);
    arena_fini(&arena);
}

static void
want_change(void)
{
    unsigned before = rig.changes;
    uint64_t end = clock_mono_ms() + WAIT_MS;
    while (rig.changes == before && clock_mono_ms() < end)
        loop_step(rig.loop, STEP_MS);
    assert_int_equal(rig.changes, before + 1);
}

#define GOOD "{\"access_token\":\"ya29.one\",\"expires_in\":3600,\"token_type\":\"Bearer\"}"

static void
fetched_kept_and_renewed(void **state)
{
    (void)state;
    endpoint_says(200, GOOD);
    want(true, NULL, "on its way");
    want(true, NULL, "on its way"); /* one fetch at a time */
    want_change();
    assert_int_equal(rig.asked, 1);
    assert_true(rig.claim_good);
    want(true, "ya29.one", "");
    rig.jump_ms += 2900000; /* 700 s are left: time enough */
    want(true, "ya29.one", "");
    assert_int_equal(rig.asked, 1);
    rig.jump_ms += 200000;
    endpoint_says(200, "{\"access_token\":\"ya29.two\",\"expires_in\":100}");
    want(true, "ya29.one", ""); /* still good; the next one is on its way */
    want_change();
    assert_int_equal(rig.asked, 2);
    want(true, "ya29.two", "");
    rig.jump_ms += 101000;
    endpoint_says(503, "busy");
    want(true, NULL, "");
    want_change();
    want(true, NULL, "status 503");
}

static void
refusals_are_told_and_tried_again(void **state)
{
    (void)state;
    static const struct {
        unsigned status;
        const char *answer, *want;
    } rows[] = {
        {400, "{\"error\":\"invalid_grant\",\"error_description\":\"ya29\"}", "invalid_grant"},
        {401, "{\"error\":\"ya29 {}\"}", "no reason given"},
        {200, "{\"access_token\":\"\",\"expires_in\":1}", "holds no token"},
        {200, "{\"access_token\":\"a\\nb\",\"expires_in\":1}", "holds no token"},
        {200, "{\"access_token\":\"a\",\"expires_in\":\"1\"}", "holds no token"},
        {200, "{\"access_token\":\"a\",\"expires_in\":99999999}", "holds no token"},
        {200, "[]", "holds no token"},
        {200, "<html>", "holds no token"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        endpoint_says(rows[i].status, rows[i].answer);
        want(true, NULL, "");
        want_change();
        want(true, NULL, rows[i].want);
        assert_int_equal(rig.asked, i + 1); /* not again so soon */
        rig.jump_ms += TOKEN_RETRY_MS;
    }
    endpoint_says(200, GOOD);
    want(true, NULL, "");
    want_change();
    want(true, "ya29.one", "");
}

static void
private_and_clear_only_when_allowed(void **state)
{
    (void)state;
    endpoint_says(200, GOOD);
    want(false, NULL, "on its way");
    want_change();
    want(false, NULL, "not https");
    free(rig.file);
    rig.file = rig_key_file(rig.pem, "https://127.0.0.1:1/token");
    want(false, NULL, "on its way");
    want_change();
    want(false, NULL, "127.0.0.1"); /* the guard's words */
    assert_int_equal(rig.asked, 0);
}

/* A fetch that runs is ended, and nobody is called. */
static void
freed_while_it_runs(void **state)
{
    (void)state;
    endpoint_says(200, GOOD);
    want(true, NULL, "on its way");
    tokens_free(&rig.tokens);
    loop_step(rig.loop, 0);
    assert_int_equal(rig.changes, 0);
}

int
main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, rig_open, rig_close)
    const struct CMUnitTest tests[] = {
        CASE(fetched_kept_and_renewed),
        CASE(refusals_are_told_and_tried_again),
        CASE(private_and_clear_only_when_allowed),
        CASE(freed_while_it_runs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
