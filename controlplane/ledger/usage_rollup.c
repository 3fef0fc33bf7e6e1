/* SPDX-License-Identifier: MIT
 * usage_rollup.c - adding up what was posted, behind the posting; see usage_rollup.h.
 * Floor: controlplane/ledger; the engine thread.
 * Owns: the set of streams that have records which are not in the sums yet.
 * Invariant: see usage_rollup.h. A stream that is not in the set has none, or `listed` is false. */
#include "controlplane/ledger/usage_rollup.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/ledger/ledger_int.h"
#include "controlplane/ledger/usage_sum.h"
#include "lib/base/check.h"

/* One step is one commit of bounded size and time. */
#define STEP_RECORDS_MAX 32768u
#define STEP_STREAMS_MAX 32u
#define STEP_HOURS_MAX 16u
#define STEP_BYTES_MAX (384u * 1024u)
/* The newest page of an hour is written anew while it is this small. */
#define PAGE_OPEN_BYTES_MAX (256u * 1024u)
#define MERGE_BYTES_MAX (512u * 1024u) /* of all pages of a step */
#define PAGE_FIRST 999999u             /* pages count down, so that the newest is listed first */
#define ROWS_AT_ONCE 8u
#define STREAMS_AT_ONCE 500u
#define SCRATCH_BYTES_MAX (ROWS_AT_ONCE * (2u << 20))

_Static_assert(STEP_STREAMS_MAX + STEP_HOURS_MAX <= STORE_COMMIT_OPS_MAX, "a step is one commit");
_Static_assert(STEP_BYTES_MAX + PAGE_OPEN_BYTES_MAX < STORE_VALUE_BYTES_MAX, "a page is one value");
_Static_assert(STEP_BYTES_MAX + MERGE_BYTES_MAX < STORE_COMMIT_BYTES_MAX, "a step is one commit");

struct hour_seen {
    int64_t hour;
    struct draft_row *page;
};
struct roll {
    struct draft draft;
    struct sum_table table;
    struct hour_seen hours[STEP_HOURS_MAX];
    size_t hour_count;
    size_t records;
    size_t merged_bytes;
    bool full;
    uint64_t seq; /* of the stream at hand: up to here in the sums */
};

/* ---- the streams that have something to add up ----------------------------------------------- */

void
rollup_fini(struct rollup *rollup)
{
    MAP_FOREACH (slot, &rollup->streams)
        free(slot->value);
    map_fini(&rollup->streams);
}

static int
stream_note(struct rollup *rollup, struct str stream)
{
    if (map_get(&rollup->streams, stream) != NULL)
        return 0;
    char *copy = str_dup(stream);
    if (copy == NULL)
        return -ERR_NOMEM;
    int r = map_put(&rollup->streams, str_from(copy), copy, NULL);
    if (r < 0)
        free(copy);
    return r;
}

void
rollup_note(struct ledger *ledger, const struct ledger_stream *stream)
{
    char text[STORE_KEY_BYTES_MAX];
    int size = snprintf(text, sizeof text, "%.*s/%llu/%.*s", STR_ARG(stream->node),
                        (unsigned long long)stream->epoch, STR_ARG(stream->stream));
    ASSERT(size > 0 && (size_t)size < sizeof text);
    if (stream_note(&ledger->rollup, str_make(text, (size_t)size)) < 0)
        ledger->rollup.listed = false; /* found again among the marks */
}

/* All streams there ever were: the marks of what is posted. */
static int
streams_list(struct ledger *ledger, struct err *err)
{
    char after[STORE_KEY_BYTES_MAX + 1] = "";
    for (;;) {
        CLEANUP(arena_fini) struct arena page;
        struct store_row *rows;
        size_t count;
        arena_init(&page, LEDGER_ARENA_BYTES_MAX);
        int r = store_list(ledger->store, STR(KEY_MARK), str_from(after), STREAMS_AT_ONCE, &page,
                           &rows, &count, NULL);
        for (size_t i = 0; i < count && r == 0; i++) {
            struct str stream = str_skip(rows[i].key, sizeof KEY_MARK - 1);
            struct store_row rolled = {.value = STR_EMPTY};
            struct str key = arena_printf(&page, KEY_ROLLED "%.*s", STR_ARG(stream));
            r = key.ptr ? store_get(ledger->store, key, &page, &rolled) : -ERR_NOMEM;
            /* Both are {"seq":"N"}. */
            bool same = r == 0 && str_eq(rolled.value, rows[i].value);
            r = r == -ERR_NOT_FOUND ? 0 : r;
            if (r == 0 && !same)
                r = stream_note(&ledger->rollup, stream);
        }
        if (r < 0)
            return ledger_fail(err, r);
        if (count == 0)
            break;
        ASSERT(str_copy(after, sizeof after, rows[count - 1].key));
    }
    ledger->rollup.listed = true;
    return 0;
}

