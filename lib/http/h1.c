/* SPDX-License-Identifier: MIT
 * h1.c - one strict pass over an HTTP/1.1 head, in place.
 * Floor: lib/http; any thread.
 * Owns: nothing.
 * Invariant: every byte is looked at once to be accepted, and nothing is read behind bytes[count]:
 *            proved in h1_test.c (rows, every split) and h1_fuzz.c. */
#include "lib/http/h1.h"

#include "lib/base/check.h"
#include "lib/base/num.h"
#include "lib/http/message_int.h"

#define TARGET_BYTES_MAX 8192u
#define METHOD_BYTES_MAX 32u
#define CONNECTION_LINES_MAX 4u
#define CONNECTION_ITEMS_MAX 32u

/* Fields that steer framing and connections: taken out, each at most once where it matters. */
enum known {
    SEEN_HOST = 1u << 0,
    SEEN_LENGTH = 1u << 1,
    SEEN_ENCODING = 1u << 2,
    SEEN_EXPECT = 1u << 3,
    SEEN_CLOSE = 1u << 4,
    SEEN_KEEP_ALIVE = 1u << 5,
    SEEN_OPTION = 1u << 6, /* Connection names another field */
    SEEN_TRAILERS = 1u << 7,
};

struct scan {
    char *at;
    char *end;
    struct h1_head *head;
    struct err *err;
    bool request;
    unsigned status; /* to answer, when refused */
    unsigned seen;
    uint32_t field_count;
    uint64_t length;
    struct str host;
    struct str connection[CONNECTION_LINES_MAX];
    uint32_t connection_count;
    uint32_t item_count; /* in all of them, empty ones included */
};

size_t
h1_head_end(const char *bytes, size_t count, size_t seen)
{
    size_t at = seen;
    for (; at < MIN(count, (size_t)2); at++) {
        if (bytes[at] == '\n' && (at == 0 || bytes[at - 1] != '\r'))
            return at + 1;
    }
#ifdef __SSE2__
    const __m128i lf = _mm_set1_epi8('\n');
    const __m128i cr = _mm_set1_epi8('\r');
    for (; at + 16 <= count; at += 16) {
        /* An LF with no CR, or with another LF in front of its CR. */
        __m128i line_end = _mm_cmpeq_epi8(http_block(bytes + at), lf);
        __m128i after_cr = _mm_cmpeq_epi8(http_block(bytes + at - 1), cr);
        __m128i after_lf = _mm_cmpeq_epi8(http_block(bytes + at - 2), lf);
        __m128i plain = _mm_andnot_si128(after_lf, after_cr);
        unsigned mask = (unsigned)_mm_movemask_epi8(_mm_andnot_si128(plain, line_end));
        if (mask != 0)
            return at + TRAILING_ZEROS64(mask) + 1;
    }
#endif
    for (; at < count; at++) {
        if (bytes[at] == '\n' && (bytes[at - 1] != '\r' || bytes[at - 2] == '\n'))
            return at + 1;
    }
    return 0;
}

static COLD int
refuse(struct scan *scan, unsigned status, const char *why)
{
    scan->status = status;
    return err_set(scan->err, ERR_PROTOCOL, "malformed HTTP/1.1 %s: %s",
                   scan->request ? "request" : "response", why);
}

/* Case does not matter; `lower` is lower case. */
static bool
is_word(struct str s, struct str lower)
{
    if (s.len != lower.len)
        return false;
    for (size_t i = 0; i < s.len; i++) {
        if (http_token_lower[(uint8_t)s.ptr[i]] != (uint8_t)lower.ptr[i])
            return false;
    }
    return true;
}

static bool
is_token(struct str s)
{
    for (size_t i = 0; i < s.len; i++) {
        if (http_token_lower[(uint8_t)s.ptr[i]] == 0)
            return false;
    }
    return s.len > 0;
}

/* uri-host [":" port] without userinfo, percent signs or anything else that hides a name. `end`: of
 * what may be read behind s. */
