/* SPDX-License-Identifier: MIT
 * file.h - small files of other programs: read whole, replaced whole.
 * Floor: agent/oci; any thread.
 * Owns: nothing.
 * Invariant: a file is the old one or the new one, never a part; a replaced one keeps its mode and
 *            owner. file_test.c. */
#ifndef BERTH_AGENT_OCI_FILE_H
#define BERTH_AGENT_OCI_FILE_H

#include "lib/base/buf.h"
#include "lib/base/err.h"

/* file_read - appended to out, whose max is the limit. 0; -ERR_NOT_FOUND, -ERR_TOO_LARGE, ... */
int file_read(const char *path, struct buf *out, struct err *err) MUST_USE;
/* file_replace - mode: of a file that was not there. */
int file_replace(const char *path, struct str text, unsigned mode, struct err *err) MUST_USE;

#endif
