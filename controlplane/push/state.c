/* SPDX-License-Identifier: MIT
 * state.c - the records that go down: full state after hello, then only what changes.
 * Floor: controlplane/push; engine thread.
 * Owns: what each node was told (rows, funds).
 * Invariant: `sum` of a bindings record is the number of rows the node holds after it. */
#include "controlplane/billing/cap.h"
#include "controlplane/push/push_int.h"

#include <stdlib.h>

#include "lib/base/check.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/base/num.h"

#define ARENA_BYTES_MAX (64u * 1024u * 1024u)

/* One record under construction. */
struct record {
    struct buf text;
    struct json_writer writer;
};

static void
member_digits(struct json_writer *writer, const char *key, uint64_t value)
{
    char text[20];
    json_member_str(writer, key, str_make(text, num_write_u64(text, value)));
}

static struct json_writer *
record_begin(struct record *record, const char *type)
{
    buf_init(&record->text, PUSH_RECORD_BYTES_MAX);
    json_writer_init(&record->writer, &record->text);
    json_open_object(&record->writer);
    json_member_str(&record->writer, "type", str_from(type));
    return &record->writer;
}

static void
record_send(struct record *record, struct node *node, enum frame_kind kind)
{
    json_close_object(&record->writer);
    if (record->text.failed)
        node_drop(node, "a record for it could not be built");
    else
        node_send(node, kind, buf_str(&record->text));
    buf_wipe(&record->text);
}

static uint64_t
revision_now(const struct node *node)
{
    return store_revision(node->push->engine->conf.store);
}

static void
put_keys(struct json_writer *writer, const struct engine *engine)
{
    char key[2 * ED25519_KEY_BYTES + 1];
    hex_encode(engine->public_key, ED25519_KEY_BYTES, key);
    json_member_str(writer, "server_key", str_from(key));
    json_key(writer, "server_keys");
    json_open_array(writer);
    for (size_t i = 0; i < engine->accepted_count; i++) {
        hex_encode(engine->accepted[i], ED25519_KEY_BYTES, key);
        json_value_str(writer, str_from(key));
    }
    json_close_array(writer);
}

void
state_keys(struct node *node)
{
    struct record record;
    struct json_writer *writer = record_begin(&record, "keys");
    member_digits(writer, "rev", revision_now(node));
    put_keys(writer, node->push->engine);
    record_send(&record, node, FRAME_PLAIN);
}

void
state_welcome(struct node *node)
{
    struct record record;
    const struct engine *engine = node->push->engine;
    struct json_writer *writer = record_begin(&record, "welcome");
    json_member_str(writer, "server", str_from(engine->server));
    put_keys(writer, engine);
    json_member_i64(writer, "now_ms", clock_wall_ns() / 1000000);
    json_member_u64(writer, "lease_ms", node->push->conf.lease_ms);
    json_member_str(writer, "node", str_from(node->name));
    json_member_bool(writer, "usage_texts", true);
    json_member_bool(writer, "gone", true);
    record_send(&record, node, FRAME_PLAIN);
}

void
state_tick(struct node *node)
{
    struct record record;
    struct json_writer *writer = record_begin(&record, "tick");
    member_digits(writer, "rev", revision_now(node));
    record_send(&record, node, FRAME_PLAIN);
    presence_ticked(node);
}

void
state_config(struct node *node, bool full)
{
    struct record record;
    const struct snapshot *snapshot = &node->push->engine->snapshot;
    if (snapshot->revision == 0)
        return;
    struct json_writer *writer = record_begin(&record, "config");
    member_digits(writer, "rev", snapshot->revision);
    json_member_str(writer, "hash", str_from(snapshot->hash));
    json_member_raw(writer, "doc", buf_str(&snapshot->text));
    node->sent[PART_config] = snapshot->revision;
    record_send(&record, node, full ? FRAME_FULL : FRAME_CONFIG);
}

