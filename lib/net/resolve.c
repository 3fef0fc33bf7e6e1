/* SPDX-License-Identifier: MIT
 * resolve.c - one thread around getaddrinfo, a queue and a cache in front of it.
 * Floor: lib/net; queries on their loops' threads, `worker` on its own; one lock over all of it.
 * Owns: jobs (until their loop has run them, or the worker dropped them), names in the cache.
 * Invariant: a job is posted under the lock and only while its query stands, so a canceled query's
 *            loop may be freed; the lock is never held over getaddrinfo: proved in resolve_test.c.
 */
#include "lib/net/resolve.h"

#include <netdb.h>
#include <pthread.h>
#include <resolv.h>
#include <signal.h>
#include <stdlib.h>

#include "lib/base/check.h"
#include "lib/base/clock.h"
#include "lib/base/map.h"
#include "lib/net/sock_int.h"

#define HOST_BYTES_MAX 253u
#define QUEUE_MAX 1024u
#define NAMES_MAX 1024u
#define GOOD_MS 30000u
#define BAD_MS 5000u

struct answer {
    int code;
    size_t count;
    struct sock_addr addrs[RESOLVE_ADDRS_MAX]; /* port 0 */
};

struct job {
    struct list node;
    struct loop_task task;
    struct resolve_query *query; /* NULL once canceled */
    uint16_t port;
    bool posted;
    char host[HOST_BYTES_MAX + 1];
    struct answer answer;
};

struct name {
    struct list node; /* oldest first */
    uint64_t expires_ms;
    char host[HOST_BYTES_MAX + 1];
    struct answer answer;
};

static struct {
    pthread_mutex_t lock;
    pthread_cond_t work;
    bool started;
    size_t queued;
    struct list queue;
    struct list names;
    struct map by_host;
} resolver = {
    .lock = PTHREAD_MUTEX_INITIALIZER,
    .work = PTHREAD_COND_INITIALIZER,
    .queue = {&resolver.queue, &resolver.queue},
    .names = {&resolver.names, &resolver.names},
};

static void
name_drop(struct name *name)
{
    (void)map_remove(&resolver.by_host, str_from(name->host));
    list_remove(&name->node);
    free(name);
}

/* Locked. */
static bool
cache_get(const char *host, struct answer *ret_answer)
{
    struct name *name = map_get(&resolver.by_host, str_from(host));
    if (name == NULL)
        return false;
    if (name->expires_ms <= clock_mono_ms()) {
        name_drop(name);
        return false;
    }
    *ret_answer = name->answer;
    return true;
}

/* Locked. Without memory there is no cache, and nothing else is lost. */
static void
cache_put(const char *host, const struct answer *answer)
{
    struct name *name = map_get(&resolver.by_host, str_from(host));
    if (name != NULL)
        name_drop(name);
    if (resolver.by_host.count >= NAMES_MAX)
        name_drop(LIST_ENTRY(resolver.names.next, struct name, node));
    name = calloc(1, sizeof(*name));
    if (name == NULL)
        return;
    memcpy(name->host, host, strlen(host) + 1);
    name->answer = *answer;
    name->expires_ms = clock_mono_ms() + (answer->code == 0 ? GOOD_MS : BAD_MS);
    list_push_back(&resolver.names, &name->node);
    if (map_put(&resolver.by_host, str_from(name->host), name, NULL) < 0) {
        list_remove(&name->node);
        free(name);
    }
}

static void
look_up(const char *host, struct answer *answer)
{
    struct addrinfo hints = {
        .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG};
    struct addrinfo *found = NULL;
    *answer = (struct answer){.code = -ERR_RESOLVE};
    int r = getaddrinfo(host, NULL, &hints, &found);
    if (r != 0) {
        answer->code = r == EAI_AGAIN ? -ERR_TIMEOUT : -ERR_RESOLVE;
        return;
    }
    for (struct addrinfo *info = found; info != NULL; info = info->ai_next) {
        if (answer->count == RESOLVE_ADDRS_MAX ||
            (info->ai_family != AF_INET && info->ai_family != AF_INET6))
            continue;
        struct sock_addr *addr = &answer->addrs[answer->count++];
        addr->len = info->ai_addrlen;
        memcpy(&addr->u, info->ai_addr, info->ai_addrlen);
    }
    freeaddrinfo(found);
    if (answer->count > 0)
        answer->code = 0;
}

static void
query_done(struct resolve_query *query, struct answer *answer, uint16_t port)
{
    for (size_t i = 0; i < answer->count; i++) /* in4 and in6 have it at the same place */
        answer->addrs[i].u.in4.sin_port = htons(port);
    query->job = NULL;
    query->done(query, answer->code, answer->addrs, answer->count);
}

/* On the query's loop. */
static void
job_run(struct loop_task *task)
{
    struct job *job = LIST_ENTRY(task, struct job, task);
    /* The worker posted under the lock: once we had it, it is done with the loop, which `done` may
     * free. Cancel runs on this thread too. */
    ASSERT(pthread_mutex_lock(&resolver.lock) == 0);
    ASSERT(pthread_mutex_unlock(&resolver.lock) == 0);
    if (job->query != NULL)
        query_done(job->query, &job->answer, job->port);
    free(job);
}

