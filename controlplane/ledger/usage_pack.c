/* SPDX-License-Identifier: MIT
 * usage_pack.c - usage records in few bytes: each as what differs from the one before it.
 * Floor: controlplane/ledger; the engine thread.
 * Owns: nothing.
 * Invariant: see usage_pack.h. */
#include "controlplane/ledger/usage_pack.h"

#include "lib/base/err.h"

#define VARINT_BYTES_MAX 10u

static size_t
varint_write(uint8_t out[VARINT_BYTES_MAX], uint64_t value)
{
    size_t count = 0;
    for (; value >= 0x80; value >>= 7)
        out[count++] = (uint8_t)(value | 0x80);
    out[count++] = (uint8_t)value;
    return count;
}

static bool
varint_read(struct str *rest, uint64_t *ret_value)
{
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 64 && rest->len > 0; shift += 7) {
        uint8_t byte = (uint8_t)*rest->ptr++;
        rest->len--;
        value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            *ret_value = value;
            return true;
        }
    }
    return false;
}

/* Small differences of either sign become small numbers. */
static uint64_t
zigzag(uint64_t difference)
{
    return difference << 1 ^ (uint64_t) - (int64_t)(difference >> 63);
}

static uint64_t
unzigzag(uint64_t value)
{
    return value >> 1 ^ (uint64_t) - (int64_t)(value & 1);
}

static bool
value_same(const struct usage_form *form, const struct usage_form *before, enum form_member member)
{
    switch (form_rows[member].kind) {
    case FORM_KIND_OPEN:
        return true;
    case FORM_KIND_TEXT:
        return form_has(before, member) && str_eq(form->at[member].text, before->at[member].text);
    case FORM_KIND_NUMBER:
    case FORM_KIND_INNER:
    case FORM_KIND_DIGITS:
    case FORM_KIND_BOOL:
    default:
        return form_has(before, member) && form->at[member].number == before->at[member].number;
    }
}

/* A record: varint of (bits of the members that changed << 1 | have the members changed); if so,
 * varint of the bits of all members; then the changed values: a text as length and bytes, a number
 * as its difference. A member that the record before did not have has changed, from 0 or "". */
void
pack_put(const struct usage_form *form, const struct usage_form *before, struct buf *out)
{
    uint8_t bytes[VARINT_BYTES_MAX];
    uint64_t changed = 0;
    uint64_t bits = 0;
    for (uint64_t left = form->has; left != 0; left &= left - 1) {
        enum form_member i = (enum form_member)TRAILING_ZEROS64(left);
        bits |= 1ull << form_rows[i].bit;
        if (!value_same(form, before, i))
            changed |= 1ull << form_rows[i].bit;
    }
    bool others = form->has != before->has;
    (void)buf_put(out, bytes, varint_write(bytes, changed << 1 | others));
    if (others)
        (void)buf_put(out, bytes, varint_write(bytes, bits));
    for (uint64_t left = form->has; left != 0; left &= left - 1) {
        enum form_member i = (enum form_member)TRAILING_ZEROS64(left);
        if ((changed >> form_rows[i].bit & 1) == 0)
            continue;
        if (form_rows[i].kind == FORM_KIND_TEXT) {
            struct str text = form->at[i].text;
            (void)buf_put(out, bytes, varint_write(bytes, text.len));
            if (text.len > 0)
                (void)buf_put_str(out, text);
            continue;
        }
        uint64_t from = form_has(before, i) ? before->at[i].number : 0;
        (void)buf_put(out, bytes, varint_write(bytes, zigzag(form->at[i].number - from)));
    }
}

static bool
value_unpack(struct str *rest, struct usage_form *form, enum form_member member, bool had)
{
    uint64_t value;
    if (!varint_read(rest, &value))
        return false;
    if (form_rows[member].kind == FORM_KIND_TEXT) {
        if (value > rest->len)
            return false;
        form->at[member].text = str_make(rest->ptr, (size_t)value);
        *rest = str_make(rest->ptr + value, rest->len - (size_t)value);
        return form_text_valid(form->at[member].text);
    }
    form->at[member].number = (had ? form->at[member].number : 0) + unzigzag(value);
    return form->at[member].number <=
           (form_rows[member].kind == FORM_KIND_BOOL ? 1 : FORM_NUMBER_MAX);
}

/* `changed` and `bits` as packed; every bit must be a member that we know. */
static bool
members_unpack(struct str *rest, struct usage_form *form, uint64_t changed, uint64_t bits)
{
    uint64_t had = form->has;
    form->has = 0;
    for (enum form_member i = 0; i < FORM_COUNT; i++) {
        uint64_t bit = 1ull << form_rows[i].bit;
        bool known = (had >> i & 1) != 0;
        if ((bits & bit) == 0)
            continue;
        bits &= ~bit;
        form->has |= 1ull << i;
        if (form_rows[i].kind == FORM_KIND_INNER && !form_has(form, FORM_usage))
            return false;
        if (form_rows[i].kind == FORM_KIND_OPEN)
            continue;
        if ((changed & bit) != 0 ? !value_unpack(rest, form, i, known) : !known)
            return false;
        changed &= ~bit;
    }
    return bits == 0 && changed == 0;
}

int
pack_next(struct str *rest, struct usage_form *form)
{
    uint64_t head;
    uint64_t bits = 0;
    if (rest->len == 0)
        return 0;
    for (uint64_t left = form->has; left != 0; left &= left - 1)
        bits |= 1ull << form_rows[TRAILING_ZEROS64(left)].bit;
    if (!varint_read(rest, &head) || ((head & 1) != 0 && !varint_read(rest, &bits)) ||
        !members_unpack(rest, form, head >> 1, bits))
        return -ERR_STORE;
    return 1;
}
