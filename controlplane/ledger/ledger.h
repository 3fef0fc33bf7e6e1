/* SPDX-License-Identifier: MIT
 * ledger.h - wallets' money: immutable double-entry transactions, leases to nodes, posted usage.
 * Floor: controlplane/ledger; the engine thread. Every changing call is one store commit.
 * Owns: nothing but itself; its rows live in the store under ledger/ and usage/.
 * Invariant: every transaction sums to zero; a balance is the sum of its entries; a key, a lease
 *            grant and a usage record move money at most once; transactions are hash-chained
 *            without gaps. Proved by ledger_model_test.c (against a naive model) and
 *            ledger_audit. */
#ifndef BERTH_CONTROLPLANE_LEDGER_LEDGER_H
#define BERTH_CONTROLPLANE_LEDGER_LEDGER_H

#include "api/money.h"
#include "controlplane/store/store.h"

#define LEDGER_NAME_BYTES_MAX \
    63u /* wallets, nodes, streams, providers: [A-Za-z0-9._-]+, not "." ".." */
#define LEDGER_KEY_BYTES_MAX 128u
#define LEDGER_CHARGE_NANO_MAX 1000000000000000ll /* of one usage record; beyond it is poison */

struct ledger;
struct ledger_config {
    uint32_t fee_bps; /* on transfers General -> AI, 0..9999 */
};
enum ledger_purse { LEDGER_GENERAL, LEDGER_AI };

/* The store is borrowed and outlives the ledger. Errors of every call below, besides its own:
 * -ERR_INVALID (a name, key or amount is malformed), -ERR_RANGE (a balance would leave int64),
 * -ERR_CONFLICT (somebody else wrote the ledger: retry), -ERR_NO_SPACE, -ERR_STORE (retry),
 * -ERR_NOMEM. On any error nothing has moved, or, after -ERR_STORE, all or nothing: retry with the
 * same key. */
int ledger_new(struct store *store, const struct ledger_config *config, struct ledger **ret_ledger,
               struct err *err) MUST_USE;
void ledger_free(struct ledger **ledger);
bool ledger_name_valid(struct str name);

struct ledger_receipt {
    struct money gross;   /* what left General (a deposit: what came in) */
    struct money fee;     /* rounded half up */
    struct money net;     /* gross - fee */
    struct money general; /* balances right after */
    struct money ai;
    uint64_t transaction;
    bool replayed; /* the key had been used: nothing moved, this is the first answer */
};
/* ledger_deposit - money from outside into a purse. amount > 0; key: 1..128 bytes, not blank, the
 * payment's id; own key space a wallet. -ERR_KEY_REUSED: same key, other amount or purse. */
int ledger_deposit(struct ledger *ledger, struct str wallet, enum ledger_purse purse,
                   struct money amount, struct str key, struct ledger_receipt *ret_receipt,
                   struct err *err) MUST_USE;
#define LEDGER_ANY_FEE (-1)
/* ledger_transfer - General -> AI, one way. expected_fee_bps: what the caller was shown (0..9999),
 * or LEDGER_ANY_FEE. -ERR_KEY_REUSED; -ERR_CONFLICT with a text that starts with "FEE_CHANGED";
 * -ERR_OVERDRAWN. A replay answers first, whatever the fee and the balance are now. */
int ledger_transfer(struct ledger *ledger, struct str wallet, struct money amount, struct str key,
                    int32_t expected_fee_bps, struct ledger_receipt *ret_receipt,
                    struct err *err) MUST_USE;
/* ledger_adjust - an operator's correction, signed, never zero; reason: 1..200 bytes of text; may
 * go below zero (shown as it is). */
int ledger_adjust(struct ledger *ledger, struct str wallet, enum ledger_purse purse,
                  struct money amount, struct str key, struct str reason,
                  struct ledger_receipt *ret_receipt, struct err *err) MUST_USE;

/* ai_limit - ai_usage = ai_remaining; held (lent to nodes, not yet spent) is part of remaining. */
struct ledger_balances {
    struct money general;
    struct money ai_limit;
    struct money ai_usage;
    struct money ai_remaining;
    struct money held;
    struct money lendable; /* to nodes now: not lent, less what General owes; >= 0 */
};
/* A wallet that the ledger has never seen has zeros. */
int ledger_balances(struct ledger *ledger, struct str wallet, struct ledger_balances *ret_balances,
                    struct err *err) MUST_USE;

/* key: ledger/tx/SEQ; value: its JSON as stored {"id","at_ms","kind","wallet","reference",
 * "entries":[{"account","amount"}],"prev"}, amounts and ids decimal strings. In the arena. */
