/* SPDX-License-Identifier: MIT
 * upload.c - journals to the control plane: in order, at least once, one batch a journal on its
 * way. Floor: dataplane/node; sync thread. Owns: the journals of earlier epochs until they are in
 * the ledger. Invariant: what is not posted is sent again after every reconnect; a file goes only
 * when it is posted and its epoch's leases are released. e2e/crash.sh. */
#include <stdio.h>
#include <stdlib.h>

#include "dataplane/node/field.h"
#include "dataplane/node/node.h"
#include "lib/base/check.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"

#define BATCH_RECORDS_MAX 512u
#define BATCH_BYTES_MAX ((size_t)512u * 1024u)
#define HURRY_PERCENT 25u
/* A batch is a commit of the control plane: what comes one by one waits for others, a quarter of a
 * second at most. */
#define PACE_MS 250u
/* A journal that cannot be read is tried again after this long, then after twice as long. */
#define UNREAD_MS 250u
#define UNREAD_MS_MAX 30000u

static struct upload *
upload_add(struct node *node, struct journal *journal, bool own)
{
    struct upload *upload = calloc(1, sizeof(*upload));
    if (upload == NULL)
        return NULL;
    *upload = (struct upload){.journal = journal, .own = own};
    list_push_back(&node->uploads, &upload->node);
    return upload;
}

static void
recovered(struct journal *journal, uint64_t epoch, uint32_t stream, void *user)
{
    struct node *node = user;
    if (upload_add(node, journal, true) == NULL) {
        journal_close(&journal); /* the files stay for the next start */
        return;
    }
    LOG_INFO("journal of an earlier run found", LOG_U("stream", stream),
             LOG_U("records", journal_last(journal)), LOG_U("epoch", epoch));
}

int
node_uploads_recover(struct node *node, struct err *err)
{
    char dir[4096];
    uint64_t bad = 0;
    (void)snprintf(dir, sizeof(dir), "%s/journal", node->options.data);
    int rc = journal_recover(dir, node->epoch, recovered, node, &bad, err);
    if (bad > 0)
        LOG_WARN("journal files without a good head were removed", LOG_U("count", bad));
    for (uint32_t i = 0; rc == 0 && i < node->worker_count; i++) {
        if (upload_add(node, node->workers[i].worker.journal, false) == NULL)
            rc = err_set(err, ERR_NOMEM, "no memory for uploads");
    }
    return rc;
}

static bool
send_flushed(struct node *node, uint64_t epoch, uint64_t ping)
{
    struct json_writer w;
    node->out.len = 0;
    json_writer_init(&w, &node->out);
    json_open_object(&w);
    json_member_str(&w, "type", STR("flushed"));
    field_put(&w, "epoch", epoch);
    json_close_object(&w);
    if (!link_send(node->link, buf_str(&node->out)))
        return false;
    node->out.len = 0;
    (void)buf_printf(&node->out, "{\"type\":\"ping\",\"n\":%llu}", (unsigned long long)ping);
    return link_send(node->link, buf_str(&node->out));
}

/* All streams of an older epoch are in the ledger: say so. The files stay until the ping behind it
 * is answered: records are worked off in order, so then the leases of that epoch are released. A
 * word that got lost would leave them held for ever, and nobody would know to say it again. */
static void
epoch_flushed(struct node *node, uint64_t epoch)
{
    LIST_FOREACH (at, &node->uploads) {
        const struct upload *upload = LIST_ENTRY(at, struct upload, node);
        if (journal_epoch(upload->journal) == epoch &&
            upload->posted < journal_last(upload->journal))
            return;
    }
    uint64_t ping = LINK_PINGS_MAX + ++node->pings;
    if (!send_flushed(node, epoch, ping))
        return;
    LIST_FOREACH (at, &node->uploads) {
        struct upload *upload = LIST_ENTRY(at, struct upload, node);
        if (journal_epoch(upload->journal) == epoch)
            upload->ping = ping;
    }
}

