/* SPDX-License-Identifier: MIT
 * responses.c - OpenAI Responses: addresses, facts, edits, errors.
 * Floor: dataplane/dialect; any thread.
 * Owns: nothing.
 * Invariant: forward_edits changes the model's name only; what needs stored answers is refused
 *            whoever the provider is, since ids of one caller's answers are no other caller's.
 *            Spec: WIRE-FORMATS 2, 4.4. */
#include "dataplane/dialect/responses_int.h"

#include "dataplane/dialect/paid_int.h"

static int
responses_path(enum chat_endpoint endpoint, struct str model, bool stream, struct buf *out)
{
    (void)model;
    (void)stream;
    if (endpoint == CHAT_ENDPOINT_EMBEDDINGS)
        return buf_put_str(out, STR("/embeddings"));
    return endpoint == CHAT_ENDPOINT_CHAT ? buf_put_str(out, STR("/responses")) : -ERR_UNSUPPORTED;
}

/* ---- facts ----------------------------------------------------------------------------------- */

static void
count_parts(const struct json_doc *doc, uint32_t list, uint64_t *bytes)
{
    if (!json_is(doc, list, JSON_ARRAY))
        return;
    for (uint32_t at = json_first(doc, list); at != JSON_NONE; at = json_sibling(doc, list, at)) {
        facts_count_url(doc, json_get(doc, at, STR("image_url")), bytes);
        facts_count_url(doc, json_get(doc, at, STR("file_data")), bytes);
        facts_count_url(doc, json_get(doc, at, STR("file_url")), bytes);
        if (intake_get(doc, at, STR("file_id")) != JSON_NONE)
            *bytes += FACTS_REMOTE_TOKENS;
    }
}

static uint64_t
prompt_bytes(const struct json_doc *doc)
{
    uint64_t bytes = doc->text.len;
    uint32_t input = json_get(doc, 0, STR("input"));
    if (!json_is(doc, input, JSON_ARRAY))
        return bytes;
    for (uint32_t at = json_first(doc, input); at != JSON_NONE; at = json_sibling(doc, input, at)) {
        count_parts(doc, json_get(doc, at, STR("content")), &bytes);
        count_parts(doc, json_get(doc, at, STR("output")), &bytes);
    }
    return bytes;
}

static int
responses_facts(const struct json_doc *doc, enum chat_endpoint endpoint, struct arena *arena,
                struct chat_facts *ret_facts, struct err *err)
{
    const struct intake in = {doc, arena, err};
    struct chat_facts facts = {.model = ret_facts->model};
    if (endpoint != CHAT_ENDPOINT_CHAT)
        return err_set(err, ERR_UNSUPPORTED, "the openai-responses dialect has no such endpoint");
    int rc = facts_common(&in, &facts);
    if (rc == 0)
        rc = responses_refuse_state(doc, err);
    if (rc == 0)
        rc = facts_output(&in, "max_output_tokens", PAID_RESPONSES, &facts);
    if (rc < 0)
        return rc;
    facts.prompt_bytes = prompt_bytes(doc);
    *ret_facts = facts;
    return 0;
}

static int
responses_error_out(const struct chat_error *error, struct buf *out, uint16_t *ret_status)
{
    return dialect_openai.error_out(error, out, ret_status);
}

static const struct dialect_field responses_fixed_fields[] = {{NULL, NULL}};
static const char *const responses_forward_fields[] = {"openai-beta", NULL};

const struct dialect dialect_responses = {
    .name = "openai-responses",
    .auth_field = "authorization",
    .auth_prefix = "Bearer ",
    .fixed_fields = responses_fixed_fields,
    .forward_fields = responses_forward_fields,
    .framing = STREAM_SSE,
    .path = responses_path,
    .facts = responses_facts,
    .forward_edits = dialect_edit_forward,
    .request_in = responses_request_in,
    .request_out = responses_request_out,
    .answer_in = responses_answer_in,
    .answer_out = responses_answer_out,
    .answer_look = responses_answer_look,
    .reader = &responses_reader_class,
    .writer = &responses_writer_class,
    .error_in = error_read,
    .error_out = responses_error_out,
};
