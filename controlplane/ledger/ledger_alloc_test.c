/* SPDX-License-Identifier: MIT
 * ledger_alloc_test.c - the nth allocation fails, once or from then on: a clean error, the books
 *            balance, and asking again gives what it would have given.
 * Floor: controlplane/ledger tests.
 * Owns: malloc, for this program; not under a sanitizer, which owns it there.
 * Invariant: see ledger.h; HARDENING LW-17. */
#include "controlplane/ledger/usage_rollup.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>
#include <openssl/crypto.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define OWN_MALLOC 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define OWN_MALLOC 0
#endif
#endif
#ifndef OWN_MALLOC
#define OWN_MALLOC 1
#endif

static unsigned fail_nth; /* 0 = never */
static bool fail_forever;
static bool fail_happened;

#if OWN_MALLOC
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *block, size_t size);

static bool
fails(void)
{
    if (LIKELY(fail_nth == 0))
        return false;
    if (fail_nth > 1) {
        fail_nth--;
        return false;
    }
    if (!fail_forever)
        fail_nth = 0;
    fail_happened = true;
    return true;
}

void *
malloc(size_t size)
{
    return fails() ? NULL : __libc_malloc(size);
}

void *
calloc(size_t count, size_t size)
{
    return fails() ? NULL : __libc_calloc(count, size);
}

void *
realloc(void *block, size_t size)
{
    return fails() ? NULL : __libc_realloc(block, size);
}

/* digest.h has no error to return: without memory it ends the process. OpenSSL is left out. */
static void *
openssl_malloc(size_t size, const char *file, int line)
{
    (void)file;
    (void)line;
    return __libc_malloc(size);
}

static void *
openssl_realloc(void *block, size_t size, const char *file, int line)
{
    (void)file;
    (void)line;
    return __libc_realloc(block, size);
}

static void
openssl_free(void *block, const char *file, int line)
{
    (void)file;
    (void)line;
    free(block);
}
#endif

static struct store *store;
static struct ledger *ledger;
static const struct ledger_stream stream = {{"n1", 2}, 1, {"0", 1}};

#define RECORD(seq, charge)                                                                        \
    {                                                                                              \
        "{\"seq\":\"" seq "\",\"wallet\":\"a\",\"provider\":\"p\",\"charge\":\"" charge            \
        "\",\"cost\":\"1\"}",                                                                      \
            sizeof "{\"seq\":\"" seq "\",\"wallet\":\"a\",\"provider\":\"p\",\"charge\":\"" charge \
                   "\",\"cost\":\"1\"}" -                                                          \
                1                                                                                  \
    }
static const struct str records[] = {RECORD("1", "5"), RECORD("2", "-5"), RECORD("3", "7")};

