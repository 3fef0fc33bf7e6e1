/* SPDX-License-Identifier: MIT
 * server_h2_testkit.h - raw HTTP/2 frames by hand, for the server's tests.
 * Floor: lib/http, tests only.
 * Owns: struct h2_peer: a socket and the bytes it got.
 * Invariant: nothing here uses nghttp2: what is sent is exactly what the test wrote. */
#ifndef BERTH_LIB_HTTP_SERVER_H2_TESTKIT_H
#define BERTH_LIB_HTTP_SERVER_H2_TESTKIT_H

#include "lib/http/server_testkit.h"

enum {
    F_DATA,
    F_HEADERS,
    F_PRIORITY,
    F_RST,
    F_SETTINGS,
    F_PUSH,
    F_PING,
    F_GOAWAY,
    F_WINDOW,
    F_CONTINUATION
};
#define END_STREAM 1u
#define END_HEADERS 4u
#define ACK 1u

struct h2_peer {
    struct kit *kit;
    int fd;
    struct buf out; /* to be sent */
    struct buf in;
    size_t at; /* parsed so far */
    bool ended;
    /* the last frame taken */
    uint8_t type;
    uint8_t flags;
    uint32_t id;
    struct str payload;
};

static inline void
peer_frame(struct h2_peer *peer, unsigned type, unsigned flags, uint32_t id, struct str payload)
{
    uint8_t hd[9] = {
        (uint8_t)(payload.len >> 16),
        (uint8_t)(payload.len >> 8),
        (uint8_t)payload.len,
        (uint8_t)type,
        (uint8_t)flags,
        (uint8_t)(id >> 24),
        (uint8_t)(id >> 16),
        (uint8_t)(id >> 8),
        (uint8_t)id,
    };
    buf_put(&peer->out, hd, sizeof hd);
    buf_put_str(&peer->out, payload);
}

static inline void
peer_u32(struct h2_peer *peer, unsigned type, unsigned flags, uint32_t id, uint32_t value)
{
    char bytes[4] = {(char)(value >> 24), (char)(value >> 16), (char)(value >> 8), (char)value};
    peer_frame(peer, type, flags, id, str_make(bytes, 4));
}

/* A literal field without indexing; both lengths <= 126 or value up to 16 KiB. */
static inline void
hpack_put(struct buf *block, struct str name, struct str value)
{
    buf_put_byte(block, 0);
    buf_put_byte(block, (char)name.len);
    buf_put_str(block, name);
    if (value.len < 127) {
        buf_put_byte(block, (char)value.len);
    } else {
        size_t rest = value.len - 127;
        buf_put_byte(block, 127);
        for (; rest >= 128; rest >>= 7)
            buf_put_byte(block, (char)(uint8_t)(rest % 128 + 128));
        buf_put_byte(block, (char)rest);
    }
    buf_put_str(block, value);
}

/* fields: "name\nvalue\nname\nvalue", or NULL. */
static inline void
peer_headers(struct h2_peer *peer, uint32_t id, unsigned flags, const char *method,
             const char *path, const char *fields)
{
    struct buf block;
    buf_init(&block, 1u << 20);
    hpack_put(&block, STR(":method"), str_from(method));
    hpack_put(&block, STR(":scheme"), STR("http"));
    hpack_put(&block, STR(":authority"), STR("a"));
    hpack_put(&block, STR(":path"), str_from(path));
    struct str rest = fields == NULL ? STR_EMPTY : str_from(fields);
    while (rest.len > 0) {
        struct str name;
        struct str value;
        (void)str_cut(rest, '\n', &name, &rest);
        (void)str_cut(rest, '\n', &value, &rest);
        hpack_put(&block, name, value);
    }
    assert_false(block.failed);
    peer_frame(peer, F_HEADERS, flags | END_HEADERS, id, buf_str(&block));
    buf_fini(&block);
}

static inline void
peer_get(struct h2_peer *peer, uint32_t id, const char *path)
{
    peer_headers(peer, id, END_STREAM, "GET", path, NULL);
}

static inline void
peer_send(struct h2_peer *peer)
{
    assert_false(peer->out.failed);
    if (!kit_send(peer->kit, peer->fd, buf_str(&peer->out)))
        peer->ended = true;
    peer->out.len = 0;
}

/* Take the next frame. false: the connection ended, or nothing came within `steps` turns. */
static inline bool
peer_next(struct h2_peer *peer, int steps)
{
    for (int i = 0; i <= steps; i++) {
        size_t have = peer->in.len - peer->at;
        const uint8_t *p = (const uint8_t *)peer->in.ptr + peer->at;
        size_t len = have < 9 ? 0 : (size_t)p[0] << 16 | (size_t)p[1] << 8 | p[2];
        if (have >= 9 && have >= 9 + len) {
            peer->type = p[3];
            peer->flags = p[4];
            peer->id = ((uint32_t)p[5] << 24 | (uint32_t)p[6] << 16 | (uint32_t)p[7] << 8 | p[8]) &
                       0x7fffffffu;
            peer->payload = str_make((const char *)p + 9, len);
            peer->at += 9 + len;
            return true;
        }
        char bytes[65536];
        kit_step(peer->kit);
        ssize_t n = recv(peer->fd, bytes, sizeof bytes, 0);
        if (n > 0)
            assert_int_equal(buf_put(&peer->in, bytes, (size_t)n), 0);
        else if (n == 0 || errno != EAGAIN)
            peer->ended = true;
        if (peer->ended && n <= 0)
            return false;
    }
    return false;
}

/* Take frames until one of `type` (on `id`, unless 0). */
static inline bool
peer_until(struct h2_peer *peer, unsigned type, uint32_t id)
{
    while (peer_next(peer, 3000)) {
        if (peer->type == type && (id == 0 || peer->id == id))
            return true;
    }
    return false;
}

static inline uint32_t
peer_code(const struct h2_peer *peer)
{
    size_t at = peer->type == F_GOAWAY ? 4 : 0;
    const uint8_t *p = (const uint8_t *)peer->payload.ptr + at;
    assert_true(peer->payload.len >= at + 4);
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static inline void
peer_open(struct h2_peer *peer, struct kit *kit)
{
    *peer = (struct h2_peer){.kit = kit, .fd = kit_connect(kit)};
    buf_init(&peer->out, 64u << 20);
    buf_init(&peer->in, 64u << 20);
    buf_put_str(&peer->out, STR("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"));
    peer_frame(peer, F_SETTINGS, 0, 0, STR_EMPTY);
    peer_frame(peer, F_SETTINGS, ACK, 0, STR_EMPTY);
    peer_send(peer);
    assert_true(peer_until(peer, F_SETTINGS, 0));
}

static inline void
peer_close(struct h2_peer *peer)
{
    (void)close(peer->fd);
    buf_fini(&peer->out);
    buf_fini(&peer->in);
}

/* A server of its own, too. */
static inline void
peer_begin(struct h2_peer *peer, struct kit *kit)
{
    kit_open(kit, NULL);
    peer_open(peer, kit);
}

static inline void
peer_finish(struct h2_peer *peer, struct kit *kit)
{
    peer_close(peer);
    kit_close(kit);
}

#endif
