/* SPDX-License-Identifier: MIT
 * journal_files_test.c - the folder of a journal: what a start finds there, in whatever state a
 *            crash, a lost disk or a person left it.
 * Floor: dataplane/meter tests.
 * Owns: a folder under /tmp.
 * Invariant: see journal.h. */
#include "dataplane/meter/journal_int.h"

#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/base/digest.h"
#include "lib/base/num.h"

#define LONG_NAME "1-0-00000000000000000000000000000000000000000000000000000000001.journal"

enum { TEXT_COUNT = PLACES_MAX + 44 };

static char dir[64];

static char *
path_of(const char *name)
{
    static char path[512];
    (void)snprintf(path, sizeof path, "%s/%s", dir, name);
    return path;
}

static size_t
files(bool remove_them)
{
    size_t count = 0;
    DIR *handle = opendir(dir);
    assert_non_null(handle);
    for (struct dirent *entry; (entry = readdir(handle)) != NULL;) {
        count += entry->d_name[0] != '.';
        if (entry->d_name[0] != '.' && remove_them)
            assert_int_equal(unlink(path_of(entry->d_name)), 0);
    }
    (void)closedir(handle);
    return count;
}

static void
make_file(const char *name)
{
    int fd = open(path_of(name), O_CREAT | O_RDWR, 0600);
    assert_true(fd >= 0);
    (void)close(fd);
}

static struct journal *
open_journal(uint64_t epoch, uint32_t stream, uint32_t segments)
{
    struct journal *journal = NULL;
    struct err err = {0};
    const struct journal_conf conf = {
        .dir = dir, .epoch = epoch, .stream = stream, .segment_count_max = segments};
    if (journal_open(&conf, &journal, &err) != 0)
        fail_msg("%s", err.text);
    return journal;
}

/* Outcomes of `bytes` each, with an intent or without one. */
static void
requests(struct journal *journal, unsigned count, size_t bytes, bool intents)
{
    static char own[3000];
    memset(own, 'x', sizeof own);
    for (unsigned i = 0; i < count; i++) {
        struct journal_ticket ticket;
        struct journal_members members = {.own = STR("\"id\":1")};
        assert_int_equal(journal_admit(journal, &ticket), 0);
        if (intents)
            journal_intent(journal, &ticket, &members);
        memcpy(own, "\"id\":\"", 6);
        own[bytes - 1] = '"';
        members.own = str_make(own, bytes);
        (void)journal_outcome(journal, &ticket, &members);
        journal_commit(journal);
    }
}

static char taken[256];
static struct journal *last_taken;

static void
take(struct journal *journal, uint64_t epoch, uint32_t stream, void *user)
{
    size_t at = strlen(taken);
    (void)user;
    assert_true(journal_epoch(journal) == epoch && journal_stream(journal) == stream);
    (void)snprintf(taken + at, sizeof taken - at, "%llu/%u/%llu ", (unsigned long long)epoch,
                   stream, (unsigned long long)journal_last(journal));
    journal_remove(&last_taken);
    last_taken = journal;
}

/* "epoch/stream/last " of each journal, in order. */
static const char *
recover(uint64_t current, uint64_t want_bad)
{
    uint64_t bad = 0;
    struct err err = {0};
    taken[0] = '\0';
    if (journal_recover(dir, current, take, NULL, &bad, &err) != 0)
        fail_msg("%s", err.text);
    assert_int_equal(bad, want_bad);
    return taken;
}

static void
test_epochs_and_streams(void **state)
{
    static const uint64_t made[][2] = {{5, 1}, {4, 0}, {5, 0}, {6, 0},
                                       {4, 2}, {2, 0}, {3, 0}, {1, 0}};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(made); i++) {
        struct journal *journal = open_journal(made[i][0], (uint32_t)made[i][1], 2);
        requests(journal, (unsigned)i + 1, 20, i % 2 == 0);
        journal_close(&journal);
    }
    assert_string_equal(recover(6, 0), "1/0/8 2/0/6 3/0/7 4/0/2 4/2/5 5/0/3 5/1/1 ");
    journal_remove(&last_taken);
    journal_remove(&last_taken);
    assert_int_equal(files(true), 1);
}

