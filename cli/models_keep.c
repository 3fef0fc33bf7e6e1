/* SPDX-License-Identifier: MIT
 * models_keep.c - which models fit a filter.
 * Floor: cli; main thread.
 * Owns: nothing.
 * Invariant: prices are compared as money, never as floating point. */
#include "api/money.h"
#include "cli/models_int.h"

struct limits {
    const struct models_filter *filter;
    struct money input_max;
    struct money output_max;
};

static bool
has_text(struct str id, struct str wanted)
{
    for (size_t at = 0; at + wanted.len <= id.len; at++) {
        if (str_eq_nocase(str_make(id.ptr + at, wanted.len), wanted))
            return true;
    }
    return wanted.len == 0;
}

static bool
has_words(const struct tree *list, const char *words)
{
    for (struct str rest = str_from(words), word; rest.len > 0;) {
        bool found = false;
        (void)str_cut(rest, ',', &word, &rest);
        word = str_trim(word);
        for (const struct tree *item = list != NULL ? list->first : NULL; item; item = item->next)
            found = found || str_eq(item->text, word);
        if (!found)
            return false;
    }
    return true;
}

static bool
is_within(const struct tree *model, const char *path, struct money max)
{
    struct money price;
    return money_parse(cli_text(model, path), 9, &price) == 0 && price.nano <= max.nano;
}

static bool
fits(const struct tree *model, const struct limits *limits)
{
    const struct models_filter *filter = limits->filter;
    if (!has_text(cli_text(model, "id"), filter->text))
        return false;
    if (filter->provider != NULL &&
        !str_eq(cli_text(model, "owned_by"), str_from(filter->provider)))
        return false;
    if (filter->capabilities != NULL &&
        !has_words(cli_member(model, "capabilities"), filter->capabilities))
        return false;
    if (filter->input_max != NULL &&
        !is_within(model, "pricing_per_million.input", limits->input_max))
        return false;
    return filter->output_max == NULL ||
           is_within(model, "pricing_per_million.output", limits->output_max);
}

static bool
read_price(const struct cli *cli, const char *option, const char *text, struct money *ret_price)
{
    if (text == NULL || money_parse(str_from(text), 9, ret_price) == 0)
        return true;
    (void)cli_usage(cli, "%s wants US dollars a million tokens, as 0.50, not '%s'", option, text);
    return false;
}

const struct tree *
models_keep(struct cli *cli, const struct tree *data, const struct models_filter *filter,
            int *ret_code)
{
    struct limits limits = {.filter = filter};
    *ret_code = CLI_USAGE;
    if (!read_price(cli, "--max-input", filter->input_max, &limits.input_max) ||
        !read_price(cli, "--max-output", filter->output_max, &limits.output_max))
        return NULL;
    struct tree *kept = tree_new(&cli->arena, TREE_LIST, STR_EMPTY);
    for (const struct tree *model = data != NULL ? data->first : NULL; model != NULL && kept;
         model = model->next) {
        if (!fits(model, &limits))
            continue;
        struct tree *copy = tree_new(&cli->arena, TREE_MAP, STR_EMPTY);
        if (copy == NULL) {
            kept = NULL;
            break;
        }
        *copy = *model;
        copy->next = NULL;
        tree_append(kept, STR_EMPTY, copy);
    }
    if (kept == NULL)
        *ret_code = cli_fail("out of memory");
    return kept;
}
