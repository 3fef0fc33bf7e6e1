/* SPDX-License-Identifier: MIT
 * client.c - the HTTP client's calls: start, cancel, pause, upload, and how they end.
 * Floor: lib/http; its loop's thread.
 * Owns: calls and the copies of their heads; pools of both.
 * Invariant: see client.h; a call ends through call_end alone. client_test.c. */
#include "lib/http/client.h"

#include <stdlib.h>

#include "lib/base/check.h"
#include "lib/http/client_int.h"
#include "lib/http/message_int.h"

#define HEAD_BLOCK_BYTES 2048u
#define HEAD_COPY_BYTES_MAX (256u * 1024u)

/* ---- copies of request heads ----------------------------------------------------------------- */

static struct call_head *
head_block(struct http_client *client, size_t size)
{
    struct call_head *head = client->spare_heads;
    if (size > HEAD_BLOCK_BYTES) {
        head = malloc(size);
        if (head != NULL)
            head->pooled = false;
        return head;
    }
    if (head != NULL) {
        client->spare_heads = head->next;
        client->spare_head_count--;
        return head;
    }
    head = malloc(HEAD_BLOCK_BYTES);
    if (head != NULL)
        head->pooled = true;
    return head;
}

static struct str
head_place(char **at, struct str s)
{
    char *placed = *at;
    *at = http_put(placed, s);
    return str_make(placed, s.len);
}

uint64_t
call_body_length(struct str method, bool streaming, uint64_t body_bytes, bool *ret_none)
{
    *ret_none = !streaming && body_bytes == 0 &&
                (str_eq(method, STR("GET")) || str_eq(method, STR("HEAD")) ||
                 str_eq(method, STR("DELETE")) || str_eq(method, STR("OPTIONS")));
    return streaming && body_bytes == 0 ? HTTP_LENGTH_UNKNOWN : body_bytes;
}

/* Where only HTTP/1.1 is spoken: as it goes over the wire, once for all attempts. NULL: no memory,
 * or a head that may not be sent, which the connection tells. */
static struct call_head *
head_write(struct http_origin *origin, const struct http_call_conf *conf, uint64_t body_bytes)
{
    struct http_client *client = origin->client;
    struct buf *out = &client->head_out;
    bool none = false;
    uint64_t length = call_body_length(conf->method, conf->streaming, body_bytes, &none);
    out->len = 0;
    out->failed = false;
    if (h1_put_request(out, conf->method, conf->target, str_from(origin->authority), conf->fields,
                       conf->field_count, length, none) != 0 ||
        out->len > HEAD_COPY_BYTES_MAX)
        return NULL;
    struct call_head *head = head_block(client, sizeof(*head) + out->len);
    if (head == NULL)
        return NULL;
    char *at = (char *)(head + 1);
    head->next = NULL;
    head->wire = head_place(&at, buf_str(out));
    return head;
}

static struct call_head *
head_copy(struct http_client *client, const struct http_call_conf *conf)
{
    size_t size = sizeof(struct call_head) + conf->field_count * sizeof(struct http_field);
    size_t text = conf->method.len + conf->target.len;
    for (size_t i = 0; i < conf->field_count; i++)
        text += conf->fields[i].name.len + conf->fields[i].value.len;
    if (text > HEAD_COPY_BYTES_MAX)
        return NULL;
    struct call_head *head = head_block(client, size + text);
    if (head == NULL)
        return NULL;
    char *at = (char *)head + size;
    head->next = NULL;
    head->wire = STR_EMPTY;
    head->method = head_place(&at, conf->method);
    head->target = head_place(&at, conf->target);
    head->field_count = (uint32_t)conf->field_count;
    for (size_t i = 0; i < conf->field_count; i++) {
        head->fields[i].name = head_place(&at, conf->fields[i].name);
        head->fields[i].value = head_place(&at, conf->fields[i].value);
    }
    return head;
}

