/* SPDX-License-Identifier: MIT
 * journal.c - appending to the usage journal, and reading it back for upload.
 * Floor: dataplane/meter; worker appends, sync thread reads and trims.
 * Owns: a journal object and its segments.
 * Invariant: free space in preallocated segments >= what was promised to admitted requests, so an
 *            outcome always fits. journal_test.c. */
#include "dataplane/meter/journal_int.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "lib/base/check.h"

#define SEGMENT_HEAD_BYTES ((uint32_t)sizeof(struct segment_head))
/* Worst case of a request: both records and the records of their texts; and of the end of a segment
 * that an outcome with its texts did not fit. */
#define HEADS_BYTES ((1u + JOURNAL_SHARED_MAX) * (sizeof(struct record_head) + 8u))
#define TICKET_BYTES (2u * HEADS_BYTES + JOURNAL_INTENT_BYTES_MAX + JOURNAL_OUTCOME_BYTES_MAX)
#define WASTE_BYTES (HEADS_BYTES + JOURNAL_OUTCOME_BYTES_MAX)

int
journal_alloc(const char *dir, uint64_t epoch, uint32_t stream, uint32_t segment_count_max,
              struct journal **ret_journal, struct err *err)
{
    struct journal *journal = calloc(1, sizeof(*journal));
    if (journal == NULL)
        return err_set(err, ERR_NOMEM, "no memory for a journal");
    pthread_mutex_init(&journal->lock, NULL);
    list_init(&journal->segments);
    list_init(&journal->spares);
    list_init(&journal->used);
    buf_init(&journal->pending, PENDING_BYTES_MAX);
    journal_texts_init(&journal->texts);
    segment_reader_init(&journal->reader);
    journal->epoch = epoch;
    journal->stream = stream;
    journal->segment_count_max = segment_count_max;
    journal->next_seq = 1;
    journal->next_request = 1;
    if (!str_copy(journal->dir, sizeof(journal->dir), str_from(dir))) {
        journal_close(&journal);
        return err_set(err, ERR_TOO_LARGE, "journal path is too long: %s", dir);
    }
    *ret_journal = journal;
    return 0;
}

static void
segments_free(struct list *list, bool remove_files)
{
    while (!list_empty(list)) {
        struct segment *segment = LIST_ENTRY(list->next, struct segment, node);
        segment_close(&segment, remove_files);
    }
}

static void
journal_free(struct journal *journal, bool remove_files)
{
    segments_free(&journal->segments, remove_files);
    segments_free(&journal->spares, true);
    segments_free(&journal->used, true);
    buf_fini(&journal->pending);
    journal_texts_fini(&journal->texts);
    segment_reader_fini(&journal->reader);
    pthread_mutex_destroy(&journal->lock);
    free(journal);
}

void
journal_close(struct journal **journal)
{
    struct journal *gone = TAKE(*journal);
    if (gone == NULL)
        return;
    if (gone->current != NULL)
        journal_commit(gone);
    journal_free(gone, false);
}

void
journal_remove(struct journal **journal)
{
    struct journal *gone = TAKE(*journal);
    if (gone != NULL)
        journal_free(gone, true);
}

/* A posted segment's file, if one is left over. */
static struct segment *
journal_take_used(struct journal *journal)
{
    pthread_mutex_lock(&journal->lock);
    struct list *node = list_pop_front(&journal->used);
    if (node != NULL)
        journal->used_count--;
    pthread_mutex_unlock(&journal->lock);
    return node != NULL ? LIST_ENTRY(node, struct segment, node) : NULL;
}

static int
journal_add_spare(struct journal *journal, struct err *err)
{
    struct segment *used = journal_take_used(journal);
    if (used != NULL) {
        int rc = segment_reuse(journal, &used, journal->next_number, err);
        if (rc != 0) {
            pthread_mutex_lock(&journal->lock);
            journal->segment_count--;
            pthread_mutex_unlock(&journal->lock);
            return rc;
        }
        journal->next_number++;
        list_push_back(&journal->spares, &used->node);
        return 0;
    }
    if (journal->segment_count >= journal->segment_count_max)
        return err_set(err, ERR_NO_SPACE, "the usage journal reached its bound of %u segments",
                       journal->segment_count_max);
    struct segment *segment = NULL;
    int rc = segment_create(journal, journal->next_number, 0, &segment, err);
    if (rc != 0)
        return rc;
    journal->next_number++;
    pthread_mutex_lock(&journal->lock);
    journal->segment_count++;
    pthread_mutex_unlock(&journal->lock);
    list_push_back(&journal->spares, &segment->node);
    return 0;
}

