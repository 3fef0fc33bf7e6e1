/* SPDX-License-Identifier: MIT
 * budget_model_test.c - several nodes race on one budget: random leases, calls, returns, deaths,
 *            late uploads, turns of periods and failing commits.
 * Floor: controlplane/ledger tests.
 * Owns: nothing.
 * Invariant: see budget.h: no period's calls cost more than its cap. The calls are kept as a plain
 *            list and added up the naive way. BERTH_SEED and BERTH_STEPS repeat or prolong it. */
#include "controlplane/ledger/budget_test_rig.h"

#include <stdlib.h>

#include "lib/base/num.h"
#include "lib/base/rand.h"

enum { NODES = 3, CALLS_MAX = 20000 };
#define NAME STR("container/dev-env")

/* A node as it sees itself. */
static struct node {
    char name[4];
    uint64_t epoch;
    int64_t granted;
    int64_t returned;
    int64_t spent;
    int64_t held;    /* by the call that runs; 0: none */
    int64_t skew_ms; /* its clock is so much ahead of ours */
    size_t posted;   /* its calls of this epoch up to here are in the ledger */
    size_t count;
    struct {
        int64_t at_ms; /* by its clock */
        int64_t charge;
    } calls[CALLS_MAX];
} nodes[NODES];

static struct {
    int64_t at_ms; /* by ours */
    int64_t charge;
} truth[NODES * CALLS_MAX];
static size_t truth_count;

static void
arm(void)
{
    store_fail_commit(store, rand_below(10) == 0 ? 1 : 0, rand_below(2) == 0);
}

/* true: it was the injected failure, the caller asks again. */
static bool
failed(int r)
{
    store_fail_commit(store, 0, false);
    if (r != 0 && r != -ERR_STORE)
        fail_msg("%d: %s", r, err.text);
    return r == -ERR_STORE;
}

static void
caps_set(const char *hour, const char *day, const char *month)
{
    const char *const texts[PERIOD_COUNT] = {hour, day, month};
    struct budget_caps caps = {0};
    for (size_t i = 0; i < PERIOD_COUNT; i++) {
        caps.capped[i] = texts[i] != NULL;
        if (texts[i] != NULL)
            assert_int_equal(money_parse(str_from(texts[i]), 2, &caps.amount[i]), 0);
    }
    do
        arm();
    while (failed(budget_set(ledger, NAME, &caps, &err)));
}

static int64_t
available(const struct node *node)
{
    return node->granted - node->returned - node->spent - node->held;
}

static void
step_ask(struct node *node)
{
    struct ledger_lease lease;
    const struct ledger_ask ask = {.node = str_from(node->name),
                                   .epoch = node->epoch,
                                   .wallet = NAME,
                                   .granted = {node->granted},
                                   .want = {(int64_t)rand_below(40) * CENT},
                                   .need = {(int64_t)rand_below(60) * CENT},
                                   .all = rand_below(2) == 0};
    do
        arm();
    while (failed(lease_ask(ledger, &ask, &lease, &err)));
    assert_true(lease.granted.nano >= node->granted);
    node->granted = lease.granted.nano;
}

static void
step_call(struct node *node)
{
    if (node->held == 0) { /* begin: the worst case is held */
        int64_t need = (1 + (int64_t)rand_below(30)) * CENT / 2;
        if (need <= available(node))
            node->held = need;
        return;
    }
    int64_t charge = (int64_t)rand_below((uint64_t)node->held + 1);
    node->held = 0;
    node->spent += charge;
    assert_true(node->count < CALLS_MAX);
    node->calls[node->count].at_ms = time_ms + node->skew_ms;
    node->calls[node->count++].charge = charge;
    truth[truth_count].at_ms = time_ms;
    truth[truth_count++].charge = charge;
}

