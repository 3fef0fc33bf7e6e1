/* SPDX-License-Identifier: MIT
 * bind.c - checks, numbering, signing and the commits of identities.
 * Floor: controlplane/reconcile; engine thread.
 * Owns: nothing.
 * Invariant: see bind.h. */
#include "controlplane/reconcile/bind_int.h"

#include "controlplane/object/condition.h"
#include "lib/base/check.h"
#include "lib/base/clock.h"
#include "lib/base/num.h"

#define ARENA_BYTES_MAX (8u * 1024u * 1024u)
#define NUMBER_NEXT "numbers/next"

/* ---- commits --------------------------------------------------------------------------------- */

void
bind_init(struct bind *bind, struct engine *engine, enum trigger by, struct err *err)
{
    *bind = (struct bind){.engine = engine, .by = by, .err = err, .code = "store"};
    arena_init(&bind->arena, ARENA_BYTES_MAX);
}

void
bind_fini(struct bind *bind)
{
    arena_fini(&bind->arena);
}

void
bind_add_op(struct bind *bind, struct str key, struct str value, bool gone)
{
    ASSERT(bind->op_count < BIND_OPS_MAX);
    bind->ops[bind->op_count++] = (struct store_op){.delete_ = gone, .key = key, .value = value};
}

void
bind_add_cond(struct bind *bind, struct str key, uint64_t mod_rev)
{
    ASSERT(bind->cond_count < BIND_OPS_MAX);
    bind->conds[bind->cond_count++] = (struct store_cond){.key = key, .mod_rev = mod_rev};
}

int
bind_add_object(struct bind *bind, const struct object *object)
{
    struct store_cond cond;
    struct store_op op;
    int code = object_op(object, &bind->arena, &cond, &op);
    if (code == 0) {
        bind_add_cond(bind, cond.key, cond.mod_rev);
        bind_add_op(bind, op.key, op.value, false);
    }
    return code;
}

int
bind_commit(struct bind *bind, uint64_t *ret_revision)
{
    return store_commit(bind->engine->conf.store, bind->conds, bind->cond_count, bind->ops,
                        bind->op_count, ret_revision);
}

int
bind_refuse(struct bind *bind, const char *code, enum err_code err_code, const char *text,
            struct str detail)
{
    bind->code = code;
    return err_set(bind->err, err_code, "%s: \"%.*s\"", text, (int)MIN(detail.len, (size_t)100),
                   detail.ptr);
}

int
bind_store_failed(struct bind *bind, int code)
{
    bind->code = code == -ERR_CONFLICT ? "conflict" : "store";
    return err_set(bind->err, (enum err_code) - code, "the store refused the binding: %s",
                   err_text(code));
}

/* ---- lives that an administrator ended ------------------------------------------------------- */

static struct str
barred_key(struct arena *arena, const struct binding *binding)
{
    return arena_printf(arena, "barred/%.*s/%.*s", STR_ARG(binding->host),
                        STR_ARG(binding->container_id));
}

/* What tells this life of the container from its next one. */
static struct str
life_of(struct arena *arena, const struct binding *binding)
{
    return arena_printf(arena, "%.*s %llu %llu", STR_ARG(binding->boot),
                        (unsigned long long)binding->netns_cookie,
                        (unsigned long long)binding->cgroup_id);
}

static int
bar(struct bind *bind, const struct binding *binding)
{
    struct str key = barred_key(&bind->arena, binding);
    struct str life = life_of(&bind->arena, binding);
    if (!key.ptr || !life.ptr)
        return -ERR_NOMEM;
    bind_add_op(bind, key, life, false);
    return 0;
}

/* An event stream finds whatever runs: it would find again and again what was revoked. The next
 * life is free: its hook asks, or its evidence is another. */
static int
check_barred(struct bind *bind)
{
    struct store_row row;
    struct str key = barred_key(&bind->arena, &bind->binding);
    struct str life = life_of(&bind->arena, &bind->binding);
    if (!key.ptr || !life.ptr)
        return -ERR_NOMEM;
    int code = store_get(bind->engine->conf.store, key, &bind->arena, &row);
    if (code < 0)
        return code == -ERR_NOT_FOUND ? 0 : code;
    if (bind->by == TRIGGER_events && str_eq(row.value, life))
        return bind_refuse(bind, "revoked", ERR_REVOKED,
                           "an administrator revoked it; it has a token when it is started again",
                           bind->binding.container_id);
    bind_add_op(bind, key, STR_EMPTY, true);
    return 0;
}

