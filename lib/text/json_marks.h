/* SPDX-License-Identifier: MIT
 * json_marks.h - where the strings of a JSON text begin and end: all quotes of a window of it that
 *                are not escaped, found 64 bytes at a time and without a branch for each of them.
 * Floor: lib/text, private; one text at a time per object.
 * Owns: nothing. The text is borrowed.
 * Invariant: behind text that is JSON so far, a string opens at the next mark and ends at the one
 *            behind it; what such a pair holds is valid UTF-8 with valid escapes and without
 *            control characters. Proved by json_same_test.c and json_same_fuzz.c against the
 *            scanner without marks. */
#ifndef BERTH_LIB_TEXT_JSON_MARKS_H
#define BERTH_LIB_TEXT_JSON_MARKS_H

#include "lib/base/str.h"

#define JSON_MARKS_WINDOW 4096u /* bytes */
#define JSON_MARK_ESCAPED ((uint32_t)1 << 31)
#define JSON_MARK_NONE (JSON_MARK_ESCAPED - 1) /* an offset that no text has */
#define JSON_MARKS_BYTES_MAX JSON_MARK_NONE    /* of a text, not included */

struct json_marks {
    const char *base; /* of the text */
    const char *end;
    const char *at;          /* the window that comes next */
    const char *unicode_end; /* \u escapes before it have been looked at */
    uint64_t escaped;        /* 1: the byte at `at` is escaped */
    uint64_t seen;           /* 1: a backslash stands between the last quote and `at` */
    uint64_t odd;            /* not 0: a character that is not ASCII may reach over `at` */
    uint32_t opening;        /* a quote without its other one so far, or JSON_MARK_NONE */
    /* Offsets in the text of opening and closing quotes, pair for pair; JSON_MARK_ESCAPED is set
     * in the closing one when the string has a backslash. JSON_MARK_NONE ends it. One may be left
     * of the window before, sixteen are written at a time. */
    uint32_t list[1 + JSON_MARKS_WINDOW + 16] ALIGNED(64);
};

/* json_marks_usable - this CPU has what it takes (AVX-512 VBMI2); without it nothing else here
 * is called. */
bool json_marks_usable(void);
/* json_marks_init - before the first window of text, which is shorter than JSON_MARKS_BYTES_MAX. */
void json_marks_init(struct json_marks *marks, struct str text);
/* json_marks_more - marks->list of the next window that ends a string. false when there is none,
 * or when a string in it is not as JSON has it. */
bool json_marks_more(struct json_marks *marks) MUST_USE;

#endif
