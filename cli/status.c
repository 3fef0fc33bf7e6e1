/* SPDX-License-Identifier: MIT
 * status.c - berth status: what is up, what is not, and what an owner should know, one line each.
 * Floor: cli; main thread.
 * Owns: nothing.
 * Invariant: changes nothing; what cannot be asked is a finding, not the end. e2e/newuser.sh. */
#include <stdio.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "api/money.h"
#include "cli/client.h"
#include "cli/command.h"
#include "cli/kind.h"
#include "cli/preflight.h"
#include "lib/base/num.h"

#define OBJECTS_MAX 40u
#define ASK_MS 5000u
#define DISK_MIB_MIN 256u
#define DISK_MIB_LOW 1024u
#define HOOK_FILE "/usr/share/containers/oci/hooks.d/50-berth-create.json"
#define DOCKER_FILE "/etc/docker/daemon.json"

/* A document of the admin API, or NULL and a finding. */
static const struct tree *
ask(struct cli *cli, struct preflight *found, const char *what, const char *path)
{
    struct err err = {0};
    const struct tree *reply = NULL;
    long status = 0;
    const struct client_call call = {
        .method = "GET", .path = path, .body = STR_EMPTY, .timeout_ms = ASK_MS};
    if (client_try(cli, &call, &status, &reply, &err) != 0)
        preflight_add(found, PREFLIGHT_STOP, what, "%s", err.text);
    else if (status != 200 || reply == NULL)
        preflight_add(found, PREFLIGHT_STOP, what, "the admin API answers %s with %ld %.*s", path,
                      status, STR_ARG(cli_text(reply, "message")));
    else
        return reply;
    return NULL;
}

/* ---- the daemons -------------------------------------------------------------------- */

static bool
look_at_controlplane(struct cli *cli, struct preflight *found)
{
    const struct tree *version = ask(cli, found, "control plane", "/version");
    if (version == NULL)
        return false;
    struct str text = cli_text(version, "version");
    if (str_eq(text, STR(CLI_VERSION)))
        preflight_add(found, PREFLIGHT_OK, "control plane", "answers, version %.*s", STR_ARG(text));
    else
        preflight_add(found, PREFLIGHT_NOTE, "control plane",
                      "runs version %.*s, this program is " CLI_VERSION "; start it again to "
                      "finish the upgrade",
                      STR_ARG(text));
    return true;
}

static void
look_at_node(const struct tree *node, struct str revision, struct preflight *found)
{
    struct str role = cli_text(node, "role");
    struct str name = cli_text(node, "name");
    struct str nack = cli_text(node, "nack");
    const char *what = str_eq(role, STR("agent")) ? "agent" : "data plane";
    if (!str_eq(cli_text(node, "connected"), STR("true")))
        preflight_add(found, PREFLIGHT_STOP, what, "%.*s is not connected; see berth logs",
                      STR_ARG(name));
    else if (nack.len > 0)
        preflight_add(found, PREFLIGHT_STOP, what, "%.*s refused what it was sent: %.*s",
                      STR_ARG(name), STR_ARG(nack));
    else if (!str_eq(cli_text(node, "in_sync"), STR("true"))) {
        preflight_add(found, PREFLIGHT_NOTE, what,
                      "%.*s is behind: it has configuration %.*s, identities %.*s, funds %.*s of "
                      "revision %.*s",
                      STR_ARG(name), STR_ARG(cli_text(node, "acked.config")),
                      STR_ARG(cli_text(node, "acked.bindings")),
                      STR_ARG(cli_text(node, "acked.funds")), STR_ARG(revision));
    } else {
        preflight_add(found, PREFLIGHT_OK, what, "%.*s is connected and in sync", STR_ARG(name));
    }
}

