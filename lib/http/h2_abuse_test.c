/* SPDX-License-Identifier: MIT
 * h2_abuse_test.c - the budget: bursts, refill, free passes.
 * Floor: lib/http, tests.
 * Owns: nothing.
 * Invariant: server_abuse_test.c shows the same on connections. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lib/base/str.h"
#include "lib/http/h2_abuse.h"

static unsigned
spend_all(struct h2_abuse *abuse, enum h2_oddity oddity, uint64_t now_ms)
{
    unsigned count = 0;
    while (count < 100000 && h2_abuse_spend(abuse, oddity, now_ms))
        count++;
    return count;
}

static void
test_bucket(void **state)
{
    (void)state;
    struct h2_abuse abuse;
    h2_abuse_init(&abuse, 100, 10, 5000);
    assert_int_equal(spend_all(&abuse, H2_PEER_RESET, 5000), 100);
    assert_int_equal(spend_all(&abuse, H2_PEER_RESET, 5099), 0);
    assert_int_equal(spend_all(&abuse, H2_PEER_RESET, 6000), 10);
    assert_int_equal(spend_all(&abuse, H2_PEER_RESET, UINT64_MAX), 100);
}

static void
test_free_passes(void **state)
{
    (void)state;
    struct h2_abuse abuse;
    h2_abuse_init(&abuse, 10, 0, 0);
    assert_int_equal(spend_all(&abuse, H2_WINDOW_UPDATE, 0), 18); /* 8 at the start */
    h2_abuse_sent_data(&abuse, 16384);
    assert_int_equal(spend_all(&abuse, H2_PING, 0), 18);
    assert_int_equal(spend_all(&abuse, H2_PEER_RESET, 0), 0);
    h2_abuse_finished(&abuse);
    assert_int_equal(spend_all(&abuse, H2_LATE_FRAME, 0), 1);
    h2_abuse_opened(&abuse);
    assert_int_equal(spend_all(&abuse, H2_PRIORITY, 0), 2);
    for (unsigned i = 0; i < 100000; i++)
        h2_abuse_sent_data(&abuse, 100);
    assert_int_equal(spend_all(&abuse, H2_SETTINGS, 0), 2000); /* not more saved up */
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bucket),
        cmocka_unit_test(test_free_passes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
