/* SPDX-License-Identifier: MIT
 * kept.h - a catalogue that the owner put in the place of the shipped one, kept in the store.
 * Floor: controlplane/snapshot; engine thread.
 * Owns: its text; while it is newer than the shipped one, it is the one in use (catalog_use).
 * Invariant: one commit makes it hold; a crash before it leaves the old one. kept_test.c. */
#ifndef BERTH_CONTROLPLANE_SNAPSHOT_KEPT_H
#define BERTH_CONTROLPLANE_SNAPSHOT_KEPT_H

#include "controlplane/catalog/edition.h"
#include "controlplane/store/store.h"

/* The row that says which one holds: whoever builds from the catalogue watches it. */
#define KEPT_HEAD_KEY "catalog/head"

struct kept {
    char *text; /* NULL: none */
    size_t len;
    uint64_t serial; /* of its parts in the store */
};

void kept_init(struct kept *kept);
void kept_fini(struct kept *kept);
/* kept_load - at the start. What is damaged is not used: -ERR_STORE, and the shipped one holds. */
int kept_load(struct kept *kept, struct store *store, struct err *err) MUST_USE;
/* kept_replace - by a text that edition_check let pass. 0; -ERR_CONFLICT: not newer than the one in
 * use; -ERR_STORE, -ERR_NOMEM. */
int kept_replace(struct kept *kept, struct store *store, struct str text, uint32_t version,
                 struct err *err) MUST_USE;
/* kept_refuse - why a catalogue of that version would be; returns -ERR_CONFLICT. */
int kept_refuse(uint32_t version, struct err *err);
/* kept_drop - back to the shipped one. 0 (also when there was none); -ERR_STORE. */
int kept_drop(struct kept *kept, struct store *store, struct err *err) MUST_USE;

#endif
