/* SPDX-License-Identifier: MIT
 * sim_test.c - the simulator over real sockets: dialects, faults, and the bill after each.
 * Floor: tools/sim, test; server and client share one loop.
 * Owns: nothing.
 * Invariant: what a client saw agrees with what the bill says was delivered. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/http/client.h"
#include "tools/sim/sim.h"
#include "tools/sim/test_int.h"

#define DEADLINE_MS 5000u

struct rig {
    struct sim sim;
    struct sim_thread thread;
    struct http_client *client;
    struct http_origin *origin;
    int listen_fd;
};

struct seen {
    unsigned status;
    struct buf body;
    char retry_after[32];
    int dones;
    int code;
    int pieces;
};

static void
seen_head(struct http_call *call, const struct http_head *head)
{
    struct seen *seen = http_call_user(call);
    seen->status = head->status;
    (void)!str_copy(seen->retry_after, sizeof(seen->retry_after),
                    http_field_get(head, STR("retry-after")));
}

static void
seen_body(struct http_call *call, struct str bytes, bool last)
{
    struct seen *seen = http_call_user(call);
    (void)last;
    seen->pieces++;
    assert_int_equal(buf_put_str(&seen->body, bytes), 0);
}

static void
seen_done(struct http_call *call)
{
    ((struct seen *)http_call_user(call))->dones++;
}

static void
seen_failed(struct http_call *call, int code, enum http_phase phase, const char *text)
{
    (void)phase;
    (void)text;
    ((struct seen *)http_call_user(call))->code = code;
}

static const struct http_call_ops seen_ops = {
    .head = seen_head, .body = seen_body, .done = seen_done, .failed = seen_failed};

static void
rig_open(struct rig *rig, bool h2)
{
    struct err err = {0};
    struct sock_addr addr;
    *rig = (struct rig){.listen_fd = -1};
    rig->thread.sim = &rig->sim;
    json_init(&rig->thread.doc);
    assert_int_equal(bill_new(&rig->sim.bill, &err), 0);
    assert_int_equal(script_new(&rig->sim.script, &err), 0);
    assert_int_equal(loop_new(&rig->thread.loop, &err), 0);
    const struct http_server_conf conf = {
        .loop = rig->thread.loop, .handler = &sim_handler, .user = &rig->thread};
    assert_int_equal(http_server_new(&conf, &rig->thread.server, &err), 0);
    assert_int_equal(sock_addr_parse(STR("127.0.0.1:0"), &addr, &err), 0);
    assert_int_equal(sock_listen(&addr, 64, false, 0, &rig->listen_fd, &err), 0);
    addr.len = sizeof(addr.u);
    assert_int_equal(getsockname(rig->listen_fd, &addr.u.any, &addr.len), 0);
    assert_int_equal(http_server_listen(rig->thread.server, rig->listen_fd), 0);
    assert_int_equal(http_client_new(rig->thread.loop, &rig->client, &err), 0);
    const struct http_origin_conf origin = {.host = STR("127.0.0.1"),
                                            .port = ntohs(addr.u.in4.sin_port),
                                            .protocol = h2 ? HTTP_2 : HTTP_1_1};
    assert_int_equal(http_origin_acquire(rig->client, &origin, &rig->origin, &err), 0);
}

static void
rig_close(struct rig *rig)
{
    http_origin_release(&rig->origin);
    loop_step(rig->thread.loop, 0);
    http_client_free(&rig->client);
    http_server_free(&rig->thread.server);
    loop_free(&rig->thread.loop);
    json_fini(&rig->thread.doc);
    bill_free(&rig->sim.bill);
    script_free(&rig->sim.script);
    close(rig->listen_fd);
}

/* One request to its end, or until `enough` is in the body: then it is canceled. */
static void
rig_ask(struct rig *rig, const char *method, const char *target, const char *body,
        const char *enough, struct seen *seen)
{
    static const struct http_field fields[] = {{STR("x-request-id"), STR("req-7")}};
    struct str text = str_from(body);
    struct http_call *call = NULL;
    const struct http_call_conf conf = {.ops = &seen_ops,
                                        .user = seen,
                                        .method = str_from(method),
                                        .target = str_from(target),
                                        .fields = fields,
                                        .field_count = 1,
                                        .segments = &text,
                                        .segment_count = text.len > 0 ? 1 : 0};
    *seen = (struct seen){0};
    buf_init(&seen->body, 16u << 20);
    assert_int_equal(http_call_start(rig->origin, &conf, &call), 0);
    uint64_t end = clock_mono_ms() + DEADLINE_MS;
    while (seen->dones == 0 && seen->code == 0) {
        assert_true(clock_mono_ms() < end);
        loop_step(rig->thread.loop, 5);
        if (enough != NULL && strstr(buf_cstr(&seen->body), enough) != NULL)
            break;
    }
    if (seen->dones == 0 && seen->code == 0)
        http_call_cancel(&call);
    for (int i = 0; i < 10; i++)
        loop_step(rig->thread.loop, 0);
}

