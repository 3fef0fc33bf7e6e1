/* SPDX-License-Identifier: MIT
 * multipart.c - parts of form data.
 * Floor: lib/text; any thread.
 * Owns: nothing.
 * Invariant: see multipart.h. */
#include "lib/text/multipart.h"

#include "lib/base/check.h"

#define DASHES STR("--")
#define CRLF STR("\r\n")

static bool
is_boundary(struct str text)
{
    static const struct str others = {"'()+_,-./:=? ", 13};
    if (text.len == 0 || text.len > MULTIPART_BOUNDARY_BYTES_MAX || text.ptr[text.len - 1] == ' ')
        return false;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        bool word = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        if (!word && str_find_byte(others, c) == SIZE_MAX)
            return false;
    }
    return true;
}

/* The next `; name=value` of a header field. Quotes are taken off, what is in them stays as it is.
 * false: nothing left, or *ret_bad. */
static bool
next_parameter(struct str *rest, struct str *ret_name, struct str *ret_value, bool *ret_bad)
{
    struct str s = str_trim(*rest);
    *ret_bad = s.len > 0;
    if (s.len == 0 || s.ptr[0] != ';')
        return false;
    s = str_trim(str_skip(s, 1));
    if (!str_cut(s, '=', ret_name, &s))
        return false;
    size_t end = 0;
    if (s.len > 0 && s.ptr[0] == '"') {
        for (end = 1; end < s.len && s.ptr[end] != '"'; end++)
            end += s.ptr[end] == '\\' ? 1 : 0;
        if (end >= s.len)
            return false;
        *ret_value = str_make(s.ptr + 1, end - 1);
        *rest = str_skip(s, end + 1);
    } else {
        end = str_find_byte(s, ';');
        *ret_value = str_trim(end == SIZE_MAX ? s : str_make(s.ptr, end));
        *rest = end == SIZE_MAX ? STR_EMPTY : str_skip(s, end);
    }
    *ret_bad = false;
    return true;
}

/* What stands before the parameters, and they themselves. */
static struct str
split_value(struct str value, struct str *ret_rest)
{
    size_t end = str_find_byte(value, ';');
    *ret_rest = end == SIZE_MAX ? STR_EMPTY : str_skip(value, end);
    return str_trim(end == SIZE_MAX ? value : str_make(value.ptr, end));
}

bool
multipart_boundary(struct str content_type, struct str *ret_boundary)
{
    struct str rest;
    struct str name;
    struct str value;
    struct str found = STR_EMPTY;
    bool bad = false;
    if (!str_eq_nocase(split_value(content_type, &rest), STR("multipart/form-data")))
        return false;
    while (next_parameter(&rest, &name, &value, &bad)) {
        if (!str_eq_nocase(name, STR("boundary")))
            continue;
        if (found.len > 0)
            return false;
        found = value;
    }
    if (bad || !is_boundary(found))
        return false;
    *ret_boundary = found;
    return true;
}

static bool
at_delimiter(const struct multipart *form, size_t at)
{
    struct str rest = str_skip(form->body, at);
    return str_starts(rest, DASHES) && str_starts(str_skip(rest, 2), form->boundary);
}

/* Behind a delimiter: a line end and a part, or two dashes and the end of the body. */
static int
after_delimiter(struct multipart *form, struct err *err)
{
    struct str rest = str_skip(form->body, form->at);
    if (str_starts(rest, CRLF)) {
        form->at += 2;
        return 0;
    }
    form->ended = true;
    if (str_eq(rest, DASHES) || str_eq(rest, STR("--\r\n")))
        return 0;
    return err_set(err, ERR_PARSE, "form data: bytes behind a delimiter");
}

int
multipart_open(struct multipart *form, struct str body, struct str boundary, struct err *err)
{
    ASSERT(boundary.len > 0 && boundary.len <= MULTIPART_BOUNDARY_BYTES_MAX);
    *form = (struct multipart){.body = body, .boundary = boundary};
    if (!at_delimiter(form, 0))
        return err_set(err, ERR_PARSE, "form data: the body does not begin with its boundary");
    form->at = 2 + boundary.len;
    return after_delimiter(form, err);
}

static bool
is_plain(struct str text)
{
    for (size_t i = 0; i < text.len; i++) {
        if ((unsigned char)text.ptr[i] < 0x20 || text.ptr[i] == 0x7f)
            return false;
    }
    return true;
}

