/* SPDX-License-Identifier: MIT
 * invoice.h - statements of a wallet: one invoice over both balances, numbered without gaps.
 * Floor: controlplane/billing; engine thread.
 * Owns: rows billing/invoice/ (the documents), billing/summary/, billing/wallet/ (where the next
 *       one of a wallet begins), billing/head.
 * Invariant: opening + what came in - what went out = closing, for both balances, to the last
 *            nano-dollar, or none is issued; the number is taken in the commit that stores the
 *            document; a document never changes and names the hash of the one before. Everything
 *            that the ledger posted is on exactly one invoice. Proved by invoice_test.c and
 *            invoice_audit. */
#ifndef BERTH_CONTROLPLANE_BILLING_INVOICE_H
#define BERTH_CONTROLPLANE_BILLING_INVOICE_H

#include "controlplane/billing/billing.h"
#include "lib/base/digest.h"

#define INVOICE_NUMBER_BYTES 40u /* "B-1a2b3c4d-000007" */

/* text: JSON, api/openapi/admin.yaml Invoice; a summary has no lines. Both in the arena. */
struct invoice_row {
    uint64_t sequence;
    struct str text;
};
/* invoice_issue - over everything that was posted since the wallet's last one. The document of this
 * call, or -ERR_NOT_FOUND: there is nothing to invoice; -ERR_STORE: the books do not add up (err
 * says where) or the store failed; -ERR_CONFLICT, -ERR_RANGE, -ERR_NO_SPACE, -ERR_NOMEM. */
int invoice_issue(struct billing *billing, struct str wallet, struct arena *arena,
                  struct invoice_row *ret_row, struct err *err) MUST_USE;
/* invoice_get - by number, or its last digits without the zeros before. 0; -ERR_NOT_FOUND. */
int invoice_get(struct billing *billing, struct str number, struct arena *arena,
                struct invoice_row *ret_row, struct err *err) MUST_USE;
/* invoice_list - summaries, newest first, of one wallet (empty: all), sequences < before (0: from
 * the newest), at most limit (1..100). ret_next: before of the next page; 0 = no more. */
int invoice_list(struct billing *billing, struct str wallet, uint64_t before, size_t limit,
                 struct arena *arena, struct invoice_row **ret_rows, size_t *ret_count,
                 uint64_t *ret_next, struct err *err) MUST_USE;
/* invoice_due - is it time for a monthly one: the wallet moved money, or was last invoiced, before
 * month_ms; or by a clock that was ahead, after now. 1, 0, or an error. */
int invoice_due(struct billing *billing, struct str wallet, int64_t month_ms, struct arena *arena,
                struct err *err) MUST_USE;
/* invoice_audit - numbers without gaps, hashes that chain, sums that add up. *ret_count: read and
 * found right. 0, or -ERR_STORE with the first difference in words. */
int invoice_audit(struct billing *billing, uint64_t *ret_count, struct err *err) MUST_USE;

/* invoice_pdf - the same document for people: A4, text that can be searched and copied. text: of a
 * row. -ERR_STORE (no invoice), -ERR_TOO_LARGE, -ERR_NOMEM. */
int invoice_pdf(struct str text, struct buf *out, struct err *err) MUST_USE;

#endif
