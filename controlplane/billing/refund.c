/* SPDX-License-Identifier: MIT
 * refund.c - payments that go back, in part or whole: corrections of the wallet that they were
 *            credited to.
 * Floor: controlplane/billing; engine thread.
 * Owns: rows billing/refund/SENDER/PAYMENT/WHAT: of a payment all that was refunded, of a dispute
 *       what was withdrawn and reinstated, and its fees: what was told, and how much of it is
 *       booked. What is said before the payment itself waits there.
 * Invariant: a row names its step ("from" to "to") before the step is booked, and a step is booked
 *            under a key of its own: said again, in another order or after a crash, the wallet
 *            loses what went back, once. Of one payment that is never more than was paid, fees
 *            apart. refund_test.c, money_kill_test.c. */
#include "controlplane/billing/billing_int.h"
#include "lib/base/check.h"

/* Rows of an event: the amount, the fee and what came again of it. */
#define TOLD_MAX 3u

enum part { PART_REFUND, PART_WITHDRAWN, PART_REINSTATED, PART_FEE, PART_FEE_BACK, PART_COUNT };
static const struct {
    const char *name;
    enum part other; /* what undoes it, or what it undoes */
    bool again;      /* comes again */
    bool fee;        /* on top of what was paid */
} parts[PART_COUNT] = {
    [PART_REFUND] = {"refund", PART_COUNT, false, false},
    [PART_WITHDRAWN] = {"withdrawn", PART_REINSTATED, false, false},
    [PART_REINSTATED] = {"reinstated", PART_WITHDRAWN, true, false},
    [PART_FEE] = {"fee", PART_FEE_BACK, false, true},
    [PART_FEE_BACK] = {"feeback", PART_FEE, true, true},
};

struct refund {
    struct str what; /* "refund", "withdrawn.dp_1": names the row */
    enum part part;
    struct str dispute; /* in what */
    int64_t told;       /* nano, the most so far */
    int64_t kept;       /* of it in the row */
    int64_t from;       /* the step that is booked or being booked */
    int64_t to;
    uint64_t mod_rev; /* 0: no row yet */
};

/* All that is known of a payment. */
struct refunds {
    struct billing *billing;
    enum webhook webhook;
    struct str payment;
    struct str wallet;
    int64_t paid; /* nano; 0: nobody was credited yet */
    struct refund *rows;
    size_t count;
    struct arena *arena;
    struct payment_receipt *receipt;
    struct err *err;
};

/* Who was credited, and how much. */
static int
paid_load(struct refunds *all)
{
    struct store_row row;
    struct billing *billing = all->billing;
    struct str key = payment_row_key(all->arena, "payment", all->webhook, all->payment);
    int code = key.ptr ? store_get(billing->conf.store, key, all->arena, &row) : -ERR_NOMEM;
    if (code == -ERR_NOT_FOUND)
        return 0;
    if (code == 0)
        code = row_number(billing, row.value, "nano", &all->paid);
    if (code == 0)
        code = json_string(&billing->doc, json_get(&billing->doc, 0, STR("wallet")), all->arena,
                           &all->wallet);
    return code < 0 ? payment_fail(all->err, code) : 0;
}

static int
refund_name(struct refund *refund, struct str what)
{
    size_t dot = str_find_byte(what, '.');
    struct str name = dot == SIZE_MAX ? what : str_make(what.ptr, dot);
    refund->what = what;
    refund->dispute = dot == SIZE_MAX ? STR_EMPTY : str_skip(what, dot + 1);
    for (enum part part = 0; part < PART_COUNT; part++) {
        if (str_eq(name, str_from(parts[part].name))) {
            refund->part = part;
            return 0;
        }
    }
    return -ERR_STORE;
}

/* Rows of the version before have no "told": it was "to", and never more than was paid is booked of
 * it. */
static int
refund_read(struct refunds *all, const struct store_row *row, struct refund *refund)
{
    struct billing *billing = all->billing;
    refund->mod_rev = row->mod_rev;
    int code = row_number(billing, row->value, "from", &refund->from);
    if (code == 0)
        code = row_number(billing, row->value, "to", &refund->to);
    if (code < 0)
        return code;
    refund->told = refund->to;
    if (json_get(&billing->doc, 0, STR("told")) != JSON_NONE) {
        code = row_number(billing, row->value, "told", &refund->told);
    } else {
        refund->from = MIN(refund->from, all->paid);
        refund->to = MIN(refund->to, all->paid);
    }
    refund->kept = refund->told;
    if (code == 0 && (refund->from > refund->to || (all->paid == 0 && refund->to > 0)))
        code = -ERR_STORE; /* nothing that we wrote */
    return code;
}

