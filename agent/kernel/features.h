/* SPDX-License-Identifier: MIT
 * features.h - which of the younger kernel calls may be used.
 * Floor: agent/kernel; any thread.
 * Owns: nothing.
 * Invariant: BERTH_KERNEL_WITHOUT=NAME,NAME makes this kernel look as old as it says, so that the
 *            older ways are tested on every kernel. kernel_test.c, attest_test.c. */
#ifndef BERTH_AGENT_KERNEL_FEATURES_H
#define BERTH_AGENT_KERNEL_FEATURES_H

#include <stdbool.h>

#include "lib/base/str.h"

/* Names: "pidfd_info" (PIDFD_GET_INFO, 6.13), "pidfd_netns" (PIDFD_GET_NET_NAMESPACE, 6.11),
 * "peerpidfd" (SO_PEERPIDFD, 6.5). features_without - this one shall not be used. */
bool features_without(struct str name);

#endif
