/* SPDX-License-Identifier: MIT
 * piece.c - size classes of 32 bytes, a list of idle pieces for each.
 * Floor: lib/base; any thread.
 * Owns: the lists of the thread.
 * Invariant: a piece knows its class, so it goes back where it came from; what is idle is capped.
 *            piece_test.c. */
#include "lib/base/piece.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/check.h"

#define CLASS_BYTES 32u
#define CLASS_COUNT 67u /* up to 2 KiB, with a header and one byte more; 0: malloc's own */
#define PIECE_BYTES_MAX ((CLASS_COUNT - 1) * CLASS_BYTES - sizeof(struct piece))
#define IDLE_BYTES_MAX (1u << 20)

/* Under the address sanitizer every piece is malloc's, so that a byte too far, or a use after the
 * end, is seen; for coverage, too (arena.c). */
#if defined(__SANITIZE_ADDRESS__) || defined(BERTH_SEPARATE)
#define SEPARATE 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SEPARATE 1
#endif
#endif
#ifndef SEPARATE
#define SEPARATE 0
#endif

struct piece {
    union {
        struct piece *next; /* while idle */
        size_t size;        /* of a piece of class 0 */
    } u;
    size_t class;
    char bytes[];
};
_Static_assert(sizeof(struct piece) == 16, "bytes are aligned like the piece");

struct idle {
    struct piece *lists[CLASS_COUNT];
    size_t bytes;
    bool registered;
};
static _Thread_local struct idle idle;
static pthread_key_t idle_key;
static pthread_once_t idle_once = PTHREAD_ONCE_INIT;

static void
idle_free(void *user)
{
    struct idle *mine = user;
    for (size_t i = 0; i < CLASS_COUNT; i++) {
        while (mine->lists[i] != NULL) {
            struct piece *piece = mine->lists[i];
            mine->lists[i] = piece->u.next;
            free(piece);
        }
    }
    mine->bytes = 0;
    mine->registered = false;
}

static void
idle_setup(void)
{
    ASSERT(pthread_key_create(&idle_key, idle_free) == 0);
}

static bool
idle_register(void)
{
    pthread_once(&idle_once, idle_setup);
    idle.registered = pthread_setspecific(idle_key, &idle) == 0;
    return idle.registered;
}

static struct piece *
piece_of(void *at)
{
    return CONTAINER_OF(at, struct piece, bytes);
}

/* What can be stored in it. */
static size_t
piece_room(const struct piece *piece)
{
    return piece->class == 0 ? piece->u.size : piece->class * CLASS_BYTES - sizeof *piece;
}

void *
piece_alloc(size_t size)
{
    size_t whole;
    if (ADD_OVERFLOW(size, sizeof(struct piece) + CLASS_BYTES - 1, &whole))
        return NULL;
    size_t class = whole / CLASS_BYTES;
    struct piece *piece = NULL;
    if (LIKELY(!SEPARATE && class < CLASS_COUNT)) {
        piece = idle.lists[class];
        if (LIKELY(piece != NULL)) {
            idle.lists[class] = piece->u.next;
            idle.bytes -= class * CLASS_BYTES;
            return piece->bytes;
        }
        piece = malloc(class * CLASS_BYTES);
    } else {
        class = 0;
        piece = malloc(size + sizeof *piece);
    }
    if (piece == NULL)
        return NULL;
    piece->class = class;
    piece->u.size = size;
    return piece->bytes;
}

void
piece_free(void *at)
{
    if (at == NULL)
        return;
    struct piece *piece = piece_of(at);
    size_t bytes = piece->class * CLASS_BYTES;
    if (UNLIKELY(bytes == 0 || idle.bytes + bytes > IDLE_BYTES_MAX ||
                 (!idle.registered && !idle_register()))) {
        free(piece);
        return;
    }
    piece->u.next = idle.lists[piece->class];
    idle.lists[piece->class] = piece;
    idle.bytes += bytes;
}

void *
piece_calloc(size_t count, size_t size)
{
    size_t total;
    if (MUL_OVERFLOW(count, size, &total))
        return NULL;
    void *at = piece_alloc(total);
    if (at != NULL)
        memset(at, 0, total);
    return at;
}

void *
piece_realloc(void *at, size_t size)
{
    if (at == NULL)
        return piece_alloc(size);
    struct piece *piece = piece_of(at);
    size_t room = piece_room(piece);
    if (piece->class == 0 && (SEPARATE || size > PIECE_BYTES_MAX) && size <= SIZE_MAX / 2) {
        piece = realloc(piece, size + sizeof *piece);
        if (piece == NULL)
            return NULL;
        piece->u.size = size;
        return piece->bytes;
    }
    if (piece->class != 0 && size <= room)
        return at;
    void *moved = piece_alloc(size);
    if (moved == NULL)
        return NULL;
    memcpy(moved, at, MIN(size, room));
    piece_free(at);
    return moved;
}