/* Only what is named as ours is; of that, what never got its head is removed. */
static void
test_names(void **state)
{
    static const char *const others[] = {"notes.txt",
                                         "x.journal",
                                         "1.journal",
                                         "1-2.journal",
                                         "g-0-00000001.journal",
                                         "1-x-00000001.journal",
                                         "1-4294967296-00000001.journal",
                                         "1-0-x.journal",
                                         "1-0-.journal",
                                         LONG_NAME};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(others); i++)
        make_file(others[i]);
    for (unsigned i = 0; i < 40; i++) {
        char name[64];
        (void)snprintf(name, sizeof name, "3-%u-%08u.journal", i / 20, i);
        make_file(name);
    }
    assert_string_equal(recover(9, 40), "3/0/0 3/1/0 ");
    journal_remove(&last_taken);
    assert_int_equal(files(true), ARRAY_LEN(others));
    uint64_t bad;
    struct err err = {0};
    assert_int_equal(journal_recover("/nonexistent/journal", 9, take, NULL, &bad, &err), -ERR_IO);
    char long_dir[420];
    memset(long_dir, 'd', sizeof long_dir - 1);
    long_dir[sizeof long_dir - 1] = '\0';
    struct journal *journal = NULL;
    const struct journal_conf conf = {.dir = long_dir, .epoch = 1, .segment_count_max = 1};
    assert_int_equal(journal_open(&conf, &journal, &err), -ERR_TOO_LARGE);
    assert_non_null(strstr(err.text, "too long"));
}

/* All that is left of a journal, read `count_max` at a time; how many of it are lost. */
static void
read_all(struct journal *journal, size_t count_max, uint64_t *ret_first, uint64_t *ret_last,
         unsigned *ret_lost)
{
    struct buf out;
    uint64_t after = 0;
    uint64_t before = 0;
    buf_init(&out, 64u << 20);
    *ret_lost = 0;
    *ret_first = 0;
    for (size_t count = 1; count > 0;) {
        out.len = 0;
        assert_int_equal(journal_read(journal, after, count_max, 1u << 20, &out, &count, &after),
                         0);
        assert_true(count <= count_max);
        struct str list = buf_str(&out);
        for (size_t i = 0; i < count; i++) {
            uint64_t seq;
            struct str digits;
            struct str rest;
            assert_true(str_cut(str_skip(list, 8), '"', &digits, &rest));
            assert_int_equal(num_u64(digits, UINT64_MAX, &seq), 0);
            size_t size = str_find(str_skip(list, 1), STR("{\"seq\""));
            struct str one = size == SIZE_MAX ? list : str_make(list.ptr, size + 1);
            assert_true(before == 0 || seq == before + 1);
            *ret_first = before == 0 ? seq : *ret_first;
            *ret_lost += str_find(one, STR("\"evidence\":\"lost\"")) != SIZE_MAX;
            before = seq;
            list = str_skip(list, one.len);
        }
    }
    assert_true(before == 0 || before == after);
    *ret_last = before;
    buf_fini(&out);
}

/* The middle of three files is gone: what was in it is listed as lost, without holes. */
static void
test_hole(void **state)
{
    static const size_t at_once[] = {1, 7, 100, 1000000};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(at_once); i++) {
        struct journal *journal = open_journal(3, 0, 8);
        uint64_t first;
        uint64_t last;
        unsigned lost;
        requests(journal, 4000, 2900, i % 2 == 0);
        journal_close(&journal);
        assert_int_equal(files(false), 3);
        assert_int_equal(unlink(path_of("0000000000000003-0-00000001.journal")), 0);
        /* with an intent whose outcome went with it: interrupted */
        assert_string_equal(recover(9, 0), i % 2 == 0 ? "3/0/4001 " : "3/0/4000 ");
        read_all(last_taken, at_once[i], &first, &last, &lost);
        if (first != 1 || last != (i % 2 == 0 ? 4001u : 4000u) || lost < 1000 || lost > 1500)
            fail_msg("%zu at once: %llu to %llu, %u lost", at_once[i], (unsigned long long)first,
                     (unsigned long long)last, lost);
        journal_remove(&last_taken);
        assert_int_equal(files(true), 0);
    }
}

