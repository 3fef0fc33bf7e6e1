/* SPDX-License-Identifier: MIT
 * guest.c - embeddings as Gemini's, Cohere's and Ollama's clients ask for them.
 * Floor: dataplane/media; any thread.
 * Owns: nothing.
 * Invariant: see guest.h. Spec: WIRE-FORMATS 4.5. */
#include "dataplane/media/guest.h"

#include "dataplane/media/carry_int.h"

#define BYTES_PER_TOKEN 4u
#define NO_MEMORY "Berth has no memory for this request."

/* ---- the request ----------------------------------------------------------------------------- */

/* OpenAI's request as it grows. dimensions: the caller's number, raw; task: in Cohere's words. */
struct guest_letter {
    const struct json_doc *doc;
    struct buf *out;
    struct carry_wish *wish;
    struct err *err;
    struct str dimensions;
    struct str task;
};

static void
letter_open(struct guest_letter *letter, const struct json_doc *doc, struct str model,
            struct buf *out, struct carry_wish *wish, struct err *err)
{
    *letter = (struct guest_letter){.doc = doc,
                                    .out = out,
                                    .wish = wish,
                                    .err = err,
                                    .dimensions = {NULL, 0},
                                    .task = STR_EMPTY};
    wish->count = 0;
    wish->tokens = 0;
    wish->dropped = STR_EMPTY;
    buf_put_str(out, STR("{\"model\":"));
    (void)json_put_string(out, model);
    buf_put_str(out, STR(",\"input\":["));
}

/* A text of several strings, joined as they stand. */
static void
letter_text_open(struct guest_letter *letter)
{
    buf_put_str(letter->out, letter->wish->count > 0 ? STR(",\"") : STR("\""));
    letter->wish->count++;
}

static int
letter_text_part(struct guest_letter *letter, uint32_t node, const char *field)
{
    struct str raw = json_raw(letter->doc, node);
    if (!json_is(letter->doc, node, JSON_STRING))
        return err_set(letter->err, ERR_UNSUPPORTED,
                       "field `%s` is no text; this model's provider takes texts only", field);
    buf_put_str(letter->out, str_make(raw.ptr + 1, raw.len - 2));
    letter->wish->tokens += (raw.len + BYTES_PER_TOKEN - 1) / BYTES_PER_TOKEN;
    return 0;
}

static int
letter_text(struct guest_letter *letter, uint32_t node, const char *field)
{
    letter_text_open(letter);
    int rc = letter_text_part(letter, node, field);
    buf_put_byte(letter->out, '"');
    return rc;
}

/* Each element of a list. */
static int
letter_texts(struct guest_letter *letter, uint32_t list, const char *field)
{
    int rc = 0;
    for (uint32_t at = json_first(letter->doc, list); at != JSON_NONE && rc == 0;
         at = json_sibling(letter->doc, list, at))
        rc = letter_text(letter, at, field);
    return rc;
}

/* What a caller says of each text and OpenAI's request says once. */
static int
letter_same(struct guest_letter *letter, struct str before, struct str now, const char *field)
{
    if (letter->wish->count <= 1 || str_eq(before, now))
        return 0;
    return err_set(letter->err, ERR_UNSUPPORTED,
                   "field `%s` differs between requests; this model's provider takes one", field);
}

static int
letter_dimensions(struct guest_letter *letter, uint32_t node, const char *field)
{
    struct str before = letter->dimensions;
    uint64_t value = 0;
    bool given = node != JSON_NONE && !json_is(letter->doc, node, JSON_NULL);
    if (given && (json_u64(letter->doc, node, UINT32_MAX, &value) != 0 || value == 0))
        return err_set(letter->err, ERR_RANGE, "field `%s` must be a positive integer", field);
    letter->dimensions = given ? json_raw(letter->doc, node) : STR_EMPTY;
    return before.ptr == NULL ? 0 : letter_same(letter, before, letter->dimensions, field);
}

