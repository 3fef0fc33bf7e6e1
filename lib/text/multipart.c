/* SPDX-License-Identifier: MIT
 * multipart.c - parts of form data.
 * Floor: lib/text; any thread.
 * Owns: nothing.
 * Invariant: see multipart.h. */
#include "lib/text/multipart.h"

#include "lib/base/check.h"

#define CRLF STR("\r\n")

enum multipart_state {
    AT_START, /* in the first delimiter */
    AT_DELIMITER_END,
    AT_LINE_FEED,
    AT_DASH,
    AT_HEAD,
    AT_CONTENT,
    AT_EPILOGUE, /* behind the last delimiter */
    AT_LAST_LINE_FEED,
    AT_END
};

static bool
is_alnum(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool
is_boundary(struct str text)
{
    static const struct str others = {"'()+_,-./:=? ", 13};
    if (text.len == 0 || text.len > MULTIPART_BOUNDARY_BYTES_MAX || text.ptr[text.len - 1] == ' ')
        return false;
    for (size_t i = 0; i < text.len; i++) {
        if (!is_alnum(text.ptr[i]) && str_find_byte(others, text.ptr[i]) == SIZE_MAX)
            return false;
    }
    return true;
}

/* A name in a header, RFC 9110 5.6.2: a reader that would find another one in it is of no use. */
static bool
is_token(struct str text)
{
    static const struct str others = {"!#$%&'*+-.^_`|~", 15};
    for (size_t i = 0; i < text.len; i++) {
        if (!is_alnum(text.ptr[i]) && str_find_byte(others, text.ptr[i]) == SIZE_MAX)
            return false;
    }
    return text.len > 0;
}

/* `name*`, `name*0`: the same in another encoding, or in pieces (RFC 2231). Some go by it. */
static bool
is_variant(struct str parameter, struct str name)
{
    return parameter.len > name.len && parameter.ptr[name.len] == '*' &&
           str_eq_nocase(str_make(parameter.ptr, name.len), name);
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
    if (!str_cut(s, '=', ret_name, &s) || !is_token(*ret_name))
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
        if (str_find_byte(*ret_value, '"') != SIZE_MAX)
            return false;
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
        bool same = str_eq_nocase(name, STR("boundary"));
        if ((same && found.len > 0) || is_variant(name, STR("boundary")))
            return false;
        if (same)
            found = value;
    }
    if (bad || !is_boundary(found))
        return false;
    *ret_boundary = found;
    return true;
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
            if (is_variant(name, STR("name")))
                return err_set(err, ERR_PARSE, "form data: a part's name is not plain");
            part->file = part->file || is_variant(name, STR("filename"));
            continue;
        }
        if ((is_name ? part->name.len > 0 : part->file_name.len > 0) ||
            (is_name && (text.len == 0 || str_find_byte(text, '\\') != SIZE_MAX)))
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
    if (!str_cut(line, ':', &name, &value) || !is_token(name) || !is_plain(line))
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

/* A line without its end is in form->line; the next one overwrites it, so what counts is copied. */
static int
end_line(struct multipart *form, struct err *err)
{
    struct multipart_part *part = &form->part;
    struct str line = str_make(form->line, form->line_len);
    bool named = part->name.len > 0;
    form->line_len = 0;
    int rc = read_line(line, part, err);
    if (rc == 0 && !named && part->name.len > 0) {
        memcpy(form->disposition, line.ptr, line.len);
        part->name.ptr = form->disposition + (part->name.ptr - line.ptr);
        if (part->file_name.len > 0)
            part->file_name.ptr = form->disposition + (part->file_name.ptr - line.ptr);
    }
    if (rc == 0 && part->type.len > 0 && part->type.ptr != form->type) {
        memcpy(form->type, part->type.ptr, part->type.len);
        part->type.ptr = form->type;
    }
    return rc;
}

/* One line of a header, or a piece of one. */
static int
read_head(struct multipart *form, struct str *input, enum multipart_event *ret_event,
          struct err *err)
{
    size_t end = str_find_byte(*input, '\n');
    size_t count = end == SIZE_MAX ? input->len : end + 1;
    if (count > sizeof(form->line) - form->line_len)
        return err_set(err, ERR_TOO_LARGE, "form data: a line of a part's header is too long");
    memcpy(form->line + form->line_len, input->ptr, count);
    form->line_len += count;
    *input = str_skip(*input, count);
    if (!str_ends(str_make(form->line, form->line_len), CRLF))
        return 0;
    form->line_len -= CRLF.len;
    if (form->line_count++ > MULTIPART_LINES_MAX)
        return err_set(err, ERR_PARSE, "form data: a part's header is too long");
    if (form->line_len > 0)
        return end_line(form, err);
    if (form->part.name.len == 0)
        return err_set(err, ERR_PARSE, "form data: a part has no name");
    form->state = AT_CONTENT;
    *ret_event = MULTIPART_PART;
    return 0;
}

/* The only carriage return of a delimiter is its first byte, so that what may begin one at the end
 * of the input begins at the last carriage return there. */
