/* SPDX-License-Identifier: MIT
 * budget_test.c - what a container or key may borrow and has spent, as its caps, its calls and the
 *            time change.
 * Floor: controlplane/ledger tests.
 * Owns: nothing.
 * Invariant: see budget.h. Races are in budget_model_test.c. */
#include "controlplane/ledger/budget_test_rig.h"

#define NAME STR("key/ci")

static uint64_t seq;

static int
start(void **state)
{
    seq = 0;
    return begin(state);
}

/* Whatever a test did, the audit agrees with it. */
static int
finish(void **state)
{
    struct ledger_audit audit;
    if (ledger_audit(ledger, &audit, &err) < 0)
        fail_msg("%s", err.text);
    return end(state);
}

/* Cents; -1: no cap. */
static void
caps(int64_t hour, int64_t day, int64_t month)
{
    const int64_t cents[PERIOD_COUNT] = {hour, day, month};
    struct budget_caps wanted = {.capped = {false}};
    for (size_t i = 0; i < PERIOD_COUNT; i++) {
        wanted.capped[i] = cents[i] >= 0;
        wanted.amount[i].nano = MAX(cents[i], (int64_t)0) * CENT;
    }
    if (budget_set(ledger, NAME, &wanted, &err) < 0)
        fail_msg("%s", err.text);
}

/* What node n has after it asked for so much more. */
static int64_t
borrow(int64_t cents)
{
    struct ledger_lease lease = {.granted = {0}};
    int code = lease_get(ledger, STR("n"), 1, NAME, &lease, &err);
    assert_true(code == 0 || code == -ERR_NOT_FOUND);
    assert_int_equal(lease_want(ledger, STR("n"), 1, NAME, lease.granted,
                                (struct money){cents * CENT}, &lease, &err),
                     0);
    return lease.rest.nano / CENT;
}

static void
give_back(int64_t cents)
{
    struct ledger_lease lease;
    assert_int_equal(lease_get(ledger, STR("n"), 1, NAME, &lease, &err), 0);
    assert_int_equal(lease_return(ledger, STR("n"), 1, NAME,
                                  (struct money){lease.returned.nano + cents * CENT}, &err),
                     0);
}

static void
call_at(int64_t at_ms, int64_t cents, const char *more)
{
    const struct ledger_stream stream = {STR("n"), 1, STR("0")};
    struct ledger_applied applied;
    struct str record = arena_printf(
        &arena,
        "{\"seq\":\"%llu\",\"id\":\"r\",\"at_ms\":%lld,\"wallet\":\"w\",\"subject\":"
        "\"key/ci\",\"model\":\"m\",\"provider\":\"p\"%s,\"charge\":\"%lld\","
        "\"cost\":\"0\"}",
        (unsigned long long)seq + 1, (long long)at_ms, more, (long long)(cents * CENT));
    if (usage_apply(ledger, &stream, ++seq, &record, 1, &applied, &err) < 0 || applied.posted != 1)
        fail_msg("%s", err.text);
}

static void
call(int64_t cents)
{
    call_at(time_ms, cents, "");
}

/* "hour day month lent free", spent and the rest in cents. */
static const char *
words(void)
{
    struct budget_state s;
    int code = budget_get(ledger, NAME, &s, &err);
    if (code == -ERR_NOT_FOUND)
        return "none";
    assert_int_equal(code, 0);
    return arena_printf(&arena, "%lld %lld %lld lent %lld free %lld%s%s",
                        (long long)(s.spent[0].nano / CENT), (long long)(s.spent[1].nano / CENT),
                        (long long)(s.spent[2].nano / CENT), (long long)(s.lent.nano / CENT),
                        s.capped ? (long long)(s.free.nano / CENT) : -1ll, s.over ? " over " : " ",
                        s.capped ? period_name(s.tight) : "uncapped")
        .ptr;
}

