/* SPDX-License-Identifier: MIT
 * stack_figures_test.c - the figures of identity on a running stack: from the death of a
 *                        container's init to its last 200 and to the cut of its streams, and what a
 *                        thousand containers cost.
 * Floor: agent/daemon, test; root; needs e2e/agent/figures.sh around it, else skipped (77).
 * Owns: namespaces, cgroups and processes that stand for containers.
 * Invariant: every figure is printed; those that are promised fail the test when missed.
 * Environment: BERTH_FIGURES_RUN_DIR, _PORT; _AGENT, _HOLDER and _DATAPLANE (pids); _ROUNDS,
 *              _MANY. */
#include "agent/daemon/agent_test_box.h"

#include <sys/mman.h>
#include <sys/time.h>

#define SAMPLES_MAX 2000u
#define QUIET_MS 30u
#define CHAT                                                                                      \
    "POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n" \
    "Content-Length: %zu\r\n\r\n%s"
#define STREAM                                                                            \
    "{\"model\":\"openai/gpt-4o-mini\",\"stream\":true,\"messages\":[{\"role\":\"user\"," \
    "\"content\":\"hi [[sim: words=5000, chunk_ms=5]]\"}]}"
#define SHORT \
    "{\"model\":\"openai/gpt-4o-mini\",\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]}"

/* Shared with the boxes' processes. */
struct board {
    _Atomic uint64_t last_ok_ns; /* the last 200 was here */
    _Atomic uint64_t end_ns;     /* the stream was cut */
    _Atomic uint64_t asked;      /* answers so far */
    _Atomic bool over;           /* the load shall end */
};
static struct board *board;
static uint16_t port;
static char text[512];
static uint64_t samples[SAMPLES_MAX];

/* ---- clients, inside boxes ------------------------------------------------------------------ */

static int
dial(void)
{
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_port = htons(port)};
    struct timeval limit = {.tv_sec = 2};
    addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    if (connect(fd, (const struct sockaddr *)&addr, sizeof(addr)) == 0)
        return fd;
    close(fd);
    return -1;
}

/* One small chat request; its status; the whole answer is read. -1: cut. */
static int
ask(int fd)
{
    char bytes[16384];
    uint64_t status = 0;
    int len = snprintf(bytes, sizeof(bytes), CHAT, sizeof(SHORT) - 1, SHORT);
    if (write(fd, bytes, (size_t)len) != len)
        return -1;
    ssize_t got = read(fd, bytes, sizeof(bytes));
    return got > 12 && num_u64(str_make(bytes + 9, 3), 999, &status) == 0 ? (int)status : -1;
}

/* Requests without a pause, on connections that are kept ("kept") or new ones ("new"), until
 * nothing is answered with 200 any more. */
static int
hammer(bool kept)
{
    uint64_t quiet_ms = 0;
    int fd = -1;
    for (;;) {
        if (fd < 0)
            fd = dial();
        int status = fd >= 0 ? ask(fd) : -1;
        uint64_t now = clock_mono_ns();
        if (status == 200) {
            uint64_t last = atomic_load(&board->last_ok_ns);
            while (last < now && !atomic_compare_exchange_weak(&board->last_ok_ns, &last, now))
                continue;
            atomic_fetch_add(&board->asked, 1);
            quiet_ms = 0;
        } else if (quiet_ms == 0) {
            quiet_ms = now / 1000000;
        } else if (now / 1000000 - quiet_ms > QUIET_MS) {
            break;
        }
        if (fd >= 0 && (!kept || status != 200)) {
            close(fd);
            fd = -1;
        }
    }
    if (fd >= 0)
        close(fd);
    return 0;
}

/* A stream until it is cut. */
static int
stream(void)
{
    char bytes[16384];
    bool error = false;
    int fd = dial();
    int len = snprintf(bytes, sizeof(bytes), CHAT, sizeof(STREAM) - 1, STREAM);
    if (fd < 0 || write(fd, bytes, (size_t)len) != len)
        return -1;
    for (;;) {
        ssize_t got = read(fd, bytes, sizeof(bytes) - 1);
        uint64_t now = clock_mono_ns();
        bytes[got > 0 ? got : 0] = '\0';
        error = error || strstr(bytes, "\"error\"") != NULL;
        if (got <= 0 || error) {
            atomic_store(&board->end_ns, now);
            close(fd);
            return error ? 1 : 0;
        }
        atomic_fetch_add(&board->asked, 1);
    }
}

