/* SPDX-License-Identifier: MIT
 * object.c - objects as text and back, reading and deleting. Applying is in object_apply.c.
 * Floor: controlplane/object; engine thread.
 * Owns: nothing.
 * Invariant: see object.h. */
#include "controlplane/object/object.h"

#include "controlplane/object/object_int.h"
#include "controlplane/seal/seal.h"
#include "lib/base/check.h"
#include "lib/base/clock.h"
#include "lib/base/digest.h"
#include "lib/base/num.h"
#include "lib/base/rand.h"

#define SECRETS_BYTES_MAX (64u * 1024u * 1024u)

struct str
object_key(const struct kind *kind, struct str name, struct arena *arena)
{
    return arena_printf(arena, OBJECT_PREFIX "%s/%.*s", kind->name, STR_ARG(name));
}

struct str
object_secret_key(const struct kind *kind, struct str name, struct arena *arena)
{
    return arena_printf(arena, "secrets/%s/%.*s", kind->name, STR_ARG(name));
}

struct str
object_log_key(const struct kind *kind, struct str name, struct arena *arena)
{
    return arena_printf(arena, "logs/%s/%.*s", kind->name, STR_ARG(name));
}

/* ---- maps ------------------------------------------------------------------------------------ */

void
object_unset(struct tree *map, const char *key)
{
    struct tree *before = NULL;
    for (struct tree *child = map->first; child; before = child, child = child->next) {
        if (!str_eq(child->key, str_from(key)))
            continue;
        if (before)
            before->next = child->next;
        else
            map->first = child->next;
        if (map->last == child)
            map->last = before;
        map->count--;
        return;
    }
}

int
object_set(struct arena *arena, struct tree *map, const char *key, enum tree_kind kind,
           struct str text)
{
    struct str copy;
    if (arena_dup(arena, text, &copy) < 0)
        return -ERR_NOMEM;
    for (struct tree *child = map->first; child; child = child->next) {
        if (str_eq(child->key, str_from(key))) {
            child->kind = kind;
            child->text = copy;
            return 0;
        }
    }
    struct tree *child = tree_new(arena, kind, copy);
    if (!child)
        return -ERR_NOMEM;
    tree_append(map, str_from(key), child);
    return 0;
}

int
object_set_u64(struct arena *arena, struct tree *map, const char *key, uint64_t value)
{
    char text[20];
    return object_set(arena, map, key, TREE_STRING, str_make(text, num_write_u64(text, value)));
}

/* ---- text ------------------------------------------------------------------------------------ */

/* A map that shares the children of `from`, so that it can be hung into another parent. */
static struct tree *
alias(struct arena *arena, const struct tree *from)
{
    struct tree *copy = tree_new(arena, TREE_MAP, STR_EMPTY);
    if (copy) {
        copy->first = from->first;
        copy->last = from->last;
        copy->count = from->count;
    }
    return copy;
}

struct tree *
object_tree(const struct object *object, bool with_revision, struct arena *arena)
{
    struct tree *root = tree_new(arena, TREE_MAP, STR_EMPTY);
    struct tree *metadata = tree_new(arena, TREE_MAP, STR_EMPTY);
    struct tree *spec = alias(arena, object->spec);
    struct tree *status = alias(arena, object->status);
    if (!root || !metadata || !spec || !status)
        return NULL;
    int code = object_set(arena, root, "apiVersion", TREE_STRING, STR(API_VERSION));
    code |= object_set(arena, root, "kind", TREE_STRING, str_from(object->kind->name));
    tree_append(root, STR("metadata"), metadata);
    code |= object_set(arena, metadata, "name", TREE_STRING, object->name);
    code |= object_set(arena, metadata, "uid", TREE_STRING, object->uid);
    code |= object_set_u64(arena, metadata, "generation", object->generation);
    if (with_revision)
        code |= object_set_u64(arena, metadata, "revision", object->revision);
    code |= object_set(arena, metadata, "created", TREE_STRING, object->created);
    tree_append(root, STR("spec"), spec);
    tree_append(root, STR("status"), status);
    return code ? NULL : root;
}

int
object_put_json(const struct object *object, struct buf *out)
{
    struct arena arena;
    arena_init(&arena, OBJECT_BYTES_MAX);
    struct tree *root = object_tree(object, true, &arena);
    int code = root ? tree_to_json(root, false, out) : -ERR_NOMEM;
    arena_fini(&arena);
    return code;
}

