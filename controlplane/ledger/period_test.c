/* SPDX-License-Identifier: MIT
 * period_test.c - begins and ends of hours, days and months.
 * Floor: controlplane/ledger tests.
 * Owns: nothing.
 * Invariant: see period.h. */
#include "controlplane/ledger/period.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define DAY_MS 86400000ll

static void
test_periods(void **state)
{
    (void)state;
    static const struct {
        const char *per;
        const char *at; /* ms, as text */
        int64_t ms;
        int64_t want;
        int64_t want_end;
    } rows[] = {
        {"hour", "2026-02-28T22:30", 1772317800000, 1772316000000, 1772319600000},
        {"day", "2026-02-28T22:30", 1772317800000, 1772236800000, 1772323200000},
        {"month", "2026-02-28T22:30", 1772317800000, 1769904000000, 1772323200000},
        {"month", "2026-03-01T00:00", 1772323200000, 1772323200000, 1775001600000},
        {"month", "2026-12-31T23:59", 1798761599000, 1796083200000, 1798761600000},
        {"month", "2028-02-29T23:59:59.999", 1835481599999, 1832976000000, 1835481600000},
        {"day", "1970-01-01", 0, 0, DAY_MS},
        {"hour", "1970-01-01", 0, 0, 3600000},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        enum period period;
        assert_true(period_of(str_from(rows[i].per), &period));
        assert_string_equal(period_name(period), rows[i].per);
        assert_int_equal(period_begin_ms(period, rows[i].ms), rows[i].want);
        assert_int_equal(period_end_ms(period, rows[i].ms), rows[i].want_end);
    }
}

static void
test_names(void **state)
{
    enum period period;
    (void)state;
    assert_false(period_of(STR(""), &period));
    assert_false(period_of(STR("year"), &period));
    assert_false(period_of(STR("days"), &period));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_periods),
        cmocka_unit_test(test_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