static int
letter_close(struct guest_letter *letter, bool known_task, const char *task_field,
             struct arena *arena)
{
    if (letter->wish->count == 0)
        return err_set(letter->err, ERR_INVALID, "there is no text to embed");
    buf_put_byte(letter->out, ']');
    if (letter->dimensions.len > 0) {
        buf_put_str(letter->out, STR(",\"dimensions\":"));
        buf_put_str(letter->out, letter->dimensions);
    }
    if (letter->task.len > 0 && known_task) {
        buf_put_str(letter->out, STR(",\"input_type\":"));
        buf_put_str(letter->out, letter->task);
    } else if (letter->task.len > 0) {
        struct str before = letter->wish->dropped;
        letter->wish->dropped =
            arena_printf(arena, "%.*s%s%s", STR_ARG(before), before.len > 0 ? "," : "", task_field);
        if (letter->wish->dropped.ptr == NULL)
            return err_set(letter->err, ERR_NOMEM, NO_MEMORY);
    }
    buf_put_byte(letter->out, '}');
    return letter->out->failed ? -ERR_NOMEM : 0;
}

/* ---- Gemini ---------------------------------------------------------------------------------- */

/* Google reads both spellings. */
static uint32_t
either(const struct json_doc *doc, uint32_t object, struct str camel, struct str snake)
{
    uint32_t node = json_get(doc, object, camel);
    return node != JSON_NONE ? node : json_get(doc, object, snake);
}

static struct str
task_of(const struct json_doc *doc, uint32_t node)
{
    static const struct {
        struct str google;
        struct str cohere;
    } rows[] = {{STR("RETRIEVAL_QUERY"), STR("\"search_query\"")},
                {STR("QUESTION_ANSWERING"), STR("\"search_query\"")},
                {STR("FACT_VERIFICATION"), STR("\"search_query\"")},
                {STR("CODE_RETRIEVAL_QUERY"), STR("\"search_query\"")},
                {STR("RETRIEVAL_DOCUMENT"), STR("\"search_document\"")},
                {STR("CLASSIFICATION"), STR("\"classification\"")},
                {STR("CLUSTERING"), STR("\"clustering\"")}};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        if (json_string_eq(doc, node, rows[i].google))
            return rows[i].cohere;
    }
    return STR_EMPTY;
}

/* One EmbedContentRequest: the parts of its content are one text. */
static int
gemini_one(struct guest_letter *letter, uint32_t request)
{
    const struct json_doc *doc = letter->doc;
    uint32_t parts = json_path(doc, request, "content.parts");
    int rc = 0;
    if (!json_is(doc, parts, JSON_ARRAY) || json_count(doc, parts) == 0)
        return err_set(letter->err, ERR_INVALID, "field `content.parts` must be a list of parts");
    letter_text_open(letter);
    for (uint32_t at = json_first(doc, parts); at != JSON_NONE && rc == 0;
         at = json_sibling(doc, parts, at))
        rc = letter_text_part(letter, json_get(doc, at, STR("text")), "content.parts.text");
    buf_put_byte(letter->out, '"');
    if (rc == 0)
        rc = letter_dimensions(
            letter, either(doc, request, STR("outputDimensionality"), STR("output_dimensionality")),
            "outputDimensionality");
    struct str before = letter->task;
    letter->task = task_of(doc, either(doc, request, STR("taskType"), STR("task_type")));
    return rc != 0 ? rc : letter_same(letter, before, letter->task, "taskType");
}

static int
gemini_request(const struct json_doc *doc, struct str model, bool known_task, struct arena *arena,
               struct buf *out, struct carry_wish *ret_wish, struct err *err)
{
    static const char *const known[] = {
        "model",    "content",  "outputDimensionality", "output_dimensionality",
        "taskType", "task_type"};
    struct guest_letter letter;
    uint32_t list = carry_given(doc, STR("requests"));
    bool batch = json_is(doc, list, JSON_ARRAY) && json_count(doc, list) > 0;
    uint32_t at = batch ? json_first(doc, list) : 0;
    if (list != JSON_NONE && !batch)
        return err_set(err, ERR_INVALID, "field `requests` must be a list of requests");
    letter_open(&letter, doc, model, out, ret_wish, err);
    int rc = carry_dropped(doc, at, known, ARRAY_LEN(known), arena, &ret_wish->dropped) != 0
                 ? err_set(err, ERR_NOMEM, NO_MEMORY)
                 : gemini_one(&letter, at);
    while (rc == 0 && batch && (at = json_sibling(doc, list, at)) != JSON_NONE)
        rc = gemini_one(&letter, at);
    return rc != 0 ? rc : letter_close(&letter, known_task, "taskType", arena);
}

/* ---- Cohere ---------------------------------------------------------------------------------- */

