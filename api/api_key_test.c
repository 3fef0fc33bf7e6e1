/* SPDX-License-Identifier: MIT
 * api_key_test.c - keys are well formed, differ, and a single changed character is noticed.
 * Floor: api tests.
 * Owns: nothing.
 * Invariant: see api_key.h. */
#include "api/api_key.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void
test_make(void **state)
{
    (void)state;
    char a[API_KEY_BYTES + 1];
    char b[API_KEY_BYTES + 1];
    api_key_make(a);
    api_key_make(b);
    assert_int_equal(strlen(a), API_KEY_BYTES);
    assert_memory_equal(a, "sk-bth-", 7);
    assert_string_not_equal(a, b);
    for (size_t i = 0; i < API_KEY_BYTES; i++) {
        char changed[API_KEY_BYTES + 1];
        memcpy(changed, a, sizeof changed);
        changed[i] = (char)(changed[i] == '0' ? '1' : '0');
        assert_false(api_key_plausible(str_from(changed)));
    }
    assert_false(api_key_plausible(str_make(a, API_KEY_BYTES - 1)));
    assert_false(api_key_plausible(STR_EMPTY));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_make)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