static void
look_at_nodes(struct cli *cli, struct preflight *found)
{
    const struct tree *reply = ask(cli, found, "nodes", "/api/v1/nodes");
    const struct tree *nodes = tree_get(reply, STR("nodes"));
    size_t agents = 0;
    size_t dataplanes = 0;
    for (const struct tree *node = nodes != NULL ? nodes->first : NULL; node; node = node->next) {
        bool agent = str_eq(cli_text(node, "role"), STR("agent"));
        agents += agent;
        dataplanes += !agent;
        if (agents + dataplanes <= OBJECTS_MAX)
            look_at_node(node, cli_text(reply, "revision"), found);
    }
    if (reply != NULL && dataplanes == 0)
        preflight_add(found, PREFLIGHT_STOP, "data plane", "none is connected; see berth logs");
    if (reply != NULL && agents == 0)
        preflight_add(found, PREFLIGHT_NOTE, "agent",
                      "none is connected: containers get no identity, API keys work");
}

/* Does this host's gateway take calls? */
static void
look_at_gateway(struct cli *cli, struct preflight *found)
{
    const char *url = client_dataplane_url(cli);
    struct err err = {0};
    const struct tree *reply = NULL;
    long status = 0;
    if (cli->server != NULL)
        return;
    /* without a key: whoever answers 401 is there and has a configuration */
    if (client_dataplane_get(cli, url, "/v1/models", STR("-"), &status, &reply, &err) != 0)
        preflight_add(found, PREFLIGHT_STOP, "gateway", "%s does not answer: %s", url, err.text);
    else if (status != 401)
        preflight_add(found, PREFLIGHT_STOP, "gateway", "%s answers %ld: is that Berth?", url,
                      status);
    else
        preflight_add(found, PREFLIGHT_OK, "gateway", "%s answers", url);
}

static void
look_at_hooks(struct cli *cli, struct preflight *found)
{
    struct str docker = STR_EMPTY;
    bool podman = access(HOOK_FILE, F_OK) == 0;
    if (cli->server != NULL)
        return;
    if (access(DOCKER_FILE, R_OK) == 0 && !cli_read_file(cli, DOCKER_FILE, &docker))
        docker = STR_EMPTY;
    bool runtime = docker.len > 0 && str_find(docker, STR("berth-runc")) != SIZE_MAX;
    if (podman || runtime)
        preflight_add(found, PREFLIGHT_OK, "hooks", "installed for%s%s%s", podman ? " podman" : "",
                      podman && runtime ? " and" : "", runtime ? " Docker" : "");
    else
        preflight_add(
            found, PREFLIGHT_NOTE, "hooks",
            "neither podman nor Docker calls Berth by itself; berth install-hooks changes "
            "that (or a hooks directory of your own)");
}

/* ---- what it works with ------------------------------------------------------------- */

static const struct tree *
scan_of(const struct tree *discovery, struct str provider)
{
    const struct tree *list = tree_get(discovery, STR("providers"));
    const struct tree *row = list != NULL ? list->first : NULL;
    while (row != NULL && !str_eq(cli_text(row, "provider"), provider))
        row = row->next;
    return row;
}

static bool
look_at_provider(const struct tree *provider, const struct tree *discovery, struct preflight *found)
{
    struct str name = cli_text(provider, "metadata.name");
    struct str reason = cli_text(provider, "status.conditions.Ready.reason");
    struct str message = cli_text(provider, "status.conditions.Ready.message");
    bool ready = str_eq(cli_text(provider, "status.conditions.Ready.status"), STR("True"));
    const struct tree *scan = scan_of(discovery, name);
    struct str at = cli_text(scan, "last.at");
    if (!ready)
        preflight_add(found, PREFLIGHT_NOTE, "provider", "%.*s: %.*s%s%.*s", STR_ARG(name),
                      STR_ARG(reason.len > 0 ? reason : STR("not ready yet")),
                      message.len > 0 ? ", " : "", STR_ARG(message));
    else if (at.len == 0)
        preflight_add(found, PREFLIGHT_OK, "provider",
                      "%.*s has its key; it has not been asked for its models yet (berth models "
                      "discover)",
                      STR_ARG(name));
    else if (!str_eq(cli_text(scan, "last.ok"), STR("true")))
        preflight_add(found, PREFLIGHT_NOTE, "provider",
                      "%.*s did not list its models at %.*s: %.*s", STR_ARG(name), STR_ARG(at),
                      STR_ARG(cli_text(scan, "last.problem")));
    else
        preflight_add(found, PREFLIGHT_OK, "provider", "%.*s answered at %.*s with %.*s models",
                      STR_ARG(name), STR_ARG(at), STR_ARG(cli_text(scan, "last.listed")));
    return ready;
}

