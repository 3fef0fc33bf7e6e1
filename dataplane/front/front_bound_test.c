/* SPDX-License-Identifier: MIT
 * front_bound_test.c - the container's own listener: who is refused on it, and what a revocation
 *                      leaves on the wire.
 * Floor: test.
 * Owns: nothing; see front_test_rig.h.
 * Invariant: nothing that a confused deputy would relay is served; a revoked stream never looks
 *            complete. IDENTITY 4 and 7. */
#include "dataplane/front/front_test_rig.h"

#include <errno.h>
#include <sys/socket.h>

#include "dataplane/pipeline/caller.h"

/* A connection that the kernel proved to be of container dev-env, number 7. */
struct bound {
    int fd;
    struct live_binding *binding;
    struct buf seen;
    bool closed;
    bool unproved; /* no binding is known of it (yet) */
};

static void
put_binding(struct bound *bound)
{
    struct ed25519_key *key = NULL;
    struct binding binding = {.server = STR("00112233445566778899aabbccddeeff"),
                              .host = STR("host-1"),
                              .boot = STR("boot-1"),
                              .runtime = STR("runc"),
                              .container_id = STR("0123456789abcdef"),
                              .incarnation = {1},
                              .name = STR("dev-env"),
                              .number = 7,
                              .wallet = STR("default"),
                              .attestors = STR("netns+cgroup"),
                              .issued_ms = 1};
    struct buf text;
    struct json_doc doc;
    struct err err = {0};
    struct live_binding *old = NULL;
    struct live_binding *new = NULL;
    buf_init(&text, 65536);
    json_init(&doc);
    assert_int_equal(ed25519_generate(&key), 0);
    ed25519_public(key, rig.live.server_keys[0]);
    rig.live.server_key_count = 1;
    assert_int_equal(binding_sign(&binding, key), 0);
    assert_int_equal(binding_put_json(&binding, true, &text), 0);
    assert_int_equal(json_scan(&doc, buf_str(&text), NULL, &err), 0);
    assert_int_equal(live_put(&rig.live, &doc, 0, &old, &new, &err), 0);
    bound->binding = live_find(&rig.live, binding.incarnation);
    assert_non_null(bound->binding);
    json_fini(&doc);
    buf_fini(&text);
    ed25519_free(&key);
}

static void
bound_open(struct bound *bound)
{
    int pair[2];
    if (bound->binding == NULL)
        put_binding(bound);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair), 0);
    bound->fd = pair[0];
    bound->closed = false;
    buf_init(&bound->seen, 1u << 20);
    if (!bound->unproved)
        atomic_fetch_add(&bound->binding->refs, 1u);
    struct caller *caller = caller_new(&rig.worker, bound->unproved ? NULL : bound->binding);
    assert_non_null(caller);
    caller->unproved = bound->unproved;
    assert_int_equal(http_server_adopt(rig.front, pair[1], caller), 0);
}

static void
bound_close(struct bound *bound)
{
    (void)close(bound->fd);
    buf_fini(&bound->seen);
    step_until(all_settled, NULL);
    loop_step(rig.loop, 0);
}

static void
bound_say(struct bound *bound, const void *bytes, size_t count)
{
    assert_int_equal(send(bound->fd, bytes, count, MSG_NOSIGNAL), count);
}

static void
bound_read(struct bound *bound)
{
    char block[4096];
    ssize_t got;
    loop_step(rig.loop, 1);
    while ((got = read(bound->fd, block, sizeof block)) > 0)
        assert_int_equal(buf_put(&bound->seen, block, (size_t)got), 0);
    bound->closed = bound->closed || got == 0 || (errno != EAGAIN && errno != EINTR);
}

static bool
bound_wait(struct bound *bound, const char *text)
{
    uint64_t end = clock_mono_ms() + DEADLINE_MS;
    while (clock_mono_ms() < end && !bound->closed &&
           str_find(buf_str(&bound->seen), str_from(text)) == SIZE_MAX)
        bound_read(bound);
    return str_find(buf_str(&bound->seen), str_from(text)) != SIZE_MAX;
}

#define OWN "Authorization: Bearer container-dev-env\r\n"
#define LOCAL "Host: 127.0.0.1:4180\r\n"

