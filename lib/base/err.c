/* SPDX-License-Identifier: MIT
 * err.c - fills struct err; names and default sentences come from errors.def.
 * Floor: lib/base; any thread.
 * Owns: nothing.
 * Invariant: the text is always NUL-terminated and one line's worth; proved in err_test.c. */
#include "lib/base/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/check.h"

static const struct {
    const char *name;
    const char *text;
} rows[ERR_CODE_END] = {
    [ERR_NONE] = {"NONE", "no error"},
#define ERR_ROW(name, number, text) [number] = {#name, text},
#include "lib/base/errors.def"
#undef ERR_ROW
};

static int PRINTF(5, 0) err_fill(struct err *err, int code, uint32_t line, uint32_t column,
                                 const char *format, va_list args)
{
    ASSERT(code > 0 && code < ERR_CODE_END);
    if (err == NULL)
        return -code;
    err->code = code;
    err->line = line;
    err->column = column;
    if (vsnprintf(err->text, sizeof(err->text), format, args) < 0)
        err->text[0] = '\0';
    return -code;
}

int
err_set(struct err *err, enum err_code code, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int result = err_fill(err, (int)code, 0, 0, format, args);
    va_end(args);
    return result;
}

int
err_set_at(struct err *err, enum err_code code, uint32_t line, uint32_t column, const char *format,
           ...)
{
    va_list args;
    va_start(args, format);
    int result = err_fill(err, (int)code, line, column, format, args);
    va_end(args);
    return result;
}

static enum err_code
err_code_of_errno(int number)
{
    switch (number) {
    case ENOENT:
        return ERR_NOT_FOUND;
    case EACCES:
    case EPERM:
        return ERR_PERMISSION;
    case EADDRINUSE:
        return ERR_IN_USE;
    case ENOSPC:
    case EDQUOT:
        return ERR_NO_SPACE;
    case ECONNREFUSED:
        return ERR_REFUSED;
    case EEXIST:
        return ERR_EXISTS;
    case ENOMEM:
        return ERR_NOMEM;
    case ETIMEDOUT:
        return ERR_TIMEOUT;
    default:
        return ERR_SYSTEM;
    }
}

int
err_set_errno(struct err *err, int number, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int result = err_fill(err, (int)err_code_of_errno(number), 0, 0, format, args);
    va_end(args);
    if (err != NULL) {
        char reason[128];
        size_t used = strlen(err->text);
        /* GNU strerror_r: returns the text, which may or may not be in `reason`. */
        const char *text = strerror_r(number, reason, sizeof(reason));
        if (snprintf(err->text + used, sizeof(err->text) - used, ": %s", text) < 0)
            err->text[used] = '\0';
    }
    return result;
}

static int
err_index(int code)
{
    /* Negated only after the range is known: -INT_MIN does not exist. */
    if (code <= -(int)ERR_CODE_END || code >= (int)ERR_CODE_END)
        return -1;
    int index = code < 0 ? -code : code;
    return rows[index].name == NULL ? -1 : index;
}

const char *
err_name(int code)
{
    int index = err_index(code);
    return index < 0 ? "UNKNOWN" : rows[index].name;
}

const char *
err_text(int code)
{
    int index = err_index(code);
    return index < 0 ? "unknown error" : rows[index].text;
}