struct row {
    const char *name;
    const char *target;
    const char *body;
    const char *enough; /* cancel when this was seen */
    unsigned want_status;
    bool want_end; /* the reply ends cleanly */
    const char *want;
    const char *want_not;
    const char *want_bill;
};

#define CHAT "/v1/chat/completions"
#define MSGS "/v1/messages"
#define USER(text) "\"messages\":[{\"role\":\"user\",\"content\":\"" text "\"}]}"
#define OAI(text) "{\"model\":\"gpt-4o-mini\"," USER(text)
#define OAIS(text) "{\"model\":\"gpt-4o-mini\",\"stream\":true," USER(text)
#define OAIU(text)                                                                           \
    "{\"model\":\"gpt-4o-mini\",\"stream\":true,\"stream_options\":{\"include_usage\":true}" \
    "," USER(text)
#define ANT(text) "{\"model\":\"claude-haiku-4-5\",\"max_tokens\":99," USER(text)
#define ANTS(text) "{\"model\":\"claude-haiku-4-5\",\"max_tokens\":99,\"stream\":true," USER(text)

static const struct row rows[] = {
    {"chat", CHAT, OAI("[[sim: words=3]]"), NULL, 200, true, "\"completion_tokens\":3", NULL,
     "\"delivered\":\"complete\",\"prompt_tokens\":7,\"cached_tokens\":0,\"completion_tokens\":3"},
    {"chat stream", CHAT, OAIS("[[sim: words=3]]"), NULL, 200, true, "data: [DONE]\n\n",
     "prompt_tokens", "\"delivered\":\"complete\""},
    {"usage chunk", CHAT, OAIU("[[sim: words=3]]"), NULL, 200, true,
     "\"choices\":[],\"usage\":{\"prompt_tokens\":7,\"completion_tokens\":3,\"total_tokens\":10",
     NULL, "\"completion_tokens\":3"},
    {"cached and reasoning", CHAT, OAI("[[sim: words=3,cached=2,reasoning=5]]"), NULL, 200, true,
     "\"cached_tokens\":2", NULL,
     "\"cached_tokens\":2,\"completion_tokens\":8,\"reasoning_tokens\":5"},
    {"images by the piece, at the price of their size", "/v1/images/generations",
     "{\"model\":\"dall-e-3\",\"n\":2,\"size\":\"1792x1024\",\"prompt\":\"x\"}", NULL, 200, true,
     "\"url\":", "usage", "\"units\":2,\"cost_nano\":160000000"},
    {"images by tokens", "/v1/images/generations",
     "{\"model\":\"gpt-image-1\",\"quality\":\"low\",\"prompt\":\"four\"}", NULL, 200, true,
     "\"input_tokens_details\":{\"text_tokens\":1,\"image_tokens\":0}", NULL,
     "\"completion_tokens\":272,\"reasoning_tokens\":0,\"units\":0,\"cost_nano\":10885000"},
    {"speech, cut: the text was read all the same", "/v1/audio/speech",
     "{\"model\":\"tts-1\",\"input\":\"[[sim: cut_after_bytes=8]]\"}", NULL, 200, false, NULL, NULL,
     "\"delivered\":\"partial\",\"prompt_tokens\":0,\"cached_tokens\":0,"
     "\"completion_tokens\":0,\"reasoning_tokens\":0,\"units\":26,\"cost_nano\":390000"},
    {"speech refused", "/v1/audio/speech",
     "{\"model\":\"tts-1\",\"input\":\"[[sim: status=500]]\"}", NULL, 500, true,
     "simulated error 500", NULL, "\"cost_nano\":0"},
    {"moderation", "/v1/moderations",
     "{\"model\":\"omni-moderation-latest\",\"input\":[\"a\",\"b\"]}", NULL, 200, true,
     "\"flagged\":false", NULL, "\"cost_nano\":0"},
    {"a ranking", "/v2/rerank",
     "{\"model\":\"rerank-v3.5\",\"query\":\"q\",\"documents\":[\"a\",\"b\"]}", NULL, 200, true,
     "\"results\":[{\"index\":1,", NULL, "\"units\":1,\"cost_nano\":2000000"},
    {"messages", MSGS, ANT("[[sim: words=3]]"), NULL, 200, true, "\"stop_reason\":\"end_turn\"",
     NULL, "\"dialect\":\"anthropic\""},
    {"messages stream", MSGS, ANTS("[[sim: words=3]]"), NULL, 200, true,
     "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n", NULL,
     "\"delivered\":\"complete\""},
    {"429", CHAT, OAI("[[sim: status=429,retry_after=7]]"), NULL, 429, true, "rate_limit_error",
     NULL, "\"status\":429,\"delivered\":\"none\",\"prompt_tokens\":0"},
    {"529", MSGS, ANT("[[sim: status=529]]"), NULL, 529, true, "overloaded_error", NULL,
     "\"cost_nano\":0"},
    {"error event", MSGS, ANTS("[[sim: words=9,error_event_after=2]]"), NULL, 200, true,
     "event: error\n", "message_stop", "\"delivered\":\"partial\""},
    {"error event", CHAT, OAIS("[[sim: words=9,error_event_after=2]]"), NULL, 200, true,
     "data: {\"error\":", "[DONE]", "\"completion_tokens\":2"},
    {"no terminator", CHAT, OAIS("[[sim: words=2,close_without_done]]"), NULL, 200, true,
     "\"finish_reason\":\"stop\"", "[DONE]", "\"delivered\":\"partial\""},
    {"cut", CHAT, OAIS("[[sim: words=50,cut_after_bytes=1000]]"), NULL, 200, false, "role",
     "[DONE]", "\"delivered\":\"partial\""},
    {"cut of a whole answer", CHAT, OAI("[[sim: words=50,cut_after_bytes=100]]"), NULL, 200, false,
     "chatcmpl", "usage", "\"delivered\":\"none\""},
    {"stall, client leaves", CHAT, OAIS("[[sim: words=50,chunks=10,stall_after=2]]"), "delta", 200,
     false, "role", "[DONE]", "\"delivered\":\"partial\""},
    {"client leaves in a slow stream", CHAT, OAIS("[[sim: words=50,chunk_ms=1]]"),
     "\"content\":\" ", 200, false, "role", "[DONE]", "\"delivered\":\"partial\""},
    {"client leaves before the head", CHAT, OAI("[[sim: words=50,delay_ms=3000]]"), "", 0, false,
     NULL, NULL, "\"delivered\":\"none\",\"prompt_tokens\":0"},
    {"paced", CHAT, OAIS("[[sim: words=5,delay_ms=2,ttft_ms=2,chunk_ms=1]]"), NULL, 200, true,
     "[DONE]", NULL, "\"completion_tokens\":5"},
    {"split", CHAT, OAIS("[[sim: words=5,split=17]]"), NULL, 200, true, "[DONE]", NULL,
     "\"completion_tokens\":5"},
    {"lie: negative", CHAT, OAI("[[sim: words=5,lie_usage=negative]]"), NULL, 200, true,
     "\"completion_tokens\":-6", NULL, "\"completion_tokens\":5"},
    {"lie: missing", MSGS, ANTS("[[sim: words=5,lie_usage=missing]]"), NULL, 200, true,
     "message_stop", "usage", "\"completion_tokens\":5"},
    {"lie: cached", CHAT, OAI("[[sim: words=5,lie_usage=cached_gt_prompt]]"), NULL, 200, true,
     "\"cached_tokens\":101", NULL, "\"cached_tokens\":0"},
    {"large", CHAT, OAIS("[[sim: words=20000]]"), NULL, 200, true, "[DONE]", NULL,
     "\"completion_tokens\":20000"},
    {"unknown directive", CHAT, OAI("[[sim: wrods=1]]"), NULL, 400, true, "wrods", NULL,
     "\"status\":400"},
    {"embeddings", "/v1/embeddings",
     "{\"model\":\"text-embedding-3-small\",\"input\":\"abcd\",\"dimensions\":2,"
     "\"encoding_format\":\"base64\"}",
     NULL, 200, true, "\"embedding\":\"", NULL, "\"cost_nano\":80}"},
    {"count tokens", "/v1/messages/count_tokens", ANT("abcd"), NULL, 200, true,
     "{\"input_tokens\":4}", NULL, "\"cost_nano\":0}"},
    {"no such path", "/v1/nope", "{}", NULL, 404, true, "no such endpoint", NULL, "\"status\":404"},
};

