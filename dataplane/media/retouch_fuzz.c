/* SPDX-License-Identifier: MIT
 * retouch_fuzz.c - a first byte says the vendor and how the source is read; then a form: what is
 *                  made of it is JSON, or a form that says no more than was meant.
 * Floor: dataplane/media; one thread.
 * Owns: nothing.
 * Invariant: proves letter.h, draft.h and the drafts of carry.h. */
#include "dataplane/media/carry.h"

#include "dataplane/media/maker.h"
#include "dataplane/media/media.h"
#include "lib/base/check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct body {
    struct str bytes;
    size_t step;
};

static int
body_read(void *user, uint64_t at, char *piece, size_t size, struct str *ret_bytes)
{
    const struct body *body = user;
    ASSERT(size > 0 && at < body->bytes.len && size <= body->bytes.len - at);
    size_t count = MIN(size, body->step);
    memcpy(piece, body->bytes.ptr + at, count);
    *ret_bytes = str_make(piece, count);
    return 0;
}

/* The form that goes out: one of each field, the target's own model, the picture's very bytes. */
static void
check_form(struct str out, struct str model, const struct letter *letter, struct str body,
           struct arena *arena)
{
    struct form *form = NULL;
    struct err err = {0};
    uint32_t pictures = 0;
    int rc = form_new(arena, STR("XX"), out.len, &form, &err);
    if (rc == -ERR_NOMEM)
        return;
    rc = form_take(form, out, &err);
    if (rc == 0)
        rc = form_end(form, &err);
    ASSERT(rc == 0 || rc == -ERR_NOMEM);
    for (uint32_t i = 0; rc == 0 && i < form->count; i++) {
        const struct form_part *part = &form->parts[i];
        const struct letter_picture *given = &letter->pictures[0];
        if (str_eq(part->name, STR("model")))
            ASSERT(str_eq(part->head, model));
        pictures += part->file ? 1 : 0;
        if (part->file)
            ASSERT(part->bytes == given->bytes &&
                   memcmp(out.ptr + part->start, body.ptr + given->start, given->bytes) == 0);
    }
    ASSERT(rc != 0 || (pictures == 1 && form->count >= 3 && form->count <= 6));
}

static void
check_draft(struct draft *draft, const struct draft_source *source, bool is_form, struct str model,
            const struct letter *letter, struct arena *arena)
{
    static struct json_doc again;
    const struct body *body = source->user;
    struct buf out;
    struct str piece;
    struct err err = {0};
    buf_init(&out, 64u << 20);
    do {
        int rc = draft_next(draft, source, &piece);
        ASSERT(rc == 0);
        buf_put_str(&out, piece);
    } while (piece.len > 0);
    ASSERT(out.len == draft->bytes);
    if (is_form)
        check_form(buf_str(&out), model, letter, body->bytes, arena);
    else
        ASSERT(json_scan(&again, buf_str(&out), NULL, &err) == 0);
    buf_fini(&out);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct json_doc doc;
    static const struct {
        const struct dialect *target;
        enum chat_endpoint endpoint;
        const char *model;
    } rows[] = {{&dialect_gemini, CHAT_ENDPOINT_IMAGE_EDITS, "m"},
                {&maker_stability, CHAT_ENDPOINT_IMAGE_EDITS, "sd3"},
                {&maker_stability, CHAT_ENDPOINT_IMAGE_EDITS, "inpaint"},
                {&maker_replicate, CHAT_ENDPOINT_IMAGE_EDITS, "o/flux-2-pro"},
                {&maker_replicate, CHAT_ENDPOINT_IMAGE_VARIATIONS, "o/flux-redux-dev"},
                {&maker_bfl, CHAT_ENDPOINT_IMAGE_EDITS, "flux-kontext-pro"},
                {&maker_bfl, CHAT_ENDPOINT_IMAGE_VARIATIONS, "flux-dev"},
                {&dialect_bedrock, CHAT_ENDPOINT_IMAGE_EDITS, "amazon.nova-canvas-v1:0"},
                {&dialect_bedrock, CHAT_ENDPOINT_IMAGE_EDITS, "stability.sd3-5-large-v1:0"}};
    if (size == 0) {
        return 0;
    }
    size_t row = data[0] % ARRAY_LEN(rows);
    struct body body = {str_make((const char *)data + 1, size - 1), data[0] / 16u + 1u};
    const struct draft_source source = {body_read, &body};
    const struct carrier *carrier = carrier_find(rows[row].target, rows[row].endpoint, STR_EMPTY);
    struct str model = str_from(rows[row].model);
    struct arena arena;
    struct draft draft;
    struct letter letter;
    struct media_facts facts;
    struct form *form = NULL;
    struct err err = {0};
    struct carry_wish wish = {.count = 0};
    arena_init(&arena, 4u << 20);
    draft_init(&draft);
    int rc = form_new(&arena, STR("XX"), body.bytes.len, &form, &err);
    if (rc == 0)
        rc = form_take(form, body.bytes, &err);
    if (rc == 0)
        rc = form_end(form, &err);
    if (rc == 0) /* the counts of a request are read before it is carried */
        rc = media_facts(rows[row].endpoint, NULL, body.bytes, form, STR_EMPTY, &arena, &facts,
                         &err);
    if (rc == 0)
        rc = letter_read(form, &source, &arena, &letter, &err);
    if (rc == 0)
        rc = json_scan(&doc, letter.json, NULL, &err);
    if (rc == 0)
        rc = carrier->draft(&doc, &letter, model, &arena, &draft, &wish, &err);
    if (rc == 0 && draft_end(&draft) == 0)
        check_draft(&draft, &source, carrier->is_form, model, &letter, &arena);
    draft_fini(&draft);
    arena_fini(&arena);
    return 0;
}
