/* SPDX-License-Identifier: MIT
 * wallet_test_rig.h - a Wallet as its owner applies it.
 * Floor: controlplane/billing tests.
 * Owns: nothing.
 * Invariant: none of its own. */
#ifndef BERTH_CONTROLPLANE_BILLING_WALLET_TEST_RIG_H
#define BERTH_CONTROLPLANE_BILLING_WALLET_TEST_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "controlplane/object/object.h"

/* spec: YAML members, or "". */
static inline void
wallet_put(struct store *store, const char *name, const char *spec, struct arena *arena)
{
    struct tree *list;
    struct manifest manifest;
    struct object object;
    enum object_change change;
    struct err err = {0};
    char key[API_KEY_BYTES + 1];
    struct str yaml = arena_printf(
        arena, "apiVersion: " API_VERSION "\nkind: Wallet\nmetadata: {name: %s}\nspec: {%s}\n",
        name, spec);
    if (tree_from_yaml(yaml, arena, &list, &err) < 0 ||
        schema_check(list->first, arena, &manifest, &err) < 0 ||
        object_apply(store, &manifest, "", arena, &object, &change, key, &err) < 0)
        fail_msg("%s", err.text);
}

#endif
