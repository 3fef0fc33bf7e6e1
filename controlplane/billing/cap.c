/* SPDX-License-Identifier: MIT
 * cap.c - see cap.h.
 * Floor: controlplane/billing; engine thread.
 * Owns: see cap.h.
 * Invariant: see cap.h. The begin of a period is remembered before money moves in it. */
#include "controlplane/billing/cap.h"

#include "controlplane/billing/billing_int.h"
#include "controlplane/ledger/budget.h"
#include "controlplane/ledger/usage_rollup.h"
#include "controlplane/object/object.h"
#include "lib/base/check.h"
#include "lib/base/num.h"

/* ---- the period at hand ---------------------------------------------------------------------- */

struct spell {
    int64_t begin_ms;
    int64_t spent; /* of all time, when it began */
};

static enum period
per_of(struct str per)
{
    enum period period = PERIOD_MONTH;
    (void)!period_of(per, &period); /* the schema knows no others */
    return period;
}

static int
row_i64(const struct json_doc *doc, const char *name, int64_t *ret_value)
{
    struct str raw = json_raw(doc, json_get(doc, 0, str_from(name)));
    return raw.len < 3 ? -ERR_PARSE
                       : num_i64(str_make(raw.ptr + 1, raw.len - 2), 0, INT64_MAX, ret_value);
}

/* What the calls since begin_ms cost; end_ms 0: those of times that have not come, too. */
static int
spent_since(struct billing *billing, struct str wallet, int64_t begin_ms, int64_t end_ms,
            struct arena *arena, int64_t *ret_nano, struct err *err)
{
    const struct usage_query query = {
        .since_s = begin_ms / 1000, .until_s = end_ms / 1000, .wallet = wallet};
    struct usage_row *rows;
    size_t count;
    bool behind;
    int code = usage_query(billing->conf.ledger, &query, arena, &rows, &count, &behind, err);
    if (code < 0)
        return code;
    if (behind)
        return err_set(err, ERR_UNAVAILABLE, "usage is still being added up");
    *ret_nano = 0;
    for (size_t i = 0; i < count; i++)
        *ret_nano += rows[i].charge.nano;
    return 0;
}

/* The stored period when it is still this one, else this one begins now: however late that is, what
 * was spent in it already counts; and what was spent in one that a wrong clock began. */
static int
spell_at(struct billing *billing, struct str wallet, struct str per, int64_t now_ms, int64_t spent,
         struct arena *arena, struct spell *ret_spell, struct err *err)
{
    struct store_row row;
    struct spell now = {.begin_ms = period_begin_ms(per_of(per), now_ms), .spent = spent};
    struct spell was = {.begin_ms = 0};
    int64_t already = 0;
    int64_t end_ms = now_ms + 1000; /* what claims to be of later counts in none of ours */
    struct str key = arena_printf(arena, "billing/cap/%.*s", STR_ARG(wallet));
    if (!key.ptr)
        return err_set(err, ERR_NOMEM, "out of memory");
    int code = store_get(billing->conf.store, key, arena, &row);
    if (code == 0) {
        const struct json_doc *doc = &billing->doc;
        if (json_scan(&billing->doc, row.value, NULL, NULL) < 0 ||
            row_i64(doc, "begin_ms", &was.begin_ms) < 0 || row_i64(doc, "spent", &was.spent) < 0)
            return err_set(err, ERR_STORE, "the row %.*s is damaged", STR_ARG(key));
        /* A clock that went back a little does not begin a period again; one that was far ahead
         * would not let it end. */
        if (json_string_eq(doc, json_get(doc, 0, STR("per")), per) &&
            was.begin_ms >= now.begin_ms && was.begin_ms <= now_ms + BUDGET_AHEAD_MS) {
            *ret_spell = was;
            return 0;
        }
        if (was.begin_ms > now_ms)
            end_ms = 0;
    } else if (code != -ERR_NOT_FOUND) {
        return err_set(err, (enum err_code) - code, "caps: %s", err_text(code));
    }
    const struct store_cond cond = {.key = key, .mod_rev = code == 0 ? row.mod_rev : 0};
    code = spent_since(billing, wallet, now.begin_ms, end_ms, arena, &already, err);
    if (code < 0)
        return code;
    now.spent = MAX(spent - already, (int64_t)0);
    struct str value =
        arena_printf(arena, "{\"per\":\"%.*s\",\"begin_ms\":\"%lld\",\"spent\":\"%lld\"}",
                     STR_ARG(per), (long long)now.begin_ms, (long long)now.spent);
    if (!value.ptr)
        return err_set(err, ERR_NOMEM, "out of memory");
    const struct store_op op = {.key = key, .value = value};
    code = store_commit(billing->conf.store, &cond, 1, &op, 1, NULL);
    if (code < 0)
        return err_set(err, (enum err_code) - code, "caps: %s", err_text(code));
    *ret_spell = now;
    return 0;
}

