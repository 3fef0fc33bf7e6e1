/* SPDX-License-Identifier: MIT
 * map_test.c - the map against an array, under random operations.
 * Floor: lib/base, test.
 * Owns: nothing.
 * Invariant: after each operation both answer alike; the seed is printed. */
#include "lib/base/map.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "lib/base/num.h"
#include "lib/base/rand.h"

#define KEYS 3000u
#define OPERATIONS 100000u

/* The model: keys are "key-<index>", so that an array indexed by it is the whole truth. */
struct model {
    char names[KEYS][16];
    int values[KEYS * 2];
    void *held[KEYS];
    size_t count;
};
static struct model model;

static void
check_all(const struct map *map)
{
    size_t seen = 0;
    MAP_FOREACH (slot, map) {
        size_t index = ((uintptr_t)slot->key.ptr - (uintptr_t)model.names) / sizeof(model.names[0]);
        assert_true(index < KEYS);
        assert_ptr_equal(slot->value, model.held[index]);
        seen++;
    }
    assert_int_equal(seen, model.count);
}

static void
one_operation(struct map *map, uint64_t range)
{
    size_t index = (size_t)rand_below(range);
    struct str key = str_from(model.names[index]);
    uint64_t what = rand_below(10);
    if (what < 4) {
        void *old = &model;
        int *value = &model.values[index * 2 + rand_below(2)];
        assert_int_equal(map_put(map, key, value, &old), 0);
        assert_ptr_equal(old, model.held[index]);
        model.count += model.held[index] == NULL ? 1 : 0;
        model.held[index] = value;
    } else if (what < 7) {
        assert_ptr_equal(map_remove(map, key), model.held[index]);
        model.count -= model.held[index] == NULL ? 0 : 1;
        model.held[index] = NULL;
    } else {
        assert_ptr_equal(map_get(map, key), model.held[index]);
    }
    assert_int_equal(map->count, model.count);
    assert_true(map->slot_count == 0 ||
                map->count + map->tombs <= map->slot_count - map->slot_count / 8);
}

static void
test_against_model(void **state)
{
    (void)state;
    /* BERTH_SEED repeats a failing run. */
    uint64_t seed = rand_u64() | 1u;
    const char *wanted = getenv("BERTH_SEED");
    if (wanted != NULL)
        assert_int_equal(num_u64(str_from(wanted), UINT64_MAX, &seed), 0);
    print_message("seed %llu\n", (unsigned long long)seed);
    rand_seed(seed);
    for (size_t i = 0; i < KEYS; i++)
        (void)snprintf(model.names[i], sizeof(model.names[i]), "key-%zu", i);
    struct map map;
    map_init(&map);
    for (size_t i = 0; i < OPERATIONS; i++) {
        /* Small ranges make tombs, the large one makes growth. */
        one_operation(&map, i / 20000 % 2 == 0 ? 20 : KEYS);
        if (i % 5000 == 0)
            check_all(&map);
    }
    check_all(&map);
    MAP_FOREACH (slot, &map) {
        struct str key = slot->key;
        assert_non_null(map_remove(&map, key));
    }
    assert_int_equal(map.count, 0);
    map_fini(&map);
    map_fini(&map);
    map_fini(NULL);
    rand_seed(0);
}

static void
test_replacing_takes_the_new_key(void **state)
{
    (void)state;
    struct map map;
    map_init(&map);
    char first[] = "same";
    char second[] = "same";
    int value = 0;
    assert_null(map_get(&map, STR("same")));
    assert_null(map_remove(&map, STR("same")));
    assert_int_equal(map_put(&map, str_from(first), &value, NULL), 0);
    assert_int_equal(map_put(&map, str_from(second), &value, NULL), 0);
    memset(first, 'x', 4);
    assert_ptr_equal(map_get(&map, STR("same")), &value);
    assert_int_equal(map.count, 1);
    map_fini(&map);
}

static void
test_keys_are_bytes(void **state)
{
    (void)state;
    static const struct str keys[] = {{"", 0}, {"\0", 1}, {"\0\0", 2}, {"a", 1}, {"a\0", 2}};
    struct map map;
    int values[ARRAY_LEN(keys)];
    map_init(&map);
    for (size_t i = 0; i < ARRAY_LEN(keys); i++)
        assert_int_equal(map_put(&map, keys[i], &values[i], NULL), 0);
    for (size_t i = 0; i < ARRAY_LEN(keys); i++)
        assert_ptr_equal(map_get(&map, keys[i]), &values[i]);
    assert_int_equal(map.count, ARRAY_LEN(keys));
    map_fini(&map);
}

/* A map that always holds few must not grow, whatever passes through it. */
static void
test_churn_does_not_grow(void **state)
{
    (void)state;
    static char names[50000][8];
    struct map map;
    map_init(&map);
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        (void)snprintf(names[i], sizeof(names[i]), "%zu", i);
        assert_int_equal(map_put(&map, str_from(names[i]), names[i], NULL), 0);
        if (i >= 10)
            assert_ptr_equal(map_remove(&map, str_from(names[i - 10])), names[i - 10]);
    }
    assert_int_equal(map.count, 10);
    assert_true(map.slot_count <= 32);
    map_fini(&map);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_against_model),
        cmocka_unit_test(test_replacing_takes_the_new_key),
        cmocka_unit_test(test_keys_are_bytes),
        cmocka_unit_test(test_churn_does_not_grow),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
