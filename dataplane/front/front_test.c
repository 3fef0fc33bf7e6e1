/* SPDX-License-Identifier: MIT
 * front_test.c - a worker with real sockets on one loop: caller, data plane and provider. What a
 *                caller sees, what the provider was sent, and what the journal says.
 * Floor: test.
 * Owns: nothing; see front_test_rig.h.
 * Invariant: every case ends with no open request, no held money and one outcome a request that
 *            reached a provider. */
#include "dataplane/front/front_test_rig.h"

/* ---- cases ----------------------------------------------------------------------------------- */

static void
whole_answer_passes_unchanged(void **state)
{
    (void)state;
    struct reply reply;
    uint64_t before = mark();
    provider_says(200, "application/json", ANSWER);
    ask(&reply, CHAT, BODY("openai/a"));
    assert_string_equal(buf_cstr(&reply.body), ANSWER);
    assert_string_equal(reply.cost, "0.000000021"); /* (10*1 + 5*2) nano * 1.05, half up */
    want_body(&reply, 200, "yo");
    assert_string_equal(buf_cstr(&rig.seen), BODY("up-a"));
    assert_string_equal(rig.seen_target, "/v1/chat/completions");
    assert_string_equal(rig.seen_auth, "Bearer sk-provider-secret");
    want_journal(before, "\"outcome\":\"completed\",\"evidence\":\"provider_usage\",\"status\":200,"
                         "\"stream\":false");
    want_journal(before, "\"usage\":{\"input\":10,\"output\":5,\"request\":1},"
                         "\"charge\":\"21\",\"cost\":\"20\"");
    assert_int_equal(atomic_load(&wallet()->spent), 21);
}

static void
refusals_are_in_the_dialect(void **state)
{
    (void)state;
    static const struct {
        const char *path, *bearer, *type, *body;
        unsigned status;
        const char *want;
    } rows[] = {
        {CHAT, "sk-wrong", "application/json", BODY("a"), 401, "\"code\":\"invalid_api_key\""},
        {CHAT, "container-dev", "application/json", BODY("a"), 401, "\"invalid_api_key\""},
        {"/v1/messages", "sk-wrong", "application/json", BODY("a"), 401,
         "\"type\":\"authentication_error\""},
        {CHAT, KEY, "text/plain", BODY("a"), 415, "unsupported_media_type"},
        {CHAT, KEY, "application/json; charset=utf-16", BODY("a"), 415, "unsupported_media"},
        {CHAT, KEY, "application/json", "{\"model\":\"a\"", 400, "bad_request"},
        {CHAT, KEY, "application/json", "{\"model\":\"a\",\"model\":\"b\",\"messages\":[]}", 400,
         "duplicate_key"},
        {CHAT, KEY, "application/json", BODY("opnai/a"), 404, "Did you mean openai/a"},
        {CHAT, KEY, "application/json", BODY("openai/unpriced"), 422, "model_unpriced"},
        {CHAT, KEY, "application/json", BODY("openai/dear"), 402, "insufficient_funds"},
        {"/v1/nope", KEY, "application/json", "{}", 404, "not_found"},
        {"/v1/models", KEY, "application/json", "{}", 405, "method_not_allowed"},
        {"/v1/../x", KEY, "application/json", "{}", 400, "bad_request"},
    };
    fund_grant(wallet(), 1000000000, FUND_EMPTY);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct reply reply;
        uint64_t before = mark();
        ask_with(&reply, rows[i].path, rows[i].bearer, rows[i].type, rows[i].body);
        /* a parked request asks again when an answer comes */
        uint64_t end = clock_mono_ms() + DEADLINE_MS;
        while (!reply.ended && clock_mono_ms() < end) {
            loop_step(rig.loop, STEP_MS);
            fund_grant(wallet(), 1000000000, FUND_EMPTY);
            worker_funds_changed(&rig.worker);
        }
        assert_true(reply.ended);
        want_body(&reply, rows[i].status, rows[i].want);
        step_until(all_settled, NULL);
        assert_int_equal(mark(), before); /* nothing that reached no provider is recorded */
    }
}

/* The cap, what is gone of it, what the call may cost and when it begins anew; where the wallet
 * never got all that its cap allows, the usual words. */
static void
capped_wallets_say_so(void **state)
{
    static const struct {
        int64_t cap;
        int64_t resets_s;
        const char *want;
    } rows[] = {{5000000000, 1795305600,
                 " of its $5.00 is spent or held, and this request may cost up to $"},
                {5000000000, 1795305600, "It begins anew at 2026-11-22T00:00:00Z"},
                {5000000000, INT64_MAX, "does not cover this request"}, /* no such day */
                {INT64_MAX, 1795305600, "does not cover this request"},
                {INT64_MIN, 1795305600, "is frozen by its owner"}, /* whatever its cap says */
                {0, 1795305600, "does not cover this request"}};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const struct fund_word word = {.granted = 1000000000,
                                       .status = rows[i].cap < 0 ? FUND_FROZEN : FUND_EMPTY,
                                       .free = rows[i].cap < 0 ? INT64_MAX : 0,
                                       .balance = 1000000000,
                                       .cap = MAX(rows[i].cap, (int64_t)0),
                                       .cap_spent = 4000000000,
                                       .cap_resets_s = rows[i].resets_s};
        struct reply reply;
        ask_with(&reply, CHAT, KEY, "application/json", BODY("openai/dear"));
        uint64_t end = clock_mono_ms() + DEADLINE_MS;
        while (!reply.ended && clock_mono_ms() < end) {
            loop_step(rig.loop, STEP_MS);
            fund_hear(wallet(), &word);
            worker_funds_changed(&rig.worker);
        }
        want_body(&reply, 402, rows[i].want);
    }
}

