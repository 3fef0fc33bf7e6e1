/* SPDX-License-Identifier: MIT
 * link.h - the node's end of the control-plane stream: one HTTP/2 request, POST /planes/v1/stream
 *          over mTLS, one JSON record a line in both directions; reconnects by itself. Records:
 *          api/plane.md.
 * Floor: api; its loop's thread.
 * Owns: the HTTP client, the call, the out-queue.
 * Invariant: records arrive whole and in order within a connection; after `up` the node sends its
 *            hello first; a record over 16 MiB drops the connection. link_test.c. */
#ifndef BERTH_API_LINK_H
#define BERTH_API_LINK_H

#include "lib/net/loop.h"
#include "lib/text/json.h"

/* The link's own pings have smaller numbers; those above are the user's, and so are their pongs. */
#define LINK_PINGS_MAX UINT32_MAX

struct link;
struct link_ops {
    /* connected: send hello now */
    void (*up)(struct link *link, void *user);
    /* type: the record's "type"; doc is borrowed for the call; root is node 0 */
    void (*record)(struct link *link, struct str type, const struct json_doc *doc, void *user);
    /* lost (or never reached); a retry is scheduled: 50 ms doubling to 5 s, with jitter */
    void (*down)(struct link *link, const char *reason, void *user);
};
struct link_conf {
    struct loop *loop;
    const char *host; /* name or address of the control plane, verified by TLS */
    uint16_t port;
    const char *ca_file;
    const char *cert_file;
    const char *key_file;
    const struct link_ops *ops;
    void *user;
};
/* link_new - the first attempt is made in the loop's next turn. The server answers 200 at once,
 * before the first record; its body_rate_min must be 1 and its body_bytes_max unbounded. The link
 * pings every 4 s (and keeps the `pong` records of those, n <= LINK_PINGS_MAX, to itself); 12 s
 * without a byte are a lost connection. 0; -ERR_TLS, -ERR_NOT_FOUND, -ERR_PERMISSION (key files),
 * -ERR_NOMEM. */
int link_new(const struct link_conf *conf, struct link **ret_link, struct err *err) MUST_USE;
/* link_free - not from inside one of its callbacks (ASSERT). */
void link_free(struct link **link);
bool link_is_up(const struct link *link);
/* link_send - one record without its newline; copied. Dropped silently while down: after `up` the
 * node states everything anew. Returns false above 8 MiB queued (stop sending usage, go on with
 * acks). */
bool link_send(struct link *link, struct str json);

#endif
