/* SPDX-License-Identifier: MIT
 * flags.h - flags of berth-controlplane.
 * Floor: controlplane/daemon; main thread.
 * Owns: nothing; texts are argv's, the environment's or literals.
 * Invariant: a flag wins over its BERTH_* variable, and that over the default. */
#ifndef BERTH_CONTROLPLANE_DAEMON_FLAGS_H
#define BERTH_CONTROLPLANE_DAEMON_FLAGS_H

#include "lib/base/err.h"
#include "lib/base/str.h"

struct flags {
    const char *data;
    const char *listen_admin;
    const char *listen_planes;
    const char *store; /* NULL = sqlite in the data directory */
    const char *server_name;
    const char *validity_lease;   /* a duration */
    const char *offline_sim;      /* BERTH_OFFLINE_SIM, or NULL */
    const char *container_tokens; /* "strict" or "tag"; NULL = strict */
    const char *markup_bps;
    const char *fee_bps;              /* on transfers */
    const char *orphan_lease;         /* a duration */
    const char *usage_retention;      /* a duration, or "forever" */
    const char *discovery_interval;   /* a duration, or "off"; NULL: the default */
    const char *seal_key_file;        /* NULL: seal.key in the data directory */
    const char *seal_passphrase_file; /* or NULL; wins */
    bool help;
    bool print_catalogue;
};
extern const char flags_help[];
/* flags_parse - 0; -ERR_INVALID, -ERR_UNKNOWN_KEY with a sentence. */
int flags_parse(int argc, char **argv, struct flags *ret_options, struct err *err) MUST_USE;

#endif
