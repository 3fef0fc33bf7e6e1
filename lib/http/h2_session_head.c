/* SPDX-License-Identifier: MIT
 * h2_session_head.c - a header block that came: decoded, checked, and what it does to its stream.
 * Floor: lib/http; its loop's thread.
 * Owns: nothing.
 * Invariant: every block is decoded, also one that nobody wants, since both HPACK tables must
 *            agree; no
 *            field of a malformed block that follows the bad one reaches the owner (RFC 9113
 *            8.1.1).
 *            server_h2_test.c, client_h2_test.c, h2_session_fuzz.c. */
#include "lib/base/check.h"
#include "lib/base/err.h"
#include "lib/base/num.h"
#include "lib/http/h2_session_int.h"
#include "lib/http/message_int.h"

/* ---- fields ---------------------------------------------------------------------------------- */

/* RFC 9113 8.3: before the others, each once, and those of the right direction. */
static bool
pseudo_ok(struct h2_session *session, struct str name, struct str value)
{
    uint32_t bit = 0;
    uint64_t status;
    if (session->regular_seen || session->block_kind != H2_BLOCK_HEAD)
        return false;
    if (session->client) {
        if (!str_eq(name, STR(":status")) || value.len != 3 || num_u64(value, 599, &status) != 0 ||
            status < 100)
            return false;
        session->status = (uint16_t)status;
        bit = 1;
    } else if (str_eq(name, STR(":path"))) {
        bit = 1;
    } else if (str_eq(name, STR(":method"))) {
        bit = 2;
    } else if (str_eq(name, STR(":scheme"))) {
        bit = 4;
    } else if (str_eq(name, STR(":authority"))) {
        bit = 8;
    }
    bool once = (session->pseudo_seen & bit) == 0;
    session->pseudo_seen |= bit;
    return bit != 0 && once;
}

/* RFC 9113 8.2.2: what belongs to a connection; and content-length. */
static bool
regular_ok(struct h2_session *session, struct str name, struct str value)
{
    uint64_t length;
    switch (name.len) {
    case 2:
        return !str_eq(name, STR("te")) || str_eq_nocase(value, STR("trailers"));
    case 7:
        return !str_eq(name, STR("upgrade"));
    case 10:
        return !str_eq(name, STR("connection")) && !str_eq(name, STR("keep-alive"));
    case 14:
        if (!str_eq(name, STR("content-length")))
            return true;
        if (session->length_seen || num_u64(value, INT64_MAX, &length) != 0)
            return false;
        session->length_seen = true;
        if (session->block_kind == H2_BLOCK_HEAD)
            session->block_stream->length_left = length;
        return true;
    case 16:
        return !str_eq(name, STR("proxy-connection"));
    case 17:
        return !str_eq(name, STR("transfer-encoding"));
    default:
        return true;
    }
}

static int
take_field(void *user, struct str name, struct str value)
{
    struct h2_session *session = user;
    if (session->block_kind == H2_BLOCK_IGNORED || session->malformed)
        return 0;
    /* A byte of the block can be 4 KiB of a field: whoever collects them has refused already. */
    if (UNLIKELY(session->list_bytes > session->list_bytes_max))
        return 0;
    session->list_bytes += name.len + value.len + HPACK_ENTRY_BYTES;
    /* What comes out of a table was looked at when it went in. */
    bool name_ok = session->decoder.name_checked;
    bool value_ok = session->decoder.checked || http_value_ok(value);
    if (name.len > 0 && name.ptr[0] == ':') {
        session->malformed = !pseudo_ok(session, name, value) || !value_ok;
        if (session->client)
            return 0; /* :status is for head_end */
    } else {
        session->regular_seen = true;
        session->malformed =
            !(name_ok || http_name_ok(name)) || !value_ok || !regular_ok(session, name, value);
    }
    if (session->malformed || session->block_kind != H2_BLOCK_HEAD)
        return 0;
    return session->ops->field(session->user, name, value);
}

/* ---- blocks ---------------------------------------------------------------------------------- */

