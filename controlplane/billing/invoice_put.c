/* SPDX-License-Identifier: MIT
 * invoice_put.c - an invoice as a JSON document; money is decimal strings of dollars.
 * Floor: controlplane/billing; engine thread.
 * Owns: nothing.
 * Invariant: the same invoice gives the same bytes. Spec: api/openapi/admin.yaml Invoice. */
#include <stdio.h>

#include "controlplane/billing/invoice_int.h"
#include "lib/base/check.h"
#include "lib/base/clock.h"
#include "lib/base/num.h"

#define PICO_PER_NANO 1000
#define HALF_NANO_PICO 500 /* one rounding a request */

static void
put_money(struct json_writer *writer, const char *key, struct money money)
{
    char text[32];
    money_format(money, text);
    json_member_str(writer, key, str_from(text));
}

static void
put_digits(struct json_writer *writer, const char *key, uint64_t value)
{
    char text[20];
    json_member_str(writer, key, str_make(text, num_write_u64(text, value)));
}

static void
put_time(struct json_writer *writer, const char *key, int64_t at_ms)
{
    char text[32];
    clock_format_rfc3339(at_ms * 1000000, text);
    json_member_str(writer, key, str_from(text));
}

/* ---- usage ----------------------------------------------------------------------------------- */

/* Do these prices give this cost, but for the rounding of each request? Then they are the prices
 * that held for all of the line, and are shown. */
static bool
prices_hold(const struct usage_line *line, const int64_t *pico)
{
    int128_t sum = 0;
    for (size_t i = 0; i < USAGE_CLASS_COUNT; i++)
        sum += (int128_t)line->count[i] * pico[i];
    int128_t off = sum - (int128_t)line->cost.nano * PICO_PER_NANO;
    int128_t slack = (int128_t)line->requests * HALF_NANO_PICO;
    return off <= slack && off >= -slack;
}

static bool
is_token(enum usage_class class_)
{
    bool found = false;
    for (size_t i = 0; i < USAGE_PROMPT_CLASS_COUNT; i++)
        found = found || usage_prompt_classes[i] == class_;
    for (size_t i = 0; i < USAGE_ANSWER_CLASS_COUNT; i++)
        found = found || usage_answer_classes[i] == class_;
    return found;
}

/* Dollars a million tokens, or a unit of what is counted by the piece. pico >= 0. */
static void
put_price(struct json_writer *writer, enum usage_class class_, int64_t pico)
{
    char text[48];
    int64_t whole = is_token(class_) ? 1000000 : 1000000000000;
    int digits = is_token(class_) ? 6 : 12;
    int count = snprintf(text, sizeof text, "%lld.%0*lld", (long long)(pico / whole), digits,
                         (long long)(pico % whole));
    ASSERT(count > digits + 1);
    size_t length = (size_t)count;
    while (text[length - 1] == '0' && text[length - 3] != '.')
        length--;
    json_member_str(writer, usage_class_name(class_), str_make(text, length));
}

static void
put_prices(struct json_writer *writer, const struct billing *billing, const struct usage_line *line)
{
    int64_t pico[USAGE_CLASS_COUNT] = {0};
    if (!billing->conf.price || !billing->conf.price(billing->conf.user, line->model, pico) ||
        !prices_hold(line, pico))
        return;
    json_key(writer, "prices");
    json_open_object(writer);
    for (size_t i = 0; i < USAGE_CLASS_COUNT; i++) {
        if (line->count[i] > 0)
            put_price(writer, (enum usage_class)i, pico[i]);
    }
    json_close_object(writer);
}

static void
put_usage(struct json_writer *writer, const struct billing *billing, const struct usage_line *line)
{
    json_open_object(writer);
    json_member_str(writer, "kind", STR("usage"));
    json_member_str(writer, "subject", line->subject);
    json_member_str(writer, "model", line->model);
    json_member_str(writer, "provider", line->provider);
    put_digits(writer, "requests", line->requests);
    json_key(writer, "units");
    json_open_object(writer);
    for (size_t i = 0; i < USAGE_CLASS_COUNT; i++) {
        if (line->count[i] > 0)
            put_digits(writer, usage_class_name((enum usage_class)i), line->count[i]);
    }
    json_close_object(writer);
    put_prices(writer, billing, line);
    put_money(writer, "cost", line->cost);
    put_money(writer, "markup", (struct money){line->charge.nano - line->cost.nano});
    put_money(writer, "amount", line->charge);
    json_close_object(writer);
}

