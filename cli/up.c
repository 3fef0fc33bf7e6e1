/* SPDX-License-Identifier: MIT
 * up.c - berth up: start the daemons in order, keep them running, stop them in reverse order.
 * Floor: cli; main thread, one poll loop.
 * Owns: the children, the data directory's lock.
 * Invariant: when it ends, no child of it runs; whatever stops it is one sentence and exit 1.
 *            e2e/up.sh. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/command.h"
#include "cli/notify.h"
#include "cli/preflight.h"
#include "cli/up_int.h"
#include "lib/base/clock.h"

#define READY_MS 10000u
#define STOP_MS 10000u
#define STOP_RESERVE_MS 1000u /* for those that come after a slow one */
#define BACKOFF_MS_MIN 100u
#define BACKOFF_MS_MAX 5000u
#define STABLE_MS 10000u

/* ---- start -------------------------------------------------------------------------- */

static int
start_part(struct up *up, enum stack_part part, struct err *err)
{
    struct child *child = &up->stack.children[part];
    up->stack.wanted[part] = true;
    int rc = stack_plan(&up->stack, part, err);
    if (rc == 0)
        rc = child_start(child, err);
    if (rc == 0)
        rc = child_wait_ready(child, up->stop_fd, READY_MS, err);
    up->announced[part] = rc == 0;
    return rc;
}

static void
stop_part(struct up *up, enum stack_part part, uint64_t deadline_ms)
{
    struct child *child = &up->stack.children[part];
    if (child->name != NULL && !child_stop(child, deadline_ms))
        up_say(up, "killed", child->name, "did not stop in time and was killed");
}

static int
start_with_providers(struct up *up, struct err *err)
{
    int rc = start_part(up, STACK_CONTROLPLANE, err);
    if (rc == 0 && up_providers(up) != CLI_DONE)
        return err_set(err, ERR_UNAVAILABLE, "the control plane does not list its providers");
    return rc;
}

static int
start_controlplane(struct up *up, struct err *err)
{
    int rc = up->stack.offline ? 0 : start_with_providers(up, err);
    if (rc != 0 || up->provider_count > 0)
        return rc;
    /* nobody to ask: with the simulator, then */
    stop_part(up, STACK_CONTROLPLANE, clock_mono_ms() + STOP_MS);
    up->stack.offline = true;
    rc = start_part(up, STACK_SIM, err);
    return rc == 0 ? start_with_providers(up, err) : rc;
}

static int
start_all(struct up *up, struct err *err)
{
    int rc = start_controlplane(up, err);
    if (rc == 0 && up_seed(up) != CLI_DONE)
        rc = err_set(err, ERR_UNAVAILABLE, "the first objects could not be made");
    if (rc == 0)
        rc = start_part(up, STACK_DATAPLANE, err);
    if (rc == 0)
        rc = up_wait_serving(up, err);
    if (rc == 0 && up->stack.wanted[STACK_AGENT])
        rc = start_part(up, STACK_AGENT, err);
    return rc;
}

/* In reverse order; each may use what is left, but for a reserve for the others. */
static void
stop_all(struct up *up)
{
    uint64_t deadline = clock_mono_ms() + STOP_MS;
    for (size_t i = STACK_COUNT; i > 0; i--)
        stop_part(up, (enum stack_part)(i - 1), deadline - (i - 1) * STOP_RESERVE_MS);
}

/* ---- keep running ------------------------------------------------------------------- */

static void
on_end(struct up *up, enum stack_part part, const char *why)
{
    struct child *child = &up->stack.children[part];
    uint64_t now = clock_mono_ms();
    char words[320];
    char text[512];
    bool stable = now - child->started_ms >= STABLE_MS;
    child->backoff_ms = stable || child->backoff_ms == 0
                            ? BACKOFF_MS_MIN
                            : MIN(child->backoff_ms * 2, BACKOFF_MS_MAX);
    child->restart_at_ms = now + child->backoff_ms;
    child_last_words(child, words);
    bool signaled = str_starts(str_from(why), STR("signal"));
    (void)snprintf(text, sizeof(text), "ended (%s%s%s); starting it again in %u ms", why,
                   signaled || words[0] == '\0' ? "" : ": ", signaled ? "" : words,
                   child->backoff_ms);
    up->announced[part] = false;
    up_say(up, "ended", child->name, text);
}

