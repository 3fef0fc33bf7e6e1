/* SPDX-License-Identifier: MIT
 * journal_int.h - segments and records on disk, shared by the files of the journal.
 * Floor: dataplane/meter, private.
 * Owns: nothing.
 * Invariant: a record is 8-byte aligned, starts with its checksum and never crosses a segment; the
 *            zeros of a preallocated tail are not a record. docs/internals/journal.md. */
#ifndef BERTH_DATAPLANE_METER_JOURNAL_INT_H
#define BERTH_DATAPLANE_METER_JOURNAL_INT_H

#include <pthread.h>

#include "dataplane/meter/journal.h"
#include "lib/base/list.h"

/* 02: records may name texts. What 01 wrote reads the same. */
#define SEGMENT_MAGIC_ANY "BERTHJ"
#define SEGMENT_VERSION "02"
#define SEGMENT_VERSION_OLD "01"
#define SEGMENT_MAGIC SEGMENT_MAGIC_ANY SEGMENT_VERSION

/* Little-endian host order: a journal is read on the machine that wrote it. */
struct segment_head {
    char magic[8];
    uint64_t epoch;
    uint32_t stream;
    uint32_t number;
    uint64_t first_seq;
    uint8_t reserved[28];
    uint32_t crc; /* crc32c of the bytes before it */
};
_Static_assert(sizeof(struct segment_head) == 64, "segment_head is a disk format");

/* What waits to be written. When the disk refuses, it may come to be written behind the end of its
 * segment. */
#define PENDING_BYTES_MAX (16u * JOURNAL_SEGMENT_BYTES)

enum record_kind { RECORD_INTENT = 1, RECORD_OUTCOME = 2, RECORD_TEXT = 3 };
struct record_head {
    uint32_t crc; /* crc32c of everything behind it, payload included; starts from the segment's */
    uint32_t bytes;   /* payload */
    uint64_t request; /* texts: their number */
    uint64_t seq;     /* of an outcome, or of the last one before an intent */
    uint16_t kind;
    uint16_t
        shared[JOURNAL_SHARED_MAX]; /* numbers of the texts that follow the payload; 0 = none */
};
_Static_assert(sizeof(struct record_head) == 32, "record_head is a disk format");

struct segment {
    struct list node;
    int fd;
    uint32_t number;
    uint32_t salt; /* crc of its head: records of an earlier use of the file do not verify */
    uint32_t open_intents; /* worker only */
    uint64_t last_seq;     /* of committed outcomes, 0 = none; under the lock */
    _Atomic uint32_t committed;
    char path[512];
};

#define TEXT_SLOT_BITS 6u
#define TEXT_SLOTS (1u << TEXT_SLOT_BITS)
#define TEXTS_MAX 4096u /* in a segment; beyond that they stand in the records themselves */

/* What the worker has written into the current segment: a slot's copy counts while its turn is the
 * table's. */
struct text_slot {
    struct buf copy;
    uint32_t turn;
    uint16_t number;
};
struct journal_texts {
    uint32_t turn;
    uint16_t count;
    struct text_slot slots[TEXT_SLOTS];
};

/* The texts of the segment that is being read, so far: text n ends at ends[n - 1] of bytes. */
struct text_table {
    struct buf bytes;
    struct buf ends; /* uint32_t each */
};

/* Where in an upload the texts of the segment that is being read stand: text n's place is at n - 1.
 * Those beyond, of which there are few, are written out. */
#define PLACES_MAX 256u
struct text_places {
    uint32_t turn;  /* of a segment in an upload: what has another one is not there */
    uint16_t count; /* of the upload */
    struct {
        uint32_t turn;
        uint16_t place;
    } rows[PLACES_MAX];
};

/* Reads a segment through a window, so that many records cost one pread(2). */
struct segment_reader {
    const struct segment *segment;
    struct buf window;
    uint32_t window_at; /* offset of window.ptr[0] */
    struct text_table texts;
};

struct journal {
    char dir[400];
    uint64_t epoch;
    uint32_t stream;
    uint32_t segment_count_max;

    pthread_mutex_t lock;   /* the list of segments and last_seq */
    struct list segments;   /* oldest first; the last one is written to */
    uint32_t segment_count; /* spares included */
    struct segment *current;
    struct list spares; /* preallocated, empty; worker only */
    struct list used;   /* posted, to be used again: their blocks are written, which is cheaper */
    uint32_t used_count;
    uint32_t next_number;

