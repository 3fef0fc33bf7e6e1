/* SPDX-License-Identifier: MIT
 * journal_test.c - a committed record survives SIGKILL, is read once and in order, and an admitted
 *                  request always finds room for its outcome.
 * Floor: test.
 * Owns: a temporary folder a case.
 * Invariant: see journal.h. */
#include "dataplane/meter/journal.h"

#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/base/digest.h"
#include "lib/base/num.h"
#include "lib/base/rand.h"
#include "lib/base/str.h"

static char dir[64];

static int
make_dir(void **state)
{
    (void)state;
    (void)snprintf(dir, sizeof(dir), "/tmp/berth-journal-XXXXXX");
    return mkdtemp(dir) == NULL ? -1 : 0;
}

static size_t
files(bool remove_them)
{
    size_t count = 0;
    DIR *handle = opendir(dir);
    struct dirent *entry;
    while ((entry = readdir(handle)) != NULL) {
        if (entry->d_name[0] == '.')
            continue;
        count++;
        if (remove_them) {
            char path[400];
            (void)snprintf(path, sizeof(path), "%s/%s", dir, entry->d_name);
            (void)unlink(path);
        }
    }
    (void)closedir(handle);
    return count;
}

static int
remove_dir(void **state)
{
    (void)state;
    (void)files(true);
    return rmdir(dir);
}

static struct journal *
open_journal(uint64_t epoch, uint32_t segments)
{
    struct journal *journal = NULL;
    struct journal_conf conf = {.dir = dir, .epoch = epoch, .segment_count_max = segments};
    struct err err = {0};
    if (journal_open(&conf, &journal, &err) != 0)
        fail_msg("%s", err.text);
    return journal;
}

static void
intent(struct journal *journal, struct journal_ticket *ticket, struct str own)
{
    const struct journal_members members = {.own = own};
    journal_intent(journal, ticket, &members);
}

static uint64_t
outcome(struct journal *journal, struct journal_ticket *ticket, struct str own)
{
    const struct journal_members members = {.own = own};
    return journal_outcome(journal, ticket, &members);
}

static void
one_request(struct journal *journal, unsigned number, bool finish)
{
    struct journal_ticket ticket;
    char text[64];
    assert_int_equal(journal_admit(journal, &ticket), 0);
    (void)snprintf(text, sizeof(text), "\"id\":\"req_%u\"", number);
    intent(journal, &ticket, str_from(text));
    (void)snprintf(text, sizeof(text), "\"id\":\"req_%u\",\"charge\":\"%u\"", number, number * 7);
    if (finish)
        (void)outcome(journal, &ticket, str_from(text));
}

static void
reads_back_in_order(void **state)
{
    (void)state;
    struct journal *journal = open_journal(1, 4);
    for (unsigned i = 1; i <= 3; i++)
        one_request(journal, i, true);
    struct buf out;
    buf_init(&out, 1u << 20);
    size_t count = 9;
    uint64_t last = 9;
    assert_int_equal(journal_read(journal, 0, 10, 1u << 20, &out, &count, &last), 0);
    assert_int_equal(count, 0); /* nothing committed yet */
    assert_false(journal_unsynced(journal));
    journal_commit(journal);
    assert_true(journal_unsynced(journal));
    assert_int_equal(journal_sync(journal), 0);
    assert_false(journal_unsynced(journal));
    assert_int_equal(journal_read(journal, 0, 2, 1u << 20, &out, &count, &last), 0);
    assert_int_equal(count, 2);
    assert_int_equal(last, 2);
    assert_string_equal(buf_cstr(&out), "{\"seq\":\"1\",\"id\":\"req_1\",\"charge\":\"7\"},"
                                        "{\"seq\":\"2\",\"id\":\"req_2\",\"charge\":\"14\"}");
    out.len = 0;
    assert_int_equal(journal_read(journal, 2, 10, 1u << 20, &out, &count, &last), 0);
    assert_string_equal(buf_cstr(&out), "{\"seq\":\"3\",\"id\":\"req_3\",\"charge\":\"21\"}");
    out.len = 0; /* the connection was lost: once more from the last posted one */
    assert_int_equal(journal_read(journal, 1, 10, 1u << 20, &out, &count, &last), 0);
    assert_int_equal(count, 2);
    buf_fini(&out);
    journal_close(&journal);
}

