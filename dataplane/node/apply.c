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
    node_upload_mark(node);
    node_drop_budgets(node);
    LOG_INFO("configuration applied", LOG_U("rev", rev), LOG_U("models", config->model_count),
             LOG_U("providers", config->provider_count));
    if (from_disk)
        return;
    answer(node, "config", rev, NULL);
    config_save(node, doc);
}

/* ---- bindings -------------------------------------------------------------------------------- */

static bool
row_incarnation(const struct json_doc *doc, uint32_t row, uint8_t ret[INCARNATION_BYTES])
{
    struct str raw = json_raw(doc, json_get(doc, row, STR("incarnation")));
    return raw.len == 2u * INCARNATION_BYTES + 2u &&
           hex_decode(str_make(raw.ptr + 1, raw.len - 2), ret, INCARNATION_BYTES) == 0;
}

/* A full resync: whoever is not named any more is revoked. */
static void
revoke_unnamed(struct node *node, const struct json_doc *doc, uint32_t rows)
{
    uint8_t gone[64][INCARNATION_BYTES];
    uint8_t incarnation[INCARNATION_BYTES];
    size_t count;
    live_mark_begin(&node->live);
    for (uint32_t row = json_first(doc, rows); row != JSON_NONE;
         row = json_sibling(doc, rows, row)) {
        if (row_incarnation(doc, row, incarnation))
            live_mark(&node->live, incarnation);
    }
    while ((count = live_unmarked(&node->live, gone, ARRAY_LEN(gone))) > 0) {
        for (size_t i = 0; i < count; i++)
            node_revoke(node, gone[i]);
    }
    live_forget_unmarked(&node->live);
}

/* One row: gone for good, gone for now, or in force with what it says. */
static int
apply_row(struct node *node, const struct json_doc *doc, uint32_t row, struct err *err)
{
    bool deleted = false;
    bool suspended = false;
    uint8_t incarnation[INCARNATION_BYTES];
    struct live_binding *old = NULL;
    struct live_binding *new = NULL;
    (void)!json_bool(doc, json_get(doc, row, STR("deleted")), &deleted);
    (void)!json_bool(doc, json_get(doc, row, STR("suspended")), &suspended);
    if ((deleted || suspended) && !row_incarnation(doc, row, incarnation))
        return err_set(err, ERR_INVALID, "a row has no incarnation");
    if (deleted) {
        node_revoke(node, incarnation);
        live_drop(&node->live, incarnation, true);
        return 0;
    }
    if (suspended) {
        node_suspend(node, incarnation);
        return 0;
    }
    int rc = live_put(&node->live, doc, row, &old, &new, err);
    if (old != NULL)
        node_replace(node, old, new);
    live_release(&old);
    live_release(&new);
    return rc == -ERR_REVOKED ? 0 : rc;
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
        struct err err = {0};
        if (apply_row(node, doc, row, &err) != 0)
            (void)err_set(&bad, ERR_INVALID, "rows[%u]: %.200s", index, err.text);
    }
    if (bad.code != 0)
        LOG_ERROR("binding refused", LOG_E(&bad));
    node->bindings_rev = rev;
    node->bindings_heard = true;
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
    if (json_string_eq(doc, node, STR("over")))
        return FUND_OVER;
    return json_string_eq(doc, node, STR("empty")) ? FUND_EMPTY : FUND_UNKNOWN;
}

static enum fund_per
per_of(const struct json_doc *doc, uint32_t row)
{
    static const struct str names[] = {[FUND_PER_HOUR] = {"hour", 4},
                                       [FUND_PER_DAY] = {"day", 3},
                                       [FUND_PER_MONTH] = {"month", 5}};
    uint32_t node = json_get(doc, row, STR("cap_per"));
    for (unsigned i = FUND_PER_HOUR; i < ARRAY_LEN(names); i++) {
        if (json_string_eq(doc, node, names[i]))
            return (enum fund_per)i;
    }
    return FUND_PER_NONE;
}

static int64_t
nano_get(const struct json_doc *doc, uint32_t row, const char *key, int64_t otherwise)
{
    uint64_t nano = 0;
    return field_get(doc, row, key, &nano) && nano <= INT64_MAX ? (int64_t)nano : otherwise;
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
        if (fund == NULL)
            continue;
        enum fund_status status = status_of(doc, row);
        const struct fund_word word = {
            .granted = (int64_t)granted,
            .returned = nano_get(doc, row, "returned", 0),
            .free = nano_get(doc, row, "free", status == FUND_OK ? INT64_MAX : 0),
            .balance = nano_get(doc, row, "balance", 0),
            .cap = nano_get(doc, row, "cap", 0),
            .cap_spent = nano_get(doc, row, "cap_spent", 0),
            .cap_resets_s = nano_get(doc, row, "cap_resets", 0),
            .cap_per = per_of(doc, row),
            .status = status,
        };
        fund_hear(fund, &word);
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
