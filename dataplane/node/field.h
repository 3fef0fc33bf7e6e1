/* SPDX-License-Identifier: MIT
 * field.h - 64-bit numbers in records between the planes: decimal digits in a JSON string.
 * Floor: dataplane/node; sync thread.
 * Owns: nothing.
 * Invariant: no number passes through a double. api/plane.md. */
#ifndef BERTH_DATAPLANE_NODE_FIELD_H
#define BERTH_DATAPLANE_NODE_FIELD_H

#include "lib/text/json.h"

/* field_put - member `key` with the digits of value, as in "rev":"42". */
void field_put(struct json_writer *writer, const char *key, uint64_t value);
/* field_get - member `key` of `object`: a string of digits, or a JSON integer. false, and
 * *ret_value untouched, when it is absent or neither. */
bool field_get(const struct json_doc *doc, uint32_t object, const char *key, uint64_t *ret_value);

#endif
