/* SPDX-License-Identifier: MIT
 * embed.c - embeddings at Gemini, Vertex, Cohere, Ollama and Bedrock, for callers who speak
 *           OpenAI's.
 * Floor: dataplane/media; any thread.
 * Owns: nothing.
 * Invariant: see carry.h. Spec: WIRE-FORMATS 4.5. */
#include <stdlib.h>

#include "dataplane/chat/claim.h"
#include "dataplane/media/carry_int.h"
#include "lib/text/base64.h"

#define DIMENSIONS_MAX 65536u
#define INPUTS_MAX 2048u
#define NUMBER_BYTES_MAX 63u
#define BYTES_PER_TOKEN 4u
#define NO_MEMORY "Berth has no memory for this request."

/* ---- the caller's request -------------------------------------------------------------------- */

/* input: a string, or a list of strings (first, then siblings; JSON_NONE: the one string). */
struct embed {
    const struct json_doc *doc;
    uint32_t input;
    bool list;
    uint64_t dimensions;   /* 0 = the model's own */
    struct str input_type; /* Cohere's member, raw JSON; empty = not given */
};

static int
check_input(const struct embed *embed, struct carry_wish *wish, struct err *err)
{
    const struct json_doc *doc = embed->doc;
    wish->count = embed->list ? json_count(doc, embed->input) : 1;
    wish->tokens = 0;
    if (!embed->list && !json_is(doc, embed->input, JSON_STRING))
        return err_set(err, ERR_INVALID, "field `input` must be a string or a list of strings");
    if (wish->count == 0 || wish->count > INPUTS_MAX)
        return err_set(err, ERR_RANGE, "field `input` must have 1 to %u texts", INPUTS_MAX);
    uint32_t at = embed->list ? json_first(doc, embed->input) : JSON_NONE;
    for (; at != JSON_NONE; at = json_sibling(doc, embed->input, at)) {
        if (!json_is(doc, at, JSON_STRING))
            return err_set(err, ERR_UNSUPPORTED,
                           "field `input` has tokens; this model's provider takes texts only");
    }
    wish->tokens = (json_raw(doc, embed->input).len + BYTES_PER_TOKEN - 1) / BYTES_PER_TOKEN;
    return 0;
}

static int
read_embed(const struct json_doc *doc, struct arena *arena, struct embed *embed,
           struct carry_wish *wish, struct err *err)
{
    static const char *const known[] = {"model", "input", "encoding_format", "dimensions",
                                        "input_type"};
    uint32_t format = carry_given(doc, STR("encoding_format"));
    uint32_t dimensions = carry_given(doc, STR("dimensions"));
    *embed = (struct embed){.doc = doc, .input = carry_given(doc, STR("input"))};
    embed->list = json_is(doc, embed->input, JSON_ARRAY);
    embed->input_type = json_raw(doc, carry_given(doc, STR("input_type")));
    wish->base64 = json_string_eq(doc, format, STR("base64"));
    if (format != JSON_NONE && !wish->base64 && !json_string_eq(doc, format, STR("float")))
        return err_set(err, ERR_INVALID, "field `encoding_format` must be float or base64");
    if (dimensions != JSON_NONE &&
        (json_u64(doc, dimensions, DIMENSIONS_MAX, &embed->dimensions) != 0 ||
         embed->dimensions == 0))
        return err_set(err, ERR_RANGE, "field `dimensions` must be 1 to %u", DIMENSIONS_MAX);
    if (carry_dropped(doc, 0, known, ARRAY_LEN(known), arena, &wish->dropped) != 0)
        return err_set(err, ERR_NOMEM, NO_MEMORY);
    return check_input(embed, wish, err);
}

/* The texts, each between what the vendor wants before and behind it. */
static void
put_texts(const struct embed *embed, struct str before, struct str behind, struct buf *out)
{
    const struct json_doc *doc = embed->doc;
    uint32_t at = embed->list ? json_first(doc, embed->input) : embed->input;
    for (bool first = true; at != JSON_NONE; first = false) {
        buf_put_str(out, first ? STR("") : STR(","));
        buf_put_str(out, before);
        buf_put_str(out, json_raw(doc, at));
        buf_put_str(out, behind);
        at = embed->list ? json_sibling(doc, embed->input, at) : JSON_NONE;
    }
}

/* What the texts are for, in Google's words; NULL: nothing that he has a word for. */
static const char *
google_task(const struct embed *embed)
{
    static const struct {
        const char *cohere;
        const char *google;
    } rows[] = {{"\"search_document\"", "RETRIEVAL_DOCUMENT"},
                {"\"search_query\"", "RETRIEVAL_QUERY"},
                {"\"classification\"", "CLASSIFICATION"},
                {"\"clustering\"", "CLUSTERING"}};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        if (str_eq(embed->input_type, str_from(rows[i].cohere)))
            return rows[i].google;
    }
    return NULL;
}

