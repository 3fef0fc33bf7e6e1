/* SPDX-License-Identifier: MIT
 * pin.h - nft rules that give an address of a bridge to one port and one MAC address of it alone.
 * Floor: agent/kernel; one thread; starts `nft`, which takes some milliseconds.
 * Owns: table bridge berth.
 * Invariant: while an address is pinned, nothing from another port, or with another MAC address,
 *            gets past the bridge with it, neither IP nor ARP; what is not pinned is not touched.
 *            bridge_test.c. */
#ifndef BERTH_AGENT_KERNEL_PIN_H
#define BERTH_AGENT_KERNEL_PIN_H

#include <stdbool.h>

#include "agent/kernel/netns.h"

/* pin_open - an empty table. 0; -ERR_UNSUPPORTED: no nft, or the kernel does not take the rules. */
int pin_open(struct err *err) MUST_USE;
void pin_close(void);
/* pin_set - port: of netns_port; its other end must be here. */
int pin_set(const struct netns_port *port, struct err *err) MUST_USE;
void pin_clear(const struct netns_port *port);

#endif
