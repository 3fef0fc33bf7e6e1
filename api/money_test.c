/* SPDX-License-Identifier: MIT
 * money_test.c - money is read strictly, printed exactly, and multiplied without loss.
 * Floor: api tests.
 * Owns: nothing.
 * Invariant: see money.h; the charge rows were computed with Python's integers. */
#include "api/money.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void
test_add_sub(void **state)
{
    (void)state;
    struct money m = {7};
    assert_int_equal(money_add((struct money){INT64_MAX - 1}, (struct money){1}, &m), 0);
    assert_true(m.nano == INT64_MAX);
    assert_int_equal(money_add(m, (struct money){1}, &m), -ERR_RANGE);
    assert_true(m.nano == INT64_MAX);
    assert_int_equal(money_sub((struct money){INT64_MIN}, (struct money){1}, &m), -ERR_RANGE);
    assert_int_equal(money_sub((struct money){-1}, (struct money){INT64_MAX}, &m), 0);
    assert_true(m.nano == INT64_MIN);
}

static const struct {
    const char *text;
    unsigned decimals_max;
    int want_err;
    int64_t want;
    const char *printed;
} parse_rows[] = {
    {"0", 2, 0, 0, "0.00"},
    {"0.5", 2, 0, 500000000, "0.50"},
    {"12.50", 2, 0, 12500000000, "12.50"},
    {"5", 0, 0, 5000000000, "5.00"},
    {"0.000000031", 9, 0, 31, "0.000000031"},
    {"1.230000000", 9, 0, 1230000000, "1.23"},
    {"9223372036.854775807", 9, 0, INT64_MAX, "9223372036.854775807"},
    {"9223372036.854775808", 9, -ERR_RANGE, 0, NULL},
    {"9223372037", 9, -ERR_RANGE, 0, NULL},
    {"99999999999999999999", 9, -ERR_RANGE, 0, NULL},
    {"9223372036854775807", 9, -ERR_RANGE, 0, NULL},
    {"18446744073.709551615", 9, -ERR_RANGE, 0, NULL},
    {"18446744073.709551616", 9, -ERR_RANGE, 0, NULL},
    {"1.0/", 9, -ERR_PARSE, 0, NULL},
    {"1.0:", 9, -ERR_PARSE, 0, NULL},
    {"", 2, -ERR_PARSE, 0, NULL},
    {".5", 2, -ERR_PARSE, 0, NULL},
    {"1.", 2, -ERR_PARSE, 0, NULL},
    {"1.0", 0, -ERR_PARSE, 0, NULL},
    {"-1", 2, -ERR_PARSE, 0, NULL},
    {"+1", 2, -ERR_PARSE, 0, NULL},
    {"1.001", 2, -ERR_PARSE, 0, NULL},
    {"01.00", 2, -ERR_PARSE, 0, NULL},
    {"00", 2, -ERR_PARSE, 0, NULL},
    {"1e2", 2, -ERR_PARSE, 0, NULL},
    {" 1", 2, -ERR_PARSE, 0, NULL},
    {"1 ", 2, -ERR_PARSE, 0, NULL},
    {"1.2.3", 9, -ERR_PARSE, 0, NULL},
    {"1,50", 2, -ERR_PARSE, 0, NULL},
    {"\xef\xbc\x99.00", 2, -ERR_PARSE, 0, NULL},
};

static void
test_parse(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(parse_rows); i++) {
        struct money m = {-7};
        int r = money_parse(str_from(parse_rows[i].text), parse_rows[i].decimals_max, &m);
        if (r != parse_rows[i].want_err)
            fail_msg("\"%s\": %d", parse_rows[i].text, r);
        assert_true(m.nano == (r < 0 ? -7 : parse_rows[i].want));
        if (r < 0)
            continue;
        char text[32];
        money_format(m, text);
        assert_string_equal(text, parse_rows[i].printed);
    }
}

static void
test_put(void **state)
{
    (void)state;
    struct buf out;
    buf_init(&out, 100);
    assert_int_equal(money_put(&out, (struct money){-31}), 0);
    buf_put_byte(&out, ' ');
    assert_int_equal(money_put(&out, (struct money){INT64_MIN}), 0);
    assert_string_equal(buf_cstr(&out), "-0.000000031 -9223372036.854775808");
    buf_fini(&out);
}

