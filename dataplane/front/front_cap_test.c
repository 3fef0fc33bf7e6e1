/* SPDX-License-Identifier: MIT
 * front_cap_test.c - callers whose owner capped what they may spend: held and captured in both
 *                    places or in none, and what a refused one reads.
 * Floor: test.
 * Owns: nothing; see front_test_rig.h.
 * Invariant: whatever happens, nothing stays held of the wallet or of the budget. */
#include "dataplane/front/front_test_rig.h"

#define DOLLAR 1000000000ll

/* The only key of the rig gets a cap, as a config with "capped":true would have it. */
static struct fund *
budget(void)
{
    struct fund *fund = funds_get_budget(&rig.funds, "key", STR("t"));
    assert_non_null(fund);
    assert_true(fund_is_budget(fund) && !fund_is_budget(wallet()));
    rig.worker.config->keys[0].budget = fund;
    return fund;
}

static void
want_nothing_held(void)
{
    step_until(all_settled, NULL);
    assert_int_equal(atomic_load(&wallet()->held), 0);
    assert_int_equal(atomic_load(&budget()->held), 0);
    assert_int_equal(atomic_load(&wallet()->waiting), 0);
    assert_int_equal(atomic_load(&budget()->waiting), 0);
}

static void
both_pay(void **state)
{
    struct reply reply;
    (void)state;
    fund_grant(budget(), DOLLAR, FUND_OK);
    fund_grant(wallet(), 100 * DOLLAR, FUND_OK);
    int64_t before = atomic_load(&wallet()->available);
    provider_says(200, "application/json", ANSWER);
    ask(&reply, CHAT, BODY("openai/a"));
    want_body(&reply, 200, "yo");
    assert_int_equal(atomic_load(&budget()->spent), 21);
    assert_int_equal(atomic_load(&budget()->available), DOLLAR - 21);
    assert_int_equal(atomic_load(&wallet()->available), before - 21);
    want_nothing_held();
}

/* The control plane answers every question with the same word until there is a reply. */
static void
ask_while(struct reply *reply, const char *path, struct fund *fund, const struct fund_word *word)
{
    ask_with(reply, path, KEY, "application/json", BODY("openai/dear"));
    uint64_t end = clock_mono_ms() + DEADLINE_MS;
    while (!reply->ended && clock_mono_ms() < end) {
        loop_step(rig.loop, STEP_MS);
        fund_hear(fund, word);
        worker_funds_changed(&rig.worker);
    }
    assert_true(reply->ended);
}

static void
a_cap_says_whose_it_is(void **state)
{
    static const struct {
        const char *path;
        struct fund_word word;
        const char *want;
    } rows[] = {
        {CHAT,
         {.cap = 5 * DOLLAR, .cap_spent = 4 * DOLLAR, .cap_per = FUND_PER_DAY},
         "API key 't' may spend $5.00 a day: $5.00 of it is spent or held, and this request may "
         "cost up to $"},
        {CHAT,
         {.cap = 5 * DOLLAR, .free = DOLLAR, .cap_per = FUND_PER_HOUR},
         "may spend $5.00 an hour: $4.00 of it is spent or held"},
        {CHAT,
         {.cap = DOLLAR, .cap_spent = 3 * DOLLAR, .cap_per = FUND_PER_MONTH},
         "may spend $1.00 a month: $3.00 of it is spent"},
        {CHAT,
         {.cap = 0, .cap_per = FUND_PER_DAY},
         "may spend $0.00 a day: $0.00 of it is spent or held"},
        {CHAT,
         {.cap = DOLLAR, .cap_per = FUND_PER_DAY},
         "The next day begins at 2026-11-22T00:00:00Z; or set a smaller max_tokens."},
        {CHAT,
         {.cap = DOLLAR, .cap_per = FUND_PER_DAY, .cap_resets_s = INT64_MAX},
         "may spend $1.00 a day"}, /* a time that no calendar has */
        {"/v1/messages", {.cap = DOLLAR, .cap_per = FUND_PER_DAY}, "\"type\":\"error\""},
        {"/v1/messages", {.cap = DOLLAR, .cap_per = FUND_PER_DAY}, "API key 't' may spend"},
    };
    (void)state;
    fund_grant(wallet(), 100000 * DOLLAR, FUND_OK);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct reply reply;
        struct fund_word word = rows[i].word;
        word.status = FUND_EMPTY;
        if (word.cap_resets_s == 0)
            word.cap_resets_s = 1795305600;
        ask_while(&reply, rows[i].path, budget(), &word);
        want_body(&reply, 402, rows[i].want);
        want_nothing_held();
        assert_int_equal(atomic_load(&wallet()->spent), 0);
    }
}

