/* SPDX-License-Identifier: MIT
 * gemini.c - Gemini generateContent and embeddings (AI Studio, Vertex): addresses, facts, edits,
 *            errors.
 * Floor: dataplane/dialect; any thread.
 * Owns: nothing.
 * Invariant: the model stands in the URL; forward_edits changes nothing but `model` members.
 *            Proved by same_test.c. Spec: WIRE-FORMATS 2, 4.4. */
#include "dataplane/dialect/gemini_int.h"

#include <stdio.h>

#include "dataplane/dialect/paid_int.h"

#include "lib/text/uri.h"

#define RETRY_DELAY_S_MAX 86400u

static bool
is_vertex(struct str base)
{
    return str_find(base, STR("/projects/")) != SIZE_MAX;
}

/* The base URL may end in a version, or be a Vertex location (.../projects/P/locations/L). */
static void
put_models(struct buf *out)
{
    struct str base = buf_str(out);
    bool versioned = str_ends(base, STR("/v1beta")) || str_ends(base, STR("/v1")) ||
                     str_ends(base, STR("/v1alpha")) || str_ends(base, STR("/v1beta1"));
    if (is_vertex(base))
        buf_put_str(out, STR("/publishers/google/models/"));
    else
        buf_put_str(out, versioned ? STR("/models/") : STR("/v1beta/models/"));
}

static int
gemini_path(enum chat_endpoint endpoint, struct str model, bool stream, struct buf *out)
{
    const char *method = stream ? ":streamGenerateContent?alt=sse" : ":generateContent";
    if (endpoint == CHAT_ENDPOINT_TOKENS)
        method = ":countTokens";
    else if (endpoint == CHAT_ENDPOINT_EMBEDDINGS)
        method = is_vertex(buf_str(out)) ? ":predict" : ":batchEmbedContents";
    else if (endpoint == CHAT_ENDPOINT_EMBED_ONE) /* Vertex takes it by `predict` only */
        method = is_vertex(buf_str(out)) ? NULL : ":embedContent";
    else if (endpoint == CHAT_ENDPOINT_IMAGES || endpoint == CHAT_ENDPOINT_IMAGE_EDITS)
        method = str_starts(model, STR("imagen")) ? ":predict" : ":generateContent";
    else if (endpoint != CHAT_ENDPOINT_CHAT)
        method = NULL;
    if (method == NULL)
        return -ERR_UNSUPPORTED;
    put_models(out);
    uri_encode(out, model, "@");
    buf_put_str(out, str_from(method));
    return out->failed ? -ERR_TOO_LARGE : 0;
}

/* ---- facts ----------------------------------------------------------------------------------- */

static void
count_media(const struct json_doc *doc, uint32_t contents, uint64_t *bytes)
{
    if (!json_is(doc, contents, JSON_ARRAY))
        return;
    for (uint32_t at = json_first(doc, contents); at != JSON_NONE;
         at = json_sibling(doc, contents, at)) {
        uint32_t parts = json_get(doc, at, STR("parts"));
        if (!json_is(doc, parts, JSON_ARRAY))
            continue;
        for (uint32_t part = json_first(doc, parts); part != JSON_NONE;
             part = json_sibling(doc, parts, part)) {
            uint32_t media = gemini_get(doc, part, "inlineData");
            uint32_t data = json_get(doc, media, STR("data"));
            struct str type = json_raw(doc, gemini_get(doc, media, "mimeType"));
            if (json_is(doc, data, JSON_STRING))
                facts_count_payload(doc, data, str_starts(type, STR("\"image/")), bytes);
            if (gemini_get(doc, part, "fileData") != JSON_NONE)
                *bytes += FACTS_REMOTE_TOKENS;
        }
    }
}

static bool
has_tools(const struct json_doc *doc)
{
    uint32_t tools = json_get(doc, 0, STR("tools"));
    return json_count(doc, tools) > 0;
}

static bool
embeds(enum chat_endpoint endpoint)
{
    return endpoint == CHAT_ENDPOINT_EMBEDDINGS || endpoint == CHAT_ENDPOINT_EMBED_ONE;
}

