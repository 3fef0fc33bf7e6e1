/* SPDX-License-Identifier: MIT
 * h2_session_fuzz.c - frames of any bytes into either side of a session, cut anywhere.
 * Floor: lib/http, fuzzing; one thread.
 * Owns: a session an input.
 * Invariant: a stream that has an owner is closed exactly once; what we send is whole frames, none
 *            longer
 *            than 16 KiB, DATA within the peer's windows (the session asserts that). */
#include "lib/base/check.h"
#include "lib/base/err.h"
#include "lib/http/h2_session.h"
#include "lib/http/message.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define OWNERS 64u

struct fuzz {
    struct h2_session *session;
    bool client;
    uint32_t fields;
    uint32_t seed;
    bool alive[OWNERS];
    /* the frames that we send */
    uint8_t head[9];
    size_t head_len;
    size_t left;
};

static uint32_t
dice(struct fuzz *fuzz, uint32_t sides)
{
    fuzz->seed = fuzz->seed * 1664525u + 1013904223u;
    return (fuzz->seed >> 8) % sides;
}

static void
drop(struct fuzz *fuzz, uint32_t id)
{
    bool *alive = h2_session_owner(fuzz->session, id);
    if (alive == NULL)
        return;
    ASSERT(*alive);
    *alive = false;
    h2_session_own(fuzz->session, id, NULL);
}

/* What a busy owner may do at any time. */
static void
meddle(struct fuzz *fuzz, uint32_t id)
{
    uint32_t what = dice(fuzz, 12);
    if (what == 0)
        h2_session_reset(fuzz->session, id, dice(fuzz, 14));
    else if (what == 1)
        drop(fuzz, id);
    else if (what == 2)
        h2_session_resume(fuzz->session, 1 + 2 * dice(fuzz, 8));
    else if (what == 3 && dice(fuzz, 20) == 0)
        h2_session_terminate(fuzz->session, H2_ENHANCE_YOUR_CALM);
}

static int
on_head(void *user, uint32_t id, void *owner)
{
    (void)user, (void)id, (void)owner;
    return 0;
}

static int
on_field(void *user, struct str name, struct str value)
{
    struct fuzz *fuzz = user;
    fuzz->fields++;
    ASSERT(name.len > 0 && (name.ptr[0] == ':' || http_valid_name(name)) &&
           http_valid_value(value));
    return 0;
}

static int
on_head_end(void *user, uint32_t id, void *owner, uint16_t status, bool end)
{
    struct fuzz *fuzz = user;
    (void)owner, (void)end;
    ASSERT(fuzz->client ? status >= 100 && status != 101 : status == 0);
    if (!fuzz->client && h2_session_head(fuzz->session, id)) {
        bool last = dice(fuzz, 4) != 0;
        h2_session_field(fuzz->session, STR(":status"), last ? STR("200") : STR("103"));
        h2_session_field(fuzz->session, STR("x"), STR("y"));
        ASSERT(h2_session_respond(fuzz->session, id, last) == 0);
        bool *alive = &fuzz->alive[(id >> 1) % OWNERS];
        if (!*alive) {
            *alive = true;
            h2_session_own(fuzz->session, id, alive);
        }
    }
    meddle(fuzz, id);
    return 0;
}

static int
on_data(void *user, uint32_t id, void *owner, struct str bytes)
{
    struct fuzz *fuzz = user;
    ASSERT(bytes.len <= H2_FRAME_BYTES_MAX);
    if (owner != NULL && dice(fuzz, 3) != 0)
        h2_session_consume(fuzz->session, id, bytes.len);
    meddle(fuzz, id);
    return 0;
}

static int
on_end(void *user, uint32_t id, void *owner)
{
    (void)owner;
    meddle(user, id);
    return 0;
}

static int
on_closed(void *user, uint32_t id, void *owner, uint32_t code)
{
    const struct fuzz *fuzz = user;
    bool *alive = owner;
    (void)code;
    ASSERT(*alive && !h2_session_open(fuzz->session, id));
    *alive = false;
    return 0;
}

