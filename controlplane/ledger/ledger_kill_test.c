/* SPDX-License-Identifier: MIT
 * ledger_kill_test.c - kill -9 in the middle of posting: what was answered is there, once, and the
 *            books balance.
 * Floor: controlplane/ledger tests.
 * Owns: a folder under /tmp and child processes for the time of a test.
 * Invariant: see ledger.h. */
#include "controlplane/ledger/ledger.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/base/kill_test_rig.h"
#include "lib/base/rand.h"

enum { ROUNDS = 12, BATCH = 20 };

static char url[96];
static const struct ledger_stream stream = {{"n1", 2}, 1, {"0", 1}};

static int
open_all(struct store **store, struct ledger **ledger)
{
    struct ledger_config config = {0};
    struct err err;
    int r = store_open(url, NULL, store, &err);
    return r < 0 ? r : ledger_new(*store, &config, ledger, &err);
}

static void
records_make(struct arena *arena, uint64_t first, struct str records[BATCH])
{
    for (uint64_t i = 0; i < BATCH; i++) {
        records[i] = arena_printf(
            arena,
            "{\"seq\":\"%llu\",\"wallet\":\"a\",\"provider\":\"p\",\"charge\":\"%llu\","
            "\"cost\":\"%llu\"}",
            (unsigned long long)first + i, (unsigned long long)first + i,
            ((unsigned long long)first + i) / 2);
    }
}

/* Posts, borrows and pays in, and tells the mark after each answer. */
static void
child(int fd)
{
    struct store *store = NULL;
    struct ledger *ledger = NULL;
    struct arena arena;
    struct ledger_applied applied = {0};
    struct ledger_lease lease;
    struct ledger_receipt receipt;
    if (open_all(&store, &ledger) < 0 || usage_mark(ledger, &stream, &applied.seq, NULL) < 0 ||
        lease_want(ledger, stream.node, 1, STR("a"), (struct money){0}, (struct money){0}, &lease,
                   NULL) < 0)
        _exit(1);
    for (;;) {
        struct str records[BATCH];
        char key[32];
        uint64_t first = applied.seq + 1;
        arena_init(&arena, 1u << 20);
        records_make(&arena, first, records);
        (void)snprintf(key, sizeof key, "pay %llu", (unsigned long long)first);
        if (ledger_deposit(ledger, STR("a"), LEDGER_AI, (struct money){1000}, str_from(key),
                           &receipt, NULL) < 0 ||
            lease_want(ledger, stream.node, 1, STR("a"), lease.granted, (struct money){500}, &lease,
                       NULL) < 0 ||
            usage_apply(ledger, &stream, first, records, BATCH, &applied, NULL) < 0 ||
            write(fd, &applied.seq, sizeof applied.seq) != sizeof applied.seq)
            _exit(1);
        arena_fini(&arena);
    }
}

static void
check(uint64_t answered)
{
    struct store *store = NULL;
    struct ledger *ledger = NULL;
    struct ledger_audit audit;
    struct ledger_balances balances;
    struct err err;
    uint64_t mark;
    assert_int_equal(open_all(&store, &ledger), 0);
    if (ledger_audit(ledger, &audit, &err) < 0)
        fail_msg("%s", err.text);
    assert_int_equal(usage_mark(ledger, &stream, &mark, &err), 0);
    assert_true(mark == answered || mark == answered + BATCH);
    assert_int_equal(ledger_balances(ledger, STR("a"), &balances, &err), 0);
    assert_true(balances.ai_usage.nano == (int64_t)(mark * (mark + 1) / 2));
    /* One payment a batch; of the last one perhaps without its batch. */
    int64_t paid = (int64_t)(mark / BATCH) * 1000;
    assert_true(balances.ai_limit.nano == paid || balances.ai_limit.nano == paid + 1000);
    ledger_free(&ledger);
    store_close(&store);
}

static void
test_kill(void **state)
{
    (void)state;
    uint64_t seed = rand_u64();
    uint64_t answered = 0;
    print_message("seed %llu\n", (unsigned long long)seed);
    rand_seed(seed);
    for (unsigned round = 0; round < ROUNDS; round++) {
        uint64_t told = 1 + rand_below(8);
        assert_true(kill_rig_blind(child, told, rand_below(2000000), &answered));
        check(answered);
        /* The child of the next round goes on from the mark, which may be one batch further. */
    }
    rand_seed(0);
}

int
main(void)
{
    static char folder[] = "/tmp/berth-ledger-kill-XXXXXX";
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_kill)};
    if (mkdtemp(folder) == NULL)
        return 1;
    (void)snprintf(url, sizeof url, "sqlite:%s/a.db", folder);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    static const char *const files[] = {"a.db", "a.db-wal"};
    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        char path[96];
        (void)snprintf(path, sizeof path, "%s/%s", folder, files[i]);
        (void)unlink(path);
    }
    return rmdir(folder) == 0 ? failed : 1;
}
