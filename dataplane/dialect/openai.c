/* SPDX-License-Identifier: MIT
 * openai.c - OpenAI chat completions and embeddings: addresses, facts, edits, errors.
 * Floor: dataplane/dialect; any thread.
 * Owns: nothing.
 * Invariant: forward_edits changes only what the upstream must see otherwise. Proved by
 *            request_test.c. Spec: WIRE-FORMATS 2, 3.2, 4.4. */
#include "dataplane/dialect/openai_int.h"

#include "dataplane/dialect/paid_int.h"

#define CHOICES_MAX 128u

/* Azure has the same words. NULL: no such endpoint. */
const char *const openai_paths[CHAT_ENDPOINT_COUNT] = {
    [CHAT_ENDPOINT_CHAT] = "/chat/completions",
    [CHAT_ENDPOINT_EMBEDDINGS] = "/embeddings",
    [CHAT_ENDPOINT_COMPLETIONS] = "/completions",
    [CHAT_ENDPOINT_IMAGES] = "/images/generations",
    [CHAT_ENDPOINT_IMAGE_EDITS] = "/images/edits",
    [CHAT_ENDPOINT_IMAGE_VARIATIONS] = "/images/variations",
    [CHAT_ENDPOINT_SPEECH] = "/audio/speech",
    [CHAT_ENDPOINT_TRANSCRIPTIONS] = "/audio/transcriptions",
    [CHAT_ENDPOINT_TRANSLATIONS] = "/audio/translations",
    [CHAT_ENDPOINT_MODERATIONS] = "/moderations",
    [CHAT_ENDPOINT_RERANK] = "/rerank",
};

static int
openai_path(enum chat_endpoint endpoint, struct str model, bool stream, struct buf *out)
{
    (void)model;
    (void)stream;
    if (openai_paths[endpoint] == NULL)
        return -ERR_UNSUPPORTED;
    return buf_put_str(out, str_from(openai_paths[endpoint]));
}

/* Of max_completion_tokens and max_tokens the larger one counts: either may be the one obeyed. */
static int
read_max_output(const struct intake *in, uint32_t node, const char *name, struct chat_facts *facts)
{
    uint64_t count = 0;
    int rc = intake_count(in, node, name, FACTS_OUTPUT_MAX, &count);
    if (rc == 0 && count > facts->max_output) {
        facts->max_output = count;
        facts->max_output_node = node;
    }
    return rc;
}

/* Of completions: answers for each prompt, and as many as the best is chosen from. */
static int
count_choices(const struct intake *in, uint64_t *choices)
{
    const struct json_doc *doc = in->doc;
    uint32_t prompt = json_get(doc, 0, STR("prompt"));
    uint32_t first = json_is(doc, prompt, JSON_ARRAY) ? json_first(doc, prompt) : JSON_NONE;
    bool several = first != JSON_NONE && !json_is(doc, first, JSON_NUMBER); /* not one's tokens */
    uint64_t best = 1;
    int rc = intake_count(in, json_get(doc, 0, STR("best_of")), "best_of", CHOICES_MAX, &best);
    *choices = MAX(*choices, best) * (several ? json_count(doc, prompt) : 1u);
    *choices = MIN(*choices, (uint64_t)UINT32_MAX);
    return rc;
}

