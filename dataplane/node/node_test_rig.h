/* SPDX-License-Identifier: MIT
 * node_test_rig.h - a node without threads whose link only writes down what is said
 *                   (link_test.c has the real one).
 * Floor: dataplane/node tests.
 * Owns: the link and the node.
 * Invariant: what is said while the link is down is said to nobody. */
#ifndef BERTH_DATAPLANE_NODE_NODE_TEST_RIG_H
#define BERTH_DATAPLANE_NODE_NODE_TEST_RIG_H

#include "dataplane/node/node.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

struct link {
    bool up;
    struct buf said; /* a record a line */
};
static struct link the_link;
static struct node node;

bool
link_is_up(const struct link *link)
{
    return link->up;
}

bool
link_send(struct link *link, struct str json)
{
    if (link->up) {
        assert_int_equal(buf_put_str(&link->said, json), 0);
        assert_int_equal(buf_put_byte(&link->said, '\n'), 0);
    }
    return true;
}

static inline int
rig_node(void **state)
{
    (void)state;
    the_link = (struct link){.up = true};
    node = (struct node){.link = &the_link, .epoch = UINT64_MAX};
    buf_init(&the_link.said, 1u << 20);
    buf_init(&node.out, 1u << 20);
    funds_init(&node.funds);
    list_init(&node.uploads);
    return 0;
}

static inline int
rig_node_end(void **state)
{
    (void)state;
    funds_fini(&node.funds);
    buf_fini(&node.out);
    buf_fini(&the_link.said);
    return 0;
}

static inline void
said(const char *want)
{
    assert_string_equal(buf_cstr(&the_link.said), want);
    the_link.said.len = 0;
}

#endif
