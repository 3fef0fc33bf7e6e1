/* SPDX-License-Identifier: MIT
 * budget.c - see budget.h.
 * Floor: controlplane/ledger; the engine thread.
 * Owns: ledger->budgets: the names that may have a row, and how late their periods begin.
 * Invariant: a name is noted before its row is written, so that no posting misses a budget. A
 *            period's `late` never exceeds what is lent: what was lent in it cannot be spent as if
 *            it belonged to the one before. */
#include "controlplane/ledger/budget_int.h"

#include <stdlib.h>

#include "controlplane/ledger/usage_rollup.h"
#include "lib/base/check.h"
#include "lib/base/clock.h"

#define NO_CAP_LENDS (INT64_MAX / 2)
#define LIST_ARENA_BYTES_MAX (64u << 20)

bool
budget_name_valid(struct str name)
{
    static const char *const kinds[] = {"container/", "key/"};
    size_t skip = 0;
    for (size_t i = 0; i < ARRAY_LEN(kinds) && skip == 0; i++)
        skip = str_starts(name, str_from(kinds[i])) ? strlen(kinds[i]) : 0;
    if (skip == 0 || name.len == skip || name.len > BUDGET_NAME_BYTES_MAX)
        return false;
    for (size_t i = skip; i < name.len; i++) {
        char c = name.ptr[i];
        bool fine = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                    c == '.' || c == '_' || c == '-';
        if (!fine)
            return false;
    }
    return true;
}

static int64_t
now_ms(void)
{
    return clock_wall_ns() / 1000000;
}

/* ---- names ----------------------------------------------------------------------------------- */

static int
note(struct ledger *ledger, struct str name, struct err *err)
{
    if (map_get(&ledger->budgets, name) != NULL)
        return 0;
    char *copy = str_dup(name);
    if (copy == NULL || map_put(&ledger->budgets, str_from(copy), copy, NULL) < 0) {
        free(copy);
        return ledger_fail(err, -ERR_NOMEM);
    }
    return 0;
}

static int
list(struct ledger *ledger, struct err *err)
{
    CLEANUP(arena_fini) struct arena arena;
    struct store_row *rows;
    size_t count;
    arena_init(&arena, LIST_ARENA_BYTES_MAX);
    int r = store_list(ledger->store, STR(KEY_BUDGET), STR_EMPTY, 0, &arena, &rows, &count, NULL);
    if (r < 0)
        return ledger_fail(err, r);
    for (size_t i = 0; i < count && r == 0; i++)
        r = note(ledger, str_skip(rows[i].key, sizeof KEY_BUDGET - 1), err);
    ledger->budgets_listed = r == 0;
    return r;
}

int
budgets_known(struct ledger *ledger, struct str name, bool *ret_known, struct err *err)
{
    int r = ledger->budgets_listed ? 0 : list(ledger, err);
    if (r < 0)
        return r;
    *ret_known = ledger->budgets.count > 0 && map_get(&ledger->budgets, name) != NULL;
    return 0;
}

void
budgets_fini(struct ledger *ledger)
{
    MAP_FOREACH (slot, &ledger->budgets)
        free(slot->value);
    map_fini(&ledger->budgets);
}

/* ---- the row --------------------------------------------------------------------------------- */

#define ROW_FIELDS (2u + PERIOD_COUNT * 5u)

/* Names and places of its numbers, in both directions. */
static void
fields_of(const struct budget *budget, struct draft_field fields[ROW_FIELDS])
{
    static const char *const names[PERIOD_COUNT][5] = {
        {"hour_cap", "hour_at", "hour_spent", "hour_late", "hour_skewed"},
        {"day_cap", "day_at", "day_spent", "day_late", "day_skewed"},
        {"month_cap", "month_at", "month_spent", "month_late", "month_skewed"},
    };
    *fields++ = (struct draft_field){"lent", budget->lent};
    *fields++ = (struct draft_field){"ahead_ms", budget->ahead_ms};
    for (size_t i = 0; i < PERIOD_COUNT; i++) {
        const struct budget_window *window = &budget->windows[i];
        const int64_t values[] = {window->cap, window->begin_ms, window->spent, window->late,
                                  window->skewed};
        for (size_t k = 0; k < ARRAY_LEN(values); k++)
            *fields++ = (struct draft_field){names[i][k], values[k]};
    }
}

