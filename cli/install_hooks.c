/* SPDX-License-Identifier: MIT
 * install_hooks.c - berth install-hooks: container runtimes hear of Berth; done by berth-agent.
 * Floor: cli; main thread, which becomes berth-agent.
 * Owns: nothing.
 * Invariant: the hooks that are installed speak to the agent of this data directory. */
#include <errno.h>
#include <unistd.h>

#include "cli/command.h"
#include "cli/stack.h"

int
command_install_hooks(struct cli *cli)
{
    static const char *const names[] = {"--dir", "--hook", "--when-down", "--docker-config"};
    const char *value[ARRAY_LEN(names)] = {NULL};
    bool docker = false;
    bool uninstall = false;
    const struct cli_option options[] = {
        {names[0], &value[0], NULL}, {names[1], &value[1], NULL},
        {names[2], &value[2], NULL}, {names[3], &value[3], NULL},
        {"--docker", NULL, &docker}, {"--uninstall", NULL, &uninstall}};
    const char *args[16] = {"berth-agent", "install-hooks", "--run-dir"};
    size_t count = 3;
    if (!cli_begin(cli, options, ARRAY_LEN(options), 0, 0))
        return cli->exit;
    const char *program = stack_program(cli, "agent");
    if (program == NULL)
        return cli_fail("berth-agent is neither beside this program nor in PATH");
    args[count++] = cli_path(cli, "run");
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        if (value[i] == NULL)
            continue;
        args[count++] = names[i];
        args[count++] = value[i];
    }
    if (docker)
        args[count++] = "--docker";
    if (uninstall)
        args[count++] = "--uninstall";
    args[count] = NULL;
    (void)execv(program, (char *const *)(uintptr_t)args);
    return cli_fail("cannot run %s: %s", program, strerror(errno));
}
