/* SPDX-License-Identifier: MIT
 * stack.c - see stack.h.
 * Floor: cli; main thread.
 * Owns: see stack.h.
 * Invariant: see stack.h. */
#include "cli/stack.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/check.h"
#include "lib/base/num.h"

/* DIR + "/controlplane/admin.sock" must fit sockaddr_un. */
#define DATA_BYTES_MAX 80u
#define LOG_BYTES_MAX (16 << 20)
#define ENV_MAX 256u
#define CAP_NET_ADMIN_BIT 12u
#define CAP_SYS_ADMIN_BIT 21u

static const char *const part_names[STACK_COUNT] = {"sim", "controlplane", "dataplane", "agent"};

int
stack_port_parse(const struct cli *cli, const char *text, uint16_t *ret_port)
{
    uint64_t port = STACK_PORT_DEFAULT;
    if (text != NULL && (num_u64(str_from(text), 65535 - STACK_PORT_SIM, &port) != 0 || port == 0))
        return cli_usage(cli, "--port wants a number from 1 to %d, not '%s'",
                         65535 - STACK_PORT_SIM, text);
    *ret_port = (uint16_t)port;
    return CLI_DONE;
}

uint16_t
stack_port(const struct stack *stack, enum stack_port port)
{
    return (uint16_t)(stack->port + port);
}

/* ---- folders ------------------------------------------------------------------------ */

static int
make_dirs(const char *path, struct err *err)
{
    char part[CLI_PATH_BYTES];
    if (!str_copy(part, sizeof(part), str_from(path)) || part[0] == '\0')
        return err_set(err, ERR_INVALID, "the path of the data directory is empty or too long");
    for (char *at = part + 1; *at != '\0'; at++) {
        if (*at != '/')
            continue;
        *at = '\0';
        if (mkdir(part, 0755) != 0 && errno != EEXIST)
            return err_set_errno(err, errno, "cannot make %s", part);
        *at = '/';
    }
    if (mkdir(part, 0700) != 0 && errno != EEXIST)
        return err_set_errno(err, errno, "cannot make the data directory %s", part);
    return 0;
}

static int
make_folder(struct cli *cli, const char *name, struct err *err)
{
    struct stat info;
    const char *path = cli_path(cli, name);
    if (mkdir(path, 0700) != 0 && errno != EEXIST)
        return err_set_errno(err, errno, "cannot make %s", path);
    if (stat(path, &info) != 0 || !S_ISDIR(info.st_mode))
        return err_set(err, ERR_INVALID, "%s is no directory", path);
    if (info.st_uid != geteuid())
        return err_set(err, ERR_PERMISSION, "%s belongs to another user", path);
    if ((info.st_mode & 077) != 0)
        return err_set(err, ERR_PERMISSION,
                       "%s has mode %04o, others may look into it; run: chmod 700 %s", path,
                       info.st_mode & 07777u, path);
    return 0;
}

int
stack_open(struct stack *stack, struct err *err)
{
    static const char *const folders[] = {"controlplane", "dataplane", "agent",
                                          "run",          "logs",      "keys"};
    struct cli *cli = stack->cli;
    char absolute[PATH_MAX];
    int rc = make_dirs(cli->data, err);
    if (rc != 0)
        return rc;
    if (realpath(cli->data, absolute) == NULL)
        return err_set_errno(err, errno, "cannot find %s", cli->data);
    if (strlen(absolute) > DATA_BYTES_MAX)
        return err_set(err, ERR_TOO_LARGE,
                       "the path of the data directory has %zu bytes; sockets in it allow %u",
                       strlen(absolute), DATA_BYTES_MAX);
    if (!str_copy(cli->data, sizeof(cli->data), str_from(absolute)))
        return err_set(err, ERR_TOO_LARGE, "the path of the data directory is too long");
    for (size_t i = 0; i < ARRAY_LEN(folders) && rc == 0; i++)
        rc = make_folder(cli, folders[i], err);
    return rc;
}

/* ---- programs and environment ------------------------------------------------------- */