static int
refunds_load(struct refunds *all)
{
    struct store_row *rows;
    size_t count = 0;
    struct str name = arena_printf(all->arena, "%.*s/", STR_ARG(all->payment));
    struct str prefix = name.ptr ? payment_row_key(all->arena, "refund", all->webhook, name) : name;
    int code = prefix.ptr ? store_list(all->billing->conf.store, prefix, STR_EMPTY, 0, all->arena,
                                       &rows, &count, NULL)
                          : -ERR_NOMEM;
    if (code == 0)
        all->rows = arena_alloc(all->arena, (count + TOLD_MAX) * sizeof(*all->rows));
    if (code == 0 && !all->rows)
        code = -ERR_NOMEM;
    for (size_t i = 0; i < count && code == 0; i++) {
        struct refund *refund = &all->rows[all->count++];
        *refund = (struct refund){.what = STR_EMPTY};
        code = refund_name(refund, str_skip(rows[i].key, prefix.len));
        if (code == 0)
            code = refund_read(all, &rows[i], refund);
    }
    return code < 0 ? payment_fail(all->err, code) : 0;
}

/* Book the step of the row; nothing moves when it has been. */
static int
refund_step(struct refunds *all, const struct refund *refund)
{
    struct ledger_receipt moved;
    int64_t step = refund->to - refund->from;
    if (step == 0)
        return 0;
    ASSERT(all->paid > 0);
    struct str key =
        arena_printf(all->arena, "%s:%.*s:%.*s:%lld", webhook_name(all->webhook),
                     STR_ARG(all->payment), STR_ARG(refund->what), (long long)refund->from);
    struct str reason = arena_printf(all->arena, "%.*s of %s payment %.*s", STR_ARG(refund->what),
                                     webhook_name(all->webhook), STR_ARG(all->payment));
    if (!key.ptr || !reason.ptr)
        return payment_fail(all->err, -ERR_NOMEM);
    const struct money amount = {parts[refund->part].again ? step : -step};
    int code = ledger_adjust(all->billing->conf.ledger, all->wallet, LEDGER_GENERAL, amount, key,
                             reason, &moved, all->err);
    if (code < 0)
        return code;
    all->receipt->transaction = moved.transaction;
    all->receipt->corrected.nano += moved.replayed ? 0 : amount.nano;
    return 0;
}

/* What was told so far, and the step to `to`, which is the one to be booked now; the one before it
 * has been. */
static int
refund_claim(struct refunds *all, struct refund *refund, int64_t to)
{
    bool moves = to != refund->to;
    ASSERT(to >= refund->to && refund->told >= refund->kept);
    if (!moves && refund->told == refund->kept)
        return 0;
    int64_t from = moves ? refund->to : refund->from;
    struct str name =
        arena_printf(all->arena, "%.*s/%.*s", STR_ARG(all->payment), STR_ARG(refund->what));
    struct str key =
        name.ptr ? payment_row_key(all->arena, "refund", all->webhook, name) : STR_EMPTY;
    struct str value =
        arena_printf(all->arena, "{\"told\":\"%lld\",\"from\":\"%lld\",\"to\":\"%lld\"}",
                     (long long)refund->told, (long long)from, (long long)to);
    const struct store_cond cond = {.key = key, .mod_rev = refund->mod_rev};
    const struct store_op op = {.key = key, .value = value};
    int code = key.ptr && value.ptr ? store_commit(all->billing->conf.store, &cond, 1, &op, 1, NULL)
                                    : -ERR_NOMEM;
    if (code < 0)
        return payment_fail(all->err, code);
    refund->kept = refund->told;
    refund->from = from;
    refund->to = to;
    return moves ? refund_step(all, refund) : 0;
}

static const struct refund *
refund_of(const struct refunds *all, enum part part, struct str dispute)
{
    static const struct refund none = {.what = STR_EMPTY};
    for (size_t i = 0; i < all->count; i++) {
        if (all->rows[i].part == part && str_eq(all->rows[i].dispute, dispute))
            return &all->rows[i];
    }
    return &none;
}

/* What may still go back of what was paid. */
static int64_t
room_of(const struct refunds *all)
{
    int64_t room = all->paid;
    for (size_t i = 0; i < all->count; i++) {
        const struct refund *refund = &all->rows[i];
        if (!parts[refund->part].fee)
            room += parts[refund->part].again ? refund->to : -refund->to;
    }
    return MAX(room, (int64_t)0);
}

