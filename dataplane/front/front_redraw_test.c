/* SPDX-License-Identifier: MIT
 * front_redraw_test.c - pictures in a form to vendors who take no such form: what each of them
 *                       gets, when, what it costs, and who comes next.
 * Floor: test.
 * Owns: the rig.
 * Invariant: proves that a form in another shape is whole and paid for before it leaves (upload.h,
 *            carried.h), whatever its size. */
#include "dataplane/front/front_form_test_rig.h"

#include <time.h>

#include "dataplane/dialect/sigv4.h"
#include "dataplane/pipeline/upload.h"
#include "lib/base/num.h"

#define MODEL(id, provider, upstream)                                           \
    "{\"id\":\"" id "\",\"provider\":\"" provider "\",\"upstream\":\"" upstream \
    "\",\"kind\":\"image\",\"price\":{\"version\":1,\"image\":\"40000000000\"}}"
static const char *const models[] = {
    MODEL("o/dall", "o", "up-dall"),
    MODEL("g/draw", "g", "gemini-2.5-flash-image"),
    MODEL("s/ultra", "s", "stable-image-ultra"),
    MODEL("r/kontext", "r", "black-forest-labs/flux-kontext-pro"),
    MODEL("b/flux", "b", "flux-2-pro"),
    MODEL("b/dev", "b", "flux-dev"),
    MODEL("a/nova", "a", "amazon.nova-canvas-v1:0"),
    MODEL("a/embed", "a",
          "amazon.titan-embed") "],\"routes\":["
                                "{\"name\":\"far\",\"targets\":[\"g/draw\",\"o/dall\"]},"
                                "{\"name\":\"near\",\"targets\":[\"o/dall\",\"s/ultra\"]}",
};
static const struct rig_provider providers[] = {
    {"o", "openai", "/v1"}, {"g", "gemini", "/v1beta"},     {"s", "stability", ""},
    {"r", "replicate", ""}, {"b", "black-forest-labs", ""}, {"a", "bedrock-converse", ""}};

static int
redraw_open(void **state)
{
    int rc = rig_open(state);
    rig_configure("\"body_bytes_max\":4096,\"ttft_timeout_ms\":2000", providers,
                  ARRAY_LEN(providers), models, ARRAY_LEN(models));
    rig.streams = true;
    rig.worker.form_bytes_max = 64u << 20;
    return rc;
}

#define JSON "application/json"
#define EDITS "/v1/images/edits"
#define VARIATIONS "/v1/images/variations"
#define PNG "\x89PNG\r\n\x1a\n123"
#define PNG64 "iVBORw0KGgoxMjM="
#define BOAT FIELD("prompt", "a boat")
#define FROM_GEMINI                                                                          \
    "{\"candidates\":[{\"content\":{\"parts\":[{\"inlineData\":{\"mimeType\":\"image/png\"," \
    "\"data\":\"AA==\"}}]}}]}"
#define FROM_OPENAI "{\"created\":1,\"data\":[{\"b64_json\":\"AA==\"}]}"
#define FROM_STABILITY "{\"image\":\"AA==\",\"finish_reason\":\"SUCCESS\"}"

