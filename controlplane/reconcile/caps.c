/* SPDX-License-Identifier: MIT
 * caps.c - see caps.h.
 * Floor: controlplane/reconcile; engine thread.
 * Owns: nothing.
 * Invariant: see caps.h. */
#include "controlplane/reconcile/caps.h"

#include <stdio.h>

static const struct {
    enum kind_id kind;
    const char *prefix;
} subjects[] = {{KIND_CONTAINER, "container/"}, {KIND_API_KEY, "key/"}};

struct str
caps_budget_name(const struct kind *kind, struct str name, struct arena *arena)
{
    for (size_t i = 0; i < ARRAY_LEN(subjects); i++) {
        if (kind == kind_at(subjects[i].kind))
            return arena_printf(arena, "%s%.*s", subjects[i].prefix, STR_ARG(name));
    }
    return str_make(NULL, 0);
}

static const char *
caps_member(const struct object *owner)
{
    return owner->kind == kind_at(KIND_WALLET) ? "containerCap" : "cap";
}

int
caps_owner(struct store *store, const struct object *object, struct arena *arena,
           const struct object **ret_owner, struct err *err)
{
    *ret_owner = NULL;
    if (schema_get(object->spec, "cap")) {
        *ret_owner = object;
        return 0;
    }
    if (object->kind != kind_at(KIND_CONTAINER))
        return 0;
    struct object *wallet = arena_alloc(arena, sizeof *wallet);
    if (!wallet)
        return err_set(err, ERR_NOMEM, "out of memory");
    int code = object_get(store, kind_at(KIND_WALLET),
                          schema_text(object->spec, "wallet", STR("default")), arena, wallet, err);
    if (code == -ERR_NOT_FOUND)
        return 0; /* nobody lends of it, either */
    if (code == 0 && schema_get(wallet->spec, "containerCap"))
        *ret_owner = wallet;
    return code;
}

static int
caps_read(const struct object *owner, struct budget_caps *ret_caps, struct err *err)
{
    struct budget_caps caps = {.capped = {false}};
    for (size_t i = 0; i < PERIOD_COUNT; i++) {
        char path[32];
        (void)snprintf(path, sizeof path, "%s.%s", caps_member(owner), period_name((enum period)i));
        struct str text = schema_text(owner->spec, path, STR_EMPTY);
        caps.capped[i] = text.len > 0;
        if (caps.capped[i] && money_parse(text, 2, &caps.amount[i]) < 0)
            return err_set(err, ERR_INVALID, "%s is no amount of money", path);
    }
    *ret_caps = caps;
    return 0;
}

int
caps_settle(struct engine *engine, const struct kind *kind, struct str name, struct err *err)
{
    CLEANUP(arena_fini) struct arena arena;
    struct budget_caps caps = {.capped = {false}};
    struct object object;
    struct err missing = {0};
    arena_init(&arena, 4u * OBJECT_BYTES_MAX);
    struct str budget = caps_budget_name(kind, name, &arena);
    if (!budget.ptr)
        return err_set(err, ERR_NOMEM, "out of memory");
    if (!engine->conf.ledger || !budget_name_valid(budget))
        return 0;
    int code = object_get(engine->conf.store, kind, name, &arena, &object, &missing);
    const struct object *owner = NULL;
    if (code == 0)
        code = caps_owner(engine->conf.store, &object, &arena, &owner, &missing);
    else if (code == -ERR_NOT_FOUND)
        code = 0;
    if (code < 0)
        return err_set(err, (enum err_code) - code, "%s", missing.text);
    if (owner)
        code = caps_read(owner, &caps, err);
    return code < 0 ? code : budget_set(engine->conf.ledger, budget, &caps, err);
}

int
caps_settle_budget(struct engine *engine, struct str budget, struct err *err)
{
    for (size_t i = 0; i < ARRAY_LEN(subjects); i++) {
        struct str prefix = str_from(subjects[i].prefix);
        if (str_starts(budget, prefix) && budget_name_valid(budget))
            return caps_settle(engine, kind_at(subjects[i].kind), str_skip(budget, prefix.len),
                               err);
    }
    return err_set(err, ERR_INVALID, "no budget has this name");
}
