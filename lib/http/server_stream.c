/* SPDX-License-Identifier: MIT
 * server_stream.c - one request and its response: what both protocols have in common, and the
 *                   public calls.
 * Floor: lib/http; its loop's thread.
 * Owns: streams (from a free list), their collected bodies and text.
 * Invariant: closed() comes once; after it is decided every public call does nothing; a response
 *            that does not match its announced length ends in an abort; server_test.c. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "lib/base/clock.h"
#include "lib/http/message_int.h"
#include "lib/http/server_int.h"

#define DECODE_BYTES (15u * 1024u)

struct http_stream *
stream_new(struct http_conn *conn)
{
    struct list *node = list_pop_front(&conn->server->free_streams);
    struct http_stream *stream =
        node != NULL ? LIST_ENTRY(node, struct http_stream, node) : malloc(sizeof *stream);
    if (stream == NULL)
        return NULL;
    memset(stream, 0, offsetof(struct http_stream, text));
    stream->conn = conn;
    stream->body_length = HTTP_LENGTH_UNKNOWN;
    list_push_back(&conn->streams, &stream->node);
    conn->stream_count++;
    return stream;
}

static char *
text_append(char *at, struct str *text)
{
    char *end = http_put(at, *text);
    text->ptr = at;
    return end;
}

int
stream_set_head(struct http_stream *stream, struct http_head *head)
{
    char *text = stream->text;
    size_t need = head->method.len + head->target.len + head->authority.len;
    if (need > sizeof stream->text) {
        stream->text_heap = malloc(need);
        text = stream->text_heap;
        if (text == NULL)
            return -ERR_NOMEM;
    }
    text = text_append(text, &head->method);
    text = text_append(text, &head->target);
    (void)text_append(text, &head->authority);
    stream->method = head->method;
    stream->target = head->target;
    stream->bodyless_head = str_eq(head->method, STR("HEAD"));
    stream->wants_trailers = head->trailers;
    stream->body_length = head->has_body ? head->content_length : 0;
    return 0;
}

static void
stream_drop_body(struct http_stream *stream)
{
    struct out_pool *pool = &stream->conn->server->pool;
    out_block_put(pool, stream->body);
    stream->body = NULL;
    out_clear(pool, &stream->held);
}

void
stream_close(struct http_stream *stream, enum http_close_reason reason)
{
    struct http_server *server = stream->conn->server;
    stream->closing = true;
    list_remove(&stream->node);
    if (stream->announced)
        server->conf.handler->closed(stream, reason);
    stream_drop_body(stream);
    out_clear(&server->pool, &stream->out);
    if (UNLIKELY(stream->text_heap != NULL || stream->coding != NULL || stream->trailers != NULL)) {
        free(stream->text_heap);
        free(stream->trailers);
        coding_free(&stream->coding);
    }
    stream->conn->stream_count--;
    list_push_front(&server->free_streams, &stream->node);
}

void
stream_end_later(struct http_stream *stream, enum http_close_reason reason)
{
    struct http_server *server = stream->conn->server;
    ASSERT(!stream->closing);
    stream->closing = true;
    stream->reason = reason;
    list_remove(&stream->node);
    list_push_back(&server->ended, &stream->node);
    loop_at_end(server->loop, &server->free_hook, LOOP_FREE);
}

/* ---- the request ----------------------------------------------------------------------------- */

static uint64_t
stream_body_max(const struct http_stream *stream, bool collected)
{
    uint64_t max = stream->conn->server->conf.body_bytes_max;
    return collected ? MIN(max, stream->collect_bytes_max) : max;
}

static bool
stream_body_refused(const struct http_stream *stream, uint64_t more)
{
    uint64_t max = stream_body_max(stream, stream->collecting);
    return more > max || stream->body_seen > max - more;
}

unsigned
stream_request(struct http_stream *stream, struct http_head *head)
{
    const struct http_handler *handler = stream->conn->server->conf.handler;
    bool known = stream->body_length != HTTP_LENGTH_UNKNOWN;
    if (known && stream_body_refused(stream, stream->body_length))
        return 413;
    stream->announced = true;
    handler->request(stream, head);
    if (stream->closing || stream->responded)
        return 0;
    if (known && stream->collecting && stream->body_length > 0) {
        if (stream_body_refused(stream, stream->body_length))
            return 413;
        stream->body = out_block_get(&stream->conn->server->pool, (size_t)stream->body_length);
        if (stream->body == NULL)
            return 503;
    }
    return 0;
}