static size_t
delimiter_begin(const struct multipart *form, struct str input)
{
    size_t tail = MIN(input.len, form->delimiter_len - 1);
    const char *from = input.ptr + (input.len - tail);
    const char *at = tail > 0 ? memrchr(from, '\r', tail) : NULL;
    if (at == NULL)
        return input.len;
    size_t begin = (size_t)(at - input.ptr);
    return memcmp(at, form->delimiter, input.len - begin) == 0 ? begin : input.len;
}

static void
tell_data(struct multipart *form, struct str data, enum multipart_event *ret_event,
          struct str *ret_data)
{
    form->part.bytes += data.len;
    *ret_event = MULTIPART_DATA;
    *ret_data = data;
}

static void
read_content(struct multipart *form, struct str *input, enum multipart_event *ret_event,
             struct str *ret_data)
{
    struct str delimiter = str_make(form->delimiter, form->delimiter_len);
    if (form->matched == 0) {
        size_t end = str_find(*input, delimiter);
        if (end == SIZE_MAX)
            end = delimiter_begin(form, *input);
        if (end > 0) {
            tell_data(form, str_make(input->ptr, end), ret_event, ret_data);
            *input = str_skip(*input, end);
            return;
        }
    }
    while (input->len > 0 && form->matched < form->delimiter_len) {
        if (input->ptr[0] != form->delimiter[form->matched]) {
            /* It was content after all. */
            tell_data(form, str_make(form->delimiter, form->matched), ret_event, ret_data);
            form->matched = 0;
            return;
        }
        form->matched++;
        *input = str_skip(*input, 1);
    }
    if (form->matched < form->delimiter_len)
        return;
    form->matched = 0;
    form->count++;
    form->state = AT_DELIMITER_END;
    *ret_event = MULTIPART_PART_END;
}

static int
begin_part(struct multipart *form, struct err *err)
{
    if (form->count == MULTIPART_PARTS_MAX)
        return err_set(err, ERR_TOO_LARGE, "form data: more than %u parts", MULTIPART_PARTS_MAX);
    form->part =
        (struct multipart_part){.name = STR_EMPTY, .file_name = STR_EMPTY, .type = STR_EMPTY};
    form->line_count = 0;
    form->line_len = 0;
    form->state = AT_HEAD;
    return 0;
}

/* One byte of, or behind, a delimiter: a line end and a part, or two dashes and the end. */
static int
read_byte(struct multipart *form, char byte, struct err *err)
{
    static const struct {
        char want;
        uint8_t next;
    } steps[] = {[AT_LINE_FEED] = {'\n', AT_HEAD},
                 [AT_DASH] = {'-', AT_EPILOGUE},
                 [AT_EPILOGUE] = {'\r', AT_LAST_LINE_FEED},
                 [AT_LAST_LINE_FEED] = {'\n', AT_END},
                 [AT_END] = {0, AT_END}};
    if (form->state == AT_START) {
        if (byte != form->delimiter[form->matched++])
            return err_set(err, ERR_PARSE, "form data: the body does not begin with its boundary");
        if (form->matched == form->delimiter_len) {
            form->matched = 0;
            form->state = AT_DELIMITER_END;
        }
        return 0;
    }
    if (form->state == AT_DELIMITER_END && (byte == '\r' || byte == '-')) {
        form->state = byte == '\r' ? AT_LINE_FEED : AT_DASH;
        return 0;
    }
    if (form->state == AT_DELIMITER_END || form->state == AT_END || byte != steps[form->state].want)
        return err_set(err, ERR_PARSE, "form data: bytes behind a delimiter");
    form->state = steps[form->state].next;
    return form->state == AT_HEAD ? begin_part(form, err) : 0;
}

void
multipart_init(struct multipart *form, struct str boundary)
{
    ASSERT(boundary.len > 0 && boundary.len <= MULTIPART_BOUNDARY_BYTES_MAX);
    memset(form, 0, sizeof(*form));
    memcpy(form->delimiter, "\r\n--", 4);
    memcpy(form->delimiter + 4, boundary.ptr, boundary.len);
    form->delimiter_len = 4 + boundary.len;
    form->matched = CRLF.len;
}

int
multipart_next(struct multipart *form, struct str *input, enum multipart_event *ret_event,
               struct str *ret_data, struct err *err)
{
    *ret_event = MULTIPART_MORE;
    while (input->len > 0 && *ret_event == MULTIPART_MORE) {
        size_t before = input->len;
        int rc = 0;
        if (form->state == AT_CONTENT) {
            read_content(form, input, ret_event, ret_data);
        } else if (form->state == AT_HEAD) {
            rc = read_head(form, input, ret_event, err);
        } else {
            rc = read_byte(form, input->ptr[0], err);
            *input = str_skip(*input, 1);
        }
        if (rc != 0)
            return rc;
        form->at += before - input->len;
        if (*ret_event == MULTIPART_PART)
            form->part.start = form->at;
    }
    return 0;
}

int
multipart_end(const struct multipart *form, struct err *err)
{
    if (form->state == AT_EPILOGUE || form->state == AT_END)
        return 0;
    if (form->state == AT_START)
        return err_set(err, ERR_PARSE, "form data: the body does not begin with its boundary");
    if (form->state == AT_HEAD)
        return err_set(err, ERR_PARSE, "form data: a part's header does not end");
    return err_set(err, ERR_PARSE, "form data: the last part does not end");
}