/* ---- the steps ------------------------------------------------------------------------------- */

int
bind_check_name(struct bind *bind)
{
    struct str name = bind->binding.name;
    uint64_t number;
    bind->name_is_number = name.len == 0;
    if (name.len == 0 || binding_valid_name(name))
        return 0;
    /* "17" is fine for the one that is number 17 */
    struct arena *arena = &bind->arena;
    struct str key = arena_printf(arena, "numbers/name/%.*s", STR_ARG(name));
    struct store_row row;
    if (num_u64(name, INT64_MAX, &number) == 0 && key.ptr &&
        store_get(bind->engine->conf.store, key, arena, &row) == 0 && str_eq(row.value, name))
        return 0;
    return bind_refuse(bind, "invalid_name", ERR_INVALID,
                       "a container's name must be 1 to 100 of A-Z a-z 0-9 - _ and not a number",
                       name);
}

/* Clear the way: what the runtime itself has ended already is revoked, what lives refuses us. */
static int
check_live(struct bind *bind, struct binding_row **ret_same)
{
    const struct binding *wanted = &bind->binding;
    if (bindings_has_ended(&bind->engine->bindings, wanted->incarnation))
        return bind_refuse(bind, "revoked", ERR_REVOKED, "this incarnation was revoked",
                           wanted->container_id);
    LIST_FOREACH_SAFE (node, &bind->engine->bindings.all) {
        struct binding_row *row = LIST_ENTRY(node, struct binding_row, node_in_all);
        bool same_host = str_eq(row->binding.host, wanted->host);
        bool same_boot = same_host && str_eq(row->binding.boot, wanted->boot);
        bool same_container = same_host && str_eq(row->binding.runtime, wanted->runtime) &&
                              str_eq(row->binding.container_id, wanted->container_id);
        if (memcmp(row->binding.incarnation, wanted->incarnation, INCARNATION_BYTES) == 0) {
            if (!same_container || !same_boot || !str_eq(row->node, bind->node))
                return bind_refuse(bind, "conflict", ERR_EXISTS,
                                   "this incarnation belongs to another", wanted->container_id);
            *ret_same = row;
            return 0;
        }
        bool same_name =
            same_host && wanted->name.len > 0 && str_eq(row->binding.name, wanted->name);
        if (same_container || (same_name && !same_boot)) {
            int code = bind_revoke(bind->engine, row, "replaced", bind->err);
            if (code < 0) {
                bind->code = "store";
                return code;
            }
        } else if (same_name) {
            return bind_refuse(bind, "name_in_use", ERR_EXISTS,
                               "a running container of this host has this name", wanted->name);
        }
    }
    return 0;
}

int
bind_take_number(struct bind *bind)
{
    struct store *store = bind->engine->conf.store;
    struct binding *binding = &bind->binding;
    struct arena *arena = &bind->arena;
    struct store_row row;
    struct str number_key;
    char text[20];
    if (bind->name_is_number)
        number_key = arena_printf(arena, "numbers/unnamed/%.*s/%.*s", STR_ARG(binding->host),
                                  STR_ARG(binding->container_id));
    else
        number_key = arena_printf(arena, "numbers/name/%.*s", STR_ARG(binding->name));
    if (!number_key.ptr)
        return -ERR_NOMEM;
    int code = store_get(store, number_key, arena, &row);
    if (code == 0)
        return num_u64(row.value, INT64_MAX, &binding->number) < 0 ? -ERR_STORE : 0;
    if (code != -ERR_NOT_FOUND)
        return code;
    uint64_t next = 1;
    uint64_t next_rev = 0;
    code = store_get(store, STR(NUMBER_NEXT), arena, &row);
    if (code == 0) {
        next_rev = row.mod_rev;
        if (num_u64(row.value, INT64_MAX - 1, &next) < 0)
            return -ERR_STORE;
    } else if (code != -ERR_NOT_FOUND) {
        return code;
    }
    binding->number = next;
    struct str mine;
    struct str following;
    if (arena_dup(arena, str_make(text, num_write_u64(text, next)), &mine) < 0 ||
        arena_dup(arena, str_make(text, num_write_u64(text, next + 1)), &following) < 0)
        return -ERR_NOMEM;
    bind_add_cond(bind, STR(NUMBER_NEXT), next_rev);
    bind_add_op(bind, STR(NUMBER_NEXT), following, false);
    bind_add_cond(bind, number_key, 0);
    bind_add_op(bind, number_key, mine, false);
    return 0;
}

