/* SPDX-License-Identifier: MIT
 * invoice_int.h - the parts of invoices to each other: what is on one, and its rows.
 * Floor: controlplane/billing, private; engine thread.
 * Owns: nothing; everything lives in the arena of the call.
 * Invariant: none of its own. */
#ifndef BERTH_CONTROLPLANE_BILLING_INVOICE_INT_H
#define BERTH_CONTROLPLANE_BILLING_INVOICE_INT_H

#include "controlplane/billing/billing_int.h"
#include "controlplane/billing/invoice.h"
#include "controlplane/billing/usage_lines.h"

#define INVOICE_KEY_HEAD "billing/head"
#define INVOICE_KEY "billing/invoice/"
#define INVOICE_KEY_SUMMARY "billing/summary/"
#define INVOICE_KEY_WALLET "billing/wallet/"
#define INVOICE_HASH_CHARS (2 * SHA256_BYTES)
#define INVOICE_MOVEMENTS_MAX 1000u /* lines on one document; the totals are of all */
#define INVOICE_USAGE_MAX 1500u

/* Where the last invoice of a wallet ended. All zero: there was none. */
struct invoice_mark {
    uint64_t mod_rev;
    int64_t transaction; /* of the ledger, the last that it covers */
    int64_t to_ms;
    int64_t general;
    int64_t ai;
    int64_t spent;           /* of all time */
    int64_t since_ms;        /* `seen` is usage from here on */
    struct usage_lines seen; /* what was invoiced of it */
};
/* Where the numbers are. */
struct invoice_head {
    uint64_t mod_rev;
    uint64_t sequence; /* of the newest; 0: none */
    char hash[INVOICE_HASH_CHARS + 1];
};
struct invoice_purse {
    struct money opening;
    struct money closing;
    struct money topped_up;
    struct money adjusted;
};
struct invoice {
    char number[INVOICE_NUMBER_BYTES];
    uint64_t sequence;
    struct str wallet;
    int64_t from_ms;
    int64_t to_ms;
    uint64_t after; /* transactions: after < id <= through */
    uint64_t through;
    struct invoice_purse general;
    struct invoice_purse ai;
    struct money transferred; /* gross: left General */
    struct money fees;
    struct money credited; /* net: reached AI */
    struct money allowed;  /* AI money from and, negative, to capped wallets */
    struct money usage;    /* charge of all lines, late included */
    struct money late;     /* usage of before the last invoice that was posted after it */
    struct ledger_movement *movements;
    size_t movement_count;
    struct usage_lines lines;
    struct store_cond ledger; /* nothing was posted while we looked */
};

int invoice_mark_read(struct billing *billing, struct str wallet, struct arena *arena,
                      struct invoice_mark *ret_mark, struct err *err) MUST_USE;
int invoice_head_read(struct billing *billing, struct arena *arena, struct invoice_head *ret_head,
                      struct err *err) MUST_USE;
/* invoice_store - document, summary, mark and head in one commit. */
int invoice_store(struct billing *billing, const struct invoice *invoice,
                  const struct invoice_head *head, const struct invoice_mark *before,
                  const struct invoice_mark *mark, struct arena *arena, struct invoice_row *ret_row,
                  struct err *err) MUST_USE;
/* invoice_put - the document; lines: else only the summary. prev: hash of the one before. */
void invoice_put(struct json_writer *writer, const struct billing *billing,
                 const struct invoice *invoice, const char *prev, bool lines);
/* invoice_adds_up - both balances of the totals. 0, -ERR_STORE. */
int invoice_adds_up(const struct invoice *invoice, struct err *err) MUST_USE;
int invoice_fail(struct err *err, int code);

#endif
