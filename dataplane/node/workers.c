/* SPDX-License-Identifier: MIT
 * workers.c - the worker threads: one loop each, and how the sync thread talks to them.
 * Floor: dataplane/node; functions on the sync thread, tasks on the workers.
 * Owns: loops, servers and threads of the workers.
 * Invariant: a task that the sync thread waits for is answered within one turn of the worker. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "dataplane/node/node.h"
#include "dataplane/pipeline/caller.h"
#include "dataplane/pipeline/exchange.h"
#include "lib/base/check.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/base/thread.h"

/* ---- tasks -------------------------------------------------------------------------------------
 */

struct barrier {
    pthread_mutex_t lock;
    pthread_cond_t done;
    uint32_t left;
};
struct each_task {
    struct loop_task task;
    struct node_worker *worker;
    node_worker_fn fn;
    void *arg;
    struct barrier *barrier;
};

static void
each_run(struct loop_task *task)
{
    struct each_task *each = CONTAINER_OF(task, struct each_task, task);
    struct barrier *barrier = each->barrier;
    each->fn(each->worker, each->arg);
    pthread_mutex_lock(&barrier->lock);
    if (--barrier->left == 0)
        pthread_cond_signal(&barrier->done);
    pthread_mutex_unlock(&barrier->lock);
}

void
node_each_worker(struct node *node, node_worker_fn fn, void *arg)
{
    struct each_task tasks[LIVE_WORKERS_MAX];
    struct barrier barrier = {.lock = PTHREAD_MUTEX_INITIALIZER,
                              .done = PTHREAD_COND_INITIALIZER,
                              .left = node->worker_count};
    for (uint32_t i = 0; i < node->worker_count; i++) {
        tasks[i] = (struct each_task){.worker = &node->workers[i],
                                      .fn = fn,
                                      .arg = arg,
                                      .barrier = &barrier,
                                      .task = {.run = each_run}};
        list_init(&tasks[i].task.node);
        loop_post(node->workers[i].worker.loop, &tasks[i].task);
    }
    pthread_mutex_lock(&barrier.lock);
    while (barrier.left > 0)
        pthread_cond_wait(&barrier.done, &barrier.lock);
    pthread_mutex_unlock(&barrier.lock);
}

/* ---- connections from the agent ----------------------------------------------------------------
 */

struct adopt_task {
    struct loop_task task;
    struct node_worker *worker;
    int fd;
    struct live_binding *binding;
};

static void
adopt_run(struct loop_task *task)
{
    struct adopt_task *adopt = CONTAINER_OF(task, struct adopt_task, task);
    struct worker *worker = &adopt->worker->worker;
    struct caller *caller = NULL;
    int fd = adopt->fd;
    bool attested = adopt->binding != NULL;
    caller = caller_new(worker, TAKE(adopt->binding));
    if (caller != NULL)
        caller->unproved = !attested;
    if (caller == NULL)
        (void)close(fd);
    else if (http_server_adopt(adopt->worker->server, fd, caller) != 0)
        caller_free(&caller);
    free(adopt);
}

void
node_adopt(struct node *node, int fd, struct live_binding *binding)
{
    static uint32_t next;
    struct node_worker *worker = &node->workers[next++ % node->worker_count];
    struct adopt_task *adopt = calloc(1, sizeof(*adopt));
    if (adopt == NULL) {
        live_release(&binding);
        (void)close(fd);
        return;
    }
    *adopt = (struct adopt_task){
        .worker = worker, .fd = fd, .binding = binding, .task = {.run = adopt_run}};
    list_init(&adopt->task.node);
    loop_post(worker->worker.loop, &adopt->task);
}

/* ---- revocation ------------------------------------------------------------------------------ */

static bool
conn_is_busy(const struct worker *worker, const struct http_conn *conn)
{
    LIST_FOREACH (node, &worker->exchanges) {
        const struct exchange *exchange = LIST_ENTRY(node, struct exchange, node);
        if (exchange->stream != NULL && http_stream_conn(exchange->stream) == conn)
            return true;
    }
    return false;
}

/* Open streams end in an error event, which leaves in this turn; idle connections go at once: an
 * open socket would keep the dead container's network namespace alive. */
static void
revoke_run(struct node_worker *worker, void *arg)
{
    struct live_binding *binding = arg;
    (void)worker_revoke(&worker->worker, binding);
    LIST_FOREACH_SAFE (node, &binding->callers[worker->worker.index]) {
        const struct caller *caller = LIST_ENTRY(node, struct caller, node);
        if (caller->conn != NULL && !conn_is_busy(&worker->worker, caller->conn))
            http_conn_abort(caller->conn);
    }
}

