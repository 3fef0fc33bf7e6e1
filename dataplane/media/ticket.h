/* SPDX-License-Identifier: MIT
 * ticket.h - what a vendor gives who makes pictures later: where to ask for them, and where to say
 *            that nobody waits any more.
 * Floor: dataplane/media; any thread, no I/O.
 * Owns: nothing; texts are borrowed or in the arena.
 * Invariant: an address that a vendor names is followed to himself only: never to another
 *            registrable domain, port or scheme, with our key. ticket_test.c. */
#ifndef BERTH_DATAPLANE_MEDIA_TICKET_H
#define BERTH_DATAPLANE_MEDIA_TICKET_H

#include "lib/base/arena.h"
#include "lib/text/uri.h"

/* Addresses as the vendor wrote them, in the arena; cancel: empty = he has none. */
struct ticket {
    struct str poll;
    struct str cancel;
};

/* ticket_address - where `url` leads, if it leads to the vendor whose address is base. *ret_host:
 * the host to call (base's, or one beside or below it), *ret_target: path and query; both in the
 * arena. 0; -ERR_PERMISSION: it leads elsewhere; -ERR_PARSE: it is no address; -ERR_NOMEM. */
int ticket_address(const struct uri *base, struct str url, struct arena *arena,
                   struct str *ret_host, struct str *ret_target) MUST_USE;

#endif