static size_t
on_put(void *user, const char *bytes, size_t count)
{
    struct fuzz *fuzz = user;
    size_t take = dice(fuzz, 8) == 0 ? dice(fuzz, (uint32_t)count + 1) : count;
    for (size_t i = 0; i < take; i++) {
        if (fuzz->left > 0) {
            fuzz->left--;
            continue;
        }
        fuzz->head[fuzz->head_len++] = (uint8_t)bytes[i];
        if (fuzz->head_len < sizeof fuzz->head)
            continue;
        fuzz->head_len = 0;
        fuzz->left = (size_t)fuzz->head[0] << 16 | (size_t)fuzz->head[1] << 8 | fuzz->head[2];
        ASSERT(fuzz->left <= H2_FRAME_BYTES_MAX && fuzz->head[3] <= H2_FRAME_CONTINUATION);
    }
    return take;
}

static int
on_want(void *user, uint32_t id, void *owner, size_t max, enum h2_after *ret_after)
{
    struct fuzz *fuzz = user;
    (void)id;
    ASSERT(max <= H2_FRAME_BYTES_MAX);
    if (owner == NULL)
        return H2_WANT_RESET;
    uint32_t what = dice(fuzz, 8);
    if (what == 0)
        return H2_WANT_LATER;
    if (what == 1)
        return H2_WANT_BLOCKED;
    *ret_after = what == 2   ? H2_AFTER_END
                 : what == 3 ? H2_AFTER_CUT
                 : what == 4 ? H2_AFTER_TRAILERS
                             : H2_AFTER_MORE;
    return (int)dice(fuzz, (uint32_t)max + 1);
}

static int
on_send(void *user, uint32_t id, void *owner, const char *head, size_t count, enum h2_after after)
{
    struct fuzz *fuzz = user;
    (void)head, (void)count;
    ASSERT(owner != NULL && fuzz->head_len == 0 && fuzz->left == 0);
    if (after != H2_AFTER_TRAILERS || !h2_session_head(fuzz->session, id))
        return 0;
    h2_session_field(fuzz->session, STR("x-trailer"), STR("1"));
    return h2_session_trail(fuzz->session, id);
}

static const struct h2_session_ops ops = {
    .head = on_head,
    .field = on_field,
    .head_end = on_head_end,
    .data = on_data,
    .end = on_end,
    .closed = on_closed,
    .put = on_put,
    .want = on_want,
    .send = on_send,
};

static void
request(struct fuzz *fuzz, uint32_t number)
{
    uint32_t id;
    if (!h2_session_head(fuzz->session, 0))
        return;
    h2_session_field(fuzz->session, STR(":method"), STR("POST"));
    fuzz->alive[number] = true;
    ASSERT(h2_session_request(fuzz->session, &fuzz->alive[number], number % 2 == 0, number == 3,
                              &id) == 0);
}

/* The first byte: which side, and pieces of which size; the frames follow, behind a SETTINGS. */
int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct str start = STR("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0");
    struct fuzz fuzz = {0};
    if (size < 1)
        return 0;
    fuzz.client = (data[0] & 1) != 0;
    fuzz.seed = data[0];
    fuzz.left = fuzz.client ? 24 : 0; /* the preface is no frame */
    const struct h2_session_conf conf = {.ops = &ops,
                                         .user = &fuzz,
                                         .client = fuzz.client,
                                         .streams_max = 10,
                                         .stream_window = (data[0] & 2) != 0 ? 100 : 100000,
                                         .conn_window = 70000,
                                         .header_list_bytes = HTTP_HEAD_BYTES_MAX};
    ASSERT(h2_session_new(&conf, &fuzz.session) == 0);
    for (uint32_t i = 0; fuzz.client && i < 5; i++)
        request(&fuzz, i);
    struct str first = fuzz.client ? str_skip(start, 24) : start;
    int rc = h2_session_feed(fuzz.session, first.ptr, first.len);
    size_t piece = (data[0] & 4) != 0 ? size : 1u + (data[0] >> 3);
    for (size_t at = 1; at < size && rc == 0; at += piece) {
        rc = h2_session_feed(fuzz.session, (const char *)data + at, MIN(piece, size - at));
        if (rc == 0 && dice(&fuzz, 4) == 0)
            rc = h2_session_send(fuzz.session);
        if (rc == 0 && dice(&fuzz, 200) == 0)
            h2_session_leave(fuzz.session);
        if (rc == 0 && dice(&fuzz, 200) == 0)
            h2_session_drain(fuzz.session);
    }
    for (int i = 0; i < 20 && rc == 0; i++)
        rc = h2_session_send(fuzz.session);
    h2_session_free(&fuzz.session);
    return 0;
}
