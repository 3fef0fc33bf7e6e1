/* SPDX-License-Identifier: MIT
 * redraw_test.c - each vendor's request for a picture after a picture, and what is none.
 * Floor: test.
 * Owns: nothing.
 * Invariant: proves redraw.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tools/sim/redraw.h"

#define FORM "multipart/form-data; boundary=XX"
#define PNG64 "iVBORw0KGgoxMjM="
#define FIELD(name, value) \
    "--XX\r\nContent-Disposition: form-data; name=\"" name "\"\r\n\r\n" value "\r\n"
#define PICTURE(name)                                                                   \
    "--XX\r\nContent-Disposition: form-data; name=\"" name "\"; filename=\"a\"\r\n\r\n" \
    "\x89PNG\r\n\x1a\n123\r\n"

static void
test_requests(void **state)
{
    static const struct {
        enum sim_endpoint endpoint;
        const char *model;
        const char *body;
        int want_err;
        const char *want; /* in the answer, or the error */
        uint64_t want_units;
    } rows[] = {
        {SIM_GEMINI, "gemini-2.5-flash-image",
         "{\"contents\":[{\"parts\":[{\"text\":\"a\"},{\"inlineData\":{\"mimeType\":\"image/png\","
         "\"data\":\"" PNG64 "\"}}]}]}",
         0, "\"inlineData\":{\"mimeType\":\"image/png\",\"data\":\"", 1},
        {SIM_GEMINI, "gemini-2.5-flash-image", "{\"contents\":[{\"parts\":[{\"text\":\"a\"}]}]}",
         -ERR_INVALID, "image: it is not there", 0},
        {SIM_EMBED_BEDROCK, "amazon.nova-canvas-v1:0",
         "{\"taskType\":\"IMAGE_VARIATION\",\"imageVariationParams\":{\"images\":[\"" PNG64
         "\"]},\"imageGenerationConfig\":{\"numberOfImages\":2}}",
         0, "{\"images\":[\"", 2},
        {SIM_EMBED_BEDROCK, "amazon.nova-canvas-v1:0", "{\"taskType\":\"TEXT_IMAGE\"}",
         -ERR_INVALID, "taskType", 0},
        {SIM_REPLICATE, "b/flux-kontext-pro",
         "{\"input\":{\"prompt\":\"a\",\"input_image\":\"data:image/png;base64," PNG64 "\"}}", 0,
         "\"output\":[\"https://images.invalid/", 1},
        {SIM_REPLICATE, "b/flux-kontext-pro",
         "{\"input\":{\"prompt\":\"a\",\"input_image\":\"" PNG64 "\"}}", -ERR_INVALID, "image", 0},
        {SIM_BFL, "flux-kontext-pro", "{\"prompt\":\"a\",\"input_image\":\"AAAA\"}", -ERR_INVALID,
         "no PNG", 0},
        {SIM_STABILITY, "stable-image-ultra", FIELD("prompt", "a") PICTURE("image") "--XX--\r\n", 0,
         "\"finish_reason\":\"SUCCESS\"", 1},
        {SIM_STABILITY, "stable-image-ultra", FIELD("size", "a") PICTURE("image") "--XX--\r\n",
         -ERR_INVALID, "size: unknown", 0},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct arena arena;
        struct json_doc doc;
        struct buf out;
        struct sim_media media = {.model = str_from(rows[i].model)};
        struct sim_answer answer = {0};
        struct err err = {0};
        enum sim_endpoint endpoint = redraw_endpoint(rows[i].endpoint, media.model);
        arena_init(&arena, 1u << 20);
        json_init(&doc);
        buf_init(&out, 1u << 20);
        assert_true(redraw_is(endpoint, media.model));
        int rc =
            redraw_parse(str_from(rows[i].body), STR(FORM), endpoint, &doc, &arena, &media, &err);
        assert_int_equal(rc, rows[i].want_err);
        if (rc == 0)
            assert_string_equal(media_write(&media, &answer, &out), "application/json");
        struct str said = rc == 0 ? buf_str(&out) : str_from(err.text);
        if (str_find(said, str_from(rows[i].want)) == SIZE_MAX)
            fail_msg("row %zu: %.*s", i, STR_ARG(said));
        assert_int_equal(answer.units, rows[i].want_units);
        buf_fini(&out);
        json_fini(&doc);
        arena_fini(&arena);
    }
    assert_int_equal(redraw_endpoint(SIM_GEMINI, STR("gemini-2.5-flash")), SIM_GEMINI);
    assert_false(redraw_is(SIM_BFL, STR("flux-dev")));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_requests)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