/* The control plane says nothing: 503 after a while, and when to try again; nothing was held. */
static void
a_silent_control_plane_is_not_an_empty_wallet(void **state)
{
    struct reply reply;
    const int64_t there = atomic_load(&wallet()->available);
    (void)state;
    fund_grant(wallet(), 1000000000, FUND_OK);
    ask_with(&reply, CHAT, KEY, "application/json", BODY("openai/dear"));
    uint64_t end = clock_mono_ms() + DEADLINE_MS;
    while (!reply.ended && clock_mono_ms() < end)
        loop_step(rig.loop, STEP_MS);
    assert_true(reply.ended);
    want_body(&reply, 503, "has not lent it enough in time");
    assert_true(atomic_load(&wallet()->available) >= there);
    assert_int_equal(atomic_load(&wallet()->held), 0);
}

static void
fails_over_before_the_first_token_only(void **state)
{
    (void)state;
    struct reply reply;
    uint64_t before = mark();
    rig.steps[0] = (struct upstream_step){500, "application/json", "{\"error\":{}}", false, false};
    rig.steps[1] = (struct upstream_step){200, "application/json", ANSWER, false, false};
    rig.step_count = 2;
    ask(&reply, CHAT, BODY("both"));
    want_body(&reply, 200, "yo");
    assert_true(str_find(buf_str(&rig.seen), STR("\"up-b\"")) != SIZE_MAX);
    want_journal(before, "\"attempts\":2");

    before = mark(); /* role chunk, then the connection dies: nobody has seen a byte */
    rig.steps[0] = (struct upstream_step){
        200, SSE, CHUNK("{\"role\":\"assistant\",\"content\":\"\"}"), true, false};
    rig.steps[1] = (struct upstream_step){
        200, SSE, CHUNK("{\"content\":\"two\"}") CHUNK_STOP CHUNK_USAGE CHUNK_DONE, false, false};
    rig.step_at = 0;
    ask(&reply, CHAT, STREAM_BODY("both"));
    assert_string_equal(buf_cstr(&reply.body),
                        CHUNK("{\"content\":\"two\"}") CHUNK_STOP CHUNK_DONE);
    want_body(&reply, 200, "two");
    want_journal(before, "\"attempts\":2");

    before = mark(); /* after the first token: the truth, and no second try */
    rig.steps[0] = (struct upstream_step){200, SSE, CHUNK("{\"content\":\"one\"}"), true, false};
    rig.step_at = 0;
    ask(&reply, CHAT, STREAM_BODY("both"));
    assert_int_equal(rig.step_at, 1);
    assert_true(str_find(buf_str(&reply.body), STR("[DONE]")) == SIZE_MAX);
    want_body(&reply, 200, "\"error\"");
    want_journal(before, "\"outcome\":\"upstream_cut\",\"evidence\":\"counted_stream\"");
}

static void
provider_errors_tell_whose_fault_it_is(void **state)
{
    (void)state;
    static const struct {
        unsigned provider;
        const char *body;
        unsigned status;
        const char *want;
    } rows[] = {
        {400, "{\"error\":{\"message\":\"bad temperature\",\"type\":\"invalid_request_error\"}}",
         400, "bad temperature"},
        {401, "{\"error\":{\"message\":\"key sk-provider-secret is wrong\"}}", 502,
         "refused the key that Berth holds"},
        {400, "{\"error\":{\"message\":\"echo sk-provider-secret\"}}", 400, "held a secret"},
        {429, "{\"error\":{\"message\":\"slow down\",\"type\":\"rate_limit_error\"}}", 429,
         "slow down"},
        {503, "<html>", 502, "upstream_error"},
        {200, "not json", 502, "upstream_protocol"},
        {302, "", 502, "upstream_error"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct reply reply;
        uint64_t before = mark();
        provider_says(rows[i].provider, "application/json", rows[i].body);
        ask(&reply, CHAT, BODY("openai/a"));
        assert_true(str_find(buf_str(&reply.body), STR("sk-provider")) == SIZE_MAX);
        want_body(&reply, rows[i].status, rows[i].want);
        want_journal(before, "\"outcome\":\"upstream_error\"");
        want_journal(before, "\"charge\":\"0\"");
    }
}

int
main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, rig_open, rig_close)
    const struct CMUnitTest tests[] = {
        CASE(whole_answer_passes_unchanged),
        CASE(refusals_are_in_the_dialect),
        CASE(capped_wallets_say_so),
        CASE(a_silent_control_plane_is_not_an_empty_wallet),
        CASE(fails_over_before_the_first_token_only),
        CASE(provider_errors_tell_whose_fault_it_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
