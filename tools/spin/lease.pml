/* SPDX-License-Identifier: MIT
 * lease.pml - the lease protocol of two nodes and a control plane, every interleaving of it, for
 *             spin. What is what in the code: docs/internals/money-proofs.md.
 * Floor: tests; tools/spin/run.
 * Owns: nothing.
 * Invariant: CHECK, CHECK_OLD and FINAL below. `bug` leaves out one step of the protocol, and spin
 *            has to find what breaks: a model that cannot fail proves nothing.
 *
 * Money is counted in units. A handler is one step, as in the code: the ledger's are one store
 * commit on one thread, a node's funds are atomics (fund_test.c has the threads). Links are FIFO and
 * break at any time, with what is on its way lost; the node says again what it has to. */
/* How much happens, and what is left out: set by tools/spin/run, constant in a run. */
byte bug;
byte balance; /* AI money at first; one unit is added later */
byte calls_max; /* of node 0, in both of its epochs; node 1 makes one less */
byte asks_max; /* of each node */
byte ticks_max; /* of each node, that give something back */
byte breaks_max[2]; /* of each node's link */
byte crashes_max; /* of node 0 */

c_code {
    /* BERTH_SPIN: a digit for each of the above */
    static unsigned char
    setting(unsigned which)
    {
        const char *text = getenv("BERTH_SPIN");
        unsigned length = text != NULL ? (unsigned)strlen(text) : 0;
        return which < length ? (unsigned char)(text[which] - '0') : 0;
    }
}

#define NODES 2
#define EPOCHS 2 /* of node 0: before and after a crash; node 1 lives once */
#define ROWS 3
#define ROW(n, e) ((n) * EPOCHS + (e))

mtype = { LEASE, RETURN, USAGE, FLUSHED, FUNDS, POSTED, PONG };
chan up[NODES] = [2] of { mtype, byte, byte, byte };   /* kind, epoch, and what is in money.md */
chan down[NODES] = [2] of { mtype, byte, byte, byte };

/* ---- the ledger ------------------------------------------------------------------------------ */
short ai; /* below zero only by calls that no lease covered */
byte credited;
bool topped_up;
byte granted[ROWS];
byte used[ROWS];
byte returned[ROWS];
bool closed[ROWS];
byte mark[ROWS];     /* records that are posted */
byte charged[ROWS];  /* ghost: their sum */
byte over[ROWS];     /* ghost: what of it no lease covered */
bool orphaned;       /* ghost: of row 0; the only one that is given up as lost */
short amount;        /* scratch of a step */

#define REST(i) (granted[i] - used[i] - returned[i])

/* ---- the nodes ------------------------------------------------------------------------------- */
bool linked[NODES];
bool leaving[NODES];
bool left[NODES];
bool crashed;
byte epoch[NODES];
short available[NODES];
byte held[NODES];  /* by the one call that runs */
byte known[NODES]; /* granted, as it was told */
byte back[NODES];  /* returned: by it, or taken back */
byte told[NODES];  /* ghost: `returned` of the last word that it heard */
byte calls[NODES];
byte asks[NODES];
byte ticks[NODES];
byte breaks[NODES];
byte records[ROWS]; /* of the journal of that epoch */
byte charge0[ROWS]; /* its first record */
byte charge1[ROWS]; /* its second one */
byte posted[ROWS];  /* as the node knows */
bool sent[ROWS];    /* a list is on its way */
bool said[ROWS];    /* `flushed` is on its way */
bool gone[ROWS];    /* the journal is removed: what was said behind `flushed` was answered */

#define SUM(i) (charge0[i] + charge1[i])
#define UNPOSTED(i) (SUM(i) - charged[i])

/* I1, I2: the books. I3: AI is not overdrawn. I4: a record is posted once. I5: what a node may still
 * spend, or has spent and not posted, is no more than what is left of its lease. Nothing of row 0
 * is covered once it was given up as lost: its calls were real. No return is lost: when nothing is
 * on its way the two agree. */
#define BOOKS \
    (ai + REST(0) + REST(1) + REST(2) + charged[0] + charged[1] + charged[2] == credited)
#define CHECK(n, i) \
    assert(BOOKS && (orphaned || ai >= 0)); \
    assert(charged[i] <= SUM(i) && ((orphaned && i == 0) || over[i] == 0)); \
    assert(closed[i] || told[n] != returned[i] || \
           available[n] + held[n] + UNPOSTED(i) + over[i] <= REST(i)); \
    assert(!linked[n] || nempty(up[n]) || nempty(down[n]) || closed[i] || back[n] == returned[i])
/* The journal of a life that ended. */
#define CHECK_OLD(i) \
    assert(orphaned || closed[i] || (over[i] == 0 && UNPOSTED(i) <= REST(i)))
/* Both have left: each record is posted once, nothing is lent, and the money is all there. */
#define FINAL \
    assert(REST(0) == 0 && REST(1) == 0 && REST(2) == 0); \
    assert(charged[0] == SUM(0) && charged[1] == SUM(1) && charged[2] == SUM(2)); \
    assert(ai == credited - SUM(0) - SUM(1) - SUM(2))

