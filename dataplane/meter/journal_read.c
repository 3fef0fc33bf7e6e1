/* SPDX-License-Identifier: MIT
 * journal_read.c - the sync thread's side of a journal: reading for upload, and trimming.
 * Floor: dataplane/meter; sync thread.
 * Owns: the read cursor.
 * Invariant: only committed outcomes are read, in order, each with its seq; a segment is dropped
 * only when all its outcomes are in the ledger and none of its intents is open. journal_test.c. */
#include <unistd.h>

#include "dataplane/meter/journal_int.h"
#include "lib/base/check.h"

/* Files kept to be written again: their blocks are allocated and written, so that fdatasync needs
 * no metadata. */
#define USED_MAX 16u
/* Of an upload's common members; more is written out. */
#define SHARED_BYTES_MAX ((size_t)16u * 1024u)
#define SEGMENT_HEAD_BYTES ((uint32_t)sizeof(struct segment_head))

/* The first segment with number >= wanted, or NULL; the sync thread alone removes segments, so the
 * pointer stays good after the lock is gone. */
static struct segment *
segment_from(struct journal *journal, uint32_t wanted)
{
    struct segment *found = NULL;
    pthread_mutex_lock(&journal->lock);
    LIST_FOREACH (node, &journal->segments) {
        struct segment *segment = LIST_ENTRY(node, struct segment, node);
        if (segment->number >= wanted) {
            found = segment;
            break;
        }
    }
    pthread_mutex_unlock(&journal->lock);
    return found;
}

/* The place of text `number` in the upload's list, where it is put when it is not there yet.
 * -ERR_TOO_LARGE: it has to be written out. */
static int
text_place(struct journal *journal, uint16_t number, struct str text, struct buf *shared,
           uint16_t *ret_place)
{
    struct text_places *places = &journal->places;
    if (number > PLACES_MAX || text.len < 2 || text.ptr[0] != ',')
        return -ERR_TOO_LARGE;
    if (places->rows[number - 1u].turn != places->turn) {
        if (shared->len + text.len + 2 > SHARED_BYTES_MAX)
            return -ERR_TOO_LARGE;
        (void)buf_put_str(shared, places->count == 0 ? STR("{") : STR(",{"));
        (void)buf_put_str(shared, str_skip(text, 1)); /* its comma */
        (void)buf_put_byte(shared, '}');
        places->rows[number - 1u].turn = places->turn;
        places->rows[number - 1u].place = places->count++;
    }
    *ret_place = places->rows[number - 1u].place;
    return 0;
}

/* record_members, but with names for texts. */
static int
members_named(struct journal *journal, const struct record_head *head, struct str payload,
              struct buf *out, struct buf *shared)
{
    uint16_t named[JOURNAL_SHARED_MAX];
    size_t count = 0;
    (void)buf_put_str(out, payload);
    for (size_t i = 0; i < JOURNAL_SHARED_MAX; i++) {
        if (head->shared[i] == 0)
            continue;
        struct str text = text_table_get(&journal->reader.texts, head->shared[i]);
        if (text.ptr == NULL)
            return -ERR_PARSE;
        if (text_place(journal, head->shared[i], text, shared, &named[count]) == 0)
            count++;
        else
            (void)buf_put_str(out, text);
    }
    for (size_t i = 0; i < count; i++) {
        (void)buf_put_str(out, i == 0 ? STR(",\"texts\":[") : STR(","));
        (void)buf_put_u64(out, named[i]);
    }
    if (count > 0)
        (void)buf_put_byte(out, ']');
    return out->failed || shared->failed ? -ERR_NOMEM : 0;
}

static int
outcome_put(struct journal *journal, bool first, const struct record_head *head, struct str payload,
            struct buf *out, struct buf *shared)
{
    (void)buf_put_str(out, first ? STR("{\"seq\":\"") : STR(",{\"seq\":\""));
    (void)buf_put_u64(out, head->seq);
    (void)buf_put_str(out, STR("\","));
    int rc = shared != NULL ? members_named(journal, head, payload, out, shared)
                            : record_members(&journal->reader.texts, head, payload, out);
    (void)buf_put_byte(out, '}');
    return rc;
}

/* Power went while a segment was new: it is on disk, the last records of the one before are not.
 * The ledger takes no holes; these stand for what is lost, and it sets them aside, charged to
 * nobody. */
static void
lost_put(struct journal *journal, uint64_t before, struct buf *out, size_t count_max,
         size_t *io_count)
{
    while (journal->read_passed + 1 < before && *io_count < count_max) {
        (void)buf_put_str(out, (*io_count)++ == 0 ? STR("{\"seq\":\"") : STR(",{\"seq\":\""));
        (void)buf_put_u64(out, ++journal->read_passed);
        (void)buf_put_str(out, STR("\",\"outcome\":\"interrupted\",\"evidence\":\"lost\"}"));
    }
}