static void
check_rows(bool h2)
{
    struct rig rig;
    rig_open(&rig, h2);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const struct row *row = &rows[i];
        struct seen seen;
        struct buf bill;
        print_message("  %s\n", row->name);
        bill_reset(rig.sim.bill);
        rig_ask(&rig, "POST", row->target, row->body, row->enough, &seen);
        assert_int_equal(seen.status, row->want_status);
        assert_int_equal(seen.dones, row->want_end ? 1 : 0);
        if (row->want != NULL)
            assert_non_null(strstr(buf_cstr(&seen.body), row->want));
        if (row->want_not != NULL)
            assert_null(strstr(buf_cstr(&seen.body), row->want_not));
        if (seen.status == 429)
            assert_string_equal(seen.retry_after, "7");
        buf_init(&bill, 1u << 20);
        uint64_t end = clock_mono_ms() + DEADLINE_MS;
        do { /* the server learns of a client's leaving a turn later */
            loop_step(rig.thread.loop, 1);
            bill.len = 0;
            assert_int_equal(bill_render(rig.sim.bill, false, &bill), 0);
            assert_true(clock_mono_ms() < end);
        } while (strstr(buf_cstr(&bill), "\"count\":1,") == NULL);
        if (strstr(buf_cstr(&bill), row->want_bill) == NULL)
            print_message("%s\n", buf_cstr(&bill));
        assert_non_null(strstr(buf_cstr(&bill), row->want_bill));
        assert_non_null(strstr(buf_cstr(&bill), "\"request_id\":\"req-7\""));
        buf_fini(&bill);
        buf_fini(&seen.body);
    }
    rig_close(&rig);
}