struct ledger_transaction {
    uint64_t id;
    struct str text;
};
/* ledger_transactions - newest first, of one wallet (empty: all), ids < before (0: from the
 * newest), at most limit (1..100). ret_next: pass as before for the next page; 0 = no more. */
int ledger_transactions(struct ledger *ledger, struct str wallet, uint64_t before, size_t limit,
                        struct arena *arena, struct ledger_transaction **ret_transactions,
                        size_t *ret_count, uint64_t *ret_next, struct err *err) MUST_USE;

/* ledger_allow - move AI money between `from` and `wallet` so that the AI money that `wallet` has
 * left (lent to nodes included) is target, as far as there is money: what is lent stays lent.
 * *ret_moved: signed, towards `wallet`; *ret_short: it is not target yet. */
int ledger_allow(struct ledger *ledger, struct str from, struct str wallet, struct money target,
                 struct money *ret_moved, bool *ret_short, struct err *err) MUST_USE;

/* ledger_movements - deposits, transfers, corrections and allowances of one wallet behind
 * transaction `after` (0: all), oldest first; rows[count] and their texts live in the arena.
 * general, ai: right after it. An allowance is signed. */
enum ledger_movement_kind { LEDGER_DEPOSIT, LEDGER_TRANSFER, LEDGER_ADJUSTMENT, LEDGER_ALLOWANCE };
struct ledger_movement {
    enum ledger_movement_kind kind;
    enum ledger_purse purse; /* of a transfer: LEDGER_AI */
    struct money gross;
    struct money fee;
    struct money net;
    struct money general;
    struct money ai;
    uint64_t transaction;
    int64_t at_ms;
    struct str reference; /* the idempotency key; of an allowance the other wallet */
    struct str reason;    /* of a correction */
};
int ledger_movements(struct ledger *ledger, struct str wallet, uint64_t after, struct arena *arena,
                     struct ledger_movement **ret_rows, size_t *ret_count,
                     struct err *err) MUST_USE;
const char *ledger_movement_name(enum ledger_movement_kind kind); /* "deposit", ...; static */
/* ledger_head - id of the newest transaction (0: none), and a condition that holds while there is
 * no newer one: what was read of the ledger and a commit with it belong together. */
int ledger_head(struct ledger *ledger, struct store_cond *ret_cond, uint64_t *ret_id,
                struct err *err) MUST_USE;

/* ---- leases: what a node may spend; api/plane.md "funds" ------------------------------------- */

struct ledger_lease {
    struct money granted;  /* cumulative for (node, epoch, wallet) */
    struct money returned; /* likewise, by the node or taken back from it */
    struct money rest;     /* granted - charged - returned; the wallet's money until then */
    bool empty;            /* the wallet has nothing left to lend */
};
/* One question of a node. Of what a wallet has to lend it gets `want` up to a quarter, so that no
 * node draws all of it to itself; but what a request needs that waits for it, if there is so
 * much, or else nothing for it; and LEASE_FLOOR_NANO is nobody's quarrel. */
#define LEASE_SHARE 4
#define LEASE_FLOOR_NANO 20000000ll
struct ledger_ask {
    struct str node;
    uint64_t epoch;
    struct str wallet;    /* or the name of a budget (budget.h), here and in all calls below */
    struct money granted; /* cumulative, as the node knows it */
    struct money want;    /* >= 0, nano on top */
    struct money need;    /* >= 0: likewise, for one request */
    bool all;             /* as much of `want` as there is, no share */
};
/* lease_ask - a node that missed an answer (granted < ours) gets the old answer, not more money.
 * -ERR_CONFLICT: the node knows of more than was ever granted; -ERR_REVOKED: the epoch is
 * closed. */
int lease_ask(struct ledger *ledger, const struct ledger_ask *ask, struct ledger_lease *ret_lease,
              struct err *err) MUST_USE;
/* lease_want - the same with `all`. */
int lease_want(struct ledger *ledger, struct str node, uint64_t epoch, struct str wallet,
               struct money granted, struct money want, struct ledger_lease *ret_lease,
               struct err *err) MUST_USE;
/* lease_get - the same numbers, nothing moves; -ERR_NOT_FOUND when nothing was ever granted. */
int lease_get(struct ledger *ledger, struct str node, uint64_t epoch, struct str wallet,
              struct ledger_lease *ret_lease, struct err *err) MUST_USE;
/* lease_list - the leases of one (node, epoch), or every lease there is (node empty), in key order;
 * rows[count] and their texts live in the arena. A wallet's top-up can be seen by a watch of
 * ledger/balance/wallet/. */
struct ledger_lease_row {
    struct str node;
    uint64_t epoch;
    struct str wallet;
    struct money granted;
    struct money rest;
    struct money orphaned; /* of what came back: taken back from a node that was lost */
};
int lease_list(struct ledger *ledger, struct str node, uint64_t epoch, struct arena *arena,
               struct ledger_lease_row **ret_rows, size_t *ret_count, struct err *err) MUST_USE;
