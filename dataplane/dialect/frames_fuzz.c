/* SPDX-License-Identifier: MIT
 * frames_fuzz.c - arbitrary bytes in each framing, and messages of the binary event stream with
 *                 right checksums around arbitrary headers. Floor: dataplane/dialect, tests only.
 * Owns: nothing.
 * Invariant: whole, byte by byte and cut by the input the same frames come out; a sealed message
 *            comes out with its payload. */
#include <zlib.h>

#include "dataplane/dialect/frames.h"
#include "lib/base/check.h"

#define LOG_MAX ((size_t)1 << 24)
#define FRAME_MAX 4096u
#define PRELUDE_BYTES 12u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* step 0: all at once; else pieces of 1 .. step bytes, by the bytes themselves. */
static int
run(enum stream_framing framing, struct str text, size_t step, struct buf *log)
{
    struct frames frames;
    int rc = -ERR_AGAIN;
    frames_init(&frames, framing, FRAME_MAX);
    for (size_t at = 0; at < text.len && rc == -ERR_AGAIN;) {
        size_t take = step == 0 ? text.len : 1 + (unsigned char)text.ptr[at] % step;
        struct sse_event event;
        take = MIN(take, text.len - at);
        frames_feed(&frames, str_make(text.ptr + at, take));
        while ((rc = frames_next(&frames, &event)) == 0) {
            buf_printf(log, "%d %zu %zu ", event.has_data, event.name.len, event.data.len);
            buf_put_str(log, event.name);
            buf_put_str(log, event.data);
        }
        at += take;
    }
    frames_fini(&frames);
    return rc;
}

static void
same_however_cut(enum stream_framing framing, struct str text)
{
    static const size_t steps[] = {1, 7, 200};
    struct buf log[2];
    buf_init(&log[0], LOG_MAX);
    buf_init(&log[1], LOG_MAX);
    int whole = run(framing, text, 0, &log[0]);
    for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
        log[1].len = 0;
        int cut = run(framing, text, steps[i], &log[1]);
        ASSERT(cut == whole && str_eq(buf_str(&log[0]), buf_str(&log[1])));
    }
    buf_fini(&log[0]);
    buf_fini(&log[1]);
}

static void
put_be32(struct buf *out, size_t value)
{
    const char bytes[4] = {(char)(value >> 24), (char)(value >> 16), (char)(value >> 8),
                           (char)value};
    buf_put(out, bytes, sizeof(bytes));
}

static size_t
crc_of(const struct buf *out, size_t from)
{
    return crc32(0, (const Bytef *)out->ptr + from, (uInt)(out->len - from));
}

/* [headers' size][payload's size][headers][payload]..., as messages. Returns how many. */
static size_t
seal(struct str input, struct buf *out)
{
    size_t count = 0;
    while (input.len >= 2) {
        size_t headers = (unsigned char)input.ptr[0];
        size_t payload = (unsigned char)input.ptr[1];
        size_t from = out->len;
        input = str_skip(input, 2);
        headers = MIN(headers, input.len);
        payload = MIN(payload, input.len - headers);
        put_be32(out, PRELUDE_BYTES + headers + payload + 4);
        put_be32(out, headers);
        put_be32(out, crc_of(out, from));
        buf_put(out, input.ptr, headers + payload);
        put_be32(out, crc_of(out, from));
        input = str_skip(input, headers + payload);
        count++;
    }
    return count;
}

static void
sealed_come_out(struct str input)
{
    struct buf stream;
    struct frames frames;
    struct sse_event event;
    int rc;
    buf_init(&stream, LOG_MAX);
    size_t left = seal(input, &stream);
    frames_init(&frames, STREAM_AWS, FRAME_MAX);
    frames_feed(&frames, buf_str(&stream));
    while ((rc = frames_next(&frames, &event)) == 0) {
        size_t headers = MIN((size_t)(unsigned char)input.ptr[0], input.len - 2);
        size_t payload = MIN((size_t)(unsigned char)input.ptr[1], input.len - 2 - headers);
        ASSERT(str_eq(event.data, str_make(input.ptr + 2 + headers, payload)));
        input = str_skip(input, 2 + headers + payload);
        left--;
    }
    ASSERT(rc == -ERR_AGAIN && left == 0);
    frames_fini(&frames);
    same_however_cut(STREAM_AWS, buf_str(&stream));
    buf_fini(&stream);
}

/* A stream as one array: every event once, between brackets. */
static void
array_closes(struct str text)
{
    struct buf out;
    bool open = false;
    buf_init(&out, LOG_MAX);
    ASSERT(frames_array(&out, text, &open) == 0 && frames_array_end(&out, &open) == 0);
    ASSERT(str_starts(buf_str(&out), STR("[")) && str_ends(buf_str(&out), STR("]\n")));
    buf_fini(&out);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    struct str text = str_make((const char *)data + 1, size - 1);
    switch (data[0] % 4) {
    case 0:
        same_however_cut(STREAM_SSE, text);
        array_closes(text);
        break;
    case 1:
        same_however_cut(STREAM_NDJSON, text);
        break;
    case 2:
        same_however_cut(STREAM_AWS, text);
        break;
    default:
        sealed_come_out(text);
        break;
    }
    return 0;
}
