/* SPDX-License-Identifier: MIT
 * list.h - intrusive doubly linked list with a sentinel head.
 * Floor: lib/base; one thread at a time.
 * Owns: nothing; nodes live inside their owners.
 * Invariant: a node that is in no list points to itself (list_node_init), so removing twice is
 *            harmless. */
#ifndef BERTH_LIB_BASE_LIST_H
#define BERTH_LIB_BASE_LIST_H

#include <stdbool.h>

#include "lib/base/cc.h"

struct list {
    struct list *next;
    struct list *prev;
};

static inline void
list_init(struct list *node)
{
    node->next = node->prev = node;
}
static inline bool
list_empty(const struct list *head)
{
    return head->next == head;
}
static inline void
list_add_between(struct list *node, struct list *prev, struct list *next)
{
    node->prev = prev;
    node->next = next;
    prev->next = node;
    next->prev = node;
}
static inline void
list_push_back(struct list *head, struct list *node)
{
    list_add_between(node, head->prev, head);
}
static inline void
list_push_front(struct list *head, struct list *node)
{
    list_add_between(node, head, head->next);
}
static inline void
list_remove(struct list *node)
{
    node->prev->next = node->next;
    node->next->prev = node->prev;
    list_init(node);
}
static inline struct list *
list_pop_front(struct list *head)
{
    struct list *node = head->next;
    if (node == head)
        return NULL;
    list_remove(node);
    return node;
}

#define LIST_ENTRY(node, type, member) CONTAINER_OF(node, type, member)
#define LIST_FOREACH(node, head) \
    for (struct list *node = (head)->next; node != (head); node = node->next)
/* safe against removal of `node` itself, and only of it */
#define LIST_FOREACH_SAFE(node, head)                                                 \
    for (struct list *node = (head)->next, *node##_next = node->next; node != (head); \
         node = node##_next, node##_next = node->next)

#endif