static int
openai_facts(const struct json_doc *doc, enum chat_endpoint endpoint, struct arena *arena,
             struct chat_facts *ret_facts, struct err *err)
{
    enum { COMPLETION, TOKENS, N, OPTIONS, TOOLS, FUNCTIONS };
    static const struct str names[] = {
        [COMPLETION] = JSON_NAME("max_completion_tokens"),
        [TOKENS] = JSON_NAME("max_tokens"),
        [N] = JSON_NAME("n"),
        [OPTIONS] = JSON_NAME("stream_options"),
        [TOOLS] = JSON_NAME("tools"),
        [FUNCTIONS] = JSON_NAME("functions"),
    };
    uint32_t at[ARRAY_LEN(names)];
    const struct intake in = {doc, arena, err};
    struct chat_facts facts = {.model = ret_facts->model};
    uint64_t choices = 1;
    enum chat_switch usage = CHAT_OFF;
    int rc = facts_common(&in, &facts);
    if (rc == 0 && endpoint == CHAT_ENDPOINT_EMBEDDINGS) {
        facts.stream = false;
        *ret_facts = facts;
        return 0;
    }
    if (rc < 0)
        return rc;
    json_pick(doc, 0, names, ARRAY_LEN(names), at);
    rc = read_max_output(&in, at[COMPLETION], names[COMPLETION].ptr, &facts);
    if (rc == 0)
        rc = read_max_output(&in, at[TOKENS], names[TOKENS].ptr, &facts);
    if (rc == 0)
        rc = intake_count(&in, at[N], "n", CHOICES_MAX, &choices);
    if (rc == 0 && endpoint == CHAT_ENDPOINT_COMPLETIONS)
        rc = count_choices(&in, &choices);
    if (rc == 0 && facts.stream)
        rc = intake_switch(&in, json_get(doc, at[OPTIONS], STR("include_usage")),
                           "stream_options.include_usage", &usage);
    if (rc == 0)
        rc = paid_facts(&in, PAID_OPENAI, &facts);
    if (rc < 0)
        return rc;
    facts.choices = (uint32_t)choices;
    facts.include_usage = usage == CHAT_ON;
    facts.old_calls = json_first(doc, at[FUNCTIONS]) != JSON_NONE;
    facts.has_tools = json_first(doc, at[TOOLS]) != JSON_NONE || facts.old_calls;
    *ret_facts = facts;
    return 0;
}

/* ---- edits ----------------------------------------------------------------------------------- */

/* Ask for usage, keeping whatever else stream_options says. Without a stream it must not be
 * there. */
static int
edit_stream_options(const struct json_doc *doc, const struct chat_facts *facts, uint32_t options,
                    bool want_usage, struct splice *splice)
{
    if (!facts->stream)
        return options == JSON_NONE ? 0
                                    : splice_member_remove(splice, doc, 0, STR("stream_options"));
    if (!want_usage || facts->include_usage)
        return 0;
    if (json_is(doc, options, JSON_OBJECT))
        return splice_member_set(splice, doc, options, STR("include_usage"), STR("true"));
    return splice_member_set(splice, doc, 0, STR("stream_options"),
                             STR("{\"include_usage\":true}"));
}

static bool
is_empty_list(const struct json_doc *doc, uint32_t node)
{
    return json_is(doc, node, JSON_ARRAY) && json_first(doc, node) == JSON_NONE;
}

/* What an edit may look for at the top of a request. */
enum { OPTIONS, MESSAGES, TOOLS, TOOL_CHOICE, PARALLEL };
static const struct str edited[] = {
    [OPTIONS] = JSON_NAME("stream_options"),
    [MESSAGES] = JSON_NAME("messages"),
    [TOOLS] = JSON_NAME("tools"),
    [TOOL_CHOICE] = JSON_NAME("tool_choice"),
    [PARALLEL] = JSON_NAME("parallel_tool_calls"),
};

/* Empty lists of tools, and choices among no tools, are answered with 400 (M8; WIRE-FORMATS 5). */
static int
edit_tools(const struct json_doc *doc, const struct chat_facts *facts,
           const uint32_t top[ARRAY_LEN(edited)], struct splice *splice)
{
    uint32_t messages = top[MESSAGES];
    int rc = 0;
    if (is_empty_list(doc, top[TOOLS]))
        rc = splice_member_remove(splice, doc, 0, edited[TOOLS]);
    for (size_t i = TOOL_CHOICE; i <= PARALLEL && rc == 0 && !facts->has_tools; i++)
        if (top[i] != JSON_NONE)
            rc = splice_member_remove(splice, doc, 0, edited[i]);
    if (!json_is(doc, messages, JSON_ARRAY))
        return rc;
    for (uint32_t at = json_first(doc, messages); at != JSON_NONE && rc == 0;
         at = json_sibling(doc, messages, at)) {
        if (is_empty_list(doc, json_get(doc, at, STR("tool_calls"))))
            rc = splice_member_remove(splice, doc, at, STR("tool_calls"));
    }
    return rc;
}

