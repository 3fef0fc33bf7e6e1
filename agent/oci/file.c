/* SPDX-License-Identifier: MIT
 * file.c - PATH.berth, then rename.
 * Floor: agent/oci; any thread.
 * Owns: nothing.
 * Invariant: see file.h.
 */
#include "agent/oci/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

int
file_read(const char *path, struct buf *out, struct err *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    int code = fd >= 0 ? 0 : err_set_errno(err, errno, "cannot read %s", path);
    while (code == 0) {
        char chunk[4096];
        ssize_t got = read(fd, chunk, sizeof(chunk));
        if (got < 0)
            code = err_set_errno(err, errno, "cannot read %s", path);
        else if (got == 0)
            break;
        else if (buf_put(out, chunk, (size_t)got) < 0)
            code = err_set(err, ERR_TOO_LARGE, "%s is too large", path);
    }
    if (fd >= 0)
        (void)close(fd);
    return code;
}

static int
write_all(int fd, struct str text)
{
    while (text.len > 0) {
        ssize_t put = write(fd, text.ptr, text.len);
        if (put < 0 && errno == EINTR)
            continue;
        if (put <= 0)
            return errno != 0 ? errno : EIO;
        text = str_skip(text, (size_t)put);
    }
    return 0;
}

int
file_replace(const char *path, struct str text, unsigned mode, struct err *err)
{
    char part[PATH_MAX];
    struct stat old;
    int count = snprintf(part, sizeof(part), "%s.berth", path);
    if (count < 0 || (size_t)count >= sizeof(part))
        return err_set(err, ERR_TOO_LARGE, "the path %s is too long", path);
    bool was_there = stat(path, &old) == 0;
    (void)unlink(part); /* of one that was killed */
    int fd = open(part, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return err_set_errno(err, errno, "cannot write %s", part);
    int number = write_all(fd, text);
    if (number == 0 && was_there && fchown(fd, old.st_uid, old.st_gid) != 0)
        number = errno;
    if (number == 0 && fchmod(fd, was_there ? old.st_mode & 07777 : mode) != 0)
        number = errno;
    if (close(fd) != 0 && number == 0)
        number = errno;
    if (number == 0 && rename(part, path) != 0)
        number = errno;
    if (number == 0)
        return 0;
    (void)unlink(part);
    return err_set_errno(err, number, "cannot write %s", path);
}
