/* SPDX-License-Identifier: MIT
 * retouch_test.c - forms with pictures, and the exact bodies that other vendors get of them.
 * Floor: test.
 * Owns: nothing.
 * Invariant: proves retouch.c, canvas.c, letter.h and draft.h: in pieces of any size the same. */
#include <stdio.h>

#include "dataplane/media/maker.h"
#include "dataplane/media/test_int.h"

#define FIELD(name, value) \
    "--XX\r\nContent-Disposition: form-data; name=\"" name "\"\r\n\r\n" value "\r\n"
#define PICTURE(name, bytes)                                                        \
    "--XX\r\nContent-Disposition: form-data; name=\"" name "\"; filename=\"a\"\r\n" \
    "Content-Type: text/html\r\n\r\n" bytes "\r\n"
#define END "--XX--\r\n"
#define PNG "\x89PNG\r\n\x1a\n123"
#define PNG64 "iVBORw0KGgoxMjM="
#define JPEG "\xff\xd8\xffjp"
#define JPEG64 "/9j/anA="

static struct str body_of; /* of the form */
static size_t step_of;     /* as much as the source gives at a time */

static int
source_read(void *user, uint64_t at, char *piece, size_t size, struct str *ret_bytes)
{
    (void)user;
    assert_true(at + size <= body_of.len);
    size_t count = MIN(size, step_of);
    memcpy(piece, body_of.ptr + at, count);
    *ret_bytes = str_make(piece, count);
    return 0;
}

/* 0 and the body, or the error and its text. */
static int
carry(enum chat_endpoint endpoint, const struct dialect *target, const char *model,
      struct str form_body, size_t step, struct buf *out, struct carry_wish *ret_wish)
{
    const struct draft_source source = {source_read, NULL};
    struct json_doc doc;
    struct arena arena;
    struct draft draft;
    struct form *form = NULL;
    struct letter letter;
    struct err err = {0};
    struct str piece = STR("x");
    json_init(&doc);
    arena_init(&arena, 4u << 20);
    draft_init(&draft);
    body_of = form_body;
    step_of = step;
    int rc = form_new(&arena, STR("XX"), UINT64_MAX, &form, &err);
    if (rc == 0)
        rc = form_take(form, form_body, &err);
    if (rc == 0)
        rc = form_end(form, &err);
    assert_int_equal(rc, 0);
    rc = letter_read(form, &source, &arena, &letter, &err);
    if (rc == 0)
        rc = json_scan(&doc, letter.json, NULL, &err);
    if (rc == 0)
        rc = carrier_find(target, endpoint, STR_EMPTY)
                 ->draft(&doc, &letter, str_from(model), &arena, &draft, ret_wish, &err);
    if (rc == 0)
        assert_int_equal(draft_end(&draft), 0);
    for (int again = 0; again < 2 && rc == 0; again++, draft_rewind(&draft)) {
        out->len = 0;
        do {
            assert_int_equal(draft_next(&draft, &source, &piece), 0);
            (void)buf_put_str(out, piece);
        } while (piece.len > 0);
        assert_int_equal(out->len, draft.bytes);
    }
    if (rc != 0)
        (void)buf_put_str(out, str_from(err.text));
    struct str dropped = ret_wish->dropped;
    static char kept[256];
    (void)snprintf(kept, sizeof(kept), "%.*s", STR_ARG(dropped));
    ret_wish->dropped = str_from(kept);
    draft_fini(&draft);
    arena_fini(&arena);
    json_fini(&doc);
    return rc;
}

struct retouch_row {
    enum chat_endpoint endpoint;
    const struct dialect *target;
    const char *model;
    struct str form;
    int want_err;
    const char *want; /* all of it, or of an error a part */
    const char *want_dropped;
};
#define EDIT CHAT_ENDPOINT_IMAGE_EDITS
#define VARY CHAT_ENDPOINT_IMAGE_VARIATIONS
#define BOAT FIELD("prompt", "a \"boat\"")