static int
stream_collect_grow(struct http_stream *stream, size_t more)
{
    struct out_pool *pool = &stream->conn->server->pool;
    struct out_block *old = stream->body;
    size_t have = old == NULL ? 0 : old->end;
    size_t size = have + more;
    if (old != NULL && size <= old->size)
        return 0;
    if (old != NULL)
        size = MAX(size, old->size * 2);
    struct out_block *grown = out_block_get(pool, size);
    if (grown == NULL)
        return -ERR_NOMEM;
    if (old != NULL) {
        memcpy(grown->bytes, old->bytes, have);
        grown->end = have;
        out_block_put(pool, old);
    }
    stream->body = grown;
    return 0;
}

/* Undo the coding, into the collected body or piece by piece. */
static int
stream_decode(struct http_stream *stream, struct str bytes)
{
    const struct http_handler *handler = stream->conn->server->conf.handler;
    uint64_t max = stream_body_max(stream, stream->collect_decoded);
    UNINIT char piece[DECODE_BYTES];
    char *out = piece;
    size_t room = sizeof piece;
    size_t count = 0;
    do {
        if (stream->collect_decoded) {
            bool full = stream->body == NULL || stream->body->end == stream->body->size;
            int r = full ? stream_collect_grow(stream, DECODE_BYTES) : 0;
            if (r < 0)
                return r;
            out = stream->body->bytes + stream->body->end;
            room = stream->body->size - stream->body->end;
        }
        int r = coding_next(stream->coding, &bytes, out, room, &count);
        if (r < 0)
            return r;
        stream->decoded_bytes += count;
        if (stream->decoded_bytes > max)
            return -ERR_TOO_LARGE;
        if (stream->collect_decoded)
            stream->body->end += count;
        else if (count > 0 && handler->body != NULL && !stream->closing && !stream->ended)
            handler->body(stream, str_make(piece, count));
    } while (count == room && !stream->closing);
    return 0;
}

int
stream_body(struct http_stream *stream, struct str bytes)
{
    const struct http_handler *handler = stream->conn->server->conf.handler;
    if (stream_body_refused(stream, bytes.len))
        return -ERR_TOO_LARGE;
    stream->body_seen += bytes.len;
    if (stream->window_bytes < 1u << 30) /* enough for any rate; it must not wrap */
        stream->window_bytes += (uint32_t)MIN(bytes.len, (size_t)1u << 20);
    if (stream->closing || stream->ended || bytes.len == 0)
        return 0;
    if (!stream->collecting) {
        if (UNLIKELY(stream->coding != NULL))
            return stream_decode(stream, bytes);
        if (handler->body != NULL)
            handler->body(stream, bytes);
        return 0;
    }
    struct out_block *block = stream->body;
    if (block != NULL && bytes.ptr == block->bytes + block->end) {
        block->end += bytes.len; /* read in place */
        return 0;
    }
    int r = stream_collect_grow(stream, bytes.len);
    if (r < 0)
        return r;
    block = stream->body;
    memcpy(block->bytes + block->end, bytes.ptr, bytes.len);
    block->end += bytes.len;
    return 0;
}

bool
stream_refused(struct http_stream *stream, int code, unsigned *ret_status)
{
    const struct http_handler *handler = stream->conn->server->conf.handler;
    *ret_status = code == -ERR_TOO_LARGE ? 413 : code == -ERR_PARSE ? 400 : 503;
    if (!stream->responded && !stream->closing && handler->refused != NULL)
        handler->refused(stream, *ret_status);
    return stream->responded || stream->closing;
}

/* The body ended before its coding did. */
static COLD bool
stream_cut_short(struct http_stream *stream)
{
    unsigned status;
    if (coding_complete(stream->coding))
        return false;
    if (!stream_refused(stream, -ERR_PARSE, &status)) {
        struct refusal refusal;
        stream_refusal(stream->conn->server, stream, status, &refusal);
        http_stream_answer(stream, status, refusal.fields, refusal.field_count, refusal.body);
    }
    return true;
}

void
stream_complete(struct http_stream *stream)
{
    const struct http_handler *handler = stream->conn->server->conf.handler;
    stream->complete = true;
    if (stream->closing || stream->ended || stream->notified)
        return;
    if (UNLIKELY(stream->coding != NULL) && stream_cut_short(stream))
        return;
    stream->notified = true;
    if (handler->complete != NULL)
        handler->complete(stream);
}

