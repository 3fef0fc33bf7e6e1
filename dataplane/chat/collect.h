/* SPDX-License-Identifier: MIT
 * collect.h - a streamed answer put together again: events in, one whole answer out.
 * Floor: dataplane/chat; one thread at a time.
 * Owns: the texts collected so far (heap).
 * Invariant: the answer is the same however the stream was cut; total text <= the cap given at
 *            init. Proved by dataplane/dialect/conform_test.c. */
#ifndef BERTH_DATAPLANE_CHAT_COLLECT_H
#define BERTH_DATAPLANE_CHAT_COLLECT_H

#include "dataplane/chat/chat.h"

struct collect_part;
struct collect {
    struct collect_part *parts; /* in order of appearance, over all choices */
    size_t part_count;
    size_t part_cap;
    struct chat_answer answer; /* choices without parts; texts in `arena` */
    struct arena arena;
    size_t bytes;
    size_t bytes_max;
    struct usage usage;
    bool ended;
    bool failed;             /* an ERROR event was seen */
    struct chat_error error; /* texts in `arena` */
};

/* bytes_max: cap on all text of the answer, bytes. */
void collect_init(struct collect *collect, size_t bytes_max);
void collect_fini(struct collect *collect);
/* collect_event - take one event; its texts are copied. 0; -ERR_TOO_LARGE; -ERR_NOMEM. */
int collect_event(struct collect *collect, const struct chat_event *event) MUST_USE;
/* collect_answer - what has come so far, as a whole answer: the parts of every choice in order of
 * appearance, neighbouring pieces of one kind joined. Texts are borrowed until collect_fini.
 * 0 or -ERR_NOMEM. */
int collect_answer(struct collect *collect, struct chat_answer *ret_answer) MUST_USE;

#endif