static const struct retouch_row rows[] = {
    {EDIT, &dialect_gemini, "gemini-2.5-flash-image",
     STR(FIELD("model", "m") BOAT FIELD("size", "1536x1024") FIELD("quality", "high")
             PICTURE("image[]", PNG) PICTURE("image[]", JPEG) END),
     0,
     "{\"contents\":[{\"role\":\"user\",\"parts\":[{\"text\":\"a \\\"boat\\\"\"},"
     "{\"inlineData\":{\"mimeType\":\"image/png\",\"data\":\"" PNG64 "\"}},"
     "{\"inlineData\":{\"mimeType\":\"image/jpeg\",\"data\":\"" JPEG64 "\"}}]}],"
     "\"generationConfig\":{\"responseModalities\":[\"TEXT\",\"IMAGE\"],"
     "\"imageConfig\":{\"aspectRatio\":\"3:2\"}}}",
     "quality"},
    {EDIT, &maker_stability, "sd3.5-large",
     STR(PICTURE("image", PNG) FIELD("model", "m") BOAT FIELD("size", "auto") FIELD("n", "1") END),
     0,
     FIELD("prompt", "a \"boat\"") FIELD("model", "sd3.5-large") FIELD("mode", "image-to-image")
         FIELD("strength", "0.7") FIELD(
             "output_format",
             "png") "--XX\r\n"
                    "Content-Disposition: form-data; name=\"image\"; filename=\"image.png\"\r\n"
                    "Content-Type: image/png\r\n\r\n" PNG "\r\n" END,
     ""},
    {EDIT, &maker_stability, "inpaint", STR(BOAT PICTURE("image", JPEG) FIELD("strength", "1") END),
     0,
     BOAT FIELD("output_format",
                "png") "--XX\r\n"
                       "Content-Disposition: form-data; name=\"image\"; filename=\"image.jpeg\"\r\n"
                       "Content-Type: image/jpeg\r\n\r\n" JPEG "\r\n" END,
     "strength"},
    {EDIT, &maker_replicate, "black-forest-labs/flux-kontext-pro",
     STR(BOAT PICTURE("image", PNG) FIELD("size", "1024x1024") END), 0,
     "{\"input\":{\"prompt\":\"a \\\"boat\\\"\",\"input_image\":\"data:image/png;base64," PNG64
     "\",\"aspect_ratio\":\"1:1\"}}",
     ""},
    {EDIT, &maker_replicate, "google/nano-banana",
     STR(BOAT PICTURE("image[]", PNG) PICTURE("image[]", JPEG) FIELD("stream", "false") END), 0,
     "{\"input\":{\"prompt\":\"a \\\"boat\\\"\",\"image_input\":[\"data:image/png;base64," PNG64
     "\",\"data:image/jpeg;base64," JPEG64 "\"]}}",
     ""},
    {EDIT, &maker_bfl, "flux-2-pro",
     STR(BOAT PICTURE("image[]", PNG) PICTURE("image[]", JPEG) FIELD("size", "1536x1024") END), 0,
     "{\"prompt\":\"a \\\"boat\\\"\",\"input_image\":\"" PNG64 "\",\"input_image_2\":\"" JPEG64
     "\",\"width\":1536,\"height\":1024,\"output_format\":\"png\"}",
     ""},
    {VARY, &maker_bfl, "flux-pro-1.1", STR(PICTURE("image", PNG) FIELD("user", "u") END), 0,
     "{\"image_prompt\":\"" PNG64 "\",\"output_format\":\"png\"}", "user"},
    {VARY, &maker_replicate, "black-forest-labs/flux-redux-dev", STR(PICTURE("image", PNG) END), 0,
     "{\"input\":{\"redux_image\":\"data:image/png;base64," PNG64 "\"}}", ""},
    {EDIT, &dialect_bedrock, "us.amazon.nova-canvas-v1:0",
     STR(BOAT PICTURE("image", PNG) FIELD("n", "3") FIELD("size", "1024x1024") END), 0,
     "{\"taskType\":\"IMAGE_VARIATION\",\"imageVariationParams\":{\"text\":\"a \\\"boat\\\"\","
     "\"images\":[\"" PNG64 "\"]},\"imageGenerationConfig\":{\"numberOfImages\":3,"
     "\"width\":1024,\"height\":1024}}",
     ""},
    {VARY, &dialect_bedrock, "amazon.titan-image-generator-v2:0", STR(PICTURE("image", PNG) END), 0,
     "{\"taskType\":\"IMAGE_VARIATION\",\"imageVariationParams\":{\"images\":[\"" PNG64
     "\"]},\"imageGenerationConfig\":{\"numberOfImages\":1}}",
     ""},
    {EDIT, &dialect_bedrock, "stability.sd3-5-large-v1:0",
     STR(BOAT PICTURE("image", PNG) FIELD("strength", "0.25") END), 0,
     "{\"prompt\":\"a "
     "\\\"boat\\\"\",\"mode\":\"image-to-image\",\"strength\":0.25,\"image\":\"" PNG64
     "\",\"output_format\":\"png\"}",
     ""},
    /* what has no place there is said, by its name */
    {EDIT, &maker_bfl, "flux-2-pro", STR(BOAT PICTURE("image", PNG) PICTURE("mask", PNG) END),
     -ERR_UNSUPPORTED, "field `mask`", ""},
    {EDIT, &maker_bfl, "flux-2-pro", STR(BOAT PICTURE("image", PNG) FIELD("n", "2") END),
     -ERR_UNSUPPORTED, "field `n`", ""},
    {EDIT, &maker_stability, "ultra",
     STR(BOAT PICTURE("image", PNG) FIELD("size", "1024x1024") END), -ERR_UNSUPPORTED,
     "field `size`", ""},
    {EDIT, &maker_stability, "ultra", STR(BOAT PICTURE("image[]", PNG) PICTURE("image[]", PNG) END),
     -ERR_UNSUPPORTED, "field `image`: 1 at most", ""},
    {EDIT, &maker_stability, "ultra", STR(BOAT PICTURE("image", PNG) FIELD("strength", "0.7x") END),
     -ERR_INVALID, "field `strength`", ""},
    {EDIT, &maker_stability, "ultra",
     STR(FIELD("prompt", "--XX; name=model") PICTURE("image", PNG) END), -ERR_INVALID,
     "field `prompt`", ""},
    {EDIT, &dialect_gemini, "m", STR(BOAT PICTURE("image", PNG) FIELD("stream", "true") END),
     -ERR_UNSUPPORTED, "field `stream`", ""},
    {EDIT, &dialect_gemini, "m",
     STR(BOAT PICTURE("image", PNG) FIELD("background", "transparent") END), -ERR_UNSUPPORTED,
     "field `background`", ""},
    {EDIT, &dialect_gemini, "m", STR(PICTURE("image", PNG) END), -ERR_INVALID, "field `prompt`",
     ""},
    {EDIT, &dialect_gemini, "m", STR(BOAT END), -ERR_INVALID, "field `image` is missing", ""},
    {EDIT, &dialect_gemini, "m", STR(BOAT FIELD("image", "https://a/b") END), -ERR_INVALID,
     "field `image` is missing", ""},
    {EDIT, &dialect_gemini, "m", STR(BOAT PICTURE("image", "<svg/>") END), -ERR_INVALID,
     "is no PNG", ""},
    {EDIT, &dialect_gemini, "m", STR(BOAT PICTURE("image", "") END), -ERR_INVALID, "is no PNG", ""},
    {EDIT, &dialect_gemini, "m", STR(BOAT BOAT PICTURE("image", PNG) END), -ERR_INVALID,
     "`prompt` is there twice", ""},
    {EDIT, &dialect_gemini, "m", STR(FIELD("prompt", "\xff") PICTURE("image", PNG) END),
     -ERR_INVALID, "no UTF-8", ""},
    {EDIT, &dialect_gemini, "imagen-4.0", STR(BOAT PICTURE("image", PNG) END), -ERR_UNSUPPORTED,
     "takes no pictures", ""},
    {EDIT, &maker_replicate, "stability-ai/sdxl", STR(BOAT PICTURE("image", PNG) END),
     -ERR_UNSUPPORTED, "takes no pictures", ""},
    {EDIT, &maker_bfl, "flux-pro-1.0-expand", STR(BOAT PICTURE("image", PNG) END), -ERR_UNSUPPORTED,
     "takes no pictures", ""},
    {EDIT, &dialect_bedrock, "stability.stable-outpaint-v1:0", STR(BOAT PICTURE("image", PNG) END),
     -ERR_UNSUPPORTED, "no such endpoint", ""},
    {VARY, &dialect_bedrock, "amazon.nova-canvas-v1:0", STR(PICTURE("image", PNG) END),
     -ERR_UNSUPPORTED, "no such endpoint", ""},
    {VARY, &maker_bfl, "flux-dev", STR(BOAT PICTURE("image", PNG) END), -ERR_UNSUPPORTED,
     "field `prompt`", ""},
};

