/* SPDX-License-Identifier: MIT
 * ledger_power_test.c - the power goes at any write: what was answered is in the ledger, once, and
 *            the books balance. Writes of a run are recorded; from each prefix of them a disk is
 *            made on which what was not synced is there (a kill -9), missing, torn or out of
 *            order (a power loss).
 * Floor: controlplane/ledger tests.
 * Owns: a folder under /tmp; a file layer of SQLite that records.
 * Invariant: see ledger.h. BERTH_IMAGES: how many disks (200 and 100); BERTH_SEED repeats a run. */
#include "controlplane/ledger/usage_rollup.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "lib/base/num.h"
#include "lib/base/rand.h"

enum { ROUNDS = 400, BATCH = 3, SECTOR = 512, FILES = 2, FILE_BYTES_MAX = 16 << 20 };

/* ---- the record of a run --------------------------------------------------------------------- */

enum kind { WRITE, TRUNCATE, SYNC, ANSWER };
struct event {
    enum kind kind;
    int file; /* 0: the database, 1: its log */
    size_t at;
    size_t size;
    char *bytes;
    uint64_t answered; /* ANSWER: rounds that are done */
};
static struct event *events;
static size_t event_count;
static size_t event_cap;
static bool recording;
static char path[96];

static struct event *
event_add(enum kind kind, int file)
{
    if (event_count == event_cap) {
        event_cap = event_cap ? 2 * event_cap : 4096;
        events = reallocarray(events, event_cap, sizeof *events);
        assert_non_null(events);
    }
    events[event_count] = (struct event){.kind = kind, .file = file};
    return &events[event_count++];
}

static sqlite3_vfs *real_vfs;
static sqlite3_vfs record_vfs;
static const sqlite3_io_methods *real_methods[FILES]; /* they differ: only one of them locks */
static sqlite3_io_methods methods[FILES];
static sqlite3_file *open_files[FILES];

static int
file_index(const sqlite3_file *file)
{
    return file == open_files[0] ? 0 : 1;
}

static int
file_write(sqlite3_file *file, const void *bytes, int count, sqlite3_int64 at)
{
    int index = file_index(file);
    if (recording) {
        struct event *event = event_add(WRITE, index);
        event->at = (size_t)at;
        event->size = (size_t)count;
        event->bytes = malloc(event->size);
        assert_non_null(event->bytes);
        memcpy(event->bytes, bytes, event->size);
    }
    return real_methods[index]->xWrite(file, bytes, count, at);
}
static int
file_truncate(sqlite3_file *file, sqlite3_int64 size)
{
    int index = file_index(file);
    if (recording)
        event_add(TRUNCATE, index)->size = (size_t)size;
    return real_methods[index]->xTruncate(file, size);
}
static int
file_sync(sqlite3_file *file, int flags)
{
    int index = file_index(file);
    if (recording)
        (void)event_add(SYNC, index);
    return real_methods[index]->xSync(file, flags);
}

static int
vfs_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags, int *ret_flags)
{
    (void)vfs;
    int code = real_vfs->xOpen(real_vfs, name, file, flags, ret_flags);
    int index = (flags & SQLITE_OPEN_MAIN_DB) != 0 ? 0 : (flags & SQLITE_OPEN_WAL) != 0 ? 1 : -1;
    if (code != SQLITE_OK || index < 0)
        return code;
    real_methods[index] = file->pMethods;
    methods[index] = *file->pMethods;
    methods[index].xWrite = file_write;
    methods[index].xTruncate = file_truncate;
    methods[index].xSync = file_sync;
    file->pMethods = &methods[index];
    open_files[index] = file;
    return code;
}

/* ---- the run --------------------------------------------------------------------------------- */

static const struct ledger_stream stream = {{"n1", 2}, 1, {"0", 1}};
static struct store *store;
static struct ledger *ledger;
static struct err err;

static int
open_all(void)
{
    char url[112];
    const struct ledger_config config = {0};
    (void)snprintf(url, sizeof url, "sqlite:%s", path);
    int r = store_open(url, NULL, &store, &err);
    return r < 0 ? r : ledger_new(store, &config, &ledger, &err);
}

