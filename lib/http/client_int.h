/* SPDX-License-Identifier: MIT
 * client_int.h - the parts of the HTTP client to each other: client.c (origins, calls),
 * client_dial.c (connecting), client_h1.c and client_h2.c (protocols). Floor: lib/http, private;
 * the loop's thread. Owns: the layout of client, origin, connection and call. Invariant: a live
 * call is in exactly one place: its origin's queue or its connection. Memory of ended calls,
 * connections and origins is reused in the FREE phase only, so a caller's callback may cancel or
 * release anything. */
#ifndef BERTH_LIB_HTTP_CLIENT_INT_H
#define BERTH_LIB_HTTP_CLIENT_INT_H

#include "lib/base/buf.h"
#include "lib/http/client.h"
#include "lib/http/h1.h"
#include "lib/http/h2_abuse.h"
#include "lib/http/h2_session.h"
#include "lib/http/hpack.h"
#include "lib/net/resolve.h"

#define CLIENT_SCRATCH_BYTES (128u * 1024u)
#define CLIENT_IOV_COUNT 64
#define CLIENT_INTERIM_MAX 16u /* 1xx heads before a final one */
#define CLIENT_UPLOAD_HIGH (256u * 1024u)
#define CLIENT_UPLOAD_LOW (64u * 1024u)
#define CLIENT_UPLOAD_MAX (64u * 1024u * 1024u)
#define CLIENT_POOL_MAX 1024u /* spare calls, connections, head blocks kept */

struct client_conn;

/* One per protocol. `call` is on `conn` in all of them. */
struct client_proto {
    int (*open)(struct client_conn *conn, struct err *err); /* just connected */
    bool (*has_room)(const struct client_conn *conn);
    void (*assign)(struct client_conn *conn, struct http_call *call);
    /* Something can be read. hangup: the transport said that an end or error is behind it. */
    void (*readable)(struct client_conn *conn, bool hangup);
    void (*flush)(struct client_conn *conn);
    bool (*unsent)(const struct client_conn *conn);
    /* Forget a call: h1 destroys the connection, h2 resets the stream. No callback. */
    void (*cancel)(struct client_conn *conn, struct http_call *call);
    void (*resume)(struct client_conn *conn, struct http_call *call); /* no longer paused */
    void (*upload)(struct client_conn *conn, struct http_call *call); /* more to send, or the end */
    void (*close)(struct client_conn *conn); /* free what the protocol holds; no callback */
};
extern const struct client_proto client_proto_h1;
extern const struct client_proto client_proto_h2;

enum client_conn_state { CONN_DIALING, CONN_OPEN, CONN_DEAD };

struct client_h1 {
    struct http_call *call;
    struct buf held; /* an incomplete head, or what came while paused */
    size_t head_seen;
    struct h1_chunked chunked;
    uint64_t left; /* of a body of known length */
    uint8_t state;
    uint8_t interim_count;
    bool keep_alive;
    bool reply_seen; /* any byte of this reply */
    bool write_broken;
    bool little; /* the reply is short: so will the next be */
};

struct client_conn {
    struct channel channel;
    struct http_origin *origin;
    const struct client_proto *proto; /* NULL while dialing */
    struct client_dial *dial;         /* only while dialing */
    struct list node;                 /* origin: dialing, idle, busy; client: dead, spare */
    struct list dirty;
    struct list soon;
    struct buf out; /* bytes that the kernel did not take yet */
    uint64_t idle_since_ms;
    uint32_t used; /* calls begun on it */
    uint8_t state;
    bool read_more; /* stopped reading before -ERR_AGAIN */
    union {
        struct client_h1 h1;
        struct client_h2 *h2;
    } u;
};

/* What was copied from the caller, in one block; kept until it cannot be sent again. */
struct call_head {
    struct call_head *next; /* in the pool */
    struct str wire;        /* written already, for HTTP/1.1; then there is nothing else */
    struct str method;
    struct str target;
    uint32_t field_count;
    bool pooled;
    struct http_field fields[];
};

