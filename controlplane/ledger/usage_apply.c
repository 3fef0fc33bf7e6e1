/* SPDX-License-Identifier: MIT
 * usage_apply.c - posting usage records: exactly once, in chunks of one commit each.
 * Floor: controlplane/ledger; the engine thread.
 * Owns: nothing.
 * Invariant: the stream's mark is in the same commit as the money of the records up to it, and as
 *            the one row that holds them; a
 *            record is posted, or quarantined and charged to nobody, and never both. Proved by
 *            usage_test.c and ledger_model_test.c. */
#include <string.h>

#include "controlplane/ledger/budget_int.h"
#include "controlplane/ledger/usage_pack.h"
#include "controlplane/ledger/usage_record.h"
#include "lib/base/check.h"

#define CHUNK_WALLETS_MAX 20u
#define CHUNK_PROVIDERS_MAX 16u /* of one wallet */
#define CHUNK_RECORDS_MAX 1024u /* of one row: whoever wants one of them reads them all */
#define CHUNK_BYTES_MAX (960u * 1024u)
#define OPS_FIXED 4u  /* mark, head, markup, the row of records */
#define OPS_WALLET 5u /* transaction, holds, ai, spent, lease */
#define CHUNK_BUDGETS_MAX 24u
#define OPS_BUDGET 2u /* itself, lease */

_Static_assert(INT64_MAX / LEDGER_CHARGE_NANO_MAX >= CHUNK_RECORDS_MAX, "sums cannot wrap");
/* What the records of a chunk cost one wallet. */
struct share {
    struct str wallet;
    int64_t charge;
    struct {
        struct str provider;
        int64_t cost;
    } costs[CHUNK_PROVIDERS_MAX];
    size_t cost_count;
};

/* A caller with a budget, and its lease. */
struct capped {
    struct str name;
    struct budget budget;
    struct lease lease;
};

/* What is still to be posted. */
struct source {
    const struct str *records; /* each by itself, or NULL: */
    size_t count;
    struct str text; /* as they stand in a list: r,r,r */
};
struct offered {
    struct str text;
    bool formed; /* `form` is what it says */
};

struct chunk {
    struct draft draft;
    const struct ledger_stream *stream;
    struct draft_row *mark;
    struct usage_form forms[2]; /* the record at hand, and the last one that was packed, in turn */
    unsigned at_hand;
    uint64_t row_seq; /* of the last record in ledger->row; 0: none */
    bool row_packed;
    uint64_t first; /* seq of the first record */
    uint64_t seq;   /* of the next record */
    size_t ops;     /* what the commit will need so far */
    size_t bytes;
    size_t quarantined;
    struct share shares[CHUNK_WALLETS_MAX];
    size_t share_count;
    struct capped capped[CHUNK_BUDGETS_MAX];
    size_t capped_count;
};

static int
mark_load(struct draft *draft, const struct ledger_stream *stream, struct draft_row **ret_row,
          uint64_t *ret_seq)
{
    struct draft_field seq = {"seq", 0};
    int r = draft_row(draft, ret_row, KEY_MARK "%.*s/%llu/%.*s", STR_ARG(stream->node),
                      (unsigned long long)stream->epoch, STR_ARG(stream->stream));
    if (r == 0 && (*ret_row)->value.len > 0)
        r = fields_read(draft->ledger, *ret_row, &seq, 1, draft->err);
    if (r == 0)
        *ret_seq = (uint64_t)seq.value;
    return r;
}

/* *ret_offered is the next record. false: there is none, or not of the form of a list. */
static bool
source_next(struct source *source, struct usage_form *form, struct offered *ret_offered)
{
    if (source->records != NULL) {
        if (source->count == 0)
            return false;
        struct str text = *source->records++;
        source->count--;
        *ret_offered = (struct offered){text, text.len > 0 && form_read(text, form) == text.len};
        return true;
    }
    struct str text = source->text;
    size_t size = form_read(text, form);
    if (size == 0 || (size < text.len && (text.ptr[size] != ',' || size + 1 == text.len)))
        return false;
    *ret_offered = (struct offered){str_make(text.ptr, size), true};
    source->text = str_skip(text, size + 1);
    return true;
}

