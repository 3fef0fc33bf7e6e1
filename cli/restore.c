/* SPDX-License-Identifier: MIT
 * restore.c - berth restore: what berth backup packed becomes a data directory.
 * Floor: cli; main thread.
 * Owns: DATA/restore.partial, until everything in it is in its place.
 * Invariant: a data directory that holds a store is not touched; what fails leaves nothing.
 *            e2e/backup.sh. */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/archive.h"
#include "cli/command.h"
#include "cli/preflight.h"

#define PARTIAL "restore.partial"
#define FILES_MAX 20000u
#define FTW_FDS 16
#define TITLE_BYTES_MAX 1024u

static const char *const folders[] = {"controlplane", "controlplane/pki", "keys"};

static int
remove_one(const char *path, const struct stat *info, int kind, struct FTW *walk)
{
    (void)info;
    (void)kind;
    (void)walk;
    return remove(path);
}

static const char *
partial_path(struct cli *cli, const char *name)
{
    struct str path = arena_printf(&cli->arena, PARTIAL "/%s", name);
    return cli_path(cli, path.ptr != NULL ? path.ptr : PARTIAL);
}

/* Only what berth backup writes. */
static bool
is_ours(const char *name)
{
    const char *slash = strrchr(name, '/');
    for (size_t i = 0; slash != NULL && i < ARRAY_LEN(folders); i++) {
        if (str_eq(str_make(name, (size_t)(slash - name)), str_from(folders[i])))
            return true;
    }
    return false;
}

static int
take_file(struct cli *cli, FILE *in, const struct archive_head *head, struct err *err)
{
    if (!is_ours(head->name))
        return err_set(err, ERR_INVALID, "it holds %s, which berth backup does not write",
                       head->name);
    const char *path = partial_path(cli, head->name);
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    FILE *out = fd >= 0 ? fdopen(fd, "w") : NULL;
    if (out == NULL)
        return err_set_errno(err, errno, "cannot make %s", path);
    int rc = archive_take(in, head, out, err);
    if (rc == 0 && (fflush(out) != 0 || fsync(fd) != 0))
        rc = err_set_errno(err, errno, "cannot write %s", path);
    if (fclose(out) != 0 && rc == 0)
        rc = err_set(err, ERR_IO, "cannot write %s", path);
    return rc;
}

/* The first file says what it is; versions after ours may hold what we do not know. */
static int
take_title(FILE *in, struct err *err)
{
    struct archive_head head;
    char *text = NULL;
    size_t bytes = 0;
    int rc = archive_next(in, &head, err);
    if (rc != 0 && rc != -ERR_CLOSED)
        return rc;
    if (rc != 0 || strcmp(head.name, "berth-backup") != 0 || head.bytes > TITLE_BYTES_MAX)
        return err_set(err, ERR_INVALID, "berth backup did not write it");
    FILE *out = open_memstream(&text, &bytes);
    if (out == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    rc = archive_take(in, &head, out, err);
    (void)fclose(out);
    if (rc == 0 && !str_starts(str_make(text, bytes), STR("version 1\n")))
        rc = err_set(err, ERR_UNSUPPORTED, "a newer Berth wrote it: restore it with that version");
    free(text);
    return rc;
}

static int
unpack(struct cli *cli, FILE *in, uint64_t *ret_files, struct err *err)
{
    struct archive_head head;
    int rc = mkdir(cli_path(cli, PARTIAL), 0700);
    for (size_t i = 0; i < ARRAY_LEN(folders) && rc == 0; i++)
        rc = mkdir(partial_path(cli, folders[i]), 0700);
    if (rc != 0)
        return err_set_errno(err, errno, "cannot make %s", cli_path(cli, PARTIAL));
    *ret_files = 0;
    while (rc == 0 && (rc = archive_next(in, &head, err)) == 0) {
        rc = ++*ret_files <= FILES_MAX ? take_file(cli, in, &head, err)
                                       : err_set(err, ERR_TOO_LARGE, "it holds too many files");
    }
    if (rc == -ERR_CLOSED && access(partial_path(cli, "controlplane/berth.db"), F_OK) != 0)
        return err_set(err, ERR_INVALID, "there is no store in it");
    return rc == -ERR_CLOSED ? 0 : rc;
}

/* The store's folder last: a data directory with a store has everything else, too. */
static int
move_in(struct cli *cli, struct err *err)
{
    static const char *const moved[] = {"keys", "controlplane"};
    for (size_t i = 0; i < ARRAY_LEN(moved); i++) {
        const char *to = cli_path(cli, moved[i]);
        if (rename(partial_path(cli, moved[i]), to) == 0)
            continue;
        int rc = err_set_errno(err, errno, "cannot put %s in its place (is it empty?)", to);
        while (i-- > 0) /* what is in its place already goes with the rest */
            (void)rename(cli_path(cli, moved[i]), partial_path(cli, moved[i]));
        return rc;
    }
    return 0;
}

/* A data directory that nobody uses and that holds no store yet; *ret_lock keeps it ours. */
static int
open_data(struct cli *cli, int *ret_lock, struct err *err)
{
    static struct stack stack;
    int pid = 0;
    stack.cli = cli;
    int rc = stack_open(&stack, err);
    if (rc == 0)
        rc = preflight_lock(cli, true, ret_lock, &pid, err);
    if (rc == 0 && *ret_lock < 0)
        return err_set(err, ERR_IN_USE,
                       "Berth runs with the data directory %s (process %d); berth down stops it",
                       cli->data, pid);
    if (rc == 0 && access(cli_path(cli, "controlplane/berth.db"), F_OK) == 0)
        return err_set(err, ERR_EXISTS,
                       "%s holds a store already, which is not replaced; name another with --data",
                       cli->data);
    return rc;
}

static int
restore(struct cli *cli, const char *path, uint64_t *ret_files, struct err *err)
{
    struct err why = {0};
    int lock = -1;
    FILE *in = fopen(path, "re");
    if (in == NULL)
        return err_set_errno(err, errno, "cannot read %s", path);
    int rc = take_title(in, &why);
    if (rc != 0)
        rc = err_set(err, why.code, "%s cannot be restored: %s", path, why.text);
    if (rc == 0)
        rc = open_data(cli, &lock, err);
    if (rc == 0) {
        (void)nftw(cli_path(cli, PARTIAL), remove_one, FTW_FDS, FTW_DEPTH | FTW_PHYS);
        rc = unpack(cli, in, ret_files, &why);
        rc = rc == 0 ? move_in(cli, err)
                     : err_set(err, why.code, "%s cannot be restored: %s", path, why.text);
        (void)nftw(cli_path(cli, PARTIAL), remove_one, FTW_FDS, FTW_DEPTH | FTW_PHYS);
    }
    (void)fclose(in);
    if (lock >= 0)
        (void)close(lock);
    return rc;
}

static int
print_document(struct cli *cli, uint64_t files)
{
    struct tree *root = cli_map(cli, NULL, NULL);
    cli_put(cli, root, "data", str_from(cli->data));
    cli_put_u64(cli, root, "files", files);
    return cli_print(cli, root);
}

int
command_restore(struct cli *cli)
{
    struct err err = {0};
    uint64_t files = 0;
    if (!cli_begin(cli, NULL, 0, 1, 1))
        return cli->exit;
    if (restore(cli, cli->names[0], &files, &err) != 0)
        return cli_fail("%s", err.text);
    if (cli->output != CLI_TABLE)
        return print_document(cli, files);
    (void)printf(
        "%llu files are in %s; start it with berth up, then check it: berth wallet audit\n",
        (unsigned long long)files, cli->data);
    return CLI_DONE;
}
