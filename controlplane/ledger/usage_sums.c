/* SPDX-License-Identifier: MIT
 * usage_sums.c - posted usage: as a list, and added up.
 * Floor: controlplane/ledger; the engine thread.
 * Owns: nothing.
 * Invariant: quarantined records are never among them. Proved in usage_test.c. */
#include <stdlib.h>
#include <string.h>

#include "controlplane/ledger/ledger_int.h"
#include "lib/base/check.h"
#include "lib/base/map.h"

#define PAGE_ROWS 500u
/* Behind every quarantined row, and before whatever follows: '0' comes after '/'. */
#define AFTER_QUARANTINE "usage/quarantine0"
#define LIST_ROWS_MAX 1000u

int
usage_list(struct ledger *ledger, struct str after_key, size_t limit, struct arena *arena,
           struct store_row **ret_rows, size_t *ret_count, struct err *err)
{
    if (limit == 0 || limit > LIST_ROWS_MAX)
        return err_set(err, ERR_INVALID, "a page has 1 to %u rows", LIST_ROWS_MAX);
    struct str quarantine = STR(KEY_QUARANTINE);
    for (;;) {
        struct store_row *rows;
        size_t count;
        int r =
            store_list(ledger->store, STR(KEY_USAGE), after_key, limit, arena, &rows, &count, NULL);
        if (r < 0)
            return ledger_fail(err, r);
        size_t good = 0;
        while (good < count && !str_starts(rows[good].key, quarantine))
            good++;
        if (good > 0 || count == 0) {
            *ret_rows = rows;
            *ret_count = good;
            return 0;
        }
        after_key = STR(AFTER_QUARANTINE);
    }
}

struct scan {
    const struct usage_filter *filter;
    struct arena *arena;
    struct map sums; /* name -> struct usage_sum */
    struct json_doc *doc;
};

static const char *const group_members[] = {
    [USAGE_BY_SUBJECT] = "subject",
    [USAGE_BY_MODEL] = "model",
    [USAGE_BY_WALLET] = "wallet",
    [USAGE_BY_PROVIDER] = "provider",
};

static bool
record_matches(const struct scan *scan)
{
    const struct usage_filter *filter = scan->filter;
    int64_t at_ms = 0;
    (void)!json_i64(scan->doc, json_get(scan->doc, 0, STR("at_ms")), 0, INT64_MAX, &at_ms);
    if (at_ms < filter->from_ms || (filter->to_ms != 0 && at_ms >= filter->to_ms))
        return false;
    if (filter->wallet.len > 0 &&
        !json_string_eq(scan->doc, json_get(scan->doc, 0, STR("wallet")), filter->wallet))
        return false;
    return filter->subject.len == 0 ||
           json_string_eq(scan->doc, json_get(scan->doc, 0, STR("subject")), filter->subject);
}

static int
sum_of(struct scan *scan, struct arena *page, struct usage_sum **ret_sum)
{
    struct str name = STR_EMPTY;
    uint32_t node = json_get(scan->doc, 0, str_from(group_members[scan->filter->group]));
    if (json_string(scan->doc, node, page, &name) == -ERR_NOMEM)
        return -ERR_NOMEM;
    *ret_sum = map_get(&scan->sums, name);
    if (*ret_sum != NULL)
        return 0;
    struct usage_sum *sum = ARENA_NEW(scan->arena, struct usage_sum);
    if (sum == NULL || arena_dup(scan->arena, name, &sum->name) < 0)
        return -ERR_NOMEM;
    *ret_sum = sum;
    return map_put(&scan->sums, sum->name, sum, NULL);
}

static int
record_add(struct scan *scan, struct str text, struct arena *page)
{
    int r = json_scan(scan->doc, text, NULL, NULL);
    if (r < 0)
        return r == -ERR_NOMEM ? r : -ERR_STORE;
    if (!record_matches(scan))
        return 0;
    struct usage_sum *sum;
    r = sum_of(scan, page, &sum);
    if (r < 0)
        return r;
    int64_t charge;
    int64_t cost;
    if (member_i64(scan->doc, 0, "charge", &charge) < 0 ||
        member_i64(scan->doc, 0, "cost", &cost) < 0)
        return -ERR_STORE;
    sum->requests++;
    uint32_t usage = json_get(scan->doc, 0, STR("usage"));
    for (size_t i = 0; i < USAGE_CLASS_COUNT; i++) {
        uint64_t count = 0;
        const char *name = usage_class_name((enum usage_class)i);
        (void)!json_u64(scan->doc, json_get(scan->doc, usage, str_from(name)), UINT64_MAX, &count);
        if (ADD_OVERFLOW(sum->count[i], count, &sum->count[i]))
            sum->count[i] = UINT64_MAX;
    }
    r = money_add(sum->charge, (struct money){charge}, &sum->charge);
    return r < 0 ? r : money_add(sum->cost, (struct money){cost}, &sum->cost);
}

static int
scan_all(struct ledger *ledger, struct scan *scan, struct err *err)
{
    char after[STORE_KEY_BYTES_MAX + 1] = "";
    for (;;) {
        CLEANUP(arena_fini) struct arena page;
        arena_init(&page, 64u << 20);
        struct store_row *rows;
        size_t count;
        int r = usage_list(ledger, str_from(after), PAGE_ROWS, &page, &rows, &count, err);
        if (r < 0 || count == 0)
            return r;
        for (size_t i = 0; i < count && r == 0; i++)
            r = record_add(scan, rows[i].value, &page);
        if (r < 0)
            return ledger_fail(err, r);
        ASSERT(str_copy(after, sizeof after, rows[count - 1].key));
    }
}

static int
sum_compare(const void *left, const void *right)
{
    const struct usage_sum *a = left;
    const struct usage_sum *b = right;
    if (a->charge.nano != b->charge.nano)
        return a->charge.nano < b->charge.nano ? 1 : -1;
    return str_cmp(a->name, b->name);
}

int
usage_sums(struct ledger *ledger, const struct usage_filter *filter, struct arena *arena,
           struct usage_sum **ret_sums, size_t *ret_count, struct err *err)
{
    if ((size_t)filter->group >= ARRAY_LEN(group_members))
        return err_set(err, ERR_INVALID, "usage is grouped by subject, model, wallet or provider");
    struct scan scan = {.filter = filter, .arena = arena, .doc = &ledger->doc};
    map_init(&scan.sums);
    int r = scan_all(ledger, &scan, err);
    size_t count = scan.sums.count;
    struct usage_sum *sums = NULL;
    if (r == 0 && count > 0) {
        sums = arena_array(arena, count, sizeof *sums);
        if (sums == NULL)
            r = ledger_fail(err, -ERR_NOMEM);
    }
    if (r == 0) {
        size_t at = 0;
        MAP_FOREACH (slot, &scan.sums)
            sums[at++] = *(struct usage_sum *)slot->value;
        if (count > 1)
            qsort(sums, count, sizeof *sums, sum_compare);
        *ret_sums = sums;
        *ret_count = count;
    }
    map_fini(&scan.sums);
    return r;
}
