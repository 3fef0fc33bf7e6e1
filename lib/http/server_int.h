/* SPDX-License-Identifier: MIT
 * server_int.h - what the parts of the HTTP server share: connections, streams, the protocol table.
 * Floor: lib/http, private; the loop's thread.
 * Owns: the layout. server.c: life of connections; server_io.c: reading and writing them;
 *       server_stream.c: the public stream calls; server_h1*.c, server_h2*.c: the two protocols.
 * Invariant: handlers are called only from `ready`, timers and hooks, never from inside a public
 *            call; a stream is in conn->streams until it is closed, or in server->ended between
 *            the decision and the FREE phase. */
#ifndef BERTH_LIB_HTTP_SERVER_INT_H
#define BERTH_LIB_HTTP_SERVER_INT_H

#include "lib/base/buf.h"
#include "lib/base/check.h"
#include "lib/http/h1.h"
#include "lib/http/server.h"
#include "lib/http/server_out.h"

#define SERVER_SCRATCH_BYTES (128u * 1024u)
/* Where a head is expected, so that most of a large body is read into its block, not copied
 * there. */
#define SERVER_HEAD_READ_BYTES (16u * 1024u)
#define SERVER_HELD_BYTES_MAX (64u * 1024u) /* pipelined bytes kept while a request is answered */
#define SERVER_HIGH_BYTES (256u * 1024u)
#define SERVER_LOW_BYTES (64u * 1024u)
#define SERVER_READS_MAX 8u    /* reads of one connection a turn */
#define SERVER_LINGER_MS 2000u /* how long late bytes are read away before a close */
#define SERVER_BODY_WINDOW_MS 20000u
#define SERVER_IOV_MAX 32
#define SERVER_TEXT_BYTES 96u

enum conn_state {
    CONN_HANDSHAKE,
    CONN_DETECT, /* clear: h1 or the h2 preface? */
    CONN_OPEN,
    CONN_CLOSING, /* nothing is read any more; closes when the out-queue is empty */
    CONN_LINGER,  /* write side shut; late bytes are read away */
    CONN_DYING,   /* what is queued may leave in FLUSH; freed in FREE */
    CONN_DEAD     /* nothing leaves; freed in FREE */
};

enum h1_phase {
    H1_AT_HEAD,
    H1_IN_LENGTH,
    H1_IN_CHUNKED,
    H1_ANSWER, /* request complete; the next one waits */
    H1_DISCARD /* early answer: the rest of the body is read away */
};

struct h2_conn;

/* How long bytes have waited for a peer that could have taken them. since_ms 0: they have not. */
struct peer_wait {
    uint64_t since_ms;
    uint64_t mark;   /* taken before */
    uint64_t wanted; /* to be taken in idle_timeout_ms */
};

/* Copied: HTTP/2 sends them when the queue of the body is empty. */
struct http_trailers {
    size_t count;
    struct http_field fields[HTTP_TRAILERS_MAX];
    char text[];
};

struct http_stream {
    struct list node;
    struct http_conn *conn;
    void *user;
    struct str method;
    struct str target;
    struct out_block *body; /* collected */
    struct coding *coding;  /* NULL: the body is plain; then `collecting` may be set, else not */
    uint64_t collect_bytes_max;
    uint64_t decoded_bytes;
    uint64_t body_length; /* announced, or unknown */
    uint64_t body_seen;
    uint64_t length_left;           /* of the response; unknown: until end */
    char *text_heap;                /* method, target, authority when longer than text[] */
    struct http_trailers *trailers; /* NULL: none */
    /* h2 */
    struct out_queue out;
    struct out_queue held; /* body that came while paused */
    struct peer_wait wait; /* for a window */
    uint64_t data_sent;
    uint64_t done_at; /* closed when conn->taken_total reaches it */
    uint32_t id;
    uint32_t window_bytes; /* body bytes in the current rate window */
    enum http_close_reason reason;
    bool collecting : 1;
    bool collect_decoded : 1; /* collecting what comes out of `coding` */
    bool too_large : 1;
    bool complete : 1;  /* request body seen to its end */
    bool notified : 1;  /* handler->complete called */
    bool responded : 1; /* final head sent */
    bool ended : 1;     /* http_stream_end */
    bool cut : 1;       /* http_stream_cut */
    bool wants_trailers : 1;
    bool no_body : 1;       /* HEAD, 204, 304 */
    bool bodyless_head : 1; /* the request was HEAD */
    bool chunked : 1;
    bool excess : 1; /* the handler wrote more than it announced */
    bool paused : 1;
    bool windowed : 1; /* it lived through a whole rate window */
    bool want_writable : 1;
    bool closing : 1; /* closed() is decided: public calls do nothing */
    bool deferred : 1;
    bool sent_end : 1;  /* h2: END_STREAM is in conn->out */
    bool refused : 1;   /* h2: closed() will say `reason` */
    bool announced : 1; /* the handler knows it, so closed() is owed */
    char text[SERVER_TEXT_BYTES];
};

