/* SPDX-License-Identifier: MIT
 * retouch.c - OpenAI's edits and variations of images at Gemini, Stability (a form in, too),
 *             Replicate and Black Forest Labs.
 * Floor: dataplane/media; any thread.
 * Owns: nothing.
 * Invariant: see carry.h. A picture's bytes go nowhere but to its place in the draft.
 *            retouch_test.c. */
#include "dataplane/media/carry_int.h"

/* How much of the given picture is drawn anew where nobody says it, of 1. */
#define STRENGTH_USUAL STR("0.7")
#define STRENGTH_BYTES_MAX 8u

static const struct picture_rules url_rules = {.most = 1, .format = "url"};
static const struct picture_rules vary_rules = {.most = 1, .format = "url", .silent = true};

static int
refuse_model(struct str model, struct err *err)
{
    return err_set(err, ERR_UNSUPPORTED, "Model %.*s takes no pictures here.", STR_ARG(model));
}

static int
want_pictures(const struct letter *letter, uint32_t most, struct err *err)
{
    if (letter->picture_count <= most)
        return 0;
    return err_set(err, ERR_UNSUPPORTED, "field `image`: %u at most with this model", most);
}

static void
put_prompt(const struct json_doc *doc, const struct picture *picture, struct buf *out)
{
    if (picture->prompt == JSON_NONE)
        return;
    buf_put_str(out, STR("\"prompt\":"));
    buf_put_str(out, json_raw(doc, picture->prompt));
    buf_put_byte(out, ',');
}

void
retouch_quote(const struct letter_picture *picture, bool as_url, struct draft *draft)
{
    if (as_url)
        buf_printf(&draft->text, "\"data:image/%s;base64,", picture->type);
    else
        buf_put_byte(&draft->text, '"');
    draft_file(draft, picture->start, picture->bytes, true);
    buf_put_byte(&draft->text, '"');
}

void
retouch_list(const struct letter *letter, bool as_url, struct str open, struct draft *draft)
{
    for (uint32_t i = 0; i < letter->picture_count; i++) {
        buf_put_str(&draft->text, i == 0 ? open : STR(","));
        retouch_quote(&letter->pictures[i], as_url, draft);
    }
    buf_put_byte(&draft->text, ']');
}

/* ---- Gemini: models that talk and draw ------------------------------------------------------- */

static int
gemini_draft(const struct json_doc *doc, const struct letter *letter, struct str model,
             struct arena *arena, struct draft *draft, struct carry_wish *ret_wish, struct err *err)
{
    static const struct picture_rules rules = {.most = 1, .format = "b64_json"};
    struct picture picture;
    struct buf *out = &draft->text;
    if (str_starts(model, STR("imagen")))
        return refuse_model(model, err);
    int rc = picture_read(doc, arena, &rules, &picture, ret_wish, err);
    if (rc != 0)
        return rc;
    buf_put_str(out, STR("{\"contents\":[{\"role\":\"user\",\"parts\":[{\"text\":"));
    buf_put_str(out, json_raw(doc, picture.prompt));
    buf_put_byte(out, '}');
    for (uint32_t i = 0; i < letter->picture_count; i++) {
        buf_printf(
            out, ",{\"inlineData\":{\"mimeType\":\"image/%s\",\"data\":", letter->pictures[i].type);
        retouch_quote(&letter->pictures[i], false, draft);
        buf_put_str(out, STR("}}"));
    }
    picture_config(&picture, out);
    return 0;
}

/* ---- Stability ------------------------------------------------------------------------------- */

static void
put_field(const struct letter *letter, const char *name, struct str value, struct buf *out)
{
    buf_printf(out, "--%.*s\r\nContent-Disposition: form-data; name=\"%s\"\r\n\r\n",
               STR_ARG(letter->boundary), name);
    buf_put_str(out, value);
    buf_put_str(out, STR("\r\n"));
}

int
retouch_strength(const struct json_doc *doc, struct arena *arena, struct str *ret_text,
                 struct err *err)
{
    uint32_t node = carry_given(doc, STR("strength"));
    struct str text = STRENGTH_USUAL;
    if (node != JSON_NONE && json_string(doc, node, arena, &text) != 0)
        return err_set(err, ERR_NOMEM, "no memory for this form");
    bool number = str_eq(text, STR("0")) || str_eq(text, STR("1")) || str_eq(text, STR("1.0")) ||
                  (str_starts(text, STR("0.")) && text.len > 2);
    for (size_t i = 2; i < text.len; i++)
        number = number && text.ptr[i] >= '0' && text.ptr[i] <= '9';
    if (!number || text.len > STRENGTH_BYTES_MAX)
        return err_set(err, ERR_INVALID, "field `strength` must be a number from 0 to 1");
    *ret_text = text;
    return 0;
}

