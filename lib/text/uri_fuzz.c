/* SPDX-License-Identifier: MIT
 * uri_fuzz.c - any text: parts lie inside it, hold nothing forbidden, and put together parse again.
 * Floor: lib/text; one thread.
 * Owns: nothing.
 * Invariant: proves uri.h. */
#include "lib/text/uri.h"

#include "lib/base/buf.h"
#include "lib/base/check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_url(struct str text)
{
    struct uri uri;
    struct uri again;
    struct err err = {0};
    if (uri_parse(text, &uri, &err) != 0) {
        ASSERT(err.text[0] != '\0');
        return;
    }
    ASSERT(uri.port != 0 && uri.host.len > 0 && uri.path.ptr[0] == '/');
    for (size_t i = 0; i < text.len; i++) {
        ASSERT(text.ptr[i] > 0x20 && text.ptr[i] < 0x7f && text.ptr[i] != '#');
    }
    bool v6 = str_find_byte(uri.host, ':') != SIZE_MAX;
    struct buf out;
    buf_init(&out, 8192);
    buf_printf(&out, "%s://%s%.*s%s:%u%.*s?%.*s", uri.https ? "https" : "http", v6 ? "[" : "",
               STR_ARG(uri.host), v6 ? "]" : "", uri.port, STR_ARG(uri.path), STR_ARG(uri.query));
    if (out.len <= 2048) {
        int rc = uri_parse(buf_str(&out), &again, NULL);
        ASSERT(rc == 0 && again.port == uri.port && str_eq(again.host, uri.host) &&
               str_eq(again.path, uri.path) && str_eq(again.query, uri.query));
    }
    buf_fini(&out);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str text = size > 0 ? str_make((const char *)data, size) : STR_EMPTY;
    struct str path;
    struct str query;
    struct str s;
    struct arena arena;
    arena_init(&arena, 1 << 20);
    check_url(text);
    (void)uri_valid_authority(text);
    if (uri_split_target(text, &path, &query)) {
        ASSERT(path.len + query.len <= text.len && path.ptr[0] == '/');
        if (uri_path_is_plain(path) && uri_decode(path, &arena, &s) == 0) {
            ASSERT(str_find(s, STR("/../")) == SIZE_MAX && str_find(s, STR("//")) == SIZE_MAX);
        }
        (void)uri_query_get(query, STR("key"), &s);
    }
    if (uri_decode(text, &arena, &s) == 0) {
        ASSERT(s.len <= text.len);
    }
    arena_fini(&arena);
    return 0;
}
