/* SPDX-License-Identifier: MIT
 * listing.c - the simulator's list of models, as each vendor writes it.
 * Floor: tools/sim; its loop's thread.
 * Owns: nothing.
 * Invariant: free of charge; the models are those of the price table. */
#include <stdio.h>

#include "lib/text/uri.h"
#include "tools/sim/sim.h"

/* A vendor's list that is one member with an object a model: its name and what else there is. */
struct list_shape {
    const char *items;
    const char *name;
    const char *prefix;
    const char *words; /* member that says what a model can do, or NULL */
    const char *chat;
    const char *embedding;
};
static const struct list_shape gemini = {
    "models", "name", "models/", "supportedGenerationMethods", "generateContent", "embedContent"};
static const struct list_shape cohere = {"models", "name", "", "endpoints", "chat", "embed"};
static const struct list_shape ollama = {"models", "model", "", NULL, NULL, NULL};

static void
put_list(const struct list_shape *shape, const struct str *models, size_t count, struct buf *out)
{
    struct json_writer json;
    char name[128];
    json_writer_init(&json, out);
    json_open_object(&json);
    json_key(&json, shape->items);
    json_open_array(&json);
    for (size_t i = 0; i < count; i++) {
        bool embedding = str_find(models[i], STR("embed")) != SIZE_MAX;
        (void)snprintf(name, sizeof(name), "%s%.*s", shape->prefix, STR_ARG(models[i]));
        json_open_object(&json);
        json_member_str(&json, shape->name, str_from(name));
        if (shape->words != NULL) {
            json_key(&json, shape->words);
            json_open_array(&json);
            json_value_str(&json, str_from(embedding ? shape->embedding : shape->chat));
            json_close_array(&json);
        }
        json_close_object(&json);
    }
    json_close_array(&json);
    json_close_object(&json);
}

static const struct list_shape *
shape_of(struct str path, struct str query)
{
    struct str value;
    if (str_eq(path, STR("/v1beta/models")))
        return &gemini;
    if (str_eq(path, STR("/api/tags")))
        return &ollama;
    return uri_query_get(query, STR("page_size"), &value) ? &cohere : NULL;
}

bool
listing_is(struct str method, struct str path)
{
    return str_eq(method, STR("GET")) &&
           (str_eq(path, STR("/v1/models")) || str_eq(path, STR("/v1beta/models")) ||
            str_eq(path, STR("/api/tags")));
}

/* A rule of the script may say list_status, or hide; what it says of calls is not for lists. */
void
listing_answer(struct exchange *exchange, struct str path, struct str query)
{
    const struct sim *sim = exchange->thread->sim;
    const struct bill *bill = sim->bill;
    const struct list_shape *shape = shape_of(path, query);
    size_t count = 0;
    struct str *models =
        arena_array(&exchange->arena, bill_model_count(bill) + 1, sizeof(struct str));
    for (size_t i = 0; models != NULL && i < bill_model_count(bill); i++) {
        if (!str_eq(bill_model(bill, i), STR("*")))
            models[count++] = bill_model(bill, i);
    }
    exchange->control = true; /* free of charge */
    script_apply(sim->script, path, STR_EMPTY, &exchange->directives);
    unsigned status = (unsigned)directive_value(&exchange->directives, DIRECTIVE_LIST_STATUS, 200);
    size_t hide = (size_t)directive_value(&exchange->directives, DIRECTIVE_HIDE, 0);
    if (status != 200) {
        exchange_error(exchange, status, STR("simulated error"));
        return;
    }
    count -= MIN(hide, count);
    if (shape != NULL)
        put_list(shape, models, count, &exchange->body);
    else if (exchange->dialect->models != NULL)
        exchange->dialect->models(models, count, &exchange->body);
    else
        sim_openai.models(models, count, &exchange->body);
    exchange_answer_now(exchange, 200, "application/json");
}
