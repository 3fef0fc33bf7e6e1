/* SPDX-License-Identifier: MIT
 * usage_form.c - reading and writing usage records of the known form.
 * Floor: controlplane/ledger; the engine thread.
 * Owns: nothing.
 * Invariant: see usage_form.h. */
#include "controlplane/ledger/usage_form.h"

#include "lib/base/check.h"
#include "lib/base/err.h"
#include "lib/text/skip.h"
#include "lib/text/utf8.h"

#define NUMBER_DIGITS_MAX 19u

const struct form_row form_rows[FORM_COUNT] = {
#define FORM_ROW(bit, name, kind) {{"\"" #name "\":", sizeof #name + 2}, FORM_KIND_##kind, bit},
#include "controlplane/ledger/usage_form.def"
#undef FORM_ROW
};
_Static_assert(FORM_COUNT <= 63, "a bit each");
/* No bit twice: then the sum of the powers is their union. */
_Static_assert((0
#define FORM_ROW(bit, name, kind) +(1ull << (bit))
#include "controlplane/ledger/usage_form.def"
#undef FORM_ROW
                ) == (0
#define FORM_ROW(bit, name, kind) | (1ull << (bit))
#include "controlplane/ledger/usage_form.def"
#undef FORM_ROW
                      ),
               "each row has a bit of its own");

/* Where a reader stands; every read_* is false when the text is something else. */
struct reader {
    const char *at;
    const char *end;
};

static inline bool
read_byte(struct reader *reader, char c)
{
    if (reader->at == reader->end || *reader->at != c)
        return false;
    reader->at++;
    return true;
}

static inline bool
read_literal(struct reader *reader, struct str literal)
{
    if ((size_t)(reader->end - reader->at) < literal.len ||
        memcmp(reader->at, literal.ptr, literal.len) != 0)
        return false;
    reader->at += literal.len;
    return true;
}

static bool
read_number(struct reader *reader, uint64_t *ret_number)
{
    const char *from = reader->at;
    const char *end =
        (size_t)(reader->end - from) > NUMBER_DIGITS_MAX ? from + NUMBER_DIGITS_MAX : reader->end;
    const char *at = from;
    uint64_t number = 0;
    while (at < end && *at >= '0' && *at <= '9')
        number = number * 10 + (uint64_t)(*at++ - '0');
    reader->at = at;
    *ret_number = number;
    return at > from && (*from != '0' || at == from + 1);
}

bool
form_text_valid(struct str text)
{
    return skip_plain(text.ptr, text.ptr + text.len) == text.ptr + text.len && utf8_valid(text);
}

static bool
read_text(struct reader *reader, struct str *ret_text)
{
    if (!read_byte(reader, '"'))
        return false;
    const char *end = skip_plain(reader->at, reader->end);
    if (end == reader->end || *end != '"')
        return false;
    *ret_text = str_make(reader->at, (size_t)(end - reader->at));
    reader->at = end + 1;
    return utf8_valid(*ret_text);
}

static bool
read_bool(struct reader *reader, uint64_t *ret_number)
{
    *ret_number = read_literal(reader, STR("true"));
    return *ret_number == 1 || read_literal(reader, STR("false"));
}

static bool
read_value(struct reader *reader, struct usage_form *form, enum form_member member)
{
    uint64_t number;
    switch (form_rows[member].kind) {
    case FORM_KIND_TEXT:
        return read_text(reader, &form->at[member].text);
    case FORM_KIND_OPEN:
        return read_byte(reader, '{');
    case FORM_KIND_BOOL:
        if (!read_bool(reader, &number))
            return false;
        break;
    case FORM_KIND_DIGITS:
        if (!read_byte(reader, '"') || !read_number(reader, &number) || !read_byte(reader, '"'))
            return false;
        break;
    case FORM_KIND_NUMBER:
    case FORM_KIND_INNER:
    default:
        if (!read_number(reader, &number))
            return false;
    }
    form->at[member].number = number;
    return true;
}

/* The member whose key is next, FORM_COUNT when we know none; *guess: the one that stood here in
 * the record before. */
static enum form_member
read_key(struct reader *reader, uint8_t *guess)
{
    if (read_literal(reader, form_rows[*guess].key))
        return (enum form_member) * guess;
    for (enum form_member i = 0; i < FORM_COUNT; i++) {
        if (read_literal(reader, form_rows[i].key)) {
            *guess = (uint8_t)i;
            return i;
        }
    }
    return FORM_COUNT;
}

size_t
form_read(struct str text, struct usage_form *ret_form)
{
    struct usage_form *form = ret_form;
    struct reader reader = {text.ptr, text.ptr + text.len};
    enum form_member last = FORM_COUNT;
    bool first = true;
    bool inside = false; /* of "usage" */
    form->has = 0;
    if (!read_byte(&reader, '{'))
        return 0;
    for (;;) {
        if (read_byte(&reader, '}')) {
            if (!inside)
                return (size_t)(reader.at - text.ptr);
            inside = first = false;
            continue;
        }
        if (!first && !read_byte(&reader, ','))
            return 0;
        last = read_key(&reader, &form->behind[last]);
        if (last == FORM_COUNT || form_has(form, last) ||
            inside != (form_rows[last].kind == FORM_KIND_INNER) || !read_value(&reader, form, last))
            return 0;
        form->has |= 1ull << last;
        first = form_rows[last].kind == FORM_KIND_OPEN;
        inside = inside || first;
    }
}

static void
write_value(const struct usage_form *form, enum form_member member, struct buf *out)
{
    switch (form_rows[member].kind) {
    case FORM_KIND_TEXT:
        (void)buf_put_byte(out, '"');
        if (form->at[member].text.len > 0)
            (void)buf_put_str(out, form->at[member].text);
        (void)buf_put_byte(out, '"');
        break;
    case FORM_KIND_OPEN:
        (void)buf_put_byte(out, '{');
        break;
    case FORM_KIND_BOOL:
        (void)buf_put_str(out, form->at[member].number ? STR("true") : STR("false"));
        break;
    case FORM_KIND_DIGITS:
        (void)buf_put_byte(out, '"');
        (void)buf_put_u64(out, form->at[member].number);
        (void)buf_put_byte(out, '"');
        break;
    case FORM_KIND_NUMBER:
    case FORM_KIND_INNER:
    default:
        (void)buf_put_u64(out, form->at[member].number);
    }
}

void
form_write(const struct usage_form *form, struct buf *out)
{
    bool first = true;
    bool inside = false;
    (void)buf_put_byte(out, '{');
    for (enum form_member i = 0; i < FORM_COUNT; i++) {
        bool inner = form_rows[i].kind == FORM_KIND_INNER;
        if (inside && !inner) {
            (void)buf_put_byte(out, '}');
            inside = first = false;
        }
        if (!form_has(form, i))
            continue;
        if (!first)
            (void)buf_put_byte(out, ',');
        (void)buf_put_str(out, form_rows[i].key);
        write_value(form, i, out);
        first = form_rows[i].kind == FORM_KIND_OPEN;
        inside = inner || first;
    }
    ASSERT(!inside); /* something comes behind "usage" */
    (void)buf_put_byte(out, '}');
}
