/* SPDX-License-Identifier: MIT
 * reconcilers.c - the rows of reconcilers.def: each converges from whatever state it finds.
 * Floor: controlplane/reconcile; engine thread.
 * Owns: nothing.
 * Invariant: running one twice changes nothing the second time. */
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
