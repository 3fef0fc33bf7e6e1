/* SPDX-License-Identifier: MIT
 * amend.c - see amend.h.
 * Floor: controlplane/reconcile; engine thread.
 * Owns: nothing.
 * Invariant: see amend.h. */
#include "controlplane/reconcile/amend.h"

#include "controlplane/reconcile/bind_int.h"
#include "controlplane/reconcile/keyring.h"
#include "lib/base/check.h"
#include "lib/base/clock.h"

/* Rows signed in one commit: two pages of the store, a few milliseconds. */
#define RESIGN_ROWS 100u
#define VALUE_BYTES_MAX 65536u

/* ---- one row --------------------------------------------------------------------------------- */

static void
tell_bound(struct engine *engine, const struct binding_row *row)
{
    if (row->suspended == 0 && engine->conf.ops && engine->conf.ops->bound)
        engine->conf.ops->bound(row, engine->conf.user);
}

static void
tell_suspended(struct engine *engine, const struct binding_row *row, uint64_t revision)
{
    if (engine->conf.ops && engine->conf.ops->suspended)
        engine->conf.ops->suspended(row, revision, engine->conf.user);
}

static void
begin(struct bind *bind, struct engine *engine, const struct binding_row *row, enum trigger by,
      struct err *err)
{
    bind_init(bind, engine, by, err);
    bind->node = row->node;
    bind->binding = row->binding;
}

/* Sign bind->binding, store it with its status, and make it the row's. */
static int
rewrite(struct bind *bind, struct binding_row *row, unsigned suspended)
{
    uint64_t revision = 0;
    struct buf value;
    buf_init(&value, VALUE_BYTES_MAX);
    int code = bind_sign(bind, row->hex, row->revision, &value);
    if (code == 0)
        code = bind_set_status(bind, row->hex, suspended, row->paused);
    if (code == 0)
        code = bind_add_object(bind, &bind->container);
    if (code == 0)
        code = bind_commit(bind, &revision);
    if (code == 0)
        code = bindings_update(row, buf_str(&value), revision, NULL);
    if (code == 0)
        row->suspended = suspended;
    buf_fini(&value);
    return code;
}

/* The row keeps its text, only the status says it. Its object may be gone: then nothing does. */
static int
note_status(struct bind *bind, const struct binding_row *row, unsigned suspended, bool paused,
            uint64_t *ret_revision)
{
    struct err missing = {0};
    *ret_revision = store_revision(bind->engine->conf.store);
    int code = object_get(bind->engine->conf.store, kind_at(KIND_CONTAINER), row->binding.name,
                          &bind->arena, &bind->container, &missing);
    if (code == -ERR_NOT_FOUND)
        return 0;
    if (code == 0)
        code = bind_set_status(bind, row->hex, suspended, paused);
    if (code == 0)
        code = bind_add_object(bind, &bind->container);
    return code < 0 ? code : bind_commit(bind, ret_revision);
}

int
amend_suspend(struct engine *engine, struct binding_row *row, enum suspension why, bool on,
              struct err *err)
{
    struct bind bind;
    uint64_t revision = 0;
    unsigned before = row->suspended;
    unsigned after = on ? before | (unsigned)why : before & ~(unsigned)why;
    if (before == after)
        return 0;
    begin(&bind, engine, row, why == SUSPENDED_AI_OFF ? TRIGGER_ai : TRIGGER_agent, err);
    int code;
    if (after != 0) {
        code = note_status(&bind, row, after, row->paused, &revision);
        if (code == 0)
            row->suspended = after;
    } else {
        code = bind_load_container(&bind);
        if (code == 0)
            code = rewrite(&bind, row, 0);
    }
    if (code < 0)
        code = bind_store_failed(&bind, code);
    else if (before == 0)
        tell_suspended(engine, row, revision);
    else
        tell_bound(engine, row);
    bind_fini(&bind);
    return code;
}

int
amend_agent_away(struct engine *engine, struct str node, bool away, struct err *err)
{
    LIST_FOREACH (at, &engine->bindings.all) {
        struct binding_row *row = LIST_ENTRY(at, struct binding_row, node_in_all);
        if (!str_eq(row->node, node))
            continue;
        int code = amend_suspend(engine, row, SUSPENDED_AGENT_AWAY, away, err);
        if (code < 0)
            return code;
    }
    return 0;
}

static int
set_paused(struct engine *engine, struct binding_row *row, bool paused, struct err *err)
{
    struct bind bind;
    uint64_t revision = 0;
    begin(&bind, engine, row, TRIGGER_events, err);
    int code = note_status(&bind, row, row->suspended, paused, &revision);
    if (code < 0)
        code = bind_store_failed(&bind, code);
    else
        row->paused = paused;
    bind_fini(&bind);
    return code;
}

