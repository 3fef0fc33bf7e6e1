/* SPDX-License-Identifier: MIT
 * preflight.c - see preflight.h.
 * Floor: cli; main thread.
 * Owns: nothing.
 * Invariant: see preflight.h. */
#include "cli/preflight.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "lib/base/check.h"
#include "lib/base/num.h"
#include "lib/base/secret.h"
#include "lib/net/sock.h"

#define DISK_BYTES_MIN (UINT64_C(256) << 20)

void
preflight_add(struct preflight *preflight, enum preflight_level level, const char *what,
              const char *format, ...)
{
    va_list args;
    if (preflight->count == PREFLIGHT_FINDINGS_MAX && level == PREFLIGHT_STOP)
        preflight->count--;
    if (preflight->count == PREFLIGHT_FINDINGS_MAX)
        return;
    struct preflight_finding *finding = &preflight->findings[preflight->count++];
    finding->level = level;
    finding->what = what;
    va_start(args, format);
    (void)vsnprintf(finding->text, sizeof(finding->text), format, args);
    va_end(args);
}

const struct preflight_finding *
preflight_first_stop(const struct preflight *preflight)
{
    for (size_t i = 0; i < preflight->count; i++) {
        if (preflight->findings[i].level == PREFLIGHT_STOP)
            return &preflight->findings[i];
    }
    return NULL;
}

int
preflight_lock(struct cli *cli, bool make, int *ret_fd, int *ret_pid, struct err *err)
{
    const char *path = cli_path(cli, "run/up.lock");
    char text[16] = "";
    uint64_t pid = 0;
    *ret_fd = -1;
    *ret_pid = 0;
    int fd = open(path, O_RDWR | O_CLOEXEC | (make ? O_CREAT : 0), 0600);
    if (fd < 0)
        return err_set_errno(err, errno, "cannot open %s", path);
    if (flock(fd, LOCK_EX | LOCK_NB) == 0) {
        *ret_fd = fd;
        return 0;
    }
    ssize_t count = pread(fd, text, sizeof(text) - 1, 0);
    if (num_u64(str_trim(str_make(text, count > 0 ? (size_t)count : 0)), INT32_MAX, &pid) == 0)
        *ret_pid = (int)pid;
    (void)close(fd);
    return 0;
}

/* ---- the checks --------------------------------------------------------------------- */

static void
check_programs(struct stack *stack, struct preflight *preflight)
{
    static const struct {
        const char *name;
        bool needed;
    } programs[] = {{"controlplane", true}, {"dataplane", true}, {"agent", false}, {"sim", false}};
    size_t missing = 0;
    for (size_t i = 0; i < ARRAY_LEN(programs); i++) {
        bool needed = programs[i].needed || (i == 2 && stack->wanted[STACK_AGENT]) ||
                      (i == 3 && stack->offline);
        if (stack_program(stack->cli, programs[i].name) != NULL)
            continue;
        missing++;
        preflight_add(preflight, needed ? PREFLIGHT_STOP : PREFLIGHT_NOTE, "programs",
                      "berth-%s is neither beside this program nor in PATH; install it there",
                      programs[i].name);
    }
    if (missing == 0)
        preflight_add(preflight, PREFLIGHT_OK, "programs", "all are there");
}

/* The nearest folder above `path` that exists, into part. */
static void
existing_part(const char *path, char part[CLI_PATH_BYTES])
{
    struct stat info;
    (void)snprintf(part, CLI_PATH_BYTES, "%s", path);
    while (part[0] != '\0' && stat(part, &info) != 0) {
        char *slash = strrchr(part, '/');
        if (slash == NULL)
            (void)snprintf(part, CLI_PATH_BYTES, ".");
        else if (slash == part)
            part[1] = '\0';
        else
            *slash = '\0';
    }
}

