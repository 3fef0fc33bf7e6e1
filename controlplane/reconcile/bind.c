/* SPDX-License-Identifier: MIT
 * bind.c - checks, numbering, signing and the commits of identities.
 * Floor: controlplane/reconcile; engine thread.
 * Owns: nothing.
 * Invariant: see bind.h. */
#include "controlplane/reconcile/bind.h"

#include "lib/base/check.h"
#include "lib/base/clock.h"
#include "lib/base/num.h"

#define ARENA_BYTES_MAX (8u * 1024u * 1024u)
#define OPS_MAX 6u
#define NUMBER_NEXT "numbers/next"

/* One bind under way. */
struct bind {
    struct engine *engine;
    struct arena arena;
    struct str node;
    struct binding binding;
    struct object container;
    bool number_is_new;
    bool name_is_number;
    struct str number_key; /* where the number of this name (or unnamed container) is kept */
    struct store_cond conds[OPS_MAX];
    struct store_op ops[OPS_MAX];
    size_t cond_count;
    size_t op_count;
    const char *code;
    struct err *err;
};

/* ---- commits --------------------------------------------------------------------------------- */

static void
add_op(struct bind *bind, struct str key, struct str value, bool delete_)
{
    ASSERT(bind->op_count < OPS_MAX);
    bind->ops[bind->op_count++] = (struct store_op){.delete_ = delete_, .key = key, .value = value};
}

static void
add_cond(struct bind *bind, struct str key, uint64_t mod_rev)
{
    ASSERT(bind->cond_count < OPS_MAX);
    bind->conds[bind->cond_count++] = (struct store_cond){.key = key, .mod_rev = mod_rev};
}

static int
add_object(struct bind *bind, const struct object *object)
{
    struct store_cond cond;
    struct store_op op;
    int code = object_op(object, &bind->arena, &cond, &op);
    if (code == 0) {
        add_cond(bind, cond.key, cond.mod_rev);
        add_op(bind, op.key, op.value, false);
    }
    return code;
}

static int
refuse(struct bind *bind, const char *code, enum err_code err_code, const char *text,
       struct str detail)
{
    bind->code = code;
    return err_set(bind->err, err_code, "%s: \"%.*s\"", text, (int)MIN(detail.len, (size_t)100),
                   detail.ptr);
}

static int
store_failed(struct bind *bind, int code)
{
    bind->code = code == -ERR_CONFLICT ? "conflict" : "store";
    return err_set(bind->err, (enum err_code) - code, "the store refused the binding: %s",
                   err_text(code));
}

/* ---- the steps ------------------------------------------------------------------------------- */

static int
check_name(struct bind *bind)
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
    return refuse(bind, "invalid_name", ERR_INVALID,
                  "a container's name must be 1 to 100 of A-Z a-z 0-9 - _ and not a number", name);
}

/* Clear the way: what the runtime itself has ended already is revoked, what lives refuses us. */
static int
check_live(struct bind *bind, struct binding_row **ret_same)
{
    const struct binding *wanted = &bind->binding;
    if (bindings_has_ended(&bind->engine->bindings, wanted->incarnation))
        return refuse(bind, "revoked", ERR_REVOKED, "this incarnation was revoked",
                      wanted->container_id);
    LIST_FOREACH_SAFE (node, &bind->engine->bindings.all) {
        struct binding_row *row = LIST_ENTRY(node, struct binding_row, node_in_all);
        bool same_host = str_eq(row->binding.host, wanted->host);
        bool same_boot = same_host && str_eq(row->binding.boot, wanted->boot);
        bool same_container = same_host && str_eq(row->binding.runtime, wanted->runtime) &&
                              str_eq(row->binding.container_id, wanted->container_id);
        if (memcmp(row->binding.incarnation, wanted->incarnation, INCARNATION_BYTES) == 0) {
            if (!same_container || !same_boot || !str_eq(row->node, bind->node))
                return refuse(bind, "conflict", ERR_EXISTS, "this incarnation belongs to another",
                              wanted->container_id);
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
            return refuse(bind, "name_in_use", ERR_EXISTS,
                          "a running container of this host has this name", wanted->name);
        }
    }
    return 0;
}

static int
take_number(struct bind *bind)
{
    struct store *store = bind->engine->conf.store;
    struct binding *binding = &bind->binding;
    struct arena *arena = &bind->arena;
    struct store_row row;
    char text[20];
    if (bind->name_is_number)
        bind->number_key = arena_printf(arena, "numbers/unnamed/%.*s/%.*s", STR_ARG(binding->host),
                                        STR_ARG(binding->container_id));
    else
        bind->number_key = arena_printf(arena, "numbers/name/%.*s", STR_ARG(binding->name));
    if (!bind->number_key.ptr)
        return -ERR_NOMEM;
    int code = store_get(store, bind->number_key, arena, &row);
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
    bind->number_is_new = true;
    struct str mine;
    struct str following;
    if (arena_dup(arena, str_make(text, num_write_u64(text, next)), &mine) < 0 ||
        arena_dup(arena, str_make(text, num_write_u64(text, next + 1)), &following) < 0)
        return -ERR_NOMEM;
    add_cond(bind, STR(NUMBER_NEXT), next_rev);
    add_op(bind, STR(NUMBER_NEXT), following, false);
    add_cond(bind, bind->number_key, 0);
    add_op(bind, bind->number_key, mine, false);
    return 0;
}

static int
load_container(struct bind *bind)
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

