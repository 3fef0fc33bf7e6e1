/* SPDX-License-Identifier: MIT
 * usage_query.c - what was used and what it cost, out of the sums of the hours.
 * Floor: controlplane/ledger; the engine thread.
 * Owns: nothing.
 * Invariant: see usage_rollup.h. */
#include "controlplane/ledger/usage_rollup.h"

#include <stdio.h>
#include <stdlib.h>

#include "controlplane/ledger/ledger_int.h"
#include "controlplane/ledger/usage_sum.h"
#include "lib/base/check.h"

#define PAGES_AT_ONCE 16u
#define SCRATCH_BYTES_MAX (PAGES_AT_ONCE * (2u << 20))
#define CATCH_UP_STEPS_MAX 8u /* before an answer; some 250,000 records */
#define HOURS_OF_DAY 24
#define CONTAINER "container/"
#define KEY "key/"

struct asked {
    const struct usage_query *query;
    struct sum_table table;
    int64_t until_hour;
};

static bool
wanted(struct str asked, struct str have)
{
    return asked.len == 0 || str_eq(asked, have);
}

/* The name of the row that a sum belongs to. */
static struct sum_name
row_name(const struct usage_query *query, const struct sum_name *name)
{
    unsigned by = query->by;
    bool container = str_starts(name->subject, STR(CONTAINER));
    bool key = str_starts(name->subject, STR(KEY));
    struct sum_name row = {.wallet = STR_EMPTY, .subject = STR_EMPTY};
    row.model = row.provider = STR_EMPTY;
    if ((by & USAGE_DAY) != 0)
        row.hour = name->hour - name->hour % HOURS_OF_DAY;
    else if ((by & USAGE_HOUR) != 0)
        row.hour = name->hour;
    if ((by & USAGE_WALLET) != 0)
        row.wallet = name->wallet;
    if ((by & USAGE_SUBJECT) != 0 || ((by & USAGE_CONTAINER) != 0 && container) ||
        ((by & USAGE_KEY) != 0 && key))
        row.subject = name->subject;
    if ((by & USAGE_MODEL) != 0)
        row.model = name->model;
    if ((by & USAGE_PROVIDER) != 0)
        row.provider = name->provider;
    return row;
}

static int
sum_take(const struct sum *sum, void *user)
{
    struct asked *asked = user;
    const struct usage_query *query = asked->query;
    if (sum->name.hour >= asked->until_hour)
        return 1;
    if (!wanted(query->wallet, sum->name.wallet) || !wanted(query->subject, sum->name.subject) ||
        !wanted(query->model, sum->name.model) || !wanted(query->provider, sum->name.provider))
        return 0;
    const struct sum_name name = row_name(query, &sum->name);
    struct sum *row;
    int r = sum_find(&asked->table, &name, &row);
    return r < 0 ? r : sum_add(row, sum);
}

static int
pages_read(struct ledger *ledger, struct asked *asked)
{
    char after[STORE_KEY_BYTES_MAX + 1];
    int64_t since_hour = asked->query->since_s / HOUR_S;
    (void)snprintf(after, sizeof after, KEY_ROLLUP "%010lld", (long long)MIN(since_hour, HOUR_MAX));
    for (;;) {
        CLEANUP(arena_fini) struct arena scratch;
        struct store_row *rows;
        size_t count;
        arena_init(&scratch, SCRATCH_BYTES_MAX);
        int r = store_list(ledger->store, STR(KEY_ROLLUP), str_from(after), PAGES_AT_ONCE, &scratch,
                           &rows, &count, NULL);
        for (size_t i = 0; i < count && r == 0; i++)
            r = sum_page_read(&rows[i], sum_take, asked);
        if (r != 0 || count == 0)
            return MIN(r, 0);
        ASSERT(str_copy(after, sizeof after, rows[count - 1].key));
    }
}

static int
row_compare(const void *left, const void *right)
{
    const struct usage_row *a = left;
    const struct usage_row *b = right;
    if (a->start_s != b->start_s)
        return a->start_s < b->start_s ? -1 : 1;
    if (a->charge.nano != b->charge.nano)
        return a->charge.nano < b->charge.nano ? 1 : -1;
    const struct str of_a[] = {a->wallet, a->subject, a->container, a->key, a->model, a->provider};
    const struct str of_b[] = {b->wallet, b->subject, b->container, b->key, b->model, b->provider};
    size_t i = 0;
    while (i + 1 < ARRAY_LEN(of_a) && str_eq(of_a[i], of_b[i]))
        i++;
    return str_cmp(of_a[i], of_b[i]);
}

/* Texts live in the keys of the table, in the caller's arena. */
static void
row_of(unsigned by, const struct sum *sum, struct usage_row *ret_row)
{
    struct str subject = sum->name.subject;
    bool container = (by & USAGE_CONTAINER) != 0 && str_starts(subject, STR(CONTAINER));
    bool key = (by & USAGE_KEY) != 0 && str_starts(subject, STR(KEY));
    *ret_row = (struct usage_row){
        .start_s = sum->name.hour * HOUR_S,
        .wallet = sum->name.wallet,
        .subject = (by & USAGE_SUBJECT) != 0 ? subject : STR_EMPTY,
        .container = container ? str_skip(subject, sizeof CONTAINER - 1) : STR_EMPTY,
        .key = key ? str_skip(subject, sizeof KEY - 1) : STR_EMPTY,
        .model = sum->name.model,
        .provider = sum->name.provider,
        .requests = sum->requests,
        .charge = {sum->charge},
        .cost = {sum->cost},
    };
    memcpy(ret_row->count, sum->count, sizeof ret_row->count);
}

static int
rows_make(const struct asked *asked, struct usage_row **ret_rows, size_t *ret_count)
{
    const struct sum_table *table = &asked->table;
    struct usage_row *rows = arena_array(table->arena, table->map.count + 1, sizeof *rows);
    size_t count = 0;
    if (rows == NULL)
        return -ERR_NOMEM;
    MAP_FOREACH (slot, &table->map)
        row_of(asked->query->by, slot->value, &rows[count++]);
    qsort(rows, count, sizeof *rows, row_compare);
    *ret_rows = rows;
    *ret_count = count;
    return 0;
}

/* What was posted a moment ago shall be in the answer. When the store takes no more, what is there
 * is still an answer. */
static bool
catch_up(struct ledger *ledger)
{
    bool more = true;
    for (unsigned i = 0; i < CATCH_UP_STEPS_MAX && more; i++) {
        if (usage_rollup_step(ledger, &more, NULL) < 0)
            return false;
    }
    return !more;
}

int
usage_query(struct ledger *ledger, const struct usage_query *query, struct arena *arena,
            struct usage_row **ret_rows, size_t *ret_count, bool *ret_behind, struct err *err)
{
    struct asked asked = {.query = query, .until_hour = INT64_MAX};
    if (query->since_s < 0 || query->until_s < 0 ||
        (query->until_s != 0 && query->until_s < query->since_s))
        return err_set(err, ERR_INVALID, "the end of the time asked for is before its start");
    if (query->until_s != 0)
        asked.until_hour = (query->until_s + HOUR_S - 1) / HOUR_S;
    bool behind = !catch_up(ledger);
    sum_table_init(&asked.table, arena);
    int r = pages_read(ledger, &asked);
    if (r == 0)
        r = rows_make(&asked, ret_rows, ret_count);
    sum_table_fini(&asked.table);
    if (r == -ERR_RANGE)
        return err_set(err, ERR_RANGE, "the sums of usage leave the range of money");
    if (r < 0)
        return ledger_fail(err, r);
    *ret_behind = behind;
    return 0;
}
