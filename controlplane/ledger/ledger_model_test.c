/* SPDX-License-Identifier: MIT
 * ledger_model_test.c - random operations, with commits that fail before or after they are made,
 *            agree with a naive model after every step.
 * Floor: controlplane/ledger tests.
 * Owns: a file under /tmp for the run on SQLite.
 * Invariant: see ledger.h; HARDENING I1-I6, I8, I9. BERTH_SEED and BERTH_STEPS repeat or prolong
 *   it. */
#include "controlplane/ledger/ledger.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "controlplane/ledger/usage_rollup.h"
#include "lib/base/num.h"
#include "lib/base/rand.h"

enum { WALLETS = 3, NODES = 2, EPOCHS = 3, KEYS = 40, BATCH = 9 };
static const char *const wallet_names[WALLETS] = {"a", "b", "c"};
static const char *const node_names[NODES] = {"n1", "n2"};

/* The model: what the books must say, kept the simplest way. */
static struct {
    int64_t general[WALLETS], ai[WALLETS], spent[WALLETS];
    int64_t deposits, fees, adjustments, cost, markup;
    int64_t granted[NODES][EPOCHS][WALLETS], used[NODES][EPOCHS][WALLETS];
    int64_t returned[NODES][EPOCHS][WALLETS];
    bool closed[NODES][EPOCHS];
    uint64_t mark[NODES][EPOCHS];
    int64_t key_amount[2][WALLETS][KEYS]; /* deposits and transfers; 0 = not used */
} model;

static struct store *store;
static struct ledger *ledger;
static struct arena arena;
static struct err err;
static uint32_t fee_bps;
static unsigned key_generation;

static int64_t
rest_of(size_t n, size_t e, size_t w)
{
    return model.granted[n][e][w] - model.used[n][e][w] - model.returned[n][e][w];
}

static int64_t
house(const char *account)
{
    struct store_row row;
    int64_t nano = 0;
    struct str key = arena_printf(&arena, "ledger/balance/%s", account);
    int r = store_get(store, key, &arena, &row);
    if (r == -ERR_NOT_FOUND)
        return 0;
    assert_int_equal(r, 0);
    struct str digits = str_skip(row.value, sizeof "{\"nano\":\"" - 1);
    digits.len -= 2;
    assert_int_equal(num_i64(digits, INT64_MIN, INT64_MAX, &nano), 0);
    return nano;
}

static void
compare(void)
{
    int64_t total = 0;
    for (size_t w = 0; w < WALLETS; w++) {
        struct ledger_balances b;
        int64_t held = 0;
        assert_int_equal(ledger_balances(ledger, str_from(wallet_names[w]), &b, &err), 0);
        for (size_t n = 0; n < NODES; n++) {
            for (size_t e = 0; e < EPOCHS; e++) {
                assert_true(rest_of(n, e, w) >= 0);
                held += rest_of(n, e, w);
            }
        }
        assert_true(b.general.nano == model.general[w] && b.general.nano >= 0);
        assert_true(b.held.nano == held);
        assert_true(b.ai_remaining.nano == model.ai[w] + held);
        assert_true(b.ai_usage.nano == model.spent[w]);
        total += model.general[w] + model.ai[w] + held;
    }
    assert_true(house("deposits") == model.deposits && house("fees") == model.fees);
    assert_true(house("adjustments") == model.adjustments && house("markup") == model.markup);
    assert_true(house("provider_cost/p0") + house("provider_cost/p1") == model.cost);
    total += model.deposits + model.fees + model.adjustments + model.markup + model.cost;
    assert_true(total == 0);
}

