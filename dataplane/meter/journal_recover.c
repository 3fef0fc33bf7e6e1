/* SPDX-License-Identifier: MIT
 * journal_recover.c - what earlier epochs left behind: complete it, so that it can be uploaded.
 * Floor: dataplane/meter; sync thread at start, before any worker runs.
 * Owns: nothing; journals are handed to the caller.
 * Invariant: every intent ends up with exactly one outcome; the worst a torn tail costs is what was
 *            written behind the last commit. journal_test.c. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "dataplane/meter/journal_int.h"
#include "lib/base/check.h"
#include "lib/base/map.h"
#include "lib/base/num.h"

#define RECOVER_SEGMENTS_MAX 1048576u
#define RECOVER_BYTES_MAX (JOURNAL_SEGMENT_BYTES + PENDING_BYTES_MAX) /* of one segment */

struct open_intent {
    uint64_t request;
    uint32_t bytes;
    char members[];
};

struct recovery {
    struct journal *journal;
    struct map intents; /* key: the 8 bytes of the request number */
    struct buf members; /* scratch */
    uint64_t bad;
};

static struct str
intent_key(const struct open_intent *intent)
{
    return str_make((const char *)&intent->request, sizeof(intent->request));
}

static int
recovery_note(struct recovery *recovery, const struct record_head *head, struct str payload)
{
    /* Intents count too: the segments with the outcomes before them may be gone. */
    struct text_table *texts = &recovery->journal->reader.texts;
    for (size_t i = 0; i < JOURNAL_SHARED_MAX; i++) {
        if (head->shared[i] != 0 && text_table_get(texts, head->shared[i]).ptr == NULL)
            return -ERR_PARSE;
    }
    recovery->journal->next_seq = MAX(recovery->journal->next_seq, head->seq + 1);
    if (head->kind == RECORD_OUTCOME) {
        struct str key = str_make((const char *)&head->request, sizeof(head->request));
        free(map_remove(&recovery->intents, key));
        return 0;
    }
    if (head->kind == RECORD_TEXT)
        return text_table_note(texts, head, payload);
    recovery->members.len = 0;
    int rc = record_members(texts, head, payload, &recovery->members);
    if (rc != 0)
        return rc;
    struct str members = buf_str(&recovery->members);
    struct open_intent *intent = malloc(sizeof(*intent) + members.len);
    if (intent == NULL)
        return -ERR_NOMEM;
    intent->request = head->request;
    intent->bytes = (uint32_t)members.len;
    memcpy(intent->members, members.ptr, members.len);
    void *old = NULL;
    rc = map_put(&recovery->intents, intent_key(intent), intent, &old);
    free(rc == 0 ? old : intent);
    return rc;
}

static int
recovery_scan(struct recovery *recovery, struct segment *segment)
{
    struct journal *journal = recovery->journal;
    uint32_t at = (uint32_t)sizeof(struct segment_head);
    text_table_clear(&journal->reader.texts);
    for (;;) {
        struct record_head head;
        struct str payload;
        uint32_t behind = at;
        int rc =
            segment_next(&journal->reader, segment, RECOVER_BYTES_MAX, &behind, &head, &payload);
        if (rc == 0)
            rc = segment_verify(segment, &head, payload);
        if (rc == 0)
            rc = recovery_note(recovery, &head, payload);
        /* The end: zeros, an earlier use of the file, or a record torn by power loss. */
        if (rc == -ERR_AGAIN || rc == -ERR_PARSE)
            break;
        if (rc != 0)
            return rc;
        at = behind;
    }
    segment->last_seq = journal->next_seq - 1;
    atomic_store(&segment->committed, at);
    journal->at = at;
    return 0;
}

static int
cannot_write(const struct journal *journal, struct err *err)
{
    return err_set(err, ERR_NO_SPACE, "cannot write to the journal in %s", journal->dir);
}

