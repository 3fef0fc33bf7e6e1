/* SPDX-License-Identifier: MIT
 * openai_look.c - what one streamed chunk means to a gateway that passes it on: one scan, one walk.
 * Floor: dataplane/dialect; one thread a stream.
 * Owns: nothing.
 * Invariant: allocates nothing once `scratch` has grown to the largest chunk. Spec: WIRE-FORMATS 2,
 *            4.3. Proved by conform_test.c. */
#include "dataplane/dialect/openai_int.h"

#include "dataplane/chat/claim.h"

/* The keys that count have distinct first bytes and lengths: their raw text is compared. */
static bool
key_is(const struct json_doc *doc, uint32_t key, const char *name, size_t size)
{
    const struct json_node *node = &doc->nodes[key];
    if (UNLIKELY(node->escaped))
        return json_string_eq(doc, key, str_make(name, size));
    return node->end - node->start == size + 2 &&
           memcmp(doc->text.ptr + node->start + 1, name, size) == 0;
}
#define KEY_IS(doc, key, literal) key_is((doc), (key), (literal), sizeof(literal) - 1)

/* Bytes of string content, 0 for anything else. */
static uint32_t
text_bytes(const struct json_doc *doc, uint32_t node)
{
    const struct json_node *at = &doc->nodes[node];
    return at->kind == JSON_STRING ? at->end - at->start - 2 : 0;
}

/* Mistral's lists of parts: {type: text, text} and {type: thinking, thinking: [{type: text,
 * text}]}. */
static uint32_t
list_bytes(const struct json_doc *doc, uint32_t list)
{
    uint32_t bytes = 0;
    for (uint32_t at = json_first(doc, list); at != JSON_NONE; at = json_sibling(doc, list, at)) {
        uint32_t text = json_get(doc, at, STR("text"));
        uint32_t inner = json_get(doc, at, STR("thinking"));
        bytes += text != JSON_NONE ? text_bytes(doc, text) : 0;
        if (!json_is(doc, inner, JSON_ARRAY))
            continue;
        for (uint32_t part = json_first(doc, inner); part != JSON_NONE;
             part = json_sibling(doc, inner, part)) {
            text = json_get(doc, part, STR("text"));
            bytes += text != JSON_NONE ? text_bytes(doc, text) : 0;
        }
    }
    return bytes;
}

static void
look_at_calls(struct stream_look *look, const struct json_doc *doc, uint32_t calls)
{
    if (!json_is(doc, calls, JSON_ARRAY))
        return;
    for (uint32_t at = json_first(doc, calls); at != JSON_NONE; at = json_sibling(doc, calls, at)) {
        uint32_t body = json_get(doc, at, STR("function"));
        if (body == JSON_NONE)
            body = json_get(doc, at, STR("custom"));
        look->flags |= STREAM_TOKEN | STREAM_TOOLS;
        if (!json_is(doc, body, JSON_OBJECT))
            continue;
        for (uint32_t key = json_first(doc, body); key != JSON_NONE;
             key = json_sibling(doc, body, key))
            look->delta_bytes += text_bytes(doc, key + 1);
    }
}

static void
look_at_delta(struct stream_look *look, const struct json_doc *doc, uint32_t delta)
{
    uint32_t bytes = 0;
    bool reasoned = false;
    for (uint32_t key = json_first(doc, delta); key != JSON_NONE;
         key = json_sibling(doc, delta, key)) {
        uint32_t value = key + 1;
        if (KEY_IS(doc, key, "content")) {
            bytes +=
                json_is(doc, value, JSON_ARRAY) ? list_bytes(doc, value) : text_bytes(doc, value);
        } else if (KEY_IS(doc, key, "reasoning_content") || KEY_IS(doc, key, "reasoning")) {
            if (!reasoned) /* some send both, with the same text */
                bytes += text_bytes(doc, value);
            reasoned = reasoned || text_bytes(doc, value) > 0;
        } else if (KEY_IS(doc, key, "refusal")) {
            bytes += text_bytes(doc, value);
        } else if (KEY_IS(doc, key, "tool_calls")) {
            look_at_calls(look, doc, value);
        }
    }
    look->delta_bytes += bytes;
    if (bytes > 0)
        look->flags |= STREAM_TOKEN;
}

static void
look_at_choice(struct stream_look *look, const struct json_doc *doc, uint32_t choice)
{
    if (!json_is(doc, choice, JSON_OBJECT))
        return;
    for (uint32_t key = json_first(doc, choice); key != JSON_NONE;
         key = json_sibling(doc, choice, key)) {
        uint32_t value = key + 1;
        if (KEY_IS(doc, key, "delta") && json_is(doc, value, JSON_OBJECT)) {
            look_at_delta(look, doc, value);
        } else if (KEY_IS(doc, key, "text") && text_bytes(doc, value) > 0) { /* completions */
            look->delta_bytes += text_bytes(doc, value);
            look->flags |= STREAM_TOKEN;
        } else if (KEY_IS(doc, key, "finish_reason") && json_is(doc, value, JSON_STRING)) {
            look->finish = openai_finish(doc, value);
            look->flags |= STREAM_FINISH;
        }
    }
}

static void
look_at_chunk(struct stream_look *look, const struct json_doc *doc)
{
    bool has_choices = false;
    bool no_choice = false;
    bool maybe_usage = false;
    uint32_t service = JSON_NONE;
    for (uint32_t key = json_first(doc, 0); key != JSON_NONE; key = json_sibling(doc, 0, key)) {
        uint32_t value = key + 1;
        if (KEY_IS(doc, key, "choices") && json_is(doc, value, JSON_ARRAY)) {
            no_choice = json_first(doc, value) == JSON_NONE;
            has_choices = true;
            for (uint32_t at = json_first(doc, value); at != JSON_NONE;
                 at = json_sibling(doc, value, at))
                look_at_choice(look, doc, at);
        } else if (KEY_IS(doc, key, "error")) {
            if (error_present(doc, value))
                look->flags |= STREAM_ERROR;
        } else if (KEY_IS(doc, key, "usage") || KEY_IS(doc, key, "x_groq")) {
            maybe_usage = maybe_usage || json_is(doc, value, JSON_OBJECT);
        } else if (KEY_IS(doc, key, "service_tier")) {
            service = value;
        }
    }
    enum usage_service before = look->usage.service;
    /* Moonshot's usage sits in the choice of the last chunk */
    if ((maybe_usage || (look->flags & STREAM_FINISH) != 0) && openai_usage(doc, 0, &look->usage))
        look->flags |= STREAM_USAGE;
    look->usage.service = before;
    if (service != JSON_NONE)
        claim_service(doc, service, &look->usage);
    if (has_choices && no_choice && (look->flags & STREAM_USAGE) != 0 &&
        (look->flags & STREAM_ERROR) == 0)
        look->flags |= STREAM_USAGE_ONLY;
}

void
openai_look(struct stream_look *look, const struct stream_frame *frame, struct json_doc *scratch)
{
    look->flags = 0;
    look->delta_bytes = 0;
    if (str_starts(frame->data, STR("[DONE]")))
        look->flags = STREAM_END;
    else if (json_scan(scratch, frame->data, &dialect_reply_limits, NULL) < 0 ||
             !json_is(scratch, 0, JSON_OBJECT))
        look->flags = STREAM_MALFORMED;
    else
        look_at_chunk(look, scratch);
    look->total_bytes += look->delta_bytes;
    look->seen |= look->flags;
}
