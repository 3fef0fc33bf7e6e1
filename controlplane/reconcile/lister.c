/* SPDX-License-Identifier: MIT
 * lister.c - see lister.h. libcurl blocks, so each page is fetched on a thread of a small pool.
 * Floor: controlplane/reconcile; see lister.h for threads.
 * Owns: see lister.h.
 * Invariant: a job is touched by one thread at a time: the caller's, a worker's, the loop's. */
#include "controlplane/reconcile/lister.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "lib/base/check.h"
#include "lib/base/secret.h"
#include "lib/http/fetch.h"

#define PAGE_BYTES_MAX ((size_t)16u * 1024u * 1024u)
#define FETCH_TIMEOUT_MS 20000u
#define FIELD_BYTES_MAX 8192u
#define TOLD_BYTES_MAX ((size_t)256u * 1024u)
#define JOB_ARENA_BYTES ((size_t)64u * 1024u * 1024u)

struct lister_job {
    struct list node;       /* lister->jobs */
    struct list queue_node; /* lister->queue until a worker took it, lister->ended behind it */
    struct lister *lister;
    struct arena arena;
    struct lister_request request;
    struct buf field; /* with the key */
    struct listing listing;
    struct buf told;
    long status;
    struct err err;
    int code;
    bool canceled;
};
struct lister {
    struct loop *loop;
    uint32_t retry_ms;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    pthread_t threads[LISTER_THREADS];
    size_t thread_count;
    struct list queue;
    struct list ended; /* for the loop */
    struct list jobs;
    struct loop_io io; /* an eventfd: there are ended ones */
    bool stopping;
};

static void
job_free(struct lister_job *job)
{
    list_remove(&job->node);
    buf_wipe(&job->field);
    buf_fini(&job->told);
    listing_fini(&job->listing);
    arena_fini(&job->arena);
    free(job);
}

/* ---- on a thread of the pool ----------------------------------------------------------------- */

static bool
is_stopping(void *user)
{
    struct lister_job *job = user;
    pthread_mutex_lock(&job->lister->lock);
    bool stopping = job->lister->stopping || job->canceled;
    pthread_mutex_unlock(&job->lister->lock);
    return stopping;
}

static bool
go_on(void *user)
{
    return !is_stopping(user);
}

/* false: it is time to stop. */
static bool
rest(struct lister_job *job, uint64_t ms)
{
    struct lister *lister = job->lister;
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += (time_t)(ms / 1000u);
    until.tv_nsec += (long)(ms % 1000u) * 1000000l;
    until.tv_sec += until.tv_nsec / 1000000000l;
    until.tv_nsec %= 1000000000l;
    int code = 0;
    pthread_mutex_lock(&lister->lock);
    while (!lister->stopping && !job->canceled && code == 0)
        code = pthread_cond_timedwait(&lister->wake, &lister->lock, &until);
    bool more = !lister->stopping && !job->canceled;
    pthread_mutex_unlock(&lister->lock);
    return more;
}

static int
fetch(struct lister_job *job, struct str url, size_t bytes_max, struct buf *reply, long *ret_status)
{
    const struct lister_request *request = &job->request;
    const char *fields[4] = {NULL, NULL, NULL, NULL};
    size_t count = 0;
    if (job->field.len > 0)
        fields[count++] = job->field.ptr;
    if (request->more)
        fields[count++] = request->more;
    if (request->body.len > 0)
        fields[count++] = "Content-Type: application/json";
    bool allow_private = request->allow_private;
    const struct fetch fetch = {.method = request->body.len > 0 ? "POST" : "GET",
                                .url = url.ptr,
                                .ca_file = request->ca_file.len > 0 ? request->ca_file.ptr : NULL,
                                .fields = fields,
                                .body = request->body,
                                .timeout_ms = FETCH_TIMEOUT_MS,
                                .reply_bytes_max = bytes_max,
                                .allow = guard_allow,
                                .allow_user = &allow_private,
                                .on_tick = go_on,
                                .user = job};
    return fetch_run(&fetch, ret_status, reply, &job->err);
}