/* The caller may, the wallet has nothing: the wallet is named, and what was held of the cap is
 * there again. */
static void
a_poor_wallet_is_named(void **state)
{
    struct reply reply;
    const struct fund_word none = {.status = FUND_EMPTY};
    (void)state;
    fund_grant(budget(), 100000 * DOLLAR, FUND_OK);
    ask_while(&reply, CHAT, wallet(), &none);
    want_body(&reply, 402, "Wallet 'default' does not cover this request");
    want_nothing_held();
    assert_int_equal(atomic_load(&budget()->available), 100000 * DOLLAR);
}

/* A cap that was lowered below what is here: no call, though there would be enough; it goes back,
 * and the next word lets calls through again. */
static void
a_lowered_cap_holds_at_once(void **state)
{
    struct reply reply;
    struct fund_word word = {
        .granted = 100000 * DOLLAR, .cap = DOLLAR, .cap_per = FUND_PER_DAY, .status = FUND_OVER};
    (void)state;
    fund_grant(wallet(), 100000 * DOLLAR, FUND_OK);
    fund_grant(budget(), 100000 * DOLLAR, FUND_OK);
    ask_while(&reply, CHAT, budget(), &word);
    want_body(&reply, 402, "API key 't' may spend $1.00 a day");
    want_nothing_held();
    assert_int_equal(fund_tick(budget()), 100000 * DOLLAR);
    assert_int_equal(atomic_load(&budget()->available), 0);
    word.returned = 100000 * DOLLAR;
    word.granted += 100000 * DOLLAR;
    word.cap = 1000000 * DOLLAR;
    word.status = FUND_OK;
    fund_hear(budget(), &word);
    provider_says(200, "application/json", ANSWER);
    ask(&reply, CHAT, BODY("openai/dear"));
    want_body(&reply, 200, "yo");
    want_nothing_held();
}

/* The control plane says nothing of the cap: 503, and the wallet is not touched. */
static void
silence_is_no_refusal(void **state)
{
    struct reply reply;
    (void)state;
    fund_grant(wallet(), 100000 * DOLLAR, FUND_OK);
    fund_grant(budget(), 1, FUND_OK);
    ask(&reply, CHAT, BODY("openai/dear"));
    want_body(&reply, 503, "has not lent it enough in time");
    want_nothing_held();
}

static const struct rig_provider one_provider = {"openai", "openai", "/v1"};
static const char *const one_model =
    "{\"id\":\"openai/a\",\"provider\":\"openai\",\"upstream\":\"up-a\",\"max_output\":1000,"
    "\"price\":{\"version\":1,\"input\":\"1000000\",\"output\":\"2000000\"}}";

/* A stream that runs: the wallet holds its worst case. */
static int64_t
begin_stream(struct reply *reply)
{
    rig.steps[0] = (struct upstream_step){200, SSE, CHUNK("{\"content\":\"1\"}"), false, true};
    rig.step_count = 1;
    rig.step_at = 0;
    ask_with(reply, CHAT, KEY, "application/json", STREAM_BODY("openai/a"));
    step_until(provider_hangs, NULL);
    return atomic_load(&wallet()->held);
}

static void
end_stream(struct reply *reply)
{
    (void)http_stream_write(rig.hanging, STR(CHUNK_STOP CHUNK_USAGE CHUNK_DONE));
    http_stream_end(rig.hanging);
    step_until(reply_ended, reply);
    step_until(all_settled, NULL);
    want_body(reply, 200, "[DONE]");
}

/* The owner caps a caller whose call runs: from then on nobody else is let through by that cap
 * before a lease covers the running call as well, and what the call costs is spent of the cap. */