/* ---- bindings -------------------------------------------------------------------------------- */

bool
state_serves(const struct node *node, struct str boot)
{
    if (str_eq(str_from(node->boot), boot))
        return true;
    LIST_FOREACH (at, &node->push->nodes) {
        const struct node *other = LIST_ENTRY(at, struct node, in_push);
        if (node_is_live(other, ROLE_DATAPLANE) && str_eq(str_from(other->boot), boot))
            return false;
    }
    return true;
}

static bool
remember_row(struct node *node, const char *hex)
{
    char *copy = map_get(&node->rows, str_from(hex)) ? NULL : str_dup(str_from(hex));
    if (!copy)
        return map_get(&node->rows, str_from(hex)) != NULL;
    if (map_put(&node->rows, str_from(copy), copy, NULL) < 0) {
        free(copy);
        return false;
    }
    return true;
}

static void
bindings_begin(struct record *record, struct node *node, uint64_t revision, bool full)
{
    struct json_writer *writer = record_begin(record, "bindings");
    member_digits(writer, "rev", revision);
    json_member_bool(writer, "full", full);
    json_key(writer, "rows");
    json_open_array(writer);
    node->sent[PART_bindings] = revision;
}

static void
bindings_send(struct record *record, struct node *node, bool full)
{
    json_close_array(&record->writer);
    member_digits(&record->writer, "sum", node->rows.count);
    record_send(record, node, full ? FRAME_FULL : FRAME_PLAIN);
}

void
state_bindings_full(struct node *node)
{
    struct record record;
    bindings_begin(&record, node, revision_now(node), true);
    LIST_FOREACH (at, &node->push->engine->bindings.all) {
        const struct binding_row *row = LIST_ENTRY(at, struct binding_row, node_in_all);
        if (row->suspended != 0 || !state_serves(node, row->binding.boot))
            continue;
        if (!remember_row(node, row->hex)) {
            buf_wipe(&record.text);
            node_drop(node, "out of memory");
            return;
        }
        json_value_raw(&record.writer, row->json);
    }
    bindings_send(&record, node, true);
}

void
state_binding_add(struct node *node, const struct binding_row *row)
{
    struct record record;
    if (!remember_row(node, row->hex)) {
        node_drop(node, "out of memory");
        return;
    }
    bindings_begin(&record, node, row->revision, false);
    json_value_raw(&record.writer, row->json);
    bindings_send(&record, node, false);
}

static void
send_revoke(struct node *node, const char *hex, uint64_t revision, bool suspend)
{
    struct record record;
    struct json_writer *writer = record_begin(&record, "revoke");
    member_digits(writer, "rev", revision);
    json_member_str(writer, "incarnation", str_from(hex));
    if (suspend)
        json_member_bool(writer, "suspend", true);
    node->sent[PART_revoke] = revision;
    record_send(&record, node, FRAME_URGENT);
}

/* Twice: at once, and in its place among the rows, so that no row which waits in the queue brings
 * it back. */
static void
take_row(struct node *node, const struct binding_row *row, uint64_t revision, bool suspend)
{
    struct record record;
    void *known = map_remove(&node->rows, str_from(row->hex));
    if (!known)
        return;
    free(known);
    send_revoke(node, row->hex, revision, suspend);
    bindings_begin(&record, node, revision, false);
    json_open_object(&record.writer);
    json_member_str(&record.writer, "incarnation", str_from(row->hex));
    json_member_bool(&record.writer, suspend ? "suspended" : "deleted", true);
    json_close_object(&record.writer);
    bindings_send(&record, node, false);
}

void
state_binding_end(struct node *node, const struct binding_row *row, uint64_t revision)
{
    if (node->role == ROLE_AGENT)
        send_revoke(node, row->hex, revision, false);
    else
        take_row(node, row, revision, false);
}

void
state_binding_suspend(struct node *node, const struct binding_row *row, uint64_t revision)
{
    take_row(node, row, revision, true);
}

