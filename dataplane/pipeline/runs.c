/* SPDX-License-Identifier: MIT
 * runs.c - what becomes of the tools that a provider would run for a call.
 * Floor: dataplane/pipeline; the worker's thread.
 * Owns: nothing.
 * Invariant: see runs.h. */
#include "dataplane/pipeline/runs.h"

#include "dataplane/view/scope.h"
#include "dataplane/view/unasked.h"

/* FREE: sent, not paid. UNSEEN: the translation leaves it out, or refuses it by name. */
enum fate { PRICED, FREE, UNSEEN, LEFT_OUT, REFUSED };

static bool
is_web(enum usage_class class_)
{
    return class_ == USAGE_web_search || class_ == USAGE_web_search_low ||
           class_ == USAGE_web_search_high;
}

/* Bytes pass to this target. */
static bool
passes(const struct exchange *x, const struct config_model *model)
{
    return dialect_same(exchange_dialect_at(x, model), x->endpoint->dialect);
}

/* Some sell a search with the call. */
static bool
is_priced(const struct config_model *model, enum usage_class class_)
{
    return tariff_has(&model->tariff, class_) ||
           (is_web(class_) && tariff_has(&model->tariff, USAGE_request));
}

static enum fate
fate_of(const struct exchange *x, const struct config_model *model, const struct chat_run *run)
{
    bool sent = passes(x, model);
    if (!sent && !is_web(run->class_))
        return UNSEEN;
    if (is_priced(model, run->class_))
        return PRICED;
    if (scope_names(model->free_tools, run->name))
        return FREE;
    if (run->offered)
        return sent ? LEFT_OUT : UNSEEN;
    return REFUSED;
}

/* What the model runs whether it is asked to or not. */
static const struct unasked *
unasked_of(const struct exchange *x, const struct config_model *model)
{
    bool talks = x->media == NULL && x->endpoint->kind != CHAT_ENDPOINT_EMBEDDINGS;
    return LIKELY(model->unasked == NULL) || !talks ||
                   !dialect_same(model->provider->dialect, &dialect_openai)
               ? NULL
               : model->unasked;
}

static bool
is_paid(const struct exchange *x, const struct config_model *model)
{
    return !model->free && x->media == NULL && x->endpoint->kind != CHAT_ENDPOINT_TOKENS &&
           model->tariff.count > 0;
}

/* ---- what is refused, held, left out --------------------------------------------------------- */

static const char *
price_name(enum usage_class class_)
{
    if (class_ == USAGE_file_search)
        return "fileSearch";
    if (class_ == USAGE_code_run)
        return "codeRun";
    if (class_ == USAGE_image)
        return "image";
    return is_web(class_) ? "webSearch" : "toolCall";
}

/* who: "Field `tools." and such, in front of `what`. */
static struct str
refusal(struct exchange *x, const struct config_model *model, const char *who, struct str what,
        struct str tool, enum usage_class class_)
{
    struct str text = arena_printf(
        &x->arena,
        "%s%.*s` asks for %s, and no price of one is known for %.*s; its owner sets price.%s in "
        "the Model, or lists `%.*s` in its freeTools where it costs nothing beside tokens.",
        who, STR_ARG(what), is_web(class_) ? "web searches" : "a tool that the provider runs",
        STR_ARG(model->id), price_name(class_), STR_ARG(tool));
    return text.ptr == NULL ? STR_EMPTY : text;
}

int
runs_judge(struct exchange *x, const struct config_model *model, struct str *ret_text)
{
    if (!is_paid(x, model))
        return 0;
    for (const struct chat_run *run = x->facts.runs; run != NULL; run = run->next) {
        if (fate_of(x, model, run) != REFUSED)
            continue;
        *ret_text = refusal(x, model, run->tool ? "Field `tools." : "Field `", run->name, run->name,
                            run->class_);
        return -ERR_UNSUPPORTED;
    }
    const struct unasked *always = unasked_of(x, model);
    if (always == NULL || is_priced(model, always->class_) ||
        scope_names(model->free_tools, str_from(always->run)))
        return 0;
    *ret_text =
        refusal(x, model, "Model `", model->upstream, str_from(always->run), always->class_);
    return -ERR_UNSUPPORTED;
}

static void
add_run(const struct exchange *x, const struct config_model *model, const struct chat_run *run,
        const struct unasked *always, struct price_runs *runs)
{
    uint64_t choices = MAX(x->facts.choices, 1u);
    bool silent = dialect_same(exchange_dialect_at(x, model), &dialect_openai);
    enum usage_class class_ = run->class_;
    uint64_t each = run->each;
    uint64_t most = run->most;
    if (run->offered && silent && !passes(x, model))
        return; /* the translation has no place for it */
    if (is_web(class_)) {
        if (!run->sized && always != NULL)
            class_ = always->unsized;
        runs->web = class_;
        each = silent; /* chat completions count no search: a call that searches is one */
        if (silent && (!run->tool || !passes(x, model)))
            most = always != NULL ? always->most : 1;
    }
    runs->each[class_] += each * run->unit * choices;
    runs->most[class_] += most * run->unit * choices;
    if (class_ == USAGE_code_run)
        runs->code_unit = MAX(runs->code_unit, run->unit);
}

const struct price_runs *
runs_price(const struct exchange *x, const struct config_model *model, struct price_runs *storage)
{
    const struct unasked *always = unasked_of(x, model);
    if (LIKELY(x->facts.runs == NULL && always == NULL) || !is_paid(x, model))
        return NULL;
    *storage = (struct price_runs){.web = USAGE_web_search, .code_unit = 1};
    for (const struct chat_run *run = x->facts.runs; run != NULL; run = run->next) {
        if (fate_of(x, model, run) == PRICED)
            add_run(x, model, run, always, storage);
    }
    if (always == NULL || !is_priced(model, always->class_))
        return storage;
    /* one that the call asked for is it, by its own size; a search is no call of another tool */
    enum usage_class asked = is_web(always->class_) ? storage->web : always->unsized;
    if (storage->most[asked] == 0) {
        uint64_t choices = MAX(x->facts.choices, 1u);
        storage->each[always->unsized] += choices;
        storage->most[always->unsized] += always->most * choices;
        if (is_web(always->class_))
            storage->web = always->unsized;
    }
    return storage;
}

int
runs_leave_out(struct exchange *x, const struct config_model *model, struct str *ret_names)
{
    *ret_names = STR_EMPTY;
    for (struct chat_run *run = x->facts.runs; run != NULL; run = run->next) {
        run->left_out = is_paid(x, model) && fate_of(x, model, run) == LEFT_OUT;
        if (!run->left_out)
            continue;
        *ret_names = arena_printf(&x->arena, "%.*s%stools.%.*s", STR_ARG(*ret_names),
                                  ret_names->len > 0 ? "," : "", STR_ARG(run->name));
        if (ret_names->ptr == NULL)
            return -ERR_NOMEM;
    }
    return 0;
}
