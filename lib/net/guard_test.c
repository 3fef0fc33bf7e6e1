/* SPDX-License-Identifier: MIT
 * guard_test.c - a row a range of addresses (HARDENING 3.7, SF-03).
 * Floor: lib/net; test.
 * Owns: nothing.
 * Invariant: both edges of a range, and what stands beside it. */
#include "lib/net/guard.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static const struct {
    const char *address;
    enum guard_class want;
} rows[] = {
    {"1.1.1.1", GUARD_PUBLIC},
    {"9.255.255.255", GUARD_PUBLIC},
    {"11.0.0.0", GUARD_PUBLIC},
    {"100.63.255.255", GUARD_PUBLIC},
    {"100.128.0.0", GUARD_PUBLIC},
    {"126.255.255.255", GUARD_PUBLIC},
    {"128.0.0.0", GUARD_PUBLIC},
    {"172.15.255.255", GUARD_PUBLIC},
    {"172.32.0.0", GUARD_PUBLIC},
    {"192.167.255.255", GUARD_PUBLIC},
    {"192.169.0.0", GUARD_PUBLIC},
    {"223.255.255.255", GUARD_PUBLIC},
    {"10.0.0.0", GUARD_PRIVATE},
    {"10.255.255.255", GUARD_PRIVATE},
    {"100.64.0.1", GUARD_PRIVATE},
    {"100.127.255.255", GUARD_PRIVATE},
    {"127.0.0.1", GUARD_PRIVATE},
    {"127.255.255.255", GUARD_PRIVATE},
    {"172.16.0.0", GUARD_PRIVATE},
    {"172.31.255.255", GUARD_PRIVATE},
    {"192.168.255.255", GUARD_PRIVATE},
    {"198.19.255.255", GUARD_PRIVATE},
    {"0.0.0.0", GUARD_NEVER},
    {"0.255.255.255", GUARD_NEVER},
    {"100.100.100.200", GUARD_NEVER},
    {"168.63.129.16", GUARD_NEVER},
    {"169.254.169.254", GUARD_NEVER},
    {"169.254.0.0", GUARD_NEVER},
    {"192.0.0.192", GUARD_NEVER},
    {"192.0.2.1", GUARD_NEVER},
    {"224.0.0.1", GUARD_NEVER},
    {"239.255.255.255", GUARD_NEVER},
    {"240.0.0.1", GUARD_NEVER},
    {"255.255.255.255", GUARD_NEVER},
    {"2606:4700::1111", GUARD_PUBLIC},
    {"2a00::1", GUARD_PUBLIC},
    {"::ffff:1.1.1.1", GUARD_PUBLIC},
    {"::1", GUARD_PRIVATE},
    {"::ffff:127.0.0.1", GUARD_PRIVATE},
    {"::ffff:10.1.2.3", GUARD_PRIVATE},
    {"::127.0.0.1", GUARD_PRIVATE},
    {"64:ff9b::1.1.1.1", GUARD_PRIVATE},
    {"64:ff9b::10.0.0.1", GUARD_PRIVATE},
    {"fc00::1", GUARD_PRIVATE},
    {"fdff::1", GUARD_PRIVATE},
    {"fec0::1", GUARD_PRIVATE},
    {"::", GUARD_NEVER},
    {"::ffff:0.0.0.0", GUARD_NEVER},
    {"::ffff:169.254.169.254", GUARD_NEVER},
    {"64:ff9b::169.254.169.254", GUARD_NEVER},
    {"64:ff9b:1::1", GUARD_NEVER},
    {"fd00:ec2::254", GUARD_NEVER},
    {"fd20:ce::254", GUARD_NEVER},
    {"fe80::1", GUARD_NEVER},
    {"febf::1", GUARD_NEVER},
    {"ff02::1", GUARD_NEVER},
    {"2001::1", GUARD_NEVER},
    {"2001:db8::1", GUARD_NEVER},
    {"2002:7f00:1::", GUARD_NEVER},
    {"100::1", GUARD_NEVER},
    {"4000::1", GUARD_NEVER},
};

static struct sock_addr
address(const char *text)
{
    struct sock_addr addr = {.len = sizeof(addr.u.in4)};
    addr.u.in4.sin_family = AF_INET;
    if (inet_pton(AF_INET, text, &addr.u.in4.sin_addr) == 1)
        return addr;
    addr = (struct sock_addr){.len = sizeof(addr.u.in6)};
    addr.u.in6.sin6_family = AF_INET6;
    assert_int_equal(inet_pton(AF_INET6, text, &addr.u.in6.sin6_addr), 1);
    return addr;
}

static void
test_classes(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct sock_addr addr = address(rows[i].address);
        if (guard_class(&addr) != rows[i].want)
            fail_msg("%s: want %d, have %d", rows[i].address, (int)rows[i].want,
                     (int)guard_class(&addr));
    }
}

static void
test_what_the_owner_may_allow(void **state)
{
    bool yes = true;
    bool no = false;
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct sock_addr addr = address(rows[i].address);
        assert_int_equal(guard_allow(&addr, NULL), rows[i].want == GUARD_PUBLIC);
        assert_int_equal(guard_allow(&addr, &no), rows[i].want == GUARD_PUBLIC);
        assert_int_equal(guard_allow(&addr, &yes), rows[i].want != GUARD_NEVER);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_classes),
                                       cmocka_unit_test(test_what_the_owner_may_allow)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
