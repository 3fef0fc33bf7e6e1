/* SPDX-License-Identifier: MIT
 * handoff.h - what the agent tells the local data plane over a SOCK_SEQPACKET socket: an accepted
 *             connection with the kernel's facts about its peer, or that an incarnation is dead.
 * Floor: api; any thread.
 * Owns: nothing; one fixed-size message, descriptors ride beside it.
 * Invariant: the data plane believes the facts (only root or its own uid may connect), but serves
 *            the connection only if they equal the evidence in a binding that the server signed. */
#ifndef BERTH_API_HANDOFF_H
#define BERTH_API_HANDOFF_H

#include "api/binding.h"

#define HANDOFF_MAGIC 0x42544831u /* "BTH1" */

enum handoff_kind {
    HANDOFF_CONN = 1,    /* with one fd: an accepted TCP connection of this incarnation */
    HANDOFF_REVOKE = 2,  /* this incarnation is dead: refuse it and cut its streams now */
    HANDOFF_REVOKED = 3, /* answer to REVOKE, data plane to agent: it is done on every loop */
    HANDOFF_PING = 4,    /* either way */
    HANDOFF_PONG = 5
};

/* Host byte order: both ends are on one machine. token: chosen by the sender, copied into the
 * answer; of CONN, which has none: ns that the connection before it took in the agent, from its
 * accept to the end of its message (berth_agent_attest_seconds); 0 = there was none. */
struct handoff {
    uint32_t magic;
    uint32_t kind;
    uint64_t token;
    uint8_t incarnation[INCARNATION_BYTES];
    uint64_t netns_cookie; /* of the listener that accepted */
    uint64_t cgroup_id;    /* of the instance that owns the peer socket; 0 = not attested */
};
_Static_assert(sizeof(struct handoff) == 48, "handoff is a wire format");

#endif
