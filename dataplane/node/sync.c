/* SPDX-License-Identifier: MIT
 * sync.c - the sync thread: the link to the control plane, validity, uploads, fdatasync.
 * Floor: dataplane/node; the main thread, and one thread that only calls fdatasync.
 * Owns: the link and its timers.
 * Invariant: without a tick within lease_ms nothing is served (fail closed), and the last
 * configuration is kept. DESIGN section 5. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "dataplane/node/field.h"
#include "dataplane/node/node.h"
#include "lib/base/check.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/base/num.h"
#include "lib/base/thread.h"

#define UPLOAD_EVERY_MS 50u
#define FUNDS_EVERY_MS 1000u
#define LISTEN_WAIT_MS 2000u
/* Nobody on a worker's core may keep it waiting: a batch of usage is half a millisecond of work. */
#define SLICE_US 100u
#define FSYNC_EVERY_NS 5000000l
#define LEASE_MS_DEFAULT 15000u
#define OUT_BYTES_MAX ((size_t)4u * 1024u * 1024u)

/* ---- link ------------------------------------------------------------------------------------ */

static void
on_up(struct link *link, void *user)
{
    struct node *node = user;
    struct json_writer w;
    node->usage_texts = false;
    node->takes_gone = false;
    node->out.len = 0;
    json_writer_init(&w, &node->out);
    json_open_object(&w);
    json_member_str(&w, "type", STR("hello"));
    json_member_u64(&w, "protocol", 1);
    json_member_str(&w, "role", STR("dataplane"));
    json_member_str(&w, "boot", str_from(node->boot));
    field_put(&w, "epoch", node->epoch);
    json_key(&w, "have");
    json_open_object(&w);
    field_put(&w, "config", node->config_rev);
    field_put(&w, "bindings", node->bindings_rev);
    field_put(&w, "funds", node->funds_rev);
    json_close_object(&w);
    json_close_object(&w);
    (void)link_send(link, buf_str(&node->out));
    node_upload_reset(node);
    LOG_INFO("control plane reached");
}

static void
on_down(struct link *link, const char *reason, void *user)
{
    (void)link;
    (void)user;
    LOG_WARN("control plane lost; serving until the validity lease ends", LOG_C("reason", reason));
}

static void
extend_validity(struct node *node)
{
    atomic_store(&node->live.valid_until_ms, clock_mono_ms() + node->lease_ms);
}

static void
listen_if_ready(struct node *node)
{
    if ((node->config != NULL && node->bindings_heard &&
         live_valid(&node->live, clock_mono_ms())) ||
        clock_mono_ms() >= node->listen_by_ms)
        node_workers_listen(node);
}

static bool
take_key(struct live *live, const struct json_doc *doc, uint32_t node)
{
    struct str key = json_raw(doc, node);
    if (live->server_key_count == LIVE_KEYS_MAX || key.len != 2u * ED25519_KEY_BYTES + 2u ||
        hex_decode(str_make(key.ptr + 1, key.len - 2), live->server_keys[live->server_key_count],
                   ED25519_KEY_BYTES) != 0)
        return false;
    live->server_key_count++;
    return true;
}

/* The key that signs, and while it replaces another that one too. */
static void
on_keys(struct node *node, const struct json_doc *doc)
{
    struct live *live = &node->live;
    uint32_t list = json_get(doc, 0, STR("server_keys"));
    live->server_key_count = 0;
    if (!take_key(live, doc, json_get(doc, 0, STR("server_key"))))
        LOG_ERROR("the control plane named no server key; bindings will be refused");
    if (!json_is(doc, list, JSON_ARRAY))
        return;
    for (uint32_t key = json_first(doc, list); key != JSON_NONE; key = json_sibling(doc, list, key))
        (void)take_key(live, doc, key);
}

static void
on_welcome(struct node *node, const struct json_doc *doc)
{
    uint64_t lease = LEASE_MS_DEFAULT;
    bool taken = false;
    (void)!json_u64(doc, json_get(doc, 0, STR("lease_ms")), 3600000, &lease);
    on_keys(node, doc);
    node->takes_gone = json_bool(doc, json_get(doc, 0, STR("gone")), &taken) == 0 && taken;
    taken = false;
    node->usage_texts = json_bool(doc, json_get(doc, 0, STR("usage_texts")), &taken) == 0 && taken;
    node->lease_ms = (uint32_t)lease;
    node_say_returned(node);
    node_send_lease(node);
}

