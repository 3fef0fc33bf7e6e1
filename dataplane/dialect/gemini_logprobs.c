/* SPDX-License-Identifier: MIT
 * gemini_logprobs.c - logprobsResult as the logprobs object of chat completions, and back.
 * Floor: dataplane/dialect; any thread.
 * Owns: nothing.
 * Invariant: numbers are passed on as text, unchanged. */
#include "dataplane/dialect/gemini_int.h"

#define BYTES_MAX (16u << 20)

static void
put_token(struct json_writer *writer, const struct json_doc *doc, uint32_t node)
{
    struct str token = json_raw(doc, json_get(doc, node, STR("token")));
    struct str value = json_raw(doc, gemini_get(doc, node, "logProbability"));
    json_member_raw(writer, "token", token.len > 0 ? token : STR("\"\""));
    json_member_raw(writer, "logprob", value.len > 0 ? value : STR("0"));
    json_member_raw(writer, "bytes", STR("null"));
}

int
gemini_logprobs(const struct intake *in, uint32_t candidate, struct str *ret_raw)
{
    const struct json_doc *doc = in->doc;
    struct json_writer writer;
    struct buf out;
    uint32_t result = gemini_get(doc, candidate, "logprobsResult");
    uint32_t chosen = gemini_get(doc, result, "chosenCandidates");
    uint32_t tops = gemini_get(doc, result, "topCandidates");
    if (!json_is(doc, chosen, JSON_ARRAY))
        return 0;
    buf_init(&out, BYTES_MAX);
    json_writer_init(&writer, &out);
    json_open_object(&writer);
    json_key_array(&writer, "content");
    uint32_t top = json_is(doc, tops, JSON_ARRAY) ? json_first(doc, tops) : JSON_NONE;
    for (uint32_t at = json_first(doc, chosen); at != JSON_NONE;
         at = json_sibling(doc, chosen, at)) {
        uint32_t list = json_get(doc, top, STR("candidates"));
        json_open_object(&writer);
        put_token(&writer, doc, at);
        json_key_array(&writer, "top_logprobs");
        if (!json_is(doc, list, JSON_ARRAY))
            list = JSON_NONE;
        for (uint32_t one = json_first(doc, list); one != JSON_NONE;
             one = json_sibling(doc, list, one)) {
            json_open_object(&writer);
            put_token(&writer, doc, one);
            json_close_object(&writer);
        }
        json_close_array(&writer);
        json_close_object(&writer);
        top = top != JSON_NONE ? json_sibling(doc, tops, top) : JSON_NONE;
    }
    json_close_array(&writer);
    json_close_object(&writer);
    int rc = out.failed ? -ERR_TOO_LARGE : arena_dup(in->arena, buf_str(&out), ret_raw);
    buf_fini(&out);
    return rc;
}

static void
put_candidate(struct json_writer *writer, const struct json_doc *doc, uint32_t node)
{
    struct str token = json_raw(doc, json_get(doc, node, STR("token")));
    struct str value = json_raw(doc, json_get(doc, node, STR("logprob")));
    json_open_object(writer);
    json_member_raw(writer, "token", token.len > 0 ? token : STR("\"\""));
    json_member_raw(writer, "logProbability", value.len > 0 ? value : STR("0"));
    json_close_object(writer);
}

void
gemini_put_logprobs(struct json_writer *writer, struct str raw)
{
    struct json_doc doc;
    json_init(&doc);
    uint32_t list = json_scan(&doc, raw, &dialect_reply_limits, NULL) == 0
                        ? json_get(&doc, 0, STR("content"))
                        : JSON_NONE;
    if (json_is(&doc, list, JSON_ARRAY)) {
        json_key_object(writer, "logprobsResult");
        json_key_array(writer, "topCandidates");
        for (uint32_t at = json_first(&doc, list); at != JSON_NONE;
             at = json_sibling(&doc, list, at)) {
            uint32_t tops = json_get(&doc, at, STR("top_logprobs"));
            if (!json_is(&doc, tops, JSON_ARRAY))
                tops = JSON_NONE;
            json_open_object(writer);
            json_key_array(writer, "candidates");
            for (uint32_t one = json_first(&doc, tops); one != JSON_NONE;
                 one = json_sibling(&doc, tops, one))
                put_candidate(writer, &doc, one);
            json_close_array(writer);
            json_close_object(writer);
        }
        json_close_array(writer);
        json_key_array(writer, "chosenCandidates");
        for (uint32_t at = json_first(&doc, list); at != JSON_NONE;
             at = json_sibling(&doc, list, at))
            put_candidate(writer, &doc, at);
        json_close_array(writer);
        json_close_object(writer);
    }
    json_fini(&doc);
}
