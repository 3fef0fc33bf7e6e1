/* SPDX-License-Identifier: MIT
 * json_int.h - what the files of the JSON scanner share.
 * Floor: lib/text, private.
 * Owns: nothing.
 * Invariant: json_unescape* are called with string content that the scanner has accepted. */
#ifndef BERTH_LIB_TEXT_JSON_INT_H
#define BERTH_LIB_TEXT_JSON_INT_H

#include "lib/text/json.h"

/* Content of a string node: the raw text without its quotes. */
static inline struct str
json_content(const char *text, const struct json_node *node)
{
    return str_make(text + node->start + 1, node->end - node->start - 2);
}
/* json_unescape_one - decode the escape at s->ptr[0] == '\\' into out[4], step over it; 1..4 bytes.
 */
size_t json_unescape_one(struct str *s, char out[4]);
/* json_unescape - whole content into out[content.len]; returns the length, <= content.len. */
size_t json_unescape(struct str content, char *out);

/* json_unique_check - the keys of a just closed object (its subtree ends at doc->node_count) differ
 * after unescaping. 0; -ERR_DUPLICATE with the later key's node in *ret_key; -ERR_NOMEM. */
int json_unique_check(const struct json_doc *doc, uint32_t object, uint32_t *ret_key) MUST_USE;
/* json_key_path - append the path of key node `key` of `object`, as in `messages[2].role`. All
 * ancestors of `object` are still open: their `next` is their own parent, or JSON_NONE. */
void json_key_path(const struct json_doc *doc, uint32_t parent, uint32_t object, uint32_t key,
                   struct buf *out);

#endif
