/* SPDX-License-Identifier: MIT
 * server.h - the HTTP server of every daemon: HTTP/1.1 and HTTP/2, clear or TLS, one API.
 * Floor: lib/http; its loop's thread. One server object a loop; several may share a listening fd.
 * Owns: connections and streams. A stream pointer is valid from `request` until `closed` returns.
 * Invariant: `closed` is the last call for a stream and comes exactly once, whoever ends it; what
 *            is written in a turn leaves in the FLUSH phase of that turn; a body that was
 *            announced with a length and ends short never looks complete. HARDENING 3.1, 3.2;
 *            server_test.c. */
#ifndef BERTH_LIB_HTTP_SERVER_H
#define BERTH_LIB_HTTP_SERVER_H

#include "lib/http/coding.h"
#include "lib/http/message.h"
#include "lib/net/channel.h"
#include "lib/net/sock.h"

struct http_server;
struct http_conn;
struct http_stream; /* one request and its response */

#define HTTP_ID_BYTES 64u

enum http_close_reason {
    HTTP_DONE,      /* response sent completely to the transport */
    HTTP_PEER_GONE, /* reset, connection lost or stream canceled by the peer */
    HTTP_ABORTED,   /* http_stream_abort */
    HTTP_TIMED_OUT, /* slow head or body: already answered 408 where possible */
    HTTP_REFUSED    /* protocol error: already answered or reset */
};

/* All on the loop's thread. head is borrowed until `request` returns, except target, authority and
 * method, which live as long as the stream. */
struct http_handler {
    /* A request head. The handler must in time call http_stream_respond (or abort). It may call
     * http_stream_collect here to get the body in one piece. */
    void (*request)(struct http_stream *stream, const struct http_head *head);
    /* Body bytes as they come; not called in collect mode. May be NULL if always collecting. */
    void (*body)(struct http_stream *stream, struct str bytes);
    /* The request body is complete (also when there is none). Not called once the response
     * ended. */
    void (*complete)(struct http_stream *stream);
    /* The out-queue fell below the low mark after http_stream_write said so. May be NULL. */
    void (*writable)(struct http_stream *stream);
    void (*closed)(struct http_stream *stream, enum http_close_reason reason);
    /* Optional: a connection ended; its last stream is closed already. */
    void (*conn_closed)(struct http_conn *conn);
    /* Optional: the rest of the body is refused: 413, 400 (it does not decode), 503. Whoever does
     * not answer here leaves it to the server, whose words are no dialect's. */
    void (*refused)(struct http_stream *stream, unsigned status);
    /* Optional: an id for an answer that the server gives itself (malformed, too large, too slow),
     * sent as x-request-id; returns its length, at most HTTP_ID_BYTES. */
    size_t (*refusal_id)(struct http_server *server, char out[HTTP_ID_BYTES]);
};

/* Zero = default in brackets. */
struct http_server_conf {
    struct loop *loop;
    struct tls_context *tls; /* NULL = clear: HTTP/1.1, and HTTP/2 with prior knowledge */
    const struct http_handler *handler;
    void *user;
    uint64_t body_bytes_max;  /* [10 MiB]; more is 413 */
    uint32_t conn_count_max;  /* [10000] */
    uint32_t head_timeout_ms; /* [10000] */
    uint32_t idle_timeout_ms; /* [60000] h1 between requests, h2 without streams */
    uint32_t body_rate_min;   /* [500] bytes/s of a body over 20 s, and of what waits for the peer
                               * over idle_timeout_ms: less ends the stream, or the connection */
    uint32_t h2_streams_max;  /* [100] */
    uint32_t h2_window_bytes; /* [65535] per stream; the connection gets 1 MiB */
    uint32_t abuse_burst;     /* [100] h2 oddities, refilled abuse_per_s [10] */
    uint32_t abuse_per_s;
};

int http_server_new(const struct http_server_conf *conf, struct http_server **ret_server,
                    struct err *err) MUST_USE;
/* http_server_free - aborts what is left. */
void http_server_free(struct http_server **server);
/* http_server_listen - accept from listen_fd (borrowed, level-triggered, may be shared by
 * loops); up to HTTP_LISTENERS_MAX of them. */
int http_server_listen(struct http_server *server, int listen_fd) MUST_USE;
/* http_server_adopt - take an accepted descriptor, also on failure (-ERR_OVERLOADED, -ERR_NOMEM,
 * ...); conn_user is returned by http_conn_user. */
int http_server_adopt(struct http_server *server, int fd, void *conn_user) MUST_USE;
/* http_server_drain - stop accepting, GOAWAY / Connection: close; `drained` once nothing is open.
 * Who is connected already, if only in the kernel's queue, may still ask once, within a second. The
 * caller closes its listen_fds next, so that nobody else waits in that queue. */
