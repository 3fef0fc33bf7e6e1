/* SPDX-License-Identifier: MIT
 * spool.c - see spool.h.
 * Floor: dataplane/pipeline; one thread. Files are written and read through the page cache.
 * Owns: nothing beyond the spool.
 * Invariant: see spool.h. */
#include "dataplane/pipeline/spool.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "lib/base/check.h"

/* A block that is this much larger than what is left in it is given back. */
#define SPOOL_SPARE_BYTES ((size_t)64u * 1024u)

void
spool_init(struct spool *spool, struct spool_room *room, struct str owner)
{
    owner.len = MIN(owner.len, SPOOL_OWNER_BYTES);
    *spool = (struct spool){.room = room, .owner = owner, .fd = -1};
    buf_init(&spool->memory, SPOOL_MEMORY_BYTES_MAX);
}

static int
share_take(struct spool *spool)
{
    struct spool_share *share = spool->room->shares;
    while (share != NULL && !str_eq(str_make(share->owner, share->owner_bytes), spool->owner))
        share = share->next;
    if (share == NULL) {
        share = calloc(1, sizeof(*share));
        if (share == NULL)
            return -ERR_NOMEM;
        share->owner_bytes = (uint32_t)spool->owner.len;
        memcpy(share->owner, spool->owner.ptr, spool->owner.len);
        share->next = spool->room->shares;
        spool->room->shares = share;
    }
    share->refs++;
    spool->share = share;
    return 0;
}

static void
share_drop(struct spool *spool)
{
    struct spool_share *share = TAKE(spool->share);
    if (share == NULL || --share->refs > 0)
        return;
    ASSERT(share->bytes == 0);
    struct spool_share **at = &spool->room->shares;
    while (*at != share)
        at = &(*at)->next;
    *at = share->next;
    free(share);
}

static int
room_take(struct spool *spool, uint64_t bytes)
{
    struct spool_room *room = spool->room;
    struct spool_share *share = spool->share;
    uint64_t most = room->share_bytes_max != 0 ? room->share_bytes_max : UINT64_MAX;
    if (bytes > room->bytes_max || room->bytes > room->bytes_max - bytes)
        return -ERR_NO_SPACE;
    if (bytes > most || share->bytes > most - bytes)
        return -ERR_IN_USE;
    room->bytes += bytes;
    share->bytes += bytes;
    return 0;
}

static void
room_give(struct spool *spool, uint64_t bytes)
{
    ASSERT(spool->room->bytes >= bytes && spool->share->bytes >= bytes);
    spool->room->bytes -= bytes;
    spool->share->bytes -= bytes;
}

void
spool_fini(struct spool *spool)
{
    if (spool->fd >= 0) {
        room_give(spool, spool->bytes);
        (void)close(spool->fd);
        spool->fd = -1;
    }
    share_drop(spool);
    buf_fini(&spool->memory);
}

static int
file_put(struct spool *spool, struct str bytes, uint64_t at)
{
    while (bytes.len > 0) {
        ssize_t count = pwrite(spool->fd, bytes.ptr, bytes.len, (off_t)at);
        if (count < 0 && errno == EINTR)
            continue;
        if (count <= 0)
            return errno == ENOSPC || errno == EDQUOT ? -ERR_NO_SPACE : -ERR_IO;
        bytes = str_skip(bytes, (size_t)count);
        at += (uint64_t)count;
    }
    return 0;
}

int
spool_put(struct spool *spool, struct str bytes)
{
    int rc = 0;
    if (spool->fd < 0)
        rc = buf_put_str(&spool->memory, bytes);
    else
        rc = room_take(spool, bytes.len);
    if (rc != 0)
        return rc;
    uint64_t at = spool->bytes;
    spool->bytes += bytes.len;
    return spool->fd < 0 ? 0 : file_put(spool, bytes, at);
}

/* -1: errno says why. */
static int
nameless_file(const char *dir)
{
    char path[4096];
    int fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (fd >= 0 || (errno != EOPNOTSUPP && errno != EISDIR))
        return fd;
    /* Not every file system can. */
    (void)snprintf(path, sizeof(path), "%s/spool.XXXXXX", dir);
    fd = mkostemp(path, O_CLOEXEC);
    if (fd >= 0)
        (void)unlink(path);
    return fd;
}

int
spool_file(struct spool *spool)
{
    ASSERT(spool->fd < 0 && spool->base == 0);
    if (spool->room->dir == NULL)
        return -ERR_UNAVAILABLE;
    int rc = share_take(spool);
    if (rc == 0)
        rc = room_take(spool, spool->bytes);
    if (rc != 0)
        return rc;
    spool->fd = nameless_file(spool->room->dir);
    if (spool->fd < 0) {
        room_give(spool, spool->bytes);
        return errno == ENOSPC ? -ERR_NO_SPACE : -ERR_IO;
    }
    rc = file_put(spool, buf_str(&spool->memory), 0);
    buf_fini(&spool->memory);
    return rc;
}

int
spool_read(struct spool *spool, uint64_t at, char *piece, size_t size, struct str *ret_bytes)
{
    ASSERT(at >= spool->base && at < spool->bytes && size > 0);
    if (spool->fd < 0) {
        struct str rest = str_skip(buf_str(&spool->memory), (size_t)(at - spool->base));
        *ret_bytes = str_make(rest.ptr, MIN(rest.len, size));
        return 0;
    }
    ssize_t count;
    do {
        count = pread(spool->fd, piece, (size_t)MIN((uint64_t)size, spool->bytes - at), (off_t)at);
    } while (count < 0 && errno == EINTR);
    if (count <= 0)
        return -ERR_IO;
    *ret_bytes = str_make(piece, (size_t)count);
    return 0;
}

void
spool_drop(struct spool *spool, uint64_t at)
{
    ASSERT(spool->fd < 0 && at >= spool->base && at <= spool->bytes);
    struct buf *memory = &spool->memory;
    buf_consume(memory, (size_t)(at - spool->base));
    spool->base = at;
    if (memory->cap - memory->len < SPOOL_SPARE_BYTES)
        return;
    struct buf small;
    buf_init(&small, SPOOL_MEMORY_BYTES_MAX);
    if (buf_put_str(&small, buf_str(memory)) != 0)
        return; /* the large one will do */
    buf_fini(memory);
    *memory = small;
}
