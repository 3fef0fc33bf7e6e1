/* SPDX-License-Identifier: MIT
 * records_agent.c - what agents say of their containers.
 * Floor: controlplane/push; engine thread.
 * Owns: nothing.
 * Invariant: see records.c. push_bind_test.c. */
#include "controlplane/push/records_int.h"

#include "controlplane/reconcile/amend.h"
#include "controlplane/reconcile/bind.h"
#include "lib/base/log.h"

#define HOSTING_ROWS_MAX 100000u

/* "by", which older agents do not say. */
static enum trigger
get_trigger(const struct incoming *in)
{
    struct str word = STR_EMPTY;
    (void)!json_string(in->doc, json_get(in->doc, 0, STR("by")), in->arena, &word);
    return trigger_of_agent(word);
}

int
record_on_bind(struct incoming *in)
{
    struct node *node = in->node;
    struct binding wanted;
    struct binding_row *row = NULL;
    const char *refusal = "store";
    struct err err = {0};
    uint64_t id;
    int code = incoming_digits(in, "id", INT64_MAX, &id);
    if (code == 0)
        code = binding_parse_request(in->doc, json_get(in->doc, 0, STR("binding")), in->arena,
                                     &wanted, in->err);
    if (code != 0)
        return code;
    if (json_is(in->doc, json_get(in->doc, 0, STR("name")), JSON_STRING)) {
        code = incoming_text(in, "name", 4096, &wanted.name);
        if (code < 0)
            return code;
    }
    if (!str_eq(wanted.boot, str_from(node->boot))) {
        pending_refuse(node, id, "conflict", "the boot id is not the one of this agent's hello");
        return 0;
    }
    code = bind_container(node->push->engine, &wanted, str_from(node->name), get_trigger(in), &row,
                          &refusal, &err);
    if (code < 0)
        pending_refuse(node, id, refusal, err.text);
    else
        pending_add(node, id, row);
    return 0;
}

static struct binding_row *
own_row(const struct incoming *in, struct str hex)
{
    struct binding_row *row = bindings_find(&in->node->push->engine->bindings, hex);
    return row && str_eq(row->node, str_from(in->node->name)) ? row : NULL;
}

int
record_on_rename(struct incoming *in)
{
    struct node *node = in->node;
    struct str hex;
    struct str name;
    const char *refusal = "store";
    struct err err = {0};
    uint64_t id;
    int code = incoming_digits(in, "id", INT64_MAX, &id);
    if (code == 0)
        code = incoming_text(in, "incarnation", 2u * INCARNATION_BYTES, &hex);
    if (code == 0)
        code = incoming_text(in, "name", 4096, &name);
    if (code != 0)
        return code;
    struct binding_row *row = own_row(in, hex);
    if (!row)
        pending_refuse(node, id, "revoked", "this incarnation is not bound");
    else if (amend_rename(node->push->engine, row, name, &refusal, &err) < 0)
        pending_refuse(node, id, refusal, err.text);
    else
        pending_answer_bound(node, id, row);
    return 0;
}

int
record_on_unbind(struct incoming *in)
{
    struct node *node = in->node;
    struct str hex;
    struct err err = {0};
    int code = incoming_text(in, "incarnation", 2u * INCARNATION_BYTES, &hex);
    if (code < 0)
        return code;
    struct binding_row *row = own_row(in, hex);
    if (row && bind_unbind(node->push->engine, row, get_trigger(in), &err) < 0) {
        /* no answer: the agent tries again, and `hosting` heals it in any case */
        LOG_ERROR("an unbind was not stored", LOG_E(&err));
        return 0;
    }
    struct buf text;
    struct json_writer writer;
    buf_init(&text, 4096);
    json_writer_init(&writer, &text);
    json_open_object(&writer);
    json_member_str(&writer, "type", STR("unbound"));
    json_member_str(&writer, "incarnation", hex);
    json_close_object(&writer);
    node_send(node, FRAME_PLAIN, buf_str(&text));
    buf_fini(&text);
    return 0;
}

/* "rows": incarnations, in the record's arena. */
static int
get_incarnations(struct incoming *in, struct str **ret_rows, size_t *ret_count)
{
    uint32_t list = json_get(in->doc, 0, STR("rows"));
    uint32_t count = json_is(in->doc, list, JSON_ARRAY) ? json_count(in->doc, list) : 0;
    struct str *rows = arena_array(in->arena, count + 1u, sizeof *rows);
    if (!json_is(in->doc, list, JSON_ARRAY) || count > HOSTING_ROWS_MAX || !rows)
        return err_set(in->err, ERR_INVALID, "\"rows\" is no list of incarnations");
    size_t at = 0;
    for (uint32_t row = json_first(in->doc, list); row != JSON_NONE;
         row = json_sibling(in->doc, list, row)) {
        if (json_string(in->doc, row, in->arena, &rows[at++]) < 0)
            return err_set(in->err, ERR_INVALID, "\"rows\" is no list of incarnations");
    }
    *ret_rows = rows;
    *ret_count = count;
    return 0;
}

int
record_on_hosting(struct incoming *in)
{
    struct node *node = in->node;
    struct str *alive;
    struct err err = {0};
    size_t count;
    int code = get_incarnations(in, &alive, &count);
    if (code < 0)
        return code;
    if (bind_hosting(node->push->engine, str_from(node->name), str_from(node->boot), alive, count,
                     &err) < 0) {
        LOG_ERROR("the agent's list could not be applied", LOG_E(&err));
        node_drop(node, "its list could not be applied; it shall say it again");
        return 0;
    }
    presence_hosting(node);
    return 0;
}

int
record_on_paused(struct incoming *in)
{
    struct node *node = in->node;
    struct str *paused;
    struct err err = {0};
    size_t count;
    int code = get_incarnations(in, &paused, &count);
    if (code != 0)
        return code;
    if (amend_paused(node->push->engine, str_from(node->name), paused, count, &err) < 0) {
        LOG_ERROR("which containers are paused could not be stored", LOG_E(&err));
        node_drop(node, "its paused containers could not be stored; it shall say them again");
    }
    return 0;
}