static const struct {
    const char *name;
    const char *path;
    const char *form;
    const char *says;
    unsigned want_status;
    const char *want;
    const char *want_target; /* NULL: nobody is called */
    const char *want_seen;
    const char *want_charge;
} rows[] = {
    {"Gemini", EDITS, FIELD("model", "g/draw") BOAT FILE_HEAD("image") PNG "\r\n" END, FROM_GEMINI,
     200, "\"b64_json\":\"AA==\"", "/v1beta/models/gemini-2.5-flash-image:generateContent",
     "{\"contents\":[{\"role\":\"user\",\"parts\":[{\"text\":\"a boat\"},{\"inlineData\":{"
     "\"mimeType\":\"image/png\",\"data\":\"" PNG64 "\"}}]}],\"generationConfig\":{"
     "\"responseModalities\":[\"TEXT\",\"IMAGE\"]}}",
     "\"image\":1,\"image_read\":1},\"charge\":\"40000000\""},
    {"Stability, its model behind the picture", EDITS,
     FILE_HEAD("image") PNG "\r\n" BOAT FIELD("model", "s/ultra") END, FROM_STABILITY, 200,
     "\"b64_json\":\"AA==\"", "/v2beta/stable-image/generate/ultra",
     BOAT FIELD("strength", "0.7")
         FIELD("output_format",
               "png") "--XX\r\n"
                      "Content-Disposition: form-data; name=\"image\"; filename=\"image.png\"\r\n"
                      "Content-Type: image/png\r\n\r\n" PNG "\r\n" END,
     "\"charge\":\"40000000\""},
    {"Replicate", EDITS, FIELD("model", "r/kontext") BOAT FILE_HEAD("image") PNG "\r\n" END,
     "{\"status\":\"succeeded\",\"output\":\"https://a/b.png\"}", 200,
     "\"url\":\"https://a/b.png\"", "/v1/models/black-forest-labs/flux-kontext-pro/predictions",
     "{\"input\":{\"prompt\":\"a boat\",\"input_image\":\"data:image/png;base64," PNG64 "\"}}",
     "\"charge\":\"40000000\""},
    {"Black Forest Labs", EDITS, FIELD("model", "b/flux") BOAT FILE_HEAD("image") PNG "\r\n" END,
     "{\"status\":\"Ready\",\"result\":{\"sample\":\"https://a/b.png\"}}", 200,
     "\"url\":\"https://a/b.png\"", "/v1/flux-2-pro",
     "{\"prompt\":\"a boat\",\"input_image\":\"" PNG64 "\",\"output_format\":\"png\"}",
     "\"charge\":\"40000000\""},
    {"Black Forest Labs, a variation", VARIATIONS,
     FIELD("model", "b/dev") FILE_HEAD("image") PNG "\r\n" END,
     "{\"status\":\"Ready\",\"result\":{\"sample\":\"https://a/b.png\"}}", 200,
     "\"url\":\"https://a/b.png\"", "/v1/flux-dev",
     "{\"image_prompt\":\"" PNG64 "\",\"output_format\":\"png\"}", "\"charge\":\"40000000\""},
    {"Bedrock, three", EDITS,
     FIELD("model", "a/nova") BOAT FILE_HEAD("image") PNG "\r\n" FIELD("n", "3") END,
     "{\"images\":[\"AA==\",\"AB==\",\"AC==\"],\"error\":null}", 200, "\"b64_json\":\"AC==\"",
     "/model/amazon.nova-canvas-v1%3A0/invoke",
     "{\"taskType\":\"IMAGE_VARIATION\",\"imageVariationParams\":{\"text\":\"a boat\","
     "\"images\":[\"" PNG64 "\"]},\"imageGenerationConfig\":{\"numberOfImages\":3}}",
     "\"image\":3,\"image_read\":1},\"charge\":\"120000000\""},
    {"what the vendor does not make", EDITS,
     FIELD("model", "s/ultra") BOAT FILE_HEAD("image") PNG "\r\n" END,
     "{\"image\":\"AA==\",\"finish_reason\":\"CONTENT_FILTERED\"}", 502, "made nothing of this",
     "/v2beta/stable-image/generate/ultra", NULL, "\"charge\":\"0\""},
    {"a mask", EDITS,
     FIELD("model", "g/draw") BOAT FILE_HEAD("image") PNG "\r\n" FILE_HEAD("mask") PNG "\r\n" END,
     "", 400, "field `mask`", NULL, NULL, NULL},
    {"a size", EDITS,
     FIELD("model", "s/ultra") BOAT FILE_HEAD("image") PNG "\r\n" FIELD("size", "512x512") END, "",
     400, "field `size`", NULL, NULL, NULL},
    {"two", EDITS, FIELD("model", "b/flux") BOAT FILE_HEAD("image") PNG "\r\n" FIELD("n", "2") END,
     "", 400, "field `n`", NULL, NULL, NULL},
    {"no picture", EDITS, FIELD("model", "g/draw") BOAT FILE_HEAD("image") "GIF\r\n" END, "", 400,
     "no PNG, JPEG", NULL, NULL, NULL},
    {"no such endpoint", VARIATIONS, FIELD("model", "g/draw") FILE_HEAD("image") PNG "\r\n" END, "",
     400, "no such endpoint", NULL, NULL, NULL},
    {"a model that draws nothing", EDITS,
     FIELD("model", "a/embed") BOAT FILE_HEAD("image") PNG "\r\n" END, "", 400, "no such endpoint",
     NULL, NULL, NULL},
};

