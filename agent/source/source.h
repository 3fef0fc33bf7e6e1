/* SPDX-License-Identifier: MIT
 * source.h - the event stream of Docker or Podman over its unix socket, and what it leads to.
 * Floor: agent/source; made and freed on the loop's thread; one thread of its own, which waits on
 *        the socket through libcurl.
 * Owns: that thread.
 * Invariant: level-triggered: every event makes us read the container anew, every connection and
 *            every half minute the whole list is read, and the stream begins some seconds before
 *            it; so a lost, repeated or late event changes nothing. source_test.c. */
#ifndef BERTH_AGENT_SOURCE_SOURCE_H
#define BERTH_AGENT_SOURCE_SOURCE_H

#include "agent/source/facts.h"
#include "lib/net/loop.h"

enum source_kind { SOURCE_DOCKER, SOURCE_PODMAN };
struct source_conf {
    enum source_kind kind;
    const char *socket; /* need not be there yet, or always */
    struct loop *loop;
    /* on the loop's thread; facts are borrowed for the call */
    void (*seen)(const struct facts *facts, enum source_kind kind, void *user);
    void *user;
    uint32_t relist_ms; /* 0 = 30000 */
};
struct source;
int source_new(const struct source_conf *conf, struct source **ret_source,
               struct err *err) MUST_USE;
/* source_free - nothing is seen after this returned; the thread may end a little later. */
void source_free(struct source **source);
/* source_look - read this container soon (lists do not say all about it). */
void source_look(struct source *source, const char *id);
const char *source_kind_name(enum source_kind kind);

#endif
