/* SPDX-License-Identifier: MIT
 * apply.c - what the control plane pushes, made true on every worker: then acked, or refused with a
 * reason. Floor: dataplane/node; sync thread. Owns: the state file with the last good
 * configuration. Invariant: a part is acked only after every worker has it; a refused one leaves
 * the last good one. */
#include <stdio.h>
#include <stdlib.h>

#include "dataplane/node/field.h"
#include "dataplane/node/node.h"
#include "lib/base/check.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/base/secret.h"

static void
answer(struct node *node, const char *part, uint64_t rev, const struct err *err)
{
    struct json_writer w;
    node->out.len = 0;
    json_writer_init(&w, &node->out);
    json_open_object(&w);
    json_member_str(&w, "type", err == NULL ? STR("ack") : STR("nack"));
    json_member_str(&w, "part", str_from(part));
    field_put(&w, "rev", rev);
    if (err != NULL) {
        struct str path;
        struct str reason;
        if (!str_cut(str_from(err->text), ':', &path, &reason))
            path = STR_EMPTY;
        json_member_str(&w, "path", path);
        json_member_str(&w, "reason", str_from(err->text));
    }
    json_close_object(&w);
    if (node->link != NULL)
        (void)link_send(node->link, buf_str(&node->out));
}

/* ---- config ---------------------------------------------------------------------------------- */

struct config_arg {
    struct config *config;
    _Atomic int failed;
};

static void
config_run(struct node_worker *worker, void *opaque)
{
    struct config_arg *arg = opaque;
    struct err err = {0};
    if (worker_set_config(&worker->worker, config_acquire(arg->config), &err) == 0)
        return;
    LOG_ERROR("configuration refused by a worker", LOG_E(&err));
    atomic_store(&arg->failed, 1);
}

static void
config_save(const struct node *node, const struct json_doc *doc)
{
    struct err err = {0};
    if (secret_write_file(node->last_good, doc->text, &err) != 0)
        LOG_WARN("cannot keep the configuration for a cold start, ignoring", LOG_E(&err));
}

void
node_apply_config(struct node *node, const struct json_doc *doc, bool from_disk)
{
    uint64_t rev = 0;
    struct err err = {0};
    struct config *config = NULL;
    if (!field_get(doc, 0, "rev", &rev))
        return;
    uint32_t object = json_get(doc, 0, STR("doc"));
    int rc = rev < node->config_rev ? err_set(&err, ERR_CONFLICT, "rev: older than what is served")
                                    : config_parse(doc, object, rev, &node->funds, &config, &err);
    if (rc == 0 && !json_string_eq(doc, json_get(doc, 0, STR("hash")), str_from(config->hash)))
        rc = err_set(&err, ERR_SIGNATURE, "hash: does not match the document");
    if (rc != 0) {
        config_release(&config);
        LOG_ERROR("configuration refused", LOG_E(&err));
        answer(node, "config", rev, &err);
        return;
    }
    struct config_arg arg = {.config = config};
    node_each_worker(node, config_run, &arg);
    if (atomic_load(&arg.failed)) {
        (void)err_set(&err, ERR_INVALID, "providers: a connection pool cannot be made");
        answer(node, "config", rev, &err);
        config_release(&config);
        return;
    }
    config_release(&node->config);
    node->config = config;
    node->config_rev = rev;
    LOG_INFO("configuration applied", LOG_U("rev", rev), LOG_U("models", config->model_count),
             LOG_U("providers", config->provider_count));
    if (from_disk)
        return;
    answer(node, "config", rev, NULL);
    config_save(node, doc);
}

/* ---- bindings -------------------------------------------------------------------------------- */

struct named {
    const struct json_doc *doc;
    uint32_t rows;
    uint8_t gone[256][INCARNATION_BYTES];
    size_t count;
    bool more;
};

static bool
row_incarnation(const struct json_doc *doc, uint32_t row, uint8_t ret[INCARNATION_BYTES])
{
    struct str raw = json_raw(doc, json_get(doc, row, STR("incarnation")));
    return raw.len == 2u * INCARNATION_BYTES + 2u &&
           hex_decode(str_make(raw.ptr + 1, raw.len - 2), ret, INCARNATION_BYTES) == 0;
}

static void
collect_unnamed(struct live_binding *binding, void *user)
{
    struct named *named = user;
    if (atomic_load(&binding->revoked))
        return;
    for (uint32_t row = json_first(named->doc, named->rows); row != JSON_NONE;
         row = json_sibling(named->doc, named->rows, row)) {
        uint8_t incarnation[INCARNATION_BYTES];
        if (row_incarnation(named->doc, row, incarnation) &&
            memcmp(incarnation, binding->binding.incarnation, INCARNATION_BYTES) == 0)
            return;
    }
    if (named->count == ARRAY_LEN(named->gone)) {
        named->more = true;
        return;
    }
    memcpy(named->gone[named->count++], binding->binding.incarnation, INCARNATION_BYTES);
}

