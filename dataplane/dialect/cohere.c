/* SPDX-License-Identifier: MIT
 * cohere.c - Cohere v2 chat and embeddings: addresses, facts, edits, errors.
 * Floor: dataplane/dialect; any thread.
 * Owns: nothing.
 * Invariant: forward_edits changes the model's name only. Spec: WIRE-FORMATS 2, 4.4. */
#include "dataplane/dialect/cohere_int.h"

#include "dataplane/dialect/paid_int.h"

static int
cohere_path(enum chat_endpoint endpoint, struct str model, bool stream, struct buf *out)
{
    (void)model;
    (void)stream;
    if (endpoint == CHAT_ENDPOINT_EMBEDDINGS)
        return buf_put_str(out, STR("/v2/embed"));
    if (endpoint == CHAT_ENDPOINT_RERANK)
        return buf_put_str(out, STR("/v2/rerank"));
    return endpoint == CHAT_ENDPOINT_CHAT ? buf_put_str(out, STR("/v2/chat")) : -ERR_UNSUPPORTED;
}

static int
cohere_facts(const struct json_doc *doc, enum chat_endpoint endpoint, struct arena *arena,
             struct chat_facts *ret_facts, struct err *err)
{
    const struct intake in = {doc, arena, err};
    struct chat_facts facts = {0};
    if (endpoint == CHAT_ENDPOINT_EMBEDDINGS)
        return facts_embed(&in, ret_facts);
    if (endpoint != CHAT_ENDPOINT_CHAT)
        return err_set(err, ERR_UNSUPPORTED, "the cohere dialect has no such endpoint");
    int rc = facts_common(&in, &facts);
    if (rc == 0)
        rc = facts_output(&in, "max_tokens", PAID_OPENAI, &facts);
    if (rc == 0)
        *ret_facts = facts;
    return rc;
}

static int
cohere_error_out(const struct chat_error *error, struct buf *out, uint16_t *ret_status)
{
    struct json_writer writer;
    json_writer_init(&writer, out);
    json_open_object(&writer);
    json_member_str(&writer, "id", error->request_id);
    json_member_str(&writer, "message", error->message);
    json_close_object(&writer);
    if (out->failed)
        return -ERR_NOMEM;
    *ret_status = error->status == 529 ? 503 : error->status;
    return 0;
}

static const struct dialect_field cohere_fixed_fields[] = {{NULL, NULL}};
static const char *const cohere_forward_fields[] = {NULL};

const struct dialect dialect_cohere = {
    .name = "cohere-v2",
    .auth_field = "authorization",
    .auth_prefix = "Bearer ",
    .fixed_fields = cohere_fixed_fields,
    .forward_fields = cohere_forward_fields,
    .framing = STREAM_SSE,
    .path = cohere_path,
    .facts = cohere_facts,
    .forward_edits = dialect_edit_forward,
    .request_in = cohere_request_in,
    .request_out = cohere_request_out,
    .answer_in = cohere_answer_in,
    .answer_out = cohere_answer_out,
    .answer_look = cohere_answer_look,
    .reader = &cohere_reader_class,
    .writer = &cohere_writer_class,
    .error_in = error_read,
    .error_out = cohere_error_out,
};
