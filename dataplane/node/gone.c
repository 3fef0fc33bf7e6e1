/* SPDX-License-Identifier: MIT
 * gone.c - models that their providers no longer have, told to the control plane.
 * Floor: dataplane/node; any worker's thread, and the sync thread.
 * Owns: what waits to be told, under a lock of its own.
 * Invariant: a worker never waits for the link; at most GONE_MAX names wait. e2e/models.sh. */
#include <stdlib.h>

#include "dataplane/node/node.h"
#include "lib/base/check.h"

#define GONE_MAX 64u

struct gone_model {
    char provider[64];
    char upstream[256];
};
struct gone_models {
    struct node *node;
    pthread_mutex_t lock;
    struct loop_task task;
    bool posted;
    uint32_t count;
    struct gone_model models[GONE_MAX];
};

static void
say(struct node *node, const struct gone_model *model)
{
    struct json_writer w;
    node->out.len = 0;
    json_writer_init(&w, &node->out);
    json_open_object(&w);
    json_member_str(&w, "type", STR("gone"));
    json_member_str(&w, "provider", str_from(model->provider));
    json_member_str(&w, "model", str_from(model->upstream));
    json_close_object(&w);
    (void)link_send(node->link, buf_str(&node->out));
}

static void
run(struct loop_task *task)
{
    struct gone_models *gone = CONTAINER_OF(task, struct gone_models, task);
    struct node *node = gone->node;
    pthread_mutex_lock(&gone->lock);
    for (uint32_t i = 0; i < gone->count && node->takes_gone && link_is_up(node->link); i++)
        say(node, &gone->models[i]);
    gone->count = 0;
    gone->posted = false;
    pthread_mutex_unlock(&gone->lock);
}

void
node_model_gone(struct worker *worker, struct str provider, struct str upstream)
{
    struct node *node = worker->node;
    struct gone_models *gone = node->gone;
    struct gone_model model;
    if (gone == NULL || !str_copy(model.provider, sizeof(model.provider), provider) ||
        !str_copy(model.upstream, sizeof(model.upstream), upstream))
        return;
    pthread_mutex_lock(&gone->lock);
    if (gone->count < GONE_MAX)
        gone->models[gone->count++] = model;
    bool post = !gone->posted;
    gone->posted = true;
    pthread_mutex_unlock(&gone->lock);
    if (post)
        loop_post(node->loop, &gone->task);
}

int
node_gone_init(struct node *node)
{
    struct gone_models *gone = calloc(1, sizeof(*gone));
    if (gone == NULL)
        return -ERR_NOMEM;
    gone->node = node;
    list_init(&gone->task.node);
    gone->task.run = run;
    ASSERT(pthread_mutex_init(&gone->lock, NULL) == 0);
    node->gone = gone;
    return 0;
}

void
node_gone_fini(struct node *node)
{
    if (node->gone == NULL)
        return;
    (void)pthread_mutex_destroy(&node->gone->lock);
    free(node->gone);
    node->gone = NULL;
}