static void
who_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        const char *line; /* request line */
        const char *fields;
        const char *want;
    } rows[] = {
        {"its own name", "GET /v1/models", LOCAL OWN, "200"},
        {"its number", "GET /v1/models", LOCAL "Authorization: Bearer container-7\r\n", "200"},
        {"no token", "GET /v1/models", LOCAL, "200"},
        {"another's name", "GET /v1/models", LOCAL "Authorization: Bearer container-other\r\n",
         "401"},
        {"a host's key", "GET /v1/models", LOCAL "Authorization: Bearer " KEY "\r\n", "401"},
        {"no scheme", "GET /v1/models", LOCAL "Authorization: container-dev-env\r\n", "401"},
        {"one credential in two fields", "GET /v1/models",
         LOCAL OWN "x-api-key: container-dev-env\r\n", "200"},
        {"two credentials", "GET /v1/models", LOCAL OWN "x-api-key: container-7\r\n", "401"},
        {"two credentials, its own last", "GET /v1/models",
         LOCAL "x-api-key: container-other\r\n" OWN, "401"},
        {"one field twice", "GET /v1/models", LOCAL OWN OWN, "401"},
        {"one credential in three fields", "GET /v1/models",
         LOCAL "api-key: container-dev-env\r\nx-goog-api-key: container-dev-env\r\n" OWN, "200"},
        {"in Google's query", "GET /v1beta/models?alt=json&key=container-dev-env", LOCAL, "200"},
        {"another's in Google's query", "GET /v1beta/models?key=container-other", LOCAL, "401"},
        {"what is in the query counts where no field says more",
         "GET /v1beta/models?key=container-other", LOCAL OWN, "200"},
        {"localhost", "GET /v1/models", "Host: localhost:4180\r\n" OWN, "200"},
        {"IPv6", "GET /v1/models", "Host: [::1]:4180\r\n" OWN, "200"},
        {"link-local", "GET /v1/models", "Host: 169.254.170.2\r\n" OWN, "200"},
        {"X-Forwarded-For", "GET /v1/models", LOCAL OWN "X-Forwarded-For: 10.0.0.1\r\n", "403"},
        {"X-Forwarded-Host", "GET /v1/models", LOCAL OWN "X-Forwarded-Host: x\r\n", "403"},
        {"x-forwarded-anything", "GET /v1/models", LOCAL OWN "x-forwarded-q: x\r\n", "403"},
        {"Forwarded", "GET /v1/models", LOCAL OWN "Forwarded: for=10.0.0.1\r\n", "403"},
        {"Via", "GET /v1/models", LOCAL OWN "Via: 1.1 squid\r\n", "403"},
        {"Origin", "GET /v1/models", LOCAL OWN "Origin: https://evil.example\r\n", "403"},
        {"Origin null", "GET /v1/models", LOCAL OWN "Origin: null\r\n", "403"},
        {"foreign Host", "GET /v1/models", "Host: evil.example\r\n" OWN, "421"},
        {"rebound name", "GET /v1/models", "Host: 127.0.0.1.evil.example\r\n" OWN, "421"},
        {"a name like link-local", "GET /v1/models", "Host: 169.254.1.1.evil\r\n" OWN, "421"},
        {"absolute form", "GET http://127.0.0.1:4180/v1/models", LOCAL OWN, "400"},
        {"absolute form elsewhere", "GET http://evil.example/v1/models", LOCAL OWN, "400"},
        {"CONNECT", "CONNECT api.openai.com:443", LOCAL OWN, "405"},
    };
    struct bound bound = {.binding = NULL};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char request[512];
        char want[32];
        (void)snprintf(request, sizeof request, "%s HTTP/1.1\r\n%s\r\n", rows[i].line,
                       rows[i].fields);
        (void)snprintf(want, sizeof want, "HTTP/1.1 %s ", rows[i].want);
        bound_open(&bound);
        bound_say(&bound, request, strlen(request));
        (void)bound_wait(&bound, "\r\n\r\n");
        if (!str_starts(buf_str(&bound.seen), str_from(want)))
            fail_msg("%s: want %s, have %.60s", rows[i].name, rows[i].want, buf_cstr(&bound.seen));
        bound_close(&bound);
    }
    live_release(&bound.binding);
}

/* Whoever was handed over before his binding came hears 401 once, and not for as long as he keeps
 * that connection: the next one is looked at anew. A host's key is no way around it. */
