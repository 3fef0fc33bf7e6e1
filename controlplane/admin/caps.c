/* SPDX-License-Identifier: MIT
 * caps.c - status.cap of a Container or an ApiKey: what was spent of its caps.
 * Floor: controlplane/admin; engine thread.
 * Owns: nothing.
 * Invariant: `spent` is what usage of the same time says of it. e2e/caps.sh. */
#include "controlplane/admin/admin_int.h"
#include "controlplane/reconcile/caps.h"
#include "lib/base/clock.h"

static int
put_money(struct arena *arena, struct tree *map, const char *key, struct money money)
{
    char text[32];
    struct str copy;
    money_format(money, text);
    int code = arena_dup(arena, str_from(text), &copy);
    return code < 0 ? code : object_set(arena, map, key, TREE_STRING, copy);
}

static int
put_period(struct arena *arena, struct tree *caps, const struct budget_state *state,
           enum period period)
{
    char when[32];
    struct str resets;
    struct tree *map = tree_new(arena, TREE_MAP, STR_EMPTY);
    clock_format_rfc3339(state->resets_ms[period] * 1000000, when);
    if (!map || arena_dup(arena, str_from(when), &resets) < 0)
        return -ERR_NOMEM;
    int code = put_money(arena, map, "amount", state->caps.amount[period]);
    if (code == 0)
        code = put_money(arena, map, "spent", state->spent[period]);
    if (code == 0)
        code = object_set(arena, map, "resets", TREE_STRING, resets);
    tree_append(caps, str_from(period_name(period)), map);
    return code;
}

/* Where the owner of the container changes it. */
static int
put_source(struct arena *arena, struct tree *caps, const struct object *object,
           const struct object *owner)
{
    struct str text = owner == object ? STR("spec.cap")
                                      : arena_printf(arena, "spec.containerCap of Wallet %.*s",
                                                     STR_ARG(owner->name));
    return text.ptr ? object_set(arena, caps, "source", TREE_STRING, text) : -ERR_NOMEM;
}

int
caps_show(struct call *call, struct object *object)
{
    struct arena *arena = &call->arena;
    struct budget_state state;
    struct err err = {0};
    struct str name = caps_budget_name(object->kind, object->name, arena);
    const struct object *owner;
    if (!name.ptr) /* a Wallet's cap is shown by its balances */
        return 0;
    int code = caps_owner(call->admin->conf.engine->conf.store, object, arena, &owner, &err);
    if (code < 0 || !owner)
        return code;
    code = budget_get(call->admin->conf.ledger, name, &state, &err);
    if (code < 0)
        return code == -ERR_NOT_FOUND ? 0 : code;
    struct tree *caps = tree_new(arena, TREE_MAP, STR_EMPTY);
    if (!caps || !object->status)
        return caps ? 0 : -ERR_NOMEM;
    for (size_t i = 0; i < PERIOD_COUNT && code == 0; i++) {
        if (state.caps.capped[i])
            code = put_period(arena, caps, &state, (enum period)i);
    }
    if (code == 0)
        code = put_money(arena, caps, "lent", state.lent);
    if (code == 0)
        code = put_source(arena, caps, object, owner);
    tree_append(object->status, STR("cap"), caps);
    return code;
}