void
node_revoke(struct node *node, const uint8_t incarnation[INCARNATION_BYTES])
{
    struct live_binding *binding = live_revoke(&node->live, incarnation);
    if (binding == NULL)
        return;
    node_each_worker(node, revoke_run, binding);
    LOG_INFO("binding revoked", LOG_S("container", binding->binding.name));
    live_release(&binding);
}

void
node_suspend(struct node *node, const uint8_t incarnation[INCARNATION_BYTES])
{
    struct live_binding *binding = live_find(&node->live, incarnation);
    if (binding == NULL)
        return; /* unknown; or revoked, which is for good */
    node_revoke(node, incarnation);
    live_drop(&node->live, incarnation, false);
    live_release(&binding);
}

/* ---- another name, number or wallet ---------------------------------------------------------- */

struct replace_arg {
    struct live_binding *old;
    struct live_binding *new;
};

/* Open requests go on as who they began as, but end with the binding that is in force. */
static void
replace_run(struct node_worker *worker, void *opaque)
{
    const struct replace_arg *arg = opaque;
    uint32_t index = worker->worker.index;
    LIST_FOREACH (node, &worker->worker.exchanges) {
        struct exchange *exchange = LIST_ENTRY(node, struct exchange, node);
        if (exchange->binding == arg->old)
            exchange->binding = arg->new;
    }
    LIST_FOREACH_SAFE (node, &arg->old->callers[index]) {
        struct caller *caller = LIST_ENTRY(node, struct caller, node);
        list_remove(&caller->node);
        list_push_back(&arg->new->callers[index], &caller->node);
        atomic_fetch_add(&arg->new->refs, 1u);
        live_release(&caller->binding);
        caller->binding = arg->new;
    }
}

void
node_replace(struct node *node, struct live_binding *old, struct live_binding *new)
{
    struct replace_arg arg = {.old = old, .new = new};
    node_each_worker(node, replace_run, &arg);
    LOG_INFO("binding changed", LOG_S("was", old->binding.name), LOG_S("is", new->binding.name));
}

/* ---- funds ----------------------------------------------------------------------------------- */

void
node_want_funds(struct worker *worker, struct fund *fund)
{
    struct node *node = worker->node;
    (void)fund; /* the sync thread looks at all that are wanted */
    if (!atomic_exchange(&node->want_posted, true))
        loop_post(node->loop, &node->want_task);
}

/* ---- threads --------------------------------------------------------------------------------- */

static void *
worker_main(void *arg)
{
    struct node_worker *worker = arg;
    thread_share(0, 100); /* wake soon, also beside a thread that is in its slice */
    loop_run(worker->worker.loop);
    return NULL;
}

/* Of anything; what an endpoint takes is less: layers/admit.c. */
#define BODY_BYTES_MAX ((uint64_t)100u * 1024u * 1024u)

static int
worker_server(struct node_worker *worker, struct tls_context *tls, struct http_server **ret_server,
              struct err *err)
{
    struct http_server_conf conf = {.loop = worker->worker.loop,
                                    .tls = tls,
                                    .handler = &front_handler,
                                    .user = &worker->worker,
                                    .body_bytes_max =
                                        MAX(BODY_BYTES_MAX, worker->worker.form_bytes_max),
                                    .conn_count_max = 20000u,
                                    .h2_streams_max = 100u};
    return http_server_new(&conf, ret_server, err);
}

static void
listen_begin(struct node_worker *worker, void *arg)
{
    const struct node *node = arg;
    int rc = 0;
    for (uint32_t i = 0; rc == 0 && i < node->listen_count; i++)
        rc = http_server_listen(worker->server, node->listen_fds[i]);
    for (uint32_t i = 0; rc == 0 && i < node->tls_count; i++)
        rc = http_server_listen(worker->tls_server, node->tls_fds[i]);
    if (rc != 0)
        LOG_ERROR("a worker cannot accept connections", LOG_U("worker", worker->worker.index));
}

void
node_workers_listen(struct node *node)
{
    if (node->listening)
        return;
    node->listening = true;
    node_each_worker(node, listen_begin, node);
    node_handoff_listen(node);
}

