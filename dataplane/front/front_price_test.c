/* SPDX-License-Identifier: MIT
 * front_price_test.c - what calls cost, who is charged when somebody leaves, and who is told.
 * Floor: test.
 * Owns: nothing; see front_test_rig.h.
 * Invariant: the journal's charge is the tariff times the usage that holds, never above the hold.
 */
#include "dataplane/front/front_test_rig.h"

#include <sys/socket.h>

#include "lib/base/num.h"
#include "lib/net/sock.h"

/* $1 and $2 a billion tokens; past 100 prompt tokens ten times, as priority three times that. */
static int
price_open(void **state)
{
    int rc = rig_open(state);
    struct sock_addr addr;
    socklen_t len = sizeof(addr.u);
    assert_int_equal(getsockname(rig.provider_fd, &addr.u.any, &len), 0);
    int port = ntohs(addr.u.in4.sin_port);
    char hex[2 * SHA256_BYTES + 1];
    uint8_t hash[SHA256_BYTES];
    digest_sha256(STR(KEY), hash);
    hex_encode(hash, sizeof(hash), hex);
    char text[4096];
    (void)snprintf(
        text, sizeof(text),
        "{\"version\":1,\"settings\":{\"markup_bps\":0},\"providers\":["
        "{\"name\":\"openai\",\"dialect\":\"openai\",\"base_url\":\"http://127.0.0.1:%d/v1\","
        "\"allow_private\":true,\"key\":\"sk-provider-secret\"},"
        "{\"name\":\"anthropic\",\"dialect\":\"anthropic\",\"base_url\":\"http://127.0.0.1:%d\","
        "\"allow_private\":true,\"key\":\"sk-ant-secret\"}],\"models\":["
        "{\"id\":\"openai/a\",\"provider\":\"openai\",\"upstream\":\"up-a\",\"max_output\":1000,"
        "\"context\":5000,\"price\":{\"version\":3,\"input\":\"1000\",\"output\":\"2000\",\"rows\":"
        "["
        "{\"over\":100,\"input\":\"10000\",\"output\":\"20000\"},"
        "{\"service\":\"priority\",\"input\":\"3000\",\"output\":\"6000\"},"
        "{\"from\":4000000000,\"input\":\"9000\",\"output\":\"9000\"}]}},"
        "{\"id\":\"openai/boundless\",\"provider\":\"openai\",\"upstream\":\"b\",\"max_output\":"
        "4000000000,\"price\":{\"version\":1,\"output\":\"1000000000000000\"}},"
        "{\"id\":\"openai/free\",\"provider\":\"openai\",\"upstream\":\"f\",\"free\":true},"
        "{\"id\":\"anthropic/c\",\"provider\":\"anthropic\",\"upstream\":\"up-c\","
        "\"max_output\":1000,\"price\":{\"version\":1,\"input\":\"1000\",\"output\":\"2000\"}}],"
        "\"routes\":[{\"name\":\"drain\",\"on_leave\":\"drain\",\"targets\":[\"openai/a\"]},"
        "{\"name\":\"estimate\",\"on_leave\":\"estimate\",\"targets\":[\"anthropic/c\"]}],"
        "\"keys\":[{\"name\":\"t\",\"hash\":\"%s\",\"wallet\":\"default\"}]}",
        port, port, hex);
    struct json_doc doc;
    struct err err = {0};
    struct config *config = NULL;
    json_init(&doc);
    assert_int_equal(json_scan(&doc, str_from(text), NULL, &err), 0);
    if (config_parse(&doc, 0, 1, &rig.funds, &config, &err) != 0)
        fail_msg("%s", err.text);
    assert_int_equal(worker_set_config(&rig.worker, config, &err), 0);
    json_fini(&doc);
    return rc;
}

#define WITH_COST(extra)                                                            \
    "{\"model\":\"openai/a\",\"usage\":{\"include\":true}," extra "\"messages\":[{" \
    "\"role\":\"user\",\"content\":\"hi\"}]}"
#define ANSWER_USED(prompt, completion, more)                                               \
    "{\"id\":\"c1\",\"object\":\"chat.completion\"," more "\"choices\":[{\"index\":0,"      \
    "\"message\":{\"role\":\"assistant\",\"content\":\"yo\"},\"finish_reason\":\"stop\"}]," \
    "\"usage\":{\"prompt_tokens\":" prompt ",\"completion_tokens\":" completion "}}"