/* The control plane has done what came before this ping: the journals of that epoch can go. */
void
node_upload_pong(struct node *node, const struct json_doc *doc)
{
    uint64_t ping = 0;
    if (json_u64(doc, json_get(doc, 0, STR("n")), UINT64_MAX, &ping) != 0 || ping == 0)
        return;
    node->left = node->left || ping == node->leave_ping;
    LIST_FOREACH_SAFE (at, &node->uploads) {
        struct upload *upload = LIST_ENTRY(at, struct upload, node);
        if (!upload->own || upload->ping != ping)
            continue;
        LOG_INFO("a journal of an earlier run is in the ledger",
                 LOG_U("epoch", journal_epoch(upload->journal)),
                 LOG_U("stream", journal_stream(upload->journal)));
        list_remove(&upload->node);
        journal_remove(&upload->journal);
        free(upload);
    }
}

/* Said once, not twenty times a second; what it has waits, and room on disk runs out (UJ-02). */
static void
upload_unread(struct node *node, struct upload *upload, int code)
{
    metric_add(metrics_series(node->metrics, METRIC_journal_unread, NULL), 1);
    if (upload->wait_ms == 0) {
        LOG_ERROR("the usage journal cannot be read: what it has is not posted and stays on disk; "
                  "look at the disk and the memory of this host, it is tried again until it can be",
                  LOG_U("epoch", journal_epoch(upload->journal)),
                  LOG_U("stream", journal_stream(upload->journal)), LOG_U("after", upload->posted),
                  LOG_C("error", err_text(code)));
    }
    upload->wait_ms = upload->wait_ms == 0 ? UNREAD_MS : MIN(2 * upload->wait_ms, UNREAD_MS_MAX);
    upload->retry_ms = loop_now_ms(node->loop) + upload->wait_ms;
}

static void
upload_read(struct upload *upload)
{
    if (upload->wait_ms > 0)
        LOG_INFO("the usage journal can be read again",
                 LOG_U("epoch", journal_epoch(upload->journal)),
                 LOG_U("stream", journal_stream(upload->journal)));
    upload->wait_ms = 0;
    upload->retry_ms = 0;
}

static void
upload_send(struct node *node, struct upload *upload)
{
    size_t count = 0;
    uint64_t last = 0;
    struct json_writer w;
    struct buf *out = &node->out;
    struct buf *shared = &node->shared;
    out->len = shared->len = 0;
    out->failed = shared->failed = false;
    json_writer_init(&w, out);
    json_open_object(&w);
    json_member_str(&w, "type", STR("usage"));
    field_put(&w, "epoch", journal_epoch(upload->journal));
    field_put(&w, "stream", journal_stream(upload->journal));
    field_put(&w, "first", upload->posted + 1);
    (void)buf_put_str(out, STR(",\"records\":["));
    int rc =
        journal_read_shared(upload->journal, upload->posted, BATCH_RECORDS_MAX, BATCH_BYTES_MAX,
                            out, node->usage_texts ? shared : NULL, &count, &last);
    if (rc != 0) {
        upload_unread(node, upload, rc);
        return;
    }
    if (count == 0)
        return;
    if (shared->len > 0) {
        (void)buf_put_str(out, STR("],\"texts\":["));
        (void)buf_put_str(out, buf_str(shared));
    }
    (void)buf_put_str(out, STR("]}"));
    if (out->failed) {
        upload_unread(node, upload, -ERR_NOMEM);
        return;
    }
    upload_read(upload);
    if (link_send(node->link, buf_str(&node->out))) {
        upload->sent = last;
        upload->sent_ms = loop_now_ms(node->loop);
    }
}

static bool
is_due(const struct node *node, const struct upload *upload)
{
    uint64_t count = journal_last(upload->journal) - upload->posted;
    if (upload->sent != 0 || count == 0 || loop_now_ms(node->loop) < upload->retry_ms)
        return false;
    return upload->own || node->leaving || count >= BATCH_RECORDS_MAX ||
           upload->posted < upload->mark || loop_now_ms(node->loop) - upload->sent_ms >= PACE_MS;
}