static void
on_revoke(struct node *node, const struct json_doc *doc)
{
    uint8_t incarnation[INCARNATION_BYTES];
    bool suspend = false;
    struct str raw = json_raw(doc, json_get(doc, 0, STR("incarnation")));
    struct str rev = json_raw(doc, json_get(doc, 0, STR("rev")));
    (void)!json_bool(doc, json_get(doc, 0, STR("suspend")), &suspend);
    if (raw.len != 2u * INCARNATION_BYTES + 2u ||
        hex_decode(str_make(raw.ptr + 1, raw.len - 2), incarnation, INCARNATION_BYTES) != 0)
        return;
    if (suspend)
        node_suspend(node, incarnation);
    else
        node_revoke(node, incarnation);
    node->out.len = 0;
    (void)buf_printf(&node->out, "{\"type\":\"ack\",\"part\":\"revoke\",\"rev\":%.*s}",
                     STR_ARG(rev));
    (void)link_send(node->link, buf_str(&node->out));
}

static void
on_record(struct link *link, struct str type, const struct json_doc *doc, void *user)
{
    struct node *node = user;
    (void)link;
    if (str_eq(type, STR("tick")))
        extend_validity(node);
    else if (str_eq(type, STR("posted")))
        node_upload_posted(node, doc);
    else if (str_eq(type, STR("funds")))
        node_apply_funds(node, doc);
    else if (str_eq(type, STR("bindings")))
        node_apply_bindings(node, doc);
    else if (str_eq(type, STR("revoke")))
        on_revoke(node, doc);
    else if (str_eq(type, STR("config")))
        node_apply_config(node, doc, false);
    else if (str_eq(type, STR("welcome")))
        on_welcome(node, doc);
    else if (str_eq(type, STR("keys")))
        on_keys(node, doc);
    else if (str_eq(type, STR("pong")))
        node_upload_pong(node, doc);
    else
        LOG_WARN("unknown record from the control plane, ignoring", LOG_S("type", type));
    listen_if_ready(node);
}

static const struct link_ops link_ops = {.up = on_up, .record = on_record, .down = on_down};

/* ---- timers and tasks ------------------------------------------------------------------------ */

static void
upload_tick(struct timer *timer)
{
    struct node *node = CONTAINER_OF(timer, struct node, upload_timer);
    node_upload_kick(node);
    listen_if_ready(node);
    if (loop_now_ms(node->loop) >= node->funds_tick_ms) {
        node->funds_tick_ms = loop_now_ms(node->loop) + FUNDS_EVERY_MS;
        node_funds_tick(node);
    }
    timer_arm(loop_timers(node->loop), timer, loop_now_ms(node->loop) + UPLOAD_EVERY_MS);
}

static void
want_run(struct loop_task *task)
{
    struct node *node = CONTAINER_OF(task, struct node, want_task);
    atomic_store(&node->want_posted, false);
    if (node->link != NULL)
        node_send_lease(node);
}

static bool
fsync_is_due(const struct node *node)
{
    for (uint32_t i = 0; i < node->worker_count; i++) {
        if (journal_unsynced(node->workers[i].worker.journal))
            return true;
    }
    return false;
}

static void
fsync_wake(struct node *node)
{
    pthread_mutex_lock(&node->fsync_lock);
    atomic_store(&node->fsync_asleep, false);
    pthread_cond_signal(&node->fsync_wake);
    pthread_mutex_unlock(&node->fsync_lock);
}

void
node_journal_written(struct worker *worker)
{
    struct node *node = worker->node;
    if (UNLIKELY(atomic_load(&node->fsync_asleep)))
        fsync_wake(node);
}

/* A timer that fires 200 times a second costs an idle host more than everything else here. */
static void
fsync_sleep(struct node *node)
{
    pthread_mutex_lock(&node->fsync_lock);
    for (;;) {
        atomic_store(&node->fsync_asleep, true); /* before the look: see journal_commit */
        if (atomic_load(&node->stopping) || fsync_is_due(node))
            break;
        pthread_cond_wait(&node->fsync_wake, &node->fsync_lock);
    }
    atomic_store(&node->fsync_asleep, false);
    pthread_mutex_unlock(&node->fsync_lock);
}

static void *
fsync_main(void *arg)
{
    struct node *node = arg;
    thread_share(0, SLICE_US);
    while (!atomic_load(&node->stopping)) {
        struct timespec nap = {.tv_nsec = FSYNC_EVERY_NS};
        fsync_sleep(node);
        (void)nanosleep(&nap, NULL);
        for (uint32_t i = 0; i < node->worker_count; i++) {
            if (journal_sync(node->workers[i].worker.journal) != 0)
                LOG_ERROR("cannot sync the usage journal: nothing that costs money is served");
        }
    }
    return NULL;
}