/* Take the first spare as the segment that is written to. There is one: see journal_admit. */
static void
journal_roll(struct journal *journal)
{
    struct list *node = list_pop_front(&journal->spares);
    ASSERT(node != NULL);
    pthread_mutex_lock(&journal->lock);
    journal->current = LIST_ENTRY(node, struct segment, node);
    list_push_back(&journal->segments, node);
    pthread_mutex_unlock(&journal->lock);
    journal->at = SEGMENT_HEAD_BYTES;
    journal_texts_roll(&journal->texts);
}

int
journal_open(const struct journal_conf *conf, struct journal **ret_journal, struct err *err)
{
    struct journal *journal = NULL;
    int rc =
        journal_alloc(conf->dir, conf->epoch, conf->stream, conf->segment_count_max, &journal, err);
    if (rc != 0)
        return rc;
    ASSERT(journal != NULL);
    rc = buf_reserve(&journal->pending, TICKET_BYTES); /* see journal_append */
    if (rc != 0)
        (void)err_set(err, ERR_NOMEM, "no memory for a journal");
    else
        rc = journal_add_spare(journal, err);
    if (rc != 0) {
        journal_close(&journal);
        return rc;
    }
    journal_roll(journal);
    *ret_journal = journal;
    return 0;
}

static uint64_t
journal_free_bytes(const struct journal *journal)
{
    uint64_t used = journal->at + journal->pending.len;
    uint64_t here = JOURNAL_SEGMENT_BYTES > used ? JOURNAL_SEGMENT_BYTES - used : 0;
    uint64_t free_bytes = here > WASTE_BYTES ? here - WASTE_BYTES : 0;
    LIST_FOREACH (node, &journal->spares) {
        free_bytes += JOURNAL_SEGMENT_BYTES - SEGMENT_HEAD_BYTES - WASTE_BYTES;
    }
    return free_bytes;
}

/* After a sync that failed: again when everything that was written is in the ledger. */
static bool
disk_trusted(struct journal *journal)
{
    if (atomic_load(&journal->posted) < journal_last(journal))
        return false;
    atomic_store(&journal->sync_failed, false);
    return true;
}

int
journal_admit(struct journal *journal, struct journal_ticket *ret_ticket)
{
    if (UNLIKELY(journal->failing))
        return -ERR_NO_SPACE;
    if (UNLIKELY(atomic_load_explicit(&journal->sync_failed, memory_order_relaxed)) &&
        !disk_trusted(journal))
        return -ERR_NO_SPACE;
    while (UNLIKELY(journal_free_bytes(journal) < journal->reserved + TICKET_BYTES)) {
        if (journal_add_spare(journal, NULL) != 0)
            return -ERR_NO_SPACE;
    }
    journal->reserved += TICKET_BYTES;
    *ret_ticket = (struct journal_ticket){.request = journal->next_request++, .admitted = true};
    return 0;
}

static size_t
members_bytes(const struct journal_members *members)
{
    size_t bytes = members->own.len;
    for (size_t i = 0; i < JOURNAL_SHARED_MAX; i++)
        bytes += members->shared[i].len;
    return bytes;
}

/* An outcome says mostly what its intent said. */
static uint16_t
text_number(struct journal *journal, struct journal_ticket *ticket, size_t i, struct str text)
{
    if (ticket->segment == journal->current->number && ticket->shared[i].ptr == text.ptr &&
        ticket->shared[i].len == text.len)
        return ticket->numbers[i];
    ticket->shared[i] = text;
    ticket->numbers[i] = journal_text_number(journal, text);
    return ticket->numbers[i];
}

static void
journal_append(struct journal *journal, struct journal_ticket *ticket, struct record_head *head,
               const struct journal_members *members)
{
    struct buf *pending = &journal->pending;
    size_t most = members_bytes(members) + HEADS_BYTES;
    if (UNLIKELY(journal->at + pending->len + most > JOURNAL_SEGMENT_BYTES)) {
        journal_commit(journal);
        if (pending->len == 0)
            journal_roll(journal);
        /* else the disk refuses: the bytes stay queued behind this segment's end, see commit */
    }
    if (UNLIKELY(buf_reserve(pending, most) !=
                 0)) { /* no memory: there is room for one at a time */
        journal_commit(journal);
        pending->failed = false;
    }
    struct str pieces[1 + JOURNAL_SHARED_MAX];
    size_t count = 0;
    pieces[count++] = members->own;
    for (size_t i = 0; i < JOURNAL_SHARED_MAX; i++) {
        if (members->shared[i].len == 0)
            continue;
        head->shared[i] = text_number(journal, ticket, i, members->shared[i]);
        if (UNLIKELY(head->shared[i] == 0))
            pieces[count++] = members->shared[i];
    }
    record_put(pending, journal->current->salt, head, pieces, count);
    ASSERT(!pending->failed);
}