static void
check_data(struct stack *stack, struct preflight *preflight)
{
    char part[CLI_PATH_BYTES];
    struct statvfs disk;
    struct stat info;
    const char *data = stack->cli->data;
    if (data[0] == '\0') {
        preflight_add(preflight, PREFLIGHT_STOP, "data",
                      "the path of the data directory is empty or too long");
        return;
    }
    existing_part(data, part);
    if (stat(part, &info) == 0 && !S_ISDIR(info.st_mode)) {
        preflight_add(preflight, PREFLIGHT_STOP, "data",
                      "%s is no directory; name another data directory with --data", part);
        return;
    }
    if (access(part, W_OK | X_OK) != 0) {
        preflight_add(preflight, PREFLIGHT_STOP, "data",
                      "cannot write %s: %s; name another data directory with --data", part,
                      strerror(errno));
        return;
    }
    if (statvfs(part, &disk) == 0 && (uint64_t)disk.f_bavail * disk.f_frsize < DISK_BYTES_MIN) {
        preflight_add(
            preflight, PREFLIGHT_NOTE, "data",
            "less than 256 MiB are free below %s; without space for the journal paid calls are "
            "refused",
            part);
        return;
    }
    preflight_add(preflight, PREFLIGHT_OK, "data", "%s", data);
}

static void
check_secrets(struct stack *stack, struct preflight *preflight)
{
    static const char *const files[] = {"controlplane/server.key", "controlplane/admin.token",
                                        "keys/host.key"};
    size_t seen = 0;
    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        CLEANUP(secret_free) struct secret *secret = NULL;
        struct err err = {0};
        const char *path = cli_path(stack->cli, files[i]);
        if (access(path, F_OK) != 0)
            continue;
        if (secret_read_file(path, &secret, &err) != 0)
            preflight_add(preflight, PREFLIGHT_STOP, "secrets", "%s", err.text);
        else
            seen++;
    }
    if (seen > 0)
        preflight_add(preflight, PREFLIGHT_OK, "secrets",
                      "%zu files, only their owner can read them", seen);
}

/* Our daemons speak over it, and so do callers. */
static bool
check_loopback(struct preflight *preflight)
{
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t bytes = sizeof(addr);
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int caller = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool works = listener >= 0 && caller >= 0 &&
                 bind(listener, (const struct sockaddr *)&addr, sizeof(addr)) == 0 &&
                 listen(listener, 1) == 0 &&
                 getsockname(listener, (struct sockaddr *)&addr, &bytes) == 0 &&
                 connect(caller, (const struct sockaddr *)&addr, sizeof(addr)) == 0;
    if (!works)
        preflight_add(preflight, PREFLIGHT_STOP, "loopback",
                      "127.0.0.1 does not work here (%s), and Berth's daemons speak over it; bring "
                      "the loopback device up: ip link set lo up (and give it 127.0.0.1/8)",
                      strerror(errno));
    if (listener >= 0)
        (void)close(listener);
    if (caller >= 0)
        (void)close(caller);
    return works;
}

static bool
port_is_free(uint16_t port)
{
    struct err err = {0};
    struct sock_addr addr;
    char text[32];
    int fd = -1;
    (void)snprintf(text, sizeof(text), "127.0.0.1:%u", port);
    if (sock_addr_parse(str_from(text), &addr, &err) != 0 ||
        sock_listen(&addr, 1, false, 0600, &fd, &err) != 0)
        return false;
    (void)close(fd);
    return true;
}

static void
check_ports(struct stack *stack, struct preflight *preflight)
{
    static const struct {
        enum stack_port port;
        const char *use;
    } ports[] = {{STACK_PORT_KEYS, "API keys"},
                 {STACK_PORT_HEALTH, "the data plane's health"},
                 {STACK_PORT_NODES, "nodes"},
                 {STACK_PORT_ADMIN, "the admin API"},
                 {STACK_PORT_SIM, "the simulator"}};
    size_t taken = 0;
    for (size_t i = 0; i < ARRAY_LEN(ports); i++) {
        uint16_t port = stack_port(stack, ports[i].port);
        char owner[64];
        bool needed = ports[i].port != STACK_PORT_SIM || stack->offline;
        if (port_is_free(port))
            continue;
        taken++;
        preflight_port_owner(port, owner);
        preflight_add(
            preflight, needed ? PREFLIGHT_STOP : PREFLIGHT_NOTE, "ports",
            "port %u for %s is taken%s%s%s; stop that, or choose other ports with --port N", port,
            ports[i].use, owner[0] != '\0' ? " (" : "", owner, owner[0] != '\0' ? ")" : "");
    }
    if (taken == 0)
        preflight_add(preflight, PREFLIGHT_OK, "ports", "%u to %u are free", stack->port + 1u,
                      stack->port + 4u);
}

