/* SPDX-License-Identifier: MIT
 * usage_sum.c - see usage_sum.h.
 * Floor: controlplane/ledger; the engine thread.
 * Owns: see usage_sum.h.
 * Invariant: see usage_sum.h. */
#include "controlplane/ledger/usage_sum.h"

#include <stdlib.h>
#include <string.h>

#include "controlplane/ledger/ledger_int.h"
#include "controlplane/ledger/usage_pack.h"
#include "lib/base/check.h"

#define NAME_BYTES_MAX 128u
#define NAME_TEXTS 4u
#define SUM_BYTES (16u + (USAGE_CLASS_COUNT + 3u) * 10u) /* beside its texts */

void
sum_table_init(struct sum_table *table, struct arena *arena)
{
    *table = (struct sum_table){.arena = arena};
    map_init(&table->map);
}

void
sum_table_fini(struct sum_table *table)
{
    map_fini(&table->map);
}

static void
name_texts(const struct sum_name *name, struct str ret_texts[NAME_TEXTS])
{
    ret_texts[0] = name->wallet;
    ret_texts[1] = name->subject;
    ret_texts[2] = name->model;
    ret_texts[3] = name->provider;
}

static bool
name_eq(const struct sum_name *a, const struct sum_name *b)
{
    return a->hour == b->hour && str_eq(a->wallet, b->wallet) && str_eq(a->subject, b->subject) &&
           str_eq(a->model, b->model) && str_eq(a->provider, b->provider);
}

/* Texts have no control bytes: what stands between them cannot stand in one. */
static struct str
name_key(const struct sum_name *name,
         char out[sizeof name->hour + NAME_TEXTS * (NAME_BYTES_MAX + 1)])
{
    struct str texts[NAME_TEXTS];
    size_t size = sizeof name->hour;
    memcpy(out, &name->hour, size);
    name_texts(name, texts);
    for (size_t i = 0; i < NAME_TEXTS; i++) {
        ASSERT(texts[i].len <= NAME_BYTES_MAX);
        if (texts[i].len > 0)
            memcpy(out + size, texts[i].ptr, texts[i].len);
        size += texts[i].len;
        out[size++] = '\x1f';
    }
    return str_make(out, size);
}

int
sum_find(struct sum_table *table, const struct sum_name *name, struct sum **ret_sum)
{
    char text[sizeof name->hour + NAME_TEXTS * (NAME_BYTES_MAX + 1)];
    if (table->last != NULL && name_eq(&table->last->name, name)) {
        *ret_sum = table->last;
        return 0;
    }
    struct str key = name_key(name, text);
    struct sum *sum = map_get(&table->map, key);
    if (sum == NULL) {
        sum = ARENA_NEW(table->arena, struct sum);
        if (sum == NULL || arena_dup(table->arena, key, &key) < 0)
            return -ERR_NOMEM;
        struct str rest = str_skip(key, sizeof name->hour);
        sum->name.hour = name->hour;
        ASSERT(str_cut(rest, '\x1f', &sum->name.wallet, &rest));
        ASSERT(str_cut(rest, '\x1f', &sum->name.subject, &rest));
        ASSERT(str_cut(rest, '\x1f', &sum->name.model, &rest));
        ASSERT(str_cut(rest, '\x1f', &sum->name.provider, &rest));
        int r = map_put(&table->map, key, sum, NULL);
        if (r < 0)
            return r;
        table->bytes += key.len + SUM_BYTES;
    }
    *ret_sum = table->last = sum;
    return 0;
}

static void
count_add(uint64_t *sum, uint64_t more)
{
    if (ADD_OVERFLOW(*sum, more, sum) || *sum > FORM_NUMBER_MAX)
        *sum = FORM_NUMBER_MAX;
}

int
sum_add(struct sum *sum, const struct sum *more)
{
    int64_t charge;
    int64_t cost;
    if (ADD_OVERFLOW(sum->charge, more->charge, &charge) ||
        ADD_OVERFLOW(sum->cost, more->cost, &cost))
        return -ERR_RANGE;
    sum->charge = charge;
    sum->cost = cost;
    count_add(&sum->requests, more->requests);
    for (size_t i = 0; i < USAGE_CLASS_COUNT; i++)
        count_add(&sum->count[i], more->count[i]);
    return 0;
}

static struct str
name_of(const struct usage_form *form, enum form_member member)
{
    if (!form_has(form, member))
        return STR_EMPTY;
    return form->at[member].text.len > NAME_BYTES_MAX ? STR("(long)") : form->at[member].text;
}