static bool
is_host(struct str s, const char *end)
{
    bool literal = s.len > 0 && s.ptr[0] == '[';
    size_t i = literal ? 1 : 0;
#ifdef __SSE2__
    while (!literal && end - (s.ptr + i) >= 16 && i < s.len) {
        __m128i block = http_block(s.ptr + i);
        __m128i slash = _mm_cmpeq_epi8(block, _mm_set1_epi8('/'));
        unsigned run = http_run(_mm_andnot_si128(slash, http_plain(block)));
        i = MIN(i + run, s.len);
        if (run < 16)
            break;
    }
#else
    (void)end;
#endif
    for (; i < s.len; i++) {
        char c = s.ptr[i];
        bool alnum = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        if (!alnum && c != '-' && c != '.' && c != '_' && c != '~' && !(literal && c == ':'))
            break;
    }
    if (i == 0 || s.len > 262)
        return false;
    if (literal && (i < 3 || i == s.len || s.ptr[i++] != ']'))
        return false;
    uint64_t port = 0;
    struct str digits = str_skip(s, MIN(i + 1, s.len));
    return i == s.len ||
           (s.ptr[i] == ':' && (digits.len == 0 || num_u64(digits, 65535, &port) == 0));
}

static int
take_connection(struct scan *scan, struct str value)
{
    if (scan->connection_count == CONNECTION_LINES_MAX)
        return refuse(scan, 400, "too many Connection fields");
    if (is_word(value, STR("keep-alive"))) { /* what nearly all say */
        scan->seen |= SEEN_KEEP_ALIVE;
        return 0;
    }
    scan->connection[scan->connection_count++] = value;
    for (struct str rest = value; rest.len > 0;) {
        struct str item;
        (void)str_cut(rest, ',', &item, &rest);
        item = str_trim(item);
        if (scan->item_count++ == CONNECTION_ITEMS_MAX)
            return refuse(scan, 400, "too many names in Connection");
        if (is_word(item, STR("close")))
            scan->seen |= SEEN_CLOSE;
        else if (is_word(item, STR("keep-alive")))
            scan->seen |= SEEN_KEEP_ALIVE;
        else if (item.len > 0 && !is_token(item))
            return refuse(scan, 400, "Connection is not a list of names");
        else if (item.len > 0)
            scan->seen |= SEEN_OPTION;
    }
    return 0;
}

static int
take_once(struct scan *scan, enum known what, const char *why)
{
    if ((scan->seen & (unsigned)what) != 0)
        return refuse(scan, 400, why);
    scan->seen |= (unsigned)what;
    return 0;
}

static int
take_length(struct scan *scan, struct str value)
{
    int r = take_once(scan, SEEN_LENGTH, "Content-Length twice");
    if (r < 0)
        return r;
    if (num_u64(value, INT64_MAX, &scan->length) < 0)
        return refuse(scan, 400, "Content-Length is not a plain number");
    return 0;
}

static int
take_encoding(struct scan *scan, struct str value)
{
    int r = take_once(scan, SEEN_ENCODING, "Transfer-Encoding twice");
    if (r < 0)
        return r;
    if (is_word(value, STR("chunked")))
        return 0;
    return refuse(scan, is_token(value) ? 501 : 400, "Transfer-Encoding is not exactly chunked");
}

/* true: a field of the connection, taken out of the head. *ret is 0 or the refusal. */
static bool
take_known(struct scan *scan, struct str name, struct str value, int *ret)
{
    *ret = 0;
    switch (name.len) {
    case 2:
        if (memcmp(name.ptr, "te", 2) != 0)
            return false;
        if (http_te_trailers(value))
            scan->seen |= SEEN_TRAILERS;
        return true;
    case 4:
        if (memcmp(name.ptr, "host", 4) != 0)
            return false;
        scan->host = value;
        *ret = take_once(scan, SEEN_HOST, "Host twice");
        return true;
    case 6:
        if (memcmp(name.ptr, "expect", 6) != 0)
            return false;
        *ret = take_once(scan, SEEN_EXPECT, "Expect twice");
        if (*ret == 0 && !is_word(value, STR("100-continue")))
            *ret = refuse(scan, 417, "an expectation that is not 100-continue");
        return true;
    case 7:
        return memcmp(name.ptr, "upgrade", 7) == 0 || memcmp(name.ptr, "trailer", 7) == 0;
    case 10:
        if (memcmp(name.ptr, "keep-alive", 10) == 0)
            return true;
        if (memcmp(name.ptr, "connection", 10) != 0)
            return false;
        *ret = take_connection(scan, value);
        return true;
    case 14:
        if (memcmp(name.ptr, "http2-settings", 14) == 0)
            return true;
        if (memcmp(name.ptr, "content-length", 14) != 0)
            return false;
        *ret = take_length(scan, value);
        return true;
    case 17:
        if (memcmp(name.ptr, "transfer-encoding", 17) != 0)
            return false;
        *ret = take_encoding(scan, value);
        return true;
    default:
        return name.len > 6 && memcmp(name.ptr, "proxy-", 6) == 0;
    }
}

