/* SPDX-License-Identifier: MIT
 * front_test_rig.h - caller, data plane and provider on one loop, for the tests of the front.
 * Floor: test.
 * Owns: one static rig.
 * Invariant: rig_close finds no open request and no held money. */
#ifndef BERTH_DATAPLANE_FRONT_FRONT_TEST_RIG_H
#define BERTH_DATAPLANE_FRONT_FRONT_TEST_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "dataplane/front/front.h"
#include "dataplane/pipeline/exchange.h"
#include "lib/base/clock.h"

#define KEY "sk-bth-test"
#define STEP_MS 20
#define DEADLINE_MS 5000

struct upstream_step { /* how the fake provider answers the next request */
    unsigned status;
    const char *type;
    const char *body;
    bool cut;  /* abort after the body */
    bool hang; /* head and body, then silence */
};

struct rig {
    struct loop *loop;
    struct funds funds;
    struct live live;
    struct metrics *metrics;
    struct trust trust;
    struct worker worker;
    struct http_server *front;
    struct http_server *provider;
    struct http_client *client;
    struct http_origin *origin;
    int front_fd;
    int provider_fd;
    char dir[64];
    struct upstream_step steps[4];
    size_t step_count;
    size_t step_at;
    const char *coding; /* content-encoding of the answers; NULL = none */
    size_t coded_bytes; /* of their bodies; 0 = C strings */
    struct buf seen;    /* last body that the provider got */
    char seen_target[128];
    char seen_auth[256];
    char seen_date[24];    /* x-amz-date */
    char seen_all[512];    /* "METHOD target\n" of each call since it was cleared */
    char seen_codings[32]; /* content-encoding, accept-encoding */
    char seen_accepts[32];
    char seen_length[24]; /* content-length */
    bool streams;         /* bodies are seen as they come, and while `deaf` they are not */
    bool deaf;
    bool early; /* answered when the head is here */
    struct http_stream *talking;
    struct http_stream *hanging;
    uint32_t provider_closed;
    uint32_t completes; /* whole requests that it got */
};
static UNUSED struct rig rig;

/* ---- the provider ---------------------------------------------------------------------------- */

static UNUSED void
provider_request(struct http_stream *stream, const struct http_head *head)
{
    struct str auth = http_field_get(head, STR("authorization"));
    (void)snprintf(rig.seen_target, sizeof(rig.seen_target), "%.*s", STR_ARG(head->target));
    size_t at = strlen(rig.seen_all);
    (void)snprintf(rig.seen_all + at, sizeof(rig.seen_all) - at, "%.*s %.*s\n",
                   STR_ARG(head->method), STR_ARG(head->target));
    (void)snprintf(rig.seen_auth, sizeof(rig.seen_auth), "%.*s", STR_ARG(auth));
    (void)snprintf(rig.seen_date, sizeof(rig.seen_date), "%.*s",
                   STR_ARG(http_field_get(head, STR("x-amz-date"))));
    (void)snprintf(rig.seen_codings, sizeof(rig.seen_codings), "%.*s",
                   STR_ARG(http_field_get(head, STR("content-encoding"))));
    (void)snprintf(rig.seen_accepts, sizeof(rig.seen_accepts), "%.*s",
                   STR_ARG(http_field_get(head, STR("accept-encoding"))));
    (void)snprintf(rig.seen_length, sizeof(rig.seen_length), "%llu",
                   (unsigned long long)head->content_length);
    if (!rig.streams) {
        http_stream_collect(stream, 1u << 24);
        return;
    }
    rig.seen.len = 0;
    rig.talking = stream;
    http_stream_pause(stream, rig.deaf);
    const struct upstream_step *step = &rig.steps[0];
    if (rig.early && !step->hang) {
        http_stream_answer(stream, step->status, NULL, 0, str_from(step->body));
    } else if (rig.early) { /* and there is more to come */
        const struct http_field type = {STR("content-type"), str_from(step->type)};
        http_stream_respond(stream, step->status, &type, 1, HTTP_LENGTH_UNKNOWN);
        (void)http_stream_write(stream, str_from(step->body));
    }
}

static UNUSED void
provider_body(struct http_stream *stream, struct str bytes)
{
    (void)stream;
    (void)buf_put_str(&rig.seen, bytes);
}

