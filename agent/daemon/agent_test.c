/* SPDX-License-Identifier: MIT
 * agent_test.c - the agent against the kernel, without a container runtime: who gets 200, who
 *                gets 401, and what happens at every end.
 * Floor: agent/daemon, test; root, else skipped (77).
 * Owns: see agent_test_rig.h.
 * Invariant: the diagonal of the matrix is 200 and all the rest 401. */
#include <dirent.h>

#include "agent/daemon/agent_test_box.h"

#include <sys/resource.h>

static char text[512];

static void
assert_created(const struct box *box)
{
    if (box_create(box, "", text) != 0)
        fail_msg("%s: %s", box->name, text);
}

static bool
all_gone(const char *name, bool unbound)
{
    for (size_t i = 0; i < rig.row_count; i++) {
        if (strcmp(rig.rows[i].name, name) == 0 &&
            (!rig.rows[i].revoked || (unbound && !rig.rows[i].unbound)))
            return false;
    }
    return true;
}

/* Does the agent's last list of whom it hosts have this row? */
static bool
is_hosted(size_t row)
{
    char hex[2 * INCARNATION_BYTES + 1];
    hex_encode(rig.rows[row].incarnation, INCARNATION_BYTES, hex);
    return strstr(rig.hosting_text, hex) != NULL;
}

/* a, b: own namespaces; c: a sidecar of b; h1, h2: host network. */
static void
test_matrix(void **state)
{
    (void)state;
    struct box boxes[5];
    const size_t count = rig.cgroup[0] != '\0' ? 5 : 2;
    box_start(&boxes[0], "box-a", NULL, true);
    box_start(&boxes[1], "box-b", NULL, true);
    if (count > 2) {
        box_start(&boxes[2], "box-c", &boxes[1], true);
        box_start(&boxes[3], "box-h1", &boxes[3], true);
        box_start(&boxes[4], "box-h2", &boxes[4], true);
    }
    assert_int_equal(box_do(&boxes[0], BOX_GET, "container-box-a"), 0); /* nothing there yet */
    for (size_t i = 0; i < count; i++)
        assert_created(&boxes[i]);
    for (size_t i = 0; i < count; i++) {
        for (size_t j = 0; j < count; j++) {
            char token[64];
            (void)snprintf(token, sizeof(token), "container-%s", boxes[j].name);
            if (box_do(&boxes[i], BOX_GET, token) != (i == j ? 200 : 401) ||
                box_do(&boxes[i], BOX_GET6, token) != (i == j ? 200 : 401))
                fail_msg("%s with %s", boxes[i].name, token);
        }
        assert_int_equal(box_do(&boxes[i], BOX_GET, "sk-other"), 401);
        assert_int_equal(box_do(&boxes[i], BOX_SQUAT, ""), EADDRINUSE);
    }
    assert_int_equal(box_do(&boxes[0], BOX_GET, "container-1"), 200); /* by number */
    if (count > 2)
        assert_int_equal(box_get("container-box-h1", BOX_GET), 401); /* a process of the host */
    struct box intruder; /* root of the host that entered box-a's namespace */
    box_start(&intruder, "intruder", &boxes[0], false);
    assert_int_equal(box_do(&intruder, BOX_GET, "container-box-a"), count > 2 ? 401 : 200);
    box_end(&intruder);
    struct box debug; /* a debug container: same namespace, another cgroup, no token */
    box_start(&debug, "debug", &boxes[0], true);
    assert_int_equal(box_do(&debug, BOX_GET, "container-box-a"), count > 2 ? 401 : 200);
    box_end(&debug);
    if (count > 2) {
        box_end(&boxes[1]); /* the owner of the shared namespace goes, the sidecar stays */
        RIG_WAIT(all_gone("box-b", true));
        assert_int_equal(box_do(&boxes[2], BOX_GET, "container-box-c"), 200);
        assert_int_equal(box_do(&boxes[2], BOX_GET, "container-box-b"), 401);
    }
    for (size_t i = 0; i < count; i++)
        box_end(&boxes[i]);
    RIG_WAIT(all_gone("box-a", true) && all_gone("box-c", true) && all_gone("box-h1", true) &&
             all_gone("box-h2", true));
    assert_int_equal(box_get("container-box-h1", BOX_GET), 0); /* the host's port is free again */
}

