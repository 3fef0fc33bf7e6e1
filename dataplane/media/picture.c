/* SPDX-License-Identifier: MIT
 * picture.c - OpenAI's images at Gemini: models that talk and draw (generateContent), and Imagen
 *             (predict).
 * Floor: dataplane/media; any thread.
 * Owns: nothing.
 * Invariant: see carry.h; an answer without a picture is told apart from one that is none. */
#include "dataplane/chat/claim.h"
#include "dataplane/media/carry_int.h"

#define IMAGEN_MAX 4u

static const struct {
    const char *size;
    const char *aspect;
} aspects[] = {
    {"1024x1024", "1:1"}, {"512x512", "1:1"},    {"256x256", "1:1"},    {"1536x1024", "3:2"},
    {"1024x1536", "2:3"}, {"1792x1024", "16:9"}, {"1024x1792", "9:16"}, {"1408x768", "16:9"},
    {"768x1408", "9:16"}, {"1280x896", "4:3"},   {"896x1280", "3:4"},
};

static int
read_aspect(const struct json_doc *doc, struct picture *picture, struct err *err)
{
    uint32_t size = carry_given(doc, STR("size"));
    picture->aspect = NULL;
    if (size == JSON_NONE || json_string_eq(doc, size, STR("auto")))
        return 0;
    for (size_t i = 0; i < ARRAY_LEN(aspects); i++) {
        if (json_string_eq(doc, size, str_from(aspects[i].size))) {
            *picture = (struct picture){.prompt = picture->prompt,
                                        .count = picture->count,
                                        .aspect = aspects[i].aspect,
                                        .size = aspects[i].size};
        }
    }
    return picture->aspect != NULL
               ? 0
               : err_set(err, ERR_UNSUPPORTED, "field `size` is none that this provider has");
}

/* What would change the picture, and has no place there; format: the response_format that has. */
static int
refuse_others(const struct json_doc *doc, const char *format, struct err *err)
{
    const struct {
        const char *name;
        const char *usual; /* what it may say all the same */
    } fields[] = {{"background", "auto"},
                  {"output_format", "png"},
                  {"response_format", format},
                  {"stream", "false"},
                  {"style", "vivid"}};
    for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
        uint32_t node = carry_given(doc, str_from(fields[i].name));
        struct str usual = str_from(fields[i].usual);
        if (node == JSON_NONE || str_eq(json_raw(doc, node), usual) ||
            json_string_eq(doc, node, usual))
            continue;
        return err_set(err, ERR_UNSUPPORTED, "field `%s` cannot be carried to this provider",
                       fields[i].name);
    }
    return 0;
}

int
picture_read(const struct json_doc *doc, struct arena *arena, const struct picture_rules *rules,
             struct picture *ret_picture, struct carry_wish *ret_wish, struct err *err)
{
    const char *known[] = {"model",           "prompt",        "n",      "size",
                           "background",      "output_format", "stream", "style",
                           "response_format", rules->own};
    size_t known_count = ARRAY_LEN(known) - (rules->own == NULL ? 1 : 0);
    uint32_t n = carry_given(doc, STR("n"));
    struct picture picture = {.prompt = carry_given(doc, STR("prompt")), .count = 1};
    if (!rules->silent && !json_is(doc, picture.prompt, JSON_STRING))
        return err_set(err, ERR_INVALID, "field `prompt` must be a string");
    if (rules->silent && picture.prompt != JSON_NONE)
        return err_set(err, ERR_UNSUPPORTED, "field `prompt` cannot be carried to this provider");
    if (n != JSON_NONE &&
        (json_u64(doc, n, rules->most, &picture.count) != 0 || picture.count == 0))
        return err_set(err, ERR_UNSUPPORTED, "field `n` may be 1 to %llu at this provider",
                       (unsigned long long)rules->most);
    int rc = read_aspect(doc, &picture, err);
    if (rc == 0 && rules->unsized && picture.aspect != NULL)
        rc = err_set(err, ERR_UNSUPPORTED, "field `size` cannot be carried to this provider");
    if (rc == 0)
        rc = refuse_others(doc, rules->format, err);
    if (rc == 0 && carry_dropped(doc, 0, known, known_count, arena, &ret_wish->dropped) != 0)
        rc = err_set(err, ERR_NOMEM, "Berth has no memory for this request.");
    ret_wish->count = picture.count;
    *ret_picture = picture;
    return rc;
}

void
picture_config(const struct picture *picture, struct buf *out)
{
    buf_put_str(out, STR("]}],\"generationConfig\":{\"responseModalities\":[\"TEXT\",\"IMAGE\"]"));
    if (picture->aspect != NULL)
        buf_printf(out, ",\"imageConfig\":{\"aspectRatio\":\"%s\"}", picture->aspect);
    buf_put_str(out, STR("}}"));
}