/* inputs: [{content: [{type: text, text}]}], the newer form of texts. */
static int
cohere_inputs(struct guest_letter *letter, uint32_t list)
{
    const struct json_doc *doc = letter->doc;
    int rc = 0;
    for (uint32_t at = json_first(doc, list); at != JSON_NONE && rc == 0;
         at = json_sibling(doc, list, at)) {
        uint32_t content = json_get(doc, at, STR("content"));
        if (!json_is(doc, content, JSON_ARRAY))
            return err_set(letter->err, ERR_INVALID, "field `inputs.content` must be a list");
        letter_text_open(letter);
        for (uint32_t part = json_first(doc, content); part != JSON_NONE && rc == 0;
             part = json_sibling(doc, content, part))
            rc = letter_text_part(letter, json_get(doc, part, STR("text")), "inputs.content");
        buf_put_byte(letter->out, '"');
    }
    return rc;
}

static int
cohere_request(const struct json_doc *doc, struct str model, bool known_task, struct arena *arena,
               struct buf *out, struct carry_wish *ret_wish, struct err *err)
{
    static const char *const known[] = {"model",      "texts",           "inputs",
                                        "input_type", "embedding_types", "output_dimension"};
    struct guest_letter letter;
    uint32_t types = carry_given(doc, STR("embedding_types"));
    uint32_t texts = carry_given(doc, STR("texts"));
    uint32_t inputs = carry_given(doc, STR("inputs"));
    uint32_t type = json_is(doc, types, JSON_ARRAY) ? json_first(doc, types) : JSON_NONE;
    for (; type != JSON_NONE; type = json_sibling(doc, types, type)) {
        if (!json_string_eq(doc, type, STR("float")))
            return err_set(err, ERR_UNSUPPORTED,
                           "field `embedding_types` has another type than float, which this "
                           "model's provider does not make");
    }
    if (carry_given(doc, STR("images")) != JSON_NONE)
        return err_set(err, ERR_UNSUPPORTED,
                       "field `images` has no place; this model's provider takes texts only");
    letter_open(&letter, doc, model, out, ret_wish, err);
    letter.task = json_raw(doc, carry_given(doc, STR("input_type")));
    int rc = carry_dropped(doc, 0, known, ARRAY_LEN(known), arena, &ret_wish->dropped) != 0
                 ? err_set(err, ERR_NOMEM, NO_MEMORY)
             : json_is(doc, texts, JSON_ARRAY)  ? letter_texts(&letter, texts, "texts")
             : json_is(doc, inputs, JSON_ARRAY) ? cohere_inputs(&letter, inputs)
                                                : err_set(err, ERR_INVALID,
                                                          "field `texts` must be a list of "
                                                          "strings");
    if (rc == 0)
        rc = letter_dimensions(&letter, carry_given(doc, STR("output_dimension")),
                               "output_dimension");
    return rc != 0 ? rc : letter_close(&letter, known_task, "input_type", arena);
}

/* ---- Ollama ---------------------------------------------------------------------------------- */

static int
ollama_request(const struct json_doc *doc, struct str model, bool known_task, struct arena *arena,
               struct buf *out, struct carry_wish *ret_wish, struct err *err)
{
    static const char *const known[] = {"model", "input", "prompt", "dimensions"};
    struct guest_letter letter;
    uint32_t input = carry_given(doc, STR("input"));
    if (input == JSON_NONE)
        input = carry_given(doc, STR("prompt")); /* of before 2024 */
    letter_open(&letter, doc, model, out, ret_wish, err);
    int rc = carry_dropped(doc, 0, known, ARRAY_LEN(known), arena, &ret_wish->dropped) != 0
                 ? err_set(err, ERR_NOMEM, NO_MEMORY)
             : json_is(doc, input, JSON_ARRAY) ? letter_texts(&letter, input, "input")
                                               : letter_text(&letter, input, "input");
    if (rc == 0)
        rc = letter_dimensions(&letter, carry_given(doc, STR("dimensions")), "dimensions");
    return rc != 0 ? rc : letter_close(&letter, known_task, "", arena);
}

/* ---- the answer ------------------------------------------------------------------------------ */

