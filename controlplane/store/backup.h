/* SPDX-License-Identifier: MIT
 * backup.h - a copy of a running store, as one SQLite file.
 * Floor: controlplane/store; the engine thread.
 * Owns: struct store_backup: the copy's connection, and its file until the copy is whole.
 * Invariant: the copy is the store as it was at the end of the last step, never a mixture; it has
 *            its name when it is whole, and what is not whole is removed. sqlite_test.c. */
#ifndef BERTH_CONTROLPLANE_STORE_BACKUP_H
#define BERTH_CONTROLPLANE_STORE_BACKUP_H

#include "controlplane/store/store.h"

#define STORE_BACKUP_STEP_BYTES (1u << 20)

struct store_backup;
/* store_backup_new - path: absolute; PATH.part is made with mode 0600, and PATH of it when it is
 * whole: who opens PATH never reads half a copy. The store outlives the backup.
 * 0; -ERR_UNSUPPORTED (a store without a file), -ERR_EXISTS, -ERR_NO_SPACE, -ERR_NOMEM, -ERR_IO. */
int store_backup_new(struct store *store, const char *path, struct store_backup **ret_backup,
                     struct err *err) MUST_USE;
/* store_backup_step - copy about STORE_BACKUP_STEP_BYTES more; what is committed between two steps
 * is in the copy, too. 0: it is whole and on disk; -ERR_AGAIN: there is more; else it failed and
 * err says why. */
int store_backup_step(struct store_backup *backup, struct err *err) MUST_USE;
/* store_backup_left - bytes that are still to be copied, as of the last step. */
uint64_t store_backup_left(const struct store_backup *backup);
/* store_backup_free - unlinks the file when the copy is not whole. store_backup_remove - unlink the
 * copy at `path`, and what a process that died left of one. */
void store_backup_free(struct store_backup **backup);
void store_backup_remove(const char *path);

#endif