/* A block of a stream that is not there: a new request, or nobody's. 0 or -ERR_NOMEM. */
static int
block_begin_new(struct h2_session *session, uint32_t id)
{
    session->block_kind = H2_BLOCK_IGNORED;
    if (session->client || id <= session->taken_id || session->goaway_sent)
        return 0;
    struct h2_stream *stream = session_stream_new(session, id);
    if (stream == NULL)
        return -ERR_NOMEM;
    session->taken_id = id;
    session->block_stream = stream;
    if (session->stream_count <= session->streams_max)
        session->block_kind = H2_BLOCK_HEAD;
    else if (session->settings_acked)
        h2_session_terminate(session, H2_PROTOCOL_ERROR);
    else /* RFC 9113 5.1.2: it could not know */
        session_reset(session, stream, H2_REFUSED_STREAM);
    return 0;
}

static int
block_begin(struct h2_session *session, uint32_t id)
{
    struct h2_stream *stream = session_find(session, id);
    session->block_stream = stream;
    session->malformed = false;
    session->regular_seen = false;
    session->length_seen = false;
    session->pseudo_seen = 0;
    session->list_bytes = 0;
    session->status = 0;
    if (stream == NULL) {
        int rc = block_begin_new(session, id);
        if (rc != 0)
            return rc;
        stream = session->block_stream;
    } else if (stream->resetting) {
        session->block_kind = H2_BLOCK_IGNORED;
    } else {
        session->block_kind = stream->head_seen ? H2_BLOCK_TRAILERS : H2_BLOCK_HEAD;
    }
    if (session->block_kind != H2_BLOCK_HEAD)
        return 0;
    stream->length_left = H2_LENGTH_NONE;
    return session->ops->head(session->user, id, stream->owner);
}

/* END_STREAM, with content-length kept? RFC 9113 8.1.1. */
static bool
length_kept(const struct h2_stream *stream)
{
    return stream->length_left == 0 || stream->length_left == H2_LENGTH_NONE;
}

int
session_end(struct h2_session *session, struct h2_stream *stream, bool told)
{
    stream->remote_end = true;
    if (!length_kept(stream)) {
        session_reset(session, stream, H2_PROTOCOL_ERROR);
        return 0;
    }
    int rc = told ? 0 : session->ops->end(session->user, stream->id, stream->owner);
    if (rc == 0 && stream->local_end && !stream->resetting)
        rc = session_close(session, stream, H2_NO_ERROR);
    return rc;
}

static int
block_head(struct h2_session *session, struct h2_stream *stream, bool end)
{
    uint16_t status = session->status;
    bool interim = session->client && status < 200;
    /* RFC 9110 8.6: there must be no content-length, nor is one of nothing worth a reset. */
    bool too_long = (interim || status == 204) && !length_kept(stream);
    if (session->client && (status < 100 || status == 101 || (interim && end) || too_long)) {
        session_reset(session, stream, H2_PROTOCOL_ERROR);
        return 0;
    }
    if (interim)
        stream->length_left = H2_LENGTH_NONE;
    else if (stream->bodiless || status == 204 || status == 304)
        stream->length_left = 0; /* whatever content-length says, there is no DATA */
    stream->head_seen = !interim;
    if (end && !length_kept(stream)) {
        session_reset(session, stream, H2_PROTOCOL_ERROR);
        return 0;
    }
    stream->remote_end = end;
    int rc = session->ops->head_end(session->user, stream->id, stream->owner, status, end);
    return rc != 0 || !end ? rc : session_end(session, stream, true);
}

int
session_head(struct h2_session *session, uint32_t id, bool end, struct str block)
{
    int rc = block_begin(session, id);
    if (rc == 0)
        rc = hpack_decode(&session->decoder, block, take_field, session);
    if (rc == -ERR_PARSE) {
        h2_session_terminate(session, H2_COMPRESSION_ERROR);
        return 0;
    }
    struct h2_stream *stream = session->block_stream;
    if (rc != 0 || session->block_kind == H2_BLOCK_IGNORED || stream->resetting)
        return rc; /* reset by a callback, perhaps */
    bool trailers = session->block_kind == H2_BLOCK_TRAILERS;
    if (session->malformed || (trailers && !end)) {
        session_reset(session, stream, H2_PROTOCOL_ERROR);
        return 0;
    }
    return trailers ? session_end(session, stream, false) : block_head(session, stream, end);
}
