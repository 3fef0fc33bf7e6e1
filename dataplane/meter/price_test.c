/* SPDX-License-Identifier: MIT
 * price_test.c - worst cases and charges; lies are cut, flagged, and never cost more than was held.
 * Floor: test.
 * Owns: nothing.
 * Invariant: see price.h. The seed of the random part is printed; BERTH_SEED repeats it. */
#include "dataplane/meter/price.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "lib/base/clock.h"
#include "lib/base/num.h"
#include "lib/base/rand.h"

/* $1 and $5 a million; past 1,000 prompt tokens double; priority 1.5 times. */
static struct tariff_row rows[4];
static struct tariff tariff;

static void
set_row(struct tariff_row *row, uint64_t over, enum usage_service service, int64_t input)
{
    const bool have[USAGE_CLASS_COUNT] = {
        [USAGE_input] = true, [USAGE_cached] = true, [USAGE_output] = true};
    *row = (struct tariff_row){.over_tokens = over, .service = service};
    row->price = (struct price){.known = true, .version = 7};
    row->price.pico[USAGE_input] = input;
    row->price.pico[USAGE_cached] = input / 10;
    row->price.pico[USAGE_output] = input * 5;
    tariff_fall(&row->price, have);
}

static int
setup(void **state)
{
    (void)state;
    set_row(&rows[0], 0, SERVICE_standard, 1000000);
    set_row(&rows[1], 1000, SERVICE_standard, 2000000);
    set_row(&rows[2], 0, SERVICE_priority, 1500000);
    set_row(&rows[3], 1000, SERVICE_priority, 3000000);
    tariff = (struct tariff){.rows = rows, .count = 4};
    return tariff_seal(&tariff);
}

static struct price_call
call_of(uint64_t prompt_bytes, uint64_t asked, uint64_t context, uint64_t limit)
{
    return (struct price_call){.tariff = &tariff,
                               .chat = true,
                               .choices = 1,
                               .prompt_bytes = prompt_bytes,
                               .asked = asked,
                               .context_tokens = context,
                               .answer_tokens_max = limit,
                               .made_s = 1};
}

