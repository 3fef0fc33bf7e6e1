/* SPDX-License-Identifier: MIT
 * changes.h - what scans found to be different, kept until somebody has taken note of it.
 * Floor: controlplane/reconcile; engine thread.
 * Owns: the rows "changes/PROVIDER".
 * Invariant: a change is there once, with its last time, until it is acknowledged or its provider
 *            is gone; at most CHANGES_MAX a provider, the oldest go first. changes_test.c. */
#ifndef BERTH_CONTROLPLANE_RECONCILE_CHANGES_H
#define BERTH_CONTROLPLANE_RECONCILE_CHANGES_H

#include "controlplane/catalog/seen.h"
#include "controlplane/store/store.h"

#define CHANGES_PREFIX "changes/"
#define CHANGES_MAX 500u

/* changes_code - "new_model", "reappeared", "not_listed", "price_change", "context_change"
 * ("retired": discover_retire); NULL:
 * no change yet. */
const char *changes_code(enum seen_news news);
/* changes_merge - a row's text: the new ones (elements of a JSON array without its brackets, maybe
 * empty) before those of the row as it was (empty: none). An unreadable row counts as none.
 * 0; -ERR_INVALID: the new ones are no elements; -ERR_TOO_LARGE. */
int changes_merge(struct str before, struct str news, struct buf *out) MUST_USE;
/* changes_put - a JSON array, {provider, model, code, at} each; provider empty: of all.
 * 0, -ERR_STORE, -ERR_NOMEM. */
int changes_put(struct store *store, struct str provider, struct json_writer *writer) MUST_USE;
/* changes_ack - forget those of a provider (empty: of all) about a model (empty: any). *ret_count:
 * how many those were. 0, -ERR_STORE, -ERR_NOMEM. */
int changes_ack(struct store *store, struct str provider, struct str model,
                size_t *ret_count) MUST_USE;

#endif