int
object_parse(struct str text, uint64_t revision, struct arena *arena, struct object *ret_object,
             struct err *err)
{
    struct tree *root;
    int code = tree_from_json(text, arena, &root, err);
    if (code < 0)
        return code;
    const struct tree *metadata = tree_get(root, STR("metadata"));
    struct object object = {
        .kind = kind_by_name(schema_text(root, "kind", STR_EMPTY)),
        .name = schema_text(metadata, "name", STR_EMPTY),
        .uid = schema_text(metadata, "uid", STR_EMPTY),
        .created = schema_text(metadata, "created", STR_EMPTY),
        .revision = revision,
    };
    for (struct tree *child = root->first; child; child = child->next) {
        if (str_eq(child->key, STR("spec")))
            object.spec = child;
        if (str_eq(child->key, STR("status")))
            object.status = child;
    }
    if (!object.kind || !object.spec || !object.status ||
        num_u64(schema_text(metadata, "generation", STR_EMPTY), INT64_MAX, &object.generation) < 0)
        return err_set(err, ERR_STORE, "a stored object is damaged: %.*s", STR_ARG(object.name));
    *ret_object = object;
    return 0;
}

int
object_new(const struct kind *kind, struct str name, struct tree *spec, struct arena *arena,
           struct object *ret_object)
{
    uint8_t random[16];
    char uid[33];
    char created[32];
    struct object object = {.kind = kind, .generation = 1, .spec = spec};
    rand_bytes(random, sizeof random);
    hex_encode(random, sizeof random, uid);
    clock_format_rfc3339(clock_wall_ns(), created);
    object.status = tree_new(arena, TREE_MAP, STR_EMPTY);
    if (!object.status || arena_dup(arena, name, &object.name) < 0 ||
        arena_dup(arena, str_from(uid), &object.uid) < 0 ||
        arena_dup(arena, str_from(created), &object.created) < 0)
        return -ERR_NOMEM;
    *ret_object = object;
    return 0;
}

int
object_op(const struct object *object, struct arena *arena, struct store_cond *ret_cond,
          struct store_op *ret_op)
{
    struct str key = object_key(object->kind, object->name, arena);
    struct tree *root = object_tree(object, false, arena);
    struct str text = STR_EMPTY;
    struct buf out;
    if (!key.ptr || !root)
        return -ERR_NOMEM;
    buf_init(&out, OBJECT_BYTES_MAX);
    int code = tree_to_json(root, false, &out);
    if (code == 0)
        code = arena_dup(arena, buf_str(&out), &text);
    buf_fini(&out);
    if (code < 0)
        return code;
    *ret_cond = (struct store_cond){.key = key, .mod_rev = object->revision};
    *ret_op = (struct store_op){.key = key, .value = text};
    return 0;
}

/* ---- reading --------------------------------------------------------------------------------- */

static int
fail_not_found(struct store *store, const struct kind *kind, struct str name, struct arena *arena,
               struct err *err)
{
    struct str prefix = object_key(kind, STR_EMPTY, arena);
    struct store_row *rows = NULL;
    size_t count = 0;
    uint64_t revision;
    struct str best = STR_EMPTY;
    unsigned nearest = str_near_max(name) + 1u;
    if (prefix.ptr &&
        store_list(store, prefix, STR_EMPTY, 1000, arena, &rows, &count, &revision) == 0) {
        for (size_t i = 0; i < count; i++) {
            struct str other = str_skip(rows[i].key, prefix.len);
            unsigned distance = str_distance(name, other);
            if (distance < nearest) {
                nearest = distance;
                best = other;
            }
        }
    }
    if (best.len > 0)
        return err_set(err, ERR_NOT_FOUND, "there is no %s \"%.*s\"; did you mean \"%.*s\"?",
                       kind->name, STR_ARG(name), STR_ARG(best));
    return err_set(err, ERR_NOT_FOUND, "there is no %s \"%.*s\"", kind->name, STR_ARG(name));
}

int
object_get(struct store *store, const struct kind *kind, struct str name, struct arena *arena,
           struct object *ret_object, struct err *err)
{
    struct store_row row;
    struct str key = object_key(kind, name, arena);
    if (!key.ptr)
        return err_set(err, ERR_NOMEM, "out of memory");
    int code = store_get(store, key, arena, &row);
    if (code == -ERR_NOT_FOUND)
        return fail_not_found(store, kind, name, arena, err);
    if (code < 0)
        return err_set(err, (enum err_code) - code, "reading %s \"%.*s\": %s", kind->name,
                       STR_ARG(name), err_text(code));
    return object_parse(row.value, row.mod_rev, arena, ret_object, err);
}