struct http_call {
    const struct http_call_ops *ops;
    void *user;
    struct http_origin *origin;
    struct client_conn *conn; /* NULL while queued */
    struct list node;         /* origin: queue; h2 connection: calls; client: dead, spare */
    struct list soon;
    struct call_head *head;
    const struct str *segments;
    size_t segment_count;
    size_t segment_index;  /* next to send */
    size_t segment_offset; /* in it */
    uint64_t body_bytes;   /* sum of segments; streaming: as announced, 0 = not */
    uint64_t body_left;    /* h2: of body_bytes, not yet sent */
    uint64_t reply_left;   /* h2: of content-length */
    struct http_timings timings;
    struct buf upload; /* streaming: the first upload_sent bytes are framed already */
    size_t upload_sent;
    size_t upload_high;
    uint64_t upload_put; /* in all */
    struct buf held;     /* h2: came while paused */
    uint32_t stream_id;
    uint32_t close_code;   /* h2: of a stream in `closed` */
    uint32_t heard_before; /* h2: by the connection, when the head was put */
    uint8_t phase;
    uint8_t interim_count;
    bool streaming;
    bool upload_ended;
    bool upload_framed; /* h1: the last chunk is in `out` */
    bool head_request;
    bool upload_full; /* http_call_write said false */
    bool retry_stale;
    bool retried; /* only a connection without history will do */
    bool head_put;
    bool sent;
    bool paused;
    bool reused;      /* h2: the connection had served others */
    bool reply_seen;  /* h2: any header block of the reply */
    bool reply_ended; /* h2: END_STREAM came while paused */
    bool ended;
};

struct http_origin {
    struct http_client *client;
    struct list node; /* client: origins, dead_origins */
    struct list soon; /* a connection went: look at the queue */
    struct http_origin_conf conf;
    char *host;
    char *unix_path;
    char *authority;
    uint32_t refs;
    uint32_t call_count;
    uint32_t queued;
    uint32_t conn_count;
    uint32_t dialing_count;
    enum http_protocol learned; /* AUTO until a first connection told */
    struct list queue;
    struct list dialing;
    struct list idle; /* most recently used first */
    struct list busy;
    struct timer sweep;
    struct timer redial; /* armed: no dials before */
    struct err err;      /* why the last dial failed */
};

struct http_client {
    struct loop *loop;
    struct list origins;
    struct list dead_origins;
    struct list dirty;
    struct list soon_conns;
    struct list soon_calls;
    struct list soon_origins;
    struct list dead_conns;
    struct list dead_calls;
    struct list spare_conns;
    struct list spare_calls;
    struct call_head *spare_heads;
    uint32_t spare_conn_count;
    uint32_t spare_call_count;
    uint32_t spare_head_count;
    uint32_t call_count;
    struct loop_hook flush;
    struct loop_hook reap;
    struct timer soon;
    struct buf head_out;    /* h1: the head that is being sent */
    struct h1_head h1_head; /* h1: the head that is being read */
    char scratch[CLIENT_SCRATCH_BYTES];
    char wire[CLIENT_SCRATCH_BYTES]; /* h2: frames that are being sent */
};

/* ---- client.c -------------------------------------------------------------------------------- */
/* call_done / call_fail - last callback; the call left its connection already. */
void call_done(struct http_call *call);
COLD void call_fail(struct http_call *call, int code, const char *text);
/* call_return - to the front of the queue: nothing of it was sent. */
COLD void call_return(struct http_call *call);
/* call_requeue - back to the front of the queue, to be sent from its start on a new connection. */
COLD void call_requeue(struct http_call *call);
void call_head_drop(struct http_call *call);
/* call_body_length - as h1_put_request takes it; *ret_none: no body field at all. */
uint64_t call_body_length(struct str method, bool streaming, uint64_t body_bytes, bool *ret_none);
/* call_may_retry - nothing of the reply was seen and all of the request can be sent again. */
bool call_may_retry(const struct http_call *call);
/* call_upload_level - tell a streaming caller that there is room again. */
void call_upload_level(struct http_call *call, size_t queued);
void client_soon(struct http_client *client); /* run the `soon` lists before the loop sleeps */

static inline size_t
call_upload_left(const struct http_call *call)
{
    return call->upload.len - call->upload_sent;
}

