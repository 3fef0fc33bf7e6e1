/* SPDX-License-Identifier: MIT
 * maker.c - addresses of Stability, Replicate and Black Forest Labs.
 * Floor: dataplane/media; any thread.
 * Owns: nothing.
 * Invariant: see maker.h. */
#include "dataplane/media/maker.h"

#include "lib/text/uri.h"

/* Stable Image has an address a model; Stable Diffusion 3 one for all, the model is in the form.
 * after: it takes a picture. */
static int
stability_path(enum chat_endpoint endpoint, struct str model, bool stream, struct buf *out)
{
    static const struct {
        const char *model;
        const char *service;
        bool before;
        bool after;
    } rows[] = {{"core", "generate/core", true, false},
                {"ultra", "generate/ultra", true, true},
                {"inpaint", "edit/inpaint", false, true}};
    (void)stream;
    bool draws = endpoint == CHAT_ENDPOINT_IMAGES;
    bool edits = endpoint == CHAT_ENDPOINT_IMAGE_EDITS;
    const char *service = str_starts(model, STR("sd3")) && (draws || edits) ? "generate/sd3" : NULL;
    if (str_starts(model, STR("stable-image-")))
        model = str_skip(model, STR("stable-image-").len);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        if (str_eq(model, str_from(rows[i].model)) &&
            ((draws && rows[i].before) || (edits && rows[i].after)))
            service = rows[i].service;
    }
    if (service == NULL)
        return -ERR_UNSUPPORTED;
    buf_put_str(out, STR("/v2beta/stable-image/"));
    return buf_put_str(out, str_from(service));
}

static bool
is_picture(enum chat_endpoint endpoint)
{
    return endpoint == CHAT_ENDPOINT_IMAGES || endpoint == CHAT_ENDPOINT_IMAGE_EDITS ||
           endpoint == CHAT_ENDPOINT_IMAGE_VARIATIONS;
}

/* Models are OWNER/NAME. */
static int
replicate_path(enum chat_endpoint endpoint, struct str model, bool stream, struct buf *out)
{
    (void)stream;
    if (!is_picture(endpoint))
        return -ERR_UNSUPPORTED;
    buf_put_str(out, STR("/v1/models/"));
    uri_encode(out, model, "/");
    buf_put_str(out, STR("/predictions"));
    return out->failed ? -ERR_TOO_LARGE : 0;
}

/* Each model has an address. */
static int
bfl_path(enum chat_endpoint endpoint, struct str model, bool stream, struct buf *out)
{
    (void)stream;
    if (!is_picture(endpoint))
        return -ERR_UNSUPPORTED;
    buf_put_str(out, STR("/v1/"));
    uri_encode(out, model, "");
    return out->failed ? -ERR_TOO_LARGE : 0;
}

/* Their errors are read as anybody's: `errors`, `detail`, `name` and what the status says. */
static int
read_error(uint16_t status, struct str body, struct arena *arena, struct chat_error *ret_error)
{
    return dialect_openai.error_in(status, body, arena, ret_error);
}

/* JSON with the picture in it, not the picture; the answer, where it is done soon, not a ticket for
 * it. "Soon": until the ticket is here nothing can be canceled. */
static const struct dialect_field stability_fields[] = {{"accept", "application/json"},
                                                        {NULL, NULL}};
static const struct dialect_field replicate_fields[] = {{"prefer", "wait=10"}, {NULL, NULL}};

const struct dialect maker_stability = {
    .name = "stability",
    .auth_field = "authorization",
    .auth_prefix = "Bearer ",
    .fixed_fields = stability_fields,
    .framing = STREAM_SSE,
    .path = stability_path,
    .error_in = read_error,
};
const struct dialect maker_replicate = {
    .name = "replicate",
    .auth_field = "authorization",
    .auth_prefix = "Bearer ",
    .fixed_fields = replicate_fields,
    .framing = STREAM_SSE,
    .path = replicate_path,
    .error_in = read_error,
};
const struct dialect maker_bfl = {
    .name = "black-forest-labs",
    .auth_field = "x-key",
    .auth_prefix = "",
    .framing = STREAM_SSE,
    .path = bfl_path,
    .error_in = read_error,
};

const struct dialect *
maker_find(struct str name)
{
    static const struct dialect *const makers[] = {&maker_stability, &maker_replicate, &maker_bfl};
    for (size_t i = 0; i < ARRAY_LEN(makers); i++) {
        if (str_eq(name, str_from(makers[i]->name)))
            return makers[i];
    }
    return NULL;
}
