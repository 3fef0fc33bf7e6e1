/* SPDX-License-Identifier: MIT
 * source.c - one thread a runtime: /events, and from inside its callbacks the reads that follow.
 * Floor: agent/source; see source.h.
 * Owns: the thread; what it found until the loop's thread took it.
 * Invariant: see source.h. Podman answers /events only with the first event, so there is no moment
 *            known as "subscribed": `since` reaches back behind the list instead, and the list is
 *            read a second time a second later. */
#include "agent/source/source.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "lib/base/check.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/http/fetch.h"

#define STREAM_MS 600000u /* then anew: a half-dead socket is no stream */
#define READ_MS 5000u
#define RETRY_S 1
#define RELIST_MS 30000u
#define SECOND_LIST_MS 1000u
#define OVERLAP_S 5
#define LINE_BYTES_MAX (1u << 20)
#define REPLY_BYTES_MAX (32u << 20)
#define LOOKS_MAX 512u

struct source {
    struct source_conf conf;
    char socket[108];
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool closed; /* under lock; then conf.loop is no more */
    size_t users;
    char looks[LOOKS_MAX][FACTS_ID_BYTES]; /* under lock: to be read */
    size_t look_count;
    bool overflow; /* under lock: more than that; read the list */
    /* the thread's own */
    struct buf line;
    bool skipping; /* the rest of a line that is too long */
    uint64_t relist_at_ms;
    unsigned lists; /* of this connection */
    int64_t since_s;
    bool complained;
};
struct sighting {
    struct loop_task task;
    struct source *source;
    struct facts facts;
};

const char *
source_kind_name(enum source_kind kind)
{
    return kind == SOURCE_DOCKER ? "docker" : "podman";
}

static void
source_drop(struct source *source)
{
    pthread_mutex_lock(&source->lock);
    size_t users = --source->users;
    pthread_mutex_unlock(&source->lock);
    if (users > 0)
        return;
    (void)pthread_mutex_destroy(&source->lock);
    (void)pthread_cond_destroy(&source->changed);
    buf_fini(&source->line);
    free(source);
}

/* ---- to the loop ---------------------------------------------------------------------------- */

static void
sighting_run(struct loop_task *task)
{
    struct sighting *sighting = CONTAINER_OF(task, struct sighting, task);
    struct source *source = sighting->source;
    /* closed is set on this thread alone */
    if (!source->closed)
        source->conf.seen(&sighting->facts, source->conf.kind, source->conf.user);
    source_drop(source);
    free(sighting);
}

static void
tell(const struct facts *facts, void *user)
{
    struct source *source = user;
    struct sighting *sighting = calloc(1, sizeof(*sighting));
    if (sighting == NULL)
        return; /* the next list says it again */
    *sighting = (struct sighting){.task = {.run = sighting_run}, .source = source, .facts = *facts};
    list_init(&sighting->task.node);
    pthread_mutex_lock(&source->lock);
    bool closed = source->closed;
    if (!closed) {
        source->users++;
        loop_post(source->conf.loop, &sighting->task);
    }
    pthread_mutex_unlock(&source->lock);
    if (closed)
        free(sighting);
}

/* ---- reading -------------------------------------------------------------------------------- */

static int
read_path(const struct source *source, const char *path, long *ret_status, struct buf *reply)
{
    char url[256];
    const char *base = source->conf.kind == SOURCE_DOCKER ? "v1.40" : "v4.0.0/libpod";
    (void)snprintf(url, sizeof(url), "http://runtime/%s/containers/%s", base, path);
    const struct fetch fetch = {.method = "GET",
                                .url = url,
                                .unix_path = source->socket,
                                .timeout_ms = READ_MS,
                                .reply_bytes_max = REPLY_BYTES_MAX};
    return fetch_run(&fetch, ret_status, reply, NULL);
}

static void
read_list(struct source *source)
{
    struct buf reply;
    long status = 0;
    buf_init(&reply, REPLY_BYTES_MAX);
    bool read = read_path(source, "json", &status, &reply) == 0 && status == 200 &&
                facts_parse_list(buf_str(&reply), tell, source) >= 0;
    if (!read && !source->complained)
        LOG_WARN("a runtime's list of containers cannot be read; trying again",
                 LOG_C("runtime", source_kind_name(source->conf.kind)));
    source->complained = !read;
    buf_fini(&reply);
}

static void
read_container(struct source *source, const char *id)
{
    char path[FACTS_ID_BYTES + 8];
    struct facts facts;
    struct buf reply;
    long status = 0;
    (void)snprintf(path, sizeof(path), "%s/json", id);
    buf_init(&reply, REPLY_BYTES_MAX);
    if (read_path(source, path, &status, &reply) == 0) {
        if (status == 200 && facts_parse_inspect(buf_str(&reply), &facts) == 0)
            tell(&facts, source);
        if (status == 404) {
            facts = (struct facts){.state = FACTS_GONE};
            (void)snprintf(facts.id, sizeof(facts.id), "%s", id);
            tell(&facts, source);
        }
    }
    buf_fini(&reply);
}

static void
note(struct source *source, const char *id)
{
    pthread_mutex_lock(&source->lock);
    size_t i = 0;
    while (i < source->look_count && strcmp(source->looks[i], id) != 0)
        i++;
    if (i == LOOKS_MAX)
        source->overflow = true;
    else if (i == source->look_count)
        (void)snprintf(source->looks[source->look_count++], FACTS_ID_BYTES, "%s", id);
    pthread_mutex_unlock(&source->lock);
}

