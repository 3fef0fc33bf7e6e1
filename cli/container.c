/* SPDX-License-Identifier: MIT
 * container.c - berth container: identities for what no runtime reports, asked of the agent; and
 *               the log of any container's states.
 * Floor: cli; main thread.
 * Owns: nothing.
 * Invariant: the agent decides: nothing is claimed that it did not confirm. Spec: api/plane.md,
 *            "The agent's hook socket". */
#include <poll.h>
#include <stdio.h>
#include <unistd.h>

#include "cli/client.h"
#include "cli/command.h"
#include "cli/table.h"
#include "lib/base/num.h"
#include "lib/net/sock.h"
#include "lib/text/json.h"

#define REQUEST_BYTES_MAX 16384u
#define ANSWER_BYTES 512u
#define ANSWER_MS_MAX 5000
#define PID_MAX (UINT64_C(1) << 22)

/* "ok", "ok NOTE", "no REASON". */
static int
ask(struct cli *cli, const char *socket_path, struct str request)
{
    struct err err = {0};
    char answer[ANSWER_BYTES] = "";
    int fd = -1;
    if (sock_seqpacket_connect(socket_path, &fd, &err) != 0)
        return cli_fail("the agent does not listen on %s: %s", socket_path, err.text);
    ssize_t got = -1;
    struct pollfd ready = {.fd = fd, .events = POLLIN};
    if (send(fd, request.ptr, request.len, MSG_NOSIGNAL) == (ssize_t)request.len &&
        poll(&ready, 1, ANSWER_MS_MAX) > 0)
        got = recv(fd, answer, sizeof(answer) - 1, 0);
    (void)close(fd);
    if (got <= 0)
        return cli_fail("the agent gave no answer");
    answer[got] = '\0';
    if (strncmp(answer, "no ", 3) == 0)
        return cli_fail("%s", answer + 3);
    if (strncmp(answer, "ok", 2) != 0)
        return cli_fail("the agent's answer is not understood");
    if (cli->output != CLI_TABLE)
        (void)printf("{\"name\":\"%s\",\"done\":true}\n", cli->names[1]);
    else
        (void)printf("%s %s%s\n", cli->names[1],
                     strcmp(cli->names[0], "register") == 0 ? "is registered" : "is released",
                     answer + 2);
    return CLI_DONE;
}

struct order {
    const char *op;
    const char *name;
    const char *id;
    const char *cgroup;
    uint64_t pid;
};

static void
put_order(struct buf *out, const struct order *order)
{
    struct json_writer json;
    json_writer_init(&json, out);
    json_open_object(&json);
    json_member_str(&json, "op", str_from(order->op));
    json_member_str(&json, "name", str_from(order->name));
    if (order->id != NULL)
        json_member_str(&json, "id", str_from(order->id));
    if (order->pid > 0)
        json_member_u64(&json, "pid", order->pid);
    if (order->cgroup != NULL)
        json_member_str(&json, "cgroup", str_from(order->cgroup));
    json_close_object(&json);
}

static int
print_log(struct cli *cli, const char *name)
{
    static const char *const fields[] = {"transition_time", "from_status",  "to_status",
                                         "duration_ms",     "triggered_by", "incarnation"};
    static const char *const headers[] = {"TIME", "FROM", "TO", "LASTED MS", "BY", "INCARNATION"};
    const struct tree *reply = NULL;
    struct table table;
    struct buf path;
    buf_init(&path, 4096);
    buf_put_str(&path, STR("/api/v1/containers/"));
    client_path_put(&path, str_from(name), false);
    buf_put_str(&path, STR("/log"));
    int code =
        path.failed ? cli_fail("the name is too long") : client_get(cli, buf_cstr(&path), &reply);
    buf_fini(&path);
    if (code != CLI_DONE)
        return code;
    if (cli->output != CLI_TABLE)
        return cli_print(cli, reply);
    table_init(&table);
    for (size_t i = 0; i < ARRAY_LEN(headers); i++)
        table_column(&table, headers[i], i == 3);
    const struct tree *items = tree_get(reply, STR("items"));
    for (const struct tree *item = items != NULL ? items->first : NULL; item; item = item->next) {
        for (size_t i = 0; i < ARRAY_LEN(fields); i++)
            table_cell(&table, cli_text(item, fields[i]));
    }
    return table_print(&table);
}

int
command_container(struct cli *cli)
{
    const char *pid_text = NULL;
    const char *path = NULL;
    struct order order = {.id = NULL};
    const struct cli_option options[] = {{"--pid", &pid_text, NULL},
                                         {"--cgroup", &order.cgroup, NULL},
                                         {"--id", &order.id, NULL},
                                         {"--socket", &path, NULL}};
    if (!cli_begin(cli, options, ARRAY_LEN(options), 2, 2))
        return cli->exit;
    order.op = cli_verb(cli);
    order.name = cli->names[1];
    if (strcmp(order.op, "log") == 0)
        return pid_text || order.cgroup || order.id || path
                   ? cli_usage(cli, "log takes only the name")
                   : print_log(cli, order.name);
    bool registers = strcmp(order.op, "register") == 0;
    if (!registers && strcmp(order.op, "release") != 0)
        return cli_no_verb(cli, order.op);
    bool named = (pid_text != NULL) != (order.cgroup != NULL);
    if (registers && !named)
        return cli_usage(cli, "register wants --pid or --cgroup");
    if (!registers && (pid_text != NULL || order.cgroup != NULL))
        return cli_usage(cli, "release takes only the name or --id");
    if (pid_text != NULL &&
        (num_u64(str_from(pid_text), PID_MAX, &order.pid) != 0 || order.pid == 0))
        return cli_usage(cli, "--pid wants the number of a process, not '%s'", pid_text);
    struct buf request;
    buf_init(&request, REQUEST_BYTES_MAX);
    put_order(&request, &order);
    int code = request.failed ? cli_fail("the name is too long")
                              : ask(cli, path != NULL ? path : cli_path(cli, "run/hook.sock"),
                                    buf_str(&request));
    buf_fini(&request);
    return code;
}
