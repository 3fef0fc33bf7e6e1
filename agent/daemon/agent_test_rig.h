/* SPDX-License-Identifier: MIT
 * agent_test_rig.h - for tests of the agent: a control plane and a data plane in a thread, the
 *                    agent in a process, and small "containers" (a namespace, a cgroup, a process
 *                    that obeys).
 * Floor: agent/daemon, tests only; needs root.
 * Owns: a temporary folder, a private network namespace, cgroups below berth-test-PID.
 * Invariant: every wait has a deadline; what is made here is gone after rig_close. */
#ifndef BERTH_AGENT_DAEMON_AGENT_TEST_RIG_H
#define BERTH_AGENT_DAEMON_AGENT_TEST_RIG_H

#include "agent/daemon/agent_test_planes.h"

static _Atomic bool rig_ending;
static void *
rig_thread(void *user)
{
    (void)user;
    while (!atomic_load(&rig_ending)) {
        pthread_mutex_lock(&rig.lock);
        loop_step(rig.loop, 0);
        if (!rig.tickless && clock_mono_ms() - rig.tick_ms > 1000) {
            rig.tick_ms = clock_mono_ms();
            rig_say("{\"type\":\"tick\",\"rev\":\"1\"}");
        }
        struct pollfd fds[3] = {{.fd = rig.plane.fd, .events = POLLIN},
                                {.fd = rig.plane_listener.fd, .events = POLLIN},
                                {.fd = rig.control_fd, .events = POLLIN}};
        pthread_mutex_unlock(&rig.lock);
        /* wait outside the lock */
        (void)poll(fds, 3, 1);
    }
    return NULL;
}

/* ---- the agent ------------------------------------------------------------------------------ */

/* rig_main - what a test program does when it is started as the agent or the holder; -1 = as a
 * test. */
static UNUSED int
rig_main(int argc, char **argv)
{
    struct agent_options options;
    struct err err = {0};
    if (argc > 1 && strcmp(argv[1], "--holder-fd") == 0)
        return keeper_run(3);
    if (argc < 2 || strcmp(argv[1], "--agent") != 0)
        return -1;
    log_setup("agent", 0, LOG_WARN);
    if (agent_options_parse(argc - 1, argv + 1, &options, &err) < 0 ||
        agent_run(&options, STDOUT_FILENO, &err) < 0) {
        (void)fprintf(stderr, "agent: %s\n", err.text);
        return 1;
    }
    return 0;
}

static UNUSED void
rig_agent_start(void)
{
    char control[64];
    char plane[128];
    int ready[2];
    assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
    (void)snprintf(control, sizeof(control), "127.0.0.1:%u", rig.port);
    (void)snprintf(plane, sizeof(plane), "%s/handoff.sock", rig.folder);
    rig.agent = fork();
    assert_true(rig.agent >= 0);
    if (rig.agent == 0) {
        const char *argv[32] = {
            "agent",           "--agent",
            "--control",       control,
            "--pki",           rig.folder,
            "--dataplane",     plane,
            "--run-dir",       rig.folder,
            "--host-id",       "test-host",
            "--docker-socket", "none",
            "--podman-socket", rig.podman_socket != NULL ? rig.podman_socket : "none"};
        size_t count = 16;
        for (size_t i = 0; i < ARRAY_LEN(rig.agent_args) && rig.agent_args[i] != NULL; i++)
            argv[count++] = rig.agent_args[i];
        if (rig.kernel_without != NULL)
            (void)setenv("BERTH_KERNEL_WITHOUT", rig.kernel_without, 1);
        (void)dup2(ready[1], STDOUT_FILENO);
        execv(rig.agent_program != NULL ? rig.agent_program : "/proc/self/exe",
              (char *const *)(uintptr_t)argv);
        _exit(127);
    }
    close(ready[1]);
    char text[64] = "";
    assert_true(read(ready[0], text, sizeof(text) - 1) > 0);
    assert_string_equal(text, "{\"ready\":true}\n");
    close(ready[0]);
}

/* rig_fds - open descriptors of a process, by count (and two more). */
static UNUSED size_t
rig_fds(size_t pid)
{
    char path[64];
    size_t count = 0;
    (void)snprintf(path, sizeof(path), "/proc/%zu/fd", pid);
    DIR *folder = opendir(path);
    assert_non_null(folder);
    while (readdir(folder) != NULL)
        count++;
    closedir(folder);
    return count;
}