/* A neighbour's ordinary traffic: a chat request every two milliseconds. */
static int
load(void)
{
    int fd = dial();
    while (!atomic_load(&board->over) && fd >= 0) {
        if (ask(fd) != 200) {
            close(fd);
            fd = dial();
        }
        (void)poll(NULL, 0, 2);
    }
    return 0;
}

static int
custom(const char *argument)
{
    if (strcmp(argument, "stream") == 0)
        return stream();
    if (strcmp(argument, "load") == 0)
        return load();
    return hammer(strcmp(argument, "kept") == 0);
}

/* ---- figures -------------------------------------------------------------------------------- */

static void
print_figure(const char *what, size_t count, double p99_max_ms, double max_ms)
{
    struct samples_ms have = samples_sum_up(samples, count);
    print_message("figure %-42s p50 %8.3f  p99 %8.3f  max %8.3f ms  n %zu\n", what, have.p50,
                  have.p99, have.max, count);
    /* of a hundred, the worst one is the 99th */
    if ((count >= 200 && have.p99 > p99_max_ms) || have.max > max_ms)
        fail_msg("promised: p99 <= %.0f ms, max <= %.0f ms", p99_max_ms, max_ms);
}

static size_t
number_of(const char *name, size_t otherwise)
{
    const char *value = getenv(name);
    uint64_t number = otherwise;
    if (value != NULL && num_u64(str_from(value), 1000000, &number) < 0)
        fail_msg("%s is no number", name);
    return (size_t)number;
}

static size_t
rounds(void)
{
    size_t count = number_of("BERTH_FIGURES_ROUNDS", 50);
    return MIN(count, (size_t)SAMPLES_MAX);
}

static struct box neighbours[2];

static void
start_neighbours(void)
{
    static const char *const names[] = {"fig-load-1", "fig-load-2"};
    atomic_store(&board->over, false);
    for (size_t i = 0; i < ARRAY_LEN(neighbours); i++) {
        box_start(&neighbours[i], names[i], NULL, true);
        assert_int_equal(box_create(&neighbours[i], "", text), 0);
        box_order(&neighbours[i], BOX_CUSTOM, "load");
    }
}

static void
stop_neighbours(void)
{
    atomic_store(&board->over, true);
    for (size_t i = 0; i < ARRAY_LEN(neighbours); i++) {
        (void)box_result(&neighbours[i]);
        box_end(&neighbours[i]);
    }
}

/* Until `count` more answers came. */
static void
wait_answers(uint64_t count)
{
    uint64_t end = clock_mono_ms() + RIG_DEADLINE_MS;
    while (atomic_load(&board->asked) < count) {
        if (clock_mono_ms() > end)
            fail_msg("no answers");
        (void)poll(NULL, 0, 1);
    }
}

static void
test_last_200(void **state)
{
    (void)state;
    static uint64_t create[SAMPLES_MAX];
    static uint64_t poststop[SAMPLES_MAX];
    size_t count = rounds();
    start_neighbours();
    for (size_t i = 0; i < count; i++) {
        struct box init;
        struct box kept;
        struct box anew;
        atomic_store(&board->last_ok_ns, 0);
        atomic_store(&board->asked, 0);
        box_start(&init, "fig-victim", NULL, true);
        uint64_t start = clock_mono_ns();
        if (box_create(&init, "", text) != 0)
            fail_msg("%s", text);
        create[i] = clock_mono_ns() - start;
        /* processes of the container that outlive its init */
        box_start(&kept, "fig-victim", &init, true);
        box_start(&anew, "fig-victim", &init, true);
        box_order(&kept, BOX_CUSTOM, "kept");
        box_order(&anew, BOX_CUSTOM, "new");
        wait_answers(30);
        start = clock_mono_ns();
        (void)kill(init.pid, SIGKILL);
        (void)box_result(&kept);
        (void)box_result(&anew);
        uint64_t last = atomic_load(&board->last_ok_ns);
        samples[i] = last > start ? last - start : 0;
        start = clock_mono_ns();
        assert_int_equal(box_poststop(&init, text), 0);
        poststop[i] = clock_mono_ns() - start;
        init.cgroup[0] = kept.cgroup[0] = '\0'; /* the last one removes it */
        box_end(&init);
        box_end(&kept);
        box_end(&anew);
    }
    stop_neighbours();
    print_figure("kill of init to its last 200", count, 10, 50);
    for (size_t i = 0; i < count; i++)
        samples[i] = create[i] + poststop[i];
    print_figure("both hooks, exec to exit (under load)", count, 1000, 2000);
}