/* Write the missing outcomes behind the last good record, or into a new segment. */
static int
recovery_finish(struct recovery *recovery, struct err *err)
{
    struct journal *journal = recovery->journal;
    struct buf members;
    buf_init(&members, JOURNAL_OUTCOME_BYTES_MAX);
    struct segment *last = LIST_ENTRY(journal->segments.prev, struct segment, node);
    int rc = 0;
    MAP_FOREACH (slot, &recovery->intents) {
        const struct open_intent *intent = slot->value;
        members.len = 0;
        (void)buf_put(&members, intent->members, intent->bytes);
        (void)buf_put_str(&members, STR(",\"outcome\":\"interrupted\",\"evidence\":\"none\","
                                        "\"status\":0,\"usage\":{},\"charge\":\"0\","
                                        "\"cost\":\"0\""));
        if (journal->at + journal->pending.len + record_bytes(members.len) >
            JOURNAL_SEGMENT_BYTES) {
            journal->current = last;
            journal_commit(journal);
            if (journal->failing) { /* these records are of this segment and of no other */
                rc = cannot_write(journal, err);
                break;
            }
            rc = segment_create(journal, last->number + 1, journal->next_seq, &last, err);
            if (rc != 0)
                break;
            list_push_back(&journal->segments, &last->node);
            journal->segment_count++;
            journal->at = (uint32_t)sizeof(struct segment_head);
        }
        const struct record_head head = {
            .kind = RECORD_OUTCOME, .request = intent->request, .seq = journal->next_seq++};
        struct str text = buf_str(&members);
        if (!members.failed) /* never a part of one */
            record_put(&journal->pending, last->salt, &head, &text, 1);
        if (members.failed || journal->pending.failed) {
            rc = err_set(err, ERR_NOMEM, "no memory to complete the journal in %s", journal->dir);
            break;
        }
    }
    /* Whole records may follow those that were torn: a second recovery must not go on with them. */
    if (journal->pending.len > 0) {
        static const struct record_head nothing;
        (void)buf_put(&journal->pending, &nothing, sizeof(nothing));
    }
    journal->current = last;
    journal_commit(journal);
    journal->current = NULL;                 /* from now on read-only */
    segment_reader_forget(&journal->reader); /* its window is from before these records */
    buf_fini(&members);
    if (rc == 0 && journal->failing)
        rc = cannot_write(journal, err);
    atomic_store(&journal->last_committed, journal->next_seq - 1);
    return rc;
}

struct found {
    uint64_t epoch;
    uint32_t stream;
    uint32_t number;
    char name[64];
};

static int
found_compare(const void *left, const void *right)
{
    const struct found *a = left;
    const struct found *b = right;
    if (a->epoch != b->epoch)
        return a->epoch < b->epoch ? -1 : 1;
    if (a->stream != b->stream)
        return a->stream < b->stream ? -1 : 1;
    return a->number < b->number ? -1 : a->number > b->number;
}

/* "EPOCH-STREAM-NUMBER.journal": hex, decimal, eight decimal digits. */
static bool
found_parse(struct str name, struct found *ret_found)
{
    struct found one = {0};
    struct str epoch;
    struct str stream;
    struct str number;
    uint64_t stream_number = 0;
    uint64_t segment = 0;
    if (!str_ends(name, STR(".journal")) || !str_copy(one.name, sizeof(one.name), name))
        return false;
    number = str_make(name.ptr, name.len - STR(".journal").len);
    if (!str_cut(number, '-', &epoch, &number) || !str_cut(number, '-', &stream, &number))
        return false;
    while (number.len > 1 && number.ptr[0] == '0')
        number = str_skip(number, 1);
    if (num_hex_u64(epoch, &one.epoch) != 0 || num_u64(stream, UINT32_MAX, &stream_number) != 0 ||
        num_u64(number, UINT32_MAX, &segment) != 0)
        return false;
    one.stream = (uint32_t)stream_number;
    one.number = (uint32_t)segment;
    *ret_found = one;
    return true;
}

