/* SPDX-License-Identifier: MIT
 * usage_walk.c - see usage_walk.h.
 * Floor: controlplane/ledger; the engine thread.
 * Owns: nothing.
 * Invariant: see usage_walk.h. */
#include "controlplane/ledger/usage_walk.h"

#include "controlplane/ledger/ledger_int.h"
#include "controlplane/ledger/usage_pack.h"

enum form_member
usage_walk_class(enum usage_class class_)
{
    static const enum form_member members[USAGE_CLASS_COUNT] = {
#define USAGE_ROW(name, field, as, text) [USAGE_##name] = FORM_##name,
#include "api/usage.def"
#undef USAGE_ROW
    };
    return members[class_];
}

static int
packed_walk(struct str rest, usage_walk_fn fn, void *user)
{
    struct usage_form form = {0};
    rest = str_skip(rest, 1);
    for (;;) {
        int r = pack_next(&rest, &form);
        if (r <= 0)
            return r;
        r = fn(&form, user);
        if (r != 0)
            return r;
    }
}

static void
number_take(struct usage_form *form, enum form_member member, uint64_t number)
{
    form->has |= 1ull << member;
    form->at[member].number = MIN(number, FORM_NUMBER_MAX);
}

/* What a form cannot hold becomes '?': no data plane names anything so. */
static int
text_take(struct usage_form *form, enum form_member member, const struct json_doc *doc,
          uint32_t node, struct arena *arena)
{
    struct str text;
    int r = json_string(doc, node, arena, &text);
    if (r == -ERR_NOMEM)
        return r;
    if (r < 0)
        return 0;
    if (!form_text_valid(text)) {
        char *clean = arena_alloc(arena, text.len);
        if (clean == NULL)
            return -ERR_NOMEM;
        for (size_t i = 0; i < text.len; i++) {
            char c = text.ptr[i];
            clean[i] = c < 0x20 || c > 0x7e || c == '"' || c == '\\' ? '?' : c;
        }
        text.ptr = clean;
    }
    form->has |= 1ull << member;
    form->at[member].text = text;
    return 0;
}

static int
form_of_json(const struct json_doc *doc, uint32_t object, struct arena *arena,
             struct usage_form *ret_form)
{
    static const enum form_member texts[] = {FORM_wallet, FORM_subject, FORM_model, FORM_provider};
    static const struct {
        enum form_member member;
        const char *name;
    } digits[] = {{FORM_seq, "seq"}, {FORM_charge, "charge"}, {FORM_cost, "cost"}};
    struct usage_form form = {.has = 1ull << FORM_usage};
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        struct str key = form_rows[texts[i]].key; /* "name": */
        uint32_t node = json_get(doc, object, str_make(key.ptr + 1, key.len - 3));
        int r = text_take(&form, texts[i], doc, node, arena);
        if (r < 0)
            return r;
    }
    for (size_t i = 0; i < ARRAY_LEN(digits); i++) {
        int64_t value;
        if (member_i64(doc, object, digits[i].name, &value) < 0 || value < 0)
            return -ERR_STORE;
        number_take(&form, digits[i].member, (uint64_t)value);
    }
    int64_t at_ms = 0;
    (void)!json_i64(doc, json_get(doc, object, STR("at_ms")), 0, INT64_MAX, &at_ms);
    number_take(&form, FORM_at_ms, (uint64_t)at_ms);
    uint32_t usage = json_get(doc, object, STR("usage"));
    for (enum usage_class i = 0; i < USAGE_CLASS_COUNT; i++) {
        uint64_t count = 0;
        (void)!json_u64(doc, json_get(doc, usage, str_from(usage_class_name(i))), UINT64_MAX,
                        &count);
        if (count > 0)
            number_take(&form, usage_walk_class(i), count);
    }
    *ret_form = form;
    return 0;
}

static int
texts_walk(struct json_doc *doc, struct str texts, usage_walk_fn fn, void *user)
{
    CLEANUP(buf_fini) struct buf text;
    buf_init(&text, STORE_VALUE_BYTES_MAX + 2);
    (void)buf_put_byte(&text, '[');
    (void)buf_put_str(&text, texts);
    (void)buf_put_byte(&text, ']');
    int r = text.failed ? -ERR_NOMEM : json_scan(doc, buf_str(&text), NULL, NULL);
    if (r < 0)
        return r == -ERR_NOMEM ? r : -ERR_STORE;
    for (uint32_t node = json_first(doc, 0); node != JSON_NONE; node = json_sibling(doc, 0, node)) {
        CLEANUP(arena_fini) struct arena arena;
        struct usage_form form;
        arena_init(&arena, 4 * STORE_VALUE_BYTES_MAX);
        r = form_of_json(doc, node, &arena, &form);
        if (r == 0)
            r = fn(&form, user);
        if (r != 0)
            return r;
    }
    return 0;
}

int
usage_walk(struct ledger *ledger, const struct store_row *row, usage_walk_fn fn, void *user)
{
    if (row->value.len == 0)
        return -ERR_STORE;
    return row->value.ptr[0] == PACK_MARK ? packed_walk(row->value, fn, user)
                                          : texts_walk(&ledger->doc, row->value, fn, user);
}
