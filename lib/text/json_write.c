/* SPDX-License-Identifier: MIT
 * json_write.c - JSON text into a buf.
 * Floor: lib/text; one thread at a time.
 * Owns: nothing.
 * Invariant: whatever is put in, what comes out is valid JSON in valid UTF-8 (raw values apart). */
#include "lib/text/json.h"

#include "lib/base/check.h"
#include "lib/text/skip.h"
#include "lib/text/skip_block.h"
#include "lib/text/utf8.h"

#define SHORT_BYTES_MAX 64u

static int
put_escape(struct buf *out, char c)
{
    static const char hex[] = "0123456789abcdef";
    unsigned code = (unsigned char)c;
    char text[6] = {'\\', c, '0', '0', hex[code >> 4 & 15], hex[code & 15]};
    switch (c) {
    case '"':
    case '\\':
        return buf_put(out, text, 2);
    case '\n':
        return buf_put(out, "\\n", 2);
    case '\r':
        return buf_put(out, "\\r", 2);
    case '\t':
        return buf_put(out, "\\t", 2);
    case '\b':
        return buf_put(out, "\\b", 2);
    case '\f':
        return buf_put(out, "\\f", 2);
    default:
        text[1] = 'u';
        return buf_put(out, text, 6);
    }
}

/* s is valid UTF-8. */
static int
put_valid(struct buf *out, struct str s)
{
    const char *at = s.ptr;
    const char *end = s.ptr + s.len;
    int rc = 0;
    while (rc == 0 && at < end) {
        const char *stop = skip_plain(at, end);
        rc = buf_put(out, at, (size_t)(stop - at));
        if (rc == 0 && stop < end) {
            rc = put_escape(out, *stop++);
        }
        at = stop;
    }
    return rc;
}

/* ASCII that stands for itself, and not much of it: what names and ids are. */
static bool
is_short_plain(struct str s)
{
    char padded[16];
    if (s.len == 0 || s.len > SHORT_BYTES_MAX) {
        return false;
    }
    const char *last = s.ptr + s.len - MIN(s.len, sizeof(padded));
    if (s.len < sizeof(padded)) {
        memset(padded, 'a', sizeof(padded));
        memcpy(padded, s.ptr, s.len);
        last = padded;
    }
    unsigned stops = skip_block_stops(last) | skip_block_high(last);
    for (size_t at = 0; at + sizeof(padded) < s.len; at += sizeof(padded)) {
        stops |= skip_block_stops(s.ptr + at) | skip_block_high(s.ptr + at);
    }
    return stops == 0;
}

int
json_put_string(struct buf *out, struct str s)
{
    if (LIKELY(is_short_plain(s))) {
        int full = buf_reserve(out, s.len + 2);
        if (full != 0) {
            return full;
        }
        char *at = out->ptr + out->len;
        at[0] = '"';
        memcpy(at + 1, s.ptr, s.len);
        at[s.len + 1] = '"';
        out->len += s.len + 2;
        return 0;
    }
    int rc = buf_put_byte(out, '"');
    size_t valid = utf8_valid_bytes(s);
    while (rc == 0 && s.len > 0) {
        rc = put_valid(out, str_make(s.ptr, valid));
        if (rc == 0 && valid < s.len) {
            rc = buf_put_str(out, STR("\xef\xbf\xbd"));
            valid++;
        }
        s = str_skip(s, valid);
        /* The plain loop stops at the next fault; the vector one reads to the end each time. */
        valid = utf8_valid_bytes_portable(s);
    }
    return rc != 0 ? rc : buf_put_byte(out, '"');
}

#define WRITER_DEPTH_MAX 63u

static uint64_t
depth_bit(const struct json_writer *writer)
{
    return (uint64_t)1 << writer->depth;
}

void
json_writer_init(struct json_writer *writer, struct buf *out)
{
    *writer = (struct json_writer){.out = out};
}