static UNUSED void
provider_complete(struct http_stream *stream)
{
    const struct upstream_step *step = &rig.steps[MIN(rig.step_at, rig.step_count - 1)];
    rig.step_at++;
    rig.completes++;
    if (!rig.streams) {
        rig.seen.len = 0;
        (void)buf_put_str(&rig.seen, http_stream_body(stream));
    }
    const struct http_field fields[] = {
        {STR("content-type"), str_from(step->type)},
        {STR("content-encoding"), str_from(rig.coding != NULL ? rig.coding : "")}};
    size_t field_count = rig.coding != NULL ? 2 : 1;
    struct str body =
        rig.coded_bytes > 0 ? str_make(step->body, rig.coded_bytes) : str_from(step->body);
    if (step->cut || step->hang) {
        http_stream_respond(stream, step->status, fields, field_count, HTTP_LENGTH_UNKNOWN);
        (void)http_stream_write_now(stream, body);
        if (step->cut)
            http_stream_abort(stream);
        else
            rig.hanging = stream;
        return;
    }
    http_stream_answer(stream, step->status, fields, field_count, body);
}

static UNUSED void
provider_closed(struct http_stream *stream, enum http_close_reason reason)
{
    (void)reason;
    if (rig.hanging == stream)
        rig.hanging = NULL;
    if (rig.talking == stream)
        rig.talking = NULL;
    rig.provider_closed++;
}

static const struct http_handler provider_handler = {.request = provider_request,
                                                     .body = provider_body,
                                                     .complete = provider_complete,
                                                     .closed = provider_closed};

/* ---- the caller ------------------------------------------------------------------------------ */

struct reply {
    struct http_call *call;
    struct str segment;
    unsigned status;
    struct buf body;
    char cost[40];
    char dropped[64];
    bool ended;
    bool failed;
};

static UNUSED void
reply_head(struct http_call *call, const struct http_head *head)
{
    struct reply *reply = http_call_user(call);
    struct str cost = http_field_get(head, STR("x-berth-cost"));
    reply->status = head->status;
    (void)snprintf(reply->cost, sizeof(reply->cost), "%.*s", STR_ARG(cost));
    struct str dropped = http_field_get(head, STR("x-berth-dropped"));
    (void)snprintf(reply->dropped, sizeof(reply->dropped), "%.*s", STR_ARG(dropped));
}
static UNUSED void
reply_body(struct http_call *call, struct str bytes, bool last)
{
    struct reply *reply = http_call_user(call);
    (void)last;
    (void)buf_put_str(&reply->body, bytes);
}
static UNUSED void
reply_done(struct http_call *call)
{
    struct reply *reply = http_call_user(call);
    reply->ended = true;
}
static UNUSED void
reply_failed(struct http_call *call, int code, enum http_phase phase, const char *text)
{
    struct reply *reply = http_call_user(call);
    (void)code;
    (void)phase;
    (void)text;
    reply->ended = true;
    reply->failed = true;
}
static const struct http_call_ops reply_ops = {
    .head = reply_head, .body = reply_body, .done = reply_done, .failed = reply_failed};

static UNUSED void
ask_call(struct reply *reply, const struct http_call_ops *ops, const char *path, struct str body,
         const struct http_field *fields, size_t field_count)
{
    memset(reply, 0, sizeof(*reply));
    buf_init(&reply->body, 1u << 24);
    reply->segment = body;
    struct http_call_conf conf = {.ops = ops,
                                  .user = reply,
                                  .method = STR("POST"),
                                  .target = str_from(path),
                                  .fields = fields,
                                  .field_count = field_count,
                                  .segments = &reply->segment,
                                  .segment_count = 1};
    assert_int_equal(http_call_start(rig.origin, &conf, &reply->call), 0);
}

static UNUSED void
ask_with(struct reply *reply, const char *path, const char *bearer, const char *type,
         const char *body)
{
    char auth[160];
    (void)snprintf(auth, sizeof(auth), "Bearer %s", bearer);
    const struct http_field fields[] = {{STR("authorization"), str_from(auth)},
                                        {STR("content-type"), str_from(type)}};
    ask_call(reply, &reply_ops, path, str_from(body), fields, ARRAY_LEN(fields));
}

static UNUSED void
step_until(bool (*done)(void *arg), void *arg)
{
    uint64_t end = clock_mono_ms() + DEADLINE_MS;
    while (!done(arg)) {
        if (clock_mono_ms() > end)
            fail_msg("nothing happened within %d ms", DEADLINE_MS);
        loop_step(rig.loop, STEP_MS);
    }
}
static UNUSED bool
reply_ended(void *arg)
{
    return ((struct reply *)arg)->ended;
}
static UNUSED bool
all_settled(void *arg)
{
    (void)arg;
    return list_empty(&rig.worker.exchanges);
}

