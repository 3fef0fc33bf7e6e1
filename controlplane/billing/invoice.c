/* SPDX-License-Identifier: MIT
 * invoice.c - making an invoice: what was posted since the last one, and the proof that it adds up.
 * Floor: controlplane/billing; engine thread.
 * Owns: nothing.
 * Invariant: see invoice.h. The usage on an invoice is what the ledger's sum of spent money says;
 *            the lines explain it, and what they cannot explain is a line of its own. */
#include "controlplane/billing/invoice.h"

#include <stdio.h>

#include "controlplane/billing/invoice_int.h"
#include "lib/base/check.h"
#include "lib/base/clock.h"

#define HOUR_MS 3600000
#define SEEN_ROWS_MAX 1000u

int
invoice_fail(struct err *err, int code)
{
    return err_set(err, (enum err_code) - code, "invoices: %s", err_text(code));
}

/* ---- sums ------------------------------------------------------------------------------------ */

static bool
add(struct money *sum, struct money more)
{
    return money_add(*sum, more, sum) == 0;
}

static bool
movement_count_in(struct invoice *invoice, const struct ledger_movement *movement)
{
    struct invoice_purse *purse = movement->purse == LEDGER_AI ? &invoice->ai : &invoice->general;
    switch (movement->kind) {
    case LEDGER_DEPOSIT:
        return add(&purse->topped_up, movement->gross);
    case LEDGER_ADJUSTMENT:
        return add(&purse->adjusted, movement->gross);
    case LEDGER_ALLOWANCE:
        return add(&invoice->allowed, movement->gross);
    case LEDGER_TRANSFER:
        break;
    }
    return add(&invoice->transferred, movement->gross) && add(&invoice->fees, movement->fee) &&
           add(&invoice->credited, movement->net);
}

int
invoice_adds_up(const struct invoice *invoice, struct err *err)
{
    int128_t general = (int128_t)invoice->general.opening.nano + invoice->general.topped_up.nano +
                       invoice->general.adjusted.nano - invoice->transferred.nano;
    int128_t ai = (int128_t)invoice->ai.opening.nano + invoice->ai.topped_up.nano +
                  invoice->ai.adjusted.nano + invoice->credited.nano + invoice->allowed.nano -
                  invoice->usage.nano;
    if (general != invoice->general.closing.nano)
        return err_set(err, ERR_STORE, "the General balance does not follow from its movements");
    if (ai != invoice->ai.closing.nano)
        return err_set(err, ERR_STORE, "the AI balance does not follow from its movements");
    if (invoice->transferred.nano - invoice->fees.nano != invoice->credited.nano)
        return err_set(err, ERR_STORE, "the transfers do not add up");
    return 0;
}

/* ---- usage ----------------------------------------------------------------------------------- */

/* What was posted since, and how much of `spent` the lines do not explain. */
static int
usage_since(struct billing *billing, struct invoice *invoice, const struct invoice_mark *before,
            int64_t spent, struct arena *arena, struct err *err)
{
    int code = usage_lines_read(billing->conf.ledger, invoice->wallet, before->since_ms, arena,
                                &invoice->lines, err);
    if (code == 0)
        code = usage_lines_subtract(&invoice->lines, &before->seen, err);
    if (code < 0)
        return code;
    if (SUB_OVERFLOW(spent, before->spent, &invoice->usage.nano) ||
        money_sub(invoice->usage, invoice->lines.charge, &invoice->late) < 0)
        return err_set(err, ERR_RANGE, "the wallet's usage leaves the range of money");
    if (invoice->late.nano < 0)
        return err_set(err, ERR_STORE, "there is more usage than the ledger charged");
    return usage_lines_cut(&invoice->lines, INVOICE_USAGE_MAX, err);
}

/* Remember what was invoiced of the last hours, so that what is posted late is told apart; of as
 * many hours as fit a row. */
static int
remember_usage(struct billing *billing, struct str wallet, struct invoice_mark *mark,
               struct arena *arena, struct err *err)
{
    static const int64_t hours[] = {72, 24, 6, 1, 0};
    int64_t hour = mark->to_ms - mark->to_ms % HOUR_MS;
    for (size_t i = 0; i < ARRAY_LEN(hours); i++) {
        mark->since_ms = MAX(hour - hours[i] * HOUR_MS, (int64_t)0);
        int code =
            usage_lines_read(billing->conf.ledger, wallet, mark->since_ms, arena, &mark->seen, err);
        if (code < 0)
            return code;
        if (mark->seen.count <= SEEN_ROWS_MAX)
            return 0;
    }
    return err_set(err, ERR_TOO_LARGE,
                   "more than %u containers and keys used models within an hour; try at the start "
                   "of the next one",
                   SEEN_ROWS_MAX);
}

