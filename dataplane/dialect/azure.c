/* SPDX-License-Identifier: MIT
 * azure.c - Azure OpenAI: chat completions at other addresses, with another credential.
 * Floor: dataplane/dialect; any thread.
 * Owns: nothing.
 * Invariant: bodies are OpenAI's, byte for byte. Spec: WIRE-FORMATS 4.4. */
#include "dataplane/dialect/openai_int.h"

/* The version of the classic addresses; a base URL that ends in /v1 needs none. */
#define API_VERSION "?api-version=2024-10-21"

static int
azure_path(enum chat_endpoint endpoint, struct str model, bool stream, struct buf *out)
{
    const char *method = openai_paths[endpoint];
    struct str base = buf_str(out);
    (void)stream;
    if (method == NULL)
        return -ERR_UNSUPPORTED;
    if (str_ends(base, STR("/v1")))
        return buf_put_str(out, str_from(method));
    buf_put_str(out, str_ends(base, STR("/openai")) ? STR("/deployments/")
                                                    : STR("/openai/deployments/"));
    for (size_t i = 0; i < model.len; i++) { /* names of deployments have no other characters */
        char c = model.ptr[i];
        bool word = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!word && c != '.' && c != '-')
            c = '_';
        buf_put_byte(out, c);
    }
    buf_put_str(out, str_from(method));
    buf_put_str(out, STR(API_VERSION));
    return out->failed ? -ERR_TOO_LARGE : 0;
}

static int
azure_facts(const struct json_doc *doc, enum chat_endpoint endpoint, struct arena *arena,
            struct chat_facts *ret_facts, struct err *err)
{
    return dialect_openai.facts(doc, endpoint, arena, ret_facts, err);
}

static int
azure_forward_edits(const struct json_doc *doc, enum chat_endpoint endpoint,
                    const struct chat_facts *facts, struct str upstream_model, bool want_usage,
                    struct splice *splice)
{
    return dialect_openai.forward_edits(doc, endpoint, facts, upstream_model, want_usage, splice);
}

static int
azure_error_out(const struct chat_error *error, struct buf *out, uint16_t *ret_status)
{
    return dialect_openai.error_out(error, out, ret_status);
}

static const struct dialect_field azure_fixed_fields[] = {{NULL, NULL}};
static const char *const azure_forward_fields[] = {NULL};

const struct dialect dialect_azure = {
    .name = "azure-openai",
    .wire = &dialect_openai,
    .auth_field = "api-key",
    .auth_prefix = "",
    .fixed_fields = azure_fixed_fields,
    .forward_fields = azure_forward_fields,
    .framing = STREAM_SSE,
    .path = azure_path,
    .facts = azure_facts,
    .forward_edits = azure_forward_edits,
    .request_in = openai_request_in,
    .request_out = openai_request_out,
    .answer_in = openai_answer_in,
    .answer_out = openai_answer_out,
    .answer_look = openai_answer_look,
    .reader = &openai_reader_class,
    .writer = &openai_writer_class,
    .error_in = error_read,
    .error_out = azure_error_out,
};
