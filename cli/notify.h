/* SPDX-License-Identifier: MIT
 * notify.h - tell the service manager that started us how we are (sd_notify(3), its socket alone).
 * Floor: cli; main thread.
 * Owns: nothing.
 * Invariant: without NOTIFY_SOCKET nothing happens; nobody waits for an answer. e2e/newuser.sh. */
#ifndef BERTH_CLI_NOTIFY_H
#define BERTH_CLI_NOTIFY_H

/* notify_manager - state: "READY=1", "STOPPING=1". */
void notify_manager(const char *state);

#endif
