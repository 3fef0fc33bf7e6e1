/* SPDX-License-Identifier: MIT
 * object_apply.c - server-side apply: what is wanted against what is stored.
 * Floor: controlplane/object; engine thread.
 * Owns: nothing.
 * Invariant: one commit or none; generation grows exactly when the spec or its secret changes. */
#include "controlplane/object/object.h"

#include "controlplane/object/object_int.h"
#include "controlplane/seal/seal.h"
#include "lib/base/check.h"
#include "lib/base/digest.h"
#include "lib/base/secret.h"

struct apply {
    struct store *store;
    const struct manifest *manifest;
    struct arena *arena;
    struct err *err;
    struct object object; /* as stored, then as it will be */
    bool exists;
    bool secret_exists;
    bool secret_changed;
    struct str secret_key;
};

static int
check_identity(const struct apply *apply)
{
    const struct manifest *manifest = apply->manifest;
    const char *kind = manifest->kind->name;
    if (!apply->exists) {
        if (manifest->revision == 0 && manifest->uid.len == 0)
            return 0;
        return err_set(apply->err, ERR_CONFLICT,
                       "%s \"%.*s\" does not exist any more; remove metadata.revision and uid to "
                       "create it",
                       kind, STR_ARG(manifest->name));
    }
    if (manifest->revision != 0 && manifest->revision != apply->object.revision) {
        return err_set(apply->err, ERR_CONFLICT,
                       "%s \"%.*s\" is at revision %llu, the request was made from %llu; read it "
                       "again",
                       kind, STR_ARG(manifest->name), (unsigned long long)apply->object.revision,
                       (unsigned long long)manifest->revision);
    }
    if (manifest->uid.len > 0 && !str_eq(manifest->uid, apply->object.uid))
        return err_set(apply->err, ERR_CONFLICT, "%s \"%.*s\" was deleted and created anew", kind,
                       STR_ARG(manifest->name));
    return 0;
}

/* One that does not open can only be replaced. */
static bool
is_other_secret(struct apply *apply, const struct store_row *row)
{
    struct str stored;
    return object_unseal(apply->store, row, apply->arena, &stored) < 0 ||
           !secret_eq(stored, apply->manifest->secret);
}

static int
load_secret(struct apply *apply)
{
    const struct manifest *manifest = apply->manifest;
    struct store_row row;
    apply->secret_key = object_secret_key(manifest->kind, manifest->name, apply->arena);
    if (!apply->secret_key.ptr)
        return err_set(apply->err, ERR_NOMEM, "out of memory");
    int code = store_get(apply->store, apply->secret_key, apply->arena, &row);
    if (code < 0 && code != -ERR_NOT_FOUND)
        return err_set(apply->err, ERR_STORE, "reading a secret failed");
    apply->secret_exists = code == 0;
    bool shown = str_eq(manifest->secret, STR(SECRET_SHOWN));
    if (shown && !apply->secret_exists)
        return err_set(apply->err, ERR_INVALID,
                       SECRET_SHOWN " stands for a stored secret, and there is none yet");
    if (shown)
        apply->secret_changed = false;
    else if (manifest->secret.len > 0)
        apply->secret_changed = !apply->secret_exists || is_other_secret(apply, &row);
    else
        apply->secret_changed = apply->secret_exists;
    return 0;
}

static bool
same_json(const struct tree *a, const struct tree *b)
{
    struct buf text_a;
    struct buf text_b;
    buf_init(&text_a, OBJECT_BYTES_MAX);
    buf_init(&text_b, OBJECT_BYTES_MAX);
    bool same = tree_to_json(a, false, &text_a) == 0 && tree_to_json(b, false, &text_b) == 0 &&
                str_eq(buf_str(&text_a), buf_str(&text_b));
    buf_fini(&text_a);
    buf_fini(&text_b);
    return same;
}