static struct str
record_key(struct chunk *chunk, const char *prefix, uint64_t seq)
{
    const struct ledger_stream *stream = chunk->stream;
    return arena_printf(&chunk->draft.arena, "%s%.*s/%llu/%.*s/%020llu", prefix,
                        STR_ARG(stream->node), (unsigned long long)stream->epoch,
                        STR_ARG(stream->stream), (unsigned long long)seq);
}

static int
record_quarantine(struct chunk *chunk, struct str text, const char *reason)
{
    CLEANUP(buf_fini) struct buf value;
    /* Control characters grow to six bytes. */
    buf_init(&value, 8 * USAGE_RECORD_BYTES_MAX);
    struct json_writer writer;
    json_writer_init(&writer, &value);
    json_open_object(&writer);
    json_member_str(&writer, "reason", str_from(reason));
    json_member_str(&writer, "raw", str_make(text.ptr, MIN(text.len, USAGE_RECORD_BYTES_MAX)));
    json_close_object(&writer);
    struct str copy = {NULL, 0};
    if (value.failed || arena_dup(&chunk->draft.arena, buf_str(&value), &copy) < 0)
        return ledger_fail(chunk->draft.err, -ERR_NOMEM);
    chunk->quarantined++;
    chunk->ops++;
    chunk->bytes += copy.len;
    return draft_append(&chunk->draft, record_key(chunk, KEY_QUARANTINE, chunk->seq), copy);
}

static struct share *
share_of(struct chunk *chunk, struct str wallet)
{
    for (size_t i = 0; i < chunk->share_count; i++) {
        if (str_eq(chunk->shares[i].wallet, wallet))
            return &chunk->shares[i];
    }
    ASSERT(chunk->share_count < CHUNK_WALLETS_MAX); /* the ops are used up before that */
    struct share *share = &chunk->shares[chunk->share_count++];
    share->wallet = wallet;
    share->charge = 0;
    share->cost_count = 0;
    chunk->ops += OPS_WALLET;
    return share;
}

/* false: the chunk is full. */
static bool
share_add(struct chunk *chunk, const struct usage_record *record)
{
    struct share *share = share_of(chunk, record->wallet);
    size_t at = 0;
    while (at < share->cost_count && !str_eq(share->costs[at].provider, record->provider))
        at++;
    if (at == CHUNK_PROVIDERS_MAX)
        return false;
    if (at == share->cost_count) {
        share->costs[share->cost_count++].provider = record->provider;
        share->costs[at].cost = 0;
        chunk->ops++;
    }
    share->charge += record->charge;
    share->costs[at].cost += record->cost;
    return true;
}

/* 1: *ret_capped is the caller's budget, or NULL: it has none; 0: the chunk is full. */
static int
capped_of(struct chunk *chunk, struct str subject, struct capped **ret_capped)
{
    struct draft *draft = &chunk->draft;
    bool known;
    *ret_capped = NULL;
    int r = budgets_known(draft->ledger, subject, &known, draft->err);
    if (r < 0 || !known)
        return r < 0 ? r : 1;
    for (size_t i = 0; i < chunk->capped_count; i++) {
        *ret_capped = &chunk->capped[i];
        if (str_eq((*ret_capped)->name, subject))
            return 1;
    }
    if (chunk->capped_count == CHUNK_BUDGETS_MAX)
        return 0;
    struct capped *capped = &chunk->capped[chunk->capped_count++];
    *ret_capped = capped;
    capped->name = subject;
    chunk->ops += OPS_BUDGET;
    r = budget_load(draft, subject, &capped->budget);
    if (r == 0)
        r = lease_load(draft, chunk->stream->node, chunk->stream->epoch, subject, &capped->lease);
    return r < 0 ? r : 1;
}

static int
capped_post(struct chunk *chunk, struct capped *capped)
{
    if (!budget_is_there(&capped->budget))
        return 0;
    int r = budget_store(&chunk->draft, &capped->budget, false);
    return r < 0 || capped->lease.row->value.len == 0 ? r
                                                      : lease_store(&chunk->draft, &capped->lease);
}

