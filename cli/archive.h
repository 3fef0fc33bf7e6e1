/* SPDX-License-Identifier: MIT
 * archive.h - tar files (POSIX ustar, regular files only): written whole, read with suspicion.
 * Floor: cli; main thread.
 * Owns: nothing; files are the caller's.
 * Invariant: a name that is read is relative, in at most ARCHIVE_DEPTH folders, and leads nowhere
 *            else; archive_test.c, archive_fuzz.c. */
#ifndef BERTH_CLI_ARCHIVE_H
#define BERTH_CLI_ARCHIVE_H

#include <stdio.h>

#include "lib/base/err.h"
#include "lib/base/str.h"

#define ARCHIVE_BLOCK_BYTES 512u
#define ARCHIVE_NAME_BYTES 100u                          /* with its NUL, when it is shorter */
#define ARCHIVE_FILE_BYTES_MAX ((UINT64_C(8) << 30) - 1) /* eleven octal digits */
#define ARCHIVE_DEPTH 2u

struct archive_head {
    char name[ARCHIVE_NAME_BYTES + 1];
    uint64_t bytes;
};

/* archive_put - append a file of `bytes` bytes, mode 0600, from `from`; text: from memory instead.
 * 0; -ERR_INVALID (such a name cannot be read back), -ERR_TOO_LARGE, -ERR_IO (also: the file has
 * become shorter), -ERR_NO_SPACE. */
int archive_put(FILE *out, const char *name, FILE *from, uint64_t bytes, int64_t mtime_s,
                struct err *err) MUST_USE;
int archive_put_text(FILE *out, const char *name, struct str text, int64_t mtime_s,
                     struct err *err) MUST_USE;
/* archive_end - the two empty blocks. 0, -ERR_IO, -ERR_NO_SPACE. */
int archive_end(FILE *out, struct err *err) MUST_USE;

/* archive_head_read - one block. 0; -ERR_CLOSED: the end; -ERR_PARSE, -ERR_INVALID. */
int archive_head_read(const uint8_t block[ARCHIVE_BLOCK_BYTES], struct archive_head *ret_head,
                      struct err *err) MUST_USE;
/* archive_next - the head of the next file of `in`, which stands in front of its bytes then.
 * As archive_head_read; -ERR_IO: it ends in the middle. */
int archive_next(FILE *in, struct archive_head *ret_head, struct err *err) MUST_USE;
/* archive_take - the bytes of that file into `out`, past what pads them. 0, -ERR_IO,
 * -ERR_NO_SPACE. */
int archive_take(FILE *in, const struct archive_head *head, FILE *out, struct err *err) MUST_USE;

#endif
