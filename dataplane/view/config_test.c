/* SPDX-License-Identifier: MIT
 * config_test.c - a configuration parses whole or is refused with the path of the bad record.
 * Floor: test.
 * Owns: nothing.
 * Invariant: see config.h. */
#include "dataplane/view/config.h"
#include "dataplane/view/scope.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
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
    assert_int_equal(config_near(config, NULL, STR("route/fsat"), near, 3), 0);
    assert_int_equal(config_near(config, NULL, STR("route/fas"), near, 3), 1);
    assert_true(str_eq(near[0], STR("fast")));
    assert_int_equal(config_near(config, NULL, STR("fast4o"), near, 3), 0);
    config_release(&config);
}

/* Whose spending is capped has a budget beside the wallet that pays. */
static void
caps_are_budgets(void **state)
{
    (void)state;
    struct config *config = NULL;
    struct err err = {0};
    char text[1024];
    char hash[2][2 * SHA256_BYTES + 1] = {"", ""};
    memset(hash[0], '0', 2 * SHA256_BYTES);
    memset(hash[1], '1', 2 * SHA256_BYTES);
    (void)snprintf(text, sizeof text,
                   "{\"version\":1,\"keys\":[{\"name\":\"a\",\"hash\":\"%s\",\"wallet\":\"w\"},"
                   "{\"name\":\"b\",\"hash\":\"%s\",\"wallet\":\"w\",\"capped\":true}],"
                   "\"containers\":[{\"name\":\"c\",\"capped\":true},"
                   "{\"name\":\"d\",\"models\":[\"*\"],\"capped\":false}],"
                   "\"capped_wallets\":[\"team-a\",\"b\"]}",
                   hash[0], hash[1]);
    if (parse(text, &config, &err) != 0)
        fail_msg("%s", err.text);
    assert_null(config->keys[0].budget);
    assert_string_equal(config->keys[1].budget->wallet, "key/b");
    assert_string_equal(config->keys[1].fund->wallet, "w");
    const struct config_container *c = config_container(config, STR("c"));
    assert_string_equal(c->budget->wallet, "container/c");
    assert_null(c->scope);
    assert_null(config_container(config, STR("d"))->budget);
    assert_null(config_container(config, STR("e")));
    assert_true(config_caps_wallet(config, STR("team-a")));
    assert_false(config_caps_wallet(config, STR("team")));
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
                   "\"openai\",\"upstream\":\"x\",\"free\":true,\"free_tools\":[\"x_*\"],"
                   "\"price\":{\"version\":9,"
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
    assert_true(scope_names(model->free_tools, STR("x_search")));
    assert_false(scope_names(model->free_tools, STR("web_search")));
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

/* Pictures; and what stands for nothing: no price, no price of a class, no version. */
static void
prices_of_pictures(void **state)
{
    (void)state;
    struct config *config = NULL;
    struct err err = {0};
    int rc = parse("{\"version\":1," PROVIDER ",\"models\":["
                   "{\"id\":\"a\",\"provider\":\"openai\",\"upstream\":\"a\",\"price\":null},"
                   "{\"id\":\"b\",\"provider\":\"openai\",\"upstream\":\"b\"},"
                   "{\"id\":\"c\",\"provider\":\"openai\",\"upstream\":\"c\",\"price\":{"
                   "\"input\":\"5\",\"cached\":null,\"pictures\":["
                   "{\"quality\":\"hd\",\"size\":\"1x1\",\"image\":\"80\"},"
                   "{\"quality\":\"l\\u006fw\",\"size\":\"1x1\",\"image\":\"20\"}]}}]}",
                   &config, &err);
    if (rc != 0)
        fail_msg("%s", err.text);
    assert_int_equal(config->models[0].tariff.count, 0); /* paid use is refused */
    assert_int_equal(config->models[1].tariff.count, 0);
    const struct tariff *tariff = &config->models[2].tariff;
    assert_int_equal(tariff->rows[0].price.version, 0);
    assert_int_equal(tariff->rows[0].price.pico[USAGE_cached], 5); /* as input */
    assert_int_equal(tariff_image(tariff, STR("hd"), STR("1x1")), 80);
    assert_int_equal(tariff_image(tariff, STR("low"), STR("1x1")), 20);
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
        {"tokens of no kind", "{\"version\":1,\"settings\":{\"container_tokens\":\"any\"}}",
         "settings"},
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
        {"a cap that is no yes or no",
         "{\"version\":1,\"containers\":[{\"name\":\"c\",\"capped\":1}]}", "containers[0].capped"},
        {"no list of wallets", "{\"version\":1,\"capped_wallets\":\"w\"}",
         "capped_wallets: must be a list"},
        {"no names of wallets", "{\"version\":1,\"capped_wallets\":[1]}",
         "capped_wallets: must be names"},
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
        {"version that is none", PRICED("{\"version\":-1}"), "models[0].version"},
        {"pictures are no list", PRICED("{\"pictures\":{}}"), "models[0].price.pictures"},
        {"a picture without a quality", PRICED("{\"pictures\":[{}]}"), "models[0].price.pictures"},
        {"a picture without a size", PRICED("{\"pictures\":[{\"quality\":\"hd\"}]}"),
         "models[0].price.pictures"},
        {"a picture without a price",
         PRICED("{\"pictures\":[{\"quality\":\"hd\",\"size\":\"1x1\"}]}"),
         "models[0].price.pictures"},
        {"a picture's price that is none",
         PRICED("{\"pictures\":[{\"quality\":\"hd\",\"size\":\"1x1\",\"image\":\"1.5\"}]}"),
         "models[0].price.pictures"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        want_refused(&rows[i]);
}

/* As many as there may be, and one more. */
static void
prices_are_bounded(void **state)
{
    static const struct {
        const char *list;
        unsigned most;
        const char *want;
    } rows[] = {{"rows", TARIFF_ROWS_MAX - 1, "models[0].price.rows: are too many"},
                {"pictures", TARIFF_PICTURES_MAX, "models[0].price.pictures: must be a list"}};
    (void)state;
    for (size_t i = 0; i < 2 * ARRAY_LEN(rows); i++) {
        struct config *config = NULL;
        struct err err = {0};
        struct buf text;
        unsigned count = rows[i / 2].most + i % 2;
        buf_init(&text, 64u << 10);
        (void)buf_printf(&text,
                         "{\"version\":1," PROVIDER ",\"models\":[{\"id\":\"a\",\"provider\":"
                         "\"openai\",\"upstream\":\"a\",\"price\":{\"%s\":[",
                         rows[i / 2].list);
        for (unsigned n = 1; n <= count; n++)
            (void)buf_printf(&text,
                             "%s{\"over\":%u,\"quality\":\"q\",\"size\":\"s\",\"image\":\"1\"}",
                             n == 1 ? "" : ",", n);
        (void)buf_printf(&text, "]}}]}");
        int rc = parse(buf_cstr(&text), &config, &err);
        buf_fini(&text);
        if (i % 2 == 0 && rc != 0)
            fail_msg("%s", err.text);
        if (i % 2 == 1 && (rc == 0 || !str_starts(str_from(err.text), str_from(rows[i / 2].want))))
            fail_msg("%s: %d %s", rows[i / 2].list, rc, err.text);
        config_release(&config);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_document),
        cmocka_unit_test(caps_are_budgets),
        cmocka_unit_test(prices_have_rows),
        cmocka_unit_test(bad_documents_name_the_record),
        cmocka_unit_test(bad_prices_name_the_record),
        cmocka_unit_test(prices_of_pictures),
        cmocka_unit_test(prices_are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