static void
rolls_trims_and_stays_bounded(void **state)
{
    (void)state;
    struct journal *journal = open_journal(1, 3);
    struct journal_ticket held;
    assert_int_equal(journal_admit(journal, &held), 0);
    intent(journal, &held, STR("\"id\":\"req_held\""));
    char big[2000];
    memset(big, 'x', sizeof(big));
    unsigned done = 0;
    for (;; done++) { /* until the bound refuses */
        struct journal_ticket ticket;
        if (journal_admit(journal, &ticket) != 0)
            break;
        intent(journal, &ticket, str_make(big, 800));
        (void)outcome(journal, &ticket, str_make(big, sizeof(big)));
        if (done % 5 == 0)
            journal_commit(journal);
        assert_true(done < 100000);
    }
    assert_true(done > 3u * JOURNAL_SEGMENT_BYTES / 3100u); /* most of the space was usable */
    uint64_t seq = outcome(journal, &held, str_make(big, sizeof(big))); /* promised */
    assert_int_equal(seq, done + 1);
    journal_commit(journal);
    assert_int_equal(files(false), 3);
    struct buf out;
    buf_init(&out, 64u << 20);
    size_t count = 0;
    uint64_t last = 0;
    assert_int_equal(journal_read(journal, 0, SIZE_MAX, SIZE_MAX, &out, &count, &last), 0);
    assert_int_equal(count, done + 1);
    journal_trim(journal, last);
    assert_true(files(false) <= 3); /* posted files are kept to be used again */
    struct journal_ticket ticket;
    assert_int_equal(journal_admit(journal, &ticket), 0); /* there is room again */
    journal_forget(journal, &ticket);
    buf_fini(&out);
    journal_close(&journal);
}

struct recovered {
    struct journal *journals[8];
    size_t count;
};

static void
take(struct journal *journal, uint64_t epoch, uint32_t stream, void *user)
{
    struct recovered *recovered = user;
    assert_int_equal(epoch, journal_epoch(journal));
    assert_int_equal(stream, journal_stream(journal));
    recovered->journals[recovered->count++] = journal;
}

static struct recovered
recover(uint64_t *ret_bad)
{
    struct recovered recovered = {0};
    struct err err = {0};
    if (journal_recover(dir, 99, take, &recovered, ret_bad, &err) != 0)
        fail_msg("%s", err.text);
    return recovered;
}

static void
killed_process_loses_nothing_committed(void **state)
{
    (void)state;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct journal *journal = open_journal(5, 4);
        for (unsigned i = 1; i <= 1000; i++)
            one_request(journal, i, i != 500 && i != 900);
        journal_commit(journal);
        one_request(journal, 1001, true); /* never committed */
        (void)kill(getpid(), SIGKILL);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    uint64_t bad = 9;
    struct recovered recovered = recover(&bad);
    assert_int_equal(bad, 0);
    assert_int_equal(recovered.count, 1);
    struct journal *journal = recovered.journals[0];
    assert_int_equal(journal_last(journal), 1000); /* 998 outcomes and 2 interrupted */
    struct buf out;
    buf_init(&out, 64u << 20);
    size_t count = 0;
    uint64_t last = 0;
    assert_int_equal(journal_read(journal, 0, SIZE_MAX, SIZE_MAX, &out, &count, &last), 0);
    assert_int_equal(count, 1000);
    assert_true(str_find(buf_str(&out), STR("\"id\":\"req_500\",\"outcome\":\"interrupted\"")) !=
                SIZE_MAX);
    assert_true(str_find(buf_str(&out), STR("\"id\":\"req_900\",\"outcome\":\"interrupted\"")) !=
                SIZE_MAX);
    assert_int_equal(str_find(buf_str(&out), STR("req_1001")), SIZE_MAX);
    buf_fini(&out);
    /* Recovery is idempotent: dying between recovery and upload changes nothing. */
    journal_close(&journal);
    recovered = recover(&bad);
    assert_int_equal(journal_last(recovered.journals[0]), 1000);
    journal_remove(&recovered.journals[0]);
    assert_int_equal(files(false), 0);
}

/* All of it is in one window of the reader: what recovery appends must be seen nevertheless. */
static void
interrupted_in_a_small_journal_is_read(void **state)
{
    (void)state;
    struct journal *journal = open_journal(5, 4);
    one_request(journal, 1, true);
    one_request(journal, 2, false);
    journal_commit(journal);
    journal_close(&journal);
    uint64_t bad = 9;
    struct recovered recovered = recover(&bad);
    assert_int_equal(recovered.count, 1);
    journal = recovered.journals[0];
    struct buf out;
    buf_init(&out, 1u << 20);
    size_t count = 0;
    uint64_t last = 0;
    assert_int_equal(journal_last(journal), 2);
    assert_int_equal(journal_read(journal, 0, 10, 1u << 20, &out, &count, &last), 0);
    assert_int_equal(count, 2);
    assert_non_null(strstr(buf_cstr(&out), "\"id\":\"req_2\",\"outcome\":\"interrupted\""));
    buf_fini(&out);
    journal_remove(&recovered.journals[0]);
}