/* ---- funds ----------------------------------------------------------------------------------- */

struct funds_row {
    struct str wallet;
    int64_t granted;
    int64_t returned;
    int64_t free;
    int64_t balance;
    struct cap_word cap;
    const char *per; /* the period of `cap`, or NULL */
    const char *status;
};

/* false: the store cannot be read. */
static bool
look_up_cap(const struct node *node, struct str wallet, struct money ai_usage,
            struct cap_word *ret_word)
{
    CLEANUP(arena_fini) struct arena arena;
    struct store *store = node->push->engine->conf.store;
    struct object object;
    arena_init(&arena, 4u * OBJECT_BYTES_MAX);
    int code = object_get(store, kind_at(KIND_WALLET), wallet, &arena, &object, NULL);
    *ret_word = (struct cap_word){.resets_s = 0};
    if (code == 0)
        code = cap_look(store, &object, ai_usage, clock_wall_ns() / 1000000, &arena, ret_word);
    return code == 0 || code == -ERR_NOT_FOUND;
}

/* Of a budget the cap that leaves least is told. One that is gone has no cap. */
static bool
look_up_budget(const struct node *node, struct str name, struct funds_row *row)
{
    struct budget_state state = {.caps = {.capped = {false}}};
    struct err err = {0};
    int code = budget_get(node->push->conf.ledger, name, &state, &err);
    if (code < 0 && code != -ERR_NOT_FOUND)
        return false;
    row->free = code == 0 ? state.free.nano : INT64_MAX;
    row->balance = row->free;
    row->status = state.over ? "over" : row->free > 0 ? "ok" : "empty";
    if (!state.capped)
        return true;
    row->cap = (struct cap_word){.amount = state.caps.amount[state.tight],
                                 .spent = state.spent[state.tight],
                                 .resets_s = state.resets_ms[state.tight] / 1000};
    row->per = period_name(state.tight);
    return true;
}

static bool
look_up_wallet(const struct node *node, struct str wallet, struct funds_row *row)
{
    struct ledger_balances balances;
    struct err err = {0};
    if (ledger_balances(node->push->conf.ledger, wallet, &balances, &err) < 0 ||
        !look_up_cap(node, wallet, balances.ai_usage, &row->cap))
        return false;
    row->free = balances.lendable.nano;
    row->balance = MIN(balances.lendable.nano + balances.held.nano, balances.ai_remaining.nano);
    row->balance = MAX(row->balance, (int64_t)0);
    row->status = row->free > 0 ? "ok" : "empty";
    if (engine_wallet_frozen(node->push->engine, wallet))
        row->status = "frozen";
    return true;
}

/* What to tell now; false when the ledger cannot be read (the next change tries again). */
static bool
look_up_funds(const struct node *node, struct str wallet, struct funds_row *ret_row)
{
    struct ledger_lease lease = {0};
    struct err err = {0};
    int code =
        lease_get(node->push->conf.ledger, str_from(node->name), node->epoch, wallet, &lease, &err);
    if (code < 0 && code != -ERR_NOT_FOUND)
        return false;
    *ret_row = (struct funds_row){
        .wallet = wallet, .granted = lease.granted.nano, .returned = lease.returned.nano};
    return budget_name_valid(wallet) ? look_up_budget(node, wallet, ret_row)
                                     : look_up_wallet(node, wallet, ret_row);
}

/* What is free for others is news only when it is nothing, or something again: the status. */
static bool
remember_funds(struct node *node, const struct funds_row *row, bool *ret_changed)
{
    struct str wallet = row->wallet;
    struct told_funds *told = map_get(&node->funds, wallet);
    *ret_changed = !told || told->granted != row->granted || told->status != row->status ||
                   told->returned != row->returned;
    if (!told) {
        told = malloc(sizeof *told + wallet.len);
        if (!told)
            return false;
        told->wallet_len = wallet.len;
        memcpy(told->wallet, wallet.ptr, wallet.len);
        if (map_put(&node->funds, str_make(told->wallet, wallet.len), told, NULL) < 0) {
            free(told);
            return false;
        }
    }
    told->granted = row->granted;
    told->returned = row->returned;
    told->status = row->status;
    return true;
}