const char *
stack_program(struct cli *cli, const char *name)
{
    char self[PATH_MAX];
    ssize_t count = readlink("/proc/self/exe", self, sizeof(self) - 1);
    char *slash = NULL;
    if (count > 0) {
        self[count] = '\0';
        slash = strrchr(self, '/');
    }
    if (slash != NULL) {
        *slash = '\0';
        struct str beside = arena_printf(&cli->arena, "%s/berth-%s", self, name);
        if (beside.ptr != NULL && access(beside.ptr, X_OK) == 0)
            return beside.ptr;
    }
    const char *path = getenv("PATH");
    struct str rest = path != NULL ? str_from(path) : STR_EMPTY;
    while (rest.len > 0) {
        struct str dir;
        (void)str_cut(rest, ':', &dir, &rest);
        struct str there = arena_printf(&cli->arena, "%.*s/berth-%s", STR_ARG(dir), name);
        if (dir.len > 0 && dir.ptr[0] == '/' && there.ptr != NULL && access(there.ptr, X_OK) == 0)
            return there.ptr;
    }
    return NULL;
}

const char *const *
stack_plain_env(struct cli *cli)
{
    static const char *const plain[] = {
        "PATH=",
        "HOME=",
        "USER=",
        "LANG=",
        "LC_",
        "TZ=",
        "TMPDIR=",
        "TERM=",
        "SSL_CERT_FILE=",
        "SSL_CERT_DIR=",
        "BERTH_LOG=",
        "BERTH_AGENT_",
        "BERTH_KERNEL_",
        "BERTH_DATAPLANE_",
        "ASAN_OPTIONS=",
        "UBSAN_OPTIONS=",
        "LSAN_OPTIONS=",
        "TSAN_OPTIONS=",
    };
    const char **env = arena_array(&cli->arena, ENV_MAX + 1, sizeof(*env));
    size_t count = 0;
    ASSERT(env != NULL);
    for (char **at = environ; at != NULL && *at != NULL && count < ENV_MAX; at++) {
        for (size_t i = 0; i < ARRAY_LEN(plain); i++) {
            if (str_starts(str_from(*at), str_from(plain[i]))) {
                env[count++] = *at;
                break;
            }
        }
    }
    return env;
}

/* Ours, with the address of the simulator or without one. */
static const char *const *
controlplane_env(struct stack *stack)
{
    struct arena *arena = &stack->cli->arena;
    size_t count = 0;
    size_t kept = 0;
    while (environ != NULL && environ[count] != NULL)
        count++;
    const char **env = arena_array(arena, count + 2, sizeof(*env));
    ASSERT(env != NULL);
    for (size_t i = 0; i < count; i++) {
        if (!str_starts(str_from(environ[i]), STR("BERTH_OFFLINE_SIM=")))
            env[kept++] = environ[i];
    }
    if (stack->offline) {
        struct str sim = arena_printf(arena, "BERTH_OFFLINE_SIM=http://127.0.0.1:%u",
                                      stack_port(stack, STACK_PORT_SIM));
        ASSERT(sim.ptr != NULL);
        env[kept] = sim.ptr;
    }
    return env;
}

bool
stack_may_attest(bool *ret_root)
{
    char line[256];
    uint64_t caps = 0;
    const uint64_t needed = (UINT64_C(1) << CAP_NET_ADMIN_BIT) | (UINT64_C(1) << CAP_SYS_ADMIN_BIT);
    FILE *file = fopen("/proc/self/status", "re");
    *ret_root = geteuid() == 0;
    while (file != NULL && fgets(line, (int)sizeof(line), file) != NULL) {
        struct str text = str_from(line);
        if (str_starts(text, STR("CapEff:")) &&
            num_hex_u64(str_trim(str_skip(text, strlen("CapEff:"))), &caps) != 0)
            caps = 0;
    }
    if (file != NULL)
        (void)fclose(file);
    return *ret_root && (caps & needed) == needed;
}

/* ---- what each is told -------------------------------------------------------------- */

