/* SPDX-License-Identifier: MIT
 * http_errors.c - the table of refusals.
 * Floor: api; any thread.
 * Owns: nothing; static table.
 * Invariant: one row an enum value. usage_test.c. */
#include "api/http_errors.h"

#include "lib/base/check.h"

static const struct http_error_row rows[] = {
#define HTTP_ERROR_ROW(name, status, openai, anthropic, code, text) \
    {status, openai, anthropic, code, text},
#include "api/http_errors.def"
#undef HTTP_ERROR_ROW
};
_Static_assert(ARRAY_LEN(rows) == HTTP_ERROR_COUNT, "a row an error");

const struct http_error_row *
http_error_row(enum http_error error)
{
    ASSERT((size_t)error < ARRAY_LEN(rows));
    return &rows[error];
}