/* ---- one step -------------------------------------------------------------------------------- */

/* true: there is room for records of this hour. */
static bool
hour_note(struct roll *roll, int64_t hour)
{
    for (size_t i = 0; i < roll->hour_count; i++) {
        if (roll->hours[i].hour == hour)
            return true;
    }
    if (roll->hour_count == STEP_HOURS_MAX)
        return false;
    roll->hours[roll->hour_count++] = (struct hour_seen){.hour = hour};
    return true;
}

static int
record_roll(const struct usage_form *record, void *user)
{
    struct roll *roll = user;
    struct sum one;
    struct sum *sum;
    uint64_t seq = form_number(record, FORM_seq);
    if (seq <= roll->seq)
        return 0;
    sum_of_record(record, &one);
    if (roll->records == STEP_RECORDS_MAX || roll->table.bytes >= STEP_BYTES_MAX ||
        !hour_note(roll, one.name.hour)) {
        roll->full = true;
        return 1;
    }
    int r = sum_find(&roll->table, &one.name, &sum);
    if (r == 0)
        r = sum_add(sum, &one);
    if (r < 0)
        return r;
    roll->records++;
    roll->seq = seq;
    return 0;
}

/* A row lies under the sequence of its last record: one that does not end there is damaged, and
 * would be read for ever. */
static int
row_read(struct roll *roll, const struct store_row *row, size_t prefix_len)
{
    uint64_t last;
    if (num_padded(str_skip(row->key, prefix_len), &last) < 0)
        return -ERR_STORE;
    int r = usage_walk(roll->draft.ledger, row, record_roll, roll);
    return r == 0 && roll->seq != last ? -ERR_STORE : r;
}

/* The rows behind roll->seq, until there are no more or the step is full. */
static int
stream_read(struct roll *roll, struct str stream)
{
    struct ledger *ledger = roll->draft.ledger;
    for (size_t count = 1; count > 0 && !roll->full;) {
        CLEANUP(arena_fini) struct arena scratch;
        struct store_row *rows;
        arena_init(&scratch, SCRATCH_BYTES_MAX);
        struct str prefix = arena_printf(&scratch, KEY_USAGE "%.*s/", STR_ARG(stream));
        struct str after = arena_printf(&scratch, KEY_USAGE "%.*s/%020llu", STR_ARG(stream),
                                        (unsigned long long)roll->seq);
        int r = prefix.ptr && after.ptr ? store_list(ledger->store, prefix, after, ROWS_AT_ONCE,
                                                     &scratch, &rows, &count, NULL)
                                        : -ERR_NOMEM;
        for (size_t i = 0; i < count && r == 0; i++)
            r = row_read(roll, &rows[i], prefix.len);
        if (r < 0)
            return ledger_fail(roll->draft.err, r);
    }
    return 0;
}

/* All of a stream that fits. 1: it is done. */
static int
stream_roll(struct roll *roll, struct str stream)
{
    struct draft_row *mark;
    struct draft_row *rolled;
    struct draft_field posted = {"seq", 0};
    struct draft_field seq = {"seq", 0};
    int r = draft_row(&roll->draft, &rolled, KEY_ROLLED "%.*s", STR_ARG(stream));
    if (r == 0 && rolled->value.len > 0)
        r = fields_read(roll->draft.ledger, rolled, &seq, 1, roll->draft.err);
    if (r == 0)
        r = draft_row(&roll->draft, &mark, KEY_MARK "%.*s", STR_ARG(stream));
    if (r == 0 && mark->value.len > 0)
        r = fields_read(roll->draft.ledger, mark, &posted, 1, roll->draft.err);
    roll->seq = (uint64_t)seq.value;
    if (r == 0)
        r = stream_read(roll, stream);
    if (r < 0)
        return r;
    if (!roll->full) /* what is behind the last record is in quarantine */
        roll->seq = MAX(roll->seq, (uint64_t)posted.value);
    if (roll->seq != (uint64_t)seq.value) {
        seq.value = (int64_t)roll->seq;
        r = fields_write(&roll->draft, rolled, &seq, 1);
    }
    return r < 0 ? r : !roll->full;
}

