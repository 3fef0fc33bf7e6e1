/* SPDX-License-Identifier: MIT
 * bootstrap.h - zero configuration: the default wallet, and Providers from the environment.
 * Floor: controlplane/daemon; main thread, before the engine starts.
 * Owns: nothing.
 * Invariant: a person's object is never touched: only absent ones are made, and only those that are
 *            managed by the same source are updated or removed. daemon_test.c. */
#ifndef BERTH_CONTROLPLANE_DAEMON_BOOTSTRAP_H
#define BERTH_CONTROLPLANE_DAEMON_BOOTSTRAP_H

#include "controlplane/object/object.h"

/* bootstrap - offline_sim: base URL of berth-sim, or NULL. *ret_providers: how many Providers come
 * from the environment or the simulator now. */
int bootstrap(struct store *store, const char *offline_sim, size_t *ret_providers,
              struct err *err) MUST_USE;

#endif
