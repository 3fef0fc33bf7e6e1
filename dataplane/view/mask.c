/* SPDX-License-Identifier: MIT
 * mask.c - see mask.h.
 * Floor: dataplane/view.
 * Owns: nothing.
 * Invariant: see mask.h. */
#include "dataplane/view/mask.h"

#include <string.h>

#include "lib/base/check.h"
#include "lib/base/digest.h"
#include "lib/text/base64.h"

#define ENCODED_BYTES_MAX 32768u
#define PART_BYTES_MIN 16u

/* ---- needles --------------------------------------------------------------------------------- */

static void
add(struct mask *mask, struct str text)
{
    if (text.len < MASK_KEY_BYTES_MIN || mask->count == MASK_NEEDLES_MAX)
        return;
    for (uint32_t i = 0; i < mask->count; i++) {
        if (str_eq(mask->needle[i], text))
            return;
    }
    mask->needle[mask->count++] = text;
}

static int
add_copy(struct mask *mask, struct str text, struct arena *arena)
{
    struct str copy;
    int code = arena_dup(arena, text, &copy);
    if (code == 0)
        add(mask, copy);
    return code;
}

/* The digits that the key alone decides, when `before` bytes of something stand before it. */
static int
add_base64(struct mask *mask, size_t before, bool url, struct arena *arena)
{
    struct buf plain;
    struct buf text;
    buf_init(&plain, ENCODED_BYTES_MAX);
    buf_init(&text, ENCODED_BYTES_MAX);
    int code = buf_put(&plain, "\0\0", before);
    if (code == 0)
        code = buf_put_str(&plain, mask->key);
    if (code == 0)
        code = base64_put(&text, buf_str(&plain), url);
    size_t first = (before * 8 + 5) / 6;
    size_t end = plain.len * 8 / 6;
    if (code == 0)
        code = add_copy(mask, str_make(text.ptr + first, end - first), arena);
    buf_wipe(&plain);
    buf_wipe(&text);
    return code;
}

static bool
is_unreserved(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '.' || c == '_' || c == '~';
}

static int
add_escaped(struct mask *mask, struct arena *arena)
{
    struct buf percent;
    struct buf json;
    struct buf hex;
    char digits[3];
    buf_init(&percent, ENCODED_BYTES_MAX);
    buf_init(&json, ENCODED_BYTES_MAX);
    buf_init(&hex, ENCODED_BYTES_MAX);
    for (size_t i = 0; i < mask->key.len; i++) {
        char c = mask->key.ptr[i];
        hex_encode(&c, 1, digits);
        (void)buf_put(&hex, digits, 2);
        if (c == '/' || c == '"' || c == '\\')
            (void)buf_put(&json, "\\", 1);
        (void)buf_put(&json, &c, 1);
        if (is_unreserved(c))
            (void)buf_put(&percent, &c, 1);
        else
            buf_printf(&percent, "%%%02X", (unsigned)(unsigned char)c);
    }
    int code = percent.failed || json.failed || hex.failed ? -ERR_NOMEM : 0;
    const struct str texts[] = {buf_str(&percent), buf_str(&json), buf_str(&hex)};
    for (size_t i = 0; i < ARRAY_LEN(texts) && code == 0; i++)
        code = add_copy(mask, texts[i], arena);
    buf_wipe(&percent);
    buf_wipe(&json);
    buf_wipe(&hex);
    return code;
}

int
mask_init(struct mask *mask, struct str key, struct arena *arena)
{
    *mask = (struct mask){.key = key};
    if (key.len < MASK_KEY_BYTES_MIN)
        return 0;
    add(mask, key);
    struct str part;
    for (struct str rest = key; str_cut(rest, ':', &part, &rest) || part.len > 0;) {
        if (part.len >= PART_BYTES_MIN)
            add(mask, part);
        if (rest.len == 0)
            break;
    }
    int code = key.len < PART_BYTES_MIN ? 0 : add_escaped(mask, arena);
    for (size_t before = 0; before < 3 && code == 0 && key.len >= PART_BYTES_MIN; before++) {
        code = add_base64(mask, before, false, arena);
        if (code == 0)
            code = add_base64(mask, before, true, arena);
    }
    return code;
}