/* The sums of usage, which the audit has brought up to date, are those of the model. */
static void
compare_rollup(void)
{
    const struct usage_query query = {.by = USAGE_WALLET};
    struct usage_row *rows;
    size_t count;
    bool behind;
    int64_t cost = 0;
    arena_init(&arena, 16u << 20);
    assert_int_equal(usage_query(ledger, &query, &arena, &rows, &count, &behind, &err), 0);
    assert_false(behind);
    for (size_t w = 0; w < WALLETS; w++) {
        int64_t charge = 0;
        for (size_t i = 0; i < count; i++)
            charge += str_eq(rows[i].wallet, str_from(wallet_names[w])) ? rows[i].charge.nano : 0;
        assert_true(charge == model.spent[w]);
    }
    for (size_t i = 0; i < count; i++)
        cost += rows[i].cost.nano;
    assert_true(cost == model.cost);
    arena_fini(&arena);
}

/* The next commit may fail. What comes back is checked, then the caller asks again. */
static bool
arm(bool *ret_done)
{
    *ret_done = rand_below(2) == 0;
    bool armed = rand_below(8) == 0;
    store_fail_commit(store, armed ? 1 : 0, *ret_done);
    return armed;
}

/* After an answer: true = it was the injected failure, ask again. */
static bool
failed(int r, bool armed)
{
    store_fail_commit(store, 0, false);
    assert_true(r != -ERR_STORE || armed);
    return r == -ERR_STORE;
}

static void
step_credit(bool transfer, size_t w)
{
    size_t k = rand_below(KEYS);
    int64_t amount = 1 + (int64_t)rand_below(transfer ? 3000 : 2000);
    int64_t *used = &model.key_amount[transfer][w][k];
    if (*used != 0 && rand_below(2) == 0)
        amount = *used;
    struct str key = arena_printf(&arena, "key %u %zu", key_generation, k);
    struct str wallet = str_from(wallet_names[w]);
    struct ledger_receipt receipt = {0};
    struct money money = {amount};
    bool done;
    bool armed = arm(&done);
    int r = 0;
    for (bool again = true; again; armed = false) {
        r = transfer ? ledger_transfer(ledger, wallet, money, key, LEDGER_ANY_FEE, &receipt, &err)
                     : ledger_deposit(ledger, wallet, LEDGER_GENERAL, money, key, &receipt, &err);
        again = failed(r, armed);
        if (again && !done)
            compare(); /* nothing has moved */
    }
    if (*used != 0) {
        assert_int_equal(r, *used == amount ? 0 : -ERR_KEY_REUSED);
        assert_true(r < 0 || receipt.replayed);
        return;
    }
    if (transfer && model.general[w] < amount) {
        assert_int_equal(r, -ERR_OVERDRAWN);
        return;
    }
    assert_int_equal(r, 0);
    *used = amount;
    int64_t fee = transfer ? (amount * fee_bps * 2 + 10000) / 20000 : 0;
    model.general[w] += transfer ? -amount : amount;
    model.ai[w] += transfer ? amount - fee : 0;
    model.fees += fee;
    model.deposits -= transfer ? 0 : amount;
    assert_true(receipt.fee.nano == fee && receipt.net.nano == amount - fee);
    assert_true(receipt.general.nano == model.general[w] && receipt.ai.nano == model.ai[w]);
}

static void
step_adjust(size_t w)
{
    static unsigned serial;
    struct ledger_receipt receipt;
    int64_t amount = (int64_t)rand_below(201) - 100;
    struct str key = arena_printf(&arena, "adjust %u", serial++);
    int r = ledger_adjust(ledger, str_from(wallet_names[w]), LEDGER_AI, (struct money){amount}, key,
                          STR("test"), &receipt, &err);
    assert_int_equal(r, amount == 0 ? -ERR_INVALID : 0);
    model.ai[w] += amount;
    model.adjustments -= amount;
}

