/* SPDX-License-Identifier: MIT
 * usage_form_test.c - records of the known form: read, written, packed; others are left alone.
 * Floor: controlplane/ledger tests.
 * Owns: nothing.
 * Invariant: see usage_form.h. */
#include "controlplane/ledger/usage_pack.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "api/usage.h"
#include "lib/base/err.h"
#include "lib/base/rand.h"

#define FULL                                                                               \
    "{\"seq\":\"7\",\"id\":\"req_1\",\"at_ms\":1763712345678,\"wallet\":\"default\","      \
    "\"subject\":\"container/dev\",\"incarnation\":\"00ff\",\"model\":\"openai/gpt\","     \
    "\"provider\":\"openai\",\"price_version\":3,\"outcome\":\"completed\","               \
    "\"evidence\":\"provider_usage\",\"status\":200,\"stream\":true,\"clamped\":true,"     \
    "\"usage\":{\"input\":12,\"output\":3,\"request\":1,\"query\":4},\"charge\":\"1234\"," \
    "\"cost\":\"1000\",\"ttft_us\":11,\"total_us\":22,\"attempts\":1}"

static const struct {
    const char *text;
    const char *want; /* as written again; NULL: not of this form */
    size_t rest;      /* bytes behind it */
} rows[] = {
    {FULL, FULL, 0},
    {FULL "," FULL, FULL, sizeof FULL},
    {"{}", "{}", 0},
    {"{\"usage\":{}}", "{\"usage\":{}}", 0},
    {"{\"usage\":{\"query\":2,\"input\":1},\"seq\":\"0\"}",
     "{\"seq\":\"0\",\"usage\":{\"input\":1,\"query\":2}}", 0},
    {"{\"charge\":\"9999999999999999999\"}", "{\"charge\":\"9999999999999999999\"}", 0},
    {"{\"model\":\"\"}x", "{\"model\":\"\"}", 1},
    {"{\"model\":\"gr\xc3\xbc\xc3\x9f\"}", "{\"model\":\"gr\xc3\xbc\xc3\x9f\"}", 0},
    {"{\"stream\":false,\"clamped\":true}", "{\"stream\":false,\"clamped\":true}", 0},
    {"", NULL, 0},
    {"[]", NULL, 0},
    {"{", NULL, 0},
    {" {}", NULL, 0},
    {"{ }", NULL, 0},
    {"{,}", NULL, 0},
    {"{\"seq\":\"1\",}", NULL, 0},
    {"{\"seq\":\"1\" }", NULL, 0},
    {"{\"seq\": \"1\"}", NULL, 0},
    {"{\"seq\":1}", NULL, 0},
    {"{\"seq\":\"\"}", NULL, 0},
    {"{\"seq\":\"01\"}", NULL, 0},
    {"{\"seq\":\"-1\"}", NULL, 0},
    {"{\"seq\":\"1\"\"id\":\"x\"}", NULL, 0},
    {"{\"seq\":\"1\",\"seq\":\"1\"}", NULL, 0},
    {"{\"charge\":\"10000000000000000000\"}", NULL, 0},
    {"{\"status\":\"200\"}", NULL, 0},
    {"{\"status\":2e2}", NULL, 0},
    {"{\"status\":-1}", NULL, 0},
    {"{\"status\":}", NULL, 0},
    {"{\"stream\":1}", NULL, 0},
    {"{\"stream\":True}", NULL, 0},
    {"{\"model\":\"a\\u0062\"}", NULL, 0},
    {"{\"model\":\"a\nb\"}", NULL, 0},
    {"{\"model\":\"\xff\"}", NULL, 0},
    {"{\"model\":\"a", NULL, 0},
    {"{\"model\":5}", NULL, 0},
    {"{\"other\":5}", NULL, 0},
    {"{\"input\":5}", NULL, 0},
    {"{\"usage\":5}", NULL, 0},
    {"{\"usage\":{\"input\":5}", NULL, 0},
    {"{\"usage\":{\"charge\":\"5\"}}", NULL, 0},
    {"{\"usage\":{\"input\":5,}}", NULL, 0},
    {"{\"usage\":{\"usage\":{}}}", NULL, 0},
};

static void
test_rows(void **state)
{
    (void)state;
    struct usage_form form = {0}; /* one for all: what it guesses must not matter */
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct str text = str_from(rows[i].text);
        size_t size = form_read(text, &form);
        if ((size == 0) != (rows[i].want == NULL) || (size > 0 && size + rows[i].rest != text.len))
            fail_msg("%s: %zu", rows[i].text, size);
        for (size_t cut = 0; cut < text.len - rows[i].rest; cut++)
            assert_int_equal(form_read(str_make(text.ptr, cut), &form), 0);
        if (size == 0)
            continue;
        CLEANUP(buf_fini) struct buf out;
        buf_init(&out, 4096);
        assert_true(form_read(text, &form) == size);
        form_write(&form, &out);
        assert_string_equal(buf_cstr(&out), rows[i].want);
    }
}

