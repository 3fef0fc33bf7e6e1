/* SPDX-License-Identifier: MIT
 * options.h - berth-load's command line.
 * Floor: tools/load; main thread.
 * Owns: the body, when it was read from a file.
 * Invariant: an unknown option or a value out of range is an error with exit code 2.
 *   options_test.c. */
#ifndef BERTH_TOOLS_LOAD_OPTIONS_H
#define BERTH_TOOLS_LOAD_OPTIONS_H

#include "lib/base/buf.h"
#include "lib/base/err.h"
#include "lib/http/message.h"
#include "lib/text/uri.h"

#define OPTIONS_FIELDS_MAX 32u

enum load_mode { LOAD_RATE, LOAD_CLOSED, LOAD_STREAMS };

struct options {
    enum load_mode mode;
    struct uri uri;
    struct str target; /* path and query */
    struct str method;
    struct http_field fields[OPTIONS_FIELDS_MAX];
    size_t field_count;
    struct str body;
    struct buf file; /* holds `body` when it came from --body-file */
    char *names;     /* lower-cased names of --header, one block */
    uint64_t rate;   /* requests a second */
    uint64_t connections;
    uint64_t concurrency; /* closed: calls in flight; streams: how many */
    uint64_t seconds;     /* 0 = until a signal */
    uint64_t warmup;      /* seconds that are not counted */
    uint64_t open_rate;   /* streams opened a second */
    bool h2;
    bool poisson;
    bool json;
    bool help;
};

/* options_parse - argv without the program's name. Texts are argv's. -ERR_INVALID, -ERR_RANGE,
 * -ERR_IO: the text names the option. options_fini in every case. */
int options_parse(int argc, char *const *argv, struct options *ret_options,
                  struct err *err) MUST_USE;
void options_fini(struct options *options);
extern const char options_help[];

#endif
