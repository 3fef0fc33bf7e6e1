/* SPDX-License-Identifier: MIT
 * ask.c - fields of a request, from JSON or from a form.
 * Floor: dataplane/media; any thread.
 * Owns: nothing.
 * Invariant: see media_int.h. */
#include "dataplane/media/media_int.h"
#include "lib/base/num.h"

int
ask_form(struct ask *ask, struct str content_type)
{
    struct str boundary;
    struct multipart form;
    if (!multipart_boundary(content_type, &boundary))
        return err_set(ask->err, ERR_INVALID, "content-type must be multipart/form-data");
    struct multipart_part *parts =
        arena_array(ask->arena, MULTIPART_PARTS_MAX, sizeof(struct multipart_part));
    if (parts == NULL)
        return err_set(ask->err, ERR_NOMEM, "no memory for this form");
    int rc = multipart_open(&form, ask->body, boundary, ask->err);
    while (rc == 0) {
        rc = multipart_next(&form, &parts[ask->count], ask->err);
        ask->count += rc == 0 ? 1 : 0;
    }
    ask->parts = parts;
    return rc == -ERR_NOT_FOUND ? 0 : rc;
}

/* The one part of this name, or NULL; twice is an error: two readers would read two things. */
static int
find_part(const struct ask *ask, const char *field, const struct multipart_part **ret_part)
{
    *ret_part = NULL;
    for (uint32_t i = 0; i < ask->count; i++) {
        if (!str_eq(ask->parts[i].name, str_from(field)))
            continue;
        if (*ret_part != NULL)
            return err_set(ask->err, ERR_INVALID, "field `%s` is there twice", field);
        *ret_part = &ask->parts[i];
    }
    return 0;
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
    const struct multipart_part *part;
    if (ask->doc == NULL) {
        int rc = find_part(ask, field, &part);
        if (rc == 0 && part != NULL)
            *ret_text = part->content;
        return rc;
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
    const struct multipart_part *part;
    uint64_t value = 0;
    int rc = 0;
    if (ask->doc == NULL) {
        rc = find_part(ask, field, &part);
        if (rc != 0 || part == NULL)
            return rc;
        rc = num_u64(part->content, max, &value);
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
    const struct multipart_part *part;
    int rc = 0;
    if (ask->doc == NULL) {
        rc = find_part(ask, field, &part);
        if (rc != 0 || part == NULL)
            return rc;
        bool on = str_eq_nocase(part->content, STR("true")) || str_eq(part->content, STR("1"));
        if (!on && !str_eq_nocase(part->content, STR("false")) && !str_eq(part->content, STR("0")))
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
ask_model(const struct ask *ask, const char *fallback, struct media_facts *facts)
{
    const struct multipart_part *part = NULL;
    struct str model = STR_EMPTY;
    int rc = ask_text(ask, "model", &model);
    if (rc != 0)
        return rc;
    facts->form = ask->doc == NULL;
    if (facts->form) {
        rc = find_part(ask, "model", &part);
        facts->model_given = part != NULL;
    } else {
        uint32_t node = find_node(ask, "model");
        facts->model_given = node != JSON_NONE;
        if (facts->model_given) {
            facts->model_start = ask->doc->nodes[node].start;
            facts->model_end = ask->doc->nodes[node].end;
        }
    }
    if (rc == 0 && part != NULL) {
        facts->model_start = (size_t)(part->content.ptr - ask->body.ptr);
        facts->model_end = facts->model_start + part->content.len;
    }
    if (rc == 0 && !facts->model_given && fallback == NULL)
        rc = err_set(ask->err, ERR_INVALID, "field `model` is missing");
    if (rc == 0 && facts->model_given && !is_name(model))
        rc = err_set(ask->err, ERR_INVALID, "field `model` is no name");
    if (rc == 0)
        facts->model = facts->model_given ? model : str_from(fallback);
    return rc;
}