static void
restart(struct up *up, enum stack_part part)
{
    struct child *child = &up->stack.children[part];
    struct err err = {0};
    if (child_start(child, &err) == 0)
        return;
    child->backoff_ms = BACKOFF_MS_MAX;
    child->restart_at_ms = clock_mono_ms() + BACKOFF_MS_MAX;
    up_say(up, "failed", child->name, err.text);
}

/* One look at every child. */
static void
tend(struct up *up)
{
    for (size_t i = 0; i < STACK_COUNT; i++) {
        struct child *child = &up->stack.children[i];
        char why[64];
        if (!up->stack.wanted[i])
            continue;
        child_read(child);
        if (child_reap(child, why))
            on_end(up, (enum stack_part)i, why);
        if (child->pid == 0 && child->restart_at_ms != 0 && clock_mono_ms() >= child->restart_at_ms)
            restart(up, (enum stack_part)i);
        if (child->pid != 0 && child->ready && !up->announced[i]) {
            up->announced[i] = true;
            up_say(up, "ready", child->name, "is ready again");
        }
    }
}

/* Milliseconds until a restart is due, -1 = none. */
static int
next_restart(const struct up *up)
{
    uint64_t now = clock_mono_ms();
    int wait = -1;
    for (size_t i = 0; i < STACK_COUNT; i++) {
        uint64_t at = up->stack.children[i].restart_at_ms;
        if (at == 0 || up->stack.children[i].pid != 0)
            continue;
        int left = at > now ? (int)(at - now) : 0;
        wait = wait < 0 ? left : MIN(wait, left);
    }
    return wait;
}

/* Until SIGINT, SIGTERM or SIGHUP. */
static void
supervise(struct up *up)
{
    for (;;) {
        struct pollfd fds[STACK_COUNT + 2];
        struct signalfd_siginfo info;
        for (size_t i = 0; i < STACK_COUNT; i++)
            fds[i] = (struct pollfd){.fd = up->stack.children[i].out_fd, .events = POLLIN};
        fds[STACK_COUNT] = (struct pollfd){.fd = up->stop_fd, .events = POLLIN};
        fds[STACK_COUNT + 1] = (struct pollfd){.fd = up->child_fd, .events = POLLIN};
        (void)poll(fds, STACK_COUNT + 2, next_restart(up));
        if (fds[STACK_COUNT].revents != 0)
            return;
        while (read(up->child_fd, &info, sizeof(info)) == (ssize_t)sizeof(info))
            continue;
        tend(up);
    }
}

/* ---- the process itself ------------------------------------------------------------- */

/* Blocks the signals of `set` and returns a descriptor for them, or -1. */
static int
watch(const sigset_t *set)
{
    (void)sigprocmask(SIG_BLOCK, set, NULL);
    return signalfd(-1, set, SFD_CLOEXEC | SFD_NONBLOCK);
}

static int
watch_signals(struct up *up, struct err *err)
{
    sigset_t stop;
    sigset_t child;
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    (void)sigemptyset(&stop);
    (void)sigaddset(&stop, SIGINT);
    (void)sigaddset(&stop, SIGTERM);
    if (!up->detach)
        (void)sigaddset(&stop, SIGHUP);
    (void)sigemptyset(&child);
    (void)sigaddset(&child, SIGCHLD);
    (void)sigaction(SIGPIPE, &ignore, NULL);
    up->stop_fd = watch(&stop);
    up->child_fd = watch(&child);
    return up->stop_fd >= 0 && up->child_fd >= 0
               ? 0
               : err_set_errno(err, errno, "cannot watch signals");
}

/* In the terminal: wait until the other process is ready or dead. Returns an exit code, or -1 in
 * the process that goes on. */
static int
detach(struct up *up)
{
    int ends[2];
    char ready = 0;
    int status = 0;
    if (pipe2(ends, O_CLOEXEC) != 0)
        return cli_fail("cannot make a pipe: %s", strerror(errno));
    pid_t pid = fork();
    if (pid < 0)
        return cli_fail("cannot go to the background: %s", strerror(errno));
    if (pid == 0) {
        (void)close(ends[0]);
        (void)setsid();
        up->detach_fd = ends[1];
        return -1;
    }
    (void)close(ends[1]);
    ssize_t count = 0;
    do {
        count = read(ends[0], &ready, 1);
    } while (count < 0 && errno == EINTR);
    (void)close(ends[0]);
    if (count == 1)
        return CLI_DONE;
    if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
        return cli_fail("berth up ended before everything was ready");
    return WEXITSTATUS(status);
}