static void
who_is_not_known_yet(void **state)
{
    (void)state;
    static const char *const credentials[] = {OWN, "Authorization: Bearer " KEY "\r\n"};
    struct bound bound = {.unproved = true};
    for (size_t i = 0; i < ARRAY_LEN(credentials); i++) {
        char request[512];
        (void)snprintf(request, sizeof request, "GET /v1/models HTTP/1.1\r\n" LOCAL "%s\r\n",
                       credentials[i]);
        bound_open(&bound);
        bound_say(&bound, request, strlen(request));
        assert_true(bound_wait(&bound, "HTTP/1.1 401"));
        assert_true(bound_wait(&bound, "connection: close"));
        for (uint64_t end = clock_mono_ms() + DEADLINE_MS; !bound.closed && clock_mono_ms() < end;)
            bound_read(&bound);
        assert_true(bound.closed);
        bound_close(&bound);
    }
    bound.unproved = false;
    bound_open(&bound);
    bound_say(&bound, "GET /v1/models HTTP/1.1\r\n" LOCAL OWN "\r\n",
              strlen("GET /v1/models HTTP/1.1\r\n" LOCAL OWN "\r\n"));
    assert_true(bound_wait(&bound, "HTTP/1.1 200"));
    bound_close(&bound);
    live_release(&bound.binding);
}

/* A chat request on a connection of its own, and the status that it has to get. */
static void
bound_call(struct bound *bound, const char *token, const char *status)
{
    static const char body[] = BODY("openai/a");
    char request[1024];
    char want[32];
    provider_says(200, "application/json", ANSWER);
    (void)snprintf(request, sizeof request,
                   "POST " CHAT " HTTP/1.1\r\n" LOCAL "%s"
                   "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
                   token, sizeof body - 1, body);
    (void)snprintf(want, sizeof want, "HTTP/1.1 %s ", status);
    bound_open(bound);
    bound_say(bound, request, strlen(request));
    if (!bound_wait(bound, want))
        fail_msg("%s: want %s, have %.60s", token, want, buf_cstr(&bound->seen));
}

#define TEN "aaaaaaaaaa"

static const struct rig_provider one_provider = {"openai", "openai", "/v1"};
static const char *const one_model =
    "{\"id\":\"openai/a\",\"provider\":\"openai\",\"upstream\":\"up-a\",\"max_output\":1000,"
    "\"price\":{\"version\":1,\"input\":\"1000\",\"output\":\"2000\"}}";

/* The owner wants tags: the kernel says who it is, what the token says is in the record. What is no
 * token of a container stays nobody's, and the rest of the listener's rules hold. */
static void
tags_are_recorded(void **state)
{
    (void)state;
    static const struct {
        const char *token;
        const char *want;
        const char *record; /* NULL: none */
    } rows[] = {
        {"container-dev-env", "200", "\"attempts\":1,\"wallet\":\"default\",\"subj"},
        {"container-7", "200", "\"attempts\":1,\"wallet\":\"default\",\"subj"},
        {"container-other", "200", "\"attempts\":1,\"tag\":\"other\",\"wallet\""},
        {"container-99", "200",
         "\"tag\":\"99\",\"wallet\":\"default\",\"subject\":"
         "\"container/dev-env\""},
        {"container-" TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN, "200",
         "\"tag\":\"" TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN "\","},
        {"container-" TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN "b", "401", NULL},
        {"container-", "401", NULL},
        {"container-a\\u0022", "401", NULL},
        {"container-a b", "401", NULL},
        {"container-\xc3\xa9", "401", NULL},
        {"Container-a", "401", NULL},
        {"sk-other", "401", NULL},
        {KEY, "401", NULL},
        {"container-other\r\nVia: 1.1 squid", "403", NULL},
    };
    struct bound bound = {.binding = NULL};
    rig_configure("\"container_tokens\":\"tag\"", &one_provider, 1, &one_model, 1);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        uint64_t before = mark();
        char token[256];
        (void)snprintf(token, sizeof token, "Authorization: Bearer %s\r\n", rows[i].token);
        bound_call(&bound, token, rows[i].want);
        bound_close(&bound);
        if (rows[i].record != NULL)
            want_journal(before, rows[i].record);
        else
            assert_true(mark() == before);
    }
    /* from outside a container, nothing has changed */
    struct reply reply;
    ask_with(&reply, CHAT, "container-dev-env", "application/json", BODY("openai/a"));
    step_until(reply_ended, &reply);
    step_until(all_settled, NULL);
    want_body(&reply, 401, "invalid_api_key");
    live_release(&bound.binding);
}

static void
nothing_is_left(struct worker *worker, struct fund *fund)
{
    (void)worker;
    fund_hear(fund, &(struct fund_word){.cap = 1000000000,
                                        .cap_spent = 1000000000,
                                        .cap_per = FUND_PER_HOUR,
                                        .status = FUND_EMPTY});
}

