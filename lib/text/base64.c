/* SPDX-License-Identifier: MIT
 * base64.c - RFC 4648 sections 4 and 5, canonical form only.
 * Floor: lib/text; any thread.
 * Owns: nothing.
 * Invariant: a failed call leaves out->len as it was. Proved by base64_test.c and base64_fuzz.c. */
#include "lib/text/base64.h"

#include "lib/base/err.h"

/* The 64 digits and a NUL; only the last two differ. */
static const char digits[2][65] = {
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/",
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_",
};

/* 0..63, or 64 for a byte that is no digit. */
static unsigned
digit_value(char c, bool url)
{
    if (c >= 'A' && c <= 'Z') {
        return (unsigned)(c - 'A');
    }
    if (c >= 'a' && c <= 'z') {
        return (unsigned)(c - 'a') + 26;
    }
    if (c >= '0' && c <= '9') {
        return (unsigned)(c - '0') + 52;
    }
    if (c == (url ? '-' : '+')) {
        return 62;
    }
    return c == (url ? '_' : '/') ? 63 : 64;
}

int
base64_put(struct buf *out, struct str bytes, bool url)
{
    if (bytes.len == 0) {
        return 0;
    }
    if (bytes.len > (SIZE_MAX - 4) / 4 * 3) {
        return -ERR_TOO_LARGE;
    }
    int rc = buf_reserve(out, (bytes.len + 2) / 3 * 4);
    if (rc != 0) {
        return rc;
    }
    char *to = out->ptr + out->len;
    const unsigned char *p = (const unsigned char *)bytes.ptr;
    size_t left = bytes.len;
    for (; left > 0; p += 3) {
        size_t take = MIN(left, (size_t)3);
        unsigned group = (unsigned)p[0] << 16;
        group |= take > 1 ? (unsigned)p[1] << 8 : 0;
        group |= take > 2 ? p[2] : 0;
        for (unsigned i = 0; i < 4; i++) {
            if (i <= take) {
                *to++ = digits[url][group >> (18 - 6 * i) & 63];
            } else if (!url) {
                *to++ = '=';
            }
        }
        left -= take;
    }
    out->len = (size_t)(to - out->ptr);
    return 0;
}

/* Up to four digits at text[0..count) into out[3]; bytes made, 0 when they are not canonical. */
static size_t
decode_group(const char *text, size_t count, bool url, char out[3])
{
    unsigned group = 0;
    for (size_t i = 0; i < 4; i++) {
        unsigned value = i < count ? digit_value(text[i], url) : 0;
        if (value > 63) {
            return 0;
        }
        group = group << 6 | value;
    }
    out[0] = (char)(group >> 16);
    out[1] = (char)(group >> 8 & 255);
    out[2] = (char)(group & 255);
    unsigned stray = count == 2 ? group & 0xffff : count == 3 ? group & 0xff : 0;
    return stray != 0 || count < 2 ? 0 : count - 1;
}

int
base64_decode(struct buf *out, struct str text, bool url)
{
    if (!url) {
        if (text.len % 4 != 0) {
            return -ERR_PARSE;
        }
        for (int i = 0; i < 2 && text.len > 0 && text.ptr[text.len - 1] == '='; i++) {
            text.len--;
        }
    }
    size_t len = out->len;
    int rc = buf_reserve(out, text.len / 4 * 3 + text.len % 4 * 3 / 4);
    if (rc != 0) {
        return rc;
    }
    for (size_t at = 0; at < text.len; at += 4) {
        char bytes[3];
        size_t made = decode_group(text.ptr + at, MIN(text.len - at, (size_t)4), url, bytes);
        if (made == 0) {
            out->len = len;
            return -ERR_PARSE;
        }
        memcpy(out->ptr + out->len, bytes, made);
        out->len += made;
    }
    return 0;
}
