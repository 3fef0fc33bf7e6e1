/* SPDX-License-Identifier: MIT
 * usage_record.c - reading one usage record, strictly.
 * Floor: controlplane/ledger; the engine thread.
 * Owns: nothing.
 * Invariant: see usage_record.h. */
#include "controlplane/ledger/usage_record.h"

#include "controlplane/ledger/ledger_int.h"

static const struct json_limits limits = {
    .depth_max = 4, .node_count_max = 256, .text_bytes_max = USAGE_RECORD_BYTES_MAX};

/* A name needs no escapes, so the raw text between the quotes is the name. */
static struct str
member_name(const struct json_doc *doc, const char *name)
{
    uint32_t node = json_get(doc, 0, str_from(name));
    if (!json_is(doc, node, JSON_STRING))
        return STR_EMPTY;
    struct str raw = json_raw(doc, node);
    return str_make(raw.ptr + 1, raw.len - 2);
}

/* -1, which no record may have, when it is missing or no number. */
static int64_t
member_money(const struct json_doc *doc, const char *name)
{
    int64_t nano;
    return member_i64(doc, 0, name, &nano) == 0 ? nano : -1;
}

static int64_t
member_time(const struct json_doc *doc)
{
    uint64_t at_ms = 0;
    uint32_t node = json_get(doc, 0, STR("at_ms"));
    return node != JSON_NONE && json_u64(doc, node, INT64_MAX, &at_ms) == 0 ? (int64_t)at_ms : 0;
}

static int
record_check(const struct usage_record *record, bool right_seq, uint64_t seq,
             struct usage_record *ret_record, struct err *err)
{
    if (!right_seq)
        return err_set(err, ERR_INVALID, "seq is not %llu", (unsigned long long)seq);
    if (!ledger_name_valid(record->wallet))
        return err_set(err, ERR_INVALID, "bad wallet");
    if (record->charge < 0 || record->charge > LEDGER_CHARGE_NANO_MAX)
        return err_set(err, ERR_INVALID, "charge is not 0 to %lld nano",
                       (long long)LEDGER_CHARGE_NANO_MAX);
    if (record->cost < 0 || record->cost > record->charge)
        return err_set(err, ERR_INVALID, "cost is not 0 to charge");
    if (record->charge > 0 && !ledger_name_valid(record->provider))
        return err_set(err, ERR_INVALID, "bad provider");
    *ret_record = *record;
    return 0;
}

int
usage_record_read(struct json_doc *doc, struct str text, uint64_t seq,
                  struct usage_record *ret_record, struct err *err)
{
    struct err why = {0};
    int r = json_scan(doc, text, &limits, &why);
    if (r == -ERR_NOMEM)
        return ledger_fail(err, r);
    if (r < 0)
        return err_set(err, ERR_INVALID, "no JSON: %s", why.text);
    if (!json_is(doc, 0, JSON_OBJECT))
        return err_set(err, ERR_INVALID, "not an object");
    const struct usage_record record = {
        .wallet = member_name(doc, "wallet"),
        .provider = member_name(doc, "provider"),
        .subject = member_name(doc, "subject"),
        .at_ms = member_time(doc),
        .charge = member_money(doc, "charge"),
        .cost = member_money(doc, "cost"),
    };
    int64_t said;
    bool right = member_i64(doc, 0, "seq", &said) == 0 && said >= 0 && (uint64_t)said == seq;
    return record_check(&record, right, seq, ret_record, err);
}

static struct str
form_text(const struct usage_form *form, enum form_member member)
{
    return form_has(form, member) ? form->at[member].text : STR_EMPTY;
}

static int64_t
form_money(const struct usage_form *form, enum form_member member)
{
    return form_has(form, member) && form->at[member].number <= INT64_MAX
               ? (int64_t)form->at[member].number
               : -1;
}

int
usage_record_of(const struct usage_form *form, uint64_t seq, struct usage_record *ret_record,
                struct err *err)
{
    const struct usage_record record = {
        .wallet = form_text(form, FORM_wallet),
        .provider = form_text(form, FORM_provider),
        .subject = form_text(form, FORM_subject),
        .at_ms = MAX(form_money(form, FORM_at_ms), (int64_t)0),
        .charge = form_money(form, FORM_charge),
        .cost = form_money(form, FORM_cost),
    };
    bool right = form_has(form, FORM_seq) && form->at[FORM_seq].number == seq;
    return record_check(&record, right, seq, ret_record, err);
}
