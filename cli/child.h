/* SPDX-License-Identifier: MIT
 * child.h - one daemon as a child process: start, the line that says ready, its last words, stop.
 * Floor: cli; main thread.
 * Owns: the process and the read end of its standard output.
 * Invariant: a child dies with its parent (PR_SET_PDEATHSIG) and has a process group of its own:
 *            Ctrl-C reaches only the parent, which stops them in order. child_test.c. */
#ifndef BERTH_CLI_CHILD_H
#define BERTH_CLI_CHILD_H

#include <sys/types.h>

#include "lib/base/err.h"
#include "lib/base/str.h"

#define CHILD_ARGS_MAX 40u
#define CHILD_LINE_BYTES 4096u

struct child {
    const char *name;                     /* "dataplane" */
    const char *args[CHILD_ARGS_MAX + 1]; /* args[0]: path of the program */
    size_t arg_count;
    const char *const *env; /* NULL-terminated; NULL = ours */
    const char *log;        /* stderr is appended here; NULL = our stderr */
    pid_t pid;              /* 0 = does not run */
    int out_fd;             /* -1 = closed */
    bool ready;
    uint64_t log_bytes; /* of the log before this start */
    uint64_t started_ms;
    uint64_t restart_at_ms; /* 0 = no restart is due */
    uint32_t backoff_ms;
    char line[CHILD_LINE_BYTES];
    size_t line_bytes;
};

void child_init(struct child *child, const char *name);
/* child_arg - append one word, borrowed while the child is used. */
void child_arg(struct child *child, const char *word);
/* child_start - 0, or the sentence why the program cannot be started. */
int child_start(struct child *child, struct err *err) MUST_USE;
/* child_read - take what it printed; sets `ready` at a line that holds "ready":true. */
void child_read(struct child *child);
/* child_reap - true when it has ended (pid is 0 from then on); ret_why: "exit code 1" or
 * "signal 9". */
bool child_reap(struct child *child, char ret_why[64]);
/* child_wait_ready - until it is ready. stop_fd: readable = give up (or -1).
 * 0; -ERR_CANCELED; -ERR_TIMEOUT; -ERR_UNAVAILABLE when it ended, with its own sentence. */
int child_wait_ready(struct child *child, int stop_fd, uint32_t timeout_ms,
                     struct err *err) MUST_USE;
/* child_last_words - last line of its log since this start, without the program's name. */
void child_last_words(const struct child *child, char out[320]);
/* child_stop - SIGTERM, SIGKILL at deadline_ms (clock_mono_ms). true: it ended in time. */
bool child_stop(struct child *child, uint64_t deadline_ms);

#endif