int
budget_read(struct ledger *ledger, const struct draft_row *row, struct budget *ret_budget,
            struct err *err)
{
    struct budget budget = {.row = NULL};
    struct draft_field fields[ROW_FIELDS];
    fields_of(&budget, fields);
    int r = fields_read(ledger, row, fields, ROW_FIELDS, err);
    if (r < 0)
        return r;
    const struct draft_field *field = fields;
    budget.lent = (field++)->value;
    budget.ahead_ms = (field++)->value;
    for (size_t i = 0; i < PERIOD_COUNT; i++) {
        struct budget_window *window = &budget.windows[i];
        window->cap = (field++)->value;
        window->begin_ms = (field++)->value;
        window->spent = (field++)->value;
        window->late = (field++)->value;
        window->skewed = (field++)->value;
        if (window->cap < BUDGET_NO_CAP || window->spent < 0 || window->late < 0)
            return err_set(err, ERR_STORE, "the row %.*s is damaged", STR_ARG(row->key));
    }
    if (budget.lent < 0)
        return err_set(err, ERR_STORE, "the row %.*s is damaged", STR_ARG(row->key));
    *ret_budget = budget;
    return 0;
}

/* A clock that went back does not begin a period again; one that went far back: budgets_rewind. */
static void
roll(struct budget *budget, int64_t at_ms)
{
    for (size_t i = 0; i < PERIOD_COUNT; i++) {
        struct budget_window *window = &budget->windows[i];
        int64_t begin_ms = period_begin_ms((enum period)i, at_ms);
        if (begin_ms <= window->begin_ms)
            continue;
        window->begin_ms = begin_ms;
        window->spent = 0;
        window->late = budget->lent;
        window->skewed = budget->ahead_ms >= begin_ms;
    }
}

int
budget_load(struct draft *draft, struct str name, struct budget *ret_budget)
{
    struct draft_row *row;
    struct budget budget = {.row = NULL};
    int r = draft_row(draft, &row, KEY_BUDGET "%.*s", STR_ARG(name));
    if (r < 0)
        return r;
    for (size_t i = 0; i < PERIOD_COUNT; i++)
        budget.windows[i].cap = BUDGET_NO_CAP;
    if (row->value.len > 0)
        r = budget_read(draft->ledger, row, &budget, draft->err);
    if (r < 0)
        return r;
    roll(&budget, now_ms());
    budget.row = row;
    *ret_budget = budget;
    return 0;
}

static bool
is_capped(const struct budget *budget)
{
    bool capped = false;
    for (size_t i = 0; i < PERIOD_COUNT; i++)
        capped = capped || budget->windows[i].cap != BUDGET_NO_CAP;
    return capped;
}

int
budget_store(struct draft *draft, const struct budget *budget, bool told)
{
    struct draft_field fields[ROW_FIELDS];
    budget->row->quiet = !told;
    if (budget->lent == 0 && !is_capped(budget)) {
        draft_delete(budget->row);
        return 0;
    }
    int r = note(draft->ledger, str_skip(budget->row->key, sizeof KEY_BUDGET - 1), draft->err);
    if (r < 0)
        return r;
    fields_of(budget, fields);
    draft->ledger->budgets_last_ms =
        MAX(draft->ledger->budgets_last_ms, budget->windows[PERIOD_HOUR].begin_ms);
    return fields_write(draft, budget->row, fields, ROW_FIELDS);
}

/* ---- lending and spending -------------------------------------------------------------------- */

/* What the window leaves, below zero when it was lowered. */
static int64_t
left_of(const struct budget *budget, const struct budget_window *window)
{
    if (window->cap == BUDGET_NO_CAP)
        return NO_CAP_LENDS - MIN(budget->lent, NO_CAP_LENDS);
    int64_t used;
    return ADD_OVERFLOW(window->spent, budget->lent, &used) ? -1 : window->cap - used;
}

/* The least of all windows. Of two that leave the same the longer one counts. */
static int64_t
left_least(const struct budget *budget, enum period *ret_tight)
{
    int64_t least = INT64_MAX;
    for (size_t i = 0; i < PERIOD_COUNT; i++) {
        int64_t left = left_of(budget, &budget->windows[i]);
        if (left > least)
            continue;
        least = left;
        *ret_tight = (enum period)i;
    }
    return least;
}

int64_t
budget_lendable(const struct budget *budget)
{
    enum period tight;
    return MAX(left_least(budget, &tight), (int64_t)0);
}

static void
late_bound(struct budget *budget)
{
    for (size_t i = 0; i < PERIOD_COUNT; i++)
        budget->windows[i].late = MIN(budget->windows[i].late, budget->lent);
}