bool
mask_holds(const struct mask *mask, struct str bytes)
{
    for (uint32_t i = 0; i < mask->count; i++) {
        if (str_find(bytes, mask->needle[i]) != SIZE_MAX)
            return true;
    }
    return false;
}

/* ---- streams --------------------------------------------------------------------------------- */

struct work {
    struct str bytes;
    struct buf *out;
    bool copied; /* bytes are out's */
    bool failed;
};

static void
hide(struct work *work, size_t at, size_t count)
{
    if (!work->copied) {
        work->out->len = 0;
        if (buf_put_str(work->out, work->bytes) != 0) {
            work->failed = true;
            return;
        }
        work->bytes = buf_str(work->out);
        work->copied = true;
    }
    ASSERT(at + count <= work->out->len);
    memset(work->out->ptr + at, '*', count);
}

static void
hide_whole(const struct mask *mask, struct work *work)
{
    for (uint32_t i = 0; i < mask->count; i++) {
        size_t from = 0;
        size_t at;
        while (!work->failed &&
               (at = str_find(str_skip(work->bytes, from), mask->needle[i])) != SIZE_MAX) {
            hide(work, from + at, mask->needle[i].len);
            from += at + mask->needle[i].len;
        }
    }
}

static size_t
common(struct str a, struct str b)
{
    size_t count = MIN(a.len, b.len);
    size_t i = 0;
    while (i < count && a.ptr[i] == b.ptr[i])
        i++;
    return i;
}

/* Goes on with what may be `length` bytes of the key: the whole segment does, or the key ends. */
static size_t
goes_on(const struct mask *mask, struct str segment, size_t length)
{
    size_t count = common(segment, str_skip(mask->key, length));
    return count > 0 && (count == segment.len || length + count == mask->key.len) ? count : 0;
}

/* A segment is what stands between two quotes, so every text of the answer is one. */
static void
look(const struct mask *mask, const struct mask_run *before, struct mask_run *after,
     struct work *work, size_t at, size_t count)
{
    struct str segment = str_make(work->bytes.ptr + at, count);
    size_t more = before->sure > 0 ? goes_on(mask, segment, before->sure) : 0;
    size_t sure = before->sure + more;
    size_t begin = at;
    for (uint32_t n = 1; more == 0 && before->lengths != 0 && n < MASK_RUN; n++) {
        if ((before->lengths & (1u << n)) == 0)
            continue;
        size_t next = goes_on(mask, segment, n);
        if (next > 0 && n + next < MASK_RUN)
            after->lengths |= 1u << (n + next);
        else if (next > 0) {
            more = next;
            sure = n + next;
        }
    }
    size_t window = MIN(count, mask->key.len - 1);
    const char *end = segment.ptr + count;
    for (const char *c = end - window; more == 0 && c < end; c++) {
        c = memchr(c, mask->key.ptr[0], (size_t)(end - c));
        if (c == NULL)
            break;
        size_t length = (size_t)(end - c);
        if (memcmp(c, mask->key.ptr, length) != 0)
            continue;
        if (length < MASK_RUN) {
            after->lengths |= 1u << length;
            continue;
        }
        begin = at + (size_t)(c - segment.ptr);
        more = length;
        sure = length;
    }
    if (more > 0) {
        hide(work, begin, more);
        after->sure = sure < mask->key.len ? sure : 0;
    }
}

static void
hide_pieces(const struct mask *mask, struct mask_run *run, struct work *work, bool token)
{
    struct mask_run after = {0};
    size_t from = 0;
    while (!work->failed) {
        size_t count = str_find_byte(str_skip(work->bytes, from), '"');
        if (count == SIZE_MAX)
            break;
        if (count > 0)
            look(mask, run, &after, work, from, count);
        from += count + 1;
    }
    if (!token) {
        after.lengths |= run->lengths;
        after.sure = after.sure > 0 ? after.sure : run->sure;
    }
    *run = after;
}

struct str
mask_stream(const struct mask *mask, struct mask_run *run, struct str bytes, bool token,
            struct buf *out)
{
    struct work work = {.bytes = bytes, .out = out, .copied = out->ptr == bytes.ptr};
    if (mask->count == 0 || bytes.len == 0)
        return bytes;
    hide_whole(mask, &work);
    if (mask->key.len >= MASK_RUN_KEY_MIN)
        hide_pieces(mask, run, &work, token);
    return work.failed ? STR_EMPTY : work.bytes;
}
