/* SPDX-License-Identifier: MIT
 * lease.c - asking for money, and giving back what is not needed.
 * Floor: dataplane/node; sync thread.
 * Owns: nothing; the funds are the node's.
 * Invariant: what goes back has left `available` before it is said; `returned` is cumulative, so
 *            that it may be said again. fund_test.c, e2e/overspend.sh. */
#include "dataplane/node/field.h"
#include "dataplane/node/node.h"

static void
record_begin(struct node *node, struct json_writer *writer, const char *type, struct str wallet)
{
    node->out.len = 0;
    json_writer_init(writer, &node->out);
    json_open_object(writer);
    json_member_str(writer, "type", str_from(type));
    field_put(writer, "epoch", node->epoch);
    json_member_str(writer, "wallet", wallet);
}

/* What ended here before a caller had a cap was held of no budget, and is spent: the ledger has to
 * have it before it lends, or it would take it out of what it lent, and we would spend it twice. */
static bool
is_early(const struct node *node, const struct fund *fund)
{
    return fund_is_budget(fund) && (fund->lapsed || atomic_load(&fund->granted) == 0) &&
           !node_upload_marked(node);
}

void
node_send_lease(struct node *node)
{
    node->lease_waits = false;
    pthread_mutex_lock(&node->funds.lock);
    MAP_FOREACH (slot, &node->funds.by_wallet) {
        struct fund *fund = slot->value;
        struct json_writer w;
        int64_t want;
        int64_t need;
        if (!atomic_load(&fund->wanted))
            continue;
        if (!link_is_up(node->link)) {
            atomic_store(&fund->wanted, false); /* asked again after hello */
            continue;
        }
        if (is_early(node, fund)) {
            node->lease_waits = true;
            continue;
        }
        fund->lapsed = false;
        fund_ask(fund, &want, &need);
        record_begin(node, &w, "lease", slot->key);
        field_put(&w, "granted", (uint64_t)atomic_load(&fund->granted));
        field_put(&w, "want", (uint64_t)want);
        field_put(&w, "need", (uint64_t)need);
        json_close_object(&w);
        (void)link_send(node->link, buf_str(&node->out));
    }
    pthread_mutex_unlock(&node->funds.lock);
}

/* What is said while the link is down is said again by node_say_returned. */
static void
say_returned(struct node *node, const struct fund *fund)
{
    struct json_writer w;
    record_begin(node, &w, "return", str_from(fund->wallet));
    field_put(&w, "returned", (uint64_t)fund->returned);
    json_close_object(&w);
    (void)link_send(node->link, buf_str(&node->out));
}

void
node_say_returned(struct node *node)
{
    pthread_mutex_lock(&node->funds.lock);
    MAP_FOREACH (slot, &node->funds.by_wallet) {
        const struct fund *fund = slot->value;
        if (fund->returned > 0)
            say_returned(node, fund);
    }
    pthread_mutex_unlock(&node->funds.lock);
}

static void
note_caps(const struct config *config)
{
    for (uint32_t i = 0; i < config->key_count; i++) {
        if (config->keys[i].budget != NULL)
            config->keys[i].budget->config_rev = config->revision;
    }
    for (uint32_t i = 0; i < config->container_count; i++) {
        if (config->containers[i].budget != NULL)
            config->containers[i].budget->config_rev = config->revision;
    }
}

static bool
is_capped(const struct config *config, const struct fund *budget)
{
    const struct fund *payer = atomic_load(&budget->payer);
    return budget->config_rev == config->revision ||
           (payer != NULL && config_caps_wallet(config, str_from(payer->wallet)));
}

void
node_drop_budgets(struct node *node)
{
    note_caps(node->config);
    pthread_mutex_lock(&node->funds.lock);
    MAP_FOREACH (slot, &node->funds.by_wallet) {
        struct fund *fund = slot->value;
        if (!fund_is_budget(fund) || is_capped(node->config, fund))
            continue;
        fund->lapsed = true;
        if (fund_take_all(fund) > 0 && node->link != NULL)
            say_returned(node, fund);
    }
    pthread_mutex_unlock(&node->funds.lock);
}

void
node_funds_tick(struct node *node)
{
    if (node->link == NULL || !link_is_up(node->link))
        return;
    uint64_t round = node_upload_round(node);
    pthread_mutex_lock(&node->funds.lock);
    MAP_FOREACH (slot, &node->funds.by_wallet) {
        struct fund *fund = slot->value;
        if (fund_tick(fund) > 0)
            say_returned(node, fund);
        if (fund->idle_s == 0)
            fund->idle_round = round;
        else if (round >= fund->idle_round + 2)
            fund_forgive(fund);
    }
    pthread_mutex_unlock(&node->funds.lock);
}
