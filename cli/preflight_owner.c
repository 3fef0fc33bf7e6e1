/* SPDX-License-Identifier: MIT
 * preflight_owner.c - who listens on a TCP port, from /proc.
 * Floor: cli; main thread.
 * Owns: nothing.
 * Invariant: what cannot be seen is left out, never guessed. */
#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <unistd.h>

#include "cli/preflight.h"
#include "lib/base/num.h"

#define TCP_LISTEN 0x0Au

/* Next word of a line of /proc/net/tcp. */
static struct str
next_word(struct str *rest)
{
    struct str word = STR_EMPTY;
    *rest = str_trim(*rest);
    (void)str_cut(*rest, ' ', &word, rest);
    return word;
}

/* Inode of the socket that listens on `port`, 0 when there is none. */
static uint64_t
find_inode(const char *table, uint16_t port)
{
    char line[512];
    uint64_t found = 0;
    FILE *file = fopen(table, "re");
    while (file != NULL && found == 0 && fgets(line, (int)sizeof(line), file) != NULL) {
        struct str rest = str_from(line);
        struct str words[10];
        struct str address;
        struct str port_text;
        uint64_t its_port = 0;
        uint64_t state = 0;
        for (size_t i = 0; i < ARRAY_LEN(words); i++)
            words[i] = next_word(&rest);
        (void)str_cut(words[1], ':', &address, &port_text);
        if (num_hex_u64(port_text, &its_port) != 0 || num_hex_u64(words[3], &state) != 0 ||
            state != TCP_LISTEN || its_port != port)
            continue;
        if (num_u64(words[9], UINT64_MAX, &found) != 0)
            found = 0;
    }
    if (file != NULL)
        (void)fclose(file);
    return found;
}

static bool
holds(const char *pid, const char *link)
{
    char path[PATH_MAX];
    char target[64];
    bool found = false;
    (void)snprintf(path, sizeof(path), "/proc/%s/fd", pid);
    DIR *dir = opendir(path);
    for (struct dirent *entry = dir != NULL ? readdir(dir) : NULL; entry != NULL && !found;
         entry = readdir(dir)) {
        (void)snprintf(path, sizeof(path), "/proc/%s/fd/%s", pid, entry->d_name);
        ssize_t count = readlink(path, target, sizeof(target) - 1);
        target[count > 0 ? count : 0] = '\0';
        found = strcmp(target, link) == 0;
    }
    if (dir != NULL)
        (void)closedir(dir);
    return found;
}

static void
describe(const char *pid, char out[64])
{
    char path[PATH_MAX];
    char name[32] = "";
    (void)snprintf(path, sizeof(path), "/proc/%s/comm", pid);
    FILE *file = fopen(path, "re");
    if (file != NULL && fgets(name, (int)sizeof(name), file) != NULL)
        name[strcspn(name, "\n")] = '\0';
    if (file != NULL)
        (void)fclose(file);
    (void)snprintf(out, 64, "%s, process %.16s", name[0] != '\0' ? name : "a program", pid);
}

void
preflight_port_owner(uint16_t port, char out[64])
{
    char link[64];
    uint64_t number = 0;
    uint64_t inode = find_inode("/proc/net/tcp", port);
    out[0] = '\0';
    if (inode == 0)
        inode = find_inode("/proc/net/tcp6", port);
    if (inode == 0)
        return;
    (void)snprintf(link, sizeof(link), "socket:[%llu]", (unsigned long long)inode);
    DIR *dir = opendir("/proc");
    for (struct dirent *entry = dir != NULL ? readdir(dir) : NULL; entry != NULL;
         entry = readdir(dir)) {
        if (num_u64(str_from(entry->d_name), INT32_MAX, &number) == 0 &&
            holds(entry->d_name, link)) {
            describe(entry->d_name, out);
            break;
        }
    }
    if (dir != NULL)
        (void)closedir(dir);
}
