/* SPDX-License-Identifier: MIT
 * objects.c - endpoints of resources: list, get, put, delete, apply.
 * Floor: controlplane/admin; engine thread.
 * Owns: nothing.
 * Invariant: a stream of objects is checked whole before the first of it is stored. */
#include "controlplane/admin/admin_int.h"

#define APPLY_OBJECTS_MAX 1000u
#define LIST_MAX 1000u

static const struct kind *
find_kind(struct call *call)
{
    const struct kind *kind = kind_by_plural(call->params[0]);
    struct err err = {0};
    if (kind)
        return kind;
    const struct kind *nearest = kind_at((enum kind_id)0);
    for (size_t i = 1; i < KIND_COUNT; i++) {
        const struct kind *other = kind_at((enum kind_id)i);
        if (str_distance(call->params[0], str_from(other->plural)) <
            str_distance(call->params[0], str_from(nearest->plural)))
            nearest = other;
    }
    int code =
        err_set(&err, ERR_NOT_FOUND, "there is no kind \"%.*s\"; the nearest is \"%s\"",
                (int)MIN(call->params[0].len, (size_t)60), call->params[0].ptr, nearest->plural);
    reply_err(call, code, &err);
    return NULL;
}

static struct store *
store_of(const struct call *call)
{
    return call->admin->conf.engine->conf.store;
}

/* The object as JSON; a new API key is added where the caller sees it this once. */
static void
reply_object(struct call *call, unsigned status, struct object *object, const char *key)
{
    struct reply reply;
    struct tree *root = identity_show(call, object) < 0 || caps_show(call, object) < 0
                            ? NULL
                            : object_tree(object, true, &call->arena);
    reply_begin(&reply);
    if (!root ||
        (key[0] && object_set(&call->arena, root, "key", TREE_STRING, str_from(key)) < 0) ||
        tree_to_json(root, false, &reply.text) < 0)
        reply.text.failed = true;
    reply_send(call, status, &reply);
}

void
endpoint_object_list(struct call *call)
{
    static const char *const known[] = {"limit", "after", NULL};
    const struct kind *kind = find_kind(call);
    uint64_t limit;
    struct str after;
    struct object *objects;
    size_t count;
    struct err err = {0};
    if (!kind || !query_known(call, known) ||
        !query_u64(call, "limit", LIST_MAX, LIST_MAX, &limit) ||
        !query_text(call, "after", STR_EMPTY, &after))
        return;
    int code = object_list(store_of(call), kind, after, limit ? limit : LIST_MAX, &call->arena,
                           &objects, &count, &err);
    if (code < 0) {
        reply_err(call, code, &err);
        return;
    }
    struct reply reply;
    struct json_writer *writer = reply_begin(&reply);
    json_open_object(writer);
    json_member_str(writer, "apiVersion", STR(API_VERSION));
    json_key(writer, "kind");
    json_value_str(writer, arena_printf(&call->arena, "%sList", kind->name));
    json_key(writer, "metadata");
    json_open_object(writer);
    reply_digits(writer, "revision", store_revision(store_of(call)));
    if (count > 0 && count == (limit ? limit : LIST_MAX))
        json_member_str(writer, "continue", objects[count - 1].name);
    json_close_object(writer);
    json_key(writer, "items");
    json_open_array(writer);
    for (size_t i = 0; i < count; i++) {
        struct buf text;
        buf_init(&text, OBJECT_BYTES_MAX);
        if (identity_show(call, &objects[i]) < 0 || caps_show(call, &objects[i]) < 0 ||
            object_put_json(&objects[i], &text) < 0)
            reply.text.failed = true;
        else
            json_value_raw(writer, buf_str(&text));
        buf_fini(&text);
    }
    json_close_array(writer);
    json_close_object(writer);
    reply_send(call, 200, &reply);
}

void
endpoint_object_get(struct call *call)
{
    static const char *const known[] = {NULL};
    const struct kind *kind = find_kind(call);
    struct object object;
    struct err err = {0};
    if (!kind || !query_known(call, known))
        return;
    int code = object_get(store_of(call), kind, call->params[1], &call->arena, &object, &err);
    if (code < 0)
        reply_err(call, code, &err);
    else
        reply_object(call, 200, &object, "");
}