/* ---- one wallet ------------------------------------------------------------------------------ */

/* The wallet that feeds; *ret_frozen: nothing of it may be spent, here neither. */
static int
source_check(struct billing *billing, struct str from, struct arena *arena, bool *ret_frozen,
             struct err *err)
{
    struct object source;
    int code = object_get(billing->conf.store, kind_at(KIND_WALLET), from, arena, &source, err);
    if (code < 0)
        return code;
    if (schema_get(source.spec, "cap"))
        return err_set(err, ERR_INVALID, "cap.from: wallet %.*s is capped itself", STR_ARG(from));
    *ret_frozen = schema_true(source.spec, "frozen");
    return 0;
}

int
cap_settle(struct billing *billing, const struct object *wallet, int64_t now_ms,
           struct arena *arena, bool *ret_short, struct err *err)
{
    struct ledger_balances balances;
    struct spell spell = {.begin_ms = 0};
    struct money amount;
    struct money moved;
    bool frozen = false;
    const struct tree *cap = schema_get(wallet->spec, "cap");
    *ret_short = false;
    if (!cap)
        return 0;
    struct str from = schema_text(cap, "from", STR_EMPTY);
    if (money_parse(schema_text(cap, "amount", STR_EMPTY), 2, &amount) < 0)
        return err_set(err, ERR_INVALID, "cap.amount is no amount of money");
    int code = source_check(billing, from, arena, &frozen, err);
    if (code == 0)
        code = ledger_balances(billing->conf.ledger, wallet->name, &balances, err);
    if (code == 0)
        code = spell_at(billing, wallet->name, schema_text(cap, "per", STR("month")), now_ms,
                        balances.ai_usage.nano, arena, &spell, err);
    if (code != 0)
        return code;
    int64_t spent = balances.ai_usage.nano - spell.spent;
    int64_t left = frozen ? 0 : MAX(amount.nano - spent, (int64_t)0);
    return ledger_allow(billing->conf.ledger, from, wallet->name, (struct money){left}, &moved,
                        ret_short, err);
}

int
cap_look(struct store *store, const struct object *wallet, struct money ai_usage, int64_t now_ms,
         struct arena *arena, struct cap_word *ret_word)
{
    struct cap_word word = {.resets_s = 0};
    struct store_row row;
    CLEANUP(json_fini) struct json_doc doc;
    json_init(&doc);
    const struct tree *cap = schema_get(wallet->spec, "cap");
    if (!cap || money_parse(schema_text(cap, "amount", STR_EMPTY), 2, &word.amount) < 0) {
        *ret_word = (struct cap_word){.resets_s = 0};
        return 0;
    }
    struct str per = schema_text(cap, "per", STR("month"));
    word.resets_s = period_end_ms(per_of(per), now_ms) / 1000;
    struct str key = arena_printf(arena, "billing/cap/%.*s", STR_ARG(wallet->name));
    int code = key.ptr ? store_get(store, key, arena, &row) : -ERR_NOMEM;
    int64_t begin_ms = 0;
    int64_t before = 0;
    if (code == 0)
        code = json_scan(&doc, row.value, NULL, NULL);
    if (code == 0 &&
        (row_i64(&doc, "begin_ms", &begin_ms) < 0 || row_i64(&doc, "spent", &before) < 0))
        code = -ERR_STORE;
    if (code < 0 && code != -ERR_NOT_FOUND)
        return code == -ERR_NOMEM ? code : -ERR_STORE;
    if (begin_ms >= period_begin_ms(per_of(per), now_ms)) /* else nothing is posted in it yet */
        word.spent.nano = MAX(ai_usage.nano - before, (int64_t)0);
    *ret_word = word;
    return 0;
}
