/* SPDX-License-Identifier: MIT
 * queue.c - two lists, ready and waiting, and one timer for both.
 * Floor: controlplane/reconcile; its loop's thread.
 * Owns: items; the running one is in neither list.
 * Invariant: see queue.h. */
#include "controlplane/reconcile/queue.h"

#include <stdlib.h>

#include "lib/base/check.h"
#include "lib/base/map.h"

#define RETRY_MS_MIN 50u
#define RETRY_MS_MAX 30000u
#define TURN_ITEMS_MAX 64u /* a long queue must not starve the sockets of the same loop */

struct item {
    struct list node;
    unsigned which;
    unsigned attempts;
    uint64_t due_ms; /* waiting items only */
    bool again;      /* added while running */
    size_t key_len;
    char key[]; /* one byte of `which`, then the name */
};

struct queue {
    struct loop *loop;
    queue_run_fn run;
    queue_failed_fn failed;
    void *user;
    struct timer timer;
    struct list ready;
    struct list waiting;
    struct item *running;
    struct map by_key;
};

static void
arm(struct queue *queue)
{
    uint64_t due = UINT64_MAX;
    if (!list_empty(&queue->ready)) {
        due = 0;
    } else {
        LIST_FOREACH (node, &queue->waiting) {
            due = MIN(due, LIST_ENTRY(node, struct item, node)->due_ms);
        }
    }
    if (due != UINT64_MAX)
        timer_arm(loop_timers(queue->loop), &queue->timer, due);
}

static void
item_drop(struct queue *queue, struct item *item)
{
    map_remove(&queue->by_key, str_make(item->key, item->key_len));
    free(item);
}

static void
run_item(struct queue *queue, struct item *item)
{
    struct err err = {0};
    item->again = false;
    queue->running = item;
    int code =
        queue->run(queue->user, item->which, str_make(item->key + 1, item->key_len - 1), &err);
    queue->running = NULL;
    if (code == 0 && !item->again) {
        item_drop(queue, item);
        return;
    }
    if (code == 0) {
        item->attempts = 0;
        list_push_back(&queue->ready, &item->node);
        return;
    }
    item->attempts++;
    queue->failed(queue->user, item->which, str_make(item->key + 1, item->key_len - 1),
                  item->attempts, &err);
    uint64_t delay = RETRY_MS_MAX;
    if (item->attempts < 10)
        delay = MIN((uint64_t)RETRY_MS_MIN << (item->attempts - 1), (uint64_t)RETRY_MS_MAX);
    item->due_ms = loop_now_ms(queue->loop) + delay;
    list_push_back(&queue->waiting, &item->node);
}

static void
fire(struct timer *timer)
{
    struct queue *queue = CONTAINER_OF(timer, struct queue, timer);
    uint64_t now = loop_now_ms(queue->loop);
    LIST_FOREACH_SAFE (node, &queue->waiting) {
        struct item *item = LIST_ENTRY(node, struct item, node);
        if (item->due_ms <= now) {
            list_remove(&item->node);
            list_push_back(&queue->ready, &item->node);
        }
    }
    for (unsigned i = 0; i < TURN_ITEMS_MAX; i++) {
        struct list *node = list_pop_front(&queue->ready);
        if (!node)
            break;
        run_item(queue, LIST_ENTRY(node, struct item, node));
    }
    arm(queue);
}

int
queue_new(struct loop *loop, queue_run_fn run, queue_failed_fn failed, void *user,
          struct queue **ret_queue)
{
    struct queue *queue = calloc(1, sizeof *queue);
    if (!queue)
        return -ERR_NOMEM;
    queue->loop = loop;
    queue->run = run;
    queue->failed = failed;
    queue->user = user;
    timer_init(&queue->timer, fire);
    list_init(&queue->ready);
    list_init(&queue->waiting);
    map_init(&queue->by_key);
    *ret_queue = queue;
    return 0;
}

void
queue_free(struct queue **queue)
{
    if (!*queue)
        return;
    ASSERT(!(*queue)->running);
    timer_cancel(loop_timers((*queue)->loop), &(*queue)->timer);
    struct list *node;
    while ((node = list_pop_front(&(*queue)->ready)) != NULL)
        free(LIST_ENTRY(node, struct item, node));
    while ((node = list_pop_front(&(*queue)->waiting)) != NULL)
        free(LIST_ENTRY(node, struct item, node));
    map_fini(&(*queue)->by_key);
    free(TAKE(*queue));
}

int
queue_add(struct queue *queue, unsigned which, struct str name)
{
    ASSERT(which < 256);
    struct item *item = malloc(sizeof *item + name.len + 1);
    if (!item)
        return -ERR_NOMEM;
    *item = (struct item){.which = which, .key_len = name.len + 1};
    item->key[0] = (char)which;
    if (name.len > 0)
        memcpy(item->key + 1, name.ptr, name.len);
    struct item *known = map_get(&queue->by_key, str_make(item->key, item->key_len));
    if (known) {
        free(item);
        if (known == queue->running) {
            known->again = true;
        } else if (known->due_ms != 0 && known->attempts > 0) {
            /* news may be what it waited for: now, but keep the count of attempts */
            list_remove(&known->node);
            list_push_back(&queue->ready, &known->node);
            arm(queue);
        }
        return 0;
    }
    int code = queue->by_key.count >= QUEUE_ITEMS_MAX ? -ERR_OVERLOADED : 0;
    if (code == 0)
        code = map_put(&queue->by_key, str_make(item->key, item->key_len), item, NULL);
    if (code < 0) {
        free(item);
        return code;
    }
    list_push_back(&queue->ready, &item->node);
    arm(queue);
    return 0;
}

size_t
queue_depth(const struct queue *queue)
{
    return queue->by_key.count;
}