/* Inpainting paints where the picture is transparent, as OpenAI's edit without a mask does; the
 * others draw the whole anew, as far from it as `strength` says. */
static int
stability_draft(const struct json_doc *doc, const struct letter *letter, struct str model,
                struct arena *arena, struct draft *draft, struct carry_wish *ret_wish,
                struct err *err)
{
    bool inpaint = str_ends(model, STR("inpaint"));
    bool sd3 = str_starts(model, STR("sd3"));
    const struct picture_rules rules = {
        .most = 1, .format = "b64_json", .own = inpaint ? NULL : "strength", .unsized = true};
    const struct letter_picture *given = &letter->pictures[0];
    struct picture picture;
    struct str prompt;
    struct str strength = STR_EMPTY;
    struct buf *out = &draft->text;
    int rc = picture_read(doc, arena, &rules, &picture, ret_wish, err);
    if (rc == 0)
        rc = want_pictures(letter, 1, err);
    if (rc == 0 && !inpaint)
        rc = retouch_strength(doc, arena, &strength, err);
    if (rc == 0 && json_string(doc, picture.prompt, arena, &prompt) != 0)
        rc = err_set(err, ERR_NOMEM, "no memory for this form");
    if (rc != 0)
        return rc;
    /* A line that begins so, and is the first of its part, is the end of that part to some. */
    if (str_starts(prompt, STR("--")) && str_starts(str_skip(prompt, 2), letter->boundary))
        return err_set(err, ERR_INVALID, "field `prompt` cannot be carried to this provider");
    put_field(letter, "prompt", prompt, out);
    if (sd3) {
        put_field(letter, "model", model, out);
        put_field(letter, "mode", STR("image-to-image"), out);
    }
    if (!inpaint)
        put_field(letter, "strength", strength, out);
    put_field(letter, "output_format", STR("png"), out);
    buf_printf(out,
               "--%.*s\r\nContent-Disposition: form-data; name=\"image\"; filename=\"image.%s\"\r\n"
               "Content-Type: image/%s\r\n\r\n",
               STR_ARG(letter->boundary), given->type, given->type);
    draft_file(draft, given->start, given->bytes, false);
    buf_printf(out, "\r\n--%.*s--\r\n", STR_ARG(letter->boundary));
    return 0;
}

/* ---- Replicate, Black Forest Labs ------------------------------------------------------------ */

/* How a model calls the pictures it is given, and the shape of what it makes. */
enum shape { SHAPE_NONE, SHAPE_RATIO, SHAPE_PIXELS };
struct taker {
    const char *model; /* a part of its name */
    const char *field;
    uint32_t most;
    bool list; /* one field for all; else the second one is `field`_2 */
    enum shape shape;
};

static const struct taker *
taker_find(const struct taker *takers, size_t count, struct str model)
{
    for (size_t i = 0; i < count; i++) {
        if (str_find(model, str_from(takers[i].model)) != SIZE_MAX)
            return &takers[i];
    }
    return NULL;
}

static void
put_pictures(const struct taker *taker, const struct letter *letter, bool as_url,
             struct draft *draft)
{
    for (uint32_t i = 0; i < (taker->list ? 1 : letter->picture_count); i++) {
        if (i == 0)
            buf_printf(&draft->text, "\"%s\":", taker->field);
        else
            buf_printf(&draft->text, ",\"%s_%u\":", taker->field, i + 1);
        if (taker->list)
            retouch_list(letter, as_url, STR("["), draft);
        else
            retouch_quote(&letter->pictures[i], as_url, draft);
    }
}

/* What both take: a prompt, pictures, a shape. */
static int
put_taken(const struct taker *taker, const struct json_doc *doc, const struct letter *letter,
          const struct picture *picture, bool as_url, struct draft *draft, struct err *err)
{
    struct str width;
    struct str height;
    int rc = want_pictures(letter, taker->most, err);
    if (rc != 0)
        return rc;
    put_prompt(doc, picture, &draft->text);
    put_pictures(taker, letter, as_url, draft);
    if (picture->aspect != NULL && taker->shape == SHAPE_RATIO)
        buf_printf(&draft->text, ",\"aspect_ratio\":\"%s\"", picture->aspect);
    else if (picture->aspect != NULL && str_cut(str_from(picture->size), 'x', &width, &height))
        buf_printf(&draft->text, ",\"width\":%.*s,\"height\":%.*s", STR_ARG(width),
                   STR_ARG(height));
    return 0;
}