static const char *
address(struct stack *stack, enum stack_port port)
{
    struct str text = arena_printf(&stack->cli->arena, "127.0.0.1:%u", stack_port(stack, port));
    ASSERT(text.ptr != NULL);
    return text.ptr;
}

static const char *
keys_address(struct stack *stack)
{
    uint16_t port = stack_port(stack, STACK_PORT_KEYS);
    const char *host = stack->listen;
    if (host == NULL)
        return address(stack, STACK_PORT_KEYS);
    struct str text = strchr(host, ':') != NULL && host[0] != '['
                          ? arena_printf(&stack->cli->arena, "[%s]:%u", host, port)
                          : arena_printf(&stack->cli->arena, "%s:%u", host, port);
    ASSERT(text.ptr != NULL);
    return text.ptr;
}

static void
add_pair(struct child *child, const char *option, const char *value)
{
    child_arg(child, option);
    child_arg(child, value);
}

static void
plan_agent(struct stack *stack, struct child *child)
{
    struct cli *cli = stack->cli;
    struct str port = arena_printf(&cli->arena, "%u", stack_port(stack, STACK_PORT_CONTAINERS));
    ASSERT(port.ptr != NULL);
    add_pair(child, "--run-dir", cli_path(cli, "run"));
    add_pair(child, "--control", address(stack, STACK_PORT_NODES));
    add_pair(child, "--pki", cli_path(cli, "controlplane/pki"));
    add_pair(child, "--dataplane", cli_path(cli, "run/dataplane.sock"));
    add_pair(child, "--port", port.ptr);
    if (stack->release)
        child_arg(child, "--release-on-exit");
}

/* A log that has grown large starts anew; the one before it stays as NAME.log.1. */
static const char *
log_path(struct stack *stack, const char *name)
{
    struct stat info;
    struct str file = arena_printf(&stack->cli->arena, "logs/%s.log", name);
    ASSERT(file.ptr != NULL);
    const char *path = cli_path(stack->cli, file.ptr);
    struct str old = arena_printf(&stack->cli->arena, "%s.1", path);
    if (stat(path, &info) == 0 && info.st_size > LOG_BYTES_MAX && old.ptr != NULL)
        (void)rename(path, old.ptr);
    return path;
}

int
stack_plan(struct stack *stack, enum stack_part part, struct err *err)
{
    struct cli *cli = stack->cli;
    struct child *child = &stack->children[part];
    const char *program = stack_program(cli, part_names[part]);
    if (program == NULL)
        return err_set(err, ERR_NOT_FOUND,
                       "berth-%s is neither beside this program nor in PATH; install it there",
                       part_names[part]);
    child_init(child, part_names[part]);
    child->log = stack->log_stderr ? NULL : log_path(stack, part_names[part]);
    child->env = part == STACK_CONTROLPLANE ? controlplane_env(stack) : stack_plain_env(cli);
    child_arg(child, program);
    switch (part) {
    case STACK_SIM:
        add_pair(child, "--listen", address(stack, STACK_PORT_SIM));
        add_pair(child, "-o", "json");
        break;
    case STACK_CONTROLPLANE:
        add_pair(child, "--data", cli_path(cli, "controlplane"));
        add_pair(child, "--listen-admin", address(stack, STACK_PORT_ADMIN));
        add_pair(child, "--listen-planes", address(stack, STACK_PORT_NODES));
        break;
    case STACK_DATAPLANE:
        add_pair(child, "--data", cli_path(cli, "dataplane"));
        add_pair(child, "--control", address(stack, STACK_PORT_NODES));
        add_pair(child, "--pki", cli_path(cli, "controlplane/pki"));
        add_pair(child, "--listen", keys_address(stack));
        add_pair(child, "--admin", address(stack, STACK_PORT_HEALTH));
        add_pair(child, "--handoff", cli_path(cli, "run/dataplane.sock"));
        break;
    case STACK_AGENT:
        plan_agent(stack, child);
        break;
    case STACK_COUNT:
        break;
    }
    return 0;
}
