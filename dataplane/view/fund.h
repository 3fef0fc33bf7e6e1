/* SPDX-License-Identifier: MIT
 * fund.h - what this node may still spend for a wallet, or of what a container or key may spend:
 *          the lease, held and captured without a lock. A budget is a fund "KIND/NAME".
 * Floor: dataplane/view; hold, capture and release from any worker; the rest from the sync thread.
 * Owns: the table of wallets; a fund lives as long as the table.
 * Invariant: available = granted - returned - spent - held, and a hold never makes it negative;
 *            only a capture above its hold (a provider that reported more than the worst case)
 *            may, money that the control plane took back meanwhile, and fund_owe. fund_test.c. */
#ifndef BERTH_DATAPLANE_VIEW_FUND_H
#define BERTH_DATAPLANE_VIEW_FUND_H

#include <pthread.h>
#include <stdatomic.h>

#include "lib/base/arena.h"
#include "lib/base/map.h"

/* A node wants to have what it uses in FUND_AHEAD_S, what is held twice over, and at least
 * FUND_LEASE_NANO; below half of that it asks for more. The control plane may lend less. */
#define FUND_LEASE_NANO 250000000ll
#define FUND_AHEAD_S 10
/* What nobody used for so long goes back; sooner when the wallet is empty elsewhere. */
#define FUND_IDLE_S 60u
#define FUND_IDLE_EMPTY_S 2u

/* OVER: a budget whose cap was lowered: what is here goes back, nothing is held until then. */
enum fund_status { FUND_UNKNOWN, FUND_OK, FUND_EMPTY, FUND_FROZEN, FUND_OVER };
/* Of which periods a cap is. */
enum fund_per { FUND_PER_NONE, FUND_PER_HOUR, FUND_PER_DAY, FUND_PER_MONTH };

struct fund {
    char *wallet;
    _Atomic int64_t available; /* nano-USD */
    _Atomic int64_t spent;     /* captured in this epoch */
    _Atomic int64_t held;
    _Atomic int64_t granted;  /* cumulative in this epoch, as the control plane said */
    _Atomic int status;       /* enum fund_status */
    _Atomic uint32_t answers; /* funds rows seen: lets a waiter tell an answer from silence */
    _Atomic bool wanted;      /* a lease request is under way */
    _Atomic int64_t need;     /* largest unmet hold since the last request */
    _Atomic int64_t waiting;  /* sum of the holds that wait for money */
    _Atomic int64_t low;      /* below this it asks for more */
    _Atomic int64_t free;     /* what the wallet could still lend, as last told */
    _Atomic int64_t balance;  /* what it has, lent or not, as last told */
    _Atomic int64_t cap;      /* of a capped wallet, else 0; as last told */
    _Atomic int64_t cap_spent;
    _Atomic int64_t cap_resets_s; /* when the next period begins */
    _Atomic int cap_per;          /* enum fund_per; of a budget */
    _Atomic(struct fund *)
        payer; /* of a budget by live_budget: the wallet that caps all its containers */
    /* sync thread */
    int64_t returned;     /* cumulative in this epoch, by us or taken back */
    int64_t target;       /* what to have */
    int64_t use_nano_s;   /* recent use */
    int64_t spent_before; /* a second ago */
    uint32_t idle_s;
    uint64_t idle_round; /* node_upload_round when it was used last */
    uint64_t config_rev; /* of a budget: the last configuration that names it */
    bool lapsed;         /* and one that came later did not, and no lease was asked for since */
};
/* What the control plane says of a wallet. */
struct fund_word {
    int64_t granted;  /* cumulative in this epoch */
    int64_t returned; /* likewise */
    int64_t free;
    int64_t balance;
    int64_t cap; /* 0: none */
    int64_t cap_spent;
    int64_t cap_resets_s;
    enum fund_per cap_per;
    enum fund_status status;
};

struct funds {
    pthread_mutex_t lock;
    struct map by_wallet;
};

void funds_init(struct funds *funds);
void funds_fini(struct funds *funds);
/* funds_get - find or create (status UNKNOWN, nothing granted). NULL on no memory. Any thread. */
struct fund *funds_get(struct funds *funds, struct str wallet);
/* fund_record - the members of a journal record that name who pays and who called:
 * ,"wallet":W,"subject":"KIND/NAME"[,"incarnation":HEX], escaped, in the arena. 0 or -ERR_NOMEM. */
int fund_record(const struct fund *fund, const char *kind, struct str name, struct str incarnation,
                struct arena *arena, struct str *ret_members) MUST_USE;
/* funds_get_budget - the same of "KIND/NAME". */
struct fund *funds_get_budget(struct funds *funds, const char *kind, struct str name);
/* fund_is_budget - it limits a caller; a wallet pays. */
bool fund_is_budget(const struct fund *fund);
/* fund_hold - 0; -ERR_OVERDRAWN (not enough leased now, or OVER); -ERR_PERMISSION (frozen).
 * amount >= 0. */
int fund_hold(struct fund *fund, int64_t amount) MUST_USE;
/* fund_capture - end a hold of `held`: `charge` is spent, the rest is available again. */
void fund_capture(struct fund *fund, int64_t held, int64_t charge);
/* fund_owe - a call that runs is held of it from here on, covered or not: until a lease covers all
 * of them nobody else is let through. True: ask for a lease (as fund_should_ask). */
bool fund_owe(struct fund *fund, int64_t amount) MUST_USE;
/* fund_hear - the control plane's word; granted and returned only ever grow within an epoch. */
void fund_hear(struct fund *fund, const struct fund_word *word);
/* fund_grant - the same of a wallet that can lend as much again as anybody wants. */
void fund_grant(struct fund *fund, int64_t granted, enum fund_status status);
/* fund_should_ask - true once when too little, or less than the largest unmet hold, is left; the
 * asker then sends a `lease` record. Reset by fund_hear. */
bool fund_should_ask(struct fund *fund);
/* fund_covers - could the wallet, as last told, lend what a hold of `amount` lacks here? */
bool fund_covers(const struct fund *fund, int64_t amount);
/* fund_wait, fund_wait_end - a hold of this much waits for money. */
void fund_wait(struct fund *fund, int64_t amount);
void fund_wait_end(struct fund *fund, int64_t amount);

/* ---- sync thread ---- */
/* fund_ask - what to say in a `lease` record: nano on top of what is granted, and how much of it a
 * waiting hold cannot do without. */
void fund_ask(struct fund *fund, int64_t *ret_want, int64_t *ret_need);
/* fund_tick - once a second: notes the use, and takes out of `available` what goes back. Returns
 * how much; it is in `returned` then. */
int64_t fund_tick(struct fund *fund);
/* fund_forgive - everything that it spent before it was idle is in the ledger, which took no more
 * out of the lease than there was in it: what was spent above the lease is spent, and a lease to
 * come need not make up for it. Not before it was idle for FUND_IDLE_EMPTY_S ticks; not before it
 * is posted, else what is lent meanwhile could be spent on top. */
void fund_forgive(struct fund *fund);
/* fund_take_all - nothing will be spent any more: what is available goes back, as above. */
int64_t fund_take_all(struct fund *fund);

#endif
