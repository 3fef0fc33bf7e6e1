/* SPDX-License-Identifier: MIT
 * sqlite_fault_test.c - every read, write and sync of the file fails once, or from then on: the
 *            answer is a mapped error, and a commit is there whole or not at all.
 * Floor: controlplane/store tests.
 * Owns: a folder under /tmp; a file layer of SQLite that fails on demand.
 * Invariant: see store.h; HARDENING KV-09. */
#include "controlplane/store/store.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>
#include <sqlite3.h>

enum operation { READ, WRITE, SYNC, OPERATION_COUNT };

static struct {
    enum operation operation;
    unsigned nth; /* 0 = never */
    bool forever;
    int code;
    bool failed;
} fault;

/* Our file, and behind it the one of the real layer. */
struct fault_file {
    sqlite3_file base;
    sqlite3_file *real;
};
static sqlite3_vfs *real_vfs;
static sqlite3_vfs fault_vfs;

static sqlite3_file *
real_of(sqlite3_file *file)
{
    return ((struct fault_file *)(void *)file)->real;
}

static bool
fails(enum operation operation)
{
    if (operation != fault.operation || fault.nth == 0)
        return false;
    if (fault.nth > 1) {
        fault.nth--;
        return false;
    }
    if (!fault.forever)
        fault.nth = 0;
    fault.failed = true;
    return true;
}

static int
file_close(sqlite3_file *file)
{
    return real_of(file)->pMethods->xClose(real_of(file));
}
static int
file_read(sqlite3_file *file, void *out, int count, sqlite3_int64 at)
{
    return fails(READ) ? fault.code : real_of(file)->pMethods->xRead(real_of(file), out, count, at);
}
static int
file_write(sqlite3_file *file, const void *bytes, int count, sqlite3_int64 at)
{
    sqlite3_file *real = real_of(file);
    if (!fails(WRITE))
        return real->pMethods->xWrite(real, bytes, count, at);
    /* Half of it arrives, as on a real disk. */
    (void)real->pMethods->xWrite(real, bytes, count / 2, at);
    return fault.code;
}
static int
file_truncate(sqlite3_file *file, sqlite3_int64 size)
{
    return real_of(file)->pMethods->xTruncate(real_of(file), size);
}
static int
file_sync(sqlite3_file *file, int flags)
{
    return fails(SYNC) ? fault.code : real_of(file)->pMethods->xSync(real_of(file), flags);
}
static int
file_size(sqlite3_file *file, sqlite3_int64 *size)
{
    return real_of(file)->pMethods->xFileSize(real_of(file), size);
}
static int
file_lock(sqlite3_file *file, int level)
{
    return real_of(file)->pMethods->xLock(real_of(file), level);
}
static int
file_unlock(sqlite3_file *file, int level)
{
    return real_of(file)->pMethods->xUnlock(real_of(file), level);
}
static int
file_reserved(sqlite3_file *file, int *reserved)
{
    return real_of(file)->pMethods->xCheckReservedLock(real_of(file), reserved);
}
static int
file_control(sqlite3_file *file, int operation, void *arg)
{
    return real_of(file)->pMethods->xFileControl(real_of(file), operation, arg);
}
static int
file_sector(sqlite3_file *file)
{
    return real_of(file)->pMethods->xSectorSize(real_of(file));
}
static int
file_device(sqlite3_file *file)
{
    return real_of(file)->pMethods->xDeviceCharacteristics(real_of(file));
}

static const sqlite3_io_methods methods = {
    .iVersion = 1,
    .xClose = file_close,
    .xRead = file_read,
    .xWrite = file_write,
    .xTruncate = file_truncate,
    .xSync = file_sync,
    .xFileSize = file_size,
    .xLock = file_lock,
    .xUnlock = file_unlock,
    .xCheckReservedLock = file_reserved,
    .xFileControl = file_control,
    .xSectorSize = file_sector,
    .xDeviceCharacteristics = file_device,
};

static int
vfs_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags, int *ret_flags)
{
    (void)vfs;
    struct fault_file *ours = (struct fault_file *)(void *)file;
    ours->real = (sqlite3_file *)(void *)(ours + 1);
    int code = real_vfs->xOpen(real_vfs, name, ours->real, flags, ret_flags);
    ours->base.pMethods = code == SQLITE_OK ? &methods : NULL;
    return code;
}