/* A comma where one is due. In an object a value stands only behind its key. */
static void
before_value(struct json_writer *writer)
{
    bool object = (writer->is_object & depth_bit(writer)) != 0;
    ASSERT(object == writer->after_key);
    if (!object) {
        bool follows = (writer->has_member & depth_bit(writer)) != 0;
        ASSERT(!(follows && writer->depth == 0));
        if (follows) {
            buf_put_byte(writer->out, ',');
        }
        writer->has_member |= depth_bit(writer);
    }
    writer->after_key = false;
}

static void
container_begin(struct json_writer *writer, bool object)
{
    before_value(writer);
    ASSERT(writer->depth < WRITER_DEPTH_MAX);
    writer->depth++;
    writer->has_member &= ~depth_bit(writer);
    writer->is_object &= ~depth_bit(writer);
    if (object) {
        writer->is_object |= depth_bit(writer);
    }
    buf_put_byte(writer->out, object ? '{' : '[');
}

static void
container_end(struct json_writer *writer, bool object)
{
    ASSERT(writer->depth > 0 && !writer->after_key);
    ASSERT(((writer->is_object & depth_bit(writer)) != 0) == object);
    buf_put_byte(writer->out, object ? '}' : ']');
    writer->depth--;
}

void
json_open_object(struct json_writer *writer)
{
    container_begin(writer, true);
}

void
json_close_object(struct json_writer *writer)
{
    container_end(writer, true);
}

void
json_open_array(struct json_writer *writer)
{
    container_begin(writer, false);
}

void
json_close_array(struct json_writer *writer)
{
    container_end(writer, false);
}

void
json_key_str(struct json_writer *writer, struct str key)
{
    ASSERT((writer->is_object & depth_bit(writer)) != 0 && !writer->after_key);
    if ((writer->has_member & depth_bit(writer)) != 0) {
        buf_put_byte(writer->out, ',');
    }
    writer->has_member |= depth_bit(writer);
    json_put_string(writer->out, key);
    buf_put_byte(writer->out, ':');
    writer->after_key = true;
}

void
json_key(struct json_writer *writer, const char *key)
{
    json_key_str(writer, str_from(key));
}

void
json_value_str(struct json_writer *writer, struct str value)
{
    before_value(writer);
    json_put_string(writer->out, value);
}

void
json_value_i64(struct json_writer *writer, int64_t value)
{
    before_value(writer);
    buf_put_i64(writer->out, value);
}

void
json_value_u64(struct json_writer *writer, uint64_t value)
{
    before_value(writer);
    buf_put_u64(writer->out, value);
}

void
json_value_bool(struct json_writer *writer, bool value)
{
    json_value_raw(writer, value ? STR("true") : STR("false"));
}

void
json_value_null(struct json_writer *writer)
{
    json_value_raw(writer, STR("null"));
}

void
json_value_raw(struct json_writer *writer, struct str raw)
{
    ASSERT(raw.len > 0);
    before_value(writer);
    buf_put_str(writer->out, raw);
}

void
json_member_str(struct json_writer *writer, const char *key, struct str value)
{
    json_key(writer, key);
    json_value_str(writer, value);
}

void
json_member_i64(struct json_writer *writer, const char *key, int64_t value)
{
    json_key(writer, key);
    json_value_i64(writer, value);
}

void
json_member_u64(struct json_writer *writer, const char *key, uint64_t value)
{
    json_key(writer, key);
    json_value_u64(writer, value);
}

void
json_member_bool(struct json_writer *writer, const char *key, bool value)
{
    json_key(writer, key);
    json_value_bool(writer, value);
}

void
json_member_raw(struct json_writer *writer, const char *key, struct str raw)
{
    json_key(writer, key);
    json_value_raw(writer, raw);
}

void
json_key_object(struct json_writer *writer, const char *key)
{
    json_key(writer, key);
    json_open_object(writer);
}

void
json_key_array(struct json_writer *writer, const char *key)
{
    json_key(writer, key);
    json_open_array(writer);
}
