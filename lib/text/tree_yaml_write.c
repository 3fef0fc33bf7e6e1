/* SPDX-License-Identifier: MIT
 * tree_yaml_write.c - a tree as block-style YAML.
 * Floor: lib/text; one thread at a time.
 * Owns: nothing.
 * Invariant: what is written reads back as the same tree (within the reader's caps), here and in
 * YAML 1.1 readers. Proved by tree_test.c and tree_fuzz.c. */
#include "lib/text/tree.h"

#include "lib/base/check.h"
#include "lib/text/tree_int.h"
#include "lib/text/utf8.h"

/* libyaml looks for the ':' of a key in 1,024 characters; longer keys are written behind a '?'. */
#define KEY_BYTES_MAX 128u

static bool
is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* The digits at *at; false when there are none. */
static bool
take_digits(struct str s, size_t *at)
{
    size_t start = *at;
    while (*at < s.len && is_digit(s.ptr[*at])) {
        (*at)++;
    }
    return *at > start;
}

static bool
is_number(struct str s)
{
    size_t at = s.len > 0 && s.ptr[0] == '-';
    size_t first = at;
    if (!take_digits(s, &at) || (s.ptr[first] == '0' && at - first > 1)) {
        return false;
    }
    if (at < s.len && s.ptr[at] == '.') {
        at++;
        if (!take_digits(s, &at)) {
            return false;
        }
    }
    if (at < s.len && (s.ptr[at] == 'e' || s.ptr[at] == 'E')) {
        at++;
        at += at < s.len && (s.ptr[at] == '+' || s.ptr[at] == '-');
        if (!take_digits(s, &at)) {
            return false;
        }
    }
    return at == s.len;
}

enum tree_kind
tree_plain_kind(struct str text)
{
    if (text.len == 0 || str_eq(text, STR("~")) || str_eq(text, STR("null"))) {
        return TREE_NULL;
    }
    if (str_eq(text, STR("true")) || str_eq(text, STR("false"))) {
        return TREE_BOOL;
    }
    return is_number(text) ? TREE_NUMBER : TREE_STRING;
}

/* ---- strings --------------------------------------------------------------------------------- */

static bool
is_letter(char c)
{
    char lower = (char)(c | 0x20);
    return lower >= 'a' && lower <= 'z';
}

/* Words that some YAML reader takes for something else than a string. */
static bool
is_word_of_yaml(struct str s)
{
    static const char *const words[] = {"y",   "n",    "yes",   "no",  "on",
                                        "off", "true", "false", "null"};
    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        if (str_eq_nocase(s, str_from(words[i]))) {
            return true;
        }
    }
    return false;
}

/* Plain only when nothing can be meant by it but this string; everything else is quoted. */
static bool
is_plain(struct str s)
{
    if (s.len == 0 || !(is_letter(s.ptr[0]) || s.ptr[0] == '_' || s.ptr[0] == '/') ||
        s.ptr[s.len - 1] == ' ' || s.ptr[s.len - 1] == ':' || is_word_of_yaml(s)) {
        return false;
    }
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];
        if (!is_letter(c) && !is_digit(c) && (c == '\0' || !strchr("_-./@+=:()%$;,'~ ", c))) {
            return false;
        }
        if (c == ' ' && s.ptr[i - 1] == ':') {
            return false;
        }
    }
    return true;
}

/* Characters that libyaml refuses or folds, and invisible ones that would fool a reader. */
static bool
must_escape(uint32_t code)
{
    return code < 0x20 || (code >= 0x7f && code <= 0x9f) || (code >= 0x200b && code <= 0x200f) ||
           (code >= 0x2028 && code <= 0x202e) || (code >= 0x2060 && code <= 0x2069) ||
           code == 0xfeff || code == 0xfffe || code == 0xffff;
}

static void
put_quoted(struct buf *out, struct str s)
{
    buf_put_byte(out, '"');
    while (s.len > 0) {
        uint32_t code = 0;
        size_t size = utf8_decode(s, &code);
        if (size == 0) {
            buf_put_str(out, STR("\xef\xbf\xbd"));
            size = 1;
        } else if (code == '"' || code == '\\') {
            buf_put_byte(out, '\\');
            buf_put_byte(out, (char)code);
        } else if (code == '\n') {
            buf_put_str(out, STR("\\n"));
        } else if (code == '\t') {
            buf_put_str(out, STR("\\t"));
        } else if (must_escape(code)) {
            buf_printf(out, "\\u%04X", code);
        } else {
            buf_put(out, s.ptr, size);
        }
        s = str_skip(s, size);
    }
    buf_put_byte(out, '"');
}

