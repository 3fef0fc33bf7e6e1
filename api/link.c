/* SPDX-License-Identifier: MIT
 * link.c - the node's end of the control-plane stream: dial, split into records, queue, dial again.
 * Floor: api; its loop's thread.
 * Owns: the HTTP client, one origin and one call an attempt, the out-queue, the line buffer.
 * Invariant: `up` and `down` alternate, except that a dial that fails reports `down` again; an
 * attempt never reuses the connection of an older one. link_test.c. */
#include "api/link.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/base/check.h"
#include "lib/base/rand.h"
#include "lib/http/client.h"

#define RECORD_BYTES_MAX (16u * 1024u * 1024u)
#define QUEUE_BYTES_FULL (8u * 1024u * 1024u)
#define QUEUE_BYTES_MAX (32u * 1024u * 1024u)
#define WRITE_BYTES (64u * 1024u)
#define RETRY_MIN_MS 50u
#define RETRY_MAX_MS 5000u
/* The control plane ticks every 3 s: a silence of four ticks is a dead peer. */
#define SILENCE_MAX_MS 12000u
/* Asks for a sign of life, and keeps the server's check for stalled bodies content. */
#define PING_MS 4000u

enum link_state { LINK_WAITING, LINK_DIALING, LINK_UP };

struct link {
    const struct link_ops *ops;
    void *user;
    struct loop *loop;
    char *host;
    uint16_t port;
    struct tls_context *tls;
    struct http_client *client;
    struct http_origin *origin;
    struct http_call *call;
    enum link_state state;
    bool proven; /* a record came on this connection: the next retry starts at RETRY_MIN_MS */
    bool full;   /* the call wants no more for now */
    bool in_callback;
    uint64_t retry_ms;
    struct timer retry;
    struct timer silence;
    struct timer ping;
    uint64_t ping_count;
    struct buf in;
    struct buf out;
    size_t out_at; /* bytes of `out` already given to the call */
    struct json_doc doc;
};

static void
link_arm_retry(struct link *link)
{
    uint64_t wait = link->retry_ms / 2 + rand_below(link->retry_ms / 2 + 1);
    timer_arm(loop_timers(link->loop), &link->retry, loop_now_ms(link->loop) + wait);
    link->retry_ms = MIN(link->retry_ms * 2, (uint64_t)RETRY_MAX_MS);
}

/* One setter for "lost": from any state, with the call already ended or to be cancelled here. */
static void
link_drop(struct link *link, const char *reason)
{
    if (link->state == LINK_WAITING)
        return;
    link->state = LINK_WAITING;
    timer_cancel(loop_timers(link->loop), &link->silence);
    timer_cancel(loop_timers(link->loop), &link->ping);
    http_call_cancel(&link->call);
    http_origin_release(&link->origin);
    buf_fini(&link->in);
    buf_init(&link->in, RECORD_BYTES_MAX + 1);
    buf_fini(&link->out);
    buf_init(&link->out, QUEUE_BYTES_MAX);
    link->out_at = 0;
    link->full = false;
    if (link->proven)
        link->retry_ms = RETRY_MIN_MS;
    link->proven = false;
    link_arm_retry(link);
    link->in_callback = true;
    link->ops->down(link, reason, link->user);
    link->in_callback = false;
}

/* What of rest the call does not take now. */
static struct str
link_write(struct link *link, struct str rest)
{
    while (link->call != NULL && !link->full && rest.len > 0) {
        struct str piece = str_make(rest.ptr, MIN(rest.len, (size_t)WRITE_BYTES));
        link->full = !http_call_write(link->call, piece);
        rest = str_skip(rest, piece.len);
    }
    return rest;
}

static void
link_pump(struct link *link)
{
    struct str rest = link_write(link, str_skip(buf_str(&link->out), link->out_at));
    link->out_at = link->out.len - rest.len;
    if (link->out_at == link->out.len || link->out_at > QUEUE_BYTES_FULL) {
        buf_consume(&link->out, link->out_at);
        link->out_at = 0;
    }
}

/* ---- what arrives ---------------------------------------------------------------------------- */