/* What was on its way is lost, and said again: node_upload_reset. */
inline cut(n)
{
    linked[n] = false;
    do
    :: nempty(up[n]) -> up[n]?_, _, _, _
    :: nempty(down[n]) -> down[n]?_, _, _, _
    :: empty(up[n]) && empty(down[n]) -> break
    od;
    sent[ROW(n, 0)] = sent[ROW(n, 0)] && bug == 9;
    said[ROW(n, 0)] = false;
    if
    :: n == 0 -> sent[1] = false; said[1] = false
    :: else
    fi
}

/* ---- the control plane ----------------------------------------------------------------------- */

/* lease_grant, share_of: all that is wanted, or a share; a question that was answered gets none. */
inline ledger_lease(i, has, want)
{
    assert(has <= granted[i]);
    if
    :: !closed[i] && has == granted[i] && ai > 0 ->
        amount = (want < ai -> want : ai);
        if
        :: true
        :: amount > 1 -> amount = 1
        fi;
        granted[i] = granted[i] + amount;
        ai = ai - amount
    :: else
    fi
}

/* lease_return: cumulative. */
inline ledger_return(i, sum)
{
    if
    :: !closed[i] && (sum > returned[i] || bug == 1) ->
        amount = (bug == 1 -> sum : sum - returned[i]);
        assert(amount <= REST(i));
        returned[i] = returned[i] + amount;
        ai = ai + amount
    :: else
    fi
}

/* usage_apply, share_post: the next record only, out of the lease as far as it goes. */
inline ledger_usage(i, seq, cost)
{
    if
    :: seq == mark[i] + 1 || bug == 3 ->
        amount = (cost < REST(i) -> cost : REST(i));
        used[i] = used[i] + amount;
        ai = ai - (cost - amount);
        over[i] = over[i] + cost - amount;
        charged[i] = charged[i] + cost;
        mark[i] = seq
    :: else
    fi
}

/* lease_close */
inline ledger_close(i)
{
    closed[i] = true;
    amount = REST(i);
    ai = ai + amount;
    returned[i] = returned[i] + amount
}

/* lease_orphan */
inline ledger_orphan(i)
{
    amount = REST(i);
    ai = ai + amount;
    returned[i] = returned[i] + amount
}

/* push/records.c: one record, and its answer */
inline take(n)
{
    if
    :: up[n]?LEASE(e, a, b) ->
        ledger_lease(ROW(n, e), a, b);
        down[n]!FUNDS(e, granted[ROW(n, e)], returned[ROW(n, e)])
    :: up[n]?RETURN(e, a, b) -> ledger_return(ROW(n, e), a)
    :: up[n]?USAGE(e, a, b) ->
        ledger_usage(ROW(n, e), a, b);
        down[n]!POSTED(e, mark[ROW(n, e)], 0)
    :: up[n]?FLUSHED(e, a, b) -> ledger_close(ROW(n, e)); down[n]!PONG(e, 0, 0)
    fi;
    CHECK(n, ROW(n, epoch[n]));
    e = 0; a = 0; b = 0; amount = 0
}

proctype control()
{
    byte e, a, b;
end:
    do
    :: atomic { nempty(up[0]) && nfull(down[0]) -> take(0) }
    :: atomic { nempty(up[1]) && nfull(down[1]) -> take(1) }
    :: atomic { !topped_up -> topped_up = true; ai++; credited++ }
    /* orphan_look: whoever is not there under that epoch */
    :: atomic {
        !orphaned && !closed[0] && REST(0) > 0 && (!linked[0] || epoch[0] != 0) ->
        orphaned = true;
        ledger_orphan(0);
        assert(BOOKS);
        amount = 0
       }
    od
}

/* ---- a node ---------------------------------------------------------------------------------- */

/* hello, the full state for it, and what node_say_returned says again */
inline connect(n)
{
    linked[n] = true;
    down[n]!FUNDS(epoch[n], granted[ROW(n, epoch[n])], returned[ROW(n, epoch[n])]);
    if
    :: back[n] > 0 && bug != 6 -> up[n]!RETURN(epoch[n], back[n], 0)
    :: else
    fi
}

/* fund_hear, node_upload_posted, node_upload_pong */
inline hear(n)
{
    if
    :: down[n]?FUNDS(e, a, b) ->
        if
        :: a > known[n] -> available[n] = available[n] + a - known[n]; known[n] = a
        :: a == known[n] && bug == 2 -> available[n] = available[n] + a
        :: else
        fi;
        if
        :: b > back[n] && bug != 4 -> available[n] = available[n] - (b - back[n]); back[n] = b
        :: else
        fi;
        told[n] = b
    :: down[n]?POSTED(e, a, b) ->
        posted[ROW(n, e)] = (a > posted[ROW(n, e)] -> a : posted[ROW(n, e)]);
        sent[ROW(n, e)] = false
    :: down[n]?PONG(e, a, b) -> gone[ROW(n, e)] = true
    fi;
    e = 0; a = 0; b = 0
}

