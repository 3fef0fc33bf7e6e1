/* SPDX-License-Identifier: MIT
 * push.c - the listener for nodes, and what the engine's changes mean for each of them.
 * Floor: controlplane/push; engine thread.
 * Owns: the server and the list of nodes.
 * Invariant: see push.h. */
#include "controlplane/push/push.h"

#include <stdlib.h>

#include "controlplane/push/push_int.h"
#include "lib/base/check.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/base/num.h"

#define STREAM_PATH "/planes/v1/stream"
#define URI_PREFIX "spiffe://berth/"
#define HELLO_MS_MAX 10000

/* ---- connections ----------------------------------------------------------------------------- */

/* "spiffe://berth/ROLE/NAME" -> role and name; false for anything else. */
static bool
identify(const char *uri, struct node *node)
{
    struct str role;
    struct str name;
    struct str text = str_from(uri);
    if (!str_starts(text, STR(URI_PREFIX)) ||
        !str_cut(str_skip(text, sizeof URI_PREFIX - 1), '/', &role, &name))
        return false;
    if (str_eq(role, STR("dataplane")))
        node->role = ROLE_DATAPLANE;
    else if (str_eq(role, STR("agent")))
        node->role = ROLE_AGENT;
    else
        return false;
    return ledger_name_valid(name) && str_copy(node->name, sizeof node->name, name);
}

static void
refuse(struct http_stream *stream, unsigned status, const char *text)
{
    const struct http_field fields[] = {{STR("content-type"), STR("text/plain")}};
    http_stream_answer(stream, status, fields, 1, str_from(text));
}

static void
on_request(struct http_stream *stream, const struct http_head *head)
{
    struct push *push = http_server_user(http_conn_server(http_stream_conn(stream)));
    struct node *node = NULL;
    char uri[256];
    http_stream_set_user(stream, NULL);
    if (!str_eq(head->target, STR(STREAM_PATH))) {
        refuse(stream, 404, "Berth's control plane serves nodes here: POST " STREAM_PATH "\n");
        return;
    }
    if (!str_eq(head->method, STR("POST"))) {
        refuse(stream, 405, "POST " STREAM_PATH "\n");
        return;
    }
    if (!http_conn_is_h2(http_stream_conn(stream))) {
        refuse(stream, 426, "The stream of a node is HTTP/2.\n");
        return;
    }
    http_conn_peer_uri(http_stream_conn(stream), uri, sizeof uri);
    if (node_new(push, stream, &node) < 0) {
        refuse(stream, 503, "out of memory\n");
        return;
    }
    if (!identify(uri, node)) {
        node_free(node);
        LOG_WARN("a node without a usable identity was refused", LOG_C("uri", uri));
        refuse(stream, 403, "The client certificate names no node of this installation.\n");
        return;
    }
    http_stream_set_user(stream, node);
    const struct http_field fields[] = {{STR("content-type"), STR("application/x-ndjson")}};
    http_stream_respond(stream, 200, fields, 1, HTTP_LENGTH_UNKNOWN);
}

static void
on_body(struct http_stream *stream, struct str bytes)
{
    struct node *node = http_stream_user(stream);
    if (node)
        node_feed(node, bytes);
}

static void
on_complete(struct http_stream *stream)
{
    struct node *node = http_stream_user(stream);
    if (node && !node->doomed)
        http_stream_end(stream);
}

static void
on_writable(struct http_stream *stream)
{
    struct node *node = http_stream_user(stream);
    if (node) {
        node->blocked = false;
        node_pump(node);
    }
}

static void
on_closed(struct http_stream *stream, enum http_close_reason reason)
{
    struct node *node = http_stream_user(stream);
    (void)reason;
    if (!node)
        return;
    struct push *push = node->push;
    bool was_live = node->state == NODE_LIVE;
    http_stream_set_user(stream, NULL);
    pending_forget_agent(push, node);
    if (was_live)
        LOG_INFO("node disconnected", LOG_C("node", node->name));
    node_free(node);
    if (push->engine)
        pending_look(push);
}

static const struct http_handler handler = {
    .request = on_request,
    .body = on_body,
    .complete = on_complete,
    .writable = on_writable,
    .closed = on_closed,
};

/* ---- the engine's changes -------------------------------------------------------------------- */