/* A file that was to be used again: its new name is there, its new head is not, or the other way
 * round. */
static void
test_reused(void **state)
{
    struct journal *journal = open_journal(3, 0, 8);
    uint64_t first;
    uint64_t last;
    unsigned lost;
    char to[512];
    (void)state;
    requests(journal, 4000, 2900, false);
    journal_close(&journal);
    assert_int_equal(unlink(path_of("0000000000000003-0-00000000.journal")), 0);
    (void)snprintf(to, sizeof to, "%s", path_of("0000000000000003-0-00000000.journal"));
    assert_int_equal(rename(path_of("0000000000000003-0-00000002.journal"), to), 0);
    assert_string_equal(recover(9, 0), "3/0/4000 ");
    read_all(last_taken, 500, &first, &last, &lost);
    assert_true(first > 1000 && last == 4000 && lost == 0);
    journal_close(&last_taken);
    /* its records are posted, or it would not have been renamed */
    (void)snprintf(to, sizeof to, "%s", path_of("0000000000000003-0-00000007.journal"));
    assert_int_equal(rename(path_of("0000000000000003-0-00000001.journal"), to), 0);
    (void)recover(9, 0);
    read_all(last_taken, 500, &first, &last, &lost);
    assert_true(first > 2000 && last == 4000);
    journal_remove(&last_taken);
    assert_int_equal(files(true), 0);
}

/* More files than are kept to be written again; and an intent that is open holds its file. */
static void
test_trim(void **state)
{
    struct journal *journal = open_journal(3, 0, 40);
    struct journal_ticket open;
    const struct journal_members members = {.own = STR("\"id\":1")};
    (void)state;
    assert_int_equal(journal_admit(journal, &open), 0);
    journal_intent(journal, &open, &members);
    requests(journal, 20 * 1420, 2900, false);
    size_t before = files(false);
    assert_true(before >= 20);
    journal_trim(journal, journal_last(journal));
    assert_int_equal(files(false), before); /* the first is held, and all behind it */
    (void)journal_outcome(journal, &open, &members);
    journal_commit(journal);
    journal_trim(journal, 1);
    assert_int_equal(files(false), before);
    journal_trim(journal, journal_last(journal));
    assert_true(files(false) >= 17 && files(false) < before);
    assert_true(journal_fill_percent(journal) < 15);
    journal_remove(&journal);
    journal_remove(&journal);
    assert_int_equal(files(true), 0);
}

/* Records that check, and that no journal wrote: the first that cannot be ends the file. */
static void
test_records(void **state)
{
    static const struct record_head heads[] = {
        {.kind = RECORD_TEXT, .request = 2},               /* not the next text */
        {.kind = RECORD_OUTCOME, .seq = 2, .shared = {1}}, /* names a text that is not there */
        {.kind = RECORD_INTENT, .request = 7, .shared = {9, 1}}, /* likewise */
    };
    static const struct record_head torn[] = {{.bytes = 5},
                                              {.kind = 1},
                                              {.crc = 5, .bytes = JOURNAL_OUTCOME_BYTES_MAX + 1},
                                              {.crc = 5, .bytes = 5}};
    const struct str own = STR("\"id\":\"1\"");
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(heads) + ARRAY_LEN(torn); i++) {
        struct segment_head head = {.epoch = 3, .number = 0, .first_seq = 1};
        struct record_head good = {.kind = RECORD_OUTCOME, .seq = 1};
        struct buf out;
        uint64_t first;
        uint64_t last;
        unsigned lost;
        memcpy(head.magic, SEGMENT_MAGIC, sizeof head.magic);
        head.crc = digest_crc32c(0, &head, offsetof(struct segment_head, crc));
        buf_init(&out, 1u << 20);
        (void)buf_put(&out, &head, sizeof head);
        record_put(&out, head.crc, &good, &own, 1);
        if (i < ARRAY_LEN(heads))
            record_put(&out, head.crc, &heads[i], &own, 1);
        else
            (void)buf_put(&out, &torn[i - ARRAY_LEN(heads)], sizeof torn[0]);
        good.seq = 3;
        record_put(&out, head.crc, &good, &own, 1); /* nobody comes here */
        make_file("0000000000000003-0-00000000.journal");
        int fd = open(path_of("0000000000000003-0-00000000.journal"), O_RDWR);
        assert_int_equal(write(fd, out.ptr, out.len), (ssize_t)out.len);
        (void)close(fd);
        buf_fini(&out);
        (void)recover(9, 0);
        read_all(last_taken, 10, &first, &last, &lost);
        if (first != 1 || last != 1)
            fail_msg("record %zu: %llu to %llu", i, (unsigned long long)first,
                     (unsigned long long)last);
        journal_remove(&last_taken);
        assert_int_equal(files(true), 0);
    }
}

