/* SPDX-License-Identifier: MIT
 * preflight.h - what would stop `berth up`, found without changing anything.
 * Floor: cli; main thread.
 * Owns: nothing; findings are values.
 * Invariant: each finding is one sentence that says what to do. stack_test.c, e2e/up.sh. */
#ifndef BERTH_CLI_PREFLIGHT_H
#define BERTH_CLI_PREFLIGHT_H

#include "cli/stack.h"

#define PREFLIGHT_FINDINGS_MAX 160u

enum preflight_level { PREFLIGHT_OK, PREFLIGHT_NOTE, PREFLIGHT_STOP };
struct preflight_finding {
    enum preflight_level level;
    const char *what; /* "ports", "providers"; borrowed */
    char text[ERR_TEXT_BYTES_MAX];
};
struct preflight {
    struct preflight_finding findings[PREFLIGHT_FINDINGS_MAX];
    size_t count;
};
/* preflight_add - one finding; those behind PREFLIGHT_FINDINGS_MAX are left out, never a STOP. */
void preflight_add(struct preflight *preflight, enum preflight_level level, const char *what,
                   const char *format, ...) PRINTF(4, 5);
/* preflight_print - as a table or a list; stop_word: what a STOP is called. Returns CLI_FAILED when
 * there is one, or an exit code. */
int preflight_print(struct cli *cli, const struct preflight *preflight, const char *stop_word);
void preflight_run(struct stack *stack, struct preflight *ret_preflight);
/* preflight_first_stop - or NULL. */
const struct preflight_finding *preflight_first_stop(const struct preflight *preflight);
/* preflight_lock - hold the data directory's lock; *ret_fd is -1 and *ret_pid the holder (0 = not
 * known) when another `berth up` has it. make: create the file. */
int preflight_lock(struct cli *cli, bool make, int *ret_fd, int *ret_pid, struct err *err) MUST_USE;
/* preflight_port_owner - "nginx, process 123" for a listening TCP port, "" when unseen. */
void preflight_port_owner(uint16_t port, char out[64]);

#endif