static int
make_api_key(struct apply *apply, char ret_key[API_KEY_BYTES + 1])
{
    uint8_t digest[SHA256_BYTES];
    char hex[2 * SHA256_BYTES + 1];
    api_key_make(ret_key);
    digest_sha256(str_from(ret_key), digest);
    hex_encode(digest, sizeof digest, hex);
    int code = object_set(apply->arena, apply->object.status, "hash", TREE_STRING, str_from(hex));
    code |= object_set(apply->arena, apply->object.status, "hint", TREE_STRING,
                       str_make(ret_key, sizeof API_KEY_PREFIX - 1 + 4));
    return code ? -ERR_NOMEM : 0;
}

static int
commit(struct apply *apply)
{
    struct store_cond cond;
    struct store_op ops[2];
    size_t count = 1;
    int code = object_op(&apply->object, apply->arena, &cond, &ops[0]);
    if (code < 0)
        return err_set(apply->err, ERR_TOO_LARGE, "the object is too large");
    if (apply->secret_changed) {
        struct str secret = apply->manifest->secret;
        const struct seal *seal = store_seal(apply->store);
        if (seal && secret.len > 0 &&
            seal_close(seal, apply->secret_key, secret, apply->arena, &secret) < 0)
            return err_set(apply->err, ERR_NOMEM, "the secret cannot be sealed");
        ops[count++] = (struct store_op){
            .delete_ = secret.len == 0, .key = apply->secret_key, .value = secret};
    }
    uint64_t revision = 0;
    code = store_commit(apply->store, &cond, 1, ops, count, &revision);
    if (code < 0)
        return err_set(apply->err, (enum err_code) - code, "storing %s \"%.*s\": %s",
                       apply->manifest->kind->name, STR_ARG(apply->manifest->name), err_text(code));
    apply->object.revision = revision;
    return 0;
}

static int
load(struct apply *apply)
{
    const struct manifest *manifest = apply->manifest;
    struct err missing = {0};
    int code = object_get(apply->store, manifest->kind, manifest->name, apply->arena,
                          &apply->object, &missing);
    if (code < 0 && code != -ERR_NOT_FOUND) {
        return err_set(apply->err, (enum err_code) - code, "%s", missing.text);
    }
    apply->exists = code == 0;
    code = check_identity(apply);
    return code < 0 ? code : load_secret(apply);
}

int
object_apply(struct store *store, const struct manifest *manifest, const char *managed_by,
             struct arena *arena, struct object *ret_object, enum object_change *ret_change,
             char ret_key[API_KEY_BYTES + 1], struct err *err)
{
    struct apply apply = {.store = store, .manifest = manifest, .arena = arena, .err = err};
    char key[API_KEY_BYTES + 1] = "";
    ASSERT(manifest->kind && manifest->spec);
    int code = load(&apply);
    if (code < 0)
        return code;
    if (apply.exists) {
        struct str keeper = schema_text(apply.object.status, "managedBy", STR_EMPTY);
        bool changed = apply.secret_changed || !same_json(apply.object.spec, manifest->spec);
        if (!changed && str_eq(keeper, str_from(managed_by))) {
            *ret_object = apply.object;
            *ret_change = OBJECT_UNCHANGED;
            ret_key[0] = '\0';
            return 0;
        }
        apply.object.spec = manifest->spec;
        apply.object.generation += changed ? 1 : 0;
    } else {
        code = object_new(manifest->kind, manifest->name, manifest->spec, arena, &apply.object);
        if (code == 0 && manifest->kind->id == KIND_API_KEY)
            code = make_api_key(&apply, key);
    }
    object_unset(apply.object.status, "managedBy");
    if (code == 0 && managed_by[0])
        code =
            object_set(arena, apply.object.status, "managedBy", TREE_STRING, str_from(managed_by));
    if (code < 0)
        return err_set(err, ERR_NOMEM, "the object is too large");
    code = commit(&apply);
    if (code == 0) {
        *ret_object = apply.object;
        *ret_change = apply.exists ? OBJECT_CONFIGURED : OBJECT_CREATED;
        memcpy(ret_key, key, sizeof key);
    }
    secret_wipe(key, sizeof key);
    return code;
}
