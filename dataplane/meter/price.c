/* SPDX-License-Identifier: MIT
 * price.c - bounds of a call, and its charge.
 * Floor: dataplane/meter; any thread.
 * Owns: nothing.
 * Invariant: see price.h. */
#include "dataplane/meter/price.h"

#include "lib/base/check.h"

/* The template around the messages, and what a provider says about tools. */
#define PROMPT_OVERHEAD 64u
#define TOOLS_OVERHEAD 1024u
/* A token is at least one byte; but a picture may count several times what we counted for it
 * (facts.c): beyond this factor a claim is a lie. */
#define PROMPT_LIE_FACTOR 6u
#define PROMPT_LIE_TOKENS 4096u
/* With tools of the provider's own the prompt is theirs to fill; a window that nobody knows. */
#define CONTEXT_DEFAULT 1000000u

static uint64_t
within_context(const struct price_call *call, uint64_t tokens)
{
    return call->chat && call->context_tokens != 0 ? MIN(tokens, call->context_tokens) : tokens;
}

static uint64_t
prompt_expected(const struct price_call *call)
{
    uint64_t tokens = call->prompt_bytes + PROMPT_OVERHEAD + (call->tools ? TOOLS_OVERHEAD : 0);
    tokens = within_context(call, tokens);
    return MIN(tokens, USAGE_COUNT_MAX);
}

static uint64_t
prompt_possible(const struct price_call *call)
{
    uint64_t bytes = MIN(call->prompt_bytes, USAGE_COUNT_MAX);
    uint64_t tokens = bytes * PROMPT_LIE_FACTOR + PROMPT_LIE_TOKENS;
    if (call->tools)
        tokens = MAX(tokens, call->context_tokens != 0 ? call->context_tokens : CONTEXT_DEFAULT);
    tokens = within_context(call, tokens);
    return MIN(tokens, USAGE_COUNT_MAX);
}

static uint64_t
of_all_choices(const struct price_call *call, uint64_t tokens)
{
    uint64_t each = MIN(tokens, USAGE_COUNT_MAX);
    uint64_t all = each * MAX(call->choices, 1u);
    return MIN(all, USAGE_COUNT_MAX);
}

static uint64_t
answer_expected(const struct price_call *call)
{
    uint64_t tokens = call->asked != 0 ? call->asked : call->answer_tokens_max;
    if (!call->chat)
        return 0;
    return of_all_choices(call, tokens != 0 ? tokens : PRICE_ANSWER_DEFAULT);
}

/* Some providers do not count reasoning against what was asked for; none writes more than its model
 * can. Where nobody knows that limit, what was asked for holds; where nothing was, what came is
 * proof that there was more than our own limit. */
static uint64_t
answer_possible(const struct price_call *call)
{
    uint64_t tokens = answer_expected(call);
    uint64_t other = 0;
    if (call->chat && call->answer_tokens_max != 0)
        other = of_all_choices(call, call->answer_tokens_max);
    else if (call->chat && call->asked == 0)
        other = MIN(call->seen_bytes, USAGE_COUNT_MAX);
    return MAX(tokens, other);
}

/* Everything by the piece at once: which of it the provider will count is not known yet. */
static void
put_pieces(const struct price_call *call, struct usage *usage, struct price *price)
{
    if (call->most == NULL)
        return;
    tariff_worst_pieces(call->tariff, call->made_s, price);
    for (size_t i = 0; i < USAGE_CLASS_COUNT; i++) {
        if (!usage_is_tokens((enum usage_class)i) && i != USAGE_request)
            usage->count[i] = MIN(call->most[i], USAGE_COUNT_MAX);
    }
    if (call->image_pico != 0)
        price->pico[USAGE_image] = call->image_pico;
}

static void
put_runs(const struct price_call *call, struct usage *usage, struct price *worst)
{
    struct price pieces = *worst;
    tariff_worst_pieces(call->tariff, call->made_s, &pieces);
    for (size_t i = 0; i < USAGE_CLASS_COUNT; i++) {
        if (call->runs->most[i] == 0)
            continue;
        worst->pico[i] = pieces.pico[i];
        usage->count[i] = MIN(call->runs->most[i], USAGE_COUNT_MAX);
    }
}

/* The model has prices, but none for what this call is of: it was listed for another use. */
static bool
is_priced_otherwise(const struct price_call *call)
{
    const struct price *price = &call->tariff->rows[0].price;
    for (size_t i = 0; i < USAGE_CLASS_COUNT; i++) {
        if (price->pico[i] != 0)
            return true;
    }
    return false;
}