int
bind_load_container(struct bind *bind)
{
    struct engine *engine = bind->engine;
    struct arena *arena = &bind->arena;
    struct binding *binding = &bind->binding;
    const struct kind *kind = kind_at(KIND_CONTAINER);
    if (bind->name_is_number) {
        binding->name = arena_printf(arena, "%llu", (unsigned long long)binding->number);
        if (!binding->name.ptr)
            return -ERR_NOMEM;
    }
    struct err missing = {0};
    int code =
        object_get(engine->conf.store, kind, binding->name, arena, &bind->container, &missing);
    if (code == -ERR_NOT_FOUND) {
        struct tree *spec = tree_new(arena, TREE_MAP, STR_EMPTY);
        if (!spec || object_set(arena, spec, "ai", TREE_BOOL, STR("true")) < 0 ||
            object_set(arena, spec, "wallet", TREE_STRING, STR("default")) < 0)
            return -ERR_NOMEM;
        code = object_new(kind, binding->name, spec, arena, &bind->container);
    }
    if (code < 0)
        return code;
    binding->wallet = schema_text(bind->container.spec, "wallet", STR("default"));
    return 0;
}

static const char *
suspension_reason(unsigned suspended)
{
    return suspended & SUSPENDED_AI_OFF       ? "AISwitchedOff"
           : suspended & SUSPENDED_AGENT_AWAY ? "AgentAway"
                                              : "Bound";
}

static const char *
suspension_text(unsigned suspended)
{
    return suspended & SUSPENDED_AI_OFF       ? "spec.ai is false"
           : suspended & SUSPENDED_AGENT_AWAY ? "the agent of its host has not been heard lately"
                                              : "";
}

/* The one place where the state of a Container changes. */
static int
set_state(struct bind *bind, struct object *container, const char *hex, struct str state)
{
    char since[32];
    struct store_cond cond;
    struct store_op op;
    struct tree *status = container->status;
    const struct transition transition = {.from = schema_text(status, "state", STR_EMPTY),
                                          .to = state,
                                          .incarnation = str_from(hex),
                                          .by = bind->by};
    int code =
        transition_op(bind->engine->conf.store, container, &transition, &bind->arena, &cond, &op);
    if (code < 0)
        return code;
    bind_add_cond(bind, cond.key, cond.mod_rev);
    bind->ops[bind->op_count++] = op;
    clock_format_rfc3339(clock_wall_ns(), since);
    code = object_set(&bind->arena, status, "state", TREE_STRING, state);
    code |= object_set(&bind->arena, status, "since", TREE_STRING, str_from(since));
    return code ? -ERR_NOMEM : 0;
}

int
bind_set_status(struct bind *bind, const char *hex, unsigned suspended, bool paused)
{
    const struct binding *binding = &bind->binding;
    struct arena *arena = &bind->arena;
    struct tree *status = bind->container.status;
    bool changed;
    int code = set_state(bind, &bind->container, hex,
                         suspended ? STR("suspended")
                         : paused  ? STR("paused")
                                   : STR("active"));
    if (code < 0)
        return code;
    code = object_set_u64(arena, status, "number", binding->number);
    code |= object_set(arena, status, "id", TREE_STRING, binding->container_id);
    code |= object_set(arena, status, "host", TREE_STRING, binding->host);
    code |= object_set(arena, status, "node", TREE_STRING, bind->node);
    code |= object_set(arena, status, "runtime", TREE_STRING, binding->runtime);
    code |= object_set(arena, status, "incarnation", TREE_STRING, str_from(hex));
    code |= object_set(arena, status, "attestor", TREE_STRING, binding->attestors);
    code |= condition_set(&bind->container, arena, "Active", suspended == 0,
                          suspension_reason(suspended), suspension_text(suspended), &changed);
    object_unset(status, "reason");
    return code ? -ERR_NOMEM : 0;
}

