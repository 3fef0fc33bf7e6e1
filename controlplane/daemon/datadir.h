/* SPDX-License-Identifier: MIT
 * datadir.h - the data directory: what the first start makes, and what every start checks.
 * Floor: controlplane/daemon; main thread, before the loop runs.
 * Owns: the secrets in struct datadir.
 * Invariant: directory 0700, secrets 0600; what others may read is refused, not repaired. */
#ifndef BERTH_CONTROLPLANE_DAEMON_DATADIR_H
#define BERTH_CONTROLPLANE_DAEMON_DATADIR_H

#include "controlplane/daemon/flags.h"
#include "controlplane/reconcile/keyring.h"
#include "controlplane/seal/seal.h"
#include "lib/base/secret.h"

#define DATADIR_PATH_BYTES 4096u

struct datadir {
    char path[DATADIR_PATH_BYTES]; /* absolute */
    char pki[DATADIR_PATH_BYTES];
    char store[DATADIR_PATH_BYTES + 16];
    char admin_socket[DATADIR_PATH_BYTES];
    char backup[DATADIR_PATH_BYTES]; /* copies of the store, while one is taken away */
    struct keyring keyring;
    struct secret *admin_token;
    struct seal *seal; /* of the stored secrets */
};
/* datadir_open - make or check everything. -ERR_PERMISSION: unsafe modes, with the chmod to run. */
int datadir_open(const struct flags *options, struct datadir *datadir, struct err *err) MUST_USE;
void datadir_close(struct datadir *datadir);

#endif
