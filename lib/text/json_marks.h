/* SPDX-License-Identifier: MIT
 * json_marks.h - where the strings of a JSON text end: all closing quotes of a window of it, found
 *                64 bytes at a time and without a branch for each of them.
 * Floor: lib/text, private; one text at a time per object.
 * Owns: nothing. The text is borrowed.
 * Invariant: a string that opens outside all others, behind JSON, ends at the next mark; what a
 *            mark closes is valid UTF-8 with valid escapes and without control characters. Proved
 *            by json_same_test.c and json_same_fuzz.c against the scanner without marks. */
#ifndef BERTH_LIB_TEXT_JSON_MARKS_H
#define BERTH_LIB_TEXT_JSON_MARKS_H

#include "lib/base/str.h"

#define JSON_MARKS_WINDOW 4096u /* bytes */
#define JSON_MARK_ESCAPED 0x8000u

struct json_marks {
    const char *base; /* of the text */
    const char *end;
    const char *at;          /* the window that comes next */
    const char *from;        /* the window that `list` is about */
    const char *unicode_end; /* \u escapes before it have been looked at */
    uint64_t inside;         /* all ones: `at` stands within a string */
    uint64_t escaped;        /* 1: the byte at `at` is escaped */
    uint64_t seen;           /* 1: the string around `at` has an escape before it */
    uint64_t odd;            /* not 0: the block before `at` is not all ASCII */
    /* Offsets from `from` of closing quotes, in order, JSON_MARK_ESCAPED set when the string has
     * a backslash. At most every second byte is one; sixteen are written at a time. */
    uint16_t list[JSON_MARKS_WINDOW / 2 + 32];
};

/* json_marks_usable - this CPU has what it takes (AVX-512 VBMI2); without it nothing else here
 * is called. */
bool json_marks_usable(void);
/* json_marks_init - before the first window of text. */
void json_marks_init(struct json_marks *marks, struct str text);
/* json_marks_more - the marks of the next window that has any: the end of marks->list, which is
 * not empty. NULL when there is none, or when a string in it is not as JSON has it. */
const uint16_t *json_marks_more(struct json_marks *marks) MUST_USE;

#endif
