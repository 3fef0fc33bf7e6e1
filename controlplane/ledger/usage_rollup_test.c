/* SPDX-License-Identifier: MIT
 * usage_rollup_test.c - what is asked for by hour, wallet, container, key, model and provider is
 *            what was posted; records go when they are old, their sums stay.
 * Floor: controlplane/ledger tests.
 * Owns: nothing.
 * Invariant: see usage_rollup.h. */
#include "controlplane/ledger/ledger_test_rig.h"

#define HOUR_MS 3600000ull

static const struct ledger_stream stream = {{"n1", 2}, 9, {"0", 1}};

static struct str
record(uint64_t seq, uint64_t at_ms, const char *wallet, const char *subject, const char *model,
       int64_t charge)
{
    return arena_printf(
        &arena,
        "{\"seq\":\"%llu\",\"id\":\"r%llu\",\"at_ms\":%llu,\"wallet\":\"%s\","
        "\"subject\":\"%s\",\"model\":\"%s\",\"provider\":\"p\","
        "\"usage\":{\"input\":12,\"output\":3},\"charge\":\"%lld\",\"cost\":\"%lld\"}",
        (unsigned long long)seq, (unsigned long long)seq, (unsigned long long)at_ms, wallet,
        subject, model, (long long)charge, (long long)charge - 1);
}

static void
apply_to(const struct ledger_stream *to, uint64_t first, const struct str *records, size_t count)
{
    struct ledger_applied applied;
    assert_int_equal(usage_apply(ledger, to, first, records, count, &applied, &err), 0);
    assert_true(applied.seq == first + count - 1);
}

/* "hour wallet subject container key model requests input charge cost;" of each row */
static const char *
query(const struct usage_query *asked)
{
    struct usage_row *rows;
    size_t count;
    bool behind;
    const char *text = "";
    int r = usage_query(ledger, asked, &arena, &rows, &count, &behind, &err);
    if (r < 0)
        return err_name(r);
    assert_false(behind);
    for (size_t i = 0; i < count; i++) {
        text =
            arena_printf(&arena, "%s%lld %.*s|%.*s|%.*s|%.*s|%.*s %llu %llu %lld %lld;", text,
                         (long long)rows[i].start_s / 3600, STR_ARG(rows[i].wallet),
                         STR_ARG(rows[i].subject), STR_ARG(rows[i].container), STR_ARG(rows[i].key),
                         STR_ARG(rows[i].model), (unsigned long long)rows[i].requests,
                         (unsigned long long)rows[i].count[USAGE_input],
                         (long long)rows[i].charge.nano, (long long)rows[i].cost.nano)
                .ptr;
    }
    return text;
}

