/* SPDX-License-Identifier: MIT
 * agent_test_runtime.h - for tests of the agent under real runtimes: programs, a busybox root,
 *                        podman with private storage, and the end of all of it.
 * Floor: agent/daemon, tests only; root.
 * Owns: everything in the rig's folder; containers and their processes.
 * Invariant: runtime_teardown leaves no container, no mount and no process, however the test ended.
 */
#ifndef BERTH_AGENT_DAEMON_AGENT_TEST_RUNTIME_H
#define BERTH_AGENT_DAEMON_AGENT_TEST_RUNTIME_H

#include "agent/daemon/agent_test_box.h"

#include <sys/prctl.h>

#include "agent/daemon/install.h"

#define ASK                                                                                        \
    ("wget -q -O - --header \"Authorization: Bearer $0\" http://127.0.0.1:4180/v1/models 2>&1 && " \
     "echo status=200")

static char output[65536];

/* Run a program to its end; what it said (through a file: its daemons may keep the descriptor). */
static UNUSED int
run(const char *const *argv)
{
    char path[128];
    int status = 0;
    (void)snprintf(path, sizeof(path), "%s/output", rig.folder);
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    pid_t pid = fork();
    if (pid == 0) {
        int null = open("/dev/null", O_RDONLY);
        (void)dup2(null, 0);
        (void)dup2(fd, 1);
        (void)dup2(fd, 2);
        (void)close_range(3, ~0u, 0);
        execvp(argv[0], (char *const *)(uintptr_t)argv);
        _exit(127);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    ssize_t got = pread(fd, output, sizeof(output) - 1, 0);
    output[got > 0 ? got : 0] = '\0';
    close(fd);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}
#define RUN(...) run((const char *const[]){__VA_ARGS__, NULL})
#define RUN_OK(...)                                   \
    do {                                              \
        if (RUN(__VA_ARGS__) != 0)                    \
            fail_msg("%s: %s", #__VA_ARGS__, output); \
    } while (0)

static UNUSED int
status_of_output(void)
{
    return strstr(output, "status=200") != NULL ? 200
           : strstr(output, "401") != NULL      ? 401
           : strstr(output, "refused") != NULL  ? 0
                                                : -1;
}

static const char *
path_of(const char *name)
{
    static char paths[16][PATH_MAX];
    static size_t next;
    char *path = paths[next++ % 16];
    (void)snprintf(path, sizeof(paths[0]), "%s/%s", rig.folder, name);
    return path;
}

static UNUSED bool
all_over(void)
{
    for (size_t i = 0; i < rig.row_count; i++) {
        if (!rig.rows[i].revoked || !rig.rows[i].unbound)
            return false;
    }
    return true;
}

static UNUSED void
make_rootfs(const char *folder)
{
    static const char *const names[] = {"sh", "wget", "sleep", "echo", "true"};
    char path[PATH_MAX];
    RUN_OK("mkdir", "-p", path_of(folder));
    (void)snprintf(path, sizeof(path), "%s/bin", path_of(folder));
    RUN_OK("mkdir", "-p", path);
    (void)snprintf(path, sizeof(path), "%s/proc", path_of(folder));
    RUN_OK("mkdir", "-p", path);
    (void)snprintf(path, sizeof(path), "%s/bin/busybox", path_of(folder));
    RUN_OK("cp", "/bin/busybox", path);
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        (void)snprintf(path, sizeof(path), "%s/bin/%s", path_of(folder), names[i]);
        RUN_OK("ln", "-sf", "busybox", path);
    }
}

#define RUNC "runc", "--root", path_of("runc")

#define PODMAN_STORE                                                                     \
    "podman", "--root", path_of("storage"), "--runroot", path_of("runroot"), "--tmpdir", \
        path_of("tmpdir"), "--storage-driver", "vfs", "--cgroup-manager", "cgroupfs"
#define PODMAN PODMAN_STORE, "--hooks-dir", path_of("hooks")
/* its hooks are somewhere else */
#define PODMAN_BARE PODMAN_STORE, "--hooks-dir", path_of("no-hooks")
#define SLEEPER "--pull", "never", "localhost/bb", "sleep", "1000"

static void
write_text(const char *name, const char *text)
{
    int fd = open(path_of(name), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    close(fd);
}

static UNUSED void
podman_prepare(void)
{
    struct agent_options options = {.hook = box_hook_path(),
                                    .run_dir = rig.folder,
                                    .when_down = "deny",
                                    .hooks_dir = path_of("hooks")};
    struct err err = {0};
    write_text("containers.conf",
               "[containers]\ndefault_ulimits=[\"nofile=20000:20000\",\"nproc=32768:32768\"]\n"
               "[engine]\nruntime=\"runc\"\ncgroup_manager=\"cgroupfs\"\nevents_logger=\"file\"\n");
    (void)setenv("CONTAINERS_CONF", path_of("containers.conf"), 1);
    if (install_hooks(&options, &err) < 0)
        fail_msg("%s", err.text);
    make_rootfs("image");
    RUN_OK("mkdir", "-p", path_of("no-hooks"));
    RUN_OK("tar", "-C", path_of("image"), "-cf", path_of("image.tar"), ".");
    RUN_OK(PODMAN, "import", path_of("image.tar"), "localhost/bb");
}

static UNUSED int
podman_ask(const char *who, const char *token)
{
    (void)RUN(PODMAN, "exec", who, "sh", "-c", ASK, token);
    return status_of_output();
}

/* ---- the beginning and the end -------------------------------------------------------------- */

static UNUSED int
runtime_setup(void **state)
{
    /* Orphans of runtimes come to us, so that they can be reaped where nobody else does. */
    return prctl(PR_SET_CHILD_SUBREAPER, 1) != 0 ? -1 : box_setup(state);
}

static void
runc_delete_all(void)
{
    static char names[4096];
    char *rest = names;
    (void)RUN(RUNC, "list", "-q");
    (void)!str_copy(names, sizeof(names), str_from(output));
    for (char *name; (name = strsep(&rest, "\n")) != NULL;) {
        if (name[0] != '\0')
            (void)RUN(RUNC, "delete", "--force", name);
    }
}

/* Also what a failing test left: nothing of it needs the agent, whose hooks may be failing. */
static UNUSED int
runtime_teardown(void **state)
{
    (void)state;
    if (access(path_of("runc"), F_OK) == 0)
        runc_delete_all();
    if (access(path_of("storage"), F_OK) == 0) {
        (void)RUN(PODMAN, "pod", "rm", "-f", "-a", "-t", "0");
        (void)RUN(PODMAN, "rm", "-f", "-a", "-t", "0");
        (void)RUN("umount", "-q", path_of("storage/vfs"));
    }
    rig_agent_end();
    /* conmon and its `podman container cleanup` are ours by now: nobody writes behind our back */
    uint64_t end = clock_mono_ms() + 5000;
    while (waitpid(-1, NULL, WNOHANG) >= 0 && clock_mono_ms() < end)
        (void)poll(NULL, 0, 2);
    rig_close();
    return 0;
}

static UNUSED bool
have(const char *path)
{
    return access(path, X_OK) == 0;
}

#endif
