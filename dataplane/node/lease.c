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

void
node_send_lease(struct node *node)
{
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

void
node_funds_tick(struct node *node)
{
    if (node->link == NULL || !link_is_up(node->link))
        return;
    pthread_mutex_lock(&node->funds.lock);
    MAP_FOREACH (slot, &node->funds.by_wallet) {
        struct fund *fund = slot->value;
        if (fund_tick(fund) > 0)
            say_returned(node, fund);
    }
    pthread_mutex_unlock(&node->funds.lock);
}