/* upload_send: from behind what is posted */
#define CAN_SEND(n, i) (linked[n] && nfull(up[n]) && !sent[i] && posted[i] < records[i])
inline send_usage(n, i)
{
    up[n]!USAGE(i - ROW(n, 0), posted[i] + 1, (posted[i] == 0 -> charge0[i] : charge1[i]));
    sent[i] = true
}
#define CAN_FLUSH(n, i) \
    (linked[n] && nfull(up[n]) && !said[i] && !gone[i] && (posted[i] == records[i] || bug == 5))

/* fund_capture and the outcome's record */
inline end_call(n, i, cost)
{
    held[n] = 0;
    if
    :: records[i] == 0 -> charge0[i] = cost
    :: else -> charge1[i] = cost
    fi;
    records[i]++
}

proctype node(byte n)
{
    byte e, a, b;
    do
    :: atomic { linked[n] && nempty(down[n]) -> hear(n); CHECK(n, ROW(n, epoch[n])) }
    /* fund_hold: the price of the moment */
    :: atomic {
        !leaving[n] && held[n] == 0 && calls[n] + n < calls_max &&
            (available[n] >= 1 || (bug == 8 && known[n] > 0)) ->
        calls[n]++;
        held[n] = 1;
        if
        :: true
        :: available[n] >= 2 -> held[n] = 2
        fi;
        available[n] = available[n] - held[n];
        CHECK(n, ROW(n, epoch[n]))
       }
    /* it ends, however: what it cost is at most what was held */
    :: atomic { held[n] > 0 -> available[n] = available[n] + held[n]; end_call(n, ROW(n, epoch[n]), 0) }
    :: atomic { held[n] > 0 -> available[n] = available[n] + held[n] - 1; end_call(n, ROW(n, epoch[n]), 1) }
    :: atomic { held[n] > 1 -> end_call(n, ROW(n, epoch[n]), 2) }
    /* node_send_lease */
    :: atomic { linked[n] && nfull(up[n]) && !leaving[n] && asks[n] < asks_max ->
        asks[n]++;
        up[n]!LEASE(epoch[n], known[n], 2) }
    /* node_funds_tick: it leaves `available` before it is said */
    :: atomic { linked[n] && nfull(up[n]) && available[n] > 0 && ticks[n] < ticks_max ->
        ticks[n]++;
        back[n] = back[n] + available[n];
        available[n] = (bug == 7 -> available[n] : 0);
        up[n]!RETURN(epoch[n], back[n], 0) }
    /* node_upload_kick, epoch_flushed */
    :: atomic { CAN_SEND(n, ROW(n, epoch[n])) -> send_usage(n, ROW(n, epoch[n])) }
    :: atomic { n == 0 && crashed && CAN_SEND(n, 0) -> send_usage(n, 0) }
    :: atomic { n == 0 && crashed && CAN_FLUSH(n, 0) -> said[0] = true; up[n]!FLUSHED(0, 0, 0) }
    :: atomic { !linked[n] && !left[n] -> connect(n) }
    :: atomic { linked[n] && breaks[n] < breaks_max[n] -> breaks[n]++; cut(n) }
    /* kill -9: the call that ran is recorded as interrupted, and costs nothing */
    :: atomic {
        n == 0 && !crashed && crashes_max > 0 ->
        crashed = true;
        cut(0);
        epoch[0] = 1;
        leaving[0] = false;
        available[0] = 0; held[0] = 0; known[0] = 0; back[0] = 0; told[0] = 0;
        CHECK_OLD(0)
       }
    /* node_upload_leave */
    :: atomic { !leaving[n] ->
        leaving[n] = true;
        if
        :: n == 1 || crashed || crashes_max == 0 -> calls[n] = 0; asks[n] = 0 /* as good as any other */
        :: else
        fi }
    :: atomic {
        leaving[n] && held[n] == 0 && CAN_FLUSH(n, ROW(n, epoch[n])) &&
            (n == 1 || !crashed || posted[0] == records[0]) ->
        said[ROW(n, epoch[n])] = true;
        up[n]!FLUSHED(epoch[n], 0, 0)
       }
    :: atomic {
        gone[ROW(n, epoch[n])] && !left[n] && (n == 1 || !crashed || gone[0]) ->
        left[n] = true;
        cut(n);
        breaks[n] = 0; ticks[n] = 0; known[n] = 0; back[n] = 0; told[n] = 0; available[n] = 0;
        if
        :: left[0] && left[1] -> FINAL
        :: else
        fi;
        break
       }
    od
}

init
{
    atomic {
        c_code {
            now.bug = setting(0);
            now.balance = setting(1);
            now.calls_max = setting(2);
            now.asks_max = setting(3);
            now.ticks_max = setting(4);
            now.breaks_max[0] = setting(5);
            now.breaks_max[1] = setting(6);
            now.crashes_max = setting(7);
        };
        ai = balance;
        credited = balance;
        run control();
        run node(0);
        run node(1)
    }
}