    /* worker only */
    struct buf pending;
    struct journal_texts texts;
    uint32_t at; /* offset in current where pending goes */
    uint64_t next_seq;
    uint64_t next_request;
    uint64_t reserved; /* bytes promised to admitted requests */
    bool failing;

    _Atomic uint64_t last_committed;
    uint32_t synced_number; /* fdatasync thread: the newest segment of its last call */
    _Atomic bool unsynced;
    _Atomic bool sync_failed;
    _Atomic uint64_t posted; /* of the last journal_trim */

    /* reader (sync thread) */
    bool read_begun;
    uint32_t read_number;
    uint32_t read_at;
    uint64_t read_seq;
    uint64_t read_passed; /* seq of the outcome before the cursor; 0: none yet */
    struct segment_reader reader;
    struct text_places places;
};

int segment_create(struct journal *journal, uint32_t number, uint64_t first_seq,
                   struct segment **ret_segment, struct err *err) MUST_USE;
/* segment_reuse - the file of a segment whose records are all posted becomes segment `number`. On
 * failure the segment is closed and its file removed. */
int segment_reuse(struct journal *journal, struct segment **segment, uint32_t number,
                  struct err *err) MUST_USE;
/* segment_open - -ERR_PARSE: it has no head, so that nothing can be in it. Other errors say nothing
 * about what is in it; -ERR_UNSUPPORTED: a newer version wrote it. */
int segment_open(const char *path, struct segment **ret_segment, struct segment_head *ret_head,
                 struct err *err) MUST_USE;
void segment_close(struct segment **segment, bool remove_file);
void segment_reader_init(struct segment_reader *reader);
void segment_reader_fini(struct segment_reader *reader);
/* segment_reader_forget - the next record is read from the file, not from the window. */
void segment_reader_forget(struct segment_reader *reader);
/* segment_next - the record at *at: 0 and advances *at; -ERR_AGAIN at the end or at `limit`;
 * -ERR_PARSE for one that cannot be (looked for in the file the next time); -ERR_IO, -ERR_NOMEM: it
 * may be there. payload: borrowed until the next call. */
int segment_next(struct segment_reader *reader, const struct segment *segment, uint32_t limit,
                 uint32_t *at, struct record_head *ret_head, struct str *ret_payload) MUST_USE;
/* segment_verify - the record that segment_next just returned is whole and of this use of the file:
 * 0 or -ERR_PARSE. For what another run wrote; what this one committed is known to be good. */
int segment_verify(const struct segment *segment, const struct record_head *head,
                   struct str payload) MUST_USE;
/* record_put - append a record whose payload is pieces[count], one behind the other. head: without
 * crc and bytes. */
void record_put(struct buf *out, uint32_t salt, const struct record_head *head,
                const struct str *pieces, size_t count);
static inline size_t
record_bytes(size_t payload_bytes)
{
    return sizeof(struct record_head) + ((payload_bytes + 7u) & ~(size_t)7u);
}

void journal_texts_init(struct journal_texts *texts);
void journal_texts_fini(struct journal_texts *texts);
void journal_texts_roll(struct journal_texts *texts); /* a new segment: none is written yet */
/* journal_text_number - text's number in the current segment, appended to it when new; the room is
 * the caller's care. 0: the table is full or there is no memory: write it out. */
uint16_t journal_text_number(struct journal *journal, struct str text);

void text_table_init(struct text_table *table);
void text_table_fini(struct text_table *table);
void text_table_clear(struct text_table *table); /* at the start of each segment */
/* text_table_note - a RECORD_TEXT was read. 0, -ERR_PARSE (not the next number), -ERR_NOMEM. */
int text_table_note(struct text_table *table, const struct record_head *head,
                    struct str payload) MUST_USE;
/* text_table_get - text `number`, from 1; ptr NULL: there is none. Until the next note. */
struct str text_table_get(const struct text_table *table, uint16_t number);
/* record_members - append an intent's or outcome's members, texts included. 0, -ERR_PARSE (names a
 * text that is not there), -ERR_NOMEM. */
int record_members(const struct text_table *table, const struct record_head *head,
                   struct str payload, struct buf *out) MUST_USE;
/* Allocate an empty journal object, no files. */
int journal_alloc(const char *dir, uint64_t epoch, uint32_t stream, uint32_t segment_count_max,
                  struct journal **ret_journal, struct err *err) MUST_USE;

#endif