/* The segment with the outcomes is posted and gone, the next one holds but an intent: its outcome
 * must not get a number that the ledger has seen already. */
static void
interrupted_is_numbered_behind_what_was_trimmed(void **state)
{
    (void)state;
    struct journal *journal = open_journal(5, 4);
    char big[880]; /* so that it is an intent that opens the next segment */
    memset(big, 'x', sizeof(big));
    uint64_t last_seq = 0;
    for (bool rolled = false; !rolled;) {
        struct journal_ticket ticket;
        assert_int_equal(journal_admit(journal, &ticket), 0);
        intent(journal, &ticket, str_make(big, sizeof(big)));
        journal_commit(journal);
        rolled = ticket.segment > 0;
        if (!rolled)
            last_seq = outcome(journal, &ticket, STR("x"));
        journal_commit(journal);
        if (!rolled)
            continue;
        journal_trim(journal, last_seq);
        /* What they may come to write takes the posted file as the next segment. */
        for (unsigned i = 0; i < 1200; i++)
            assert_int_equal(journal_admit(journal, &ticket), 0);
        journal_close(&journal); /* the files stay as a killed process leaves them */
    }
    uint64_t bad = 9;
    struct recovered recovered = recover(&bad);
    assert_int_equal(recovered.count, 1);
    assert_int_equal(journal_last(recovered.journals[0]), last_seq + 1);
    journal_remove(&recovered.journals[0]);
}

/* The same records as one upload: the texts that it lists, put where they are named, make what
 * journal_read gave. */
static void
assert_named_texts(struct journal *journal, uint64_t after, size_t count_max,
                   const struct buf *want)
{
    struct buf out;
    struct buf shared;
    struct buf whole;
    struct str texts[256];
    size_t text_count = 0;
    size_t count = 0;
    uint64_t last = 0;
    buf_init(&out, 1u << 20);
    buf_init(&shared, 1u << 20);
    buf_init(&whole, 1u << 20);
    assert_int_equal(
        journal_read_shared(journal, after, count_max, 1u << 20, &out, &shared, &count, &last), 0);
    assert_true(out.len < want->len && shared.len <= (16u << 10));
    for (struct str rest = buf_str(&shared); rest.len > 0; text_count++) {
        size_t end = str_find_byte(rest, '}');
        assert_true(end != SIZE_MAX && text_count < ARRAY_LEN(texts));
        texts[text_count] = str_make(rest.ptr + 1, end - 1);
        rest = str_skip(rest, MIN(end + 2, rest.len));
    }
    const struct str name = STR(",\"texts\":[");
    struct str rest = buf_str(&out);
    for (size_t at; (at = str_find(rest, name)) != SIZE_MAX;) {
        (void)buf_put(&whole, rest.ptr, at);
        struct str place;
        struct str places = str_skip(rest, at + name.len);
        size_t end = str_find_byte(places, ']');
        rest = str_skip(places, end + 1);
        places.len = end;
        while (places.len > 0) {
            uint64_t number = 0;
            str_cut(places, ',', &place, &places);
            assert_int_equal(num_u64(place, text_count - 1, &number), 0);
            (void)buf_put_byte(&whole, ',');
            (void)buf_put_str(&whole, texts[number]);
        }
    }
    (void)buf_put_str(&whole, rest);
    assert_true(str_eq(buf_str(&whole), buf_str(want)));
    buf_fini(&out);
    buf_fini(&shared);
    buf_fini(&whole);
}

/* Texts that records share are written once a segment, and every reader sees whole members: across
 * segments, from the middle, after a crash, and when there are more texts than the table takes. */
