/* SPDX-License-Identifier: MIT
 * message.h - heads of HTTP messages, the same for HTTP/1.1 and HTTP/2 (RFC 9110).
 * Floor: lib/http; any thread.
 * Owns: nothing; spans are borrowed from the connection (see who hands them out).
 * Invariant: field names are lower case; values have no CR, LF, NUL and no edge white space. */
#ifndef BERTH_LIB_HTTP_MESSAGE_H
#define BERTH_LIB_HTTP_MESSAGE_H

#include "lib/base/str.h"

#define HTTP_FIELDS_MAX 100u
#define HTTP_HEAD_BYTES_MAX 65536u
#define HTTP_LENGTH_UNKNOWN UINT64_MAX

struct http_field {
    struct str name;
    struct str value;
};

/* Requests: method, target ("/path?query"), authority (Host or :authority), scheme.
 * Responses: status. Pseudo fields and connection-level fields (host, content-length,
 * transfer-encoding, connection, keep-alive, upgrade, te, proxy-*, expect) are not among `fields`.
 */
struct http_head {
    struct str method;
    struct str target;
    struct str authority;
    struct str scheme;
    const struct http_field *fields;
    uint32_t field_count;
    uint16_t status;
    uint64_t
        content_length; /* HTTP_LENGTH_UNKNOWN when chunked, h2 without length, or until close */
    bool has_body;      /* requests: a body is announced */
    bool trailers;      /* requests: the answer may end in trailer fields (TE: trailers) */
};

/* http_field_get - value of the first field `name` (lower case), or {NULL, 0}. */
struct str http_field_get(const struct http_head *head, struct str name);
/* http_field_count - how often it occurs. */
uint32_t http_field_count(const struct http_head *head, struct str name);
/* http_status_text - "OK" for 200; "" when unknown. Static. */
const char *http_status_text(unsigned status);
/* http_valid_name / value - may it be sent? (token, lower case; no CTL but HTAB, no edge blanks) */
bool http_valid_name(struct str name);
bool http_valid_value(struct str value);

#endif
