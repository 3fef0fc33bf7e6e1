/* SPDX-License-Identifier: MIT
 * uri.c - URLs and request targets, taken apart by hand: few rules, each refuses.
 * Floor: lib/text; any thread.
 * Owns: nothing.
 * Invariant: results are spans of the input; nothing is normalised, so what was checked is what is
 *            used. Proved by uri_test.c and uri_fuzz.c. */
#include "lib/text/uri.h"

#include <arpa/inet.h>

#include "lib/base/num.h"

#define URI_BYTES_MAX 2048u
#define HOST_BYTES_MAX 253u

static bool
is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool
is_alnum(char c)
{
    char lower = (char)(c | 0x20);
    return is_digit(c) || (lower >= 'a' && lower <= 'z');
}

/* Value of two hex digits, or -1. */
static int
hex2(struct str s)
{
    uint64_t value;
    if (s.len < 2 || num_hex_u64(str_make(s.ptr, 2), &value) != 0) {
        return -1;
    }
    return (int)value;
}

/* ---- authority ------------------------------------------------------------------------------- */

/* RFC 1035 labels, with '_' as container runtimes make it. */
static bool
valid_label(struct str label)
{
    if (label.len == 0 || label.len > 63 || label.ptr[0] == '-' ||
        label.ptr[label.len - 1] == '-') {
        return false;
    }
    for (size_t i = 0; i < label.len; i++) {
        if (!is_alnum(label.ptr[i]) && label.ptr[i] != '-' && label.ptr[i] != '_') {
            return false;
        }
    }
    return true;
}

static bool
looks_numeric(struct str label)
{
    if (label.len >= 2 && label.ptr[0] == '0' && (label.ptr[1] | 0x20) == 'x') {
        return true;
    }
    for (size_t i = 0; i < label.len; i++) {
        if (!is_digit(label.ptr[i])) {
            return false;
        }
    }
    return true;
}

static bool
valid_ipv4(struct str host)
{
    for (int i = 0; i < 4; i++) {
        struct str part;
        uint64_t octet;
        bool more = str_cut(host, '.', &part, &host);
        if (more != (i < 3) || num_u64(part, 255, &octet) != 0) {
            return false;
        }
    }
    return true;
}

static bool
valid_name_or_ipv4(struct str host)
{
    if (host.len == 0 || host.len > HOST_BYTES_MAX) {
        return false;
    }
    struct str rest = host;
    struct str label;
    bool more;
    do {
        more = str_cut(rest, '.', &label, &rest);
        if (!valid_label(label)) {
            return false;
        }
    } while (more);
    /* Resolvers read "127.1" and "0x7f.1" as addresses: a last label that is a number must belong
     * to a plain dotted quad. */
    return !looks_numeric(label) || valid_ipv4(host);
}

static bool
valid_ipv6(struct str host)
{
    char text[INET6_ADDRSTRLEN];
    struct in6_addr address;
    return str_find_byte(host, '\0') == SIZE_MAX && str_copy(text, sizeof(text), host) &&
           inet_pton(AF_INET6, text, &address) == 1;
}

/* host[:port]; *ret_port is 0 when there is none. */
static bool
split_authority(struct str authority, struct str *ret_host, uint16_t *ret_port)
{
    struct str host;
    struct str port;
    bool has_port;
    bool valid;
    if (authority.len > 0 && authority.ptr[0] == '[') {
        bool closed = str_cut(str_skip(authority, 1), ']', &host, &port);
        has_port = port.len > 0;
        valid = closed && valid_ipv6(host) && (!has_port || port.ptr[0] == ':');
        port = str_skip(port, 1);
    } else {
        has_port = str_cut(authority, ':', &host, &port);
        valid = valid_name_or_ipv4(host);
    }
    uint64_t number = 0;
    if (!valid || (has_port && (num_u64(port, 65535, &number) != 0 || number == 0))) {
        return false;
    }
    *ret_host = host;
    *ret_port = (uint16_t)number;
    return true;
}

bool
uri_valid_authority(struct str authority)
{
    struct str host;
    uint16_t port;
    return split_authority(authority, &host, &port);
}

/* ---- URL ------------------------------------------------------------------------------------- */

/* RFC 3986 pchar, '/' and '?', with complete escapes. */
static bool
valid_path_and_query(struct str s)
{
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];
        if (c == '%') {
            if (hex2(str_skip(s, i + 1)) < 0) {
                return false;
            }
        } else if (!is_alnum(c) && (c == '\0' || strchr("-._~!$&'()*+,;=:@/?", c) == NULL)) {
            return false;
        }
    }
    return true;
}

/* Cut the scheme off the front of *rest. */
static bool
take_scheme(struct str *rest, bool *ret_https)
{
    static const struct {
        struct str text;
        bool https;
    } schemes[] = {{{"https://", 8}, true}, {{"http://", 7}, false}};
    for (size_t i = 0; i < ARRAY_LEN(schemes); i++) {
        size_t size = schemes[i].text.len;
        if (rest->len >= size && str_eq_nocase(str_make(rest->ptr, size), schemes[i].text)) {
            *rest = str_skip(*rest, size);
            *ret_https = schemes[i].https;
            return true;
        }
    }
    return false;
}

