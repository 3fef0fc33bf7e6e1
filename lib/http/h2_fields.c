/* SPDX-License-Identifier: MIT
 * h2_fields.c - header blocks of HTTP/2.
 * Floor: lib/http; its loop's thread.
 * Owns: nothing beyond the collector that it is given.
 * Invariant: fields point into text[], which has room for everything that passes the list limit,
 *            and for the joined cookies once more; h2_fields_test.c. */
#include "lib/http/h2_fields.h"

#include <stdlib.h>

#include "lib/base/check.h"
#include "lib/base/num.h"
#include "lib/http/message_int.h"

#define SPARE_MAX 16u
#define FIELD_OVERHEAD 32u /* RFC 9113 10.5.1 */

struct h2_fields *
h2_fields_get(struct list *spare)
{
    struct list *node = list_pop_front(spare);
    struct h2_fields *fields =
        node != NULL ? LIST_ENTRY(node, struct h2_fields, node) : malloc(sizeof *fields);
    if (fields != NULL) {
        memset(fields, 0, offsetof(struct h2_fields, fields));
        list_init(&fields->node);
    }
    return fields;
}

void
h2_fields_put(struct list *spare, struct h2_fields *fields)
{
    if (fields == NULL)
        return;
    unsigned count = 0;
    LIST_FOREACH (node, spare)
        count++;
    if (count >= SPARE_MAX)
        free(fields);
    else
        list_push_front(spare, &fields->node);
}

void
h2_fields_free_all(struct list *spare)
{
    for (struct list *node; (node = list_pop_front(spare)) != NULL;)
        free(LIST_ENTRY(node, struct h2_fields, node));
}

static struct str
fields_keep(struct h2_fields *fields, struct str bytes)
{
    ASSERT(bytes.len <= sizeof fields->text - fields->text_bytes);
    char *at = fields->text + fields->text_bytes;
    (void)http_put(at, bytes);
    fields->text_bytes += bytes.len;
    return str_make(at, bytes.len);
}

static void
fields_once(struct h2_fields *fields, struct str *slot, struct str value)
{
    if (slot->ptr != NULL)
        fields->twice = true;
    *slot = fields_keep(fields, value);
}

static void
fields_pseudo(struct h2_fields *fields, struct str name, struct str value)
{
    if (str_eq(name, STR(":method")))
        fields_once(fields, &fields->method, value);
    else if (str_eq(name, STR(":scheme")))
        fields_once(fields, &fields->scheme, value);
    else if (str_eq(name, STR(":authority")))
        fields_once(fields, &fields->authority, value);
    else if (str_eq(name, STR(":path")))
        fields_once(fields, &fields->path, value);
    else
        fields->twice = true; /* :protocol and what else may come: not asked for */
}

/* Fields that belong to the connection or the framing: true when taken care of. */
static bool
fields_special(struct h2_fields *fields, struct str name, struct str value)
{
    switch (name.len) {
    case 2:
        if (!str_eq(name, STR("te")))
            return false;
        fields->trailers = http_te_trailers(value);
        return true;
    case 4:
        if (!str_eq(name, STR("host")))
            return false;
        fields_once(fields, &fields->host, value);
        return true;
    case 6:
        if (str_eq(name, STR("cookie"))) {
            if (fields->cookie_count == HTTP_FIELDS_MAX)
                fields->too_large = true;
            else
                fields->cookies[fields->cookie_count++] = fields_keep(fields, value);
            return true;
        }
        if (!str_eq(name, STR("expect")))
            return false;
        if (str_eq_nocase(value, STR("100-continue")))
            fields->expect_continue = true;
        else
            fields->expect_other = true;
        return true;
    case 14:
        if (!str_eq(name, STR("content-length")))
            return false;
        fields_once(fields, &fields->length, value);
        return true;
    default:
        return false;
    }
}

void
h2_fields_add(struct h2_fields *fields, struct str name, struct str value)
{
    if (fields->too_large)
        return;
    fields->list_bytes += name.len + value.len + FIELD_OVERHEAD;
    if (fields->list_bytes > HTTP_HEAD_BYTES_MAX || fields->field_count == HTTP_FIELDS_MAX - 1) {
        fields->too_large = true;
        return;
    }
    if (name.len > 0 && name.ptr[0] == ':') {
        fields_pseudo(fields, name, value);
        return;
    }
    if (fields_special(fields, name, value))
        return;
    /* An underscore may be read as a dash by whoever is next: such fields go nowhere. */
    if (str_find_byte(name, '_') != SIZE_MAX || str_starts(name, STR("proxy-")))
        return;
    fields->fields[fields->field_count++] =
        (struct http_field){fields_keep(fields, name), fields_keep(fields, value)};
}

/* RFC 9113 8.2.3: crumbs are one field again for whoever is not HTTP/2. */
static void
fields_join_cookies(struct h2_fields *fields)
{
    if (fields->cookie_count == 0)
        return;
    struct str joined = fields->cookies[0];
    if (fields->cookie_count > 1) {
        joined = fields_keep(fields, fields->cookies[0]);
        for (uint32_t i = 1; i < fields->cookie_count; i++) {
            joined.len += fields_keep(fields, STR("; ")).len;
            joined.len += fields_keep(fields, fields->cookies[i]).len;
        }
    }
    fields->fields[fields->field_count++] = (struct http_field){STR("cookie"), joined};
}