/* Most of a name at once: the longest run of letters, digits and '-' in whole blocks, lowered. */
static char *
lower_plain(char *at, const char *end)
{
#ifdef __SSE2__
    static const char first_bytes[32] = "\xff\xff\xff\xff\xff\xff\xff\xff"
                                        "\xff\xff\xff\xff\xff\xff\xff\xff";
    while (end - at >= 16) {
        __m128i block = http_block(at);
        __m128i lowered = _mm_or_si128(block, _mm_set1_epi8(0x20));
        __m128i letter = http_between(lowered, 'a', 'z');
        __m128i dash = _mm_cmpeq_epi8(block, _mm_set1_epi8('-'));
        __m128i other = _mm_or_si128(http_between(block, '0', '9'), dash);
        unsigned run = http_run(_mm_or_si128(letter, other));
        /* Letters of the run alone: what follows it is not a name. */
        letter = _mm_and_si128(letter, http_block(first_bytes + 16 - run));
        block = _mm_or_si128(block, _mm_and_si128(letter, _mm_set1_epi8(0x20)));
        _mm_storeu_si128((__m128i *)(void *)at, block);
        at += run;
        if (run < 16)
            break;
    }
#else
    (void)end;
#endif
    return at;
}

/* One "name: value CRLF" at scan->at. */
static int
take_field(struct scan *scan)
{
    char *name = scan->at;
    char *at = lower_plain(name, scan->end);
    bool underscore = false;
    if (UNLIKELY(*at != ':')) {
        uint8_t lower;
        /* The head ends in CRLF, no tchar, so this stops before `end`. */
        while ((lower = http_token_lower[(uint8_t)*at]) != 0) {
            underscore |= lower == '_';
            *at++ = (char)lower;
        }
    }
    if (at == name || *at != ':')
        return refuse(scan, 400,
                      at == name && (*at == ' ' || *at == '\t') ? "a folded line"
                                                                : "a field name with a bad byte");
    struct str field_name = str_make(name, (size_t)(at - name));
    at++;
    at += *at == ' ' ? 1 : 0; /* what nearly all send */
    while (*at == ' ' || *at == '\t')
        at++;
    const char *value = at;
    const char *stop = http_value_end(value, scan->end);
    if (scan->end - stop < 2 || stop[0] != '\r' || stop[1] != '\n')
        return refuse(scan, 400, "a control character in a field value");
    scan->at = at + (stop - value) + 2;
    while (stop > value && (stop[-1] == ' ' || stop[-1] == '\t'))
        stop--;
    /* X_Y and X-Y become one name behind gateways of the CGI family: such a field does not exist.
     */
    if (underscore)
        return 0;

    struct str field_value = str_make(value, (size_t)(stop - value));
    int r;
    if (take_known(scan, field_name, field_value, &r))
        return r;
    if (scan->field_count == HTTP_FIELDS_MAX)
        return refuse(scan, 431, "too many fields");
    scan->head->fields[scan->field_count++] = (struct http_field){field_name, field_value};
    return 0;
}

/* Fields that Connection names belong to the connection too (RFC 9110 7.6.1). */
static void
drop_options(struct scan *scan)
{
    for (uint32_t line = 0; line < scan->connection_count; line++) {
        for (struct str rest = scan->connection[line]; rest.len > 0;) {
            struct str item;
            (void)str_cut(rest, ',', &item, &rest);
            item = str_trim(item);
            uint32_t kept = 0;
            for (uint32_t i = 0; item.len > 0 && i < scan->field_count; i++) {
                if (!is_word(item, scan->head->fields[i].name))
                    scan->head->fields[kept++] = scan->head->fields[i];
            }
            if (item.len > 0)
                scan->field_count = kept;
        }
    }
}

