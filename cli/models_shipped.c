/* SPDX-License-Identifier: MIT
 * models_shipped.c - the shipped catalogue: berth-controlplane has it and prints it.
 * Floor: cli; main thread.
 * Owns: nothing.
 * Invariant: asks no server and reads no data directory. */
#include <errno.h>
#include <poll.h>
#include <unistd.h>

#include "cli/child.h"
#include "cli/models_int.h"
#include "cli/stack.h"
#include "lib/base/clock.h"

#define PRINT_MS_MAX 10000u

/* Everything that it prints; false: it did not end in time, or there is too much. */
static bool
read_all(int fd, struct buf *out)
{
    uint64_t end = clock_mono_ms() + PRINT_MS_MAX;
    char part[16384];
    for (;;) {
        struct pollfd ready = {.fd = fd, .events = POLLIN};
        uint64_t now = clock_mono_ms();
        if (now >= end || (poll(&ready, 1, (int)(end - now)) < 0 && errno != EINTR))
            return false;
        ssize_t count = read(fd, part, sizeof(part));
        if (count == 0)
            return !out->failed;
        if (count < 0 && errno != EAGAIN && errno != EINTR)
            return false;
        if (count > 0)
            buf_put(out, part, (size_t)count);
    }
}

const struct tree *
models_shipped(struct cli *cli)
{
    struct child child;
    struct buf text;
    struct str copy = STR_EMPTY;
    struct tree *root = NULL;
    struct err err = {0};
    const char *program = stack_program(cli, "controlplane");
    if (program == NULL) {
        (void)cli_fail("berth-controlplane is neither beside this program nor in PATH");
        return NULL;
    }
    child_init(&child, "controlplane");
    child_arg(&child, program);
    child_arg(&child, "--print-catalogue");
    buf_init(&text, CLI_REPLY_BYTES_MAX);
    int rc = child_start(&child, &err);
    if (rc == 0 && !read_all(child.out_fd, &text))
        rc = err_set(&err, ERR_IO, "%s does not print its catalogue", program);
    (void)child_stop(&child, clock_mono_ms() + PRINT_MS_MAX);
    if (rc == 0)
        rc = arena_dup(&cli->arena, buf_str(&text), &copy);
    if (rc == 0)
        rc = tree_from_json(copy, &cli->arena, &root, &err);
    buf_fini(&text);
    if (rc != 0)
        (void)cli_fail("%s", err.code != 0 ? err.text : err_text(rc));
    return rc == 0 ? tree_get(root, STR("data")) : NULL;
}
