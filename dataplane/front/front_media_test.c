/* SPDX-License-Identifier: MIT
 * front_media_test.c - images, sound, moderations and reranking: what the provider gets, what the
 *                      caller gets, and what it costs.
 * Floor: test.
 * Owns: nothing; see front_test_rig.h.
 * Invariant: see media.h and reply_media.c. */
#include "dataplane/front/front_test_rig.h"

#define MODEL(id, provider, kind, price)                                                  \
    "{\"id\":\"" provider "/" id "\",\"provider\":\"" provider "\",\"upstream\":\"up-" id \
    "\",\"kind\":\"" kind "\",\"price\":{\"version\":1" price "}}"

/* The models of these tests, by what they are priced by. */
static const char *const models[] = {
    MODEL("dall", "o", "image",
          ",\"image\":\"40000000000\",\"pictures\":["
          "{\"quality\":\"standard\",\"size\":\"1024x1024\",\"image\":\"40000000000\"},"
          "{\"quality\":\"hd\",\"size\":\"1024x1024\",\"image\":\"80000000000\"},"
          "{\"quality\":\"hd\",\"size\":\"1792x1024\",\"image\":\"120000000000\"}]"),
    MODEL("gpt", "o", "image",
          ",\"input\":\"5000000\",\"image_in\":\"10000000\",\"output\":\"40000000\","
          "\"pictures\":[{\"quality\":\"low\",\"size\":\"1024x1024\","
          "\"image\":\"11000000000\"}]"),
    MODEL("tts", "o", "speech", ",\"character_in\":\"15000000\""),
    MODEL("talk", "o", "speech",
          ",\"input\":\"600000\",\"output\":\"12000000\",\"second_out\":\"250000000\""),
    MODEL("whisper", "o", "transcription", ",\"second_in\":\"100000000\""),
    MODEL("hear", "o", "transcription",
          ",\"input\":\"2500000\",\"output\":\"10000000\",\"audio_in\":\"6000000\""),
    MODEL("mod", "o", "moderation", ""),
    MODEL("rank", "o", "rerank", ",\"input\":\"18000\""),
    MODEL("rank", "c", "rerank", ",\"query\":\"2000000000\""),
    MODEL("rank", "g", "rerank", ",\"query\":\"2000000000\""),
    MODEL("odd", "o", "image", ",\"second_in\":\"1\""),
    MODEL("emb", "c", "embedding", ",\"input\":\"120000\""),
    MODEL("emb", "e", "embedding", ",\"input\":\"150000\""),
    MODEL("emb", "g", "embedding", ",\"input\":\"150000\""),
    MODEL("draw", "e", "image", ",\"input\":\"300000\",\"image_out\":\"30000000\""),
    "{\"id\":\"e/imagen\",\"provider\":\"e\",\"upstream\":\"imagen-4\",\"kind\":\"image\","
    "\"price\":{\"version\":1,\"image\":\"40000000000\"}}",
    "{\"id\":\"s/core\",\"provider\":\"s\",\"upstream\":\"stable-image-core\",\"kind\":\"image\","
    "\"price\":{\"version\":1,\"image\":\"30000000000\"}}",
    "{\"id\":\"s/chat\",\"provider\":\"s\",\"upstream\":\"sd3\","
    "\"price\":{\"version\":1,\"input\":\"1\"}}",
    "{\"id\":\"r/flux\",\"provider\":\"r\",\"upstream\":\"o/flux\",\"kind\":\"image\","
    "\"price\":{\"version\":1,\"image\":\"3000000000\"}}",
    "{\"id\":\"o/unpriced\",\"provider\":\"o\",\"upstream\":\"u\",\"kind\":\"image\"}",
};

static const struct rig_provider providers[] = {
    {"o", "openai", "/v1"}, {"c", "cohere-v2", ""}, {"e", "gemini", "/v1beta"},
    {"g", "anthropic", ""}, {"s", "stability", ""}, {"r", "replicate", ""},
};

