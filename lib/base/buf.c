/* SPDX-License-Identifier: MIT
 * buf.c - the growable byte buffer: doubling up to its cap.
 * Floor: lib/base; one thread at a time.
 * Owns: one piece (piece.h) of cap + 1 bytes: the last one is room for buf_cstr's NUL.
 * Invariant: len <= cap <= max; a failed append leaves ptr, len and cap alone; proved in
 * buf_test.c. */
#include "lib/base/buf.h"

#include <stdio.h>

#include "lib/base/check.h"
#include "lib/base/err.h"
#include "lib/base/num.h"
#include "lib/base/piece.h"

#define BUF_FIRST_BYTES 64u

void
buf_init(struct buf *buf, size_t max)
{
    ASSERT(max > 0 && max < SIZE_MAX);
    *buf = (struct buf){.max = max};
}

void
buf_fini(struct buf *buf)
{
    if (buf == NULL)
        return;
    piece_free(buf->ptr);
    *buf = (struct buf){.max = buf->max};
}

void
buf_wipe(struct buf *buf)
{
    if (buf == NULL)
        return;
    if (buf->ptr != NULL)
        explicit_bzero(buf->ptr, buf->cap + 1);
    buf_fini(buf);
}

static int
buf_grow(struct buf *buf, size_t need)
{
    size_t cap = MAX(buf->cap, (size_t)BUF_FIRST_BYTES);
    while (cap < need)
        cap = cap > buf->max / 2 ? buf->max : cap * 2;
    cap = MIN(cap, buf->max);
    char *grown = piece_realloc(buf->ptr, cap + 1);
    if (grown == NULL) {
        buf->failed = true;
        return -ERR_NOMEM;
    }
    buf->ptr = grown;
    buf->cap = cap;
    ASSERT(buf->cap >= need && buf->cap <= buf->max);
    return 0;
}

int
buf_reserve(struct buf *buf, size_t more)
{
    ASSERT(buf->len <= buf->cap && buf->cap <= buf->max);
    if (LIKELY(more <= buf->cap - buf->len))
        return 0;
    if (more > buf->max - buf->len) {
        buf->failed = true;
        return -ERR_TOO_LARGE;
    }
    return buf_grow(buf, buf->len + more);
}

int
buf_put_slow(struct buf *buf, const void *bytes, size_t count)
{
    if (count == 0)
        return 0;
    int r = buf_reserve(buf, count);
    if (UNLIKELY(r < 0))
        return r;
    memcpy(buf->ptr + buf->len, bytes, count);
    buf->len += count;
    return 0;
}

int
buf_put_u64(struct buf *buf, uint64_t value)
{
    char digits[20];
    return buf_put(buf, digits, num_write_u64(digits, value));
}

int
buf_put_i64(struct buf *buf, int64_t value)
{
    char digits[21] = "-";
    /* Negated as unsigned: -INT64_MIN does not exist. */
    uint64_t size = value < 0 ? 0u - (uint64_t)value : (uint64_t)value;
    size_t sign = value < 0 ? 1 : 0;
    return buf_put(buf, digits, sign + num_write_u64(digits + sign, size));
}

int
buf_vprintf(struct buf *buf, const char *format, va_list args)
{
    ASSERT(buf->len <= buf->cap && buf->cap <= buf->max);
    va_list again;
    va_copy(again, args);
    size_t room = buf->cap - buf->len;
    /* The block has cap + 1 bytes, so vsnprintf may use room + 1 with its NUL. */
    char *end = buf->ptr == NULL ? NULL : buf->ptr + buf->len;
    int count = vsnprintf(end, end == NULL ? 0 : room + 1, format, args);
    int r = 0;
    if (count < 0) {
        buf->failed = true;
        r = -ERR_INVALID;
    } else if (end == NULL || (size_t)count > room) {
        r = buf_reserve(buf, (size_t)count);
        if (r == 0 && count > 0)
            count = vsnprintf(buf->ptr + buf->len, (size_t)count + 1, format, again);
    }
    va_end(again);
    if (r == 0)
        buf->len += (size_t)count;
    return r;
}

int
buf_printf(struct buf *buf, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int r = buf_vprintf(buf, format, args);
    va_end(args);
    return r;
}

void
buf_consume(struct buf *buf, size_t count)
{
    ASSERT(count <= buf->len);
    buf->len -= count;
    if (buf->len > 0 && count > 0)
        memmove(buf->ptr, buf->ptr + count, buf->len);
}

const char *
buf_cstr(struct buf *buf)
{
    if (buf->ptr == NULL)
        return "";
    buf->ptr[buf->len] = '\0';
    return buf->ptr;
}
