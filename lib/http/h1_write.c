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

static char *
put(char *at, struct str s)
{
    memcpy(at, s.ptr, s.len);
    return at + s.len;
}

/* The bytes that the fields take, or -ERR_INVALID. */
static int
measure(const struct http_field *fields, size_t field_count, size_t *bytes)
{
    for (size_t i = 0; i < field_count; i++) {
        if (!http_valid_name(fields[i].name) || !http_valid_value(fields[i].value))
            return -ERR_INVALID;
        *bytes += fields[i].name.len + fields[i].value.len + 4;
    }
    return 0;
}

static char *
put_fields(char *at, const struct http_field *fields, size_t field_count)
{
    for (size_t i = 0; i < field_count; i++) {
        at = put(at, fields[i].name);
        at = put(at, STR(": "));
        if (fields[i].value.len > 0)
            at = put(at, fields[i].value);
        at = put(at, STR("\r\n"));
    }
    return at;
}

static char *
put_framing(char *at, uint64_t body_length, bool none)
{
    if (none)
        return at;
    if (body_length == HTTP_LENGTH_UNKNOWN)
        return put(at, STR("transfer-encoding: chunked\r\n"));
    at = put(at, STR("content-length: "));
    at += num_write_u64(at, body_length);
    return put(at, STR("\r\n"));
}

/* Visible ASCII without spaces: a method, target or authority that stays one word. */
static bool
is_word(struct str s)
{
    for (size_t i = 0; i < s.len; i++) {
        if (s.ptr[i] <= ' ' || s.ptr[i] >= 0x7f)
            return false;
    }
    return s.len > 0;
}

int
h1_put_request(struct buf *out, struct str method, struct str target, struct str authority,
               const struct http_field *fields, size_t field_count, uint64_t body_length, bool none)
{
    size_t bytes = method.len + target.len + authority.len + TAIL_BYTES_MAX;
    if (!is_word(method) || !is_word(target) || !is_word(authority) ||
        measure(fields, field_count, &bytes) < 0)
        return -ERR_INVALID;
    int r = buf_reserve(out, bytes);
    if (r < 0)
        return r;
    char *at = out->ptr + out->len;
    at = put(at, method);
    at = put(at, STR(" "));
    at = put(at, target);
    at = put(at, STR(" HTTP/1.1\r\nhost: "));
    at = put(at, authority);
    at = put(at, STR("\r\n"));
    at = put_fields(at, fields, field_count);
    at = put_framing(at, body_length, none);
    at = put(at, STR("\r\n"));
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
    size_t bytes = reason.len + TAIL_BYTES_MAX;
    if (measure(fields, field_count, &bytes) < 0)
        return -ERR_INVALID;
    int r = buf_reserve(out, bytes);
    if (r < 0)
        return r;
    char *at = out->ptr + out->len;
    at = put(at, STR("HTTP/1.1 "));
    *at++ = (char)('0' + status / 100);
    *at++ = (char)('0' + status / 10 % 10);
    *at++ = (char)('0' + status % 10);
    *at++ = ' ';
    at = put(at, reason);
    at = put(at, STR("\r\n"));
    at = put_fields(at, fields, field_count);
    at = put_framing(at, body_length, none);
    if (close)
        at = put(at, STR("connection: close\r\n"));
    at = put(at, STR("\r\n"));
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
