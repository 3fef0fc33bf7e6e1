/* SPDX-License-Identifier: MIT
 * identity.c - endpoints of identities: revoking containers, the log of their states, the server's
 *              keys; and the signed binding that a Container shows.
 * Floor: controlplane/admin; engine thread.
 * Owns: nothing.
 * Invariant: a binding is shown only while it is in force. admin_test.c. */
#include "controlplane/admin/admin_int.h"
#include "controlplane/reconcile/amend.h"
#include "controlplane/reconcile/bind.h"

static struct engine *
engine_of(const struct call *call)
{
    return call->admin->conf.engine;
}

int
identity_show(struct call *call, struct object *object)
{
    struct tree *binding = NULL;
    struct str hex = schema_text(object->status, "incarnation", STR_EMPTY);
    const struct binding_row *row = bindings_find(&engine_of(call)->bindings, hex);
    if (object->kind != kind_at(KIND_CONTAINER) || !row || row->suspended != 0)
        return 0;
    int code = tree_from_json(row->json, &call->arena, &binding, NULL);
    if (code == 0)
        tree_append(object->status, STR("binding"), binding);
    return code;
}

/* The Container of the path; else false, and answered. */
static bool
find_container(struct call *call, struct object *ret_object)
{
    static const char *const known[] = {NULL};
    struct err err = {0};
    if (!query_known(call, known))
        return false;
    int code = object_get(engine_of(call)->conf.store, kind_at(KIND_CONTAINER), call->params[0],
                          &call->arena, ret_object, &err);
    if (code < 0)
        reply_err(call, code, &err);
    return code == 0;
}

/* revision: nodes that acked it, or were told nothing up to it, refuse. */
void
endpoint_container_revoke(struct call *call)
{
    struct store *store = engine_of(call)->conf.store;
    size_t count = 0;
    struct object object;
    struct err err = {0};
    if (!find_container(call, &object))
        return;
    int code = bind_revoke_name(engine_of(call), call->params[0], "revoked", &count, &err);
    if (code < 0) {
        reply_err(call, code, &err);
        return;
    }
    struct reply reply;
    struct json_writer *writer = reply_begin(&reply);
    json_open_object(writer);
    json_member_str(writer, "name", call->params[0]);
    json_member_u64(writer, "revoked", count);
    reply_digits(writer, "revision", store_revision(store));
    json_close_object(writer);
    reply_send(call, 200, &reply);
}

void
endpoint_container_log(struct call *call)
{
    struct object object;
    struct str *items = NULL;
    size_t count = 0;
    struct err err = {0};
    if (!find_container(call, &object))
        return;
    int code = transition_list(engine_of(call)->conf.store, &object, &call->arena, &items, &count);
    if (code < 0) {
        reply_err(call, code, &err);
        return;
    }
    struct reply reply;
    struct json_writer *writer = reply_begin(&reply);
    json_open_object(writer);
    json_member_str(writer, "name", call->params[0]);
    json_key_array(writer, "items");
    for (size_t at = 0; at < count; at++)
        json_value_raw(writer, items[at]);
    json_close_array(writer);
    json_close_object(writer);
    reply_send(call, 200, &reply);
}

static void
reply_keys(struct call *call, const size_t *resigned)
{
    struct reply reply;
    const struct engine *engine = engine_of(call);
    struct json_writer *writer = reply_begin(&reply);
    json_open_object(writer);
    json_member_str(writer, "server", str_from(engine->server));
    if (resigned)
        json_member_u64(writer, "signed_anew", *resigned);
    json_key(writer, "keys");
    json_open_array(writer);
    for (size_t i = 0; i < engine->accepted_count; i++) {
        char hex[2 * ED25519_KEY_BYTES + 1];
        hex_encode(engine->accepted[i], ED25519_KEY_BYTES, hex);
        json_open_object(writer);
        json_member_str(writer, "key", str_from(hex));
        json_member_str(writer, "use", i == 0 ? STR("signs") : STR("accepted"));
        json_close_object(writer);
    }
    json_close_array(writer);
    json_close_object(writer);
    reply_send(call, 200, &reply);
}

void
endpoint_server_keys(struct call *call)
{
    static const char *const known[] = {NULL};
    if (query_known(call, known))
        reply_keys(call, NULL);
}

void
endpoint_server_keys_rotate(struct call *call)
{
    static const char *const known[] = {NULL};
    size_t count = 0;
    struct err err = {0};
    if (!query_known(call, known))
        return;
    int code = amend_rotate(engine_of(call), &count, &err);
    if (code < 0)
        reply_err(call, code, &err);
    else
        reply_keys(call, &count);
}