static void
cost_is_told_to_who_asks(void **state)
{
    (void)state;
    struct reply reply;
    uint64_t before = mark();
    provider_says(200, "application/json", ANSWER);
    ask(&reply, CHAT, WITH_COST(""));
    assert_true(str_find(buf_str(&rig.seen), STR("\"include\"")) == SIZE_MAX);
    assert_string_equal(reply.cost, "0.00000002");
    want_body(&reply, 200, "\"cost\":0.00000002,");
    want_journal(before, "\"charge\":\"20\",\"cost\":\"20\"");

    provider_says(200, SSE, CHUNK("{\"content\":\"yo\"}") CHUNK_STOP CHUNK_USAGE CHUNK_DONE);
    ask(&reply, CHAT, WITH_COST("\"stream\":true,"));
    assert_true(str_find(buf_str(&rig.seen), STR("\"include\":true")) == SIZE_MAX);
    assert_true(str_ends(buf_str(&reply.body), STR(CHUNK_DONE)));
    want_body(&reply, 200, "\"usage\":{\"cost\":0.00000002,\"prompt_tokens\":10,");

    /* another dialect, whole and streamed */
    provider_says(200, "application/json", ANSWER);
    ask(&reply, "/v1/messages", WITH_COST("\"max_tokens\":50,"));
    want_body(&reply, 200, "\"cost\":0.00000002,");
    provider_says(200, SSE, CHUNK("{\"content\":\"yo\"}") CHUNK_STOP CHUNK_USAGE CHUNK_DONE);
    ask(&reply, "/v1/messages", WITH_COST("\"max_tokens\":50,\"stream\":true,"));
    want_body(&reply, 200, "\"usage\":{\"cost\":0.00000002,\"input_tokens\":10,");

    /* who does not ask gets the provider's bytes */
    provider_says(200, "application/json", ANSWER);
    ask(&reply, CHAT, BODY("openai/a"));
    assert_string_equal(buf_cstr(&reply.body), ANSWER);
    buf_fini(&reply.body);
}

static void
row_of_the_tariff(void **state)
{
    (void)state;
    static const struct {
        const char *answer;
        const char *want[3];
    } rows[] = {
        {ANSWER_USED("100", "5", ""), {"\"charge\":\"110\"", "\"price_version\":3", "\"usage\""}},
        {ANSWER_USED("101", "5", ""),
         {"\"charge\":\"1110\"", "\"price_over\":100", "\"price_version\":3"}},
        {ANSWER_USED("100", "5", "\"service_tier\":\"priority\","),
         {"\"charge\":\"330\"", "\"service\":\"priority\"", "\"price_version\":3"}},
        {ANSWER_USED("100", "5", "\"service_tier\":\"flex\","), /* no price of its own */
         {"\"charge\":\"110\"", "\"service\":\"flex\"", "\"price_version\":3"}},
        {ANSWER_USED("100", "5", "\"service_tier\":\"default\","),
         {"\"charge\":\"110\"", "\"usage\"", "\"price_version\":3"}},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct reply reply;
        uint64_t before = mark();
        provider_says(200, "application/json", rows[i].answer);
        ask(&reply, CHAT, BODY("openai/a"));
        want_body(&reply, 200, "yo");
        for (size_t n = 0; n < ARRAY_LEN(rows[i].want); n++)
            want_journal(before, rows[i].want[n]);
    }
    struct reply reply;
    uint64_t before = mark();
    provider_says(200, SSE,
                  "data: {\"service_tier\":\"priority\",\"choices\":[{\"index\":0,\"delta\":{"
                  "\"content\":\"x\"}}]}\n\n" CHUNK_STOP CHUNK_USAGE CHUNK_DONE);
    ask(&reply, CHAT, STREAM_BODY("openai/a"));
    want_body(&reply, 200, "[DONE]");
    want_journal(before, "\"charge\":\"60\"");
}

#define ANSWER_CACHED                                                                   \
    "{\"choices\":[{\"message\":{\"content\":\"yo\"}}],\"usage\":{\"prompt_tokens\":5," \
    "\"completion_tokens\":1,\"prompt_tokens_details\":{\"cached_tokens\":6}}}"

