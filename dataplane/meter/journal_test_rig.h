/* SPDX-License-Identifier: MIT
 * journal_test_rig.h - a life of a journal, a ledger that takes what it reads, and what must hold
 *                      of the two after a death at any point.
 * Floor: dataplane/meter tests.
 * Owns: a folder under /tmp; memory that a child shares.
 * Invariant: see journal.h. */
#ifndef BERTH_DATAPLANE_METER_JOURNAL_TEST_RIG_H
#define BERTH_DATAPLANE_METER_JOURNAL_TEST_RIG_H

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "dataplane/meter/journal.h"
#include "lib/base/kill_test_rig.h"
#include "lib/base/num.h"
#include "lib/base/str.h"

enum { LIFE_REQUESTS = 6000, LIFE_SEGMENTS = 4, LIFE_EPOCH = 5 };

/* What was answered, and the ledger: seq by seq, each once. */
struct life {
    uint64_t mark; /* of the ledger */
    uint32_t requests;
    uint32_t synced;                 /* requests below are on disk, power or not */
    uint8_t intended[LIFE_REQUESTS]; /* 1: its intent is committed: it went to a provider */
    uint8_t answered[LIFE_REQUESTS]; /* 1: its outcome is committed: the client has its answer */
    uint8_t charged[LIFE_REQUESTS];
    uint8_t ended[LIFE_REQUESTS]; /* records of it, interrupted ones too */
};
static struct life *life;
static char life_dir[64];
static bool life_lossy; /* of a power loss: what was not synced may be lost, but nothing else */

static inline void
life_folder_empty(void)
{
    char path[400];
    DIR *handle = opendir(life_dir);
    assert_non_null(handle);
    for (struct dirent *entry; (entry = readdir(handle)) != NULL;) {
        (void)snprintf(path, sizeof path, "%s/%s", life_dir, entry->d_name);
        if (entry->d_name[0] != '.')
            assert_int_equal(unlink(path), 0);
    }
    (void)closedir(handle);
}

/* As usage_apply does it: a list goes on from the mark, without holes. */
static inline void
ledger_take(struct str list)
{
    uint64_t before = 0;
    while (list.len > 0) {
        uint64_t seq = 0;
        uint64_t request = 0;
        struct str rest;
        struct str number;
        if (!str_starts(list, STR("{\"seq\":\"")))
            fail_msg("not a record: %.60s", list.ptr);
        size_t end = str_find(str_skip(list, 1), STR("{\"seq\":\""));
        struct str record = end == SIZE_MAX ? list : str_make(list.ptr, end + 1);
        list = str_skip(list, record.len);
        assert_true(str_cut(str_skip(record, 8), '"', &number, &rest));
        assert_int_equal(num_u64(number, UINT64_MAX, &seq), 0);
        if (before != 0 && seq != before + 1)
            fail_msg("record %llu follows %llu", (unsigned long long)seq,
                     (unsigned long long)before);
        if (before == 0 && seq > life->mark + 1)
            fail_msg("record %llu, the ledger is at %llu", (unsigned long long)seq,
                     (unsigned long long)life->mark);
        before = seq;
        if (seq <= life->mark)
            continue;
        life->mark = seq;
        size_t id = str_find(record, STR("\"id\":\"req_"));
        if (id == SIZE_MAX && life_lossy)
            continue; /* stands for one that was lost */
        assert_true(id != SIZE_MAX && str_cut(str_skip(record, id + 10), '"', &number, &rest));
        assert_int_equal(num_u64(number, LIFE_REQUESTS - 1, &request), 0);
        life->ended[request]++;
        if (str_find(record, STR("\"outcome\":\"interrupted\"")) == SIZE_MAX)
            life->charged[request]++;
    }
}

/* Everything that a journal has, as the sync thread ships it; from the start, or from the mark. */
static inline void
life_upload(struct journal *journal, uint64_t after)
{
    struct buf out;
    buf_init(&out, 64u << 20);
    for (size_t count = 1; count > 0;) {
        out.len = 0;
        assert_int_equal(journal_read(journal, after, 500, 1u << 20, &out, &count, &after), 0);
        ledger_take(buf_str(&out));
    }
    buf_fini(&out);
    journal_trim(journal, life->mark);
}

