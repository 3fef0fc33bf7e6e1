/* SPDX-License-Identifier: MIT
 * replay.c - recorded answers from a folder.
 * Floor: tools/sim; its loop's thread (small local files: read at once).
 * Owns: nothing.
 * Invariant: a name cannot leave the folder. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "tools/sim/sim.h"

#define REPLAY_BYTES_MAX (32u << 20)

static int
read_all(int fd, struct buf *out)
{
    size_t start = out->len;
    for (;;) {
        if (out->len - start > REPLAY_BYTES_MAX)
            return -ERR_TOO_LARGE;
        int rc = buf_reserve(out, 65536);
        if (rc != 0)
            return rc;
        ssize_t count = read(fd, out->ptr + out->len, 65536);
        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0)
            return -ERR_IO;
        if (count == 0)
            return 0;
        out->len += (size_t)count;
    }
}

static bool
name_is_plain(struct str name)
{
    for (size_t i = 0; i < name.len; i++) {
        char c = name.ptr[i];
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                     c == '-' || c == '_' || (c == '.' && i > 0);
        if (!plain)
            return false;
    }
    return name.len > 0 && name.len < 128;
}

int
replay_load(const char *dir, struct str name, struct buf *out, const char **ret_type,
            struct err *err)
{
    static const char *const kinds[][2] = {{"json", "application/json"},
                                           {"sse", "text/event-stream"}};
    if (!name_is_plain(name))
        return err_set(err, ERR_INVALID, "a replay name has letters, digits, '-', '_' and '.'");
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        char path[4096];
        int length =
            snprintf(path, sizeof(path), "%s/%.*s.response.%s", dir, STR_ARG(name), kinds[i][0]);
        if (length < 0 || (size_t)length >= sizeof(path))
            return err_set(err, ERR_TOO_LARGE, "the replay folder's name is too long");
        int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
        if (fd < 0)
            continue;
        int rc = read_all(fd, out);
        (void)close(fd);
        if (rc != 0)
            return err_set(err, (enum err_code) - rc, "cannot read replay %.*s", STR_ARG(name));
        *ret_type = kinds[i][1];
        return 0;
    }
    return err_set(err, ERR_NOT_FOUND, "no replay %.*s", STR_ARG(name));
}