static void
a_first_cap_counts_what_runs(void **state)
{
    static const struct {
        int64_t lent; /* what the control plane lends, of what the running call holds: percent */
        unsigned status;
        const char *want;
    } rows[] = {
        {0, 402, "API key 't' may spend"},
        {99, 402, "API key 't' may spend"},
        {150, 402, "API key 't' may spend"}, /* enough for one of the two */
        {250, 200, "yo"},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct reply running;
        struct reply next;
        int64_t want;
        int64_t need;
        struct fund *cap = funds_get_budget(&rig.funds, "key", STR("t"));
        (void)fund_take_all(cap);
        const struct fund_word before = {.granted = atomic_load(&cap->granted),
                                         .returned = cap->returned};
        rig_key_more = "";
        rig_configure("\"stall_timeout_ms\":30000", &one_provider, 1, &one_model, 1);
        int64_t held = begin_stream(&running);
        assert_true(held > 0);
        assert_int_equal(atomic_load(&cap->held), 0);
        wishes = 0;
        rig_key_more = ",\"capped\":true";
        rig_configure("\"stall_timeout_ms\":30000", &one_provider, 1, &one_model, 1);
        assert_int_equal(atomic_load(&cap->held), held);
        assert_int_equal(atomic_load(&cap->available), -held);
        assert_int_equal(wishes, 1);
        fund_ask(cap, &want, &need);
        assert_int_equal(need, held);
        rig_configure("\"stall_timeout_ms\":30000", &one_provider, 1, &one_model,
                      1); /* again: once */
        assert_int_equal(atomic_load(&cap->held), held);
        struct fund_word word = before;
        word.granted += held * rows[i].lent / 100;
        word.cap = DOLLAR;
        word.cap_per = FUND_PER_DAY;
        word.status = rows[i].status == 200 ? FUND_OK : FUND_EMPTY;
        fund_hear(cap, &word);
        rig.steps[1] = (struct upstream_step){200, "application/json", ANSWER, false, false};
        rig.step_count = 2;
        ask_with(&next, CHAT, KEY, "application/json", BODY("openai/a"));
        uint64_t end = clock_mono_ms() + DEADLINE_MS;
        while (!next.ended && clock_mono_ms() < end) {
            loop_step(rig.loop, STEP_MS);
            if (atomic_load(&cap->wanted))
                fund_hear(cap, &word);
            worker_funds_changed(&rig.worker);
        }
        want_body(&next, rows[i].status, rows[i].want);
        int64_t spent = atomic_load(&cap->spent);
        end_stream(&running);
        assert_true(atomic_load(&cap->spent) > spent);
        assert_int_equal(atomic_load(&cap->held), 0);
        /* what was spent above the lease is spent: the next period's lease is not for that */
        fund_tick(cap);
        for (unsigned s = 0; s < FUND_IDLE_EMPTY_S; s++)
            fund_tick(cap);
        fund_forgive(cap);
        assert_true(atomic_load(&cap->available) >= 0);
    }
    rig_key_more = "";
}

/* A configuration without a cap changes nothing of a call that runs; a cap of which enough is lent
 * already holds what the call holds, and nobody has to ask. */
static void
a_cap_that_is_lent_asks_nobody(void **state)
{
    struct reply running;
    struct fund *cap = funds_get_budget(&rig.funds, "key", STR("t"));
    (void)state;
    rig_key_more = "";
    fund_grant(wallet(), 100000 * DOLLAR, FUND_OK);
    fund_grant(cap, 100000 * DOLLAR, FUND_OK);
    rig_configure("\"stall_timeout_ms\":30000", &one_provider, 1, &one_model, 1);
    int64_t held = begin_stream(&running);
    rig_configure("\"stall_timeout_ms\":30000", &one_provider, 1, &one_model, 1);
    assert_int_equal(atomic_load(&cap->held), 0);
    wishes = 0;
    rig_key_more = ",\"capped\":true";
    rig_configure("\"stall_timeout_ms\":30000", &one_provider, 1, &one_model, 1);
    assert_true(held > 0);
    assert_int_equal(atomic_load(&cap->held), held);
    assert_int_equal(wishes, 0);
    end_stream(&running);
    assert_int_equal(atomic_load(&cap->held), 0);
    assert_true(atomic_load(&cap->spent) > 0);
    rig_key_more = "";
}

