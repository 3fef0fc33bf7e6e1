/* SPDX-License-Identifier: MIT
 * object_int.h - what reading and applying objects share.
 * Floor: controlplane/object, private to the folder.
 * Owns: nothing.
 * Invariant: see object.h. */
#ifndef BERTH_CONTROLPLANE_OBJECT_OBJECT_INT_H
#define BERTH_CONTROLPLANE_OBJECT_OBJECT_INT_H

#include "controlplane/object/object.h"

/* object_parse - stored text; tree nodes point into it, so it must live as long as the arena. */
int object_parse(struct str text, uint64_t revision, struct arena *arena, struct object *ret_object,
                 struct err *err) MUST_USE;
/* object_unseal - what stands in a row of secrets; rows of a time before sealing are plain. 0;
 * errors of seal_open. */
int object_unseal(struct store *store, const struct store_row *row, struct arena *arena,
                  struct str *ret_secret) MUST_USE;
/* "secrets/KIND/NAME"; ptr NULL on no memory. */
struct str object_secret_key(const struct kind *kind, struct str name, struct arena *arena);

#endif