void
call_head_drop(struct http_call *call)
{
    struct call_head *head = TAKE(call->head);
    struct http_client *client = call->origin->client;
    if (head == NULL)
        return;
    if (!head->pooled || client->spare_head_count >= CLIENT_POOL_MAX) {
        free(head);
        return;
    }
    head->next = client->spare_heads;
    client->spare_heads = head;
    client->spare_head_count++;
}

/* ---- life of a call -------------------------------------------------------------------------- */

static struct http_call *
call_new(struct http_origin *origin, const struct http_call_conf *conf)
{
    struct http_client *client = origin->client;
    struct list *spare = list_pop_front(&client->spare_calls);
    struct http_call *call = NULL;
    if (spare != NULL) {
        client->spare_call_count--;
        call = LIST_ENTRY(spare, struct http_call, node);
    } else {
        call = malloc(sizeof(*call));
    }
    if (call == NULL)
        return NULL;
    *call = (struct http_call){
        .ops = conf->ops,
        .user = conf->user,
        .origin = origin,
        .segments = conf->segments,
        .segment_count = conf->segment_count,
        .streaming = conf->streaming,
        .body_bytes = conf->upload_bytes,
        .upload_high = conf->upload_high != 0 ? conf->upload_high : CLIENT_UPLOAD_HIGH,
        .retried = conf->fresh,
        .retry_stale = conf->retry_stale,
        .head_request = str_eq(conf->method, STR("HEAD")),
        .phase = HTTP_QUEUED,
    };
    list_init(&call->node);
    list_init(&call->soon);
    buf_init(&call->upload, CLIENT_UPLOAD_MAX);
    buf_init(&call->held, CLIENT_UPLOAD_MAX);
    for (size_t i = 0; i < conf->segment_count; i++)
        call->body_bytes += conf->segments[i].len;
    call->timings.started_ns = loop_now_ns(client->loop);
    client->call_count++;
    origin->call_count++;
    return call;
}

/* No callback after this; the struct is reused in the FREE phase. */
static void
call_end(struct http_call *call)
{
    struct http_client *client = call->origin->client;
    ASSERT(!call->ended);
    call->ended = true;
    call->conn = NULL;
    list_remove(&call->node);
    list_remove(&call->soon);
    call_head_drop(call);
    buf_fini(&call->upload);
    ASSERT(client->call_count > 0 && call->origin->call_count > 0);
    client->call_count--;
    list_push_back(&client->dead_calls, &call->node);
    loop_at_end(client->loop, &client->reap, LOOP_FREE);
}

/* The origin outlives the callback, which may release it. */
static void
call_left(struct http_origin *origin)
{
    origin->call_count--;
    if (origin->refs == 0 && origin->call_count == 0)
        origin_retire(origin);
}

void
call_done(struct http_call *call)
{
    struct http_origin *origin = call->origin;
    call_end(call);
    call->ops->done(call);
    call_left(origin);
}

void
call_fail(struct http_call *call, int code, const char *text)
{
    struct http_origin *origin = call->origin;
    enum http_phase phase = (enum http_phase)call->phase;
    ASSERT(code < 0);
    call_end(call);
    call->ops->failed(call, code, phase, text);
    call_left(origin);
}

bool
call_may_retry(const struct http_call *call)
{
    return !call->retried && !call->streaming && call->head != NULL && call->phase < HTTP_HEAD_SEEN;
}

void
call_return(struct http_call *call)
{
    ASSERT(!call->ended && call->head != NULL && !call->head_put);
    call->conn = NULL;
    call->phase = HTTP_QUEUED;
    list_remove(&call->node);
    list_push_front(&call->origin->queue, &call->node);
    call->origin->queued++;
    origin_pump(call->origin);
}

void
call_requeue(struct http_call *call)
{
    ASSERT(!call->streaming);
    call->retried = true;
    call->segment_index = 0;
    call->segment_offset = 0;
    call->stream_id = 0;
    call->interim_count = 0;
    call->head_put = false;
    call->sent = false;
    call_return(call);
}

