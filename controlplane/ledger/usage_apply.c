/* SPDX-License-Identifier: MIT
 * usage_apply.c - posting usage records: exactly once, in chunks of one commit each.
 * Floor: controlplane/ledger; the engine thread.
 * Owns: nothing.
 * Invariant: the stream's mark is in the same commit as the money of the records up to it; a
 *            record is posted, or quarantined and charged to nobody, and never both. Proved by
 *            usage_test.c and ledger_model_test.c. */
#include <string.h>

#include "controlplane/ledger/ledger_int.h"
#include "controlplane/ledger/usage_record.h"
#include "lib/base/check.h"

#define CHUNK_WALLETS_MAX 20u
#define CHUNK_PROVIDERS_MAX 16u /* of one wallet */
#define CHUNK_BYTES_MAX (1024u * 1024u)
#define OPS_FIXED 3u  /* mark, head, markup */
#define OPS_WALLET 5u /* transaction, holds, ai, spent, lease */

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

struct chunk {
    struct draft draft;
    const struct ledger_stream *stream;
    struct draft_row *mark;
    uint64_t first; /* seq of the first record */
    uint64_t seq;   /* of the next record */
    size_t ops;     /* what the commit will need so far */
    size_t bytes;
    size_t quarantined;
    struct share shares[CHUNK_WALLETS_MAX];
    size_t share_count;
};

static int
mark_load(struct draft *draft, const struct ledger_stream *stream, struct draft_row **ret_row,
          uint64_t *ret_seq)
{
    struct draft_field seq = {"seq", 0};
    int r = draft_row(draft, ret_row, "ledger/mark/%.*s/%llu/%.*s", STR_ARG(stream->node),
                      (unsigned long long)stream->epoch, STR_ARG(stream->stream));
    if (r == 0 && (*ret_row)->value.len > 0)
        r = fields_read(draft->ledger, *ret_row, &seq, 1, draft->err);
    if (r == 0)
        *ret_seq = (uint64_t)seq.value;
    return r;
}

static struct str
record_key(struct chunk *chunk, const char *prefix)
{
    const struct ledger_stream *stream = chunk->stream;
    return arena_printf(&chunk->draft.arena, "%s%.*s/%llu/%.*s/%020llu", prefix,
                        STR_ARG(stream->node), (unsigned long long)stream->epoch,
                        STR_ARG(stream->stream), (unsigned long long)chunk->seq);
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
    chunk->bytes += copy.len;
    return draft_append(&chunk->draft, record_key(chunk, KEY_QUARANTINE), copy);
}

static struct share *
share_of(struct chunk *chunk, struct str wallet)
{
    for (size_t i = 0; i < chunk->share_count; i++) {
        if (str_eq(chunk->shares[i].wallet, wallet))
            return &chunk->shares[i];
    }
    if (chunk->share_count == CHUNK_WALLETS_MAX)
        return NULL;
    struct share *share = &chunk->shares[chunk->share_count++];
    share->wallet = wallet;
    share->charge = 0;
    share->cost_count = 0;
    chunk->ops += OPS_WALLET;
    return share;
}

/* false: the chunk is full. Sums cannot wrap: at most 128 records of at most 10^15. */
static bool
share_add(struct chunk *chunk, const struct usage_record *record)
{
    struct share *share = share_of(chunk, record->wallet);
    if (share == NULL)
        return false;
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

/* 1: taken; 0: the chunk is full, the record belongs to the next one. */
static int
record_take(struct chunk *chunk, struct str text, bool refuse)
{
    struct usage_record record;
    struct err why = {0};
    /* Room for this record, and for a wallet and a provider that it may bring. */
    if (chunk->ops + 1 + OPS_WALLET + 1 > STORE_COMMIT_OPS_MAX ||
        chunk->bytes + MIN(text.len, USAGE_RECORD_BYTES_MAX) > CHUNK_BYTES_MAX)
        return 0;
    int r = usage_record_read(&chunk->draft.ledger->doc, text, chunk->seq, &record, &why);
    if (r == -ERR_NOMEM)
        return ledger_fail(chunk->draft.err, r);
    if (r == 0 && refuse)
        r = err_set(&why, ERR_INVALID, "a balance would leave the range of money");
    if (r < 0) {
        r = record_quarantine(chunk, text, why.text);
    } else {
        if (record.charge > 0 && !share_add(chunk, &record))
            return 0;
        chunk->bytes += text.len;
        r = draft_append(&chunk->draft, record_key(chunk, KEY_USAGE), text);
    }
    chunk->ops++;
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
    if (r < 0)
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
    int r = fields_write(&chunk->draft, chunk->mark, &seq, 1);
    for (size_t i = 0; i < chunk->share_count && r == 0; i++)
        r = share_post(chunk, &chunk->shares[i]);
    return r < 0 ? r : draft_commit(&chunk->draft);
}

/* Post some of records[count], at least one, in one commit. refuse: to quarantine whatever it
 * is. */
static int
chunk_apply(struct ledger *ledger, const struct ledger_stream *stream, const struct str *records,
            size_t count, bool refuse, struct ledger_applied *applied, struct err *err)
{
    struct chunk chunk = {.stream = stream, .ops = OPS_FIXED};
    uint64_t mark;
    draft_init(&chunk.draft, ledger, err);
    int r = mark_load(&chunk.draft, stream, &chunk.mark, &mark);
    if (r == 0 && mark != applied->seq)
        r = ledger_fail(err, -ERR_CONFLICT);
    chunk.first = chunk.seq = applied->seq + 1;
    int taken = 1;
    for (size_t i = 0; i < count && r == 0 && taken == 1; i++) {
        taken = record_take(&chunk, records[i], refuse);
        r = MIN(taken, 0);
    }
    ASSERT(r < 0 || chunk.seq > chunk.first);
    if (r == 0)
        r = chunk_post(&chunk);
    if (r == 0) {
        applied->posted += (size_t)(chunk.seq - chunk.first) - chunk.quarantined;
        applied->quarantined += chunk.quarantined;
        applied->seq = chunk.seq - 1;
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

int
usage_apply(struct ledger *ledger, const struct ledger_stream *stream, uint64_t first,
            const struct str *records, size_t count, struct ledger_applied *ret_applied,
            struct err *err)
{
    *ret_applied = (struct ledger_applied){0};
    int r = usage_mark(ledger, stream, &ret_applied->seq, err);
    if (r < 0)
        return r;
    if (first == 0 || first > INT64_MAX - count)
        return err_set(err, ERR_INVALID, "sequences start at 1");
    if (first > ret_applied->seq + 1)
        return err_set(err, ERR_CONFLICT, "gap: the next sequence is %llu",
                       (unsigned long long)ret_applied->seq + 1);
    size_t at = (size_t)MIN((uint64_t)count, ret_applied->seq + 1 - first);
    ret_applied->repeated = at;
    bool single = false;
    while (at < count && r == 0) {
        uint64_t before = ret_applied->seq;
        r = chunk_apply(ledger, stream, records + at, single ? 1 : count - at, false, ret_applied,
                        err);
        if (r == -ERR_RANGE && single) {
            r = chunk_apply(ledger, stream, records + at, 1, true, ret_applied, err);
        } else if (r == -ERR_RANGE) {
            /* One of them does not fit a balance: find it by going one at a time. */
            single = true;
            r = 0;
        }
        at += (size_t)(ret_applied->seq - before);
    }
    return r;
}
