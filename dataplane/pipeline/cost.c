/* SPDX-License-Identifier: MIT
 * cost.c - the cost, spliced into the usage object of an answer.
 * Floor: dataplane/pipeline; the worker's thread.
 * Owns: nothing.
 * Invariant: see cost.h. The amount is written as decimal text; no float is involved. */
#include "dataplane/pipeline/cost.h"

#include <stdio.h>

#include "lib/base/check.h"

/* A class's name, "=", its count and ", ". */
#define CLASS_BYTES_MAX 40u

bool
cost_wanted(const struct json_doc *request)
{
    uint32_t usage = json_get(request, 0, STR("usage"));
    return json_is(request, usage, JSON_OBJECT) &&
           json_is(request, json_get(request, usage, STR("include")), JSON_TRUE);
}

static struct money
charge_so_far(const struct exchange *x)
{
    if (x->settled)
        return x->charge.total;
    struct price_runs runs;
    const struct price_call call = exchange_price_call(x, exchange_model(x), &runs);
    struct usage usage = x->attempt.look.usage;
    struct charge charge;
    const struct tariff_row *row;
    price_settle(&call, x->held, &usage, &charge, &row);
    return charge.total;
}

/* Where the dialects report usage: at the top, in a response's object, in Gemini's words. */
static uint32_t
usage_node(const struct json_doc *doc)
{
    static const char *const paths[] = {"usage", "usageMetadata", "response.usage"};
    for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
        uint32_t node = json_path(doc, 0, paths[i]);
        if (json_is(doc, node, JSON_OBJECT))
            return node;
    }
    return JSON_NONE;
}

/* One JSON object with the cost in it, appended; false: it has no place, nothing was appended. */
static bool
put_with_cost(struct exchange *x, struct str json, struct buf *out)
{
    static const struct json_limits limits = {.allow_duplicates = true};
    struct json_doc *doc = &x->worker->frame_doc;
    if (json_scan(doc, json, &limits, NULL) != 0)
        return false;
    uint32_t usage = usage_node(doc);
    if (usage == JSON_NONE)
        return false;
    char cost[32];
    money_format(charge_so_far(x), cost);
    struct arena arena;
    arena_init(&arena, 65536);
    struct splice splice;
    struct str *segments = NULL;
    size_t count = 0;
    size_t bytes = 0;
    splice_init(&splice, &arena);
    bool done = splice_member_set(&splice, doc, usage, STR("cost"), str_from(cost)) == 0 &&
                splice_segments(&splice, json, &segments, &count, &bytes) == 0;
    for (size_t i = 0; done && i < count; i++)
        (void)buf_put_str(out, segments[i]);
    arena_fini(&arena);
    return done;
}

struct str
cost_in_answer(struct exchange *x, struct str body, struct buf *out)
{
    return put_with_cost(x, body, out) && !out->failed ? buf_str(out) : body;
}

struct str
cost_in_events(struct exchange *x, struct str events, struct buf *out)
{
    struct str rest = events;
    while (rest.len > 0) {
        size_t end = str_find_byte(rest, '\n');
        size_t size = end == SIZE_MAX ? rest.len : end + 1;
        struct str line = str_make(rest.ptr, size);
        struct str data = str_starts(line, STR("data:")) ? str_trim(str_skip(line, 5)) : STR_EMPTY;
        rest = str_skip(rest, size);
        size_t before = out->len;
        if (str_starts(data, STR("{")) && buf_put_str(out, STR("data: ")) == 0 &&
            put_with_cost(x, data, out)) {
            (void)buf_put_byte(out, '\n');
            continue;
        }
        out->len = before;
        (void)buf_put_str(out, line);
    }
    return out->failed ? events : buf_str(out);
}

/* "input=10, output=5, evidence=provider_usage": a dictionary of RFC 9651. */
static struct str
usage_text(const struct usage *usage, char *out, size_t size)
{
    size_t at = 0;
    for (enum usage_class class_ = 0; class_ < USAGE_CLASS_COUNT; class_++) {
        if (usage->count[class_] > 0)
            at += (size_t)snprintf(out + at, size - at, "%s=%llu, ", usage_class_name(class_),
                                   (unsigned long long)usage->count[class_]);
    }
    at +=
        (size_t)snprintf(out + at, size - at, "evidence=%s", usage_evidence_name(usage->evidence));
    ASSERT(at < size);
    return str_make(out, at);
}

static COLD void
end_with_cost(struct exchange *x)
{
    char cost[32];
    char usage[(USAGE_CLASS_COUNT + 1u) * CLASS_BYTES_MAX];
    ASSERT(x->settled);
    money_format(x->charge.total, cost);
    const struct http_field trailers[] = {
        {STR("x-berth-cost"), str_from(cost)},
        {STR("x-berth-usage"), usage_text(&x->usage, usage, sizeof usage)}};
    http_stream_end_with(x->stream, trailers, ARRAY_LEN(trailers));
}

void
cost_end(struct exchange *x)
{
    if (LIKELY(!http_stream_trailers(x->stream)))
        http_stream_end(x->stream);
    else
        end_with_cost(x);
}