static inline void
life_took(struct journal *journal, uint64_t epoch, uint32_t stream, void *user)
{
    (void)user;
    assert_true(epoch == LIFE_EPOCH && stream == 0);
    life_upload(journal, 0);
    assert_true(journal_last(journal) <= life->mark);
    journal_remove(&journal);
}

static inline void
life_recover(void)
{
    uint64_t bad;
    struct err err = {0};
    if (journal_recover(life_dir, 99, life_took, NULL, &bad, &err) != 0)
        fail_msg("%s", err.text);
}

/* Requests, two commits every `batch` of them. One in forty never ends. */
static inline void
life_requests(struct journal *journal, uint32_t count, uint32_t batch, size_t fill)
{
    static char big[2600];
    static const char wallet[] = ",\"wallet\":\"default\"";
    static const char model[] = ",\"model\":\"openai/gpt-4o-mini\"";
    memset(big, 'x', sizeof big);
    for (uint32_t i = 0; i < count; i += batch) {
        struct journal_ticket tickets[64];
        char own[2700];
        struct journal_members members = {.shared = {str_from(wallet), str_from(model), STR_EMPTY}};
        uint32_t first = life->requests;
        assert_true(batch <= 64 && first + batch < LIFE_REQUESTS);
        for (uint32_t k = 0; k < batch; k++) {
            members.own =
                str_make(own, (size_t)snprintf(own, sizeof own, "\"id\":\"req_%u\"", first + k));
            assert_int_equal(journal_admit(journal, &tickets[k]), 0);
            journal_intent(journal, &tickets[k], &members);
        }
        life->requests += batch;
        journal_commit(journal);
        memset(life->intended + first, 1, batch);
        for (uint32_t k = 0; k < batch; k++) {
            members.own =
                str_make(own, (size_t)snprintf(own, sizeof own, "\"id\":\"req_%u\",\"x\":\"%.*s\"",
                                               first + k, (int)fill, big));
            if ((first + k) % 40 != 39)
                (void)journal_outcome(journal, &tickets[k], &members);
        }
        journal_commit(journal);
        for (uint32_t k = 0; k < batch; k++)
            life->answered[first + k] = (first + k) % 40 != 39;
        if (i / batch % 3 == 2) {
            assert_int_equal(journal_sync(journal), 0);
            life->synced = life->requests;
        }
    }
}

/* Open; small requests; two rolls; upload and trim; rolls into files that are used again; a stop;
 * recovery and removal by the next process. */
static inline void
life_work(void)
{
    struct journal *journal = NULL;
    const struct journal_conf conf = {
        .dir = life_dir, .epoch = LIFE_EPOCH, .segment_count_max = LIFE_SEGMENTS};
    struct journal_ticket held;
    struct journal_ticket never;
    assert_int_equal(journal_open(&conf, &journal, NULL), 0);
    life_requests(journal, 20, 1, 10);
    assert_int_equal(journal_admit(journal, &never), 0);
    journal_forget(journal, &never);
    for (unsigned round = 0; round < 3; round++) {
        assert_int_equal(journal_admit(journal, &held), 0);
        life_requests(journal, 1600, 64, 2560);
        life_upload(journal, life->mark);
        life_requests(journal, 10, 1, 300);
        journal_forget(journal, &held);
    }
    journal_close(&journal);
    life_recover();
}

/* After a death: the next process finishes everything, and this holds. */
static inline void
life_check(void)
{
    life_recover();
    for (uint32_t i = 0; i < life->requests; i++) {
        bool must = !life_lossy || i < life->synced;
        /* Posted, lost from the disk and found open: listed again, and costs nothing. */
        if (life->charged[i] > 1 || life->ended[i] > (life_lossy ? 2 : 1))
            fail_msg("request %u: %u charges, %u records", i, life->charged[i], life->ended[i]);
        if (must && life->answered[i] && life->charged[i] != 1)
            fail_msg("request %u was answered and is lost", i);
        /* Its number may have been posted for another one that the power took: no money was due. */
        if (!life_lossy && life->intended[i] && life->ended[i] == 0)
            fail_msg("request %u went out and has no end", i);
    }
}

#endif
