/* SPDX-License-Identifier: MIT
 * push_fault_test.c - binds, lost leases and caps while the nth allocation fails: refused with a
 *            reason, or done by the next look.
 * Floor: controlplane/push tests.
 * Owns: malloc, for this program.
 * Invariant: every bind is answered once; no lease is forgotten; caps that cannot be read are an
 *            error, and not none. */
#include "controlplane/push/push_test_rig.h"

#include "controlplane/reconcile/caps.h"
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

/* Settles that until it works, each time a fault later; what the budget is then. */
static void
settle_with_faults(struct fixture *f, struct str budget, bool allocations)
{
    bool happened = true;
    unsigned nth = 0;
    while (happened) {
        struct budget_state state;
        f->err.text[0] = '\0';
        nth++;
        if (allocations)
            alloc_rig_arm(nth, false);
        else
            store_fail_call(f->store, nth, -ERR_STORE);
        int code = caps_settle_budget(f->engine, budget, &f->err);
        happened = allocations ? alloc_rig.happened : store_failed_call(f->store);
        alloc_rig_arm(0, false);
        store_fail_call(f->store, 0, 0);
        if (code < 0 ? !happened || f->err.text[0] == '\0' : happened && !allocations)
            fail_msg("fault %u: %d %s", nth, code, f->err.text);
        code = budget_get(f->ledger, budget, &state, &f->err);
        if (code != -ERR_NOT_FOUND) { /* settled, and as it should be */
            assert_int_equal(code, 0);
            assert_true(state.caps.capped[PERIOD_DAY] &&
                        state.caps.amount[PERIOD_DAY].nano == 1000000000);
        }
        assert_true(happened || code == 0);
    }
    assert_true(nth > 3);
}

static void
test_caps_and_faults(void **state)
{
    struct fixture *f = *state;
    struct budget_state left;
    apply(f, HEAD "kind: Wallet\nmetadata: {name: team}\nspec: {containerCap: {day: '1.00'}}\n");
    apply(f, HEAD "kind: Container\nmetadata: {name: one}\nspec: {wallet: team}\n");
    apply(f, HEAD "kind: Container\nmetadata: {name: two}\nspec: {wallet: team}\n");
    apply(f, HEAD "kind: ApiKey\nmetadata: {name: ci}\n");
    settle_with_faults(f, STR("container/one"), false);
    if (can_fail_malloc)
        settle_with_faults(f, STR("container/two"), true);
    /* no cap, no such container, and names that no budget has */
    assert_int_equal(caps_settle_budget(f->engine, STR("key/ci"), &f->err), 0);
    assert_int_equal(caps_settle_budget(f->engine, STR("container/gone"), &f->err), 0);
    assert_int_equal(budget_get(f->ledger, STR("key/ci"), &left, &f->err), -ERR_NOT_FOUND);
    assert_int_equal(caps_settle_budget(f->engine, STR("wallet/team"), &f->err), -ERR_INVALID);
    assert_int_equal(caps_settle_budget(f->engine, STR("key/a b"), &f->err), -ERR_INVALID);
    assert_int_equal(caps_settle(f->engine, kind_at(KIND_API_KEY), STR("a b"), &f->err), 0);
    assert_null(caps_budget_name(kind_at(KIND_WALLET), STR("team"), NULL).ptr);
}

/* Whoever keeps no books has no budgets. */
static void
test_caps_without_a_ledger(void **state)
{
    struct fixture *f = *state;
    struct ledger *ledger = f->engine->conf.ledger;
    apply(f, HEAD "kind: ApiKey\nmetadata: {name: ci}\nspec: {cap: {day: '1.00'}}\n");
    f->engine->conf.ledger = NULL;
    assert_int_equal(caps_settle_budget(f->engine, STR("key/ci"), &f->err), 0);
    f->engine->conf.ledger = ledger;
}

/* A row that nobody of ours wrote: nothing is settled by it. */
static void
test_cap_that_is_no_amount(void **state)
{
    struct fixture *f = *state;
    struct budget_state left;
    struct store_row *rows;
    struct arena arena;
    size_t count;
    unsigned changed = 0;
    apply(f, HEAD "kind: ApiKey\nmetadata: {name: ci}\nspec: {cap: {day: '7.77'}}\n");
    arena_init(&arena, 4u << 20);
    assert_int_equal(store_list(f->store, STR_EMPTY, STR_EMPTY, 0, &arena, &rows, &count, NULL), 0);
    for (size_t i = 0; i < count; i++) {
        size_t at = str_find(rows[i].value, STR("7.77"));
        if (at == SIZE_MAX)
            continue;
        const struct store_op op = {
            .key = rows[i].key,
            .value = arena_printf(&arena, "%.*s7.x7%.*s", (int)at, rows[i].value.ptr,
                                  STR_ARG(str_skip(rows[i].value, at + 4)))};
        assert_int_equal(store_commit(f->store, NULL, 0, &op, 1, NULL), 0);
        changed++;
    }
    arena_fini(&arena);
    assert_int_equal(changed, 1);
    assert_int_equal(caps_settle_budget(f->engine, STR("key/ci"), &f->err), -ERR_INVALID);
    assert_non_null(strstr(f->err.text, "cap.day is no amount of money"));
    assert_int_equal(budget_get(f->ledger, STR("key/ci"), &left, &f->err), -ERR_NOT_FOUND);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_no_memory_for_a_bind, setup, teardown),
        cmocka_unit_test_setup_teardown(test_no_memory_for_a_lost_lease, setup, teardown),
        cmocka_unit_test_setup_teardown(test_caps_and_faults, setup, teardown),
        cmocka_unit_test_setup_teardown(test_caps_without_a_ledger, setup, teardown),
        cmocka_unit_test_setup_teardown(test_cap_that_is_no_amount, setup, teardown),
    };
    can_fail_malloc = alloc_rig_init();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