static const struct {
    const char *name;
    int64_t pico[USAGE_CLASS_COUNT];
    uint64_t count[USAGE_CLASS_COUNT];
    uint32_t markup_bps;
    int want_err;
    int64_t want_total;
    int64_t want_cost;
} charge_rows[] = {
    {"nothing",
     {0ll, 0ll, 0ll, 0ll, 0ll, 0ll, 0ll, 0ll, 0ll},
     {0u, 0u, 0u, 0u, 0u, 0u, 0u, 0u, 0u},
     500,
     0,
     0ll,
     0ll},
    {"usual",
     {150000ll, 0ll, 0ll, 0ll, 600000ll, 0ll, 0ll, 0ll, 0ll},
     {12u, 0u, 0u, 0u, 5u, 0u, 0u, 0u, 0u},
     0,
     0,
     4800ll,
     4800ll},
    {"usual with markup",
     {150000ll, 0ll, 0ll, 0ll, 600000ll, 0ll, 0ll, 0ll, 0ll},
     {12u, 0u, 0u, 0u, 5u, 0u, 0u, 0u, 0u},
     500,
     0,
     5040ll,
     4800ll},
    {"half rounds up",
     {500ll, 0ll, 0ll, 0ll, 0ll, 0ll, 0ll, 0ll, 0ll},
     {1u, 0u, 0u, 0u, 0u, 0u, 0u, 0u, 0u},
     0,
     0,
     1ll,
     1ll},
    {"just below half",
     {499ll, 0ll, 0ll, 0ll, 0ll, 0ll, 0ll, 0ll, 0ll},
     {1u, 0u, 0u, 0u, 0u, 0u, 0u, 0u, 0u},
     0,
     0,
     0ll,
     0ll},
    {"markup lifts over half",
     {476ll, 0ll, 0ll, 0ll, 0ll, 0ll, 0ll, 0ll, 0ll},
     {1u, 0u, 0u, 0u, 0u, 0u, 0u, 0u, 0u},
     500,
     0,
     0ll,
     0ll},
    {"one token, 9999 bps",
     {1000ll, 0ll, 0ll, 0ll, 0ll, 0ll, 0ll, 0ll, 0ll},
     {1u, 0u, 0u, 0u, 0u, 0u, 0u, 0u, 0u},
     9999,
     0,
     2ll,
     1ll},
    {"a million tokens at 1 pico",
     {1ll, 0ll, 0ll, 0ll, 0ll, 0ll, 0ll, 0ll, 0ll},
     {1000000u, 0u, 0u, 0u, 0u, 0u, 0u, 0u, 0u},
     9999,
     0,
     2000ll,
     1000ll},
    {"2^63-1 pico, one unit",
     {9223372036854775807ll, 0ll, 0ll, 0ll, 0ll, 0ll, 0ll, 0ll, 0ll},
     {1u, 0u, 0u, 0u, 0u, 0u, 0u, 0u, 0u},
     0,
     0,
     9223372036854776ll,
     9223372036854776ll},
    {"2^63-1 pico, 9999 bps",
     {9223372036854775807ll, 0ll, 0ll, 0ll, 0ll, 0ll, 0ll, 0ll, 0ll},
     {1u, 0u, 0u, 0u, 0u, 0u, 0u, 0u, 0u},
     9999,
     0,
     18445821736505866ll,
     9223372036854776ll},
    {"2^63 nano - 1: fits",
     {9223372036854775807ll, 0ll, 0ll, 0ll, 0ll, 0ll, 0ll, 0ll, 0ll},
     {1000u, 0u, 0u, 0u, 0u, 0u, 0u, 0u, 0u},
     0,
     0,
     9223372036854775807ll,
     9223372036854775807ll},
    {"2^63 nano by markup",
     {9223372036854775807ll, 0ll, 0ll, 0ll, 0ll, 0ll, 0ll, 0ll, 0ll},
     {1000u, 0u, 0u, 0u, 0u, 0u, 0u, 0u, 0u},
     1,
     -ERR_RANGE,
     0,
     0},
    {"2^64 pico products: wide",
     {4611686018427387904ll, 0ll, 0ll, 0ll, 0ll, 0ll, 0ll, 0ll, 0ll},
     {4u, 0u, 0u, 0u, 0u, 0u, 0u, 0u, 0u},
     0,
     0,
     18446744073709552ll,
     18446744073709552ll},
    {"largest everything",
     {9223372036854775807ll, 9223372036854775807ll, 9223372036854775807ll, 9223372036854775807ll,
      9223372036854775807ll, 9223372036854775807ll, 9223372036854775807ll, 9223372036854775807ll,
      9223372036854775807ll},
     {1000000000u, 1000000000u, 1000000000u, 1000000000u, 1000000000u, 1000000000u, 1000000000u,
      1000000000u, 1000000000u},
     9999,
     -ERR_RANGE,
     0,
     0},
    {"just fits by rounding down",
     {9223372036854775807ll, 499ll, 0ll, 0ll, 0ll, 0ll, 0ll, 0ll, 0ll},
     {1000u, 1u, 0u, 0u, 0u, 0u, 0u, 0u, 0u},
     0,
     0,
     9223372036854775807ll,
     9223372036854775807ll},
    {"just over by rounding up",
     {9223372036854775807ll, 500ll, 0ll, 0ll, 0ll, 0ll, 0ll, 0ll, 0ll},
     {1000u, 1u, 0u, 0u, 0u, 0u, 0u, 0u, 0u},
     0,
     -ERR_RANGE,
     0,
     0},
    {"negative price",
     {-1ll, 0ll, 0ll, 0ll, 0ll, 0ll, 0ll, 0ll, 0ll},
     {1u, 0u, 0u, 0u, 0u, 0u, 0u, 0u, 0u},
     0,
     -ERR_RANGE,
     0,
     0},
    {"count above the cap",
     {1ll, 0ll, 0ll, 0ll, 0ll, 0ll, 0ll, 0ll, 0ll},
     {1000000001u, 0u, 0u, 0u, 0u, 0u, 0u, 0u, 0u},
     0,
     -ERR_RANGE,
     0,
     0},
    {"markup above the cap",
     {1ll, 0ll, 0ll, 0ll, 0ll, 0ll, 0ll, 0ll, 0ll},
     {1u, 0u, 0u, 0u, 0u, 0u, 0u, 0u, 0u},
     10000,
     -ERR_RANGE,
     0,
     0},
    {"random 0",
     {161973069ll, 423938499ll, 698935572ll, 51847156ll, 77777868ll, 881836553ll, 575398922ll,
      101071364ll, 392655486ll},
     {7602u, 28140u, 1u, 6851u, 3u, 8u, 968u, 16226u, 80u},
     9999,
     0,
     31503470762ll,
     15752523007ll},
    {"random 1",
     {75642ll, 76748ll, 51993ll, 6499ll, 28977ll, 6105ll, 72963ll, 17455ll, 37959ll},
     {2363u, 15439u, 40433u, 89391u, 13u, 74868u, 196997u, 99u, 93337u},
     0,
     0,
     22422485ll,
     22422485ll},
    {"random 2",
     {1091806279135ll, 1023551468271ll, 796515361840ll, 546748336045ll, 398548825127ll,
      177142045691ll, 659597127343ll, 1088882427681ll, 755377963719ll},
     {470636u, 623u, 1u, 54804u, 96u, 155u, 6909u, 1u, 75107u},
     500,
     0,
     636094137773076ll,
     605803940736262ll},
    {"random 3",
     {746567715ll, 376001182ll, 638199795ll, 533300498ll, 622657734ll, 855656247ll, 489846746ll,
      73833652ll, 901908543ll},
     {4u, 1064u, 4u, 606020u, 861850u, 4662u, 404531u, 363861u, 7u},
     500,
     0,
     1143715338584ll,
     1089252703413ll},
    {"random 4",
     {80074ll, 15347ll, 64709ll, 7727ll, 28600ll, 37674ll, 16952ll, 96778ll, 32455ll},
     {6405u, 1320u, 57u, 9002u, 904u, 55u, 36493u, 435469u, 699u},
     1234,
     0,
     48777398ll,
     43419440ll},
    {"random 5",
     {19781ll, 10876ll, 23097ll, 19830ll, 30403ll, 86313ll, 30583ll, 1581ll, 63565ll},
     {23900u, 288u, 2u, 8758u, 624u, 41761u, 88u, 80949u, 709047u},
     0,
     0,
     49474348ll,
     49474348ll},
    {"random 6",
     {965866211ll, 935207117ll, 837485860ll, 939001380ll, 730761951ll, 856709736ll, 600513458ll,
      421313640ll, 427424008ll},
     {6457u, 7u, 419894u, 3u, 3u, 2659u, 5u, 6891u, 0u},
     9999,
     0,
     726139106453ll,
     363087707612ll},
    {"random 7",
     {70335ll, 13299ll, 47659ll, 80443ll, 3342ll, 9216ll, 27256ll, 80487ll, 49313ll},
     {81u, 978u, 616u, 485u, 1u, 7634u, 7927u, 87u, 13u},
     500,
     0,
     400193ll,
     381136ll},
    {"random 8",
     {1053404109722ll, 451070761459ll, 796837798008ll, 655103241765ll, 201276448402ll,
      782401487942ll, 492941719830ll, 428863775114ll, 527448091282ll},
     {3714u, 66u, 5825u, 30387u, 4u, 4246u, 88u, 45125u, 5726u},
     500,
     0,
     56940683343930ll,
     54229222232314ll},
    {"random 9",
     {28896ll, 13389ll, 29733ll, 61614ll, 25782ll, 44267ll, 26787ll, 63262ll, 81797ll},
     {250u, 5636u, 88896u, 125728u, 3265u, 2924u, 5447u, 6u, 6576u},
     0,
     0,
     11370235ll,
     11370235ll},
    {"random 10",
     {374344436305ll, 283438259343ll, 330830803209ll, 320644469403ll, 772825538282ll,
      290117677407ll, 30156669106ll, 954080817032ll, 467609869325ll},
     {4u, 37u, 31527u, 42728u, 557u, 2147u, 5u, 9557u, 55132u},
     9999,
     0,
     120182988870733ll,
     60094499160325ll},
    {"random 11",
     {69707ll, 19901ll, 68617ll, 66918ll, 2451ll, 57688ll, 24000ll, 79764ll, 515ll},
     {22u, 60u, 95052u, 8u, 5u, 543528u, 72802u, 1738u, 7447u},
     1,
     0,
     39774192ll,
     39770215ll},
};