static int
read_disposition(struct str value, struct multipart_part *part, struct err *err)
{
    struct str rest;
    struct str name;
    struct str text;
    bool bad = false;
    if (part->name.len > 0 || !str_eq_nocase(split_value(value, &rest), STR("form-data")))
        return err_set(err, ERR_PARSE, "form data: a part needs one disposition form-data");
    while (next_parameter(&rest, &name, &text, &bad)) {
        bool is_name = str_eq_nocase(name, STR("name"));
        if (!is_name && !str_eq_nocase(name, STR("filename"))) {
            /* the same name in another encoding, and what nobody knows */
            part->file = part->file || str_eq_nocase(name, STR("filename*"));
            continue;
        }
        if ((is_name ? part->name.len > 0 : part->file_name.len > 0) ||
            (is_name && str_find_byte(text, '\\') != SIZE_MAX))
            return err_set(err, ERR_PARSE, "form data: a part's name is not plain");
        if (is_name)
            part->name = text;
        else
            part->file_name = text;
        part->file = part->file || !is_name;
    }
    if (bad || part->name.len == 0)
        return err_set(err, ERR_PARSE, "form data: a part has no name");
    return 0;
}

static int
read_line(struct str line, struct multipart_part *part, struct err *err)
{
    struct str name;
    struct str value;
    if (!str_cut(line, ':', &name, &value) || name.len == 0 || !is_plain(line))
        return err_set(err, ERR_PARSE, "form data: a part's header is not one");
    value = str_trim(value);
    if (str_eq_nocase(name, STR("content-disposition")))
        return read_disposition(value, part, err);
    if (str_eq_nocase(name, STR("content-type")))
        part->type = value;
    if (str_eq_nocase(name, STR("content-transfer-encoding")) &&
        !str_eq_nocase(value, STR("binary")) && !str_eq_nocase(value, STR("8bit")) &&
        !str_eq_nocase(value, STR("7bit")))
        return err_set(err, ERR_UNSUPPORTED, "form data: transfer encodings are not supported");
    return 0;
}

static int
read_head(struct multipart *form, struct multipart_part *part, struct err *err)
{
    for (uint32_t i = 0;; i++) {
        struct str rest = str_skip(form->body, form->at);
        struct str window = str_make(rest.ptr, MIN(rest.len, MULTIPART_LINE_BYTES_MAX + 2u));
        size_t end = str_find(window, CRLF);
        if (end == SIZE_MAX || i > MULTIPART_LINES_MAX)
            return err_set(err, rest.len > window.len ? ERR_TOO_LARGE : ERR_PARSE,
                           "form data: a part's header is too long, or does not end");
        form->at += end + 2;
        if (end == 0)
            break;
        int rc = read_line(str_make(rest.ptr, end), part, err);
        if (rc != 0)
            return rc;
    }
    return part->name.len > 0 ? 0 : err_set(err, ERR_PARSE, "form data: a part has no name");
}

int
multipart_next(struct multipart *form, struct multipart_part *ret_part, struct err *err)
{
    struct multipart_part part = {
        .name = STR_EMPTY, .file_name = STR_EMPTY, .type = STR_EMPTY, .content = STR_EMPTY};
    char needle[MULTIPART_BOUNDARY_BYTES_MAX + 4];
    if (form->ended)
        return -ERR_NOT_FOUND;
    if (form->count == MULTIPART_PARTS_MAX)
        return err_set(err, ERR_TOO_LARGE, "form data: more than %u parts", MULTIPART_PARTS_MAX);
    int rc = read_head(form, &part, err);
    if (rc != 0)
        return rc;
    memcpy(needle, "\r\n--", 4);
    memcpy(needle + 4, form->boundary.ptr, form->boundary.len);
    size_t size = 4 + form->boundary.len;
    struct str rest = str_skip(form->body, form->at);
    size_t end = str_find(rest, str_make(needle, size));
    if (end == SIZE_MAX)
        return err_set(err, ERR_PARSE, "form data: the last part does not end");
    part.content = str_make(rest.ptr, end);
    form->at += end + size;
    form->count++;
    rc = after_delimiter(form, err);
    if (rc == 0)
        *ret_part = part;
    return rc;
}