static void
step_lease(size_t n, size_t e, size_t w)
{
    int64_t known = model.granted[n][e][w];
    int64_t skew = rand_below(6) == 0 ? (int64_t)rand_below(40) - 20 : 0;
    int64_t want = (int64_t)rand_below(400);
    bool done;
    bool armed = arm(&done);
    int r = 0;
    struct ledger_lease lease = {0};
    for (bool again = true; again; armed = false) {
        r = lease_want(ledger, str_from(node_names[n]), e, str_from(wallet_names[w]),
                       (struct money){known + skew}, (struct money){want}, &lease, &err);
        again = failed(r, armed);
    }
    if (known + skew < 0 || model.closed[n][e] || skew > 0) {
        assert_int_equal(r, known + skew < 0     ? -ERR_INVALID
                            : model.closed[n][e] ? -ERR_REVOKED
                                                 : -ERR_CONFLICT);
        return;
    }
    int64_t grant = skew < 0 || model.ai[w] <= 0 ? 0 : want < model.ai[w] ? want : model.ai[w];
    model.granted[n][e][w] += grant;
    model.ai[w] -= grant;
    assert_int_equal(r, 0);
    assert_true(lease.granted.nano == known + grant && lease.rest.nano == rest_of(n, e, w));
    assert_true(lease.empty == (model.ai[w] <= 0));
}

/* Said once or often, with answers that get lost: what counts is the sum. */
static void
step_return(size_t n, size_t e, size_t w)
{
    int64_t more = (int64_t)rand_below(100) - 20;
    int64_t returned = model.returned[n][e][w] + more;
    bool done;
    bool armed = arm(&done);
    int r = 0;
    for (bool again = true; again; armed = false) {
        r = lease_return(ledger, str_from(node_names[n]), e, str_from(wallet_names[w]),
                         (struct money){returned}, &err);
        again = failed(r, armed);
    }
    bool moves = more > 0 && !model.closed[n][e];
    int want = returned < 0 ? -ERR_INVALID : moves && more > rest_of(n, e, w) ? -ERR_RANGE : 0;
    assert_int_equal(r, want);
    if (r < 0 || !moves)
        return;
    model.returned[n][e][w] += more;
    model.ai[w] += more;
}

/* A node that is taken for lost, and may not be. */
static void
step_orphan(size_t n, size_t e, size_t w)
{
    bool done;
    bool armed = arm(&done);
    for (bool again = true; again; armed = false)
        again = failed(
            lease_orphan(ledger, str_from(node_names[n]), e, str_from(wallet_names[w]), &err),
            armed);
    int64_t rest = rest_of(n, e, w);
    model.returned[n][e][w] += rest;
    model.ai[w] += rest;
}

static void
step_close(size_t n, size_t e)
{
    bool done;
    bool armed = arm(&done);
    for (bool again = true; again; armed = false)
        again = failed(lease_close(ledger, str_from(node_names[n]), e, &err), armed);
    model.closed[n][e] = true;
    for (size_t w = 0; w < WALLETS; w++) {
        int64_t rest = rest_of(n, e, w);
        model.returned[n][e][w] += rest;
        model.ai[w] += rest;
    }
}

/* The charges of a batch are posted together, so that a wallet's lease is used up first. */
static void
step_usage(size_t n, size_t e)
{
    uint64_t back = rand_below(4) == 0 ? rand_below(6) : 0;
    uint64_t first = model.mark[n][e] + 1 - (back > model.mark[n][e] ? model.mark[n][e] : back);
    size_t count = rand_below(BATCH);
    struct str records[BATCH];
    int64_t total[WALLETS] = {0};
    for (size_t i = 0; i < count; i++) {
        size_t w = rand_below(WALLETS);
        int64_t cost = (int64_t)rand_below(30);
        int64_t charge = cost + (int64_t)rand_below(3);
        bool poison = rand_below(20) == 0;
        records[i] = arena_printf(
            &arena,
            "{\"seq\":\"%llu\",\"wallet\":\"%s\",\"provider\":\"p%llu\",\"charge\":\"%lld\","
            "\"cost\":\"%lld\"}",
            (unsigned long long)first + i, wallet_names[w], (unsigned long long)rand_below(2),
            (long long)(poison ? -1 : charge), (long long)cost);
        if (poison || first + i <= model.mark[n][e])
            continue;
        total[w] += charge;
        model.cost += cost;
        model.markup += charge - cost;
    }
    struct ledger_stream stream = {str_from(node_names[n]), e, STR("0")};
    struct ledger_applied applied;
    bool done;
    bool armed = arm(&done);
    int r = 0;
    for (bool again = true; again; armed = false) {
        r = usage_apply(ledger, &stream, first, records, count, &applied, &err);
        again = failed(r, armed);
    }
    assert_int_equal(r, 0);
    if (first + count > model.mark[n][e] + 1)
        model.mark[n][e] = first + count - 1;
    assert_true(applied.seq == model.mark[n][e]);
    for (size_t w = 0; w < WALLETS; w++) {
        int64_t rest = rest_of(n, e, w);
        int64_t held = total[w] < rest ? total[w] : rest;
        model.used[n][e][w] += held;
        model.ai[w] -= total[w] - held;
        model.spent[w] += total[w];
    }
}

