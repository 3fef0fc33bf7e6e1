/* SPDX-License-Identifier: MIT
 * agent_test_box.h - for tests of the agent: "containers" without a runtime, and calls of
 *                    berth-hook.
 * Floor: agent/daemon, tests only.
 * Owns: processes and cgroups; box_end gives them back.
 * Invariant: a box does one thing at a time and says how it went. */
#ifndef BERTH_AGENT_DAEMON_AGENT_TEST_BOX_H
#define BERTH_AGENT_DAEMON_AGENT_TEST_BOX_H

#include "agent/daemon/agent_test_rig.h"

enum box_order {
    BOX_GET,
    BOX_GET6,
    BOX_GET_LINK,
    BOX_GET_UNIX,
    BOX_GET_BRIDGE,
    BOX_GET_SPOOF,
    BOX_SQUAT,
    BOX_CUSTOM,
    BOX_END
};
struct box_command {
    enum box_order order;
    char token[256];
};
struct box {
    const char *name;
    pid_t pid;
    int fd;
    char cgroup[PATH_MAX];
};

static UNUSED bool
box_address(enum box_order order, struct sock_addr *addr)
{
    static const char *const places[] = {"127.0.0.1:4180", "[::1]:4180",   "169.254.77.77:4180", "",
                                         "10.9.0.1:4180",  "10.9.0.1:4180"};
    if (order != BOX_GET_UNIX)
        return sock_addr_parse(str_from(places[order]), addr, NULL) == 0;
    addr->u.un = (struct sockaddr_un){.sun_family = AF_UNIX, .sun_path = "\0" NETNS_UNIX_NAME};
    addr->len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + sizeof(NETNS_UNIX_NAME));
    return true;
}