/* Its wallet caps all of its containers: what this one may spend is a budget of its own name, as if
 * it had a cap; a cap that comes with a new configuration holds what runs. */
static void
the_wallet_caps_each(void **state)
{
    (void)state;
    static const struct {
        const char *caps;
        int64_t granted; /* cumulative */
        int64_t spent;   /* of the budget, in all */
    } rows[] = {
        {"", 0, 0},
        {",\"capped_wallets\":[\"other\"]", 0, 0},
        {",\"capped_wallets\":[\"default\"]", 1000000000, 20},
        {",\"capped_wallets\":[\"default\"]", 1000000001, 40},
        {",\"containers\":[{\"name\":\"dev-env\",\"capped\":true}]", 1000000002, 60},
        {",\"containers\":[{\"name\":\"dev-env\",\"models\":[\"*\"]}],"
         "\"capped_wallets\":[\"default\",\"other\"]",
         1000000003, 80},
        {"", 1000000004, 80},
    };
    struct bound bound = {.binding = NULL};
    struct fund *budget = funds_get_budget(&rig.funds, "container", STR("dev-env"));
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        rig_more = rows[i].caps;
        rig_configure("\"body_bytes_max\":100000", &one_provider, 1, &one_model, 1);
        rig_more = "";
        if (rows[i].granted > 0)
            fund_grant(budget, rows[i].granted, FUND_OK);
        bound_call(&bound, OWN, "200");
        bound_close(&bound);
        assert_int_equal(atomic_load(&budget->spent), rows[i].spent);
        assert_int_equal(atomic_load(&budget->held), 0);
    }
    assert_ptr_equal(atomic_load(&budget->payer), wallet());
    rig_more = ",\"capped_wallets\":[\"default\"]";
    rig_configure("\"body_bytes_max\":100000", &one_provider, 1, &one_model, 1);
    rig_more = "";
    (void)fund_take_all(budget);
    rig.worker.want_funds = nothing_is_left;
    bound_call(&bound, OWN, "402");
    assert_true(bound_wait(&bound, "Container 'dev-env' may spend $1.00 an hour"));
    bound_close(&bound);
    live_release(&bound.binding);
}

/* worker_revoke as the node's task does it. */
static void
revoke_it(struct bound *bound)
{
    struct live_binding *revoked = live_revoke(&rig.live, bound->binding->binding.incarnation);
    assert_ptr_equal(revoked, bound->binding);
    assert_int_equal(worker_revoke(&rig.worker, revoked), 1);
    live_release(&revoked);
}

static void
revoked_stream_over_http1(void **state)
{
    (void)state;
    static const struct {
        const char *path;
        const char *body;
        const char *want;
    } rows[] = {
        {CHAT, STREAM_BODY("openai/a"), "data: {\"error\":"},
        {"/v1/messages",
         "{\"model\":\"openai/a\",\"stream\":true,\"max_tokens\":9,"
         "\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]}",
         "event: error\ndata: {\"type\":\"error\""},
    };
    rig.steps[0] = (struct upstream_step){200, SSE, CHUNK("{\"content\":\"one\"}"), false, true};
    rig.step_count = 1;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct bound bound = {.binding = NULL};
        char request[1024];
        uint64_t before = mark();
        bound_open(&bound);
        (void)snprintf(request, sizeof request,
                       "POST %s HTTP/1.1\r\n" LOCAL OWN
                       "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
                       rows[i].path, strlen(rows[i].body), rows[i].body);
        bound_say(&bound, request, strlen(request));
        assert_true(bound_wait(&bound, "one"));
        revoke_it(&bound);
        if (!bound_wait(&bound, rows[i].want))
            fail_msg("%s: no %s in %s", rows[i].path, rows[i].want, buf_cstr(&bound.seen));
        assert_true(str_find(buf_str(&bound.seen), STR("[DONE]")) == SIZE_MAX);
        assert_true(str_find(buf_str(&bound.seen), STR("message_stop")) == SIZE_MAX);
        want_journal(before, "\"outcome\":\"revoked\"");
        /* the connection stays; whoever it was is nobody now */
        bound.seen.len = 0;
        bound_say(&bound, "GET /v1/models HTTP/1.1\r\n" LOCAL "\r\n",
                  strlen("GET /v1/models HTTP/1.1\r\n" LOCAL "\r\n"));
        assert_true(bound_wait(&bound, "HTTP/1.1 401 "));
        bound_close(&bound);
        live_drop(&rig.live, bound.binding->binding.incarnation, false);
        live_release(&bound.binding);
    }
}