/* The most that BODY can cost: its bytes and 64 at 10,000 (over 100) and 1,000 answer tokens at
 * 20,000 pico; priority is cheaper than that. */
static void
lies_cost_no_more_than_was_held(void **state)
{
    (void)state;
    static const char *const answers[] = {
        ANSWER_USED("1000000000", "1000000000", ""),
        ANSWER_USED("9223372036854775808", "99999999999999999999999999", ""),
        ANSWER_USED("1e9", "1e9", ""),
        ANSWER_USED("-5", "-5", ""),
        ANSWER_USED("\"10\"", "[1]", ""),
        ANSWER_CACHED,
    };
    int64_t spent = atomic_load(&wallet()->spent);
    for (size_t i = 0; i < ARRAY_LEN(answers); i++) {
        struct reply reply;
        uint64_t before = mark();
        provider_says(200, "application/json", answers[i]);
        ask(&reply, CHAT, BODY("openai/a"));
        want_body(&reply, 200, "yo");
        want_journal(before, "\"clamped\":true");
        int64_t now = atomic_load(&wallet()->spent);
        int64_t most = ((int64_t)sizeof(BODY("openai/a")) - 1 + 64) * 10 + 1000 * 20;
        assert_in_range(now - spent, 0, most);
        spent = now;
    }
    assert_true(atomic_load(&wallet()->available) >= 0);
}

static void
free_models_need_no_wallet(void **state)
{
    (void)state;
    struct reply reply;
    fund_grant(wallet(), 1000000000, FUND_FROZEN);
    uint64_t before = mark();
    provider_says(200, "application/json", ANSWER);
    ask(&reply, CHAT, BODY("openai/free"));
    assert_string_equal(reply.cost, "0.00");
    want_body(&reply, 200, "yo");
    want_journal(before, "\"usage\":{\"input\":10,\"output\":5,\"request\":1},\"charge\":\"0\"");
    ask(&reply, CHAT, BODY("openai/a"));
    want_body(&reply, 402, "frozen");
}

/* ---- leases --------------------------------------------------------------------------------- */

/* More than money can say: refused, whatever the wallet has. */
static void
what_no_wallet_could_hold(void **state)
{
    (void)state;
    struct reply reply;
    ask(&reply, CHAT, BODY("openai/boundless"));
    want_body(&reply, 422, "amount_overflow");
}

static bool
is_waiting(void *arg)
{
    (void)arg;
    return !list_empty(&rig.worker.waiting);
}

/* An answer that brings nothing, while the wallet has enough: others were quicker, and the next
 * one is waited for. */
static void
others_took_what_came(void **state)
{
    (void)state;
    struct reply reply;
    struct fund_word word = {.granted = 1000000000, .returned = 1000000000, .status = FUND_OK};
    fund_hear(wallet(), &word);
    provider_says(200, "application/json", ANSWER);
    ask_with(&reply, CHAT, KEY, "application/json", BODY("openai/a"));
    step_until(is_waiting, NULL);
    word.free = INT64_MAX;
    fund_hear(wallet(), &word);
    worker_funds_changed(&rig.worker);
    assert_false(reply.ended);
    assert_true(is_waiting(NULL));
    word.granted = 2000000000;
    fund_hear(wallet(), &word);
    worker_funds_changed(&rig.worker);
    step_until(reply_ended, &reply);
    want_body(&reply, 200, "yo");
    step_until(all_settled, NULL);
}

/* ---- who leaves in mid-stream ---------------------------------------------------------------- */

#define ANT_START                                                                        \
    "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"m\"," \
    "\"type\":\"message\",\"role\":\"assistant\",\"model\":\"up-c\",\"content\":[],"     \
    "\"usage\":{\"input_tokens\":77,\"output_tokens\":1}}}\n\n"                          \
    "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,"   \
    "\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n"                           \
    "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,"   \
    "\"delta\":{\"type\":\"text_delta\",\"text\":\"0123456789\"}}\n\n"

static bool
provider_is_silent(void *arg)
{
    (void)arg;
    return rig.hanging != NULL;
}

static bool
nobody_is_asked(void *arg)
{
    (void)arg;
    return rig.hanging == NULL;
}