int
price_hold(const struct price_call *call, int64_t *ret_nano)
{
    if (call->free) {
        *ret_nano = 0;
        return 0;
    }
    if (call->tariff->count == 0)
        return -ERR_NOT_FOUND;
    struct price worst;
    struct charge charge;
    struct usage usage = {.evidence = EVIDENCE_ESTIMATE};
    usage.count[USAGE_input] = prompt_expected(call);
    usage.count[USAGE_output] = answer_expected(call);
    usage.count[USAGE_request] = 1;
    /* a claim may come to be as long as it can be, and be priced by that */
    tariff_worst(call->tariff, call->made_s, prompt_possible(call), &worst);
    put_pieces(call, &usage, &worst);
    if (call->runs != NULL)
        put_runs(call, &usage, &worst);
    int rc = price_charge(&worst, &usage, call->markup_bps, &charge);
    if (rc == 0 && call->most != NULL && charge.total.nano == 0 && is_priced_otherwise(call))
        return -ERR_NOT_FOUND;
    if (rc == 0)
        *ret_nano = charge.total.nano;
    return rc;
}

static void
cut_to(struct usage *usage, const enum usage_class *classes, size_t count, uint64_t max)
{
    for (size_t i = 0; i < count; i++) {
        uint64_t *have = &usage->count[classes[i]];
        if (*have > max) {
            *have = max;
            usage->clamped = true;
        }
        max -= *have;
    }
}

/* What was found by something that is paid by the call is no web search, too. */
static void
count_runs(const struct price_runs *runs, struct usage *usage)
{
    uint64_t searches = usage->count[USAGE_web_search];
    if (runs->most[runs->web] == 0 && runs->each[USAGE_tool_call] > 0)
        searches = 0;
    usage->count[USAGE_web_search] = 0;
    usage->count[runs->web] = MAX(usage->count[runs->web], searches);
    uint64_t code = usage->count[USAGE_code_run] * runs->code_unit;
    usage->count[USAGE_code_run] = MIN(code, USAGE_COUNT_MAX);
    for (size_t i = 0; i < USAGE_CLASS_COUNT; i++) {
        if (usage->count[i] == 0)
            usage->count[i] = runs->each[i];
    }
}

static int
charge_at(const struct price_call *call, const struct price *price, const struct usage *usage,
          struct charge *ret_charge)
{
    if (LIKELY(call->image_pico == 0))
        return price_charge(price, usage, call->markup_bps, ret_charge);
    struct price pictured = *price;
    pictured.pico[USAGE_image] = call->image_pico;
    return price_charge(&pictured, usage, call->markup_bps, ret_charge);
}

void
price_settle(const struct price_call *call, int64_t held, struct usage *usage,
             struct charge *ret_charge, const struct tariff_row **ret_row)
{
    if (usage->evidence != EVIDENCE_NONE)
        usage->count[USAGE_request] = 1;
    if (call->runs != NULL && usage->evidence != EVIDENCE_NONE)
        count_runs(call->runs, usage);
    cut_to(usage, usage_prompt_classes, USAGE_PROMPT_CLASS_COUNT, prompt_possible(call));
    cut_to(usage, usage_answer_classes, USAGE_ANSWER_CLASS_COUNT, answer_possible(call));
    for (size_t i = 0; call->most != NULL && i < USAGE_CLASS_COUNT; i++) {
        enum usage_class class_ = (enum usage_class)i;
        if (!usage_is_tokens(class_) && class_ != USAGE_request)
            cut_to(usage, &class_, 1, call->most[i]);
    }
    *ret_charge = (struct charge){{0}, {0}, {0}};
    *ret_row = NULL;
    if (call->free || call->tariff->count == 0)
        return;
    *ret_row = tariff_pick(call->tariff, call->made_s, usage);
    struct charge charge;
    if (charge_at(call, &(*ret_row)->price, usage, &charge) != 0)
        charge = (struct charge){.total = {INT64_MAX}, .cost = {INT64_MAX}};
    if (charge.total.nano > held) { /* nobody pays what he could not know */
        usage->clamped = true;
        charge.total.nano = held;
        charge.cost.nano = MIN(charge.cost.nano, held);
    }
    charge.markup.nano = charge.total.nano - charge.cost.nano;
    ASSERT(charge.cost.nano >= 0 && charge.cost.nano <= charge.total.nano);
    *ret_charge = charge;
}