/* ---- one invoice ----------------------------------------------------------------------------- */

static int
load(struct billing *billing, struct invoice *invoice, const struct invoice_mark *before,
     struct invoice_mark *mark, struct arena *arena, struct err *err)
{
    struct ledger *ledger = billing->conf.ledger;
    struct ledger_balances balances;
    int code = ledger_head(ledger, &invoice->ledger, &invoice->through, err);
    if (code == 0)
        code = ledger_balances(ledger, invoice->wallet, &balances, err);
    if (code == 0)
        code = ledger_movements(ledger, invoice->wallet, invoice->after, arena, &invoice->movements,
                                &invoice->movement_count, err);
    if (code == 0)
        code = usage_since(billing, invoice, before, balances.ai_usage.nano, arena, err);
    if (code != 0)
        return code;
    for (size_t i = 0; i < invoice->movement_count; i++) {
        if (!movement_count_in(invoice, &invoice->movements[i]))
            return err_set(err, ERR_RANGE, "the sums of the movements leave the range of money");
    }
    invoice->general.closing = balances.general;
    invoice->ai.closing = balances.ai_remaining;
    *mark = (struct invoice_mark){
        .transaction = (int64_t)invoice->through,
        .to_ms = invoice->to_ms,
        .general = balances.general.nano,
        .ai = balances.ai_remaining.nano,
        .spent = balances.ai_usage.nano,
    };
    return 0;
}

static int64_t
first_ms(const struct invoice *invoice)
{
    return invoice->movement_count > 0 ? MIN(invoice->movements[0].at_ms, invoice->to_ms)
                                       : invoice->to_ms;
}

int
invoice_issue(struct billing *billing, struct str wallet, struct arena *arena,
              struct invoice_row *ret_row, struct err *err)
{
    struct invoice_mark before;
    struct invoice_mark mark;
    struct invoice_head head;
    struct invoice invoice = {.wallet = wallet, .to_ms = clock_wall_ns() / 1000000};
    int code = invoice_mark_read(billing, wallet, arena, &before, err);
    if (code == 0)
        code = invoice_head_read(billing, arena, &head, err);
    if (code != 0)
        return code;
    invoice.after = (uint64_t)before.transaction;
    invoice.general.opening.nano = before.general;
    invoice.ai.opening.nano = before.ai;
    code = load(billing, &invoice, &before, &mark, arena, err);
    if (code != 0)
        return code;
    if (invoice.movement_count == 0 && invoice.usage.nano == 0 && invoice.lines.count == 0)
        return err_set(err, ERR_NOT_FOUND, "nothing was moved or used in wallet %.*s since %s",
                       STR_ARG(wallet), before.mod_rev ? "its last invoice" : "it was made");
    invoice.from_ms = before.mod_rev ? before.to_ms : first_ms(&invoice);
    if (before.to_ms > invoice.to_ms + HOUR_MS) /* as above: when that was is not known */
        invoice.from_ms = first_ms(&invoice);
    invoice.to_ms = MAX(invoice.to_ms, invoice.from_ms);
    mark.to_ms = invoice.to_ms;
    code = invoice_adds_up(&invoice, err);
    if (code == 0)
        code = remember_usage(billing, wallet, &mark, arena, err);
    if (code != 0)
        return code;
    invoice.sequence = head.sequence + 1;
    (void)snprintf(invoice.number, sizeof invoice.number, "B-%.8s-%06llu", billing->conf.server,
                   (unsigned long long)invoice.sequence);
    return invoice_store(billing, &invoice, &head, &before, &mark, arena, ret_row, err);
}

int
invoice_due(struct billing *billing, struct str wallet, int64_t month_ms, struct arena *arena,
            struct err *err)
{
    struct invoice_mark mark;
    struct ledger_movement *rows;
    size_t count;
    int code = invoice_mark_read(billing, wallet, arena, &mark, err);
    if (code < 0)
        return code;
    /* One that a clock made that was ahead is followed by one of now, else there would be none
     * until then. */
    if (mark.mod_rev)
        return mark.to_ms < month_ms || mark.to_ms > clock_wall_ns() / 1000000 + HOUR_MS;
    code = ledger_movements(billing->conf.ledger, wallet, 0, arena, &rows, &count, err);
    if (code < 0)
        return code;
    return count > 0 && rows[0].at_ms < month_ms;
}
