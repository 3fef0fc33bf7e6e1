/* SPDX-License-Identifier: MIT
 * record.c - the journal rows of a request: its intent before the provider is called, its outcome
 * after. Floor: dataplane/pipeline/layers; the worker's thread. Owns: nothing. Invariant: an
 * outcome is appended before the bytes that end the answer may leave (COMMIT comes before FLUSH),
 * so a client never has a complete answer that nobody recorded. api/plane.md. */
#include "dataplane/pipeline/exchange.h"
#include "lib/base/check.h"
#include "lib/base/num.h"

static char *
put(char *at, struct str text)
{
    return mempcpy(at, text.ptr, text.len);
}

static char *
put_number(char *at, struct str name, uint64_t value)
{
    at = put(at, name);
    return at + num_write_u64(at, value);
}

/* name: with the quote that opens the value */
static char *
put_money(char *at, struct str name, struct money money)
{
    uint64_t size = money.nano < 0 ? 0u - (uint64_t)money.nano : (uint64_t)money.nano;
    at = put(at, name);
    if (money.nano < 0)
        *at++ = '-';
    at += num_write_u64(at, size);
    *at++ = '"';
    return at;
}

/* What both rows begin with. */
static char *
put_id(const struct exchange *x, char *at)
{
    const struct record_clock *clock = worker_clock(x->worker);
    at = put(at, STR("\"id\":\""));
    at = mempcpy(at, x->id, REQUEST_ID_BYTES);
    at = put(at, STR("\",\"at_ms\":"));
    return mempcpy(at, clock->text, clock->bytes);
}

static char *
put_usage(const struct usage *usage, char *at)
{
    static const struct str names[] = {
#define USAGE_ROW(name, ...) {",\"" #name "\":", sizeof(",\"" #name "\":") - 1},
#include "api/usage.def"
#undef USAGE_ROW
    };
    at = put(at, STR(",\"usage\":{"));
    bool first = true;
    for (size_t i = 0; i < USAGE_CLASS_COUNT; i++) {
        if (usage->count[i] == 0)
            continue;
        at = put_number(at, first ? str_skip(names[i], 1) : names[i], usage->count[i]);
        first = false;
    }
    *at++ = '}';
    return at;
}

/* Nearly all requests end in one of a few ways, so the words for it are shared, too. */
static struct str
result_text(const struct exchange *x)
{
    uint32_t key = 1u | (uint32_t)x->facts.stream << 1 | (uint32_t)x->usage.clamped << 2 |
                   (uint32_t)x->usage.evidence << 3 | (uint32_t)x->outcome << 8 |
                   (uint32_t)x->status << 16;
    struct record_result *result =
        &x->worker->record_results[(key * 0x9e3779b1u) >> (32 - RECORD_RESULT_BITS)];
    if (UNLIKELY(result->key != key)) {
        char *at = put(result->text, STR(",\"outcome\":\""));
        at = put(at, str_from(usage_outcome_name(x->outcome)));
        at = put(at, STR("\",\"evidence\":\""));
        at = put(at, str_from(usage_evidence_name(x->usage.evidence)));
        at = put_number(at, STR("\",\"status\":"), x->status);
        at = put(at, x->facts.stream ? STR(",\"stream\":true") : STR(",\"stream\":false"));
        if (x->usage.clamped)
            at = put(at, STR(",\"clamped\":true"));
        result->key = key;
        result->bytes = (uint32_t)(at - result->text);
        ASSERT(result->bytes <= sizeof(result->text));
    }
    return str_make(result->text, result->bytes);
}

static enum layer_verdict
record_request(struct exchange *x)
{
    struct worker *worker = x->worker;
    char *own = worker->record_own;
    const struct journal_members members = {
        .own = str_make(own, (size_t)(put_id(x, own) - own)),
        .shared = {x->record_json, exchange_model(x)->record_json}};
    if (members.own.len + members.shared[0].len + members.shared[1].len > JOURNAL_INTENT_BYTES_MAX)
        return exchange_fail(x, HTTP_ERROR_bad_request, STR("The model id is too long."));
    journal_intent(worker->journal, &x->ticket, &members);
    worker_touch_journal(worker);
    return LAYER_NEXT;
}

static uint64_t
micros(uint64_t from_ns, uint64_t to_ns)
{
    return to_ns > from_ns ? (to_ns - from_ns) / 1000u : 0;
}

/* By which of the model's prices, where it is not the plain one; the service as the provider named
 * it, priced apart or not. */
static char *
put_row(const struct tariff_row *row, const struct usage *usage, char *at)
{
    if (LIKELY(row == NULL ||
               (row->from_s == 0 && row->over_tokens == 0 && usage->service == SERVICE_standard)))
        return at;
    if (row->from_s != 0)
        at = put_number(at, STR(",\"price_from\":"), (uint64_t)row->from_s);
    if (row->over_tokens != 0)
        at = put_number(at, STR(",\"price_over\":"), row->over_tokens);
    if (usage->service != SERVICE_standard) {
        at = put(at, STR(",\"service\":\""));
        at = put(at, str_from(usage_service_name(usage->service)));
        *at++ = '"';
    }
    return at;
}

static void
record_settle(struct exchange *x)
{
    if (!x->ticket.intent)
        return;
    struct worker *worker = x->worker;
    const struct config_model *model = exchange_model(x);
    struct price_runs runs;
    const struct price_call call = exchange_price_call(x, model, &runs);
    const struct tariff_row *row = NULL;
    price_settle(&call, x->held, &x->usage, &x->charge, &row);
    char *own = worker->record_own;
    char *at = put_usage(&x->usage, put_id(x, own));
    at = put_money(at, STR(",\"charge\":\""), x->charge.total);
    at = put_money(at, STR(",\"cost\":\""), x->charge.cost);
    at = put_number(at, STR(",\"ttft_us\":"), micros(x->started_ns, x->first_token_ns));
    at = put_number(at, STR(",\"total_us\":"), micros(x->started_ns, x->ended_ns));
    at = put_number(at, STR(",\"attempts\":"), x->attempts);
    at = put_row(row, &x->usage, at);
    if (x->tag.len > 0) { /* plain ASCII: binding_valid_tag */
        at = put(put(at, STR(",\"tag\":\"")), x->tag);
        *at++ = '"';
    }
    ASSERT(at < own + sizeof(worker->record_own));
    const struct journal_members members = {
        .own = str_make(own, (size_t)(at - own)),
        .shared = {x->record_json, model->record_json, result_text(x)}};
    (void)journal_outcome(worker->journal, &x->ticket, &members);
    worker_touch_journal(worker);
}

const struct layer layer_record = {
    .name = "record", .stage = LAYER_BODY, .request = record_request, .settle = record_settle};