static int
take_fields(struct scan *scan)
{
    while (*scan->at != '\r') {
        int r = take_field(scan);
        if (r < 0)
            return r;
        if (scan->at == scan->end)
            return refuse(scan, 400, "no empty line at its end");
    }
    if (scan->end - scan->at != 2 || scan->at[1] != '\n')
        return refuse(scan, 400, "a bare CR or LF");
    if ((scan->seen & SEEN_OPTION) != 0)
        drop_options(scan);
    if ((scan->seen & SEEN_ENCODING) != 0 && (scan->seen & SEEN_LENGTH) != 0)
        return refuse(scan, 400, "both Content-Length and Transfer-Encoding");
    if ((scan->seen & SEEN_ENCODING) != 0 && scan->head->minor == 0)
        return refuse(scan, 400, "Transfer-Encoding in HTTP/1.0");
    if ((scan->seen & SEEN_CLOSE) != 0)
        scan->head->keep_alive = false;
    else
        scan->head->keep_alive = scan->head->minor == 1 || (scan->seen & SEEN_KEEP_ALIVE) != 0;
    scan->head->http.fields = scan->head->fields;
    scan->head->http.field_count = scan->field_count;
    return 0;
}

/* "HTTP/1.1" at scan->at, with `after` behind it. */
static int
take_version(struct scan *scan, char after)
{
    const char *at = scan->at;
    if (scan->end - at < 9 || memcmp(at, "HTTP/", 5) != 0 || at[6] != '.' || at[8] != after ||
        at[5] < '0' || at[5] > '9' || at[7] < '0' || at[7] > '9')
        return refuse(scan, 400, "no HTTP version where one must be");
    if (at[5] != '1' || at[7] > '1')
        return refuse(scan, 505, "not HTTP/1.0 or HTTP/1.1");
    scan->head->minor = (uint8_t)(at[7] - '0');
    scan->at += 8;
    return 0;
}

static int
take_eol(struct scan *scan)
{
    if (scan->end - scan->at < 4 || scan->at[0] != '\r' || scan->at[1] != '\n')
        return refuse(scan, 400, "its first line does not end in CRLF");
    scan->at += 2;
    return 0;
}

static bool
is_known_method(struct str s)
{
    switch (s.len) {
    case 3:
        return memcmp(s.ptr, "GET", 3) == 0 || memcmp(s.ptr, "PUT", 3) == 0;
    case 4:
        return memcmp(s.ptr, "POST", 4) == 0 || memcmp(s.ptr, "HEAD", 4) == 0;
    case 5:
        return memcmp(s.ptr, "PATCH", 5) == 0;
    case 6:
        return memcmp(s.ptr, "DELETE", 6) == 0;
    case 7:
        return memcmp(s.ptr, "OPTIONS", 7) == 0;
    default:
        return false;
    }
}

/* One bit a byte: visible ASCII but " # < > \\ ` */
static bool
is_target_byte(uint8_t c)
{
    static const uint64_t bits[4] = {0xaffffff200000000u, 0x7ffffffeefffffffu, 0, 0};
    return (bits[c >> 6] >> (c & 63u) & 1u) != 0;
}

/* "METHOD SP target SP" */
static int
take_request_line(struct scan *scan)
{
    struct http_head *http = &scan->head->http;
    char *at = scan->at;
    while (http_token_lower[(uint8_t)*at] != 0)
        at++;
    http->method = str_make(scan->at, (size_t)(at - scan->at));
    if (http->method.len == 0 || http->method.len > METHOD_BYTES_MAX || *at != ' ')
        return refuse(scan, 400, "no method at its start");
    char *target = ++at;
    at += http_skip_plain(at, scan->end) - at;
    while (is_target_byte((uint8_t)*at))
        at++;
    http->target = str_make(target, (size_t)(at - target));
    if (*at != ' ')
        return refuse(scan, 400, "a bad byte in the target, or no version");
    scan->at = at + 1;
    int r = take_version(scan, '\r');
    if (r < 0)
        return r;
    if (!is_known_method(http->method))
        return refuse(scan, 405, "a method that is not served");
    if (http->target.len > TARGET_BYTES_MAX)
        return refuse(scan, 414, "the target is too long");
    bool asterisk = str_eq(http->target, STR("*")) && str_eq(http->method, STR("OPTIONS"));
    if (!asterisk && (http->target.len == 0 || http->target.ptr[0] != '/'))
        return refuse(scan, 400, "the target is not a path");
    return take_eol(scan);
}

