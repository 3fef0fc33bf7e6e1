/* SPDX-License-Identifier: MIT
 * sock_fuzz.c - addresses from arbitrary text.
 * Floor: tests of lib/net.
 * Owns: nothing.
 * Invariant: what is accepted formats to a text that means the same address. */
#include "lib/base/check.h"
#include "lib/net/sock.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sock_addr addr = {.len = 0};
    struct sock_addr again = {.len = 0};
    struct err err = {.text = ""};
    char text[128];
    char text_again[128];
    if (sock_addr_parse(str_make((const char *)data, size), &addr, &err) < 0) {
        ASSERT(err.text[0] != '\0' && addr.len == 0);
        return 0;
    }
    sock_addr_format(&addr, text);
    ASSERT(sock_addr_parse(str_from(text), &again, &err) == 0);
    sock_addr_format(&again, text_again);
    ASSERT(strcmp(text, text_again) == 0 && addr.len == again.len);
    ASSERT(sock_addr_is_loopback(&addr) == sock_addr_is_loopback(&again));
    return 0;
}