/* A recreated container has the same token and another life. */
static void
test_recreate(void **state)
{
    (void)state;
    for (int i = 0; i < 40; i++) {
        struct box box;
        box_start(&box, "again", NULL, true);
        assert_created(&box);
        assert_int_equal(box_do(&box, BOX_GET, "container-again"), 200);
        box_end(&box);
        assert_int_equal(box_poststop(&box, text), 0);
        assert_true(RIG_GET(all_gone("again", false))); /* poststop answers when it is revoked */
    }
}

static void
test_vetoes(void **state)
{
    (void)state;
    struct box box;
    box_start(&box, "veto", NULL, true);
    RIG_SET(rig.refuse, "a running container of this host has this name");
    assert_int_equal(box_create(&box, "", text), 1);
    assert_string_equal(text, "berth: a running container of this host has this name\n");
    RIG_SET(rig.refuse, NULL);
    RIG_SET(rig.silent, true);
    assert_int_equal(box_create(&box, "", text), 1);
    assert_string_equal(text, "berth: the data plane did not take the binding in time\n");
    RIG_SET(rig.silent, false);
    assert_int_equal(box_do(&box, BOX_GET, "container-veto"), 0); /* undone */
    assert_int_equal(box_create(&box, "\"io.berth.name\":\"a b\"", text), 1);
    assert_string_equal(text,
                        "berth: annotation io.berth.name is not 1 to 100 of A-Z a-z 0-9 - _\n");
    assert_int_equal(box_create(&box, "\"io.berth.ai\":\"false\"", text), 0);
    assert_int_equal(box_do(&box, BOX_GET, "container-veto"), 0);
    assert_int_equal(box_create(&box, "\"io.kubernetes.cri.container-type\":\"sandbox\"", text), 0);
    assert_int_equal(box_do(&box, BOX_GET, "container-veto"), 0);
    assert_int_equal(box_create(&box, "\"io.berth.name\":\"renamed\"", text), 0);
    assert_int_equal(box_do(&box, BOX_GET, "container-renamed"), 200);
    size_t rows = RIG_GET(rig.row_count); /* hooks installed twice: asked once */
    assert_int_equal(box_create(&box, "\"io.berth.name\":\"renamed\"", text), 0);
    assert_int_equal(RIG_GET(rig.row_count), rows);
    assert_int_equal(box_do(&box, BOX_GET, "container-renamed"), 200);
    box_end(&box);
    box_start(&box, "squatted", NULL, true);
    assert_int_equal(box_do(&box, BOX_GET, "x"), 0);
    struct box other;
    box_start(&other, "dead", NULL, true);
    pid_t pid = other.pid;
    box_end(&other);
    other.pid = pid;
    assert_int_equal(box_create(&other, "", text), 1);
    assert_non_null(strstr(text, "has exited"));
    box_end(&box);
}

static void
test_squatter_vetoes(void **state)
{
    (void)state;
    struct box box;
    struct box squatter;
    box_start(&box, "holder-of-ns", NULL, true);
    box_start(&squatter, "squatter", &box, true);
    /* lo is down in a fresh namespace, which does not keep one from binding */
    assert_int_equal(box_do(&squatter, BOX_SQUAT, ""), 0);
    assert_int_equal(box_create(&box, "", text), 1);
    assert_string_equal(text, "berth: port 4180 is already taken inside the container's network "
                              "namespace\n");
    box_end(&squatter);
    box_end(&box);
}

static void
test_planes_down(void **state)
{
    (void)state;
    struct box box;
    box_start(&box, "lonely", NULL, true);
    pthread_mutex_lock(&rig.lock);
    rig_control(false);
    pthread_mutex_unlock(&rig.lock);
    assert_int_equal(box_create(&box, "", text), 1);
    assert_string_equal(text, "berth: control plane down\n");
    int welcomes = RIG_GET(rig.welcomes);
    pthread_mutex_lock(&rig.lock);
    rig_control(true);
    pthread_mutex_unlock(&rig.lock);
    RIG_WAIT(rig.welcomes > welcomes);
    assert_created(&box);
    pthread_mutex_lock(&rig.lock);
    rig_dataplane(false);
    pthread_mutex_unlock(&rig.lock);
    struct box second;
    box_start(&second, "second", NULL, true);
    uint64_t end = clock_mono_ms() + 2000;
    while (box_create(&second, "", text) != 1 && clock_mono_ms() < end)
        continue;
    assert_string_equal(text, "berth: data plane down\n");
    pthread_mutex_lock(&rig.lock);
    rig_dataplane(true);
    pthread_mutex_unlock(&rig.lock);
    RIG_WAIT(rig.plane.fd >= 0);
    assert_int_equal(box_do(&box, BOX_GET, "container-lonely"), 200);
    box_end(&second);
    box_end(&box);
    RIG_WAIT(all_gone("lonely", true));
}