/* *ret_again: another try may end otherwise. */
static int
fetch_page(struct lister_job *job, struct str url, struct buf *page, bool *ret_again)
{
    long status = 0;
    int code = fetch(job, url, PAGE_BYTES_MAX, page, &status);
    *ret_again = code == -ERR_TIMEOUT || code == -ERR_REFUSED || code == -ERR_RESOLVE ||
                 code == -ERR_IO || code == -ERR_TLS;
    if (code < 0)
        return code;
    *ret_again = status == 408 || status == 429 || status >= 500;
    if (status == 401 || status == 403)
        return err_set(&job->err, ERR_UNAUTHENTICATED, "the provider does not accept the key (%ld)",
                       status);
    if (status != 200)
        return err_set(&job->err, status == 404 ? ERR_NOT_FOUND : ERR_UNAVAILABLE,
                       "the provider answers its list with status %ld", status);
    return 0;
}

static int
fetch_tried(struct lister_job *job, struct str url, struct buf *page)
{
    bool again = false;
    int code = fetch_page(job, url, page, &again);
    for (unsigned try = 1; code < 0 && again && try < LISTER_TRIES; try++) {
        if (!rest(job, (uint64_t)job->lister->retry_ms << (try - 1)))
            return err_set(&job->err, ERR_CANCELED, "stopped");
        page->len = 0;
        code = fetch_page(job, url, page, &again);
    }
    return code;
}

static void
fetch_all(struct lister_job *job)
{
    const struct lister_request *request = &job->request;
    struct str cursor = STR_EMPTY;
    for (unsigned page = 0; page < LISTING_PAGES_MAX; page++) {
        struct buf text;
        struct str url =
            listing_url(request->base_url, request->path, request->shape, cursor, &job->arena);
        buf_init(&text, PAGE_BYTES_MAX);
        job->code = url.ptr ? fetch_tried(job, url, &text)
                            : err_set(&job->err, ERR_INVALID, "its list has no address");
        if (job->code == 0)
            job->code = listing_read(&job->listing, buf_str(&text), request->shape, &job->arena,
                                     &cursor, &job->err);
        buf_fini(&text);
        if (job->code < 0 || cursor.len == 0)
            return;
    }
    job->code = err_set(&job->err, ERR_TOO_LARGE, "its list does not end");
}

/* A question that is asked once. */
static void
fetch_told(struct lister_job *job)
{
    const struct lister_request *request = &job->request;
    struct str url = listing_url(request->base_url, request->path, NULL, STR_EMPTY, &job->arena);
    if (url.ptr && fetch(job, url, TOLD_BYTES_MAX, &job->told, &job->status) < 0)
        job->status = 0;
}

static void *
work(void *user)
{
    struct lister *lister = user;
    pthread_mutex_lock(&lister->lock);
    while (!lister->stopping) {
        struct list *node = list_pop_front(&lister->queue);
        if (!node) {
            pthread_cond_wait(&lister->wake, &lister->lock);
            continue;
        }
        struct lister_job *job = LIST_ENTRY(node, struct lister_job, queue_node);
        pthread_mutex_unlock(&lister->lock);
        if (job->request.body.len > 0)
            fetch_told(job);
        else
            fetch_all(job);
        listing_seal(&job->listing);
        pthread_mutex_lock(&lister->lock);
        list_push_back(&lister->ended, &job->queue_node);
        const uint64_t one = 1;
        ASSERT(write(lister->io.fd, &one, sizeof one) == (ssize_t)sizeof one);
    }
    pthread_mutex_unlock(&lister->lock);
    return NULL;
}

/* ---- on the loop ----------------------------------------------------------------------------- */

static struct lister_job *
take_ended(struct lister *lister)
{
    pthread_mutex_lock(&lister->lock);
    struct list *node = list_pop_front(&lister->ended);
    pthread_mutex_unlock(&lister->lock);
    return node ? LIST_ENTRY(node, struct lister_job, queue_node) : NULL;
}

static void
on_ended(struct loop_io *io, uint32_t events)
{
    struct lister *lister = CONTAINER_OF(io, struct lister, io);
    struct lister_job *job;
    uint64_t count;
    (void)events;
    while (read(io->fd, &count, sizeof count) == (ssize_t)sizeof count)
        continue;
    while ((job = take_ended(lister)) != NULL) {
        if (!job->canceled && job->request.body.len > 0)
            job->request.told(job->request.user, job->status, buf_str(&job->told));
        else if (!job->canceled)
            job->request.done(job->request.user, job->code, &job->listing, &job->err);
        job_free(job);
    }
}