void
endpoint_object_delete(struct call *call)
{
    static const char *const known[] = {"revision", NULL};
    const struct kind *kind = find_kind(call);
    uint64_t revision;
    struct err err = {0};
    if (!kind || !query_known(call, known) || !query_u64(call, "revision", INT64_MAX, 0, &revision))
        return;
    if (kind->id == KIND_WALLET && !wallet_deletable(call, call->params[1]))
        return;
    int code = object_delete(store_of(call), kind, call->params[1], revision, &err);
    if (code < 0) {
        reply_err(call, code, &err);
        return;
    }
    struct reply reply;
    struct json_writer *writer = reply_begin(&reply);
    json_open_object(writer);
    json_member_str(writer, "kind", str_from(kind->name));
    json_member_str(writer, "name", call->params[1]);
    json_member_bool(writer, "deleted", true);
    json_close_object(writer);
    reply_send(call, 200, &reply);
}

void
endpoint_object_put(struct call *call)
{
    static const char *const known[] = {NULL};
    const struct kind *kind = find_kind(call);
    struct manifest manifest;
    struct object object;
    enum object_change change;
    char key[API_KEY_BYTES + 1] = "";
    struct err err = {0};
    if (!kind || !query_known(call, known))
        return;
    const struct tree *root = body_tree(call);
    if (!root)
        return;
    if (call->yaml_in)
        root = root->count == 1 ? root->first : NULL;
    int code = schema_check(root, &call->arena, &manifest, &err);
    if (code == 0 && (manifest.kind != kind || !str_eq(manifest.name, call->params[1])))
        code = err_set(&err, ERR_INVALID, "kind and metadata.name must be those of the path");
    if (code == 0)
        code =
            object_apply(store_of(call), &manifest, "", &call->arena, &object, &change, key, &err);
    if (code != 0)
        reply_err(call, code, &err);
    else
        reply_object(call, change == OBJECT_CREATED ? 201 : 200, &object, key);
    secret_wipe(key, sizeof key);
}

/* ---- apply ----------------------------------------------------------------------------------- */

static int
check_stream(struct call *call, const struct tree *list, struct manifest *manifests,
             struct err *err)
{
    size_t at = 0;
    for (const struct tree *doc = list->first; doc; doc = doc->next, at++) {
        int code = schema_check(doc, &call->arena, &manifests[at], err);
        if (code < 0)
            return code;
        for (size_t i = 0; i < at; i++) {
            if (manifests[i].kind == manifests[at].kind &&
                str_eq(manifests[i].name, manifests[at].name))
                return err_set(err, ERR_DUPLICATE, "%s \"%.*s\" is there twice",
                               manifests[at].kind->name, STR_ARG(manifests[at].name));
        }
    }
    return 0;
}

static bool
is_in_stream(const struct manifest *manifests, size_t count, enum kind_id kind, struct str name)
{
    for (size_t i = 0; i < count; i++) {
        if (manifests[i].kind->id == kind && str_eq(manifests[i].name, name))
            return true;
    }
    return false;
}

/* The first model of a Route that nothing offers, or "". */
static struct str
dangling_target(struct call *call, const struct manifest *manifest, const struct manifest *all,
                size_t all_count)
{
    const struct tree *targets = schema_get(manifest->spec, "targets");
    for (const struct tree *item = targets ? targets->first : NULL; item; item = item->next) {
        if (!is_in_stream(all, all_count, KIND_MODEL, item->text) &&
            !snapshot_offers(&call->admin->conf.engine->snapshot, item->text))
            return arena_printf(&call->arena, "Model/%.*s", STR_ARG(item->text));
    }
    return STR_EMPTY;
}

/* What the spec names and nobody has made, as "Wallet/team-a": it may come later, so this is no
 * error. "" = none. */
