/* SPDX-License-Identifier: MIT
 * keyfile.h - a new API key's secret into a file that only its owner reads.
 * Floor: cli; main thread.
 * Owns: nothing.
 * Invariant: mode 0600 in a directory 0700; an existing file is not replaced. stack_test.c. */
#ifndef BERTH_CLI_KEYFILE_H
#define BERTH_CLI_KEYFILE_H

#include "cli/cli.h"

/* keyfile_path - DIR/NAME.key, DATA/keys/NAME.key for dir NULL; in the arena. */
const char *keyfile_path(struct cli *cli, const char *dir, struct str name);
/* keyfile_write - says on stderr where the key is. When the file cannot be written the key is lost:
 * the sentence says how to go on. Returns an exit code. */
int keyfile_write(struct cli *cli, const char *dir, struct str name, struct str key);
/* keyfile_write_to - the same to one path, silent. 0, -ERR_EXISTS, a code of secret_write_file. */
int keyfile_write_to(const char *path, struct str key, struct err *err) MUST_USE;
/* keyfile_remove - of a key of this host that was deleted; says so when there was one. */
void keyfile_remove(struct cli *cli, struct str name);

#endif
