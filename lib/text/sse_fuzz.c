/* SPDX-License-Identifier: MIT
 * sse_fuzz.c - whole, byte by byte and cut by the input: the same events, and all bytes in them.
 * Floor: lib/text; one thread.
 * Owns: nothing.
 * Invariant: proves sse.h. */
#include "lib/text/sse.h"

#include "lib/base/check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define EVENT_MAX 4096u

/* step 0: all at once; else pieces of 1 .. step bytes, by the bytes themselves. */
static int
run(struct str text, size_t step, struct buf *log, struct buf *raw)
{
    struct sse_parser parser;
    int rc = -ERR_AGAIN;
    sse_init(&parser, EVENT_MAX);
    for (size_t at = 0; at < text.len && rc == -ERR_AGAIN;) {
        size_t take = step == 0 ? text.len : 1 + (unsigned char)text.ptr[at] % step;
        take = MIN(take, text.len - at);
        struct sse_event event;
        sse_feed(&parser, str_make(text.ptr + at, take));
        while ((rc = sse_next(&parser, &event)) == 0) {
            buf_printf(log, "%zu %d %zu %zu ", event.raw.len, event.has_data, event.name.len,
                       event.data.len);
            buf_put_str(log, event.name);
            buf_put_str(log, event.data);
            buf_put_str(raw, event.raw);
        }
        at += take;
    }
    if (rc == -ERR_AGAIN) {
        buf_put_str(raw, sse_tail(&parser));
        ASSERT(str_eq(buf_str(raw), text));
    }
    sse_fini(&parser);
    return rc;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const size_t steps[] = {1, 7, 200};
    struct str text = str_make((const char *)data, size);
    struct buf log[2];
    struct buf raw;
    buf_init(&log[0], (size_t)1 << 26);
    buf_init(&raw, (size_t)1 << 26);
    int whole = run(text, 0, &log[0], &raw);
    for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
        buf_init(&log[1], (size_t)1 << 26);
        raw.len = 0;
        int rc = run(text, steps[i], &log[1], &raw);
        ASSERT(rc == whole && str_eq(buf_str(&log[0]), buf_str(&log[1])));
        buf_fini(&log[1]);
    }
    buf_fini(&log[0]);
    buf_fini(&raw);
    return 0;
}