static void
config_changed(void *user)
{
    struct push *push = user;
    LIST_FOREACH (at, &push->nodes) {
        struct node *node = LIST_ENTRY(at, struct node, in_push);
        if (node_is_live(node, ROLE_DATAPLANE))
            state_config(node, false);
    }
}

static void
bound(const struct binding_row *row, void *user)
{
    struct push *push = user;
    LIST_FOREACH (at, &push->nodes) {
        struct node *node = LIST_ENTRY(at, struct node, in_push);
        if (node_is_live(node, ROLE_DATAPLANE) && state_serves(node, row->binding.boot))
            state_binding_add(node, row);
    }
}

static void
revoked(const struct binding_row *row, uint64_t revision, void *user)
{
    struct push *push = user;
    LIST_FOREACH (at, &push->nodes) {
        struct node *node = LIST_ENTRY(at, struct node, in_push);
        bool is_host = node_is_live(node, ROLE_AGENT) && str_eq(str_from(node->name), row->node);
        if (is_host || node_is_live(node, ROLE_DATAPLANE))
            state_binding_end(node, row, revision);
    }
    pending_forget_row(push, row->hex);
}

static void
suspended(const struct binding_row *row, uint64_t revision, void *user)
{
    struct push *push = user;
    LIST_FOREACH (at, &push->nodes) {
        struct node *node = LIST_ENTRY(at, struct node, in_push);
        if (node_is_live(node, ROLE_DATAPLANE))
            state_binding_suspend(node, row, revision);
    }
}

static void
keys_changed(void *user)
{
    struct push *push = user;
    LIST_FOREACH (at, &push->nodes) {
        struct node *node = LIST_ENTRY(at, struct node, in_push);
        if (node_is_live(node, node->role))
            state_keys(node);
    }
}

static void
funds_changed(struct str wallet, void *user)
{
    struct push *push = user;
    LIST_FOREACH (at, &push->nodes) {
        struct node *node = LIST_ENTRY(at, struct node, in_push);
        if (node_is_live(node, ROLE_DATAPLANE))
            state_funds(node, wallet, false);
    }
}

static void
failed(const char *reconciler, struct str name, unsigned attempts, const struct err *err,
       void *user)
{
    (void)user;
    LOG_WARN("a reconciler failed and will try again", LOG_C("reconciler", reconciler),
             LOG_S("name", name), LOG_U("attempts", attempts), LOG_E(err));
}

const struct engine_ops push_engine_ops = {
    .config_changed = config_changed,
    .bound = bound,
    .revoked = revoked,
    .suspended = suspended,
    .keys_changed = keys_changed,
    .funds_changed = funds_changed,
    .failed = failed,
};

/* ---- life ------------------------------------------------------------------------------------ */

static void
tick(struct timer *timer)
{
    struct push *push = CONTAINER_OF(timer, struct push, tick);
    uint64_t now_ms = clock_mono_ms();
    LIST_FOREACH (at, &push->nodes) {
        struct node *node = LIST_ENTRY(at, struct node, in_push);
        if (node->state == NODE_LIVE)
            state_tick(node);
        else if (now_ms - node->since_mono_ms > HELLO_MS_MAX)
            node_drop(node, "it did not say hello");
    }
    timer_arm(loop_timers(push->conf.loop), &push->tick,
              loop_now_ms(push->conf.loop) + push->conf.lease_ms / 5);
}

static void
watch(struct timer *timer)
{
    struct push *push = CONTAINER_OF(timer, struct push, watch);
    presence_look(push);
    orphan_look(push);
    timer_arm(loop_timers(push->conf.loop), &push->watch,
              loop_now_ms(push->conf.loop) + push->conf.lease_ms / 15);
}

int
push_new(const struct push_conf *conf, struct push **ret_push, struct err *err)
{
    struct push *push = calloc(1, sizeof *push);
    if (!push)
        return err_set(err, ERR_NOMEM, "out of memory");
    push->conf = *conf;
    if (push->conf.lease_ms == 0)
        push->conf.lease_ms = PUSH_LEASE_MS;
    if (push->conf.orphan_ms == 0)
        push->conf.orphan_ms = PUSH_ORPHAN_MS;
    list_init(&push->nodes);
    list_init(&push->pending);
    buf_init(&push->head, PUSH_RECORD_BYTES_MAX);
    buf_init(&push->list, PUSH_RECORD_BYTES_MAX);
    map_init(&push->presences);
    map_init(&push->lost);
    timer_init(&push->tick, tick);
    timer_init(&push->watch, watch);
    *ret_push = push;
    return 0;
}