void
journal_intent(struct journal *journal, struct journal_ticket *ticket,
               const struct journal_members *members)
{
    ASSERT(ticket->admitted && !ticket->intent &&
           members_bytes(members) <= JOURNAL_INTENT_BYTES_MAX);
    struct record_head head = {
        .kind = RECORD_INTENT, .request = ticket->request, .seq = journal->next_seq - 1};
    journal_append(journal, ticket, &head, members);
    ticket->intent = true;
    ticket->segment = journal->current->number;
    journal->current->open_intents++;
}

static void
journal_intent_done(struct journal *journal, const struct journal_ticket *ticket)
{
    if (!ticket->intent)
        return;
    if (LIKELY(journal->current->number == ticket->segment)) {
        journal->current->open_intents--;
        return;
    }
    pthread_mutex_lock(&journal->lock);
    LIST_FOREACH (node, &journal->segments) {
        struct segment *segment = LIST_ENTRY(node, struct segment, node);
        if (segment->number == ticket->segment)
            segment->open_intents--;
    }
    pthread_mutex_unlock(&journal->lock);
}

uint64_t
journal_outcome(struct journal *journal, struct journal_ticket *ticket,
                const struct journal_members *members)
{
    ASSERT(ticket->admitted && members_bytes(members) <= JOURNAL_OUTCOME_BYTES_MAX);
    uint64_t seq = journal->next_seq++;
    struct record_head head = {.kind = RECORD_OUTCOME, .request = ticket->request, .seq = seq};
    journal_append(journal, ticket, &head, members);
    journal_intent_done(journal, ticket);
    journal->reserved -= TICKET_BYTES;
    *ticket = (struct journal_ticket){0};
    return seq;
}

void
journal_forget(struct journal *journal, struct journal_ticket *ticket)
{
    if (!ticket->admitted)
        return;
    ASSERT(!ticket->intent);
    journal->reserved -= TICKET_BYTES;
    *ticket = (struct journal_ticket){0};
}

bool
journal_dirty(const struct journal *journal)
{
    return journal->pending.len > 0;
}

void
journal_commit(struct journal *journal)
{
    if (journal->pending.len == 0)
        return;
    size_t done = 0;
    while (done < journal->pending.len) {
        ssize_t wrote = pwrite(journal->current->fd, journal->pending.ptr + done,
                               journal->pending.len - done, (off_t)(journal->at + done));
        if (wrote < 0 && errno == EINTR)
            continue;
        if (wrote <= 0) {
            journal->failing = true; /* the whole batch is written again, at the same place */
            return;
        }
        done += (size_t)wrote;
    }
    journal->failing = false;
    journal->at += (uint32_t)journal->pending.len;
    journal->pending.len = 0;
    pthread_mutex_lock(&journal->lock);
    journal->current->last_seq = journal->next_seq - 1;
    pthread_mutex_unlock(&journal->lock);
    atomic_store_explicit(&journal->current->committed, journal->at, memory_order_release);
    atomic_store_explicit(&journal->last_committed, journal->next_seq - 1, memory_order_release);
    /* Sequentially consistent: whoever goes to sleep says so first and then looks here. */
    atomic_store(&journal->unsynced, true);
}

bool
journal_unsynced(const struct journal *journal)
{
    return atomic_load(&journal->unsynced);
}

int
journal_sync(struct journal *journal)
{
    if (!atomic_exchange(&journal->unsynced, false))
        return 0;
    int fds[2] = {-1, -1};
    size_t count = 0;
    pthread_mutex_lock(&journal->lock);
    /* The one that is written to, and the one before it when there was a roll since the last
     * call. */
    uint32_t newest = journal->current->number;
    for (struct list *node = journal->segments.prev; node != &journal->segments && count < 2;
         node = node->prev) {
        fds[count++] = dup(LIST_ENTRY(node, struct segment, node)->fd);
        if (newest == journal->synced_number)
            break;
    }
    journal->synced_number = newest;
    pthread_mutex_unlock(&journal->lock);
    int rc = 0;
    for (size_t i = 0; i < count; i++) {
        if (fds[i] < 0 || fdatasync(fds[i]) != 0)
            rc = -ERR_IO;
        if (fds[i] >= 0)
            (void)close(fds[i]);
    }
    /* The kernel may have dropped what it could not write: a later success proves nothing about it.
     * It is safe when it is in the ledger, see disk_trusted. */
    if (rc != 0)
        atomic_store(&journal->sync_failed, true);
    return rc;
}

uint64_t
journal_last(const struct journal *journal)
{
    return atomic_load_explicit(&journal->last_committed, memory_order_acquire);
}

uint64_t
journal_epoch(const struct journal *journal)
{
    return journal->epoch;
}

uint32_t
journal_stream(const struct journal *journal)
{
    return journal->stream;
}
