/* SPDX-License-Identifier: MIT
 * canned_int.h - one connection of the canned server, and its HTTP/2 half.
 * Floor: tools/sim, private to canned*.c; its loop's thread.
 * Owns: see canned.h.
 * Invariant: see canned.h. */
#ifndef BERTH_TOOLS_SIM_CANNED_INT_H
#define BERTH_TOOLS_SIM_CANNED_INT_H

#include "lib/base/buf.h"
#include "lib/base/list.h"
#include "tools/sim/canned.h"

#define CANNED_LISTENERS_MAX 8u

enum canned_kind { CANNED_SNIFF, CANNED_H1, CANNED_H2 };

struct canned_listener {
    struct loop_io io;
    struct canned *canned;
};

struct canned {
    struct loop *loop;
    struct list conns;
    struct canned_listener listeners[CANNED_LISTENERS_MAX];
    size_t listener_count;
    char *scratch;
    struct buf h1[2]; /* OpenAI's answer, Anthropic's */
    struct buf h2;    /* HEADERS and DATA frames with stream id 0 */
    size_t h2_body_bytes;
};

struct canned_conn {
    struct loop_io io;
    struct list node;
    struct canned *canned;
    struct buf in; /* an incomplete head or frame */
    struct buf out;
    size_t out_at;
    enum canned_kind kind;
    bool anthropic;
    bool greeted; /* HTTP/2: preface read, settings sent */
    uint64_t body_left;
    int64_t window;    /* HTTP/2: what the peer still takes, all streams */
    uint64_t consumed; /* HTTP/2: body bytes since our last WINDOW_UPDATE */
    uint32_t *waiting; /* streams that wait for window */
    size_t waiting_count;
};

/* canned_h2_make - the frames of one answer. 0 or -ERR_NOMEM. */
int canned_h2_make(struct canned *canned, struct str body) MUST_USE;
/* canned_h2_input - frames out of bytes; how many bytes are done with, -1: close. */
ptrdiff_t canned_h2_input(struct canned_conn *conn, struct str bytes) MUST_USE;

#endif
