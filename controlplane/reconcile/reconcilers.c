/* SPDX-License-Identifier: MIT
 * reconcilers.c - the rows of reconcilers.def: each converges from whatever state it finds.
 * Floor: controlplane/reconcile; engine thread.
 * Owns: nothing.
 * Invariant: running one twice changes nothing the second time. */
#include <stdio.h>

#include "controlplane/object/condition.h"
#include "controlplane/reconcile/amend.h"
#include "controlplane/reconcile/bind.h"
#include "controlplane/reconcile/caps.h"
#include "controlplane/reconcile/engine.h"

#define ARENA_BYTES_MAX (64u * 1024u * 1024u)

/* ---- config ---------------------------------------------------------------------------------- */

static int
write_conditions(struct engine *engine, const struct snapshot_input *input, struct err *err)
{
    for (size_t i = 0; i < input->provider_count; i++) {
        bool disabled = schema_true(input->providers[i].spec, "disabled");
        bool ready = input->keys[i].ptr && !disabled;
        const char *problem = str_starts(str_from(input->problems[i]), STR("its baseUrl"))
                                  ? "ClearText"
                                  : "KeyMissing";
        const char *reason = ready ? "Offered" : disabled ? "Disabled" : problem;
        int code = condition_write(engine->conf.store, &input->providers[i], "Ready", ready, reason,
                                   ready || disabled ? "" : input->problems[i]);
        if (code < 0 && code != -ERR_NOT_FOUND)
            return err_set(err, (enum err_code) - code, "condition of Provider %.*s: %s",
                           STR_ARG(input->providers[i].name), err_text(code));
    }
    return 0;
}

/* A target that nothing offers is skipped by nodes; people see it here. */
static int
write_route_conditions(struct engine *engine, const struct snapshot_input *input, struct err *err)
{
    for (size_t i = 0; i < input->route_count; i++) {
        const struct tree *targets = schema_get(input->routes[i].spec, "targets");
        char message[320] = "";
        size_t offered = 0;
        for (const struct tree *item = targets ? targets->first : NULL; item; item = item->next) {
            if (snapshot_offers(&engine->snapshot, item->text))
                offered++;
            else if (!message[0])
                (void)snprintf(message, sizeof message,
                               "nothing offers %.*s; berth models lists what is offered",
                               STR_ARG(item->text));
        }
        int code = condition_write(engine->conf.store, &input->routes[i], "Ready", offered > 0,
                                   !message[0]    ? "Offered"
                                   : offered == 0 ? "NoTarget"
                                                  : "SomeTargets",
                                   message);
        if (code < 0 && code != -ERR_NOT_FOUND)
            return err_set(err, (enum err_code) - code, "condition of Route %.*s: %s",
                           STR_ARG(input->routes[i].name), err_text(code));
    }
    return 0;
}

int
reconcile_config(struct engine *engine, struct str subject, struct err *err)
{
    bool changed = false;
    struct arena arena;
    struct snapshot_input input;
    (void)subject;
    int code = snapshot_rebuild(&engine->snapshot, engine->conf.store, &engine->conf.settings,
                                &changed, err);
    if (code < 0)
        return code;
    if (changed && engine->conf.ops && engine->conf.ops->config_changed)
        engine->conf.ops->config_changed(engine->conf.user);
    arena_init(&arena, ARENA_BYTES_MAX);
    code = snapshot_load(engine->conf.store, &engine->conf.settings, &arena, &input, err);
    if (code == 0)
        code = write_conditions(engine, &input, err);
    if (code == 0)
        code = write_route_conditions(engine, &input, err);
    arena_fini(&arena);
    return code;
}

/* ---- containers ------------------------------------------------------------------------------ */

/* Most containers have no list, and the document does not know them. */
static int
note_scope(struct engine *engine, struct str name, const struct tree *spec, struct err *err)
{
    bool changed = false;
    int code = scopes_set(&engine->scopes, name, spec, &changed);
    if (code == 0 && changed)
        code = queue_add(engine->queue, RECONCILER_config, STR_EMPTY);
    return code < 0 ? err_set(err, (enum err_code) - code, "%s", err_text(code)) : 0;
}

