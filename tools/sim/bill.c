/* SPDX-License-Identifier: MIT
 * bill.c - prices and entries of the simulator's bill.
 * Floor: tools/sim; any thread (one mutex).
 * Owns: entries, price rows.
 * Invariant: see bill.h. */
#include "tools/sim/bill.h"

#include <pthread.h>
#include <stdlib.h>

#include "lib/base/arena.h"
#include "lib/base/num.h"
#include "lib/text/json.h"
#include "lib/text/tree.h"

#define PRICES_MAX 4096u

struct price_row {
    struct str model;
    struct bill_price price;
};

struct bill {
    pthread_mutex_t lock;
    struct arena arena; /* texts of a loaded table */
    const struct price_row *prices;
    size_t price_count;
    struct price_row *loaded;
    struct bill_entry *entries;
    size_t entry_count;
    size_t entry_cap;
    uint64_t count;
    int64_t total_nano;
};

static const struct price_row defaults[] = {
    {STR("gpt-4o"), {2500, 10000, 1250, 0}},
    {STR("gpt-4o-mini"), {150, 600, 75, 0}},
    {STR("gpt-4.1"), {2000, 8000, 500, 0}},
    {STR("gpt-4.1-mini"), {400, 1600, 100, 0}},
    {STR("gpt-5"), {1250, 10000, 125, 0}},
    {STR("gpt-5-mini"), {250, 2000, 25, 0}},
    {STR("text-embedding-3-small"), {20, 0, 20, 0}},
    {STR("text-embedding-3-large"), {130, 0, 130, 0}},
    {STR("amazon.titan-embed-text-v2"), {20, 0, 20, 0}},
    {STR("claude-haiku-4-5"), {1000, 5000, 100, 0}},
    {STR("claude-sonnet-4-5"), {3000, 15000, 300, 0}},
    {STR("claude-opus-4-5"), {5000, 25000, 500, 0}},
    {STR("*"), {1000, 2000, 500, 0}},
    {STR("dall-e-2"), {.unit_nano = 20000000}},
    {STR("dall-e-3"), {.unit_nano = 40000000}},
    {STR("gpt-image-1"), {5000, 40000, 0, 10000}},
    {STR("tts-1"), {.unit_nano = 15000}},
    {STR("whisper-1"), {.unit_nano = 100000}},
    {STR("gpt-4o-mini-tts"), {600, 12000, 0, 250000}},
    {STR("gpt-4o-transcribe"), {2500, 10000, 0, 6000}},
    {STR("flux-schnell"), {.unit_nano = 3000000}},
    {STR("flux-slow"), {.unit_nano = 3000000}},
    {STR("flux-dev"), {.unit_nano = 25000000}},
    {STR("stable-image-core"), {.unit_nano = 30000000}},
    {STR("stable-image-ultra"), {.unit_nano = 80000000}},
    {STR("sd3.5-large"), {.unit_nano = 65000000}},
    {STR("flux-kontext-pro"), {.unit_nano = 40000000}},
    {STR("gemini-2.5-flash-image"), {.unit_nano = 39000000}},
    {STR("amazon.nova-canvas-v1"), {.unit_nano = 60000000}},
    {STR("imagen-4.0-generate-001"), {.unit_nano = 40000000}},
    {STR("omni-moderation-latest"), {0, 0, 0, 0}},
    {STR("rerank-v3.5"), {.unit_nano = 2000000}},
    {STR("jina-reranker-v2-base-multilingual"), {18, 0, 0, 0}},
};

int
bill_new(struct bill **ret_bill, struct err *err)
{
    struct bill *bill = calloc(1, sizeof(*bill));
    if (bill == NULL)
        return err_set(err, ERR_NOMEM, "no memory for the bill");
    (void)pthread_mutex_init(&bill->lock, NULL);
    arena_init(&bill->arena, 4u << 20);
    bill->prices = defaults;
    bill->price_count = ARRAY_LEN(defaults);
    *ret_bill = bill;
    return 0;
}

void
bill_free(struct bill **ref)
{
    struct bill *bill = TAKE(*ref);
    if (bill == NULL)
        return;
    (void)pthread_mutex_destroy(&bill->lock);
    arena_fini(&bill->arena);
    free(bill->loaded);
    free(bill->entries);
    free(bill);
}

static int
price_number(const struct tree *row, const char *name, int64_t *ret_value, struct err *err)
{
    const struct tree *node = tree_get(row, str_from(name));
    *ret_value = 0;
    if (node == NULL)
        return 0;
    if (node->kind != TREE_NUMBER || num_i64(node->text, 0, INT64_C(1000000000000), ret_value) != 0)
        return err_set_at(err, ERR_INVALID, node->line, node->column,
                          "%.*s: %s must be a whole number of nano-dollars a token",
                          STR_ARG(row->key), name);
    return 0;
}