static int
media_open(void **state)
{
    int rc = rig_open(state);
    rig_configure("\"body_bytes_max\":4096,\"stall_timeout_ms\":300", providers,
                  ARRAY_LEN(providers), models, ARRAY_LEN(models));
    return rc;
}

#define JSON "application/json"
#define IMAGES "/v1/images/generations"
#define TWO "{\"created\":1,\"data\":[{\"b64_json\":\"AAAA\"},{\"b64_json\":\"AAAA\"}]"
#define IMAGE_USED(in, image, out)                                                  \
    ",\"usage\":{\"total_tokens\":9,\"input_tokens\":" in ",\"output_tokens\":" out \
    ",\"input_tokens_details\":{\"text_tokens\":0,\"image_tokens\":" image "}}"
#define FORM "multipart/form-data; boundary=XX"
#define FIELD(name, value) \
    "--XX\r\nContent-Disposition: form-data; name=\"" name "\"\r\n\r\n" value "\r\n"
#define FILE_FIELD(name, value)                                                     \
    "--XX\r\nContent-Disposition: form-data; name=\"" name "\"; filename=\"a\"\r\n" \
    "Content-Type: application/octet-stream\r\n\r\n" value "\r\n"
#define FORM_END "--XX--\r\n"
#define MP3 "\xff\xfb\x90\x44" /* 128 kbit/s */

/* seen: what the provider got, target and body; charge: of the journal; NULL: nothing was recorded,
 * nothing was paid */