/* The URL has told model and stream (in *ret_facts); a body of its own `model` may stand in. */
static int
gemini_facts(const struct json_doc *doc, enum chat_endpoint endpoint, struct arena *arena,
             struct chat_facts *ret_facts, struct err *err)
{
    const struct intake in = {doc, arena, err};
    struct chat_facts facts = {.model = ret_facts->model, .stream = ret_facts->stream};
    uint64_t choices = 1;
    if (endpoint != CHAT_ENDPOINT_CHAT && endpoint != CHAT_ENDPOINT_TOKENS && !embeds(endpoint))
        return err_set(err, ERR_UNSUPPORTED, "the gemini dialect has no such endpoint");
    if (!json_is(doc, 0, JSON_OBJECT))
        return err_set(err, ERR_INVALID, "the body must be a JSON object");
    uint32_t config = gemini_get(doc, 0, "generationConfig");
    uint32_t limit = gemini_get(doc, config, "maxOutputTokens");
    int rc = facts.model.len > 0 ? 0 : intake_member(&in, 0, "model", &facts.model);
    if (rc == 0 && (facts.model.len == 0 || str_find_byte(facts.model, '\0') != SIZE_MAX))
        rc = err_set(err, ERR_INVALID, "field `model` is missing");
    if (rc == 0)
        rc = intake_count(&in, limit, "maxOutputTokens", FACTS_OUTPUT_MAX, &facts.max_output);
    if (rc == 0)
        rc = intake_count(&in, gemini_get(doc, config, "candidateCount"), "candidateCount", 128,
                          &choices);
    if (rc < 0)
        return rc;
    facts.model_node = json_get(doc, 0, STR("model"));
    facts.max_output_node = limit;
    facts.choices = (uint32_t)choices;
    facts.include_usage = true;
    facts.has_tools = has_tools(doc);
    rc = paid_facts(&in, PAID_GEMINI, &facts);
    if (rc < 0)
        return rc;
    facts.prompt_bytes = doc->text.len;
    count_media(doc, json_get(doc, 0, STR("contents")), &facts.prompt_bytes);
    facts.stream = facts.stream && !embeds(endpoint);
    *ret_facts = facts;
    return 0;
}

/* Each request of a batch names its model, and so does a single one; whatever it says there, what
 * was routed and held is what is asked for. */
static int
edit_embed_model(const struct json_doc *doc, uint32_t request, struct str model,
                 struct splice *splice)
{
    struct buf quoted;
    struct str copy = STR_EMPTY;
    if (!json_is(doc, request, JSON_OBJECT) || json_get(doc, request, STR("model")) == JSON_NONE)
        return 0;
    struct str name = arena_printf(splice->arena, "models/%.*s", STR_ARG(model));
    buf_init(&quoted, name.len * 6 + 2);
    int rc = name.ptr == NULL ? -ERR_NOMEM : json_put_string(&quoted, name);
    if (rc == 0)
        rc = arena_dup(splice->arena, buf_str(&quoted), &copy);
    buf_fini(&quoted);
    return rc < 0 ? rc : splice_node(splice, doc, json_get(doc, request, STR("model")), copy);
}

static int
edit_embed(const struct json_doc *doc, struct str model, struct splice *splice)
{
    uint32_t list = json_get(doc, 0, STR("requests"));
    int rc = edit_embed_model(doc, 0, model, splice);
    uint32_t at = json_is(doc, list, JSON_ARRAY) ? json_first(doc, list) : JSON_NONE;
    for (; at != JSON_NONE && rc == 0; at = json_sibling(doc, list, at))
        rc = edit_embed_model(doc, at, model, splice);
    return rc;
}

static int
gemini_forward_edits(const struct json_doc *doc, enum chat_endpoint endpoint,
                     const struct chat_facts *facts, struct str upstream_model, bool want_usage,
                     struct splice *splice)
{
    (void)want_usage; /* always reported */
    if (embeds(endpoint))
        return edit_embed(doc, upstream_model, splice);
    if (facts->model_node == JSON_NONE)
        return 0;
    return dialect_edit_model(doc, facts, upstream_model, splice);
}

/* ---- errors ---------------------------------------------------------------------------------- */

/* {"@type": ".../google.rpc.RetryInfo", "retryDelay": "48.2s"}: seconds, rounded up; no field says
 * it. */
static uint32_t
retry_delay(struct str body)
{
    static const struct str key = {"\"retryDelay\"", 12};
    uint32_t seconds = 0;
    size_t at = str_find(body, key);
    struct str rest = at == SIZE_MAX ? STR_EMPTY : str_skip(body, at + key.len);
    while (rest.len > 0 && (rest.ptr[0] == ' ' || rest.ptr[0] == ':' || rest.ptr[0] == '"'))
        rest = str_skip(rest, 1);
    for (; rest.len > 0 && rest.ptr[0] >= '0' && rest.ptr[0] <= '9'; rest = str_skip(rest, 1))
        seconds = MIN(seconds, RETRY_DELAY_S_MAX) * 10u + (uint32_t)(rest.ptr[0] - '0');
    return seconds + (rest.len > 0 && rest.ptr[0] == '.' ? 1u : 0u);
}