static UNUSED void
ask(struct reply *reply, const char *path, const char *body)
{
    ask_with(reply, path, KEY, "application/json", body);
    step_until(reply_ended, reply);
    step_until(all_settled, NULL);
}

static UNUSED void
want_body(struct reply *reply, unsigned status, const char *part)
{
    if (reply->status != status || str_find(buf_str(&reply->body), str_from(part)) == SIZE_MAX)
        fail_msg("wanted %u and '%s', got %u: %s", status, part, reply->status,
                 buf_cstr(&reply->body));
    buf_fini(&reply->body);
}

static UNUSED void
provider_says(unsigned status, const char *type, const char *body)
{
    rig.steps[0] = (struct upstream_step){.status = status, .type = type, .body = body};
    rig.step_count = 1;
    rig.step_at = 0;
}

static UNUSED struct fund *
wallet(void)
{
    return funds_get(&rig.funds, STR("default"));
}

/* Outcomes of the journal since `after`, as text. */
static UNUSED void
want_journal(uint64_t after, const char *part)
{
    struct buf out;
    size_t count = 0;
    uint64_t last = 0;
    buf_init(&out, 1u << 24);
    journal_commit(rig.worker.journal);
    assert_int_equal(journal_read(rig.worker.journal, after, 100, 1u << 20, &out, &count, &last),
                     0);
    if (str_find(buf_str(&out), str_from(part)) == SIZE_MAX)
        fail_msg("wanted '%s' in the journal, got: %s", part, buf_cstr(&out));
    assert_int_equal(count, 1);
    buf_fini(&out);
}

static UNUSED uint64_t
mark(void)
{
    journal_commit(rig.worker.journal);
    return journal_last(rig.worker.journal);
}

/* One call of a table: what the provider says to it, what its caller gets to read, what the
 * provider got (target and body; target NULL: nothing, and nothing is paid; body NULL: any), what
 * is paid. */
struct rig_row {
    const char *name;
    const char *path;
    const char *body;
    const char *says;
    unsigned want_status;
    const char *want;
    const char *want_target;
    const char *want_seen;
    const char *want_charge;
};

static UNUSED void
rig_walk(const struct rig_row *row, const char *type)
{
    struct reply reply;
    uint64_t before = mark();
    print_message("%s\n", row->name);
    rig.seen.len = 0;
    rig.seen_target[0] = '\0';
    provider_says(200, type, row->says);
    ask(&reply, row->path, row->body);
    want_body(&reply, row->want_status, row->want);
    if (row->want_target == NULL) {
        assert_int_equal(rig.seen.len, 0);
        return;
    }
    assert_string_equal(rig.seen_target, row->want_target);
    if (row->want_seen != NULL)
        assert_string_equal(buf_cstr(&rig.seen), row->want_seen);
    want_journal(before, row->want_charge);
}

/* ---- rig ------------------------------------------------------------------------------------- */

static unsigned wishes; /* for funds */

static UNUSED void
count_wishes(struct worker *worker, struct fund *fund)
{
    (void)worker;
    (void)fund;
    wishes++;
}

static UNUSED bool
provider_hangs(void *arg)
{
    (void)arg;
    return rig.hanging != NULL;
}

static UNUSED int
listen_any(int *ret_fd)
{
    struct sock_addr addr;
    socklen_t len = sizeof(addr.u);
    int rc = sock_addr_parse(STR("127.0.0.1:0"), &addr, NULL);
    if (rc == 0)
        rc = sock_listen(&addr, 64, false, 0, ret_fd, NULL);
    if (rc == 0 && getsockname(*ret_fd, &addr.u.any, &len) != 0)
        rc = -1;
    return rc == 0 ? ntohs(addr.u.in4.sin_port) : rc;
}