static const struct row {
    const char *name;
    const char *path;
    const char *type;
    const char *body;
    unsigned says_status;
    const char *says_type;
    const char *says;
    unsigned want_status;
    const char *want;
    const char *want_target;
    const char *want_seen;
    const char *want_charge;
} rows[] = {
    {"an image, priced by size and quality, two of them", IMAGES, JSON,
     "{ \"x\":[1, 2],\"model\": \"o/dall\",\"n\":2,\"quality\":\"hd\",\"size\":\"1792x1024\"}", 200,
     JSON, TWO "}", 200, TWO "}", "/v1/images/generations",
     "{ \"x\":[1, 2],\"model\": \"up-dall\",\"n\":2,\"quality\":\"hd\",\"size\":\"1792x1024\"}",
     "\"usage\":{\"request\":1,\"image\":2},\"charge\":\"240000000\""},
    {"a deployment is the model", "/openai/deployments/o%2Fdall/images/generations?api-version=1",
     JSON, "{\"n\":2}", 200, JSON, TWO "}", 200, TWO "}", "/v1/images/generations",
     "{\"model\":\"up-dall\",\"n\":2}", "\"image\":2},\"charge\":\"80000000\""},
    {"and not what the body says", "/openai/deployments/o%2Fdall/images/generations", JSON,
     "{\"model\":\"o/gpt\"}", 200, JSON, TWO "}", 200, TWO "}", NULL, "{\"model\":\"up-dall\"}",
     "\"charge\":\"40000000\""},
    {"a deployment that listens", "/openai/deployments/o%2Fwhisper/audio/transcriptions", FORM,
     FILE_FIELD("file", MP3) FORM_END, 200, JSON, "{\"text\":\"hi\"}", 200, "hi",
     "/v1/audio/transcriptions", FIELD("model", "up-whisper") FILE_FIELD("file", MP3) FORM_END,
     "\"second_in\":1}"},
    {"fewer images than asked are fewer paid", IMAGES, JSON, "{\"model\":\"o/dall\",\"n\":3}", 200,
     JSON, TWO "}", 200, "data", NULL, NULL, "\"image\":2},\"charge\":\"80000000\""},
    {"images by tokens where they are told", IMAGES, JSON,
     "{\"model\":\"o/gpt\",\"quality\":\"low\",\"size\":\"1024x1024\"}", 200, JSON,
     TWO IMAGE_USED("30", "10", "272") "}", 200, "\"image_tokens\":10", NULL, NULL,
     "\"image_in\":10,\"image_out\":272},\"charge\":\"11080000\""},
    {"and by the picture where not", IMAGES, JSON,
     "{\"model\":\"o/gpt\",\"quality\":\"low\",\"size\":\"1024x1024\"}", 200, JSON, TWO "}", 200,
     "data", NULL, NULL, "\"image\":1},\"charge\":\"11000000\""},
    {"a liar is paid what was held", IMAGES, JSON, "{\"model\":\"o/gpt\",\"size\":\"1024x1024\"}",
     200, JSON, TWO IMAGE_USED("0", "0", "900000000") "}", 200, "data", NULL, NULL,
     "\"clamped\":true"},
    {"too many images", IMAGES, JSON, "{\"model\":\"o/dall\",\"n\":11}", 200, JSON, TWO "}", 400,
     "field `n` must be", NULL, NULL, NULL},
    {"no price", IMAGES, JSON, "{\"model\":\"o/unpriced\"}", 200, JSON, TWO "}", 422,
     "no known price", NULL, NULL, NULL},
    {"a price, but for nothing of this", IMAGES, JSON, "{\"model\":\"o/odd\"}", 200, JSON, TWO "}",
     422, "no known price", NULL, NULL, NULL},
    {"a model for something else", IMAGES, JSON, "{\"model\":\"o/tts\"}", 200, JSON, TWO "}", 404,
     "does not answer image requests", NULL, NULL, NULL},
    {"the vendor's own refusal", IMAGES, JSON, "{\"model\":\"o/dall\",\"prompt\":\"x\"}", 400, JSON,
     "{\"error\":{\"message\":\"unsafe\",\"code\":\"content_policy_violation\"}}", 400,
     "content_policy_violation", NULL, NULL, "\"charge\":\"0\""},
    {"an image that is none", IMAGES, JSON, "{\"model\":\"o/dall\"}", 200, "text/html", "<html>",
     502, "not JSON", NULL, NULL, "\"charge\":\"0\""},
    {"the model that nobody named", IMAGES, JSON, "{\"prompt\":\"x\"}", 200, JSON, TWO "}", 404,
     "dall-e-2", NULL, NULL, NULL},
    {"streamed images", IMAGES, JSON, "{\"model\":\"o/gpt\",\"stream\":true,\"partial_images\":1}",
     200, SSE,
     "event: image_generation.partial_image\ndata: {\"type\":\"image_generation.partial_image\","
     "\"b64_json\":\"AA\"}\n\nevent: image_generation.completed\ndata: "
     "{\"type\":\"image_generation.completed\",\"b64_json\":\"AAAA\"" IMAGE_USED("10", "0",
                                                                                 "100") "}\n\n",
     200, "image_generation.completed", NULL, NULL, "\"image_out\":100},\"charge\":\"4050000\""},
    {"an edit, the model behind the file", "/v1/images/edits", FORM,
     FILE_FIELD("image[]", "\x89PNG\r\n--X") FIELD("model", "o/gpt") FIELD("n", "1") FORM_END, 200,
     JSON, TWO IMAGE_USED("30", "20", "272") "}", 200, "data", "/v1/images/edits",
     FILE_FIELD("image[]", "\x89PNG\r\n--X") FIELD("model", "up-gpt") FIELD("n", "1") FORM_END,
     "\"input\":10,\"request\":1,\"image_in\":20,\"image_out\":272},\"charge\":\"11130000\""},
    {"a form where JSON is wanted", IMAGES, FORM, FIELD("model", "o/gpt") FORM_END, 200, JSON,
     TWO "}", 415, "application/json", NULL, NULL, NULL},
    {"JSON where a form is wanted", "/v1/images/edits", JSON, "{}", 200, JSON, TWO "}", 415,
     "multipart/form-data", NULL, NULL, NULL},
    {"two models in a form", "/v1/images/edits", FORM,
     FIELD("model", "o/gpt") FIELD("model", "o/dall") FORM_END, 200, JSON, TWO "}", 400,
     "there twice", NULL, NULL, NULL},
    {"half a form", "/v1/images/edits", FORM, FIELD("model", "o/gpt"), 200, JSON, TWO "}", 400,
     "form data", NULL, NULL, NULL},
    {"speech by characters, not bytes", "/v1/audio/speech", JSON,
     "{\"model\":\"o/tts\",\"input\":\"h\xc3\xa9llo\",\"voice\":\"alloy\"}", 200, "audio/mpeg",
     MP3 "sound", 200, MP3 "sound", "/v1/audio/speech",
     "{\"model\":\"up-tts\",\"input\":\"h\xc3\xa9llo\",\"voice\":\"alloy\"}",
     "\"character_in\":5},\"charge\":\"75000\""},
    {"speech by seconds, as its header has them", "/v1/audio/speech", JSON,
     "{\"model\":\"o/talk\",\"input\":\"hello\"}", 200, "audio/mpeg", MP3 "sound", 200, "sound",
     NULL, NULL, "\"second_out\":1,\"character_in\":5},\"charge\":\"250000\""},
    {"speech by tokens, as told in its events", "/v1/audio/speech", JSON,
     "{\"model\":\"o/talk\",\"input\":\"hello\",\"stream_format\":\"sse\"}", 200, SSE,
     "data: {\"type\":\"speech.audio.delta\",\"audio\":\"AAAA\"}\n\ndata: "
     "{\"type\":\"speech.audio.done\",\"usage\":{\"input_tokens\":10,\"output_tokens\":20,"
     "\"total_tokens\":30}}\n\n",
     200, "speech.audio.done", NULL, NULL, "\"audio_out\":20,\"request\":1},\"charge\":\"246000\""},
    {"nothing to say", "/v1/audio/speech", JSON, "{\"model\":\"o/tts\"}", 200, "audio/mpeg", "x",
     400, "field `input` is missing", NULL, NULL, NULL},
    {"an error where sound was wanted", "/v1/audio/speech", JSON,
     "{\"model\":\"o/tts\",\"input\":\"hello\"}", 200, JSON, "{\"error\":{\"message\":\"no\"}}",
     502, "error", NULL, NULL, "\"charge\":\"0\""},
    {"no sound at all", "/v1/audio/speech", JSON, "{\"model\":\"o/tts\",\"input\":\"hello\"}", 200,
     "audio/mpeg", "", 502, "empty", NULL, NULL, "\"charge\":\"0\""},
    {"a transcript, seconds as told", "/v1/audio/transcriptions", FORM,
     FILE_FIELD("file", "0123456789012345678901234567890123456789") FIELD("model", "o/whisper")
         FORM_END,
     200, JSON, "{\"text\":\"hi\",\"usage\":{\"type\":\"duration\",\"seconds\":1}}", 200,
     "duration", "/v1/audio/transcriptions",
     FILE_FIELD("file", "0123456789012345678901234567890123456789") FIELD("model", "up-whisper")
         FORM_END,
     "\"second_in\":1},\"charge\":\"100000\""},
    {"more seconds than the file can have", "/v1/audio/transcriptions", FORM,
     FILE_FIELD("file", "short") FIELD("model", "o/whisper") FORM_END, 200, JSON,
     "{\"text\":\"hi\",\"duration\":\"99.5\"}", 200, "hi", NULL, NULL,
     "\"second_in\":1},\"charge\":\"100000\""},
    {"a transcript as plain text", "/v1/audio/translations", FORM,
     FIELD("model", "o/whisper") FIELD("response_format", "srt") FILE_FIELD("file", "short")
         FORM_END,
     200, "text/plain; charset=utf-8", "1\n00:00 hi\n", 200, "1\n00:00 hi\n",
     "/v1/audio/translations", NULL, "\"second_in\":1},\"charge\":\"100000\""},
    {"a transcript by tokens", "/v1/audio/transcriptions", FORM,
     FILE_FIELD("file", "short") FIELD("model", "o/hear") FORM_END, 200, JSON,
     "{\"text\":\"hi\",\"usage\":{\"type\":\"tokens\",\"input_tokens\":14,\"input_token_details\":"
     "{\"text_tokens\":4,\"audio_tokens\":10},\"output_tokens\":5,\"total_tokens\":19}}",
     200, "hi", NULL, NULL,
     "\"input\":4,\"output\":5,\"audio_in\":10,\"request\":1},\"charge\":\"120000\""},
    {"a streamed transcript", "/v1/audio/transcriptions", FORM,
     FILE_FIELD("file", "short") FIELD("model", "o/hear") FIELD("stream", "true") FORM_END, 200,
     SSE,
     "data: {\"type\":\"transcript.text.delta\",\"delta\":\"hi\"}\n\ndata: "
     "{\"type\":\"transcript.text.done\",\"text\":\"hi\",\"usage\":{\"type\":\"tokens\","
     "\"input_tokens\":10,\"output_tokens\":5}}\n\ndata: [DONE]\n\n",
     200, "[DONE]", NULL, NULL, "\"output\":5,\"request\":1},\"charge\":\"75000\""},
    {"no file", "/v1/audio/transcriptions", FORM,
     FIELD("file", "text") FIELD("model", "o/whisper") FORM_END, 200, JSON, "{}", 400,
     "field `file`", NULL, NULL, NULL},
    {"moderation costs nothing", "/v1/moderations", JSON, "{\"model\":\"mod\",\"input\":\"x\"}",
     200, JSON, "{\"id\":\"m\",\"results\":[{\"flagged\":false}]}", 200, "flagged",
     "/v1/moderations", "{\"model\":\"up-mod\",\"input\":\"x\"}", "\"charge\":\"0\""},
    {"reranking by units, counted by the vendor", "/v2/rerank", JSON,
     "{\"model\":\"c/rank\",\"query\":\"q\",\"documents\":[\"a\",\"b\"]}", 200, JSON,
     "{\"results\":[{\"index\":1,\"relevance_score\":0.9}],\"meta\":{\"billed_units\":"
     "{\"search_units\":1}}}",
     200, "relevance_score", "/v2/rerank",
     "{\"model\":\"up-rank\",\"query\":\"q\",\"documents\":[\"a\",\"b\"]}",
     "\"query\":1},\"charge\":\"2000000\""},
    {"reranking by tokens", "/v1/rerank", JSON,
     "{\"model\":\"o/rank\",\"query\":\"q\",\"documents\":[\"a\",\"b\"]}", 200, JSON,
     "{\"results\":[],\"usage\":{\"total_tokens\":100}}", 200, "results", "/v1/rerank", NULL,
     "\"input\":100,\"request\":1},\"charge\":\"1800\""},
    {"an image of a model that talks, too", IMAGES, JSON,
     "{\"model\":\"e/draw\",\"prompt\":\"a boat\",\"size\":\"1024x1024\"}", 200, JSON,
     "{\"candidates\":[{\"content\":{\"parts\":[{\"inlineData\":{\"data\":\"AA==\"}}]}}],"
     "\"usageMetadata\":{\"promptTokenCount\":10,\"candidatesTokenCount\":1290}}",
     200, "\"data\":[{\"b64_json\":\"AA==\"}]", "/v1beta/models/up-draw:generateContent",
     "{\"contents\":[{\"role\":\"user\",\"parts\":[{\"text\":\"a boat\"}]}],"
     "\"generationConfig\":{\"responseModalities\":[\"TEXT\",\"IMAGE\"],\"imageConfig\":{"
     "\"aspectRatio\":\"1:1\"}}}",
     "\"image_out\":1290},\"charge\":\"38703000\""},
    {"images of Imagen, by the piece", IMAGES, JSON,
     "{\"model\":\"e/imagen\",\"prompt\":\"a\",\"n\":3}", 200, JSON,
     "{\"predictions\":[{\"bytesBase64Encoded\":\"AA==\"},{\"bytesBase64Encoded\":\"AA==\"}]}", 200,
     "b64_json", "/v1beta/models/imagen-4:predict", NULL, "\"image\":2},\"charge\":\"80000000\""},
    {"words instead of an image", IMAGES, JSON, "{\"model\":\"e/draw\",\"prompt\":\"a\"}", 200,
     JSON, "{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"I will not\"}]}}]}", 502,
     "made nothing of this", NULL, NULL, "\"charge\":\"0\""},
    {"an image at Stability, in a form", IMAGES, JSON,
     "{\"model\":\"s/core\",\"prompt\":\"a boat\"}", 200, JSON,
     "{\"image\":\"AA==\",\"finish_reason\":\"SUCCESS\"}", 200, "\"b64_json\":\"AA==\"",
     "/v2beta/stable-image/generate/core", NULL, "\"image\":1},\"charge\":\"30000000\""},
    {"Stability's own refusal", IMAGES, JSON, "{\"model\":\"s/core\",\"prompt\":\"a\"}", 400, JSON,
     "{\"id\":\"1\",\"name\":\"bad_request\",\"errors\":[\"no prompt\"]}", 400, "error", NULL, NULL,
     "\"charge\":\"0\""},
    {"nobody talks there", CHAT, JSON, BODY("s/chat"), 200, JSON, "{}", 400, "has no such endpoint",
     NULL, NULL, NULL},
    {"an image at Replicate", IMAGES, JSON, "{\"model\":\"r/flux\",\"prompt\":\"a\"}", 201, JSON,
     "{\"status\":\"succeeded\",\"output\":[\"https://a\"]}", 200, "\"url\":\"https://a\"",
     "/v1/models/o/flux/predictions", "{\"input\":{\"prompt\":\"a\"}}",
     "\"image\":1},\"charge\":\"3000000\""},
    {"not done, and no word of where to ask", IMAGES, JSON,
     "{\"model\":\"r/flux\",\"prompt\":\"a\"}", 201, JSON, "{\"status\":\"processing\"}", 502,
     "cannot be read", NULL, NULL, "\"charge\":\"0\""},
    {"an edit of no picture", "/v1/images/edits", FORM, FIELD("model", "s/core") FORM_END, 200,
     JSON, "{}", 400, "field `image` is missing", NULL, NULL, NULL},
    {"embeddings at Cohere, in base64", "/v1/embeddings", JSON,
     "{\"model\":\"c/emb\",\"input\":\"hi\",\"encoding_format\":\"base64\"}", 200, JSON,
     "{\"embeddings\":{\"float\":[[1,-2]]},\"meta\":{\"billed_units\":{\"input_tokens\":7}}}", 200,
     "\"embedding\":\"AACAPwAAAMA=\"}],\"model\":\"c/emb\"", "/v2/embed",
     "{\"model\":\"up-emb\",\"input_type\":\"search_document\",\"embedding_types\":[\"float\"],"
     "\"texts\":[\"hi\"]}",
     "\"input\":7,\"request\":1},\"charge\":\"840\""},
    {"embeddings at Gemini, which counts nothing", "/v1/embeddings", JSON,
     "{\"model\":\"e/emb\",\"input\":[\"a\",\"b\"]}", 200, JSON,
     "{\"embeddings\":[{\"values\":[1]},{\"values\":[2]}]}", 200, "\"embedding\":[2]",
     "/v1beta/models/up-emb:batchEmbedContents", NULL, "\"evidence\":\"estimate\""},
    {"fewer embeddings than texts are none", "/v1/embeddings", JSON,
     "{\"model\":\"e/emb\",\"input\":[\"a\",\"b\"]}", 200, JSON,
     "{\"embeddings\":[{\"values\":[1]}]}", 502, "cannot be read", NULL, NULL, "\"charge\":\"0\""},
    {"embeddings of tokens", "/v1/embeddings", JSON, "{\"model\":\"c/emb\",\"input\":[1,2]}", 200,
     JSON, "{}", 400, "`input` has tokens", NULL, NULL, NULL},
    {"a vendor without embeddings", "/v1/embeddings", JSON, "{\"model\":\"g/emb\",\"input\":\"a\"}",
     200, JSON, "{}", 400, "has no such endpoint", NULL, NULL, NULL},
    {"nobody there who can", "/v1/rerank", JSON,
     "{\"model\":\"g/rank\",\"query\":\"q\",\"documents\":[\"a\"]}", 200, JSON, "{}", 400,
     "has no such endpoint", NULL, NULL, NULL},
};

