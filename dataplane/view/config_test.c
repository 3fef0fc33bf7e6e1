/* SPDX-License-Identifier: MIT
 * config_test.c - a configuration parses whole or is refused with the path of the bad record.
 * Floor: test.
 * Owns: nothing.
 * Invariant: see config.h. */
#include "dataplane/view/config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "lib/base/err.h"

#define PROVIDER                                                               \
    "\"providers\":[{\"name\":\"openai\",\"dialect\":\"openai\",\"base_url\":" \
    "\"http://127.0.0.1:9/v1/\",\"key\":\"sk-1\"}]"
#define MODEL                                                                              \
    "{\"id\":\"openai/gpt-4o-mini\",\"provider\":\"openai\",\"upstream\":\"gpt-4o-mini\"," \
    "\"max_output\":16384,\"price\":{\"version\":3,\"input\":\"150000\",\"output\":\"600000\"}}"

static int
parse(const char *text, struct config **ret_config, struct err *err)
{
    static struct funds funds;
    static bool ready;
    if (!ready)
        funds_init(&funds);
    ready = true;
    struct json_doc doc;
    json_init(&doc);
    assert_int_equal(json_scan(&doc, str_from(text), NULL, err), 0);
    int rc = config_parse(&doc, 0, 42, &funds, ret_config, err);
    json_fini(&doc);
    return rc;
}

static void
good_document(void **state)
{
    (void)state;
    struct config *config = NULL;
    struct err err = {0};
    int rc = parse("{\"version\":1," PROVIDER ",\"models\":[" MODEL "],"
                   "\"routes\":[{\"name\":\"fast\",\"targets\":[\"openai/gpt-4o-mini\"]}]}",
                   &config, &err);
    if (rc != 0)
        fail_msg("%s", err.text);
    const struct config_model *model = map_get(&config->model_by_id, STR("openai/gpt-4o-mini"));
    assert_non_null(model);
    assert_ptr_equal(map_get(&config->model_by_bare, STR("gpt-4o-mini")), model);
    assert_int_equal(model->tariff.rows[0].price.pico[USAGE_input], 150000);
    assert_int_equal(model->tariff.rows[0].price.pico[USAGE_cached],
                     150000); /* no own price: as input */
    assert_int_equal(model->tariff.rows[0].price.pico[USAGE_reasoning], 600000); /* as output */
    assert_int_equal(model->tariff.rows[0].price.version, 3);
    assert_true(str_eq(model->record_json, STR(",\"model\":\"openai/gpt-4o-mini\",\"provider\":"
                                               "\"openai\",\"price_version\":3")));
    assert_true(str_eq(model->provider->base.path, STR("/v1")));
    assert_int_equal(config->settings.markup_bps, 500);
    struct str near[3];
    assert_int_equal(config_near(config, NULL, STR("gpt4o-mini"), near, 3), 1);
    assert_true(str_eq(near[0], model->id));
    config_release(&config);
}

/* Rows of a price: further dates, services and lengths; what is left out costs what it falls to. */
static void
prices_have_rows(void **state)
{
    (void)state;
    struct config *config = NULL;
    struct err err = {0};
    int rc = parse("{\"version\":1," PROVIDER ",\"models\":[{\"id\":\"openai/x\",\"provider\":"
                   "\"openai\",\"upstream\":\"x\",\"free\":true,\"price\":{\"version\":9,"
                   "\"input\":\"1000\",\"output\":\"2000\",\"request\":\"1000000000000000\","
                   "\"rows\":[{\"from\":1788220800,\"input\":\"3000\"},"
                   "{\"service\":\"flex\",\"input\":\"500\"},"
                   "{\"over\":200000,\"input\":\"2000\",\"cached\":\"0\"}]}}],"
                   "\"routes\":[{\"name\":\"r\",\"on_leave\":\"drain\",\"stall_timeout_ms\":7,"
                   "\"targets\":[\"openai/x\"]}]}",
                   &config, &err);
    if (rc != 0)
        fail_msg("%s", err.text);
    const struct config_model *model = &config->models[0];
    assert_true(model->free);
    assert_int_equal(model->tariff.count, 4);
    const struct tariff_row *rows = model->tariff.rows;
    assert_int_equal(rows[0].price.pico[USAGE_request], PRICE_PICO_MAX);
    assert_int_equal(rows[1].over_tokens, 200000);
    assert_int_equal(rows[1].price.pico[USAGE_cached], 0);
    assert_int_equal(rows[1].price.pico[USAGE_cache_write_1h], 2000);
    assert_int_equal(rows[2].service, SERVICE_flex);
    assert_int_equal(rows[2].price.pico[USAGE_cached], 500);
    assert_true(rows[3].from_s == 1788220800 && rows[3].price.version == 9);
    assert_int_equal(config->routes[0].on_leave, CONFIG_LEAVE_DRAIN);
    assert_int_equal(config->routes[0].stall_timeout_ms, 7);
    config_release(&config);
}

