/* SPDX-License-Identifier: MIT
 * ledger_int.h - the draft: rows read, entries posted, then one store commit or nothing.
 * Floor: controlplane/ledger, private; the engine thread.
 * Owns: a draft owns its arena; everything it hands out lives there until draft_fini.
 * Invariant: a transaction's entries sum to zero; what was read is a condition of the commit. */
#ifndef BERTH_CONTROLPLANE_LEDGER_LEDGER_INT_H
#define BERTH_CONTROLPLANE_LEDGER_LEDGER_INT_H

#include "controlplane/ledger/ledger.h"
#include "lib/base/digest.h"
#include "lib/base/map.h"
#include "lib/text/json.h"

#define LEDGER_ARENA_BYTES_MAX (16u << 20)
#define LEDGER_HASH_CHARS (2 * SHA256_BYTES)
#define DRAFT_ENTRIES_MAX 24u

#define KEY_HEAD "ledger/head"
#define KEY_TX "ledger/tx/"
#define KEY_BALANCE "ledger/balance/"
#define KEY_SPENT "ledger/spent/"
#define KEY_LEASE "ledger/lease/"
#define KEY_MARK "ledger/mark/"     /* NODE/EPOCH/STREAM: the last posted record */
#define KEY_BUDGET "ledger/budget/" /* container/NAME or key/NAME */
#define KEY_ALLOWANCE "ledger/key/allowance/"
#define KEY_USAGE "usage/"
#define KEY_QUARANTINE "usage/quarantine/"

/* Streams with records that are posted and not in the sums: "NODE/EPOCH/STREAM", heap. */
struct rollup {
    struct map streams;
    bool listed; /* what was so when the ledger was opened is among them */
    char prune_after[STORE_KEY_BYTES_MAX + 1]; /* where usage_rollup_prune goes on */
};
void rollup_fini(struct rollup *rollup);
/* rollup_note - records of this stream are being posted. */
void rollup_note(struct ledger *ledger, const struct ledger_stream *stream);

struct ledger {
    struct store *store;
    struct ledger_config config;
    struct rollup rollup;
    struct map budgets; /* names that may have a row of KEY_BUDGET; heap */
    bool budgets_listed;
    bool budgets_dated;      /* budgets_last_ms is of all of them */
    int64_t budgets_last_ms; /* the latest begin of a period that a row has */
    struct json_doc doc;     /* scratch, so that nodes are allocated once */
    struct buf row;          /* likewise: the usage row that is being made */
};

/* One row under a key, read once. */
struct draft_row {
    struct str key;
    struct str value; /* as read, then as it will be written; empty = absent */
    uint64_t mod_rev; /* 0 = absent */
    bool dirty;
    bool gone;  /* will be deleted */
    bool quiet; /* nobody hears of it, whatever it is */
};
/* A balance, or the sum that a wallet has spent. */
struct draft_account {
    struct str name; /* account, without KEY_BALANCE */
    struct draft_row *row;
    int64_t nano;
};
struct draft {
    struct ledger *ledger;
    struct err *err;
    struct arena arena;
    struct draft_row rows[STORE_COMMIT_OPS_MAX];
    size_t row_count;
    struct draft_account accounts[STORE_COMMIT_OPS_MAX];
    size_t account_count;
    struct store_op appended[STORE_COMMIT_OPS_MAX]; /* new rows that nobody reads first */
    size_t appended_count;
    struct draft_row *head; /* NULL until the first draft_post */
    uint64_t seq;
    char hash[LEDGER_HASH_CHARS + 1];
};

struct draft_entry {
    struct draft_account *account;
    int64_t nano;
};
struct draft_tx {
    const char *kind;
    struct str wallet;
    struct str reference;
    struct str reason;                             /* may be empty */
    bool overdraft;                                /* some of it was not covered by a lease */
    struct draft_entry entries[DRAFT_ENTRIES_MAX]; /* those of zero are left out */
    size_t entry_count;
};

