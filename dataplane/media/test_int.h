/* SPDX-License-Identifier: MIT
 * test_int.h - one request and one answer through a carrier, for the tests of carriers.
 * Floor: test.
 * Owns: nothing.
 * Invariant: none. */
#ifndef BERTH_DATAPLANE_MEDIA_TEST_INT_H
#define BERTH_DATAPLANE_MEDIA_TEST_INT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "dataplane/media/carry.h"

/* want: the exact bytes, or what the error has to say; dropped: as in x-berth-dropped. */
struct carried_request {
    const struct dialect *target;
    const char *model;
    const char *body;
    int want_err;
    const char *want;
    const char *want_dropped;
};
/* Path of the provider's address. */
static UNUSED const char *carried_at = "";
static inline void
check_request(enum chat_endpoint endpoint, const struct carried_request *row,
              struct carry_wish *ret_wish)
{
    struct json_doc doc;
    struct arena arena;
    struct buf out;
    struct err err = {0};
    json_init(&doc);
    arena_init(&arena, 1u << 20);
    buf_init(&out, 1u << 20);
    assert_int_equal(json_scan(&doc, str_from(row->body), NULL, &err), 0);
    int rc = carrier_find(row->target, endpoint, str_from(carried_at))
                 ->request(&doc, str_from(row->model), &arena, &out, ret_wish, &err);
    struct str said = rc == 0 ? buf_str(&out) : str_from(err.text);
    if (rc != row->want_err || (rc == 0 && !str_eq(said, str_from(row->want))) ||
        str_find(said, str_from(row->want)) == SIZE_MAX)
        fail_msg("%s: %d %.*s", row->body, rc, STR_ARG(said));
    if (rc == 0)
        assert_true(
            str_eq(ret_wish->dropped, str_from(row->want_dropped ? row->want_dropped : "")));
    ret_wish->dropped = STR_EMPTY; /* of the arena */
    buf_fini(&out);
    arena_fini(&arena);
    json_fini(&doc);
}

static inline struct usage
check_answer(enum chat_endpoint endpoint, const struct dialect *target, const char *body,
             const struct carry_wish *wish, int want_err, const char *want)
{
    struct json_doc doc;
    struct buf out;
    struct usage usage = {.evidence = EVIDENCE_NONE};
    json_init(&doc);
    buf_init(&out, 1u << 20);
    assert_int_equal(json_scan(&doc, str_from(body), NULL, NULL), 0);
    assert_int_equal(
        carrier_find(target, endpoint, str_from(carried_at))->answer(&doc, wish, &out, &usage),
        want_err);
    if (want_err == 0)
        assert_string_equal(buf_cstr(&out), want);
    buf_fini(&out);
    json_fini(&doc);
    return usage;
}

#endif