/* A stream has begun, its caller has gone. */
static void
leave(const char *path, const char *body, const char *begun)
{
    struct reply reply;
    rig.steps[0] = (struct upstream_step){200, SSE, begun, false, true};
    rig.step_count = 1;
    ask_with(&reply, path, KEY, "application/json", body);
    step_until(provider_is_silent, NULL);
    uint64_t end = clock_mono_ms() + DEADLINE_MS;
    while (reply.body.len == 0 && clock_mono_ms() < end)
        loop_step(rig.loop, STEP_MS);
    assert_true(reply.body.len > 0);
    http_call_cancel(&reply.call);
    buf_fini(&reply.body);
}

static bool
caller_is_gone(void *arg)
{
    (void)arg;
    LIST_FOREACH (node, &rig.worker.exchanges) {
        if (!LIST_ENTRY(node, struct exchange, node)->left)
            return false;
    }
    return true;
}

static void
drained_to_the_report(void **state)
{
    (void)state;
    uint64_t before = mark();
    leave(CHAT, STREAM_BODY("drain"), CHUNK("{\"content\":\"one\"}"));
    step_until(caller_is_gone, NULL);
    assert_false(list_empty(&rig.worker.exchanges));
    assert_true(atomic_load(&wallet()->held) > 0);
    (void)http_stream_write(rig.hanging,
                            STR(CHUNK("{\"content\":\"two\"}") CHUNK_STOP CHUNK_USAGE CHUNK_DONE));
    step_until(all_settled, NULL);
    want_journal(before, "\"usage\":{\"input\":10,\"output\":5,\"request\":1},\"charge\":\"20\"");
    want_journal(before, "\"outcome\":\"client_gone\",\"evidence\":\"provider_usage\"");
    step_until(nobody_is_asked, NULL);
}

static void
drained_until_it_breaks(void **state)
{
    (void)state;
    uint64_t before = mark();
    leave(CHAT, STREAM_BODY("drain"), CHUNK("{\"content\":\"12345678\"}"));
    step_until(caller_is_gone, NULL);
    http_stream_abort(rig.hanging);
    step_until(all_settled, NULL);
    want_journal(before, "\"outcome\":\"client_gone\",\"evidence\":\"counted_stream\"");
    want_journal(before, "\"output\":2,");
}

/* The node stops meanwhile: charged what was read. */
static void
drained_until_the_end_of_the_node(void **state)
{
    (void)state;
    uint64_t before = mark();
    leave(CHAT, STREAM_BODY("drain"), CHUNK("{\"content\":\"12345678\"}"));
    step_until(caller_is_gone, NULL);
    worker_abandon(&rig.worker);
    assert_true(list_empty(&rig.worker.exchanges));
    want_journal(before, "\"outcome\":\"client_gone\",\"evidence\":\"counted_stream\"");
    step_until(nobody_is_asked, NULL);
}

/* Without the option: what the provider has told of the prompt holds, the answer is counted. */
static void
cancelled(void **state)
{
    (void)state;
    uint64_t before = mark();
    leave("/v1/messages",
          "{\"model\":\"anthropic/c\",\"max_tokens\":9,\"stream\":true,\"messages\":[{\"role\":"
          "\"user\",\"content\":\"hi\"}]}",
          ANT_START);
    step_until(all_settled, NULL);
    want_journal(before, "\"usage\":{\"input\":77,\"output\":3,\"request\":1},\"charge\":\"83\"");
    want_journal(before, "\"outcome\":\"client_gone\",\"evidence\":\"counted_stream\"");
    step_until(nobody_is_asked, NULL);
}

/* The lease is taken back during a call: what the call cost is owed, and more is asked for. */
static void
taken_back_meanwhile(void **state)
{
    (void)state;
    uint64_t before = mark();
    const struct fund_word word = {
        .granted = 1000000000, .returned = 1000000000, .free = INT64_MAX, .status = FUND_OK};
    leave(CHAT, STREAM_BODY("drain"), CHUNK("{\"content\":\"one\"}"));
    step_until(caller_is_gone, NULL);
    fund_hear(wallet(), &word);
    wishes = 0;
    (void)http_stream_write(rig.hanging, STR(CHUNK_STOP CHUNK_USAGE CHUNK_DONE));
    step_until(all_settled, NULL);
    want_journal(before, "\"charge\":\"20\"");
    assert_int_equal(atomic_load(&wallet()->available), -20);
    assert_int_equal(wishes, 1);
    step_until(nobody_is_asked, NULL);
}

