/* SPDX-License-Identifier: MIT
 * buf.h - a growable byte buffer that is born with a cap.
 * Floor: lib/base; one thread at a time.
 * Owns: its heap block.
 * Invariant: len <= cap <= max; a failed append changes nothing but sets `failed`. */
#ifndef BERTH_LIB_BASE_BUF_H
#define BERTH_LIB_BASE_BUF_H

#include <stdarg.h>
#include <stdbool.h>

#include "lib/base/str.h"

/* failed: sticky; set by any append that did not fit or had no memory, so that a builder may append
 * many times and test once. */
struct buf {
    char *ptr;
    size_t len;
    size_t cap;
    size_t max;
    bool failed;
};

/* buf_init - empty, nothing allocated; max > 0 is the cap in bytes. */
void buf_init(struct buf *buf, size_t max);
/* buf_fini - free the block; the struct may be initialised again. NULL and zeroed are fine. */
void buf_fini(struct buf *buf);
/* buf_wipe - overwrite all bytes, then buf_fini. For secrets: buf_reserve enough first, growing
 * leaves copies behind. */
void buf_wipe(struct buf *buf);
/* buf_reserve - room for `more` bytes behind len. 0, -ERR_TOO_LARGE, -ERR_NOMEM (failed is set). */
int buf_reserve(struct buf *buf, size_t more) MUST_USE;
/* Appends. Return 0, -ERR_TOO_LARGE or -ERR_NOMEM; they may be ignored when `failed` is tested. */
int buf_put_slow(struct buf *buf, const void *bytes, size_t count);
static inline int
buf_put(struct buf *buf, const void *bytes, size_t count)
{
    if (UNLIKELY(count == 0 || count > buf->cap - buf->len))
        return buf_put_slow(buf, bytes, count);
    memcpy(buf->ptr + buf->len, bytes, count);
    buf->len += count;
    return 0;
}
static inline int
buf_put_str(struct buf *buf, struct str s)
{
    return buf_put(buf, s.ptr, s.len);
}
static inline int
buf_put_byte(struct buf *buf, char c)
{
    return buf_put(buf, &c, 1);
}
int buf_put_u64(struct buf *buf, uint64_t value);
int buf_put_i64(struct buf *buf, int64_t value);
int buf_printf(struct buf *buf, const char *format, ...) PRINTF(2, 3);
int buf_vprintf(struct buf *buf, const char *format, va_list args) PRINTF(2, 0);
/* buf_consume - drop `count` <= len bytes from the front (memmove). */
void buf_consume(struct buf *buf, size_t count);
/* buf_str - the bytes; valid until the next change. */
static inline struct str
buf_str(const struct buf *buf)
{
    return str_make(buf->len ? buf->ptr : "", buf->len);
}
/* buf_cstr - NUL-terminated view, "" when empty; there is always room for the NUL. Valid until the
 * next change. */
const char *buf_cstr(struct buf *buf);

#endif
