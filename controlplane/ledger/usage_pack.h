/* SPDX-License-Identifier: MIT
 * usage_pack.h - the packed rows of posted usage: PACK_MARK, then records, each as what differs
 *                from the one before.
 * Floor: controlplane/ledger; the engine thread.
 * Owns: nothing.
 * Invariant: what was put comes back with the same members; no bytes make a record that is no JSON
 *            when written. Proved in usage_form_test.c and usage_form_fuzz.c. */
#ifndef BERTH_CONTROLPLANE_LEDGER_USAGE_PACK_H
#define BERTH_CONTROLPLANE_LEDGER_USAGE_PACK_H

#include "controlplane/ledger/usage_form.h"

#define PACK_MARK '\1' /* a row of texts begins with '{' */

/* pack_put - before: the record put last, zeroed for the first. */
void pack_put(const struct usage_form *form, const struct usage_form *before, struct buf *out);
/* pack_next - the record behind *form (zeroed for the first) out of *rest, which moves on. 1; 0: no
 * more; -ERR_STORE: damaged. Texts point into what rest pointed to. */
int pack_next(struct str *rest, struct usage_form *form) MUST_USE;

#endif
