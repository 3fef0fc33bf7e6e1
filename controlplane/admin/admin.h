/* SPDX-License-Identifier: MIT
 * admin.h - the admin API: resources, wallets, usage, nodes, health; api/openapi/admin.yaml.
 * Floor: controlplane/admin; engine thread.
 * Owns: one HTTP server a listener, the metrics registry.
 * Invariant: every path and method of the document is a row of endpoints.def and the reverse; a TCP
 *            caller needs the admin token, compared in constant time; bodies are strict.
 *            admin_test.c. */
#ifndef BERTH_CONTROLPLANE_ADMIN_ADMIN_H
#define BERTH_CONTROLPLANE_ADMIN_ADMIN_H

#include "controlplane/billing/billing.h"
#include "controlplane/ledger/ledger.h"
#include "controlplane/reconcile/engine.h"
#include "lib/base/secret.h"
#include "lib/http/server.h"

#define ADMIN_BODY_BYTES_MAX (1024u * 1024u)

struct admin;
struct admin_conf {
    struct loop *loop;
    struct engine *engine; /* all borrowed */
    struct ledger *ledger;
    struct billing *billing;
    const struct secret *token;
    const char *version;
    const char *backup_file; /* where a copy of the store is made; NULL: none can be */
    /* writes a JSON array of connected nodes; may be NULL. count: data planes. */
    void (*put_nodes)(void *user, struct json_writer *writer);
    size_t (*count_nodes)(void *user, const char *role);
    void *user;
};
int admin_new(const struct admin_conf *conf, struct admin **ret_admin, struct err *err) MUST_USE;
void admin_free(struct admin **admin);
/* admin_listen - serve listen_fd (borrowed). trusted: a Unix socket whose file mode already lets in
 * only those who could read the token: no token is asked for. */
int admin_listen(struct admin *admin, int listen_fd, bool trusted, struct err *err) MUST_USE;

/* admin_openapi - the document as it is served, for tests and tools. */
struct str admin_openapi(void);
/* admin_endpoint - rows of endpoints.def in order; false behind the last. */
bool admin_endpoint(size_t index, const char **ret_method, const char **ret_path);

#endif