static bool
wallet_is_waited_for(void *arg)
{
    (void)arg;
    return atomic_load(&wallet()->waiting) > 0;
}

/* A call that waits for its wallet when its caller is capped holds nothing yet, and then holds of
 * both. */
static void
a_cap_comes_while_a_call_waits(void **state)
{
    struct reply reply;
    struct fund *cap = funds_get_budget(&rig.funds, "key", STR("t"));
    (void)state;
    rig_key_more = "";
    rig_configure("\"stall_timeout_ms\":30000", &one_provider, 1, &one_model, 1);
    (void)fund_take_all(wallet());
    provider_says(200, "application/json", ANSWER);
    ask_with(&reply, CHAT, KEY, "application/json", BODY("openai/a"));
    step_until(wallet_is_waited_for, NULL);
    rig_key_more = ",\"capped\":true";
    rig_configure("\"stall_timeout_ms\":30000", &one_provider, 1, &one_model, 1);
    assert_int_equal(atomic_load(&cap->held), 0);
    fund_grant(cap, 100000 * DOLLAR, FUND_OK);
    fund_grant(wallet(), 100000 * DOLLAR, FUND_OK);
    worker_funds_changed(&rig.worker);
    step_until(reply_ended, &reply);
    want_body(&reply, 200, "yo");
    assert_true(atomic_load(&cap->spent) > 0);
    assert_int_equal(atomic_load(&cap->spent), atomic_load(&wallet()->spent));
    want_nothing_held();
    rig_key_more = "";
}

static bool
settled_and_unread(void *arg)
{
    struct reply *reply = arg;
    struct list *first = rig.worker.exchanges.next;
    http_call_pause(reply->call, true);
    return !list_empty(&rig.worker.exchanges) && LIST_ENTRY(first, struct exchange, node)->settled;
}

/* A call whose answer is still being read is paid for: a first cap does not count it. */
static void
a_cap_comes_behind_a_call(void **state)
{
    enum { BYTES = 12 << 20 };
    struct reply reply;
    struct fund *cap = funds_get_budget(&rig.funds, "key", STR("t"));
    CLEANUP(buf_fini) struct buf answer;
    (void)state;
    buf_init(&answer, 2 * BYTES);
    (void)buf_put_str(&answer, STR("{\"choices\":[{\"index\":0,\"message\":{\"role\":"
                                   "\"assistant\",\"content\":\""));
    for (size_t i = 0; i < BYTES; i++)
        (void)buf_put_byte(&answer, 'a');
    (void)buf_put_str(&answer, STR("\"},\"finish_reason\":\"stop\"}],\"usage\":{"
                                   "\"prompt_tokens\":10,\"completion_tokens\":5}}"));
    rig_key_more = "";
    rig_configure("\"stall_timeout_ms\":30000", &one_provider, 1, &one_model, 1);
    fund_grant(wallet(), 100000 * DOLLAR, FUND_OK);
    provider_says(200, "application/json", buf_cstr(&answer));
    ask_with(&reply, CHAT, KEY, "application/json", BODY("openai/a"));
    step_until(settled_and_unread, &reply);
    assert_int_equal(atomic_load(&wallet()->held), 0);
    rig_key_more = ",\"capped\":true";
    rig_configure("\"stall_timeout_ms\":30000", &one_provider, 1, &one_model, 1);
    assert_true(atomic_load(&cap->held) == 0 && atomic_load(&cap->spent) == 0);
    http_call_pause(reply.call, false);
    step_until(reply_ended, &reply);
    step_until(all_settled, NULL);
    want_body(&reply, 200, "aaaa");
    assert_true(atomic_load(&cap->held) == 0 && atomic_load(&cap->spent) == 0);
    rig_key_more = "";
}

int
main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, rig_open, rig_close)
    const struct CMUnitTest tests[] = {
        CASE(both_pay),
        CASE(a_cap_says_whose_it_is),
        CASE(a_poor_wallet_is_named),
        CASE(a_lowered_cap_holds_at_once),
        CASE(silence_is_no_refusal),
        CASE(a_first_cap_counts_what_runs),
        CASE(a_cap_that_is_lent_asks_nobody),
        CASE(a_cap_comes_while_a_call_waits),
        CASE(a_cap_comes_behind_a_call),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