static void
test_h1(void **state)
{
    (void)state;
    check_rows(false);
}

static void
test_h2(void **state)
{
    (void)state;
    check_rows(true);
}

static void
test_control(void **state)
{
    struct rig rig;
    struct seen seen;
    (void)state;
    rig_open(&rig, false);
    rig_ask(&rig, "POST", "/sim/script", "- match: {nth: 1}\n  do: {status: 503}\n", NULL, &seen);
    assert_int_equal(seen.status, 200);
    buf_fini(&seen.body);
    for (unsigned i = 0; i < 2; i++) {
        rig_ask(&rig, "POST", CHAT, OAI("hi"), NULL, &seen);
        assert_int_equal(seen.status, i == 0 ? 503 : 200);
        buf_fini(&seen.body);
    }
    rig_ask(&rig, "POST", "/sim/script", "- do: {status: 1}\n  x: y\n", NULL, &seen);
    assert_int_equal(seen.status, 400);
    assert_non_null(strstr(buf_cstr(&seen.body), "line 1"));
    buf_fini(&seen.body);
    rig_ask(&rig, "GET", "/sim/bill?summary=1", "", NULL, &seen);
    assert_non_null(strstr(buf_cstr(&seen.body), "{\"count\":2,\"total_nano\":\""));
    assert_null(strstr(buf_cstr(&seen.body), "entries"));
    buf_fini(&seen.body);
    rig_ask(&rig, "POST", "/sim/reset", "", NULL, &seen);
    buf_fini(&seen.body);
    rig_ask(&rig, "GET", "/v1/models", "", NULL, &seen);
    assert_non_null(strstr(buf_cstr(&seen.body), "\"id\":\"gpt-4o-mini\""));
    buf_fini(&seen.body);
    rig_ask(&rig, "GET", "/sim/bill", "", NULL, &seen);
    assert_string_equal(buf_cstr(&seen.body), "{\"count\":0,\"total_nano\":\"0\",\"entries\":[]}");
    buf_fini(&seen.body);
    rig_close(&rig);
}

static void
test_key(void **state)
{
    struct rig rig;
    struct seen seen;
    (void)state;
    rig_open(&rig, false);
    rig.sim.key = "secret";
    rig_ask(&rig, "POST", MSGS, ANT("hi"), NULL, &seen);
    assert_int_equal(seen.status, 401);
    assert_string_equal(buf_cstr(&seen.body),
                        "{\"type\":\"error\",\"error\":{\"type\":\"authentication_error\","
                        "\"message\":\"invalid x-api-key\"}}");
    buf_fini(&seen.body);
    rig_close(&rig);
}

static void
test_replay(void **state)
{
    static const char recorded[] = "data: {\"a\":1}\n\ndata: [DONE]\n\n";
    struct rig rig;
    struct seen seen;
    char dir[] = "/tmp/berth-sim-test-XXXXXX";
    char path[64];
    (void)state;
    assert_non_null(mkdtemp(dir));
    (void)snprintf(path, sizeof(path), "%s/case.response.sse", dir);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(recorded, 1, sizeof(recorded) - 1, file), sizeof(recorded) - 1);
    assert_int_equal(fclose(file), 0);
    rig_open(&rig, false);
    rig.sim.replay_dir = dir;
    rig_ask(&rig, "POST", CHAT, "{\"model\":\"replay/case\"," USER("[[sim: split=3]]"), NULL,
            &seen);
    assert_string_equal(buf_cstr(&seen.body), recorded);
    assert_true(seen.pieces >= 5);
    buf_fini(&seen.body);
    rig_ask(&rig, "POST", CHAT, "{\"model\":\"replay/../case\"," USER("x"), NULL, &seen);
    assert_int_equal(seen.status, 404);
    buf_fini(&seen.body);
    rig_close(&rig);
    unlink(path);
    rmdir(dir);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_h1),  cmocka_unit_test(test_h2),     cmocka_unit_test(test_control),
        cmocka_unit_test(test_key), cmocka_unit_test(test_replay),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
