/* SPDX-License-Identifier: MIT
 * cgroup.c - file handles of the v2 hierarchy are its ids: name_to_handle_at and back.
 * Floor: agent/kernel; one thread.
 * Owns: the mount's descriptor.
 * Invariant: every path that we open lies below the mount. kernel_test.c. */
#include "agent/kernel/cgroup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <unistd.h>

#include "lib/base/num.h"

#define HANDLE_KERNFS 0xfe /* FILEID_KERNFS: eight bytes, the id */
#define HANDLE_BYTES 8u

union handle {
    struct file_handle head;
    char bytes[sizeof(struct file_handle) + HANDLE_BYTES];
};

/* Lines of a /proc file, one at a time; a line that does not fit is skipped. */
static bool
next_line(FILE *file, char *line, size_t size, struct str *ret_line)
{
    while (fgets(line, (int)size, file) != NULL) {
        size_t len = strlen(line);
        if (len > 0 && line[len - 1] == '\n') {
            *ret_line = str_make(line, len - 1);
            return true;
        }
    }
    return false;
}

/* mountinfo: "36 35 0:30 /root /mount/point opts... - cgroup2 source opts" */
static int
find_mount(void)
{
    FILE *file = fopen("/proc/self/mountinfo", "re");
    char bytes[PATH_MAX + 1024];
    struct str line;
    int fd = -1;
    while (file != NULL && fd < 0 && next_line(file, bytes, sizeof(bytes), &line)) {
        if (str_find(line, STR(" - cgroup2 ")) == SIZE_MAX)
            continue;
        struct str field = STR_EMPTY;
        for (int i = 0; i < 5; i++)
            (void)str_cut(line, ' ', &field, &line);
        char path[PATH_MAX];
        if (str_copy(path, sizeof(path), field))
            fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    }
    if (file != NULL)
        (void)fclose(file);
    return fd;
}

static int
id_of_path(const struct cgroup_tree *tree, const char *path, uint64_t *ret_id)
{
    union handle handle = {.head = {.handle_bytes = HANDLE_BYTES}};
    int mount_id = 0;
    while (*path == '/')
        path++;
    int flags = *path == '\0' ? AT_EMPTY_PATH : 0;
    if (name_to_handle_at(tree->mount_fd, path, &handle.head, &mount_id, flags) != 0)
        return -ERR_NOT_FOUND;
    if (handle.head.handle_bytes != HANDLE_BYTES)
        return -ERR_UNSUPPORTED;
    memcpy(ret_id, handle.head.f_handle, sizeof(*ret_id));
    return 0;
}

int
cgroup_of_pid(struct cgroup_tree *tree, pid_t pid, uint64_t *ret_id, struct err *err)
{
    char bytes[PATH_MAX + 64];
    struct str line = STR_EMPTY;
    bool found = false;
    if (tree->mount_fd < 0)
        return err_set(err, ERR_UNSUPPORTED, "this host has no cgroup v2 hierarchy");
    (void)snprintf(bytes, sizeof(bytes), "/proc/%d/cgroup", (int)pid);
    FILE *file = fopen(bytes, "re");
    if (file == NULL)
        return err_set(err, ERR_NOT_FOUND, "process %d has exited", (int)pid);
    while (!found && next_line(file, bytes, sizeof(bytes), &line))
        found = str_starts(line, STR("0::/"));
    (void)fclose(file);
    if (!found)
        return err_set(err, ERR_UNSUPPORTED, "process %d is in no cgroup v2", (int)pid);
    char path[PATH_MAX];
    if (!str_copy(path, sizeof(path), str_skip(line, 3)) || id_of_path(tree, path, ret_id) < 0)
        return err_set(err, ERR_NOT_FOUND, "the cgroup of process %d is not visible here",
                       (int)pid);
    return 0;
}

void
cgroup_open(struct cgroup_tree *tree)
{
    *tree = (struct cgroup_tree){.mount_fd = find_mount(), .own_id = CGROUP_ROOT_ID};
    uint64_t own = 0;
    if (cgroup_of_pid(tree, getpid(), &own, NULL) == 0)
        tree->own_id = own;
}

void
cgroup_close(struct cgroup_tree *tree)
{
    if (tree->mount_fd >= 0)
        (void)close(tree->mount_fd);
    tree->mount_fd = -1;
}

