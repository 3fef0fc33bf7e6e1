/* SPDX-License-Identifier: MIT
 * sse.c - the reader finds the end of a block first, then reads its fields; the writer.
 * Floor: lib/text; one thread at a time.
 * Owns: the held tail of an incomplete event.
 * Invariant: each byte is looked at once to find the end and once to read the fields, and is copied
 *            once at most, however it is fed. Proved by sse_test.c and sse_fuzz.c. */
#include "lib/text/sse.h"

#include "lib/base/check.h"
#include "lib/text/skip.h"

#define BOM STR("\xef\xbb\xbf")
#define BOM_OVER 4u

void
sse_init(struct sse_parser *parser, size_t event_bytes_max)
{
    size_t max = event_bytes_max != 0 ? event_bytes_max : SSE_EVENT_BYTES_MAX;
    *parser = (struct sse_parser){
        .input = STR_EMPTY,
        .event_bytes_max = max,
        .first = true,
    };
    buf_init(&parser->held, max);
    buf_init(&parser->joined, max);
}

void
sse_fini(struct sse_parser *parser)
{
    if (parser == NULL) {
        return;
    }
    buf_fini(&parser->held);
    buf_fini(&parser->joined);
    parser->input = STR_EMPTY;
}

void
sse_feed(struct sse_parser *parser, struct str bytes)
{
    ASSERT(parser->input.len == 0 || parser->failure != 0);
    parser->input = bytes;
}

/* The byte order mark at the start of the stream is no part of its first line. */
static bool
take_bom(struct sse_parser *parser, char c)
{
    if (parser->bom_bytes < BOM.len && c == BOM.ptr[parser->bom_bytes]) {
        parser->bom_bytes++;
        return true;
    }
    if (parser->bom_bytes > 0 && parser->bom_bytes < BOM.len) {
        parser->line_begun = true;
    }
    parser->bom_bytes = BOM_OVER;
    return false;
}

/* Go over the input up to the end of the block. true: it ends before *ret_end (which may be 0: a CR
 * that was held turned out to end it). false: all input was taken into the state. */
static bool
find_end(struct sse_parser *parser, size_t *ret_end)
{
    const char *at = parser->input.ptr;
    const char *end = at + parser->input.len;
    bool blank = false;
    while (at < end && !blank) {
        if (UNLIKELY(parser->bom_bytes < BOM_OVER) && take_bom(parser, *at)) {
            at++;
            continue;
        }
        bool swallow = parser->may_swallow;
        parser->may_swallow = false;
        if (parser->open_cr) {
            parser->open_cr = false;
            parser->last_cr = *at != '\n';
            at += *at == '\n';
        } else if (*at == '\n') {
            at++;
            parser->last_cr = false;
            if (swallow) {
                continue;
            }
        } else if (*at == '\r') {
            at++;
            parser->open_cr = parser->line_begun || !parser->last_cr;
            if (parser->open_cr) {
                continue;
            }
            parser->may_swallow = true;
        } else {
            parser->line_begun = true;
            at = skip_line(at, end);
            continue;
        }
        blank = !parser->line_begun;
        parser->line_begun = false;
    }
    *ret_end = (size_t)(at - parser->input.ptr);
    return blank;
}

/* The line at the front of *rest, without its end; *rest goes behind it. */
static struct str
take_line(struct str *rest)
{
    const char *end = rest->ptr + rest->len;
    const char *stop = skip_line(rest->ptr, end);
    struct str line = str_make(rest->ptr, (size_t)(stop - rest->ptr));
    if (stop < end) {
        stop += *stop == '\r' && stop + 1 < end && stop[1] == '\n' ? 2 : 1;
    }
    *rest = str_make(stop, (size_t)(end - stop));
    return line;
}

/* One more data line: the first stays where it is, the second moves both into the joined buffer. */
static int
add_data(struct sse_parser *parser, struct sse_event *event, struct str value)
{
    if (!event->has_data) {
        event->has_data = true;
        event->data = value;
        return 0;
    }
    int rc = 0;
    if (parser->joined.len == 0) {
        rc = buf_put_str(&parser->joined, event->data);
    }
    if (rc == 0) {
        rc = buf_put_byte(&parser->joined, '\n');
    }
    if (rc == 0) {
        rc = buf_put_str(&parser->joined, value);
    }
    event->data = buf_str(&parser->joined);
    return rc;
}