/* Worst cases by hand, at the dearest row that a claim can reach: bytes + 64 at 3, answer at 15. */
static void
test_hold(void **state)
{
    (void)state;
    struct tariff none = {.count = 0};
    struct price_call unpriced = call_of(100, 10, 0, 0);
    struct price_call free_of_charge = call_of(100, 10, 0, 0);
    struct price_call embedding = call_of(100, 0, 0, 0);
    struct price_call many = call_of(100, 10, 0, 0);
    struct price_call tools = call_of(100, 10, 0, 0);
    unpriced.tariff = &none;
    free_of_charge.tariff = &none;
    free_of_charge.free = true;
    embedding.chat = false;
    many.choices = 3;
    tools.tools = true;
    const struct {
        const char *name;
        struct price_call call;
        int want_err;
        int64_t want;
    } cases[] = {
        {"asked", call_of(100, 10, 0, 0), 0, 164 * 3000 + 10 * 15000},
        {"limit of the model", call_of(100, 0, 0, 20), 0, 164 * 3000 + 20 * 15000},
        {"no limit known", call_of(100, 0, 0, 0), 0, 164 * 3000 + 4096 * 15000},
        {"asked beyond the limit", call_of(100, 30, 0, 20), 0, 164 * 3000 + 30 * 15000},
        {"the window ends the prompt", call_of(5000, 10, 1000, 0), 0, 1000 * 1500 + 10 * 7500},
        {"three answers", many, 0, 164 * 3000 + 30 * 15000},
        {"tools", tools, 0, (164 + 1024) * 3000 + 10 * 15000},
        {"embedding", embedding, 0, 164 * 3000},
        {"unpriced", unpriced, -ERR_NOT_FOUND, -1},
        {"free", free_of_charge, 0, 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        int64_t held = -1;
        int rc = price_hold(&cases[i].call, &held);
        if (rc != cases[i].want_err || held != cases[i].want)
            fail_msg("%s: %d, %lld, want %lld", cases[i].name, rc, (long long)held,
                     (long long)cases[i].want);
    }
}

/* A price beyond any money: no hold; a claim of it costs what is held, and is marked. No price, or
 * none to pay: no charge. */
static void
test_beyond_money(void **state)
{
    struct tariff_row row = {.price = {.known = true, .version = 1}};
    struct tariff huge = {.rows = &row, .count = 1};
    struct tariff none = {.count = 0};
    (void)state;
    row.price.pico[USAGE_input] = INT64_MAX;
    assert_int_equal(tariff_seal(&huge), 0);
    for (unsigned i = 0; i < 3; i++) {
        struct price_call call = call_of(1u << 20, 10, 0, 0);
        struct usage usage = {.evidence = EVIDENCE_PROVIDER};
        const struct tariff_row *used = NULL;
        struct charge charge;
        int64_t held = -1;
        usage.count[USAGE_input] = 1u << 20;
        call.tariff = i == 2 ? &none : &huge;
        call.free = i == 1;
        if (i == 0) {
            assert_int_equal(price_hold(&call, &held), -ERR_RANGE);
            assert_int_equal(held, -1);
        }
        price_settle(&call, 77, &usage, &charge, &used);
        assert_int_equal(charge.total.nano, i == 0 ? 77 : 0);
        assert_int_equal(charge.cost.nano, i == 0 ? 77 : 0);
        assert_true((used != NULL) == (i == 0) && usage.clamped == (i == 0));
    }
}

struct settle_row {
    const char *name;
    uint64_t input;
    uint64_t output;
    uint64_t want_input;
    uint64_t want_output;
    bool want_clamped;
};

static void
test_settle(void **state)
{
    (void)state;
    static const struct {
        uint64_t prompt_bytes;
        uint64_t asked;
        uint64_t context;
        uint64_t limit;
        uint64_t seen;
        struct settle_row row;
    } cases[] = {
        {100, 10, 0, 0, 40, {"honest", 25, 10, 25, 10, false}},
        {100, 10, 0, 0, 40, {"more than asked, no limit known", 25, 11, 25, 10, true}},
        {100, 10, 0, 20, 40, {"reasoning beside what was asked", 25, 15, 25, 15, false}},
        {100, 10, 0, 20, 40, {"more than the model can", 25, 21, 25, 20, true}},
        {100, 0, 0, 0, 16, {"our own limit", 25, 5000, 25, 4096, true}},
        {100, 0, 0, 0, 20000, {"what came proves it", 25, 5000, 25, 5000, false}},
        {1024, 10, 0, 0, 9, {"10^9 for a KiB", 1000000000, 1, 1024 * 6 + 4096, 1, true}},
        {1024, 10, 2000, 0, 9, {"10^9 for a small window", 1000000000, 1, 2000, 1, true}},
        {100, 10, 0, 0, 0, {"nothing", 0, 0, 0, 0, false}},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct price_call call =
            call_of(cases[i].prompt_bytes, cases[i].asked, cases[i].context, cases[i].limit);
        call.seen_bytes = cases[i].seen;
        struct usage usage = {.evidence = EVIDENCE_PROVIDER};
        usage.count[USAGE_input] = cases[i].row.input;
        usage.count[USAGE_output] = cases[i].row.output;
        struct charge charge;
        const struct tariff_row *row;
        price_settle(&call, INT64_MAX, &usage, &charge, &row);
        const struct settle_row *want = &cases[i].row;
        if (usage.count[USAGE_input] != want->want_input ||
            usage.count[USAGE_output] != want->want_output || usage.clamped != want->want_clamped)
            fail_msg("%s: %llu %llu %d", want->name, (unsigned long long)usage.count[USAGE_input],
                     (unsigned long long)usage.count[USAGE_output], usage.clamped);
        assert_int_equal(usage.count[USAGE_request], 1);
        int64_t unit = usage.count[USAGE_input] > 1000 ? 2000 : 1000;
        assert_true(charge.cost.nano ==
                    (int64_t)want->want_input * unit + (int64_t)want->want_output * unit * 5);
    }
}

/* Searches are held at the most that they may come to, paid as they are counted, one a call where
 * nobody counts; who cannot do without them needs their price. */
static void
test_runs(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        enum usage_class class_;
        uint64_t most;
        uint64_t each;
        uint32_t unit;
        enum usage_class web;
        enum usage_class told_as;
        uint64_t told;
        enum usage_evidence evidence;
        int64_t want_held; /* nano-dollars more than without: a cent each */
        uint64_t want_count;
        bool want_clamped;
    } cases[] = {
        {"fewer than held", USAGE_web_search, 3, 0, 1, USAGE_web_search, USAGE_web_search, 2,
         EVIDENCE_PROVIDER, 30000000, 2, false},
        {"more than held is cut", USAGE_web_search, 3, 0, 1, USAGE_web_search, USAGE_web_search, 4,
         EVIDENCE_PROVIDER, 30000000, 4, true},
        {"no count comes", USAGE_web_search, 1, 1, 1, USAGE_web_search, USAGE_web_search, 0,
         EVIDENCE_PROVIDER, 10000000, 1, false},
        {"a count comes after all", USAGE_web_search, 3, 1, 1, USAGE_web_search, USAGE_web_search,
         2, EVIDENCE_PROVIDER, 30000000, 2, false},
        {"of each choice", USAGE_web_search, 3, 3, 1, USAGE_web_search, USAGE_web_search, 0,
         EVIDENCE_PROVIDER, 30000000, 3, false},
        {"nothing was done", USAGE_web_search, 1, 1, 1, USAGE_web_search, USAGE_web_search, 0,
         EVIDENCE_NONE, 10000000, 0, false},
        {"counted by size", USAGE_web_search_high, 3, 0, 1, USAGE_web_search_high, USAGE_web_search,
         2, EVIDENCE_PROVIDER, 30000000, 2, false},
        {"a large container", USAGE_code_run, 4, 0, 4, USAGE_web_search, USAGE_code_run, 1,
         EVIDENCE_PROVIDER, 40000000, 4, false},
        {"paid by the call: what it found is no search", USAGE_tool_call, 1, 1, 1, USAGE_web_search,
         USAGE_web_search, 5, EVIDENCE_PROVIDER, 10000000, 1, false},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct price_call call = call_of(100, 10, 0, 0);
        struct usage usage = {.evidence = cases[i].evidence};
        struct price_runs runs = {.web = cases[i].web, .code_unit = cases[i].unit};
        struct charge charge;
        const struct tariff_row *row;
        int64_t without = 0;
        int64_t held = 0;
        print_message("%s\n", cases[i].name);
        for (size_t n = 0; n < ARRAY_LEN(rows); n++) {
            rows[n].price.pico[cases[i].class_] = 10000000000;
            rows[n].price.pico[USAGE_web_search] = 10000000000;
        }
        assert_int_equal(price_hold(&call, &without), 0);
        runs.most[cases[i].class_] = cases[i].most;
        runs.each[cases[i].class_] = cases[i].each;
        call.runs = &runs;
        assert_int_equal(price_hold(&call, &held), 0);
        assert_true(held - without == cases[i].want_held);
        usage.count[USAGE_input] = 100;
        usage.count[USAGE_output] = 10;
        usage.count[cases[i].told_as] = cases[i].told;
        price_settle(&call, held, &usage, &charge, &row);
        assert_int_equal(usage.count[cases[i].class_], cases[i].want_count);
        assert_int_equal(usage.clamped, cases[i].want_clamped);
        assert_true(charge.total.nano <= held);
        for (size_t n = 0; n < ARRAY_LEN(rows); n++)
            rows[n].price.pico[cases[i].class_] = 0;
    }
    assert_int_equal(setup(state), 0);
}