/* One of a table's models. replicate: the input is a member of its own, pictures are URLs. */
static int
take(const struct taker *taker, const struct picture_rules *base, bool replicate,
     const struct json_doc *doc, const struct letter *letter, struct str model, struct arena *arena,
     struct draft *draft, struct carry_wish *ret_wish, struct err *err)
{
    struct picture_rules rules = *base;
    struct picture picture;
    if (taker == NULL)
        return refuse_model(model, err);
    rules.unsized = taker->shape == SHAPE_NONE;
    int rc = picture_read(doc, arena, &rules, &picture, ret_wish, err);
    if (rc != 0)
        return rc;
    buf_put_str(&draft->text, replicate ? STR("{\"input\":{") : STR("{"));
    rc = put_taken(taker, doc, letter, &picture, replicate, draft, err);
    buf_put_str(&draft->text, replicate ? STR("}}") : STR(",\"output_format\":\"png\"}"));
    return rc;
}

static int
replicate_draft(const struct json_doc *doc, const struct letter *letter, struct str model,
                struct arena *arena, struct draft *draft, struct carry_wish *ret_wish,
                struct err *err)
{
    static const struct taker takers[] = {
        {"/flux-2-", "input_images", 8, true, SHAPE_RATIO},
        {"/flux-kontext-", "input_image", 1, false, SHAPE_RATIO},
        {"/flux-fill-", "image", 1, false, SHAPE_NONE},
        {"/flux-dev", "image", 1, false, SHAPE_NONE},
        {"/nano-banana", "image_input", DRAFT_FILES_MAX, true, SHAPE_RATIO},
        {"/seedream-4", "image_input", 10, true, SHAPE_RATIO},
    };
    return take(taker_find(takers, ARRAY_LEN(takers), model), &url_rules, true, doc, letter, model,
                arena, draft, ret_wish, err);
}

static int
replicate_vary(const struct json_doc *doc, const struct letter *letter, struct str model,
               struct arena *arena, struct draft *draft, struct carry_wish *ret_wish,
               struct err *err)
{
    static const struct taker takers[] = {
        {"/flux-redux-", "redux_image", 1, false, SHAPE_RATIO},
    };
    return take(taker_find(takers, ARRAY_LEN(takers), model), &vary_rules, true, doc, letter, model,
                arena, draft, ret_wish, err);
}

static int
bfl_draft(const struct json_doc *doc, const struct letter *letter, struct str model,
          struct arena *arena, struct draft *draft, struct carry_wish *ret_wish, struct err *err)
{
    static const struct taker takers[] = {
        {"flux-2-", "input_image", 8, false, SHAPE_PIXELS},
        {"flux-kontext-", "input_image", 4, false, SHAPE_RATIO},
        {"-fill", "image", 1, false, SHAPE_NONE},
    };
    return take(taker_find(takers, ARRAY_LEN(takers), model), &url_rules, false, doc, letter, model,
                arena, draft, ret_wish, err);
}

static int
bfl_vary(const struct json_doc *doc, const struct letter *letter, struct str model,
         struct arena *arena, struct draft *draft, struct carry_wish *ret_wish, struct err *err)
{
    static const struct taker takers[] = {
        {"flux-pro-1.1-ultra", "image_prompt", 1, false, SHAPE_RATIO},
        {"flux-pro-1.1", "image_prompt", 1, false, SHAPE_PIXELS},
        {"flux-dev", "image_prompt", 1, false, SHAPE_PIXELS},
    };
    return take(taker_find(takers, ARRAY_LEN(takers), model), &vary_rules, false, doc, letter,
                model, arena, draft, ret_wish, err);
}

const struct carrier carrier_edit_gemini = {.draft = gemini_draft, .answer = picture_answer};
const struct carrier carrier_edit_stability = {
    .draft = stability_draft, .answer = made_stability, .is_form = true};
const struct carrier carrier_edit_replicate = {
    .draft = replicate_draft, .answer = made_replicate, .ticket = made_replicate_ticket};
const struct carrier carrier_edit_bfl = {
    .draft = bfl_draft, .answer = made_bfl, .ticket = made_bfl_ticket};
const struct carrier carrier_vary_replicate = {
    .draft = replicate_vary, .answer = made_replicate, .ticket = made_replicate_ticket};
const struct carrier carrier_vary_bfl = {
    .draft = bfl_vary, .answer = made_bfl, .ticket = made_bfl_ticket};