/* A bad key is answered with 400, an overload with 503 and nothing but words. */
static int
gemini_error_in(uint16_t status, struct str body, struct arena *arena, struct chat_error *ret_error)
{
    int rc = error_read(status, body, arena, ret_error);
    if (rc < 0)
        return rc;
    ret_error->retry_after_s = retry_delay(body);
    if (str_find(body, STR("\"API_KEY_INVALID\"")) != SIZE_MAX) {
        ret_error->status = 401;
        ret_error->class_ = CHAT_ERROR_AUTH;
    } else if (str_eq(ret_error->code, STR("UNAVAILABLE"))) {
        ret_error->class_ = CHAT_ERROR_OVERLOADED;
    }
    return 0;
}

static struct str
status_name(uint16_t status)
{
    static const struct {
        uint16_t status;
        const char *name;
    } rows[] = {
        {400, "INVALID_ARGUMENT"},  {401, "UNAUTHENTICATED"},    {402, "FAILED_PRECONDITION"},
        {403, "PERMISSION_DENIED"}, {404, "NOT_FOUND"},          {409, "ABORTED"},
        {413, "INVALID_ARGUMENT"},  {429, "RESOURCE_EXHAUSTED"}, {499, "CANCELLED"},
        {500, "INTERNAL"},          {501, "UNIMPLEMENTED"},      {503, "UNAVAILABLE"},
        {504, "DEADLINE_EXCEEDED"}};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (rows[i].status == status)
            return str_from(rows[i].name);
    return status >= 500 ? STR("UNAVAILABLE") : STR("INVALID_ARGUMENT");
}

static uint16_t
error_status_out(const struct chat_error *error)
{
    return error->status == 529 ? 503 : error->status;
}

/* Google's own clients wait for what RetryInfo says, and look at no field. */
static void
put_details(struct json_writer *writer, const struct chat_error *error)
{
    char delay[24];
    json_key_array(writer, "details");
    if (error->code.len > 0) {
        json_open_object(writer);
        json_member_str(writer, "@type", STR("type.googleapis.com/google.rpc.ErrorInfo"));
        json_member_str(writer, "reason", error->code);
        json_close_object(writer);
    }
    if (error->retry_after_s > 0) {
        (void)snprintf(delay, sizeof(delay), "%us", error->retry_after_s);
        json_open_object(writer);
        json_member_str(writer, "@type", STR("type.googleapis.com/google.rpc.RetryInfo"));
        json_member_str(writer, "retryDelay", str_from(delay));
        json_close_object(writer);
    }
    json_close_array(writer);
}

int
gemini_put_error(const struct chat_error *error, struct buf *out)
{
    struct json_writer writer;
    uint16_t status = error_status_out(error);
    json_writer_init(&writer, out);
    json_open_object(&writer);
    json_key_object(&writer, "error");
    json_member_u64(&writer, "code", status);
    json_member_str(&writer, "message", error->message);
    json_member_str(&writer, "status", status_name(status));
    if (error->code.len > 0 || error->retry_after_s > 0)
        put_details(&writer, error);
    json_close_object(&writer);
    json_close_object(&writer);
    return out->failed ? -ERR_NOMEM : 0;
}

static int
gemini_error_out(const struct chat_error *error, struct buf *out, uint16_t *ret_status)
{
    int rc = gemini_put_error(error, out);
    if (rc == 0)
        *ret_status = error_status_out(error);
    return rc;
}

static const struct dialect_field gemini_fixed_fields[] = {{NULL, NULL}};
static const char *const gemini_forward_fields[] = {NULL};

const struct dialect dialect_gemini = {
    .name = "gemini",
    .auth_field = "x-goog-api-key",
    .auth_prefix = "",
    .fixed_fields = gemini_fixed_fields,
    .forward_fields = gemini_forward_fields,
    .framing = STREAM_SSE,
    .path = gemini_path,
    .facts = gemini_facts,
    .forward_edits = gemini_forward_edits,
    .request_in = gemini_request_in,
    .request_out = gemini_request_out,
    .answer_in = gemini_answer_in,
    .answer_out = gemini_answer_out,
    .answer_look = gemini_answer_look,
    .reader = &gemini_reader_class,
    .writer = &gemini_writer_class,
    .error_in = gemini_error_in,
    .error_out = gemini_error_out,
};
