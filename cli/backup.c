/* SPDX-License-Identifier: MIT
 * backup.c - berth backup: everything that another machine needs to go on, in one tar file.
 * Floor: cli; main thread.
 * Owns: FILE.partial, until it is whole.
 * Invariant: FILE is whole and mode 0600, or not there; the stack runs on. e2e/backup.sh. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "cli/archive.h"
#include "cli/client.h"
#include "cli/command.h"

#define POLL_NS (20 * 1000 * 1000)
#define FOLDER_FILES_MAX 4096

struct packing {
    struct cli *cli;
    FILE *out;
    uint64_t files;
    struct err err;
};

/* One file of the data directory. */
static int
put_file(struct packing *packing, const char *name, const char *path)
{
    struct stat info;
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return err_set_errno(&packing->err, errno, "cannot read %s", path);
    int rc = fstat(fileno(file), &info) == 0
                 ? archive_put(packing->out, name, file, (uint64_t)info.st_size,
                               info.st_mtim.tv_sec, &packing->err)
                 : err_set_errno(&packing->err, errno, "cannot look at %s", path);
    (void)fclose(file);
    packing->files += rc == 0;
    return rc;
}

/* The store goes in as its copy; sockets and what is half written do not. */
static int
is_wanted(const struct dirent *entry)
{
    struct str name = str_from(entry->d_name);
    return entry->d_name[0] != '.' && !str_starts(name, STR("berth.db")) &&
           !str_starts(name, STR("backup.db")) && !str_ends(name, STR(".tmp"));
}

/* The regular files of one folder, in the order of their names. */
static int
put_folder(struct packing *packing, const char *folder)
{
    struct dirent **entries = NULL;
    int count = scandir(cli_path(packing->cli, folder), &entries, is_wanted, alphasort);
    int rc = count < 0 && errno != ENOENT ? err_set_errno(&packing->err, errno, "cannot read %s/%s",
                                                          packing->cli->data, folder)
             : count > FOLDER_FILES_MAX
                 ? err_set(&packing->err, ERR_TOO_LARGE, "%s/%s holds more than %d files",
                           packing->cli->data, folder, FOLDER_FILES_MAX)
                 : 0;
    for (int i = 0; i < count; i++) {
        struct stat info;
        struct str name = arena_printf(&packing->cli->arena, "%s/%s", folder, entries[i]->d_name);
        if (rc == 0 && name.ptr == NULL)
            rc = err_set(&packing->err, ERR_NOMEM, "out of memory");
        if (rc == 0 && lstat(cli_path(packing->cli, name.ptr), &info) == 0 && S_ISREG(info.st_mode))
            rc = put_file(packing, name.ptr, cli_path(packing->cli, name.ptr));
        free(entries[i]);
    }
    free(entries);
    return rc;
}

static int
pack(struct packing *packing, const struct tree *copy)
{
    static const char *const folders[] = {"controlplane", "controlplane/pki", "keys"};
    char text[256];
    char made[32] = "";
    time_t now = time(NULL);
    struct tm utc;
    struct str file = cli_text(copy, "file");
    if (gmtime_r(&now, &utc) != NULL)
        (void)strftime(made, sizeof(made), "%Y-%m-%dT%H:%M:%SZ", &utc);
    (void)snprintf(text, sizeof(text), "version 1\nberth " CLI_VERSION "\nmade %s\nrevision %.*s\n",
                   made, STR_ARG(cli_text(copy, "revision")));
    int rc = archive_put_text(packing->out, "berth-backup", str_from(text), now, &packing->err);
    if (rc == 0)
        rc = put_file(packing, "controlplane/berth.db", file.ptr);
    for (size_t i = 0; i < ARRAY_LEN(folders) && rc == 0; i++)
        rc = put_folder(packing, folders[i]);
    return rc == 0 ? archive_end(packing->out, &packing->err) : rc;
}