struct h1_state {
    size_t head_seen; /* bytes of conn->in already searched for the end of the head */
    uint64_t body_left;
    struct h1_chunked chunked;
    struct http_stream *stream;
    enum h1_phase phase;
    bool keep_alive;
    bool minor0;
    bool probe_head; /* "HTTP/1.1 " of the coming answer is already out (see h1_probe) */
};

struct server_proto {
    /* The connection speaks this. May be NULL. -ERR_NOMEM kills it. */
    int (*start)(struct http_conn *conn);
    /* Take bytes; returns how many were used. h1 leaves what must wait. */
    size_t (*input)(struct http_conn *conn, char *bytes, size_t count);
    bool (*wants_input)(const struct http_conn *conn);
    /* The peer's end. */
    void (*input_end)(struct http_conn *conn);
    /* Before a write: frames to conn->out. */
    void (*fill)(struct http_conn *conn);
    /* After a write: streams that are through, writable. */
    void (*flushed)(struct http_conn *conn);
    void (*timeout)(struct http_conn *conn);
    void (*drain)(struct http_conn *conn);
    void (*fini)(struct http_conn *conn);
    /* streams */
    void (*respond)(struct http_stream *stream, unsigned status, const struct http_field *fields,
                    size_t field_count, uint64_t length);
    void (*write)(struct http_stream *stream, struct str bytes);
    void (*write_now)(struct http_stream *stream, struct str bytes);
    void (*end)(struct http_stream *stream);
    void (*abort)(struct http_stream *stream);
    /* Held body, after pauses; in the FREE phase. May be NULL. */
    void (*pump)(struct http_conn *conn);
    size_t (*queued)(const struct http_stream *stream);
};
extern const struct server_proto server_h1;
extern const struct server_proto server_h2;

struct http_conn {
    struct channel channel;
    struct http_server *server;
    const struct server_proto *proto; /* NULL until known */
    void *user;
    struct list node;  /* server->conns or server->dead */
    struct list dirty; /* server->dirty */
    struct list more;  /* server->more */
    struct list streams;
    struct timer timer;
    uint64_t deadline_ms; /* 0 = none; the timer may be armed earlier, never later */
    struct out_queue out;
    uint64_t taken_total;  /* bytes given to the kernel */
    struct peer_wait wait; /* for the socket */
    uint32_t stream_count;
    struct buf in; /* unread remainder; no block when empty */
    union {
        struct h1_state h1;
        struct h2_conn *h2;
    } u;
    enum conn_state state;
    enum http_close_reason reason; /* for the streams that are left when it dies */
    bool secure;
    bool peer_end;     /* their FIN is here or on its way */
    bool read_pending; /* we stopped reading before the socket was empty */
    bool out_blocked;
    bool linger; /* in CONN_CLOSING: read late bytes away before the close */
    bool late;   /* the server drains: what it has said by now is answered, then the end */
};

struct server_listener {
    struct loop_io io;
    struct http_server *server;
};

struct http_server {
    struct http_server_conf conf;
    struct loop *loop;
    struct server_listener listeners[HTTP_LISTENERS_MAX];
    uint32_t listener_count;
    struct timer listen_timer; /* tries again after EMFILE */
    bool draining;
    void (*drained)(void *user);
    void *drained_user;
    uint32_t conn_count;
    struct list conns;
    struct list dirty;
    struct list more;
    struct list ended; /* streams whose closed() is due */
    struct list dead;  /* connections */
    struct loop_hook flush_hook;
    struct loop_hook free_hook;
    struct out_pool pool;
    struct list free_conns;
    struct list free_streams;
    struct list free_fields; /* h2_fields */
    struct buf head;         /* response heads are written here first */
    struct h1_head request;  /* the request that is being begun; too large to clear on the stack */
    uint64_t date_s;
    char date[32]; /* IMF-fixdate, 29 bytes */
    char *scratch; /* SERVER_SCRATCH_BYTES */
};

