/* SPDX-License-Identifier: MIT
 * front_upload_test.c - forms on their way: what the provider has while the caller still sends,
 *                       what it never has, and what that costs.
 * Floor: test.
 * Owns: nothing; see front_test_rig.h.
 * Invariant: proves upload.h and spool.h. */
#include "dataplane/front/front_form_test_rig.h"

#include <zlib.h>

#include "dataplane/pipeline/upload.h"

#define MODEL(id, kind, price)                                                                  \
    "{\"id\":\"o/" id "\",\"provider\":\"o\",\"upstream\":\"up-" id "\",\"kind\":\"" kind "\"," \
    "\"price\":{\"version\":1" price "}}"
static const char *const models[] = {
    MODEL("whisper", "transcription", ",\"second_in\":\"100000000\""),
    MODEL("dall", "image", ",\"image\":\"40000000000\""),
    MODEL("hear", "transcription", ",\"second_in\":\"100000000\"") /* and who stands in for whom */
    "],\"routes\":[{\"name\":\"both\",\"targets\":[\"o/whisper\",\"o/hear\"]}",
};
static const struct rig_provider providers[] = {{"o", "openai", "/v1"}};

static int
open_with(void **state, const char *settings)
{
    int rc = rig_open(state);
    rig_configure(settings, providers, ARRAY_LEN(providers), models, ARRAY_LEN(models));
    rig.streams = true;
    return rc;
}
static int
upload_open(void **state)
{
    return open_with(state, "\"body_bytes_max\":4096,\"ttft_timeout_ms\":4000");
}
static int
upload_open_hasty(void **state)
{
    return open_with(state, "\"body_bytes_max\":4096,\"ttft_timeout_ms\":1500");
}

#define TEXTS "{\"text\":\"hi\"}"
#define IMAGES "{\"created\":1,\"data\":[{\"b64_json\":\"AA\"}]}"

/* ---- forms ----------------------------------------------------------------------------------- */

#define SOUND_TO(model) FIELD("model", model) FIELD("x", "1") FILE_HEAD("file")
#define SOUND_PATH "/v1/audio/transcriptions"
#define EDITS_PATH "/v1/images/edits"

static void
it_flows(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) { /* its length announced, or not */
        struct reply reply;
        struct str form = form_make(SOUND_TO("o/whisper"), 3000000, "\r\n" END);
        uint64_t before = mark();
        size_t most = form.len - 200000;
        char length[24];
        provider_says(200, "application/json", TEXTS);
        sender_open(&reply, SOUND_PATH, i == 0 ? form.len : 0, "");
        assert_true(sender_put(&reply, str_make(form.ptr, form.len - 100000)));
        step_until(seen_bytes, &most); /* the caller is not through */
        (void)snprintf(length, sizeof(length), "%llu",
                       (unsigned long long)(i == 0 ? form.len + 1 : HTTP_LENGTH_UNKNOWN));
        assert_string_equal(rig.seen_length, length);
        const struct exchange *x = LIST_ENTRY(rig.worker.exchanges.next, struct exchange, node);
        assert_true(upload_kept_bytes(x) < 128u * 1024u);
        assert_int_equal(rig.worker.spool.bytes, 0);
        assert_int_equal(rig.completes, 0);
        assert_true(sender_put(&reply, str_skip(form, form.len - 100000)));
        sender_end(&reply);
        want_body(&reply, 200, "hi");
        want_seen(SOUND_TO("up-whisper"), form, SOUND_TO("o/whisper"));
        want_journal(before, "\"second_in\":750"); /* at 32 kbit/s */
    }
}

