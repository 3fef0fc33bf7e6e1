/* SPDX-License-Identifier: MIT
 * records_fuzz.c - lines from a node, against a live engine and ledger: the first byte chooses the
 *                  role, the rest is what the node says.
 * Floor: controlplane/push tests.
 * Owns: one engine on a memory store, renewed from time to time so that it stays small.
 * Invariant: see records.c. The node counts as dropped already, so nothing is written to a stream.
 *            */
#include <stdlib.h>

#include "controlplane/push/push_int.h"
#include "lib/base/check.h"

#define INPUTS_MAX 2000u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct {
    unsigned inputs;
    struct loop *loop;
    struct store *store;
    struct ledger *ledger;
    struct ed25519_key *key;
    struct push *push;
    struct engine *engine;
} rig;

static void
tear_down(void)
{
    push_free(&rig.push);
    engine_free(&rig.engine);
    ledger_free(&rig.ledger);
    store_close(&rig.store);
    loop_free(&rig.loop);
    ed25519_free(&rig.key);
}

static void
set_up(void)
{
    struct err err = {0};
    const struct ledger_config ledger_config = {0};
    rig.inputs = 0;
    ASSERT(loop_new(&rig.loop, &err) == 0);
    ASSERT(store_open("memory:", rig.loop, &rig.store, &err) == 0);
    ASSERT(ed25519_generate(&rig.key) == 0);
    ASSERT(ledger_new(rig.store, &ledger_config, &rig.ledger, &err) == 0);
    const struct push_conf push_conf = {.loop = rig.loop, .ledger = rig.ledger};
    ASSERT(push_new(&push_conf, &rig.push, &err) == 0);
    const struct engine_conf conf = {.loop = rig.loop,
                                     .store = rig.store,
                                     .ledger = rig.ledger,
                                     .key = rig.key,
                                     .settings = SNAPSHOT_SETTINGS_DEFAULT,
                                     .ops = &push_engine_ops,
                                     .user = rig.push};
    ASSERT(engine_new(&conf, &rig.engine, &err) == 0);
    rig.push->engine = rig.engine;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct node *node = NULL;
    if (size < 1)
        return 0;
    if (!rig.engine) {
        set_up();
        ASSERT(atexit(tear_down) == 0);
    } else if (++rig.inputs > INPUTS_MAX) {
        tear_down();
        set_up();
    }
    ASSERT(node_new(rig.push, NULL, &node) == 0);
    node->role = data[0] & 1 ? ROLE_AGENT : ROLE_DATAPLANE;
    node->state = NODE_LIVE;
    node->epoch = 7;
    node->doomed = true;
    ASSERT(str_copy(node->name, sizeof node->name, STR("fuzz")));
    ASSERT(str_copy(node->boot, sizeof node->boot, STR("b")));
    struct str rest = str_make((const char *)data + 1, size - 1);
    struct str line;
    while (rest.len > 0) {
        str_cut(rest, '\n', &line, &rest);
        record_handle(node, line);
    }
    pending_forget_agent(rig.push, node);
    node_free(node);
    loop_step(rig.loop, 0);
    return 0;
}
