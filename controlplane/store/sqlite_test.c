/* SPDX-License-Identifier: MIT
 * sqlite_test.c - the SQLite file: alone, private, whole after kill -9 and after a full disk.
 * Floor: controlplane/store tests.
 * Owns: a folder under /tmp and child processes for the time of a test.
 * Invariant: see store.h. */
#include "controlplane/store/store_int.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "controlplane/store/backup.h"
#include "lib/base/kill_test_rig.h"
#include "lib/base/rand.h"

static char folder[64];
static char path[80];
static char url[96];
static struct arena arena;

static int
setup(void **state)
{
    (void)state;
    (void)snprintf(folder, sizeof folder, "/tmp/berth-sqlite-XXXXXX");
    arena_init(&arena, 64u << 20);
    if (mkdtemp(folder) == NULL)
        return -1;
    (void)snprintf(path, sizeof path, "%s/a.db", folder);
    (void)snprintf(url, sizeof url, "sqlite:%s", path);
    return 0;
}

static int
teardown(void **state)
{
    (void)state;
    static const char *const endings[] = {"", "-wal", "-shm", "-journal"};
    for (size_t i = 0; i < ARRAY_LEN(endings); i++) {
        char file[96];
        (void)snprintf(file, sizeof file, "%s%s", path, endings[i]);
        (void)unlink(file);
    }
    arena_fini(&arena);
    return rmdir(folder);
}

static struct store *
open_ok(void)
{
    struct store *store = NULL;
    struct err err = {0};
    if (store_open(url, NULL, &store, &err) < 0)
        fail_msg("%s", err.text);
    return store;
}

static int
put(struct store *store, struct str key, struct str value)
{
    struct store_op op = {.key = key, .value = value};
    return store_commit(store, NULL, 0, &op, 1, NULL);
}

/* What another program does, the sqlite3 shell for one: the result code of opening and reading. It
 * must be a new program: a mere fork would inherit what SQLite knows of our own locks. */
static int
read_as_other(const char *file)
{
    sqlite3 *db;
    int code = sqlite3_open_v2(file, &db, SQLITE_OPEN_READWRITE, NULL);
    if (code == SQLITE_OK)
        code = sqlite3_exec(db, "SELECT count(*) FROM kv", NULL, NULL, NULL);
    sqlite3_close(db);
    return code;
}

static int
other_process_reads(void)
{
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        execl("/proc/self/exe", "sqlite_test", "--read", path, NULL);
        _exit(127);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void
test_alone_and_private(void **state)
{
    (void)state;
    struct store *store = open_ok();
    struct stat status;
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 07777, 0600);
    struct store *second = NULL;
    struct err err = {0};
    assert_int_equal(store_open(url, NULL, &second, &err), -ERR_IN_USE);
    assert_non_null(strstr(err.text, "another process has it open"));
    assert_null(second);
    /* The refused opener has not taken our lock away. */
    assert_int_equal(other_process_reads(), SQLITE_BUSY);
    assert_int_equal(put(store, STR("a"), STR("1")), 0);
    assert_int_equal(other_process_reads(), SQLITE_BUSY);
    store_close(&store);
    assert_int_equal(other_process_reads(), SQLITE_OK);
    assert_int_equal(chmod(path, 0644), 0);
    store = open_ok();
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 07777, 0600);
    assert_true(store_revision(store) == 1);
    store_close(&store);
}

static void
test_not_ours(void **state)
{
    (void)state;
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    for (unsigned i = 0; i < 1000; i++)
        (void)fprintf(file, "this is no database\n");
    (void)fclose(file);
    struct store *store = NULL;
    assert_int_equal(store_open(url, NULL, &store, NULL), -ERR_INVALID);
    unlink(path);
    sqlite3 *db;
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "CREATE TABLE mine(x)", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
    assert_int_equal(store_open(url, NULL, &store, NULL), -ERR_INVALID);
    unlink(path);
    store = open_ok();
    store_close(&store);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "UPDATE meta SET schema = 2", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
    assert_int_equal(store_open(url, NULL, &store, NULL), -ERR_UNSUPPORTED);
}

/* The child commits pairs as fast as it can and tells each answer through the pipe; it is killed in
 * the middle of it. Every answered commit must be there, each one whole. */
static void
child_commits(int fd)
{
    struct store *store = NULL;
    if (store_open(url, NULL, &store, NULL) < 0)
        _exit(1);
    for (uint64_t i = store_revision(store) + 1;; i++) {
        char text[24];
        (void)snprintf(text, sizeof text, "%llu", (unsigned long long)i);
        struct store_op ops[] = {{.key = STR("left"), .value = str_from(text)},
                                 {.key = STR("right"), .value = str_from(text)}};
        if (store_commit(store, NULL, 0, ops, 2, NULL) < 0 || write(fd, &i, sizeof i) != sizeof i)
            _exit(1);
    }
}

static void
test_kill(void **state)
{
    (void)state;
    uint64_t seed = rand_u64();
    print_message("seed %llu\n", (unsigned long long)seed);
    rand_seed(seed);
    for (unsigned round = 0; round < 15; round++) {
        uint64_t answered = 0;
        uint64_t told = 1 + rand_below(30);
        assert_true(kill_rig_blind(child_commits, told, rand_below(200000), &answered));
        struct store *store = open_ok();
        struct store_row left;
        struct store_row right;
        assert_int_equal(store_get(store, STR("left"), &arena, &left), 0);
        assert_int_equal(store_get(store, STR("right"), &arena, &right), 0);
        assert_true(str_eq(left.value, right.value));
        assert_true(left.mod_rev == right.mod_rev && left.mod_rev == store_revision(store));
        assert_true(store_revision(store) == answered || store_revision(store) == answered + 1);
        store_close(&store);
    }
    rand_seed(0);
}