/* As OpenAI's own SDK for Node.js and the examples of its reference send it. */
static void
a_model_behind_the_file_waits_on_disk(void **state)
{
    (void)state;
    struct reply reply;
    struct str form = form_make(FILE_HEAD("file"), 3000000, "\r\n" FIELD("model", "o/whisper") END);
    size_t most = 2900000;
    provider_says(200, "application/json", TEXTS);
    sender_open(&reply, SOUND_PATH, form.len, "");
    assert_true(sender_put(&reply, str_make(form.ptr, form.len - 10)));
    step_until(spooled_bytes, &most);
    const struct exchange *x = LIST_ENTRY(rig.worker.exchanges.next, struct exchange, node);
    assert_int_equal(upload_kept_bytes(x), 0); /* in memory */
    assert_null(rig.talking);
    assert_true(sender_put(&reply, str_skip(form, form.len - 10)));
    sender_end(&reply);
    want_body(&reply, 200, "hi");
    assert_int_equal(rig.worker.spool.bytes, 0);
    struct str seen = buf_str(&rig.seen);
    assert_true(str_ends(seen, STR(FIELD("model", "up-whisper") END)));
    assert_int_equal(seen.len, form.len + 1);
    assert_memory_equal(seen.ptr, form.ptr, 3000000);
}

static void
no_room_is_said(void **state)
{
    (void)state;
    struct reply reply;
    struct str form = form_make(FILE_HEAD("file"), 300000, "\r\n" FIELD("model", "o/whisper") END);
    rig.worker.spool.bytes_max = 200000;
    sender_open(&reply, SOUND_PATH, form.len, "");
    (void)sender_put(&reply, form);
    sender_end(&reply);
    want_body(&reply, 503, "no room for this form");
    assert_int_equal(rig.worker.spool.bytes, 0);
    rig.worker.form_bytes_max = 200000;
    sender_open(&reply, SOUND_PATH, 0, "");
    (void)sender_put(&reply, form_make(SOUND_TO("o/whisper"), 300000, "\r\n" END));
    sender_end(&reply);
    want_body(&reply, 413, "error");
    assert_int_equal(rig.completes, 0);
}

/* Eight of them at a time may fill the disk, but not of one caller. */
static void
no_more_than_a_share_is_said(void **state)
{
    (void)state;
    struct reply first;
    struct reply second;
    size_t most = 250000;
    struct str form = form_make(FILE_HEAD("file"), 300000, "\r\n" FIELD("model", "o/whisper") END);
    rig.worker.spool.share_bytes_max = 400000;
    provider_says(200, "application/json", TEXTS);
    sender_open(&first, SOUND_PATH, form.len, "");
    assert_true(sender_put(&first, str_make(form.ptr, form.len - 10)));
    step_until(spooled_bytes, &most);
    sender_open(&second, SOUND_PATH, form.len, "");
    (void)sender_put(&second, form);
    if (!second.ended)
        http_call_end(second.call);
    step_until(reply_ended, &second);
    want_body(&second, 429, "Your other forms");
    assert_true(sender_put(&first, str_skip(form, form.len - 10)));
    sender_end(&first);
    want_body(&first, 200, "hi");
    assert_int_equal(rig.worker.spool.bytes, 0);
    assert_null(rig.worker.spool.shares);
}

/* What is transcribed is `file`, and it may stand behind another one of any size. */
static void
another_file_may_come_first(void **state)
{
    (void)state;
    struct reply reply;
    uint64_t before = mark();
    struct str form = form_make(FIELD("model", "o/whisper") FILE_HEAD("context"), 300000,
                                "\r\n" FILE_HEAD("file") "123\r\n" END);
    provider_says(200, "application/json", TEXTS);
    sender_open(&reply, SOUND_PATH, form.len, "");
    assert_true(sender_put(&reply, form));
    sender_end(&reply);
    want_body(&reply, 200, "hi");
    want_seen(FIELD("model", "up-whisper"), form, FIELD("model", "o/whisper"));
    want_journal(before, "\"second_in\":1}");
}

