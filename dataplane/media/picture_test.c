/* SPDX-License-Identifier: MIT
 * picture_test.c - OpenAI's images at Gemini, there and back: exact bytes, tokens, refusals.
 * Floor: test.
 * Owns: nothing.
 * Invariant: proves carry.h. */
#include "dataplane/media/test_int.h"

static const struct carried_request asked[] = {
    {&dialect_gemini, "gemini-2.5-flash-image",
     "{\"model\":\"x\",\"prompt\":\"a \\\"boat\\\"\",\"size\":\"1792x1024\",\"quality\":\"high\"}",
     0,
     "{\"contents\":[{\"role\":\"user\",\"parts\":[{\"text\":\"a \\\"boat\\\"\"}]}],"
     "\"generationConfig\":{\"responseModalities\":[\"TEXT\",\"IMAGE\"],\"imageConfig\":{"
     "\"aspectRatio\":\"16:9\"}}}",
     "quality"},
    {&dialect_gemini, "imagen-4.0-generate-001",
     "{\"prompt\":\"a\",\"n\":4,\"size\":\"auto\",\"stream\":false}", 0,
     "{\"instances\":[{\"prompt\":\"a\"}],\"parameters\":{\"sampleCount\":4}}", ""},
    {&dialect_gemini, "gemini-2.5-flash-image", "{\"prompt\":\"a\",\"n\":2}", -ERR_UNSUPPORTED,
     "field `n`", ""},
    {&dialect_gemini, "imagen-4.0-generate-001", "{\"prompt\":\"a\",\"n\":5}", -ERR_UNSUPPORTED,
     "field `n`", ""},
    {&dialect_gemini, "imagen-4.0-generate-001", "{\"prompt\":\"a\",\"size\":\"7x7\"}",
     -ERR_UNSUPPORTED, "`size`", ""},
    {&dialect_gemini, "imagen-4.0-generate-001", "{\"prompt\":\"a\",\"stream\":true}",
     -ERR_UNSUPPORTED, "`stream`", ""},
    {&dialect_gemini, "imagen-4.0-generate-001", "{\"prompt\":\"a\",\"response_format\":\"url\"}",
     -ERR_UNSUPPORTED, "`response_format`", ""},
    {&dialect_gemini, "imagen-4.0-generate-001",
     "{\"prompt\":\"a\",\"background\":\"transparent\"}", -ERR_UNSUPPORTED, "`background`", ""},
    {&dialect_gemini, "imagen-4.0-generate-001", "{\"n\":1}", -ERR_INVALID, "`prompt`", ""},
};

static void
requests(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(asked); i++) {
        struct carry_wish wish = {.count = 0};
        check_request(CHAT_ENDPOINT_IMAGES, &asked[i], &wish);
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
        uint64_t want_tokens; /* of images */
        uint64_t want_words;
    } rows[] = {
        {"{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"here\"},{\"inlineData\":{"
         "\"mimeType\":"
         "\"image/"
         "png\",\"data\":\"AA==\"}},{\"thought\":true,\"inlineData\":{\"data\":\"BB==\"}}]},"
         "\"finishReason\":\"STOP\"}],\"usageMetadata\":{\"promptTokenCount\":7,"
         "\"candidatesTokenCount\":1300,\"totalTokenCount\":1307,\"candidatesTokensDetails\":[{"
         "\"modality\":\"IMAGE\",\"tokenCount\":1290}]}}",
         0,
         "{\"created\":0,\"data\":[{\"b64_json\":\"AA==\"}],\"usage\":{\"input_tokens\":7,"
         "\"output_tokens\":1300,\"total_tokens\":1307}}",
         1, 1290, 10},
        {"{\"predictions\":[{\"mimeType\":\"image/png\",\"bytesBase64Encoded\":\"AA==\"},{"
         "\"bytesBase64Encoded\":\"BB==\"},{\"raiFilteredReason\":\"no\"}]}",
         0, "{\"created\":0,\"data\":[{\"b64_json\":\"AA==\"},{\"b64_json\":\"BB==\"}]}", 2, 0, 0},
        {"{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"no\"}]}}],\"usageMetadata\":{"
         "\"promptTokenCount\":7,\"candidatesTokenCount\":3}}",
         -ERR_NOT_FOUND, "", 0, 3, 0},
        {"{\"predictions\":7,\"candidates\":\"x\"}", -ERR_NOT_FOUND, "", 0, 0, 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const struct carry_wish wish = {.model = STR("g/m"), .count = 1};
        struct usage usage = check_answer(CHAT_ENDPOINT_IMAGES, &dialect_gemini, rows[i].body,
                                          &wish, rows[i].want_err, rows[i].want);
        assert_int_equal(usage.count[USAGE_image], rows[i].want_images);
        assert_int_equal(usage.count[USAGE_image_out], rows[i].want_tokens);
        assert_int_equal(usage.count[USAGE_output], rows[i].want_words);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(requests), cmocka_unit_test(answers)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
