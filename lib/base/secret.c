/* SPDX-License-Identifier: MIT
 * secret.c - secrets in pages of their own.
 * Floor: lib/base; any thread, one at a time per object.
 * Owns: each secret's mapping; temporary files until they are renamed.
 * Invariant: the bytes exist in no other buffer that we leave unwiped; proved in secret_test.c. */
#include "lib/base/secret.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/check.h"

#define SECRET_FILE_BYTES_MAX 65536u

struct secret {
    size_t map_size;
    size_t len;
    char bytes[]; /* len bytes and a NUL */
};

static struct secret *
secret_alloc(size_t len)
{
    size_t size;
    if (ADD_OVERFLOW(len, sizeof(struct secret) + 1, &size))
        return NULL;
    void *pages = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (pages == MAP_FAILED)
        return NULL;
    /* Both are best effort: RLIMIT_MEMLOCK may be small, and a secret is better than none. */
    (void)mlock(pages, size);
    (void)madvise(pages, size, MADV_DONTDUMP);
    struct secret *secret = pages;
    secret->map_size = size;
    secret->len = len;
    return secret;
}

struct secret *
secret_new(struct str bytes)
{
    struct secret *secret = secret_alloc(bytes.len);
    if (secret != NULL && bytes.len > 0)
        memcpy(secret->bytes, bytes.ptr, bytes.len);
    return secret;
}

void
secret_free(struct secret **secret)
{
    if (secret == NULL || *secret == NULL)
        return;
    size_t size = (*secret)->map_size;
    explicit_bzero(*secret, size);
    (void)munlock(*secret, size);
    ASSERT(munmap(*secret, size) == 0);
    *secret = NULL;
}

struct str
secret_str(const struct secret *secret)
{
    return str_make(secret->bytes, secret->len);
}

bool
secret_eq(struct str a, struct str b)
{
    if (a.len != b.len)
        return false;
    /* Eight bytes a step, and none of them decides how many steps there are. */
    uint64_t differ = 0;
    size_t at = 0;
    for (; a.len - at >= sizeof(uint64_t); at += sizeof(uint64_t)) {
        uint64_t left;
        uint64_t right;
        memcpy(&left, a.ptr + at, sizeof(left));
        memcpy(&right, b.ptr + at, sizeof(right));
        differ |= left ^ right;
        __asm__("" : "+r"(differ)); /* the compiler must not see when it is settled */
    }
    for (; at < a.len; at++) {
        differ |= (unsigned char)(a.ptr[at] ^ b.ptr[at]);
        __asm__("" : "+r"(differ));
    }
    return differ == 0;
}

void
secret_wipe(void *bytes, size_t count)
{
    if (count > 0)
        explicit_bzero(bytes, count);
}

/* Up to `count` bytes until the end of the file. Returns how many, or -1 with errno. */
static ssize_t
read_whole(int fd, char *out, size_t count)
{
    size_t done = 0;
    while (done < count) {
        ssize_t got = read(fd, out + done, count - done);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return -1;
        if (got == 0)
            break;
        done += (size_t)got;
    }
    return (ssize_t)done;
}

static int
secret_read_fd(int fd, const char *path, struct secret **ret_secret, struct err *err)
{
    struct stat st;
    if (fstat(fd, &st) < 0)
        return err_set_errno(err, errno, "cannot look at %s", path);
    if (!S_ISREG(st.st_mode))
        return err_set(err, ERR_INVALID, "%s is not a regular file", path);
    if ((st.st_mode & 077u) != 0)
        return err_set(err, ERR_PERMISSION,
                       "%s has mode %04o: others may read this secret; run: chmod 600 %s", path,
                       (unsigned)(st.st_mode & 07777u), path);
    if (st.st_size < 0 || (uint64_t)st.st_size > SECRET_FILE_BYTES_MAX)
        return err_set(err, ERR_TOO_LARGE, "%s is larger than %u bytes", path,
                       SECRET_FILE_BYTES_MAX);

    size_t size = (size_t)st.st_size;
    CLEANUP(secret_free) struct secret *secret = secret_alloc(size);
    if (secret == NULL)
        return err_set(err, ERR_NOMEM, "no memory for the secret in %s", path);
    /* One more than its size, where the NUL goes: a file that grows meanwhile is refused. */
    ssize_t got = read_whole(fd, secret->bytes, size + 1);
    if (got < 0)
        return err_set_errno(err, errno, "cannot read %s", path);
    if ((size_t)got != size)
        return err_set(err, ERR_CONFLICT, "%s changed while it was read", path);
    if (secret->len > 0 && secret->bytes[secret->len - 1] == '\n')
        secret->len--;
    if (secret->len < size && secret->len > 0 && secret->bytes[secret->len - 1] == '\r')
        secret->len--;
    secret->bytes[secret->len] = '\0';
    *ret_secret = TAKE(secret);
    return 0;
}

int
secret_read_file(const char *path, struct secret **ret_secret, struct err *err)
{
    /* O_NONBLOCK: opening somebody's FIFO must not hang us. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        return err_set_errno(err, errno, "cannot open %s", path);
    int r = secret_read_fd(fd, path, ret_secret, err);
    (void)close(fd);
    return r;
}

static int
write_whole(int fd, struct str bytes)
{
    while (bytes.len > 0) {
        ssize_t put = write(fd, bytes.ptr, bytes.len);
        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0)
            return -1;
        bytes = str_skip(bytes, (size_t)put);
    }
    return fsync(fd);
}

/* The rename is only durable once the folder is. */
static int
sync_folder(const char *path)
{
    char folder[PATH_MAX];
    const char *slash = strrchr(path, '/');
    struct str name = slash == NULL ? STR(".") : str_make(path, (size_t)(slash - path));
    if (name.len == 0)
        name = STR("/");
    if (!str_copy(folder, sizeof(folder), name)) {
        errno = ENAMETOOLONG;
        return -1;
    }
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return -1;
    int r = fsync(fd);
    int number = errno;
    (void)close(fd);
    errno = number;
    return r;
}

int
secret_write_file(const char *path, struct str bytes, struct err *err)
{
    char temporary[PATH_MAX];
    int count = snprintf(temporary, sizeof(temporary), "%s.XXXXXX", path);
    if (count < 0 || (size_t)count >= sizeof(temporary))
        return err_set(err, ERR_TOO_LARGE, "the path of a secret file is too long");
    int fd = mkostemp(temporary, O_CLOEXEC); /* mode 0600 */
    if (fd < 0)
        return err_set_errno(err, errno, "cannot create a file beside %s", path);
    int r = 0;
    if (write_whole(fd, bytes) < 0)
        r = err_set_errno(err, errno, "cannot write %s", temporary);
    if (close(fd) < 0 && r == 0)
        r = err_set_errno(err, errno, "cannot write %s", temporary);
    if (r == 0 && rename(temporary, path) < 0)
        r = err_set_errno(err, errno, "cannot rename %s to %s", temporary, path);
    if (r < 0) {
        (void)unlink(temporary);
        return r;
    }
    if (sync_folder(path) < 0)
        return err_set_errno(err, errno, "cannot sync the folder of %s", path);
    return 0;
}
