/* SPDX-License-Identifier: MIT
 * front_coding_test.c - coded bodies: of requests, as a caller sees them and what the provider
 *                       gets; of answers that nobody asked to be coded.
 * Floor: test.
 * Owns: nothing; see front_test_rig.h.
 * Invariant: no coding reaches a provider or a caller; a refusal is in the caller's dialect and is
 *            free. */
#include <zlib.h>

#include "dataplane/front/front_test_rig.h"

static char accepted[64]; /* the refusal's accept-encoding */

static void
coded_head(struct http_call *call, const struct http_head *head)
{
    reply_head(call, head);
    struct str value = http_field_get(head, STR("accept-encoding"));
    (void)snprintf(accepted, sizeof(accepted), "%.*s", STR_ARG(value));
}

static const struct http_call_ops coded_ops = {
    .head = coded_head, .body = reply_body, .done = reply_done, .failed = reply_failed};

static void
ask_coded(struct reply *reply, const char *path, const char *coding, struct str bytes)
{
    const struct http_field fields[] = {{STR("authorization"), STR("Bearer " KEY)},
                                        {STR("content-type"), STR("application/json")},
                                        {STR("accept-encoding"), STR("gzip")},
                                        {STR("content-encoding"), str_from(coding)}};
    accepted[0] = '\0';
    ask_call(reply, &coded_ops, path, bytes, fields, ARRAY_LEN(fields));
    step_until(reply_ended, reply);
    step_until(all_settled, NULL);
}

static struct str
deflated(struct str text)
{
    static Bytef out[1u << 16];
    uLongf size = sizeof(out);
    assert_int_equal(compress(out, &size, (const Bytef *)text.ptr, text.len), Z_OK);
    return str_make((const char *)out, size);
}

static void
provider_gets_the_text(void **state)
{
    (void)state;
    struct reply reply;
    provider_says(200, "application/json", ANSWER);
    ask_coded(&reply, CHAT, "deflate", deflated(STR(BODY("openai/a"))));
    want_body(&reply, 200, "yo");
    assert_string_equal(buf_cstr(&rig.seen), BODY("up-a"));
    assert_string_equal(rig.seen_codings, "");
    assert_string_equal(rig.seen_accepts, "identity");

    ask_coded(&reply, CHAT, "identity", STR(BODY("openai/a")));
    want_body(&reply, 200, "yo");
    assert_string_equal(buf_cstr(&rig.seen), BODY("up-a"));
}

static void
refusals_say_why(void **state)
{
    (void)state;
    static char zeros[4u << 20];
    memset(zeros, ' ', sizeof(zeros));
    struct str good = STR(BODY("openai/a"));
    static const struct {
        const char *path, *coding;
        int cut; /* bytes off the end, or -1: more of them */
        unsigned status;
        const char *want, *accepted;
    } rows[] = {
        {CHAT, "compress", 0, 415, "\"code\":\"unsupported_content_encoding\"", CODING_LIST},
        {CHAT, "gzip, deflate", 0, 415, "\"param\":null", CODING_LIST},
        {"/v1/messages", "aws-chunked", 0, 415, "\"type\":\"error\"", CODING_LIST},
        {CHAT, "gzip", 0, 400, "content-encoding", ""},
        {CHAT, "deflate", 3, 400, "content-encoding", ""},
        {"/v1/messages", "deflate", 3, 400, "\"type\":\"error\"", ""},
        {CHAT, "deflate", -1, 413, "request_too_large", ""},
        {"/v1/messages", "deflate", -1, 413, "\"type\":\"error\"", ""},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct reply reply;
        uint64_t before = mark();
        struct str bytes = deflated(rows[i].cut < 0 ? str_make(zeros, sizeof(zeros)) : good);
        if (rows[i].cut > 0)
            bytes.len -= (size_t)rows[i].cut;
        ask_coded(&reply, rows[i].path, rows[i].coding, bytes);
        want_body(&reply, rows[i].status, rows[i].want);
        assert_string_equal(accepted, rows[i].accepted);
        assert_int_equal(mark(), before);
    }
}

/* Coded though nobody asked for it: what it used has to be read all the same. */
static void
coded_answers_are_undone(void **state)
{
    (void)state;
    static char zeros[4u << 20];
    static const char stream[] = CHUNK("{\"content\":\"yo\"}") CHUNK_STOP CHUNK_USAGE CHUNK_DONE;
    memset(zeros, ' ', sizeof(zeros));
    static const struct {
        const char *coding, *type, *body;
        int cut; /* bytes off the end, or -1: far more of them than came */
        bool stream;
        unsigned status;
        const char *want, *charge;
    } rows[] = {
        {"deflate", "application/json", ANSWER, 0, false, 200, ANSWER, "\"charge\":\"21\""},
        {"Deflate", SSE, stream, 0, true, 200, "\"content\":\"yo\"", "\"charge\":\"21\""},
        {"deflate", "application/json", ANSWER, 3, false, 502, "cannot be undone",
         "\"charge\":\"0\""},
        {"deflate", "application/json", NULL, -1, false, 502, "cannot be undone",
         "\"charge\":\"0\""},
        {"gzip", "application/json", ANSWER, 0, false, 502, "cannot be undone", "\"charge\":\"0\""},
        {"compress", "application/json", ANSWER, 0, false, 502, "cannot be undone",
         "\"charge\":\"0\""},
        {"deflate, br", SSE, stream, 0, true, 502, "cannot be undone", "\"charge\":\"0\""},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct reply reply;
        uint64_t before = mark();
        struct str bytes =
            deflated(rows[i].cut < 0 ? str_make(zeros, sizeof(zeros)) : str_from(rows[i].body));
        bytes.len -= rows[i].cut > 0 ? (size_t)rows[i].cut : 0;
        provider_says(200, rows[i].type, bytes.ptr);
        rig.coding = rows[i].coding;
        rig.coded_bytes = bytes.len;
        ask(&reply, CHAT, rows[i].stream ? STREAM_BODY("openai/a") : BODY("openai/a"));
        want_body(&reply, rows[i].status, rows[i].want);
        want_journal(before, rows[i].charge);
    }
}

/* A caller's mistake in another coding is still told to him. */
static void
coded_errors_are_read(void **state)
{
    (void)state;
    struct reply reply;
    struct str bytes = deflated(STR("{\"error\":{\"message\":\"too wide\",\"param\":\"n\"}}"));
    provider_says(400, "application/json", bytes.ptr);
    rig.coding = "deflate";
    rig.coded_bytes = bytes.len;
    ask(&reply, CHAT, BODY("openai/a"));
    want_body(&reply, 400, "too wide");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(provider_gets_the_text, rig_open, rig_close),
        cmocka_unit_test_setup_teardown(refusals_say_why, rig_open, rig_close),
        cmocka_unit_test_setup_teardown(coded_answers_are_undone, rig_open, rig_close),
        cmocka_unit_test_setup_teardown(coded_errors_are_read, rig_open, rig_close),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
