/* SPDX-License-Identifier: MIT
 * keeper.h - the holder process: keeps listening descriptors while the agent restarts, so that
 *            nobody in a container can take Berth's port meanwhile.
 * Floor: agent/daemon; its own process.
 * Owns: copies of the descriptors, metadata as opaque text.
 * Invariant: an entry goes when its container's init ends, even with no agent there; without
 *            agent and entries the process ends. agent_test.c.
 * Protocol, SOCK_SEQPACKET, host byte order: struct keeper_head, then the metadata. */
#ifndef BERTH_AGENT_DAEMON_KEEPER_H
#define BERTH_AGENT_DAEMON_KEEPER_H

#include "api/binding.h"

#define KEEPER_MAGIC 0x42544b31u /* "BTK1" */
#define KEEPER_TEXT_BYTES_MAX 4096u
/* pidfd, then listeners: one, two from agents that had one a family, one more with --unix. A holder
 * lives through upgrades of the agent: more than it knows would be refused, so this only grows. */
#define KEEPER_FDS_MAX 4u

enum keeper_kind {
    KEEPER_PUT = 1,   /* agent: keep this, with fds */
    KEEPER_DROP = 2,  /* agent: forget this key */
    KEEPER_LIST = 3,  /* agent: tell all */
    KEEPER_ENTRY = 4, /* holder: one of them, with fds */
    KEEPER_END = 5    /* holder: that was all */
};
struct keeper_head {
    uint32_t magic;
    uint32_t kind;
    uint8_t key[INCARNATION_BYTES];
};

/* keeper_run - serve on listen_fd until it is of no use any more. Returns the exit status. */
int keeper_run(int listen_fd) MUST_USE;

#endif
