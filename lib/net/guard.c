/* SPDX-License-Identifier: MIT
 * guard.c - see guard.h.
 * Floor: lib/net; any thread.
 * Owns: nothing.
 * Invariant: see guard.h; guard_test.c has a row a range, with both its edges. */
#include "lib/net/guard.h"

#include <arpa/inet.h>

struct range4 {
    uint32_t net;
    unsigned bits;
    enum guard_class class_;
};
struct range6 {
    uint8_t net[16];
    unsigned bits;
    enum guard_class class_;
};

#define V4(a, b, c, d) \
    (((uint32_t)(a) << 24) | ((uint32_t)(b) << 16) | ((uint32_t)(c) << 8) | (uint32_t)(d))

/* First match holds. IANA's special-purpose registry, and metadata services. */
static const struct range4 ranges4[] = {
    {V4(0, 0, 0, 0), 8, GUARD_NEVER},          /* this network */
    {V4(100, 100, 100, 200), 32, GUARD_NEVER}, /* metadata */
    {V4(168, 63, 129, 16), 32, GUARD_NEVER},   /* metadata */
    {V4(169, 254, 0, 0), 16, GUARD_NEVER},     /* link-local, metadata */
    {V4(192, 0, 0, 0), 24, GUARD_NEVER},       /* protocol assignments, metadata */
    {V4(192, 0, 2, 0), 24, GUARD_NEVER},       /* documentation */
    {V4(192, 88, 99, 0), 24, GUARD_NEVER},     /* 6to4 relays */
    {V4(198, 51, 100, 0), 24, GUARD_NEVER},    /* documentation */
    {V4(203, 0, 113, 0), 24, GUARD_NEVER},     /* documentation */
    {V4(224, 0, 0, 0), 3, GUARD_NEVER},        /* multicast, reserved, broadcast */
    {V4(10, 0, 0, 0), 8, GUARD_PRIVATE},
    {V4(100, 64, 0, 0), 10, GUARD_PRIVATE}, /* carrier-grade NAT */
    {V4(127, 0, 0, 0), 8, GUARD_PRIVATE},   /* loopback */
    {V4(172, 16, 0, 0), 12, GUARD_PRIVATE},
    {V4(192, 168, 0, 0), 16, GUARD_PRIVATE},
    {V4(198, 18, 0, 0), 15, GUARD_PRIVATE}, /* benchmarking */
};
static const struct range6 ranges6[] = {
    {{0xfd, 0x00, 0x0e, 0xc2}, 32, GUARD_NEVER},             /* metadata */
    {{0xfd, 0x20, 0x00, 0xce}, 32, GUARD_NEVER},             /* metadata */
    {{0xfe, 0x80}, 10, GUARD_NEVER},                         /* link-local */
    {{0xff}, 8, GUARD_NEVER},                                /* multicast */
    {{0x20, 0x01, 0x0d, 0xb8}, 32, GUARD_NEVER},             /* documentation */
    {{0x20, 0x01, 0x00, 0x00}, 23, GUARD_NEVER},             /* Teredo, ORCHID, benchmarking */
    {{0x20, 0x02}, 16, GUARD_NEVER},                         /* 6to4 */
    {{0x3f, 0xff}, 20, GUARD_NEVER},                         /* documentation */
    {{0x01, 0x00}, 64, GUARD_NEVER},                         /* discard */
    {{0x00, 0x64, 0xff, 0x9b, 0x00, 0x01}, 48, GUARD_NEVER}, /* local NAT64 */
    {{0xfc}, 7, GUARD_PRIVATE},                              /* unique local */
    {{0xfe, 0xc0}, 10, GUARD_PRIVATE},                       /* site-local */
    {{0x20}, 3, GUARD_PUBLIC},                               /* 2000::/3: all that is global */
};

static enum guard_class
class4(uint32_t address)
{
    for (size_t i = 0; i < ARRAY_LEN(ranges4); i++) {
        uint32_t mask = ~(uint32_t)0 << (32u - ranges4[i].bits);
        if ((address & mask) == ranges4[i].net)
            return ranges4[i].class_;
    }
    return GUARD_PUBLIC;
}

static bool
in_range6(const uint8_t address[16], const struct range6 *range)
{
    unsigned whole = range->bits / 8;
    if (memcmp(address, range->net, whole) != 0)
        return false;
    unsigned rest = range->bits % 8;
    return rest == 0 || ((unsigned)(address[whole] ^ range->net[whole]) >> (8 - rest)) == 0;
}

static enum guard_class
class6(const uint8_t address[16])
{
    static const uint8_t loopback[16] = {[15] = 1};
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    static const uint8_t nat64[12] = {0x00, 0x64, 0xff, 0x9b};
    static const uint8_t zero[12] = {0};
    uint32_t inner = V4(address[12], address[13], address[14], address[15]);
    if (memcmp(address, loopback, sizeof loopback) == 0)
        return GUARD_PRIVATE;
    if (memcmp(address, mapped, sizeof mapped) == 0 || memcmp(address, zero, sizeof zero) == 0)
        return class4(inner);
    if (memcmp(address, nat64, sizeof nat64) == 0)
        return class4(inner) == GUARD_NEVER ? GUARD_NEVER : GUARD_PRIVATE;
    for (size_t i = 0; i < ARRAY_LEN(ranges6); i++) {
        if (in_range6(address, &ranges6[i]))
            return ranges6[i].class_;
    }
    return GUARD_NEVER;
}

enum guard_class
guard_class(const struct sock_addr *addr)
{
    switch (addr->u.any.sa_family) {
    case AF_INET:
        return class4(ntohl(addr->u.in4.sin_addr.s_addr));
    case AF_INET6:
        return class6(addr->u.in6.sin6_addr.s6_addr);
    case AF_UNIX:
        return GUARD_PRIVATE;
    default:
        return GUARD_NEVER;
    }
}

bool
guard_allow(const struct sock_addr *addr, void *user)
{
    const bool *private_too = user;
    enum guard_class class_ = guard_class(addr);
    return class_ == GUARD_PUBLIC ||
           (class_ == GUARD_PRIVATE && private_too != NULL && *private_too);
}