int
amend_paused(struct engine *engine, struct str node, const struct str *paused, size_t count,
             struct err *err)
{
    LIST_FOREACH (at, &engine->bindings.all) {
        struct binding_row *row = LIST_ENTRY(at, struct binding_row, node_in_all);
        bool wanted = false;
        if (!str_eq(row->node, node))
            continue;
        for (size_t i = 0; i < count && !wanted; i++)
            wanted = str_eq(str_from(row->hex), paused[i]);
        int code = wanted != row->paused ? set_paused(engine, row, wanted, err) : 0;
        if (code < 0)
            return code;
    }
    return 0;
}

static int
set_wallet(struct engine *engine, struct binding_row *row, struct err *err)
{
    struct bind bind;
    begin(&bind, engine, row, TRIGGER_wallet, err);
    int code = bind_load_container(&bind);
    if (code == 0)
        code = rewrite(&bind, row, row->suspended);
    if (code < 0)
        code = bind_store_failed(&bind, code);
    else
        tell_bound(engine, row);
    bind_fini(&bind);
    return code;
}

int
amend_container(struct engine *engine, const struct object *container, struct err *err)
{
    bool off = !schema_true(container->spec, "ai");
    struct str wallet = schema_text(container->spec, "wallet", STR("default"));
    LIST_FOREACH (at, &engine->bindings.all) {
        struct binding_row *row = LIST_ENTRY(at, struct binding_row, node_in_all);
        int code = 0;
        if (!str_eq(row->binding.name, container->name))
            continue;
        if (!str_eq(row->binding.wallet, wallet))
            code = set_wallet(engine, row, err);
        if (code == 0)
            code = amend_suspend(engine, row, SUSPENDED_AI_OFF, off, err);
        if (code < 0)
            return code;
    }
    return 0;
}

int
amend_load(struct engine *engine, struct err *err)
{
    LIST_FOREACH (at, &engine->bindings.all) {
        struct binding_row *row = LIST_ENTRY(at, struct binding_row, node_in_all);
        struct arena arena;
        struct object object;
        struct err missing = {0};
        arena_init(&arena, 4u * OBJECT_BYTES_MAX);
        int code = object_get(engine->conf.store, kind_at(KIND_CONTAINER), row->binding.name,
                              &arena, &object, &missing);
        struct str state = code == 0 ? schema_text(object.status, "state", STR_EMPTY) : STR_EMPTY;
        /* whose agent was away stays suspended until it says again what it hosts */
        if (code == 0 && !schema_true(object.spec, "ai"))
            row->suspended = SUSPENDED_AI_OFF;
        else if (str_eq(state, STR("suspended")))
            row->suspended = SUSPENDED_AGENT_AWAY;
        row->paused = str_eq(state, STR("paused"));
        arena_fini(&arena);
        if (code < 0 && code != -ERR_NOT_FOUND)
            return err_set(err, (enum err_code) - code, "%s", missing.text);
    }
    return 0;
}

/* ---- rename ---------------------------------------------------------------------------------- */

static int
check_free(struct bind *bind, const struct binding_row *self)
{
    LIST_FOREACH (at, &bind->engine->bindings.all) {
        const struct binding_row *row = LIST_ENTRY(at, struct binding_row, node_in_all);
        if (row != self && str_eq(row->binding.name, bind->binding.name) &&
            str_eq(row->binding.host, bind->binding.host))
            return bind_refuse(bind, "name_in_use", ERR_EXISTS,
                               "a running container of this host has this name",
                               bind->binding.name);
    }
    return 0;
}

static int
rename_row(struct bind *bind, struct binding_row *row)
{
    int code = bind_check_name(bind);
    if (code == 0)
        code = check_free(bind, row);
    if (code < 0)
        return code;
    code = bind_take_number(bind);
    if (code == 0)
        code = bind_end_status(bind, row, "renamed");
    if (code == 0)
        code = bind_load_container(bind);
    unsigned suspended = row->suspended & ~(unsigned)SUSPENDED_AI_OFF;
    if (code == 0 && !schema_true(bind->container.spec, "ai"))
        suspended |= SUSPENDED_AI_OFF;
    bool was_in_force = row->suspended == 0;
    if (code == 0)
        code = rewrite(bind, row, suspended);
    if (code < 0)
        return bind_store_failed(bind, code);
    if (was_in_force && suspended != 0)
        tell_suspended(bind->engine, row, row->revision);
    else
        tell_bound(bind->engine, row);
    return 0;
}

