/* SPDX-License-Identifier: MIT
 * sigv4.c - AWS Signature Version 4.
 * Floor: dataplane/dialect; any thread.
 * Owns: nothing; keys that it derives are wiped.
 * Invariant: see sigv4.h. */
#include "dataplane/dialect/sigv4.h"

#include <time.h>

#include "lib/base/buf.h"
#include "lib/base/digest.h"
#include "lib/base/err.h"
#include "lib/text/uri.h"

#define CANONICAL_BYTES_MAX (64u << 10)

bool
sigv4_is_key(struct str key)
{
    size_t colon = str_find_byte(key, ':');
    return colon != SIZE_MAX && colon > 0 && colon + 1 < key.len;
}

struct str
sigv4_region(struct str host)
{
    struct str service;
    struct str rest;
    struct str region;
    if (!str_cut(host, '.', &service, &rest) || !str_cut(rest, '.', &region, &rest) ||
        !str_starts(rest, STR("amazonaws.com")))
        return STR("us-east-1");
    return region;
}

static void
put_hex_digest(struct buf *out, struct str bytes)
{
    uint8_t digest[SHA256_BYTES];
    char hex[2 * SHA256_BYTES + 1];
    digest_sha256(bytes, digest);
    hex_encode(digest, sizeof(digest), hex);
    buf_put(out, hex, 2 * SHA256_BYTES);
}

static void
derive(struct str secret, struct str date, const struct sigv4_call *call,
       uint8_t ret_key[SHA256_BYTES])
{
    const struct str steps[] = {call->region, call->service, STR("aws4_request")};
    struct buf seed;
    buf_init(&seed, secret.len + 8);
    buf_put_str(&seed, STR("AWS4"));
    buf_put_str(&seed, secret);
    digest_hmac_sha256(buf_str(&seed), date, ret_key);
    for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
        uint8_t next[SHA256_BYTES];
        digest_hmac_sha256(str_make((const char *)ret_key, SHA256_BYTES), steps[i], next);
        memcpy(ret_key, next, sizeof(next));
    }
    buf_wipe(&seed);
}

static void
put_canonical(const struct sigv4_call *call, struct str date, struct str token, struct buf *out)
{
    buf_put_str(out, STR("POST\n"));
    uri_encode(out, call->path, "/"); /* once more than on the wire */
    buf_put_str(out, STR("\n\nhost:"));
    buf_put_str(out, call->host);
    buf_put_str(out, STR("\nx-amz-date:"));
    buf_put_str(out, date);
    if (token.len > 0) {
        buf_put_str(out, STR("\nx-amz-security-token:"));
        buf_put_str(out, token);
    }
    buf_put_str(out, token.len > 0 ? STR("\n\nhost;x-amz-date;x-amz-security-token\n")
                                   : STR("\n\nhost;x-amz-date\n"));
    if (call->digest == NULL) {
        put_hex_digest(out, call->body);
    } else {
        char hex[2 * SHA256_BYTES + 1];
        hex_encode(call->digest, SHA256_BYTES, hex);
        buf_put(out, hex, 2 * SHA256_BYTES);
    }
}

int
sigv4_sign(const struct sigv4_call *call, struct arena *arena, struct sigv4_fields *ret_fields)
{
    struct str access;
    struct str secret;
    struct str token = STR_EMPTY;
    char date[20];
    char hex[2 * SHA256_BYTES + 1];
    uint8_t key[SHA256_BYTES];
    uint8_t mac[SHA256_BYTES];
    struct buf text;
    struct tm tm;
    time_t when = (time_t)call->now_s;
    if (!str_cut(call->key, ':', &access, &secret))
        return -ERR_INVALID;
    (void)str_cut(secret, ':', &secret, &token);
    if (gmtime_r(&when, &tm) == NULL || strftime(date, sizeof(date), "%Y%m%dT%H%M%SZ", &tm) != 16)
        return -ERR_INVALID;
    struct str day = str_make(date, 8);
    buf_init(&text, CANONICAL_BYTES_MAX);
    put_canonical(call, str_make(date, 16), token, &text);
    struct str canonical = STR_EMPTY;
    int rc = text.failed ? -ERR_NOMEM : arena_dup(arena, buf_str(&text), &canonical);
    buf_consume(&text, text.len);
    buf_printf(&text, "AWS4-HMAC-SHA256\n%.16s\n%.8s/%.*s/%.*s/aws4_request\n", date, date,
               STR_ARG(call->region), STR_ARG(call->service));
    put_hex_digest(&text, canonical);
    derive(secret, day, call, key);
    digest_hmac_sha256(str_make((const char *)key, sizeof(key)), buf_str(&text), mac);
    explicit_bzero(key, sizeof(key));
    hex_encode(mac, sizeof(mac), hex);
    rc = rc < 0 || text.failed ? -ERR_NOMEM
                               : arena_dup(arena, str_make(date, 16), &ret_fields->date);
    buf_fini(&text);
    if (rc < 0)
        return rc;
    ret_fields->token = token;
    ret_fields->authorization =
        arena_printf(arena,
                     "AWS4-HMAC-SHA256 Credential=%.*s/%.8s/%.*s/%.*s/aws4_request, "
                     "SignedHeaders=host;x-amz-date%s, Signature=%s",
                     STR_ARG(access), date, STR_ARG(call->region), STR_ARG(call->service),
                     token.len > 0 ? ";x-amz-security-token" : "", hex);
    return ret_fields->authorization.ptr == NULL ? -ERR_NOMEM : 0;
}
