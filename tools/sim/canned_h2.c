/* SPDX-License-Identifier: MIT
 * canned_h2.c - just enough of RFC 9113 to answer: frames are walked, headers are never decoded.
 * Floor: tools/sim; its loop's thread.
 * Owns: nothing.
 * Invariant: the peer's connection window is kept; its stream windows hold a whole answer, because
 *            that is at most the initial window (canned.h). */
#include <stdio.h>
#include <stdlib.h>

#include "tools/sim/canned_int.h"

#define PREFACE STR("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
#define FRAME_HEAD 9u
#define FRAME_BYTES_MAX 16384u
#define WAITING_MAX 4096u
#define WINDOW_BYTES 0x7fffffffu
#define UPDATE_BYTES (1u << 29)

enum frame_type {
    FRAME_DATA = 0,
    FRAME_HEADERS = 1,
    FRAME_SETTINGS = 4,
    FRAME_PING = 6,
    FRAME_WINDOW_UPDATE = 8
};
#define FLAG_END_STREAM 1u /* of DATA and HEADERS */
#define FLAG_ACK 1u        /* of SETTINGS and PING */
#define FLAG_END_HEADERS 4u

static void
put_u32(char *at, uint32_t value)
{
    at[0] = (char)(value >> 24);
    at[1] = (char)(value >> 16);
    at[2] = (char)(value >> 8);
    at[3] = (char)value;
}

static uint32_t
get_u32(const char *at)
{
    const unsigned char *bytes = (const unsigned char *)at;
    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

static void
put_frame(struct buf *out, enum frame_type type, unsigned flags, struct str payload)
{
    char head[FRAME_HEAD] = {0};
    put_u32(head, (uint32_t)payload.len << 8 | (uint32_t)type);
    head[4] = (char)flags;
    buf_put_str(out, str_make(head, sizeof(head)));
    buf_put_str(out, payload);
}

int
canned_h2_make(struct canned *canned, struct str body)
{
    struct buf fields;
    buf_init(&fields, 256);
    /* :status 200; content-type and content-length as literals without indexing (RFC 7541 6.2.2) */
    buf_put_str(&fields, STR("\x88\x0f\x10\x10"
                             "application/json\x0f\x0d"));
    char digits[24];
    int n = snprintf(digits, sizeof(digits), "%zu", body.len);
    buf_put_byte(&fields, (char)n);
    buf_put_str(&fields, str_from(digits));
    buf_init(&canned->h2, CANNED_BODY_BYTES_MAX + 4096u);
    put_frame(&canned->h2, FRAME_HEADERS, FLAG_END_HEADERS, buf_str(&fields));
    canned->h2_body_bytes = body.len;
    while (body.len > 0) {
        struct str part = str_make(body.ptr, MIN(body.len, (size_t)FRAME_BYTES_MAX));
        body = str_skip(body, part.len);
        put_frame(&canned->h2, FRAME_DATA, body.len == 0 ? FLAG_END_STREAM : 0, part);
    }
    bool failed = canned->h2.failed || fields.failed;
    buf_fini(&fields);
    return failed ? -ERR_NOMEM : 0;
}

static void
answer(struct canned_conn *conn, uint32_t stream)
{
    struct canned *canned = conn->canned;
    size_t start = conn->out.len;
    buf_put_str(&conn->out, buf_str(&canned->h2));
    if (conn->out.failed)
        return;
    for (size_t at = start; at < conn->out.len;) {
        put_u32(conn->out.ptr + at + 5, stream);
        at += FRAME_HEAD + (get_u32(conn->out.ptr + at) >> 8);
    }
    conn->window -= (int64_t)canned->h2_body_bytes;
}

static bool
request_done(struct canned_conn *conn, uint32_t stream)
{
    if (conn->waiting_count == 0 && conn->window >= (int64_t)conn->canned->h2_body_bytes) {
        answer(conn, stream);
        return true;
    }
    if (conn->waiting == NULL)
        conn->waiting = calloc(WAITING_MAX, sizeof(*conn->waiting));
    if (conn->waiting == NULL || conn->waiting_count == WAITING_MAX)
        return false;
    conn->waiting[conn->waiting_count++] = stream;
    return true;
}

static void
window_grew(struct canned_conn *conn)
{
    size_t answered = 0;
    while (answered < conn->waiting_count && conn->window >= (int64_t)conn->canned->h2_body_bytes)
        answer(conn, conn->waiting[answered++]);
    conn->waiting_count -= answered;
    if (answered > 0 && conn->waiting_count > 0)
        memmove(conn->waiting, conn->waiting + answered,
                conn->waiting_count * sizeof(*conn->waiting));
}

static void
greet(struct canned_conn *conn)
{
    /* MAX_CONCURRENT_STREAMS 1000, INITIAL_WINDOW_SIZE, and the connection's window */
    char settings[12] = {0, 3, 0, 0, 3, (char)0xe8, 0, 4};
    char update[4];
    put_u32(settings + 8, WINDOW_BYTES);
    put_u32(update, WINDOW_BYTES - 65535u);
    put_frame(&conn->out, FRAME_SETTINGS, 0, str_make(settings, sizeof(settings)));
    put_frame(&conn->out, FRAME_WINDOW_UPDATE, 0, str_make(update, sizeof(update)));
    conn->greeted = true;
}

static bool
frame(struct canned_conn *conn, const char *head, struct str payload)
{
    unsigned flags = (unsigned char)head[4];
    uint32_t stream = get_u32(head + 5) & 0x7fffffffu;
    switch ((unsigned char)head[3]) {
    case FRAME_DATA:
        conn->consumed += payload.len;
        if (conn->consumed >= UPDATE_BYTES) {
            char update[4];
            put_u32(update, (uint32_t)conn->consumed);
            put_frame(&conn->out, FRAME_WINDOW_UPDATE, 0, str_make(update, sizeof(update)));
            conn->consumed = 0;
        }
        return (flags & FLAG_END_STREAM) == 0 || request_done(conn, stream);
    case FRAME_HEADERS:
        return (flags & FLAG_END_STREAM) == 0 || request_done(conn, stream);
    case FRAME_SETTINGS:
        if ((flags & FLAG_ACK) == 0)
            put_frame(&conn->out, FRAME_SETTINGS, FLAG_ACK, STR_EMPTY);
        return true;
    case FRAME_PING:
        if ((flags & FLAG_ACK) == 0)
            put_frame(&conn->out, FRAME_PING, FLAG_ACK, payload);
        return true;
    case FRAME_WINDOW_UPDATE:
        if (payload.len != 4)
            return false;
        if (stream == 0) {
            conn->window += get_u32(payload.ptr) & 0x7fffffffu;
            window_grew(conn);
        }
        return true;
    default:
        return true;
    }
}

ptrdiff_t
canned_h2_input(struct canned_conn *conn, struct str bytes)
{
    size_t done = 0;
    if (!conn->greeted) {
        if (bytes.len < PREFACE.len)
            return 0;
        if (!str_starts(bytes, PREFACE))
            return -1;
        greet(conn);
        done = PREFACE.len;
    }
    while (bytes.len - done >= FRAME_HEAD) {
        const char *head = bytes.ptr + done;
        size_t length = get_u32(head) >> 8;
        if (length > FRAME_BYTES_MAX)
            return -1;
        if (bytes.len - done < FRAME_HEAD + length)
            break;
        if (!frame(conn, head, str_make(head + FRAME_HEAD, length)))
            return -1;
        done += FRAME_HEAD + length;
    }
    return (ptrdiff_t)done;
}
