/* SPDX-License-Identifier: MIT
 * records.c - the records that come up: a table of what is allowed when, and what each does.
 * Floor: controlplane/push; engine thread.
 * Owns: nothing.
 * Invariant: a record outside its row's role and state, or malformed, ends the connection: a node
 *            of ours does not send such things. push_test.c, records_fuzz.c. */
#include "controlplane/push/records_int.h"

#include <stdio.h>

#include "controlplane/reconcile/discover.h"
#include "lib/base/check.h"
#include "lib/base/log.h"
#include "lib/base/num.h"

#define ARENA_BYTES_MAX (64u * 1024u * 1024u)
#define USAGE_RECORDS_MAX 10000u

static const struct json_limits limits = {.depth_max = 16, .node_count_max = 2000000};

/* ---- fields ---------------------------------------------------------------------------------- */

int
incoming_text(const struct incoming *in, const char *key, size_t max, struct str *ret)
{
    struct str text;
    uint32_t node = json_get(in->doc, 0, str_from(key));
    if (json_string(in->doc, node, in->arena, &text) < 0 || text.len > max)
        return err_set(in->err, ERR_INVALID, "\"%s\" is missing or no short string", key);
    *ret = text;
    return 0;
}

int
incoming_digits(const struct incoming *in, const char *key, uint64_t max, uint64_t *ret)
{
    struct str text;
    uint32_t node = json_get(in->doc, 0, str_from(key));
    /* 64-bit numbers come as strings; a plain one that fits is taken too */
    if (json_is(in->doc, node, JSON_NUMBER) && json_u64(in->doc, node, max, ret) == 0)
        return 0;
    if (json_string(in->doc, node, in->arena, &text) < 0 || num_u64(text, max, ret) < 0)
        return err_set(in->err, ERR_INVALID, "\"%s\" is missing or no number", key);
    return 0;
}

static int
get_part(const struct incoming *in, enum node_part *ret)
{
    struct str text;
    int code = incoming_text(in, "part", 32, &text);
    for (unsigned i = 0; i < PART_COUNT && code == 0; i++) {
        if (str_eq(text, str_from(node_part_name((enum node_part)i)))) {
            *ret = (enum node_part)i;
            return 0;
        }
    }
    return code < 0 ? code : err_set(in->err, ERR_INVALID, "unknown part");
}

/* ---- both roles ------------------------------------------------------------------------------ */

/* A node that connects again replaces its older connection, which may be half dead. */
static void
replace_older(struct node *node)
{
    LIST_FOREACH (at, &node->push->nodes) {
        struct node *other = LIST_ENTRY(at, struct node, in_push);
        if (other != node && other->role == node->role &&
            str_eq(str_from(other->name), str_from(node->name)))
            node_drop(other, "the node connected again");
    }
}

static int
on_hello(struct incoming *in)
{
    struct node *node = in->node;
    struct str role;
    struct str boot;
    uint64_t protocol;
    int code = incoming_digits(in, "protocol", UINT32_MAX, &protocol);
    if (code == 0)
        code = incoming_text(in, "role", 32, &role);
    if (code == 0)
        code = incoming_text(in, "boot", NODE_TEXT_BYTES_MAX, &boot);
    if (code == 0)
        code = incoming_digits(in, "epoch", UINT64_MAX, &node->epoch);
    if (code != 0)
        return code;
    if (protocol != 1)
        return err_set(in->err, ERR_UNSUPPORTED, "protocol %llu is not spoken here",
                       (unsigned long long)protocol);
    if (!str_eq(role, node->role == ROLE_AGENT ? STR("agent") : STR("dataplane")))
        return err_set(in->err, ERR_PERMISSION, "its certificate has another role");
    if (!str_copy(node->boot, sizeof node->boot, boot))
        return err_set(in->err, ERR_INVALID, "bad boot id");
    replace_older(node);
    node->state = NODE_LIVE;
    LOG_INFO("node connected", LOG_S("role", role), LOG_C("node", node->name));
    state_welcome(node);
    if (node->role == ROLE_DATAPLANE) {
        state_config(node, true);
        state_bindings_full(node);
        state_funds_full(node);
    }
    state_tick(node);
    return 0;
}

static int
on_ack(struct incoming *in)
{
    enum node_part part;
    uint64_t revision;
    int code = get_part(in, &part);
    if (code == 0)
        code = incoming_digits(in, "rev", UINT64_MAX, &revision);
    if (code != 0)
        return code;
    in->node->acked[part] = MAX(in->node->acked[part], revision);
    if (part == PART_config)
        in->node->nack[0] = '\0';
    if (part == PART_bindings)
        pending_look(in->node->push);
    return 0;
}