static void
test_row_and_ceiling(void **state)
{
    (void)state;
    struct price_call call = call_of(100, 10, 0, 0);
    struct usage usage = {.evidence = EVIDENCE_PROVIDER, .service = SERVICE_priority};
    struct charge charge;
    const struct tariff_row *row;
    usage.count[USAGE_input] = 10;
    usage.count[USAGE_cached] = 20;
    call.markup_bps = 500;
    price_settle(&call, INT64_MAX, &usage, &charge, &row);
    assert_int_equal(row->service, SERVICE_priority);
    assert_int_equal(charge.cost.nano, 10 * 1500 + 20 * 150);
    assert_int_equal(charge.total.nano, 18900);
    assert_int_equal(charge.markup.nano, 900);
    /* what was held is the ceiling: first the markup goes, then the house pays */
    price_settle(&call, 18500, &usage, &charge, &row);
    assert_true(usage.clamped);
    assert_int_equal(charge.total.nano, 18500);
    assert_int_equal(charge.cost.nano, 18000);
    price_settle(&call, 17000, &usage, &charge, &row);
    assert_int_equal(charge.total.nano, 17000);
    assert_int_equal(charge.cost.nano, 17000);
    assert_int_equal(charge.markup.nano, 0);
    call.free = true;
    price_settle(&call, 0, &usage, &charge, &row);
    assert_int_equal(charge.total.nano, 0);
    assert_null(row);
    assert_int_equal(usage.count[USAGE_cached], 20);
}

static uint64_t random_state;
static uint64_t
below(uint64_t limit)
{
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return (random_state >> 16) % limit;
}