/* The next one to be read; false: none. */
static bool
take_look(struct source *source, char id[FACTS_ID_BYTES])
{
    pthread_mutex_lock(&source->lock);
    bool some = source->look_count > 0;
    if (some) {
        memcpy(id, source->looks[0], FACTS_ID_BYTES);
        memmove(source->looks[0], source->looks[1], (--source->look_count) * FACTS_ID_BYTES);
    }
    if (source->overflow)
        source->relist_at_ms = 0;
    source->overflow = false;
    pthread_mutex_unlock(&source->lock);
    return some;
}

static bool
is_closed(struct source *source)
{
    pthread_mutex_lock(&source->lock);
    bool closed = source->closed;
    pthread_mutex_unlock(&source->lock);
    return closed;
}

/* ---- the stream ----------------------------------------------------------------------------- */

static void
take_line(struct source *source, struct str line)
{
    struct facts facts;
    bool created = false;
    int code = facts_parse_event(line, &facts, &created);
    if (code == 0 && created)
        tell(&facts, source);
    else if (code == 0)
        note(source, facts.id);
    else if (code != -ERR_NOT_FOUND && str_trim(line).len > 0)
        source->relist_at_ms = 0; /* not understood: look at everything */
}

static bool
on_body(struct str bytes, void *user)
{
    struct source *source = user;
    while (bytes.len > 0) {
        struct str head = STR_EMPTY;
        bool whole = str_cut(bytes, '\n', &head, &bytes);
        if (!whole)
            bytes = STR_EMPTY;
        if (!source->skipping && source->line.len + head.len > LINE_BYTES_MAX) {
            source->skipping = true;
            source->relist_at_ms = 0;
        }
        if (!source->skipping)
            (void)buf_put_str(&source->line, head);
        if (!whole)
            break;
        if (!source->skipping)
            take_line(source, buf_str(&source->line));
        source->skipping = false;
        source->line.len = 0;
    }
    return true;
}

static bool
on_tick(void *user)
{
    struct source *source = user;
    char id[FACTS_ID_BYTES];
    uint64_t now_ms = clock_mono_ms();
    if (is_closed(source))
        return false;
    source->since_s = clock_wall_ns() / 1000000000 - OVERLAP_S;
    if (now_ms >= source->relist_at_ms) {
        uint32_t relist_ms = source->conf.relist_ms != 0 ? source->conf.relist_ms : RELIST_MS;
        source->relist_at_ms = now_ms + (source->lists++ == 0 ? SECOND_LIST_MS : relist_ms);
        read_list(source);
    }
    while (take_look(source, id))
        read_container(source, id);
    return true;
}

static void
run_stream(struct source *source)
{
    char url[128];
    struct err err = {0};
    long status = 0;
    (void)snprintf(url, sizeof(url), "http://runtime/v1.40/events?since=%lld",
                   (long long)source->since_s);
    const struct fetch fetch = {.method = "GET",
                                .url = url,
                                .unix_path = source->socket,
                                .timeout_ms = STREAM_MS,
                                .reply_bytes_max = SIZE_MAX,
                                .on_body = on_body,
                                .on_tick = on_tick,
                                .user = source};
    source->relist_at_ms = 0;
    source->lists = 0;
    source->line.len = 0;
    source->skipping = false;
    int code = fetch_run(&fetch, &status, NULL, &err);
    LOG_DEBUG("a runtime's event stream has ended", LOG_C("socket", source->socket),
              LOG_I("status", status), LOG_I("code", code), LOG_E(&err));
}

static void *
thread_main(void *user)
{
    struct source *source = user;
    source->since_s = clock_wall_ns() / 1000000000 - OVERLAP_S;
    pthread_mutex_lock(&source->lock);
    while (!source->closed) {
        struct timespec until;
        pthread_mutex_unlock(&source->lock);
        if (access(source->socket, R_OK | W_OK) == 0)
            run_stream(source);
        (void)clock_gettime(CLOCK_REALTIME, &until);
        until.tv_sec += RETRY_S;
        pthread_mutex_lock(&source->lock);
        if (!source->closed)
            (void)pthread_cond_timedwait(&source->changed, &source->lock, &until);
    }
    pthread_mutex_unlock(&source->lock);
    source_drop(source);
    return NULL;
}

/* ---- making --------------------------------------------------------------------------------- */

int
source_new(const struct source_conf *conf, struct source **ret_source, struct err *err)
{
    pthread_t thread;
    struct source *source = calloc(1, sizeof(*source));
    if (source == NULL)
        return err_set(err, ERR_NOMEM, "no memory");
    source->conf = *conf;
    (void)pthread_mutex_init(&source->lock, NULL);
    (void)pthread_cond_init(&source->changed, NULL);
    buf_init(&source->line, LINE_BYTES_MAX);
    source->users = 1;
    if (!str_copy(source->socket, sizeof(source->socket), str_from(conf->socket))) {
        source_drop(source);
        return err_set(err, ERR_INVALID, "the path of the %s socket is too long",
                       source_kind_name(conf->kind));
    }
    source->users = 2;
    int number = pthread_create(&thread, NULL, thread_main, source);
    if (number != 0) {
        source_drop(source);
        source_drop(source);
        return err_set_errno(err, number, "cannot start a thread");
    }
    (void)pthread_detach(thread);
    *ret_source = source;
    return 0;
}

void
source_free(struct source **ref)
{
    struct source *source = *ref;
    *ref = NULL;
    if (source == NULL)
        return;
    pthread_mutex_lock(&source->lock);
    source->closed = true;
    (void)pthread_cond_signal(&source->changed);
    pthread_mutex_unlock(&source->lock);
    source_drop(source);
}

void
source_look(struct source *source, const char *id)
{
    note(source, id);
}
