/* SPDX-License-Identifier: MIT
 * kill_test_rig.h - a child process whose every call that writes stops first, to be counted,
 *            recorded or killed with -9: each point at which a process can die between two
 *            changes of what it leaves behind.
 * Floor: tests of any room; Linux only (seccomp and ptrace of an own child).
 * Owns: the child. Its answers go through memory that it shares, which costs it no call.
 * Invariant: none of its own. */
#ifndef BERTH_LIB_BASE_KILL_TEST_RIG_H
#define BERTH_LIB_BASE_KILL_TEST_RIG_H

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/cc.h"

/* Everything that changes a file, a folder or what a peer has heard. openat: only with O_CREAT. */
static const uint32_t kill_rig_calls[] = {
    SYS_write,     SYS_pwrite64,  SYS_writev,    SYS_pwritev,   SYS_pwritev2,
    SYS_fsync,     SYS_fdatasync, SYS_ftruncate, SYS_fallocate, SYS_renameat,
    SYS_renameat2, SYS_unlinkat,  SYS_mkdirat,   SYS_sendto,    SYS_sendmsg,
#ifdef SYS_rename
    SYS_rename,    SYS_unlink,    SYS_mkdir,
#endif
};

static inline void
kill_rig_filter(void)
{
    enum { CALLS = sizeof kill_rig_calls / sizeof kill_rig_calls[0] };
    struct sock_filter code[2 * CALLS + 8];
    unsigned short at = 0;
    code[at++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
                                              (uint32_t)offsetof(struct seccomp_data, nr));
    for (size_t i = 0; i < CALLS; i++) {
        code[at++] =
            (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, kill_rig_calls[i], 0, 1);
        code[at++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRACE);
    }
    code[at++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_openat, 0, 3);
    code[at++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
                                              (uint32_t)offsetof(struct seccomp_data, args[2]));
    code[at++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, O_CREAT, 0, 1);
    code[at++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRACE);
    code[at++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    const struct sock_fprog program = {.len = at, .filter = code};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0) != 0)
        _exit(77);
}

/* A call that is about to be made. */
struct kill_rig_call {
    pid_t pid;
    uint64_t number; /* from 1 */
    uint64_t nr;     /* SYS_... */
    const uint64_t *args;
};
typedef void kill_rig_seen_fn(const struct kill_rig_call *call);

/* kill_rig_run - work() in a child; at its nth call that writes, before it is made, the child dies.
 * nth 0: it runs to its end. seen: told of each call that is made; or NULL. *ret_calls: how many.
 * Returns 1: killed; 0: it ended first, well; -1: it failed; -77: this machine does not let us. */
static inline int
kill_rig_run(uint64_t nth, void (*work)(void), kill_rig_seen_fn *seen, uint64_t *ret_calls)
{
    int status = 0;
    uint64_t calls = 0;
    pid_t pid = fork();
    if (pid == 0) {
        if (ptrace(PTRACE_TRACEME, 0, 0, 0) != 0 || raise(SIGSTOP) != 0)
            _exit(77);
        kill_rig_filter();
        work();
        _exit(0);
    }
    if (pid < 0 || waitpid(pid, &status, 0) != pid)
        return -1;
    if (WIFSTOPPED(status) &&
        ptrace(PTRACE_SETOPTIONS, pid, 0, PTRACE_O_TRACESECCOMP | PTRACE_O_EXITKILL) != 0)
        (void)kill(pid, SIGKILL);
    while (WIFSTOPPED(status)) {
        int stop = status >> 8;
        long pass = WSTOPSIG(status) == SIGSTOP ? 0 : WSTOPSIG(status);
        if (stop == (SIGTRAP | (PTRACE_EVENT_SECCOMP << 8))) {
            struct __ptrace_syscall_info info = {0};
            pass = 0;
            calls++;
            if (calls == nth)
                (void)kill(pid, SIGKILL);
            else if (seen != NULL &&
                     ptrace(PTRACE_GET_SYSCALL_INFO, pid, (void *)sizeof info, &info) > 0) {
                uint64_t args[6];
                for (size_t i = 0; i < 6; i++)
                    args[i] = info.seccomp.args[i];
                seen(&(struct kill_rig_call){
                    .pid = pid, .number = calls, .nr = info.seccomp.nr, .args = args});
            }
        }
        (void)ptrace(PTRACE_CONT, pid, 0, pass);
        if (waitpid(pid, &status, 0) != pid)
            return -1;
    }
    *ret_calls = calls;
    if (WIFSIGNALED(status))
        return WTERMSIG(status) == SIGKILL && calls == nth ? 1 : -1;
    return WEXITSTATUS(status) == 0 ? 0 : WEXITSTATUS(status) == 77 ? -77 : -1;
}

/* kill_rig_each - a death in front of every call that work() writes with (BERTH_KILLS=full), or of
 * `sample` of them; begin() before each, check(nth) after it. Returns the deaths; 0: this machine
 * does not let us; -1: work() failed. *ret_calls: how many points there are. */
typedef void kill_rig_step_fn(void);
typedef void kill_rig_check_fn(uint64_t nth);
static inline int
kill_rig_each(uint64_t sample, kill_rig_step_fn *begin, kill_rig_step_fn *work,
              kill_rig_check_fn *check, uint64_t *ret_calls)
{
    const char *full = getenv("BERTH_KILLS");
    uint64_t made;
    int deaths = 0;
    begin();
    int ended = kill_rig_run(0, work, NULL, ret_calls);
    if (ended != 0)
        return ended == -77 ? 0 : -1;
    uint64_t every = full != NULL && strcmp(full, "full") == 0 ? 1 : *ret_calls / sample + 1;
    for (uint64_t nth = 1; nth <= *ret_calls; nth += every) {
        begin();
        if (kill_rig_run(nth, work, NULL, &made) != 1)
            return -1;
        check(nth);
        deaths++;
    }
    return deaths;
}

/* kill_rig_blind - forks `child`, which never returns and tells numbers through its pipe; it is
 * killed `spin` turns after the first `told` of them. The last number that it told, or `last`.
 * false: it ended by itself. */
static inline bool
kill_rig_blind(void (*child)(int fd), uint64_t told, uint64_t spin, uint64_t *last)
{
    int fds[2];
    if (pipe(fds) != 0)
        return false;
    pid_t pid = fork();
    if (pid == 0) {
        close(fds[0]);
        child(fds[1]);
        _exit(1);
    }
    close(fds[1]);
    bool alive = pid > 0;
    for (; alive && told > 0; told--)
        alive = read(fds[0], last, sizeof *last) == sizeof *last;
    for (; spin > 0; spin--)
        __asm__ volatile("");
    if (pid > 0)
        kill(pid, SIGKILL);
    while (read(fds[0], last, sizeof *last) == sizeof *last)
        ;
    close(fds[0]);
    return alive && waitpid(pid, NULL, 0) == pid;
}

/* kill_rig_shared - zeroed memory that child and parent both see. */
static inline void *
kill_rig_shared(size_t bytes)
{
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    return memory == MAP_FAILED ? NULL : memory;
}

#endif
