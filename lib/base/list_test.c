/* SPDX-License-Identifier: MIT
 * list_test.c - the intrusive list.
 * Floor: lib/base, test.
 * Owns: nothing.
 * Invariant: forwards and backwards the list says the same. */
#include "lib/base/list.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

struct item {
    int number;
    struct list node;
};

static void
check(const struct list *head, const int *want, size_t count)
{
    size_t seen = 0;
    LIST_FOREACH (node, head) {
        assert_true(seen < count);
        assert_ptr_equal(node->next->prev, node);
        assert_int_equal(LIST_ENTRY(node, struct item, node)->number, want[seen++]);
    }
    assert_int_equal(seen, count);
}

static void
test_list(void **state)
{
    (void)state;
    struct list head;
    struct item items[4] = {{.number = 0}, {.number = 1}, {.number = 2}, {.number = 3}};
    list_init(&head);
    assert_true(list_empty(&head));
    assert_null(list_pop_front(&head));
    for (size_t i = 0; i < 3; i++)
        list_push_back(&head, &items[i].node);
    list_push_front(&head, &items[3].node);
    check(&head, (const int[]){3, 0, 1, 2}, 4);
    list_remove(&items[1].node);
    list_remove(&items[1].node);
    assert_true(list_empty(&items[1].node));
    check(&head, (const int[]){3, 0, 2}, 3);
    LIST_FOREACH_SAFE (node, &head) {
        if (LIST_ENTRY(node, struct item, node)->number != 0)
            list_remove(node);
    }
    check(&head, (const int[]){0}, 1);
    assert_ptr_equal(list_pop_front(&head), &items[0].node);
    assert_true(list_empty(&head));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_list)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