static void *
worker(void *unused)
{
    (void)unused;
    /* Bounded: two tries of a second each at a server, where the C library lets us say so. */
    if (res_init() == 0) {
        _res.retrans = 1;
        _res.retry = 2;
    }
    ASSERT(pthread_mutex_lock(&resolver.lock) == 0);
    for (;;) {
        struct list *node = list_pop_front(&resolver.queue);
        if (node == NULL) {
            ASSERT(pthread_cond_wait(&resolver.work, &resolver.lock) == 0);
            continue;
        }
        resolver.queued--;
        struct job *job = LIST_ENTRY(node, struct job, node);
        if (job->query != NULL && !cache_get(job->host, &job->answer)) {
            ASSERT(pthread_mutex_unlock(&resolver.lock) == 0);
            look_up(job->host, &job->answer);
            ASSERT(pthread_mutex_lock(&resolver.lock) == 0);
            cache_put(job->host, &job->answer);
        }
        if (job->query != NULL) {
            job->posted = true;
            loop_post(job->query->loop, &job->task);
        } else {
            free(job);
        }
    }
    return NULL;
}

/* Locked. */
static bool
worker_start(void)
{
    if (resolver.started)
        return true;
    pthread_t thread;
    sigset_t all;
    sigset_t before;
    map_init(&resolver.by_host);
    /* Signals are for the threads that expect them. */
    (void)sigfillset(&all);
    ASSERT(pthread_sigmask(SIG_SETMASK, &all, &before) == 0);
    int r = pthread_create(&thread, NULL, worker, NULL);
    ASSERT(pthread_sigmask(SIG_SETMASK, &before, NULL) == 0);
    if (r != 0)
        return false;
    (void)pthread_detach(thread);
    resolver.started = true;
    return true;
}

/* Lower case, no trailing dot, only bytes of a name. */
static bool
host_normal(struct str host, char out[HOST_BYTES_MAX + 1])
{
    if (host.len > 0 && host.ptr[host.len - 1] == '.')
        host.len--;
    if (host.len == 0 || host.len > HOST_BYTES_MAX)
        return false;
    for (size_t i = 0; i < host.len; i++) {
        char c = host.ptr[i];
        if (c >= 'A' && c <= 'Z')
            c = (char)(c - 'A' + 'a');
        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_'))
            return false;
        out[i] = c;
    }
    out[host.len] = '\0';
    return true;
}

/* -ERR_AGAIN: the worker has it. */
static int
enqueue(struct resolve_query *query, const char *host, uint16_t port)
{
    struct job *job = calloc(1, sizeof(*job));
    if (job == NULL)
        return -ERR_RESOLVE;
    list_init(&job->node);
    job->task.run = job_run;
    job->query = query;
    job->port = port;
    memcpy(job->host, host, strlen(host) + 1);
    ASSERT(pthread_mutex_lock(&resolver.lock) == 0);
    bool taken = resolver.queued < QUEUE_MAX && worker_start();
    if (taken) {
        query->job = job;
        list_push_back(&resolver.queue, &job->node);
        resolver.queued++;
        ASSERT(pthread_cond_signal(&resolver.work) == 0);
    }
    ASSERT(pthread_mutex_unlock(&resolver.lock) == 0);
    if (!taken)
        free(job);
    return taken ? -ERR_AGAIN : -ERR_RESOLVE;
}

void
resolve_start(struct resolve_query *query, struct loop *loop, struct str host, uint16_t port,
              resolve_fn done)
{
    *query = (struct resolve_query){.loop = loop, .done = done};
    char name[HOST_BYTES_MAX + 1];
    struct answer answer = {.code = -ERR_RESOLVE};
    struct str literal = host;
    if (host.len > 2 && host.ptr[0] == '[' && host.ptr[host.len - 1] == ']')
        literal = str_make(host.ptr + 1, host.len - 2);
    if (sock_addr_literal(literal, port, &answer.addrs[0]) == 0) {
        answer.code = 0;
        answer.count = 1;
    } else if (host_normal(host, name)) {
        ASSERT(pthread_mutex_lock(&resolver.lock) == 0);
        bool hit = resolver.started && cache_get(name, &answer);
        ASSERT(pthread_mutex_unlock(&resolver.lock) == 0);
        if (!hit)
            answer.code = enqueue(query, name, port);
    }
    if (answer.code != -ERR_AGAIN)
        query_done(query, &answer, port);
}

void
resolve_cancel(struct resolve_query *query)
{
    struct job *job = query->job;
    if (job == NULL)
        return;
    ASSERT(pthread_mutex_lock(&resolver.lock) == 0);
    job->query = NULL;
    if (!job->posted && !list_empty(&job->node)) { /* the worker has not begun */
        list_remove(&job->node);
        resolver.queued--;
        free(job);
    }
    ASSERT(pthread_mutex_unlock(&resolver.lock) == 0);
    query->job = NULL;
}
