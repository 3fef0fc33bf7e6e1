/* SPDX-License-Identifier: MIT
 * bedrock.c - Bedrock Converse, InvokeModel for embeddings and images: addresses and errors.
 * Floor: dataplane/dialect; any thread.
 * Owns: nothing.
 * Invariant: spoken to providers only. Spec: WIRE-FORMATS 2, 4.4. */
#include "dataplane/dialect/bedrock_int.h"

#include "lib/text/uri.h"

static int
bedrock_path(enum chat_endpoint endpoint, struct str model, bool stream, struct buf *out)
{
    bool invokes = endpoint == CHAT_ENDPOINT_EMBEDDINGS || endpoint == CHAT_ENDPOINT_IMAGES ||
                   endpoint == CHAT_ENDPOINT_IMAGE_EDITS ||
                   endpoint == CHAT_ENDPOINT_IMAGE_VARIATIONS;
    if (endpoint != CHAT_ENDPOINT_CHAT && !invokes)
        return -ERR_UNSUPPORTED;
    buf_put_str(out, STR("/model/"));
    uri_encode(out, model, ""); /* ids have ':', ARNs '/' */
    if (invokes)
        buf_put_str(out, STR("/invoke"));
    else
        buf_put_str(out, stream ? STR("/converse-stream") : STR("/converse"));
    return out->failed ? -ERR_TOO_LARGE : 0;
}

static int
no_client(struct err *err)
{
    return err_set(err, ERR_UNSUPPORTED, "nobody calls Berth in the bedrock-converse dialect");
}

static int
bedrock_facts(const struct json_doc *doc, enum chat_endpoint endpoint, struct arena *arena,
              struct chat_facts *ret_facts, struct err *err)
{
    (void)doc;
    (void)endpoint;
    (void)arena;
    (void)ret_facts;
    return no_client(err);
}

static int
bedrock_request_in(const struct json_doc *doc, struct arena *arena,
                   struct chat_request *ret_request, struct err *err)
{
    (void)doc;
    (void)arena;
    (void)ret_request;
    return no_client(err);
}

/* Throttling has its own word; "Too many requests" is 429 anyway. */
static int
bedrock_error_in(uint16_t status, struct str body, struct arena *arena,
                 struct chat_error *ret_error)
{
    int rc = error_read(status, body, arena, ret_error);
    if (rc == 0 && status == 503)
        ret_error->class_ = CHAT_ERROR_OVERLOADED;
    return rc;
}

static const struct dialect_field bedrock_fixed_fields[] = {{NULL, NULL}};

const struct dialect dialect_bedrock = {
    .name = "bedrock-converse",
    .auth_field = "authorization",
    .auth_prefix = "Bearer ",
    .aws_service = "bedrock",
    .fixed_fields = bedrock_fixed_fields,
    .framing = STREAM_AWS,
    .path = bedrock_path,
    .facts = bedrock_facts,
    .request_in = bedrock_request_in,
    .request_out = bedrock_request_out,
    .answer_in = bedrock_answer_in,
    .answer_look = bedrock_answer_look,
    .reader = &bedrock_reader_class,
    .error_in = bedrock_error_in,
};
