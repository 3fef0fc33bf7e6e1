/* SPDX-License-Identifier: MIT
 * hold.c - the worst case of the request is set aside before the provider is called.
 * Floor: dataplane/pipeline/layers; the worker's thread, no I/O.
 * Owns: the hold until settle.
 * Invariant: what is captured was held before; a request that cannot be covered never reaches a
 *            provider. DESIGN section 7. */
#include "dataplane/pipeline/exchange.h"
#include "lib/base/check.h"

#define LEASE_WAIT_MS 1500u
#define OUTPUT_TOKENS_DEFAULT 4096u
/* A token is at least one byte; text averages four. Half the bytes is above any real tokenizer. */
#define BYTES_PER_TOKEN_MIN 2u
#define TOKENS_OVERHEAD 16u

static int64_t
highest(const struct price *price, const enum usage_class *classes, size_t count)
{
    int64_t pico = 0;
    for (size_t i = 0; i < count; i++)
        pico = MAX(pico, price->pico[classes[i]]);
    return pico;
}

/* 0 and the amount; -ERR_NOT_FOUND: no price known; -ERR_RANGE. The dearest target counts. */
static int
worst_case(const struct exchange *x, int64_t *ret_nano)
{
    static const enum usage_class in[] = {USAGE_input, USAGE_cached, USAGE_cache_write,
                                          USAGE_cache_write_1h, USAGE_audio_in};
    static const enum usage_class out[] = {USAGE_output, USAGE_reasoning, USAGE_audio_out};
    int64_t most = 0;
    for (uint32_t i = 0; i < x->targets.count; i++) {
        const struct config_model *model = x->targets.model[i];
        if (!model->price.known)
            return -ERR_NOT_FOUND;
        struct price price = {.known = true};
        price.pico[USAGE_input] = highest(&model->price, in, ARRAY_LEN(in));
        price.pico[USAGE_output] = highest(&model->price, out, ARRAY_LEN(out));
        price.pico[USAGE_request] = model->price.pico[USAGE_request];
        uint64_t output = x->facts.max_output;
        if (output == 0)
            output =
                model->max_output_tokens != 0 ? model->max_output_tokens : OUTPUT_TOKENS_DEFAULT;
        if (x->endpoint->kind == CHAT_ENDPOINT_EMBEDDINGS)
            output = 0;
        struct usage usage = {.evidence = EVIDENCE_ESTIMATE};
        usage.count[USAGE_input] =
            MIN(x->facts.prompt_bytes / BYTES_PER_TOKEN_MIN + TOKENS_OVERHEAD, USAGE_COUNT_MAX);
        output *= MAX(x->facts.choices, 1u);
        usage.count[USAGE_output] = MIN(output, USAGE_COUNT_MAX);
        usage.count[USAGE_request] = 1;
        struct charge charge;
        if (price_charge(&price, &usage, x->config->settings.markup_bps, &charge) != 0)
            return -ERR_RANGE;
        most = MAX(most, charge.total.nano);
    }
    *ret_nano = most;
    return 0;
}

static enum layer_verdict
hold_refuse(struct exchange *x, int64_t need, bool silence)
{
    char want[32];
    char left[32];
    if (silence) {
        x->retry_after_s = 2;
        return exchange_fail(x, HTTP_ERROR_overloaded,
                             STR("This node's budget is used up and Berth's control plane has not "
                                 "lent it enough in time; try again shortly."));
    }
    money_format((struct money){need}, want);
    money_format((struct money){atomic_load(&x->fund->available)}, left);
    bool frozen = atomic_load(&x->fund->status) == FUND_FROZEN;
    struct str text = arena_printf(
        &x->arena,
        frozen ? "Wallet '%s' is frozen by its owner."
               : "Wallet '%s' does not cover this request: it may cost up to $%s and $%s is "
                 "available. Add AI funds, or set a smaller max_tokens.",
        x->fund->wallet, want, left);
    return exchange_fail(x, HTTP_ERROR_no_funds, text.ptr != NULL ? text : STR_EMPTY);
}

static enum layer_verdict
hold_request(struct exchange *x)
{
    int64_t need = 0;
    int rc = worst_case(x, &need);
    if (rc == -ERR_NOT_FOUND)
        return exchange_fail(x, HTTP_ERROR_unpriced, STR_EMPTY);
    if (rc != 0)
        return exchange_fail(x, HTTP_ERROR_amount_overflow, STR_EMPTY);
    uint32_t answers = atomic_load(&x->fund->answers);
    rc = fund_hold(x->fund, need);
    if (fund_should_ask(x->fund))
        x->worker->want_funds(x->worker, x->fund);
    if (rc == 0) {
        x->held = need;
        x->holding = true;
        return LAYER_NEXT;
    }
    uint64_t now = loop_now_ms(x->worker->loop);
    if (rc == -ERR_PERMISSION)
        return hold_refuse(x, need, false);
    if (x->wait_until_ms == 0) { /* first try: ask, and wait for the answer */
        x->wait_until_ms = now + LEASE_WAIT_MS;
        x->funds_seen = answers;
    } else if (answers != x->funds_seen && atomic_load(&x->fund->status) == FUND_EMPTY) {
        /* Only an empty wallet is a reason to say that it does not cover the request. Answered, but
         * the wallet has more: others took what came, or it was the answer to an older question. */
        return hold_refuse(x, need, false);
    } else if (now >= x->wait_until_ms) {
        return hold_refuse(x, need, true);
    }
    timer_arm(loop_timers(x->worker->loop), &x->timer, x->wait_until_ms);
    list_remove(&x->wait_node);
    list_push_back(&x->worker->waiting, &x->wait_node);
    return LAYER_WAIT;
}

static void
hold_settle(struct exchange *x)
{
    list_remove(&x->wait_node);
    if (!x->holding)
        return;
    x->holding = false;
    fund_capture(x->fund, x->held, x->charge.total.nano);
    if (fund_should_ask(x->fund))
        x->worker->want_funds(x->worker, x->fund);
}

const struct layer layer_hold = {
    .name = "hold", .stage = LAYER_BODY, .request = hold_request, .settle = hold_settle};