static void
close_all(void)
{
    ledger_free(&ledger);
    store_close(&store);
}

/* Round r is a payment of 1000, a lease of 500, records 3r+1 to 3r+3 of as many nano, and every
 * fourth time the sums. All of it may be asked for again. */
static void
do_round(uint64_t round, bool again)
{
    struct arena arena;
    struct ledger_receipt receipt;
    struct ledger_applied applied;
    struct ledger_lease lease = {0};
    struct str records[BATCH];
    char key[32];
    bool more;
    arena_init(&arena, 1u << 20);
    (void)snprintf(key, sizeof key, "pay %llu", (unsigned long long)round);
    for (uint64_t i = 0; i < BATCH; i++) {
        unsigned long long seq = BATCH * round + i + 1;
        records[i] =
            arena_printf(&arena,
                         "{\"seq\":\"%llu\",\"at_ms\":%llu,\"wallet\":\"a\",\"provider\":\"p\","
                         "\"charge\":\"%llu\",\"cost\":\"%llu\"}",
                         seq, seq * 100000, seq, seq / 2);
    }
    assert_int_equal(ledger_deposit(ledger, STR("a"), LEDGER_AI, (struct money){1000},
                                    str_from(key), &receipt, &err),
                     0);
    (void)!lease_get(ledger, stream.node, 1, STR("a"), &lease, &err);
    if (!again)
        assert_int_equal(lease_want(ledger, stream.node, 1, STR("a"), lease.granted,
                                    (struct money){500}, &lease, &err),
                         0);
    assert_int_equal(
        usage_apply(ledger, &stream, BATCH * round + 1, records, BATCH, &applied, &err), 0);
    if (round % 4 == 0)
        assert_int_equal(usage_rollup_step(ledger, &more, &err), 0);
    arena_fini(&arena);
}

static void
record_run(void)
{
    record_vfs = *real_vfs;
    record_vfs.zName = "record";
    record_vfs.xOpen = vfs_open;
    assert_int_equal(sqlite3_vfs_register(&record_vfs, 1), SQLITE_OK);
    assert_int_equal(open_all(), 0);
    close_all(); /* the schema is there: the file that a run begins with */
    recording = true;
    if (open_all() < 0)
        fail_msg("%s", err.text);
    for (uint64_t round = 0; round < ROUNDS; round++) {
        do_round(round, false);
        event_add(ANSWER, 0)->answered = round + 1;
    }
    recording = false;
    close_all();
    assert_int_equal(sqlite3_vfs_register(real_vfs, 1), SQLITE_OK);
    assert_int_equal(sqlite3_vfs_unregister(&record_vfs), SQLITE_OK);
}

/* ---- disks ----------------------------------------------------------------------------------- */

struct disk_file {
    char *bytes; /* [FILE_BYTES_MAX], zero behind size */
    size_t size;
};
static struct disk_file synced[FILES];
static struct disk_file image[FILES];

static void
disk_write(struct disk_file *file, size_t at, const char *bytes, size_t size)
{
    assert_true(at + size <= FILE_BYTES_MAX);
    memcpy(file->bytes + at, bytes, size);
    if (file->size < at + size)
        file->size = at + size;
}

static void
disk_apply(struct disk_file *file, const struct event *event)
{
    if (event->kind == WRITE) {
        disk_write(file, event->at, event->bytes, event->size);
    } else if (event->kind == TRUNCATE && event->size < file->size) {
        memset(file->bytes + event->size, 0, file->size - event->size);
        file->size = event->size;
    }
}

enum fate { ALL, NONE, FIRST, SOME, SECTORS, REORDERED, FATES };

/* Sectors of a write that were lost keep what they had. */
static void
disk_tear(struct disk_file *file, const struct event *event, enum fate fate)
{
    size_t first = fate == FIRST ? rand_below(event->size / SECTOR + 1) * SECTOR : 0;
    for (size_t done = 0; done < event->size;) {
        size_t size = SECTOR - (event->at + done) % SECTOR;
        size = size < event->size - done ? size : event->size - done;
        if (fate == FIRST ? done < first : rand_below(2) == 0)
            disk_write(file, event->at + done, event->bytes + done, size);
        done += size;
    }
}