static struct str
refusal_body(unsigned status)
{
#define REFUSAL(text, code)               \
    STR("{\"error\":{\"message\":\"" text \
        "\",\"type\":\"invalid_request_error\",\"param\":null,\"code\":\"" code "\"}}\n")
    switch (status) {
    case 405:
        return REFUSAL("This method is not allowed.", "method_not_allowed");
    case 408:
        return REFUSAL("The request came too slowly.", "request_timeout");
    case 414:
        return REFUSAL("The request target is too long.", "uri_too_long");
    case 417:
        return REFUSAL("Only Expect: 100-continue is supported.", "expectation_failed");
    case 431:
        return REFUSAL("The request head is larger than its limit.", "headers_too_large");
    case 501:
        return REFUSAL("This transfer encoding is not supported.", "not_implemented");
    case 503:
        return REFUSAL("The server is out of memory; try again.", "unavailable");
    case 505:
        return REFUSAL("This HTTP version is not supported.", "version_not_supported");
    default:
        return REFUSAL("The request is malformed.", "bad_request");
    }
#undef REFUSAL
}

/* The limit is part of what whoever sent too much has to know. */
static struct str
too_large_body(struct refusal *refusal, uint64_t max)
{
    int count =
        snprintf(refusal->text, sizeof refusal->text,
                 "{\"error\":{\"message\":\"The request body is larger than the limit here, "
                 "%llu bytes.\",\"type\":\"invalid_request_error\",\"param\":null,"
                 "\"code\":\"request_too_large\"}}\n",
                 (unsigned long long)max);
    ASSERT(count > 0 && (size_t)count < sizeof refusal->text);
    return str_make(refusal->text, (size_t)count);
}

void
stream_refusal(struct http_server *server, const struct http_stream *stream, unsigned status,
               struct refusal *ret_refusal)
{
    const struct http_handler *handler = server->conf.handler;
    struct refusal *refusal = ret_refusal;
    refusal->fields[0] = (struct http_field){STR("content-type"), STR("application/json")};
    refusal->field_count = 1;
    if (handler->refusal_id != NULL) {
        size_t bytes = handler->refusal_id(server, refusal->id);
        ASSERT(bytes <= sizeof refusal->id);
        refusal->fields[refusal->field_count++] =
            (struct http_field){STR("x-request-id"), str_make(refusal->id, bytes)};
    }
    if (status != 413)
        refusal->body = refusal_body(status);
    else if (stream == NULL)
        refusal->body = too_large_body(refusal, server->conf.body_bytes_max);
    else
        refusal->body = too_large_body(
            refusal, stream_body_max(stream, stream->collecting || stream->collect_decoded));
}

struct str
server_date(struct http_server *server)
{
    static const char days[] = "SunMonTueWedThuFriSat";
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    /* The wall clock is asked once a second at most: the turn's monotonic time tells when. */
    uint64_t now_s = loop_now_ms(server->loop) / 1000u + 1;
    if (server->date_s != now_s) {
        time_t wall_s = (time_t)(clock_wall_ns() / 1000000000);
        struct tm tm = {0};
        (void)gmtime_r(&wall_s, &tm);
        (void)snprintf(server->date, sizeof server->date, "%.3s, %02u %.3s %04u %02u:%02u:%02u GMT",
                       days + (size_t)tm.tm_wday * 3, (unsigned)tm.tm_mday % 100u,
                       months + (size_t)tm.tm_mon * 3, (unsigned)(tm.tm_year + 1900) % 10000u,
                       (unsigned)tm.tm_hour % 100u, (unsigned)tm.tm_min % 100u,
                       (unsigned)tm.tm_sec % 100u);
        server->date_s = now_s;
    }
    return str_make(server->date, 29);
}

/* ---- public calls ---------------------------------------------------------------------------- */

struct http_conn *
http_stream_conn(const struct http_stream *stream)
{
    return stream->conn;
}
void *
http_stream_user(const struct http_stream *stream)
{
    return stream->user;
}
void
http_stream_set_user(struct http_stream *stream, void *user)
{
    stream->user = user;
}
struct str
http_stream_method(const struct http_stream *stream)
{
    return stream->method;
}
struct str
http_stream_target(const struct http_stream *stream)
{
    return stream->target;
}

void
http_stream_collect(struct http_stream *stream, uint64_t bytes_max)
{
    ASSERT(stream->body_seen == 0);
    stream->collecting = true;
    stream->collect_bytes_max = bytes_max;
}

int
http_stream_decode(struct http_stream *stream, enum coding_kind kind)
{
    ASSERT(stream->body_seen == 0 && stream->coding == NULL);
    int r = coding_new(kind, &stream->coding);
    if (r == 0) {
        stream->collect_decoded = stream->collecting;
        stream->collecting = false;
    }
    return r;
}

struct str
http_stream_body(const struct http_stream *stream)
{
    const struct out_block *block = stream->body;
    return block == NULL ? STR_EMPTY : str_make(block->bytes, block->end);
}

void
http_stream_release_body(struct http_stream *stream)
{
    ASSERT(stream->complete);
    out_block_put(&stream->conn->server->pool, stream->body);
    stream->body = NULL;
}

