/* SPDX-License-Identifier: MIT
 * child.c - see child.h.
 * Floor: cli; main thread.
 * Owns: see child.h.
 * Invariant: see child.h. */
#include "cli/child.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/check.h"
#include "lib/base/clock.h"

#define READY_MARK "\"ready\":true"
#define EXIT_NO_PROGRAM 127

void
child_init(struct child *child, const char *name)
{
    *child = (struct child){.name = name, .out_fd = -1};
}

void
child_arg(struct child *child, const char *word)
{
    ASSERT(child->arg_count < CHILD_ARGS_MAX);
    child->args[child->arg_count++] = word;
    child->args[child->arg_count] = NULL;
}

/* Runs in the child between fork and exec. */
static NORETURN void
become(const struct child *child, int out_fd, int log_fd, pid_t parent)
{
    sigset_t none;
    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    (void)setpgid(0, 0);
    (void)prctl(PR_SET_PDEATHSIG, SIGTERM);
    int null_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (getppid() == parent && dup2(out_fd, STDOUT_FILENO) >= 0 &&
        (null_fd < 0 || dup2(null_fd, STDIN_FILENO) >= 0) &&
        (log_fd < 0 || dup2(log_fd, STDERR_FILENO) >= 0)) {
        char *const *env = child->env != NULL ? (char *const *)(uintptr_t)child->env : environ;
        (void)execve(child->args[0], (char *const *)(uintptr_t)child->args, env);
    }
    (void)dprintf(STDERR_FILENO, "cannot run %s: %s\n", child->args[0], strerror(errno));
    _exit(EXIT_NO_PROGRAM);
}

static int
open_log(struct child *child, int *ret_fd, struct err *err)
{
    struct stat info;
    *ret_fd = -1;
    if (child->log == NULL)
        return 0;
    int fd = open(child->log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (fd < 0 || fstat(fd, &info) != 0)
        return err_set_errno(err, errno, "cannot write %s", child->log);
    child->log_bytes = (uint64_t)info.st_size;
    *ret_fd = fd;
    return 0;
}

int
child_start(struct child *child, struct err *err)
{
    int ends[2];
    int log_fd = -1;
    pid_t parent = getpid();
    ASSERT(child->pid == 0 && child->arg_count > 0);
    if (child->out_fd >= 0)
        (void)close(child->out_fd);
    child->out_fd = -1;
    int rc = open_log(child, &log_fd, err);
    if (rc != 0)
        return rc;
    if (pipe2(ends, O_CLOEXEC) != 0) {
        if (log_fd >= 0)
            (void)close(log_fd);
        return err_set_errno(err, errno, "cannot make a pipe");
    }
    pid_t pid = fork();
    if (pid == 0)
        become(child, ends[1], log_fd, parent);
    (void)close(ends[1]);
    if (log_fd >= 0)
        (void)close(log_fd);
    if (pid < 0) {
        (void)close(ends[0]);
        return err_set_errno(err, errno, "cannot start %s", child->name);
    }
    (void)fcntl(ends[0], F_SETFL, O_NONBLOCK);
    child->pid = pid;
    child->out_fd = ends[0];
    child->ready = false;
    child->line_bytes = 0;
    child->restart_at_ms = 0;
    child->started_ms = clock_mono_ms();
    return 0;
}

static void
take_line(struct child *child)
{
    struct str line = str_make(child->line, child->line_bytes);
    if (str_find(line, STR(READY_MARK)) != SIZE_MAX ||
        str_find(line, STR("\"ready\": true")) != SIZE_MAX)
        child->ready = true;
    child->line_bytes = 0;
}

void
child_read(struct child *child)
{
    char part[4096];
    while (child->out_fd >= 0) {
        ssize_t count = read(child->out_fd, part, sizeof(part));
        if (count < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        if (count <= 0) {
            (void)close(child->out_fd);
            child->out_fd = -1;
            return;
        }
        for (ssize_t i = 0; i < count; i++) {
            if (part[i] == '\n')
                take_line(child);
            else if (child->line_bytes < sizeof(child->line))
                child->line[child->line_bytes++] = part[i];
        }
    }
}

bool
child_reap(struct child *child, char ret_why[64])
{
    int status = 0;
    if (child->pid == 0 || waitpid(child->pid, &status, WNOHANG) != child->pid)
        return false;
    child->pid = 0;
    if (WIFSIGNALED(status))
        (void)snprintf(ret_why, 64, "signal %d", WTERMSIG(status));
    else
        (void)snprintf(ret_why, 64, "exit code %d", WEXITSTATUS(status));
    return true;
}

int
child_wait_ready(struct child *child, int stop_fd, uint32_t timeout_ms, struct err *err)
{
    uint64_t deadline = clock_mono_ms() + timeout_ms;
    char why[64];
    char words[320];
    while (!child->ready) {
        struct pollfd fds[2] = {{.fd = child->out_fd, .events = POLLIN},
                                {.fd = stop_fd, .events = POLLIN}};
        /* the short wait: a process can end while a child of its own holds the pipe */
        (void)poll(fds, 2, 50);
        child_read(child);
        if (child->ready)
            break;
        if (child_reap(child, why)) {
            child_last_words(child, words);
            return err_set(err, ERR_UNAVAILABLE, "%s did not start: %s", child->name,
                           words[0] != '\0' ? words : why);
        }
        if (fds[1].revents != 0)
            return err_set(err, ERR_CANCELED, "stopped");
        if (clock_mono_ms() >= deadline) {
            child_last_words(child, words);
            return err_set(err, ERR_TIMEOUT, "%s was not ready after %u s%s%s", child->name,
                           timeout_ms / 1000u, words[0] != '\0' ? "; its last words: " : "", words);
        }
    }
    return 0;
}

void
child_last_words(const struct child *child, char out[320])
{
    char tail[4096];
    struct str text = STR_EMPTY;
    struct stat info;
    out[0] = '\0';
    int fd = child->log != NULL ? open(child->log, O_RDONLY | O_CLOEXEC) : -1;
    if (fd < 0)
        return;
    if (fstat(fd, &info) == 0 && (uint64_t)info.st_size > child->log_bytes) {
        uint64_t size = (uint64_t)info.st_size;
        uint64_t from = size > sizeof(tail) ? size - sizeof(tail) : 0;
        ssize_t count = pread(fd, tail, sizeof(tail), (off_t)MAX(from, child->log_bytes));
        text = str_make(tail, count > 0 ? (size_t)count : 0);
    }
    (void)close(fd);
    text = str_trim(text);
    for (size_t i = text.len; i > 0; i--) {
        if (text.ptr[i - 1] == '\n') {
            text = str_skip(text, i);
            break;
        }
    }
    struct str head;
    struct str rest;
    if (str_starts(text, STR("berth-")) && str_cut(text, ':', &head, &rest))
        text = str_trim(rest);
    (void)snprintf(out, 320, "%.*s", (int)MIN(text.len, (size_t)319), text.ptr);
}

bool
child_stop(struct child *child, uint64_t deadline_ms)
{
    char why[64];
    bool killed = false;
    if (child->pid == 0)
        return true;
    (void)kill(child->pid, SIGTERM);
    while (!child_reap(child, why)) {
        struct pollfd fd = {.fd = child->out_fd, .events = POLLIN};
        (void)poll(&fd, 1, 5);
        child_read(child);
        if (!killed && clock_mono_ms() >= deadline_ms) {
            (void)kill(child->pid, SIGKILL);
            killed = true;
        }
    }
    child_read(child);
    if (child->out_fd >= 0)
        (void)close(child->out_fd);
    child->out_fd = -1;
    return !killed;
}