/* Connect to the listener and ask with a bearer: the status; 0 = cannot connect; -1 = no answer. */
static UNUSED int
box_get(const char *token, enum box_order way)
{
    struct sock_addr addr;
    char bytes[1024];
    struct timeval limit = {.tv_sec = 6};
    if (!box_address(way, &addr))
        return -1;
    int fd = socket(addr.u.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    if (way == BOX_GET_SPOOF) { /* as the first box of the bridge */
        struct sock_addr source;
        (void)!sock_addr_parse(STR("10.9.0.2:0"), &source, NULL);
        limit.tv_sec = 1;
        (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
        (void)!bind(fd, &source.u.any, source.len);
    }
    if (connect(fd, &addr.u.any, addr.len) != 0) {
        close(fd);
        return 0;
    }
    int len = snprintf(bytes, sizeof(bytes),
                       "GET /api/v1/models HTTP/1.1\r\nHost: 127.0.0.1:4180\r\n"
                       "Authorization: Bearer %s\r\n\r\n",
                       token);
    ssize_t got = -1;
    if (write(fd, bytes, (size_t)len) == len)
        got = read(fd, bytes, sizeof(bytes) - 1);
    close(fd);
    uint64_t status = 0;
    if (got < 12 || num_u64(str_make(bytes + 9, 3), 999, &status) < 0)
        return -1;
    return (int)status;
}

/* Try to take the port, in every way: 0 = got it, else errno. */
static UNUSED int
box_squat(void)
{
    static const char *const places[] = {"127.0.0.1:4180", "0.0.0.0:4180", "[::1]:4180",
                                         "[::]:4180"};
    int result = 0;
    int on = 1;
    for (size_t i = 0; i < 2 * ARRAY_LEN(places); i++) {
        struct sock_addr addr;
        if (sock_addr_parse(str_from(places[i / 2]), &addr, NULL) < 0)
            return -1;
        int fd = socket(addr.u.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
        (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
        (void)setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on));
        if (i % 2 == 1)
            (void)setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, "lo", 2);
        result = bind(fd, &addr.u.any, addr.len) != 0 || listen(fd, 1) != 0 ? errno : 0;
        if (result == 0)
            return 0;
        close(fd);
    }
    return result;
}

/* What BOX_CUSTOM does, in the box's process; the answer. */
static UNUSED int (*box_custom)(const char *argument);

static void
box_serve(int fd)
{
    struct box_command command;
    int result = 0;
    while (read(fd, &command, sizeof(command)) == (ssize_t)sizeof(command)) {
        if (command.order == BOX_END)
            break;
        if (command.order == BOX_CUSTOM)
            result = box_custom(command.token);
        else if (command.order == BOX_SQUAT)
            result = box_squat();
        else
            result = box_get(command.token, command.order);
        if (write(fd, &result, sizeof(result)) != (ssize_t)sizeof(result))
            break;
    }
    _exit(0);
}

/* box_start - its own namespace (join NULL), that of another box, or the host's (join == itself).
 * grouped: with a cgroup of its own. */
static UNUSED void
box_start(struct box *box, const char *name, const struct box *join, bool grouped)
{
    int pair[2];
    char go = 0;
    *box = (struct box){.name = name};
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    if (grouped && rig.cgroup[0] != '\0') {
        int len = snprintf(box->cgroup, sizeof(box->cgroup), "%s/%s", rig.cgroup, name);
        assert_true(len > 0 && (size_t)len < sizeof(box->cgroup));
        assert_true(mkdir(box->cgroup, 0755) == 0 || errno == EEXIST);
    }
    box->pid = fork();
    assert_true(box->pid >= 0);
    if (box->pid == 0) {
        char path[PATH_MAX + 32];
        /* Nothing of the doubles may stay open here. */
        (void)dup2(pair[1], 3);
        (void)close_range(4, ~0u, 0);
        if (box->cgroup[0] != '\0') {
            (void)snprintf(path, sizeof(path), "%s/cgroup.procs", box->cgroup);
            int fd = open(path, O_WRONLY | O_CLOEXEC);
            if (fd < 0 || write(fd, "0", 1) != 1)
                _exit(2);
            close(fd);
        }
        if (join == NULL && unshare(CLONE_NEWNET) != 0)
            _exit(3);
        if (join != NULL && join != box) {
            (void)snprintf(path, sizeof(path), "/proc/%d/ns/net", (int)join->pid);
            int fd = open(path, O_RDONLY | O_CLOEXEC);
            if (fd < 0 || setns(fd, CLONE_NEWNET) != 0)
                _exit(4);
            close(fd);
        }
        if (write(3, &go, 1) == 1)
            box_serve(3);
        _exit(5);
    }
    close(pair[1]);
    box->fd = pair[0];
    assert_int_equal(read(box->fd, &go, 1), 1);
}

/* box_order - give an order, do not wait for its end (box_result). */
static UNUSED void
box_order(struct box *box, enum box_order order, const char *token)
{
    struct box_command command = {.order = order};
    (void)snprintf(command.token, sizeof(command.token), "%s", token);
    assert_int_equal(write(box->fd, &command, sizeof(command)), sizeof(command));
}

static UNUSED int
box_result(struct box *box)
{
    int result = -2;
    assert_int_equal(read(box->fd, &result, sizeof(result)), sizeof(result));
    return result;
}

static UNUSED int
box_do(struct box *box, enum box_order order, const char *token)
{
    box_order(box, order, token);
    return box_result(box);
}

static UNUSED void
box_end(struct box *box)
{
    if (box->pid > 0) {
        (void)kill(box->pid, SIGKILL);
        (void)waitpid(box->pid, NULL, 0);
        close(box->fd);
        box->pid = 0;
    }
    if (box->cgroup[0] != '\0') {
        uint64_t end = clock_mono_ms() + 1000;
        while (rmdir(box->cgroup) != 0 && errno == EBUSY && clock_mono_ms() < end)
            (void)poll(NULL, 0, 1);
    }
    box->cgroup[0] = '\0';
}

/* Where berth-hook was built: bin/ beside the test. NULL: not built. */
static UNUSED const char *
box_hook_path(void)
{
    static char path[PATH_MAX];
    ssize_t len = readlink("/proc/self/exe", path, sizeof(path) - 32);
    if (len <= 0)
        return NULL;
    path[len] = '\0';
    char *slash = strrchr(path, '/');
    (void)snprintf(slash, 32, "/bin/berth-hook");
    return access(path, X_OK) == 0 ? path : NULL;
}

/* box_hook - run the real berth-hook with a state; its exit status; its stderr into text[512]. */
static UNUSED int
box_hook(const char *stage, const char *state, char *text)
{
    char socket_path[128];
    int in[2];
    int out[2];
    int status = 0;
    size_t len = 0;
    ssize_t got = 0;
    assert_non_null(box_hook_path());
    (void)snprintf(socket_path, sizeof(socket_path), "%s/hook.sock", rig.folder);
    assert_int_equal(pipe2(in, O_CLOEXEC), 0);
    assert_int_equal(pipe2(out, O_CLOEXEC), 0);
    pid_t pid = fork();
    if (pid == 0) {
        (void)dup2(in[0], STDIN_FILENO);
        (void)dup2(out[1], STDERR_FILENO);
        execl(box_hook_path(), "berth-hook", stage, "--socket", socket_path, (char *)NULL);
        _exit(127);
    }
    close(in[0]);
    close(out[1]);
    (void)!write(in[1], state, strlen(state));
    close(in[1]);
    while ((got = read(out[0], text + len, 511 - len)) > 0)
        len += (size_t)got;
    text[len] = '\0';
    close(out[0]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* box_create - the createRuntime hook of this box; 0 = may start. extra: more JSON annotations. */
static UNUSED int
box_create(const struct box *box, const char *extra, char *text)
{
    char state[2048];
    (void)snprintf(state, sizeof(state),
                   "{\"ociVersion\":\"1.0.2-dev\",\"id\":\"%s\",\"status\":\"creating\",\"pid\":%d,"
                   "\"bundle\":\"/tmp\",\"annotations\":{%s}}",
                   box->name, (int)box->pid, extra);
    return box_hook("createRuntime", state, text);
}

static UNUSED int
box_poststop(const struct box *box, char *text)
{
    char state[2048];
    (void)snprintf(state, sizeof(state),
                   "{\"ociVersion\":\"1.0.2-dev\",\"id\":\"%s\",\"status\":\"stopped\","
                   "\"bundle\":\"/tmp\"}",
                   box->name);
    return box_hook("poststop", state, text);
}

/* ---- a program of tests --------------------------------------------------------------------- */

/* box_setup, box_teardown - of a group: the planes, the agent, and both have met. */
static UNUSED int
box_setup(void **state)
{
    (void)state;
    if (rig.loop == NULL && rig_open() != 0)
        return -1;
    rig_agent_start();
    RIG_WAIT(rig.plane.fd >= 0);
    return 0;
}

static UNUSED int
box_teardown(void **state)
{
    (void)state;
    rig_close();
    return 0;
}

/* box_main - the rest of main(): what a test program is when it is started as the agent, or 77
 * where it cannot run, or the tests. missing: what else it lacks here; NULL = nothing. */
static UNUSED int
box_main(int argc, char **argv, const char *missing, const struct CMUnitTest *tests, size_t count,
         CMFixtureFunction setup, CMFixtureFunction teardown)
{
    int code = rig_main(argc, argv);
    if (code >= 0)
        return code;
    if (geteuid() != 0 || box_hook_path() == NULL || missing != NULL) {
        (void)printf("skipped: needs root and bin/berth-hook beside the test%s%s\n",
                     missing != NULL ? ", " : "", missing != NULL ? missing : "");
        return 77;
    }
    return _cmocka_run_group_tests("tests", tests, count, setup, teardown);
}

#endif