/* The vectors, a comma between, each between before and behind. */
static int
put_vectors(const struct json_doc *doc, const struct carry_wish *wish, const char *before,
            const char *behind, struct buf *out)
{
    uint32_t list = json_get(doc, 0, STR("data"));
    bool first = true;
    if (!json_is(doc, list, JSON_ARRAY) || json_count(doc, list) != wish->count)
        return -ERR_INVALID;
    for (uint32_t at = json_first(doc, list); at != JSON_NONE; at = json_sibling(doc, list, at)) {
        uint32_t vector = json_get(doc, at, STR("embedding"));
        if (!json_is(doc, vector, JSON_ARRAY))
            return -ERR_INVALID;
        buf_printf(out, "%s%s", first ? "" : ",", before);
        buf_put_str(out, json_raw(doc, vector));
        buf_put_str(out, str_from(behind));
        first = false;
    }
    return 0;
}

/* As the vendor told it, else as estimated. */
static uint64_t
tokens_of(const struct json_doc *doc, const struct carry_wish *wish)
{
    struct usage usage;
    return carry_report(doc, &usage) ? usage.count[USAGE_input] : wish->tokens;
}

static int
put_end(struct buf *out, int rc, const char *end)
{
    buf_put_str(out, str_from(end));
    return rc != 0 ? rc : out->failed ? -ERR_NOMEM : 0;
}

static int
gemini_answer(const struct json_doc *doc, const struct carry_wish *wish, struct buf *out)
{
    buf_put_str(out, STR("{\"embeddings\":["));
    return put_end(out, put_vectors(doc, wish, "{\"values\":", "}", out), "]}");
}

static int
gemini_one_answer(const struct json_doc *doc, const struct carry_wish *wish, struct buf *out)
{
    buf_put_str(out, STR("{\"embedding\":"));
    int rc = wish->count != 1 ? -ERR_INVALID : put_vectors(doc, wish, "{\"values\":", "}", out);
    return put_end(out, rc, "}");
}

static int
cohere_answer(const struct json_doc *doc, const struct carry_wish *wish, struct buf *out)
{
    buf_put_str(out, STR("{\"id\":"));
    (void)json_put_string(out, wish->id);
    buf_put_str(out, STR(",\"response_type\":\"embeddings_by_type\",\"embeddings\":{\"float\":["));
    int rc = put_vectors(doc, wish, "", "", out);
    buf_printf(out,
               "]},\"meta\":{\"api_version\":{\"version\":\"2\"},\"billed_units\":"
               "{\"input_tokens\":%llu}}",
               (unsigned long long)tokens_of(doc, wish));
    return put_end(out, rc, "}");
}

static int
ollama_answer(const struct json_doc *doc, const struct carry_wish *wish, struct buf *out)
{
    buf_put_str(out, STR("{\"model\":"));
    (void)json_put_string(out, wish->model);
    buf_put_str(out, STR(",\"embeddings\":["));
    int rc = put_vectors(doc, wish, "", "", out);
    buf_printf(out, "],\"total_duration\":0,\"load_duration\":0,\"prompt_eval_count\":%llu",
               (unsigned long long)tokens_of(doc, wish));
    return put_end(out, rc, "}");
}

static int
ollama_one_answer(const struct json_doc *doc, const struct carry_wish *wish, struct buf *out)
{
    buf_put_str(out, STR("{\"embedding\":"));
    int rc = wish->count != 1 ? -ERR_INVALID : put_vectors(doc, wish, "", "", out);
    return put_end(out, rc, "}");
}

/* ---- the table ------------------------------------------------------------------------------- */

const struct guest *
guest_find(const struct dialect *caller, enum chat_endpoint endpoint)
{
    static const struct {
        const struct dialect *caller;
        enum chat_endpoint endpoint;
        struct guest guest;
    } rows[] = {
        {&dialect_gemini, CHAT_ENDPOINT_EMBEDDINGS, {gemini_request, gemini_answer}},
        {&dialect_gemini, CHAT_ENDPOINT_EMBED_ONE, {gemini_request, gemini_one_answer}},
        {&dialect_cohere, CHAT_ENDPOINT_EMBEDDINGS, {cohere_request, cohere_answer}},
        {&dialect_ollama, CHAT_ENDPOINT_EMBEDDINGS, {ollama_request, ollama_answer}},
        {&dialect_ollama, CHAT_ENDPOINT_EMBED_ONE, {ollama_request, ollama_one_answer}},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        if (rows[i].caller == caller && rows[i].endpoint == endpoint)
            return &rows[i].guest;
    }
    return NULL;
}