/* The chunk's row: records of the known form packed, others as texts with commas between them;
 * never both. */
static void
row_add(struct chunk *chunk, const struct offered *offered)
{
    struct buf *row = &chunk->draft.ledger->row;
    if (offered->formed) {
        if (chunk->row_seq == 0)
            (void)buf_put_byte(row, PACK_MARK);
        pack_put(&chunk->forms[chunk->at_hand], &chunk->forms[chunk->at_hand ^ 1], row);
        chunk->at_hand ^= 1;
    } else {
        if (chunk->row_seq != 0)
            (void)buf_put_byte(row, ',');
        (void)buf_put_str(row, offered->text);
    }
    chunk->bytes += offered->text.len + 1;
    chunk->row_packed = offered->formed;
    chunk->row_seq = chunk->seq;
}

static int
record_read(struct chunk *chunk, const struct offered *offered, struct usage_record *ret_record,
            struct err *err)
{
    if (!offered->formed)
        return usage_record_read(&chunk->draft.ledger->doc, offered->text, chunk->seq, ret_record,
                                 err);
    if (offered->text.len > USAGE_RECORD_BYTES_MAX)
        return err_set(err, ERR_INVALID, "larger than %u bytes", USAGE_RECORD_BYTES_MAX);
    return usage_record_of(&chunk->forms[chunk->at_hand], chunk->seq, ret_record, err);
}

/* 1: the money is counted; 0: the chunk is full. */
static int
record_count(struct chunk *chunk, const struct usage_record *record)
{
    struct capped *capped;
    int r = capped_of(chunk, record->subject, &capped);
    if (r <= 0 || !share_add(chunk, record))
        return MIN(r, 0);
    if (capped != NULL && budget_is_there(&capped->budget))
        budget_charge(&capped->budget, &capped->lease, record->at_ms, record->charge);
    return 1;
}

/* 1: taken; 0: the chunk is full, the record belongs to the next one. */
static int
record_take(struct chunk *chunk, const struct offered *offered, bool refuse)
{
    struct usage_record record;
    struct err why = {0};
    /* Room for this record, and for a wallet, a provider and a budget that it may bring. */
    if (chunk->ops + 1 + OPS_WALLET + 1 + OPS_BUDGET > STORE_COMMIT_OPS_MAX ||
        chunk->seq - chunk->first == CHUNK_RECORDS_MAX ||
        chunk->bytes + MIN(offered->text.len, USAGE_RECORD_BYTES_MAX) > CHUNK_BYTES_MAX ||
        (chunk->row_seq != 0 && chunk->row_packed != offered->formed))
        return 0;
    int r = record_read(chunk, offered, &record, &why);
    if (r == -ERR_NOMEM)
        return ledger_fail(chunk->draft.err, r);
    if (r == 0 && refuse)
        r = err_set(&why, ERR_INVALID, "a balance would leave the range of money");
    if (r != 0) {
        r = record_quarantine(chunk, offered->text, why.text);
    } else {
        r = record.charge > 0 ? record_count(chunk, &record) : 1;
        if (r <= 0)
            return r;
        row_add(chunk, offered);
    }
    chunk->seq++;
    return r < 0 ? r : 1;
}

struct share_accounts {
    struct draft_account *holds;
    struct draft_account *ai;
    struct draft_account *spent;
    struct draft_account *markup;
};

static int
share_load(struct draft *draft, struct str wallet, struct share_accounts *ret_accounts)
{
    int r = draft_wallet(draft, wallet, WALLET_HOLDS, &ret_accounts->holds);
    if (r == 0)
        r = draft_wallet(draft, wallet, WALLET_AI, &ret_accounts->ai);
    if (r == 0)
        r = draft_account(draft, &ret_accounts->spent, KEY_SPENT "%.*s", STR_ARG(wallet));
    return r < 0 ? r : draft_account(draft, &ret_accounts->markup, KEY_BALANCE "markup");
}

/* From the lease as far as it goes, the rest from AI, which may go below zero: the call was
 * made. */