static int
set_status(struct bind *bind, const char *hex)
{
    char since[32];
    const struct binding *binding = &bind->binding;
    struct arena *arena = &bind->arena;
    struct tree *status = bind->container.status;
    clock_format_rfc3339(clock_wall_ns(), since);
    int code = object_set_u64(arena, status, "number", binding->number);
    code |= object_set(arena, status, "id", TREE_STRING, binding->container_id);
    code |= object_set(arena, status, "host", TREE_STRING, binding->host);
    code |= object_set(arena, status, "node", TREE_STRING, bind->node);
    code |= object_set(arena, status, "runtime", TREE_STRING, binding->runtime);
    code |= object_set(arena, status, "incarnation", TREE_STRING, str_from(hex));
    code |= object_set(arena, status, "state", TREE_STRING, STR("active"));
    code |= object_set(arena, status, "since", TREE_STRING, str_from(since));
    code |= object_set(arena, status, "attestor", TREE_STRING, binding->attestors);
    object_unset(status, "reason");
    return code ? -ERR_NOMEM : 0;
}

static int
commit(struct bind *bind, struct binding_row **ret_row)
{
    struct engine *engine = bind->engine;
    char hex[2 * INCARNATION_BYTES + 1];
    hex_encode(bind->binding.incarnation, INCARNATION_BYTES, hex);
    bind->binding.server = str_from(engine->server);
    bind->binding.issued_ms = clock_wall_ns() / 1000000;
    struct buf value;
    buf_init(&value, 65536);
    struct str key = arena_printf(&bind->arena, BINDINGS_PREFIX "%s", hex);
    int code = key.ptr ? binding_sign(&bind->binding, engine->conf.key) : -ERR_NOMEM;
    if (code == 0)
        code = bindings_value(&bind->binding, bind->node, &value);
    if (code == 0)
        code = set_status(bind, hex);
    if (code == 0)
        code = add_object(bind, &bind->container);
    uint64_t revision = 0;
    if (code == 0) {
        add_cond(bind, key, 0);
        add_op(bind, key, buf_str(&value), false);
        code = store_commit(engine->conf.store, bind->conds, bind->cond_count, bind->ops,
                            bind->op_count, &revision);
    }
    if (code == 0)
        code = bindings_add(&engine->bindings, buf_str(&value), revision, ret_row, NULL);
    buf_fini(&value);
    return code;
}

static int
bind_run(struct bind *bind, struct binding_row **ret_row)
{
    struct binding_row *same = NULL;
    int code = check_name(bind);
    if (code == 0)
        code = check_live(bind, &same);
    if (code < 0 || same) {
        *ret_row = same;
        return code;
    }
    code = take_number(bind);
    if (code == 0)
        code = load_container(bind);
    if (code < 0)
        return store_failed(bind, code);
    if (!schema_true(bind->container.spec, "ai"))
        return refuse(bind, "ai_off", ERR_PERMISSION, "AI is switched off for this container",
                      bind->binding.name);
    code = commit(bind, ret_row);
    if (code < 0)
        return store_failed(bind, code);
    const struct engine_conf *conf = &bind->engine->conf;
    if (conf->ops && conf->ops->bound)
        conf->ops->bound(*ret_row, conf->user);
    return 0;
}

int
bind_container(struct engine *engine, const struct binding *wanted, struct str node,
               struct binding_row **ret_row, const char **ret_code, struct err *err)
{
    struct bind bind = {.engine = engine, .node = node, .binding = *wanted, .err = err};
    bind.code = "store";
    arena_init(&bind.arena, ARENA_BYTES_MAX);
    int code = bind_run(&bind, ret_row);
    if (code < 0)
        *ret_code = bind.code;
    arena_fini(&bind.arena);
    return code;
}

/* ---- ending ---------------------------------------------------------------------------------- */

static int
end_status(struct bind *bind, const struct binding_row *row, const char *reason)
{
    char since[32];
    struct err missing = {0};
    int code = object_get(bind->engine->conf.store, kind_at(KIND_CONTAINER), row->binding.name,
                          &bind->arena, &bind->container, &missing);
    if (code == -ERR_NOT_FOUND)
        return 0;
    if (code < 0)
        return code;
    /* another host, or a newer life, may own the status by now */
    struct tree *status = bind->container.status;
    if (!str_eq(schema_text(status, "incarnation", STR_EMPTY), str_from(row->hex)))
        return 0;
    clock_format_rfc3339(clock_wall_ns(), since);
    code = object_set(&bind->arena, status, "state", TREE_STRING, STR("gone"));
    code |= object_set(&bind->arena, status, "since", TREE_STRING, str_from(since));
    code |= object_set(&bind->arena, status, "reason", TREE_STRING, str_from(reason));
    return code ? -ERR_NOMEM : add_object(bind, &bind->container);
}

int
bind_revoke(struct engine *engine, struct binding_row *row, const char *reason, struct err *err)
{
    struct bind bind = {.engine = engine, .err = err};
    uint64_t revision = 0;
    arena_init(&bind.arena, ARENA_BYTES_MAX);
    struct str key = arena_printf(&bind.arena, BINDINGS_PREFIX "%s", row->hex);
    int code = key.ptr ? end_status(&bind, row, reason) : -ERR_NOMEM;
    if (code == 0) {
        add_op(&bind, key, STR_EMPTY, true);
        code = store_commit(engine->conf.store, bind.conds, bind.cond_count, bind.ops,
                            bind.op_count, &revision);
    }
    arena_fini(&bind.arena);
    if (code < 0)
        return err_set(err, (enum err_code) - code, "the revocation of %.*s was not stored: %s",
                       STR_ARG(row->binding.name), err_text(code));
    if (engine->conf.ops && engine->conf.ops->revoked)
        engine->conf.ops->revoked(row, revision, engine->conf.user);
    bindings_end(&engine->bindings, row);
    return 0;
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