/* The cursor at the start of a segment; what it names is defined behind this. */
static void
read_from(struct journal *journal, uint32_t number)
{
    journal->read_number = number;
    journal->read_at = SEGMENT_HEAD_BYTES;
    text_table_clear(&journal->reader.texts);
    journal->places.turn++;
}

int
journal_read(struct journal *journal, uint64_t after, size_t count_max, size_t bytes_max,
             struct buf *out, size_t *ret_count, uint64_t *ret_last)
{
    return journal_read_shared(journal, after, count_max, bytes_max, out, NULL, ret_count,
                               ret_last);
}

/* What is lost between the last record and `seq`, if anything. True: the list is full. */
static bool
lost_before(struct journal *journal, uint64_t seq, uint64_t after, struct buf *out,
            size_t count_max, size_t *count, uint64_t *last)
{
    if (journal->read_passed == 0 || seq <= after + 1)
        return false;
    journal->read_passed = MAX(journal->read_passed, after);
    lost_put(journal, seq, out, count_max, count);
    *last = MAX(*last, journal->read_passed);
    return journal->read_passed + 1 < seq || *count >= count_max;
}

int
journal_read_shared(struct journal *journal, uint64_t after, size_t count_max, size_t bytes_max,
                    struct buf *out, struct buf *shared, size_t *ret_count, uint64_t *ret_last)
{
    journal->places.turn++;
    journal->places.count = 0;
    if (after < journal->read_seq || !journal->read_begun) {
        read_from(journal, 0); /* the oldest */
        journal->read_seq = 0;
        journal->read_passed = 0;
        journal->read_begun = true;
    }
    size_t count = 0;
    size_t start = out->len;
    uint64_t last = after;
    int bad = 0;
    struct segment *segment = segment_from(journal, journal->read_number);
    while (segment != NULL && bad == 0 && count < count_max && out->len - start < bytes_max) {
        if (segment->number != journal->read_number)
            read_from(journal, segment->number);
        struct record_head head;
        uint32_t here = journal->read_at;
        uint32_t committed = atomic_load_explicit(&segment->committed, memory_order_acquire);
        struct str payload;
        int rc =
            segment_next(&journal->reader, segment, committed, &journal->read_at, &head, &payload);
        if (rc == -ERR_IO || rc == -ERR_NOMEM) {
            bad = rc; /* not the end: what is behind must not count as lost */
            break;
        }
        if (rc != 0) {
            segment = segment_from(journal, segment->number + 1);
            continue;
        }
        if (head.kind == RECORD_TEXT)
            bad = text_table_note(&journal->reader.texts, &head, payload);
        if (head.kind != RECORD_OUTCOME)
            continue;
        if (lost_before(journal, head.seq, after, out, count_max, &count, &last)) {
            journal->read_at = here; /* from here the next time */
            break;
        }
        journal->read_passed = head.seq;
        if (head.seq <= after)
            continue;
        bad = outcome_put(journal, count == 0, &head, payload, out, shared);
        last = head.seq;
        count++;
    }
    journal->read_seq = last;
    if (bad != 0 || out->failed) {
        journal->read_begun = false; /* all of it again, from the file */
        segment_reader_forget(&journal->reader);
        return bad != 0 ? bad : -ERR_NOMEM;
    }
    *ret_count = count;
    *ret_last = last;
    return 0;
}

void
journal_trim(struct journal *journal, uint64_t seq)
{
    atomic_store(&journal->posted, seq);
    pthread_mutex_lock(&journal->lock);
    while (!list_empty(&journal->segments)) {
        struct segment *oldest = LIST_ENTRY(journal->segments.next, struct segment, node);
        if (oldest == journal->current || oldest->last_seq > seq || oldest->open_intents > 0)
            break;
        if (journal->reader.segment == oldest)
            segment_reader_forget(&journal->reader);
        if (journal->used_count < USED_MAX) {
            list_remove(&oldest->node);
            list_push_back(&journal->used, &oldest->node);
            journal->used_count++;
            continue;
        }
        segment_close(&oldest, true);
        journal->segment_count--;
    }
    pthread_mutex_unlock(&journal->lock);
}

uint32_t
journal_fill_percent(struct journal *journal)
{
    pthread_mutex_lock(&journal->lock);
    uint64_t percent =
        100ull * (journal->segment_count - journal->used_count) / journal->segment_count_max;
    pthread_mutex_unlock(&journal->lock);
    return (uint32_t)MIN(percent, 100ull);
}