static const struct {
    const char *name;
    const char *behind;
    int64_t wallet; /* of which one image costs 40 million */
    struct fund_word word;
    unsigned want;
    const char *want_text;
    const char *want_journal;
} lates[] = {
    {"two images",
     "\r\n" FIELD("n", "2") END,
     100000000,
     {0},
     200,
     "b64_json",
     "\"image_read\":1},\"charge\":\"40000000\""},
    {"more than the wallet has",
     "\r\n" FIELD("n", "3") END,
     100000000,
     {.status = FUND_EMPTY},
     402,
     "does not cover",
     "\"outcome\":\"refused\",\"evidence\":\"none\",\"status\":402"},
    {"more than the wallet has at hand, but it is lent more",
     "\r\n" FIELD("n", "3") END,
     100000000,
     {.granted = 102000000000},
     200,
     "b64_json",
     "\"charge\":\"40000000\""},
    {"a number that is none",
     "\r\n" FIELD("n", "99") END,
     100000000,
     {0},
     400,
     "field `n`",
     "\"charge\":\"0\""},
    {"a second model",
     "\r\n" FIELD("model", "o/whisper") END,
     100000000,
     {0},
     400,
     "there twice",
     "\"charge\":\"0\""},
    {"bytes behind the end",
     "\r\n" END "x",
     100000000,
     {0},
     400,
     "behind a delimiter",
     "\"charge\":\"0\""},
    {"no end", "\r\n--XX\r\n", 100000000, {0}, 400, "does not end", "\"charge\":\"0\""},
    {"another boundary", "\r\n--XY--\r\n", 100000000, {0}, 400, "does not end", "\"charge\":\"0\""},
};

/* What is said behind the file counts as well, and the provider has no whole form before. */
static void
what_comes_late_counts(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(lates); i++) {
        struct reply reply;
        struct str form =
            form_make(FIELD("model", "o/dall") FILE_HEAD("image"), 300000, lates[i].behind);
        uint64_t before = mark();
        print_message("%s\n", lates[i].name);
        int64_t others = atomic_load(&wallet()->available) - lates[i].wallet;
        assert_int_equal(fund_hold(wallet(), others), 0);
        provider_says(200, "application/json", IMAGES);
        sender_open(&reply, EDITS_PATH, form.len, "");
        (void)sender_put(&reply, form);
        sender_end_funded(&reply, &lates[i].word, true);
        want_body(&reply, lates[i].want, lates[i].want_text);
        assert_int_equal(rig.completes, lates[i].want == 200 ? 1 : 0);
        step_until(provider_let_go, NULL);
        want_journal(before, lates[i].want_journal);
        fund_capture(wallet(), others, 0);
    }
}

static void
who_cuts_pays_nothing(void **state)
{
    (void)state;
    struct reply reply;
    struct str form = form_make(SOUND_TO("o/whisper"), 1000000, "\r\n" END);
    size_t some = 300000;
    uint64_t before = mark();
    sender_open(&reply, SOUND_PATH, form.len, "");
    assert_true(sender_put(&reply, str_make(form.ptr, 600000)));
    step_until(seen_bytes, &some);
    http_call_cancel(&reply.call);
    step_until(provider_let_go, NULL);
    step_until(all_settled, NULL);
    buf_fini(&reply.body);
    assert_int_equal(rig.completes, 0);
    want_journal(before, "\"outcome\":\"client_gone_early\"");
}

/* A provider that does not read is not read for: the caller is stopped, and after the time for a
 * first byte it is over. */
static void
a_deaf_provider_stops_the_caller(void **state)
{
    (void)state;
    struct reply reply;
    /* More than any kernel's buffers hold. */
    struct str form = form_make(SOUND_TO("o/whisper"), 60000000, "\r\n" END);
    rig.deaf = true;
    rig.worker.form_bytes_max = 64u << 20;
    sender_open(&reply, SOUND_PATH, form.len, "");
    assert_false(sender_put(&reply, form));
    const struct exchange *x = LIST_ENTRY(rig.worker.exchanges.next, struct exchange, node);
    assert_true(upload_form(x)->reader.at < 55000000);
    assert_true(upload_kept_bytes(x) < 300u * 1024u);
    step_until(reply_ended, &reply);
    step_until(all_settled, NULL);
    want_body(&reply, 504, "did not take the request in time");
    rig.deaf = false;
}