static void
every_kind(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const struct row *row = &rows[i];
        struct reply reply;
        uint64_t before = mark();
        print_message("%s\n", row->name);
        provider_says(row->says_status, row->says_type, row->says);
        rig.seen.len = 0;
        ask_with(&reply, row->path, KEY, row->type, row->body);
        step_until(reply_ended, &reply);
        step_until(all_settled, NULL);
        want_body(&reply, row->want_status, row->want);
        if (row->want_seen != NULL)
            assert_string_equal(buf_cstr(&rig.seen), row->want_seen);
        if (row->want_target != NULL)
            assert_string_equal(rig.seen_target, row->want_target);
        if (row->want_charge != NULL)
            want_journal(before, row->want_charge);
        else
            assert_int_equal(rig.seen.len, 0);
    }
}

static void
a_cut_sound_never_looks_whole(void **state)
{
    (void)state;
    struct reply reply;
    uint64_t before = mark();
    rig.steps[0] = (struct upstream_step){
        .status = 200, .type = "audio/mpeg", .body = MP3 "half", .cut = true};
    rig.step_count = 1;
    rig.step_at = 0;
    ask(&reply, "/v1/audio/speech", "{\"model\":\"o/tts\",\"input\":\"hello\"}");
    assert_true(reply.failed);
    buf_fini(&reply.body);
    want_journal(before, "\"charge\":\"75000\"");
    before = mark();
    rig.steps[0] = (struct upstream_step){
        .status = 200, .type = "audio/mpeg", .body = MP3 "half", .hang = true};
    rig.step_at = 0;
    ask(&reply, "/v1/audio/speech", "{\"model\":\"o/tts\",\"input\":\"hello\"}");
    assert_true(reply.failed);
    buf_fini(&reply.body);
    want_journal(before, "\"outcome\":\"timed_out\"");
}