static int
gemini_request(const struct json_doc *doc, struct str model, struct arena *arena, struct buf *out,
               struct carry_wish *ret_wish, struct err *err)
{
    struct picture picture;
    bool imagen = str_starts(model, STR("imagen"));
    const struct picture_rules rules = {.most = imagen ? IMAGEN_MAX : 1, .format = "b64_json"};
    int rc = picture_read(doc, arena, &rules, &picture, ret_wish, err);
    if (rc != 0)
        return rc;
    if (imagen) {
        buf_put_str(out, STR("{\"instances\":[{\"prompt\":"));
        buf_put_str(out, json_raw(doc, picture.prompt));
        buf_printf(out, "}],\"parameters\":{\"sampleCount\":%llu",
                   (unsigned long long)picture.count);
        if (picture.aspect != NULL)
            buf_printf(out, ",\"aspectRatio\":\"%s\"", picture.aspect);
        buf_put_str(out, STR("}}"));
    } else {
        buf_put_str(out, STR("{\"contents\":[{\"role\":\"user\",\"parts\":[{\"text\":"));
        buf_put_str(out, json_raw(doc, picture.prompt));
        buf_put_byte(out, '}');
        picture_config(&picture, out);
    }
    return out->failed ? -ERR_NOMEM : 0;
}

/* ---- answers --------------------------------------------------------------------------------- */

void
picture_put(const struct json_doc *doc, uint32_t node, const char *member, uint64_t *made,
            struct buf *out)
{
    struct str raw = json_raw(doc, node);
    if (!json_is(doc, node, JSON_STRING) || raw.len <= 2)
        return;
    buf_printf(out, "%s{\"%s\":", *made > 0 ? "," : "", member);
    buf_put_str(out, raw);
    buf_put_byte(out, '}');
    (*made)++;
}

static void
put_predictions(const struct json_doc *doc, uint64_t *made, struct buf *out)
{
    uint32_t list = json_get(doc, 0, STR("predictions"));
    if (!json_is(doc, list, JSON_ARRAY))
        return;
    for (uint32_t at = json_first(doc, list); at != JSON_NONE; at = json_sibling(doc, list, at))
        picture_put(doc, json_get(doc, at, STR("bytesBase64Encoded")), "b64_json", made, out);
}

static void
put_candidates(const struct json_doc *doc, uint64_t *made, struct buf *out)
{
    uint32_t list = json_get(doc, 0, STR("candidates"));
    if (!json_is(doc, list, JSON_ARRAY))
        return;
    for (uint32_t at = json_first(doc, list); at != JSON_NONE; at = json_sibling(doc, list, at)) {
        uint32_t parts = json_path(doc, at, "content.parts");
        if (!json_is(doc, parts, JSON_ARRAY))
            continue;
        for (uint32_t part = json_first(doc, parts); part != JSON_NONE;
             part = json_sibling(doc, parts, part)) {
            uint32_t thought = json_get(doc, part, STR("thought"));
            if (!json_is(doc, thought, JSON_TRUE)) /* sketches on the way are not the answer */
                picture_put(doc, json_path(doc, part, "inlineData.data"), "b64_json", made, out);
        }
    }
}

/* The tokens of pictures among those of the answer; all of them where nobody tells them apart. */
static void
split_tokens(const struct json_doc *doc, struct usage *usage)
{
    uint32_t list = json_path(doc, 0, "usageMetadata.candidatesTokensDetails");
    uint64_t images = usage->count[USAGE_output];
    if (json_is(doc, list, JSON_ARRAY)) {
        images = 0;
        for (uint32_t at = json_first(doc, list); at != JSON_NONE;
             at = json_sibling(doc, list, at)) {
            if (json_string_eq(doc, json_get(doc, at, STR("modality")), STR("IMAGE")))
                images = claim_count(doc, json_get(doc, at, STR("tokenCount")), &usage->clamped);
        }
    }
    usage->count[USAGE_image_out] =
        claim_carve(&usage->count[USAGE_output], images, &usage->clamped);
}

int
picture_answer(const struct json_doc *doc, const struct carry_wish *wish, struct buf *out,
               struct usage *ret_usage)
{
    struct stream_look look = {0};
    uint64_t made = 0;
    dialect_gemini.answer_look(doc, &look);
    if (look.usage.evidence != EVIDENCE_NONE)
        split_tokens(doc, &look.usage);
    buf_printf(out, "{\"created\":%llu,\"data\":[", (unsigned long long)wish->created_s);
    put_predictions(doc, &made, out);
    put_candidates(doc, &made, out);
    buf_put_byte(out, ']');
    if (look.usage.evidence == EVIDENCE_NONE) {
        look.usage.evidence = EVIDENCE_COUNTED;
    } else {
        uint64_t prompt = usage_prompt_tokens(&look.usage);
        uint64_t answer = usage_answer_tokens(&look.usage);
        buf_printf(out,
                   ",\"usage\":{\"input_tokens\":%llu,\"output_tokens\":%llu,"
                   "\"total_tokens\":%llu}",
                   (unsigned long long)prompt, (unsigned long long)answer,
                   (unsigned long long)prompt + answer);
    }
    buf_put_byte(out, '}');
    look.usage.count[USAGE_image] = made;
    *ret_usage = look.usage;
    if (made == 0)
        return -ERR_NOT_FOUND;
    return out->failed ? -ERR_NOMEM : 0;
}

const struct carrier carrier_picture_gemini = {.request = gemini_request, .answer = picture_answer};
