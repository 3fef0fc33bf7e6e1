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
#include "lib/base/str.h"

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
    uint32_t address; /* pinned IPv4 address, network order; 0 = none */
};
/* How a connection came. */
enum attest_way {
    ATTEST_LOOPBACK, /* TCP over lo of a container's namespace */
    ATTEST_HOST,     /* TCP over the host's own lo */
    ATTEST_UNIX,     /* @berth of either */
    ATTEST_ADDRESS   /* TCP from a pinned address of a bridge */
};
/* One accepted connection. */
struct attest_scene {
    struct cgroup_tree *tree;
    enum attest_way way;
    uint64_t peer_cgroup;  /* 0 = the kernel does not tell, or the peer is gone */
    bool peer_unsure;      /* ATTEST_UNIX: peer_cgroup was read by a pid that may be reused */
    uint32_t peer_address; /* ATTEST_ADDRESS: network order */
    const struct attest_candidate *candidates;
    size_t candidate_count;
};
/* What is known of a container when it is bound. */
struct attest_facts {
    struct cgroup_tree *tree;
    bool host;
    bool alone;              /* nobody else lives in its namespace yet */
    bool has_unix;           /* its namespace has the listener @berth */
    bool is_pinned;          /* its address is pinned to its port of the bridge */
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

/* attest_suffices - bits of the attestors that can identify this container; 0 = none can. */
uint32_t attest_suffices(const struct attest_facts *facts);
/* attest_parse - bits of a list like "netns+cgroup,netns". 0; -ERR_INVALID names the unknown one
 * and the known ones. */
int attest_parse(struct str list, uint32_t *ret_attestors, struct err *err) MUST_USE;
/* Everything but what believes an address: what suffices when the operator says nothing. */
#define ATTESTORS_DEFAULT (((1u << ATTESTOR_COUNT) - 1u) & ~(1u << ATTESTOR_ip_nft))
/* Those whose evidence is the container's cgroup. */
#define ATTESTORS_BY_CGROUP \
    (1u << ATTESTOR_netns_cgroup | 1u << ATTESTOR_hostnet_cgroup | 1u << ATTESTOR_unix_pidfd)
/* attest_names - "netns+cgroup,netns" into out[128], NUL-terminated. */
void attest_names(uint32_t attestors, char out[128]);
/* attest_select - the first attestor that selects one. 0 or -ERR_UNAUTHENTICATED. */
int attest_select(const struct attest_scene *scene, size_t *ret_index) MUST_USE;

#endif
