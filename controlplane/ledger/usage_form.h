/* SPDX-License-Identifier: MIT
 * usage_form.h - a usage record of the members that we know: read in one walk, written.
 * Floor: controlplane/ledger; the engine thread.
 * Owns: nothing; texts point into what was read.
 * Invariant: what is read is written with the same members, packed in between or not; written and
 *            read again it is the same bytes. Proved in usage_form_test.c, usage_form_fuzz.c. */
#ifndef BERTH_CONTROLPLANE_LEDGER_USAGE_FORM_H
#define BERTH_CONTROLPLANE_LEDGER_USAGE_FORM_H

#include "lib/base/buf.h"

enum form_member {
#define FORM_ROW(bit, name, kind) FORM_##name,
#include "controlplane/ledger/usage_form.def"
#undef FORM_ROW
    FORM_COUNT
};
enum form_kind {
    FORM_KIND_NUMBER,
    FORM_KIND_INNER,
    FORM_KIND_DIGITS,
    FORM_KIND_TEXT,
    FORM_KIND_BOOL,
    FORM_KIND_OPEN
};
struct form_row {
    struct str key; /* "name": */
    enum form_kind kind;
    uint8_t bit;
};
extern const struct form_row form_rows[FORM_COUNT];
#define FORM_NUMBER_MAX 9999999999999999999ull

/* Zeroed is a record without members. */
struct usage_form {
    uint64_t has; /* 1 << enum form_member */
    union {
        struct str text; /* as in JSON, without the quotes: printable, no escapes, UTF-8 */
        uint64_t number; /* below 10^19; a boolean: 0 or 1 */
    } at[FORM_COUNT];
    uint8_t behind[FORM_COUNT + 1]; /* form_read: which member stood behind which one, last time */
};
static inline bool
form_has(const struct usage_form *form, enum form_member member)
{
    return (form->has >> member & 1) != 0;
}

/* form_read - the record that text begins with: no space between, known members in any order, no
 * escapes. Returns its bytes, '{' to '}'; 0: it is none of these (and may be good JSON).
 * ret_form: zeroed once; when the same one is used again the order of members is guessed. */
size_t form_read(struct str text, struct usage_form *ret_form);
/* form_text_valid - may be a text of a form. */
bool form_text_valid(struct str text);
/* form_write - its members in the order of usage_form.def. */
void form_write(const struct usage_form *form, struct buf *out);

#endif