int
object_list(struct store *store, const struct kind *kind, struct str after, size_t limit,
            struct arena *arena, struct object **ret_objects, size_t *ret_count, struct err *err)
{
    struct store_row *rows = NULL;
    size_t count = 0;
    uint64_t revision;
    struct str prefix = object_key(kind, STR_EMPTY, arena);
    struct str after_key = after.len > 0 ? object_key(kind, after, arena) : STR_EMPTY;
    if (!prefix.ptr || !after_key.ptr)
        return err_set(err, ERR_NOMEM, "out of memory");
    int code = store_list(store, prefix, after_key, limit, arena, &rows, &count, &revision);
    if (code < 0)
        return err_set(err, (enum err_code) - code, "listing %s: %s", kind->plural, err_text(code));
    struct object *objects = arena_array(arena, count + 1, sizeof *objects);
    if (!objects)
        return err_set(err, ERR_NOMEM, "too many %s to list at once", kind->plural);
    for (size_t i = 0; i < count; i++) {
        code = object_parse(rows[i].value, rows[i].mod_rev, arena, &objects[i], err);
        if (code < 0)
            return code;
    }
    *ret_objects = objects;
    *ret_count = count;
    return 0;
}

int
object_delete(struct store *store, const struct kind *kind, struct str name, uint64_t revision,
              struct err *err)
{
    struct arena arena;
    struct object object = {0};
    arena_init(&arena, 4u * OBJECT_BYTES_MAX);
    int code = object_get(store, kind, name, &arena, &object, err);
    if (code == 0 && revision != 0 && revision != object.revision)
        code = err_set(err, ERR_CONFLICT, "%s \"%.*s\" is at revision %llu, not %llu", kind->name,
                       STR_ARG(name), (unsigned long long)object.revision,
                       (unsigned long long)revision);
    if (code == 0) {
        struct str key = object_key(kind, name, &arena);
        const struct store_cond cond = {.key = key, .mod_rev = object.revision};
        const struct store_op ops[] = {
            {.delete_ = true, .key = key},
            {.delete_ = true, .key = object_secret_key(kind, name, &arena)},
            {.delete_ = true, .key = object_log_key(kind, name, &arena)},
        };
        code = !key.ptr || !ops[1].key.ptr || !ops[2].key.ptr
                   ? -ERR_NOMEM
                   : store_commit(store, &cond, 1, ops, ARRAY_LEN(ops), NULL);
        if (code < 0)
            err_set(err, (enum err_code) - code, "deleting %s \"%.*s\": %s", kind->name,
                    STR_ARG(name), err_text(code));
    }
    arena_fini(&arena);
    return code;
}

int
object_secret(struct store *store, const struct object *object, struct arena *arena,
              struct str *ret_secret)
{
    struct store_row row;
    struct str key = object_secret_key(object->kind, object->name, arena);
    int code = key.ptr ? store_get(store, key, arena, &row) : -ERR_NOMEM;
    return code == 0 ? object_unseal(store, &row, arena, ret_secret) : code;
}

int
object_unseal(struct store *store, const struct store_row *row, struct arena *arena,
              struct str *ret_secret)
{
    const struct seal *seal = store_seal(store);
    if (seal && seal_is_sealed(row->value))
        return seal_open(seal, row->key, row->value, arena, ret_secret);
    *ret_secret = row->value;
    return 0;
}

/* Conditions on what was read: a secret that changed meanwhile was sealed by whoever changed it. */
static int
seal_row(struct store *store, const struct store_row *row, struct arena *arena, size_t *count)
{
    const struct store_cond cond = {.key = row->key, .mod_rev = row->mod_rev};
    struct store_op op = {.key = row->key};
    if (seal_is_sealed(row->value))
        return object_unseal(store, row, arena, &op.value);
    int code = seal_close(store_seal(store), row->key, row->value, arena, &op.value);
    if (code == 0)
        code = store_commit(store, &cond, 1, &op, 1, NULL);
    *count += code == 0 ? 1 : 0;
    return code == -ERR_CONFLICT ? 0 : code;
}

int
object_seal_all(struct store *store, size_t *ret_count, struct err *err)
{
    struct arena arena;
    struct store_row *rows;
    size_t row_count = 0;
    size_t count = 0;
    arena_init(&arena, SECRETS_BYTES_MAX);
    int code = store_list(store, STR("secrets/"), STR_EMPTY, 0, &arena, &rows, &row_count, NULL);
    if (code < 0)
        err_set(err, (enum err_code) - code, "reading the stored secrets: %s", err_text(code));
    for (size_t i = 0; i < row_count && code == 0; i++) {
        code = seal_row(store, &rows[i], &arena, &count);
        if (code == -ERR_SIGNATURE) {
            err_set(err, ERR_SIGNATURE,
                    "%.*s in the store does not open with this master key: it was sealed with "
                    "another one; give that one back, or delete the object and apply it anew",
                    STR_ARG(rows[i].key));
        } else if (code < 0) {
            err_set(err, (enum err_code) - code, "sealing %.*s: %s", STR_ARG(rows[i].key),
                    err_text(code));
        }
    }
    arena_fini(&arena);
    if (code == 0)
        *ret_count = count;
    return code;
}