static void
sum_of_form(const struct usage_form *form, struct sum *ret_sum)
{
    *ret_sum = (struct sum){
        .name = {.wallet = name_of(form, FORM_wallet),
                 .subject = name_of(form, FORM_subject),
                 .model = name_of(form, FORM_model),
                 .provider = name_of(form, FORM_provider)},
        .charge = (int64_t)MIN(form_number(form, FORM_charge), (uint64_t)INT64_MAX),
        .cost = (int64_t)MIN(form_number(form, FORM_cost), (uint64_t)INT64_MAX),
    };
    for (enum usage_class i = 0; i < USAGE_CLASS_COUNT; i++)
        ret_sum->count[i] = form_number(form, usage_walk_class(i));
}

void
sum_of_record(const struct usage_form *record, struct sum *ret_sum)
{
    sum_of_form(record, ret_sum);
    ret_sum->requests = 1;
    ret_sum->name.hour =
        (int64_t)MIN(form_number(record, FORM_at_ms) / 1000u / HOUR_S, (uint64_t)HOUR_MAX);
}

/* ---- pages: packed records, whose seq is how many they are of ------------------------------- */

static int
sum_compare(const void *left, const void *right)
{
    const struct sum *const *a = left;
    const struct sum *const *b = right;
    struct str of_a[NAME_TEXTS];
    struct str of_b[NAME_TEXTS];
    int order = 0;
    name_texts(&(*a)->name, of_a);
    name_texts(&(*b)->name, of_b);
    for (size_t i = 0; i < NAME_TEXTS && order == 0; i++)
        order = str_cmp(of_a[i], of_b[i]);
    return order;
}

static void
put_text(struct usage_form *form, enum form_member member, struct str text)
{
    form->has |= 1ull << member;
    form->at[member].text = text;
}

static void
put_number(struct usage_form *form, enum form_member member, uint64_t number)
{
    form->has |= 1ull << member;
    form->at[member].number = number;
}

static void
form_of_sum(const struct sum *sum, struct usage_form *ret_form)
{
    ASSERT(sum->charge >= 0 && sum->cost >= 0);
    ret_form->has = 1ull << FORM_usage;
    put_number(ret_form, FORM_seq, sum->requests);
    put_text(ret_form, FORM_wallet, sum->name.wallet);
    put_text(ret_form, FORM_subject, sum->name.subject);
    put_text(ret_form, FORM_model, sum->name.model);
    put_text(ret_form, FORM_provider, sum->name.provider);
    put_number(ret_form, FORM_charge, (uint64_t)sum->charge);
    put_number(ret_form, FORM_cost, (uint64_t)sum->cost);
    for (enum usage_class i = 0; i < USAGE_CLASS_COUNT; i++) {
        if (sum->count[i] > 0)
            put_number(ret_form, usage_walk_class(i), sum->count[i]);
    }
}

size_t
sum_page_write(const struct sum_table *table, int64_t hour, struct buf *out)
{
    struct usage_form forms[2] = {0};
    size_t count = 0;
    const struct sum **sums = calloc(table->map.count + 1, sizeof(struct sum *));
    if (sums == NULL) {
        out->failed = true;
        return 0;
    }
    MAP_FOREACH (slot, &table->map) {
        const struct sum *sum = slot->value;
        if (sum->name.hour == hour)
            sums[count++] = sum;
    }
    qsort(sums, count, sizeof(struct sum *), sum_compare);
    (void)buf_put_byte(out, PACK_MARK);
    for (size_t i = 0; i < count; i++) {
        form_of_sum(sums[i], &forms[i & 1]);
        pack_put(&forms[i & 1], &forms[(i & 1) ^ 1], out);
    }
    free(sums);
    return count;
}

int
sum_page_read(const struct store_row *row, sum_fn fn, void *user)
{
    struct usage_form form = {0};
    struct str rest = str_skip(row->key, sizeof KEY_ROLLUP - 1);
    struct str hour;
    uint64_t number;
    if (!str_cut(rest, '/', &hour, &rest) || num_padded(hour, &number) < 0 || row->value.len == 0 ||
        row->value.ptr[0] != PACK_MARK)
        return -ERR_STORE;
    rest = str_skip(row->value, 1);
    for (;;) {
        struct sum sum;
        int r = pack_next(&rest, &form);
        if (r <= 0)
            return r;
        sum_of_form(&form, &sum);
        sum.requests = form_number(&form, FORM_seq);
        sum.name.hour = (int64_t)number;
        r = fn(&sum, user);
        if (r != 0)
            return r;
    }
}