int
amend_rename(struct engine *engine, struct binding_row *row, struct str name, const char **ret_code,
             struct err *err)
{
    struct bind bind;
    if (str_eq(row->binding.name, name))
        return 0;
    begin(&bind, engine, row, TRIGGER_rename, err);
    bind.binding.name = name;
    int code = name.len == 0 ? bind_refuse(&bind, "invalid_name", ERR_INVALID,
                                           "a container cannot be renamed to nothing", name)
                             : rename_row(&bind, row);
    if (code < 0)
        *ret_code = bind.code;
    bind_fini(&bind);
    return code;
}

/* ---- keys ------------------------------------------------------------------------------------ */

/* Rows that are signed together. */
struct batch {
    struct engine *engine;
    struct arena arena;
    struct binding_row *rows[RESIGN_ROWS];
    struct store_cond conds[RESIGN_ROWS];
    struct store_op ops[RESIGN_ROWS];
    size_t count;
};

static int
batch_add(struct batch *batch, struct binding_row *row)
{
    struct binding binding = row->binding;
    struct store_op *op = &batch->ops[batch->count];
    struct buf value;
    buf_init(&value, VALUE_BYTES_MAX);
    binding.issued_ms = clock_wall_ns() / 1000000;
    int code = binding_sign(&binding, engine_key(batch->engine));
    if (code == 0)
        code = bindings_value(&binding, row->node, &value);
    *op = (struct store_op){.key = arena_printf(&batch->arena, BINDINGS_PREFIX "%s", row->hex)};
    if (code == 0)
        code = arena_dup(&batch->arena, buf_str(&value), &op->value);
    buf_fini(&value);
    if (code < 0 || !op->key.ptr)
        return code < 0 ? code : -ERR_NOMEM;
    batch->conds[batch->count] = (struct store_cond){.key = op->key, .mod_rev = row->revision};
    batch->rows[batch->count++] = row;
    return 0;
}

static int
batch_commit(struct batch *batch)
{
    struct engine *engine = batch->engine;
    uint64_t revision = 0;
    int code = batch->count == 0 ? 0
                                 : store_commit(engine->conf.store, batch->conds, batch->count,
                                                batch->ops, batch->count, &revision);
    for (size_t i = 0; i < batch->count && code == 0; i++) {
        code = bindings_update(batch->rows[i], batch->ops[i].value, revision, NULL);
        engine->resigned = revision;
        if (code == 0)
            tell_bound(engine, batch->rows[i]);
    }
    arena_fini(&batch->arena);
    arena_init(&batch->arena, 4u << 20);
    batch->count = 0;
    return code;
}

int
amend_resign(struct engine *engine, size_t *ret_count, struct err *err)
{
    struct batch batch = {.engine = engine};
    size_t count = 0;
    int code = 0;
    arena_init(&batch.arena, 4u << 20);
    LIST_FOREACH (at, &engine->bindings.all) {
        struct binding_row *row = LIST_ENTRY(at, struct binding_row, node_in_all);
        if (binding_verify(&row->binding, engine->public_key) == 0)
            continue;
        code = batch_add(&batch, row);
        if (code == 0 && batch.count == RESIGN_ROWS)
            code = batch_commit(&batch);
        if (code < 0)
            break;
        count++;
    }
    if (code == 0)
        code = batch_commit(&batch);
    arena_fini(&batch.arena);
    engine->resign_owed = code < 0;
    if (code < 0)
        return err_set(err, (enum err_code) - code,
                       "not every identity could be signed anew: %s; it is tried again",
                       err_text(code));
    *ret_count = count;
    return 0;
}

static void
keys_changed(struct engine *engine)
{
    engine_load_keys(engine);
    if (engine->conf.ops && engine->conf.ops->keys_changed)
        engine->conf.ops->keys_changed(engine->conf.user);
}

int
amend_rotate(struct engine *engine, size_t *ret_count, struct err *err)
{
    if (!engine->conf.keyring)
        return err_set(err, ERR_UNSUPPORTED, "this control plane's key is not kept in a file");
    int code = keyring_rotate(engine->conf.keyring, err);
    if (code < 0)
        return code;
    /* nodes read this ahead of the first binding with the new signature: one stream, in order */
    keys_changed(engine);
    return amend_resign(engine, ret_count, err);
}

int
amend_retire(struct engine *engine, struct err *err)
{
    if (engine->resign_owed || !engine->conf.keyring || engine->conf.keyring->count < 2)
        return 0;
    int code = keyring_retire(engine->conf.keyring, err);
    if (code == 0)
        keys_changed(engine);
    return code;
}
