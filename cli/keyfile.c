/* SPDX-License-Identifier: MIT
 * keyfile.c - see keyfile.h.
 * Floor: cli; main thread.
 * Owns: nothing.
 * Invariant: see keyfile.h. */
#include "cli/keyfile.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/check.h"
#include "lib/base/secret.h"

const char *
keyfile_path(struct cli *cli, const char *dir, struct str name)
{
    if (dir == NULL)
        dir = cli_path(cli, "keys");
    struct str path = arena_printf(&cli->arena, "%s/%.*s.key", dir, STR_ARG(name));
    ASSERT(path.ptr != NULL);
    return path.ptr;
}

int
keyfile_write_to(const char *path, struct str key, struct err *err)
{
    char dir[CLI_PATH_BYTES];
    const char *slash = strrchr(path, '/');
    if (access(path, F_OK) == 0)
        return err_set(err, ERR_EXISTS, "%s exists already and is not replaced", path);
    if (slash != NULL && slash != path &&
        str_copy(dir, sizeof(dir), str_make(path, (size_t)(slash - path))) &&
        mkdir(dir, 0700) != 0 && errno != EEXIST)
        return err_set_errno(err, errno, "cannot make %s", dir);
    struct buf line;
    buf_init(&line, 4096);
    buf_put_str(&line, key);
    buf_put_byte(&line, '\n');
    int rc = line.failed ? err_set(err, ERR_TOO_LARGE, "the key is too long")
                         : secret_write_file(path, buf_str(&line), err);
    buf_wipe(&line);
    return rc;
}

int
keyfile_write(struct cli *cli, const char *dir, struct str name, struct str key)
{
    struct err err = {0};
    const char *path = keyfile_path(cli, dir, name);
    if (keyfile_write_to(path, key, &err) != 0)
        return cli_fail("key %.*s was made but could not be kept (%s): run berth keys delete %.*s, "
                        "then create it again",
                        STR_ARG(name), err.text, STR_ARG(name));
    (void)fprintf(stderr, "The key is in %s (mode 0600); it is shown nowhere else.\n", path);
    return CLI_DONE;
}

void
keyfile_remove(struct cli *cli, struct str name)
{
    const char *path = keyfile_path(cli, NULL, name);
    bool ours = cli->server == NULL && str_find_byte(name, '/') == SIZE_MAX;
    if (ours && unlink(path) == 0)
        (void)fprintf(stderr, "%s removed\n", path);
}
