/* SPDX-License-Identifier: MIT
 * frames.c - server-sent events, lines of JSON, AWS event streams; events as one JSON array.
 * Floor: dataplane/dialect; one thread a stream.
 * Owns: see frames.h.
 * Invariant: see frames.h. */
#include "dataplane/dialect/frames.h"

#include <zlib.h>

#include "lib/base/err.h"

void
frames_init(struct frames *frames, enum stream_framing framing, size_t bytes_max)
{
    *frames = (struct frames){.framing = framing,
                              .bytes_max = bytes_max > 0 ? bytes_max : SSE_EVENT_BYTES_MAX,
                              .input = STR_EMPTY};
    if (framing == STREAM_SSE)
        sse_init(&frames->sse, bytes_max);
    else
        buf_init(&frames->held, frames->bytes_max);
}

void
frames_fini(struct frames *frames)
{
    if (frames->framing == STREAM_SSE)
        sse_fini(&frames->sse);
    else
        buf_fini(&frames->held);
}

void
frames_feed(struct frames *frames, struct str bytes)
{
    if (frames->framing == STREAM_SSE)
        sse_feed(&frames->sse, bytes);
    else
        frames->input = bytes;
}

static void
drop_spent(struct frames *frames)
{
    if (frames->spent)
        buf_consume(&frames->held, frames->held.len);
    frames->spent = false;
}

/* A line: from the input where it is whole there, else from what was held. */
static int
line_next(struct frames *frames, struct sse_event *ret_event)
{
    size_t end = str_find_byte(frames->input, '\n');
    size_t size = end == SIZE_MAX ? frames->input.len : end + 1;
    drop_spent(frames);
    if (frames->held.len + size > frames->bytes_max)
        return frames->failure = -ERR_TOO_LARGE;
    struct str line = str_make(frames->input.ptr, size);
    if (end == SIZE_MAX || frames->held.len > 0) {
        int rc = buf_put_str(&frames->held, line);
        if (rc < 0)
            return frames->failure = rc;
        line = buf_str(&frames->held);
    }
    frames->input = str_skip(frames->input, size);
    if (end == SIZE_MAX)
        return -ERR_AGAIN;
    frames->spent = frames->held.len > 0;
    ret_event->raw = line;
    ret_event->name = STR_EMPTY;
    ret_event->data = str_trim(line);
    ret_event->has_data = ret_event->data.len > 0;
    return 0;
}

/* ---- application/vnd.amazon.eventstream ------------------------------------------------------ */

#define PRELUDE_BYTES 12u
#define HEADER_STRING 7u

static uint32_t
be32(const unsigned char *bytes)
{
    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

/* The event's name: of an exception, its type. Only texts are looked at; any other kind of header
 * ends the search, since the service sends none. */
static struct str
header_name(struct str headers)
{
    struct str name = STR_EMPTY;
    while (headers.len > 4) {
        size_t key = (unsigned char)headers.ptr[0];
        if (key + 4 > headers.len || (unsigned char)headers.ptr[key + 1] != HEADER_STRING)
            break;
        size_t size =
            (size_t)(unsigned char)headers.ptr[key + 2] << 8 | (unsigned char)headers.ptr[key + 3];
        if (key + 4 + size > headers.len)
            break;
        struct str header = str_make(headers.ptr + 1, key);
        struct str value = str_make(headers.ptr + key + 4, size);
        if (str_eq(header, STR(":event-type")) || str_eq(header, STR(":exception-type")) ||
            (str_eq(header, STR(":message-type")) && str_eq(value, STR("error"))))
            name = value;
        headers = str_skip(headers, key + 4 + size);
    }
    return name;
}

/* Held bytes up to `size`; -ERR_AGAIN when the input does not have them yet. */
static int
gather(struct frames *frames, size_t size)
{
    size_t more = size > frames->held.len ? size - frames->held.len : 0;
    more = MIN(more, frames->input.len);
    int rc = buf_put(&frames->held, frames->input.ptr, more);
    if (rc < 0)
        return frames->failure = rc;
    frames->input = str_skip(frames->input, more);
    return frames->held.len < size ? -ERR_AGAIN : 0;
}

static int
message_next(struct frames *frames, struct sse_event *ret_event)
{
    drop_spent(frames);
    int rc = gather(frames, PRELUDE_BYTES);
    if (rc < 0)
        return rc;
    const unsigned char *at = (const unsigned char *)frames->held.ptr;
    size_t size = be32(at);
    size_t headers = be32(at + 4);
    if (be32(at + 8) != crc32(0, at, 8) || size < PRELUDE_BYTES + 4u ||
        headers > size - PRELUDE_BYTES - 4u)
        return frames->failure = -ERR_PARSE;
    if (size > frames->bytes_max)
        return frames->failure = -ERR_TOO_LARGE;
    rc = gather(frames, size);
    if (rc < 0)
        return rc;
    at = (const unsigned char *)frames->held.ptr;
    if (be32(at + size - 4) != crc32(0, at, (uInt)(size - 4)))
        return frames->failure = -ERR_PARSE;
    frames->spent = true;
    ret_event->raw = buf_str(&frames->held);
    ret_event->name = header_name(str_make(frames->held.ptr + PRELUDE_BYTES, headers));
    ret_event->data =
        str_make(frames->held.ptr + PRELUDE_BYTES + headers, size - PRELUDE_BYTES - headers - 4u);
    ret_event->has_data = true;
    return 0;
}

int
frames_next(struct frames *frames, struct sse_event *ret_event)
{
    if (LIKELY(frames->framing == STREAM_SSE))
        return sse_next(&frames->sse, ret_event);
    if (frames->failure < 0)
        return frames->failure;
    return frames->framing == STREAM_AWS ? message_next(frames, ret_event)
                                         : line_next(frames, ret_event);
}

struct str
frames_type(enum stream_framing framing)
{
    static const struct str types[] = {
        [STREAM_SSE] = {"text/event-stream", 17},
        [STREAM_NDJSON] = {"application/x-ndjson", 20},
        [STREAM_AWS] = {"application/vnd.amazon.eventstream", 34},
    };
    return types[framing];
}

/* ---- one JSON array -------------------------------------------------------------------------- */

int
frames_array(struct buf *out, struct str events, bool *open)
{
    bool inside = false; /* an event whose data is being written */
    while (events.len > 0) {
        struct str line;
        (void)str_cut(events, '\n', &line, &events);
        if (line.len > 0 && line.ptr[line.len - 1] == '\r')
            line.len--;
        if (line.len == 0)
            inside = false;
        if (!str_starts(line, STR("data:")))
            continue;
        if (inside)
            buf_put_byte(out, '\n');
        else
            buf_put_str(out, *open ? STR(",\r\n") : STR("["));
        inside = true;
        *open = true;
        line = str_skip(line, 5);
        buf_put_str(out, line.len > 0 && line.ptr[0] == ' ' ? str_skip(line, 1) : line);
    }
    return out->failed ? -ERR_TOO_LARGE : 0;
}

int
frames_array_end(struct buf *out, bool *open)
{
    buf_put_str(out, *open ? STR("]\n") : STR("[]\n"));
    *open = true;
    return out->failed ? -ERR_TOO_LARGE : 0;
}
