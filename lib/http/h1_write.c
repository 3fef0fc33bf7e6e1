/* SPDX-License-Identifier: MIT
 * h1_write.c - heads and chunk sizes, written.
 * Floor: lib/http; any thread.
 * Owns: nothing.
 * Invariant: nothing that h1_parse_* would refuse or read differently is ever written; a refused
 *            head leaves `out` as it was: proved in h1_test.c. */
#include "lib/base/check.h"
#include "lib/base/num.h"
#include "lib/http/h1.h"
#include "lib/http/message_int.h"

/* The longest of what follows the fields, with room for 20 digits. */
#define TAIL_BYTES_MAX 96u

/* The most that the fields take. */
static size_t
measure(const struct http_field *fields, size_t field_count)
{
    size_t bytes = 0;
    for (size_t i = 0; i < field_count; i++)
        bytes += fields[i].name.len + fields[i].value.len + 4;
    return bytes;
}

/* Checked and copied in one pass; NULL: one of them may not be sent. */
static char *
put_fields(char *at, const struct http_field *fields, size_t field_count)
{
    for (size_t i = 0; i < field_count; i++) {
        struct str name = fields[i].name;
        struct str value = fields[i].value;
        if (!http_name_ok(name) || !http_value_ok(value))
            return NULL;
        at = http_put(at, name);
        *at++ = ':';
        *at++ = ' ';
        if (value.len > 0)
            at = http_put(at, value);
        *at++ = '\r';
        *at++ = '\n';
    }
    return at;
}

static char *
put_framing(char *at, uint64_t body_length, bool none)
{
    if (none)
        return at;
    if (body_length == HTTP_LENGTH_UNKNOWN)
        return http_put(at, STR("transfer-encoding: chunked\r\n"));
    at = http_put(at, STR("content-length: "));
    at += num_write_u64(at, body_length);
    return http_put(at, STR("\r\n"));
}

int
h1_put_request(struct buf *out, struct str method, struct str target, struct str authority,
               const struct http_field *fields, size_t field_count, uint64_t body_length, bool none)
{
    size_t bytes = method.len + target.len + authority.len + TAIL_BYTES_MAX;
    if (!http_is_word(method) || !http_is_word(target) || !http_is_word(authority))
        return -ERR_INVALID;
    int r = buf_reserve(out, bytes + measure(fields, field_count));
    if (r < 0)
        return r;
    char *at = out->ptr + out->len;
    at = http_put(at, method);
    at = http_put(at, STR(" "));
    at = http_put(at, target);
    at = http_put(at, STR(" HTTP/1.1\r\nhost: "));
    at = http_put(at, authority);
    at = http_put(at, STR("\r\n"));
    at = put_fields(at, fields, field_count);
    if (at == NULL)
        return -ERR_INVALID;
    at = put_framing(at, body_length, none);
    at = http_put(at, STR("\r\n"));
    out->len = (size_t)(at - out->ptr);
    ASSERT(out->len <= out->cap);
    return 0;
}

int
h1_put_response(struct buf *out, unsigned status, const struct http_field *fields,
                size_t field_count, uint64_t body_length, bool none, bool close)
{
    ASSERT(status >= 100 && status <= 599);
    struct str reason = str_from(http_status_text(status));
    int r = buf_reserve(out, reason.len + TAIL_BYTES_MAX + measure(fields, field_count));
    if (r < 0)
        return r;
    char *at = out->ptr + out->len;
    at = http_put(at, STR("HTTP/1.1 "));
    *at++ = (char)('0' + status / 100);
    *at++ = (char)('0' + status / 10 % 10);
    *at++ = (char)('0' + status % 10);
    *at++ = ' ';
    at = http_put(at, reason);
    at = http_put(at, STR("\r\n"));
    at = put_fields(at, fields, field_count);
    if (at == NULL)
        return -ERR_INVALID;
    at = put_framing(at, body_length, none);
    if (close)
        at = http_put(at, STR("connection: close\r\n"));
    at = http_put(at, STR("\r\n"));
    out->len = (size_t)(at - out->ptr);
    ASSERT(out->len <= out->cap);
    return 0;
}

size_t
h1_chunk_size(char out[18], size_t count)
{
    static const char digits[] = "0123456789abcdef";
    unsigned shift = count == 0 ? 0 : (63u - LEADING_ZEROS64(count)) / 4 * 4;
    size_t len = 0;
    for (;; shift -= 4) {
        out[len++] = digits[count >> shift & 15];
        if (shift == 0)
            break;
    }
    out[len++] = '\r';
    out[len++] = '\n';
    return len;
}