int
lister_new(struct loop *loop, uint32_t retry_ms, struct lister **ret_lister)
{
    struct lister *lister = calloc(1, sizeof *lister);
    pthread_condattr_t attr;
    if (!lister)
        return -ERR_NOMEM;
    lister->loop = loop;
    lister->retry_ms = retry_ms;
    list_init(&lister->queue);
    list_init(&lister->ended);
    list_init(&lister->jobs);
    lister->io = (struct loop_io){.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), .ready = on_ended};
    if (lister->io.fd < 0 || loop_add(loop, &lister->io, false) < 0) {
        if (lister->io.fd >= 0)
            (void)close(lister->io.fd);
        free(lister);
        return -ERR_SYSTEM;
    }
    ASSERT(pthread_mutex_init(&lister->lock, NULL) == 0);
    ASSERT(pthread_condattr_init(&attr) == 0);
    ASSERT(pthread_condattr_setclock(&attr, CLOCK_MONOTONIC) == 0);
    ASSERT(pthread_cond_init(&lister->wake, &attr) == 0);
    (void)pthread_condattr_destroy(&attr);
    *ret_lister = lister;
    return 0;
}

void
lister_free(struct lister **lister)
{
    struct lister *gone = TAKE(*lister);
    if (!gone)
        return;
    pthread_mutex_lock(&gone->lock);
    gone->stopping = true;
    pthread_cond_broadcast(&gone->wake);
    pthread_mutex_unlock(&gone->lock);
    for (size_t i = 0; i < gone->thread_count; i++)
        (void)pthread_join(gone->threads[i], NULL);
    loop_remove(gone->loop, &gone->io);
    (void)close(gone->io.fd);
    LIST_FOREACH_SAFE (at, &gone->jobs) {
        job_free(LIST_ENTRY(at, struct lister_job, node));
    }
    (void)pthread_cond_destroy(&gone->wake);
    (void)pthread_mutex_destroy(&gone->lock);
    free(gone);
}

static int
copy_request(struct lister_job *job, const struct lister_request *request)
{
    job->request = *request;
    struct str *texts[] = {&job->request.base_url, &job->request.path, &job->request.ca_file,
                           &job->request.body};
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        if (arena_dup(&job->arena, texts[i]->ptr ? *texts[i] : STR_EMPTY, texts[i]) < 0)
            return -ERR_NOMEM;
    }
    job->request.key = STR_EMPTY;
    if (request->key.len == 0 || !request->header)
        return 0;
    if (buf_reserve(&job->field, strlen(request->header) + request->key.len + 1) < 0)
        return -ERR_NOMEM;
    buf_put_str(&job->field, str_from(request->header));
    buf_put_str(&job->field, request->key);
    job->field.ptr[job->field.len] = '\0';
    return 0;
}

/* As many threads as there is work for. */
static void
need_thread(struct lister *lister)
{
    if (lister->thread_count < LISTER_THREADS &&
        pthread_create(&lister->threads[lister->thread_count], NULL, work, lister) == 0)
        lister->thread_count++;
}

int
lister_start(struct lister *lister, const struct lister_request *request,
             struct lister_job **ret_job)
{
    struct lister_job *job = calloc(1, sizeof *job);
    if (!job)
        return -ERR_NOMEM;
    job->lister = lister;
    arena_init(&job->arena, JOB_ARENA_BYTES);
    buf_init(&job->field, FIELD_BYTES_MAX);
    listing_init(&job->listing);
    buf_init(&job->told, TOLD_BYTES_MAX + 1);
    list_push_back(&lister->jobs, &job->node);
    int code = copy_request(job, request);
    need_thread(lister);
    if (code == 0 && lister->thread_count == 0)
        code = -ERR_SYSTEM;
    if (code < 0) {
        job_free(job);
        return code;
    }
    pthread_mutex_lock(&lister->lock);
    list_push_back(&lister->queue, &job->queue_node);
    pthread_cond_signal(&lister->wake);
    pthread_mutex_unlock(&lister->lock);
    *ret_job = job;
    return 0;
}

void
lister_cancel(struct lister_job *job)
{
    pthread_mutex_lock(&job->lister->lock);
    job->canceled = true;
    pthread_cond_broadcast(&job->lister->wake);
    pthread_mutex_unlock(&job->lister->lock);
}