static int
gemini_request(const struct json_doc *doc, struct str model, struct arena *arena, struct buf *out,
               struct carry_wish *ret_wish, struct err *err)
{
    struct embed embed;
    struct buf before;
    struct buf behind;
    int rc = read_embed(doc, arena, &embed, ret_wish, err);
    struct str name = arena_printf(arena, "models/%.*s", STR_ARG(model));
    if (rc == 0 && name.ptr == NULL)
        rc = err_set(err, ERR_NOMEM, NO_MEMORY);
    if (rc != 0)
        return rc;
    buf_init(&before, name.len * 6 + 128);
    buf_init(&behind, 128);
    buf_put_str(&before, STR("{\"model\":"));
    (void)json_put_string(&before, name);
    buf_put_str(&before, STR(",\"content\":{\"parts\":[{\"text\":"));
    buf_put_str(&behind, STR("}]}"));
    if (embed.dimensions != 0)
        buf_printf(&behind, ",\"outputDimensionality\":%llu", (unsigned long long)embed.dimensions);
    if (google_task(&embed) != NULL)
        buf_printf(&behind, ",\"taskType\":\"%s\"", google_task(&embed));
    buf_put_byte(&behind, '}');
    buf_put_str(out, STR("{\"requests\":["));
    put_texts(&embed, buf_str(&before), buf_str(&behind), out);
    buf_put_str(out, STR("]}"));
    bool failed = before.failed || behind.failed || out->failed;
    buf_fini(&before);
    buf_fini(&behind);
    return failed ? -ERR_NOMEM : 0;
}

/* Vertex: the model stands in the address. */
static int
vertex_request(const struct json_doc *doc, struct str model, struct arena *arena, struct buf *out,
               struct carry_wish *ret_wish, struct err *err)
{
    struct embed embed;
    int rc = read_embed(doc, arena, &embed, ret_wish, err);
    (void)model;
    if (rc != 0)
        return rc;
    const char *task = google_task(&embed);
    struct str behind =
        task == NULL ? STR("}") : arena_printf(arena, ",\"task_type\":\"%s\"}", task);
    if (behind.ptr == NULL)
        return err_set(err, ERR_NOMEM, NO_MEMORY);
    buf_put_str(out, STR("{\"instances\":["));
    put_texts(&embed, STR("{\"content\":"), behind, out);
    buf_put_byte(out, ']');
    if (embed.dimensions != 0)
        buf_printf(out, ",\"parameters\":{\"outputDimensionality\":%llu}",
                   (unsigned long long)embed.dimensions);
    buf_put_byte(out, '}');
    return out->failed ? -ERR_NOMEM : 0;
}

/* "model":..., for vendors who have it in the body. */
static void
put_model(struct str model, struct buf *out)
{
    buf_put_str(out, STR("\"model\":"));
    (void)json_put_string(out, model);
    buf_put_byte(out, ',');
}

/* Dimensions and texts under the vendor's names of them; they end the object. */
static int
put_flat(const struct embed *embed, const char *dimensions, const char *texts, struct buf *out)
{
    if (embed->dimensions != 0)
        buf_printf(out, "\"%s\":%llu,", dimensions, (unsigned long long)embed->dimensions);
    buf_printf(out, "\"%s\":[", texts);
    put_texts(embed, STR_EMPTY, STR_EMPTY, out);
    buf_put_str(out, STR("]}"));
    return out->failed ? -ERR_NOMEM : 0;
}

static int
put_cohere(const struct embed *embed, struct buf *out)
{
    struct str type = embed->input_type.len > 0 ? embed->input_type : STR("\"search_document\"");
    buf_put_str(out, STR("\"input_type\":"));
    buf_put_str(out, type);
    buf_put_str(out, STR(",\"embedding_types\":[\"float\"],"));
    return put_flat(embed, "output_dimension", "texts", out);
}

static int
cohere_request(const struct json_doc *doc, struct str model, struct arena *arena, struct buf *out,
               struct carry_wish *ret_wish, struct err *err)
{
    struct embed embed;
    int rc = read_embed(doc, arena, &embed, ret_wish, err);
    if (rc != 0)
        return rc;
    buf_put_byte(out, '{');
    put_model(model, out);
    return put_cohere(&embed, out);
}

static int
ollama_request(const struct json_doc *doc, struct str model, struct arena *arena, struct buf *out,
               struct carry_wish *ret_wish, struct err *err)
{
    struct embed embed;
    int rc = read_embed(doc, arena, &embed, ret_wish, err);
    if (rc != 0)
        return rc;
    buf_put_byte(out, '{');
    put_model(model, out);
    return put_flat(&embed, "dimensions", "input", out);
}