/* ---- start and stop -------------------------------------------------------------------------- */

/* The last good configuration, for a start without a control plane. Identities still need a tick.
 */
static void
load_last_good(struct node *node)
{
    struct err err = {0};
    FILE *file = fopen(node->last_good, "re");
    if (file == NULL)
        return;
    struct buf bytes;
    buf_init(&bytes, (size_t)64u * 1024u * 1024u);
    char block[16384];
    size_t got;
    while ((got = fread(block, 1, sizeof(block), file)) > 0 && buf_put(&bytes, block, got) == 0) {
    }
    (void)fclose(file);
    struct json_doc doc;
    json_init(&doc);
    if (bytes.failed || json_scan(&doc, buf_str(&bytes), NULL, &err) != 0)
        LOG_WARN("the kept configuration cannot be read, ignoring", LOG_E(&err));
    else
        node_apply_config(node, &doc, true);
    json_fini(&doc);
    buf_wipe(&bytes);
}

static int
link_start(struct node *node, struct err *err)
{
    static char ca[4096];
    static char cert[4096];
    static char key[4096];
    static char host[256];
    struct str name;
    struct str port_text;
    uint64_t port = 0;
    const char *control = node->options.control;
    if (control == NULL)
        return 0;
    const char *colon = strrchr(control, ':');
    name = str_make(control, colon != NULL ? (size_t)(colon - control) : 0);
    port_text = str_from(colon != NULL ? colon + 1 : "");
    if (num_u64(port_text, 65535, &port) != 0 || port == 0 || !str_copy(host, sizeof(host), name) ||
        name.len == 0)
        return err_set(err, ERR_INVALID, "--control wants HOST:PORT, not '%s'.", control);
    (void)snprintf(ca, sizeof(ca), "%s/ca.crt", node->options.pki);
    (void)snprintf(cert, sizeof(cert), "%s/dataplane.crt", node->options.pki);
    (void)snprintf(key, sizeof(key), "%s/dataplane.key", node->options.pki);
    struct link_conf conf = {.loop = node->loop,
                             .host = host,
                             .port = (uint16_t)port,
                             .ca_file = ca,
                             .cert_file = cert,
                             .key_file = key,
                             .ops = &link_ops,
                             .user = node};
    return link_new(&conf, &node->link, err);
}

int
node_sync_start(struct node *node, struct err *err)
{
    node->lease_ms = LEASE_MS_DEFAULT;
    buf_init(&node->out, OUT_BYTES_MAX);
    buf_init(&node->shared, OUT_BYTES_MAX);
    list_init(&node->want_task.node);
    node->want_task.run = want_run;
    timer_init(&node->upload_timer, upload_tick);
    node->listen_by_ms = clock_mono_ms() + (node->options.control != NULL ? LISTEN_WAIT_MS : 0);
    load_last_good(node);
    int rc = node_uploads_recover(node, err);
    if (rc == 0)
        rc = link_start(node, err);
    if (rc != 0)
        return rc;
    timer_arm(loop_timers(node->loop), &node->upload_timer, clock_mono_ms() + UPLOAD_EVERY_MS);
    pthread_mutex_init(&node->fsync_lock, NULL);
    pthread_cond_init(&node->fsync_wake, NULL);
    if (pthread_create(&node->fsync_thread, NULL, fsync_main, node) != 0)
        return err_set(err, ERR_SYSTEM, "cannot start the sync thread");
    node->fsync_started = true;
    listen_if_ready(node);
    /* Uploads yield to traffic: this thread runs when the workers leave time. */
    thread_share(10, SLICE_US);
    return 0;
}

void
node_sync_stop(struct node *node)
{
    atomic_store(&node->stopping, true);
    if (node->fsync_started) {
        fsync_wake(node);
        (void)pthread_join(node->fsync_thread, NULL);
    }
    timer_cancel(loop_timers(node->loop), &node->upload_timer);
    link_free(&node->link);
    node_gone_fini(node);
    while (!list_empty(&node->uploads)) {
        struct upload *upload = LIST_ENTRY(node->uploads.next, struct upload, node);
        list_remove(&upload->node);
        if (upload->own)
            journal_close(&upload->journal);
        free(upload);
    }
    config_release(&node->config);
    buf_fini(&node->out);
    buf_fini(&node->shared);
}