static int
do_deposit(struct err *err)
{
    struct ledger_receipt receipt;
    return ledger_deposit(ledger, STR("a"), LEDGER_GENERAL, (struct money){1000}, STR("1"),
                          &receipt, err);
}
static int
do_transfer(struct err *err)
{
    struct ledger_receipt receipt;
    return ledger_transfer(ledger, STR("a"), (struct money){500}, STR("1"), LEDGER_ANY_FEE,
                           &receipt, err);
}
static int
do_want(struct err *err)
{
    struct ledger_lease lease;
    return lease_want(ledger, stream.node, 1, STR("a"), (struct money){0}, (struct money){100},
                      &lease, err);
}
static int
do_usage(struct err *err)
{
    struct ledger_applied applied;
    return usage_apply(ledger, &stream, 1, records, ARRAY_LEN(records), &applied, err);
}
static int
do_return(struct err *err)
{
    return lease_return(ledger, stream.node, 1, STR("a"), (struct money){20}, err);
}
static int
do_sums(struct err *err)
{
    CLEANUP(arena_fini) struct arena arena;
    struct usage_filter filter = {.group = USAGE_BY_MODEL};
    struct usage_sum *sums;
    size_t count;
    arena_init(&arena, 1u << 20);
    return usage_sums(ledger, &filter, &arena, &sums, &count, err);
}
/* A record more, that costs nothing, and the sums with it. */
static int
do_roll(struct err *err)
{
    static const struct str more = RECORD("4", "1");
    struct ledger_applied applied;
    bool left;
    int r = usage_apply(ledger, &stream, 4, &more, 1, &applied, err);
    return r < 0 ? r : usage_rollup_step(ledger, &left, err);
}
static int
do_query(struct err *err)
{
    CLEANUP(arena_fini) struct arena arena;
    const struct usage_query query = {.by = USAGE_HOUR | USAGE_SUBJECT};
    struct usage_row *rows;
    size_t count;
    bool behind;
    arena_init(&arena, 1u << 20);
    return usage_query(ledger, &query, &arena, &rows, &count, &behind, err);
}
static int
do_prune(struct err *err)
{
    bool more;
    return usage_rollup_prune(ledger, INT64_MAX, &more, err);
}
static int
do_orphan(struct err *err)
{
    return lease_orphan(ledger, stream.node, 1, STR("a"), err);
}
static int
do_ask(struct err *err)
{
    const struct ledger_ask ask = {.node = stream.node,
                                   .epoch = 1,
                                   .wallet = STR("a"),
                                   .granted = {100},
                                   .want = {60},
                                   .need = {1}};
    struct ledger_lease lease;
    return lease_ask(ledger, &ask, &lease, err);
}
static int
do_close(struct err *err)
{
    return lease_close(ledger, stream.node, 1, err);
}
static int
do_audit(struct err *err)
{
    struct ledger_audit audit;
    return ledger_audit(ledger, &audit, err);
}

static const struct {
    const char *name;
    int (*run)(struct err *err);
} steps[] = {{"deposit", do_deposit}, {"transfer", do_transfer}, {"want", do_want},
             {"usage", do_usage},     {"return", do_return},     {"sums", do_sums},
             {"roll", do_roll},       {"query", do_query},       {"prune", do_prune},
             {"orphan", do_orphan},   {"ask", do_ask},           {"close", do_close},
             {"audit", do_audit}};

/* All steps; in step `at` the nth allocation fails. false: it has fewer. */
static bool
run(size_t at, unsigned nth, bool forever)
{
    struct ledger_config config = {0};
    struct err err = {0};
    bool failed = false;
    assert_int_equal(store_open("memory:", NULL, &store, &err), 0);
    assert_int_equal(ledger_new(store, &config, &ledger, &err), 0);
    for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
        fail_happened = false;
        fail_forever = forever;
        fail_nth = i == at ? nth : 0;
        int r = steps[i].run(&err);
        fail_nth = 0;
        failed = failed || fail_happened;
        if (r != 0 && (r != -ERR_NOMEM || !fail_happened))
            fail_msg("%s, allocation %u: %d %s", steps[i].name, nth, r, err.text);
        assert_int_equal(do_audit(&err), 0);
        if (r < 0)
            assert_int_equal(steps[i].run(&err), 0);
    }
    struct ledger_balances b;
    assert_int_equal(ledger_balances(ledger, STR("a"), &b, &err), 0);
    assert_true(b.general.nano == 500 && b.ai_limit.nano == 500 && b.ai_usage.nano == 13);
    assert_true(b.held.nano == 0);
    ledger_free(&ledger);
    store_close(&store);
    return failed;
}

static void
test_every_allocation(void **state)
{
    (void)state;
    if (!OWN_MALLOC)
        skip();
    bool some = false;
    (void)run(0, 0, false); /* whatever is made once a process is made now */
    for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
        for (int forever = 0; forever < 2; forever++) {
            unsigned nth = 1; /* what is kept from step to step needs none */
            while (run(i, nth, forever))
                nth++;
            print_message("%s, %s: %u allocations\n", steps[i].name, forever ? "forever" : "once",
                          nth - 1);
            some = some || nth > 1;
        }
    }
    assert_true(some);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_every_allocation)};
#if OWN_MALLOC
    if (CRYPTO_set_mem_functions(openssl_malloc, openssl_realloc, openssl_free) != 1)
        return 1;
#endif
    return cmocka_run_group_tests(tests, NULL, NULL);
}