int
bill_load_prices(struct bill *bill, struct str json, struct err *err)
{
    struct tree *root = NULL;
    int rc = tree_from_json(json, &bill->arena, &root, err);
    if (rc != 0)
        return rc;
    if (root->kind != TREE_MAP || root->count == 0 || root->count > PRICES_MAX)
        return err_set(err, ERR_INVALID, "prices: an object with 1 to %u models is needed",
                       PRICES_MAX);
    struct price_row *rows = calloc(root->count, sizeof(*rows));
    if (rows == NULL)
        return err_set(err, ERR_NOMEM, "no memory for prices");
    size_t count = 0;
    for (const struct tree *node = root->first; node != NULL && rc == 0; node = node->next) {
        struct price_row *row = &rows[count++];
        row->model = node->key;
        rc = price_number(node, "input_nano", &row->price.input_nano, err);
        if (rc == 0)
            rc = price_number(node, "output_nano", &row->price.output_nano, err);
        if (rc == 0)
            rc = price_number(node, "unit_nano", &row->price.unit_nano, err);
        row->price.cached_nano = row->price.input_nano;
        if (rc == 0 && tree_get(node, STR("cached_nano")) != NULL)
            rc = price_number(node, "cached_nano", &row->price.cached_nano, err);
    }
    if (rc != 0) {
        free(rows);
        return rc;
    }
    free(bill->loaded);
    bill->loaded = rows;
    bill->prices = rows;
    bill->price_count = count;
    return 0;
}

struct bill_price
bill_price_of(const struct bill *bill, struct str model)
{
    struct bill_price any = {0};
    for (size_t i = 0; i < bill->price_count; i++) {
        if (str_eq(bill->prices[i].model, model))
            return bill->prices[i].price;
        if (str_eq(bill->prices[i].model, STR("*")))
            any = bill->prices[i].price;
    }
    return any;
}

size_t
bill_model_count(const struct bill *bill)
{
    return bill->price_count;
}

struct str
bill_model(const struct bill *bill, size_t index)
{
    return bill->prices[index].model;
}

static int64_t
entry_cost(const struct bill_price *price, const struct bill_entry *entry)
{
    uint64_t cached = MIN(entry->cached, entry->prompt);
    int128_t cost =
        (int128_t)(entry->prompt - cached) * price->input_nano +
        (int128_t)cached * price->cached_nano + (int128_t)entry->completion * price->output_nano +
        (int128_t)entry->units * (entry->unit_nano != 0 ? entry->unit_nano : price->unit_nano);
    return cost > INT64_MAX ? INT64_MAX : (int64_t)cost;
}

void
bill_add(struct bill *bill, const struct bill_entry *entry)
{
    struct bill_price price = bill_price_of(bill, str_from(entry->model));
    struct bill_entry priced = *entry;
    priced.cost_nano = entry_cost(&price, entry);
    (void)pthread_mutex_lock(&bill->lock);
    bill->count++;
    if (ADD_OVERFLOW(bill->total_nano, priced.cost_nano, &bill->total_nano))
        bill->total_nano = INT64_MAX;
    if (bill->entry_count == bill->entry_cap && bill->entry_cap < BILL_ENTRIES_MAX) {
        size_t cap = bill->entry_cap == 0 ? 256 : bill->entry_cap * 2;
        struct bill_entry *entries = realloc(bill->entries, cap * sizeof(*entries));
        if (entries != NULL) {
            bill->entries = entries;
            bill->entry_cap = cap;
        }
    }
    if (bill->entry_count < bill->entry_cap)
        bill->entries[bill->entry_count++] = priced;
    (void)pthread_mutex_unlock(&bill->lock);
}

static void
render_entry(struct json_writer *json, const struct bill_entry *entry)
{
    static const char *const delivered[] = {"none", "partial", "complete"};
    json_open_object(json);
    json_member_str(json, "request_id", str_from(entry->request_id));
    json_member_str(json, "model", str_from(entry->model));
    json_member_str(json, "dialect",
                    entry->dialect != NULL ? str_from(entry->dialect) : STR("openai"));
    json_member_u64(json, "status", entry->status);
    json_member_str(json, "delivered", str_from(delivered[entry->delivered]));
    json_member_u64(json, "prompt_tokens", entry->prompt);
    json_member_u64(json, "cached_tokens", entry->cached);
    json_member_u64(json, "completion_tokens", entry->completion);
    json_member_u64(json, "reasoning_tokens", entry->reasoning);
    json_member_u64(json, "units", entry->units);
    json_member_i64(json, "cost_nano", entry->cost_nano);
    json_close_object(json);
}

int
bill_render(struct bill *bill, bool summary, struct buf *out)
{
    char total[24];
    struct json_writer json;
    json_writer_init(&json, out);
    (void)pthread_mutex_lock(&bill->lock);
    size_t digits = num_write_u64(total, (uint64_t)bill->total_nano);
    json_open_object(&json);
    json_member_u64(&json, "count", bill->count);
    json_member_str(&json, "total_nano", str_make(total, digits));
    if (!summary) {
        json_key(&json, "entries");
        json_open_array(&json);
        for (size_t i = 0; i < bill->entry_count; i++)
            render_entry(&json, &bill->entries[i]);
        json_close_array(&json);
    }
    json_close_object(&json);
    (void)pthread_mutex_unlock(&bill->lock);
    return out->failed ? -ERR_TOO_LARGE : 0;
}

void
bill_reset(struct bill *bill)
{
    (void)pthread_mutex_lock(&bill->lock);
    bill->entry_count = 0;
    bill->count = 0;
    bill->total_nano = 0;
    (void)pthread_mutex_unlock(&bill->lock);
}
