/* SPDX-License-Identifier: MIT
 * anthropic.c - Anthropic Messages: addresses, facts, edits, errors.
 * Floor: dataplane/dialect; any thread.
 * Owns: nothing.
 * Invariant: forward_edits changes the model's name only. Proved by same_test.c. Spec:
 *            WIRE-FORMATS 2, 4.4. */
#include "dataplane/dialect/anthropic_int.h"

#include "dataplane/dialect/paid_int.h"

static int
anthropic_path(enum chat_endpoint endpoint, struct str model, bool stream, struct buf *out)
{
    (void)model;
    (void)stream;
    if (endpoint != CHAT_ENDPOINT_CHAT && endpoint != CHAT_ENDPOINT_TOKENS)
        return -ERR_UNSUPPORTED;
    return buf_put_str(out, endpoint == CHAT_ENDPOINT_TOKENS ? STR("/v1/messages/count_tokens")
                                                             : STR("/v1/messages"));
}

static int
anthropic_facts(const struct json_doc *doc, enum chat_endpoint endpoint, struct arena *arena,
                struct chat_facts *ret_facts, struct err *err)
{
    const struct intake in = {doc, arena, err};
    struct chat_facts facts = {.model = ret_facts->model};
    if (endpoint != CHAT_ENDPOINT_CHAT && endpoint != CHAT_ENDPOINT_TOKENS)
        return err_set(err, ERR_UNSUPPORTED, "the anthropic dialect has no such endpoint");
    int rc = facts_common(&in, &facts);
    if (rc == 0)
        rc = facts_output(&in, "max_tokens", PAID_ANTHROPIC, &facts);
    if (rc < 0)
        return rc;
    *ret_facts = facts;
    return 0;
}

/* ---- errors ---------------------------------------------------------------------------------- */

static uint16_t
anthropic_error_status(const struct chat_error *error)
{
    bool overloaded =
        error->ours ? error->row == HTTP_ERROR_overloaded : error->class_ == CHAT_ERROR_OVERLOADED;
    return overloaded && error->status >= 500 ? 529 : error->status;
}

static struct str
anthropic_error_type(const struct chat_error *error)
{
    static const char *const own[] = {
        "invalid_request_error", "authentication_error", "billing_error",    "permission_error",
        "not_found_error",       "request_too_large",    "rate_limit_error", "api_error",
        "timeout_error",         "overloaded_error"};
    if (error->ours)
        return str_from(http_error_row(error->row)->anthropic_type);
    for (size_t i = 0; i < ARRAY_LEN(own); i++) {
        if (str_eq(error->type, str_from(own[i])) && error->status != 404)
            return error->type;
    }
    switch (anthropic_error_status(error)) {
    case 401:
        return STR("authentication_error");
    case 402:
        return STR("billing_error");
    case 403:
        return STR("permission_error");
    case 404:
        return STR("not_found_error");
    case 413:
        return STR("request_too_large");
    case 429:
        return STR("rate_limit_error");
    case 504:
        return STR("timeout_error");
    case 503:
    case 529:
        return STR("overloaded_error");
    default:
        return error->status >= 500 ? STR("api_error") : STR("invalid_request_error");
    }
}

static int
put_error(const struct chat_error *error, struct buf *out)
{
    struct json_writer writer;
    json_writer_init(&writer, out);
    json_open_object(&writer);
    json_member_str(&writer, "type", STR("error"));
    json_key_object(&writer, "error");
    json_member_str(&writer, "type", anthropic_error_type(error));
    json_member_str(&writer, "message", error->message);
    json_close_object(&writer);
    if (error->request_id.len > 0)
        json_member_str(&writer, "request_id", error->request_id);
    json_close_object(&writer);
    return out->failed ? -ERR_NOMEM : 0;
}

static int
anthropic_error_out(const struct chat_error *error, struct buf *out, uint16_t *ret_status)
{
    int rc = put_error(error, out);
    if (rc == 0)
        *ret_status = anthropic_error_status(error);
    return rc;
}

int
anthropic_error_event(const struct chat_error *error, struct buf *out)
{
    buf_put_str(out, STR("event: error\ndata: "));
    int rc = put_error(error, out);
    buf_put_str(out, STR("\n\n"));
    return rc;
}

static const struct dialect_field anthropic_fixed_fields[] = {{"anthropic-version", "2023-06-01"},
                                                              {NULL, NULL}};
static const char *const anthropic_forward_fields[] = {"anthropic-version", "anthropic-beta", NULL};

const struct dialect dialect_anthropic = {
    .name = "anthropic",
    .auth_field = "x-api-key",
    .id_field = "request-id",
    .auth_prefix = "",
    .fixed_fields = anthropic_fixed_fields,
    .forward_fields = anthropic_forward_fields,
    .framing = STREAM_SSE,
    .path = anthropic_path,
    .facts = anthropic_facts,
    .forward_edits = dialect_edit_forward,
    .request_in = anthropic_request_in,
    .request_out = anthropic_request_out,
    .answer_in = anthropic_answer_in,
    .answer_out = anthropic_answer_out,
    .answer_look = anthropic_answer_look,
    .reader = &anthropic_reader_class,
    .writer = &anthropic_writer_class,
    .error_in = error_read,
    .error_out = anthropic_error_out,
};
