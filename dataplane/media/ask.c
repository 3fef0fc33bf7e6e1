/* SPDX-License-Identifier: MIT
 * ask.c - fields of a request, from JSON or from a form.
 * Floor: dataplane/media; any thread.
 * Owns: nothing.
 * Invariant: see media_int.h. */
#include "dataplane/media/media_int.h"
#include "lib/base/num.h"

/* The one part of this name, or NULL: none, or none yet. form.c refuses a second one. */
static const struct form_part *
find_part(const struct ask *ask, const char *field)
{
    for (uint32_t i = 0; i < ask->form->count; i++) {
        const struct form_part *part = &ask->form->parts[i];
        if (!part->file && part->ended && str_eq(part->name, str_from(field)))
            return part;
    }
    return NULL;
}

static uint32_t
find_node(const struct ask *ask, const char *field)
{
    uint32_t node = json_get(ask->doc, 0, str_from(field));
    return json_is(ask->doc, node, JSON_NULL) ? JSON_NONE : node;
}

int
ask_text(const struct ask *ask, const char *field, struct str *ret_text)
{
    if (ask->doc == NULL) {
        const struct form_part *part = find_part(ask, field);
        if (part != NULL)
            *ret_text = part->head;
        return 0;
    }
    uint32_t node = find_node(ask, field);
    if (node == JSON_NONE)
        return 0;
    int rc = json_string(ask->doc, node, ask->arena, ret_text);
    return rc == 0 ? 0 : err_set(ask->err, ERR_INVALID, "field `%s` must be a string", field);
}

int
ask_count(const struct ask *ask, const char *field, uint64_t min, uint64_t max, uint64_t *ret_count)
{
    uint64_t value = 0;
    int rc = 0;
    if (ask->doc == NULL) {
        const struct form_part *part = find_part(ask, field);
        if (part == NULL)
            return 0;
        rc = num_u64(part->head, max, &value);
    } else {
        uint32_t node = find_node(ask, field);
        if (node == JSON_NONE)
            return 0;
        rc = json_u64(ask->doc, node, max, &value);
    }
    if (rc != 0 || value < min)
        return err_set(ask->err, ERR_RANGE, "field `%s` must be an integer from %llu to %llu",
                       field, (unsigned long long)min, (unsigned long long)max);
    *ret_count = value;
    return 0;
}

int
ask_switch(const struct ask *ask, const char *field, bool *ret_on)
{
    int rc = 0;
    if (ask->doc == NULL) {
        const struct form_part *part = find_part(ask, field);
        if (part == NULL)
            return 0;
        bool on = str_eq_nocase(part->head, STR("true")) || str_eq(part->head, STR("1"));
        if (!on && !str_eq_nocase(part->head, STR("false")) && !str_eq(part->head, STR("0")))
            rc = -ERR_INVALID;
        else
            *ret_on = on;
    } else {
        uint32_t node = find_node(ask, field);
        if (node == JSON_NONE)
            return 0;
        rc = json_bool(ask->doc, node, ret_on);
    }
    return rc == 0 ? 0 : err_set(ask->err, ERR_INVALID, "field `%s` must be true or false", field);
}

static bool
is_name(struct str model)
{
    for (size_t i = 0; i < model.len; i++) {
        if ((unsigned char)model.ptr[i] < 0x20)
            return false;
    }
    return model.len > 0;
}

int
ask_model(const struct ask *ask, struct str fallback, struct media_facts *facts)
{
    struct str model = STR_EMPTY;
    int rc = ask_text(ask, "model", &model);
    if (rc != 0)
        return rc;
    facts->form = ask->doc == NULL;
    if (facts->form) {
        facts->model_given = find_part(ask, "model") != NULL;
    } else {
        uint32_t node = find_node(ask, "model");
        facts->model_given = node != JSON_NONE;
        if (facts->model_given) {
            facts->model_start = ask->doc->nodes[node].start;
            facts->model_end = ask->doc->nodes[node].end;
        }
    }
    if (rc == 0 && !facts->model_given && fallback.len == 0)
        rc = err_set(ask->err, ERR_INVALID, "field `model` is missing");
    if (rc == 0 && facts->model_given && !is_name(model))
        rc = err_set(ask->err, ERR_INVALID, "field `model` is no name");
    if (rc == 0)
        facts->model = facts->model_given ? model : fallback;
    return rc;
}