/* Bedrock: InvokeModel, in the words of whose model it is. Titan takes one text a call. */
static int
bedrock_request(const struct json_doc *doc, struct str model, struct arena *arena, struct buf *out,
                struct carry_wish *ret_wish, struct err *err)
{
    struct embed embed;
    int rc = read_embed(doc, arena, &embed, ret_wish, err);
    if (rc != 0)
        return rc;
    if (str_find(model, STR("cohere.embed")) != SIZE_MAX) {
        buf_put_byte(out, '{');
        return put_cohere(&embed, out);
    }
    if (str_find(model, STR("titan-embed")) == SIZE_MAX)
        return err_set(err, ERR_UNSUPPORTED,
                       "embeddings of this model are not known at its provider: Titan's and "
                       "Cohere's are");
    if (ret_wish->count != 1)
        return err_set(err, ERR_UNSUPPORTED,
                       "field `input` has %llu texts; this model takes one a call",
                       (unsigned long long)ret_wish->count);
    buf_put_str(out, STR("{\"inputText\":"));
    put_texts(&embed, STR_EMPTY, STR_EMPTY, out);
    if (embed.dimensions != 0)
        buf_printf(out, ",\"dimensions\":%llu", (unsigned long long)embed.dimensions);
    buf_put_byte(out, '}');
    return out->failed ? -ERR_NOMEM : 0;
}

/* ---- the vendor's answer --------------------------------------------------------------------- */

/* A number as the four bytes of a float, little end first. */
static int
put_float(struct str raw, char out[4])
{
    char text[NUMBER_BYTES_MAX + 1];
    uint32_t bits;
    if (!str_copy(text, sizeof(text), raw))
        return -ERR_INVALID;
    float value = strtof(text, NULL);
    memcpy(&bits, &value, sizeof(bits));
    for (size_t i = 0; i < 4; i++)
        out[i] = (char)(unsigned char)(bits >> (8 * i) & 0xffu);
    return 0;
}

static int
put_base64(const struct json_doc *doc, uint32_t list, struct buf *out)
{
    struct buf bytes;
    int rc = 0;
    buf_init(&bytes, (size_t)DIMENSIONS_MAX * 4);
    for (uint32_t at = json_first(doc, list); at != JSON_NONE && rc == 0;
         at = json_sibling(doc, list, at)) {
        char four[4];
        rc = put_float(json_raw(doc, at), four);
        if (rc == 0)
            rc = buf_put(&bytes, four, sizeof(four));
    }
    buf_put_byte(out, '"');
    if (rc == 0)
        rc = base64_put(out, buf_str(&bytes), false);
    buf_put_byte(out, '"');
    buf_fini(&bytes);
    return rc;
}

static bool
is_vector(const struct json_doc *doc, uint32_t list)
{
    if (!json_is(doc, list, JSON_ARRAY))
        return false;
    for (uint32_t at = json_first(doc, list); at != JSON_NONE; at = json_sibling(doc, list, at)) {
        if (!json_is(doc, at, JSON_NUMBER))
            return false;
    }
    return true;
}

/* A count that the vendor reports; more of them are a sum. */
static void
add_count(const struct json_doc *doc, uint32_t node, struct usage *usage)
{
    if (!json_is(doc, node, JSON_NUMBER))
        return;
    uint64_t sum = usage->count[USAGE_input] + claim_count(doc, node, &usage->clamped);
    usage->evidence = EVIDENCE_PROVIDER;
    usage->count[USAGE_input] = MIN(sum, USAGE_COUNT_MAX);
}

static int
put_vector(const struct json_doc *doc, uint32_t vector, uint64_t index, bool base64,
           struct buf *out)
{
    if (!is_vector(doc, vector))
        return -ERR_INVALID;
    buf_printf(out,
               "%s{\"object\":\"embedding\",\"index\":%llu,\"embedding\":", index > 0 ? "," : "",
               (unsigned long long)index);
    if (!base64)
        buf_put_str(out, json_raw(doc, vector));
    else if (put_base64(doc, vector, out) != 0)
        return -ERR_INVALID;
    buf_put_byte(out, '}');
    return 0;
}

/* What is told is what is paid: without a report, the texts at four bytes a token. */
static int
put_end(const struct carry_wish *wish, struct usage *usage, struct buf *out)
{
    if (usage->evidence == EVIDENCE_NONE) {
        usage->evidence = EVIDENCE_ESTIMATE;
        usage->count[USAGE_input] = MIN(wish->tokens, USAGE_COUNT_MAX);
    }
    uint64_t told = usage->count[USAGE_input];
    buf_put_str(out, STR("],\"model\":"));
    (void)json_put_string(out, wish->model);
    buf_printf(out, ",\"usage\":{\"prompt_tokens\":%llu,\"total_tokens\":%llu}}",
               (unsigned long long)told, (unsigned long long)told);
    return out->failed ? -ERR_NOMEM : 0;
}