static void
step_upload(struct node *node)
{
    const struct ledger_stream stream = {str_from(node->name), node->epoch, STR("0")};
    struct str records[16];
    struct ledger_applied applied;
    size_t count = 0;
    while (count < ARRAY_LEN(records) && node->posted + count < node->count) {
        size_t at = node->posted + count;
        records[count++] = arena_printf(
            &arena,
            "{\"seq\":\"%zu\",\"id\":\"r\",\"at_ms\":%lld,\"wallet\":\"w\",\"subject\":\"%.*s\","
            "\"model\":\"m\",\"provider\":\"p\",\"charge\":\"%lld\",\"cost\":\"0\"}",
            at + 1, (long long)node->calls[at].at_ms, STR_ARG(NAME),
            (long long)node->calls[at].charge);
    }
    if (count == 0)
        return;
    do
        arm();
    while (failed(usage_apply(ledger, &stream, node->posted + 1, records, count, &applied, &err)));
    assert_int_equal(applied.quarantined, 0);
    node->posted += count;
}

static void
step_return(struct node *node)
{
    int64_t back = available(node);
    if (back == 0)
        return;
    node->returned += 1 + (int64_t)rand_below((uint64_t)back);
    do
        arm();
    while (failed(lease_return(ledger, str_from(node->name), node->epoch, NAME,
                               (struct money){node->returned}, &err)));
}

/* It uploads everything and starts again; or it is lost, and its lease goes back. loses: what it
 * did in its last moments is heard of after that. */
static void
step_die(struct node *node, bool loses)
{
    if (node->held != 0)
        return;
    bool lost = rand_below(2) == 0;
    while (!(lost && loses) && node->posted < node->count)
        step_upload(node);
    do
        arm();
    while (failed(lost ? lease_orphan(ledger, str_from(node->name), node->epoch, NAME, &err)
                       : lease_close(ledger, str_from(node->name), node->epoch, &err)));
    while (node->posted < node->count)
        step_upload(node);
    node->granted = node->returned = node->spent = 0;
    node->posted = node->count = 0;
    node->epoch++;
}

static int64_t
most_in(enum period period)
{
    int64_t most = 0;
    int64_t sum = 0;
    int64_t begin_ms = 0;
    for (size_t i = 0; i < truth_count; i++) {
        int64_t at_ms = period_begin_ms(period, truth[i].at_ms);
        sum = at_ms == begin_ms ? sum + truth[i].charge : truth[i].charge;
        begin_ms = at_ms;
        most = MAX(most, sum);
    }
    return most;
}

/* What it says was spent is what the calls of the periods at hand cost. */
static void
compare(void)
{
    struct ledger_audit audit;
    struct budget_state state;
    for (size_t n = 0; n < NODES; n++) {
        while (nodes[n].posted < nodes[n].count)
            step_upload(&nodes[n]);
    }
    if (ledger_audit(ledger, &audit, &err) < 0)
        fail_msg("%s", err.text);
    assert_int_equal(audit.budgets, 1);
    assert_int_equal(budget_get(ledger, NAME, &state, &err), 0);
    for (size_t p = 0; p < PERIOD_COUNT; p++) {
        int64_t sum = 0;
        for (size_t i = 0; i < truth_count; i++)
            sum += truth[i].at_ms >= state.begins_ms[p] ? truth[i].charge : 0;
        assert_int_equal(state.spent[p].nano, sum);
    }
}