/* err (may be NULL) must outlive the draft; every failing draft call fills it. */
void draft_init(struct draft *draft, struct ledger *ledger, struct err *err);
void draft_fini(struct draft *draft);
/* draft_row - the row under KEY made by printf; read once a draft. */
int draft_row(struct draft *draft, struct draft_row **ret_row, const char *format, ...)
    PRINTF(3, 4) MUST_USE;
void draft_set(struct draft_row *row, struct str value);
void draft_delete(struct draft_row *row);
/* draft_append - a new row without reading it; value must live as long as the draft. */
int draft_append(struct draft *draft, struct str key, struct str value) MUST_USE;
/* draft_account - full row key by printf: KEY_BALANCE "markup", KEY_SPENT "name". Absent = 0. */
int draft_account(struct draft *draft, struct draft_account **ret_account, const char *format, ...)
    PRINTF(3, 4) MUST_USE;
enum draft_wallet_account { WALLET_GENERAL, WALLET_AI, WALLET_HOLDS };
int draft_wallet(struct draft *draft, struct str wallet, enum draft_wallet_account which,
                 struct draft_account **ret_account) MUST_USE;
/* draft_lendable - AI money of a wallet that nodes, and wallets that it feeds, may have: what
 * General owes is kept back. >= 0. */
int draft_lendable(struct draft *draft, struct str wallet, int64_t *ret_nano) MUST_USE;
/* draft_add - for what is no entry of a transaction. -ERR_RANGE. */
int draft_add(struct draft *draft, struct draft_account *account, int64_t nano) MUST_USE;
static inline void
draft_entry(struct draft_tx *tx, struct draft_account *account, int64_t nano)
{
    if (nano != 0)
        tx->entries[tx->entry_count++] = (struct draft_entry){account, nano};
}
/* draft_post - chain one transaction and move its entries. ret_id may be NULL. */
int draft_post(struct draft *draft, const struct draft_tx *tx, uint64_t *ret_id) MUST_USE;
/* draft_commit - once, last. Nothing dirty: 0 without a commit. */
int draft_commit(struct draft *draft) MUST_USE;

/* num_padded - digits of a key, with zeros before them. */
int num_padded(struct str digits, uint64_t *ret_number) MUST_USE;
/* {"name":"123",...}: int64 as decimal strings. */
struct draft_field {
    const char *name;
    int64_t value;
};
/* fields_read - every field must be there. -ERR_STORE: the row is damaged. */
int fields_read(struct ledger *ledger, const struct draft_row *row, struct draft_field *fields,
                size_t count, struct err *err) MUST_USE;
int fields_write(struct draft *draft, struct draft_row *row, const struct draft_field *fields,
                 size_t count) MUST_USE;
/* member_i64 - a decimal string member. 0, -ERR_INVALID. */
int member_i64(const struct json_doc *doc, uint32_t object, const char *name,
               int64_t *ret_value) MUST_USE;
/* ledger_fail - err's text for a code that came from below, when nobody gave a better one. */
int ledger_fail(struct err *err, int code);
int ledger_name_check(struct str name, const char *what, struct err *err) MUST_USE;

/* The lease of (node, epoch, wallet) in a draft. */
struct lease {
    struct draft_row *row;
    int64_t granted;
    int64_t used;
    int64_t returned;
    int64_t orphaned; /* part of returned */
};
/* lease_read - row is not set. */
int lease_read(struct ledger *ledger, const struct draft_row *row, struct lease *ret_lease,
               struct err *err) MUST_USE;
int lease_load(struct draft *draft, struct str node, uint64_t epoch, struct str wallet,
               struct lease *ret_lease) MUST_USE;
int lease_store(struct draft *draft, const struct lease *lease) MUST_USE;
static inline int64_t
lease_rest(const struct lease *lease)
{
    return lease->granted - lease->used - lease->returned;
}

#endif