static UNUSED void
rig_config(int provider_port)
{
    char text[4096];
    uint8_t hash[SHA256_BYTES];
    char hex[2 * SHA256_BYTES + 1];
    digest_sha256(STR(KEY), hash);
    hex_encode(hash, sizeof(hash), hex);
    (void)snprintf(
        text, sizeof(text),
        "{\"version\":1,\"settings\":{\"markup_bps\":500,\"ttft_timeout_ms\":300,"
        "\"stall_timeout_ms\":300},\"providers\":["
        "{\"name\":\"openai\",\"dialect\":\"openai\",\"base_url\":\"http://127.0.0.1:%d/v1\","
        "\"allow_private\":true,\"key\":\"sk-provider-secret\"},"
        "{\"name\":\"anthropic\",\"dialect\":\"anthropic\",\"base_url\":\"http://127.0.0.1:%d\","
        "\"allow_private\":true,\"key\":\"sk-ant-secret\"}],\"models\":["
        "{\"id\":\"openai/a\",\"provider\":\"openai\",\"upstream\":\"up-a\",\"max_output\":1000,"
        "\"price\":{\"version\":1,\"input\":\"1000\",\"output\":\"2000\"}},"
        "{\"id\":\"openai/b\",\"provider\":\"openai\",\"upstream\":\"up-b\",\"max_output\":1000,"
        "\"price\":{\"version\":1,\"input\":\"1000\",\"output\":\"2000\"}},"
        "{\"id\":\"openai/unpriced\",\"provider\":\"openai\",\"upstream\":\"u\"},"
        "{\"id\":\"openai/dear\",\"provider\":\"openai\",\"upstream\":\"d\",\"max_output\":1000,"
        "\"price\":{\"version\":1,\"input\":\"1000000\",\"output\":\"9000000000000\"}},"
        "{\"id\":\"anthropic/"
        "c\",\"provider\":\"anthropic\",\"upstream\":\"up-c\",\"max_output\":1000,"
        "\"price\":{\"version\":1,\"input\":\"1000\",\"output\":\"2000\"}}],"
        "\"routes\":[{\"name\":\"both\",\"targets\":[\"openai/a\",\"openai/b\"]}],"
        "\"keys\":[{\"name\":\"t\",\"hash\":\"%s\",\"wallet\":\"default\"}]}",
        provider_port, provider_port, hex);
    struct json_doc doc;
    struct err err = {0};
    struct config *config = NULL;
    json_init(&doc);
    assert_int_equal(json_scan(&doc, str_from(text), NULL, &err), 0);
    if (config_parse(&doc, 0, 1, &rig.funds, &config, &err) != 0)
        fail_msg("%s", err.text);
    assert_int_equal(worker_set_config(&rig.worker, config, &err), 0);
    json_fini(&doc);
}

/* Members of the key's row in the next configuration, and of the document: caps. */
static const char *rig_key_more = "";
static const char *rig_provider_key = "sk-provider-secret";
static const char *rig_more = "";

/* Another configuration: providers at the rig's address, models as JSON, no markup, money. */
struct rig_provider {
    const char *name;
    const char *dialect;
    const char *path;
};
static UNUSED void
rig_configure(const char *settings, const struct rig_provider *providers, size_t provider_count,
              const char *const *models, size_t model_count)
{
    struct buf text;
    char hex[2 * SHA256_BYTES + 1];
    uint8_t hash[SHA256_BYTES];
    struct json_doc doc;
    struct err err = {0};
    struct config *config = NULL;
    int port = (int)rig.worker.config->providers[0].base.port;
    digest_sha256(STR(KEY), hash);
    hex_encode(hash, sizeof(hash), hex);
    buf_init(&text, 1u << 20);
    buf_printf(&text, "{\"version\":1,\"settings\":{\"markup_bps\":0,%s},\"providers\":[",
               settings);
    for (size_t i = 0; i < provider_count; i++) {
        buf_printf(&text,
                   "%s{\"name\":\"%s\",\"dialect\":\"%s\",\"base_url\":\"http://127.0.0.1:%d%s\","
                   "\"allow_private\":true,\"key\":\"%s\"}",
                   i == 0 ? "" : ",", providers[i].name, providers[i].dialect, port,
                   providers[i].path, rig_provider_key);
    }
    for (size_t i = 0; i < model_count; i++)
        buf_printf(&text, "%s%s", i == 0 ? "],\"models\":[" : ",", models[i]);
    buf_printf(&text, "],\"keys\":[{\"name\":\"t\",\"hash\":\"%s\",\"wallet\":\"default\"%s}]%s}",
               hex, rig_key_more, rig_more);
    json_init(&doc);
    assert_int_equal(json_scan(&doc, buf_str(&text), NULL, &err), 0);
    if (config_parse(&doc, 0, 2, &rig.funds, &config, &err) != 0)
        fail_msg("%s", err.text);
    assert_int_equal(worker_set_config(&rig.worker, config, &err), 0);
    fund_grant(wallet(), 100000000000, FUND_OK);
    json_fini(&doc);
    buf_fini(&text);
}