static struct str
dangling(struct call *call, const struct manifest *manifest, const struct manifest *all,
         size_t all_count)
{
    size_t count = 0;
    const struct field *fields = schema_fields(&count);
    if (manifest->kind->id == KIND_ROUTE)
        return dangling_target(call, manifest, all, all_count);
    for (size_t i = 0; i < count; i++) {
        struct object object;
        struct err err = {0};
        if (fields[i].kind != manifest->kind->id || fields[i].type != FIELD_NAME)
            continue;
        struct str name = schema_text(manifest->spec, fields[i].path, STR_EMPTY);
        enum kind_id kind = strcmp(fields[i].path, "provider") == 0 ? KIND_PROVIDER : KIND_WALLET;
        if (name.len > 0 && !is_in_stream(all, all_count, kind, name) &&
            object_get(store_of(call), kind_at(kind), name, &call->arena, &object, &err) ==
                -ERR_NOT_FOUND)
            return arena_printf(&call->arena, "%s/%.*s", kind_at(kind)->name, STR_ARG(name));
    }
    return STR_EMPTY;
}

static void
put_applied(struct json_writer *writer, const struct manifest *manifest, const char *change,
            uint64_t revision, const char *key, struct str missing)
{
    json_open_object(writer);
    json_member_str(writer, "kind", str_from(manifest->kind->name));
    json_member_str(writer, "name", manifest->name);
    json_member_str(writer, "change", str_from(change));
    if (revision > 0)
        reply_digits(writer, "revision", revision);
    if (key[0])
        json_member_str(writer, "key", str_from(key));
    if (missing.len > 0)
        json_member_str(writer, "missing", missing);
    json_close_object(writer);
}

static void
apply_stream(struct call *call, const struct manifest *manifests, size_t count, bool dry_run)
{
    static const char *const changes[] = {
        [OBJECT_UNCHANGED] = "unchanged",
        [OBJECT_CREATED] = "created",
        [OBJECT_CONFIGURED] = "configured",
    };
    struct reply reply;
    struct err err = {0};
    int code = 0;
    struct json_writer *writer = reply_begin(&reply);
    json_open_object(writer);
    json_key(writer, "items");
    json_open_array(writer);
    for (size_t i = 0; i < count; i++) {
        struct object object = {0};
        enum object_change change = OBJECT_UNCHANGED;
        char key[API_KEY_BYTES + 1] = "";
        if (!dry_run)
            code = object_apply(store_of(call), &manifests[i], "", &call->arena, &object, &change,
                                key, &err);
        if (code < 0)
            break;
        put_applied(writer, &manifests[i], dry_run ? "checked" : changes[change], object.revision,
                    key, dangling(call, &manifests[i], manifests, count));
        secret_wipe(key, sizeof key);
    }
    json_close_array(writer);
    if (code < 0) {
        /* what was stored before it stays, keys included: the answer says so */
        json_member_str(writer, "message", str_from(err.text));
        json_member_str(writer, "code", str_from(err_name(code)));
        json_member_u64(writer, "statusCode", reply_status_of(code));
        json_member_str(writer, "error", str_from(http_status_text(reply_status_of(code))));
    }
    json_close_object(writer);
    reply_send(call, code < 0 ? reply_status_of(code) : 200, &reply);
}

void
endpoint_apply(struct call *call)
{
    static const char *const known[] = {"dryRun", NULL};
    struct str dry_run;
    struct err err = {0};
    if (!query_known(call, known) || !query_text(call, "dryRun", STR("false"), &dry_run))
        return;
    const struct tree *root = body_tree(call);
    if (!root)
        return;
    struct tree single = {.kind = TREE_LIST, .count = 1};
    struct tree only;
    if (root->kind != TREE_LIST) {
        only = *root;
        only.next = NULL;
        single.first = &only;
        root = &single;
    }
    if (root->count == 0 || root->count > APPLY_OBJECTS_MAX) {
        reply_error(call, 400, "INVALID",
                    root->count == 0 ? "there is no object in it"
                                     : "more than 1000 objects; apply them in parts");
        return;
    }
    struct manifest *manifests = arena_array(&call->arena, root->count, sizeof *manifests);
    if (!manifests) {
        reply_error(call, 413, "TOO_LARGE", "the stream is too large");
        return;
    }
    int code = check_stream(call, root, manifests, &err);
    if (code < 0)
        reply_err(call, code, &err);
    else
        apply_stream(call, manifests, root->count, str_eq(dry_run, STR("true")));
}
