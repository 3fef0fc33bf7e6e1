/* SPDX-License-Identifier: MIT
 * agent_options.h - command line and environment of berth-agent.
 * Floor: agent/daemon; main thread.
 * Owns: nothing; strings point into argv and environ.
 * Invariant: an unknown option, a missing one or a value out of range is one sentence and exit 1.
 *            agent_options_test.c. */
#ifndef BERTH_AGENT_DAEMON_AGENT_OPTIONS_H
#define BERTH_AGENT_DAEMON_AGENT_OPTIONS_H

#include <stdbool.h>
#include <sys/types.h>

#include "lib/base/err.h"
#include "lib/base/str.h"

enum agent_options_command {
    COMMAND_RUN,
    COMMAND_HELP,
    COMMAND_HOLDER,
    COMMAND_INSTALL_HOOKS,
    COMMAND_UNINSTALL_HOOKS,
    COMMAND_RUNC_HOOKS
};

#define OPTIONS_USERS_MAX 16u

struct agent_options {
    enum agent_options_command command;
    const char *run_dir;
    const char *control;       /* HOST:PORT of the control plane's node listener */
    const char *pki;           /* folder with ca.crt, agent.crt, agent.key */
    const char *dataplane;     /* unix path of the data plane's hand-over socket */
    const char *host_id;       /* NULL = /etc/machine-id */
    const char *boot_id;       /* NULL = the kernel's */
    uint16_t port;             /* offered inside containers */
    uint32_t attestors;        /* bits of those that suffice */
    uint32_t link_local;       /* 169.254.x.y for lo in containers, network order; 0 = none */
    const char *docker_socket; /* whose events to follow; "none" = do not */
    const char *podman_socket;
    uint32_t bridge_address; /* where attestor ip+nft listens, network order; 0 = nowhere */
    uid_t rootless[OPTIONS_USERS_MAX]; /* whose rootless containers get tokens */
    size_t rootless_count;
    const char *rootless_socket;
    bool with_unix; /* also listen on @berth */
    bool allow_untokened;
    bool no_holder;
    bool release_on_exit;
    const char *hooks_dir;     /* install-hooks */
    const char *docker_config; /* install-hooks --docker: /etc/docker/daemon.json */
    bool docker;
    const char *hook; /* path of berth-hook; NULL = beside this program */
    const char *when_down;
    int holder_fd;
};

extern const char agent_options_help[];
int agent_options_parse(int argc, char **argv, struct agent_options *ret_options,
                        struct err *err) MUST_USE;

#endif