static void
shared_texts_are_whole_again(void **state)
{
    (void)state;
    enum { REQUESTS = 40000, TEXTS = 6000 };
    static char texts[TEXTS][24];
    for (unsigned i = 0; i < TEXTS; i++)
        (void)snprintf(texts[i], sizeof(texts[i]), ",\"key\":\"k%u\"", i);
    struct journal *journal = open_journal(5, 16);
    struct journal_ticket ticket;
    uint64_t bytes = 0;
    for (unsigned i = 1; i <= REQUESTS; i++) {
        char own[64];
        unsigned pick = i < 20000 ? i % 3 : i % TEXTS;
        (void)snprintf(own, sizeof(own), "\"id\":\"req_%u\"", i);
        struct journal_members members = {
            .own = str_from(own), .shared = {str_from(texts[pick]), STR_EMPTY, STR(",\"x\":1")}};
        assert_int_equal(journal_admit(journal, &ticket), 0);
        journal_intent(journal, &ticket, &members);
        members.shared[1] = STR(",\"outcome\":\"completed\"");
        if (i != 777 && i != REQUESTS)
            (void)journal_outcome(journal, &ticket, &members);
        bytes += 2u * (32u + strlen(own) + 40u);
        if (i % 100 == 0)
            journal_commit(journal);
    }
    journal_commit(journal);
    assert_true(files(false) >= 2);
    assert_true((files(false) - 1) * JOURNAL_SEGMENT_BYTES < bytes + bytes / 4u);
    journal_close(&journal);
    uint64_t bad = 9;
    struct recovered recovered = recover(&bad);
    journal = recovered.journals[0];
    assert_int_equal(journal_last(journal), REQUESTS);
    struct buf out;
    buf_init(&out, 64u << 20);
    uint64_t last = 0;
    for (uint64_t after = 0, batch = 0; after < REQUESTS; after = last, batch++) {
        size_t count = 0;
        out.len = 0;
        if (batch == 50) /* the connection was lost: from the start of a segment again */
            assert_int_equal(journal_read(journal, after - 3, 1, 1u << 20, &out, &count, &last), 0);
        out.len = 0;
        assert_int_equal(journal_read(journal, after, 300, 1u << 20, &out, &count, &last), 0);
        assert_int_equal(last, after + count);
        if (batch % 16 == 1 &&
            batch < 65) /* the first texts of a table; later ones are written out */
            assert_named_texts(journal, after, 300, &out);
        struct str rest = buf_str(&out);
        for (uint64_t seq = after + 1; seq <= last && seq <= REQUESTS - 2; seq++) {
            char want[160];
            unsigned i = (unsigned)(seq < 777 ? seq : seq + 1);
            unsigned pick = i < 20000 ? i % 3 : i % TEXTS;
            (void)snprintf(want, sizeof(want), "{\"seq\":\"%llu\",\"id\":\"req_%u\"",
                           (unsigned long long)seq, i);
            assert_true(str_starts(rest, str_from(want)));
            size_t end = str_find_byte(rest, '}');
            struct str one = str_make(rest.ptr, end + 1);
            assert_true(str_find(one, str_from(texts[pick])) != SIZE_MAX);
            assert_true(str_find(one, STR(",\"outcome\":\"completed\"")) != SIZE_MAX);
            assert_true(str_find(one, STR(",\"x\":1")) != SIZE_MAX);
            rest = str_skip(rest, end + 2);
        }
    }
    assert_non_null(strstr(buf_cstr(&out), "\"id\":\"req_777\",\"key\":\"k0\",\"x\":1,"
                                           "\"outcome\":\"interrupted\""));
    buf_fini(&out);
    journal_remove(&recovered.journals[0]);
}

/* What the version before wrote (no texts, the old magic) is read and completed as before. */
static void
journals_of_the_first_format_are_read(void **state)
{
    (void)state;
    static const char hex[] =
        "42455254484a30310500000000000000000000000000000000000000000000000000000000000000"
        "0000000000000000000000000000000000000000bca46aeaf107546f0c0000000100000000000000"
        "00000000000000000100000000000000226964223a227265715f312200000000c3bf1f7d19000000"
        "010000000000000001000000000000000200000000000000226964223a227265715f31222c226368"
        "61726765223a2237220000000000000098e8f3ad0c00000002000000000000000100000000000000"
        "0100000000000000226964223a227265715f322200000000";
    uint8_t old[sizeof(hex) / 2];
    assert_int_equal(hex_decode(str_from(hex), old, sizeof(old)), 0);
    char path[400];
    (void)snprintf(path, sizeof(path), "%s/0000000000000005-0-00000000.journal", dir);
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, old, sizeof(old)), (ssize_t)sizeof(old));
    assert_int_equal(ftruncate(fd, JOURNAL_SEGMENT_BYTES), 0);
    (void)close(fd);
    uint64_t bad = 9;
    struct recovered recovered = recover(&bad);
    assert_int_equal(bad, 0);
    assert_int_equal(recovered.count, 1);
    struct journal *journal = recovered.journals[0];
    struct buf out;
    buf_init(&out, 1u << 20);
    size_t count = 0;
    uint64_t last = 0;
    assert_int_equal(journal_read(journal, 0, 10, 1u << 20, &out, &count, &last), 0);
    assert_int_equal(count, 2);
    assert_non_null(strstr(buf_cstr(&out), "{\"seq\":\"1\",\"id\":\"req_1\",\"charge\":\"7\"},"
                                           "{\"seq\":\"2\",\"id\":\"req_2\",\"outcome\":"));
    buf_fini(&out);
    journal_remove(&recovered.journals[0]);
}

