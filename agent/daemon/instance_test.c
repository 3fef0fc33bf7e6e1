/* SPDX-License-Identifier: MIT
 * instance_test.c - the table of the state machine, as a whole.
 * Floor: agent/daemon, test.
 * Owns: nothing.
 * Invariant: see the tests. */
#include "agent/daemon/instance.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

/* An end has no way on; all else can be ended by the death of init or by its deadline. */
static void
test_ends(void **state)
{
    (void)state;
    for (unsigned from = 0; from < INSTANCE_STATE_COUNT; from++) {
        bool final = from == INSTANCE_GONE || from == INSTANCE_FAILED;
        size_t ways = 0;
        for (unsigned event = 0; event < INSTANCE_EVENT_COUNT; event++) {
            enum instance_state next;
            if (!instance_next((enum instance_state)from, (enum instance_event)event, &next))
                continue;
            ways++;
            assert_true((unsigned)next != from);
        }
        assert_int_equal(ways == 0, final);
    }
}

static void
test_rows(void **state)
{
    (void)state;
    static const struct {
        enum instance_state from;
        enum instance_event event;
        int want; /* -1: ignored */
    } rows[] = {
        {INSTANCE_BINDING, EVENT_bound, INSTANCE_ACTIVE},
        {INSTANCE_BINDING, EVENT_exited, INSTANCE_FAILED},
        {INSTANCE_BINDING, EVENT_late, INSTANCE_FAILED},
        {INSTANCE_ACTIVE, EVENT_bound, -1},
        {INSTANCE_ACTIVE, EVENT_late, -1},
        {INSTANCE_ACTIVE, EVENT_exited, INSTANCE_REVOKING},
        {INSTANCE_ACTIVE, EVENT_ordered, INSTANCE_REVOKING},
        {INSTANCE_FROZEN, EVENT_released, INSTANCE_REVOKING},
        {INSTANCE_BINDING, EVENT_released, -1},
        {INSTANCE_REVOKING, EVENT_exited, -1},
        {INSTANCE_REVOKING, EVENT_bound, -1},
        {INSTANCE_REVOKING, EVENT_late, INSTANCE_GONE},
        {INSTANCE_RECOVERING, EVENT_differed, INSTANCE_REVOKING},
        {INSTANCE_GONE, EVENT_bound, -1},
        {INSTANCE_FAILED, EVENT_bound, -1},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        enum instance_state next = INSTANCE_STATE_COUNT;
        bool moved = instance_next(rows[i].from, rows[i].event, &next);
        assert_int_equal(moved ? (int)next : -1, rows[i].want);
    }
    assert_string_equal(instance_state_name(INSTANCE_ACTIVE), "ACTIVE");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_ends), cmocka_unit_test(test_rows)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
