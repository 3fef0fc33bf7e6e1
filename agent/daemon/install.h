/* SPDX-License-Identifier: MIT
 * install.h - tells container runtimes about berth-hook.
 * Floor: agent/daemon; main thread.
 * Owns: nothing.
 * Invariant: only our own two files are written or removed, and one member of Docker's daemon.json.
 *            install_test.c. */
#ifndef BERTH_AGENT_DAEMON_INSTALL_H
#define BERTH_AGENT_DAEMON_INSTALL_H

#include "agent/daemon/agent_options.h"
#include "lib/base/buf.h"

/* install_hooks - write 50-berth-{create,poststop}.json for podman and CRI-O into
 * options->hooks_dir. */
int install_hooks(const struct agent_options *options, struct err *err) MUST_USE;
int install_remove(const struct agent_options *options, struct err *err) MUST_USE;
/* install_runc_hooks - the "hooks" member for a runc or crun config.json, appended to out. */
int install_runc_hooks(const struct agent_options *options, struct buf *out,
                       struct err *err) MUST_USE;

/* install_docker - set or remove runtimes.berth (berth-runc) in options->docker_config; the rest of
 * that file stays as it is. dockerd reads it when it starts. */
int install_docker(const struct agent_options *options, bool remove, struct err *err) MUST_USE;

#endif