static void
put_funds_row(struct json_writer *writer, const struct funds_row *row)
{
    json_open_object(writer);
    json_member_str(writer, "wallet", row->wallet);
    member_digits(writer, "granted", (uint64_t)row->granted);
    member_digits(writer, "returned", (uint64_t)row->returned);
    member_digits(writer, "free", (uint64_t)row->free);
    member_digits(writer, "balance", (uint64_t)row->balance);
    if (row->cap.amount.nano > 0 || row->per) {
        if (row->per)
            json_member_str(writer, "cap_per", str_from(row->per));
        member_digits(writer, "cap", (uint64_t)row->cap.amount.nano);
        member_digits(writer, "cap_spent", (uint64_t)row->cap.spent.nano);
        member_digits(writer, "cap_resets", (uint64_t)row->cap.resets_s);
    }
    json_member_str(writer, "status", str_from(row->status));
    json_close_object(writer);
}

static struct json_writer *
funds_begin(struct record *record, struct node *node, bool full)
{
    struct json_writer *writer = record_begin(record, "funds");
    node->sent[PART_funds] = revision_now(node);
    member_digits(writer, "rev", node->sent[PART_funds]);
    json_member_bool(writer, "full", full);
    json_key(writer, "rows");
    json_open_array(writer);
    return writer;
}

void
state_funds(struct node *node, struct str wallet, bool always)
{
    struct record record;
    struct funds_row row;
    bool changed;
    /* Budgets are many: nodes hear of those that they asked for. */
    if (!always && budget_name_valid(wallet) && !map_get(&node->funds, wallet))
        return;
    if (!look_up_funds(node, wallet, &row))
        return;
    if (!remember_funds(node, &row, &changed)) {
        node_drop(node, "out of memory");
        return;
    }
    if (!changed && !always)
        return;
    put_funds_row(funds_begin(&record, node, false), &row);
    json_close_array(&record.writer);
    record_send(&record, node, FRAME_PLAIN);
}

static void
put_funds_of(struct json_writer *writer, struct node *node, struct str wallet)
{
    struct funds_row row;
    bool changed;
    if (look_up_funds(node, wallet, &row) && remember_funds(node, &row, &changed))
        put_funds_row(writer, &row);
}

/* All wallets, and the budgets that it has something of. */
void
state_funds_full(struct node *node)
{
    struct record record;
    struct arena arena;
    struct object *wallets = NULL;
    size_t count = 0;
    struct ledger_lease_row *leases = NULL;
    size_t lease_count = 0;
    struct err err = {0};
    arena_init(&arena, ARENA_BYTES_MAX);
    if (object_list(node->push->engine->conf.store, kind_at(KIND_WALLET), STR_EMPTY, 0, &arena,
                    &wallets, &count, &err) < 0)
        LOG_ERROR("listing the wallets failed", LOG_E(&err));
    funds_begin(&record, node, true);
    for (size_t i = 0; i < count; i++)
        put_funds_of(&record.writer, node, wallets[i].name);
    if (lease_list(node->push->conf.ledger, str_from(node->name), node->epoch, &arena, &leases,
                   &lease_count, &err) < 0)
        LOG_ERROR("listing the leases failed", LOG_E(&err));
    for (size_t i = 0; i < lease_count; i++) {
        if (budget_name_valid(leases[i].wallet))
            put_funds_of(&record.writer, node, leases[i].wallet);
    }
    json_close_array(&record.writer);
    record_send(&record, node, FRAME_FULL);
    arena_fini(&arena);
}