static void
test_query(void **state)
{
    (void)state;
    const struct str records[] = {
        record(1, 5 * HOUR_MS, "a", "container/dev", "gpt", 10),
        record(2, 5 * HOUR_MS + 1, "a", "container/dev", "gpt", 20),
        record(3, 6 * HOUR_MS - 1, "a", "key/ci", "gpt", 5),
        record(4, 30 * HOUR_MS, "b", "container/web", "claude", 40),
        STR("{\"seq\":\"5\",\"more\":1,\"at_ms\":108000000,\"wallet\":\"b\",\"subject\":"
            "\"container/w\\u0065b\",\"model\":\"a\\\"b\\u0001c\",\"provider\":\"p\",\"usage\":{"
            "\"input\":1},\"charge\":\"7\",\"cost\":\"6\"}"),
        STR("{\"seq\":\"6\",\"wallet\":\"a\",\"charge\":\"0\",\"cost\":\"0\"}"),
        STR("poison"),
    };
    assert_string_equal(query(&(struct usage_query){0}), "");
    apply_to(&stream, 1, records, ARRAY_LEN(records));
    static const struct {
        struct usage_query query;
        const char *want;
    } rows[] = {
        {{.by = 0}, "0 |||| 6 49 82 77;"},
        {{.by = USAGE_WALLET}, "0 b|||| 2 13 47 45;0 a|||| 4 36 35 32;"},
        {{.by = USAGE_HOUR}, "0 |||| 1 0 0 0;5 |||| 3 36 35 32;30 |||| 2 13 47 45;"},
        {{.by = USAGE_DAY | USAGE_HOUR}, "0 |||| 4 36 35 32;24 |||| 2 13 47 45;"},
        {{.by = USAGE_CONTAINER}, "0 ||web|| 2 13 47 45;0 ||dev|| 2 24 30 28;0 |||| 2 12 5 4;"},
        {{.by = USAGE_KEY}, "0 |||| 5 37 77 73;0 |||ci| 1 12 5 4;"},
        {{.by = USAGE_CONTAINER | USAGE_KEY, .wallet = STR("a")},
         "0 ||dev|| 2 24 30 28;0 |||ci| 1 12 5 4;0 |||| 1 0 0 0;"},
        {{.by = USAGE_SUBJECT | USAGE_MODEL, .subject = STR("container/web")},
         "0 |container/web|||claude 1 12 40 39;0 |container/web|||a?b?c 1 1 7 6;"},
        {{.by = 0, .since_s = 6 * 3600 - 1}, "0 |||| 5 49 82 77;"},
        {{.by = 0, .since_s = 6 * 3600}, "0 |||| 2 13 47 45;"},
        {{.by = 0, .since_s = 1, .until_s = 5 * 3600}, "0 |||| 1 0 0 0;"},
        {{.by = 0, .until_s = 5 * 3600 + 1, .model = STR("gpt")}, "0 |||| 3 36 35 32;"},
        {{.by = USAGE_PROVIDER, .provider = STR("q")}, ""},
        {{.since_s = 8, .until_s = 7}, "INVALID"},
        {{.since_s = -1}, "INVALID"},
        {{.since_s = INT64_MAX}, ""},
    };
    for (unsigned twice = 0; twice < 2; twice++) {
        for (size_t i = 0; i < ARRAY_LEN(rows); i++)
            assert_string_equal(query(&rows[i].query), rows[i].want);
        reopen_with(0);
    }
    /* sent again: nothing is counted twice; an older hour may grow later */
    apply_to(&stream, 1, records, ARRAY_LEN(records));
    const struct str late = record(8, 5 * HOUR_MS, "a", "container/dev", "gpt", 3);
    apply_to(&stream, 8, &late, 1);
    assert_string_equal(query(&(struct usage_query){.by = USAGE_HOUR}),
                        "0 |||| 1 0 0 0;5 |||| 4 48 38 34;30 |||| 2 13 47 45;");
}

/* The nth commit fails, before or after it was made: every record is in the sums once. */
static void
test_fault(void **state)
{
    (void)state;
    for (unsigned nth = 1; nth <= 3; nth++) {
        for (int done = 0; done < 2; done++) {
            bool more = true;
            assert_int_equal(audited_teardown(NULL), 0);
            assert_int_equal(setup(NULL), 0);
            const struct str records[] = {record(1, HOUR_MS, "a", "key/k", "m", 10),
                                          record(2, HOUR_MS, "a", "key/k", "m", 10)};
            struct ledger_applied applied;
            store_fail_commit(store, nth, done);
            for (unsigned i = 0; i < 2; i++) {
                (void)!usage_apply(ledger, &stream, 1, records, i + 1, &applied, &err);
                (void)!usage_rollup_step(ledger, &more, &err);
            }
            store_fail_commit(store, 0, false);
            if (nth == 2)
                reopen_with(0);
            apply_to(&stream, 1, records, 2);
            assert_string_equal(query(&(struct usage_query){0}), "0 |||| 2 24 20 18;");
            check_audit();
        }
    }
}

/* More names than a page has room for, over more hours than a step takes, in several streams. */
static void
test_many(void **state)
{
    (void)state;
    enum { COUNT = 6000, STREAMS = 3 };
    static struct str records[COUNT];
    int64_t total = 0;
    for (uint64_t s = 0; s < STREAMS; s++) {
        const struct ledger_stream to = {STR("n2"), s + 1, STR("0")};
        for (size_t i = 0; i < COUNT; i++) {
            char subject[120];
            (void)snprintf(subject, sizeof subject, "container/%080zu", (i * 7919 + s) % 5000);
            records[i] = record(i + 1, (100 + i / 150) * HOUR_MS, i % 2 ? "a" : "b", subject, "m",
                                1 + (int64_t)i);
            total += 1 + (int64_t)i;
        }
        apply_to(&to, 1, records, COUNT);
    }
    struct usage_row *rows;
    size_t count;
    bool behind = true;
    const struct usage_query by_subject = {.by = USAGE_SUBJECT};
    unsigned answers = 0;
    for (; behind; answers++) {
        if (usage_query(ledger, &by_subject, &arena, &rows, &count, &behind, &err) < 0)
            fail_msg("%s", err.text);
    }
    assert_true(answers > 1 && answers < 20);
    assert_int_equal(count, 5000);
    uint64_t requests = 0;
    for (size_t i = 0; i < count; i++) {
        requests += rows[i].requests;
        total -= rows[i].charge.nano;
        assert_true(i == 0 || rows[i].charge.nano <= rows[i - 1].charge.nano);
    }
    assert_true(requests == STREAMS * COUNT && total == 0);
    check_audit();
}