static void
send_form(struct reply *reply, const char *path, struct str form)
{
    rig.seen_target[0] = '\0';
    sender_open(reply, path, form.len, "");
    (void)sender_put(reply, form);
    sender_end(reply);
}

static size_t
seen_length(void)
{
    uint64_t bytes = 0;
    assert_int_equal(num_u64(str_from(rig.seen_length), UINT64_MAX, &bytes), 0);
    return bytes;
}

static void
every_vendor(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct reply reply;
        uint64_t before = mark();
        print_message("%s\n", rows[i].name);
        provider_says(200, JSON, rows[i].says);
        send_form(&reply, rows[i].path, str_from(rows[i].form));
        want_body(&reply, rows[i].want_status, rows[i].want);
        if (rows[i].want_target == NULL) {
            assert_int_equal(rig.completes, 0);
            continue;
        }
        assert_string_equal(rig.seen_target, rows[i].want_target);
        if (rows[i].want_seen != NULL)
            assert_true(str_eq(buf_str(&rig.seen), str_from(rows[i].want_seen)));
        assert_int_equal(seen_length(), rig.seen.len);
        want_journal(before, rows[i].want_charge);
    }
}

/* Its model stands first, and still nobody hears of it before all of it was read. */
static void
a_large_one_waits_on_disk(void **state)
{
    (void)state;
    struct reply reply;
    struct str form = form_make(FIELD("model", "g/draw") BOAT FILE_HEAD("image") PNG, 3000000,
                                "\r\n" FIELD("n", "1") END);
    uint64_t before = mark();
    size_t most = 2900000;
    provider_says(200, JSON, FROM_GEMINI);
    sender_open(&reply, EDITS, form.len, "");
    assert_true(sender_put(&reply, str_make(form.ptr, form.len - 10)));
    step_until(spooled_bytes, &most);
    const struct exchange *x = LIST_ENTRY(rig.worker.exchanges.next, struct exchange, node);
    assert_int_equal(upload_kept_bytes(x), 0);
    assert_null(rig.talking);
    assert_true(atomic_load(&wallet()->held) >= 40000000);
    assert_true(sender_put(&reply, str_skip(form, form.len - 10)));
    sender_end(&reply);
    want_body(&reply, 200, "AA==");
    want_journal(before, "\"charge\":\"40000000\"");
    assert_int_equal(rig.worker.spool.bytes, 0);
    size_t coded = (STR(PNG).len + 3000000 + 2) / 3 * 4;
    assert_int_equal(seen_length(), rig.seen.len);
    assert_true(rig.seen.len > coded && rig.seen.len < coded + 300);
    assert_true(str_find(buf_str(&rig.seen), STR("\"data\":\"iVBORw0KGgoxMjM")) != SIZE_MAX);
}

/* Whatever its size, and whoever is asked first. */
static void
the_next_target_gets_all_of_it(void **state)
{
    (void)state;
    static const struct {
        const char *route;
        const char *says;
        const char *want_target;
    } routes[] = {{"far", FROM_OPENAI, EDITS}, {"near", FROM_STABILITY, "/v2beta/stable-image/"}};
    for (size_t i = 0; i < 2 * ARRAY_LEN(routes); i++) {
        struct reply reply;
        char before[256];
        uint64_t from = mark();
        bool far = i < 2;
        (void)snprintf(before, sizeof(before), FIELD("model", "%s") BOAT FILE_HEAD("image") PNG,
                       routes[far ? 0 : 1].route);
        struct str form = form_make(before, i % 2 == 0 ? 1000 : 1000000, "\r\n" END);
        rig.steps[0] = (struct upstream_step){.status = 500, .type = JSON, .body = "{}"};
        rig.steps[1] =
            (struct upstream_step){.status = 200, .type = JSON, .body = routes[far ? 0 : 1].says};
        rig.step_count = 2;
        rig.step_at = 0;
        send_form(&reply, EDITS, form);
        want_body(&reply, 200, "AA==");
        assert_int_equal(rig.completes, 2);
        assert_non_null(strstr(rig.seen_target, routes[far ? 0 : 1].want_target));
        assert_true(str_find(buf_str(&rig.seen), STR(PNG)) != SIZE_MAX);
        want_journal(from, "\"charge\":\"40000000\"");
    }
}