static void
check_running(struct stack *stack, struct preflight *preflight)
{
    struct err err = {0};
    int fd = -1;
    int pid = 0;
    if (preflight_lock(stack->cli, false, &fd, &pid, &err) == 0 && fd < 0) {
        preflight_add(
            preflight, PREFLIGHT_STOP, "running",
            "Berth already runs with the data directory %s (process %d); berth down stops it",
            stack->cli->data, pid);
    } else if (check_loopback(preflight)) {
        check_ports(stack, preflight);
    }
    if (fd >= 0)
        (void)close(fd);
}

static bool
in_path(const char *name)
{
    char file[CLI_PATH_BYTES];
    const char *path = getenv("PATH");
    struct str rest = path != NULL ? str_from(path) : STR_EMPTY;
    while (rest.len > 0) {
        struct str dir;
        (void)str_cut(rest, ':', &dir, &rest);
        int count = snprintf(file, sizeof(file), "%.*s/%s", STR_ARG(dir), name);
        if (dir.len > 0 && count > 0 && (size_t)count < sizeof(file) && access(file, X_OK) == 0)
            return true;
    }
    return false;
}

static void
check_containers(struct stack *stack, struct preflight *preflight)
{
    bool root = false;
    bool may = stack_may_attest(&root);
    if (stack->no_agent) {
        preflight_add(preflight, PREFLIGHT_NOTE, "containers",
                      "left out (--no-agent); API keys work");
    } else if (!root) {
        preflight_add(preflight, PREFLIGHT_NOTE, "containers",
                      "identities of containers need root; without it only API keys work");
    } else if (!may) {
        preflight_add(
            preflight, PREFLIGHT_STOP, "containers",
            "identities of containers need CAP_SYS_ADMIN and CAP_NET_ADMIN, which this process "
            "lacks; grant them, or start with --no-agent");
    } else if (!in_path("podman") && !in_path("runc") && !in_path("docker")) {
        preflight_add(
            preflight, PREFLIGHT_NOTE, "containers",
            "neither podman nor runc nor docker is installed: no container can get an identity");
    } else {
        preflight_add(preflight, PREFLIGHT_OK, "containers", "root, with%s%s%s",
                      in_path("podman") ? " podman" : "", in_path("runc") ? " runc" : "",
                      in_path("docker") ? " docker" : "");
    }
}

static void
check_keys(struct stack *stack, struct preflight *preflight)
{
    char names[200] = "";
    size_t at = 0;
    for (char **env = environ; env != NULL && *env != NULL; env++) {
        struct str name;
        struct str value;
        if (!str_cut(str_from(*env), '=', &name, &value) || value.len == 0 ||
            !str_ends(name, STR("_API_KEY")) || at + name.len + 2 >= sizeof(names))
            continue;
        at += (size_t)snprintf(names + at, sizeof(names) - at, " %.*s", STR_ARG(name));
    }
    if (stack->offline)
        preflight_add(preflight, PREFLIGHT_OK, "providers", "the simulator (--offline)");
    else if (at > 0)
        preflight_add(preflight, PREFLIGHT_OK, "providers", "keys in%s", names);
    else
        preflight_add(
            preflight, PREFLIGHT_NOTE, "providers",
            "no key variable such as OPENAI_API_KEY is set: unless a Provider was applied, the "
            "simulator answers");
}

void
preflight_run(struct stack *stack, struct preflight *ret_preflight)
{
    *ret_preflight = (struct preflight){.count = 0};
    check_programs(stack, ret_preflight);
    check_data(stack, ret_preflight);
    check_secrets(stack, ret_preflight);
    check_running(stack, ret_preflight);
    check_containers(stack, ret_preflight);
    check_keys(stack, ret_preflight);
}