static int
share_post(struct chunk *chunk, const struct share *share)
{
    struct draft *draft = &chunk->draft;
    const struct ledger_stream *stream = chunk->stream;
    struct share_accounts accounts;
    struct lease lease;
    int r = share_load(draft, share->wallet, &accounts);
    if (r == 0)
        r = lease_load(draft, stream->node, stream->epoch, share->wallet, &lease);
    if (r != 0)
        return r;
    int64_t held = MIN(share->charge, lease_rest(&lease));
    int64_t markup = share->charge;
    struct draft_tx tx = {
        .kind = "charge", .wallet = share->wallet, .overdraft = held < share->charge};
    tx.reference =
        arena_printf(&draft->arena, "%.*s/%llu/%.*s/%llu-%llu", STR_ARG(stream->node),
                     (unsigned long long)stream->epoch, STR_ARG(stream->stream),
                     (unsigned long long)chunk->first, (unsigned long long)chunk->seq - 1);
    if (tx.reference.ptr == NULL)
        return ledger_fail(draft->err, -ERR_NOMEM);
    draft_entry(&tx, accounts.holds, -held);
    draft_entry(&tx, accounts.ai, held - share->charge);
    for (size_t i = 0; i < share->cost_count && r == 0; i++) {
        struct draft_account *cost;
        r = draft_account(draft, &cost, KEY_BALANCE "provider_cost/%.*s",
                          STR_ARG(share->costs[i].provider));
        if (r == 0)
            draft_entry(&tx, cost, share->costs[i].cost);
        markup -= share->costs[i].cost;
    }
    draft_entry(&tx, accounts.markup, markup);
    if (r == 0)
        r = draft_add(draft, accounts.spent, share->charge);
    if (r == 0)
        r = draft_post(draft, &tx, NULL);
    if (r < 0 || held == 0)
        return r;
    lease.used += held;
    return lease_store(draft, &lease);
}

static int
chunk_post(struct chunk *chunk)
{
    struct draft_field seq = {"seq", (int64_t)(chunk->seq - 1)};
    const struct buf *row = &chunk->draft.ledger->row;
    int r = fields_write(&chunk->draft, chunk->mark, &seq, 1);
    if (r == 0 && row->failed)
        r = ledger_fail(chunk->draft.err, -ERR_NOMEM);
    if (r == 0 && chunk->row_seq != 0)
        r = draft_append(&chunk->draft, record_key(chunk, KEY_USAGE, chunk->row_seq), buf_str(row));
    for (size_t i = 0; i < chunk->share_count && r == 0; i++)
        r = share_post(chunk, &chunk->shares[i]);
    for (size_t i = 0; i < chunk->capped_count && r == 0; i++)
        r = capped_post(chunk, &chunk->capped[i]);
    return r < 0 ? r : draft_commit(&chunk->draft);
}

/* Take records up to `limit`, or until the chunk is full; those taken have left *source. */
static int
chunk_fill(struct chunk *chunk, struct source *source, size_t limit, bool refuse)
{
    int r = 1;
    for (size_t i = 0; i < limit && r == 1; i++) {
        const struct source here = *source;
        struct offered offered;
        if (!source_next(source, &chunk->forms[chunk->at_hand], &offered))
            return 0;
        r = record_take(chunk, &offered, refuse);
        if (r == 0)
            *source = here;
        ASSERT(r != 0 || chunk->seq > chunk->first);
    }
    return MIN(r, 0);
}

/* Post up to `limit` records, at least one if there is one, in one commit; those posted have left
 * *source. refuse: to quarantine, whatever they are. */
static int
chunk_apply(struct ledger *ledger, const struct ledger_stream *stream, struct source *source,
            size_t limit, bool refuse, struct ledger_applied *applied, struct err *err)
{
    struct chunk chunk = {.stream = stream, .ops = OPS_FIXED};
    const struct source before = *source;
    uint64_t mark;
    draft_init(&chunk.draft, ledger, err);
    ledger->row.len = 0;
    ledger->row.failed = false;
    int r = mark_load(&chunk.draft, stream, &chunk.mark, &mark);
    if (r == 0 && mark != applied->seq)
        r = ledger_fail(err, -ERR_CONFLICT);
    chunk.first = chunk.seq = applied->seq + 1;
    if (r == 0)
        r = chunk_fill(&chunk, source, limit, refuse);
    if (r == 0 && chunk.seq > chunk.first)
        r = chunk_post(&chunk);
    if (r == 0) {
        applied->posted += (size_t)(chunk.seq - chunk.first) - chunk.quarantined;
        applied->quarantined += chunk.quarantined;
        applied->seq = chunk.seq - 1;
    } else {
        *source = before;
    }
    draft_fini(&chunk.draft);
    return r;
}

