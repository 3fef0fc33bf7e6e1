/* SPDX-License-Identifier: MIT
 * object.h - resources in the store: objects/KIND/NAME as JSON with metadata, spec (wanted) and
 *            status (seen). Secrets of a spec lie beside them in secrets/KIND/NAME.
 * Floor: controlplane/object; engine thread.
 * Owns: nothing; results live in the caller's arena.
 * Invariant: a write is one commit, conditional on the revision that was read; applying what is
 *            there already writes nothing; a secret never leaves through an object. object_test.c.
 *            */
#ifndef BERTH_CONTROLPLANE_OBJECT_OBJECT_H
#define BERTH_CONTROLPLANE_OBJECT_OBJECT_H

#include "api/api_key.h"
#include "controlplane/object/schema.h"
#include "controlplane/store/store.h"

#define OBJECT_PREFIX "objects/"
#define OBJECT_BYTES_MAX (512u * 1024u)

/* uid: 32 hex, one life of the name. generation: of the spec, from 1. revision: of the store, when
 * the object last changed. created: RFC 3339. spec and status: maps, never NULL. */
struct object {
    const struct kind *kind;
    struct str name;
    struct str uid;
    uint64_t generation;
    uint64_t revision;
    struct str created;
    struct tree *spec;
    struct tree *status;
};

enum object_change { OBJECT_UNCHANGED, OBJECT_CREATED, OBJECT_CONFIGURED };

/* object_apply - create or update from a checked manifest. managed_by: "" for a person's, else who
 * keeps it ("env"), kept in status.managedBy. metadata.revision and uid of the manifest, when
 * given, must be those of the stored object.
 * ret_key  set for an ApiKey that was created: shown once, the caller wipes it; else ""
 * 0; -ERR_CONFLICT, -ERR_INVALID, -ERR_NOMEM, -ERR_STORE, -ERR_NO_SPACE. */
int object_apply(struct store *store, const struct manifest *manifest, const char *managed_by,
                 struct arena *arena, struct object *ret_object, enum object_change *ret_change,
                 char ret_key[API_KEY_BYTES + 1], struct err *err) MUST_USE;
/* object_get - 0; -ERR_NOT_FOUND with a sentence that names near matches; -ERR_STORE. */
int object_get(struct store *store, const struct kind *kind, struct str name, struct arena *arena,
               struct object *ret_object, struct err *err) MUST_USE;
/* object_list - up to limit (0 = all) objects with names > after, sorted by name. */
int object_list(struct store *store, const struct kind *kind, struct str after, size_t limit,
                struct arena *arena, struct object **ret_objects, size_t *ret_count,
                struct err *err) MUST_USE;
/* object_delete - revision: 0 = whatever is there. 0; -ERR_NOT_FOUND, -ERR_CONFLICT. */
int object_delete(struct store *store, const struct kind *kind, struct str name, uint64_t revision,
                  struct err *err) MUST_USE;
/* object_new - a fresh object in memory (uid, created, generation 1, empty status); spec is
 * borrowed. */
int object_new(const struct kind *kind, struct str name, struct tree *spec, struct arena *arena,
               struct object *ret_object) MUST_USE;
/* object_op - the condition and the operation that store this object (new when revision is 0). */
int object_op(const struct object *object, struct arena *arena, struct store_cond *ret_cond,
              struct store_op *ret_op) MUST_USE;
/* object_key - "objects/KIND/NAME" in the arena; ptr NULL on no memory. */
struct str object_key(const struct kind *kind, struct str name, struct arena *arena);
/* object_log_key - "logs/KIND/NAME": what happened to it; object_delete takes it along. */
struct str object_log_key(const struct kind *kind, struct str name, struct arena *arena);
/* object_secret - text of the SECRET field of this object's spec, opened where the store has a
 * seal. 0; -ERR_NOT_FOUND; -ERR_SIGNATURE: sealed with another master key, or changed. */
int object_secret(struct store *store, const struct object *object, struct arena *arena,
                  struct str *ret_secret) MUST_USE;
/* object_seal_all - with the store's seal: what is stored in plain is sealed (ret_count: how many),
 * and what is sealed is tried. 0; -ERR_SIGNATURE naming the row; -ERR_STORE. */
int object_seal_all(struct store *store, size_t *ret_count, struct err *err) MUST_USE;
/* object_put_json - for people and clients: with metadata.revision. object_tree: the same as a
 * tree. */
int object_put_json(const struct object *object, struct buf *out) MUST_USE;
struct tree *object_tree(const struct object *object, bool with_revision, struct arena *arena);

/* Small builders for status maps: replace or add a member. 0 or -ERR_NOMEM. */
int object_set(struct arena *arena, struct tree *map, const char *key, enum tree_kind kind,
               struct str text) MUST_USE;
int object_set_u64(struct arena *arena, struct tree *map, const char *key, uint64_t value) MUST_USE;
void object_unset(struct tree *map, const char *key);

#endif
