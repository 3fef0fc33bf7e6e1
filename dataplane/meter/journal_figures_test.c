/* SPDX-License-Identifier: MIT
 * journal_figures_test.c - what the journal costs a request: time and bytes; and a start.
 * Floor: dataplane/meter tests.
 * Owns: a folder under /tmp.
 * Invariant: below 400 bytes a request; below 20 us of the worker, commits of 32 requests
 *            included, and below 2 s for a start that finds 1,000,000 records
 *            (BERTH_FIGURES=full). */
#include "dataplane/meter/journal_test_rig.h"

#include "lib/base/clock.h"

enum { BATCH = 32 };

/* As a node has them: commits of BATCH intents, and of their outcomes. */
static void
requests(struct journal *journal, size_t count)
{
    const struct journal_members members = {
        .own = STR("\"id\":\"req_0123456789abcdef\",\"at_ms\":1764547200000,\"charge\":\"1234567\","
                   "\"cost\":\"1175778\",\"usage\":{\"input\":1234,\"output\":321}"),
        .shared = {STR(",\"wallet\":\"default\",\"subject\":\"container/dev-env\""),
                   STR(",\"model\":\"openai/gpt-4o-mini\",\"provider\":\"openai\""),
                   STR(",\"outcome\":\"completed\"")}};
    const struct journal_members intent = {
        .own = STR("\"id\":\"req_0123456789abcdef\",\"at_ms\":1764547200000"),
        .shared = {members.shared[0], members.shared[1], STR_EMPTY}};
    for (size_t i = 0; i < count; i += BATCH) {
        struct journal_ticket tickets[BATCH];
        for (size_t k = 0; k < BATCH; k++) {
            assert_int_equal(journal_admit(journal, &tickets[k]), 0);
            journal_intent(journal, &tickets[k], &intent);
        }
        journal_commit(journal);
        for (size_t k = 0; k < BATCH; k++)
            (void)journal_outcome(journal, &tickets[k], &members);
        journal_commit(journal);
    }
}

static void
test_request(void **state)
{
    (void)state;
    enum { REQUESTS = 5888 };
    struct journal *journal = NULL;
    const struct journal_conf conf = {
        .dir = life_dir, .epoch = LIFE_EPOCH, .segment_count_max = LIFE_SEGMENTS};
    assert_int_equal(journal_open(&conf, &journal, NULL), 0);
    uint64_t began = clock_mono_ns();
    requests(journal, REQUESTS);
    uint64_t ns = (clock_mono_ns() - began) / REQUESTS;
    /* By where the records end: a segment is 4 MiB of zeros behind them. */
    uint64_t used = 0;
    journal_close(&journal);
    DIR *handle = opendir(life_dir);
    assert_non_null(handle);
    for (struct dirent *entry; (entry = readdir(handle)) != NULL;) {
        static char segment[JOURNAL_SEGMENT_BYTES];
        char path[400];
        (void)snprintf(path, sizeof path, "%s/%s", life_dir, entry->d_name);
        FILE *in = entry->d_name[0] == '.' ? NULL : fopen(path, "re");
        if (in == NULL)
            continue;
        size_t size = fread(segment, 1, sizeof segment, in);
        (void)fclose(in);
        while (size > 0 && segment[size - 1] == '\0')
            size--;
        used += size;
    }
    (void)closedir(handle);
    print_message("| journal, a request | %llu ns | %llu bytes |\n", (unsigned long long)ns,
                  (unsigned long long)(used / REQUESTS));
    assert_true(used / REQUESTS < 400);
    assert_true(getenv("BERTH_FIGURES") == NULL || ns < 20000);
}

static void
take(struct journal *journal, uint64_t epoch, uint32_t stream, void *user)
{
    (void)epoch;
    (void)stream;
    *(uint64_t *)user += journal_last(journal);
    journal_remove(&journal);
}

/* What a start finds and has to read before it is ready. */
static void
test_start(void **state)
{
    bool full = getenv("BERTH_FIGURES") != NULL;
    size_t count = full ? 1000000 : 50048;
    struct journal *journal = NULL;
    struct journal_ticket open;
    const struct journal_members members = {.own = STR("\"id\":\"req_open\"")};
    const struct journal_conf conf = {
        .dir = life_dir, .epoch = LIFE_EPOCH, .segment_count_max = 200};
    uint64_t bad;
    uint64_t found = 0;
    (void)state;
    life_folder_empty();
    assert_int_equal(journal_open(&conf, &journal, NULL), 0);
    assert_int_equal(journal_admit(journal, &open), 0);
    journal_intent(journal, &open, &members);
    requests(journal, count);
    journal_close(&journal);
    uint64_t began = clock_mono_ns();
    assert_int_equal(journal_recover(life_dir, LIFE_EPOCH + 1, take, &found, &bad, NULL), 0);
    uint64_t ms = (clock_mono_ns() - began) / 1000000;
    print_message("| start with %zu records | %llu ms |\n", count, (unsigned long long)ms);
    assert_int_equal(found, count + 1);
    assert_true(!full || ms < 2000);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_request),
                                       cmocka_unit_test(test_start)};
    (void)snprintf(life_dir, sizeof life_dir, "/tmp/berth-journal-figures-XXXXXX");
    if (mkdtemp(life_dir) == NULL)
        return 1;
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    life_folder_empty();
    return rmdir(life_dir) == 0 ? failed : 1;
}