static UNUSED void
rig_copy_self(const char *path)
{
    char self[PATH_MAX] = "";
    assert_true(readlink("/proc/self/exe", self, sizeof(self) - 1) > 0);
    pid_t pid = fork();
    if (pid == 0) {
        execlp("cp", "cp", self, path, (char *)NULL);
        _exit(127);
    }
    int status = 1;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

static UNUSED void
rig_agent_stop(int number)
{
    int status = 0;
    assert_int_equal(kill(rig.agent, number), 0);
    assert_int_equal(waitpid(rig.agent, &status, 0), rig.agent);
    if (number == SIGTERM)
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    rig.agent = 0;
}

/* At the end of a test that may have failed: whatever state the agent is in, it is gone then. */
static UNUSED void
rig_agent_end(void)
{
    uint64_t end = clock_mono_ms() + 3000;
    if (rig.agent <= 0)
        return;
    (void)kill(rig.agent, SIGTERM);
    while (waitpid(rig.agent, NULL, WNOHANG) == 0) {
        if (clock_mono_ms() > end)
            (void)kill(rig.agent, SIGKILL);
        (void)poll(NULL, 0, 1);
    }
    rig.agent = 0;
}

/* ---- opening -------------------------------------------------------------------------------- */

static UNUSED void
rig_lo_up(void)
{
    struct ifreq request = {.ifr_name = "lo"};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    assert_int_equal(ioctl(fd, SIOCGIFFLAGS, &request), 0);
    request.ifr_flags = (short)(request.ifr_flags | IFF_UP);
    assert_int_equal(ioctl(fd, SIOCSIFFLAGS, &request), 0);
    close(fd);
}

static UNUSED void
rig_find_cgroups(void)
{
    static const char *const mounts[] = {"/sys/fs/cgroup/unified", "/sys/fs/cgroup"};
    for (size_t i = 0; i < ARRAY_LEN(mounts) && rig.cgroup[0] == '\0'; i++) {
        char path[PATH_MAX];
        (void)snprintf(path, sizeof(path), "%s/cgroup.procs", mounts[i]);
        if (access(path, W_OK) != 0)
            continue;
        (void)snprintf(rig.cgroup, sizeof(rig.cgroup), "%s/berth-test-%d", mounts[i],
                       (int)getpid());
        if (mkdir(rig.cgroup, 0755) != 0)
            rig.cgroup[0] = '\0';
    }
}

/* rig_open - once a process, in setup. -1: this machine cannot (no root). */
static UNUSED int
rig_open(void)
{
    struct err err = {0};
    if (geteuid() != 0 || unshare(CLONE_NEWNET) != 0)
        return -1;
    rig_lo_up();
    rig_find_cgroups();
    (void)snprintf(rig.folder, sizeof(rig.folder), "/tmp/agent-test-XXXXXX");
    assert_non_null(mkdtemp(rig.folder));
    assert_int_equal(tls_pki_init(rig.folder, &err), 0);
    assert_int_equal(tls_pki_issue(rig.folder, "controlplane", "cp", true, 90, &err), 0);
    assert_int_equal(tls_pki_issue(rig.folder, "agent", "agent", false, 90, &err), 0);
    char paths[3][128];
    static const char *const files[] = {"cp.crt", "cp.key", "ca.crt"};
    for (size_t i = 0; i < 3; i++)
        (void)snprintf(paths[i], sizeof(paths[i]), "%s/%s", rig.folder, files[i]);
    struct tls_server_conf tls = {.cert_file = paths[0],
                                  .key_file = paths[1],
                                  .client_ca_file = paths[2],
                                  .alpn_h2 = true,
                                  .internal = true};
    assert_int_equal(tls_server_new(&tls, &rig.tls, &err), 0);
    assert_int_equal(ed25519_generate(&rig.key), 0);
    assert_int_equal(loop_new(&rig.loop, &err), 0);
    buf_init(&rig.line, 1 << 20);
    rig.plane.fd = -1;
    rig.lease_ms = 15000;
    (void)pthread_mutex_init(&rig.lock, NULL);
    rig_control(true);
    rig_dataplane(true);
    assert_int_equal(pthread_create(&rig.thread, NULL, rig_thread, NULL), 0);
    return 0;
}

static UNUSED void
rig_remove_folder(void)
{
    pid_t pid = fork();
    if (pid == 0) {
        execlp("rm", "rm", "-rf", rig.folder, (char *)NULL);
        _exit(127);
    }
    (void)waitpid(pid, NULL, 0);
}

/* A failing test leaves boxes behind: their processes, then their groups. */
static UNUSED void
rig_remove_cgroups(void)
{
    DIR *folder = rig.cgroup[0] != '\0' ? opendir(rig.cgroup) : NULL;
    const struct dirent *entry;
    while (folder != NULL && (entry = readdir(folder)) != NULL) {
        char path[PATH_MAX + NAME_MAX + 16];
        char line[32];
        uint64_t pid = 0;
        uint64_t end = clock_mono_ms() + 1000;
        if (entry->d_type != DT_DIR || entry->d_name[0] == '.')
            continue;
        (void)snprintf(path, sizeof(path), "%s/%s/cgroup.procs", rig.cgroup, entry->d_name);
        FILE *procs = fopen(path, "re");
        while (procs != NULL && fgets(line, sizeof(line), procs) != NULL) {
            if (num_u64(str_trim(str_from(line)), INT32_MAX, &pid) == 0 && pid > 1)
                (void)kill((pid_t)pid, SIGKILL);
        }
        if (procs != NULL)
            (void)fclose(procs);
        (void)snprintf(path, sizeof(path), "%s/%s", rig.cgroup, entry->d_name);
        while (rmdir(path) != 0 && errno == EBUSY && clock_mono_ms() < end)
            (void)waitpid(-1, NULL, WNOHANG);
    }
    if (folder != NULL)
        (void)closedir(folder);
    if (rig.cgroup[0] != '\0')
        (void)rmdir(rig.cgroup);
}

static UNUSED void
rig_close(void)
{
    rig_agent_end();
    atomic_store(&rig_ending, true);
    (void)pthread_join(rig.thread, NULL);
    rig_dataplane(false);
    rig_control(false);
    loop_step(rig.loop, 0);
    loop_free(&rig.loop);
    tls_context_free(&rig.tls);
    ed25519_free(&rig.key);
    buf_fini(&rig.line);
    rig_remove_folder();
    rig_remove_cgroups();
}

#endif
