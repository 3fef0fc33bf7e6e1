/* SPDX-License-Identifier: MIT
 * usage_list.c - the list of records in an upload: cut out of its line, and with the members that
 *                its records name written out.
 * Floor: controlplane/push; engine thread.
 * Owns: nothing.
 * Invariant: what comes out is posted only after the checks that a list without names has to pass,
 *            so a name that is misread can only be refused. usage_list_test.c, records_fuzz.c. */
#include "controlplane/push/push_int.h"

#include "lib/base/err.h"

#define TEXTS_MAX 4096u
#define HEAD_BYTES_MAX ((size_t)256)       /* in front of the list */
#define TAIL_BYTES_MAX ((size_t)32 * 1024) /* behind it */

/* What stands between the braces of text `place`, with a comma before it. */
static int
text_put(const struct str *texts, size_t count, uint64_t place, struct buf *out, struct err *err)
{
    if (place >= count)
        return err_set(err, ERR_PARSE, "a usage record names a text that is not there");
    struct str text = texts[place];
    if (text.len > 2) {
        (void)buf_put_byte(out, ',');
        (void)buf_put(out, text.ptr + 1, text.len - 2);
    }
    return 0;
}

/* "0,2]" in front of *rest: those texts. */
static int
names_put(struct str *rest, const struct str *texts, size_t count, struct buf *out, struct err *err)
{
    for (;;) {
        uint64_t place = 0;
        size_t digits = 0;
        while (digits < rest->len && rest->ptr[digits] >= '0' && rest->ptr[digits] <= '9' &&
               digits < 5)
            place = place * 10 + (uint64_t)(rest->ptr[digits++] - '0');
        bool last = digits < rest->len && rest->ptr[digits] == ']';
        if (digits == 0 || digits == rest->len || (!last && rest->ptr[digits] != ','))
            return err_set(err, ERR_PARSE, "a usage record names its texts in no good list");
        int r = text_put(texts, count, place, out, err);
        *rest = str_skip(*rest, digits + 1);
        if (r < 0 || last)
            return r;
    }
}

static int
list_put(struct str list, const struct str *texts, size_t count, struct buf *out, struct err *err)
{
    const struct str name = STR(",\"texts\":[");
    /* In a string its quotes would have backslashes, so wherever it stands it is a member. */
    for (size_t bracket; (bracket = str_find_byte(list, '[')) != SIZE_MAX;) {
        struct str before = str_make(list.ptr, bracket + 1);
        bool named = str_ends(before, name);
        list = str_skip(list, bracket + 1);
        (void)buf_put(out, before.ptr, named ? before.len - name.len : before.len);
        int r = named ? names_put(&list, texts, count, out, err) : 0;
        if (r < 0)
            return r;
    }
    (void)buf_put_str(out, list);
    return 0;
}

int
usage_list_expand(const struct json_doc *doc, struct str list, struct arena *arena, struct buf *out,
                  struct err *err)
{
    uint32_t array = json_get(doc, 0, STR("texts"));
    uint32_t count = json_is(doc, array, JSON_ARRAY) ? json_count(doc, array) : 0;
    struct str *texts = arena_array(arena, count + 1u, sizeof *texts);
    if (count == 0 || count > TEXTS_MAX || !texts || !list.ptr)
        return err_set(err, ERR_PARSE, "usage with \"texts\" that are no list of objects");
    size_t at = 0;
    for (uint32_t text = json_first(doc, array); text != JSON_NONE;
         text = json_sibling(doc, array, text)) {
        if (!json_is(doc, text, JSON_OBJECT))
            return err_set(err, ERR_PARSE, "usage with \"texts\" that are no list of objects");
        texts[at++] = json_raw(doc, text);
    }
    out->len = 0;
    out->failed = false;
    (void)buf_put_byte(out, '[');
    int r = list_put(list, texts, count, out, err);
    (void)buf_put_byte(out, ']');
    if (r == 0 && out->failed)
        r = err_set(err, ERR_PARSE, "a list of usage records is too large");
    return r;
}

/* Where the list ends and the rest of the line begins. Only objects follow the bracket of a line's
 * `texts`, only numbers that of a record's. */
static size_t
list_end(struct str line)
{
    size_t from = line.len > TAIL_BYTES_MAX ? line.len - TAIL_BYTES_MAX : 0;
    size_t at = str_find(str_skip(line, from), STR("],\"texts\":[{"));
    return at != SIZE_MAX ? from + at : line.len - 2;
}

bool
usage_list_cut(struct str line, struct buf *head, struct str *ret_list)
{
    const struct str begin = STR("\"records\":[");
    if (!str_starts(line, STR("{\"type\":\"usage\",")) || !str_ends(line, STR("]}")))
        return false;
    size_t at = str_find(str_make(line.ptr, MIN(line.len, HEAD_BYTES_MAX)), begin);
    size_t end = list_end(line);
    if (at == SIZE_MAX || at + begin.len > end)
        return false;
    size_t size = at + begin.len;
    head->len = 0;
    (void)buf_put(head, line.ptr, size);
    if (buf_put(head, line.ptr + end, line.len - end) < 0)
        return false;
    *ret_list = str_make(line.ptr + size, end - size);
    return true;
}