static void
race(unsigned steps, int64_t skew_ms, void (*change)(unsigned step))
{
    struct ledger_audit audit;
    uint64_t seed = rand_u64() | 1;
    const char *said = getenv("BERTH_SEED");
    const char *more = getenv("BERTH_STEPS");
    uint64_t number = 0;
    if (said && num_u64(str_from(said), UINT64_MAX, &number) == 0)
        seed = number;
    if (more && num_u64(str_from(more), CALLS_MAX, &number) == 0)
        steps = (unsigned)number;
    (void)printf("BERTH_SEED=%llu\n", (unsigned long long)seed);
    rand_seed(seed);
    for (size_t n = 0; n < NODES; n++) {
        nodes[n] = (struct node){.epoch = 1};
        (void)snprintf(nodes[n].name, sizeof nodes[n].name, "n%zu", n);
        if (skew_ms > 0)
            nodes[n].skew_ms = (int64_t)rand_below((uint64_t)skew_ms * 2) - skew_ms;
    }
    truth_count = 0;
    time_ms = DECEMBER_MS;
    for (unsigned step = 0; step < steps; step++) {
        struct node *node = &nodes[rand_below(NODES)];
        time_ms += (int64_t)rand_below(rand_below(100) == 0 ? (uint64_t)HOUR_MS : 20000);
        if (change)
            change(step);
        switch (rand_below(20)) {
        case 0:
            step_return(node);
            break;
        case 1:
            step_die(node, change != NULL);
            break;
        case 2:
        case 3:
        case 4:
            step_ask(node);
            break;
        case 5:
        case 6:
            step_upload(node);
            break;
        default:
            step_call(node);
        }
        arena_fini(&arena);
        arena_init(&arena, 256u << 20);
        if (step % 500 == 499 && ledger_audit(ledger, &audit, &err) < 0)
            fail_msg("step %u: %s", step, err.text);
        if (step % 500 == 250 && skew_ms == 0)
            compare();
    }
    for (size_t n = 0; n < NODES; n++) {
        nodes[n].held = 0;
        step_die(&nodes[n], false);
    }
    struct budget_state state;
    assert_int_equal(budget_get(ledger, NAME, &state, &err), 0);
    assert_int_equal(state.lent.nano, 0);
    if (ledger_audit(ledger, &audit, &err) < 0)
        fail_msg("%s", err.text);
    assert_int_equal(audit.budgets, 1);
    rand_seed(0);
}

static void
test_race(void **state)
{
    (void)state;
    caps_set("0.50", "4.00", "20.00");
    race(8000, 0, NULL);
    assert_true(truth_count > 300);
    /* never more, and not by being of no use */
    assert_in_range(most_in(PERIOD_HOUR), 30 * CENT, 50 * CENT);
    assert_in_range(most_in(PERIOD_DAY), 200 * CENT, 400 * CENT);
    assert_in_range(most_in(PERIOD_MONTH), 400 * CENT, 2000 * CENT);
}

static void
test_month_alone(void **state)
{
    (void)state;
    caps_set(NULL, NULL, "1.00");
    race(3000, 0, NULL);
    assert_in_range(most_in(PERIOD_MONTH), 90 * CENT, 100 * CENT);
}

static void
change_caps(unsigned step)
{
    static const char *const hours[] = {NULL, "0.10", "0.00", "2.00"};
    static const char *const days[] = {"0.30", NULL, "5.00"};
    if (step % 40 == 0)
        caps_set(hours[rand_below(ARRAY_LEN(hours))], days[rand_below(ARRAY_LEN(days))], "9.00");
}

/* The audit follows whatever becomes of caps, and journals that turn up behind their lease. */
static void
test_changes(void **state)
{
    (void)state;
    caps_set(NULL, NULL, "9.00");
    race(6000, 0, change_caps);
    assert_true(most_in(PERIOD_MONTH) >= 100 * CENT);
}

/* Nodes whose clocks are hours off: what is lent in a period cannot be spent as if it were the one
 * before, so that no more than what was lent at its begin comes on top of the cap. */
static void
test_skew(void **state)
{
    (void)state;
    caps_set("0.50", NULL, NULL);
    race(6000, 3 * HOUR_MS, NULL);
    assert_in_range(most_in(PERIOD_HOUR), 30 * CENT, 100 * CENT);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_race, begin, end),
        cmocka_unit_test_setup_teardown(test_month_alone, begin, end),
        cmocka_unit_test_setup_teardown(test_changes, begin, end),
        cmocka_unit_test_setup_teardown(test_skew, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