/* What is read is not what was committed: the rest of that file is not read. And a file that is
 * there is nobody's to take. */
static void
test_damage_while_open(void **state)
{
    struct journal *journal = open_journal(3, 0, 4);
    struct record_head head;
    struct buf out;
    size_t count;
    uint64_t first;
    uint64_t last;
    unsigned lost;
    (void)state;
    buf_init(&out, 4096);
    requests(journal, 3, 100, false);
    int fd = open(path_of("0000000000000003-0-00000000.journal"), O_RDWR);
    off_t second = (off_t)(sizeof(struct segment_head) + record_bytes(100));
    assert_int_equal(pread(fd, &head, sizeof head, second), (ssize_t)sizeof head);
    assert_int_equal(head.seq, 2);
    struct record_head bad = head;
    bad.bytes = JOURNAL_OUTCOME_BYTES_MAX;
    assert_int_equal(pwrite(fd, &bad, sizeof bad, second), (ssize_t)sizeof bad);
    read_all(journal, 10, &first, &last, &lost);
    assert_true(first == 1 && last == 1);
    /* The disk had a bad moment: what it says now counts, not what was read then. */
    assert_int_equal(pwrite(fd, &head, sizeof head, second), (ssize_t)sizeof head);
    (void)close(fd);
    assert_int_equal(journal_read(journal, 1, 9, 4096, &out, &count, &last), 0);
    assert_true(count == 2 && last == 3);
    buf_fini(&out);
    struct journal *other = NULL;
    const struct journal_conf conf = {.dir = dir, .epoch = 3, .segment_count_max = 4};
    assert_int_not_equal(journal_open(&conf, &other, NULL), 0);
    assert_int_equal(files(false), 1);
    journal_remove(&journal);
}

/* Texts are told apart by what they are, not by where they stand. */
static void
test_texts_at_one_place(void **state)
{
    static const char text[] = ",\"wallet\":\"a\",\"more\":1";
    struct journal *journal = open_journal(3, 0, 4);
    struct journal_ticket ticket;
    struct journal_members members = {.own = STR("\"id\":1"), .shared = {str_from(text)}};
    struct buf out;
    size_t count;
    uint64_t last;
    (void)state;
    assert_int_equal(journal_admit(journal, &ticket), 0);
    journal_intent(journal, &ticket, &members);
    members.shared[0] = str_make(text, 13);
    (void)journal_outcome(journal, &ticket, &members);
    journal_commit(journal);
    buf_init(&out, 1024);
    assert_int_equal(journal_read(journal, 0, 9, 1024, &out, &count, &last), 0);
    assert_string_equal(buf_cstr(&out), "{\"seq\":\"1\",\"id\":1,\"wallet\":\"a\"}");
    buf_fini(&out);
    journal_remove(&journal);
}