void
node_upload_kick(struct node *node)
{
    if (node->link == NULL || !link_is_up(node->link))
        return;
    uint64_t flushed = 0;
    bool any = false;
    LIST_FOREACH (at, &node->uploads) {
        struct upload *upload = LIST_ENTRY(at, struct upload, node);
        if (is_due(node, upload))
            upload_send(node, upload);
        if (upload->own && upload->ping == 0 && upload->posted >= journal_last(upload->journal)) {
            flushed = journal_epoch(upload->journal);
            any = true;
        }
    }
    if (any)
        epoch_flushed(node, flushed);
}

static bool
all_posted(const struct node *node)
{
    LIST_FOREACH (at, &node->uploads) {
        const struct upload *upload = LIST_ENTRY(at, struct upload, node);
        if (upload->posted < journal_last(upload->journal))
            return false;
    }
    return true;
}

void
node_upload_leave(struct node *node, uint32_t deadline_ms)
{
    uint64_t end = clock_mono_ms() + deadline_ms;
    node->leaving = true;
    while (!node->left && clock_mono_ms() < end && node->link != NULL && link_is_up(node->link)) {
        node_upload_kick(node);
        uint64_t ping = LINK_PINGS_MAX + node->pings + 1;
        if (node->leave_ping == 0 && all_posted(node) && send_flushed(node, node->epoch, ping)) {
            node->leave_ping = ping;
            node->pings++;
        }
        loop_step(node->loop, 20);
    }
    if (!node->left)
        LOG_WARN("stopping before all usage was posted; the next start goes on with it");
}

void
node_upload_mark(struct node *node)
{
    LIST_FOREACH (at, &node->uploads) {
        struct upload *upload = LIST_ENTRY(at, struct upload, node);
        if (!upload->own)
            upload->mark = journal_last(upload->journal);
    }
}

bool
node_upload_marked(const struct node *node)
{
    LIST_FOREACH (at, &node->uploads) {
        const struct upload *upload = LIST_ENTRY(at, struct upload, node);
        if (upload->posted < upload->mark)
            return false;
    }
    return true;
}

uint64_t
node_upload_round(struct node *node)
{
    LIST_FOREACH (at, &node->uploads) {
        const struct upload *upload = LIST_ENTRY(at, struct upload, node);
        if (!upload->own && upload->posted < upload->round_mark)
            return node->rounds;
    }
    LIST_FOREACH (at, &node->uploads) {
        struct upload *upload = LIST_ENTRY(at, struct upload, node);
        upload->round_mark = journal_last(upload->journal);
    }
    return ++node->rounds;
}

void
node_upload_reset(struct node *node)
{
    LIST_FOREACH (at, &node->uploads) {
        struct upload *upload = LIST_ENTRY(at, struct upload, node);
        upload->sent = 0;
        upload->ping = 0;
    }
}

void
node_upload_posted(struct node *node, const struct json_doc *doc)
{
    uint64_t epoch = node->epoch;
    uint64_t stream = 0;
    uint64_t seq = 0;
    if (!field_get(doc, 0, "stream", &stream) || !field_get(doc, 0, "seq", &seq))
        return;
    (void)field_get(doc, 0, "epoch", &epoch);
    LIST_FOREACH (at, &node->uploads) {
        struct upload *upload = LIST_ENTRY(at, struct upload, node);
        if (journal_stream(upload->journal) != stream || journal_epoch(upload->journal) != epoch)
            continue;
        /* seq may be below what we sent: the rest goes again. It never goes back. */
        /* After a power loss the ledger may have more than this disk. */
        seq = MIN(seq, journal_last(upload->journal));
        upload->posted = MAX(seq, upload->posted);
        upload->sent = 0;
        journal_trim(upload->journal, upload->posted);
        if (node->lease_waits && node_upload_marked(node))
            node_send_lease(node);
        /* Full batches do not wait for the timer: else a busy node falls behind for ever. */
        if (upload->own || journal_last(upload->journal) - upload->posted >= BATCH_RECORDS_MAX ||
            journal_fill_percent(upload->journal) >= HURRY_PERCENT)
            node_upload_kick(node);
        return;
    }
}
