/* SPDX-License-Identifier: MIT
 * spool.h - bytes of a body that are kept until they can go on: in memory, and where they are many
 *           in a file without a name.
 * Floor: dataplane/pipeline; one thread.
 * Owns: its block, its file, its owner's share of the room while there is one.
 * Invariant: a file with a byte in it has no name, so that nothing is left of it when the process
 *            ends; all files of a room are no larger than it, all of one owner no larger than his
 *            share. spool_test.c. */
#ifndef BERTH_DATAPLANE_PIPELINE_SPOOL_H
#define BERTH_DATAPLANE_PIPELINE_SPOOL_H

#include "lib/base/buf.h"
#include "lib/base/err.h"

/* In memory a spool is this long at most. */
#define SPOOL_MEMORY_BYTES_MAX ((size_t)1024u * 1024u)

/* What one owner has there. owner: the first bytes of what his spools were given. */
#define SPOOL_OWNER_BYTES 80u
struct spool_share {
    struct spool_share *next;
    uint64_t bytes;
    uint32_t refs;
    uint32_t owner_bytes;
    char owner[SPOOL_OWNER_BYTES];
};

/* Of a worker. dir NULL: no files. share_bytes_max: of one owner; 0 = all of it. */
struct spool_room {
    const char *dir; /* borrowed; outlives its spools */
    uint64_t bytes_max;
    uint64_t share_bytes_max;
    uint64_t bytes; /* of all files now */
    struct spool_share *shares;
};

struct spool {
    struct spool_room *room;
    struct str owner;          /* borrowed; outlives it */
    struct spool_share *share; /* with a file, else NULL */
    struct buf memory;         /* bytes from `base` on; empty when there is a file */
    uint64_t base;             /* what is before is forgotten */
    uint64_t bytes;            /* in all */
    int fd;                    /* -1 = none */
};

void spool_init(struct spool *spool, struct spool_room *room, struct str owner);
void spool_fini(struct spool *spool);
/* spool_put - append. 0; -ERR_TOO_LARGE (of memory), -ERR_NOMEM, -ERR_NO_SPACE (of the room, or of
 * its disk), -ERR_IN_USE (the owner's share is), -ERR_IO: it is not to be used any more. */
int spool_put(struct spool *spool, struct str bytes) MUST_USE;
/* spool_file - what is in memory, and all that follows, goes to a file; nothing is forgotten yet.
 * 0; -ERR_UNAVAILABLE: the room has no files; and as spool_put. */
int spool_file(struct spool *spool) MUST_USE;
/* spool_read - bytes from `at` on, at most `size`: those in memory, or read into piece[size].
 * base <= at < bytes. 0 and 1..size bytes, valid until the next change; -ERR_IO. */
int spool_read(struct spool *spool, uint64_t at, char *piece, size_t size,
               struct str *ret_bytes) MUST_USE;
/* spool_drop - forget what is in memory before `at` <= bytes. */
void spool_drop(struct spool *spool, uint64_t at);

#endif
