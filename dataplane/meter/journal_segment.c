/* SPDX-License-Identifier: MIT
 * journal_segment.c - the files of a journal: preallocated, checksummed records.
 * Floor: dataplane/meter; worker (create) and sync thread (open, read).
 * Owns: a segment's descriptor.
 * Invariant: what segment_next returns has a matching checksum. journal_test.c. */
#include "dataplane/meter/journal_int.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "lib/base/check.h"
#include "lib/base/digest.h"

static void
segment_path(const struct journal *journal, uint32_t number, char *out, size_t size)
{
    int written = snprintf(out, size, "%s/%016llx-%u-%08u.journal", journal->dir,
                           (unsigned long long)journal->epoch, journal->stream, number);
    ASSERT(written > 0 && (size_t)written < size);
}

/* The head also salts the records, so that those of an earlier use of the file do not verify. */
static int
segment_put_head(const struct journal *journal, struct segment *segment, uint64_t first_seq)
{
    struct segment_head head = {.epoch = journal->epoch,
                                .stream = journal->stream,
                                .number = segment->number,
                                .first_seq = first_seq};
    memcpy(head.magic, SEGMENT_MAGIC, sizeof(head.magic));
    head.crc = digest_crc32c(0, &head, offsetof(struct segment_head, crc));
    segment->salt = head.crc;
    segment->last_seq = 0;
    segment->open_intents = 0;
    atomic_store(&segment->committed, (uint32_t)sizeof(head));
    ssize_t wrote = pwrite(segment->fd, &head, sizeof(head), 0);
    if (wrote == (ssize_t)sizeof(head))
        return 0;
    return wrote < 0 ? errno : EIO;
}

