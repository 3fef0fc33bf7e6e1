/* SPDX-License-Identifier: MIT
 * canvas.c - OpenAI's images at Bedrock (InvokeModel): Titan Image Generator and Nova Canvas, and
 *            Stability's models, each with a body of its own.
 * Floor: dataplane/media; any thread.
 * Owns: nothing.
 * Invariant: see carry.h. retouch_test.c. */
#include "dataplane/media/carry_int.h"

#define CANVAS_MAX 5u /* images, made and given */

enum family { FAMILY_NONE, FAMILY_AMAZON, FAMILY_STABILITY };

/* Ids may stand behind a region, as "us.". */
static enum family
family_of(struct str model)
{
    if (str_find(model, STR("amazon.nova-canvas")) != SIZE_MAX ||
        str_find(model, STR("amazon.titan-image")) != SIZE_MAX)
        return FAMILY_AMAZON;
    return str_find(model, STR("stability.sd3")) != SIZE_MAX ||
                   str_find(model, STR("stability.stable-image-core")) != SIZE_MAX ||
                   str_find(model, STR("stability.stable-image-ultra")) != SIZE_MAX
               ? FAMILY_STABILITY
               : FAMILY_NONE;
}

static int
refuse_model(struct str model, struct err *err)
{
    return err_set(err, ERR_UNSUPPORTED, "Model %.*s has no such endpoint.", STR_ARG(model));
}

static void
put_config(const struct picture *picture, struct buf *out)
{
    struct str width;
    struct str height;
    buf_printf(out, ",\"imageGenerationConfig\":{\"numberOfImages\":%llu",
               (unsigned long long)picture->count);
    if (picture->aspect != NULL && str_cut(str_from(picture->size), 'x', &width, &height))
        buf_printf(out, ",\"width\":%.*s,\"height\":%.*s", STR_ARG(width), STR_ARG(height));
    buf_put_str(out, STR("}}"));
}

static int
bedrock_request(const struct json_doc *doc, struct str model, struct arena *arena, struct buf *out,
                struct carry_wish *ret_wish, struct err *err)
{
    enum family family = family_of(model);
    const struct picture_rules rules = {.most = family == FAMILY_AMAZON ? CANVAS_MAX : 1,
                                        .format = "b64_json"};
    struct picture picture;
    if (family == FAMILY_NONE)
        return refuse_model(model, err);
    int rc = picture_read(doc, arena, &rules, &picture, ret_wish, err);
    if (rc != 0)
        return rc;
    if (family == FAMILY_AMAZON) {
        buf_put_str(out, STR("{\"taskType\":\"TEXT_IMAGE\",\"textToImageParams\":{\"text\":"));
        buf_put_str(out, json_raw(doc, picture.prompt));
        buf_put_byte(out, '}');
        put_config(&picture, out);
    } else {
        buf_put_str(out, STR("{\"prompt\":"));
        buf_put_str(out, json_raw(doc, picture.prompt));
        if (picture.aspect != NULL)
            buf_printf(out, ",\"aspect_ratio\":\"%s\"", picture.aspect);
        buf_put_str(out, STR(",\"output_format\":\"png\"}"));
    }
    return out->failed ? -ERR_NOMEM : 0;
}

/* ---- after a picture ------------------------------------------------------------------------- */

/* Neither vendor has OpenAI's edit: theirs wants a mask of another kind. What both have is a
 * picture after a picture and words. */
static int
amazon_draft(const struct json_doc *doc, const struct letter *letter, bool silent,
             struct arena *arena, struct draft *draft, struct carry_wish *ret_wish, struct err *err)
{
    const struct picture_rules rules = {.most = CANVAS_MAX, .format = "b64_json", .silent = silent};
    struct picture picture;
    struct buf *out = &draft->text;
    int rc = picture_read(doc, arena, &rules, &picture, ret_wish, err);
    if (rc == 0 && letter->picture_count > CANVAS_MAX)
        rc = err_set(err, ERR_UNSUPPORTED, "field `image`: %u at most with this model", CANVAS_MAX);
    if (rc != 0)
        return rc;
    buf_put_str(out, STR("{\"taskType\":\"IMAGE_VARIATION\",\"imageVariationParams\":{"));
    if (!silent) {
        buf_put_str(out, STR("\"text\":"));
        buf_put_str(out, json_raw(doc, picture.prompt));
        buf_put_byte(out, ',');
    }
    retouch_list(letter, false, STR("\"images\":["), draft);
    buf_put_byte(out, '}');
    put_config(&picture, out);
    return 0;
}

