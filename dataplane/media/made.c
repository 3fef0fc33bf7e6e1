/* SPDX-License-Identifier: MIT
 * made.c - OpenAI's images at Stability (a form in, base64 out), Replicate and Black Forest Labs
 *          (JSON in, addresses out, perhaps later).
 * Floor: dataplane/media; any thread.
 * Owns: nothing.
 * Invariant: see carry.h. Two equal requests give equal bytes. */
#include "dataplane/media/carry_int.h"

static const struct picture_rules data_rules = {.most = 1, .format = "b64_json"};
static const struct picture_rules url_rules = {.most = 1, .format = "url"};

#define BOUNDARY "berth-9bVJ3kq0cXw2mZt7"

/* ---- Stability ------------------------------------------------------------------------------- */

static void
put_field(struct buf *out, const char *name, struct str value)
{
    buf_printf(out, "--" BOUNDARY "\r\nContent-Disposition: form-data; name=\"%s\"\r\n\r\n", name);
    buf_put_str(out, value);
    buf_put_str(out, STR("\r\n"));
}

static int
stability_request(const struct json_doc *doc, struct str model, struct arena *arena,
                  struct buf *out, struct carry_wish *ret_wish, struct err *err)
{
    struct picture picture;
    struct str prompt;
    int rc = picture_read(doc, arena, &data_rules, &picture, ret_wish, err);
    if (rc == 0 && json_string(doc, picture.prompt, arena, &prompt) != 0)
        rc = err_set(err, ERR_NOMEM, "Berth has no memory for this request.");
    if (rc == 0 && str_find(prompt, STR(BOUNDARY)) != SIZE_MAX)
        rc = err_set(err, ERR_INVALID, "field `prompt` cannot be carried to this provider");
    if (rc != 0)
        return rc;
    put_field(out, "prompt", prompt);
    if (str_starts(model, STR("sd3")))
        put_field(out, "model", model);
    if (picture.aspect != NULL)
        put_field(out, "aspect_ratio", str_from(picture.aspect));
    put_field(out, "output_format", STR("png"));
    buf_put_str(out, STR("--" BOUNDARY "--\r\n"));
    return out->failed ? -ERR_NOMEM : 0;
}

int
made_stability(const struct json_doc *doc, const struct carry_wish *wish, struct buf *out,
               struct usage *ret_usage)
{
    uint32_t image = json_get(doc, 0, STR("image"));
    uint32_t reason = json_get(doc, 0, STR("finish_reason"));
    *ret_usage = (struct usage){.evidence = EVIDENCE_COUNTED};
    if (!json_is(doc, image, JSON_STRING) || json_raw(doc, image).len <= 2)
        return -ERR_INVALID;
    if (json_string_eq(doc, reason, STR("CONTENT_FILTERED"))) /* a blurred one */
        return -ERR_NOT_FOUND;
    ret_usage->count[USAGE_image] = 1;
    buf_printf(out,
               "{\"created\":%llu,\"data\":[{\"b64_json\":", (unsigned long long)wish->created_s);
    buf_put_str(out, json_raw(doc, image));
    buf_put_str(out, STR("}]}"));
    return out->failed ? -ERR_NOMEM : 0;
}

/* ---- Replicate ------------------------------------------------------------------------------- */

static int
replicate_request(const struct json_doc *doc, struct str model, struct arena *arena,
                  struct buf *out, struct carry_wish *ret_wish, struct err *err)
{
    struct picture picture;
    int rc = picture_read(doc, arena, &url_rules, &picture, ret_wish, err);
    (void)model;
    if (rc != 0)
        return rc;
    buf_put_str(out, STR("{\"input\":{\"prompt\":"));
    buf_put_str(out, json_raw(doc, picture.prompt));
    if (picture.aspect != NULL)
        buf_printf(out, ",\"aspect_ratio\":\"%s\"", picture.aspect);
    buf_put_str(out, STR("}}"));
    return out->failed ? -ERR_NOMEM : 0;
}

/* status: starting, processing: it takes longer than the call may. */
int
made_replicate(const struct json_doc *doc, const struct carry_wish *wish, struct buf *out,
               struct usage *ret_usage)
{
    uint32_t status = json_get(doc, 0, STR("status"));
    uint32_t output = json_get(doc, 0, STR("output"));
    uint64_t made = 0;
    *ret_usage = (struct usage){.evidence = EVIDENCE_COUNTED};
    if (json_string_eq(doc, status, STR("starting")) ||
        json_string_eq(doc, status, STR("processing")))
        return -ERR_TIMEOUT;
    if (!json_string_eq(doc, status, STR("succeeded")))
        return json_is(doc, status, JSON_STRING) ? -ERR_NOT_FOUND : -ERR_INVALID;
    buf_printf(out, "{\"created\":%llu,\"data\":[", (unsigned long long)wish->created_s);
    picture_put(doc, output, "url", &made, out);
    uint32_t at = json_is(doc, output, JSON_ARRAY) ? json_first(doc, output) : JSON_NONE;
    for (; at != JSON_NONE; at = json_sibling(doc, output, at))
        picture_put(doc, at, "url", &made, out);
    buf_put_str(out, STR("]}"));
    ret_usage->count[USAGE_image] = made;
    if (made == 0)
        return -ERR_NOT_FOUND;
    return out->failed ? -ERR_NOMEM : 0;
}