int
uri_parse(struct str text, struct uri *ret_uri, struct err *err)
{
    struct uri uri = {.query = STR_EMPTY};
    if (text.len > URI_BYTES_MAX) {
        return err_set(err, ERR_TOO_LARGE, "URL of %zu bytes is longer than %u", text.len,
                       URI_BYTES_MAX);
    }
    struct str rest = text;
    if (!take_scheme(&rest, &uri.https)) {
        return err_set(err, ERR_PARSE, "URL must start with http:// or https://");
    }
    size_t size = 0;
    while (size < rest.len && rest.ptr[size] != '/' && rest.ptr[size] != '?') {
        size++;
    }
    struct str authority = str_make(rest.ptr, size);
    if (str_find_byte(authority, '@') != SIZE_MAX) {
        return err_set(err, ERR_PARSE, "URL must not carry a user name or password");
    }
    if (str_find_byte(rest, '#') != SIZE_MAX) {
        return err_set(err, ERR_PARSE, "URL must not carry a fragment");
    }
    if (!split_authority(authority, &uri.host, &uri.port)) {
        return err_set(err, ERR_PARSE, "URL has no valid host and port");
    }
    rest = str_skip(rest, size);
    if (!valid_path_and_query(rest)) {
        return err_set(err, ERR_PARSE, "URL has a path or query with bytes that must be escaped");
    }
    (void)str_cut(rest, '?', &uri.path, &uri.query);
    if (uri.path.len == 0) {
        uri.path = STR("/");
    }
    if (uri.port == 0) {
        uri.port = uri.https ? 443 : 80;
    }
    *ret_uri = uri;
    return 0;
}

/* ---- request targets ------------------------------------------------------------------------- */

bool
uri_split_target(struct str target, struct str *ret_path, struct str *ret_query)
{
    if (target.len == 0 || target.ptr[0] != '/') {
        return false;
    }
    for (size_t i = 0; i < target.len; i++) {
        unsigned char c = (unsigned char)target.ptr[i];
        if (c <= 0x20 || c >= 0x7f || c == '#') {
            return false;
        }
    }
    (void)str_cut(target, '?', ret_path, ret_query);
    return true;
}

static bool
plain_segment(struct str segment)
{
    if (segment.len == 0 || str_eq(segment, STR(".")) || str_eq(segment, STR(".."))) {
        return false;
    }
    for (size_t i = 0; i < segment.len; i++) {
        if (segment.ptr[i] == '\\') {
            return false;
        }
        if (segment.ptr[i] == '%') {
            int byte = hex2(str_skip(segment, i + 1));
            if (byte <= 0 || byte == '/' || byte == '.' || byte == '\\') {
                return false;
            }
        }
    }
    return true;
}

bool
uri_path_is_plain(struct str path)
{
    if (path.len == 0 || path.ptr[0] != '/') {
        return false;
    }
    struct str rest = str_skip(path, 1);
    bool more = rest.len > 0;
    while (more) {
        struct str segment;
        more = str_cut(rest, '/', &segment, &rest);
        if (!plain_segment(segment)) {
            return false;
        }
    }
    return true;
}

int
uri_decode(struct str text, struct arena *arena, struct str *ret_text)
{
    if (str_find_byte(text, '%') == SIZE_MAX) {
        *ret_text = text;
        return 0;
    }
    char *out = arena_alloc(arena, text.len);
    if (out == NULL) {
        return -ERR_NOMEM;
    }
    size_t made = 0;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        if (c == '%') {
            int byte = hex2(str_skip(text, i + 1));
            if (byte <= 0) {
                return -ERR_PARSE;
            }
            c = (char)byte;
            i += 2;
        }
        out[made++] = c;
    }
    *ret_text = str_make(out, made);
    return 0;
}

void
uri_encode(struct buf *out, struct str text, const char *also)
{
    static const char digits[] = "0123456789ABCDEF";
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        bool word = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (word || (c != '\0' && (strchr("-_.~", c) != NULL || strchr(also, c) != NULL))) {
            (void)buf_put_byte(out, (char)c);
        } else {
            const char escape[] = {'%', digits[c >> 4], digits[c & 15u]};
            (void)buf_put(out, escape, sizeof(escape));
        }
    }
}

bool
uri_query_get(struct str query, struct str key, struct str *ret_value)
{
    bool more = query.len > 0;
    while (more) {
        struct str pair;
        struct str name;
        struct str value;
        more = str_cut(query, '&', &pair, &query);
        (void)str_cut(pair, '=', &name, &value);
        if (str_eq(name, key)) {
            *ret_value = value;
            return true;
        }
    }
    return false;
}
