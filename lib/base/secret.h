/* SPDX-License-Identifier: MIT
 * secret.h - bytes that must not be printed, swapped, dumped or compared carelessly.
 * Floor: lib/base; any thread, one at a time per object.
 * Owns: its memory: own pages, mlock'ed where allowed, MADV_DONTDUMP, wiped on free.
 * Invariant: there is no printer; equality takes the same time for every content. */
#ifndef BERTH_LIB_BASE_SECRET_H
#define BERTH_LIB_BASE_SECRET_H

#include "lib/base/err.h"
#include "lib/base/str.h"

struct secret;

/* secret_new - copy bytes into a new secret. NULL on no memory. */
struct secret *secret_new(struct str bytes) MUST_USE;
void secret_free(struct secret **secret);
/* secret_str - the bytes, borrowed until secret_free, with a NUL behind them (ptr[len]). Use at the
 * last moment only. */
struct str secret_str(const struct secret *secret);
/* secret_eq - constant time in the content (not in the lengths). */
bool secret_eq(struct str a, struct str b);
/* secret_wipe - explicit_bzero. */
void secret_wipe(void *bytes, size_t count);
/* secret_read_file - whole file (<= 64 KiB), one trailing LF or CR LF removed. Refuses files that
 * group or others may read (-ERR_PERMISSION, message names the mode and the chmod to run). */
int secret_read_file(const char *path, struct secret **ret_secret, struct err *err) MUST_USE;
/* secret_write_file - create or replace `path` with mode 0600, by temporary file, fsync and rename.
 */
int secret_write_file(const char *path, struct str bytes, struct err *err) MUST_USE;

#endif
