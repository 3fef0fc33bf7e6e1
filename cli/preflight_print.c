/* SPDX-License-Identifier: MIT
 * preflight_print.c - findings for people and for programs: berth check, berth status.
 * Floor: cli; main thread.
 * Owns: nothing.
 * Invariant: none of its own. */
#include <stdio.h>

#include "cli/preflight.h"

int
preflight_print(struct cli *cli, const struct preflight *preflight, const char *stop_word)
{
    const char *const levels[] = {"ok", "note", stop_word};
    struct tree *list = cli_list(cli, NULL, NULL);
    for (size_t i = 0; i < preflight->count; i++) {
        const struct preflight_finding *finding = &preflight->findings[i];
        struct tree *row = cli_map(cli, list, NULL);
        cli_put(cli, row, "what", str_from(finding->what));
        cli_put(cli, row, "level", str_from(levels[finding->level]));
        cli_put(cli, row, "message", str_from(finding->text));
        if (cli->output == CLI_TABLE)
            (void)printf("%-5s %-13s %s\n", levels[finding->level], finding->what, finding->text);
    }
    if (cli->output != CLI_TABLE && cli_print(cli, list) != CLI_DONE)
        return CLI_FAILED;
    return preflight_first_stop(preflight) == NULL ? CLI_DONE : CLI_FAILED;
}
