/* SPDX-License-Identifier: MIT
 * err.h - error codes and the message a person reads.
 * Floor: lib/base; any thread.
 * Owns: nothing; struct err is a value.
 * Invariant: fallible functions return 0 or -ERR_x; outputs are untouched on failure. */
#ifndef BERTH_LIB_BASE_ERR_H
#define BERTH_LIB_BASE_ERR_H

#include "lib/base/cc.h"

enum err_code {
    ERR_NONE = 0,
#define ERR_ROW(name, number, text) ERR_##name = number,
#include "lib/base/errors.def"
#undef ERR_ROW
    ERR_CODE_END
};

#define ERR_TEXT_BYTES_MAX 320u

/* code: an err_code (positive) or 0; text: one sentence, no trailing newline, NUL-terminated.
 * line, column: 1-based place in the input where it has one, else 0. */
struct err {
    int code;
    uint32_t line;
    uint32_t column;
    char text[ERR_TEXT_BYTES_MAX];
};

/* err_set - fill err (may be NULL) and return -code, so that `return err_set(err, ERR_X, "...")`
 * is one line. The text is cut at ERR_TEXT_BYTES_MAX - 1; line and column are reset to 0. */
COLD int err_set(struct err *err, enum err_code code, const char *format, ...) PRINTF(3, 4);
/* err_set_at - the same, with a place in the input. */
COLD int err_set_at(struct err *err, enum err_code code, uint32_t line, uint32_t column,
                    const char *format, ...) PRINTF(5, 6);
/* err_set_errno - the same; appends ": " and the text of errno value `number` (> 0) and chooses the
 * code from it (ENOENT -> NOT_FOUND, EACCES/EPERM -> PERMISSION, EADDRINUSE -> IN_USE,
 * ENOSPC/EDQUOT -> NO_SPACE, ECONNREFUSED -> REFUSED, EEXIST -> EXISTS, ENOMEM -> NOMEM,
 * ETIMEDOUT -> TIMEOUT, other -> SYSTEM). */
COLD int err_set_errno(struct err *err, int number, const char *format, ...) PRINTF(3, 4);
/* err_name - "NOT_FOUND" for ERR_NOT_FOUND or -ERR_NOT_FOUND; "UNKNOWN" otherwise. Static. */
const char *err_name(int code);
/* err_text - the default sentence of a code (either sign). Static. */
const char *err_text(int code);

#endif