static void
test_cut(void **state)
{
    (void)state;
    size_t count = rounds();
    start_neighbours();
    for (size_t i = 0; i < count; i++) {
        struct box init;
        struct box reader;
        atomic_store(&board->end_ns, 0);
        atomic_store(&board->asked, 0);
        box_start(&init, "fig-stream", NULL, true);
        assert_int_equal(box_create(&init, "", text), 0);
        box_start(&reader, "fig-stream", &init, true);
        box_order(&reader, BOX_CUSTOM, "stream");
        wait_answers(3);
        uint64_t start = clock_mono_ns();
        (void)kill(init.pid, SIGKILL);
        assert_int_equal(box_result(&reader), 1); /* it ends in an error event */
        samples[i] = atomic_load(&board->end_ns) - start;
        init.cgroup[0] = '\0';
        box_end(&init);
        box_end(&reader);
    }
    stop_neighbours();
    print_figure("kill of init to the cut of its stream", count, 50, 1000);
}

/* Hooks without anything else going on. */
static void
test_hooks(void **state)
{
    (void)state;
    size_t count = rounds();
    for (size_t i = 0; i < count; i++) {
        struct box box;
        box_start(&box, "fig-hooks", NULL, true);
        uint64_t start = clock_mono_ns();
        assert_int_equal(box_create(&box, "", text), 0);
        samples[i] = clock_mono_ns() - start;
        (void)kill(box.pid, SIGKILL);
        start = clock_mono_ns();
        assert_int_equal(box_poststop(&box, text), 0);
        samples[i] += clock_mono_ns() - start;
        box_end(&box);
    }
    print_figure("both hooks, exec to exit", count, 50, 1000);
}

/* ---- many ----------------------------------------------------------------------------------- */

/* A number behind `key` in a /proc file, in its own unit. */
static size_t
proc_number(const char *path, const char *key)
{
    char line[512];
    uint64_t found = 0;
    struct str unit;
    FILE *file = fopen(path, "re");
    while (file != NULL && fgets(line, sizeof(line), file) != NULL) {
        struct str number = str_trim(str_from(line));
        if (!str_starts(number, str_from(key)))
            continue;
        (void)str_cut(str_trim(str_skip(number, strlen(key))), ' ', &number, &unit);
        assert_int_equal(num_u64(number, SIZE_MAX, &found), 0);
    }
    if (file != NULL)
        (void)fclose(file);
    return found;
}

static size_t
rss_kb(size_t pid)
{
    char path[64];
    (void)snprintf(path, sizeof(path), "/proc/%zu/status", pid);
    return proc_number(path, "VmRSS:");
}

/* Network namespaces of this machine; 0: the kernel does not say. The last step of their end waits
 * for the end of the next one (Linux 6.13 and younger), so there is one; and what a core still has
 * at hand does not count. */
static size_t
namespaces(void)
{
    pid_t pid = fork();
    if (pid == 0)
        _exit(unshare(CLONE_NEWNET) != 0);
    (void)waitpid(pid, NULL, 0);
    int fd = open("/sys/kernel/slab/net_namespace/shrink", O_WRONLY | O_CLOEXEC);
    if (fd >= 0) {
        (void)!write(fd, "1", 1);
        close(fd);
    }
    return proc_number("/proc/slabinfo", "net_namespace");
}

