/* SPDX-License-Identifier: MIT
 * maker_test.c - Stability, Replicate and Black Forest Labs: addresses, exact requests, answers.
 * Floor: test.
 * Owns: nothing.
 * Invariant: proves maker.h and made.c. */
#include "dataplane/media/maker.h"

#include "dataplane/media/test_int.h"

#define PART(name, value)                                                                         \
    "--berth-9bVJ3kq0cXw2mZt7\r\nContent-Disposition: form-data; name=\"" name "\"\r\n\r\n" value \
    "\r\n"
#define END "--berth-9bVJ3kq0cXw2mZt7--\r\n"

static void
addresses(void **state)
{
    (void)state;
    static const struct {
        const char *maker;
        const char *model;
        const char *want; /* NULL: nobody can call it */
        enum chat_endpoint endpoint;
    } rows[] = {
        {"stability", "stable-image-core", "/v2beta/stable-image/generate/core",
         CHAT_ENDPOINT_IMAGES},
        {"stability", "sd3.5-large", "/v2beta/stable-image/generate/sd3", CHAT_ENDPOINT_IMAGES},
        {"stability", "erase", NULL, CHAT_ENDPOINT_IMAGES},
        {"replicate", "black-forest-labs/flux-schnell",
         "/v1/models/black-forest-labs/flux-schnell/predictions", CHAT_ENDPOINT_IMAGES},
        {"black-forest-labs", "flux-pro-1.1", "/v1/flux-pro-1.1", CHAT_ENDPOINT_IMAGES},
        {"black-forest-labs", "../x", "/v1/..%2Fx", CHAT_ENDPOINT_IMAGES},
        {"replicate", "a/../b?c", "/v1/models/a/../b%3Fc/predictions", CHAT_ENDPOINT_IMAGES},
        {"stability", "ultra", "/v2beta/stable-image/generate/ultra", CHAT_ENDPOINT_IMAGES},
        {"stability", "stable-image-ultra", "/v2beta/stable-image/generate/ultra",
         CHAT_ENDPOINT_IMAGE_EDITS},
        {"stability", "sd3-medium", "/v2beta/stable-image/generate/sd3", CHAT_ENDPOINT_IMAGE_EDITS},
        {"stability", "inpaint", "/v2beta/stable-image/edit/inpaint", CHAT_ENDPOINT_IMAGE_EDITS},
        {"stability", "inpaint", NULL, CHAT_ENDPOINT_IMAGES},
        {"stability", "core", NULL, CHAT_ENDPOINT_IMAGE_EDITS},
        {"stability", "sd3-medium", NULL, CHAT_ENDPOINT_IMAGE_VARIATIONS},
        {"black-forest-labs", "flux-dev", "/v1/flux-dev", CHAT_ENDPOINT_IMAGE_VARIATIONS},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct buf out;
        buf_init(&out, 4096);
        const struct dialect *maker = maker_find(str_from(rows[i].maker));
        assert_non_null(maker);
        int rc = maker->path(rows[i].endpoint, str_from(rows[i].model), false, &out);
        assert_int_equal(rc, rows[i].want != NULL ? 0 : -ERR_UNSUPPORTED);
        if (rc == 0)
            assert_string_equal(buf_cstr(&out), rows[i].want);
        assert_int_equal(maker->path(CHAT_ENDPOINT_CHAT, STR("sd3"), false, &out),
                         -ERR_UNSUPPORTED);
        buf_fini(&out);
    }
    assert_null(maker_find(STR("openai")));
}