/* Held as what was seen at first, then as all of it: in between the wallet may be too small. */
static void
money_comes_before_the_call(void **state)
{
    (void)state;
    static const struct {
        struct fund_word word;
        unsigned want;
        const char *want_text;
    } ends[] = {{{.status = FUND_EMPTY}, 402, "does not cover"},
                {{.granted = 102000000000}, 200, "b64_json"}};
    for (size_t i = 0; i < ARRAY_LEN(ends); i++) {
        struct reply reply;
        struct str form = form_make(FIELD("model", "a/nova") BOAT FILE_HEAD("image") PNG, 300000,
                                    "\r\n" FIELD("n", "3") END);
        int64_t others = atomic_load(&wallet()->available) - 100000000; /* one, not three */
        assert_int_equal(fund_hold(wallet(), others), 0);
        provider_says(200, JSON, "{\"images\":[\"AA==\"]}");
        sender_open(&reply, EDITS, form.len, "");
        (void)sender_put(&reply, form);
        sender_end_funded(&reply, &ends[i].word, ends[i].want == 200);
        want_body(&reply, ends[i].want, ends[i].want_text);
        assert_int_equal(rig.completes, ends[i].want == 200 ? 1 : 0);
        fund_capture(wallet(), others, 0);
    }
}

/* Who signs his calls signs this one, too: by what leaves, which nobody has in one piece. */
static void
a_pair_signs_it(void **state)
{
    (void)state;
    struct reply reply;
    char host[64];
    struct tm tm = {0};
    struct arena arena;
    struct sigv4_fields made = {0};
    struct str form =
        form_make(FIELD("model", "a/nova") BOAT FILE_HEAD("image") PNG, 100000, "\r\n" END);
    rig_provider_key = "AKID:SECRET";
    rig_configure("\"ttft_timeout_ms\":2000", providers, ARRAY_LEN(providers), models,
                  ARRAY_LEN(models));
    rig_provider_key = "sk-provider-secret";
    provider_says(200, JSON, "{\"images\":[\"AA==\"]}");
    send_form(&reply, EDITS, form);
    want_body(&reply, 200, "AA==");
    const struct uri *base = &rig.worker.config->providers[0].base;
    (void)snprintf(host, sizeof(host), "127.0.0.1:%u", base->port);
    assert_non_null(strptime(rig.seen_date, "%Y%m%dT%H%M%SZ", &tm));
    const struct sigv4_call call = {.key = STR("AKID:SECRET"),
                                    .service = str_from(dialect_bedrock.aws_service),
                                    .region = STR("us-east-1"),
                                    .host = str_from(host),
                                    .path = str_from(rig.seen_target),
                                    .body = buf_str(&rig.seen),
                                    .now_s = (uint64_t)timegm(&tm)};
    arena_init(&arena, 65536);
    assert_int_equal(sigv4_sign(&call, &arena, &made), 0);
    assert_true(str_eq(made.authorization, str_from(rig.seen_auth)));
    arena_fini(&arena);
}

static void
who_leaves_pays_nothing(void **state)
{
    (void)state;
    struct reply reply;
    struct str form =
        form_make(FIELD("model", "g/draw") BOAT FILE_HEAD("image") PNG, 1000000, "\r\n" END);
    uint64_t before = mark();
    size_t most = 500000;
    sender_open(&reply, EDITS, form.len, "");
    assert_true(sender_put(&reply, str_make(form.ptr, 600000)));
    step_until(spooled_bytes, &most);
    http_call_cancel(&reply.call);
    step_until(all_settled, NULL);
    buf_fini(&reply.body);
    assert_int_equal(rig.completes, 0);
    assert_int_equal(rig.worker.spool.bytes, 0);
    want_journal(before, "\"outcome\":\"client_gone_early\"");
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, redraw_open, rig_close)
    const struct CMUnitTest tests[] = {
        TEST(every_vendor),
        TEST(a_large_one_waits_on_disk),
        TEST(the_next_target_gets_all_of_it),
        TEST(money_comes_before_the_call),
        TEST(a_pair_signs_it),
        TEST(who_leaves_pays_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