/* What was not synced before `end`, of this file, by its fate. */
static void
disk_fate(struct disk_file *file, const struct event **pending, size_t count, enum fate fate)
{
    for (size_t i = 0; fate == REORDERED && i + 1 < count; i++) {
        size_t other = i + rand_below(count - i);
        const struct event *swap = pending[i];
        pending[i] = pending[other];
        pending[other] = swap;
    }
    for (size_t i = 0; i < count; i++) {
        bool last = i + 1 == count;
        bool torn = pending[i]->kind == WRITE && (fate == SECTORS || (fate == FIRST && last));
        if (torn)
            disk_tear(file, pending[i], fate);
        else if (fate == ALL || fate == FIRST || (fate != NONE && rand_below(2) == 0))
            disk_apply(file, pending[i]);
    }
}

static void
file_put(const char *ending, const struct disk_file *file)
{
    char name[112];
    (void)snprintf(name, sizeof name, "%s%s", path, ending);
    FILE *out = fopen(name, "we");
    assert_non_null(out);
    assert_int_equal(fwrite(file->bytes, 1, file->size, out), file->size);
    assert_int_equal(fclose(out), 0);
}

/* The disk after events[0..end). Files are synced each for itself. */
static void
disk_make(size_t end, size_t synced_to[FILES], enum fate fate)
{
    static const char *const endings[FILES] = {"", "-wal"};
    for (int f = 0; f < FILES; f++) {
        size_t count = 0;
        const struct event **pending = calloc(end + 1, sizeof(struct event *));
        assert_non_null(pending);
        for (size_t i = synced_to[f]; i < end; i++) {
            if (events[i].file != f || events[i].kind == ANSWER)
                continue;
            if (events[i].kind == SYNC) {
                for (size_t p = 0; p < count; p++)
                    disk_apply(&synced[f], pending[p]);
                count = 0;
                synced_to[f] = i + 1;
                continue;
            }
            pending[count++] = &events[i];
        }
        memcpy(image[f].bytes, synced[f].bytes, FILE_BYTES_MAX);
        image[f].size = synced[f].size;
        disk_fate(&image[f], pending, count, fate);
        file_put(endings[f], &image[f]);
        free(pending);
    }
}

static void
disk_check(uint64_t answered)
{
    struct ledger_audit audit;
    struct ledger_balances balances;
    uint64_t mark;
    if (open_all() < 0 || ledger_audit(ledger, &audit, &err) < 0)
        fail_msg("%s", err.text);
    assert_int_equal(usage_mark(ledger, &stream, &mark, &err), 0);
    assert_true(mark == BATCH * answered || mark == BATCH * (answered + 1));
    assert_int_equal(ledger_balances(ledger, STR("a"), &balances, &err), 0);
    assert_true(balances.ai_usage.nano == (int64_t)(mark * (mark + 1) / 2));
    int64_t paid = balances.ai_limit.nano / 1000;
    assert_true(paid == (int64_t)answered || paid == (int64_t)answered + 1);
    /* All are asked again: nothing moves twice. */
    for (uint64_t round = answered > 2 ? answered - 2 : 0; round <= answered; round++)
        do_round(round, true);
    assert_int_equal(ledger_balances(ledger, STR("a"), &balances, &err), 0);
    mark = BATCH * (answered + 1);
    assert_true(balances.ai_usage.nano == (int64_t)(mark * (mark + 1) / 2));
    assert_true(balances.ai_limit.nano == (int64_t)(answered + 1) * 1000);
    if (ledger_audit(ledger, &audit, &err) < 0)
        fail_msg("%s", err.text);
    close_all();
}

static uint64_t
number_from(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    uint64_t number = otherwise;
    return text && num_u64(str_from(text), UINT64_MAX, &number) == 0 ? number : otherwise;
}

static struct disk_file base; /* what the run began with */

