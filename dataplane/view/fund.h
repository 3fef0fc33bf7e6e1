/* SPDX-License-Identifier: MIT
 * fund.h - what this node may still spend for a wallet: the lease, held and captured without a
 * lock. Floor: dataplane/view; hold, capture and release from any worker; the rest from the sync
 * thread. Owns: the table of wallets; a fund lives as long as the table. Invariant: available =
 * granted - spent - held, and a hold never makes it negative; only a capture above its hold (a
 * provider that reported more than the worst case) may. fund_test.c. */
#ifndef BERTH_DATAPLANE_VIEW_FUND_H
#define BERTH_DATAPLANE_VIEW_FUND_H

#include <pthread.h>
#include <stdatomic.h>

#include "lib/base/arena.h"
#include "lib/base/map.h"

/* What a node asks for at a time; the control plane may lend less. */
#define FUND_LEASE_NANO 1000000000ll

enum fund_status { FUND_UNKNOWN, FUND_OK, FUND_EMPTY, FUND_FROZEN };

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
/* fund_hold - 0; -ERR_OVERDRAWN (not enough leased now); -ERR_PERMISSION (frozen). amount >= 0. */
int fund_hold(struct fund *fund, int64_t amount) MUST_USE;
/* fund_capture - end a hold of `held`: `charge` is spent, the rest is available again. */
void fund_capture(struct fund *fund, int64_t held, int64_t charge);
/* fund_grant - the control plane's word; granted only ever grows within an epoch. */
void fund_grant(struct fund *fund, int64_t granted, enum fund_status status);
/* fund_should_ask - true once when less than half of FUND_LEASE_NANO, or less than the largest
 * unmet hold, is left; the asker then sends a `lease` record. Reset by fund_grant. */
bool fund_should_ask(struct fund *fund);

#endif
