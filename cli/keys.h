/* SPDX-License-Identifier: MIT
 * keys.h - making an API key, for `berth keys create` and for the first start.
 * Floor: cli; main thread.
 * Owns: nothing.
 * Invariant: see keys.c. */
#ifndef BERTH_CLI_KEYS_H
#define BERTH_CLI_KEYS_H

#include "cli/cli.h"

/* keys_create - make ApiKey `name` that spends from `wallet`, its secret into `path` (which must
 * not exist). Prints what went wrong. Returns an exit code; *ret_reply holds the secret: do not
 * print it. */
int keys_create(struct cli *cli, const char *name, const char *wallet, const char *path,
                const struct tree **ret_reply) MUST_USE;

#endif
