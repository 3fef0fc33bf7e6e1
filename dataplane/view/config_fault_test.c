/* SPDX-License-Identifier: MIT
 * config_fault_test.c - a configuration that is read while the nth allocation fails is refused, or
 *            it is whole.
 * Floor: dataplane/view tests.
 * Owns: malloc, for this program.
 * Invariant: see config.h. */
#include "dataplane/view/config.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "lib/base/alloc_test_rig.h"
#include "lib/base/err.h"

static const char document[] =
    "{\"version\":1,\"providers\":[{\"name\":\"openai\",\"dialect\":\"openai\",\"base_url\":"
    "\"http://127.0.0.1:9/v1/\",\"key\":\"sk-1\"}],\"models\":[{\"id\":\"a\",\"provider\":"
    "\"openai\",\"upstream\":\"a\",\"price\":{\"input\":\"5\",\"rows\":[{\"over\":9,\"input\":"
    "\"6\"}],\"pictures\":[{\"quality\":\"h\\u0064\",\"size\":\"1x\\u0031\",\"image\":"
    "\"8\\u0030\"},{\"quality\":\"low\",\"size\":\"1x1\",\"image\":\"20\"}]}}],"
    "\"routes\":[{\"name\":\"r\",\"targets\":[\"a\"]}],\"capped_wallets\":[\"w\",\"\\u0078\"]}";

static bool can_fail_malloc;

static void
test_allocations(void **state)
{
    struct funds funds;
    struct json_doc doc;
    unsigned refused = 0;
    (void)state;
    if (!can_fail_malloc)
        skip();
    funds_init(&funds);
    json_init(&doc);
    assert_int_equal(json_scan(&doc, str_from(document), NULL, NULL), 0);
    for (unsigned nth = 1, happened = 1; happened; nth++) {
        struct config *config = NULL;
        struct err err = {0};
        alloc_rig_arm(nth, false);
        int rc = config_parse(&doc, 0, 42, &funds, &config, &err);
        happened = alloc_rig.happened;
        alloc_rig_arm(0, false);
        assert_true((rc == 0) == (config != NULL));
        if (rc != 0) {
            assert_true(happened && err.text[0] != '\0');
            refused++;
            continue;
        }
        const struct tariff *tariff = &config->models[0].tariff;
        assert_int_equal(tariff->count, 2);
        assert_int_equal(tariff->rows[1].price.pico[USAGE_input], 6);
        assert_int_equal(tariff_image(tariff, STR("hd"), STR("1x1")), 80);
        assert_int_equal(tariff_image(tariff, STR("low"), STR("1x1")), 20);
        config_release(&config);
    }
    assert_true(refused >= 2);
    json_fini(&doc);
    funds_fini(&funds);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_allocations)};
    can_fail_malloc = alloc_rig_init();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
