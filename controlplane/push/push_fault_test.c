/* SPDX-License-Identifier: MIT
 * push_fault_test.c - binds and lost leases while the nth allocation fails: refused with a reason,
 *            or done by the next look.
 * Floor: controlplane/push tests.
 * Owns: malloc, for this program.
 * Invariant: every bind is answered once; no lease is forgotten. */
#include "controlplane/push/push_test_rig.h"

#include "lib/base/alloc_test_rig.h"

static bool can_fail_malloc;

static struct node *
agent_of(const struct fixture *f)
{
    LIST_FOREACH (at, &f->push->nodes) {
        struct node *node = LIST_ENTRY(at, struct node, in_push);
        if (node_is_live(node, ROLE_AGENT))
            return node;
    }
    return NULL;
}

static void
test_no_memory_for_a_bind(void **state)
{
    struct fixture *f = *state;
    if (!can_fail_malloc)
        skip();
    connect_both(f);
    send_bind(f, 1, "c1", "0b0b0b0b", "dev");
    WAIT_FOR(f, &f->agent, "\"type\":\"bound\",\"id\":1");
    const struct binding_row *row =
        bindings_find(&f->engine->bindings, STR("0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b"));
    struct node *agent = agent_of(f);
    assert_true(row != NULL && agent != NULL);
    alloc_rig_arm(1, false);
    pending_add(agent, 2, row);
    assert_true(alloc_rig.happened);
    WAIT_FOR(f, &f->agent, "\"type\":\"refused\",\"id\":2,\"code\":\"store\"");
    pending_add(agent, 3, row);
    WAIT_FOR(f, &f->agent, "\"type\":\"bound\",\"id\":3");
}

static void
test_no_memory_for_a_lost_lease(void **state)
{
    struct fixture *f = *state;
    struct ledger_receipt receipt;
    struct ledger_lease lease;
    const struct money usd = {1000000000};
    unsigned looks = 0;
    if (!can_fail_malloc)
        skip();
    assert_int_equal(
        ledger_deposit(f->ledger, STR("default"), LEDGER_AI, usd, STR("k"), &receipt, &f->err), 0);
    assert_int_equal(lease_want(f->ledger, STR("other"), 7, STR("default"), (struct money){0},
                                (struct money){5}, &lease, &f->err),
                     0);
    f->push->conf.orphan_ms = 3600000;
    for (bool happened = true; happened; looks++) {
        f->push->orphans_due_ms = 0;
        alloc_rig_arm(looks + 1, false);
        orphan_look(f->push);
        happened = alloc_rig.happened;
        alloc_rig_arm(0, false);
        assert_true(happened || f->push->lost.count == 1);
    }
    assert_true(looks > 2);
    f->push->conf.orphan_ms = 0;
    f->push->orphans_due_ms = 0;
    orphan_look(f->push);
    assert_int_equal(lease_get(f->ledger, STR("other"), 7, STR("default"), &lease, &f->err), 0);
    assert_int_equal(lease.rest.nano, 0); /* back in its wallet */
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_no_memory_for_a_bind, setup, teardown),
        cmocka_unit_test_setup_teardown(test_no_memory_for_a_lost_lease, setup, teardown),
    };
    can_fail_malloc = alloc_rig_init();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
