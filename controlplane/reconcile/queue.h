/* SPDX-License-Identifier: MIT
 * queue.h - the work queue of the reconcilers: names, not events.
 * Floor: controlplane/reconcile; its loop's thread.
 * Owns: its items and one timer.
 * Invariant: a name is in the queue at most once; a name added while it runs runs again; a failure
 *            is retried after 50 ms doubling to 30 s; queue_test.c. */
#ifndef BERTH_CONTROLPLANE_RECONCILE_QUEUE_H
#define BERTH_CONTROLPLANE_RECONCILE_QUEUE_H

#include "lib/base/str.h"
#include "lib/net/loop.h"

#define QUEUE_ITEMS_MAX 200000u

struct queue;
/* which: row of the reconciler; name: borrowed for the call. 0 = converged; else try again later.
 * */
typedef int (*queue_run_fn)(void *user, unsigned which, struct str name, struct err *err);
/* A failure, for the log. attempts: so far. */
typedef void (*queue_failed_fn)(void *user, unsigned which, struct str name, unsigned attempts,
                                const struct err *err);

int queue_new(struct loop *loop, queue_run_fn run, queue_failed_fn failed, void *user,
              struct queue **ret_queue) MUST_USE;
void queue_free(struct queue **queue);
/* queue_add - soon, from the loop; never inside the call. 0; -ERR_NOMEM, -ERR_OVERLOADED. */
int queue_add(struct queue *queue, unsigned which, struct str name) MUST_USE;
size_t queue_depth(const struct queue *queue);

#endif
