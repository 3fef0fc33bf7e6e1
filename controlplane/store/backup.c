/* SPDX-License-Identifier: MIT
 * backup.c - see backup.h: SQLite's own online copy, through the connection that writes.
 * Floor: controlplane/store; the engine thread.
 * Owns: see backup.h.
 * Invariant: see backup.h. The source's connection is the only one that writes, so SQLite carries
 *            each of its commits into the copy instead of starting over. */
#include "controlplane/store/backup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "controlplane/store/sqlite_int.h"
#include "controlplane/store/watch_int.h"
#include "lib/base/check.h"

#define PAGE_BYTES 4096u

struct store_backup {
    sqlite3 *copy;
    sqlite3_backup *copying; /* NULL: done or failed */
    uint64_t left;
    bool whole;
    char *part; /* what it is called until then; behind the path */
    char path[];
};
#define PART ".part"

static int
begin(struct store_backup *backup, struct sqlite *source, struct err *err)
{
    int code =
        sqlite3_open_v2(backup->part, &backup->copy,
                        SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, NULL);
    if (code == SQLITE_OK)
        backup->copying = sqlite3_backup_init(backup->copy, "main", source->db, "main");
    if (backup->copying != NULL)
        return 0;
    return err_set(err, (enum err_code) - sqlite_error(sqlite3_extended_errcode(backup->copy)),
                   "%s: %s", backup->path, sqlite3_errmsg(backup->copy));
}

static struct store_backup *
backup_alloc(const char *path)
{
    size_t bytes = strlen(path) + 1;
    struct store_backup *backup = calloc(1, sizeof(*backup) + 2 * bytes + sizeof(PART));
    if (backup == NULL)
        return NULL;
    memcpy(backup->path, path, bytes);
    backup->part = backup->path + bytes;
    memcpy(backup->part, path, bytes - 1);
    memcpy(backup->part + bytes - 1, PART, sizeof(PART));
    return backup;
}

int
store_backup_new(struct store *store, const char *path, struct store_backup **ret_backup,
                 struct err *err)
{
    if (store->backend != &store_backend_sqlite)
        return err_set(err, ERR_UNSUPPORTED, "this store has no file that could be copied");
    if (access(path, F_OK) == 0)
        return err_set(err, ERR_EXISTS, "%s exists already", path);
    struct store_backup *made = backup_alloc(path);
    if (made == NULL)
        return err_set(err, ERR_NOMEM, "no memory for the copy");
    int fd = open(made->part, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0) {
        int rc = err_set_errno(err, errno, "cannot make %s", made->part);
        free(made); /* the file that is there is not ours */
        return rc;
    }
    (void)close(fd);
    CLEANUP(store_backup_free) struct store_backup *backup = made;
    int rc = begin(backup, store->self, err);
    if (rc == 0)
        *ret_backup = TAKE(backup);
    return rc;
}

int
store_backup_step(struct store_backup *backup, struct err *err)
{
    ASSERT(backup->copying != NULL);
    int code = sqlite3_backup_step(backup->copying, STORE_BACKUP_STEP_BYTES / PAGE_BYTES);
    backup->left = (uint64_t)sqlite3_backup_remaining(backup->copying) * PAGE_BYTES;
    if (code == SQLITE_OK)
        return -ERR_AGAIN;
    int finished = sqlite3_backup_finish(TAKE(backup->copying));
    int closed = sqlite3_close(TAKE(backup->copy));
    code = code != SQLITE_DONE ? code : finished != SQLITE_OK ? finished : closed;
    if (code != SQLITE_OK)
        return err_set(err, (enum err_code) - sqlite_error(code), "%s: %s", backup->path,
                       sqlite3_errstr(code));
    if (rename(backup->part, backup->path) != 0)
        return err_set_errno(err, errno, "cannot make %s", backup->path);
    backup->whole = true;
    return 0;
}

void
store_backup_remove(const char *path)
{
    struct store_backup *backup = backup_alloc(path);
    if (backup == NULL)
        return;
    (void)unlink(backup->part);
    (void)unlink(path);
    free(backup);
}

uint64_t
store_backup_left(const struct store_backup *backup)
{
    return backup->left;
}

void
store_backup_free(struct store_backup **backup)
{
    if (backup == NULL || *backup == NULL)
        return;
    if ((*backup)->copying != NULL)
        (void)sqlite3_backup_finish((*backup)->copying);
    if ((*backup)->copy != NULL)
        (void)sqlite3_close((*backup)->copy);
    if (!(*backup)->whole)
        (void)unlink((*backup)->part);
    free(*backup);
    *backup = NULL;
}