static void
base_load(void)
{
    for (int f = 0; f < FILES; f++) {
        synced[f].bytes = calloc(1, FILE_BYTES_MAX);
        image[f].bytes = calloc(1, FILE_BYTES_MAX);
        assert_true(synced[f].bytes != NULL && image[f].bytes != NULL);
    }
    base.bytes = calloc(1, FILE_BYTES_MAX);
    assert_non_null(base.bytes);
    FILE *in = fopen(path, "re");
    assert_non_null(in);
    base.size = fread(base.bytes, 1, FILE_BYTES_MAX, in);
    assert_int_equal(fclose(in), 0);
}

static int
setup(void **state)
{
    (void)state;
    size_t syncs = 0;
    assert_int_equal(open_all(), 0);
    close_all();
    base_load();
    record_run();
    for (size_t i = 0; i < event_count; i++)
        syncs += events[i].kind == SYNC;
    print_message("%zu events, %zu of them syncs\n", event_count, syncs);
    return syncs > ROUNDS ? 0 : -1;
}

/* Disks at `count` places of events[from..to), in order. kill: at even distances, and all that was
 * written is there; else somewhere in each stretch, and anything may have become of it. */
static void
disks_try(size_t from, size_t to, size_t count, bool kill)
{
    size_t synced_to[FILES] = {0};
    uint64_t answered = 0;
    size_t looked = 0;
    memcpy(synced[0].bytes, base.bytes, FILE_BYTES_MAX);
    synced[0].size = base.size;
    memset(synced[1].bytes, 0, FILE_BYTES_MAX);
    synced[1].size = 0;
    for (size_t i = 0; i < count; i++) {
        size_t first = from + (to - from) * i / count;
        size_t next = from + (to - from) * (i + 1) / count;
        size_t end = kill ? next : first + 1 + rand_below(next > first ? next - first : 1);
        end = end < event_count ? end : event_count;
        for (; looked < end; looked++)
            answered = events[looked].kind == ANSWER ? events[looked].answered : answered;
        disk_make(end, synced_to, kill ? ALL : (enum fate)(i % FATES));
        if (answered < ROUNDS)
            disk_check(answered);
    }
}

static void
test_power(void **state)
{
    (void)state;
    uint64_t seed = number_from("BERTH_SEED", rand_u64());
    uint64_t images = number_from("BERTH_IMAGES", 200);
    print_message("seed %llu, %llu disks\n", (unsigned long long)seed, (unsigned long long)images);
    rand_seed(seed);
    disks_try(0, event_count, images, false);
    rand_seed(0);
}

/* kill -9 behind each call that writes, of 30 rounds: with as many disks as there are such calls,
 * each of them. */
static void
test_kill_points(void **state)
{
    (void)state;
    enum { FIRST_ROUND = 200, KILL_ROUNDS = 30 };
    size_t from = 0;
    size_t to = 0;
    for (size_t i = 0; i < event_count; i++) {
        if (events[i].kind != ANSWER)
            continue;
        from = events[i].answered == FIRST_ROUND ? i : from;
        to = events[i].answered == FIRST_ROUND + KILL_ROUNDS ? i : to;
    }
    uint64_t images = number_from("BERTH_IMAGES", 100);
    images = images < to - from ? images : to - from;
    print_message("%llu of %zu points\n", (unsigned long long)images, to - from);
    disks_try(from, to, images, true);
}

int
main(void)
{
    static char folder[] = "/tmp/berth-ledger-power-XXXXXX";
    static const char *const endings[] = {"", "-wal", "-journal"};
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_power),
                                       cmocka_unit_test(test_kill_points)};
    if (mkdtemp(folder) == NULL)
        return 1;
    (void)snprintf(path, sizeof path, "%s/a.db", folder);
    if (sqlite3_initialize() != SQLITE_OK)
        return 1;
    real_vfs = sqlite3_vfs_find(NULL);
    int failed = cmocka_run_group_tests(tests, setup, NULL);
    for (size_t i = 0; i < ARRAY_LEN(endings); i++) {
        char file[112];
        (void)snprintf(file, sizeof file, "%s%s", path, endings[i]);
        (void)unlink(file);
    }
    return rmdir(folder) == 0 ? failed : 1;
}
