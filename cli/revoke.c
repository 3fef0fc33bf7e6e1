/* SPDX-License-Identifier: MIT
 * revoke.c - berth revoke: end a container's identity, and know when that is true everywhere.
 * Floor: cli; main thread.
 * Owns: nothing.
 * Invariant: exit code 0 with --wait means that every node which could serve it has acknowledged,
 *            or cannot serve it any more. e2e/identity_matrix.sh. */
#include <stdio.h>
#include <time.h>

#include "cli/client.h"
#include "cli/command.h"
#include "lib/base/clock.h"
#include "lib/base/num.h"

#define WAIT_MS_DEFAULT 20000u
#define WAIT_MS_MAX 600000u
#define LOOK_NS_MIN 5000000l
#define LOOK_NS_MAX 200000000l

static uint64_t
digits(const struct tree *node, const char *path)
{
    uint64_t value = 0;
    return num_u64(cli_text(node, path), UINT64_MAX, &value) == 0 ? value : 0;
}

/* It acknowledged whatever it was sent of this part up to the revision. */
static bool
part_acked(const struct tree *node, const char *sent, const char *acked, uint64_t revision)
{
    return digits(node, acked) >= MIN(digits(node, sent), revision);
}

static bool
node_done(const struct tree *node, uint64_t revision)
{
    if (str_eq(cli_text(node, "connected"), STR("false")))
        return false;
    return part_acked(node, "sent.revoke", "acked.revoke", revision) &&
           part_acked(node, "sent.bindings", "acked.bindings", revision);
}

/* Those that have not, as one sentence; empty when all have. */
static int
look(struct cli *cli, uint64_t revision, struct buf *ret_late, size_t *ret_count)
{
    const struct tree *reply = NULL;
    int code = client_get(cli, "/api/v1/nodes", &reply);
    if (code != CLI_DONE)
        return code;
    const struct tree *nodes = tree_get(reply, STR("nodes"));
    ret_late->len = 0;
    *ret_count = 0;
    for (const struct tree *node = nodes != NULL ? nodes->first : NULL; node; node = node->next) {
        struct str role = cli_text(node, "role");
        struct str name = cli_text(node, "name");
        ++*ret_count;
        if (node_done(node, revision))
            continue;
        buf_printf(ret_late, "%s%.*s/%.*s", ret_late->len > 0 ? ", " : "", STR_ARG(role),
                   STR_ARG(name));
        if (str_eq(cli_text(node, "connected"), STR("false")))
            buf_printf(ret_late, " (lost; may serve for %llu ms more)",
                       (unsigned long long)digits(node, "serves_ms"));
    }
    return CLI_DONE;
}

static int
wait_for_nodes(struct cli *cli, uint64_t revision, uint64_t timeout_ms, size_t *ret_count)
{
    uint64_t end_ms = clock_mono_ms() + timeout_ms;
    struct timespec nap = {.tv_nsec = LOOK_NS_MIN};
    struct buf late;
    int code;
    buf_init(&late, 65536);
    /* every look leaves its answer in the arena: a few kilobytes, and ever more seldom */
    for (;;) {
        code = look(cli, revision, &late, ret_count);
        if (code != CLI_DONE || late.len == 0)
            break;
        if (clock_mono_ms() >= end_ms) {
            code = cli_fail("revoked, but not acknowledged by %s", buf_cstr(&late));
            break;
        }
        (void)nanosleep(&nap, NULL);
        nap.tv_nsec = MIN(nap.tv_nsec * 2, LOOK_NS_MAX);
    }
    buf_fini(&late);
    return code;
}

int
command_revoke(struct cli *cli)
{
    const struct tree *reply = NULL;
    const char *timeout = NULL;
    bool wait = false;
    uint64_t timeout_ms = WAIT_MS_DEFAULT;
    size_t count = 0;
    const struct cli_option options[] = {{"--wait", NULL, &wait}, {"--timeout", &timeout, NULL}};
    if (!cli_begin(cli, options, ARRAY_LEN(options), 1, 1))
        return cli->exit;
    if (timeout != NULL && num_duration_ms(str_from(timeout), WAIT_MS_MAX, &timeout_ms) != 0)
        return cli_usage(cli, "--timeout wants a time as 500ms, 20s or 1m, not '%s'", timeout);
    struct buf path;
    uint64_t began_ms = clock_mono_ms();
    buf_init(&path, 4096);
    buf_put_str(&path, STR("/api/v1/containers/"));
    client_path_put(&path, str_from(cli->names[0]), false);
    buf_put_str(&path, STR("/revoke"));
    const struct client_call call = {.method = "POST", .path = buf_cstr(&path), .body = STR_EMPTY};
    int code = client_run(cli, &call, &reply);
    buf_fini(&path);
    if (code == CLI_DONE && wait)
        code = wait_for_nodes(cli, digits(reply, "revision"), timeout_ms, &count);
    if (code != CLI_DONE)
        return code;
    if (cli->output != CLI_TABLE)
        return cli_print(cli, reply);
    struct str revoked = cli_text(reply, "revoked");
    (void)printf("%s: %.*s %s revoked", cli->names[0], STR_ARG(revoked),
                 str_eq(revoked, STR("1")) ? "identity" : "identities");
    if (wait)
        (void)printf("; acknowledged by %zu nodes after %llu ms", count,
                     (unsigned long long)(clock_mono_ms() - began_ms));
    (void)printf("\n");
    return CLI_DONE;
}