static void
test_charge(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(charge_rows); i++) {
        struct price price = {.version = 1, .known = true};
        struct usage usage = {.evidence = EVIDENCE_PROVIDER};
        memcpy(price.pico, charge_rows[i].pico, sizeof price.pico);
        memcpy(usage.count, charge_rows[i].count, sizeof usage.count);
        struct charge charge = {.total = {-7}};
        int r = price_charge(&price, &usage, charge_rows[i].markup_bps, &charge);
        if (r != charge_rows[i].want_err ||
            charge.total.nano != (r < 0 ? -7 : charge_rows[i].want_total) ||
            charge.cost.nano != charge_rows[i].want_cost)
            fail_msg("%s: %d %lld %lld", charge_rows[i].name, r, (long long)charge.total.nano,
                     (long long)charge.cost.nano);
        if (r == 0)
            assert_true(charge.markup.nano == charge.total.nano - charge.cost.nano);
    }
}

/* LW-06: many small calls and one large call differ by at most one nano a call. */
static void
test_rounding_bound(void **state)
{
    (void)state;
    static const uint32_t markups[] = {0, 500, 9999};
    for (size_t m = 0; m < ARRAY_LEN(markups); m++) {
        struct price price = {.pico = {[USAGE_input] = 1499}, .known = true};
        struct usage one = {.count = {[USAGE_input] = 1}};
        struct usage all = {.count = {[USAGE_input] = 1000000}};
        struct charge a;
        struct charge b;
        assert_int_equal(price_charge(&price, &one, markups[m], &a), 0);
        assert_int_equal(price_charge(&price, &all, markups[m], &b), 0);
        int64_t difference = a.total.nano * 1000000 - b.total.nano;
        assert_true(difference <= 500000 && difference >= -500000);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_add_sub),
        cmocka_unit_test(test_parse),
        cmocka_unit_test(test_put),
        cmocka_unit_test(test_charge),
        cmocka_unit_test(test_rounding_bound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
