/* SPDX-License-Identifier: MIT
 * ticket_test.c - where a vendor may send us with our key.
 * Floor: test.
 * Owns: nothing.
 * Invariant: proves ticket.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "dataplane/media/ticket.h"

static const struct {
    const char *base;
    const char *url;
    int want_err;
    const char *want_host;
    const char *want_target;
} rows[] = {
    {"https://api.bfl.ai", "https://api.us1.bfl.ai/v1/get_result?id=7", 0, "api.us1.bfl.ai",
     "/v1/get_result?id=7"},
    {"https://api.bfl.ai", "https://api.bfl.ai/v1/get_result?id=7", 0, "api.bfl.ai",
     "/v1/get_result?id=7"},
    {"https://api.bfl.ai", "https://API.BFL.AI:443/x", 0, "API.BFL.AI", "/x"},
    {"https://api.bfl.ai", "https://bfl.ai.evil.com/x", -ERR_PERMISSION, "", ""},
    {"https://api.bfl.ai", "https://evilbfl.ai/x", -ERR_PERMISSION, "", ""},
    {"https://api.bfl.ai", "https://evil.ai/x", -ERR_PERMISSION, "", ""},
    {"https://api.bfl.ai", "https://.bfl.ai/x", -ERR_PARSE, "", ""},
    {"https://api.bfl.ai", "http://api.bfl.ai/x", -ERR_PERMISSION, "", ""},
    {"https://api.bfl.ai", "https://api.bfl.ai:8443/x", -ERR_PERMISSION, "", ""},
    {"https://api.bfl.ai", "https://169.254.169.254/latest", -ERR_PERMISSION, "", ""},
    {"https://api.bfl.ai", "https://user@api.bfl.ai/x", -ERR_PARSE, "", ""},
    {"https://api.bfl.ai", "/v1/get_result", -ERR_PARSE, "", ""},
    {"https://api.bfl.ai", "https://api.bfl.ai/a\r\nx: y", -ERR_PARSE, "", ""},
    {"https://api.bfl.ai", "", -ERR_PARSE, "", ""},
    {"https://bfl.ai", "https://eu.bfl.ai/x", 0, "eu.bfl.ai", "/x"},
    {"https://pictures.co.uk", "https://evil.co.uk/x", -ERR_PERMISSION, "", ""},
    {"https://api.pictures.co.uk", "https://eu.pictures.co.uk/x", 0, "eu.pictures.co.uk", "/x"},
    {"http://127.0.0.1:8", "http://127.0.0.1:8/x", 0, "127.0.0.1", "/x"},
    {"http://127.0.0.1:8", "http://10.0.0.1:8/x", -ERR_PERMISSION, "", ""},
    {"http://127.0.0.1:8", "http://1.127.0.0.1:8/x", -ERR_PARSE, "", ""},
    {"http://localhost:8", "http://evil.localhost:8/x", -ERR_PERMISSION, "", ""},
};

static void
addresses(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct arena arena;
        struct uri base;
        struct str host = STR_EMPTY;
        struct str target = STR_EMPTY;
        arena_init(&arena, 1u << 20);
        assert_int_equal(uri_parse(str_from(rows[i].base), &base, NULL), 0);
        int rc = ticket_address(&base, str_from(rows[i].url), &arena, &host, &target);
        if (rc != rows[i].want_err || !str_eq(host, str_from(rows[i].want_host)) ||
            !str_eq(target, str_from(rows[i].want_target)))
            fail_msg("%s at %s: %d %.*s %.*s", rows[i].url, rows[i].base, rc, STR_ARG(host),
                     STR_ARG(target));
        arena_fini(&arena);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(addresses)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