static void
bodies(void **state)
{
    static const size_t steps[] = {1, 2, 7, 100000};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows) * ARRAY_LEN(steps); i++) {
        const struct retouch_row *row = &rows[i / ARRAY_LEN(steps)];
        struct carry_wish wish = {.dropped = STR_EMPTY};
        struct buf out;
        buf_init(&out, 1u << 20);
        int rc = carry(row->endpoint, row->target, row->model, row->form,
                       steps[i % ARRAY_LEN(steps)], &out, &wish);
        bool right = rc == 0 ? str_eq(buf_str(&out), str_from(row->want))
                             : str_find(buf_str(&out), str_from(row->want)) != SIZE_MAX;
        if (rc != row->want_err || !right)
            fail_msg("row %zu: %d %s", i / ARRAY_LEN(steps), rc, buf_cstr(&out));
        if (rc == 0)
            assert_true(str_eq(wish.dropped, str_from(row->want_dropped)));
        buf_fini(&out);
    }
}

/* A picture of many steps, with what would end it in it, but for its last byte. */
static void
a_large_one(void **state)
{
    static const char tail[] = "\"}";
    (void)state;
    struct buf form;
    struct buf out;
    struct carry_wish wish = {.dropped = STR_EMPTY};
    buf_init(&form, 1u << 20);
    buf_init(&out, 1u << 21);
    buf_put_str(&form, STR(BOAT "--XX\r\nContent-Disposition: form-data; name=\"image\"; "
                                "filename=\"a\"\r\n\r\n" PNG));
    for (int i = 0; i < 20000; i++)
        buf_put_str(&form, STR("\r\n--X\"\\"));
    buf_put_str(&form, STR("\r\n" END));
    assert_int_equal(carry(EDIT, &maker_replicate, "x/flux-dev", buf_str(&form), 999, &out, &wish),
                     0);
    assert_true(str_ends(buf_str(&out), STR("\"}}")));
    size_t start = str_find(buf_str(&out), STR("base64,")) + STR("base64,").len;
    size_t bytes = STR(PNG).len + 20000u * 7u;
    assert_int_equal(out.len - start - sizeof(tail), (bytes + 2) / 3 * 4);
    assert_int_equal(carry(EDIT, &maker_stability, "ultra", buf_str(&form), 5000, &out, &wish), 0);
    assert_true(str_find(buf_str(&out), STR("\r\n\r\n" PNG "\r\n--X\"\\\r\n--X")) != SIZE_MAX);
    buf_fini(&form);
    buf_fini(&out);
}