int
bind_sign(struct bind *bind, const char *hex, uint64_t mod_rev, struct buf *value)
{
    struct engine *engine = bind->engine;
    bind->binding.server = str_from(engine->server);
    bind->binding.issued_ms = clock_wall_ns() / 1000000;
    struct str key = arena_printf(&bind->arena, BINDINGS_PREFIX "%s", hex);
    int code = key.ptr ? binding_sign(&bind->binding, engine_key(engine)) : -ERR_NOMEM;
    if (code == 0)
        code = bindings_value(&bind->binding, bind->node, value);
    if (code == 0) {
        bind_add_cond(bind, key, mod_rev);
        bind_add_op(bind, key, buf_str(value), false);
    }
    return code;
}

static int
commit(struct bind *bind, struct binding_row **ret_row)
{
    struct engine *engine = bind->engine;
    char hex[2 * INCARNATION_BYTES + 1];
    unsigned suspended = schema_true(bind->container.spec, "ai") ? 0 : SUSPENDED_AI_OFF;
    uint64_t revision = 0;
    struct buf value;
    hex_encode(bind->binding.incarnation, INCARNATION_BYTES, hex);
    buf_init(&value, 65536);
    int code = bind_sign(bind, hex, 0, &value);
    if (code == 0)
        code = bind_set_status(bind, hex, suspended, false);
    if (code == 0)
        code = bind_add_object(bind, &bind->container);
    if (code == 0)
        code = bind_commit(bind, &revision);
    if (code == 0)
        code = bindings_add(&engine->bindings, buf_str(&value), revision, ret_row, NULL);
    if (code == 0)
        (*ret_row)->suspended = suspended;
    buf_fini(&value);
    return code;
}

static int
bind_run(struct bind *bind, struct binding_row **ret_row)
{
    struct binding_row *same = NULL;
    int code = bind_check_name(bind);
    if (code == 0)
        code = check_live(bind, &same);
    if (code < 0 || same) {
        *ret_row = same;
        return code;
    }
    code = check_barred(bind);
    if (code == -ERR_REVOKED)
        return code;
    if (code == 0)
        code = bind_take_number(bind);
    if (code == 0)
        code = bind_load_container(bind);
    if (code == 0)
        code = commit(bind, ret_row);
    if (code < 0)
        return bind_store_failed(bind, code);
    const struct engine_conf *conf = &bind->engine->conf;
    if (conf->ops && conf->ops->bound && (*ret_row)->suspended == 0)
        conf->ops->bound(*ret_row, conf->user);
    return 0;
}

int
bind_container(struct engine *engine, const struct binding *wanted, struct str node,
               enum trigger by, struct binding_row **ret_row, const char **ret_code,
               struct err *err)
{
    struct bind bind;
    bind_init(&bind, engine, by, err);
    bind.node = node;
    bind.binding = *wanted;
    int code = bind_run(&bind, ret_row);
    if (code < 0)
        *ret_code = bind.code;
    bind_fini(&bind);
    return code;
}

/* ---- ending ---------------------------------------------------------------------------------- */

/* by: who ends it so; an agent that unbinds says more. */
static const struct ending {
    const char *reason;
    enum trigger by;
    const char *text;
} endings[] = {
    {"unbound", TRIGGER_exit, "the container's process has ended"},
    {"gone", TRIGGER_agent, "the agent of its host no longer has it"},
    {"rebooted", TRIGGER_boot, "its host was restarted"},
    {"replaced", TRIGGER_restart, "the container was started again"},
    {"renamed", TRIGGER_rename, "the container has another name"},
    {"revoked", TRIGGER_admin, "an administrator revoked it"},
    {"deleted", TRIGGER_admin, "the Container was deleted"},
    {"not_acknowledged", TRIGGER_node, "a data plane did not acknowledge the binding"},
};