/* A record names a text that is not there: it is not told by half, and not counted as told. */
static void
test_names_a_text_that_is_gone(void **state)
{
    struct journal *journal = open_journal(3, 0, 4);
    struct record_head head;
    struct buf out;
    struct buf shared;
    size_t count = 7;
    uint64_t last = 7;
    (void)state;
    requests(journal, 1, 100, false);
    int fd = open(path_of("0000000000000003-0-00000000.journal"), O_RDWR);
    off_t at = (off_t)sizeof(struct segment_head);
    assert_int_equal(pread(fd, &head, sizeof head, at), (ssize_t)sizeof head);
    struct record_head bad = head;
    bad.shared[0] = 9;
    assert_int_equal(pwrite(fd, &bad, sizeof bad, at), (ssize_t)sizeof bad);
    buf_init(&out, 4096);
    buf_init(&shared, 4096);
    assert_int_equal(journal_read(journal, 0, 9, 4096, &out, &count, &last), -ERR_PARSE);
    assert_int_equal(journal_read_shared(journal, 0, 9, 4096, &out, &shared, &count, &last),
                     -ERR_PARSE);
    assert_true(count == 7 && last == 7 && shared.len == 0);
    /* It is all read anew, from the file. */
    assert_int_equal(pwrite(fd, &head, sizeof head, at), (ssize_t)sizeof head);
    (void)close(fd);
    out.len = 0;
    assert_int_equal(journal_read(journal, 0, 9, 4096, &out, &count, &last), 0);
    assert_true(count == 1 && last == 1);
    buf_fini(&out);
    buf_fini(&shared);
    journal_remove(&journal);
}

/* What an upload cannot name, it writes out: the text of a record is the same either way. */
static void
test_texts_written_out(void **state)
{
    static char big[TEXT_COUNT][1100];
    static const struct {
        const char *name;
        unsigned count;
        char first;
        size_t bytes;  /* of each text */
        unsigned want; /* how many of them the upload names */
    } rows[] = {
        {"few", 3, ',', 40, 3},
        {"more than the list holds", 20, ',', 1000, 16},
        {"more than have a place", TEXT_COUNT, ',', 20, 256},
        {"no text that a list could have", 1, ',', 1, 0},
        {"nor this one", 1, ' ', 9, 0},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct journal *journal = open_journal(3, 0, 4);
        struct buf out;
        struct buf shared;
        size_t count = 0;
        uint64_t last = 0;
        for (unsigned n = 0; n < rows[i].count; n++) {
            struct journal_ticket ticket;
            (void)snprintf(big[n], sizeof big[n], ",\"k%03u\":\"%01000u", n, 0u);
            big[n][rows[i].bytes - 1] = '"';
            big[n][0] = rows[i].first;
            const struct journal_members members = {.own = STR("\"id\":1"),
                                                    .shared = {str_make(big[n], rows[i].bytes)}};
            assert_int_equal(journal_admit(journal, &ticket), 0);
            (void)journal_outcome(journal, &ticket, &members);
        }
        journal_commit(journal);
        buf_init(&out, 1u << 20);
        buf_init(&shared, 1u << 20);
        assert_int_equal(
            journal_read_shared(journal, 0, SIZE_MAX, SIZE_MAX, &out, &shared, &count, &last), 0);
        assert_int_equal(count, rows[i].count);
        unsigned named = 0;
        for (unsigned n = 0; n < rows[i].count; n++) {
            struct str text = str_make(big[n], rows[i].bytes);
            bool listed = str_find(buf_str(&shared), str_skip(text, 1)) != SIZE_MAX;
            bool written = str_find(buf_str(&out), text) != SIZE_MAX;
            if (rows[i].bytes > 1 && listed == written)
                fail_msg("%s: text %u is %s", rows[i].name, n, listed ? "twice there" : "gone");
            named += rows[i].bytes > 1 && listed;
        }
        if (named != rows[i].want)
            fail_msg("%s: %u named", rows[i].name, named);
        buf_fini(&out);
        buf_fini(&shared);
        journal_remove(&journal);
        assert_int_equal(files(true), 0);
    }
}