/* lease_return - returned: cumulative, as the node counts; it will not spend so much of what it was
 * granted. Said again, or after more was taken back, nothing moves. -ERR_RANGE: more than is
 * left. */
int lease_return(struct ledger *ledger, struct str node, uint64_t epoch, struct str wallet,
                 struct money returned, struct err *err) MUST_USE;
/* lease_orphan - the node is lost: what is left goes back to the wallet. When its journal turns up
 * after all, its charges are posted from the AI purse, and marked. 0, also when nothing was
 * left. */
int lease_orphan(struct ledger *ledger, struct str node, uint64_t epoch, struct str wallet,
                 struct err *err) MUST_USE;
/* lease_close - all journals of the epoch are posted: what is left of its leases goes back, and no
 * new lease is granted to it. Several commits; may be repeated until it returns 0. */
int lease_close(struct ledger *ledger, struct str node, uint64_t epoch, struct err *err) MUST_USE;

/* ---- usage: api/plane.md "usage" ------------------------------------------------------------- */

struct ledger_stream {
    struct str node;
    uint64_t epoch;
    struct str stream;
};
struct ledger_applied {
    uint64_t seq; /* everything up to here is in the ledger; also set on failure */
    size_t posted;
    size_t repeated;    /* had been posted before */
    size_t quarantined; /* poison: kept under usage/quarantine/, charged to nobody */
};
/* usage_apply - records[count]: JSON texts as they came, of first, first + 1, ... (sequences start
 * at
 * 1). Commits in chunks; each record moves money exactly once however often it is sent.
 * -ERR_CONFLICT: first is beyond the mark + 1 (a gap): send from ret_applied->seq + 1. */
int usage_apply(struct ledger *ledger, const struct ledger_stream *stream, uint64_t first,
                const struct str *records, size_t count, struct ledger_applied *ret_applied,
                struct err *err) MUST_USE;
/* usage_apply_list - the same of records as they stand in an upload, "r,r,r", when data planes
 * wrote them: no JSON document is made of them. -ERR_UNSUPPORTED: what is behind ret_applied->seq
 * has another form; what is before is posted; send all of it through usage_apply. */
int usage_apply_list(struct ledger *ledger, const struct ledger_stream *stream, uint64_t first,
                     struct str list, struct ledger_applied *ret_applied, struct err *err) MUST_USE;
/* usage_mark - the last posted sequence of a stream; 0 = none. */
int usage_mark(struct ledger *ledger, const struct ledger_stream *stream, uint64_t *ret_seq,
               struct err *err) MUST_USE;

/* usage_list - posted records in order, behind after_key (empty: from the first), at most limit
 * (1..1000); rows[].key says where the next page goes on, rows[].value is the record's JSON; both
 * live in the arena. Quarantined ones are not among them. */
int usage_list(struct ledger *ledger, struct str after_key, size_t limit, struct arena *arena,
               struct store_row **ret_rows, size_t *ret_count, struct err *err) MUST_USE;
enum usage_group { USAGE_BY_SUBJECT, USAGE_BY_MODEL, USAGE_BY_WALLET, USAGE_BY_PROVIDER };
struct usage_filter {
    enum usage_group group;
    struct str wallet;  /* empty: all */
    struct str subject; /* empty: all */
    int64_t from_ms;    /* wall clock; from the hour that it lies in */
    int64_t to_ms;      /* to the end of its hour; 0: no end */
};
struct usage_sum {
    struct str name; /* in the arena */
    uint64_t requests;
    uint64_t count[USAGE_CLASS_COUNT]; /* saturates */
    struct money charge;
    struct money cost;
};
/* usage_sums - sums[count] by descending charge; usage_rollup.h answers more. */
int usage_sums(struct ledger *ledger, const struct usage_filter *filter, struct arena *arena,
               struct usage_sum **ret_sums, size_t *ret_count, struct err *err) MUST_USE;

struct ledger_audit {
    uint64_t transactions; /* read and found right */
    uint64_t accounts;
    uint64_t orphans;      /* leases that were taken back from lost nodes */
    struct money orphaned; /* and what was left of them */
    uint64_t budgets;      /* of containers and keys, compared with the sums of usage */
    uint64_t bad; /* id of the first wrong transaction; 0: none, or it is a balance that is wrong */
};
/* ledger_audit - recompute everything from the transactions: chain, sums, balances, leases. 0, or
 * -ERR_STORE with the first difference in words. */
int ledger_audit(struct ledger *ledger, struct ledger_audit *ret_audit, struct err *err) MUST_USE;

#endif