static const struct ending *
ending_of(const char *reason)
{
    size_t i = 0;
    while (i < ARRAY_LEN(endings) && !str_eq(str_from(reason), str_from(endings[i].reason)))
        i++;
    ASSERT(i < ARRAY_LEN(endings));
    return &endings[i];
}

int
bind_end_status(struct bind *bind, const struct binding_row *row, const char *reason)
{
    struct err missing = {0};
    struct object container;
    bool changed;
    int code = object_get(bind->engine->conf.store, kind_at(KIND_CONTAINER), row->binding.name,
                          &bind->arena, &container, &missing);
    if (code == -ERR_NOT_FOUND)
        return 0;
    if (code < 0)
        return code;
    /* another host, or a newer life, may own the status by now */
    struct tree *status = container.status;
    if (!str_eq(schema_text(status, "incarnation", STR_EMPTY), str_from(row->hex)))
        return 0;
    code = set_state(bind, &container, row->hex, STR("gone"));
    if (code < 0)
        return code;
    code = object_set(&bind->arena, status, "reason", TREE_STRING, str_from(reason));
    code |= condition_set(&container, &bind->arena, "Active", false, "Ended",
                          ending_of(reason)->text, &changed);
    return code ? -ERR_NOMEM : bind_add_object(bind, &container);
}

static int
end(struct engine *engine, struct binding_row *row, const char *reason, enum trigger by,
    struct err *err)
{
    struct bind bind;
    uint64_t revision = 0;
    bind_init(&bind, engine, by, err);
    struct str key = arena_printf(&bind.arena, BINDINGS_PREFIX "%s", row->hex);
    int code = key.ptr ? bind_end_status(&bind, row, reason) : -ERR_NOMEM;
    if (code == 0 && by == TRIGGER_admin)
        code = bar(&bind, &row->binding);
    if (code == 0) {
        bind_add_op(&bind, key, STR_EMPTY, true);
        code = bind_commit(&bind, &revision);
    }
    bind_fini(&bind);
    if (code < 0)
        return err_set(err, (enum err_code) - code, "the revocation of %.*s was not stored: %s",
                       STR_ARG(row->binding.name), err_text(code));
    if (engine->conf.ops && engine->conf.ops->revoked)
        engine->conf.ops->revoked(row, revision, engine->conf.user);
    bindings_end(&engine->bindings, row);
    return 0;
}

int
bind_revoke(struct engine *engine, struct binding_row *row, const char *reason, struct err *err)
{
    return end(engine, row, reason, ending_of(reason)->by, err);
}

int
bind_unbind(struct engine *engine, struct binding_row *row, enum trigger by, struct err *err)
{
    return end(engine, row, "unbound", by, err);
}

int
bind_revoke_name(struct engine *engine, struct str name, const char *reason, size_t *ret_count,
                 struct err *err)
{
    size_t count = 0;
    LIST_FOREACH_SAFE (node, &engine->bindings.all) {
        struct binding_row *row = LIST_ENTRY(node, struct binding_row, node_in_all);
        if (!str_eq(row->binding.name, name))
            continue;
        int code = bind_revoke(engine, row, reason, err);
        if (code < 0)
            return code;
        count++;
    }
    *ret_count = count;
    return 0;
}

int
bind_hosting(struct engine *engine, struct str node, struct str boot, const struct str *alive,
             size_t count, struct err *err)
{
    LIST_FOREACH_SAFE (at, &engine->bindings.all) {
        struct binding_row *row = LIST_ENTRY(at, struct binding_row, node_in_all);
        if (!str_eq(row->node, node))
            continue;
        bool lives = false;
        for (size_t i = 0; i < count && !lives; i++)
            lives = str_eq(alive[i], str_from(row->hex));
        bool rebooted = !str_eq(row->binding.boot, boot);
        if (lives && !rebooted)
            continue;
        int code = bind_revoke(engine, row, rebooted ? "rebooted" : "gone", err);
        if (code < 0)
            return code;
    }
    return 0;
}
