/* SPDX-License-Identifier: MIT
 * attest.h - which container is at the other end? A list of attestors, each from kernel facts
 *            alone.
 * Floor: agent/kernel; the agent's loop thread.
 * Owns: nothing; candidates are borrowed for the call.
 * Invariant: exactly one candidate is selected or none; an attestor considers only candidates
 *            that were bound with it; nothing that the peer sends is looked at. attest_test.c,
 *            kernel_test.c. */
#ifndef BERTH_AGENT_KERNEL_ATTEST_H
#define BERTH_AGENT_KERNEL_ATTEST_H

#include "agent/kernel/cgroup.h"

enum attestor_id {
#define ATTESTOR_ROW(symbol, name, text) ATTESTOR_##symbol,
#include "agent/kernel/attestors.def"
#undef ATTESTOR_ROW
    ATTESTOR_COUNT
};

/* An active container of the namespace. attestors: bits 1 << attestor_id that suffice for it. */
struct attest_candidate {
    uint64_t cgroup_id;
    uint32_t attestors;
};
/* One accepted connection. peer_cgroup: 0 = the kernel does not tell, or the peer is gone. */
struct attest_scene {
    struct cgroup_tree *tree;
    bool host; /* accepted on the host's own loopback */
    uint64_t peer_cgroup;
    const struct attest_candidate *candidates;
    size_t candidate_count;
};
/* What is known of a container when it is bound. */
struct attest_facts {
    struct cgroup_tree *tree;
    bool host;
    bool alone;              /* nobody else lives in its namespace yet */
    uint64_t cgroup_id;      /* of its init */
    uint64_t runtime_cgroup; /* of the process that runs the hook; 0 = unknown */
};

struct attestor {
    const char *name;
    /* can it tell this container from all others? */
    bool (*suffices)(const struct attest_facts *facts);
    /* index into candidates; -ERR_UNAUTHENTICATED: none of mine */
    int (*select)(const struct attest_scene *scene, size_t *ret_index);
};
const struct attestor *attestor_get(enum attestor_id id);

/* attest_suffices - bits of the attestors that can identify this container; 0 = none can. */
uint32_t attest_suffices(const struct attest_facts *facts);
/* attest_names - "netns+cgroup,netns" into out[128], NUL-terminated. */
void attest_names(uint32_t attestors, char out[128]);
/* attest_select - the first attestor that selects one. 0 or -ERR_UNAUTHENTICATED. */
int attest_select(const struct attest_scene *scene, size_t *ret_index) MUST_USE;

#endif