static int
found_list(const char *dir, uint64_t current_epoch, struct found **ret_found, size_t *ret_count,
           struct err *err)
{
    DIR *handle = opendir(dir);
    if (handle == NULL)
        return err_set(err, ERR_IO, "cannot open the journal folder %s", dir);
    struct found *found = NULL;
    size_t count = 0;
    size_t cap = 0;
    int rc = 0;
    struct dirent *entry;
    while ((entry = readdir(handle)) != NULL) {
        struct found one;
        if (!found_parse(str_from(entry->d_name), &one) || one.epoch == current_epoch)
            continue;
        if (count == cap) {
            cap = cap == 0 ? 16 : cap * 2;
            struct found *more = realloc(found, cap * sizeof(*found));
            if (more == NULL) {
                rc = err_set(err, ERR_NOMEM, "no memory to list %s", dir);
                break;
            }
            found = more;
        }
        found[count++] = one;
    }
    (void)closedir(handle);
    if (count > 1)
        qsort(found, count, sizeof(*found), found_compare);
    *ret_found = found;
    *ret_count = count;
    return rc;
}

/* A file that was on its way to be used again when the process died, or whose new name did not
 * reach the disk. Its head says what is in it; the list is in the order of heads. */
static void
segment_place(struct journal *journal, struct segment *segment, uint32_t named)
{
    if (segment->number < named) { /* posted records, see segment_reuse */
        segment_close(&segment, true);
        return;
    }
    struct list *before = journal->segments.prev;
    while (before != &journal->segments &&
           LIST_ENTRY(before, struct segment, node)->number > segment->number)
        before = before->prev;
    list_push_front(before, &segment->node); /* right behind it */
    journal->segment_count++;
}

static int
recover_stream(const char *dir, const struct found *found, size_t count, uint64_t *io_bad,
               struct journal **ret_journal, struct err *err)
{
    struct recovery recovery = {0};
    map_init(&recovery.intents);
    buf_init(&recovery.members, JOURNAL_SEGMENT_BYTES);
    int rc = journal_alloc(dir, found->epoch, found->stream, RECOVER_SEGMENTS_MAX,
                           &recovery.journal, err);
    for (size_t i = 0; rc == 0 && i < count; i++) {
        char path[600];
        struct segment *segment = NULL;
        struct segment_head head;
        (void)snprintf(path, sizeof(path), "%s/%s", dir, found[i].name);
        rc = segment_open(path, &segment, &head, err);
        if (rc == 0) {
            segment_place(recovery.journal, segment, found[i].number);
        } else if (rc == -ERR_PARSE) {
            recovery.bad++;
            (void)unlink(path); /* never got its head: nothing can be in it */
            rc = 0;
        }
    }
    if (rc == 0) {
        LIST_FOREACH (node, &recovery.journal->segments) {
            struct segment *segment = LIST_ENTRY(node, struct segment, node);
            rc = recovery_scan(&recovery, segment);
            if (rc != 0) {
                rc = err_set(err, (enum err_code) - rc, "cannot read journal segment %s: %s",
                             segment->path, err_text(rc));
                break;
            }
        }
    }
    if (rc == 0 && !list_empty(&recovery.journal->segments))
        rc = recovery_finish(&recovery, err);
    MAP_FOREACH (slot, &recovery.intents) {
        free(slot->value);
    }
    map_fini(&recovery.intents);
    buf_fini(&recovery.members);
    *io_bad += recovery.bad;
    if (rc != 0)
        journal_close(&recovery.journal);
    else
        *ret_journal = recovery.journal;
    return rc;
}

int
journal_recover(const char *dir, uint64_t current_epoch,
                void (*fn)(struct journal *journal, uint64_t epoch, uint32_t stream, void *user),
                void *user, uint64_t *ret_bad_segments, struct err *err)
{
    struct found *found = NULL;
    size_t count = 0;
    uint64_t bad = 0;
    int rc = found_list(dir, current_epoch, &found, &count, err);
    for (size_t i = 0; rc == 0 && i < count;) {
        size_t end = i + 1;
        while (end < count && found[end].epoch == found[i].epoch &&
               found[end].stream == found[i].stream)
            end++;
        struct journal *journal = NULL;
        rc = recover_stream(dir, found + i, end - i, &bad, &journal, err);
        if (rc == 0)
            fn(journal, found[i].epoch, found[i].stream, user);
        i = end;
    }
    free(found);
    *ret_bad_segments = bad;
    return rc;
}
