/* SPDX-License-Identifier: MIT
 * map.h - hash map from byte strings to pointers, keyed against flooding (SipHash-1-3 or better
 * with a random key per process). Floor: lib/base; one writer, or many readers while nobody writes.
 * Owns: its table only. Keys are borrowed: they must live as long as their entry (usually inside
 * the value). Values are the caller's. Invariant: count <= 7/8 of slots; iteration order is
 * unspecified. */
#ifndef BERTH_LIB_BASE_MAP_H
#define BERTH_LIB_BASE_MAP_H

#include "lib/base/str.h"

struct map_slot {
    struct str key;
    void *value;
    uint64_t hash;
};
struct map {
    struct map_slot *slots;
    size_t slot_count;
    size_t count;
    size_t tombs;
};

void map_init(struct map *map);
void map_fini(struct map *map);
/* map_get - value or NULL. */
void *map_get(const struct map *map, struct str key);
/* map_put - insert or replace; *ret_old (may be NULL) gets the replaced value or NULL. When
 * replacing, the entry's key becomes the new pointer. 0 or -ERR_NOMEM. value must not be NULL. */
int map_put(struct map *map, struct str key, void *value, void **ret_old) MUST_USE;
/* map_remove - the removed value or NULL. */
void *map_remove(struct map *map, struct str key);
/* map_next - iterate: start with *cursor = 0; NULL at the end. Removing the current one is fine. */
struct map_slot *map_next(const struct map *map, size_t *cursor);
/* map_hash - the keyed hash itself, for other tables. Any thread. */
uint64_t map_hash(struct str key);

#define MAP_FOREACH(slot, map)                                          \
    for (size_t slot##_at = 0, slot##_go = 1; slot##_go; slot##_go = 0) \
        for (struct map_slot * slot; (slot = map_next((map), &slot##_at)) != NULL;)

#endif