static void
test_full(void **state)
{
    (void)state;
    struct store *store = open_ok();
    char *bytes = arena_zalloc(&arena, 100000);
    assert_int_equal(put(store, STR("before"), STR("1")), 0);
    store_sqlite_page_max(store, 20);
    struct store_op ops[] = {{.key = STR("before"), .value = STR("2")},
                             {.key = STR("large"), .value = str_make(bytes, 100000)}};
    assert_int_equal(store_commit(store, NULL, 0, ops, 2, NULL), -ERR_NO_SPACE);
    struct store_row row;
    assert_int_equal(store_get(store, STR("before"), &arena, &row), 0);
    assert_true(str_eq(row.value, STR("1")));
    assert_int_equal(store_get(store, STR("large"), &arena, &row), -ERR_NOT_FOUND);
    assert_true(store_revision(store) == 1);
    assert_int_equal(put(store, STR("small"), STR("1")), 0);
    store_sqlite_page_max(store, 0);
    assert_int_equal(store_commit(store, NULL, 0, ops, 2, NULL), 0);
    store_close(&store);
    store = open_ok();
    assert_true(store_revision(store) == 3);
    assert_int_equal(store_get(store, STR("large"), &arena, &row), 0);
    assert_true(row.value.len == 100000 && row.create_rev == 3);
    store_close(&store);
}

/* A copy in steps, with commits between them: it is the store at the end of the last step. */
static void
test_backup(void **state)
{
    (void)state;
    struct store *store = open_ok();
    struct store_backup *backup = NULL;
    struct err err = {0};
    struct stat status;
    char copy[96];
    char copy_url[112];
    char *bytes = arena_zalloc(&arena, STORE_VALUE_BYTES_MAX);
    unsigned steps = 0;
    int code;
    (void)snprintf(copy, sizeof copy, "%s/copy.db", folder);
    (void)snprintf(copy_url, sizeof copy_url, "sqlite:%s", copy);
    for (unsigned i = 0; i < 5; i++) {
        char key[] = {'k', (char)('0' + i), '\0'};
        assert_int_equal(put(store, str_from(key), str_make(bytes, STORE_VALUE_BYTES_MAX)), 0);
    }
    assert_int_equal(store_backup_new(store, copy, &backup, &err), 0);
    while ((code = store_backup_step(backup, &err)) == -ERR_AGAIN) {
        assert_int_equal(stat(copy, &status), -1); /* nobody takes half of it away */
        /* rows whose pages are copied already, and such that are not */
        assert_int_equal(put(store, STR("k0"), steps % 2 ? STR("odd") : STR("even")), 0);
        assert_int_equal(put(store, STR("k4"), steps % 2 ? STR("odd") : STR("even")), 0);
        steps++;
    }
    assert_int_equal(code, 0);
    assert_true(steps >= 4);
    store_backup_free(&backup);
    assert_int_equal(stat(copy, &status), 0);
    assert_int_equal(status.st_mode & 07777, 0600);
    struct store *other = NULL;
    struct store_row left;
    struct store_row right;
    assert_int_equal(store_open(copy_url, NULL, &other, &err), 0);
    assert_true(store_revision(other) == store_revision(store));
    assert_int_equal(store_get(other, STR("k0"), &arena, &left), 0);
    assert_int_equal(store_get(other, STR("k4"), &arena, &right), 0);
    assert_true(str_eq(left.value, right.value));
    assert_int_equal(store_get(other, STR("k3"), &arena, &right), 0);
    assert_true(right.value.len == STORE_VALUE_BYTES_MAX);
    store_close(&other);
    /* one that is there is not touched; one that was given up is gone */
    assert_int_equal(store_backup_new(store, copy, &backup, &err), -ERR_EXISTS);
    assert_int_equal(unlink(copy), 0);
    assert_int_equal(store_backup_new(store, copy, &backup, &err), 0);
    assert_int_equal(store_backup_step(backup, &err), -ERR_AGAIN);
    store_backup_free(&backup);
    assert_int_equal(stat(copy, &status), -1);
    (void)snprintf(copy_url, sizeof copy_url, "%s.part", copy);
    assert_int_equal(stat(copy_url, &status), -1);
    /* nor is what a process that died left of one */
    assert_int_equal(close(open(copy_url, O_WRONLY | O_CREAT | O_CLOEXEC, 0600)), 0);
    assert_int_equal(store_backup_new(store, copy, &backup, &err), -ERR_EXISTS);
    assert_int_equal(stat(copy_url, &status), 0);
    store_backup_remove(copy);
    assert_int_equal(stat(copy_url, &status), -1);
    store_close(&store);
    assert_int_equal(store_open("memory:", NULL, &store, &err), 0);
    assert_int_equal(store_backup_new(store, copy, &backup, &err), -ERR_UNSUPPORTED);
    store_close(&store);
}

int
main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "--read") == 0)
        return read_as_other(argv[2]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_alone_and_private, setup, teardown),
        cmocka_unit_test_setup_teardown(test_not_ours, setup, teardown),
        cmocka_unit_test_setup_teardown(test_kill, setup, teardown),
        cmocka_unit_test_setup_teardown(test_full, setup, teardown),
        cmocka_unit_test_setup_teardown(test_backup, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