static void
leave_terminal(struct up *up)
{
    int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (up->detach_fd < 0)
        return;
    for (int fd = 0; fd < 3 && null_fd >= 0; fd++)
        (void)dup2(null_fd, fd);
    if (null_fd > 2)
        (void)close(null_fd);
    (void)!write(up->detach_fd, "r", 1);
    (void)close(up->detach_fd);
    up->detach_fd = -1;
}

/* What `berth down` and `berth models` look for. */
static int
leave_traces(struct up *up, struct err *err)
{
    int other = 0;
    int rc = preflight_lock(up->cli, true, &up->lock_fd, &other, err);
    if (rc != 0)
        return rc;
    if (up->lock_fd < 0)
        return err_set(err, ERR_IN_USE,
                       "Berth already runs with the data directory %s (process %d)", up->cli->data,
                       other);
    if (ftruncate(up->lock_fd, 0) != 0 || dprintf(up->lock_fd, "%d\n", (int)getpid()) < 0)
        return err_set_errno(err, errno, "cannot write %s", cli_path(up->cli, "run/up.lock"));
    FILE *file = fopen(cli_path(up->cli, "run/url"), "we");
    if (file == NULL)
        return err_set_errno(err, errno, "cannot write %s", cli_path(up->cli, "run/url"));
    (void)fprintf(file, "http://127.0.0.1:%u\n", stack_port(&up->stack, STACK_PORT_KEYS));
    return fclose(file) == 0 ? 0 : err_set(err, ERR_IO, "cannot write run/url");
}

static int
run(struct up *up)
{
    struct err err = {0};
    int rc = stack_open(&up->stack, &err);
    if (rc == 0)
        rc = leave_traces(up, &err);
    if (rc == 0)
        rc = watch_signals(up, &err);
    if (rc == 0)
        rc = start_all(up, &err);
    if (rc == 0) {
        up_say_ready(up);
        leave_terminal(up);
        notify_manager("READY=1");
        supervise(up);
        notify_manager("STOPPING=1");
        up_say(up, "stopping", "berth", "is stopping");
    }
    uint64_t since = clock_mono_ms();
    stop_all(up);
    if (rc == 0) {
        char text[64];
        uint64_t ms = clock_mono_ms() - since;
        (void)snprintf(text, sizeof(text), "stopped after %llu.%03llu s",
                       (unsigned long long)(ms / 1000), (unsigned long long)(ms % 1000));
        up_say(up, "stopped", "berth", text);
        return CLI_DONE;
    }
    if (rc == -ERR_CANCELED)
        return cli_fail("stopped before everything was ready");
    return cli_fail("%s", err.text);
}

static bool
read_options(struct up *up)
{
    const char *port = NULL;
    struct stack *stack = &up->stack;
    const struct cli_option options[] = {
        {"--port", &port, NULL},
        {"--listen", &stack->listen, NULL},
        {"--offline", NULL, &stack->offline},
        {"--no-agent", NULL, &stack->no_agent},
        {"--release-on-exit", NULL, &stack->release},
        {"--log-stderr", NULL, &stack->log_stderr},
        {"--detach", NULL, &up->detach},
    };
    if (!cli_begin(up->cli, options, ARRAY_LEN(options), 0, 0))
        return false;
    if (up->cli->output == CLI_YAML)
        up->cli->exit = cli_usage(up->cli, "up prints for people or as JSON lines (-o json)");
    else
        up->cli->exit = stack_port_parse(up->cli, port, &stack->port);
    up->json =
        up->cli->output == CLI_JSON || (!up->cli->output_given && isatty(STDOUT_FILENO) != 1);
    return up->cli->exit == CLI_DONE;
}

int
command_up(struct cli *cli)
{
    static struct up up = {.stop_fd = -1, .child_fd = -1, .lock_fd = -1, .detach_fd = -1};
    static struct preflight preflight;
    bool root = false;
    up.cli = cli;
    up.stack.cli = cli;
    up.started_ns = clock_mono_ns();
    for (size_t i = 0; i < STACK_COUNT; i++)
        up.stack.children[i].out_fd = -1;
    if (!read_options(&up))
        return cli->exit;
    up.stack.wanted[STACK_AGENT] = !up.stack.no_agent && stack_may_attest(&root);
    preflight_run(&up.stack, &preflight);
    const struct preflight_finding *stop = preflight_first_stop(&preflight);
    if (stop != NULL)
        return cli_fail("%s", stop->text);
    int exit_code = up.detach ? detach(&up) : -1;
    return exit_code >= 0 ? exit_code : run(&up);
}
