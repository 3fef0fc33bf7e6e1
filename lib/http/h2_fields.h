/* SPDX-License-Identifier: MIT
 * h2_fields.h - HTTP/2 header blocks to and from heads (RFC 9113 section 8).
 * Floor: lib/http; its loop's thread.
 * Owns: the text of one block while it is received; collectors come from a list of the caller's.
 * Invariant: a block is bounded in bytes (64 KiB, RFC 9113 10.5.1 counting) and fields; what could
 *            be read in two ways (host against :authority, two credentials) is refused;
 *            h2_fields_test.c. */
#ifndef BERTH_LIB_HTTP_H2_FIELDS_H
#define BERTH_LIB_HTTP_H2_FIELDS_H

#include "lib/base/list.h"
#include "lib/http/message.h"

#define H2_FIELDS_RESET 1u /* h2_fields_request: malformed: reset the stream with PROTOCOL_ERROR */

struct h2_fields {
    struct list node;
    size_t list_bytes;
    size_t text_bytes;
    uint32_t field_count;
    uint32_t cookie_count;
    bool too_large;
    bool twice; /* a field that may come once came again */
    bool expect_continue;
    bool expect_other;
    bool trailers;
    struct str method;
    struct str scheme;
    struct str authority;
    struct str path;
    struct str host;
    struct str length;
    struct http_field fields[HTTP_FIELDS_MAX]; /* the last one is for the cookie */
    struct str cookies[HTTP_FIELDS_MAX];
    char text[2u * HTTP_HEAD_BYTES_MAX];
};

/* h2_fields_get - an empty collector from `spare` or the heap; NULL on no memory. _put returns
 * it. */
struct h2_fields *h2_fields_get(struct list *spare) MUST_USE;
void h2_fields_put(struct list *spare, struct h2_fields *fields);
void h2_fields_free_all(struct list *spare);
/* h2_fields_add - one field as h2_session hands it out, checked. */
void h2_fields_add(struct h2_fields *fields, struct str name, struct str value);
/* h2_fields_request - the block is complete. ret_head borrows from fields; has_body is left to the
 * caller. Returns 0; or the status to answer: 400, 405, 417, 431; or H2_FIELDS_RESET. */
unsigned h2_fields_request(struct h2_fields *fields, struct http_head *ret_head);

#endif