/* One line. false: the connection was dropped. */
static bool
link_record(struct link *link, struct str line)
{
    static const struct json_limits limits = {.depth_max = 64,
                                              .node_count_max = RECORD_BYTES_MAX / 4,
                                              .text_bytes_max = RECORD_BYTES_MAX};
    struct err err = {0};
    if (json_scan(&link->doc, line, &limits, &err) < 0) {
        link_drop(link, "the control plane sent a line that is not JSON");
        return false;
    }
    uint32_t type = json_get(&link->doc, 0, STR("type"));
    if (!json_is(&link->doc, type, JSON_STRING) || link->doc.nodes[type].escaped) {
        link_drop(link, "the control plane sent a record without a type");
        return false;
    }
    struct str raw = json_raw(&link->doc, type);
    link->proven = true;
    uint64_t n = 0;
    if (str_eq(raw, STR("\"pong\"")) &&
        json_u64(&link->doc, json_get(&link->doc, 0, STR("n")), LINK_PINGS_MAX, &n) == 0)
        return true;
    link->in_callback = true;
    link->ops->record(link, str_make(raw.ptr + 1, raw.len - 2), &link->doc, link->user);
    link->in_callback = false;
    return true;
}

static void
link_on_body(struct http_call *call, struct str bytes, bool last)
{
    struct link *link = http_call_user(call);
    (void)last;
    ASSERT(link->call == call);
    timer_arm(loop_timers(link->loop), &link->silence, loop_now_ms(link->loop) + SILENCE_MAX_MS);
    while (bytes.len > 0) {
        struct str piece = STR_EMPTY;
        bool whole = str_cut(bytes, '\n', &piece, &bytes);
        if (link->in.len + piece.len > RECORD_BYTES_MAX || buf_put_str(&link->in, piece) < 0) {
            link_drop(link, "the control plane sent a record over 16 MiB");
            return;
        }
        if (!whole)
            return;
        if (!link_record(link, buf_str(&link->in)))
            return;
        buf_consume(&link->in, link->in.len);
    }
}

static void
link_on_head(struct http_call *call, const struct http_head *head)
{
    struct link *link = http_call_user(call);
    ASSERT(link->call == call && link->state == LINK_DIALING);
    if (head->status != 200) {
        link_drop(link, head->status == 403 ? "the control plane refuses this node's certificate"
                                            : "the control plane does not serve /planes/v1/stream");
        return;
    }
    link->state = LINK_UP;
    timer_arm(loop_timers(link->loop), &link->ping, loop_now_ms(link->loop) + PING_MS);
    link->in_callback = true;
    link->ops->up(link, link->user);
    link->in_callback = false;
}

static void
link_on_done(struct http_call *call)
{
    struct link *link = http_call_user(call);
    link->call = NULL;
    link_drop(link, "the control plane closed the stream");
}

static void
link_on_failed(struct http_call *call, int code, enum http_phase phase, const char *text)
{
    struct link *link = http_call_user(call);
    (void)code;
    (void)phase;
    link->call = NULL;
    link_drop(link, text);
}

static void
link_on_writable(struct http_call *call)
{
    struct link *link = http_call_user(call);
    link->full = false;
    link_pump(link);
}

static const struct http_call_ops call_ops = {
    .head = link_on_head,
    .body = link_on_body,
    .done = link_on_done,
    .failed = link_on_failed,
    .writable = link_on_writable,
};

/* ---- dialing --------------------------------------------------------------------------------- */

static int
link_dial(struct link *link, struct err *err)
{
    static const struct http_field fields[] = {
        {{"content-type", 12}, {"application/x-ndjson", 20}},
        {{"accept", 6}, {"application/x-ndjson", 20}},
    };
    /* A new origin an attempt: its connection is closed with it, never met again. */
    struct http_origin_conf origin = {
        .host = str_from(link->host),
        .port = link->port,
        .tls = link->tls,
        .protocol = HTTP_2,
        .conn_count_max = 1,
    };
    struct http_call_conf call = {
        .ops = &call_ops,
        .user = link,
        .method = STR("POST"),
        .target = STR("/planes/v1/stream"),
        .fields = fields,
        .field_count = ARRAY_LEN(fields),
        .streaming = true,
    };
    int code = http_origin_acquire(link->client, &origin, &link->origin, err);
    if (code < 0)
        return code;
    code = http_call_start(link->origin, &call, &link->call);
    return code < 0 ? err_set(err, (enum err_code) - code, "cannot start the call") : 0;
}

