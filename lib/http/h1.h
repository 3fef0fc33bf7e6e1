/* SPDX-License-Identifier: MIT
 * h1.h - the HTTP/1.1 codec: strict heads and chunked bodies, both directions (RFC 9112).
 * Floor: lib/http; any thread.
 * Owns: nothing. Heads are parsed in place: names are lowered in the caller's buffer.
 * Invariant: what two parsers could read differently is refused: CL+TE, double or odd
 * Content-Length, bare CR or LF, obs-fold, space before colon, TE that is not exactly "chunked",
 * bytes outside tchar in names, controls. Names with '_' are dropped. HARDENING 3.1; h1_test.c,
 * h1_fuzz.c. */
#ifndef BERTH_LIB_HTTP_H1_H
#define BERTH_LIB_HTTP_H1_H

#include "lib/base/buf.h"
#include "lib/base/err.h"
#include "lib/http/message.h"

/* After a body of so few bytes the next message is expected to come in one small read (loop.h). */
#define H1_LITTLE_BYTES 1024u

enum h1_body { H1_BODY_NONE, H1_BODY_LENGTH, H1_BODY_CHUNKED, H1_BODY_UNTIL_CLOSE };

struct h1_head {
    struct http_head http;
    enum h1_body body;
    bool keep_alive;
    bool expect_continue;
    uint8_t minor; /* HTTP/1.minor */
    struct http_field fields[HTTP_FIELDS_MAX];
};

/* h1_head_end - length of the head, its empty line included, or 0 when it is not complete yet.
 * `seen`: bytes already searched by an earlier call. It also ends at the first bare LF: such a head
 * is refused by the parser, at once instead of at a timeout. */
size_t h1_head_end(const char *bytes, size_t count, size_t seen);
/* h1_parse_request / _response - bytes[count] is exactly one complete head (h1_head_end). 0, or
 * -ERR_PROTOCOL with *ret_status the status to answer (400, 405, 414, 417, 431, 501, 505).
 * 417 is an Expect that is not 100-continue. On failure *ret_head holds nothing of use; it is
 * large: keep one per loop. Borrows from bytes. scheme is "http"; who terminates TLS sets it.
 * Fields with '_' in their name, and those that Connection names, are left out. The response parser
 * is told the request's method (HEAD has no body); 1xx heads are returned too. */
int h1_parse_request(char *bytes, size_t count, struct h1_head *ret_head, unsigned *ret_status,
                     struct err *err) MUST_USE;
int h1_parse_response(char *bytes, size_t count, bool head_request, struct h1_head *ret_head,
                      struct err *err) MUST_USE;

/* Chunked bodies. Zeroed = start. */
struct h1_chunked {
    uint64_t left;
    uint32_t line_bytes;
    uint32_t extension_bytes;
    uint32_t trailer_bytes;
    uint8_t state;
    bool done;
};
/* h1_chunked_next - take the next span of body bytes from *input (advanced). 0 and *ret_data (may
 * be empty only when done); -ERR_AGAIN when input is used up; -ERR_PROTOCOL. After the last chunk
 * and the trailers (checked, capped at 8 KiB, dropped) done is true; what follows stays in *input.
 */
int h1_chunked_next(struct h1_chunked *chunked, struct str *input, struct str *ret_data) MUST_USE;

/* Writers append to out: 0; -ERR_INVALID and `out` unchanged when a method, target, authority, name
 * or value could split or bend the head; -ERR_NOMEM, -ERR_TOO_LARGE. body_length:
 * HTTP_LENGTH_UNKNOWN = chunked; `none`: no body fields at all (204, 304, 1xx, GET requests). */
int h1_put_request(struct buf *out, struct str method, struct str target, struct str authority,
                   const struct http_field *fields, size_t field_count, uint64_t body_length,
                   bool none) MUST_USE;
int h1_put_response(struct buf *out, unsigned status, const struct http_field *fields,
                    size_t field_count, uint64_t body_length, bool none, bool close) MUST_USE;
/* h1_chunk_size - "1a\r\n" into out[18]; returns its length. A chunk is followed by "\r\n"; the
 * body ends with "0\r\n\r\n". */
size_t h1_chunk_size(char out[18], size_t count);

#endif