static void
it_goes_on_when_the_provider_does(void **state)
{
    (void)state;
    struct reply reply;
    struct str form = form_make(SOUND_TO("o/whisper"), 60000000, "\r\n" END);
    provider_says(200, "application/json", TEXTS);
    rig.deaf = true;
    rig.worker.form_bytes_max = 64u << 20;
    sender_open(&reply, SOUND_PATH, form.len, "");
    size_t at = 0;
    while (at < form.len && room) { /* until it blocks */
        struct str piece = str_make(form.ptr + at, MIN(form.len - at, (size_t)30000));
        room = http_call_write(reply.call, piece);
        at += piece.len;
        for (int i = 0; !room && i < 50; i++)
            loop_step(rig.loop, 1);
    }
    assert_true(at < form.len && rig.talking != NULL);
    rig.deaf = false;
    http_stream_pause(rig.talking, false);
    assert_true(sender_put(&reply, str_skip(form, at)));
    sender_end(&reply);
    want_body(&reply, 200, "hi");
    want_seen(SOUND_TO("up-whisper"), form, SOUND_TO("o/whisper"));
}

static void
an_early_refusal_is_passed_on(void **state)
{
    (void)state;
    struct reply reply;
    struct str form = form_make(SOUND_TO("o/whisper"), 3000000, "\r\n" END);
    uint64_t before = mark();
    provider_says(413, "application/json", "{\"error\":{\"message\":\"25 MB at most\"}}");
    rig.early = true;
    sender_open(&reply, SOUND_PATH, form.len, "");
    (void)sender_put(&reply, form);
    step_until(reply_ended, &reply);
    step_until(all_settled, NULL);
    want_body(&reply, 413, "25 MB at most");
    want_journal(before, "\"charge\":\"0\"");
    rig.early = false;
}

static bool
reply_begun(void *arg)
{
    return ((struct reply *)arg)->body.len > 0;
}

/* A provider that answers before it has all: what is wrong behind that ends the answer, which is
 * paid for as far as it came. */
static void
an_early_answer_is_cut(void **state)
{
    (void)state;
    static const struct {
        const char *behind;
        uint64_t bytes_max;
        const char *want;
    } rows[] = {{"\r\n" END "x", 4000000, "behind a delimiter"},
                {"\r\n" FIELD("stream", "false") END, 4000000, "there twice"},
                {"\r\n" END, 3000000, "request_too_large"}};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct reply reply;
        struct str form =
            form_make(FIELD("stream", "true") SOUND_TO("o/whisper"), 3000000, rows[i].behind);
        uint64_t before = mark();
        provider_says(200, "text/event-stream",
                      "data: {\"type\":\"transcript.text.delta\",\"delta\":\"hi\"}\n\n");
        rig.steps[0].hang = true;
        rig.early = true;
        rig.worker.form_bytes_max = rows[i].bytes_max;
        sender_open(&reply, SOUND_PATH, 0, "");
        assert_true(sender_put(&reply, str_make(form.ptr, 2000000)));
        step_until(reply_begun, &reply);
        (void)sender_put(&reply, str_skip(form, 2000000));
        sender_end(&reply);
        assert_int_equal(rig.completes, 0);
        want_body(&reply, 200, rows[i].want);
        want_journal(before, "\"outcome\":\"upstream_cut\"");
        rig.early = false;
    }
}