static void
look_at_providers(struct cli *cli, struct preflight *found)
{
    const char *path = kind_path(cli, kind_find(cli, "Provider"), NULL);
    const struct tree *reply = ask(cli, found, "provider", path);
    const struct tree *discovery =
        reply != NULL ? ask(cli, found, "provider", "/api/v1/discovery") : NULL;
    const struct tree *items = tree_get(reply, STR("items"));
    size_t seen = 0;
    size_t ready = 0;
    for (const struct tree *item = items != NULL ? items->first : NULL; item; item = item->next) {
        if (seen++ < OBJECTS_MAX)
            ready += look_at_provider(item, discovery, found);
    }
    if (reply != NULL && ready == 0)
        preflight_add(found, PREFLIGHT_STOP, "provider",
                      "none is ready: no model can be called; set a key variable such as "
                      "OPENAI_API_KEY before berth up, or apply a Provider");
}

static void
look_at_wallet(struct cli *cli, const struct tree *wallet, struct preflight *found)
{
    struct str name = cli_text(wallet, "metadata.name");
    struct money left = {0};
    struct buf path;
    buf_init(&path, 4096);
    buf_put_str(&path, STR("/api/v1/wallet/balances?wallet="));
    client_path_put(&path, name, false);
    const struct tree *balances = ask(cli, found, "wallet", buf_cstr(&path));
    buf_fini(&path);
    if (balances == NULL)
        return;
    struct str ai = cli_text(balances, "ai_remaining");
    struct str general = cli_text(balances, "general_balance");
    bool frozen = str_eq(cli_text(wallet, "spec.frozen"), STR("true"));
    bool broke = money_parse(ai, 9, &left) != 0 || left.nano <= 0;
    preflight_add(found, frozen || broke ? PREFLIGHT_NOTE : PREFLIGHT_OK, "wallet",
                  "%.*s: AI %.*s USD, General %.*s USD%s", STR_ARG(name), STR_ARG(ai),
                  STR_ARG(general),
                  frozen  ? "; frozen: its calls are refused (berth wallet unfreeze)"
                  : broke ? "; nothing is left, its calls are refused (berth wallet transfer)"
                          : "");
}

static void
look_at_wallets(struct cli *cli, struct preflight *found)
{
    const char *path = kind_path(cli, kind_find(cli, "Wallet"), NULL);
    const struct tree *reply = ask(cli, found, "wallet", path);
    const struct tree *items = tree_get(reply, STR("items"));
    size_t seen = 0;
    for (const struct tree *item = items != NULL ? items->first : NULL; item; item = item->next) {
        if (seen++ < OBJECTS_MAX)
            look_at_wallet(cli, item, found);
    }
    if (seen > OBJECTS_MAX)
        preflight_add(found, PREFLIGHT_NOTE, "wallet", "%zu more (berth get wallets)",
                      seen - OBJECTS_MAX);
}

static void
look_at_disk(struct cli *cli, struct preflight *found)
{
    struct statvfs disk;
    if (cli->server != NULL || statvfs(cli->data, &disk) != 0)
        return;
    uint64_t mib = (uint64_t)disk.f_bavail * disk.f_frsize >> 20;
    preflight_add(found,
                  mib < DISK_MIB_MIN   ? PREFLIGHT_STOP
                  : mib < DISK_MIB_LOW ? PREFLIGHT_NOTE
                                       : PREFLIGHT_OK,
                  "disk", "%llu MiB are free at %s%s", (unsigned long long)mib, cli->data,
                  mib < DISK_MIB_LOW ? "; without room for the journal paid calls are refused"
                                     : "");
}

int
command_status(struct cli *cli)
{
    static struct preflight found;
    if (!cli_begin(cli, NULL, 0, 0, 0))
        return cli->exit;
    if (look_at_controlplane(cli, &found)) {
        look_at_nodes(cli, &found);
        look_at_gateway(cli, &found);
        look_at_hooks(cli, &found);
        look_at_providers(cli, &found);
        look_at_wallets(cli, &found);
    }
    look_at_disk(cli, &found);
    return preflight_print(cli, &found, "FAIL");
}
