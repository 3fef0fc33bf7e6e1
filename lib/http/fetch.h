/* SPDX-License-Identifier: MIT
 * fetch.h - one blocking HTTP exchange through libcurl: for the command line and for tools.
 * Floor: lib/http; any thread.
 * Owns: the reply buffers.
 * Invariant: bounded in time and size; no redirects; TLS is always verified. */
#ifndef BERTH_LIB_HTTP_FETCH_H
#define BERTH_LIB_HTTP_FETCH_H

#include "lib/base/buf.h"
#include "lib/base/err.h"
#include "lib/net/guard.h"

struct fetch {
    const char *method;
    const char *url;           /* http(s)://host[:port]/path */
    const char *unix_path;     /* connect here, or NULL */
    const char *ca_file;       /* or NULL = system */
    const char *const *fields; /* "Name: value", NULL-terminated, or NULL */
    struct str body;
    uint32_t timeout_ms;    /* 0 = 30000 */
    size_t reply_bytes_max; /* 0 = 64 MiB */
    /* address filter at connect time, guard_allow for a URL of a configuration; NULL = all */
    bool (*allow)(const struct sock_addr *addr, void *user);
    void *allow_user;
    /* called with body bytes as they come instead of collecting them; return false to stop */
    bool (*on_body)(struct str bytes, void *user);
    /* called behind every read, and about once a second while nothing comes; false to stop. It may
     * make another exchange. */
    bool (*on_tick)(void *user);
    void *user;
};
/* fetch_run - 0 and *ret_status; reply (initialised by the caller) gets the body.
 * -ERR_REFUSED, -ERR_TIMEOUT, -ERR_RESOLVE, -ERR_TLS, -ERR_TOO_LARGE, -ERR_IO, -ERR_CANCELED. */
int fetch_run(const struct fetch *fetch, long *ret_status, struct buf *reply,
              struct err *err) MUST_USE;

#endif
