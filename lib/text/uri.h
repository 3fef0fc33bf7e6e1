/* SPDX-License-Identifier: MIT
 * uri.h - http and https URLs, request targets, query strings (RFC 3986, narrowed).
 * Floor: lib/text; any thread.
 * Owns: nothing; results are spans of the input or in the caller's arena.
 * Invariant: no userinfo, no control bytes, no fragment; a host is a DNS name, IPv4 or [IPv6].
 *            Proved by uri_test.c and uri_fuzz.c. */
#ifndef BERTH_LIB_TEXT_URI_H
#define BERTH_LIB_TEXT_URI_H

#include "lib/base/arena.h"
#include "lib/base/buf.h"
#include "lib/base/err.h"

struct uri {
    bool https;
    struct str host;  /* without brackets */
    uint16_t port;    /* default filled in */
    struct str path;  /* "/" at least; no query */
    struct str query; /* without '?' */
};

/* uri_parse - absolute http(s) URL, <= 2,048 bytes. A host that ends in a number must be four
 * decimal octets ("127.1", "0x7f.1" and "2130706433" are refused); port 1..65535. Letters keep
 * their case. 0, -ERR_PARSE, -ERR_TOO_LARGE. */
int uri_parse(struct str text, struct uri *ret_uri, struct err *err) MUST_USE;
/* uri_split_target - "/a/b?x=1" into path and query. false when it does not start with '/', or
 * holds control bytes, space or bytes >= 0x80. */
bool uri_split_target(struct str target, struct str *ret_path, struct str *ret_query);
/* uri_path_is_plain - starts with '/'; no empty, "." or ".." segment ("/" alone is fine), no
 * percent-encoded slash, dot, NUL or backslash, no plain backslash, no bad escape. */
bool uri_path_is_plain(struct str path);
/* uri_decode - percent-decode ('+' is left alone) into the arena; *ret_text is `text` itself when
 * there is nothing to decode. Refuses bad escapes and %00: -ERR_PARSE; -ERR_NOMEM. */
int uri_decode(struct str text, struct arena *arena, struct str *ret_text) MUST_USE;
/* uri_encode - append text with every byte but [A-Za-z0-9-_.~] and those in `also` as %XX; sticky
 * in out->failed. */
void uri_encode(struct buf *out, struct str text, const char *also);
/* uri_query_get - raw (undecoded) value of the first `key`, empty without '='; false when absent.
 */
bool uri_query_get(struct str query, struct str key, struct str *ret_value);
/* uri_valid_authority - a host[:port] as it may stand in Host or :authority. */
bool uri_valid_authority(struct str authority);

#endif
