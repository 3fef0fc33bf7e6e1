/* SPDX-License-Identifier: MIT
 * daemon_test.c - the whole control plane as a process: first start, restart, kill, and refusals.
 * Floor: controlplane/daemon tests; every daemon runs in a forked child.
 * Owns: nothing.
 * Invariant: what an operator sees: a ready line, one sentence, an exit code. */
#include "controlplane/daemon/daemon.h"

#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/http/fetch.h"
#include "lib/net/sock.h"

#define READY_MS 20000

struct fixture {
    char dir[64];
    char data[96];
    struct flags options;
    pid_t pid;
    int out;
    char ready[4096]; /* the first line, or what stood on stderr when it ended */
    struct buf reply;
};

static int
setup(void **state)
{
    static struct fixture fixture;
    struct fixture *f = &fixture;
    *f = (struct fixture){.dir = "/tmp/berth-daemon-test-XXXXXX", .out = -1};
    *state = f;
    buf_init(&f->reply, 4u << 20);
    if (!mkdtemp(f->dir))
        return -1;
    (void)snprintf(f->data, sizeof f->data, "%.63s/data", f->dir);
    f->options = (struct flags){.data = f->data,
                                .listen_admin = "127.0.0.1:0",
                                .listen_planes = "127.0.0.1:0",
                                .server_name = "controlplane",
                                .markup_bps = "500",
                                .fee_bps = "0"};
    return unsetenv("OPENAI_API_KEY") || unsetenv("ANTHROPIC_API_KEY");
}

static int
teardown(void **state)
{
    struct fixture *f = *state;
    static const char *const files[] = {"data/pki/ca.crt",
                                        "data/pki/ca.key",
                                        "data/pki/.lock",
                                        "data/pki/controlplane.crt",
                                        "data/pki/controlplane.key",
                                        "data/pki/dataplane.crt",
                                        "data/pki/dataplane.key",
                                        "data/pki/agent.crt",
                                        "data/pki/agent.key",
                                        "data/pki",
                                        "data/berth.db",
                                        "data/berth.db-wal",
                                        "data/berth.db-shm",
                                        "data/admin.sock",
                                        "data/admin.token",
                                        "data/server.key",
                                        "data/server.pub",
                                        "data",
                                        ""};
    if (f->pid > 0) {
        kill(f->pid, SIGKILL);
        waitpid(f->pid, NULL, 0);
    }
    if (f->out >= 0)
        close(f->out);
    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        char path[256];
        (void)snprintf(path, sizeof path, "%s/%s", f->dir, files[i]);
        (void)remove(path);
    }
    buf_fini(&f->reply);
    return 0;
}

static void
start(struct fixture *f)
{
    int pipes[2];
    size_t len = 0;
    assert_int_equal(pipe(pipes), 0);
    if (f->out >= 0)
        close(f->out);
    f->pid = fork();
    assert_true(f->pid >= 0);
    if (f->pid == 0) {
        struct err err = {0};
        dup2(pipes[1], STDOUT_FILENO);
        close(pipes[0]);
        int code = daemon_run(&f->options, &err);
        if (code < 0)
            dprintf(STDOUT_FILENO, "%s\n", err.text);
        _exit(code == 0 ? 0 : code == -ERR_PERMISSION ? 78 : 1);
    }
    close(pipes[1]);
    f->out = pipes[0];
    memset(f->ready, 0, sizeof f->ready);
    while (len < sizeof f->ready - 1 && !strchr(f->ready, '\n')) {
        struct pollfd poll_fd = {.fd = f->out, .events = POLLIN};
        assert_true(poll(&poll_fd, 1, READY_MS) > 0);
        ssize_t count = read(f->out, f->ready + len, sizeof f->ready - 1 - len);
        if (count <= 0)
            break;
        len += (size_t)count;
    }
}

