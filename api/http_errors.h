/* SPDX-License-Identifier: MIT
 * http_errors.h - refusals: one row each, shown in the caller's dialect.
 * Floor: api; any thread.
 * Owns: nothing; static table.
 * Invariant: every refusal that a caller can see is a row of http_errors.def. */
#ifndef BERTH_API_HTTP_ERRORS_H
#define BERTH_API_HTTP_ERRORS_H

#include "lib/base/cc.h"

enum http_error {
#define HTTP_ERROR_ROW(name, status, openai, anthropic, code, text) HTTP_ERROR_##name,
#include "api/http_errors.def"
#undef HTTP_ERROR_ROW
    HTTP_ERROR_COUNT
};
struct http_error_row {
    uint16_t status;
    const char *openai_type;
    const char *anthropic_type;
    const char *code;
    const char *text;
};
const struct http_error_row *http_error_row(enum http_error error);

#endif
