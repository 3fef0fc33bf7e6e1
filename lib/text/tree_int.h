/* SPDX-License-Identifier: MIT
 * tree_int.h - what the YAML reader and writer share.
 * Floor: lib/text, private.
 * Owns: nothing.
 * Invariant: the writer quotes every string for which tree_plain_kind is not TREE_STRING. */
#ifndef BERTH_LIB_TEXT_TREE_INT_H
#define BERTH_LIB_TEXT_TREE_INT_H

#include "lib/text/tree.h"

/* tree_plain_kind - what a plain scalar is in the JSON schema of YAML 1.2 (chapter 10.2), with
 * JSON's own grammar for numbers; "" and "~" are null. */
enum tree_kind tree_plain_kind(struct str text);

#endif