int
segment_create(struct journal *journal, uint32_t number, uint64_t first_seq,
               struct segment **ret_segment, struct err *err)
{
    struct segment *segment = calloc(1, sizeof(*segment));
    if (segment == NULL)
        return err_set(err, ERR_NOMEM, "no memory for a journal segment");
    list_init(&segment->node);
    segment->number = number;
    segment_path(journal, number, segment->path, sizeof(segment->path));
    segment->fd = open(segment->path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    int failed = segment->fd < 0 ? errno : posix_fallocate(segment->fd, 0, JOURNAL_SEGMENT_BYTES);
    if (failed == 0)
        failed = segment_put_head(journal, segment, first_seq);
    if (failed != 0) {
        int rc = err_set_errno(err, failed, "cannot make journal segment %s", segment->path);
        segment_close(&segment, segment->fd >= 0); /* else the file is not ours */
        return rc;
    }
    *ret_segment = segment;
    return 0;
}

int
segment_reuse(struct journal *journal, struct segment **segment, uint32_t number, struct err *err)
{
    struct segment *again = *segment;
    char path[sizeof(again->path)];
    segment_path(journal, number, path, sizeof(path));
    again->number = number;
    /* Between the two steps the file holds old, posted records under a new name: posting them again
     * changes nothing. */
    int failed = rename(again->path, path) != 0 ? errno : 0;
    if (failed == 0) {
        memcpy(again->path, path, sizeof(path));
        failed = segment_put_head(journal, again, 0);
    }
    if (failed == 0)
        return 0;
    int rc = err_set_errno(err, failed, "cannot reuse journal segment %s", again->path);
    segment_close(segment, true);
    return rc;
}

int
segment_open(const char *path, struct segment **ret_segment, struct segment_head *ret_head,
             struct err *err)
{
    struct segment *segment = calloc(1, sizeof(*segment));
    if (segment == NULL)
        return err_set(err, ERR_NOMEM, "no memory for a journal segment");
    list_init(&segment->node);
    ASSERT(str_copy(segment->path, sizeof(segment->path), str_from(path)));
    segment->fd = open(path, O_RDWR | O_CLOEXEC);
    ssize_t got = segment->fd < 0 ? -1 : pread(segment->fd, ret_head, sizeof(*ret_head), 0);
    if (got < 0) { /* not that there is nothing in it */
        int rc = err_set_errno(err, errno, "cannot read journal segment %s", path);
        segment_close(&segment, false);
        return rc;
    }
    bool ours = got == (ssize_t)sizeof(*ret_head) &&
                memcmp(ret_head->magic, SEGMENT_MAGIC_ANY, strlen(SEGMENT_MAGIC_ANY)) == 0 &&
                ret_head->crc == digest_crc32c(0, ret_head, offsetof(struct segment_head, crc));
    if (!ours) {
        segment_close(&segment, false);
        return err_set(err, ERR_PARSE, "%s is not a journal segment", path);
    }
    const char *version = ret_head->magic + strlen(SEGMENT_MAGIC_ANY);
    if (memcmp(version, SEGMENT_VERSION, 2) != 0 && memcmp(version, SEGMENT_VERSION_OLD, 2) != 0) {
        segment_close(&segment, false);
        return err_set(err, ERR_UNSUPPORTED,
                       "%s is of a newer version: start that one, and let it upload", path);
    }
    segment->number = ret_head->number;
    segment->salt = ret_head->crc;
    *ret_segment = segment;
    return 0;
}

void
segment_close(struct segment **segment, bool remove_file)
{
    struct segment *gone = TAKE(*segment);
    ASSERT(gone != NULL);
    list_remove(&gone->node);
    if (gone->fd >= 0)
        (void)close(gone->fd);
    if (remove_file)
        (void)unlink(gone->path);
    free(gone);
}

static uint32_t
record_crc(uint32_t salt, const struct record_head *head, struct str payload)
{
    const char *behind_crc = (const char *)head + sizeof(head->crc);
    uint32_t crc = digest_crc32c(salt, behind_crc, sizeof(*head) - sizeof(head->crc));
    return digest_crc32c(crc, payload.ptr, payload.len);
}

void
record_put(struct buf *out, uint32_t salt, const struct record_head *head, const struct str *pieces,
           size_t count)
{
    size_t payload = 0;
    for (size_t i = 0; i < count; i++)
        payload += pieces[i].len;
    size_t bytes = record_bytes(payload);
    if (buf_reserve(out, bytes) != 0) /* out has failed */
        return;
    char *start = out->ptr + out->len;
    char *at = start + sizeof(*head);
    struct record_head whole = *head;
    whole.bytes = (uint32_t)payload;
    memset(start + bytes - sizeof(uint64_t), 0, sizeof(uint64_t)); /* padding */
    memcpy(start, &whole, sizeof(whole));
    for (size_t i = 0; i < count; i++) {
        memcpy(at, pieces[i].ptr, pieces[i].len);
        at += pieces[i].len;
    }
    const char *behind_crc = start + sizeof(whole.crc);
    whole.crc = digest_crc32c(salt, behind_crc, (size_t)(at - behind_crc));
    memcpy(start, &whole.crc, sizeof(whole.crc));
    out->len += bytes;
}

#define WINDOW_BYTES ((size_t)64u * 1024u)

void
segment_reader_init(struct segment_reader *reader)
{
    segment_reader_forget(reader);
    reader->window_at = 0;
    buf_init(&reader->window, WINDOW_BYTES);
    text_table_init(&reader->texts);
}

void
segment_reader_fini(struct segment_reader *reader)
{
    buf_fini(&reader->window);
    text_table_fini(&reader->texts);
}

void
segment_reader_forget(struct segment_reader *reader)
{
    reader->segment = NULL;
}

/* *ret_span: `bytes` bytes of the segment at `at`, all of them below `limit`. 0; -ERR_AGAIN (the
 * file ends before), -ERR_IO, -ERR_NOMEM. */
static int
reader_span(struct segment_reader *reader, const struct segment *segment, uint32_t limit,
            uint32_t at, size_t bytes, const char **ret_span)
{
    struct buf *window = &reader->window;
    bool inside = reader->segment == segment && at >= reader->window_at &&
                  at + bytes <= reader->window_at + window->len;
    if (!inside) {
        segment_reader_forget(reader);
        window->len = 0;
        int rc = buf_reserve(window, WINDOW_BYTES);
        if (rc != 0)
            return rc;
        size_t want = MIN((size_t)(limit - at), (size_t)WINDOW_BYTES);
        ssize_t got = pread(segment->fd, window->ptr, want, at);
        if (got < 0)
            return -ERR_IO;
        reader->segment = segment;
        reader->window_at = at;
        window->len = (size_t)got;
        if (window->len < bytes)
            return -ERR_AGAIN;
    }
    *ret_span = window->ptr + (at - reader->window_at);
    return 0;
}

int
segment_next(struct segment_reader *reader, const struct segment *segment, uint32_t limit,
             uint32_t *at, struct record_head *ret_head, struct str *ret_payload)
{
    struct record_head head;
    const char *bytes;
    if (*at + sizeof(head) > limit)
        return -ERR_AGAIN;
    int rc = reader_span(reader, segment, limit, *at, sizeof(head), &bytes);
    if (rc != 0)
        return rc;
    memcpy(&head, bytes, sizeof(head));
    if (head.crc == 0 && head.bytes == 0 && head.kind == 0)
        return -ERR_AGAIN; /* preallocated zeros */
    if (head.bytes > JOURNAL_OUTCOME_BYTES_MAX || *at + record_bytes(head.bytes) > limit) {
        segment_reader_forget(reader);
        return -ERR_PARSE;
    }
    rc = reader_span(reader, segment, limit, *at, record_bytes(head.bytes), &bytes);
    if (rc != 0)
        return rc;
    *at += (uint32_t)record_bytes(head.bytes);
    *ret_head = head;
    *ret_payload = str_make(bytes + sizeof(head), head.bytes);
    return 0;
}

int
segment_verify(const struct segment *segment, const struct record_head *head, struct str payload)
{
    return record_crc(segment->salt, head, payload) == head->crc ? 0 : -ERR_PARSE;
}