static int
on_nack(struct incoming *in)
{
    struct node *node = in->node;
    enum node_part part;
    uint64_t revision;
    struct str path = STR_EMPTY;
    struct str reason = STR_EMPTY;
    int code = get_part(in, &part);
    if (code == 0)
        code = incoming_digits(in, "rev", UINT64_MAX, &revision);
    if (code == 0)
        code = incoming_text(in, "reason", 4096, &reason);
    if (code != 0)
        return code;
    if (json_get(in->doc, 0, STR("path")) != JSON_NONE)
        code = incoming_text(in, "path", 4096, &path);
    (void)snprintf(node->nack, sizeof node->nack, "%s %llu: %.*s%s%.*s", node_part_name(part),
                   (unsigned long long)revision, (int)MIN(path.len, (size_t)60), path.ptr,
                   path.len ? ": " : "", (int)MIN(reason.len, (size_t)100), reason.ptr);
    LOG_WARN("a node refused an update", LOG_C("node", node->name), LOG_C("nack", node->nack));
    if (part == PART_bindings)
        pending_nacked(node->push, node, revision);
    return code;
}

static int
on_ping(struct incoming *in)
{
    struct buf text;
    uint32_t n = json_get(in->doc, 0, STR("n"));
    struct json_writer writer;
    buf_init(&text, 4096);
    json_writer_init(&writer, &text);
    json_open_object(&writer);
    json_member_str(&writer, "type", STR("pong"));
    if (n != JSON_NONE && json_raw(in->doc, n).len < 64)
        json_member_raw(&writer, "n", json_raw(in->doc, n));
    json_close_object(&writer);
    node_send(in->node, FRAME_PLAIN, buf_str(&text));
    buf_fini(&text);
    return 0;
}

/* ---- data plane ------------------------------------------------------------------------------ */

static void
send_posted(struct node *node, struct str stream, uint64_t epoch, uint64_t seq)
{
    struct buf text;
    struct json_writer writer;
    char digits[20];
    buf_init(&text, 4096);
    json_writer_init(&writer, &text);
    json_open_object(&writer);
    json_member_str(&writer, "type", STR("posted"));
    json_member_str(&writer, "stream", stream);
    json_member_str(&writer, "epoch", str_make(digits, num_write_u64(digits, epoch)));
    json_member_str(&writer, "seq", str_make(digits, num_write_u64(digits, seq)));
    json_close_object(&writer);
    node_send(node, FRAME_PLAIN, buf_str(&text));
    buf_fini(&text);
}

/* `list` of doc, record by record as JSON. */
static int
usage_post_each(const struct incoming *in, const struct json_doc *doc, uint32_t list,
                const struct ledger_stream *stream, uint64_t first,
                struct ledger_applied *ret_applied, struct err *err)
{
    uint32_t count = json_is(doc, list, JSON_ARRAY) ? json_count(doc, list) : 0;
    struct str *records = arena_array(in->arena, count + 1u, sizeof *records);
    if (count > USAGE_RECORDS_MAX || !records || !json_is(doc, list, JSON_ARRAY))
        return err_set(in->err, ERR_PARSE, "\"records\" is no list of usage records");
    size_t at = 0;
    for (uint32_t node = json_first(doc, list); node != JSON_NONE;
         node = json_sibling(doc, list, node))
        records[at++] = json_raw(doc, node);
    return usage_apply(in->node->push->conf.ledger, stream, first, records, count, ret_applied,
                       err);
}

/* The list as nodes of ours write it is posted as it stands; -ERR_UNSUPPORTED: some of it is
 * written in another way. Else its records as JSON, one by one. */
static int
usage_post(const struct incoming *in, const struct ledger_stream *stream, uint64_t first,
           struct ledger_applied *ret_applied, struct err *err)
{
    struct push *push = in->node->push;
    struct str list = in->list;
    uint32_t records = json_get(in->doc, 0, STR("records"));
    bool named = json_get(in->doc, 0, STR("texts")) != JSON_NONE;
    if (named) {
        if (!list.ptr && json_is(in->doc, records, JSON_ARRAY))
            list = str_make(json_raw(in->doc, records).ptr + 1, json_raw(in->doc, records).len - 2);
        int code = usage_list_expand(in->doc, list, in->arena, &push->list, in->err);
        if (code < 0)
            return code;
        list = str_make(push->list.ptr + 1, push->list.len - 2); /* its brackets */
    }
    if (in->list.ptr)
        return usage_apply_list(push->conf.ledger, stream, first, list, ret_applied, err);
    if (!named)
        return usage_post_each(in, in->doc, records, stream, first, ret_applied, err);
    CLEANUP(json_fini) struct json_doc doc;
    json_init(&doc);
    int code = json_scan(&doc, buf_str(&push->list), &limits, in->err);
    return code < 0 ? code : usage_post_each(in, &doc, 0, stream, first, ret_applied, err);
}