struct refused {
    const char *name;
    const char *text;
    const char *want; /* what the message begins with */
};

static void
want_refused(const struct refused *row)
{
    struct config *config = NULL;
    struct err err = {0};
    if (parse(row->text, &config, &err) == 0)
        fail_msg("%s: accepted", row->name);
    assert_null(config);
    if (!str_starts(str_from(err.text), str_from(row->want)))
        fail_msg("%s: %s", row->name, err.text);
}

static void
bad_documents_name_the_record(void **state)
{
    (void)state;
    static const struct refused rows[] = {
        {"no version", "{}", "version"},
        {"newer version", "{\"version\":2}", "version"},
        {"not an object", "[]", "doc"},
        {"list is no list", "{\"version\":1,\"models\":{}}", "models"},
        {"record is no object", "{\"version\":1,\"models\":[3]}", "models[0]"},
        {"markup too large", "{\"version\":1,\"settings\":{\"markup_bps\":10000}}", "settings"},
        {"unknown dialect",
         "{\"version\":1,\"providers\":[{\"name\":\"a\",\"dialect\":\"x\",\"base_url\":\"http://"
         "a\"}]}",
         "providers[0].dialect"},
        {"bad url",
         "{\"version\":1,\"providers\":[{\"name\":\"a\",\"dialect\":\"openai\",\"base_url\":\"ftp:/"
         "/a\"}]}",
         "providers[0].base_url"},
        {"key with a line end",
         "{\"version\":1,\"providers\":[{\"name\":\"a\",\"dialect\":\"openai\",\"base_url\":\"http:"
         "//a\","
         "\"key\":\"x\\r\\ny: z\"}]}",
         "providers[0].key"},
        {"dangling provider", "{\"version\":1,\"models\":[" MODEL "]}", "models[0].provider"},
        {"twice", "{\"version\":1," PROVIDER ",\"models\":[" MODEL "," MODEL "]}", "models[1].id"},
        {"float price",
         "{\"version\":1," PROVIDER ",\"models\":[{\"id\":\"a\",\"provider\":\"openai\","
         "\"upstream\":\"a\",\"price\":{\"input\":\"1.5\"}}]}",
         "models[0].price"},
        {"negative price",
         "{\"version\":1," PROVIDER ",\"models\":[{\"id\":\"a\",\"provider\":\"openai\","
         "\"upstream\":\"a\",\"price\":{\"input\":\"-1\"}}]}",
         "models[0].price"},
        {"unknown way to leave",
         "{\"version\":1,\"routes\":[{\"name\":\"r\",\"on_leave\":\"run\",\"targets\":[]}]}",
         "routes[0].on_leave"},
        {"dangling target", "{\"version\":1,\"routes\":[{\"name\":\"r\",\"targets\":[\"nope\"]}]}",
         "routes[0].targets"},
        {"no target", "{\"version\":1,\"routes\":[{\"name\":\"r\",\"targets\":[]}]}",
         "routes[0].targets"},
        {"short hash",
         "{\"version\":1,\"keys\":[{\"name\":\"k\",\"hash\":\"00\",\"wallet\":\"w\"}]}",
         "keys[0].hash"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        want_refused(&rows[i]);
}

#define PRICED(price)                                                                \
    "{\"version\":1," PROVIDER ",\"models\":[{\"id\":\"a\",\"provider\":\"openai\"," \
    "\"upstream\":\"a\",\"price\":" price "}]}"

static void
bad_prices_name_the_record(void **state)
{
    (void)state;
    static const struct refused rows[] = {
        {"price as a number", PRICED("{\"input\":5}"), "models[0].price"},
        {"price beyond all sense", PRICED("{\"input\":\"1000000000000001\"}"), "models[0].price"},
        {"rows are no list", PRICED("{\"rows\":{}}"), "models[0].price.rows"},
        {"unknown service", PRICED("{\"rows\":[{\"service\":\"warp\"}]}"),
         "models[0].price.rows.service"},
        {"service that is no text", PRICED("{\"rows\":[{\"service\":1}]}"),
         "models[0].price.rows.service"},
        {"date that is none", PRICED("{\"rows\":[{\"from\":-1}]}"), "models[0].price.rows.from"},
        {"length that is none", PRICED("{\"rows\":[{\"over\":1.5}]}"), "models[0].price.rows.over"},
        {"two rows for the same", PRICED("{\"rows\":[{\"over\":5},{\"over\":5}]}"),
         "models[0].price.rows"},
        {"a second row for everything", PRICED("{\"rows\":[{\"input\":\"5\"}]}"),
         "models[0].price.rows"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        want_refused(&rows[i]);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_document),
        cmocka_unit_test(prices_have_rows),
        cmocka_unit_test(bad_documents_name_the_record),
        cmocka_unit_test(bad_prices_name_the_record),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
