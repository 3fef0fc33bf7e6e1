/* SPDX-License-Identifier: MIT
 * main.c - berth-hook: the OCI hook. Reads the container's state, asks the agent, exits 0 or 1.
 * Floor: agent/hook; its own process, static, libc only: it runs in every container start of the
 * host.
 * Owns: one socket.
 * Invariant: ends within DEADLINE_MS whatever the agent does; poststop never fails. Protocol:
 *            agent/daemon/hook_server.h. agent/daemon/agent_test.c. */
#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define DEADLINE_MS 2000
#define STATE_BYTES_MAX (64u * 1024u)
#define HEAD_BYTES_MAX 128u
#define REPLY_BYTES_MAX 512u

struct options {
    const char *stage;
    const char *socket;
    const char *rootless_socket;
    const char *runtime;
    bool allow_when_down;
};

static const char help[] =
    "berth-hook STAGE [--socket PATH] [--runtime NAME] [--when-down deny|allow]\n"
    "\n"
    "OCI hook of the Berth agent; reads the container's state from standard input.\n"
    "  STAGE        createRuntime: wait until the container's token works; exit 1 vetoes the "
    "start\n"
    "               poststop: wait until it is revoked; always exits 0\n"
    "  --socket     the agent's hook socket (default /run/berth/hook.sock)\n"
    "  --rootless-socket PATH  asked by containers of users other than root (default\n"
    "               /run/berth/rootless.sock); where it is not, they start without a token\n"
    "  --runtime    name of the runtime in bindings (default runc; podman is recognised)\n"
    "  --when-down  what to do when no agent answers (default deny)\n"
    "\n"
    "Example: berth-hook createRuntime < state.json\n"
    "`berth-agent install-hooks` (podman) and `berth-agent runc-hooks` set it up.\n";

static int64_t
now_ms(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* fd is ready for `events` before the deadline. */
static bool
is_ready(int fd, short events, int64_t deadline_ms)
{
    struct pollfd poll_fd = {.fd = fd, .events = events};
    for (;;) {
        int64_t left = deadline_ms - now_ms();
        if (left <= 0)
            return false;
        int count = poll(&poll_fd, 1, (int)left);
        if (count > 0)
            return true;
        if (count < 0 && errno != EINTR)
            return false;
    }
}

static const char *
read_state(char *bytes, size_t *len, int64_t deadline_ms)
{
    size_t start = *len;
    for (;;) {
        if (*len - start > STATE_BYTES_MAX)
            return "the container's state is larger than 64 KiB";
        if (!is_ready(STDIN_FILENO, POLLIN, deadline_ms))
            return "no container state came on standard input";
        ssize_t got = read(STDIN_FILENO, bytes + *len, STATE_BYTES_MAX + 1 - (*len - start));
        if (got < 0 && errno != EINTR)
            return "cannot read the container's state";
        if (got == 0)
            return *len > start ? NULL : "no container state came on standard input";
        if (got > 0)
            *len += (size_t)got;
    }
}

/* NULL, or why there is no reply; *ret_down: nobody listens. */
static const char *
ask_agent(const char *path, const char *bytes, size_t len, char *reply, int64_t deadline_ms,
          bool *ret_down)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof(address.sun_path))
        return "the path of the agent's socket is too long";
    memcpy(address.sun_path, path, strlen(path) + 1);
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return "cannot make a socket";
    if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) != 0) {
        *ret_down = true;
        (void)close(fd);
        return errno == EACCES || errno == EPERM ? "not allowed to speak to the agent"
                                                 : "the agent is not running";
    }
    const char *problem = NULL;
    ssize_t got = -1;
    if (send(fd, bytes, len, MSG_NOSIGNAL) != (ssize_t)len)
        problem = "the agent does not take the request";
    else if (!is_ready(fd, POLLIN, deadline_ms))
        problem = "the agent did not answer in time";
    else if ((got = recv(fd, reply, REPLY_BYTES_MAX - 1, 0)) <= 0)
        problem = "the agent closed the connection";
    else
        reply[got] = '\0';
    (void)close(fd);
    return problem;
}

static const char *
parse_options(int argc, char **argv, struct options *options)
{
    *options = (struct options){.socket = "/run/berth/hook.sock",
                                .rootless_socket = "/run/berth/rootless.sock",
                                .runtime = "runc"};
    for (int i = 1; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : NULL;
        if (argv[i][0] != '-') {
            options->stage = argv[i];
            continue;
        }
        if (value == NULL)
            return "an option has no value; see --help";
        if (strcmp(argv[i], "--socket") == 0)
            options->socket = value;
        else if (strcmp(argv[i], "--rootless-socket") == 0)
            options->rootless_socket = value;
        else if (strcmp(argv[i], "--runtime") == 0 && strlen(value) <= 64)
            options->runtime = value;
        else if (strcmp(argv[i], "--when-down") == 0 &&
                 (strcmp(value, "deny") == 0 || strcmp(value, "allow") == 0))
            options->allow_when_down = value[0] == 'a';
        else
            return "unknown option or value; see --help";
        i++;
    }
    if (options->stage == NULL ||
        (strcmp(options->stage, "createRuntime") != 0 && strcmp(options->stage, "poststop") != 0))
        return "the stage must be createRuntime or poststop; see --help";
    return NULL;
}

/* A user's own container: the runtime runs in a user namespace. (The host's maps every id.) */
static bool
is_rootless(void)
{
    char line[128] = "";
    FILE *file = fopen("/proc/self/uid_map", "re");
    bool known = file != NULL && fgets(line, sizeof(line), file) != NULL;
    if (file != NULL)
        (void)fclose(file);
    return known && strstr(line, " 4294967295") == NULL;
}

int
main(int argc, char **argv)
{
    static char bytes[HEAD_BYTES_MAX + STATE_BYTES_MAX + 2];
    char reply[REPLY_BYTES_MAX] = "";
    struct options options;
    int64_t deadline_ms = now_ms() + DEADLINE_MS;
    bool down = false;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0)
            return fputs(help, stdout) < 0 ? 1 : 0;
    }
    bool rootless = false;
    const char *problem = parse_options(argc, argv, &options);
    bool poststop = options.stage != NULL && strcmp(options.stage, "poststop") == 0;
    if (problem == NULL) {
        int head = snprintf(bytes, HEAD_BYTES_MAX, "%s %s\n", options.stage, options.runtime);
        size_t len = (size_t)head;
        problem = read_state(bytes, &len, deadline_ms);
        if (problem == NULL)
            problem = ask_agent(options.socket, bytes, len, reply, deadline_ms, &down);
        rootless = down && is_rootless();
        if (rootless) {
            down = false;
            problem = ask_agent(options.rootless_socket, bytes, len, reply, deadline_ms, &down);
        }
        if (rootless && down)
            problem = "the agent takes no rootless containers";
    }
    if (problem == NULL && strncmp(reply, "ok", 2) == 0) {
        if (reply[2] == ' ') /* started without a token, by policy */
            (void)fprintf(stderr, "berth: %s\n", reply + 3);
        return 0;
    }
    if (problem == NULL)
        problem =
            strncmp(reply, "no ", 3) == 0 ? reply + 3 : "the agent's answer is not understood";
    bool allowed = poststop || (down && (options.allow_when_down || rootless));
    (void)fprintf(stderr, "berth: %s%s\n", problem,
                  poststop || !allowed ? "" : "; the container starts without a token");
    return allowed ? 0 : 1;
}
