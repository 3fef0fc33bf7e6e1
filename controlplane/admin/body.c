/* SPDX-License-Identifier: MIT
 * body.c - what a call brings: body and query, strictly.
 * Floor: controlplane/admin; engine thread.
 * Owns: nothing; results live in the call's arena.
 * Invariant: a false or NULL result means that the call is answered. */
#include "controlplane/admin/admin_int.h"
#include "lib/base/num.h"
#include "lib/text/tree.h"
#include "lib/text/uri.h"

const struct tree *
body_tree(struct call *call)
{
    struct str body = http_stream_body(call->stream);
    struct tree *root = NULL;
    struct err err = {0};
    if (body.len == 0) {
        reply_error(call, 400, "BAD_REQUEST", "the request has no body");
        return NULL;
    }
    int code = call->yaml_in ? tree_from_yaml(body, &call->arena, &root, &err)
                             : tree_from_json(body, &call->arena, &root, &err);
    if (code < 0 && err.line > 0) {
        struct err placed = {0};
        code = err_set(&placed, err.code, "line %u, column %u: %s", err.line, err.column, err.text);
        reply_err(call, code, &placed);
        return NULL;
    }
    if (code < 0) {
        reply_err(call, code, &err);
        return NULL;
    }
    return root;
}

static bool
is_known(const char *const *known, struct str key)
{
    for (size_t i = 0; known[i]; i++) {
        if (str_eq(key, str_from(known[i])))
            return true;
    }
    return false;
}

const struct tree *
body_object(struct call *call, const char *const *known)
{
    if (call->yaml_in) {
        reply_error(call, 415, "UNSUPPORTED_MEDIA_TYPE", "this body must be application/json");
        return NULL;
    }
    const struct tree *root = body_tree(call);
    if (!root)
        return NULL;
    if (root->kind != TREE_MAP) {
        reply_error(call, 400, "BAD_REQUEST", "the body must be a JSON object");
        return NULL;
    }
    for (const struct tree *child = root->first; child; child = child->next) {
        struct err err = {0};
        if (is_known(known, child->key))
            continue;
        int code = err_set(&err, ERR_UNKNOWN_KEY, "unknown key \"%.*s\" in the body",
                           (int)MIN(child->key.len, (size_t)60), child->key.ptr);
        reply_err(call, code, &err);
        return NULL;
    }
    return root;
}

bool
body_text(struct call *call, const struct tree *body, const char *key, struct str fallback,
          struct str *ret)
{
    const struct tree *node = tree_get(body, str_from(key));
    if (node && node->kind != TREE_STRING) {
        struct err err = {0};
        reply_err(call, err_set(&err, ERR_INVALID, "\"%s\" must be a string", key), &err);
        return false;
    }
    *ret = node ? node->text : fallback;
    return true;
}

bool
query_known(struct call *call, const char *const *known)
{
    struct str rest = call->query;
    while (rest.len > 0) {
        struct str pair;
        struct str key;
        struct str value;
        str_cut(rest, '&', &pair, &rest);
        str_cut(pair, '=', &key, &value);
        if (is_known(known, key))
            continue;
        struct err err = {0};
        int code = err_set(&err, ERR_UNKNOWN_KEY, "unknown query parameter \"%.*s\"",
                           (int)MIN(key.len, (size_t)60), key.ptr);
        reply_err(call, code, &err);
        return false;
    }
    return true;
}

bool
query_text(struct call *call, const char *key, struct str fallback, struct str *ret)
{
    struct str raw;
    if (!uri_query_get(call->query, str_from(key), &raw)) {
        *ret = fallback;
        return true;
    }
    if (uri_decode(raw, &call->arena, ret) == 0)
        return true;
    reply_error(call, 400, "BAD_REQUEST", "the query is malformed");
    return false;
}

bool
query_u64(struct call *call, const char *key, uint64_t max, uint64_t fallback, uint64_t *ret)
{
    struct str text;
    if (!query_text(call, key, STR_EMPTY, &text))
        return false;
    if (text.len == 0) {
        *ret = fallback;
        return true;
    }
    if (num_u64(text, max, ret) == 0)
        return true;
    struct err err = {0};
    reply_err(
        call,
        err_set(&err, ERR_RANGE, "%s must be a number up to %llu", key, (unsigned long long)max),
        &err);
    return false;
}

bool
query_limit(struct call *call, uint64_t max, uint64_t fallback, uint64_t *ret_limit)
{
    uint64_t limit;
    struct err err = {0};
    if (!query_u64(call, "limit", max, fallback, &limit))
        return false;
    if (limit == 0) {
        reply_err(call,
                  err_set(&err, ERR_RANGE, "limit must be a number from 1 to %llu",
                          (unsigned long long)max),
                  &err);
        return false;
    }
    *ret_limit = limit;
    return true;
}

bool
query_page(struct call *call, struct str fallback, struct str *ret_wallet, uint64_t *ret_before,
           uint64_t *ret_limit)
{
    static const char *const known[] = {"wallet", "before", "limit", NULL};
    return query_known(call, known) && query_text(call, "wallet", fallback, ret_wallet) &&
           query_u64(call, "before", INT64_MAX, 0, ret_before) &&
           query_limit(call, 100, 50, ret_limit);
}