/* Another target gets it as long as all of it is here, in memory or on disk. */
static void
another_target_gets_all_of_it(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        size_t bytes;
        bool behind; /* the model */
        unsigned want;
        uint32_t want_completes;
    } rows[] = {
        {"a short one", 40000, false, 200, 2},
        {"a long one that waited", 400000, true, 200, 2},
        {"a long one that flowed", 400000, false, 502, 1},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct reply reply;
        struct str form = rows[i].behind ? form_make(FILE_HEAD("file"), rows[i].bytes,
                                                     "\r\n" FIELD("model", "both") END)
                                         : form_make(SOUND_TO("both"), rows[i].bytes, "\r\n" END);
        print_message("%s\n", rows[i].name);
        rig.steps[0] = (struct upstream_step){
            .status = 500, .type = "application/json", .body = "{\"error\":{}}"};
        rig.steps[1] =
            (struct upstream_step){.status = 200, .type = "application/json", .body = TEXTS};
        rig.step_count = 2;
        rig.step_at = 0;
        sender_open(&reply, SOUND_PATH, form.len, "");
        assert_true(sender_put(&reply, form));
        sender_end(&reply);
        assert_int_equal(reply.status, rows[i].want);
        assert_int_equal(rig.completes, rows[i].want_completes);
        if (rows[i].want == 200)
            assert_int_equal(rig.seen.len, form.len + strlen("up-hear") - strlen("both"));
        buf_fini(&reply.body);
    }
}

/* A body that is coded is undone, waits for its end, and goes on plain. */
static void
a_coded_form_is_undone(void **state)
{
    (void)state;
    struct reply reply;
    uint8_t coded[4096];
    struct str form = form_make(SOUND_TO("o/whisper"), 1000, "\r\n" END);
    z_stream zip = {0};
    assert_int_equal(deflateInit2(&zip, 9, Z_DEFLATED, 31, 8, Z_DEFAULT_STRATEGY), Z_OK);
    zip.next_in = (uint8_t *)(uintptr_t)form.ptr;
    zip.avail_in = (uInt)form.len;
    zip.next_out = coded;
    zip.avail_out = sizeof(coded);
    assert_int_equal(deflate(&zip, Z_FINISH), Z_STREAM_END);
    size_t bytes = sizeof(coded) - zip.avail_out;
    deflateEnd(&zip);
    provider_says(200, "application/json", TEXTS);
    sender_open(&reply, SOUND_PATH, bytes, "gzip");
    assert_true(sender_put(&reply, str_make((char *)coded, bytes)));
    sender_end(&reply);
    want_body(&reply, 200, "hi");
    want_seen(SOUND_TO("up-whisper"), form, SOUND_TO("o/whisper"));
    assert_string_equal(rig.seen_codings, "");
}

/* Both framings that a caller may use. */
static void
over_http2(void **state)
{
    (void)state;
    struct http_origin *first = rig.origin;
    struct http_origin_conf conf = {.host = STR("127.0.0.1"), .protocol = HTTP_2};
    struct sock_addr addr;
    socklen_t len = sizeof(addr.u);
    assert_int_equal(getsockname(rig.front_fd, &addr.u.any, &len), 0);
    conf.port = ntohs(addr.u.in4.sin_port);
    assert_int_equal(http_origin_acquire(rig.client, &conf, &rig.origin, NULL), 0);
    it_flows(state);
    a_model_behind_the_file_waits_on_disk(state);
    who_cuts_pays_nothing(state);
    it_goes_on_when_the_provider_does(state);
    what_comes_late_counts(state);
    an_early_refusal_is_passed_on(state);
    an_early_answer_is_cut(state);
    http_origin_release(&rig.origin);
    rig.origin = first;
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, upload_open, rig_close)
    const struct CMUnitTest tests[] = {
        TEST(it_flows),
        TEST(a_model_behind_the_file_waits_on_disk),
        TEST(no_room_is_said),
        TEST(no_more_than_a_share_is_said),
        TEST(another_file_may_come_first),
        TEST(what_comes_late_counts),
        TEST(who_cuts_pays_nothing),
        cmocka_unit_test_setup_teardown(a_deaf_provider_stops_the_caller, upload_open_hasty,
                                        rig_close),
        TEST(it_goes_on_when_the_provider_does),
        TEST(an_early_refusal_is_passed_on),
        TEST(an_early_answer_is_cut),
        TEST(another_target_gets_all_of_it),
        TEST(a_coded_form_is_undone),
        TEST(over_http2),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
