/* SPDX-License-Identifier: MIT
 * usage_test.c - the small tables: names as the records spell them, statuses as the dialects do.
 * Floor: api tests.
 * Owns: nothing.
 * Invariant: see usage.h and http_errors.h. */
#include "api/usage.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "api/http_errors.h"

static void
test_names(void **state)
{
    (void)state;
    assert_string_equal(usage_class_name(USAGE_cache_write_1h), "cache_write_1h");
    assert_string_equal(usage_class_name(USAGE_request), "request");
    assert_string_equal(usage_evidence_name(EVIDENCE_PROVIDER), "provider_usage");
    assert_string_equal(usage_evidence_name(EVIDENCE_COUNTED), "counted_stream");
    assert_string_equal(usage_evidence_name(EVIDENCE_NONE), "none");
    assert_string_equal(usage_evidence_name(EVIDENCE_ESTIMATE), "estimate");
    assert_string_equal(usage_outcome_name(OUTCOME_client_gone_early), "client_gone_early");
    assert_string_equal(usage_outcome_name(OUTCOME_interrupted), "interrupted");
}

static void
test_http_errors(void **state)
{
    (void)state;
    for (int i = 0; i < HTTP_ERROR_COUNT; i++) {
        const struct http_error_row *row = http_error_row((enum http_error)i);
        assert_in_range(row->status, 400, 599);
        assert_true(strlen(row->openai_type) > 0 && strlen(row->anthropic_type) > 0);
        assert_true(strlen(row->code) > 0 && row->text[strlen(row->text) - 1] == '.');
        for (int j = 0; j < i; j++)
            assert_string_not_equal(row->code, http_error_row((enum http_error)j)->code);
    }
    const struct http_error_row *no_funds = http_error_row(HTTP_ERROR_no_funds);
    assert_int_equal(no_funds->status, 402);
    assert_string_equal(no_funds->openai_type, "insufficient_quota");
    assert_string_equal(no_funds->anthropic_type, "billing_error");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_http_errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