/* Several lines that a literal block gives back exactly: no blank before the text, at most one
 * newline behind it, nothing to escape. */
static bool
is_literal(struct str s)
{
    if (str_find_byte(s, '\n') == SIZE_MAX || strchr(" \n\t", s.ptr[0]) != NULL ||
        str_ends(s, STR("\n\n"))) {
        return false;
    }
    while (s.len > 0) {
        uint32_t code = 0;
        size_t size = utf8_decode(s, &code);
        if (size == 0 || (must_escape(code) && code != '\n' && code != '\t')) {
            return false;
        }
        s = str_skip(s, size);
    }
    return true;
}

static void
put_indent(struct buf *out, uint32_t levels)
{
    for (uint32_t i = 0; i < levels; i++) {
        buf_put(out, "  ", 2);
    }
}

static void
put_literal(struct buf *out, struct str s, uint32_t levels)
{
    buf_put_byte(out, '|');
    if (s.ptr[s.len - 1] == '\n') {
        s.len--;
    } else {
        buf_put_byte(out, '-');
    }
    bool more;
    do {
        struct str line;
        more = str_cut(s, '\n', &line, &s);
        buf_put_byte(out, '\n');
        if (line.len > 0) {
            put_indent(out, levels);
            buf_put_str(out, line);
        }
    } while (more);
}

static void
put_string(struct buf *out, struct str s)
{
    if (is_plain(s)) {
        buf_put_str(out, s);
    } else {
        put_quoted(out, s);
    }
}

/* levels: indentation of a literal block's lines. */
static void
put_scalar(struct buf *out, const struct tree *tree, uint32_t levels)
{
    switch (tree->kind) {
    case TREE_NULL:
        buf_put_str(out, STR("null"));
        break;
    case TREE_BOOL:
    case TREE_NUMBER:
        buf_put_str(out, tree->text);
        break;
    case TREE_STRING:
        if (is_literal(tree->text)) {
            put_literal(out, tree->text, levels);
        } else {
            put_string(out, tree->text);
        }
        break;
    case TREE_LIST:
        buf_put_str(out, STR("[]"));
        break;
    case TREE_MAP:
        buf_put_str(out, STR("{}"));
        break;
    }
}

static void
put_key(struct buf *out, struct str key, uint32_t levels)
{
    bool longer = key.len > KEY_BYTES_MAX;
    buf_put_str(out, longer ? STR("? ") : STR_EMPTY);
    put_string(out, key);
    if (longer) {
        buf_put_byte(out, '\n');
        put_indent(out, levels);
    }
    buf_put_byte(out, ':');
}

int
tree_to_yaml(const struct tree *root, struct buf *out)
{
    const struct tree *open[TREE_DEPTH_MAX];
    uint32_t depth = 0;
    bool same_line = true; /* the next node goes on behind the root's start or a "- " */
    for (const struct tree *at = root; at != NULL;) {
        const struct tree *parent = at != root ? open[depth - 1] : NULL;
        if (!same_line) {
            buf_put_byte(out, '\n');
            put_indent(out, depth - 1);
        }
        if (parent != NULL && parent->kind == TREE_MAP) {
            put_key(out, at->key, depth - 1);
        } else if (parent != NULL) {
            buf_put(out, "- ", 2);
        }
        same_line = parent == NULL || parent->kind == TREE_LIST;
        if (at->first != NULL) {
            if (depth == TREE_DEPTH_MAX) {
                return -ERR_DEPTH;
            }
            open[depth++] = at;
            at = at->first;
            continue;
        }
        buf_put_str(out, same_line ? STR_EMPTY : STR(" "));
        put_scalar(out, at, MAX(depth, 1u));
        same_line = false;
        while (at != root && at->next == NULL) {
            at = open[--depth];
        }
        at = at != root ? at->next : NULL;
    }
    buf_put_byte(out, '\n');
    return out->failed ? -ERR_TOO_LARGE : 0;
}
