/* SPDX-License-Identifier: MIT
 * journal_clone_test.c - a disk that was copied: both nodes tell the ledger the same.
 * Floor: dataplane/meter tests.
 * Owns: two folders under /tmp.
 * Invariant: what two copies of a journal become is the same, record for record, so that the
 *            second one is a repetition (usage_apply: node, epoch, stream, seq). A node's own epoch
 *            is a random number of its start (main.c), so what they do later cannot meet. */
#include <fcntl.h>
#include <sys/stat.h>

#include "dataplane/meter/journal_test_rig.h"

static char copy_dir[64];
static char original_dir[64];

static void
copy_files(void)
{
    static char bytes[JOURNAL_SEGMENT_BYTES];
    DIR *handle = opendir(original_dir);
    assert_non_null(handle);
    for (struct dirent *entry; (entry = readdir(handle)) != NULL;) {
        char from[400];
        char to[400];
        if (entry->d_name[0] == '.')
            continue;
        (void)snprintf(from, sizeof from, "%s/%s", original_dir, entry->d_name);
        (void)snprintf(to, sizeof to, "%s/%s", copy_dir, entry->d_name);
        int in = open(from, O_RDONLY | O_CLOEXEC);
        int out = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        ssize_t count = read(in, bytes, sizeof bytes);
        assert_true(in >= 0 && out >= 0 && count > 0);
        assert_int_equal(write(out, bytes, (size_t)count), count);
        (void)close(in);
        (void)close(out);
    }
    (void)closedir(handle);
}

/* All that an upload would say. */
static void
keep(struct journal *journal, uint64_t epoch, uint32_t stream, void *user)
{
    size_t count;
    uint64_t last;
    assert_true(epoch == LIFE_EPOCH && stream == 0);
    assert_int_equal(journal_read(journal, 0, SIZE_MAX, SIZE_MAX, user, &count, &last), 0);
    journal_remove(&journal);
}

static void
test_clone(void **state)
{
    struct journal *journal = NULL;
    struct buf said[2];
    const struct journal_conf conf = {
        .dir = original_dir, .epoch = LIFE_EPOCH, .segment_count_max = 4};
    (void)state;
    assert_int_equal(journal_open(&conf, &journal, NULL), 0);
    for (unsigned i = 0; i < 100; i++) {
        struct journal_ticket ticket;
        char own[64];
        (void)snprintf(own, sizeof own, "\"id\":\"req_%u\",\"at_ms\":%u", i, 1000 + i);
        const struct journal_members members = {
            .own = str_from(own), .shared = {STR(",\"wallet\":\"w\""), STR_EMPTY, STR_EMPTY}};
        assert_int_equal(journal_admit(journal, &ticket), 0);
        journal_intent(journal, &ticket, &members);
        if (i % 10 != 3)
            (void)journal_outcome(journal, &ticket, &members);
        journal_commit(journal);
    }
    copy_files();
    journal_close(&journal);
    for (size_t i = 0; i < 2; i++) {
        uint64_t bad;
        buf_init(&said[i], 1u << 20);
        assert_int_equal(
            journal_recover(i == 0 ? original_dir : copy_dir, 99 + i, keep, &said[i], &bad, NULL),
            0);
        assert_int_equal(bad, 0);
    }
    assert_string_equal(buf_cstr(&said[0]), buf_cstr(&said[1]));
    assert_true(str_find(buf_str(&said[0]), STR("{\"seq\":\"100\",")) != SIZE_MAX);
    assert_true(str_find(buf_str(&said[0]), STR("\"outcome\":\"interrupted\"")) != SIZE_MAX);
    buf_fini(&said[0]);
    buf_fini(&said[1]);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_clone)};
    (void)snprintf(original_dir, sizeof original_dir, "/tmp/berth-journal-clone-XXXXXX");
    (void)snprintf(copy_dir, sizeof copy_dir, "/tmp/berth-journal-clone-XXXXXX");
    if (mkdtemp(original_dir) == NULL || mkdtemp(copy_dir) == NULL)
        return 1;
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    return rmdir(original_dir) == 0 && rmdir(copy_dir) == 0 ? failed : 1;
}