static void
test_names(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        bool valid;
    } rows[] = {
        {"container/dev-env", true},
        {"key/a.b_c", true},
        {"key/", false},
        {"container/", false},
        {"default", false},
        {"wallet/x", false},
        {"key/a/b", false},
        {"key/Zz09-", true},
        {"key/a b", false},
        {"key/a~", false},
        {"key/a[", false},
        {"key/a:", false},
        {"key/a*", false},
        {"Key/a", false},
        {"container/\xc3\xa9", false},
        {"", false},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        assert_int_equal(budget_name_valid(str_from(rows[i].name)), rows[i].valid);
    char longest[BUDGET_NAME_BYTES_MAX + 1];
    memset(longest, 'a', sizeof longest);
    memcpy(longest, "key/", 4);
    assert_true(budget_name_valid(str_make(longest, BUDGET_NAME_BYTES_MAX)));
    assert_false(budget_name_valid(str_make(longest, BUDGET_NAME_BYTES_MAX + 1)));
    const struct budget_caps none = {.capped = {false}};
    assert_int_equal(budget_set(ledger, STR("default"), &none, &err), -ERR_INVALID);
    assert_int_equal(budget_set(ledger, NAME, &none, &err), 0);
    assert_string_equal(words(), "none");
}

static void
test_periods(void **state)
{
    (void)state;
    caps(50, 100, 180);
    assert_string_equal(words(), "0 0 0 lent 0 free 50 hour");
    assert_int_equal(borrow(1000), 50);
    call(30);
    assert_string_equal(words(), "30 30 30 lent 20 free 0 hour");
    time_ms += HOUR_MS; /* what is lent counts in the new one */
    assert_string_equal(words(), "0 30 30 lent 20 free 30 hour");
    assert_int_equal(borrow(1000), 50);
    call(50);
    time_ms += HOUR_MS;
    assert_string_equal(words(), "0 80 80 lent 0 free 20 day");
    assert_int_equal(borrow(1000), 20);
    call(20);
    assert_int_equal(borrow(1), 0);
    time_ms += DAY_MS;
    assert_string_equal(words(), "0 0 100 lent 0 free 50 hour");
    borrow(50);
    call(50);
    time_ms += HOUR_MS;
    assert_string_equal(words(), "0 50 150 lent 0 free 30 month");
    time_ms = 1767225600000; /* 2026-01-01 */
    assert_string_equal(words(), "0 0 0 lent 0 free 50 hour");
}

/* A call that ended before the turn and is heard of after it belongs to the period that it ended
 * in, as usage says; in whatever form its record comes. */
static void
test_late(void **state)
{
    (void)state;
    caps(50, 300, -1);
    time_ms += HOUR_MS - 2000;
    assert_int_equal(borrow(40), 40);
    time_ms += 4000;
    assert_string_equal(words(), "0 0 0 lent 40 free 10 hour");
    call_at(time_ms - 3000, 15, "");
    assert_string_equal(words(), "0 15 15 lent 25 free 25 hour");
    call_at(time_ms - 3000, 5, ",\"new\":[1]");
    assert_string_equal(words(), "0 20 20 lent 20 free 30 hour");
    call(10);
    assert_string_equal(words(), "10 30 30 lent 10 free 30 hour");
    /* more than was lent then cannot have been before: its node's clock is wrong */
    assert_int_equal(borrow(30), 40);
    call_at(time_ms - 3000, 25, "");
    assert_string_equal(words(), "25 55 55 lent 15 free 10 hour");
    /* nor has it been yet */
    call_at(time_ms + HOUR_MS, 15, "");
    assert_string_equal(words(), "40 70 70 lent 0 free 10 hour");
    call_at(-1, 5, ",\"new\":[1]"); /* a time that is none is long ago */
    assert_string_equal(words(), "40 70 70 lent 0 free 10 hour");
}

static void
test_changes(void **state)
{
    (void)state;
    caps(-1, 100, -1);
    assert_int_equal(borrow(60), 60);
    call(10);
    caps(-1, 30, -1);
    assert_string_equal(words(), "10 10 10 lent 50 free 0 over day");
    assert_int_equal(borrow(10), 50);
    give_back(50);
    assert_string_equal(words(), "10 10 10 lent 0 free 20 day");
    caps(0, 30, -1);
    assert_string_equal(words(), "10 10 10 lent 0 free 0 hour");
    caps(-1, -1, 500);
    assert_string_equal(words(), "10 10 10 lent 0 free 490 month");
    assert_int_equal(borrow(20), 20);
    /* without a cap it is remembered as long as something is lent */
    caps(-1, -1, -1);
    assert_string_equal(words(), "10 10 10 lent 20 free -1 uncapped");
    call(5);
    give_back(15);
    assert_string_equal(words(), "none");
    call(7); /* nobody counts, but usage does: it is there when a cap comes again */
    time_ms += HOUR_MS;
    call(1);
    caps(100, 100, -1);
    assert_string_equal(words(), "1 23 23 lent 0 free 77 day");
    /* what was not lent was spent all the same */
    call(90);
    assert_string_equal(words(), "91 113 113 lent 0 free 0 day");
}