static bool
stream_mute(const struct http_stream *stream)
{
    return stream->closing || !conn_alive(stream->conn);
}

void
http_stream_pause(struct http_stream *stream, bool paused)
{
    if (stream_mute(stream) || stream->paused == paused)
        return;
    stream->paused = paused;
    if (!paused)
        conn_more(stream->conn);
}

void
http_stream_respond(struct http_stream *stream, unsigned status, const struct http_field *fields,
                    size_t field_count, uint64_t length)
{
    if (stream_mute(stream))
        return;
    ASSERT(!stream->responded && status >= 100 && status <= 599);
    if (status >= 200) {
        stream->responded = true;
        stream->no_body = stream->bodyless_head || status == 204 || status == 304;
        stream->length_left = length;
    }
    stream->conn->proto->respond(stream, status, fields, field_count, length);
}

/* What may still be sent of bytes; more than announced is our handler's (or its upstream's) fault
 * and would desynchronise the connection. */
static struct str
stream_clip(struct http_stream *stream, struct str bytes)
{
    if (stream_mute(stream) || stream->no_body)
        return STR_EMPTY;
    ASSERT(stream->responded && !stream->ended);
    if (stream->length_left == HTTP_LENGTH_UNKNOWN)
        return bytes;
    if (bytes.len > stream->length_left) {
        stream->excess = true;
        bytes.len = (size_t)stream->length_left;
    }
    stream->length_left -= bytes.len;
    return bytes;
}

static bool
stream_room(struct http_stream *stream)
{
    if (stream_mute(stream) || stream->conn->proto->queued(stream) <= SERVER_HIGH_BYTES)
        return true;
    stream->want_writable = true;
    return false;
}

bool
http_stream_write(struct http_stream *stream, struct str bytes)
{
    bytes = stream_clip(stream, bytes);
    if (bytes.len > 0)
        stream->conn->proto->write(stream, bytes);
    return stream_room(stream);
}

bool
http_stream_write_now(struct http_stream *stream, struct str bytes)
{
    bytes = stream_clip(stream, bytes);
    if (bytes.len > 0)
        stream->conn->proto->write_now(stream, bytes);
    return stream_room(stream);
}

void
http_stream_end(struct http_stream *stream)
{
    if (stream_mute(stream) || stream->ended)
        return;
    ASSERT(stream->responded);
    bool complete =
        stream->no_body || stream->length_left == 0 || stream->length_left == HTTP_LENGTH_UNKNOWN;
    if (!complete || stream->excess) {
        http_stream_abort(stream);
        return;
    }
    stream->ended = true;
    stream->conn->proto->end(stream);
}

bool
http_stream_trailers(const struct http_stream *stream)
{
    return stream->wants_trailers;
}

static COLD int
trailers_dup(const struct http_field *fields, size_t count, struct http_trailers **ret_trailers)
{
    size_t bytes = 0;
    ASSERT(count <= HTTP_TRAILERS_MAX);
    for (size_t i = 0; i < count; i++) {
        if (!http_valid_name(fields[i].name) || !http_valid_value(fields[i].value))
            return -ERR_INVALID;
        bytes += fields[i].name.len + fields[i].value.len;
    }
    struct http_trailers *copy = malloc(sizeof *copy + bytes);
    if (copy == NULL)
        return -ERR_NOMEM;
    char *at = copy->text;
    copy->count = count;
    for (size_t i = 0; i < count; i++) {
        copy->fields[i] = fields[i];
        at = text_append(at, &copy->fields[i].name);
        at = text_append(at, &copy->fields[i].value);
    }
    *ret_trailers = copy;
    return 0;
}

void
http_stream_end_with(struct http_stream *stream, const struct http_field *trailers, size_t count)
{
    if (stream_mute(stream) || stream->ended)
        return;
    if (stream->wants_trailers && !stream->no_body && count > 0 &&
        trailers_dup(trailers, count, &stream->trailers) < 0)
        http_stream_abort(stream);
    else
        http_stream_end(stream);
}

void
http_stream_cut(struct http_stream *stream)
{
    if (stream_mute(stream) || stream->ended)
        return;
    stream->cut = true;
    http_stream_end(stream);
}

void
http_stream_answer(struct http_stream *stream, unsigned status, const struct http_field *fields,
                   size_t field_count, struct str body)
{
    http_stream_respond(stream, status, fields, field_count, body.len);
    (void)http_stream_write(stream, body);
    http_stream_end(stream);
}

void
http_stream_abort(struct http_stream *stream)
{
    if (stream_mute(stream))
        return;
    stream->conn->proto->abort(stream);
}

size_t
http_stream_queued(const struct http_stream *stream)
{
    return stream_mute(stream) ? 0 : stream->conn->proto->queued(stream);
}
