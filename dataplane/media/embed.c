/* SPDX-License-Identifier: MIT
 * embed.c - embeddings at Gemini, Cohere and Ollama, for callers who speak OpenAI's.
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
    if (carry_dropped(doc, known, ARRAY_LEN(known), arena, &wish->dropped) != 0)
        return err_set(err, ERR_NOMEM, "Berth has no memory for this request.");
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
        rc = err_set(err, ERR_NOMEM, "Berth has no memory for this request.");
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
    buf_put_byte(&behind, '}');
    buf_put_str(out, STR("{\"requests\":["));
    put_texts(&embed, buf_str(&before), buf_str(&behind), out);
    buf_put_str(out, STR("]}"));
    bool failed = before.failed || behind.failed || out->failed;
    buf_fini(&before);
    buf_fini(&behind);
    return failed ? -ERR_NOMEM : 0;
}

/* {model, what the vendor wants besides, dimensions, texts} under his names of the last two. */
static int
put_flat(const struct embed *embed, struct str model, struct str besides, const char *dimensions,
         const char *texts, struct buf *out)
{
    buf_put_str(out, STR("{\"model\":"));
    (void)json_put_string(out, model);
    buf_put_str(out, besides);
    if (embed->dimensions != 0)
        buf_printf(out, ",\"%s\":%llu", dimensions, (unsigned long long)embed->dimensions);
    buf_printf(out, ",\"%s\":[", texts);
    put_texts(embed, STR_EMPTY, STR_EMPTY, out);
    buf_put_str(out, STR("]}"));
    return out->failed ? -ERR_NOMEM : 0;
}

static int
cohere_request(const struct json_doc *doc, struct str model, struct arena *arena, struct buf *out,
               struct carry_wish *ret_wish, struct err *err)
{
    struct embed embed;
    int rc = read_embed(doc, arena, &embed, ret_wish, err);
    struct str type = embed.input_type.len > 0 ? embed.input_type : STR("\"search_document\"");
    struct str besides =
        arena_printf(arena, ",\"input_type\":%.*s,\"embedding_types\":[\"float\"]", STR_ARG(type));
    if (rc == 0 && besides.ptr == NULL)
        rc = err_set(err, ERR_NOMEM, "Berth has no memory for this request.");
    return rc != 0 ? rc : put_flat(&embed, model, besides, "output_dimension", "texts", out);
}

static int
ollama_request(const struct json_doc *doc, struct str model, struct arena *arena, struct buf *out,
               struct carry_wish *ret_wish, struct err *err)
{
    struct embed embed;
    int rc = read_embed(doc, arena, &embed, ret_wish, err);
    return rc != 0 ? rc : put_flat(&embed, model, STR_EMPTY, "dimensions", "input", out);
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

/* inside: the member of each element that is the vector, or NULL: the elements are. tokens: node of
 * the vendor's count, or JSON_NONE. */
static int
put_answer(const struct json_doc *doc, uint32_t list, const char *inside, uint32_t tokens,
           const struct carry_wish *wish, struct buf *out, struct usage *ret_usage)
{
    struct usage usage = {.evidence = EVIDENCE_NONE};
    uint64_t index = 0;
    if (!json_is(doc, list, JSON_ARRAY) || json_count(doc, list) != wish->count)
        return -ERR_INVALID;
    if (json_is(doc, tokens, JSON_NUMBER)) {
        usage.evidence = EVIDENCE_PROVIDER;
        usage.count[USAGE_input] = claim_count(doc, tokens, &usage.clamped);
    }
    buf_put_str(out, STR("{\"object\":\"list\",\"data\":["));
    for (uint32_t at = json_first(doc, list); at != JSON_NONE; at = json_sibling(doc, list, at)) {
        uint32_t vector = inside != NULL ? json_get(doc, at, str_from(inside)) : at;
        if (!is_vector(doc, vector))
            return -ERR_INVALID;
        buf_printf(out, "%s{\"object\":\"embedding\",\"index\":%llu,\"embedding\":",
                   index > 0 ? "," : "", (unsigned long long)index);
        index++;
        if (!wish->base64)
            buf_put_str(out, json_raw(doc, vector));
        else if (put_base64(doc, vector, out) != 0)
            return -ERR_INVALID;
        buf_put_byte(out, '}');
    }
    uint64_t told = usage.evidence == EVIDENCE_NONE ? wish->tokens : usage.count[USAGE_input];
    buf_put_str(out, STR("],\"model\":"));
    (void)json_put_string(out, wish->model);
    buf_printf(out, ",\"usage\":{\"prompt_tokens\":%llu,\"total_tokens\":%llu}}",
               (unsigned long long)told, (unsigned long long)told);
    *ret_usage = usage;
    return out->failed ? -ERR_NOMEM : 0;
}

static int
gemini_answer(const struct json_doc *doc, const struct carry_wish *wish, struct buf *out,
              struct usage *ret_usage)
{
    return put_answer(doc, json_get(doc, 0, STR("embeddings")), "values", JSON_NONE, wish, out,
                      ret_usage);
}

static int
cohere_answer(const struct json_doc *doc, const struct carry_wish *wish, struct buf *out,
              struct usage *ret_usage)
{
    return put_answer(doc, json_path(doc, 0, "embeddings.float"), NULL,
                      json_path(doc, 0, "meta.billed_units.input_tokens"), wish, out, ret_usage);
}

static int
ollama_answer(const struct json_doc *doc, const struct carry_wish *wish, struct buf *out,
              struct usage *ret_usage)
{
    return put_answer(doc, json_get(doc, 0, STR("embeddings")), NULL,
                      json_get(doc, 0, STR("prompt_eval_count")), wish, out, ret_usage);
}

const struct carrier carrier_embed_gemini = {.request = gemini_request, .answer = gemini_answer};
const struct carrier carrier_embed_cohere = {.request = cohere_request, .answer = cohere_answer};
const struct carrier carrier_embed_ollama = {.request = ollama_request, .answer = ollama_answer};
