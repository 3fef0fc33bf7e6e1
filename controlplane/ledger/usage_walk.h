/* SPDX-License-Identifier: MIT
 * usage_walk.h - the records of one stored row, whichever way they were stored.
 * Floor: controlplane/ledger; the engine thread.
 * Owns: nothing; what is shown lives for the time of the call.
 * Invariant: every record of a row is shown once, in order, with texts that a form may have. Proved
 *            in usage_rollup_test.c. */
#ifndef BERTH_CONTROLPLANE_LEDGER_USAGE_WALK_H
#define BERTH_CONTROLPLANE_LEDGER_USAGE_WALK_H

#include "controlplane/ledger/ledger.h"
#include "controlplane/ledger/usage_form.h"

/* 0: go on; 1: enough; an error ends the walk. Of a record that was stored as text only the members
 * that are added up are shown. */
typedef int (*usage_walk_fn)(const struct usage_form *record, void *user);
/* usage_walk - row: one under usage/. 0; 1: fn had enough; -ERR_STORE (damaged), -ERR_NOMEM, or
 * what fn said. */
int usage_walk(struct ledger *ledger, const struct store_row *row, usage_walk_fn fn,
               void *user) MUST_USE;
/* usage_walk_class - the member that counts a class. */
enum form_member usage_walk_class(enum usage_class class_);
static inline uint64_t
form_number(const struct usage_form *form, enum form_member member)
{
    return form_has(form, member) ? form->at[member].number : 0;
}

#endif
