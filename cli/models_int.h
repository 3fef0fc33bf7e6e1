/* SPDX-License-Identifier: MIT
 * models_int.h - what `berth models` shares between its verbs.
 * Floor: cli, private; main thread.
 * Owns: nothing; documents live in the run's arena.
 * Invariant: a model looks the same, whoever named it: an entry of GET /v1/models. */
#ifndef BERTH_CLI_MODELS_INT_H
#define BERTH_CLI_MODELS_INT_H

#include "cli/cli.h"

/* What is asked for; NULL and empty: any. Prices: decimal US dollars a million tokens, at most. */
struct models_filter {
    struct str text; /* part of the id, in any case of letters */
    const char *provider;
    const char *capabilities; /* all of these, with commas between */
    const char *input_max;
    const char *output_max;
};

/* models_keep - the entries that fit, as a list; NULL and *ret_code: the filter makes no sense, or
 * there is no memory (a sentence was printed). */
const struct tree *models_keep(struct cli *cli, const struct tree *data,
                               const struct models_filter *filter, int *ret_code);
/* models_shipped - the catalogue that berth-controlplane was shipped with, as a list of entries;
 * NULL after a sentence was printed. */
const struct tree *models_shipped(struct cli *cli);
/* models_update, models_discover - the verbs. */
int models_update(struct cli *cli, const char *file, bool shipped, bool dry_run);
int models_discover(struct cli *cli, const char *provider, bool status);
/* models_changes, models_ack - what scans found to be different; provider NULL: all, model empty:
 * any. */
int models_changes(struct cli *cli, const char *provider);
int models_ack(struct cli *cli, const char *provider, struct str model);

#endif