static void
step(void)
{
    size_t n = rand_below(NODES);
    size_t e = rand_below(EPOCHS);
    size_t w = rand_below(WALLETS);
    uint64_t choice = rand_below(100);
    if (choice < 15)
        step_credit(false, w);
    else if (choice < 35)
        step_credit(true, w);
    else if (choice < 40)
        step_adjust(w);
    else if (choice < 60)
        step_lease(n, e, w);
    else if (choice < 67)
        step_return(n, e, w);
    else if (choice == 67)
        step_orphan(n, e, w);
    else if (choice == 99 && rand_below(10) == 0)
        step_close(n, e);
    else
        step_usage(n, e);
}

static uint64_t
number_from(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    uint64_t number = otherwise;
    return text && num_u64(str_from(text), UINT64_MAX, &number) == 0 ? number : otherwise;
}

static void
open_all(const char *url)
{
    struct ledger_config config = {.fee_bps = fee_bps};
    if (store_open(url, NULL, &store, &err) < 0 || ledger_new(store, &config, &ledger, &err) < 0)
        fail_msg("%s", err.text);
}

static void
run(const char *url, uint64_t steps, bool reopens)
{
    uint64_t seed = number_from("BERTH_SEED", rand_u64());
    print_message("%s: seed %llu, %llu steps\n", url, (unsigned long long)seed,
                  (unsigned long long)steps);
    rand_seed(seed);
    memset(&model, 0, sizeof model);
    fee_bps = (uint32_t)rand_below(3) * 125;
    open_all(url);
    for (uint64_t i = 1; i <= steps; i++) {
        arena_init(&arena, 16u << 20);
        step();
        compare();
        arena_fini(&arena);
        if (i % 400 == 0) { /* new payments, not repeats of old ones only */
            key_generation++;
            memset(model.key_amount, 0, sizeof model.key_amount);
        }
        if (i % (steps / 8) != 0)
            continue;
        struct ledger_audit audit;
        if (ledger_audit(ledger, &audit, &err) < 0)
            fail_msg("%s", err.text);
        compare_rollup();
        if (reopens) {
            ledger_free(&ledger);
            store_close(&store);
            open_all(url);
        }
    }
    ledger_free(&ledger);
    store_close(&store);
    rand_seed(0);
}

static void
test_memory(void **state)
{
    (void)state;
    run("memory:", number_from("BERTH_STEPS", 20000), false);
}

static void
test_sqlite(void **state)
{
    (void)state;
    char folder[] = "/tmp/berth-ledger-XXXXXX";
    char url[64];
    assert_non_null(mkdtemp(folder));
    (void)snprintf(url, sizeof url, "sqlite:%s/a.db", folder);
    run(url, 800, true);
    static const char *const files[] = {"a.db", "a.db-wal"};
    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        char path[64];
        (void)snprintf(path, sizeof path, "%s/%s", folder, files[i]);
        (void)unlink(path);
    }
    assert_int_equal(rmdir(folder), 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_memory),
        cmocka_unit_test(test_sqlite),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
