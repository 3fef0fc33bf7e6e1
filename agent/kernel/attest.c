/* SPDX-License-Identifier: MIT
 * attest.c - the attestors of this kernel: namespace and cgroup.
 * Floor: agent/kernel; the agent's loop thread.
 * Owns: nothing.
 * Invariant: two candidates that fit equally well are none. attest_test.c. */
#include "agent/kernel/attest.h"

#include <stdio.h>

#include "lib/base/check.h"

/* A cgroup of its own: not the root, not ours, and not the one in which the runtime itself runs (a
 * container started without cgroups shares that with whoever started it). */
static bool
has_own_cgroup(const struct attest_facts *facts)
{
    return cgroup_identifies(facts->tree, facts->cgroup_id) &&
           !cgroup_within(facts->tree, facts->runtime_cgroup, facts->cgroup_id);
}

/* The candidate whose cgroup is the peer's, else the only one above the peer's. */
static int
select_by_cgroup(const struct attest_scene *scene, enum attestor_id id, size_t *ret_index)
{
    size_t found = SIZE_MAX;
    size_t exact = 0;
    size_t above = 0;
    if (!cgroup_identifies(scene->tree, scene->peer_cgroup))
        return -ERR_UNAUTHENTICATED;
    for (size_t i = 0; i < scene->candidate_count; i++) {
        const struct attest_candidate *candidate = &scene->candidates[i];
        if ((candidate->attestors & 1u << id) == 0)
            continue;
        if (candidate->cgroup_id == scene->peer_cgroup) {
            exact++;
            found = i;
        } else if (exact == 0 &&
                   cgroup_within(scene->tree, scene->peer_cgroup, candidate->cgroup_id)) {
            above++;
            found = i;
        }
    }
    if (exact > 1 || (exact == 0 && above != 1))
        return -ERR_UNAUTHENTICATED;
    *ret_index = found;
    return 0;
}

static bool
netns_cgroup_suffices(const struct attest_facts *facts)
{
    return !facts->host && has_own_cgroup(facts);
}

static int
netns_cgroup_select(const struct attest_scene *scene, size_t *ret_index)
{
    if (scene->way != ATTEST_LOOPBACK)
        return -ERR_UNAUTHENTICATED;
    return select_by_cgroup(scene, ATTESTOR_netns_cgroup, ret_index);
}

/* Weaker: whoever is in the namespace is the container. Only where nothing better can be had. */
static bool
netns_suffices(const struct attest_facts *facts)
{
    return !facts->host && facts->alone && !has_own_cgroup(facts);
}

static int
netns_select(const struct attest_scene *scene, size_t *ret_index)
{
    if (scene->way != ATTEST_LOOPBACK || scene->candidate_count != 1 ||
        (scene->candidates[0].attestors & 1u << ATTESTOR_netns) == 0)
        return -ERR_UNAUTHENTICATED;
    *ret_index = 0;
    return 0;
}

static bool
hostnet_cgroup_suffices(const struct attest_facts *facts)
{
    return facts->host && has_own_cgroup(facts);
}

static int
hostnet_cgroup_select(const struct attest_scene *scene, size_t *ret_index)
{
    if (scene->way != ATTEST_HOST)
        return -ERR_UNAUTHENTICATED;
    return select_by_cgroup(scene, ATTESTOR_hostnet_cgroup, ret_index);
}

static bool
unix_pidfd_suffices(const struct attest_facts *facts)
{
    return facts->has_unix && has_own_cgroup(facts);
}

/* A pid that may be another's by now cannot tell neighbours apart. */
static int
unix_pidfd_select(const struct attest_scene *scene, size_t *ret_index)
{
    if (scene->way != ATTEST_UNIX || (scene->peer_unsure && scene->candidate_count != 1))
        return -ERR_UNAUTHENTICATED;
    return select_by_cgroup(scene, ATTESTOR_unix_pidfd, ret_index);
}

static bool
ip_nft_suffices(const struct attest_facts *facts)
{
    return !facts->host && facts->is_pinned;
}

static int
ip_nft_select(const struct attest_scene *scene, size_t *ret_index)
{
    size_t found = SIZE_MAX;
    if (scene->way != ATTEST_ADDRESS || scene->peer_address == 0)
        return -ERR_UNAUTHENTICATED;
    for (size_t i = 0; i < scene->candidate_count; i++) {
        const struct attest_candidate *candidate = &scene->candidates[i];
        if ((candidate->attestors & 1u << ATTESTOR_ip_nft) == 0 ||
            candidate->address != scene->peer_address)
            continue;
        if (found != SIZE_MAX)
            return -ERR_UNAUTHENTICATED;
        found = i;
    }
    if (found == SIZE_MAX)
        return -ERR_UNAUTHENTICATED;
    *ret_index = found;
    return 0;
}

static const struct attestor attestors[ATTESTOR_COUNT] = {
#define ATTESTOR_ROW(symbol, name_, text) \
    [ATTESTOR_##                          \
        symbol] = {.name = (name_), .suffices = symbol##_suffices, .select = symbol##_select},
#include "agent/kernel/attestors.def"
#undef ATTESTOR_ROW
};

uint32_t
attest_suffices(const struct attest_facts *facts)
{
    uint32_t bits = 0;
    for (unsigned i = 0; i < ATTESTOR_COUNT; i++)
        bits |= attestors[i].suffices(facts) ? 1u << i : 0u;
    return bits;
}

int
attest_parse(struct str list, uint32_t *ret_attestors, struct err *err)
{
    uint32_t bits = 0;
    while (list.len > 0) {
        struct str item = STR_EMPTY;
        unsigned id = 0;
        (void)str_cut(list, ',', &item, &list);
        item = str_trim(item);
        while (id < ATTESTOR_COUNT && !str_eq(item, str_from(attestors[id].name)))
            id++;
        if (id == ATTESTOR_COUNT) {
            char known[128];
            attest_names((1u << ATTESTOR_COUNT) - 1u, known);
            return err_set(err, ERR_INVALID, "unknown attestor \"%.*s\"; there are %s",
                           (int)MIN(item.len, (size_t)40), item.ptr, known);
        }
        bits |= 1u << id;
    }
    if (bits == 0)
        return err_set(err, ERR_INVALID, "no attestor is named");
    *ret_attestors = bits;
    return 0;
}

void
attest_names(uint32_t bits, char out[128])
{
    size_t at = 0;
    out[0] = '\0';
    for (unsigned i = 0; i < ATTESTOR_COUNT; i++) {
        if ((bits & 1u << i) == 0)
            continue;
        int count = snprintf(out + at, 128 - at, "%s%s", at > 0 ? "," : "", attestors[i].name);
        ASSERT(count > 0 && at + (size_t)count < 128);
        at += (size_t)count;
    }
}

int
attest_select(const struct attest_scene *scene, size_t *ret_index)
{
    for (unsigned i = 0; i < ATTESTOR_COUNT; i++) {
        if (attestors[i].select(scene, ret_index) == 0) {
            ASSERT(*ret_index < scene->candidate_count);
            return 0;
        }
    }
    return -ERR_UNAUTHENTICATED;
}