static void
link_retry_fire(struct timer *timer)
{
    struct link *link = CONTAINER_OF(timer, struct link, retry);
    struct err err = {0};
    ASSERT(link->state == LINK_WAITING && link->call == NULL && link->origin == NULL);
    link->state = LINK_DIALING;
    timer_arm(loop_timers(link->loop), &link->silence, loop_now_ms(link->loop) + SILENCE_MAX_MS);
    if (link_dial(link, &err) < 0)
        link_drop(link, err.text);
}

static void
link_silence_fire(struct timer *timer)
{
    struct link *link = CONTAINER_OF(timer, struct link, silence);
    link_drop(link, "the control plane has been silent for 12 s");
}

static void
link_ping_fire(struct timer *timer)
{
    struct link *link = CONTAINER_OF(timer, struct link, ping);
    char text[64];
    int count =
        snprintf(text, sizeof(text), "{\"type\":\"ping\",\"n\":%" PRIu64 "}", ++link->ping_count);
    timer_arm(loop_timers(link->loop), &link->ping, loop_now_ms(link->loop) + PING_MS);
    (void)link_send(link, str_make(text, (size_t)count));
}

int
link_new(const struct link_conf *conf, struct link **ret_link, struct err *err)
{
    ASSERT(conf->ops != NULL && conf->ops->up != NULL && conf->ops->record != NULL &&
           conf->ops->down != NULL);
    CLEANUP(link_free) struct link *link = calloc(1, sizeof(*link));
    if (link == NULL)
        return err_set(err, ERR_NOMEM, "no memory for the link to the control plane");
    link->ops = conf->ops;
    link->user = conf->user;
    link->loop = conf->loop;
    link->port = conf->port;
    link->retry_ms = RETRY_MIN_MS;
    timer_init(&link->retry, link_retry_fire);
    timer_init(&link->silence, link_silence_fire);
    timer_init(&link->ping, link_ping_fire);
    buf_init(&link->in, RECORD_BYTES_MAX + 1);
    buf_init(&link->out, QUEUE_BYTES_MAX);
    json_init(&link->doc);
    link->host = str_dup(str_from(conf->host));
    if (link->host == NULL)
        return err_set(err, ERR_NOMEM, "no memory for the link to the control plane");
    struct tls_client_conf tls = {.ca_file = conf->ca_file,
                                  .cert_file = conf->cert_file,
                                  .key_file = conf->key_file,
                                  .alpn_h2 = true,
                                  .internal = true};
    int code = tls_client_new(&tls, &link->tls, err);
    if (code < 0)
        return code;
    code = http_client_new(link->loop, &link->client, err);
    if (code < 0)
        return code;
    timer_arm(loop_timers(link->loop), &link->retry, 0); /* the first attempt: in the next turn */
    *ret_link = TAKE(link);
    return 0;
}

void
link_free(struct link **ref)
{
    struct link *link = TAKE(*ref);
    if (link == NULL)
        return;
    ASSERT(!link->in_callback);
    timer_cancel(loop_timers(link->loop), &link->retry);
    timer_cancel(loop_timers(link->loop), &link->silence);
    timer_cancel(loop_timers(link->loop), &link->ping);
    http_call_cancel(&link->call);
    http_origin_release(&link->origin);
    if (link->client != NULL)
        http_client_free(&link->client);
    tls_context_free(&link->tls);
    buf_fini(&link->in);
    buf_fini(&link->out);
    json_fini(&link->doc);
    free(link->host);
    free(link);
}

/* ---- sending --------------------------------------------------------------------------------- */

bool
link_is_up(const struct link *link)
{
    return link->state == LINK_UP;
}

bool
link_send(struct link *link, struct str json)
{
    if (link->state != LINK_UP)
        return true;
    ASSERT(json.len > 0 && str_find_byte(json, '\n') == SIZE_MAX);
    if (link->out.len == 0)
        json = link_write(link, json);
    if (link->state != LINK_UP)
        return true;
    if (buf_reserve(&link->out, json.len + 1) < 0) {
        /* Nothing may be lost silently in the middle: start anew instead. From the loop, because
         * the caller does not expect `down` inside its own call. */
        timer_arm(loop_timers(link->loop), &link->silence, 0);
        return false;
    }
    buf_put_str(&link->out, json);
    buf_put_byte(&link->out, '\n');
    link_pump(link);
    return link->out.len - link->out_at <= QUEUE_BYTES_FULL;
}
