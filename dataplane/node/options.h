/* SPDX-License-Identifier: MIT
 * options.h - command line and environment of berth-dataplane.
 * Floor: dataplane/node; main thread.
 * Owns: nothing; strings point into argv and environ.
 * Invariant: an unknown option, a missing one or a value out of range is one sentence and exit 1.
 */
#ifndef BERTH_DATAPLANE_NODE_OPTIONS_H
#define BERTH_DATAPLANE_NODE_OPTIONS_H

#include "lib/base/err.h"
#include "lib/base/str.h"

#define OPTIONS_LISTEN_MAX 8u

struct options {
    const char *data;    /* state: journal/, config.json */
    const char *control; /* HOST:PORT of the control plane's node listener; NULL = from disk only */
    const char *pki;     /* folder with ca.crt, dataplane.crt, dataplane.key */
    const char *listen[OPTIONS_LISTEN_MAX];
    uint32_t listen_count;
    const char *listen_tls[OPTIONS_LISTEN_MAX];
    uint32_t listen_tls_count;
    const char *tls_cert;
    const char *tls_key;
    const char *admin;   /* address of /healthz /readyz /livez /metrics */
    const char *handoff; /* unix path for the agent; NULL = none */
    uint32_t workers;
    uint32_t journal_mib;
    uint32_t form_mib;  /* a form's body */
    uint32_t spool_mib; /* forms that wait on disk, a worker */
    bool help;
};

extern const char options_help[];
int options_parse(int argc, char **argv, struct options *ret_options, struct err *err) MUST_USE;

#endif
