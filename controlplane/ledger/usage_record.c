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
    struct usage_record record = {
        .wallet = member_name(doc, "wallet"),
        .provider = member_name(doc, "provider"),
    };
    int64_t said;
    if (member_i64(doc, 0, "seq", &said) < 0 || said < 0 || (uint64_t)said != seq)
        return err_set(err, ERR_INVALID, "seq is not %llu", (unsigned long long)seq);
    if (!ledger_name_valid(record.wallet))
        return err_set(err, ERR_INVALID, "bad wallet");
    if (member_i64(doc, 0, "charge", &record.charge) < 0 || record.charge < 0 ||
        record.charge > LEDGER_CHARGE_NANO_MAX)
        return err_set(err, ERR_INVALID, "charge is not 0 to %lld nano",
                       (long long)LEDGER_CHARGE_NANO_MAX);
    if (member_i64(doc, 0, "cost", &record.cost) < 0 || record.cost < 0 ||
        record.cost > record.charge)
        return err_set(err, ERR_INVALID, "cost is not 0 to charge");
    if (record.charge > 0 && !ledger_name_valid(record.provider))
        return err_set(err, ERR_INVALID, "bad provider");
    *ret_record = record;
    return 0;
}