/* No more files than it has room for, and no word lost before that. */
static void
a_draft_has_room_for_so_many(void **state)
{
    (void)state;
    for (uint32_t count = DRAFT_FILES_MAX; count <= DRAFT_FILES_MAX + 1; count++) {
        struct draft draft;
        draft_init(&draft);
        for (uint32_t i = 0; i < count; i++) {
            buf_put_byte(&draft.text, 'a');
            draft_file(&draft, i, 2, i % 2 == 0);
        }
        buf_put_byte(&draft.text, 'z');
        assert_int_equal(draft_end(&draft), count == DRAFT_FILES_MAX ? 0 : -ERR_TOO_LARGE);
        if (count == DRAFT_FILES_MAX)
            assert_int_equal(draft.bytes, count + 1 + count / 2 * 6);
        draft_fini(&draft);
    }
}

static void
answers(void **state)
{
    (void)state;
    static const struct {
        const char *body;
        int want_err;
        const char *want;
        uint64_t want_images;
    } said[] = {
        {"{\"images\":[\"AA==\",\"AB==\"],\"error\":null}", 0,
         "{\"created\":9,\"data\":[{\"b64_json\":\"AA==\"},{\"b64_json\":\"AB==\"}]}", 2},
        {"{\"images\":[\"AA==\",\"AB==\"],\"finish_reasons\":[\"Filter reason: x\",null]}", 0,
         "{\"created\":9,\"data\":[{\"b64_json\":\"AB==\"}]}", 1},
        {"{\"finish_reasons\":[\"Filter reason: prompt\"]}", -ERR_NOT_FOUND, "", 0},
        {"{\"images\":[],\"error\":\"blocked\"}", -ERR_NOT_FOUND, "", 0},
        {"{\"error\":\"blocked\"}", -ERR_NOT_FOUND, "", 0},
        {"{\"message\":\"x\"}", -ERR_INVALID, "", 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(said); i++) {
        const struct carry_wish wish = {.model = STR("m"), .created_s = 9, .count = 1};
        struct usage usage = check_answer(EDIT, &dialect_bedrock, said[i].body, &wish,
                                          said[i].want_err, said[i].want);
        assert_int_equal(usage.count[USAGE_image], said[i].want_images);
    }
}

static void
drawn_at_bedrock(void **state)
{
    (void)state;
    static const struct carried_request asked[] = {
        {&dialect_bedrock, "amazon.titan-image-generator-v1",
         "{\"prompt\":\"a\",\"n\":5,\"size\":\"1024x1024\"}", 0,
         "{\"taskType\":\"TEXT_IMAGE\",\"textToImageParams\":{\"text\":\"a\"},"
         "\"imageGenerationConfig\":{\"numberOfImages\":5,\"width\":1024,\"height\":1024}}",
         ""},
        {&dialect_bedrock, "stability.stable-image-core-v1:1",
         "{\"prompt\":\"a\",\"size\":\"1536x1024\"}", 0,
         "{\"prompt\":\"a\",\"aspect_ratio\":\"3:2\",\"output_format\":\"png\"}", ""},
        {&dialect_bedrock, "stability.stable-image-core-v1:1", "{\"prompt\":\"a\",\"n\":2}",
         -ERR_UNSUPPORTED, "`n`", ""},
        {&dialect_bedrock, "stability.stable-outpaint-v1:0", "{\"prompt\":\"a\"}", -ERR_UNSUPPORTED,
         "no such endpoint", ""},
    };
    for (size_t i = 0; i < ARRAY_LEN(asked); i++) {
        struct carry_wish wish = {.count = 0};
        check_request(CHAT_ENDPOINT_IMAGES, &asked[i], &wish);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(bodies), cmocka_unit_test(a_large_one),
                                       cmocka_unit_test(a_draft_has_room_for_so_many),
                                       cmocka_unit_test(answers),
                                       cmocka_unit_test(drawn_at_bedrock)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