static UNUSED int
rig_open(void **state)
{
    (void)state;
    memset(&rig, 0, sizeof(rig));
    struct err err = {0};
    buf_init(&rig.seen, 1u << 26);
    (void)snprintf(rig.dir, sizeof(rig.dir), "/tmp/berth-front-XXXXXX");
    assert_non_null(mkdtemp(rig.dir));
    funds_init(&rig.funds);
    trust_init(&rig.trust);
    assert_int_equal(live_init(&rig.live, 1, &rig.funds), 0);
    atomic_store(&rig.live.valid_until_ms, UINT64_MAX);
    fund_grant(wallet(), 1000000000, FUND_OK);
    assert_int_equal(metrics_new(worker_metric_defs, DATAPLANE_METRIC_COUNT, 100, &rig.metrics), 0);
    assert_int_equal(loop_new(&rig.loop, &err), 0);
    assert_int_equal(
        worker_init(&rig.worker, 0, rig.loop, &rig.live, &rig.funds, rig.metrics, &rig.trust, &err),
        0);
    rig.worker.want_funds = count_wishes;
    rig.worker.spool.dir = rig.dir;
    struct journal_conf journal = {.dir = rig.dir, .epoch = 1, .segment_count_max = 4};
    assert_int_equal(journal_open(&journal, &rig.worker.journal, &err), 0);
    struct http_server_conf front = {.loop = rig.loop,
                                     .handler = &front_handler,
                                     .user = &rig.worker,
                                     .body_bytes_max = 1u << 26};
    struct http_server_conf provider = {
        .loop = rig.loop, .handler = &provider_handler, .body_bytes_max = 1u << 26};
    assert_int_equal(http_server_new(&front, &rig.front, &err), 0);
    assert_int_equal(http_server_new(&provider, &rig.provider, &err), 0);
    int front_port = listen_any(&rig.front_fd);
    int provider_port = listen_any(&rig.provider_fd);
    assert_true(front_port > 0 && provider_port > 0);
    assert_int_equal(http_server_listen(rig.front, rig.front_fd), 0);
    assert_int_equal(http_server_listen(rig.provider, rig.provider_fd), 0);
    rig_config(provider_port);
    assert_int_equal(http_client_new(rig.loop, &rig.client, &err), 0);
    struct http_origin_conf origin = {.host = STR("127.0.0.1"), .port = (uint16_t)front_port};
    assert_int_equal(http_origin_acquire(rig.client, &origin, &rig.origin, &err), 0);
    return 0;
}

static UNUSED int
rig_close(void **state)
{
    (void)state;
    assert_true(list_empty(&rig.worker.exchanges));
    assert_int_equal(atomic_load(&wallet()->held), 0);
    http_origin_release(&rig.origin);
    http_client_free(&rig.client);
    http_server_free(&rig.front);
    http_server_free(&rig.provider);
    loop_step(rig.loop, 0);
    worker_fini(&rig.worker);
    loop_free(&rig.loop);
    metrics_free(&rig.metrics);
    live_fini(&rig.live);
    funds_fini(&rig.funds);
    trust_fini(&rig.trust);
    buf_fini(&rig.seen);
    (void)close(rig.front_fd);
    (void)close(rig.provider_fd);
    char command[128];
    (void)snprintf(command, sizeof(command), "%s/0000000000000001-0-00000000.journal", rig.dir);
    (void)unlink(command);
    (void)rmdir(rig.dir);
    return 0;
}

/* ---- what callers and providers say */

#define CHAT "/v1/chat/completions"
#define BODY(model)       \
    "{\"model\":\"" model \
    "\",\"x_unknown\":[1, 2],\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]}"
#define STREAM_BODY(model) \
    "{\"model\":\"" model  \
    "\",\"stream\":true,\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]}"
#define ANSWER                                                                                     \
    "{\"id\":\"c1\",\"object\":\"chat.completion\",\"x_new\":{\"a\":1},\"choices\":[{\"index\":0," \
    "\"message\":{\"role\":\"assistant\",\"content\":\"yo\"},\"finish_reason\":\"stop\"}],"        \
    "\"usage\":{\"prompt_tokens\":10,\"completion_tokens\":5,\"total_tokens\":15}}"
#define CHUNK(delta)                                                                       \
    "data: {\"id\":\"c1\",\"object\":\"chat.completion.chunk\",\"choices\":[{\"index\":0," \
    "\"delta\":" delta ",\"finish_reason\":null}]}\n\n"
#define CHUNK_STOP                                                                         \
    "data: {\"id\":\"c1\",\"object\":\"chat.completion.chunk\",\"choices\":[{\"index\":0," \
    "\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n"
#define CHUNK_USAGE                                                             \
    "data: {\"id\":\"c1\",\"object\":\"chat.completion.chunk\",\"choices\":[]," \
    "\"usage\":{\"prompt_tokens\":10,\"completion_tokens\":5,\"total_tokens\":15}}\n\n"
#define CHUNK_DONE "data: [DONE]\n\n"
#define SSE "text/event-stream"

#endif