static void
test_admin_revoke(void **state)
{
    (void)state;
    struct box box;
    char hex[2 * INCARNATION_BYTES + 1];
    char record[128];
    box_start(&box, "fired", NULL, true);
    assert_created(&box);
    pthread_mutex_lock(&rig.lock);
    hex_encode(rig.rows[rig.row_count - 1].incarnation, INCARNATION_BYTES, hex);
    (void)snprintf(record, sizeof(record),
                   "{\"type\":\"revoke\",\"rev\":\"9\",\"incarnation\":\"%s\"}", hex);
    rig_say(record);
    pthread_mutex_unlock(&rig.lock);
    RIG_WAIT(all_gone("fired", true));
    assert_int_equal(box_do(&box, BOX_GET, "container-fired"), 0);
    box_end(&box);
}

/* The holder: no moment at which somebody else can have the port. */
static void
test_restart(void **state)
{
    (void)state;
    struct box box;
    struct box dies;
    box_start(&box, "survivor", NULL, true);
    box_start(&dies, "dies", NULL, true);
    assert_created(&box);
    assert_created(&dies);
    size_t rows = RIG_GET(rig.row_count);
    rig_agent_stop(SIGKILL);
    assert_int_equal(box_do(&box, BOX_SQUAT, ""), EADDRINUSE);
    box_end(&dies);
    int hosting = RIG_GET(rig.hosting);
    rig_agent_start();
    RIG_WAIT(rig.hosting > hosting);
    assert_int_equal(box_do(&box, BOX_GET, "container-survivor"), 200);
    assert_int_equal(RIG_GET(rig.row_count), rows); /* the same incarnation, not bound anew */
    assert_true(RIG_GET(is_hosted(rows - 2)));
    assert_false(RIG_GET(is_hosted(rows - 1)));
    box_end(&box);
    RIG_WAIT(all_gone("survivor", true));
}

/* The holder of this test program: a process of our program with --holder-fd. */
static pid_t
find_holder(void)
{
    struct stat own;
    struct dirent *entry;
    pid_t found = 0;
    DIR *proc = opendir("/proc");
    assert_non_null(proc);
    assert_int_equal(stat("/proc/self/exe", &own), 0);
    while ((entry = readdir(proc)) != NULL) {
        char path[320];
        char line[256] = "";
        struct stat other;
        uint64_t pid = 0;
        if (num_u64(str_from(entry->d_name), INT32_MAX, &pid) < 0)
            continue;
        (void)snprintf(path, sizeof(path), "/proc/%s/exe", entry->d_name);
        if (stat(path, &other) != 0 || other.st_ino != own.st_ino || other.st_dev != own.st_dev)
            continue;
        (void)snprintf(path, sizeof(path), "/proc/%s/cmdline", entry->d_name);
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        ssize_t got = read(fd, line, sizeof(line) - 1);
        close(fd);
        if (got > 12 && strcmp(line + strlen(line) + 1, "--holder-fd") == 0)
            found = (pid_t)pid;
    }
    closedir(proc);
    return found;
}