int
budget_lend(struct draft *draft, struct budget *budget, int64_t nano)
{
    bool over = ADD_OVERFLOW(budget->lent, nano, &budget->lent);
    ASSERT(!over);
    if (budget->lent < 0)
        return err_set(draft->err, ERR_STORE, "%.*s: less is lent than its leases say",
                       STR_ARG(budget->row->key));
    late_bound(budget);
    return 0;
}

static void
window_add(struct budget_window *window, int64_t nano)
{
    if (ADD_OVERFLOW(window->spent, nano, &window->spent))
        window->spent = INT64_MAX;
}

void
budget_charge(struct budget *budget, struct lease *lease, int64_t at_ms, int64_t charge)
{
    int64_t covered = MIN(charge, lease_rest(lease));
    lease->used += covered;
    budget->lent -= MIN(covered, budget->lent);
    for (size_t i = 0; i < PERIOD_COUNT; i++) {
        struct budget_window *window = &budget->windows[i];
        if (at_ms >= window->begin_ms) {
            window_add(window, charge);
            if (at_ms < period_end_ms((enum period)i, window->begin_ms))
                continue;
            window->skewed = 1; /* usage has it in a later one; here it counts now */
            budget->ahead_ms = MAX(budget->ahead_ms, at_ms);
            continue;
        }
        /* It ended before this period began: with money that was lent before, or it says so. */
        int64_t before = MIN(covered, window->late);
        window->late -= before;
        if (covered > before) {
            window_add(window, covered - before);
            window->skewed = 1;
        }
    }
    late_bound(budget);
}

/* ---- from outside ---------------------------------------------------------------------------- */

/* What the caller's calls since then cost, by the hour. */
static int
spent_rows(struct draft *draft, struct str name, int64_t since_ms, struct usage_row **ret_rows,
           size_t *ret_count)
{
    const struct usage_query query = {
        .since_s = since_ms / 1000, .subject = name, .by = USAGE_HOUR};
    bool behind;
    int r =
        usage_query(draft->ledger, &query, &draft->arena, ret_rows, ret_count, &behind, draft->err);
    if (r < 0)
        return r;
    return behind ? err_set(draft->err, ERR_UNAVAILABLE, "usage is still being added up") : 0;
}

/* What was spent in the periods at hand, by the hourly sums. */
static int
spent_load(struct draft *draft, struct str name, struct budget *budget)
{
    struct usage_row *rows;
    size_t count;
    int r = spent_rows(draft, name, budget->windows[PERIOD_MONTH].begin_ms, &rows, &count);
    if (r < 0)
        return r;
    for (size_t i = 0; i < PERIOD_COUNT; i++) {
        struct budget_window *window = &budget->windows[i];
        int64_t end_ms = period_end_ms((enum period)i, window->begin_ms);
        window->spent = 0;
        window->skewed = 0;
        for (size_t k = 0; k < count; k++) {
            int64_t at_ms = rows[k].start_s * 1000;
            if (at_ms >= window->begin_ms && at_ms < end_ms)
                window_add(window, rows[k].charge.nano);
            if (at_ms >= end_ms)
                budget->ahead_ms = MAX(budget->ahead_ms, at_ms);
        }
    }
    return 0;
}

int
budget_set(struct ledger *ledger, struct str name, const struct budget_caps *caps, struct err *err)
{
    CLEANUP(draft_fini) struct draft draft;
    struct budget budget;
    bool same = true;
    if (!budget_name_valid(name))
        return err_set(err, ERR_INVALID, "a budget is of container/NAME or key/NAME");
    bool known;
    draft_init(&draft, ledger, err);
    int r = budgets_known(ledger, name, &known, err);
    if (r == 0 && !known && !caps->capped[0] && !caps->capped[1] && !caps->capped[2])
        return 0; /* as nearly all callers */
    if (r == 0)
        r = budget_load(&draft, name, &budget);
    if (r < 0)
        return r;
    bool was_capped = is_capped(&budget);
    for (size_t i = 0; i < PERIOD_COUNT; i++) {
        int64_t cap = caps->capped[i] ? MAX(caps->amount[i].nano, (int64_t)0) : BUDGET_NO_CAP;
        same = same && cap == budget.windows[i].cap;
        budget.windows[i].cap = cap;
    }
    if (same)
        return 0;
    if (!was_capped)
        r = spent_load(&draft, name, &budget);
    if (r == 0)
        r = budget_store(&draft, &budget, true);
    return r < 0 ? r : draft_commit(&draft);
}

