/* SPDX-License-Identifier: MIT
 * record.c - the journal rows of a request: its intent before the provider is called, its outcome
 * after. Floor: dataplane/pipeline/layers; the worker's thread. Owns: nothing. Invariant: an
 * outcome is appended before the bytes that end the answer may leave (COMMIT comes before FLUSH),
 * so a client never has a complete answer that nobody recorded. api/plane.md. */
#include "dataplane/pipeline/exchange.h"
#include "lib/base/check.h"
#include "lib/base/clock.h"

static void
put_money(struct buf *out, const char *name, struct money money)
{
    (void)buf_put_str(out, STR(",\""));
    (void)buf_put_str(out, str_from(name));
    (void)buf_put_str(out, STR("\":\""));
    (void)buf_put_i64(out, money.nano);
    (void)buf_put_byte(out, '"');
}

static void
put_number(struct buf *out, const char *name, uint64_t value)
{
    (void)buf_put_str(out, STR(",\""));
    (void)buf_put_str(out, str_from(name));
    (void)buf_put_str(out, STR("\":"));
    (void)buf_put_u64(out, value);
}

/* What both rows say; the parts that do not change were written when the config or the binding was
 * made. */
static void
put_who(const struct exchange *x, struct buf *out)
{
    out->len = 0;
    (void)buf_put_str(out, STR("\"id\":\""));
    (void)buf_put(out, x->id, REQUEST_ID_BYTES);
    (void)buf_put_str(out, STR("\",\"at_ms\":"));
    (void)buf_put_u64(out, (uint64_t)(clock_wall_ns() / 1000000));
    (void)buf_put_str(out, x->record_json);
    (void)buf_put_str(out, exchange_model(x)->record_json);
}

static void
put_usage(const struct usage *usage, struct buf *out)
{
    bool first = true;
    (void)buf_put_str(out, STR(",\"usage\":{"));
    for (int i = 0; i < USAGE_CLASS_COUNT; i++) {
        if (usage->count[i] == 0)
            continue;
        (void)buf_put_str(out, first ? STR("\"") : STR(",\""));
        (void)buf_put_str(out, str_from(usage_class_name((enum usage_class)i)));
        (void)buf_put_str(out, STR("\":"));
        (void)buf_put_u64(out, usage->count[i]);
        first = false;
    }
    (void)buf_put_byte(out, '}');
}

static enum layer_verdict
record_request(struct exchange *x)
{
    struct worker *worker = x->worker;
    put_who(x, &worker->record);
    if (worker->record.failed || worker->record.len > JOURNAL_INTENT_BYTES_MAX)
        return exchange_fail(x, HTTP_ERROR_bad_request, STR("The model id is too long."));
    journal_intent(worker->journal, &x->ticket, buf_str(&worker->record));
    worker_touch_journal(worker);
    return LAYER_NEXT;
}

static uint64_t
micros(uint64_t from_ns, uint64_t to_ns)
{
    return to_ns > from_ns ? (to_ns - from_ns) / 1000u : 0;
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

/* No model reads more than its window or writes more than its limit, whatever a provider claims: a
 * lie must not empty a wallet. */
static void
cut_impossible(struct exchange *x, const struct config_model *model)
{
    static const enum usage_class in[] = {USAGE_input, USAGE_cached, USAGE_cache_write,
                                          USAGE_cache_write_1h, USAGE_audio_in};
    static const enum usage_class out[] = {USAGE_output, USAGE_reasoning, USAGE_audio_out};
    uint64_t most = MAX(model->max_output_tokens, x->facts.max_output);
    if (model->context_tokens != 0 && x->endpoint->kind == CHAT_ENDPOINT_CHAT)
        cut_to(&x->usage, in, ARRAY_LEN(in), model->context_tokens);
    if (model->max_output_tokens != 0 && most <= USAGE_COUNT_MAX)
        cut_to(&x->usage, out, ARRAY_LEN(out), most * MAX(x->facts.choices, 1u));
}

static void
record_settle(struct exchange *x)
{
    if (!x->ticket.intent)
        return;
    struct worker *worker = x->worker;
    const struct config_model *model = exchange_model(x);
    if (x->usage.evidence != EVIDENCE_NONE)
        x->usage.count[USAGE_request] = 1;
    cut_impossible(x, model);
    if (price_charge(&model->price, &x->usage, x->config->settings.markup_bps, &x->charge) != 0) {
        x->charge = (struct charge){.total = {x->held}, .cost = {x->held}};
        x->usage.clamped = true; /* beyond what money can hold: the hold is the ceiling */
    }
    struct buf *out = &worker->record;
    put_who(x, out);
    (void)buf_put_str(out, STR(",\"outcome\":\""));
    (void)buf_put_str(out, str_from(usage_outcome_name(x->outcome)));
    (void)buf_put_str(out, STR("\",\"evidence\":\""));
    (void)buf_put_str(out, str_from(usage_evidence_name(x->usage.evidence)));
    (void)buf_put_byte(out, '"');
    put_number(out, "status", x->status);
    (void)buf_put_str(out, x->facts.stream ? STR(",\"stream\":true") : STR(",\"stream\":false"));
    if (x->usage.clamped)
        (void)buf_put_str(out, STR(",\"clamped\":true"));
    put_usage(&x->usage, out);
    put_money(out, "charge", x->charge.total);
    put_money(out, "cost", x->charge.cost);
    uint64_t now = clock_mono_ns();
    put_number(out, "ttft_us", x->first_token_ns ? micros(x->started_ns, x->first_token_ns) : 0);
    put_number(out, "total_us", micros(x->started_ns, now));
    put_number(out, "attempts", x->attempts);
    ASSERT(!out->failed);
    (void)journal_outcome(worker->journal, &x->ticket, buf_str(out));
    worker_touch_journal(worker);
}

const struct layer layer_record = {
    .name = "record", .stage = LAYER_BODY, .request = record_request, .settle = record_settle};