void
call_upload_level(struct http_call *call, size_t queued)
{
    if (!call->upload_full || queued > call->upload_high / 4)
        return;
    call->upload_full = false;
    if (call->ops->writable != NULL)
        call->ops->writable(call);
}

/* ---- the caller's side ----------------------------------------------------------------------- */

int
http_call_start(struct http_origin *origin, const struct http_call_conf *conf,
                struct http_call **ret_call)
{
    ASSERT(conf->ops != NULL && conf->ops->done != NULL && conf->ops->failed != NULL);
    ASSERT(!conf->streaming || conf->segment_count == 0);
    struct http_call *call = call_new(origin, conf);
    if (call == NULL)
        return -ERR_NOMEM;
    if (origin->conf.protocol == HTTP_1_1)
        call->head = head_write(origin, conf, call->body_bytes);
    if (call->head == NULL)
        call->head = head_copy(origin->client, conf);
    if (call->head == NULL) {
        call_end(call);
        call_left(origin);
        return -ERR_NOMEM;
    }
    list_push_back(&origin->queue, &call->node);
    origin->queued++;
    origin_pump(origin);
    if (call->conn == NULL && origin->queued > origin->conf.queue_max) {
        origin->queued--;
        call_end(call);
        call_left(origin);
        return -ERR_OVERLOADED;
    }
    *ret_call = call;
    return 0;
}

void
http_call_cancel(struct http_call **ref)
{
    struct http_call *call = TAKE(*ref);
    if (call == NULL || call->ended)
        return;
    struct http_origin *origin = call->origin;
    if (call->conn != NULL)
        call->conn->proto->cancel(call->conn, call);
    else if (call->phase == HTTP_QUEUED) /* or its connection was lost in this moment */
        origin->queued--;
    call_end(call);
    call_left(origin);
}

void *
http_call_user(const struct http_call *call)
{
    return call->user;
}

void
http_call_pause(struct http_call *call, bool paused)
{
    if (call->ended || call->paused == paused)
        return;
    call->paused = paused;
    struct http_client *client = call->origin->client;
    if (paused) {
        list_remove(&call->soon);
        return;
    }
    if (call->conn == NULL)
        return;
    /* Never from inside the caller's own call. */
    if (list_empty(&call->soon))
        list_push_back(&client->soon_calls, &call->soon);
    client_soon(client);
}

bool
http_call_paused(const struct http_call *call)
{
    return call->paused;
}

enum http_phase
http_call_phase(const struct http_call *call)
{
    if (call->phase == HTTP_QUEUED && call->origin->dialing_count > 0)
        return HTTP_CONNECTING;
    return (enum http_phase)call->phase;
}

bool
http_call_write(struct http_call *call, struct str bytes)
{
    ASSERT(call->streaming && !call->upload_ended);
    if (call->ended)
        return true;
    /* Moved once it is at least half of the buffer: each byte is moved once at most. */
    if (call->upload_sent > call->upload.len / 2) {
        buf_consume(&call->upload, call->upload_sent);
        call->upload_sent = 0;
    }
    call->upload_put += bytes.len;
    ASSERT(call->body_bytes == 0 || call->upload_put <= call->body_bytes);
    buf_put_str(&call->upload, bytes); /* a failure is sticky: the protocol fails the call */
    if (call->conn != NULL)
        call->conn->proto->upload(call->conn, call);
    if (call_upload_left(call) > call->upload_high || (call->retried && !call->head_put))
        call->upload_full = true;
    return !call->upload_full;
}

void
http_call_end(struct http_call *call)
{
    ASSERT(call->streaming);
    if (call->ended || call->upload_ended)
        return;
    ASSERT(call->body_bytes == 0 || call->upload_put == call->body_bytes);
    call->upload_ended = true;
    if (call->conn != NULL)
        call->conn->proto->upload(call->conn, call);
}

const struct http_timings *
http_call_timings(const struct http_call *call)
{
    return &call->timings;
}
