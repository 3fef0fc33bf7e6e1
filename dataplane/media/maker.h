/* SPDX-License-Identifier: MIT
 * maker.h - vendors who make pictures and hold no conversations: how they are addressed and how
 *           they refuse. What they are told is a carrier's.
 * Floor: dataplane/media, on dialect; any thread.
 * Owns: nothing; static data.
 * Invariant: such a dialect has an address, a credential and errors; nothing of chat is called on
 *            it. maker_test.c. */
#ifndef BERTH_DATAPLANE_MEDIA_MAKER_H
#define BERTH_DATAPLANE_MEDIA_MAKER_H

#include "dataplane/dialect/dialect.h"

/* maker_find - by the name that a provider's row says, or NULL. */
const struct dialect *maker_find(struct str name);
extern const struct dialect maker_stability;
extern const struct dialect maker_replicate;
extern const struct dialect maker_bfl;

#endif