#define REUSE_ROUNDS 40u
#define REUSE_BATCH 200u
#define REUSE_LEFT 50u

static void
write_big(struct journal *journal, unsigned count)
{
    char big[2900];
    memset(big, 'x', sizeof(big));
    for (unsigned i = 0; i < count; i++) {
        struct journal_ticket ticket;
        assert_int_equal(journal_admit(journal, &ticket), 0);
        intent(journal, &ticket, str_make(big, 800));
        (void)outcome(journal, &ticket, str_make(big, sizeof(big)));
    }
    journal_commit(journal);
}

static void
used_files_do_not_bring_old_records_back(void **state)
{
    (void)state;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct journal *journal = open_journal(5, 4);
        for (unsigned round = 1; round <= REUSE_ROUNDS; round++) {
            write_big(journal, REUSE_BATCH);
            journal_trim(journal, (uint64_t)round * REUSE_BATCH);
        }
        write_big(journal, REUSE_LEFT);
        (void)kill(getpid(), SIGKILL);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    assert_true(files(false) <= 4);
    uint64_t bad = 9;
    struct recovered recovered = recover(&bad);
    assert_int_equal(recovered.count, 1);
    struct journal *journal = recovered.journals[0];
    uint64_t posted = (uint64_t)REUSE_ROUNDS * REUSE_BATCH;
    assert_int_equal(journal_last(journal), posted + REUSE_LEFT);
    struct buf out;
    buf_init(&out, 64u << 20);
    size_t count = 0;
    uint64_t last = 0;
    assert_int_equal(journal_read(journal, posted, SIZE_MAX, SIZE_MAX, &out, &count, &last), 0);
    assert_int_equal(count, REUSE_LEFT);
    assert_int_equal(last, posted + REUSE_LEFT);
    buf_fini(&out);
    journal_remove(&recovered.journals[0]);
}

static void
damaged_files_are_survived(void **state)
{
    (void)state;
    for (unsigned seed = 1; seed <= 300; seed++) {
        rand_seed(seed);
        struct journal *journal = open_journal(7, 4);
        for (unsigned i = 1; i <= 20; i++)
            one_request(journal, i, true);
        journal_close(&journal);
        DIR *handle = opendir(dir);
        struct dirent *entry;
        char path[400] = "";
        while ((entry = readdir(handle)) != NULL) {
            if (strstr(entry->d_name, "00000000.journal") != NULL)
                (void)snprintf(path, sizeof(path), "%s/%s", dir, entry->d_name);
        }
        (void)closedir(handle);
        int fd = open(path, O_RDWR);
        assert_true(fd >= 0);
        for (unsigned n = 0; n < 3; n++) {
            uint8_t byte = (uint8_t)rand_below(256);
            assert_int_equal(pwrite(fd, &byte, 1, (off_t)rand_below(3000)), 1);
        }
        if (seed % 3 == 0)
            assert_int_equal(ftruncate(fd, (off_t)rand_below(3000)), 0);
        (void)close(fd);
        uint64_t bad = 0;
        struct recovered recovered = recover(&bad);
        for (size_t i = 0; i < recovered.count; i++) {
            assert_true(journal_last(recovered.journals[i]) <= 20);
            journal_remove(&recovered.journals[i]);
        }
        (void)files(true);
    }
    rand_seed(0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(reads_back_in_order, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(rolls_trims_and_stays_bounded, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(killed_process_loses_nothing_committed, make_dir,
                                        remove_dir),
        cmocka_unit_test_setup_teardown(interrupted_in_a_small_journal_is_read, make_dir,
                                        remove_dir),
        cmocka_unit_test_setup_teardown(interrupted_is_numbered_behind_what_was_trimmed, make_dir,
                                        remove_dir),
        cmocka_unit_test_setup_teardown(shared_texts_are_whole_again, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(journals_of_the_first_format_are_read, make_dir,
                                        remove_dir),
        cmocka_unit_test_setup_teardown(used_files_do_not_bring_old_records_back, make_dir,
                                        remove_dir),
        cmocka_unit_test_setup_teardown(damaged_files_are_survived, make_dir, remove_dir),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
