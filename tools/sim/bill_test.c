/* SPDX-License-Identifier: MIT
 * bill_test.c - prices, totals and what the bill looks like.
 * Floor: tools/sim, test.
 * Owns: nothing.
 * Invariant: the total is the sum of the entries. */
#include <stdio.h>

#include "tools/sim/bill.h"
#include "tools/sim/test_int.h"

struct row {
    const char *model;
    uint64_t prompt;
    uint64_t cached;
    uint64_t completion;
    int64_t want;
};

static void
test_cost(void **state)
{
    static const struct row rows[] = {
        {"a", 10, 0, 0, 1500},
        {"a", 10, 4, 0, 6 * 150 + 4 * 75},
        {"a", 10, 4, 3, 6 * 150 + 4 * 75 + 3 * 600},
        {"a", 4, 10, 0, 4 * 75}, /* never more cached than there were */
        {"no cached price", 10, 4, 0, 20},
        {"unknown", 1, 0, 1, 12},
        {"a", UINT64_MAX, 0, UINT64_MAX, INT64_MAX},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct bill *bill = NULL;
        struct err err = {0};
        struct buf out;
        char want[64];
        struct bill_entry entry = {.prompt = rows[i].prompt,
                                   .cached = rows[i].cached,
                                   .completion = rows[i].completion,
                                   .delivered = BILL_COMPLETE};
        assert_true(str_copy(entry.model, sizeof(entry.model), str_from(rows[i].model)));
        assert_int_equal(bill_new(&bill, &err), 0);
        assert_int_equal(
            bill_load_prices(
                bill,
                STR("{\"a\":{\"input_nano\":150,\"output_nano\":600,\"cached_nano\":75},"
                    "\"no cached price\":{\"input_nano\":2},"
                    "\"*\":{\"input_nano\":5,\"output_nano\":7}}"),
                &err),
            0);
        bill_add(bill, &entry);
        buf_init(&out, 1u << 16);
        assert_int_equal(bill_render(bill, true, &out), 0);
        (void)snprintf(want, sizeof(want), "{\"count\":1,\"total_nano\":\"%lld\"}",
                       (long long)rows[i].want);
        assert_string_equal(buf_cstr(&out), want);
        buf_fini(&out);
        bill_free(&bill);
    }
}

static void
test_entries(void **state)
{
    struct bill *bill = NULL;
    struct err err = {0};
    struct buf out;
    struct bill_entry entry = {.request_id = "r\"1",
                               .model = "gpt-4o-mini",
                               .status = 200,
                               .delivered = BILL_PARTIAL,
                               .prompt = 2,
                               .completion = 1};
    (void)state;
    assert_int_equal(bill_new(&bill, &err), 0);
    bill_add(bill, &entry);
    bill_add(bill, &entry);
    buf_init(&out, 1u << 16);
    assert_int_equal(bill_render(bill, false, &out), 0);
    assert_non_null(strstr(buf_cstr(&out),
                           "{\"count\":2,\"total_nano\":\"1800\",\"entries\":[{\"request_id\":"
                           "\"r\\\"1\",\"model\":\"gpt-4o-mini\",\"dialect\":\"openai\","
                           "\"status\":200,\"delivered\":\"partial\",\"prompt_tokens\":2,"));
    bill_reset(bill);
    out.len = 0;
    assert_int_equal(bill_render(bill, false, &out), 0);
    assert_string_equal(buf_cstr(&out), "{\"count\":0,\"total_nano\":\"0\",\"entries\":[]}");
    buf_fini(&out);
    bill_free(&bill);
}

static void
test_bad_prices(void **state)
{
    static const struct str rows[] = {
        STR("[]"),
        STR("{}"),
        STR("{\"a\":{\"input_nano\":-1}}"),
        STR("{\"a\":{\"input_nano\":1.5}}"),
        STR("{\"a\":{\"input_nano\":\"1\"}}"),
        STR("{"),
    };
    struct bill *bill = NULL;
    struct err err = {0};
    (void)state;
    assert_int_equal(bill_new(&bill, &err), 0);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        assert_int_not_equal(bill_load_prices(bill, rows[i], &err), 0);
    assert_int_equal(bill_price_of(bill, STR("gpt-4o-mini")).input_nano, 150);
    bill_free(&bill);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cost),
        cmocka_unit_test(test_entries),
        cmocka_unit_test(test_bad_prices),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
