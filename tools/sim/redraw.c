/* SPDX-License-Identifier: MIT
 * redraw.c - see redraw.h.
 * Floor: tools/sim; one thread at a time.
 * Owns: nothing.
 * Invariant: see redraw.h. */
#include "tools/sim/redraw.h"

#include "lib/base/digest.h"
#include "lib/text/base64.h"
#include "lib/text/multipart.h"

#define PICTURE_BYTES_MAX ((size_t)160u * 1024u * 1024u)

enum sim_endpoint
redraw_endpoint(enum sim_endpoint endpoint, struct str model)
{
    if (endpoint == SIM_GEMINI && str_find(model, STR("-image")) != SIZE_MAX)
        return SIM_DRAW;
    bool canvas = str_find(model, STR("nova-canvas")) != SIZE_MAX ||
                  str_find(model, STR("titan-image")) != SIZE_MAX;
    return endpoint == SIM_EMBED_BEDROCK && canvas ? SIM_CANVAS : endpoint;
}

bool
redraw_is(enum sim_endpoint endpoint, struct str model)
{
    bool takes = str_find(model, STR("kontext")) != SIZE_MAX;
    return endpoint == SIM_DRAW || endpoint == SIM_CANVAS ||
           ((endpoint == SIM_REPLICATE || endpoint == SIM_BFL) && takes) ||
           (endpoint == SIM_STABILITY && !str_eq(model, STR("stable-image-core")));
}

/* What is read, picture by picture. */
struct redraw {
    struct sim_media *media;
    const struct json_doc *doc;
    struct arena *arena;
    struct digest_run *run;
    struct err *err;
};

static int
take_picture(struct redraw *redraw, struct str bytes)
{
    if (!str_starts(bytes, STR("\x89PNG\r\n\x1a\n")))
        return err_set(redraw->err, ERR_INVALID, "image: it is no PNG");
    digest_more(redraw->run, bytes);
    redraw->media->files++;
    return 0;
}

/* before: what has to stand in front of it. */
static int
take_base64(struct redraw *redraw, uint32_t node, struct str before)
{
    struct str text;
    struct buf bytes;
    if (!json_is(redraw->doc, node, JSON_STRING) ||
        json_string(redraw->doc, node, redraw->arena, &text) != 0 || !str_starts(text, before))
        return err_set(redraw->err, ERR_INVALID, "image: it is not there, or not as it has to be");
    buf_init(&bytes, PICTURE_BYTES_MAX);
    int rc = base64_decode(&bytes, str_skip(text, before.len), false);
    if (rc != 0)
        rc = err_set(redraw->err, ERR_INVALID, "image: it is no base64");
    else
        rc = take_picture(redraw, buf_str(&bytes));
    buf_fini(&bytes);
    return rc;
}

static int
take_prompt(struct redraw *redraw, uint32_t node)
{
    if (!json_is(redraw->doc, node, JSON_STRING) ||
        json_string(redraw->doc, node, redraw->arena, &redraw->media->text) != 0)
        return err_set(redraw->err, ERR_INVALID, "prompt: it is not there");
    return 0;
}

static int
take_parts(struct redraw *redraw)
{
    const struct json_doc *doc = redraw->doc;
    uint32_t content = json_first(doc, json_get(doc, 0, STR("contents")));
    uint32_t parts = json_get(doc, content, STR("parts"));
    int rc = 0;
    for (uint32_t at = json_first(doc, parts); at != JSON_NONE && rc == 0;
         at = json_sibling(doc, parts, at)) {
        uint32_t text = json_get(doc, at, STR("text"));
        uint32_t type = json_path(doc, at, "inlineData.mimeType");
        if (text != JSON_NONE)
            rc = take_prompt(redraw, text);
        else if (!json_string_eq(doc, type, STR("image/png")))
            rc = err_set(redraw->err, ERR_INVALID, "mimeType: it is not there");
        else
            rc = take_base64(redraw, json_path(doc, at, "inlineData.data"), STR_EMPTY);
    }
    return rc;
}