static int
on_usage(struct incoming *in)
{
    struct ledger_stream stream = {.node = str_from(in->node->name)};
    uint64_t first;
    int code = incoming_digits(in, "epoch", UINT64_MAX, &stream.epoch);
    if (code == 0)
        code = incoming_text(in, "stream", 63, &stream.stream);
    if (code == 0)
        code = incoming_digits(in, "first", INT64_MAX, &first);
    if (code != 0)
        return code;
    struct ledger_applied applied = {0};
    struct err err = {0};
    code = usage_post(in, &stream, first, &applied, &err);
    if (applied.quarantined > 0)
        LOG_ERROR("usage records are in quarantine", LOG_C("node", in->node->name),
                  LOG_U("count", applied.quarantined));
    if (code == -ERR_UNSUPPORTED || code == -ERR_PARSE)
        return code;
    if (code < 0)
        LOG_ERROR("usage was not posted; the node will send it again",
                  LOG_C("node", in->node->name), LOG_E(&err));
    /* a gap, or part of the batch: the mark says where to go on from */
    if (code == 0 || code == -ERR_CONFLICT || applied.posted > 0)
        send_posted(in->node, stream.stream, stream.epoch, applied.seq);
    else
        node_drop(in->node, "its usage could not be stored; it shall send it again");
    return 0;
}

/* A wallet that is not frozen; a budget by the caps of now. */
static bool
may_lend(const struct node *node, struct str wallet, struct err *err)
{
    if (!budget_name_valid(wallet))
        return !engine_wallet_frozen(node->push->engine, wallet);
    if (caps_settle_budget(node->push->engine, wallet, err) == 0)
        return true;
    LOG_WARN("caps could not be read, nothing is lent", LOG_S("budget", wallet), LOG_E(err));
    return false;
}

static int
on_lease(struct incoming *in)
{
    struct node *node = in->node;
    struct str wallet;
    uint64_t epoch;
    uint64_t granted;
    uint64_t want;
    uint64_t need = 0;
    int code = incoming_digits(in, "epoch", UINT64_MAX, &epoch);
    if (code == 0)
        code = incoming_text(in, "wallet", BUDGET_NAME_BYTES_MAX, &wallet);
    if (code == 0)
        code = incoming_digits(in, "granted", INT64_MAX, &granted);
    if (code == 0)
        code = incoming_digits(in, "want", INT64_MAX, &want);
    if (code == 0 && json_get(in->doc, 0, STR("need")) != JSON_NONE)
        code = incoming_digits(in, "need", INT64_MAX, &need);
    if (code != 0)
        return code;
    if (!ledger_name_valid(wallet) && !budget_name_valid(wallet))
        return err_set(in->err, ERR_INVALID, "bad wallet name");
    struct err err = {0};
    if (epoch == node->epoch && may_lend(node, wallet, &err)) {
        struct ledger_lease lease;
        const struct ledger_ask ask = {.node = str_from(node->name),
                                       .epoch = epoch,
                                       .wallet = wallet,
                                       .granted = {(int64_t)granted},
                                       .want = {(int64_t)want},
                                       .need = {(int64_t)need}};
        code = lease_ask(node->push->conf.ledger, &ask, &lease, &err);
        if (code < 0)
            LOG_WARN("a lease was not granted", LOG_C("node", node->name), LOG_S("wallet", wallet),
                     LOG_E(&err));
    }
    state_funds(node, wallet, true);
    return 0;
}

/* A provider told traffic that it has no such model. */
static int
on_gone(struct incoming *in)
{
    struct discover *discover = in->node->push->engine->discover;
    struct str provider;
    struct str model;
    int code = incoming_text(in, "provider", 256, &provider);
    if (code == 0)
        code = incoming_text(in, "model", 4096, &model);
    if (code == 0 && discover)
        discover_strike(discover, provider, model);
    return code;
}

