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
/* "secrets/KIND/NAME"; ptr NULL on no memory. */
struct str object_secret_key(const struct kind *kind, struct str name, struct arena *arena);

#endif