/* ---- server.c ---- */
/* conn_kill - the connection dies: nothing more is read; its streams get closed(reason) and its
 * memory goes in FREE. soft: what is queued may still leave in this turn's FLUSH. */
COLD void conn_kill(struct http_conn *conn, enum http_close_reason reason, bool soft);
/* conn_finish - nothing more to say: write what is queued, then close; read late bytes away first
 * if `linger`, so that a reset does not destroy the answer on its way. */
COLD void conn_finish(struct http_conn *conn, bool linger);
/* conn_deadline - proto->timeout (or a close) in `ms`; 0 = never. */
void conn_deadline(struct http_conn *conn, uint32_t ms);
void conn_more(struct http_conn *conn);  /* pump it in this turn's FREE phase */
void conn_dirty(struct http_conn *conn); /* flush it in this turn's FLUSH phase */
static inline bool
conn_alive(const struct http_conn *conn)
{
    return conn->state < CONN_DYING;
}
/* conn_reset_on_close - the close will be a reset: for answers that only a close ends. */
COLD void conn_reset_on_close(struct http_conn *conn);
/* ---- server_io.c ---- */
void conn_ready(struct loop_io *io, uint32_t events);
void conn_pump(struct http_conn *conn);
/* conn_write - what is queued goes to the kernel. conn_written - behind it, maybe after the writes
 * of other connections: streams that are through, what is next. */
void conn_write(struct http_conn *conn);
void conn_written(struct http_conn *conn);
/* conn_write_iov - write now, past the queue: queued bytes must be part of iov. Bytes written, or
 * 0. */
size_t conn_write_iov(struct http_conn *conn, struct iovec *iov, int count);
/* conn_put - append to conn->out and flush later; kills the connection on no memory. */
void conn_put(struct http_conn *conn, struct str bytes);
/* peer_too_slow - asked while `waiting` bytes wait for the peer, which took `taken` so far: in each
 * idle_timeout_ms it has to take all of them, or body_rate_min bytes a second. */
COLD bool peer_too_slow(const struct http_server *server, struct peer_wait *wait, uint64_t taken,
                        uint64_t waiting);
/* conn_too_slow - the same for the socket; to be asked only while it takes no more. */
COLD bool conn_too_slow(struct http_conn *conn);

/* ---- server_stream.c ---- */
struct http_stream *stream_new(struct http_conn *conn);
/* stream_set_head - copy method and target (and point head at the copies with authority). 0,
 * NOMEM. */
int stream_set_head(struct http_stream *stream, struct http_head *head) MUST_USE;
/* stream_close - closed(reason), then the stream is gone. Never from inside a handler's call. */
void stream_close(struct http_stream *stream, enum http_close_reason reason);
/* stream_end_later - the same in FREE; public calls do nothing from now on. */
void stream_end_later(struct http_stream *stream, enum http_close_reason reason);
/* stream_request - call the handler; checks the announced length before and after. Returns 0, or
 * the status to refuse with (413). */
unsigned stream_request(struct http_stream *stream, struct http_head *head);
/* stream_body - deliver or collect. 0, -ERR_TOO_LARGE, -ERR_NOMEM, -ERR_PARSE (does not decode). */
int stream_body(struct http_stream *stream, struct str bytes) MUST_USE;
/* stream_refused - stream_body failed with `code`: has the handler answered, or does it now?
 * Otherwise refuse with *ret_status. */
COLD bool stream_refused(struct http_stream *stream, int code, unsigned *ret_status);
/* stream_complete - the request body is through. */
void stream_complete(struct http_stream *stream);
/* An answer of our own: its fields, its JSON body. */
struct refusal {
    struct http_field fields[2];
    uint32_t field_count;
    struct str body;
    char id[HTTP_ID_BYTES];
    char text[256];
};
/* stream_refusal - fill it in; stream: whose, or NULL when none was made yet. */
COLD void stream_refusal(struct http_server *server, const struct http_stream *stream,
                         unsigned status, struct refusal *ret_refusal);
/* server_date - "Sun, 06 Nov 1994 08:49:37 GMT", valid until the next call. */
struct str server_date(struct http_server *server);

#endif