int
reconcile_containers(struct engine *engine, struct str subject, struct err *err)
{
    struct arena arena;
    struct object object;
    struct err missing = {0};
    arena_init(&arena, 4u * OBJECT_BYTES_MAX);
    int code =
        object_get(engine->conf.store, kind_at(KIND_CONTAINER), subject, &arena, &object, &missing);
    size_t count;
    if (code == 0) {
        code = note_scope(engine, subject, object.spec, err);
        if (code == 0)
            code = amend_container(engine, &object, err);
    } else if (code == -ERR_NOT_FOUND) {
        code = bind_revoke_name(engine, subject, "deleted", &count, err);
        if (code == 0)
            code = note_scope(engine, subject, NULL, err);
    } else {
        code = err_set(err, (enum err_code) - code, "%s", missing.text);
    }
    arena_fini(&arena);
    return code < 0 ? code : caps_settle(engine, kind_at(KIND_CONTAINER), subject, err);
}

/* ---- caps ------------------------------------------------------------------------------------ */

int
reconcile_keys(struct engine *engine, struct str subject, struct err *err)
{
    return caps_settle(engine, kind_at(KIND_API_KEY), subject, err);
}

int
reconcile_budgets(struct engine *engine, struct str subject, struct err *err)
{
    int code = caps_settle_budget(engine, subject, err);
    if (engine->conf.ops && engine->conf.ops->funds_changed)
        engine->conf.ops->funds_changed(subject, engine->conf.user);
    return code;
}

#define PAGE_OBJECTS 500u

/* A page of Containers behind `after`. */
static int
settle_page(struct engine *engine, struct str wallet, char after[128], size_t *ret_count,
            struct err *err)
{
    CLEANUP(arena_fini) struct arena arena;
    struct object *objects;
    arena_init(&arena, 256u << 20);
    int code = object_list(engine->conf.store, kind_at(KIND_CONTAINER), str_from(after),
                           PAGE_OBJECTS, &arena, &objects, ret_count, err);
    for (size_t i = 0; code == 0 && i < *ret_count; i++) {
        if (!str_copy(after, 128, objects[i].name))
            return err_set(err, ERR_TOO_LARGE, "a Container's name is too long");
        if (!str_eq(schema_text(objects[i].spec, "wallet", STR("default")), wallet))
            continue;
        struct str budget = caps_budget_name(objects[i].kind, objects[i].name, &arena);
        code = budget.ptr ? queue_add(engine->queue, RECONCILER_budgets, budget) : -ERR_NOMEM;
        if (code < 0)
            return err_set(err, (enum err_code) - code, "%s", err_text(code));
    }
    return code;
}

int
reconcile_defaults(struct engine *engine, struct str subject, struct err *err)
{
    char after[128] = "";
    size_t count = PAGE_OBJECTS;
    int code = 0;
    while (code == 0 && count == PAGE_OBJECTS)
        code = settle_page(engine, subject, after, &count, err);
    return code;
}

/* ---- wallets --------------------------------------------------------------------------------- */

int
reconcile_wallets(struct engine *engine, struct str subject, struct err *err)
{
    (void)err;
    if (engine->conf.ops && engine->conf.ops->funds_changed)
        engine->conf.ops->funds_changed(subject, engine->conf.user);
    return 0;
}

bool
engine_wallet_frozen(struct engine *engine, struct str wallet)
{
    struct arena arena;
    struct object object;
    arena_init(&arena, 4u * OBJECT_BYTES_MAX);
    bool frozen =
        object_get(engine->conf.store, kind_at(KIND_WALLET), wallet, &arena, &object, NULL) < 0 ||
        schema_true(object.spec, "frozen");
    arena_fini(&arena);
    return frozen;
}