/* ---- client_origin.c ------------------------------------------------------------------------- */
/* origin_pump - give queued calls to connections, dial more when they are too few. No callbacks. */
void origin_pump(struct http_origin *origin);
/* origin_fail_queue - fail queued calls with the origin's err: the first `count`. */
COLD void origin_fail_queue(struct http_origin *origin, uint32_t count);
COLD void origin_redial_later(struct http_origin *origin);
/* origin_retire - nobody refers to it: close everything, free it in the FREE phase. */
COLD void origin_retire(struct http_origin *origin);

/* ---- client_dial.c --------------------------------------------------------------------------- */
/* conn_dial - a new connection of origin, in its dialing list. 0 or -ERR_NOMEM. */
COLD int conn_dial(struct http_origin *origin) MUST_USE;
/* conn_dial_failed - deferred end of a dial that failed: fails calls of the queue. */
COLD void conn_dial_failed(struct client_conn *conn);
void upstream_dirty(struct client_conn *conn); /* flush it in this turn */
void conn_soon(struct client_conn *conn);      /* look at it again before the loop sleeps */
void conn_idle(struct client_conn *conn);      /* no call on it: into the pool */
void conn_busy(struct client_conn *conn);
/* conn_destroy - close now; memory goes in the FREE phase. The protocol's calls must be gone. */
COLD void conn_destroy(struct client_conn *conn);
static inline struct http_client *
conn_client(const struct client_conn *conn)
{
    return conn->origin->client;
}
static inline uint64_t
conn_now_ns(const struct client_conn *conn)
{
    return loop_now_ns(conn->origin->client->loop);
}

/* ---- client_h2_send.c ------------------------------------------------------------------------ */
struct client_h2 {
    struct client_conn *conn;
    struct h2_session *session;
    struct list fresh;  /* calls that are not submitted yet */
    struct list calls;  /* with a stream */
    struct list closed; /* whose stream closed while a batch was gathered */
    uint32_t call_count;
    struct h2_abuse abuse;
    const char *flood;   /* the frames that spent it all */
    uint32_t heard;      /* reads that brought something */
    bool draining;       /* GOAWAY, or out of stream ids */
    bool receiving;      /* inside h2_session_feed: do not free */
    bool orphan;         /* conn is gone: free when receiving ends */
    bool sending;        /* gathering a batch: no callbacks to callers */
    bool batch_cut;      /* the session has more than the batch holds */
    bool upload_drained; /* a streaming caller may write again */
    /* the header block that is being received */
    struct http_call *head_call; /* its call, until that leaves */
    uint64_t content_length;
    uint32_t field_count;
    size_t text_len;
    size_t list_bytes;
    struct http_field fields[HTTP_FIELDS_MAX];
    char text[HTTP_HEAD_BYTES_MAX];
    /* the batch that is being sent: iov[iov_count] over client->wire and borrowed segments */
    size_t wire_len;
    size_t batch_bytes;
    int iov_count;
    struct iovec iov[CLIENT_IOV_COUNT];
};
/* h2_submit - HEADERS for the call. 0 or -ERR_NOMEM, -ERR_UNAVAILABLE. */
int h2_submit(struct client_h2 *h2, struct http_call *call) MUST_USE;
/* h2_send - everything that the session wants to send and the socket takes. 0 or an error code. */
int h2_send(struct client_h2 *h2) MUST_USE;
/* Of struct h2_session_ops. */
int h2_want(void *user, uint32_t id, void *owner, size_t max, enum h2_after *ret_after);
int h2_send_data(void *user, uint32_t id, void *owner, const char *head, size_t count,
                 enum h2_after after);
size_t h2_put(void *user, const char *bytes, size_t count);

/* ---- client_h2_guard.c ----------------------------------------------------------------------- */
/* h2_guard_init - the budget of a new connection. */
void h2_guard_init(struct client_h2 *h2);
/* h2_guard_why - in words of an operator, why the session is over. */
COLD void h2_guard_why(const struct client_h2 *h2, char *text, size_t size);
/* h2_guard_frame - of struct h2_session_ops: is the frame one too many? */
int h2_guard_frame(void *user, const struct h2_frame *frame);

#endif