int
push_start(struct push *push, struct engine *engine, int listen_fd, struct err *err)
{
    const struct http_server_conf conf = {
        .loop = push->conf.loop,
        .tls = push->conf.tls,
        .handler = &handler,
        .user = push,
        .body_bytes_max = UINT64_MAX,
        .body_rate_min = 1,
        .h2_window_bytes = 1u << 20,
    };
    ASSERT(!push->engine && !push->server);
    push->engine = engine;
    int code = http_server_new(&conf, &push->server, err);
    if (code < 0)
        return code;
    if (http_server_listen(push->server, listen_fd) < 0)
        return err_set(err, ERR_SYSTEM, "the planes listener cannot be watched");
    presence_start(push);
    timer_arm(loop_timers(push->conf.loop), &push->watch,
              loop_now_ms(push->conf.loop) + push->conf.lease_ms / 15);
    timer_arm(loop_timers(push->conf.loop), &push->tick,
              loop_now_ms(push->conf.loop) + push->conf.lease_ms / 5);
    return 0;
}

void
push_free(struct push **push)
{
    if (!*push)
        return;
    timer_cancel(loop_timers((*push)->conf.loop), &(*push)->tick);
    timer_cancel(loop_timers((*push)->conf.loop), &(*push)->watch);
    if ((*push)->server)
        http_server_free(&(*push)->server);
    ASSERT(list_empty(&(*push)->nodes) && list_empty(&(*push)->pending));
    presence_free(*push);
    orphan_free(*push);
    buf_fini(&(*push)->head);
    buf_fini(&(*push)->list);
    free(TAKE(*push));
}

/* ---- shown ----------------------------------------------------------------------------------- */

size_t
push_node_count(const struct push *push, const char *role)
{
    size_t count = 0;
    LIST_FOREACH (at, &push->nodes) {
        const struct node *node = LIST_ENTRY(at, struct node, in_push);
        const char *name = node->role == ROLE_AGENT ? "agent" : "dataplane";
        if (node_is_live(node, node->role) && (!role[0] || str_eq(str_from(role), str_from(name))))
            count++;
    }
    return count;
}

static void
put_revisions(struct json_writer *writer, const char *key, const uint64_t revisions[PART_COUNT])
{
    json_key(writer, key);
    json_open_object(writer);
    for (unsigned i = 0; i < PART_COUNT; i++) {
        char text[20];
        json_member_str(writer, node_part_name((enum node_part)i),
                        str_make(text, num_write_u64(text, revisions[i])));
    }
    json_close_object(writer);
}

void
push_put_nodes(const struct push *push, struct json_writer *writer)
{
    json_open_array(writer);
    LIST_FOREACH (at, &push->nodes) {
        const struct node *node = LIST_ENTRY(at, struct node, in_push);
        char epoch[20];
        if (!node_is_live(node, node->role))
            continue;
        json_open_object(writer);
        json_member_str(writer, "role", node->role == ROLE_AGENT ? STR("agent") : STR("dataplane"));
        json_member_str(writer, "name", str_from(node->name));
        json_member_bool(writer, "connected", true);
        json_member_str(writer, "boot", str_from(node->boot));
        json_member_str(writer, "epoch", str_make(epoch, num_write_u64(epoch, node->epoch)));
        json_member_i64(writer, "connected_ms", node->since_ms);
        put_revisions(writer, "sent", node->sent);
        put_revisions(writer, "acked", node->acked);
        json_member_bool(writer, "in_sync",
                         node->acked[PART_config] >= node->sent[PART_config] &&
                             node->acked[PART_bindings] >= node->sent[PART_bindings]);
        json_member_u64(writer, "queued_bytes", node->queued_bytes);
        json_member_str(writer, "nack", str_from(node->nack));
        json_close_object(writer);
    }
    presence_put_lost(push, writer);
    json_close_array(writer);
}