static int
bedrock_draft(const struct json_doc *doc, const struct letter *letter, struct str model,
              struct arena *arena, struct draft *draft, struct carry_wish *ret_wish,
              struct err *err)
{
    static const struct picture_rules rules = {
        .most = 1, .format = "b64_json", .own = "strength", .unsized = true};
    enum family family = family_of(model);
    struct picture picture;
    struct str strength = STR_EMPTY;
    struct buf *out = &draft->text;
    if (family == FAMILY_AMAZON)
        return amazon_draft(doc, letter, false, arena, draft, ret_wish, err);
    if (family == FAMILY_NONE || str_find(model, STR("-core")) != SIZE_MAX)
        return refuse_model(model, err);
    int rc = picture_read(doc, arena, &rules, &picture, ret_wish, err);
    if (rc == 0 && letter->picture_count > 1)
        rc = err_set(err, ERR_UNSUPPORTED, "field `image`: 1 at most with this model");
    if (rc == 0)
        rc = retouch_strength(doc, arena, &strength, err);
    if (rc != 0)
        return rc;
    buf_put_str(out, STR("{\"prompt\":"));
    buf_put_str(out, json_raw(doc, picture.prompt));
    if (str_find(model, STR("stability.sd3")) != SIZE_MAX)
        buf_put_str(out, STR(",\"mode\":\"image-to-image\""));
    buf_printf(out, ",\"strength\":%.*s,\"image\":", STR_ARG(strength));
    retouch_quote(&letter->pictures[0], false, draft);
    buf_put_str(out, STR(",\"output_format\":\"png\"}"));
    return 0;
}

static int
bedrock_vary(const struct json_doc *doc, const struct letter *letter, struct str model,
             struct arena *arena, struct draft *draft, struct carry_wish *ret_wish, struct err *err)
{
    if (str_find(model, STR("amazon.titan-image")) == SIZE_MAX)
        return refuse_model(model, err);
    return amazon_draft(doc, letter, true, arena, draft, ret_wish, err);
}

/* ---- answers --------------------------------------------------------------------------------- */

/* Stability says of each picture why it is none, Amazon of all of them. */
static int
bedrock_answer(const struct json_doc *doc, const struct carry_wish *wish, struct buf *out,
               struct usage *ret_usage)
{
    uint32_t list = json_get(doc, 0, STR("images"));
    uint32_t reasons = json_get(doc, 0, STR("finish_reasons"));
    uint64_t made = 0;
    *ret_usage = (struct usage){.evidence = EVIDENCE_COUNTED};
    bool told = json_is(doc, reasons, JSON_ARRAY) ||
                json_is(doc, json_get(doc, 0, STR("error")), JSON_STRING);
    if (!json_is(doc, list, JSON_ARRAY))
        return told ? -ERR_NOT_FOUND : -ERR_INVALID;
    uint32_t reason = json_is(doc, reasons, JSON_ARRAY) ? json_first(doc, reasons) : JSON_NONE;
    buf_printf(out, "{\"created\":%llu,\"data\":[", (unsigned long long)wish->created_s);
    for (uint32_t at = json_first(doc, list); at != JSON_NONE; at = json_sibling(doc, list, at)) {
        if (!json_is(doc, reason, JSON_STRING))
            picture_put(doc, at, "b64_json", &made, out);
        if (reason != JSON_NONE)
            reason = json_sibling(doc, reasons, reason);
    }
    buf_put_str(out, STR("]}"));
    ret_usage->count[USAGE_image] = made;
    if (made == 0)
        return -ERR_NOT_FOUND;
    return out->failed ? -ERR_NOMEM : 0;
}

const struct carrier carrier_picture_bedrock = {.request = bedrock_request,
                                                .answer = bedrock_answer};
const struct carrier carrier_edit_bedrock = {.draft = bedrock_draft, .answer = bedrock_answer};
const struct carrier carrier_vary_bedrock = {.draft = bedrock_vary, .answer = bedrock_answer};