static int
read_fields(struct sse_parser *parser, struct str raw, struct sse_event *ret_event)
{
    struct sse_event event = {.raw = raw, .name = STR_EMPTY, .data = STR_EMPTY};
    struct str rest = raw;
    if (parser->first && str_starts(rest, BOM)) {
        rest = str_skip(rest, BOM.len);
    }
    parser->first = false;
    parser->joined.len = 0;
    while (rest.len > 0) {
        struct str line = take_line(&rest);
        struct str field;
        struct str value;
        (void)str_cut(line, ':', &field, &value);
        if (value.len > 0 && value.ptr[0] == ' ') {
            value = str_skip(value, 1);
        }
        if (str_eq(field, STR("data"))) {
            int rc = add_data(parser, &event, value);
            if (rc != 0) {
                return rc;
            }
        } else if (str_eq(field, STR("event"))) {
            event.name = value;
        }
    }
    *ret_event = event;
    return 0;
}

static int
parser_fail(struct sse_parser *parser, int rc)
{
    parser->failure = rc;
    parser->input = STR_EMPTY;
    return rc;
}

int
sse_next(struct sse_parser *parser, struct sse_event *ret_event)
{
    if (parser->failure != 0) {
        return parser->failure;
    }
    if (parser->spent) {
        parser->held.len = 0;
        parser->spent = false;
    }
    size_t end;
    bool found = find_end(parser, &end);
    if (parser->held.len + end > parser->event_bytes_max) {
        return parser_fail(parser, -ERR_TOO_LARGE);
    }
    struct str raw = str_make(parser->input.ptr, end);
    if (parser->held.len > 0 || !found) {
        int rc = buf_put_str(&parser->held, raw);
        if (rc != 0) {
            return parser_fail(parser, rc);
        }
        raw = buf_str(&parser->held);
        parser->spent = found;
    }
    parser->input = str_skip(parser->input, end);
    if (!found) {
        return -ERR_AGAIN;
    }
    int rc = read_fields(parser, raw, ret_event);
    return rc == 0 ? 0 : parser_fail(parser, rc);
}

struct str
sse_tail(const struct sse_parser *parser)
{
    return parser->spent ? STR_EMPTY : buf_str(&parser->held);
}

/* ---- writing --------------------------------------------------------------------------------- */

/* `lead` and one line of text, for each line of text (one when it is empty). */
static void
put_lines(struct buf *out, struct str lead, struct str text)
{
    bool more;
    do {
        const char *end = text.ptr + text.len;
        size_t before = text.len;
        struct str line = take_line(&text);
        more = line.len < before && (text.len > 0 || end[-1] == '\n' || end[-1] == '\r');
        buf_put_str(out, lead);
        buf_put_str(out, line);
        buf_put_byte(out, '\n');
    } while (more);
}

/* Finish a block that began at `start`, or take all of it back. */
static int
put_end(struct buf *out, size_t start)
{
    int rc = buf_put_byte(out, '\n');
    if (out->failed) {
        out->len = start;
        rc = rc != 0 ? rc : -ERR_TOO_LARGE;
    }
    return rc;
}

int
sse_put(struct buf *out, struct str name, struct str data)
{
    if (str_find_byte(name, '\n') != SIZE_MAX || str_find_byte(name, '\r') != SIZE_MAX) {
        return -ERR_INVALID;
    }
    size_t start = out->len;
    if (name.len > 0) {
        buf_put_str(out, STR("event: "));
        buf_put_str(out, name);
        buf_put_byte(out, '\n');
    }
    put_lines(out, STR("data: "), data);
    return put_end(out, start);
}

int
sse_put_comment(struct buf *out, struct str text)
{
    size_t start = out->len;
    put_lines(out, STR(": "), text);
    return put_end(out, start);
}