/* The holder itself is killed: another one takes over before the agent needs it. */
static void
test_holder_dies(void **state)
{
    (void)state;
    struct box box;
    box_start(&box, "held", NULL, true);
    assert_created(&box);
    pid_t first = find_holder();
    assert_true(first > 0);
    assert_int_equal(kill(first, SIGKILL), 0);
    uint64_t end = clock_mono_ms() + RIG_DEADLINE_MS;
    while ((find_holder() == first || find_holder() == 0) && clock_mono_ms() < end)
        continue;
    assert_int_equal(box_do(&box, BOX_GET, "container-held"), 200);
    /* one more start, so that what the agent told the new holder before has arrived there */
    struct box other;
    box_start(&other, "held-2", NULL, true);
    assert_created(&other);
    rig_agent_stop(SIGKILL);
    assert_int_equal(box_do(&box, BOX_SQUAT, ""), EADDRINUSE);
    int hosting = RIG_GET(rig.hosting);
    rig_agent_start();
    RIG_WAIT(rig.hosting > hosting);
    assert_int_equal(box_do(&box, BOX_GET, "container-held"), 200);
    assert_int_equal(box_do(&other, BOX_GET, "container-held-2"), 200);
    box_end(&other);
    box_end(&box);
    RIG_WAIT(all_gone("held", true) && all_gone("held-2", true));
}

static void
test_allow_untokened(void **state)
{
    (void)state;
    struct box box;
    box_start(&box, "free", NULL, true);
    rig_agent_stop(SIGTERM);
    rig.agent_args[0] = "--policy";
    rig.agent_args[1] = "allow-untokened";
    rig_agent_start();
    RIG_SET(rig.refuse, "no");
    RIG_WAIT(rig.plane.fd >= 0);
    assert_int_equal(box_create(&box, "", text), 0);
    assert_string_equal(text, "berth: no; the container starts without a token\n");
    RIG_SET(rig.refuse, NULL);
    assert_int_equal(box_do(&box, BOX_GET, "container-free"), 0);
    box_end(&box);
    rig_agent_stop(SIGTERM);
    rig.agent_args[0] = NULL;
    rig_agent_start();
}

static void
test_release_on_exit(void **state)
{
    (void)state;
    struct box box;
    rig_agent_stop(SIGTERM);
    rig.agent_args[0] = "--release-on-exit";
    rig.agent_args[1] = NULL;
    rig_agent_start();
    RIG_WAIT(rig.plane.fd >= 0);
    box_start(&box, "released", NULL, true);
    assert_created(&box);
    rig_agent_stop(SIGTERM);
    RIG_WAIT(all_gone("released", true));
    assert_int_equal(box_do(&box, BOX_GET, "container-released"), 0);
    box_end(&box);
    rig.agent_args[0] = NULL;
    rig_agent_start();
}

/* The same matrix with what kernels before 6.11 and 6.13 offer. */
static void
test_old_kernel(void **state)
{
    rig_agent_stop(SIGTERM);
    rig.kernel_without = "pidfd_info,pidfd_netns,peerpidfd";
    rig_agent_start();
    RIG_WAIT(rig.plane.fd >= 0);
    RIG_SET(rig.row_count, 0);
    test_matrix(state);
}

/* The limit that leaves the agent `count` more descriptors. */
static rlim_t
agent_fds_left(unsigned count)
{
    rlim_t limit = 0;
    for (unsigned left = count; left > 0; limit++) {
        char path[64];
        struct stat seen;
        (void)snprintf(path, sizeof(path), "/proc/%d/fd/%u", (int)rig.agent, (unsigned)limit);
        left -= lstat(path, &seen) != 0;
    }
    return limit;
}

/* No descriptor is left: starts are vetoed with that reason, and who has a token waits. */
static void
test_out_of_descriptors(void **state)
{
    (void)state;
    static struct box boxes[8];
    static char names[ARRAY_LEN(boxes)][32];
    struct rlimit usual;
    size_t count = 0;
    RIG_WAIT(rig.plane.fd >= 0);
    assert_int_equal(prlimit(rig.agent, RLIMIT_NOFILE, NULL, &usual), 0);
    const struct rlimit few = {.rlim_cur = agent_fds_left(6), .rlim_max = usual.rlim_max};
    assert_int_equal(prlimit(rig.agent, RLIMIT_NOFILE, &few, NULL), 0);
    for (int code = 0; code == 0; count++) {
        assert_true(count < ARRAY_LEN(boxes));
        (void)snprintf(names[count], sizeof(names[count]), "full-%zu", count);
        box_start(&boxes[count], names[count], NULL, true);
        code = box_create(&boxes[count], "", text);
    }
    assert_true(count > 1);
    assert_non_null(strstr(text, "Too many open files"));
    for (size_t i = 0; i + 1 < count; i++) {
        char token[64];
        (void)snprintf(token, sizeof(token), "container-%.31s", names[i]);
        box_order(&boxes[i], BOX_GET, token); /* waits, and is not refused */
    }
    assert_int_equal(box_create(&boxes[count - 1], "", text), 1);
    assert_int_equal(prlimit(rig.agent, RLIMIT_NOFILE, &usual, NULL), 0);
    for (size_t i = 0; i + 1 < count; i++)
        assert_int_equal(box_result(&boxes[i]), 200);
    assert_created(&boxes[count - 1]);
    for (size_t i = 0; i < count; i++)
        box_end(&boxes[i]);
    RIG_WAIT(all_gone("full-0", true));
}