static bool
fields_two_credentials(const struct h2_fields *fields)
{
    unsigned count = 0;
    for (uint32_t i = 0; i < fields->field_count; i++)
        count += str_eq(fields->fields[i].name, STR("authorization"));
    return count > 1;
}

/* Which pseudo fields a byte may be in: visible ASCII, without what would end or bend one. */
enum {
    IN_METHOD = 1,
    IN_PATH = 2,
    IN_SCHEME = 4,
    IN_AUTHORITY = 8,
    IN_ALL = 15,
};
#define NOT(fields) (IN_ALL - (fields))
static const uint8_t word_bytes[256] = {
    ['a' ... 'z'] = IN_ALL,
    ['A' ... 'Z'] = IN_ALL,
    ['0' ... '9'] = IN_ALL,
    ['!'] = IN_ALL,
    ['$'] = IN_ALL,
    ['&'] = IN_ALL,
    ['\''] = IN_ALL,
    ['*'] = IN_ALL,
    ['+'] = IN_ALL,
    ['-'] = IN_ALL,
    ['.'] = IN_ALL,
    ['_'] = IN_ALL,
    ['~'] = IN_ALL,
    ['('] = NOT(IN_METHOD),
    [')'] = NOT(IN_METHOD),
    [','] = NOT(IN_METHOD),
    [';'] = NOT(IN_METHOD),
    ['='] = NOT(IN_METHOD),
    ['['] = NOT(IN_METHOD),
    [']'] = NOT(IN_METHOD),
    [':'] = NOT(IN_METHOD | IN_SCHEME),
    ['/'] = NOT(IN_METHOD | IN_SCHEME | IN_AUTHORITY),
    ['"'] = NOT(IN_METHOD | IN_AUTHORITY),
    ['<'] = NOT(IN_METHOD | IN_AUTHORITY),
    ['>'] = NOT(IN_METHOD | IN_AUTHORITY),
    ['?'] = NOT(IN_METHOD | IN_AUTHORITY),
    ['@'] = NOT(IN_METHOD | IN_AUTHORITY),
    ['\\'] = NOT(IN_METHOD | IN_AUTHORITY),
    ['{'] = NOT(IN_METHOD | IN_AUTHORITY),
    ['}'] = NOT(IN_METHOD | IN_AUTHORITY),
    ['#'] = NOT(IN_PATH | IN_AUTHORITY),
    ['%'] = NOT(IN_AUTHORITY),
    ['^'] = NOT(IN_AUTHORITY),
    ['`'] = NOT(IN_AUTHORITY),
    ['|'] = NOT(IN_AUTHORITY),
};

static bool
fields_word(struct str s, unsigned field)
{
    unsigned in = field;
    if (s.len == 0) /* or not there at all */
        return false;
    const char *at = s.ptr;
    const char *end = s.ptr + s.len;
    if (field == IN_PATH)
        at = http_skip_plain(at, end);
    for (; at < end; at++)
        in &= word_bytes[(uint8_t)*at];
    return in != 0;
}

static bool
fields_malformed(const struct h2_fields *fields)
{
    bool options = str_eq(fields->method, STR("OPTIONS"));
    bool path_ok = fields_word(fields->path, IN_PATH) &&
                   (fields->path.ptr[0] == '/' || (options && str_eq(fields->path, STR("*"))));
    bool method_ok = str_eq(fields->method, STR("POST")) || fields_word(fields->method, IN_METHOD);
    bool scheme_ok = str_eq(fields->scheme, STR("http")) || str_eq(fields->scheme, STR("https")) ||
                     fields_word(fields->scheme, IN_SCHEME);
    return fields->twice || !method_ok || !path_ok || !scheme_ok;
}

unsigned
h2_fields_request(struct h2_fields *fields, struct http_head *ret_head)
{
    if (fields->too_large)
        return 431;
    if (str_eq(fields->method, STR("CONNECT")) || str_eq(fields->method, STR("TRACE")))
        return 405;
    if (fields_malformed(fields))
        return H2_FIELDS_RESET;
    if (fields->authority.ptr == NULL)
        fields->authority = fields->host;
    else if (fields->host.ptr != NULL && !str_eq_nocase(fields->host, fields->authority))
        return 400;
    if (!fields_word(fields->authority, IN_AUTHORITY) || fields_two_credentials(fields))
        return 400;
    if (fields->expect_other)
        return 417;
    uint64_t length = HTTP_LENGTH_UNKNOWN;
    if (fields->length.ptr != NULL && num_u64(fields->length, INT64_MAX, &length) < 0)
        return 400;
    fields_join_cookies(fields);
    *ret_head = (struct http_head){
        .method = fields->method,
        .target = fields->path,
        .authority = fields->authority,
        .scheme = fields->scheme,
        .fields = fields->fields,
        .field_count = fields->field_count,
        .content_length = length,
        .trailers = fields->trailers,
    };
    ASSERT(fields->field_count <= HTTP_FIELDS_MAX);
    return 0;
}