/* From nothing to FILE: what fails leaves nothing. */
static int
write_archive(struct packing *packing, const char *path, const struct tree *copy)
{
    struct str partial = arena_printf(&packing->cli->arena, "%s.partial", path);
    if (partial.ptr == NULL)
        return err_set(&packing->err, ERR_NOMEM, "out of memory");
    int fd = open(partial.ptr, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return err_set_errno(&packing->err, errno, "cannot make %s", partial.ptr);
    packing->out = fdopen(fd, "w");
    int rc = packing->out != NULL ? pack(packing, copy)
                                  : err_set_errno(&packing->err, errno, "cannot write %s", path);
    if (rc == 0 && (fflush(packing->out) != 0 || fsync(fd) != 0))
        rc = err_set_errno(&packing->err, errno, "cannot write %s", path);
    if (packing->out != NULL ? fclose(packing->out) != 0 && rc == 0 : close(fd) != 0)
        rc = err_set(&packing->err, ERR_IO, "cannot write %s", path);
    /* a link, not a rename: it never replaces what somebody put there meanwhile */
    if (rc == 0 && link(partial.ptr, path) != 0)
        rc = err_set_errno(&packing->err, errno, "cannot make %s", path);
    (void)unlink(partial.ptr);
    return rc;
}

/* Have the store copied, and wait for it. */
static int
copy_store(struct cli *cli, const struct tree **ret_copy)
{
    const struct timespec pause = {.tv_nsec = POLL_NS};
    const struct client_call start = {
        .method = "POST", .path = "/api/v1/backup", .type = "application/json", .body = STR("{}")};
    int code = client_run(cli, &start, ret_copy);
    while (code == CLI_DONE && str_eq(cli_text(*ret_copy, "state"), STR("running"))) {
        (void)nanosleep(&pause, NULL);
        code = client_get(cli, "/api/v1/backup", ret_copy);
    }
    if (code == CLI_DONE && str_eq(cli_text(*ret_copy, "state"), STR("failed")))
        return cli_fail("the store could not be copied: %.*s",
                        STR_ARG(cli_text(*ret_copy, "message")));
    if (code == CLI_DONE && !str_eq(cli_text(*ret_copy, "state"), STR("done")))
        return cli_fail("the control plane gave the copy up; try again");
    return code;
}

static int
print_result(struct cli *cli, const struct packing *packing, const char *path)
{
    struct stat info = {.st_size = 0};
    (void)stat(path, &info);
    if (cli->output == CLI_TABLE) {
        (void)printf("%s: %llu files, %llu bytes, mode 0600. It holds keys: keep it like one.\n",
                     path, (unsigned long long)packing->files, (unsigned long long)info.st_size);
        return CLI_DONE;
    }
    struct tree *root = cli_map(cli, NULL, NULL);
    cli_put(cli, root, "file", str_from(path));
    cli_put_u64(cli, root, "bytes", (uint64_t)info.st_size);
    cli_put_u64(cli, root, "files", packing->files);
    return cli_print(cli, root);
}

int
command_backup(struct cli *cli)
{
    struct packing packing = {.cli = cli};
    const struct tree *copy = NULL;
    const struct tree *reply = NULL;
    struct err ignored = {0};
    long status = 0;
    const struct client_call drop = {
        .method = "DELETE", .path = "/api/v1/backup", .body = STR_EMPTY};
    if (!cli_begin(cli, NULL, 0, 1, 1))
        return cli->exit;
    const char *path = cli->names[0];
    if (cli->server != NULL)
        return cli_fail("berth backup reads the data directory of the control plane: run it on "
                        "that host, without --server");
    if (access(path, F_OK) == 0)
        return cli_fail("%s exists already and is not replaced", path);
    int code = copy_store(cli, &copy);
    if (code != CLI_DONE)
        return code;
    int rc = write_archive(&packing, path, copy);
    (void)!client_try(cli, &drop, &status, &reply, &ignored); /* the next start removes it, too */
    return rc == 0 ? print_result(cli, &packing, path) : cli_fail("%s", packing.err.text);
}
