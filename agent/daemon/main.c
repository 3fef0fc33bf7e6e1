/* SPDX-License-Identifier: MIT
 * main.c - berth-agent: the command line's way into the agent, the holder and the installer.
 * Floor: agent/daemon; main thread.
 * Owns: nothing.
 * Invariant: an error of the operator is one sentence on standard error and exit 1.
 */
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "lib/base/buf.h"
#include "lib/base/log.h"

#include "agent/daemon/agent.h"
#include "agent/daemon/install.h"
#include "agent/daemon/keeper.h"

static int
print_runc_hooks(const struct agent_options *options, struct err *err)
{
    struct buf text;
    buf_init(&text, 64u * 1024u);
    int code = install_runc_hooks(options, &text, err);
    if (code == 0)
        (void)printf("\"hooks\": %s\n", buf_cstr(&text));
    buf_fini(&text);
    return code;
}

static int
docker(const struct agent_options *options, struct err *err)
{
    int code = install_docker(options, false, err);
    if (code == 0) {
        (void)printf("Docker has the runtime \"berth\" once it was restarted:\n"
                     "  systemctl restart docker\n"
                     "  docker run --runtime berth ...     (or \"default-runtime\": \"berth\" in "
                     "%s)\n",
                     options->docker_config);
    }
    return code;
}

static int
run(const struct agent_options *options, struct err *err)
{
    switch (options->command) {
    case COMMAND_HELP:
        (void)fputs(agent_options_help, stdout);
        return 0;
    case COMMAND_HOLDER:
        return keeper_run(options->holder_fd) == 0
                   ? 0
                   : err_set(err, ERR_SYSTEM, "the holder cannot run");
    case COMMAND_INSTALL_HOOKS:
        if (options->docker)
            return docker(options, err);
        return install_hooks(options, err);
    case COMMAND_UNINSTALL_HOOKS:
        return options->docker ? install_docker(options, true, err) : install_remove(options, err);
    case COMMAND_RUNC_HOOKS:
        return print_runc_hooks(options, err);
    case COMMAND_RUN:
        break;
    }
    return agent_run(options, STDOUT_FILENO, err);
}

int
main(int argc, char **argv)
{
    const struct sigaction ignore = {.sa_handler = SIG_IGN};
    struct agent_options options;
    struct err err = {0};
    (void)sigaction(SIGPIPE, &ignore, NULL);
    log_setup("agent", -1, LOG_INFO);
    if (agent_options_parse(argc, argv, &options, &err) < 0 || run(&options, &err) < 0) {
        (void)fprintf(stderr, "berth-agent: %s\n", err.text);
        return 1;
    }
    return 0;
}