/* ---- movements ------------------------------------------------------------------------------- */

static void
put_movement(struct json_writer *writer, const struct ledger_movement *movement)
{
    static const char *const kinds[] = {[LEDGER_DEPOSIT] = "top_up",
                                        [LEDGER_TRANSFER] = "transfer",
                                        [LEDGER_ADJUSTMENT] = "adjustment",
                                        [LEDGER_ALLOWANCE] = "allowance"};
    json_open_object(writer);
    json_member_str(writer, "kind", str_from(kinds[movement->kind]));
    put_time(writer, "at", movement->at_ms);
    put_digits(writer, "transaction", movement->transaction);
    json_member_str(writer, "reference", movement->reference);
    if (movement->kind == LEDGER_TRANSFER) {
        put_money(writer, "fee", movement->fee);
        put_money(writer, "credited", movement->net);
    } else {
        json_member_str(writer, "balance",
                        movement->purse == LEDGER_AI ? STR("ai") : STR("general"));
    }
    if (movement->reason.len > 0)
        json_member_str(writer, "reason", movement->reason);
    put_money(writer, "amount", movement->gross);
    json_close_object(writer);
}

static void
put_lines(struct json_writer *writer, const struct billing *billing, const struct invoice *invoice)
{
    size_t shown = MIN(invoice->movement_count, (size_t)INVOICE_MOVEMENTS_MAX);
    json_key(writer, "lines");
    json_open_array(writer);
    for (size_t i = 0; i < shown; i++)
        put_movement(writer, &invoice->movements[i]);
    if (shown < invoice->movement_count) {
        json_open_object(writer);
        json_member_str(writer, "kind", STR("more_movements"));
        put_digits(writer, "count", invoice->movement_count - shown);
        json_close_object(writer);
    }
    for (size_t i = 0; i < invoice->lines.count; i++)
        put_usage(writer, billing, &invoice->lines.rows[i]);
    if (invoice->late.nano > 0) {
        json_open_object(writer);
        json_member_str(writer, "kind", STR("late_usage"));
        put_money(writer, "amount", invoice->late);
        json_close_object(writer);
    }
    json_close_array(writer);
}

/* ---- the document ---------------------------------------------------------------------------- */

static void
put_purse(struct json_writer *writer, const char *key, const struct invoice_purse *purse)
{
    json_key(writer, key);
    json_open_object(writer);
    put_money(writer, "opening", purse->opening);
    put_money(writer, "topped_up", purse->topped_up);
    put_money(writer, "adjusted", purse->adjusted);
    put_money(writer, "closing", purse->closing);
    json_close_object(writer);
}

void
invoice_put(struct json_writer *writer, const struct billing *billing,
            const struct invoice *invoice, const char *prev, bool lines)
{
    json_open_object(writer);
    json_member_str(writer, "number", str_from(invoice->number));
    put_digits(writer, "sequence", invoice->sequence);
    json_member_str(writer, "wallet", invoice->wallet);
    json_member_str(writer, "currency", STR("USD"));
    put_time(writer, "from", invoice->from_ms);
    put_time(writer, "to", invoice->to_ms);
    put_digits(writer, "first_transaction", invoice->after + 1);
    put_digits(writer, "last_transaction", invoice->through);
    put_purse(writer, "general", &invoice->general);
    put_purse(writer, "ai", &invoice->ai);
    put_money(writer, "transferred", invoice->transferred);
    put_money(writer, "fees", invoice->fees);
    put_money(writer, "credited", invoice->credited);
    put_money(writer, "allowed", invoice->allowed);
    put_money(writer, "usage_cost", invoice->lines.cost);
    put_money(writer, "usage_markup",
              (struct money){invoice->lines.charge.nano - invoice->lines.cost.nano});
    put_money(writer, "usage_late", invoice->late);
    put_money(writer, "usage", invoice->usage);
    if (lines) {
        json_member_str(writer, "server", str_from(billing->conf.server));
        json_member_u64(writer, "markup_bps", billing->conf.markup_bps);
        json_member_u64(writer, "transfer_fee_bps", billing->conf.fee_bps);
        put_lines(writer, billing, invoice);
        json_member_str(writer, "prev", str_from(prev));
    }
    json_close_object(writer);
}
