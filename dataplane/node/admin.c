/* SPDX-License-Identifier: MIT
 * admin.c - health and metrics, on a listener of their own: a scrape delays nobody.
 * Floor: dataplane/node; sync thread.
 * Owns: the admin server.
 * Invariant: probes look at our own state only; they never call a provider. */
#include <unistd.h>

#include "dataplane/node/node.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"

#define METRICS_BYTES_MAX ((size_t)16u * 1024u * 1024u)

static void
answer_text(struct http_stream *stream, unsigned status, struct str body)
{
    const struct http_field fields[] = {
        {STR("content-type"), STR("text/plain; version=0.0.4; charset=utf-8")}};
    http_stream_answer(stream, status, fields, ARRAY_LEN(fields), body);
}

static void
answer_ready(struct node *node, struct http_stream *stream)
{
    if (node->config == NULL)
        answer_text(stream, 503, STR("no configuration yet\n"));
    else if (!live_valid(&node->live, clock_mono_ms()))
        answer_text(stream, 503, STR("validity lease ended: the control plane is not reached\n"));
    else
        answer_text(stream, 200, STR("ok\n"));
}

static void
answer_metrics(struct node *node, struct http_stream *stream)
{
    struct buf out;
    buf_init(&out, METRICS_BYTES_MAX);
    int rc = metrics_render(node->metrics, &out);
    (void)buf_printf(&out,
                     "# HELP berth_bindings Containers that may call.\n"
                     "# TYPE berth_bindings gauge\nberth_bindings %zu\n"
                     "# HELP berth_config_revision Store revision of the configuration served.\n"
                     "# TYPE berth_config_revision gauge\nberth_config_revision %llu\n",
                     live_count(&node->live), (unsigned long long)node->config_rev);
    answer_text(stream, rc == 0 ? 200 : 500, buf_str(&out));
    buf_fini(&out);
}

static void
admin_request(struct http_stream *stream, const struct http_head *head)
{
    struct node *node = http_server_user(http_conn_server(http_stream_conn(stream)));
    struct str path = head->target;
    if (!str_eq(head->method, STR("GET")) && !str_eq(head->method, STR("HEAD")))
        answer_text(stream, 405, STR("GET only\n"));
    else if (str_eq(path, STR("/healthz")) || str_eq(path, STR("/livez")))
        answer_text(stream, 200, STR("ok\n"));
    else if (str_eq(path, STR("/readyz")))
        answer_ready(node, stream);
    else if (str_eq(path, STR("/metrics")))
        answer_metrics(node, stream);
    else
        answer_text(stream, 404, STR("/healthz /livez /readyz /metrics\n"));
}

static void
admin_body(struct http_stream *stream, struct str bytes)
{
    (void)stream;
    (void)bytes;
}

static void
admin_complete(struct http_stream *stream)
{
    (void)stream;
}

static void
admin_closed(struct http_stream *stream, enum http_close_reason reason)
{
    (void)stream;
    (void)reason;
}

static const struct http_handler admin_handler = {.request = admin_request,
                                                  .body = admin_body,
                                                  .complete = admin_complete,
                                                  .closed = admin_closed};

int
node_admin_start(struct node *node, struct err *err)
{
    struct sock_addr addr;
    node->admin_fd = -1;
    if (str_eq(str_from(node->options.admin), STR("none")))
        return 0;
    int rc = sock_addr_parse(str_from(node->options.admin), &addr, err);
    if (rc == 0)
        rc = sock_listen(&addr, 64, false, 0600, &node->admin_fd, err);
    struct http_server_conf conf = {
        .loop = node->loop, .handler = &admin_handler, .user = node, .conn_count_max = 64};
    if (rc == 0)
        rc = http_server_new(&conf, &node->admin, err);
    if (rc == 0)
        rc = http_server_listen(node->admin, node->admin_fd);
    return rc;
}

void
node_admin_stop(struct node *node)
{
    http_server_free(&node->admin);
    if (node->admin_fd >= 0)
        (void)close(node->admin_fd);
}
