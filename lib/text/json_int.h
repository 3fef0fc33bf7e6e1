/* SPDX-License-Identifier: MIT
 * json_int.h - what the files of the JSON scanner share.
 * Floor: lib/text, private.
 * Owns: nothing.
 * Invariant: json_unescape* are called with string content that the scanner has accepted. */
#ifndef BERTH_LIB_TEXT_JSON_INT_H
#define BERTH_LIB_TEXT_JSON_INT_H

#include "lib/text/json.h"
#include "lib/text/skip.h"
#include "lib/text/skip_block.h"

/* Content of a string node: the raw text without its quotes. */
static inline struct str
json_content(const char *text, const struct json_node *node)
{
    return str_make(text + node->start + 1, node->end - node->start - 2);
}
/* Are a[size] and b[size] equal: a name is too short to be worth a call. */
static inline bool
json_name_eq(const char *a, const char *b, size_t size)
{
    uint64_t head[2];
    uint64_t tail[2];
    uint32_t few[4];
    if (size > 16) {
        return a[0] == b[0] && memcmp(a, b, size) == 0;
    }
    if (size < 4) {
        return size == 0 ||
               (a[0] == b[0] && a[size / 2] == b[size / 2] && a[size - 1] == b[size - 1]);
    }
    if (size < 8) {
        memcpy(&few[0], a, 4);
        memcpy(&few[1], b, 4);
        memcpy(&few[2], a + size - 4, 4);
        memcpy(&few[3], b + size - 4, 4);
        return few[0] == few[1] && few[2] == few[3];
    }
    memcpy(&head[0], a, 8);
    memcpy(&head[1], b, 8);
    memcpy(&tail[0], a + size - 8, 8);
    memcpy(&tail[1], b + size - 8, 8);
    return head[0] == head[1] && tail[0] == tail[1];
}
/* json_unescape_one - decode the escape at s->ptr[0] == '\\' into out[4], step over it; 1..4 bytes.
 */
size_t json_unescape_one(struct str *s, char out[4]);
/* json_unescape - whole content into out[content.len]; returns the length, <= content.len. */
size_t json_unescape(struct str content, char *out);

/* A key's length with its quotes (of a plain one), first and last byte (a quote for the empty key):
 * they tell nearly all keys of an object apart. */
static inline uint32_t
json_key_tag(const char *text, const struct json_node *key)
{
    return (key->end - key->start) << 16 | (uint32_t)(unsigned char)text[key->start + 1] << 8 |
           (unsigned char)text[key->end - 2];
}
/* One of 64 bits for a tag. */
static inline uint64_t
json_tag_bit(uint32_t tag)
{
    return (uint64_t)1 << (tag * 0x9e3779b1u >> 26);
}
/* json_keys_differ - the keys of a just closed object surely differ: all are plain, each tag has a
 * bit of its own. false says nothing; then ask json_unique_check. */
static inline bool
json_keys_differ(const char *text, const struct json_node *nodes, uint32_t object)
{
    uint64_t filter = 0;
    for (uint32_t key = object + 1; key < nodes[object].next; key = nodes[key + 1].next) {
        uint64_t bit = json_tag_bit(json_key_tag(text, &nodes[key]));
        if (UNLIKELY(nodes[key].escaped || (filter & bit) != 0)) {
            return false;
        }
        filter |= bit;
    }
    return true;
}

/* json_unique_check - the keys of a just closed object (its subtree ends at doc->node_count) differ
 * after unescaping. 0; -ERR_DUPLICATE with the later key's node in *ret_key; -ERR_NOMEM. */
int json_unique_check(const struct json_doc *doc, uint32_t object, uint32_t *ret_key) MUST_USE;
/* json_key_path - append the path of key node `key` of `object`, as in `messages[2].role`. All
 * ancestors of `object` are still open: their `next` is their own parent, or JSON_NONE. */
void json_key_path(const struct json_doc *doc, uint32_t parent, uint32_t object, uint32_t key,
                   struct buf *out);

/* ---- the scan and its tokens ----------------------------------------------------------------- */

/* What rc says when the scan with marks gives up: nothing, the plain one decides. */
#define JSON_AGAIN 1

struct json_scan {
    const char *base;
    const char *end;
    struct json_doc *doc;
    bool unique;
    bool hasty; /* no messages: whatever is wrong, the plain scan will say it */
    uint32_t depth_max;
    uint32_t node_count_max;
    skip_string_fn skip_string;
    struct err *err;
    int rc; /* set where a step returns NULL */
};

/* json_scan_plain - json_scan without json_marks.h, as on any CPU: the law for the test of both. */
int json_scan_plain(struct json_doc *doc, struct str text, const struct json_limits *limits,
                    struct err *err) MUST_USE;
/* json_walk - the scan with marks (json_marks_usable, less than JSON_MARKS_BYTES_MAX bytes, at
 * least one). 0; JSON_AGAIN: nothing is known; -ERR_NOMEM. */
int json_walk(struct json_scan *s, uint32_t *ret_count) MUST_USE;
/* json_nodes_grow - room for more than count nodes, of which the last one is about what stands at
 * `at`. false: s->rc is set. */
bool json_nodes_grow(struct json_scan *s, uint32_t count, const char *at);
/* json_scan_fail - set the message with byte offset, line and column. Returns NULL. */
const char *json_scan_fail(struct json_scan *s, enum err_code code, const char *at,
                           const char *what) COLD;
/* json_space_end - behind the white space at `at`, or end. */
const char *json_space_end(const char *at, const char *end);
static INLINE bool
json_is_space(char c)
{
    return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}
/* json_skip_space - the same, where there is most likely none. */
static INLINE const char *
json_skip_space(const char *at, const char *end)
{
    return LIKELY(at < end && (unsigned char)*at > ' ') ? at : json_space_end(at, end);
}
/* The next three return the place behind (of a string: its closing quote), or NULL with s->rc set.
 * json_string_rest - of the string that opens at `quote` and is plain up to `at`. */
const char *json_string_rest(struct json_scan *s, const char *quote, const char *at,
                             bool *ret_escaped);
/* json_number_end - RFC 8259 section 6; what stands behind the number is judged by the caller. */
const char *json_number_end(struct json_scan *s, const char *start);
/* json_number_quick - the same, where it is most likely a count. */
static INLINE const char *
json_number_quick(struct json_scan *s, const char *at)
{
    /* up to 16 digits and nothing of a fraction behind them */
    size_t digits = s->end - at > 16 ? skip_block_run(skip_block_not_digits(at)) : 0;
    const char *behind = at + digits;
    bool count = digits == 1 || (digits > 1 && digits < 16 && *at != '0');
    return count && *behind != '.' && (*behind | 0x20) != 'e' ? behind : json_number_end(s, at);
}
/* json_literal_end - of true, false, null. */
const char *json_literal_end(struct json_scan *s, const char *at, enum json_kind *ret_kind);
/* json_unicode_end - behind the escape \u, or the pair of them, whose backslash is at `at`; NULL
 * when it is none, or half a pair. */
const char *json_unicode_end(const char *at, const char *end);

#endif