static void
test_leases(void **state)
{
    struct ledger_lease lease;
    struct ledger_balances balances;
    (void)state;
    caps(-1, 100, -1);
    assert_int_equal(borrow(40), 40);
    call(10);
    /* it moves no money */
    assert_int_equal(ledger_balances(ledger, STR("w"), &balances, &err), 0);
    assert_int_equal(balances.held.nano, 0);
    assert_int_equal(balances.ai_usage.nano, 10 * CENT);
    assert_int_equal(lease_orphan(ledger, STR("n"), 1, NAME, &err), 0);
    assert_string_equal(words(), "10 10 10 lent 0 free 90 day");
    call(5); /* its journal turned up */
    assert_string_equal(words(), "15 15 15 lent 0 free 85 day");
    assert_int_equal(borrow(20), 20);
    assert_int_equal(lease_close(ledger, STR("n"), 1, &err), 0);
    assert_string_equal(words(), "15 15 15 lent 0 free 85 day");
    assert_int_equal(
        lease_want(ledger, STR("n"), 1, NAME, (struct money){0}, (struct money){1}, &lease, &err),
        -ERR_REVOKED);
    /* another node, another ledger over the same store: nothing was in memory alone */
    const struct ledger_config config = {0};
    ledger_free(&ledger);
    assert_int_equal(ledger_new(store, &config, &ledger, &err), 0);
    assert_int_equal(lease_want(ledger, STR("m"), 1, NAME, (struct money){0},
                                (struct money){1000 * CENT}, &lease, &err),
                     0);
    assert_int_equal(lease.granted.nano, 85 * CENT);
    assert_true(lease.empty);
    call(3);
    assert_string_equal(words(), "18 18 18 lent 85 free 0 over day");
}

/* A first cap counts what was spent in the periods at hand, each hour in those that it is of, and
 * what a node said it spent in times to come in none of them. */
static void
test_first_cap(void **state)
{
    (void)state;
    bool more = true;
    call(1);
    time_ms += HOUR_MS;
    call(2);
    time_ms += DAY_MS;
    call(4);
    time_ms += HOUR_MS;
    call(8);
    call_at(time_ms + 40 * DAY_MS, 16, "");
    while (more)
        assert_int_equal(usage_rollup_step(ledger, &more, &err), 0);
    caps(100, 100, 100);
    assert_string_equal(words(), "8 12 15 lent 0 free 85 month");
    time_ms +=
        40 * DAY_MS; /* that time has come: spent of it is not known, and it is not audited */
    assert_string_equal(words(), "0 0 0 lent 0 free 100 month");
}

/* More capped callers in one list than a commit takes: each has its own charges, once. */
static void
test_many_callers(void **state)
{
    (void)state;
    enum { CALLERS = 30, ROUNDS = 3 };
    const struct ledger_stream stream = {STR("n"), 1, STR("0")};
    const struct budget_caps day = {.capped = {[PERIOD_DAY] = true},
                                    .amount = {[PERIOD_DAY] = {1000}}};
    struct ledger_applied applied;
    struct ledger_lease lease;
    struct buf list;
    buf_init(&list, 1u << 20);
    for (unsigned i = 0; i < CALLERS * ROUNDS; i++) {
        struct str name = arena_printf(&arena, "key/k%u", i % CALLERS);
        if (i < CALLERS) {
            assert_int_equal(budget_set(ledger, name, &day, &err), 0);
            assert_int_equal(lease_want(ledger, stream.node, 1, name, (struct money){0},
                                        (struct money){500}, &lease, &err),
                             0);
        }
        assert_int_equal(
            buf_printf(&list,
                       "%s{\"seq\":\"%u\",\"id\":\"r\",\"at_ms\":%lld,\"wallet\":\"w\","
                       "\"subject\":\"%.*s\",\"provider\":\"p\",\"charge\":\"%u\","
                       "\"cost\":\"0\"}",
                       i == 0 ? "" : ",", i + 1, (long long)time_ms, STR_ARG(name),
                       1 + i % CALLERS),
            0);
    }
    assert_int_equal(usage_apply_list(ledger, &stream, 1, buf_str(&list), &applied, &err), 0);
    assert_int_equal(applied.posted, CALLERS * ROUNDS);
    buf_fini(&list);
    for (unsigned i = 0; i < CALLERS; i++) {
        struct budget_state s;
        struct str name = arena_printf(&arena, "key/k%u", i);
        assert_int_equal(budget_get(ledger, name, &s, &err), 0);
        assert_int_equal(s.spent[PERIOD_DAY].nano, ROUNDS * (1 + i));
        assert_int_equal(s.lent.nano, 500 - ROUNDS * (1 + i));
    }
}

