/* SPDX-License-Identifier: MIT
 * discovery.c - endpoints about what providers list: the last scans, and a scan by hand.
 * Floor: controlplane/admin; engine thread.
 * Owns: nothing.
 * Invariant: a scan by hand takes no model away (reconcile/discover.h). */
#include "controlplane/admin/admin_int.h"
#include "controlplane/reconcile/changes.h"
#include "controlplane/reconcile/discover.h"

static bool
is_on(struct call *call)
{
    if (call->admin->conf.engine->discover)
        return true;
    reply_error(call, 503, "UNAVAILABLE", "this control plane asks no providers");
    return false;
}

void
endpoint_discovery_get(struct call *call)
{
    static const char *const none[] = {NULL};
    if (!query_known(call, none) || !is_on(call))
        return;
    struct reply reply;
    struct json_writer *writer = reply_begin(&reply);
    json_open_object(writer);
    json_key(writer, "providers");
    discover_put(call->admin->conf.engine->discover, writer);
    json_close_object(writer);
    reply_send(call, 200, &reply);
}

void
endpoint_changes_get(struct call *call)
{
    static const char *const known[] = {"provider", NULL};
    struct str provider;
    struct err err = {0};
    if (!query_known(call, known) || !query_text(call, "provider", STR_EMPTY, &provider))
        return;
    struct reply reply;
    struct json_writer *writer = reply_begin(&reply);
    json_open_object(writer);
    json_key(writer, "changes");
    int code = changes_put(call->admin->conf.engine->conf.store, provider, writer);
    json_close_object(writer);
    if (code == 0) {
        reply_send(call, 200, &reply);
        return;
    }
    buf_fini(&reply.text);
    (void)!err_set(&err, (enum err_code) - code, "%s", err_text(code));
    reply_err(call, code, &err);
}

void
endpoint_changes_ack(struct call *call)
{
    static const char *const known[] = {"provider", "model", NULL};
    struct str provider;
    struct str model;
    struct err err = {0};
    size_t count = 0;
    if (!query_known(call, known) || !query_text(call, "provider", STR_EMPTY, &provider) ||
        !query_text(call, "model", STR_EMPTY, &model))
        return;
    int code = changes_ack(call->admin->conf.engine->conf.store, provider, model, &count);
    if (code < 0) {
        (void)!err_set(&err, (enum err_code) - code, "%s", err_text(code));
        reply_err(call, code, &err);
        return;
    }
    struct reply reply;
    struct json_writer *writer = reply_begin(&reply);
    json_open_object(writer);
    json_member_u64(writer, "acknowledged", count);
    json_close_object(writer);
    reply_send(call, 200, &reply);
}

void
endpoint_discovery_start(struct call *call)
{
    static const char *const known[] = {"provider", NULL};
    struct str provider;
    struct err err = {0};
    size_t count = 0;
    if (!query_known(call, known) || !query_text(call, "provider", STR_EMPTY, &provider) ||
        !is_on(call))
        return;
    int code =
        discover_start(call->admin->conf.engine->discover, provider, DISCOVER_HAND, &count, &err);
    if (code < 0) {
        reply_err(call, code, &err);
        return;
    }
    struct reply reply;
    struct json_writer *writer = reply_begin(&reply);
    json_open_object(writer);
    json_member_u64(writer, "started", count);
    json_close_object(writer);
    reply_send(call, 202, &reply);
}
