/* SPDX-License-Identifier: MIT
 * health.c - endpoints about the process: nodes, health, metrics, version, the API document.
 * Floor: controlplane/admin; engine thread.
 * Owns: nothing.
 * Invariant: none of them calls a provider or writes anything. */
#include "controlplane/admin/admin_int.h"
#include "controlplane/reconcile/discover.h"

static const struct metric_def defs[ADMIN_METRIC_COUNT] = {
#define METRIC_ROW(name_, kind_, label_, help_) \
    [ADMIN_METRIC_##                            \
        name_] = {.name = #name_, .help = help_, .kind = METRIC_##kind_, .labels = {label_}},
#include "controlplane/admin/metrics.def"
#undef METRIC_ROW
};

int
admin_metrics_new(struct metrics **ret_metrics)
{
    return metrics_new(defs, ADMIN_METRIC_COUNT, 100, ret_metrics);
}

void
endpoint_nodes(struct call *call)
{
    static const char *const none[] = {NULL};
    const struct admin_conf *conf = &call->admin->conf;
    if (!query_known(call, none))
        return;
    struct reply reply;
    struct json_writer *writer = reply_begin(&reply);
    json_open_object(writer);
    reply_digits(writer, "revision", store_revision(conf->engine->conf.store));
    reply_digits(writer, "config_revision", conf->engine->snapshot.revision);
    json_member_str(writer, "config_hash", str_from(conf->engine->snapshot.hash));
    json_key(writer, "nodes");
    if (conf->put_nodes) {
        conf->put_nodes(conf->user, writer);
    } else {
        json_open_array(writer);
        json_close_array(writer);
    }
    json_close_object(writer);
    reply_send(call, 200, &reply);
}

void
endpoint_healthz(struct call *call)
{
    reply_text(call, 200, "text/plain", STR("ok\n"));
}

void
endpoint_livez(struct call *call)
{
    reply_text(call, 200, "text/plain", STR("ok\n"));
}

void
endpoint_readyz(struct call *call)
{
    const struct engine *engine = call->admin->conf.engine;
    struct store_row row;
    int code = store_get(engine->conf.store, STR("config/hash"), &call->arena, &row);
    if (code < 0 || engine->snapshot.revision == 0)
        reply_text(call, 503, "text/plain", STR("the store does not answer\n"));
    else
        reply_text(call, 200, "text/plain", STR("ok\n"));
}

static void
set_gauge(struct admin *admin, enum admin_metric metric, const char *label, uint64_t value)
{
    struct str text = str_from(label);
    metric_set(metrics_series(admin->metrics, metric, &text), (int64_t)value);
}

static void
set_discovery(struct admin *admin, const struct discover *discover)
{
    const struct discover_count count = discover_count(discover);
    set_gauge(admin, ADMIN_METRIC_berth_controlplane_discovery_scans_total, "done", count.done);
    set_gauge(admin, ADMIN_METRIC_berth_controlplane_discovery_scans_total, "failed", count.failed);
    for (unsigned i = 0; i < SEEN_NEWS; i++)
        set_gauge(admin, ADMIN_METRIC_berth_controlplane_discovery_models_total,
                  seen_news_name((enum seen_news)i), count.news[i]);
    set_gauge(admin, ADMIN_METRIC_berth_controlplane_discovery_models_total, "retired",
              count.retired);
}

void
endpoint_metrics(struct call *call)
{
    struct admin *admin = call->admin;
    const struct engine *engine = admin->conf.engine;
    static const char *const roles[] = {"dataplane", "agent"};
    set_gauge(admin, ADMIN_METRIC_berth_controlplane_revision, "",
              store_revision(engine->conf.store));
    set_gauge(admin, ADMIN_METRIC_berth_controlplane_config_revision, "",
              engine->snapshot.revision);
    set_gauge(admin, ADMIN_METRIC_berth_controlplane_bindings, "", engine->bindings.by_hex.count);
    set_gauge(admin, ADMIN_METRIC_berth_controlplane_queue_depth, "", queue_depth(engine->queue));
    for (size_t i = 0; i < ARRAY_LEN(roles) && admin->conf.count_nodes; i++)
        set_gauge(admin, ADMIN_METRIC_berth_controlplane_nodes, roles[i],
                  admin->conf.count_nodes(admin->conf.user, roles[i]));
    for (unsigned i = 0; i < RECONCILER_COUNT; i++) {
        const char *name = reconciler_name((enum reconciler)i);
        set_gauge(admin, ADMIN_METRIC_berth_controlplane_reconciles_total, name, engine->runs[i]);
        set_gauge(admin, ADMIN_METRIC_berth_controlplane_reconcile_failures_total, name,
                  engine->failures[i]);
    }
    if (engine->discover)
        set_discovery(admin, engine->discover);
    struct buf text;
    buf_init(&text, REPLY_BYTES_MAX);
    if (metrics_render(admin->metrics, &text) < 0)
        reply_error(call, 500, "INTERNAL", "the metrics could not be printed");
    else
        reply_text(call, 200, "text/plain; version=0.0.4", buf_str(&text));
    buf_fini(&text);
}

void
endpoint_version(struct call *call)
{
    struct reply reply;
    struct json_writer *writer = reply_begin(&reply);
    json_open_object(writer);
    json_member_str(writer, "version", str_from(call->admin->conf.version));
    json_member_str(writer, "server", str_from(call->admin->conf.engine->server));
    json_member_str(writer, "apiVersion", STR(API_VERSION));
    json_close_object(writer);
    reply_send(call, 200, &reply);
}

/* ---- the document: read-only bytes of the program -------------------------------------------- */

__asm__(".pushsection .rodata\n"
        ".global admin_openapi_begin\n.hidden admin_openapi_begin\n"
        ".global admin_openapi_end\n.hidden admin_openapi_end\n"
        "admin_openapi_begin:\n.incbin \"" OPENAPI_FILE "\"\n"
        "admin_openapi_end:\n.byte 0\n"
        ".popsection\n");
extern const char admin_openapi_begin[];
extern const char admin_openapi_end[];

struct str
admin_openapi(void)
{
    return str_make(admin_openapi_begin, (size_t)(admin_openapi_end - admin_openapi_begin));
}

void
endpoint_openapi(struct call *call)
{
    reply_text(call, 200, "application/yaml", admin_openapi());
}