static void
wait_back(const char *what, size_t (*count)(size_t), size_t pid, size_t want)
{
    uint64_t end = clock_mono_ms() + 60000;
    while (count(pid) > want && clock_mono_ms() < end)
        (void)poll(NULL, 0, 10);
    if (count(pid) > want)
        fail_msg("%s: %zu at the start, %zu now", what, want, count(pid));
}

static void
test_many(void **state)
{
    (void)state;
    static struct box boxes[2000];
    static char names[2000][24];
    size_t agent = number_of("BERTH_FIGURES_AGENT", 0);
    size_t dataplane = number_of("BERTH_FIGURES_DATAPLANE", 0);
    size_t count = MIN(number_of("BERTH_FIGURES_MANY", 100), ARRAY_LEN(boxes));
    size_t holder = number_of("BERTH_FIGURES_HOLDER", 0);
    size_t fds = rig_fds(agent);
    size_t holder_fds = rig_fds(holder);
    size_t plane_fds = rig_fds(dataplane);
    size_t spaces = namespaces();
    size_t rss[2] = {rss_kb(agent), rss_kb(dataplane)};
    uint64_t start = clock_mono_ns();
    for (size_t i = 0; i < count; i++) {
        (void)snprintf(names[i], sizeof(names[i]), "fig-many-%zu", i);
        box_start(&boxes[i], names[i], NULL, true);
        if (box_create(&boxes[i], "", text) != 0)
            fail_msg("%zu: %s", i, text);
    }
    print_message("figure %zu containers started in %.1f s, %.2f descriptors each in the agent\n",
                  count, (double)(clock_mono_ns() - start) / 1e9,
                  (double)(rig_fds(agent) - fds) / (double)count);
    double each[2] = {(double)(rss_kb(agent) - rss[0]) / (double)count,
                      (double)(rss_kb(dataplane) - rss[1]) / (double)count};
    print_message("figure memory a live container: agent %.2f KiB, data plane %.2f KiB\n", each[0],
                  each[1]);
    start = clock_mono_ns();
    for (size_t i = 0; i < count; i++)
        (void)kill(boxes[i].pid, SIGKILL);
    for (size_t i = 0; i < count; i++)
        box_end(&boxes[i]);
    wait_back("the agent's descriptors", rig_fds, agent, fds);
    print_message("figure %zu containers revoked and forgotten in %.2f s\n", count,
                  (double)(clock_mono_ns() - start) / 1e9);
    wait_back("the holder's descriptors", rig_fds, holder, holder_fds);
    wait_back("the data plane's descriptors", rig_fds, dataplane, plane_fds);
    uint64_t end = clock_mono_ms() + 60000;
    size_t after = 0; /* one reading of it: each makes a namespace, and so do others */
    while ((after = namespaces()) > spaces + 20 && clock_mono_ms() < end)
        (void)poll(NULL, 0, 100);
    print_message("figure namespaces: %zu before, %zu after\n", spaces, after);
    assert_true(after <= spaces + 20);
    if (count >= 500)
        assert_true(each[0] <= 8 && each[1] <= 8);
}

static int
teardown(void **state)
{
    (void)state;
    rig_remove_cgroups();
    return 0;
}

int
main(void)
{
    const char *run_dir = getenv("BERTH_FIGURES_RUN_DIR");
    if (run_dir == NULL || geteuid() != 0 || box_hook_path() == NULL) {
        (void)printf("skipped: e2e/agent/figures.sh runs it against a stack, as root\n");
        return 77;
    }
    if (!str_copy(rig.folder, sizeof(rig.folder), str_from(run_dir)))
        return 1;
    port = (uint16_t)number_of("BERTH_FIGURES_PORT", RIG_PORT);
    board = mmap(NULL, sizeof(*board), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (board == MAP_FAILED)
        return 1;
    rig_find_cgroups();
    if (rig.cgroup[0] == '\0') {
        (void)printf("skipped: needs a cgroup v2 hierarchy\n");
        return 77;
    }
    box_custom = custom;
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_hooks),
                                       cmocka_unit_test(test_last_200), cmocka_unit_test(test_cut),
                                       cmocka_unit_test(test_many)};
    return cmocka_run_group_tests(tests, NULL, teardown);
}
