/* SPDX-License-Identifier: MIT
 * ledger_figures_test.c - how many usage records a second are posted, and what they take on disk.
 * Floor: controlplane/ledger tests.
 * Owns: a folder under /tmp.
 * Invariant: all of them are in the sums; below 100 MB a million. BERTH_FIGURES=full: a million. */
#include "controlplane/ledger/usage_rollup.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/base/clock.h"

enum { BATCH = 512 };
static char folder[64];

static void
records_put(struct buf *out, uint64_t first)
{
    out->len = 0;
    for (uint64_t seq = first; seq < first + BATCH; seq++) {
        char text[512];
        int size = snprintf(
            text, sizeof text,
            "%s{\"seq\":\"%llu\",\"id\":\"req_%016llx\",\"at_ms\":%llu,\"wallet\":\"default\","
            "\"subject\":\"container/c%llu\",\"model\":\"openai/m%llu\",\"provider\":\"openai\","
            "\"outcome\":\"completed\",\"status\":200,\"usage\":{\"input\":%llu,\"output\":%llu},"
            "\"charge\":\"%llu\",\"cost\":\"%llu\"}",
            seq == first ? "" : ",", (unsigned long long)seq,
            (unsigned long long)seq * 0x9e3779b97f4a7c15ull, 1764547200000ull + seq,
            (unsigned long long)seq % 7, (unsigned long long)seq % 5,
            (unsigned long long)seq % 3001, (unsigned long long)seq % 701,
            (unsigned long long)seq % 100000 * 105, (unsigned long long)seq % 100000 * 100);
        assert_int_equal(buf_put(out, text, (size_t)size), 0);
    }
}

static uint64_t
file_bytes(const char *ending)
{
    char path[96];
    struct stat info = {0};
    (void)snprintf(path, sizeof path, "%s/a.db%s", folder, ending);
    (void)stat(path, &info);
    (void)unlink(path);
    return (uint64_t)info.st_size;
}

static void
test_posting(void **state)
{
    (void)state;
    const struct ledger_config config = {0};
    const struct ledger_stream stream = {STR("n1"), 1, STR("0")};
    const char *full = getenv("BERTH_FIGURES");
    uint64_t count = (full != NULL ? 1953 : 98) * (uint64_t)BATCH;
    struct store *store = NULL;
    struct ledger *ledger = NULL;
    struct ledger_receipt receipt;
    struct ledger_audit audit;
    struct err err = {0};
    struct buf list;
    char url[96];
    uint64_t ns = 0;
    bool more = true;
    (void)snprintf(url, sizeof url, "sqlite:%s/a.db", folder);
    buf_init(&list, 1u << 20);
    assert_int_equal(store_open(url, NULL, &store, &err), 0);
    assert_int_equal(ledger_new(store, &config, &ledger, &err), 0);
    assert_int_equal(ledger_deposit(ledger, STR("default"), LEDGER_AI,
                                    (struct money){1000000 * MONEY_NANO_PER_USD}, STR("wire"),
                                    &receipt, &err),
                     0);
    for (uint64_t first = 1; first <= count; first += BATCH) {
        struct ledger_applied applied;
        records_put(&list, first);
        uint64_t began = clock_mono_ns();
        if (usage_apply_list(ledger, &stream, first, buf_str(&list), &applied, &err) != 0)
            fail_msg("%s", err.text);
        ns += clock_mono_ns() - began;
        assert_true(applied.posted == BATCH);
    }
    uint64_t began = clock_mono_ns();
    while (more)
        assert_int_equal(usage_rollup_step(ledger, &more, &err), 0);
    uint64_t sums_ns = clock_mono_ns() - began;
    if (ledger_audit(ledger, &audit, &err) != 0)
        fail_msg("%s", err.text);
    ledger_free(&ledger);
    store_close(&store);
    buf_fini(&list);
    uint64_t bytes = file_bytes("") + file_bytes("-wal");
    print_message("| posted usage records | %llu a second |\n"
                  "| added up by the hour | %llu a second |\n"
                  "| store | %llu MB a million requests |\n",
                  (unsigned long long)(count * 1000000000ull / (ns + 1)),
                  (unsigned long long)(count * 1000000000ull / (sums_ns + 1)),
                  (unsigned long long)(bytes / count));
    assert_true(bytes / count < 100);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_posting)};
    (void)snprintf(folder, sizeof folder, "/tmp/berth-ledger-figures-XXXXXX");
    if (mkdtemp(folder) == NULL)
        return 1;
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    return rmdir(folder) == 0 ? failed : 1;
}