static int
sum_merge(const struct sum *more, void *user)
{
    struct roll *roll = user;
    struct sum *sum;
    int r = sum_find(&roll->table, &more->name, &sum);
    return r < 0 ? r : sum_add(sum, more);
}

/* The newest page of the hour, taken up into the sums; or the one behind it, when that is large. */
static int
page_open(struct roll *roll, struct hour_seen *seen)
{
    CLEANUP(arena_fini) struct arena scratch;
    struct store_row *rows;
    size_t count;
    unsigned number = PAGE_FIRST;
    arena_init(&scratch, SCRATCH_BYTES_MAX);
    struct str prefix = arena_printf(&scratch, KEY_ROLLUP "%010lld/", (long long)seen->hour);
    int r = prefix.ptr ? store_list(roll->draft.ledger->store, prefix, STR_EMPTY, 1, &scratch,
                                    &rows, &count, NULL)
                       : -ERR_NOMEM;
    if (r < 0)
        return ledger_fail(roll->draft.err, r);
    if (count > 0) {
        size_t size = rows[0].value.len;
        bool merge = size < PAGE_OPEN_BYTES_MAX && roll->merged_bytes + size < MERGE_BYTES_MAX;
        uint64_t last = 0;
        if (num_padded(str_skip(rows[0].key, prefix.len), &last) < 0 || last == 0)
            return ledger_fail(roll->draft.err, -ERR_STORE);
        number = (unsigned)(merge ? last : last - 1);
        r = merge ? sum_page_read(&rows[0], sum_merge, roll) : 0;
        roll->merged_bytes += merge ? size : 0;
    }
    if (r < 0)
        return ledger_fail(roll->draft.err, r);
    return draft_row(&roll->draft, &seen->page, "%.*s%06u", STR_ARG(prefix), number);
}

static int
pages_write(struct roll *roll)
{
    for (size_t i = 0; i < roll->hour_count; i++) {
        CLEANUP(buf_fini) struct buf page;
        struct str copy = {NULL, 0};
        int r = page_open(roll, &roll->hours[i]);
        if (r < 0)
            return r;
        buf_init(&page, STORE_VALUE_BYTES_MAX);
        (void)sum_page_write(&roll->table, roll->hours[i].hour, &page);
        if (page.failed || arena_dup(&roll->draft.arena, buf_str(&page), &copy) < 0)
            return ledger_fail(roll->draft.err, -ERR_NOMEM);
        draft_set(roll->hours[i].page, copy);
    }
    return 0;
}

/* done[count]: those with nothing left. */
static int
step_take(struct roll *roll, struct rollup *rollup, struct str done[STEP_STREAMS_MAX],
          size_t *ret_count)
{
    size_t taken = 0;
    MAP_FOREACH (slot, &rollup->streams) {
        if (roll->full || taken == STEP_STREAMS_MAX)
            return 0;
        int r = stream_roll(roll, slot->key);
        if (r < 0)
            return r;
        taken++;
        if (r == 1)
            done[(*ret_count)++] = slot->key;
    }
    return 0;
}

int
usage_rollup_step(struct ledger *ledger, bool *ret_more, struct err *err)
{
    struct rollup *rollup = &ledger->rollup;
    struct str done[STEP_STREAMS_MAX];
    size_t done_count = 0;
    int r = rollup->listed ? 0 : streams_list(ledger, err);
    if (r < 0)
        return r;
    struct roll roll = {0};
    draft_init(&roll.draft, ledger, err);
    sum_table_init(&roll.table, &roll.draft.arena);
    r = step_take(&roll, rollup, done, &done_count);
    if (r == 0)
        r = pages_write(&roll);
    if (r == 0)
        r = draft_commit(&roll.draft);
    for (size_t i = 0; i < done_count && r == 0; i++)
        free(map_remove(&rollup->streams, done[i]));
    if (r == 0)
        *ret_more = rollup->streams.count > 0;
    sum_table_fini(&roll.table);
    draft_fini(&roll.draft);
    return r;
}