static int
openai_forward_edits(const struct json_doc *doc, enum chat_endpoint endpoint,
                     const struct chat_facts *facts, struct str upstream_model, bool want_usage,
                     struct splice *splice)
{
    uint32_t top[ARRAY_LEN(edited)];
    int rc = dialect_edit_model(doc, facts, upstream_model, splice);
    if (rc < 0 || endpoint == CHAT_ENDPOINT_EMBEDDINGS)
        return rc;
    json_pick(doc, 0, edited, ARRAY_LEN(edited), top);
    rc = edit_stream_options(doc, facts, top[OPTIONS], want_usage, splice);
    return rc < 0 ? rc : edit_tools(doc, facts, top, splice);
}

/* ---- errors ---------------------------------------------------------------------------------- */

static uint16_t
openai_error_status(const struct chat_error *error)
{
    return error->status == 529 ? 503 : error->status;
}

/* Types of other vendors mean nothing to an OpenAI client: they are told again by status. */
static struct str
openai_error_type(const struct chat_error *error)
{
    static const char *const foreign[] = {"api_error",         "overloaded_error", "billing_error",
                                          "request_too_large", "timeout_error",    "error"};
    bool keep = error->type.len > 0;
    for (size_t i = 0; i < ARRAY_LEN(foreign); i++)
        keep = keep && !str_eq(error->type, str_from(foreign[i]));
    if (keep)
        return error->type;
    switch (error->status) {
    case 401:
        return STR("authentication_error");
    case 402:
        return STR("insufficient_quota");
    case 403:
        return STR("permission_error");
    case 404:
        return STR("not_found_error");
    case 429:
        return STR("rate_limit_error");
    default:
        return error->status >= 500 ? STR("server_error") : STR("invalid_request_error");
    }
}

static void
put_or_null(struct json_writer *writer, const char *key, struct str text)
{
    json_key(writer, key);
    if (text.len > 0)
        json_value_str(writer, text);
    else
        json_value_null(writer);
}

static int
put_error(const struct chat_error *error, struct buf *out)
{
    struct json_writer writer;
    struct str code = error->code;
    if (code.len == 0 && error->class_ == CHAT_ERROR_OVERLOADED)
        code = STR("overloaded");
    json_writer_init(&writer, out);
    json_open_object(&writer);
    json_key_object(&writer, "error");
    json_member_str(&writer, "message", error->message);
    json_member_str(&writer, "type", openai_error_type(error));
    put_or_null(&writer, "param", error->param);
    put_or_null(&writer, "code", code);
    json_close_object(&writer);
    json_close_object(&writer);
    return out->failed ? -ERR_NOMEM : 0;
}

static int
openai_error_out(const struct chat_error *error, struct buf *out, uint16_t *ret_status)
{
    int rc = put_error(error, out);
    if (rc == 0)
        *ret_status = openai_error_status(error);
    return rc;
}

/* A data frame with a truthy `error` makes the vendor's SDK raise; no [DONE] follows. */
int
openai_error_event(const struct chat_error *error, struct buf *out)
{
    buf_put_str(out, STR("data: "));
    int rc = put_error(error, out);
    buf_put_str(out, STR("\n\n"));
    return rc;
}

static const struct dialect_field openai_fixed_fields[] = {{NULL, NULL}};
static const char *const openai_forward_fields[] = {"openai-beta", NULL};

const struct dialect dialect_openai = {
    .name = "openai",
    .auth_field = "authorization",
    .auth_prefix = "Bearer ",
    .fixed_fields = openai_fixed_fields,
    .forward_fields = openai_forward_fields,
    .framing = STREAM_SSE,
    .path = openai_path,
    .facts = openai_facts,
    .forward_edits = openai_forward_edits,
    .request_in = openai_request_in,
    .request_out = openai_request_out,
    .answer_in = openai_answer_in,
    .answer_out = openai_answer_out,
    .answer_look = openai_answer_look,
    .reader = &openai_reader_class,
    .writer = &openai_writer_class,
    .error_in = error_read,
    .error_out = openai_error_out,
};
