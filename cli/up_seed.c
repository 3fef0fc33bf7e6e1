/* SPDX-License-Identifier: MIT
 * up_seed.c - what the first start leaves: the host's key, and demo money for the simulator.
 * Floor: cli; main thread.
 * Owns: nothing.
 * Invariant: a second start changes nothing (idempotency keys, existing files); real providers
 *            never get demo money. e2e/up.sh. */
#include <poll.h>
#include <stdio.h>
#include <unistd.h>

#include "cli/client.h"
#include "cli/keyfile.h"
#include "cli/keys.h"
#include "cli/up_int.h"
#include "lib/base/clock.h"
#include "lib/http/fetch.h"

#define HOST_KEY "host"
#define SERVING_MS 5000u

int
up_providers(struct up *up)
{
    const struct tree *reply = NULL;
    struct buf names;
    int code = client_get(up->cli, "/apis/berth.dev/v1alpha1/providers", &reply);
    if (code != CLI_DONE)
        return code;
    const struct tree *items = tree_get(reply, STR("items"));
    up->provider_count = 0;
    buf_init(&names, 65536);
    for (const struct tree *item = items != NULL ? items->first : NULL; item; item = item->next) {
        if (str_eq(cli_text(item, "spec.disabled"), STR("true")))
            continue;
        if (up->provider_count++ > 0)
            buf_put_str(&names, STR(", "));
        buf_put_str(&names, cli_text(item, "metadata.name"));
        struct str why = cli_text(item, "status.conditions.Ready.message");
        if (why.len > 0)
            buf_printf(&names, " (not ready: %.*s)", STR_ARG(why));
    }
    if (arena_dup(&up->cli->arena, buf_str(&names), &up->providers) != 0)
        up->providers = STR_EMPTY;
    buf_fini(&names);
    return CLI_DONE;
}

static int
seed_key(struct up *up)
{
    struct err err = {0};
    const struct tree *reply = NULL;
    long status = 0;
    const char *path = keyfile_path(up->cli, NULL, STR(HOST_KEY));
    const struct client_call call = {
        .method = "GET", .path = "/apis/berth.dev/v1alpha1/apikeys/" HOST_KEY, .body = STR_EMPTY};
    if (access(path, F_OK) == 0)
        return CLI_DONE;
    if (client_try(up->cli, &call, &status, &reply, &err) != 0)
        return cli_fail("%s", err.text);
    if (status != 404) {
        up->no_key = true;
        return CLI_DONE;
    }
    return keys_create(up->cli, HOST_KEY, "default", path, &reply);
}

static int
move(struct up *up, const char *path, struct str body, bool *ret_replayed)
{
    const struct tree *reply = NULL;
    const struct client_call call = {
        .method = "POST", .path = path, .type = "application/json", .body = body};
    int code = client_run(up->cli, &call, &reply);
    if (code == CLI_DONE)
        *ret_replayed = str_eq(cli_text(reply, "replayed"), STR("true"));
    return code;
}

static int
seed_money(struct up *up)
{
    bool deposited_before = true;
    bool transferred_before = true;
    int code = move(up, "/api/v1/wallet/deposits",
                    STR("{\"amount\":\"10.00\",\"idempotency_key\":\"berth-demo-deposit\"}"),
                    &deposited_before);
    if (code == CLI_DONE)
        code = move(up, "/api/v1/wallet/transfers",
                    STR("{\"amount\":\"5.00\",\"idempotency_key\":\"berth-demo-transfer\"}"),
                    &transferred_before);
    up->demo = code == CLI_DONE && !deposited_before;
    return code;
}

int
up_seed(struct up *up)
{
    int code = seed_key(up);
    if (code == CLI_DONE && up->stack.offline)
        code = seed_money(up);
    if (code == CLI_DONE)
        code = client_get(up->cli, "/api/v1/wallet/balances", &up->balances);
    return code;
}

int
up_wait_serving(struct up *up, struct err *err)
{
    char url[64];
    uint64_t deadline = clock_mono_ms() + SERVING_MS;
    (void)snprintf(url, sizeof(url), "http://127.0.0.1:%u/readyz",
                   stack_port(&up->stack, STACK_PORT_HEALTH));
    const struct fetch fetch = {.method = "GET", .url = url, .body = STR_EMPTY, .timeout_ms = 1000};
    while (clock_mono_ms() < deadline) {
        struct err ignored = {0};
        struct buf reply;
        long status = 0;
        buf_init(&reply, 65536);
        int rc = fetch_run(&fetch, &status, &reply, &ignored);
        buf_fini(&reply);
        if (rc == 0 && status == 200)
            return 0;
        struct pollfd stop = {.fd = up->stop_fd, .events = POLLIN};
        if (poll(&stop, 1, 2) > 0)
            return err_set(err, ERR_CANCELED, "stopped");
    }
    return err_set(err, ERR_TIMEOUT, "the data plane got no configuration within %u s; see %s/logs",
                   SERVING_MS / 1000u, up->cli->data);
}
