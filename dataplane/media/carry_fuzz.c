/* SPDX-License-Identifier: MIT
 * carry_fuzz.c - a first byte says the vendor; then a request, a line end, and his answer: what is
 *                written is JSON again.
 * Floor: dataplane/media; one thread.
 * Owns: nothing.
 * Invariant: proves carry.h. */
#include "dataplane/media/carry.h"

#include "dataplane/media/maker.h"
#include "lib/base/check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_json(const struct buf *out)
{
    static struct json_doc again;
    struct err err = {0};
    int rc = json_scan(&again, buf_str(out), NULL, &err);
    ASSERT(rc == 0);
}

/* An answer that is not done has a ticket, which leads to the vendor himself or nowhere. */
static bool
read_answer(const struct carrier *carrier, const struct json_doc *doc,
            const struct carry_wish *wish, struct arena *arena, struct buf *out,
            struct usage *usage)
{
    struct ticket ticket = {STR_EMPTY, STR_EMPTY};
    struct uri base = {.https = true, .host = STR("api.bfl.ai"), .port = 443};
    struct str host;
    struct str target;
    int rc = carrier->answer(doc, wish, out, usage);
    if (rc == -ERR_TIMEOUT && carrier->ticket != NULL &&
        carrier->ticket(doc, arena, &ticket) == 0 &&
        ticket_address(&base, ticket.poll, arena, &host, &target) == 0) {
        ASSERT(str_eq_nocase(host, base.host) ||
               str_eq_nocase(str_skip(host, host.len - 7), STR(".bfl.ai")));
        ASSERT(str_starts(target, STR("/")));
    }
    return rc == 0;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct json_doc doc;
    static const struct json_limits limits = {.allow_duplicates = true};
    static const struct {
        const struct dialect *target;
        enum chat_endpoint endpoint;
        const char *model;
        const char *at;
    } rows[] = {{&dialect_gemini, CHAT_ENDPOINT_EMBEDDINGS, "m", ""},
                {&dialect_cohere, CHAT_ENDPOINT_EMBEDDINGS, "m", ""},
                {&dialect_ollama, CHAT_ENDPOINT_EMBEDDINGS, "m", ""},
                {&dialect_gemini, CHAT_ENDPOINT_IMAGES, "m", ""},
                {&dialect_gemini, CHAT_ENDPOINT_IMAGES, "imagen", ""},
                {&maker_replicate, CHAT_ENDPOINT_IMAGES, "o/m", ""},
                {&maker_stability, CHAT_ENDPOINT_IMAGES, "sd3", ""},
                {&maker_bfl, CHAT_ENDPOINT_IMAGES, "flux-dev", ""},
                {&dialect_gemini, CHAT_ENDPOINT_EMBEDDINGS, "m", "/v1/projects/p"},
                {&dialect_bedrock, CHAT_ENDPOINT_EMBEDDINGS, "amazon.titan-embed-text-v2:0", ""},
                {&dialect_bedrock, CHAT_ENDPOINT_EMBEDDINGS, "cohere.embed-v4:0", ""}};
    struct arena arena;
    struct buf out;
    struct str request;
    struct str reply;
    struct err err = {0};
    struct usage usage = {.evidence = EVIDENCE_NONE};
    struct carry_wish wish = {.count = 0};
    if (size == 0) {
        return 0;
    }
    size_t row = data[0] % ARRAY_LEN(rows);
    const struct carrier *carrier =
        carrier_find(rows[row].target, rows[row].endpoint, str_from(rows[row].at));
    (void)str_cut(str_make((const char *)data + 1, size - 1), '\n', &request, &reply);
    arena_init(&arena, 4u << 20);
    buf_init(&out, 16u << 20);
    wish.count = data[0] / 16u;
    wish.base64 = (data[0] & 8u) != 0;
    if (json_scan(&doc, request, NULL, &err) == 0 && json_is(&doc, 0, JSON_OBJECT) &&
        carrier->request(&doc, str_from(rows[row].model), &arena, &out, &wish, &err) == 0 &&
        carrier->content_type == NULL) {
        check_json(&out);
    }
    out.len = 0;
    wish.model = STR("m");
    wish.id = STR("req_1");
    if (json_scan(&doc, reply, &limits, NULL) == 0 && json_is(&doc, 0, JSON_OBJECT) &&
        read_answer(carrier, &doc, &wish, &arena, &out, &usage)) {
        check_json(&out);
        ASSERT(usage.count[USAGE_input] <= USAGE_COUNT_MAX);
    }
    buf_fini(&out);
    arena_fini(&arena);
    return 0;
}