static int
take_canvas(struct redraw *redraw)
{
    const struct json_doc *doc = redraw->doc;
    uint32_t images = json_path(doc, 0, "imageVariationParams.images");
    uint32_t text = json_path(doc, 0, "imageVariationParams.text");
    if (!json_string_eq(doc, json_get(doc, 0, STR("taskType")), STR("IMAGE_VARIATION")) ||
        !json_is(doc, images, JSON_ARRAY) ||
        json_u64(doc, json_path(doc, 0, "imageGenerationConfig.numberOfImages"), 5,
                 &redraw->media->count) != 0)
        return err_set(redraw->err, ERR_INVALID, "taskType: it is no variation");
    int rc = text == JSON_NONE ? 0 : take_prompt(redraw, text);
    for (uint32_t at = json_first(doc, images); at != JSON_NONE && rc == 0;
         at = json_sibling(doc, images, at))
        rc = take_base64(redraw, at, STR_EMPTY);
    return rc;
}

static int
take_part(const struct multipart_part *part, struct str content, void *user)
{
    static const char *const known[] = {"prompt", "model", "mode", "strength", "output_format"};
    struct redraw *redraw = user;
    bool found = part->file && str_eq(part->name, STR("image"));
    for (size_t i = 0; i < ARRAY_LEN(known); i++)
        found = found || (!part->file && str_eq(part->name, str_from(known[i])));
    if (!found)
        return err_set(redraw->err, ERR_INVALID, "%.*s: unknown field", STR_ARG(part->name));
    if (part->file)
        return take_picture(redraw, content);
    if (str_eq(part->name, STR("prompt")))
        redraw->media->text = content;
    else if (str_eq(part->name, STR("model")))
        redraw->media->model = content;
    return 0;
}

static int
take_json(struct redraw *redraw)
{
    const struct json_doc *doc = redraw->doc;
    enum sim_endpoint endpoint = redraw->media->endpoint;
    uint32_t input = endpoint == SIM_REPLICATE ? json_get(doc, 0, STR("input")) : 0;
    if (endpoint == SIM_DRAW)
        return take_parts(redraw);
    if (endpoint == SIM_CANVAS)
        return take_canvas(redraw);
    int rc = take_prompt(redraw, json_get(doc, input, STR("prompt")));
    return rc != 0
               ? rc
               : take_base64(redraw, json_get(doc, input, STR("input_image")),
                             endpoint == SIM_REPLICATE ? STR("data:image/png;base64,") : STR_EMPTY);
}

int
redraw_parse(struct str body, struct str content_type, enum sim_endpoint endpoint,
             struct json_doc *doc, struct arena *arena, struct sim_media *ret_media,
             struct err *err)
{
    uint8_t digest[SHA256_BYTES] = {0};
    struct str boundary;
    struct sim_media media = media_blank(endpoint, ret_media->model);
    struct redraw redraw = {&media, doc, arena, digest_begin(), err};
    if (redraw.run == NULL)
        return err_set(err, ERR_NOMEM, "no memory");
    int rc = 0;
    if (endpoint == SIM_STABILITY && !multipart_boundary(content_type, &boundary))
        rc = err_set(err, ERR_INVALID, "content-type: it is no form");
    else if (endpoint == SIM_STABILITY)
        rc = media_form(body, boundary, take_part, &redraw, err);
    else
        rc = json_scan(doc, body, NULL, err);
    if (rc == 0 && endpoint != SIM_STABILITY)
        rc = take_json(&redraw);
    digest_end(&redraw.run, digest);
    if (rc == 0 && media.files == 0)
        rc = err_set(err, ERR_INVALID, "image: it is not there");
    hex_encode(digest, sizeof(digest), media.digest);
    if (rc == 0)
        *ret_media = media;
    return rc;
}