/* A node gives back more than is left: calls that were held of no budget were taken out of it. */
static void
test_return_too_much(void **state)
{
    (void)state;
    caps(-1, 100, -1);
    assert_int_equal(borrow(60), 60);
    call(20);
    give_back(50);
    assert_string_equal(words(), "20 20 20 lent 0 free 80 day");
    assert_int_equal(borrow(80), 80);
    give_back(80);
    assert_string_equal(words(), "20 20 20 lent 0 free 80 day");
}

static const struct str row_key = {"ledger/budget/key/ci", sizeof "ledger/budget/key/ci" - 1};

/* Writes the row with other words in it, of "" to "": none; its value before. */
static struct str
row_change(const char *was, const char *is)
{
    struct store_row row;
    assert_int_equal(store_get(store, row_key, &arena, &row), 0);
    size_t at = str_find(row.value, str_from(was));
    assert_true(at != SIZE_MAX);
    struct str after = str_skip(row.value, at + strlen(was));
    struct store_op op = {
        .key = row_key,
        .value = arena_printf(&arena, "%.*s%s%.*s", (int)at, row.value.ptr, is, STR_ARG(after)),
        .delete_ = was[0] == '\0'};
    if (op.delete_)
        op.value = STR_EMPTY;
    assert_int_equal(store_commit(store, NULL, 0, &op, 1, NULL), 0);
    return row.value;
}

/* Sums beyond what a number holds: all there is. */
static void
test_beyond_money(void **state)
{
    (void)state;
    caps(-1, 100, -1);
    assert_int_equal(borrow(40), 40);
    (void)row_change("\"day_spent\":\"0\"", "\"day_spent\":\"9223372036854775807\"");
    assert_string_equal(words(), "0 922337203685 0 lent 40 free 0 over day");
    call(10);
    assert_string_equal(words(), "10 922337203685 10 lent 30 free 0 over day");
}

/* What the audit is there for. */
static void
test_audit(void **state)
{
    (void)state;
    static const struct {
        const char *was;
        const char *is;
        const char *want;
    } rows[] = {
        {"\"day_spent\":\"100000000\"", "\"day_spent\":\"90000000\"", "are not its day"},
        {"\"hour_spent\":\"100000000\"", "\"hour_spent\":\"0\"", "are not its hour"},
        {"\"lent\":\"300000000\"", "\"lent\":\"0\"", "not the sum of its leases"},
        {"\"day_late\":\"0\"", "\"day_late\":\"-1\"", "damaged"},
        {"", "", "is missing"},
    };
    caps(-1, 100, -1);
    assert_int_equal(borrow(40), 40);
    call(10);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct ledger_audit audit;
        const struct store_op op = {.key = row_key, .value = row_change(rows[i].was, rows[i].is)};
        assert_int_equal(ledger_audit(ledger, &audit, &err), -ERR_STORE);
        assert_non_null(strstr(err.text, rows[i].want));
        assert_int_equal(store_commit(store, NULL, 0, &op, 1, NULL), 0);
        assert_int_equal(ledger_audit(ledger, &audit, &err), 0);
        assert_int_equal(audit.budgets, 1);
    }
}

/* The clock was 40 days ahead and is set back: the periods that it began do not last until then,
 * and what was spent by it counts. */