static bool
provider_let_go(void *arg)
{
    return rig.provider_closed > *(uint32_t *)arg;
}

static void
who_leaves_before_an_image_pays_nothing(void **state)
{
    (void)state;
    struct reply reply;
    uint64_t before = mark();
    uint32_t closed = rig.provider_closed;
    rig.steps[0] =
        (struct upstream_step){.status = 200, .type = JSON, .body = "{\"data\":", .hang = true};
    rig.step_count = 1;
    rig.step_at = 0;
    ask_with(&reply, IMAGES, KEY, JSON, "{\"model\":\"o/dall\"}");
    step_until(provider_hangs, NULL);
    http_call_cancel(&reply.call);
    step_until(provider_let_go, &closed);
    step_until(all_settled, NULL);
    buf_fini(&reply.body);
    want_journal(before, "\"charge\":\"0\"");
}

/* Sound files are larger than conversations may be. */
static void
a_form_has_room(void **state)
{
    (void)state;
    struct reply reply;
    static char body[8192];
    uint64_t before = mark();
    memset(body, 'x', sizeof(body) - 1);
    const char *head = FIELD("model", "o/whisper") FILE_FIELD("file", "");
    const char *end = "\r\n" FORM_END;
    memcpy(body, head, strlen(head) - 2);
    memcpy(body + sizeof(body) - 1 - strlen(end), end, strlen(end));
    provider_says(200, JSON, "{\"text\":\"hi\"}");
    ask_with(&reply, "/v1/audio/transcriptions", KEY, FORM, body);
    step_until(reply_ended, &reply);
    step_until(all_settled, NULL);
    want_body(&reply, 200, "hi");
    want_journal(before, "\"second_in\":3},\"charge\":\"300000\""); /* 32 kbit/s */
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(every_kind, media_open, rig_close),
        cmocka_unit_test_setup_teardown(a_cut_sound_never_looks_whole, media_open, rig_close),
        cmocka_unit_test_setup_teardown(who_leaves_before_an_image_pays_nothing, media_open,
                                        rig_close),
        cmocka_unit_test_setup_teardown(a_form_has_room, media_open, rig_close),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