static int
end(struct fixture *f, int signal_number)
{
    int status = 0;
    if (signal_number)
        assert_int_equal(kill(f->pid, signal_number), 0);
    assert_int_equal(waitpid(f->pid, &status, 0), f->pid);
    f->pid = 0;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

static const char *
get(struct fixture *f, const char *method, const char *path, const char *yaml)
{
    static const char *const fields[] = {"Content-Type: application/yaml", NULL};
    char url[256];
    char socket[128];
    long status = 0;
    struct err err = {0};
    (void)snprintf(url, sizeof url, "http://localhost%s", path);
    (void)snprintf(socket, sizeof socket, "%s/admin.sock", f->data);
    const struct fetch fetch = {.method = method,
                                .url = url,
                                .unix_path = socket,
                                .fields = fields,
                                .body = yaml ? str_from(yaml) : STR_EMPTY,
                                .timeout_ms = 10000};
    f->reply.len = 0;
    if (fetch_run(&fetch, &status, &f->reply, &err) < 0)
        fail_msg("%s: %s", path, err.text);
    return buf_cstr(&f->reply);
}

static unsigned
mode_of(struct fixture *f, const char *name)
{
    char path[256];
    struct stat info;
    (void)snprintf(path, sizeof path, "%s/%s", f->data, name);
    assert_int_equal(stat(path, &info), 0);
    return info.st_mode & 07777u;
}

/* Everything of the first start is private, and all of it is there again after a kill -9. */
static void
test_start_kill_restart(void **state)
{
    struct fixture *f = *state;
    char server[64];
    assert_int_equal(setenv("OPENAI_API_KEY", "sk-test", 1), 0);
    start(f);
    assert_non_null(strstr(f->ready, "{\"ready\":true,"));
    assert_int_equal(mode_of(f, "."), 0700);
    assert_int_equal(mode_of(f, "server.key"), 0600);
    assert_int_equal(mode_of(f, "admin.token"), 0600);
    assert_int_equal(mode_of(f, "admin.sock"), 0600);
    assert_int_equal(mode_of(f, "berth.db"), 0600);
    assert_int_equal(mode_of(f, "pki/dataplane.key"), 0600);
    const char *at = strstr(f->ready, "\"server\":\"");
    assert_non_null(at);
    (void)snprintf(server, sizeof server, "%.42s", at);
    assert_non_null(strstr(get(f, "GET", "/apis/berth.dev/v1alpha1/wallets/default", NULL), "uid"));
    assert_non_null(strstr(get(f, "GET", "/apis/berth.dev/v1alpha1/providers", NULL),
                           "\"key\":{\"env\":\"OPENAI_API_KEY\"}"));
    get(f, "PUT", "/apis/berth.dev/v1alpha1/wallets/kept",
        "apiVersion: berth.dev/v1alpha1\nkind: Wallet\nmetadata: {name: kept}\n");
    assert_int_equal(end(f, SIGKILL), -SIGKILL);
    start(f);
    assert_non_null(strstr(f->ready, server));
    assert_non_null(strstr(get(f, "GET", "/apis/berth.dev/v1alpha1/wallets/kept", NULL), "uid"));
    assert_int_equal(end(f, SIGTERM), 0);
}

/* A provider from the environment yields to a person's; the simulator goes when it is not asked
 * for. */
static void
test_providers(void **state)
{
    struct fixture *f = *state;
    f->options.offline_sim = "http://127.0.0.1:9";
    start(f);
    const char *list = get(f, "GET", "/apis/berth.dev/v1alpha1/providers", NULL);
    assert_non_null(strstr(list, "\"baseUrl\":\"http://127.0.0.1:9/v1\""));
    assert_non_null(strstr(list, "\"baseUrl\":\"http://127.0.0.1:9\""));
    assert_int_equal(end(f, SIGTERM), 0);
    f->options.offline_sim = NULL;
    assert_int_equal(setenv("ANTHROPIC_API_KEY", "k", 1), 0);
    start(f);
    list = get(f, "GET", "/apis/berth.dev/v1alpha1/providers", NULL);
    assert_null(strstr(list, "127.0.0.1"));
    assert_null(strstr(list, "\"openai\"}"));
    assert_non_null(strstr(list, "https://api.anthropic.com"));
    get(f, "PUT", "/apis/berth.dev/v1alpha1/providers/anthropic",
        "apiVersion: berth.dev/v1alpha1\nkind: Provider\nmetadata: {name: anthropic}\n"
        "spec: {dialect: anthropic, baseUrl: 'http://mine/'}\n");
    assert_int_equal(end(f, SIGTERM), 0);
    start(f);
    assert_non_null(strstr(get(f, "GET", "/apis/berth.dev/v1alpha1/providers/anthropic", NULL),
                           "http://mine/"));
    assert_int_equal(end(f, SIGTERM), 0);
}

static void
test_unsafe_modes(void **state)
{
    struct fixture *f = *state;
    static const char *const names[] = {"server.key", "admin.token"};
    char path[256];
    assert_int_equal(mkdir(f->data, 0755), 0);
    assert_int_equal(chmod(f->data, 0755), 0);
    start(f);
    assert_non_null(strstr(f->ready, "run: chmod 700"));
    assert_int_equal(end(f, 0), 78);
    assert_int_equal(chmod(f->data, 0700), 0);
    start(f);
    assert_int_equal(end(f, SIGTERM), 0);
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        (void)snprintf(path, sizeof path, "%s/%s", f->data, names[i]);
        assert_int_equal(chmod(path, 0644), 0);
        start(f);
        assert_non_null(strstr(f->ready, names[i]));
        assert_non_null(strstr(f->ready, "chmod"));
        assert_int_equal(end(f, 0), 78);
        assert_int_equal(chmod(path, 0600), 0);
    }
    f->options.listen_admin = "0.0.0.0:0";
    start(f);
    assert_non_null(strstr(f->ready, "loopback"));
    assert_int_equal(end(f, 0), 78);
}