void http_server_drain(struct http_server *server, void (*drained)(void *user), void *user);
uint32_t http_server_conn_count(const struct http_server *server);
void *http_server_user(const struct http_server *server);

struct http_server *http_conn_server(const struct http_conn *conn);
void *http_conn_user(const struct http_conn *conn);
void http_conn_set_user(struct http_conn *conn, void *user);
/* http_conn_drain - what runs here is answered, no more is taken: GOAWAY / Connection: close. */
void http_conn_drain(struct http_conn *conn);
bool http_conn_is_h2(const struct http_conn *conn);
/* http_conn_peer_uri - URI SAN of the verified client certificate, or "". */
void http_conn_peer_uri(const struct http_conn *conn, char *out, size_t size);
/* http_conn_abort - drop the connection now; its streams get closed(HTTP_ABORTED) in the FREE
 * phase. */
void http_conn_abort(struct http_conn *conn);

struct http_conn *http_stream_conn(const struct http_stream *stream);
void *http_stream_user(const struct http_stream *stream);
void http_stream_set_user(struct http_stream *stream, void *user);
struct str http_stream_method(const struct http_stream *stream);
struct str http_stream_target(const struct http_stream *stream);
/* http_stream_collect - in `request` only: gather the body in one block of <= bytes_max; more is
 * answered 413 through `closed(HTTP_REFUSED)` unless a handler answers first. */
void http_stream_collect(struct http_stream *stream, uint64_t bytes_max);
/* http_stream_decode - in `request` only, after http_stream_collect if at all: the body comes in
 * this coding and is delivered or collected decoded; the limits hold for it as sent and as decoded.
 * 0, -ERR_NOMEM. */
int http_stream_decode(struct http_stream *stream, enum coding_kind kind) MUST_USE;
/* http_stream_body - the collected body, from `complete` until `closed`. Writable memory. */
struct str http_stream_body(const struct http_stream *stream);
/* http_stream_release_body - the collected body is no longer needed: an open stream then holds
 * none. */
void http_stream_release_body(struct http_stream *stream);
/* http_stream_pause - stop (or go on) delivering `body`; flow control stops the peer. */
void http_stream_pause(struct http_stream *stream, bool paused);

/* http_stream_respond - send the head. 1xx may come before. length: HTTP_LENGTH_UNKNOWN = chunked
 * or h2 DATA until end. A response before the request body is complete closes an h1 connection
 * after it. */
void http_stream_respond(struct http_stream *stream, unsigned status,
                         const struct http_field *fields, size_t field_count, uint64_t length);
/* http_stream_write - copy body bytes to the out-queue. Returns false when more than the high mark
 * (256 KiB) is queued: stop, `writable` will come. Bytes are accepted in any case. */
bool http_stream_write(struct http_stream *stream, struct str bytes);
/* http_stream_write_now - as write, for bulk that need not wait for COMMIT: tries the socket at
 * once when nothing is queued, and queues (copies) only the rest. */
bool http_stream_write_now(struct http_stream *stream, struct str bytes);
/* http_stream_end - the response is complete. */
void http_stream_end(struct http_stream *stream);
/* http_stream_trailers - the request says TE: trailers: its answer may have some. */
bool http_stream_trailers(const struct http_stream *stream);
/* http_stream_end_with - as end, with trailer fields behind the body. None are sent where the
 * request did not ask for any, or the framing has no place (HTTP/1.x without chunks, no body). At
 * most HTTP_TRAILERS_MAX; a name or value that may not be sent aborts. */
#define HTTP_TRAILERS_MAX 4u
#define HTTP_LISTENERS_MAX 8u
void http_stream_end_with(struct http_stream *stream, const struct http_field *trailers,
                          size_t count);
/* http_stream_cut - the response ends here, and that is not its end: what was written goes out
 * (the last event says why), then HTTP/2 resets the stream. HTTP/1.1 has only http_stream_end. */
void http_stream_cut(struct http_stream *stream);
/* http_stream_answer - respond + write + end in one, with content-length. */
void http_stream_answer(struct http_stream *stream, unsigned status,
                        const struct http_field *fields, size_t field_count, struct str body);
/* http_stream_abort - reset: RST_STREAM, or close of an h1 connection. A truncated body never looks
 * complete. closed(HTTP_ABORTED) follows in the FREE phase. */
void http_stream_abort(struct http_stream *stream);
/* http_stream_queued - bytes not yet given to the kernel. */
size_t http_stream_queued(const struct http_stream *stream);

#endif
