/* SPDX-License-Identifier: MIT
 * runtime_test.c - the agent under real runtimes: runc from a busybox folder, podman from a
 *                  busybox image.
 * Floor: agent/daemon, test; root, runc or podman, busybox; else skipped (77).
 * Owns: private storage in the rig's folder; everything is removed.
 * Invariant: the first instruction of a container can use its token; nobody else ever can. */
#include "agent/daemon/agent_test_runtime.h"

/* ---- runc ----------------------------------------------------------------------------------- */

static void
write_bundle(const char *script, const char *token, bool hooked)
{
    struct agent_options options = {
        .hook = box_hook_path(), .run_dir = rig.folder, .when_down = "deny"};
    struct err err = {0};
    struct buf text;
    char escaped[1024];
    size_t at = 0;
    for (const char *c = script; *c != '\0'; c++) {
        if (*c == '"' || *c == '\\')
            escaped[at++] = '\\';
        escaped[at++] = *c;
    }
    escaped[at] = '\0';
    buf_init(&text, 65536);
    buf_printf(&text,
               "{\"ociVersion\":\"1.0.2\",\"process\":{\"user\":{\"uid\":0,\"gid\":0},\"args\":["
               "\"/bin/sh\",\"-c\",\"%s\",\"%s\"],\"env\":[\"PATH=/bin\"],\"cwd\":\"/\"},"
               "\"root\":{\"path\":\"rootfs\",\"readonly\":true},\"mounts\":[{\"destination\":"
               "\"/proc\",\"type\":\"proc\",\"source\":\"proc\"}],\"linux\":{\"namespaces\":["
               "{\"type\":\"pid\"},{\"type\":\"network\"},{\"type\":\"mount\"},{\"type\":\"ipc\"},"
               "{\"type\":\"uts\"}]}",
               escaped, token);
    if (hooked) {
        buf_printf(&text, ",\"hooks\":");
        if (install_runc_hooks(&options, &text, &err) < 0)
            fail_msg("%s", err.text);
    }
    buf_put_byte(&text, '}');
    int fd = open(path_of("bundle/config.json"), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_int_equal(write(fd, text.ptr, text.len), text.len);
    close(fd);
    buf_fini(&text);
}

static void
test_runc_first_instruction(void **state)
{
    (void)state;
    uint64_t with[50];
    uint64_t without[50];
    make_rootfs("bundle/rootfs");
    for (size_t i = 0; i < 50; i++) {
        write_bundle(ASK, "container-first", true);
        uint64_t start = clock_mono_ns();
        int code = RUN(RUNC, "run", "--bundle", path_of("bundle"), "first");
        with[i] = clock_mono_ns() - start;
        if (code != 0 || status_of_output() != 200)
            fail_msg("round %zu: %s", i, output);
        write_bundle("true", "x", true);
        start = clock_mono_ns();
        RUN_OK(RUNC, "run", "--bundle", path_of("bundle"), "first");
        with[i] = clock_mono_ns() - start;
        write_bundle("true", "x", false);
        start = clock_mono_ns();
        RUN_OK(RUNC, "run", "--bundle", path_of("bundle"), "first");
        without[i] = clock_mono_ns() - start;
    }
    double hooked = samples_sum_up(with, 50).p50;
    double bare = samples_sum_up(without, 50).p50;
    print_message("runc: 50 of 50 first instructions got 200; run p50 %.2f ms with both hooks, "
                  "%.2f ms without: pair costs %.2f ms\n",
                  hooked, bare, hooked - bare);
    RIG_WAIT(all_over());
}

/* The data plane was told of the end of the last life of that name; under lock. */
static bool
is_revoked(const char *name)
{
    for (size_t i = rig.row_count; i > 0; i--) {
        if (strcmp(rig.rows[i - 1].name, name) == 0)
            return rig.rows[i - 1].revoked;
    }
    return false;
}

static void
test_runc_life(void **state)
{
    (void)state;
    make_rootfs("bundle/rootfs");
    write_bundle("sleep 1000", "x", true);
    RUN_OK(RUNC, "run", "-d", "--bundle", path_of("bundle"), "one");
    RUN_OK(RUNC, "run", "-d", "--bundle", path_of("bundle"), "two");
    (void)RUN(RUNC, "exec", "one", "sh", "-c", ASK, "container-one");
    assert_int_equal(status_of_output(), 200);
    (void)RUN(RUNC, "exec", "one", "sh", "-c", ASK, "container-two");
    assert_int_equal(status_of_output(), 401);
    (void)RUN(RUNC, "exec", "two", "sh", "-c", ASK, "container-one");
    assert_int_equal(status_of_output(), 401);
    RUN_OK(RUNC, "delete", "--force", "one");
    assert_true(RIG_GET(is_revoked("one") && !is_revoked("two"))); /* poststop waited for it */
    RUN_OK(RUNC, "delete", "--force", "two");
    assert_true(RIG_GET(is_revoked("two")));
    RIG_WAIT(all_over());
}

static void
test_runc_veto(void **state)
{
    (void)state;
    write_bundle("echo user code ran", "x", true);
    RIG_SET(rig.refuse, "not today");
    assert_int_not_equal(RUN(RUNC, "run", "--bundle", path_of("bundle"), "never"), 0);
    assert_non_null(strstr(output, "berth: not today"));
    assert_null(strstr(output, "user code ran"));
    RIG_SET(rig.refuse, NULL);
    (void)RUN(RUNC, "list", "-q");
    assert_string_equal(output, "");
}

/* ---- podman --------------------------------------------------------------------------------- */

/* Restart, and another container of the same name: the same token, another life. */
static void
podman_again(void)
{
    RUN_OK(PODMAN, "run", "-d", "--name", "p-again", "--network", "none", SLEEPER);
    RUN_OK(PODMAN, "restart", "-t", "0", "p-again");
    assert_int_equal(podman_ask("p-again", "container-p-again"), 200);
    for (int i = 0; i < 5; i++) {
        RUN_OK(PODMAN, "rm", "-f", "-t", "0", "p-again");
        RUN_OK(PODMAN, "run", "-d", "--name", "p-again", "--network", "none", SLEEPER);
        assert_int_equal(podman_ask("p-again", "container-p-again"), 200);
    }
}

static void
test_podman_matrix(void **state)
{
    (void)state;
    static const char *const names[] = {"p-none",  "p-host",  "p-side",
                                        "p-pod-a", "p-pod-b", "p-bridge"};
    bool bridge = RUN("iptables", "--version") == 0;
    size_t count = ARRAY_LEN(names) - (bridge ? 0 : 1);
    size_t first = RIG_GET(rig.row_count);
    podman_prepare();
    RUN_OK(PODMAN, "run", "-d", "--name", "p-none", "--network", "none", SLEEPER);
    if (bridge)
        RUN_OK(PODMAN, "run", "-d", "--name", "p-bridge", SLEEPER);
    else
        print_message("no iptables: podman's bridge network is left out\n");
    RUN_OK(PODMAN, "run", "-d", "--name", "p-host", "--network", "host", SLEEPER);
    RUN_OK(PODMAN, "run", "-d", "--name", "p-side", "--network", "container:p-none", SLEEPER);
    RUN_OK(PODMAN, "pod", "create", "--name", "pod", "--network", "none", "--infra-image",
           "localhost/bb", "--infra-command", "sleep 1000");
    RUN_OK(PODMAN, "run", "-d", "--name", "p-pod-a", "--pod", "pod", SLEEPER);
    RUN_OK(PODMAN, "run", "-d", "--name", "p-pod-b", "--pod", "pod", SLEEPER);
    assert_int_equal(RIG_GET(rig.row_count),
                     first + count); /* the pod's infra container got none */
    for (size_t i = 0; i < count; i++) {
        for (size_t j = 0; j < count; j++) {
            char token[64];
            (void)snprintf(token, sizeof(token), "container-%s", names[j]);
            if (podman_ask(names[i], token) != (i == j ? 200 : 401))
                fail_msg("%s with %s: %s", names[i], token, output);
        }
    }
    assert_int_equal(box_get("container-p-host", BOX_GET), 401);
    podman_again();
    RUN_OK(PODMAN, "run", "-d", "--name", "p-off", "--network", "none", "--annotation",
           "io.berth.ai=false", SLEEPER);
    assert_int_equal(podman_ask("p-off", "container-p-off"), 0);
    RUN_OK(PODMAN, "run", "-d", "--name", "p-note", "--network", "none", "--annotation",
           "io.berth.name=noted", SLEEPER);
    assert_int_equal(podman_ask("p-note", "container-noted"), 200);
    RIG_SET(rig.refuse, "not today");
    assert_int_equal(RUN(PODMAN, "run", "--name", "p-veto", "--network", "none", SLEEPER), 126);
    assert_non_null(strstr(output, "berth: not today"));
    RIG_SET(rig.refuse, NULL);
    RUN_OK(PODMAN, "pod", "rm", "-f", "-t", "0", "pod");
    RUN_OK(PODMAN, "rm", "-f", "-t", "0", "p-side");
    RUN_OK(PODMAN, "rm", "-f", "-a", "-t", "0");
    RIG_WAIT(all_over());
}

int
main(int argc, char **argv)
{
    bool runc = have("/usr/sbin/runc") || have("/usr/bin/runc");
    bool podman = runc && have("/usr/bin/podman");
    bool can = runc && have("/bin/busybox");
    if (can && !podman)
        (void)fprintf(stderr, "podman is not installed: its tests are left out\n");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_runc_first_instruction),
        cmocka_unit_test(test_runc_life),
        cmocka_unit_test(test_runc_veto),
        cmocka_unit_test(test_podman_matrix),
    };
    size_t count = ARRAY_LEN(tests) - (podman ? 0 : 1);
    return box_main(argc, argv, can ? NULL : "runc, busybox", tests, count, runtime_setup,
                    runtime_teardown);
}