/* How many sockets with the name of the unix listener are in the box's namespace. */
static size_t
unix_sockets(const struct box *box)
{
    char path[64];
    char line[512];
    size_t count = 0;
    (void)snprintf(path, sizeof(path), "/proc/%d/net/unix", (int)box->pid);
    FILE *file = fopen(path, "re");
    while (file != NULL && fgets(line, sizeof(line), file) != NULL)
        count += strstr(line, "@" NETNS_UNIX_NAME) != NULL;
    if (file != NULL)
        (void)fclose(file);
    return count;
}

/* The same through @berth, where the peer's process is asked for behind the accept: with one
 * descriptor left, the accept alone would work. */
static void
test_out_of_descriptors_unix(void **state)
{
    (void)state;
    static const char *const kernels[] = {NULL, "pidfd_info,pidfd_netns,peerpidfd"};
    struct box box;
    struct box late;
    struct rlimit usual;
    rig.agent_args[0] = "--unix";
    for (size_t i = 0; i < ARRAY_LEN(kernels); i++) {
        rig_agent_stop(SIGTERM);
        rig.kernel_without = kernels[i];
        rig_agent_start();
        RIG_WAIT(rig.plane.fd >= 0);
        box_start(&box, "queue", NULL, true);
        assert_created(&box);
        box_start(&late, "late", NULL, true);
        assert_int_equal(prlimit(rig.agent, RLIMIT_NOFILE, NULL, &usual), 0);
        assert_int_equal(kill(rig.agent, SIGSTOP), 0);
        box_order(&box, BOX_GET_UNIX, "container-queue");
        RIG_WAIT(unix_sockets(&box) == 2); /* the listener, and who waits there */
        const struct rlimit few = {.rlim_cur = agent_fds_left(1), .rlim_max = usual.rlim_max};
        assert_int_equal(prlimit(rig.agent, RLIMIT_NOFILE, &few, NULL), 0);
        assert_int_equal(kill(rig.agent, SIGCONT), 0);
        /* the second answer comes in a later turn than the one that saw the connection */
        assert_int_equal(box_create(&late, "", text), 1);
        assert_int_equal(box_create(&late, "", text), 1);
        assert_int_equal(prlimit(rig.agent, RLIMIT_NOFILE, &usual, NULL), 0);
        assert_int_equal(box_result(&box), rig.cgroup[0] != '\0' ? 200 : 401);
        box_end(&late);
        box_end(&box);
        RIG_WAIT(all_gone("queue", true));
    }
    rig.agent_args[0] = NULL;
    rig_agent_stop(SIGTERM);
    rig.kernel_without = NULL;
    rig_agent_start();
}

int
main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_matrix),
        cmocka_unit_test(test_recreate),
        cmocka_unit_test(test_vetoes),
        cmocka_unit_test(test_squatter_vetoes),
        cmocka_unit_test(test_planes_down),
        cmocka_unit_test(test_admin_revoke),
        cmocka_unit_test(test_restart),
        cmocka_unit_test(test_holder_dies),
        cmocka_unit_test(test_allow_untokened),
        cmocka_unit_test(test_release_on_exit),
        cmocka_unit_test(test_out_of_descriptors),
        cmocka_unit_test(test_out_of_descriptors_unix),
        cmocka_unit_test(test_old_kernel),
    };
    return box_main(argc, argv, NULL, tests, ARRAY_LEN(tests), box_setup, box_teardown);
}
