/* SPDX-License-Identifier: MIT
 * map.c - open addressing, linear probing, SipHash-1-3 under a key of the process.
 * Floor: lib/base; one writer, or many readers while nobody writes.
 * Owns: its slots. A free slot has value NULL; hash TOMB there means "probe on".
 * Invariant: count + tombs <= 7/8 of slot_count, so that every probe ends; proved in map_test.c
 *            against a naive model. */
#include "lib/base/map.h"

#include <pthread.h>
#include <stdlib.h>

#include "lib/base/check.h"
#include "lib/base/err.h"
#include "lib/base/rand.h"

#define SLOTS_MIN 8u
#define TOMB UINT64_MAX

static uint64_t hash_key[2];
static pthread_once_t hash_once = PTHREAD_ONCE_INIT;

static void
hash_setup(void)
{
    rand_bytes(hash_key, sizeof(hash_key));
}

static inline uint64_t
rotate(uint64_t x, unsigned bits)
{
    return (x << bits) | (x >> (64u - bits));
}

static inline void
sip_round(uint64_t v[4])
{
    v[0] += v[1];
    v[2] += v[3];
    v[1] = rotate(v[1], 13) ^ v[0];
    v[3] = rotate(v[3], 16) ^ v[2];
    v[0] = rotate(v[0], 32);
    v[2] += v[1];
    v[0] += v[3];
    v[1] = rotate(v[1], 17) ^ v[2];
    v[3] = rotate(v[3], 21) ^ v[0];
    v[2] = rotate(v[2], 32);
}

uint64_t
map_hash(struct str key)
{
    pthread_once(&hash_once, hash_setup);
    uint64_t v[4] = {hash_key[0] ^ 0x736f6d6570736575u, hash_key[1] ^ 0x646f72616e646f6du,
                     hash_key[0] ^ 0x6c7967656e657261u, hash_key[1] ^ 0x7465646279746573u};
    uint64_t word = 0;
    size_t at = 0;
    for (; key.len - at >= sizeof(word); at += sizeof(word)) {
        memcpy(&word, key.ptr + at, sizeof(word));
        v[3] ^= word;
        sip_round(v);
        v[0] ^= word;
    }
    word = 0;
    if (key.len > at)
        memcpy(&word, key.ptr + at, key.len - at);
    word |= (uint64_t)(key.len & 0xffu) << 56;
    v[3] ^= word;
    sip_round(v);
    v[0] ^= word;
    v[2] ^= 0xffu;
    sip_round(v);
    sip_round(v);
    sip_round(v);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

void
map_init(struct map *map)
{
    *map = (struct map){0};
}

void
map_fini(struct map *map)
{
    if (map == NULL)
        return;
    free(map->slots);
    *map = (struct map){0};
}

/* The slot that holds key, or NULL. */
static struct map_slot *
map_find(const struct map *map, struct str key, uint64_t hash)
{
    if (map->count == 0)
        return NULL;
    size_t mask = map->slot_count - 1;
    for (size_t at = (size_t)hash & mask;; at = (at + 1) & mask) {
        struct map_slot *slot = &map->slots[at];
        if (slot->value == NULL) {
            if (slot->hash != TOMB)
                return NULL;
        } else if (slot->hash == hash && str_eq(slot->key, key)) {
            return slot;
        }
    }
}

/* The first free slot on the key's way. */
static struct map_slot *
map_free_slot(const struct map *map, uint64_t hash)
{
    size_t mask = map->slot_count - 1;
    size_t at = (size_t)hash & mask;
    while (map->slots[at].value != NULL)
        at = (at + 1) & mask;
    return &map->slots[at];
}

/* A table with room for one more, without tombs. */
static int
map_rehash(struct map *map)
{
    struct map next = {.slot_count = MAX(map->slot_count, (size_t)SLOTS_MIN)};
    if (map->count + 1 > next.slot_count / 2)
        next.slot_count *= 2;
    next.slots = calloc(next.slot_count, sizeof(*next.slots));
    if (next.slots == NULL)
        return -ERR_NOMEM;
    for (size_t i = 0; i < map->slot_count; i++) {
        const struct map_slot *slot = &map->slots[i];
        if (slot->value != NULL)
            *map_free_slot(&next, slot->hash) = *slot;
    }
    next.count = map->count;
    free(map->slots);
    *map = next;
    return 0;
}

void *
map_get(const struct map *map, struct str key)
{
    if (map->count == 0)
        return NULL;
    const struct map_slot *slot = map_find(map, key, map_hash(key));
    return slot == NULL ? NULL : slot->value;
}

int
map_put(struct map *map, struct str key, void *value, void **ret_old)
{
    ASSERT(value != NULL);
    uint64_t hash = map_hash(key);
    struct map_slot *slot = map_find(map, key, hash);
    void *old = NULL;
    if (slot == NULL) {
        if (map->count + map->tombs + 1 > map->slot_count - map->slot_count / 8) {
            int r = map_rehash(map);
            if (r < 0)
                return r;
        }
        slot = map_free_slot(map, hash);
        if (slot->hash == TOMB)
            map->tombs--;
        map->count++;
    } else {
        old = slot->value;
    }
    *slot = (struct map_slot){.key = key, .value = value, .hash = hash};
    if (ret_old != NULL)
        *ret_old = old;
    return 0;
}

void *
map_remove(struct map *map, struct str key)
{
    if (map->count == 0)
        return NULL;
    struct map_slot *slot = map_find(map, key, map_hash(key));
    if (slot == NULL)
        return NULL;
    void *value = slot->value;
    *slot = (struct map_slot){.hash = TOMB};
    map->count--;
    map->tombs++;
    /* Tombs before a free slot lead nowhere: free them too, or a busy small map rehashes for ever.
     */
    size_t mask = map->slot_count - 1;
    size_t at = (size_t)(slot - map->slots);
    const struct map_slot *after = &map->slots[(at + 1) & mask];
    if (after->value == NULL && after->hash != TOMB) {
        while (map->slots[at].value == NULL && map->slots[at].hash == TOMB) {
            map->slots[at].hash = 0;
            map->tombs--;
            at = (at - 1) & mask;
        }
    }
    return value;
}

struct map_slot *
map_next(const struct map *map, size_t *cursor)
{
    while (*cursor < map->slot_count) {
        struct map_slot *slot = &map->slots[(*cursor)++];
        if (slot->value != NULL)
            return slot;
    }
    return NULL;
}
