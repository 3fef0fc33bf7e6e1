/* SPDX-License-Identifier: MIT
 * frames.c - server-sent events, lines of JSON; events as one JSON array.
 * Floor: dataplane/dialect; one thread a stream.
 * Owns: see frames.h.
 * Invariant: see frames.h. */
#include "dataplane/dialect/frames.h"

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

int
frames_next(struct frames *frames, struct sse_event *ret_event)
{
    if (LIKELY(frames->framing == STREAM_SSE))
        return sse_next(&frames->sse, ret_event);
    return frames->failure < 0 ? frames->failure : line_next(frames, ret_event);
}

struct str
frames_type(enum stream_framing framing)
{
    static const struct str types[] = {
        [STREAM_SSE] = {"text/event-stream", 17},
        [STREAM_NDJSON] = {"application/x-ndjson", 20},
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