static void
test_clock_set_back(void **state)
{
    (void)state;
    struct budget_state s;
    size_t count;
    caps(50, 300, 1000);
    assert_int_equal(borrow(40), 40);
    call(10);
    time_ms += 40 * DAY_MS;
    call(20);
    assert_string_equal(words(), "20 20 20 lent 10 free 20 hour");
    time_ms -= 40 * DAY_MS - 10 * 60000;
    assert_string_equal(words(), "20 20 20 lent 10 free 20 hour"); /* nobody looked yet */
    assert_int_equal(budgets_rewind(ledger, &count, &err), 0);
    assert_int_equal(count, 1);
    assert_string_equal(words(), "30 30 30 lent 10 free 10 hour");
    assert_int_equal(budget_get(ledger, NAME, &s, &err), 0);
    assert_int_equal(s.resets_ms[PERIOD_HOUR], DECEMBER_MS + HOUR_MS);
    assert_int_equal(budgets_rewind(ledger, &count, &err), 0);
    assert_int_equal(count, 0);
    call(10); /* what was lent before */
    assert_string_equal(words(), "40 40 40 lent 0 free 10 hour");
    time_ms += HOUR_MS;
    assert_string_equal(words(), "0 40 40 lent 0 free 50 hour");
    time_ms += DAY_MS;
    assert_string_equal(words(), "0 0 40 lent 0 free 50 hour");
    /* and the time comes that was there before */
    time_ms = DECEMBER_MS + 40 * DAY_MS;
    assert_string_equal(words(), "0 0 0 lent 0 free 50 hour");
    assert_int_equal(borrow(10), 10);
    call(5);
}

/* A second or a minute back is no reason to begin a period twice. */
static void
test_clock_corrected(void **state)
{
    (void)state;
    size_t count;
    caps(50, -1, -1);
    time_ms += HOUR_MS;
    assert_int_equal(borrow(50), 50);
    call(50);
    time_ms -= BUDGET_AHEAD_MS;
    assert_int_equal(budgets_rewind(ledger, &count, &err), 0);
    assert_int_equal(count, 0);
    assert_string_equal(words(), "50 50 50 lent 0 free 0 hour");
    time_ms -= 1;
    assert_int_equal(budgets_rewind(ledger, &count, &err), 0);
    assert_int_equal(count, 1);
    assert_string_equal(words(), "50 50 50 lent 0 free 0 hour");
}

/* An hour that is put on the time at hand has not what was spent before it; no caps, no periods. */
static void
test_clock_set_back_in_a_day(void **state)
{
    (void)state;
    size_t count;
    caps(50, 300, -1);
    assert_int_equal(borrow(40), 40);
    call(10);
    time_ms += 3 * HOUR_MS;
    call(5);
    time_ms -= HOUR_MS;
    assert_int_equal(budgets_rewind(ledger, &count, &err), 0);
    assert_int_equal(count, 1);
    assert_string_equal(words(), "5 15 15 lent 25 free 20 hour");
    time_ms += 40 * DAY_MS;
    call(5);
    give_back(20);
    caps(-1, -1, -1);
    time_ms -= 40 * DAY_MS;
    assert_int_equal(budgets_rewind(ledger, &count, &err), 0);
    assert_int_equal(count, 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_names, start, finish),
        cmocka_unit_test_setup_teardown(test_periods, start, finish),
        cmocka_unit_test_setup_teardown(test_late, start, finish),
        cmocka_unit_test_setup_teardown(test_changes, start, finish),
        cmocka_unit_test_setup_teardown(test_leases, start, finish),
        cmocka_unit_test_setup_teardown(test_clock_set_back, start, finish),
        cmocka_unit_test_setup_teardown(test_clock_corrected, start, finish),
        cmocka_unit_test_setup_teardown(test_clock_set_back_in_a_day, start, finish),
        cmocka_unit_test_setup_teardown(test_audit, start, finish),
        cmocka_unit_test_setup_teardown(test_beyond_money, start, end), /* not what was spent */
        cmocka_unit_test_setup_teardown(test_first_cap, start, finish),
        cmocka_unit_test_setup_teardown(test_many_callers, start, finish),
        cmocka_unit_test_setup_teardown(test_return_too_much, start, finish),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