static void
requests(void **state)
{
    (void)state;
    static const struct carried_request rows[] = {
        {&maker_stability, "sd3.5-large",
         "{\"prompt\":\"a\\nboat\",\"size\":\"1024x1536\",\"quality\":\"hd\"}", 0,
         PART("prompt", "a\nboat") PART("model", "sd3.5-large") PART("aspect_ratio", "2:3")
             PART("output_format", "png") END,
         "quality"},
        {&maker_stability, "stable-image-core", "{\"prompt\":\"a\"}", 0,
         PART("prompt", "a") PART("output_format", "png") END, ""},
        {&maker_stability, "stable-image-core", "{\"prompt\":\"berth-9bVJ3kq0cXw2mZt7\"}",
         -ERR_INVALID, "`prompt`", ""},
        {&maker_stability, "stable-image-core", "{\"prompt\":\"a\",\"response_format\":\"url\"}",
         -ERR_UNSUPPORTED, "`response_format`", ""},
        {&maker_replicate, "o/n", "{\"prompt\":\"a\",\"size\":\"1024x1024\"}", 0,
         "{\"input\":{\"prompt\":\"a\",\"aspect_ratio\":\"1:1\"}}", ""},
        {&maker_replicate, "o/n", "{\"prompt\":\"a\",\"response_format\":\"b64_json\"}",
         -ERR_UNSUPPORTED, "`response_format`", ""},
        {&maker_bfl, "flux-pro-1.1", "{\"prompt\":\"a\",\"size\":\"1024x1536\",\"user\":\"u\"}", 0,
         "{\"prompt\":\"a\",\"width\":1024,\"height\":1536,\"output_format\":\"png\"}", "user"},
        {&maker_bfl, "flux-pro-1.1-ultra", "{\"prompt\":\"a\",\"size\":\"1792x1024\"}", 0,
         "{\"prompt\":\"a\",\"aspect_ratio\":\"16:9\",\"output_format\":\"png\"}", ""},
        {&maker_bfl, "flux-dev", "{\"prompt\":\"a\",\"n\":3}", -ERR_UNSUPPORTED, "`n`", ""},
        {&maker_replicate, "o/n", "{\"prompt\":\"a\",\"n\":2}", -ERR_UNSUPPORTED, "`n`", ""},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct carry_wish wish = {.count = 0};
        check_request(CHAT_ENDPOINT_IMAGES, &rows[i], &wish);
    }
}

static void
answers(void **state)
{
    (void)state;
    static const struct {
        const struct dialect *maker;
        const char *body;
        int want_err;
        const char *want;
        uint64_t want_images;
    } rows[] = {
        {&maker_stability, "{\"image\":\"AA==\",\"finish_reason\":\"SUCCESS\",\"seed\":1}", 0,
         "{\"created\":9,\"data\":[{\"b64_json\":\"AA==\"}]}", 1},
        {&maker_stability, "{\"image\":\"AA==\",\"finish_reason\":\"CONTENT_FILTERED\"}",
         -ERR_NOT_FOUND, "", 0},
        {&maker_stability, "{\"image\":7}", -ERR_INVALID, "", 0},
        {&maker_replicate, "{\"status\":\"succeeded\",\"output\":[\"https://a\",\"https://b\"]}", 0,
         "{\"created\":9,\"data\":[{\"url\":\"https://a\"},{\"url\":\"https://b\"}]}", 2},
        {&maker_replicate, "{\"status\":\"succeeded\",\"output\":\"https://a\"}", 0,
         "{\"created\":9,\"data\":[{\"url\":\"https://a\"}]}", 1},
        {&maker_replicate, "{\"status\":\"succeeded\",\"output\":null}", -ERR_NOT_FOUND, "", 0},
        {&maker_replicate, "{\"status\":\"processing\"}", -ERR_TIMEOUT, "", 0},
        {&maker_replicate, "{\"status\":\"failed\",\"error\":\"NSFW\"}", -ERR_NOT_FOUND, "", 0},
        {&maker_replicate, "{}", -ERR_INVALID, "", 0},
        {&maker_bfl, "{\"id\":\"1\",\"polling_url\":\"https://a/b\"}", -ERR_TIMEOUT, "", 0},
        {&maker_bfl, "{\"id\":\"1\",\"status\":\"Pending\",\"result\":null}", -ERR_TIMEOUT, "", 0},
        {&maker_bfl, "{\"status\":\"Ready\",\"result\":{\"sample\":\"https://a\"}}", 0,
         "{\"created\":9,\"data\":[{\"url\":\"https://a\"}]}", 1},
        {&maker_bfl, "{\"status\":\"Ready\",\"result\":{}}", -ERR_INVALID, "", 0},
        {&maker_bfl, "{\"status\":\"Content Moderated\"}", -ERR_NOT_FOUND, "", 0},
        {&maker_bfl, "{\"status\":\"Task not found\"}", -ERR_NOT_FOUND, "", 0},
        {&maker_bfl, "{\"detail\":\"x\"}", -ERR_INVALID, "", 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const struct carry_wish wish = {.model = STR("m"), .created_s = 9, .count = 1};
        struct usage usage = check_answer(CHAT_ENDPOINT_IMAGES, rows[i].maker, rows[i].body, &wish,
                                          rows[i].want_err, rows[i].want);
        assert_int_equal(usage.count[USAGE_image], rows[i].want_images);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(addresses), cmocka_unit_test(requests),
                                       cmocka_unit_test(answers)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