static size_t
record_count(void)
{
    struct store_row *rows;
    size_t count;
    assert_int_equal(usage_list(ledger, STR(""), 1000, &arena, &rows, &count, &err), 0);
    return count;
}

static void
test_prune(void **state)
{
    (void)state;
    bool more;
    for (uint64_t i = 0; i < 20; i++) {
        const struct str records[] = {
            record(2 * i + 1, (10 + i) * HOUR_MS, "a", "key/k", "m", 10),
            record(2 * i + 2, (10 + i) * HOUR_MS + 1, "a", "key/k", "m", 10)};
        apply_to(&stream, 2 * i + 1, records, 2);
    }
    /* not yet in the sums: nothing may go */
    assert_int_equal(usage_rollup_prune(ledger, INT64_MAX, &more, &err), 0);
    assert_false(more);
    assert_int_equal(record_count(), 40);
    const char *before = query(&(struct usage_query){.by = USAGE_HOUR});
    static const struct {
        uint64_t cutoff_ms;
        size_t left;
    } rows[] = {
        {0, 40},
        {12 * HOUR_MS, 36},
        {12 * HOUR_MS + 1, 36}, /* a row goes as a whole */
        {12 * HOUR_MS + 2, 34},
        {29 * HOUR_MS, 2},
        {90 * HOUR_MS, 0},
        {91 * HOUR_MS, 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        assert_int_equal(usage_rollup_prune(ledger, (int64_t)rows[i].cutoff_ms, &more, &err), 0);
        assert_false(more);
        assert_int_equal(record_count(), rows[i].left);
        assert_string_equal(query(&(struct usage_query){.by = USAGE_HOUR}), before);
    }
    reopen_with(0);
    assert_string_equal(query(&(struct usage_query){.by = USAGE_HOUR}), before);
    const struct str next = record(41, 99 * HOUR_MS, "a", "key/k", "m", 10);
    apply_to(&stream, 41, &next, 1);
    assert_int_equal(record_count(), 1);
    assert_string_equal(query(&(struct usage_query){0}), "0 |||| 41 492 410 369;");
}

/* Many streams of many rows go in several commits. */
static void
test_prune_many(void **state)
{
    (void)state;
    bool more = true;
    for (uint64_t s = 0; s < 100; s++) {
        const struct ledger_stream to = {STR("n"), s + 1, STR("0")};
        for (uint64_t i = 1; i <= 3; i++) {
            const struct str one = record(i, i, "a", "key/k", "m", 1);
            apply_to(&to, i, &one, 1);
        }
    }
    while (more)
        assert_int_equal(usage_rollup_step(ledger, &more, &err), 0);
    unsigned steps = 0;
    for (more = true; more; steps++)
        assert_int_equal(usage_rollup_prune(ledger, 3, &more, &err), 0);
    assert_true(steps >= 2 && steps < 10);
    assert_int_equal(record_count(), 100);
    store_fail_commit(store, 1, false);
    assert_int_equal(usage_rollup_prune(ledger, 4, &more, &err), -ERR_STORE);
    store_fail_commit(store, 0, false);
    for (more = true; more;)
        assert_int_equal(usage_rollup_prune(ledger, 4, &more, &err), 0);
    assert_int_equal(record_count(), 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_query, setup, audited_teardown),
        cmocka_unit_test_setup_teardown(test_fault, setup, audited_teardown),
        cmocka_unit_test_setup_teardown(test_many, setup, audited_teardown),
        cmocka_unit_test_setup_teardown(test_prune, setup, audited_teardown),
        cmocka_unit_test_setup_teardown(test_prune_many, setup, audited_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