/* A class that is missing here would send every record that uses it down the slow road. */
static void
test_texts(void **state)
{
    (void)state;
    assert_true(form_text_valid(STR("a\xc3\xa9")));
    assert_false(form_text_valid(STR("\"")));
    assert_false(form_text_valid(STR("\xff")));
}

static void
test_every_class(void **state)
{
    (void)state;
    for (unsigned i = 0; i < USAGE_CLASS_COUNT; i++) {
        char text[128];
        struct usage_form form = {0};
        (void)snprintf(text, sizeof text, "{\"usage\":{\"%s\":1}}",
                       usage_class_name((enum usage_class)i));
        if (form_read(str_from(text), &form) == 0)
            fail_msg("usage_form.def does not know %s", text);
    }
}

/* Members that are there or not, by chance, and what they say. */
static void
form_draw(struct usage_form *form)
{
    static const char *const texts[] = {"", "a", "openai/gpt-4o-mini", "container/dev"};
    for (unsigned m = 0; m < FORM_COUNT; m++) {
        uint64_t draw = rand_u64() >> 8;
        bool text = (m >= FORM_id && m <= FORM_provider && m != FORM_at_ms) || m == FORM_outcome ||
                    m == FORM_evidence;
        bool flag = m == FORM_stream || m == FORM_clamped;
        if (draw % 4 == 0)
            form->has ^= 1ull << m;
        if (text)
            form->at[m].text = str_from(texts[draw / 4 % 4]);
        else if (draw % 4 < 2)
            form->at[m].number = flag            ? draw / 4 % 2
                                 : draw % 8 == 1 ? 9999999999999999999ull
                                                 : draw;
    }
    for (unsigned m = FORM_input; m < FORM_charge && !form_has(form, FORM_usage); m++)
        form->has &= ~(1ull << m);
}

/* Any members of any order, each record against the one before it. */
static void
test_packed(void **state)
{
    (void)state;
    enum { COUNT = 500 };
    static struct usage_form forms[COUNT];
    uint64_t seed = rand_u64();
    print_message("seed %llu\n", (unsigned long long)seed);
    rand_seed(seed);
    CLEANUP(buf_fini) struct buf packed;
    buf_init(&packed, 1u << 20);
    struct usage_form one = {0};
    assert_true(form_read(STR(FULL), &one) > 0);
    for (size_t i = 0; i < COUNT; i++) {
        struct usage_form form = i % 3 ? one : (struct usage_form){0};
        if (i > 0)
            form_draw(&form);
        forms[i] = form;
        pack_put(&forms[i], i ? &forms[i - 1] : &(struct usage_form){0}, &packed);
    }
    struct usage_form form = {0};
    struct str rest = buf_str(&packed);
    for (size_t i = 0; i < COUNT; i++) {
        CLEANUP(buf_fini) struct buf was;
        CLEANUP(buf_fini) struct buf is;
        buf_init(&was, 8192);
        buf_init(&is, 8192);
        assert_int_equal(pack_next(&rest, &form), 1);
        form_write(&forms[i], &was);
        form_write(&form, &is);
        assert_string_equal(buf_cstr(&is), buf_cstr(&was));
        assert_true(form_read(buf_str(&is), &(struct usage_form){0}) == is.len);
    }
    assert_int_equal(pack_next(&rest, &form), 0);
    rand_seed(0);
}

static void
test_damaged(void **state)
{
    (void)state;
    static const struct {
        struct str bytes;
        const char *what;
    } damaged[] = {
        {{"\x80", 1}, "half a number"},
        {{"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 11}, "a number too long"},
        {{"\x03", 1}, "members are missing"},
        {{"\x03\x01", 2}, "the value is missing"},
        {{"\x01\x01", 2}, "a new member without a value"},
        {{"\x02", 1}, "a value of no member"},
        {{"\x05\x02\x05"
          "abc",
          6},
         "half a text"},
        {{"\x05\x02\x01\"", 4}, "a text that is no JSON"},
        {{"\x01\x80\x80\x80\x80\x80\x80\x80\x80\x40", 10}, "a member that nobody knows"},
        {{"\x81\x80\x04\x80\x80\x02\x02", 7}, "a count outside of usage"},
        {{"\x81\x40\x80\x20\x08", 5}, "a boolean that is 4"},
    };
    for (size_t i = 0; i < ARRAY_LEN(damaged); i++) {
        struct usage_form form = {0};
        struct str rest = damaged[i].bytes;
        int r;
        while ((r = pack_next(&rest, &form)) == 1) {
        }
        if (r != -ERR_STORE)
            fail_msg("%s: %d", damaged[i].what, r);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_rows), cmocka_unit_test(test_texts),
                                       cmocka_unit_test(test_every_class),
                                       cmocka_unit_test(test_packed),
                                       cmocka_unit_test(test_damaged)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
