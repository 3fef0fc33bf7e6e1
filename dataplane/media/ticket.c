/* SPDX-License-Identifier: MIT
 * ticket.c - does an address lead to the vendor who named it?
 * Floor: dataplane/media; any thread.
 * Owns: nothing.
 * Invariant: see ticket.h. */
#include "dataplane/media/ticket.h"

static size_t
labels(struct str host)
{
    size_t count = 1;
    for (size_t i = 0; i < host.len; i++)
        count += host.ptr[i] == '.' ? 1 : 0;
    return count;
}

static struct str
below_first(struct str host)
{
    return str_skip(host, str_find_byte(host, '.') + 1);
}

/* "co.uk" and its like, below which strangers have names: a country behind one of these. */
static bool
looks_public(struct str domain)
{
    static const char *const words[] = {"co", "com", "net", "org", "gov", "edu",
                                        "ac", "ne",  "or",  "go",  "gob", "mil"};
    struct str word;
    struct str country;
    if (labels(domain) != 2 || !str_cut(domain, '.', &word, &country) || country.len != 2)
        return false;
    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        if (str_eq_nocase(word, str_from(words[i])))
            return true;
    }
    return false;
}

static bool
is_number(struct str host)
{
    char last = host.len > 0 ? host.ptr[host.len - 1] : '\0';
    return (last >= '0' && last <= '9') || str_find_byte(host, ':') != SIZE_MAX;
}

/* The domain that is the vendor's: his host without its first label, where enough is left of it. */
static struct str
domain_of(struct str host)
{
    if (labels(host) < 3 || looks_public(below_first(host)))
        return host;
    return below_first(host);
}

static bool
is_his(struct str base, struct str host)
{
    if (str_eq_nocase(base, host))
        return true;
    struct str domain = domain_of(base);
    if (is_number(base) || labels(domain) < 2 || host.len <= domain.len + 1)
        return false;
    struct str tail = str_skip(host, host.len - domain.len);
    return host.ptr[host.len - domain.len - 1] == '.' && str_eq_nocase(tail, domain);
}

int
ticket_address(const struct uri *base, struct str url, struct arena *arena, struct str *ret_host,
               struct str *ret_target)
{
    struct uri uri;
    struct str path;
    struct str query;
    if (uri_parse(url, &uri, NULL) != 0)
        return -ERR_PARSE;
    if (uri.https != base->https || uri.port != base->port || !is_his(base->host, uri.host))
        return -ERR_PERMISSION;
    struct str target = arena_printf(arena, "%.*s%s%.*s", STR_ARG(uri.path),
                                     uri.query.len > 0 ? "?" : "", STR_ARG(uri.query));
    struct str host = STR_EMPTY;
    if (target.ptr == NULL || arena_dup(arena, uri.host, &host) != 0)
        return -ERR_NOMEM;
    if (!uri_split_target(target, &path, &query))
        return -ERR_PARSE;
    *ret_host = host;
    *ret_target = target;
    return 0;
}
