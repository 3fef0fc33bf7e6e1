/* SPDX-License-Identifier: MIT
 * client.h - the HTTP client of every daemon: pooled HTTP/1.1 and multiplexed HTTP/2, clear or
 *            TLS, on the caller's loop.
 * Floor: lib/http; its loop's thread. One client object a loop.
 * Owns: origins and their connections; a call until its last callback.
 * Invariant: exactly one of `done` and `failed` is called, unless the call was canceled: then
 *            neither. A connection is reused only after a completely parsed reply to a completely
 *            sent request; anything else destroys it (h1) or resets the stream (h2). HARDENING
 *            3.5; client_test.c. */
#ifndef BERTH_LIB_HTTP_CLIENT_H
#define BERTH_LIB_HTTP_CLIENT_H

#include "lib/http/message.h"
#include "lib/net/channel.h"
#include "lib/net/sock.h"

struct http_client;
struct http_origin;
struct http_call;

enum http_protocol { HTTP_AUTO, HTTP_1_1, HTTP_2 }; /* AUTO: ALPN over TLS, HTTP/1.1 in clear */

/* Zero = default in brackets. Strings are copied. */
struct http_origin_conf {
    struct str host; /* name or address; also SNI, the verified name and Host */
    uint16_t port;
    struct tls_context *tls; /* NULL = clear; borrowed, outlives the origin */
    const char *unix_path;   /* connect here instead; host still names it */
    enum http_protocol protocol;
    uint32_t conn_count_max;     /* [256] h1; [4] h2 */
    uint32_t h2_streams_max;     /* [1000] a connection, and never above the peer's setting */
    uint32_t idle_timeout_ms;    /* [30000] */
    uint32_t connect_timeout_ms; /* [5000] incl. TLS */
    uint32_t queue_max;          /* [1024] calls waiting for a connection; more: -ERR_OVERLOADED */
    /* address filter at connect time: false = refuse (SSRF guard); NULL = all */
    bool (*allow)(const struct sock_addr *addr, void *user);
    void *allow_user;
};

int http_client_new(struct loop *loop, struct http_client **ret_client, struct err *err) MUST_USE;
/* http_client_free - all calls must have ended or been canceled. */
void http_client_free(struct http_client **client);
/* http_origin_acquire - counted; release when no new calls will be started. Open calls keep it. */
int http_origin_acquire(struct http_client *client, const struct http_origin_conf *conf,
                        struct http_origin **ret_origin, struct err *err) MUST_USE;
void http_origin_release(struct http_origin **origin);

/* How far a failed call got: what may be retried elsewhere. QUEUED with -ERR_CLOSED: an HTTP/2 peer
 * refused it unread (RFC 9113 8.7); of a streamed upload, which is not sent again by itself, its
 * caller may do so. */
enum http_phase { HTTP_QUEUED, HTTP_CONNECTING, HTTP_SENDING, HTTP_WAITING, HTTP_HEAD_SEEN };

struct http_call_ops {
    /* The final response head (1xx are swallowed); borrowed for the call. */
    void (*head)(struct http_call *call, const struct http_head *head);
    /* Body bytes, borrowed for the call. last: these end a body of known length; `done` follows. */
    void (*body)(struct http_call *call, struct str bytes, bool last);
    void (*done)(struct http_call *call);
    /* code: -ERR_TIMEOUT, -ERR_REFUSED, -ERR_RESOLVE, -ERR_TLS, -ERR_CLOSED, -ERR_PROTOCOL,
     * -ERR_TOO_LARGE, -ERR_OVERLOADED, -ERR_IO; text: for an operator, borrowed. */
    void (*failed)(struct http_call *call, int code, enum http_phase phase, const char *text);
    /* Streaming uploads: the out-queue fell below the low mark. May be NULL. */
    void (*writable)(struct http_call *call);
};

/* Everything is borrowed until the call ends, except method, target and fields, which are
 * copied. */
struct http_call_conf {
    const struct http_call_ops *ops;
    void *user;
    struct str method;
    struct str target;
    const struct http_field *fields; /* lower-case names; no host, content-length, connection */
    size_t field_count;
    const struct str *segments; /* the body in pieces, sent as they are */
    size_t segment_count;
    bool streaming;        /* more body through http_call_write / _end; segments must be empty */
    uint64_t upload_bytes; /* streaming: how many there will be, exactly; 0 = not known */
    size_t upload_high;    /* streaming: [256 KiB] in the queue make http_call_write say false */
    /* streaming, of what can be sent once: HTTP/1.1 on a connection that had no other call; and
     * http_call_write says false until it is on its way */
    bool fresh;
    /* a kept-alive connection that dies before any reply byte (HTTP/2: any byte at all after the
     * head was put): once more on a new one */
    bool retry_stale;
};

/* http_call_start - never calls back before it returns (callbacks come from the loop). 0, or
 * -ERR_NOMEM / -ERR_OVERLOADED. */
int http_call_start(struct http_origin *origin, const struct http_call_conf *conf,
                    struct http_call **ret_call) MUST_USE;
/* http_call_cancel - no callback after this returns; the upstream sees a close or RST_STREAM at
 * once (this turn's FLUSH). *call becomes NULL. */
void http_call_cancel(struct http_call **call);
void *http_call_user(const struct http_call *call);
/* http_call_pause - stop (or go on) delivering body; flow control stops the upstream. */
void http_call_pause(struct http_call *call, bool paused);
bool http_call_paused(const struct http_call *call);
enum http_phase http_call_phase(const struct http_call *call);
/* Streaming uploads; write returns false above the high mark: `writable` will come. Bytes are
 * accepted in any case. */
bool http_call_write(struct http_call *call, struct str bytes);
void http_call_end(struct http_call *call);
/* http_call_timings - monotonic ns of the turns (loop_now_ns) in which it was queued, connected (0
 * on a reused connection), sent, and got its first byte. */
struct http_timings {
    uint64_t started_ns;
    uint64_t connected_ns;
    uint64_t sent_ns;
    uint64_t first_byte_ns;
};
const struct http_timings *http_call_timings(const struct http_call *call);

#endif