/* Member `name` of an object, an address. */
static int
take_address(const struct json_doc *doc, uint32_t node, struct arena *arena, struct str *ret_url)
{
    int rc =
        json_is(doc, node, JSON_STRING) ? json_string(doc, node, arena, ret_url) : -ERR_INVALID;
    if (rc == 0)
        rc = arena_dup(arena, *ret_url, ret_url); /* the document goes before */
    return rc;
}

int
made_replicate_ticket(const struct json_doc *doc, struct arena *arena, struct ticket *ret_ticket)
{
    if (take_address(doc, json_path(doc, 0, "urls.cancel"), arena, &ret_ticket->cancel) != 0)
        ret_ticket->cancel = STR_EMPTY;
    return take_address(doc, json_path(doc, 0, "urls.get"), arena, &ret_ticket->poll);
}

/* ---- Black Forest Labs ----------------------------------------------------------------------- */

/* Some models take an aspect ratio, the others pixels. */
static int
bfl_request(const struct json_doc *doc, struct str model, struct arena *arena, struct buf *out,
            struct carry_wish *ret_wish, struct err *err)
{
    struct picture picture;
    struct str width;
    struct str height;
    bool ratio =
        str_find(model, STR("ultra")) != SIZE_MAX || str_find(model, STR("kontext")) != SIZE_MAX;
    int rc = picture_read(doc, arena, &url_rules, &picture, ret_wish, err);
    if (rc != 0)
        return rc;
    buf_put_str(out, STR("{\"prompt\":"));
    buf_put_str(out, json_raw(doc, picture.prompt));
    if (picture.aspect != NULL && ratio)
        buf_printf(out, ",\"aspect_ratio\":\"%s\"", picture.aspect);
    else if (picture.aspect != NULL && str_cut(str_from(picture.size), 'x', &width, &height))
        buf_printf(out, ",\"width\":%.*s,\"height\":%.*s", STR_ARG(width), STR_ARG(height));
    buf_put_str(out, STR(",\"output_format\":\"png\"}"));
    return out->failed ? -ERR_NOMEM : 0;
}

/* A ticket; then, from its address, how far it is. */
int
made_bfl(const struct json_doc *doc, const struct carry_wish *wish, struct buf *out,
         struct usage *ret_usage)
{
    uint32_t status = json_get(doc, 0, STR("status"));
    uint64_t made = 0;
    *ret_usage = (struct usage){.evidence = EVIDENCE_COUNTED};
    if (status == JSON_NONE ? json_get(doc, 0, STR("polling_url")) != JSON_NONE
                            : json_string_eq(doc, status, STR("Pending")))
        return -ERR_TIMEOUT;
    if (!json_string_eq(doc, status, STR("Ready")))
        return json_is(doc, status, JSON_STRING) ? -ERR_NOT_FOUND : -ERR_INVALID;
    buf_printf(out, "{\"created\":%llu,\"data\":[", (unsigned long long)wish->created_s);
    picture_put(doc, json_path(doc, 0, "result.sample"), "url", &made, out);
    buf_put_str(out, STR("]}"));
    ret_usage->count[USAGE_image] = made;
    if (made == 0)
        return -ERR_INVALID;
    return out->failed ? -ERR_NOMEM : 0;
}

int
made_bfl_ticket(const struct json_doc *doc, struct arena *arena, struct ticket *ret_ticket)
{
    ret_ticket->cancel = STR_EMPTY;
    return take_address(doc, json_get(doc, 0, STR("polling_url")), arena, &ret_ticket->poll);
}

const struct carrier carrier_picture_stability = {.request = stability_request,
                                                  .answer = made_stability,
                                                  .content_type =
                                                      "multipart/form-data; boundary=" BOUNDARY};
const struct carrier carrier_picture_replicate = {
    .request = replicate_request, .answer = made_replicate, .ticket = made_replicate_ticket};
const struct carrier carrier_picture_bfl = {
    .request = bfl_request, .answer = made_bfl, .ticket = made_bfl_ticket};
