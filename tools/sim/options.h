/* SPDX-License-Identifier: MIT
 * options.h - berth-sim's command line.
 * Floor: tools/sim; main thread.
 * Owns: nothing; texts are argv's.
 * Invariant: an unknown option is an error with exit code 2. options_test.c. */
#ifndef BERTH_TOOLS_SIM_OPTIONS_H
#define BERTH_TOOLS_SIM_OPTIONS_H

#include "lib/base/buf.h"
#include "lib/base/err.h"

#define OPTIONS_LISTEN_MAX 8u

struct options {
    const char *listen[OPTIONS_LISTEN_MAX];
    size_t listen_count;
    const char *tls_cert;
    const char *tls_key;
    const char *key;
    const char *script;
    const char *prices;
    const char *replay;
    uint64_t bench_bytes; /* 0 = normal mode */
    uint64_t threads;
    bool json;
    bool help;
};

/* options_parse - argv without the program's name. -ERR_INVALID names the option. */
int options_parse(int argc, char *const *argv, struct options *ret_options,
                  struct err *err) MUST_USE;
void options_help(struct buf *out);

#endif