static int
stream_check(const struct ledger_stream *stream, struct err *err)
{
    int r = ledger_name_check(stream->node, "node", err);
    if (r == 0)
        r = ledger_name_check(stream->stream, "stream", err);
    if (r == 0 && str_eq(stream->node, STR("quarantine")))
        r = err_set(err, ERR_INVALID, "a node cannot have this name");
    return r;
}

int
usage_mark(struct ledger *ledger, const struct ledger_stream *stream, uint64_t *ret_seq,
           struct err *err)
{
    int r = stream_check(stream, err);
    if (r < 0)
        return r;
    CLEANUP(draft_fini) struct draft draft;
    struct draft_row *row;
    draft_init(&draft, ledger, err);
    return mark_load(&draft, stream, &row, ret_seq);
}

/* Up to the end of *source, or to what is not of the form that a list must have. */
static int
source_apply(struct ledger *ledger, const struct ledger_stream *stream, struct source *source,
             struct ledger_applied *applied, struct err *err)
{
    bool single = false;
    for (;;) {
        uint64_t before = applied->seq;
        int r = chunk_apply(ledger, stream, source, single ? 1 : SIZE_MAX, false, applied, err);
        if (r == -ERR_RANGE && single) {
            r = chunk_apply(ledger, stream, source, 1, true, applied, err);
        } else if (r == -ERR_RANGE) {
            /* One of them does not fit a balance: find it by going one at a time. */
            single = true;
            continue;
        }
        if (r < 0 || applied->seq == before)
            return r;
    }
}

/* Skip what has been posted before, post the rest. records_max: no more than that can be there. */
static int
apply(struct ledger *ledger, const struct ledger_stream *stream, uint64_t first,
      struct source *source, size_t records_max, struct ledger_applied *ret_applied,
      struct err *err)
{
    struct usage_form form = {0};
    struct offered offered;
    *ret_applied = (struct ledger_applied){0};
    int r = usage_mark(ledger, stream, &ret_applied->seq, err);
    if (r < 0)
        return r;
    if (first == 0 || first > INT64_MAX - records_max)
        return err_set(err, ERR_INVALID, "sequences start at 1");
    if (first > ret_applied->seq + 1)
        return err_set(err, ERR_CONFLICT, "gap: the next sequence is %llu",
                       (unsigned long long)ret_applied->seq + 1);
    while (first + ret_applied->repeated <= ret_applied->seq &&
           source_next(source, &form, &offered))
        ret_applied->repeated++;
    if (first + ret_applied->repeated <= ret_applied->seq)
        return 0;
    rollup_note(ledger, stream); /* before it is so: an answer of the store may get lost */
    return source_apply(ledger, stream, source, ret_applied, err);
}

int
usage_apply(struct ledger *ledger, const struct ledger_stream *stream, uint64_t first,
            const struct str *records, size_t count, struct ledger_applied *ret_applied,
            struct err *err)
{
    static const struct str none = {"", 0};
    struct source source = {.records = records ? records : &none, .count = count};
    return apply(ledger, stream, first, &source, count, ret_applied, err);
}

int
usage_apply_list(struct ledger *ledger, const struct ledger_stream *stream, uint64_t first,
                 struct str list, struct ledger_applied *ret_applied, struct err *err)
{
    struct source source = {.text = list};
    int r = apply(ledger, stream, first, &source, list.len, ret_applied, err);
    if (r == 0 && source.text.len > 0)
        r = err_set(err, ERR_UNSUPPORTED, "record %llu has another form",
                    (unsigned long long)first + ret_applied->repeated + ret_applied->posted +
                        ret_applied->quarantined);
    return r;
}
