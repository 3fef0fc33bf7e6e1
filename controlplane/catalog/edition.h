/* SPDX-License-Identifier: MIT
 * edition.h - a text of models that somebody brings: is it a catalogue, and what does it change?
 * Floor: controlplane/catalog; any thread.
 * Owns: nothing.
 * Invariant: catalog.h reads whatever passes without a further check: one model a line, sorted by
 *            id, whole numbers only, prices that hold together. edition_test.c, edition_fuzz.c. */
#ifndef BERTH_CONTROLPLANE_CATALOG_EDITION_H
#define BERTH_CONTROLPLANE_CATALOG_EDITION_H

#include "controlplane/catalog/catalog.h"

#define EDITION_BYTES_MAX (8u * 1024u * 1024u)

/* edition_check - the whole text. version: as in catalog_version.
 * 0; -ERR_INVALID, -ERR_UNKNOWN_KEY, -ERR_TOO_LARGE or what json_scan says, with line or id in the
 * text. */
int edition_check(struct str text, uint32_t *ret_version, uint32_t *ret_count,
                  struct err *err) MUST_USE;

enum edition_change { EDITION_ADDED, EDITION_REMOVED, EDITION_REPRICED, EDITION_CHANGED };
/* before, after: NULL where there is none; borrowed for the call. */
typedef void (*edition_change_fn)(enum edition_change change, const struct catalog_model *before,
                                  const struct catalog_model *after, void *user);
/* edition_compare - two checked texts; every model that differs, in order of id. 0 or -ERR_NOMEM.
 * */
int edition_compare(struct str before, struct str after, edition_change_fn changed,
                    void *user) MUST_USE;

#endif
