/* SPDX-License-Identifier: MIT
 * pin.c - the `nft` program, fed through a pipe.
 * Floor: agent/kernel; one thread.
 * Owns: table bridge berth.
 * Invariant: see pin.h. Only names of interfaces that the kernel gave us and numbers are put into a
 *            script.
 */
#include "agent/kernel/pin.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define RULES                                                                         \
    "table bridge berth {\n"                                                          \
    " set pinned { type ipv4_addr; }\n"                                               \
    " set pins { type ifname . ipv4_addr . ether_addr; }\n"                           \
    " chain prerouting { type filter hook prerouting priority -300; policy accept;\n" \
    "  ip saddr @pinned iifname . ip saddr . ether saddr != @pins drop\n"             \
    "  arp saddr ip @pinned iifname . arp saddr ip . arp saddr ether != @pins drop\n" \
    "  arp saddr ip @pinned iifname . arp saddr ip . ether saddr != @pins drop\n"     \
    " }\n"                                                                            \
    "}\n"

/* Its input is the script; what it says is thrown away but for the verdict. */
static int
run_nft(const char *script, struct err *err)
{
    static char program[] = "nft";
    static char from[] = "-f";
    static char input[] = "/dev/stdin";
    char *const args[] = {program, from, input, NULL};
    static char path[] = "PATH=/usr/sbin:/sbin:/usr/bin:/bin";
    char *const environment[] = {path, NULL};
    posix_spawn_file_actions_t actions;
    int pair[2];
    int status = -1;
    pid_t pid = 0;
    if (pipe2(pair, O_CLOEXEC) != 0)
        return err_set_errno(err, errno, "cannot make a pipe");
    (void)posix_spawn_file_actions_init(&actions);
    (void)posix_spawn_file_actions_adddup2(&actions, pair[0], STDIN_FILENO);
    (void)posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
    (void)posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
    int number = posix_spawnp(&pid, program, &actions, NULL, args, environment);
    (void)posix_spawn_file_actions_destroy(&actions);
    (void)close(pair[0]);
    size_t len = strlen(script); /* far below what a pipe holds */
    bool fed = number == 0 && write(pair[1], script, len) == (ssize_t)len;
    (void)close(pair[1]);
    if (number != 0)
        return err_set(err, ERR_UNSUPPORTED, "nft cannot be run: %s", strerror(number));
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        continue;
    if (!fed || !WIFEXITED(status) || WEXITSTATUS(status) != 0)
        return err_set(err, ERR_UNSUPPORTED, "nft refuses the rules of attestor ip+nft");
    return 0;
}

int
pin_open(struct err *err)
{
    return run_nft("table bridge berth\ndelete table bridge berth\n" RULES, err);
}

void
pin_close(void)
{
    (void)!run_nft("table bridge berth\ndelete table bridge berth\n", NULL);
}

static int
write_script(const struct netns_port *port, const char *verb, char *script, size_t size,
             struct err *err)
{
    char name[IF_NAMESIZE];
    char address[INET_ADDRSTRLEN];
    const uint8_t *mac = port->hardware;
    if (if_indextoname(port->peer, name) == NULL)
        return err_set(err, ERR_NOT_FOUND, "the container's bridge port is not here");
    /* One that is on no bridge may be pinned as well: nobody on a bridge can have its address. */
    if (strpbrk(name, "\"\\\n") != NULL)
        return err_set(err, ERR_INVALID, "the container's bridge port has an odd name");
    (void)inet_ntop(AF_INET, &port->address, address, sizeof(address));
    (void)snprintf(script, size,
                   "%s element bridge berth pins { \"%s\" . %s . "
                   "%02x:%02x:%02x:%02x:%02x:%02x }\n"
                   "%s element bridge berth pinned { %s }\n",
                   verb, name, address, mac[0], mac[1], mac[2], mac[3], mac[4], mac[5], verb,
                   address);
    return 0;
}

int
pin_set(const struct netns_port *port, struct err *err)
{
    char script[512];
    int code = write_script(port, "add", script, sizeof(script), err);
    return code < 0 ? code : run_nft(script, err);
}

void
pin_clear(const struct netns_port *port)
{
    char script[512];
    char address[INET_ADDRSTRLEN];
    /* The port itself is often gone before us: then its pin stays, which says nothing without the
     * address, and goes with the table. */
    if (write_script(port, "delete", script, sizeof(script), NULL) == 0 &&
        run_nft(script, NULL) == 0)
        return;
    (void)inet_ntop(AF_INET, &port->address, address, sizeof(address));
    (void)snprintf(script, sizeof(script), "delete element bridge berth pinned { %s }\n", address);
    (void)!run_nft(script, NULL);
}