static void
estimated(void **state)
{
    (void)state;
    uint64_t before = mark();
    const char *body = "{\"model\":\"estimate\",\"max_tokens\":9,\"stream\":true,\"messages\":[{"
                       "\"role\":\"user\",\"content\":\"hi\"}]}";
    char want[64];
    leave("/v1/messages", body, ANT_START);
    step_until(all_settled, NULL);
    (void)snprintf(want, sizeof(want), "\"usage\":{\"input\":%zu,\"output\":3,\"request\":1}",
                   (strlen(body) + 4) / 4);
    want_journal(before, want);
    want_journal(before, "\"outcome\":\"client_gone\",\"evidence\":\"estimate\"");
    step_until(nobody_is_asked, NULL);
}

static int64_t wall_s;

static uint64_t
real_mono_ns(void *user)
{
    struct timespec now;
    (void)user;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static int64_t
stepped_wall_ns(void *user)
{
    (void)user;
    return wall_s * 1000000000;
}

static uint64_t
number_of(struct str record, const char *name)
{
    uint64_t number = UINT64_MAX;
    size_t at = str_find(record, str_from(name));
    assert_true(at != SIZE_MAX);
    record = str_skip(record, at + strlen(name));
    size_t digits = 0;
    while (digits < record.len && record.ptr[digits] >= '0' && record.ptr[digits] <= '9')
        digits++;
    assert_int_equal(num_u64(str_make(record.ptr, digits), UINT64_MAX, &number), 0);
    return number;
}

/* UJ-09: the wall clock steps while a call runs. Records keep their order, and what a call took is
 * by the other clock. */
static void
wall_clock_steps(void **state)
{
    static const struct clock_source source = {real_mono_ns, stepped_wall_ns, NULL};
    static const int64_t steps[] = {-3600, 7200, -1800000000, 1800000000, 0};
    struct reply reply;
    struct buf out;
    (void)state;
    buf_init(&out, 1u << 16);
    wall_s = 1900000000;
    clock_replace(&source);
    for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
        uint64_t before = mark();
        size_t count;
        uint64_t last;
        rig.steps[0] = (struct upstream_step){200, SSE, CHUNK("{\"content\":\"1\"}"), false, true};
        rig.step_count = 1;
        rig.step_at = 0;
        ask_with(&reply, CHAT, KEY, "application/json", STREAM_BODY("openai/a"));
        step_until(provider_hangs, NULL);
        wall_s += steps[i];
        (void)http_stream_write(rig.hanging, STR(CHUNK_STOP CHUNK_USAGE CHUNK_DONE));
        http_stream_end(rig.hanging);
        step_until(reply_ended, &reply);
        step_until(all_settled, NULL);
        want_body(&reply, 200, "[DONE]");
        assert_int_equal(mark(), before + 1);
        out.len = 0;
        assert_int_equal(journal_read(rig.worker.journal, before, 9, 1u << 16, &out, &count, &last),
                         0);
        assert_int_equal(count, 1);
        assert_true(number_of(buf_str(&out), "\"total_us\":") < 60000000);
        assert_true(number_of(buf_str(&out), "\"ttft_us\":") <=
                    number_of(buf_str(&out), "\"total_us\":"));
        assert_true(number_of(buf_str(&out), "\"charge\":\"") > 0);
    }
    clock_replace(NULL);
    buf_fini(&out);
}

int
main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, price_open, rig_close)
    const struct CMUnitTest tests[] = {
        CASE(cost_is_told_to_who_asks),
        CASE(row_of_the_tariff),
        CASE(lies_cost_no_more_than_was_held),
        CASE(free_models_need_no_wallet),
        CASE(what_no_wallet_could_hold),
        CASE(others_took_what_came),
        CASE(taken_back_meanwhile),
        CASE(drained_to_the_report),
        CASE(drained_until_it_breaks),
        CASE(drained_until_the_end_of_the_node),
        CASE(cancelled),
        CASE(estimated),
        CASE(wall_clock_steps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