static int
parse_request(struct scan *scan)
{
    /* RFC 9112 2.2: one empty line before a request is forgiven. */
    if (scan->end - scan->at > 2 && scan->at[0] == '\r' && scan->at[1] == '\n')
        scan->at += 2;
    int r = take_request_line(scan);
    if (r == 0)
        r = take_fields(scan);
    if (r < 0)
        return r;

    struct h1_head *head = scan->head;
    bool has_host = (scan->seen & SEEN_HOST) != 0;
    if (has_host ? !is_host(scan->host, scan->end) : head->minor == 1)
        return refuse(scan, 400, "Host is missing or not a host");
    head->http.authority = has_host ? scan->host : STR_EMPTY;
    head->http.scheme = STR("http");
    head->http.status = 0;
    head->expect_continue = (scan->seen & SEEN_EXPECT) != 0 && head->minor == 1;
    head->http.trailers = (scan->seen & SEEN_TRAILERS) != 0 && head->minor == 1;
    head->http.content_length = scan->length; /* 0 when not given */
    head->body = scan->length > 0 ? H1_BODY_LENGTH : H1_BODY_NONE;
    if ((scan->seen & SEEN_ENCODING) != 0) {
        head->body = H1_BODY_CHUNKED;
        head->http.content_length = HTTP_LENGTH_UNKNOWN;
    }
    head->http.has_body = head->body != H1_BODY_NONE;
    return 0;
}

/* "HTTP/1.1 SP 200 [SP reason]" */
static int
take_status_line(struct scan *scan)
{
    int r = take_version(scan, ' ');
    if (r < 0)
        return r;
    const char *at = scan->at + 1;
    unsigned status = 0;
    for (size_t i = 0; i < 3; i++) {
        if (at[i] < '0' || at[i] > '9')
            return refuse(scan, 502, "no status");
        status = status * 10 + (unsigned)(at[i] - '0');
    }
    if (status < 100 || status > 599)
        return refuse(scan, 502, "a status outside 100 to 599");
    scan->head->http.status = (uint16_t)status;
    if (at[3] != ' ' && at[3] != '\r')
        return refuse(scan, 502, "no status");
    scan->at += http_value_end(at + 3, scan->end) - scan->at;
    return take_eol(scan);
}

static int
parse_response(struct scan *scan, bool head_request)
{
    int r = take_status_line(scan);
    if (r == 0)
        r = take_fields(scan);
    if (r < 0)
        return r;

    struct h1_head *head = scan->head;
    unsigned status = head->http.status;
    bool has_length = (scan->seen & SEEN_LENGTH) != 0;
    bool bodiless = status < 200 || status == 204 || status == 304;
    head->http.method = head->http.target = head->http.authority = head->http.scheme = STR_EMPTY;
    head->expect_continue = false;
    head->http.trailers = false;
    head->http.content_length = has_length ? scan->length : HTTP_LENGTH_UNKNOWN;
    if (bodiless || head_request) {
        head->body = H1_BODY_NONE;
        if (bodiless)
            head->http.content_length = 0;
    } else if ((scan->seen & SEEN_ENCODING) != 0) {
        head->body = H1_BODY_CHUNKED;
    } else if (has_length) {
        head->body = scan->length > 0 ? H1_BODY_LENGTH : H1_BODY_NONE;
    } else {
        head->body = H1_BODY_UNTIL_CLOSE;
        head->keep_alive = false;
    }
    head->http.has_body = head->body != H1_BODY_NONE;
    return 0;
}

static int
scan_start(struct scan *scan, char *bytes, size_t count)
{
    scan->at = bytes;
    scan->end = bytes + count;
    if (count > HTTP_HEAD_BYTES_MAX)
        return refuse(scan, 431, "the head is too long");
    if (count < 4 || memcmp(bytes + count - 4, "\r\n\r\n", 4) != 0)
        return refuse(scan, 400, "a bare LF");
    return 0;
}

int
h1_parse_request(char *bytes, size_t count, struct h1_head *ret_head, unsigned *ret_status,
                 struct err *err)
{
    struct scan scan = {.head = ret_head, .err = err, .request = true};
    int r = scan_start(&scan, bytes, count);
    if (r == 0)
        r = parse_request(&scan);
    if (r < 0)
        *ret_status = scan.status;
    return r;
}

int
h1_parse_response(char *bytes, size_t count, bool head_request, struct h1_head *ret_head,
                  struct err *err)
{
    struct scan scan = {.head = ret_head, .err = err, .request = false};
    int r = scan_start(&scan, bytes, count);
    if (r == 0)
        r = parse_response(&scan, head_request);
    return r;
}