/* Where the row should be: what came again brings a dispute down to what is left of it; what went
 * back is that, as far as there is room. */
static int64_t
goal_of(const struct refunds *all, const struct refund *refund)
{
    const struct refund *other = refund_of(all, parts[refund->part].other, refund->dispute);
    bool again = parts[refund->part].again;
    int64_t left = again ? other->told - refund->told : refund->told - other->told;
    left = MAX(left, (int64_t)0);
    int64_t goal = again ? other->to - left : other->to + left;
    if (all->paid == 0)
        goal = 0;
    else if (!again && !parts[refund->part].fee)
        goal = MIN(goal, refund->to + room_of(all));
    return MAX(refund->to, goal);
}

/* What came again first: it makes room. */
static int
refunds_book(struct refunds *all)
{
    int code = 0;
    for (int again = 1; again >= 0; again--) {
        for (size_t i = 0; i < all->count && code == 0; i++) {
            struct refund *refund = &all->rows[i];
            if (parts[refund->part].again == (again == 1))
                code = refund_claim(all, refund, goal_of(all, refund));
        }
    }
    return code;
}

static int
refund_hear(struct refunds *all, enum part part, struct money amount)
{
    struct str dispute = all->receipt->payment.dispute;
    struct str name = str_from(parts[part].name);
    struct refund *refund = NULL;
    if (amount.nano == 0)
        return 0;
    for (size_t i = 0; i < all->count; i++) {
        if (all->rows[i].part == part && str_eq(all->rows[i].dispute, dispute))
            refund = &all->rows[i];
    }
    if (!refund) {
        refund = &all->rows[all->count];
        *refund = (struct refund){.what = name, .part = part, .dispute = dispute};
        if (dispute.len > 0)
            refund->what = arena_printf(all->arena, "%.*s.%.*s", STR_ARG(name), STR_ARG(dispute));
        if (!refund->what.ptr)
            return payment_fail(all->err, -ERR_NOMEM);
        all->count++;
    }
    refund->told = MAX(refund->told, amount.nano);
    return 0;
}

/* The rows of the payment, and nothing half done in them. */
static int
refunds_open(struct refunds *all)
{
    int code = refunds_load(all);
    for (size_t i = 0; i < all->count && code == 0; i++)
        code = refund_step(all, &all->rows[i]);
    return code;
}

int
refund_book(struct billing *billing, enum webhook webhook, struct arena *arena,
            struct payment_receipt *receipt, struct err *err)
{
    static const enum part kinds[PAYMENT_KIND_COUNT] = {[PAYMENT_REFUNDED] = PART_REFUND,
                                                        [PAYMENT_WITHDRAWN] = PART_WITHDRAWN,
                                                        [PAYMENT_REINSTATED] = PART_REINSTATED};
    struct payment *payment = &receipt->payment;
    struct refunds all = {.billing = billing,
                          .webhook = webhook,
                          .payment = payment->payment,
                          .arena = arena,
                          .receipt = receipt,
                          .err = err};
    ASSERT(payment->kind != PAYMENT_PAID);
    int code = paid_load(&all);
    if (code == 0)
        code = refunds_open(&all);
    if (code == 0)
        code = refund_hear(&all, kinds[payment->kind], payment->amount);
    if (code == 0)
        code = refund_hear(&all, PART_FEE, payment->fee);
    if (code == 0)
        code = refund_hear(&all, PART_FEE_BACK, payment->fee_back);
    if (code == 0)
        code = refunds_book(&all);
    if (code < 0)
        return code;
    payment->wallet = all.wallet;
    if (all.paid == 0)
        payment->ignored = "nothing was credited for this payment; kept for when it is";
    return 0;
}

int
refund_settle(struct billing *billing, enum webhook webhook, struct arena *arena,
              struct payment_receipt *receipt, struct err *err)
{
    const struct payment *payment = &receipt->payment;
    struct refunds all = {.billing = billing,
                          .webhook = webhook,
                          .payment = payment->payment,
                          .wallet = payment->wallet,
                          .paid = payment->amount.nano,
                          .arena = arena,
                          .receipt = receipt,
                          .err = err};
    uint64_t transaction = receipt->transaction;
    int code = refunds_open(&all);
    if (code == 0)
        code = refunds_book(&all);
    receipt->transaction = transaction;
    return code;
}