static int
on_return(struct incoming *in)
{
    struct str wallet;
    uint64_t epoch;
    uint64_t returned;
    int code = incoming_digits(in, "epoch", UINT64_MAX, &epoch);
    if (code == 0)
        code = incoming_text(in, "wallet", BUDGET_NAME_BYTES_MAX, &wallet);
    if (code == 0)
        code = incoming_digits(in, "returned", INT64_MAX, &returned);
    if (code != 0)
        return code;
    struct err err = {0};
    if (lease_return(in->node->push->conf.ledger, str_from(in->node->name), epoch, wallet,
                     (struct money){(int64_t)returned}, &err) < 0)
        LOG_WARN("a lease was not returned", LOG_C("node", in->node->name), LOG_E(&err));
    return 0;
}

static int
on_flushed(struct incoming *in)
{
    uint64_t epoch;
    int code = incoming_digits(in, "epoch", UINT64_MAX, &epoch);
    if (code != 0)
        return code;
    struct err err = {0};
    if (lease_close(in->node->push->conf.ledger, str_from(in->node->name), epoch, &err) < 0) {
        LOG_WARN("an old epoch was not closed", LOG_C("node", in->node->name), LOG_E(&err));
        node_drop(in->node, "an old epoch could not be closed; it shall say so again");
    }
    return 0;
}

/* ---- the table ------------------------------------------------------------------------------- */

static const struct {
    const char *type;
    unsigned roles;
    enum node_state state;
    record_fn handle;
} rows[] = {
    {"hello", ROLE_DATAPLANE | ROLE_AGENT, NODE_HELLO, on_hello},
    {"ack", ROLE_DATAPLANE | ROLE_AGENT, NODE_LIVE, on_ack},
    {"nack", ROLE_DATAPLANE | ROLE_AGENT, NODE_LIVE, on_nack},
    {"ping", ROLE_DATAPLANE | ROLE_AGENT, NODE_LIVE, on_ping},
    {"usage", ROLE_DATAPLANE, NODE_LIVE, on_usage},
    {"lease", ROLE_DATAPLANE, NODE_LIVE, on_lease},
    {"gone", ROLE_DATAPLANE, NODE_LIVE, on_gone},
    {"return", ROLE_DATAPLANE, NODE_LIVE, on_return},
    {"flushed", ROLE_DATAPLANE, NODE_LIVE, on_flushed},
    {"bind", ROLE_AGENT, NODE_LIVE, record_on_bind},
    {"rename", ROLE_AGENT, NODE_LIVE, record_on_rename},
    {"unbind", ROLE_AGENT, NODE_LIVE, record_on_unbind},
    {"hosting", ROLE_AGENT, NODE_LIVE, record_on_hosting},
    {"paused", ROLE_AGENT, NODE_LIVE, record_on_paused},
};

static int
dispatch(struct incoming *in)
{
    uint32_t type = json_get(in->doc, 0, STR("type"));
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        if (!json_string_eq(in->doc, type, str_from(rows[i].type)))
            continue;
        if (!(rows[i].roles & in->node->role))
            return err_set(in->err, ERR_PERMISSION, "a record \"%s\" is not for its role",
                           rows[i].type);
        if (rows[i].state != in->node->state)
            return err_set(in->err, ERR_PROTOCOL, "a record \"%s\" out of order", rows[i].type);
        return rows[i].handle(in);
    }
    return err_set(in->err, ERR_PROTOCOL, "a record of unknown type");
}

static int
handle(struct node *node, struct str line, struct str list, struct err *err)
{
    struct json_doc doc;
    struct arena arena;
    struct incoming in = {.node = node, .doc = &doc, .arena = &arena, .err = err, .list = list};
    ASSERT(node->push->engine);
    json_init(&doc);
    arena_init(&arena, ARENA_BYTES_MAX);
    int code = json_scan(&doc, line, &limits, err);
    if (code == 0)
        code = dispatch(&in);
    arena_fini(&arena);
    json_fini(&doc);
    return code;
}

void
record_handle(struct node *node, struct str line)
{
    struct buf *head = &node->push->head;
    struct str list;
    struct err err = {0};
    int code = -ERR_UNSUPPORTED;
    if (usage_list_cut(line, head, &list))
        code = handle(node, buf_str(head), list, &err);
    if (code == -ERR_UNSUPPORTED)
        code = handle(node, line, (struct str){NULL, 0}, &err);
    if (code < 0)
        node_drop(node, err.text);
}