#define ANSWER_HEAD "{\"object\":\"list\",\"data\":["

/* vector: the path to it in each element, or NULL: the elements are. tokens: the path to a count in
 * each, or NULL. usage: with the vendor's count for all, if he has one. */
static int
put_answer(const struct json_doc *doc, uint32_t list, const char *vector, const char *tokens,
           struct usage usage, const struct carry_wish *wish, struct buf *out,
           struct usage *ret_usage)
{
    uint64_t index = 0;
    if (!json_is(doc, list, JSON_ARRAY) || json_count(doc, list) != wish->count)
        return -ERR_INVALID;
    buf_put_str(out, STR(ANSWER_HEAD));
    for (uint32_t at = json_first(doc, list); at != JSON_NONE; at = json_sibling(doc, list, at)) {
        int rc = put_vector(doc, vector != NULL ? json_path(doc, at, vector) : at, index++,
                            wish->base64, out);
        if (rc != 0)
            return rc;
        if (tokens != NULL)
            add_count(doc, json_path(doc, at, tokens), &usage);
    }
    *ret_usage = usage;
    return put_end(wish, ret_usage, out);
}

bool
carry_report(const struct json_doc *doc, struct usage *ret_usage)
{
    static const char *const paths[] = {
        "usage.prompt_tokens", "usage.total_tokens",  "meta.billed_units.input_tokens",
        "prompt_eval_count",   "inputTextTokenCount", "usageMetadata.promptTokenCount"};
    struct usage usage = {.evidence = EVIDENCE_NONE};
    for (size_t i = 0; i < ARRAY_LEN(paths) && usage.evidence == EVIDENCE_NONE; i++)
        add_count(doc, json_path(doc, 0, paths[i]), &usage);
    if (usage.evidence == EVIDENCE_NONE)
        return false;
    *ret_usage = usage;
    return true;
}

static struct usage
reported(const struct json_doc *doc)
{
    struct usage usage = {.evidence = EVIDENCE_NONE};
    (void)carry_report(doc, &usage);
    return usage;
}

static int
gemini_answer(const struct json_doc *doc, const struct carry_wish *wish, struct buf *out,
              struct usage *ret_usage)
{
    return put_answer(doc, json_get(doc, 0, STR("embeddings")), "values", NULL, reported(doc), wish,
                      out, ret_usage);
}

static int
vertex_answer(const struct json_doc *doc, const struct carry_wish *wish, struct buf *out,
              struct usage *ret_usage)
{
    const struct usage none = {.evidence = EVIDENCE_NONE};
    return put_answer(doc, json_get(doc, 0, STR("predictions")), "embeddings.values",
                      "embeddings.statistics.token_count", none, wish, out, ret_usage);
}

static int
cohere_answer(const struct json_doc *doc, const struct carry_wish *wish, struct buf *out,
              struct usage *ret_usage)
{
    return put_answer(doc, json_path(doc, 0, "embeddings.float"), NULL, NULL, reported(doc), wish,
                      out, ret_usage);
}

static int
ollama_answer(const struct json_doc *doc, const struct carry_wish *wish, struct buf *out,
              struct usage *ret_usage)
{
    return put_answer(doc, json_get(doc, 0, STR("embeddings")), NULL, NULL, reported(doc), wish,
                      out, ret_usage);
}

static int
bedrock_answer(const struct json_doc *doc, const struct carry_wish *wish, struct buf *out,
               struct usage *ret_usage)
{
    uint32_t one = json_get(doc, 0, STR("embedding"));
    if (one == JSON_NONE)
        return cohere_answer(doc, wish, out, ret_usage);
    *ret_usage = reported(doc);
    buf_put_str(out, STR(ANSWER_HEAD));
    int rc = wish->count == 1 ? put_vector(doc, one, 0, wish->base64, out) : -ERR_INVALID;
    return rc != 0 ? rc : put_end(wish, ret_usage, out);
}

const struct carrier carrier_embed_gemini = {.request = gemini_request, .answer = gemini_answer};
const struct carrier carrier_embed_vertex = {.request = vertex_request, .answer = vertex_answer};
const struct carrier carrier_embed_cohere = {.request = cohere_request, .answer = cohere_answer};
const struct carrier carrier_embed_ollama = {.request = ollama_request, .answer = ollama_answer};
const struct carrier carrier_embed_bedrock = {.request = bedrock_request, .answer = bedrock_answer};
