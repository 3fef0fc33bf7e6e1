/* SPDX-License-Identifier: MIT
 * daemon.h - the control plane as a process: everything wired to one loop.
 * Floor: controlplane/daemon; main thread = engine thread.
 * Owns: all of it.
 * Invariant: torn down in reverse order of the wiring; daemon_test.c starts, stops and kills it. */
#ifndef BERTH_CONTROLPLANE_DAEMON_DAEMON_H
#define BERTH_CONTROLPLANE_DAEMON_DAEMON_H

#include "controlplane/daemon/flags.h"

#define BERTH_VERSION "0.1.0"

/* daemon_run - until SIGTERM or SIGINT. Prints the ready line on stdout. 0, or -ERR_* with a
 * sentence: -ERR_PERMISSION is an unsafe configuration (exit 78). */
int daemon_run(const struct flags *options, struct err *err) MUST_USE;

#endif
