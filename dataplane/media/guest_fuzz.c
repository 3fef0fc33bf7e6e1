/* SPDX-License-Identifier: MIT
 * guest_fuzz.c - a first byte says the caller; then his request, a line end, and OpenAI's answer:
 *                what is written is JSON again, and so is what passes with another model's name.
 * Floor: dataplane/media; one thread.
 * Owns: nothing.
 * Invariant: proves guest.h. */
#include "dataplane/media/guest.h"

#include "lib/base/check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_json(const struct buf *out)
{
    static struct json_doc again;
    static const struct json_limits limits = {.allow_duplicates = true};
    struct err err = {0};
    int rc = json_scan(&again, buf_str(out), &limits, &err);
    ASSERT(rc == 0);
}

/* The same dialect on both sides. */
static void
pass(const struct dialect *caller, enum chat_endpoint endpoint, const struct json_doc *doc,
     struct str request, struct arena *arena, struct buf *out)
{
    struct chat_facts facts = {.model = STR("m")};
    struct splice splice;
    struct str *segments = NULL;
    size_t count = 0;
    size_t bytes = 0;
    struct err err = {0};
    splice_init(&splice, arena);
    if (caller->facts(doc, endpoint, arena, &facts, &err) != 0)
        return;
    ASSERT(!facts.stream);
    if (caller->forward_edits(doc, endpoint, &facts, STR("a\"b"), false, &splice) != 0 ||
        splice_segments(&splice, request, &segments, &count, &bytes) != 0)
        return;
    for (size_t i = 0; i < count; i++)
        buf_put_str(out, segments[i]);
    ASSERT(out->len == bytes);
    check_json(out);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct json_doc doc;
    static const struct json_limits limits = {.allow_duplicates = true};
    static const struct {
        const struct dialect *caller;
        enum chat_endpoint endpoint;
    } rows[] = {{&dialect_gemini, CHAT_ENDPOINT_EMBEDDINGS},
                {&dialect_gemini, CHAT_ENDPOINT_EMBED_ONE},
                {&dialect_cohere, CHAT_ENDPOINT_EMBEDDINGS},
                {&dialect_ollama, CHAT_ENDPOINT_EMBEDDINGS},
                {&dialect_ollama, CHAT_ENDPOINT_EMBED_ONE}};
    struct arena arena;
    struct buf out;
    struct str request;
    struct str reply;
    struct err err = {0};
    struct carry_wish wish = {.count = 0};
    if (size == 0)
        return 0;
    size_t row = data[0] % ARRAY_LEN(rows);
    const struct guest *guest = guest_find(rows[row].caller, rows[row].endpoint);
    (void)str_cut(str_make((const char *)data + 1, size - 1), '\n', &request, &reply);
    arena_init(&arena, 4u << 20);
    buf_init(&out, 16u << 20);
    if (json_scan(&doc, request, NULL, &err) == 0)
        pass(rows[row].caller, rows[row].endpoint, &doc, request, &arena, &out);
    out.len = 0;
    if (json_scan(&doc, request, NULL, &err) == 0 && json_is(&doc, 0, JSON_OBJECT) &&
        guest->request(&doc, STR("m"), data[0] >= 128, &arena, &out, &wish, &err) == 0) {
        check_json(&out);
        ASSERT(wish.count > 0);
    }
    out.len = 0;
    wish.count = data[0] / 16u % 4u;
    wish.model = STR("m");
    wish.id = STR("req_1");
    if (json_scan(&doc, reply, &limits, NULL) == 0 && json_is(&doc, 0, JSON_OBJECT) &&
        guest->answer(&doc, &wish, &out) == 0)
        check_json(&out);
    buf_fini(&out);
    arena_fini(&arena);
    return 0;
}