/* Whatever room there is for an upload: it is whole, or it is refused and read again. */
static void
test_upload_without_room(void **state)
{
    static const char text[] = ",\"wallet\":\"a\"";
    static const char want[] = "{\"seq\":\"1\",\"id\":1,\"texts\":[0]}";
    struct journal *journal = open_journal(3, 0, 4);
    struct journal_ticket ticket;
    const struct journal_members members = {.own = STR("\"id\":1"), .shared = {str_from(text)}};
    unsigned whole = 0;
    (void)state;
    assert_int_equal(journal_admit(journal, &ticket), 0);
    (void)journal_outcome(journal, &ticket, &members);
    journal_commit(journal);
    for (size_t room = 1; room <= sizeof want + 1; room++) {
        for (size_t shared_room = 1; shared_room <= sizeof text + 1; shared_room++) {
            struct buf out;
            struct buf shared;
            size_t count = 0;
            uint64_t last = 0;
            buf_init(&out, room);
            buf_init(&shared, shared_room);
            int rc = journal_read_shared(journal, 0, 9, 9, &out, &shared, &count, &last);
            assert_int_equal(rc, out.failed || shared.failed ? -ERR_NOMEM : 0);
            if (rc == 0) {
                assert_string_equal(buf_cstr(&out), want);
                assert_true(str_eq(buf_str(&shared), STR("{\"wallet\":\"a\"}")));
                assert_int_equal(last, 1);
                whole++;
            }
            buf_fini(&out);
            buf_fini(&shared);
        }
    }
    assert_in_range(whole, 1, 20);
    journal_remove(&journal);
}

/* A newer version's file holds money: nobody who cannot read it starts, and it stays as it is. What
 * is no journal at all is removed. */
static void
test_newer_version(void **state)
{
    static const char *const name = "0000000000000003-0-00000000.journal";
    struct segment_head head;
    uint64_t bad;
    struct err err = {0};
    (void)state;
    struct journal *journal = open_journal(3, 0, 2);
    requests(journal, 1, 20, false);
    journal_close(&journal);
    int fd = open(path_of(name), O_RDWR);
    assert_int_equal(pread(fd, &head, sizeof head, 0), (ssize_t)sizeof head);
    head.magic[7] = '3';
    head.crc = digest_crc32c(0, &head, offsetof(struct segment_head, crc));
    assert_int_equal(pwrite(fd, &head, sizeof head, 0), (ssize_t)sizeof head);
    assert_int_equal(journal_recover(dir, 9, take, NULL, &bad, &err), -ERR_UNSUPPORTED);
    assert_non_null(strstr(err.text, "newer version"));
    assert_int_equal(files(false), 1);
    head.magic[0] = 'b';
    head.crc = digest_crc32c(0, &head, offsetof(struct segment_head, crc));
    assert_int_equal(pwrite(fd, &head, sizeof head, 0), (ssize_t)sizeof head);
    (void)close(fd);
    assert_string_equal(recover(9, 1), "3/0/0 ");
    journal_remove(&last_taken);
    assert_int_equal(files(true), 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_epochs_and_streams),
                                       cmocka_unit_test(test_names),
                                       cmocka_unit_test(test_hole),
                                       cmocka_unit_test(test_reused),
                                       cmocka_unit_test(test_trim),
                                       cmocka_unit_test(test_records),
                                       cmocka_unit_test(test_damage_while_open),
                                       cmocka_unit_test(test_texts_at_one_place),
                                       cmocka_unit_test(test_names_a_text_that_is_gone),
                                       cmocka_unit_test(test_texts_written_out),
                                       cmocka_unit_test(test_upload_without_room),
                                       cmocka_unit_test(test_newer_version)};
    (void)snprintf(dir, sizeof dir, "/tmp/berth-journal-files-XXXXXX");
    if (mkdtemp(dir) == NULL)
        return 1;
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    (void)files(true);
    return rmdir(dir) == 0 ? failed : 1;
}