/* Whatever is claimed: 0 <= cost <= charge <= hold, and counts are within their bounds. */
static void
test_random_claims(void **state)
{
    (void)state;
    const char *given = getenv("BERTH_SEED");
    uint64_t seed = rand_u64();
    if (given != NULL)
        assert_int_equal(num_u64(str_from(given), UINT64_MAX, &seed), 0);
    (void)printf("seed %llu\n", (unsigned long long)seed);
    random_state = seed;
    static const uint64_t sizes[] = {1, 10, 1000, 100000, 100000000, USAGE_COUNT_MAX + 1};
    unsigned cut = 0;
    for (unsigned n = 0; n < 200000; n++) {
        struct price_call call =
            call_of(below(sizes[below(5)]), below(3) == 0 ? 0 : below(sizes[below(5)]),
                    below(2) == 0 ? 0 : below(sizes[below(5)]), below(2) == 0 ? 0 : below(100000));
        call.chat = below(5) != 0;
        call.tools = below(3) == 0;
        call.choices = (uint32_t)below(129);
        call.markup_bps = (uint32_t)below(10000);
        call.seen_bytes = below(sizes[below(6)]);
        int64_t held = 0;
        assert_int_equal(price_hold(&call, &held), 0);
        struct usage usage = {.evidence = EVIDENCE_PROVIDER,
                              .service = (enum usage_service)below(SERVICE_COUNT)};
        for (int i = 0; i < USAGE_CLASS_COUNT; i++)
            usage.count[i] = below(3) == 0 ? below(sizes[below(6)]) : 0;
        struct charge charge;
        const struct tariff_row *row;
        price_settle(&call, held, &usage, &charge, &row);
        assert_true(charge.cost.nano >= 0 && charge.markup.nano >= 0);
        assert_true(charge.total.nano == charge.cost.nano + charge.markup.nano);
        assert_true(charge.total.nano <= held);
        for (int i = 0; i < USAGE_CLASS_COUNT; i++)
            assert_true(usage.count[i] <= USAGE_COUNT_MAX);
        cut += usage.clamped;
    }
    assert_true(cut > 1000);
}

/* Printed; far from a microsecond is all that is asked of a shared machine. */
static void
test_cost_of_pricing(void **state)
{
    (void)state;
    const unsigned rounds = 200000;
    int64_t sum = 0;
    uint64_t began = clock_mono_ns();
    for (unsigned n = 0; n < rounds; n++) {
        struct price_call call = call_of(400 + (n & 7), 100, 128000, 16384);
        int64_t held = 0;
        (void)!price_hold(&call, &held);
        struct usage usage = {.count = {100, 3, 0, 0, 7}, .evidence = EVIDENCE_PROVIDER};
        struct charge charge;
        const struct tariff_row *row;
        price_settle(&call, held, &usage, &charge, &row);
        sum += charge.total.nano;
    }
    uint64_t spent = clock_mono_ns() - began;
    (void)printf("hold and settle with 4 rows: %llu ns (sum %lld)\n",
                 (unsigned long long)(spent / rounds), (long long)sum);
    assert_true(spent / rounds < 50000);
}

/* What is counted by the piece: held at its utmost, cut to that, at the price it was asked for. */
static void
test_pieces(void **state)
{
    (void)state;
    struct tariff_row piece = {.price = {.known = true, .version = 1}};
    struct tariff other = {.rows = &piece, .count = 1};
    const uint64_t most[USAGE_CLASS_COUNT] = {[USAGE_image] = 3, [USAGE_second_in] = 7};
    struct price_call call = call_of(0, 0, 0, 0);
    struct usage usage = {.evidence = EVIDENCE_COUNTED};
    struct charge charge;
    const struct tariff_row *row = NULL;
    int64_t held = 0;
    piece.price.pico[USAGE_image] = 40000000;
    call.tariff = &other;
    call.chat = false;
    call.most = most;
    assert_int_equal(price_hold(&call, &held), 0);
    assert_int_equal(held, 3 * 40000);
    call.image_pico = 80000000; /* of the size and quality that was asked for */
    assert_int_equal(price_hold(&call, &held), 0);
    assert_int_equal(held, 3 * 80000);
    usage.count[USAGE_image] = 2;
    price_settle(&call, held, &usage, &charge, &row);
    assert_int_equal(charge.total.nano, 2 * 80000);
    assert_false(usage.clamped);
    usage.count[USAGE_image] = 1000;
    price_settle(&call, held, &usage, &charge, &row);
    assert_int_equal(charge.total.nano, held);
    assert_int_equal(usage.count[USAGE_image], 3);
    assert_true(usage.clamped);
    call.image_pico = 0;
    piece.price.pico[USAGE_image] = 0;
    assert_int_equal(price_hold(&call, &held), 0); /* nothing costs anything: free */
    piece.price.pico[USAGE_query] = 1;             /* a price, but for nothing of this */
    assert_int_equal(price_hold(&call, &held), -ERR_NOT_FOUND);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hold),          cmocka_unit_test_setup(test_pieces, setup),
        cmocka_unit_test(test_beyond_money),  cmocka_unit_test(test_settle),
        cmocka_unit_test(test_runs),          cmocka_unit_test(test_row_and_ceiling),
        cmocka_unit_test(test_random_claims), cmocka_unit_test(test_cost_of_pricing),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