static int
worker_start(struct node *node, uint32_t index, struct err *err)
{
    struct node_worker *w = &node->workers[index];
    struct loop *loop = NULL;
    char dir[4096];
    w->node = node;
    int rc = loop_new(&loop, err);
    if (rc != 0)
        return rc;
    rc = worker_init(&w->worker, index, loop, &node->live, &node->funds, node->metrics,
                     &node->trust, err);
    if (rc != 0)
        return rc;
    w->worker.node = node;
    w->worker.want_funds = node_want_funds;
    w->worker.model_gone = node_model_gone;
    w->worker.journal_written = node_journal_written;
    w->worker.form_bytes_max = (uint64_t)node->options.form_mib << 20;
    uint64_t spool_bytes = (uint64_t)node->options.spool_mib << 20;
    w->worker.spool =
        (struct spool_room){.dir = node->options.data,
                            .bytes_max = spool_bytes,
                            .share_bytes_max = MAX(spool_bytes / 4, w->worker.form_bytes_max)};
    (void)snprintf(dir, sizeof(dir), "%s/journal", node->options.data);
    struct journal_conf journal = {.dir = dir,
                                   .epoch = node->epoch,
                                   .stream = index,
                                   .segment_count_max = node->options.journal_mib / 4u};
    rc = journal_open(&journal, &w->worker.journal, err);
    if (rc == 0)
        rc = worker_server(w, NULL, &w->server, err);
    if (rc == 0 && node->tls_count > 0)
        rc = worker_server(w, node->tls, &w->tls_server, err);
    if (rc != 0)
        return rc;
    if (pthread_create(&w->thread, NULL, worker_main, w) != 0)
        return err_set(err, ERR_SYSTEM, "cannot start a worker thread");
    w->started = true;
    return 0;
}

int
node_workers_start(struct node *node, struct err *err)
{
    if (node_gone_init(node) != 0)
        return err_set(err, ERR_NOMEM, "out of memory");
    for (uint32_t i = 0; i < node->worker_count; i++) {
        int rc = worker_start(node, i, err);
        if (rc != 0)
            return rc;
    }
    return 0;
}

/* ---- the end --------------------------------------------------------------------------------- */

static void
drained(void *user)
{
    struct node_worker *worker = user;
    worker->drained = true;
}

static void
drained_tls(void *user)
{
    struct node_worker *worker = user;
    worker->drained_tls = true;
}

static void
drain_begin(struct node_worker *worker, void *arg)
{
    (void)arg;
    http_server_drain(worker->server, drained, worker);
    if (worker->tls_server != NULL)
        http_server_drain(worker->tls_server, drained_tls, worker);
    else
        worker->drained_tls = true;
}

static void
drain_look(struct node_worker *worker, void *arg)
{
    bool *all = arg; /* only ever cleared, and read after all workers have answered */
    if (!worker->drained || !worker->drained_tls)
        __atomic_store_n(all, false, __ATOMIC_RELAXED);
}

static void
servers_free(struct node_worker *worker, void *arg)
{
    (void)arg;
    http_server_free(&worker->server);
    http_server_free(&worker->tls_server);
    worker_abandon(&worker->worker);
}

/* Who connects from now on hears that nobody listens, and not nothing until we are gone. */
static void
listeners_close(struct node *node)
{
    for (uint32_t i = 0; i < node->listen_count; i++)
        (void)close(node->listen_fds[i]);
    for (uint32_t i = 0; i < node->tls_count; i++)
        (void)close(node->tls_fds[i]);
    node->listen_count = 0;
    node->tls_count = 0;
}

void
node_workers_drain(struct node *node, uint32_t deadline_ms)
{
    uint64_t end = clock_mono_ms() + deadline_ms;
    node_each_worker(node, drain_begin, NULL);
    listeners_close(node);
    for (;;) {
        bool all = true;
        node_each_worker(node, drain_look, &all);
        if (all || clock_mono_ms() >= end)
            break;
        struct timespec nap = {.tv_nsec = 10000000};
        (void)nanosleep(&nap, NULL);
    }
    node_each_worker(node, servers_free, NULL);
}

void
node_workers_join(struct node *node)
{
    for (uint32_t i = 0; i < node->worker_count; i++) {
        struct node_worker *w = &node->workers[i];
        if (!w->started)
            continue;
        loop_stop(w->worker.loop);
        (void)pthread_join(w->thread, NULL);
        struct loop *loop = w->worker.loop;
        worker_fini(&w->worker);
        loop_free(&loop);
    }
}
