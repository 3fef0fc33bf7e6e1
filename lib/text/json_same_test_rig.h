/* SPDX-License-Identifier: MIT
 * json_same_test_rig.h - one text, scanned with marks and without: the same of everything.
 * Floor: lib/text, private, tests only.
 * Owns: nothing.
 * Invariant: a difference is an ASSERT. */
#ifndef BERTH_LIB_TEXT_JSON_SAME_TEST_RIG_H
#define BERTH_LIB_TEXT_JSON_SAME_TEST_RIG_H

#include <stdlib.h>

#include "lib/base/check.h"
#include "lib/text/json_int.h"
#include "lib/text/json_marks.h"

static inline void
json_same_with(struct str text, const struct json_limits *limits)
{
    struct json_doc one;
    struct json_doc two;
    struct err err_one = {0};
    struct err err_two = {0};
    json_init(&one);
    json_init(&two);
    int rc = json_scan(&one, text, limits, &err_one);
    ASSERT(rc == json_scan_plain(&two, text, limits, &err_two));
    ASSERT(err_one.code == err_two.code && err_one.line == err_two.line);
    ASSERT(err_one.column == err_two.column && strcmp(err_one.text, err_two.text) == 0);
    ASSERT(one.node_count == two.node_count && (rc == 0) == (one.node_count > 0));
    ASSERT(rc != 0 || memcmp(one.nodes, two.nodes, one.node_count * sizeof(*one.nodes)) == 0);
    json_fini(&one);
    json_fini(&two);
}

/* In a heap block of its size, so that the address sanitizer sees a byte too far. */
static inline void
json_same(struct str text)
{
    static const struct json_limits small = {.depth_max = 8, .node_count_max = 64};
    static const struct json_limits lax = {.depth_max = 1000, .allow_duplicates = true};
    char *copy = malloc(text.len > 0 ? text.len : 1);
    ASSERT(copy != NULL);
    if (text.len > 0) {
        memcpy(copy, text.ptr, text.len);
    }
    json_same_with(str_make(copy, text.len), NULL);
    json_same_with(str_make(copy, text.len), &small);
    json_same_with(str_make(copy, text.len), &lax);
    free(copy);
}

#endif