/* A full resync: whoever is not named any more is revoked. */
static void
revoke_unnamed(struct node *node, const struct json_doc *doc, uint32_t rows)
{
    struct named *named = calloc(1, sizeof(*named));
    if (named == NULL)
        return; /* the validity lease will end them */
    do {
        *named = (struct named){.doc = doc, .rows = rows};
        live_each(&node->live, collect_unnamed, named);
        for (size_t i = 0; i < named->count; i++)
            node_revoke(node, named->gone[i]);
    } while (named->more);
    free(named);
    live_forget_revoked(&node->live);
}

void
node_apply_bindings(struct node *node, const struct json_doc *doc)
{
    uint64_t rev = 0;
    bool full = false;
    uint32_t rows = json_get(doc, 0, STR("rows"));
    if (!field_get(doc, 0, "rev", &rev) || !json_is(doc, rows, JSON_ARRAY))
        return;
    (void)!json_bool(doc, json_get(doc, 0, STR("full")), &full);
    if (full)
        revoke_unnamed(node, doc, rows);
    struct err bad = {0};
    uint32_t index = 0;
    for (uint32_t row = json_first(doc, rows); row != JSON_NONE;
         row = json_sibling(doc, rows, row), index++) {
        bool deleted = false;
        uint8_t incarnation[INCARNATION_BYTES];
        struct err err = {0};
        (void)!json_bool(doc, json_get(doc, row, STR("deleted")), &deleted);
        if (deleted && row_incarnation(doc, row, incarnation)) {
            node_revoke(node, incarnation);
            continue;
        }
        int rc = live_put(&node->live, doc, row, &err);
        if (rc != 0 && rc != -ERR_REVOKED)
            (void)err_set(&bad, ERR_INVALID, "rows[%u]: %.200s", index, err.text);
    }
    if (bad.code != 0)
        LOG_ERROR("binding refused", LOG_E(&bad));
    node->bindings_rev = rev;
    answer(node, "bindings", rev, bad.code != 0 ? &bad : NULL);
}

/* ---- funds ----------------------------------------------------------------------------------- */

static void
funds_run(struct loop_task *task)
{
    struct node_worker *worker = CONTAINER_OF(task, struct node_worker, funds_task);
    atomic_store(&worker->funds_posted, false);
    worker_funds_changed(&worker->worker);
}

static enum fund_status
status_of(const struct json_doc *doc, uint32_t row)
{
    uint32_t node = json_get(doc, row, STR("status"));
    if (json_string_eq(doc, node, STR("ok")))
        return FUND_OK;
    if (json_string_eq(doc, node, STR("frozen")))
        return FUND_FROZEN;
    return json_string_eq(doc, node, STR("empty")) ? FUND_EMPTY : FUND_UNKNOWN;
}

void
node_apply_funds(struct node *node, const struct json_doc *doc)
{
    uint64_t rev = 0;
    uint32_t rows = json_get(doc, 0, STR("rows"));
    if (!field_get(doc, 0, "rev", &rev) || !json_is(doc, rows, JSON_ARRAY))
        return;
    for (uint32_t row = json_first(doc, rows); row != JSON_NONE;
         row = json_sibling(doc, rows, row)) {
        struct str wallet = json_raw(doc, json_get(doc, row, STR("wallet")));
        uint64_t granted = 0;
        if (wallet.len < 3 || !field_get(doc, row, "granted", &granted) || granted > INT64_MAX)
            continue;
        struct fund *fund = funds_get(&node->funds, str_make(wallet.ptr + 1, wallet.len - 2));
        if (fund != NULL)
            fund_grant(fund, (int64_t)granted, status_of(doc, row));
    }
    node->funds_rev = rev;
    for (uint32_t i = 0; i < node->worker_count; i++) {
        struct node_worker *worker = &node->workers[i];
        if (atomic_exchange(&worker->funds_posted, true))
            continue;
        worker->funds_task.run = funds_run;
        loop_post(worker->worker.loop, &worker->funds_task);
    }
    answer(node, "funds", rev, NULL);
}

void
node_send_lease(struct node *node)
{
    pthread_mutex_lock(&node->funds.lock);
    MAP_FOREACH (slot, &node->funds.by_wallet) {
        struct fund *fund = slot->value;
        if (!atomic_load(&fund->wanted))
            continue;
        int64_t need = atomic_load(&fund->need);
        int64_t ask = FUND_LEASE_NANO;
        if (need > ask / 2 && need < INT64_MAX / 4)
            ask += need;
        struct json_writer w;
        node->out.len = 0;
        json_writer_init(&w, &node->out);
        json_open_object(&w);
        json_member_str(&w, "type", STR("lease"));
        field_put(&w, "epoch", node->epoch);
        json_member_str(&w, "wallet", slot->key);
        field_put(&w, "granted", (uint64_t)atomic_load(&fund->granted));
        field_put(&w, "want", (uint64_t)ask);
        json_close_object(&w);
        if (link_is_up(node->link))
            (void)link_send(node->link, buf_str(&node->out));
        else
            atomic_store(&fund->wanted, false); /* asked again after hello */
    }
    pthread_mutex_unlock(&node->funds.lock);
}