/* ---- HTTP/2, by hand ------------------------------------------------------------------------- */

static void
put_frame(struct buf *out, uint8_t type, uint8_t flags, uint32_t stream, struct str payload)
{
    const uint8_t head[] = {(uint8_t)(payload.len >> 16),
                            (uint8_t)(payload.len >> 8),
                            (uint8_t)payload.len,
                            type,
                            flags,
                            0,
                            0,
                            0,
                            (uint8_t)stream};
    assert_int_equal(buf_put(out, (const char *)head, sizeof head), 0);
    assert_int_equal(buf_put_str(out, payload), 0);
}

/* A literal field without indexing; name and value below 127 bytes. */
static void
put_field(struct buf *out, const char *name, const char *value)
{
    buf_put_byte(out, 0);
    buf_put_byte(out, (char)strlen(name));
    (void)buf_put_str(out, str_from(name));
    buf_put_byte(out, (char)strlen(value));
    (void)buf_put_str(out, str_from(value));
}

/* What came on stream 1: its data, and whether END_STREAM or RST_STREAM ended it. */
struct h2_seen {
    struct buf data;
    bool end_stream;
    bool reset;
};

static void
h2_walk(struct str bytes, struct h2_seen *seen)
{
    while (bytes.len >= 9) {
        const uint8_t *head = (const uint8_t *)bytes.ptr;
        size_t len = (size_t)head[0] << 16 | (size_t)head[1] << 8 | head[2];
        if (bytes.len < 9 + len)
            return;
        if (head[8] == 1 && head[3] == 0)
            (void)buf_put(&seen->data, bytes.ptr + 9, len);
        if (head[8] == 1 && head[3] <= 1 && (head[4] & 1) != 0)
            seen->end_stream = true;
        if (head[8] == 1 && head[3] == 3)
            seen->reset = true;
        bytes = str_skip(bytes, 9 + len);
    }
}

static void
revoked_stream_over_http2(void **state)
{
    (void)state;
    struct bound bound = {.binding = NULL};
    struct buf out;
    struct buf fields;
    struct h2_seen seen = {.reset = false};
    rig.steps[0] = (struct upstream_step){200, SSE, CHUNK("{\"content\":\"one\"}"), false, true};
    rig.step_count = 1;
    bound_open(&bound);
    buf_init(&out, 8192);
    buf_init(&fields, 4096);
    buf_init(&seen.data, 1u << 20);
    put_field(&fields, ":method", "POST");
    put_field(&fields, ":scheme", "http");
    put_field(&fields, ":path", CHAT);
    put_field(&fields, ":authority", "127.0.0.1:4180");
    put_field(&fields, "content-type", "application/json");
    (void)buf_put_str(&out, STR("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"));
    put_frame(&out, 4, 0, 0, STR_EMPTY);                    /* SETTINGS */
    put_frame(&out, 1, 4, 1, buf_str(&fields));             /* HEADERS, END_HEADERS */
    put_frame(&out, 0, 1, 1, STR(STREAM_BODY("openai/a"))); /* DATA, END_STREAM */
    bound_say(&bound, out.ptr, out.len);
    assert_true(bound_wait(&bound, "one"));
    revoke_it(&bound);
    uint64_t end = clock_mono_ms() + DEADLINE_MS;
    while (!seen.reset && !seen.end_stream && clock_mono_ms() < end && !bound.closed) {
        bound_read(&bound);
        seen.data.len = 0;
        h2_walk(buf_str(&bound.seen), &seen);
    }
    assert_true(seen.reset);
    assert_false(seen.end_stream);
    assert_true(str_find(buf_str(&seen.data), STR("data: {\"error\":")) != SIZE_MAX);
    bound_close(&bound);
    buf_fini(&out);
    buf_fini(&fields);
    buf_fini(&seen.data);
    live_release(&bound.binding);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(who_is_refused, rig_open, rig_close),
        cmocka_unit_test_setup_teardown(who_is_not_known_yet, rig_open, rig_close),
        cmocka_unit_test_setup_teardown(tags_are_recorded, rig_open, rig_close),
        cmocka_unit_test_setup_teardown(the_wallet_caps_each, rig_open, rig_close),
        cmocka_unit_test_setup_teardown(revoked_stream_over_http1, rig_open, rig_close),
        cmocka_unit_test_setup_teardown(revoked_stream_over_http2, rig_open, rig_close),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