int
budget_get(struct ledger *ledger, struct str name, struct budget_state *ret_state, struct err *err)
{
    CLEANUP(draft_fini) struct draft draft;
    struct budget budget;
    struct budget_state state = {.tight = PERIOD_HOUR};
    bool known;
    int r = budgets_known(ledger, name, &known, err);
    if (r < 0)
        return r;
    if (!known)
        return -ERR_NOT_FOUND;
    draft_init(&draft, ledger, err);
    r = budget_load(&draft, name, &budget);
    if (r < 0)
        return r;
    if (!budget_is_there(&budget))
        return -ERR_NOT_FOUND;
    for (size_t i = 0; i < PERIOD_COUNT; i++) {
        const struct budget_window *window = &budget.windows[i];
        state.caps.capped[i] = window->cap != BUDGET_NO_CAP;
        state.caps.amount[i].nano = MAX(window->cap, (int64_t)0);
        state.spent[i].nano = window->spent;
        state.begins_ms[i] = window->begin_ms;
        state.resets_ms[i] = period_end_ms((enum period)i, window->begin_ms);
    }
    int64_t least = left_least(&budget, &state.tight);
    state.capped = is_capped(&budget);
    state.lent.nano = budget.lent;
    state.free.nano = MAX(least, (int64_t)0);
    state.over = least < 0 && budget.lent > 0;
    *ret_state = state;
    return 0;
}

/* ---- a clock that was wrong ------------------------------------------------------------------ */

/* The window is of a time that has not come: the period at hand, with everything that was spent
 * since its begin. What usage has in later ones counts now, as in budget_charge. */
static void
window_rewind(struct budget *budget, enum period period, int64_t at_ms,
              const struct usage_row *rows, size_t count)
{
    struct budget_window *window = &budget->windows[period];
    int64_t end_ms = period_end_ms(period, at_ms);
    budget->ahead_ms = MAX(budget->ahead_ms, window->begin_ms);
    window->begin_ms = period_begin_ms(period, at_ms);
    window->spent = 0;
    window->late = 0;
    window->skewed = 0;
    for (size_t i = 0; i < count; i++) {
        int64_t row_ms = rows[i].start_s * 1000;
        if (row_ms < window->begin_ms)
            continue;
        window_add(window, rows[i].charge.nano);
        if (row_ms >= end_ms) {
            window->skewed = 1;
            budget->ahead_ms = MAX(budget->ahead_ms, row_ms);
        }
    }
}

/* 1: it was rewound. *last_ms: the latest begin of its periods, if that is later. */
static int
budget_rewind(struct ledger *ledger, struct str name, int64_t *last_ms, struct err *err)
{
    CLEANUP(draft_fini) struct draft draft;
    struct budget budget;
    struct usage_row *rows = NULL;
    size_t count = 0;
    int64_t at_ms = now_ms();
    draft_init(&draft, ledger, err);
    int r = budget_load(&draft, name, &budget);
    if (r != 0)
        return r;
    const struct budget_window *hour = &budget.windows[PERIOD_HOUR]; /* none begins later */
    bool ahead = budget_is_there(&budget) && hour->begin_ms > at_ms + BUDGET_AHEAD_MS;
    if (ahead)
        r = spent_rows(&draft, name, period_begin_ms(PERIOD_MONTH, at_ms), &rows, &count);
    for (size_t i = 0; i < PERIOD_COUNT && ahead && r == 0; i++) {
        if (budget.windows[i].begin_ms > at_ms + BUDGET_AHEAD_MS)
            window_rewind(&budget, (enum period)i, at_ms, rows, count);
    }
    *last_ms = MAX(*last_ms, hour->begin_ms);
    if (!ahead)
        return 0;
    if (r == 0)
        r = budget_store(&draft, &budget, true);
    if (r == 0)
        r = draft_commit(&draft);
    return r < 0 ? r : 1;
}

int
budgets_rewind(struct ledger *ledger, size_t *ret_count, struct err *err)
{
    size_t count = 0;
    int64_t last_ms = 0;
    int r = ledger->budgets_listed ? 0 : list(ledger, err);
    if (r != 0)
        return r;
    *ret_count = 0;
    if (ledger->budgets_dated && ledger->budgets_last_ms <= now_ms() + BUDGET_AHEAD_MS)
        return 0;
    MAP_FOREACH (slot, &ledger->budgets) {
        r = budget_rewind(ledger, slot->key, &last_ms, err);
        if (r < 0)
            return r;
        count += (size_t)r;
    }
    ledger->budgets_dated = true;
    ledger->budgets_last_ms = last_ms;
    *ret_count = count;
    return 0;
}
