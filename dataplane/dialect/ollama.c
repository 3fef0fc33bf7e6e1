/* SPDX-License-Identifier: MIT
 * ollama.c - Ollama's own chat and embeddings: addresses, facts, edits, errors.
 * Floor: dataplane/dialect; any thread.
 * Owns: nothing.
 * Invariant: forward_edits changes the model's name only. A request streams unless it says no.
 *            Spec: WIRE-FORMATS 2, 4.4. */
#include "dataplane/dialect/ollama_int.h"

#include "dataplane/dialect/paid_int.h"

static int
ollama_path(enum chat_endpoint endpoint, struct str model, bool stream, struct buf *out)
{
    (void)model;
    (void)stream;
    if (endpoint == CHAT_ENDPOINT_EMBEDDINGS)
        return buf_put_str(out, STR("/api/embed"));
    if (endpoint == CHAT_ENDPOINT_EMBED_ONE)
        return buf_put_str(out, STR("/api/embeddings"));
    return endpoint == CHAT_ENDPOINT_CHAT ? buf_put_str(out, STR("/api/chat")) : -ERR_UNSUPPORTED;
}

static void
count_pictures(const struct json_doc *doc, uint64_t *bytes)
{
    uint32_t messages = json_get(doc, 0, STR("messages"));
    if (!json_is(doc, messages, JSON_ARRAY))
        return;
    for (uint32_t at = json_first(doc, messages); at != JSON_NONE;
         at = json_sibling(doc, messages, at)) {
        uint32_t list = json_get(doc, at, STR("images"));
        if (!json_is(doc, list, JSON_ARRAY))
            continue;
        for (uint32_t one = json_first(doc, list); one != JSON_NONE;
             one = json_sibling(doc, list, one))
            if (json_is(doc, one, JSON_STRING))
                facts_count_payload(doc, one, true, bytes);
    }
}

static int
ollama_facts(const struct json_doc *doc, enum chat_endpoint endpoint, struct arena *arena,
             struct chat_facts *ret_facts, struct err *err)
{
    const struct intake in = {doc, arena, err};
    struct chat_facts facts = {0};
    uint64_t limit = 0;
    if (endpoint == CHAT_ENDPOINT_EMBEDDINGS || endpoint == CHAT_ENDPOINT_EMBED_ONE)
        return facts_embed(&in, ret_facts);
    if (endpoint != CHAT_ENDPOINT_CHAT)
        return err_set(err, ERR_UNSUPPORTED, "the ollama dialect has no such endpoint");
    int rc = facts_common(&in, &facts);
    if (rc < 0)
        return rc;
    if (json_get(doc, 0, STR("stream")) == JSON_NONE)
        facts.stream = true;
    facts.max_output_node = json_path(doc, 0, "options.num_predict");
    if (json_u64(doc, facts.max_output_node, FACTS_OUTPUT_MAX, &limit) == 0)
        facts.max_output = limit; /* -1 and -2 mean no limit */
    facts.include_usage = true;
    facts.has_tools = json_count(doc, json_get(doc, 0, STR("tools"))) > 0;
    count_pictures(doc, &facts.prompt_bytes);
    rc = paid_facts(&in, PAID_OPENAI, &facts);
    if (rc == 0)
        *ret_facts = facts;
    return rc;
}

int
ollama_put_error(const struct chat_error *error, struct buf *out)
{
    struct json_writer writer;
    json_writer_init(&writer, out);
    json_open_object(&writer);
    json_member_str(&writer, "error", error->message);
    json_close_object(&writer);
    return out->failed ? -ERR_NOMEM : 0;
}

static int
ollama_error_out(const struct chat_error *error, struct buf *out, uint16_t *ret_status)
{
    int rc = ollama_put_error(error, out);
    if (rc == 0)
        *ret_status = error->status == 529 ? 503 : error->status;
    return rc;
}

static const struct dialect_field ollama_fixed_fields[] = {{NULL, NULL}};
static const char *const ollama_forward_fields[] = {NULL};

const struct dialect dialect_ollama = {
    .name = "ollama-native",
    .auth_field = "authorization",
    .auth_prefix = "Bearer ",
    .fixed_fields = ollama_fixed_fields,
    .forward_fields = ollama_forward_fields,
    .framing = STREAM_NDJSON,
    .path = ollama_path,
    .facts = ollama_facts,
    .forward_edits = dialect_edit_forward,
    .request_in = ollama_request_in,
    .request_out = ollama_request_out,
    .answer_in = ollama_answer_in,
    .answer_out = ollama_answer_out,
    .answer_look = ollama_answer_look,
    .reader = &ollama_reader_class,
    .writer = &ollama_writer_class,
    .error_in = error_read,
    .error_out = ollama_error_out,
};