static char path[96];
static char url[112];
static struct arena arena;

static void
files_remove(void)
{
    static const char *const endings[] = {"", "-wal", "-shm", "-journal"};
    for (size_t i = 0; i < ARRAY_LEN(endings); i++) {
        char file[112];
        (void)snprintf(file, sizeof file, "%s%s", path, endings[i]);
        (void)unlink(file);
    }
}

/* One commit of two rows that must always agree; large enough for several pages. */
static int
pair_put(struct store *store, unsigned value)
{
    struct str text = arena_printf(&arena, "%06000u", value);
    struct store_op ops[] = {{.key = STR("left"), .value = text},
                             {.key = STR("right"), .value = text}};
    return store_commit(store, NULL, 0, ops, 2, NULL);
}

static unsigned
pair_get(struct store *store)
{
    struct store_row left;
    struct store_row right;
    assert_int_equal(store_get(store, STR("left"), &arena, &left), 0);
    assert_int_equal(store_get(store, STR("right"), &arena, &right), 0);
    assert_true(str_eq(left.value, right.value) && left.mod_rev == right.mod_rev);
    return (unsigned)(left.value.ptr[left.value.len - 1] - '0');
}

/* false: nothing failed any more, every place has been tried. */
static bool
run(enum operation operation, unsigned nth, bool forever, int code)
{
    struct store *store = NULL;
    unsigned done = 0;
    arena_init(&arena, 64u << 20);
    files_remove();
    memset(&fault, 0, sizeof fault);
    assert_int_equal(store_open(url, NULL, &store, NULL), 0);
    assert_int_equal(pair_put(store, ++done), 0);
    fault.operation = operation;
    fault.nth = nth;
    fault.forever = forever;
    fault.code = code;
    unsigned tried = done;
    for (unsigned i = 0; i < 3; i++) {
        int r = pair_put(store, ++tried);
        if (r == 0)
            done = tried;
        else
            assert_true(r == (code == SQLITE_FULL ? -ERR_NO_SPACE : -ERR_STORE));
    }
    fault.nth = 0;
    assert_int_equal(pair_get(store), done); /* a refused commit has left nothing */
    bool failed = fault.failed;
    fault.nth = failed && forever ? 1 : 0; /* the disk dies with us */
    store_close(&store);
    fault.nth = 0;
    assert_int_equal(store_open(url, NULL, &store, NULL), 0);
    /* The last refused commit may have reached the disk after all; then it is there whole. */
    unsigned now = pair_get(store);
    assert_true(now >= done && now <= tried);
    assert_int_equal(pair_put(store, 9), 0);
    assert_int_equal(pair_get(store), 9);
    store_close(&store);
    arena_fini(&arena);
    return failed;
}

static void
test_every_operation(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        enum operation operation;
        int code;
    } rows[] = {
        {"read error", READ, SQLITE_IOERR_READ},
        {"write error", WRITE, SQLITE_IOERR_WRITE},
        {"full disk", WRITE, SQLITE_FULL},
        {"sync error", SYNC, SQLITE_IOERR_FSYNC},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        for (int forever = 0; forever < 2; forever++) {
            unsigned nth = 1;
            while (run(rows[i].operation, nth, forever, rows[i].code))
                nth++;
            print_message("%s, %s: %u places\n", rows[i].name, forever ? "forever" : "once",
                          nth - 1);
            assert_true(nth > 1 || rows[i].operation == READ); /* a warm cache reads nothing */
        }
    }
}

int
main(void)
{
    static char folder[] = "/tmp/berth-fault-XXXXXX";
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_every_operation)};
    if (mkdtemp(folder) == NULL)
        return 1;
    (void)snprintf(path, sizeof path, "%s/a.db", folder);
    (void)snprintf(url, sizeof url, "sqlite:%s", path);
    real_vfs = sqlite3_vfs_find(NULL);
    fault_vfs = *real_vfs;
    fault_vfs.zName = "fault";
    fault_vfs.xOpen = vfs_open;
    fault_vfs.szOsFile = (int)sizeof(struct fault_file) + real_vfs->szOsFile;
    if (sqlite3_vfs_register(&fault_vfs, 1) != SQLITE_OK)
        return 1;
    int result = cmocka_run_group_tests(tests, NULL, NULL);
    files_remove();
    return rmdir(folder) == 0 ? result : 1;
}