/* Where cgroup `id` is now, as a path of our mount namespace. */
static bool
path_of_id(const struct cgroup_tree *tree, uint64_t id, char *path, size_t size)
{
    union handle handle = {.head = {.handle_bytes = HANDLE_BYTES, .handle_type = HANDLE_KERNFS}};
    memcpy(handle.head.f_handle, &id, sizeof(id));
    int fd = open_by_handle_at(tree->mount_fd, &handle.head, O_PATH | O_CLOEXEC);
    if (fd < 0)
        return false;
    char link[64];
    (void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    ssize_t len = readlink(link, path, size - 1);
    (void)close(fd);
    if (len <= 0 || (size_t)len >= size - 1)
        return false;
    path[len] = '\0';
    return true;
}

bool
cgroup_within(struct cgroup_tree *tree, uint64_t id, uint64_t ancestor)
{
    if (id == 0 || ancestor == 0)
        return false;
    if (id == ancestor)
        return true;
    if (tree->mount_fd < 0)
        return false;
    size_t slot = (size_t)((id * 31u + ancestor) % CGROUP_CACHE);
    if (tree->cache[slot].id == id && tree->cache[slot].ancestor == ancestor)
        return tree->cache[slot].within;
    char below[PATH_MAX];
    char above[PATH_MAX];
    /* A cgroup that cannot be found now is not remembered. */
    if (!path_of_id(tree, id, below, sizeof(below)) ||
        !path_of_id(tree, ancestor, above, sizeof(above)))
        return false;
    size_t len = strlen(above);
    bool within = strncmp(below, above, len) == 0 && below[len] == '/';
    tree->cache[slot].id = id;
    tree->cache[slot].ancestor = ancestor;
    tree->cache[slot].within = within;
    return within;
}

int
cgroup_of_path(struct cgroup_tree *tree, const char *path, uint64_t *ret_id, struct err *err)
{
    char mount[PATH_MAX];
    char link[64];
    if (tree->mount_fd < 0)
        return err_set(err, ERR_UNSUPPORTED, "this host has no cgroup v2 hierarchy");
    (void)snprintf(link, sizeof(link), "/proc/self/fd/%d", tree->mount_fd);
    ssize_t len = readlink(link, mount, sizeof(mount) - 1);
    if (len > 0 && strncmp(path, mount, (size_t)len) == 0 && path[len] == '/')
        path += len;
    if (id_of_path(tree, path, ret_id) < 0)
        return err_set(err, ERR_NOT_FOUND, "there is no cgroup %s in the v2 hierarchy", path);
    return 0;
}

bool
cgroup_path_has(pid_t pid, struct str part)
{
    char bytes[PATH_MAX + 64];
    struct str line = STR_EMPTY;
    bool found = false;
    (void)snprintf(bytes, sizeof(bytes), "/proc/%d/cgroup", (int)pid);
    FILE *file = fopen(bytes, "re");
    while (file != NULL && !found && next_line(file, bytes, sizeof(bytes), &line))
        found = str_find(line, part) != SIZE_MAX;
    if (file != NULL)
        (void)fclose(file);
    return found && part.len > 0;
}

static size_t
read_processes(int folder_fd, const char *file, pid_t *pids, size_t count)
{
    char bytes[64];
    struct str line;
    size_t at = 0;
    int fd = openat(folder_fd, file, O_RDONLY | O_CLOEXEC);
    FILE *procs = fd >= 0 ? fdopen(fd, "r") : NULL;
    while (procs != NULL && at < count && next_line(procs, bytes, sizeof(bytes), &line)) {
        uint64_t pid = 0;
        if (num_u64(line, INT32_MAX, &pid) == 0 && pid > 0)
            pids[at++] = (pid_t)pid;
    }
    if (procs != NULL)
        (void)fclose(procs);
    else if (fd >= 0)
        (void)close(fd);
    return at;
}

size_t
cgroup_processes(const struct cgroup_tree *tree, uint64_t id, pid_t *pids, size_t count)
{
    union handle handle = {.head = {.handle_bytes = HANDLE_BYTES, .handle_type = HANDLE_KERNFS}};
    memcpy(handle.head.f_handle, &id, sizeof(id));
    int fd = tree->mount_fd >= 0 ? open_by_handle_at(tree->mount_fd, &handle.head,
                                                     O_RDONLY | O_DIRECTORY | O_CLOEXEC)
                                 : -1;
    if (fd < 0)
        return 0;
    size_t at = read_processes(fd, "cgroup.procs", pids, count);
    DIR *folder = at == 0 ? fdopendir(fd) : NULL;
    const struct dirent *entry;
    while (folder != NULL && at < count && (entry = readdir(folder)) != NULL) {
        char path[NAME_MAX + 16];
        if (entry->d_type != DT_DIR || entry->d_name[0] == '.')
            continue;
        (void)snprintf(path, sizeof(path), "%s/cgroup.procs", entry->d_name);
        at += read_processes(fd, path, pids + at, count - at);
    }
    if (folder != NULL)
        (void)closedir(folder);
    else
        (void)close(fd);
    return at;
}

bool
cgroup_identifies(struct cgroup_tree *tree, uint64_t id)
{
    return tree->mount_fd >= 0 && id != 0 && id != CGROUP_ROOT_ID &&
           !cgroup_within(tree, tree->own_id, id);
}
