/* SPDX-License-Identifier: MIT
 * script.c - load and match rules.
 * Floor: tools/sim; any thread (one mutex).
 * Owns: see script.h.
 * Invariant: see script.h. */
#include "tools/sim/script.h"

#include <pthread.h>
#include <stdlib.h>

#include "lib/base/arena.h"
#include "lib/base/num.h"
#include "lib/text/tree.h"

#define RULES_MAX 256u

struct rule {
    char path[128]; /* "" = any */
    char model[128];
    uint64_t nth; /* 0 = every */
    uint64_t seen;
    struct directives directives;
};

struct script {
    pthread_mutex_t lock;
    struct rule *rules;
    size_t count;
};

int
script_new(struct script **ret_script, struct err *err)
{
    struct script *script = calloc(1, sizeof(*script));
    if (script == NULL)
        return err_set(err, ERR_NOMEM, "no memory for a script");
    (void)pthread_mutex_init(&script->lock, NULL);
    *ret_script = script;
    return 0;
}

void
script_free(struct script **ref)
{
    struct script *script = TAKE(*ref);
    if (script == NULL)
        return;
    (void)pthread_mutex_destroy(&script->lock);
    free(script->rules);
    free(script);
}

static int
load_match(const struct tree *match, struct rule *rule, struct err *err)
{
    for (const struct tree *node = match->first; node != NULL; node = node->next) {
        bool ok = false;
        if (str_eq(node->key, STR("path")))
            ok = str_copy(rule->path, sizeof(rule->path), node->text);
        else if (str_eq(node->key, STR("model")))
            ok = str_copy(rule->model, sizeof(rule->model), node->text);
        else if (str_eq(node->key, STR("nth")))
            ok = num_u64(node->text, UINT32_MAX, &rule->nth) == 0 && rule->nth > 0;
        if (!ok)
            return err_set_at(err, ERR_INVALID, node->line, node->column,
                              "match has path, model and nth (from 1), not %.*s: %.*s",
                              STR_ARG(node->key), STR_ARG(node->text));
    }
    return 0;
}

static int
load_rule(const struct tree *node, struct rule *rule, struct err *err)
{
    const struct tree *match = tree_get(node, STR("match"));
    const struct tree *act = tree_get(node, STR("do"));
    if (node->kind != TREE_MAP || act == NULL || act->kind != TREE_MAP ||
        node->count != (match != NULL ? 2u : 1u) || (match != NULL && match->kind != TREE_MAP))
        return err_set_at(err, ERR_INVALID, node->line, node->column,
                          "a rule is {match: {path, model, nth}, do: {...}}");
    if (match != NULL) {
        int rc = load_match(match, rule, err);
        if (rc != 0)
            return rc;
    }
    for (const struct tree *item = act->first; item != NULL; item = item->next) {
        struct str value = str_eq(item->text, STR("true")) ? STR("1") : item->text;
        int rc = directives_set(&rule->directives, item->key, value, err);
        if (rc != 0) {
            if (err != NULL) {
                err->line = item->line;
                err->column = item->column;
            }
            return rc;
        }
    }
    return 0;
}

static int
load_rules(const struct tree *list, struct rule **ret_rules, size_t *ret_count, struct err *err)
{
    if (list->kind != TREE_LIST || list->count > RULES_MAX)
        return err_set(err, ERR_INVALID, "a script is a list of at most %u rules", RULES_MAX);
    struct rule *rules = calloc(list->count + 1, sizeof(*rules));
    if (rules == NULL)
        return err_set(err, ERR_NOMEM, "no memory for a script");
    size_t count = 0;
    for (const struct tree *node = list->first; node != NULL; node = node->next) {
        int rc = load_rule(node, &rules[count++], err);
        if (rc != 0) {
            free(rules);
            return rc;
        }
    }
    *ret_rules = rules;
    *ret_count = count;
    return 0;
}

int
script_load(struct script *script, struct str text, struct err *err)
{
    CLEANUP(arena_fini) struct arena arena = {0};
    struct tree *documents = NULL;
    struct rule *rules = NULL;
    size_t count = 0;
    arena_init(&arena, 4u << 20);
    int rc = tree_from_yaml(text, &arena, &documents, err);
    if (rc == 0 && documents->count > 1)
        rc = err_set(err, ERR_INVALID, "a script is one document");
    if (rc == 0 && documents->count == 1)
        rc = load_rules(documents->first, &rules, &count, err);
    if (rc != 0)
        return rc;
    (void)pthread_mutex_lock(&script->lock);
    free(script->rules);
    script->rules = rules;
    script->count = count;
    (void)pthread_mutex_unlock(&script->lock);
    return 0;
}

void
script_apply(struct script *script, struct str path, struct str model,
             struct directives *directives)
{
    bool used = false;
    (void)pthread_mutex_lock(&script->lock);
    for (size_t i = 0; i < script->count; i++) {
        struct rule *rule = &script->rules[i];
        if (rule->path[0] != '\0' && !str_eq(str_from(rule->path), path))
            continue;
        if (rule->model[0] != '\0' && !str_eq(str_from(rule->model), model))
            continue;
        rule->seen++;
        if (used || (rule->nth != 0 && rule->nth != rule->seen))
            continue;
        directives_merge(directives, &rule->directives);
        used = true;
    }
    (void)pthread_mutex_unlock(&script->lock);
}

void
script_reset(struct script *script)
{
    (void)pthread_mutex_lock(&script->lock);
    for (size_t i = 0; i < script->count; i++)
        script->rules[i].seen = 0;
    (void)pthread_mutex_unlock(&script->lock);
}
