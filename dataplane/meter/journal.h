/* SPDX-License-Identifier: MIT
 * journal.h - the usage journal of one worker: append-only, checksummed, preallocated segments.
 * Floor: dataplane/meter; append and commit by its worker; reading, trimming and fdatasync by the
 * sync thread (they share only atomic positions). Owns: the segment files
 * DIR/<epoch>-<stream>-<number>.journal and their descriptors. Invariant: a record that was
 * committed survives SIGKILL at once and power loss after at most 5 ms; whoever was admitted
 * (journal_admit) can always append its outcome: the space is there. Format and proofs:
 * docs/internals/journal.md, journal_test.c. */
#ifndef BERTH_DATAPLANE_METER_JOURNAL_H
#define BERTH_DATAPLANE_METER_JOURNAL_H

#include <stdatomic.h>

#include "lib/base/buf.h"
#include "lib/base/err.h"

#define JOURNAL_SEGMENT_BYTES 4194304u
#define JOURNAL_INTENT_BYTES_MAX 900u
#define JOURNAL_OUTCOME_BYTES_MAX 3000u

#define JOURNAL_SHARED_MAX 3u

struct journal;

/* segment_count_max: bound on disk (x 4 MiB). */
struct journal_conf {
    const char *dir; /* exists; 0700 */
    uint64_t epoch;
    uint32_t stream;
    uint32_t segment_count_max;
};
int journal_open(const struct journal_conf *conf, struct journal **ret_journal,
                 struct err *err) MUST_USE;
void journal_close(struct journal **journal);

/* What an admitted request holds until its end. Zeroed = nothing reserved. */
struct journal_ticket {
    uint64_t request; /* number of the request in this journal; set by journal_admit */
    uint32_t segment; /* where its intent stands */
    bool admitted;
    bool intent;
    uint16_t numbers[JOURNAL_SHARED_MAX]; /* of the texts below, in that segment */
    struct str shared[JOURNAL_SHARED_MAX];
};
/* journal_admit - reserve room for an intent and an outcome. 0, or -ERR_NO_SPACE: refuse the
 * request. */
int journal_admit(struct journal *journal, struct journal_ticket *ret_ticket) MUST_USE;

/* Members of a usage record, without braces and "seq": own, as in "\"id\":\"req_1\",...", and
 * behind it, each with its comma in front, texts that many records share (who pays, which model):
 * the journal writes those once a segment. They are told apart by content; keep each in one place,
 * and it is found quickly. Empty ones are left out. */
struct journal_members {
    struct str own;
    struct str shared[JOURNAL_SHARED_MAX];
};
/* journal_intent - an admitted request goes to a provider: what is known by now, <= 900 bytes in
 * all. The shared texts stay as they are until its outcome. */
void journal_intent(struct journal *journal, struct journal_ticket *ticket,
                    const struct journal_members *members);
/* journal_outcome - its end: all members, <= 3,000 bytes in all. Gives the reservation back.
 * Returns the sequence number (from 1). */
uint64_t journal_outcome(struct journal *journal, struct journal_ticket *ticket,
                         const struct journal_members *members);
/* journal_forget - it never went to a provider: give the reservation back. Harmless when none. */
void journal_forget(struct journal *journal, struct journal_ticket *ticket);
/* journal_commit - write(2) everything appended since the last commit; in the loop's COMMIT phase.
 * On failure the records stay queued and journal_admit refuses until a later commit succeeds. */
void journal_commit(struct journal *journal);
bool journal_dirty(const struct journal *journal);

/* ---- sync thread --------------------------------------------------------------------------------
 */
/* journal_sync - fdatasync when something was written since the last call. 0 or -ERR_IO: nothing is
 * admitted until everything that was written is in the ledger (journal_trim). */
int journal_sync(struct journal *journal) MUST_USE;
/* journal_unsynced - something was written since the last journal_sync. Any thread. */
bool journal_unsynced(const struct journal *journal);
/* journal_read - committed records only: append up to count_max outcome records with seq > after,
 * as a JSON array's elements ("{...},{...}"), at most bytes_max; *ret_count how many, *ret_last the
 * last seq. -ERR_IO, -ERR_NOMEM, -ERR_PARSE: what was appended to out is of no use; try again. */
int journal_read(struct journal *journal, uint64_t after, size_t count_max, size_t bytes_max,
                 struct buf *out, size_t *ret_count, uint64_t *ret_last) MUST_USE;
/* journal_read_shared - the same for one upload: members that records have in common are appended
 * to `shared` once, as "{...},{...}", and named by their place there, from 0, in the last member of
 * each record, "texts":[...]. shared NULL: journal_read. api/plane.md "usage". */
int journal_read_shared(struct journal *journal, uint64_t after, size_t count_max, size_t bytes_max,
                        struct buf *out, struct buf *shared, size_t *ret_count,
                        uint64_t *ret_last) MUST_USE;
/* journal_trim - everything up to seq is in the ledger: drop whole segments; a disk that failed to
 * sync is tried again when nothing depends on it. */
void journal_trim(struct journal *journal, uint64_t seq);
/* journal_fill_percent - how much of the bound on disk is used, 0..100. */
uint32_t journal_fill_percent(struct journal *journal);
uint64_t journal_last(const struct journal *journal);

/* ---- recovery -------------------------------------------------------------------------------- */
/* journal_recover - open what an earlier epoch left: every other epoch's files in dir, one journal
 * object a (epoch, stream), read-only but for interrupted requests: intents without an outcome are
 * appended as outcome "interrupted". fn takes each journal over. The first record that does not
 * verify ends its segment; a file without a good head is removed and counted.
 * -ERR_UNSUPPORTED: a newer version's file is there; nothing was changed in it. */
int journal_recover(const char *dir, uint64_t current_epoch,
                    void (*fn)(struct journal *journal, uint64_t epoch, uint32_t stream,
                               void *user),
                    void *user, uint64_t *ret_bad_segments, struct err *err) MUST_USE;
/* journal_remove - close and delete the files: everything is in the ledger. */
void journal_remove(struct journal **journal);
uint64_t journal_epoch(const struct journal *journal);
uint32_t journal_stream(const struct journal *journal);

#endif
