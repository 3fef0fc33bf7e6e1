/* SPDX-License-Identifier: MIT
 * options.h - flags of berth-controlplane.
 * Floor: controlplane/daemon; main thread.
 * Owns: nothing; texts are argv's, the environment's or literals.
 * Invariant: a flag wins over its BERTH_* variable, and that over the default. */
#ifndef BERTH_CONTROLPLANE_DAEMON_OPTIONS_H
#define BERTH_CONTROLPLANE_DAEMON_OPTIONS_H

#include "lib/base/err.h"
#include "lib/base/str.h"

struct options {
    const char *data;
    const char *listen_admin;
    const char *listen_planes;
    const char *store; /* NULL = sqlite in the data directory */
    const char *server_name;
    const char *offline_sim; /* BERTH_OFFLINE_SIM, or NULL */
    bool help;
};
extern const char options_help[];
/* options_parse - 0; -ERR_INVALID, -ERR_UNKNOWN_KEY with a sentence. */
int options_parse(int argc, char **argv, struct options *ret_options, struct err *err) MUST_USE;

#endif