static void
test_taken(void **state)
{
    struct fixture *f = *state;
    struct sock_addr addr;
    struct err err = {0};
    int fd = -1;
    char text[128];
    assert_int_equal(sock_addr_parse(STR("127.0.0.1:0"), &addr, &err), 0);
    assert_int_equal(sock_listen(&addr, 1, false, 0, &fd, &err), 0);
    addr.len = sizeof addr.u;
    assert_int_equal(getsockname(fd, &addr.u.any, &addr.len), 0);
    sock_addr_format(&addr, text);
    f->options.listen_planes = text;
    start(f);
    assert_non_null(strstr(f->ready, text));
    assert_int_equal(end(f, 0), 1);
    close(fd);
    f->options.listen_planes = "127.0.0.1:0";
    start(f);
    assert_non_null(strstr(f->ready, "\"ready\":true"));
    pid_t first = f->pid;
    start(f); /* a second one on the same data */
    assert_null(strstr(f->ready, "\"ready\""));
    assert_int_equal(end(f, 0), 1);
    f->pid = first;
    assert_non_null(strstr(get(f, "GET", "/healthz", NULL), "ok"));
    assert_int_equal(end(f, SIGTERM), 0);
}

static void
test_options(void **state)
{
    (void)state;
    static const struct {
        const char *args[4];
        const char *want_err;
    } rows[] = {
        {{"x", NULL}, "--data DIR is missing"},
        {{"x", "--data", NULL}, "wants a value"},
        {{"x", "--dtaa", "/d", NULL}, "did you mean --data"},
        {{"x", "-h", NULL}, NULL},
        {{"x", "--data=/d", NULL}, NULL},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct flags options;
        struct err err = {0};
        char texts[4][32] = {{0}};
        char *argv[4] = {NULL};
        int argc = 0;
        for (; argc < 4 && rows[i].args[argc]; argc++) {
            (void)snprintf(texts[argc], sizeof texts[argc], "%s", rows[i].args[argc]);
            argv[argc] = texts[argc];
        }
        int code = flags_parse(argc, argv, &options, &err);
        assert_int_equal(code < 0, rows[i].want_err != NULL);
        if (rows[i].want_err)
            assert_non_null(strstr(err.text, rows[i].want_err));
    }
    assert_non_null(strstr(flags_help, "Examples:"));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_start_kill_restart, setup, teardown),
        cmocka_unit_test_setup_teardown(test_providers, setup, teardown),
        cmocka_unit_test_setup_teardown(test_unsafe_modes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_taken, setup, teardown),
        cmocka_unit_test(test_options),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
