/* SPDX-License-Identifier: MIT
 * sqlite_open.c - opening the SQLite file: mode 0600, exclusive lock, schema.
 * Floor: controlplane/store; the engine thread.
 * Owns: nothing; makes and frees struct sqlite.
 * Invariant: when open returns 0 nobody else can read or write the file until close.
 *            Proved in sqlite_test.c. */
#include "controlplane/store/sqlite_int.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "controlplane/store/watch_int.h"
#include "lib/base/check.h"

#define APPLICATION_ID 0x42727468 /* "Brth" */
#define SCHEMA_VERSION 1
#define TEXT_(x) #x
#define TEXT(x) TEXT_(x)

static const char *const statement_sql[] = {
#define QUERY_ROW(name, sql) sql,
#include "controlplane/store/queries.def"
#undef QUERY_ROW
};

/* Exclusive before WAL, so that the WAL's index lives in our heap and no other process can join. */
static const char pragmas[] = "PRAGMA locking_mode = EXCLUSIVE;"
                              "PRAGMA journal_mode = WAL;"
                              "PRAGMA synchronous = FULL;"
                              "PRAGMA journal_size_limit = 67108864;"
                              "PRAGMA trusted_schema = OFF;"
                              "PRAGMA temp_store = MEMORY;";

static const char schema[] =
    "BEGIN IMMEDIATE;"
    "CREATE TABLE kv(key BLOB PRIMARY KEY, value BLOB NOT NULL, create_rev INTEGER NOT NULL,"
    " mod_rev INTEGER NOT NULL) STRICT, WITHOUT ROWID;"
    "CREATE TABLE log(rev INTEGER NOT NULL, at INTEGER NOT NULL, key BLOB NOT NULL,"
    " value BLOB NOT NULL, deleted INTEGER NOT NULL, PRIMARY KEY(rev, at)) STRICT, WITHOUT ROWID;"
    "CREATE TABLE meta(one INTEGER PRIMARY KEY CHECK(one = 1), schema INTEGER NOT NULL,"
    " revision INTEGER NOT NULL) STRICT;"
    "INSERT INTO meta(one, schema, revision) VALUES(1, " TEXT(
        SCHEMA_VERSION) ", 0);"
                        "PRAGMA application_id = " TEXT(APPLICATION_ID) ";"
                                                                        "COMMIT;";

static int
open_error(const struct sqlite *sqlite, struct str path, int code, struct err *err)
{
    switch (code & 0xff) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return err_set(err, ERR_IN_USE, "%.*s: another process has it open", STR_ARG(path));
    case SQLITE_CANTOPEN:
    case SQLITE_PERM:
    case SQLITE_READONLY:
        return err_set(err, ERR_PERMISSION, "%.*s: %s", STR_ARG(path), sqlite3_errmsg(sqlite->db));
    case SQLITE_NOTADB:
        return err_set(err, ERR_INVALID, "%.*s: not a Berth store", STR_ARG(path));
    default:
        return err_set(err, (enum err_code) - sqlite_error(code), "%.*s: %s", STR_ARG(path),
                       sqlite3_errmsg(sqlite->db));
    }
}

/* The file must never be readable by others, not even for a moment. An existing one is not opened
 * here: closing a descriptor of it would drop the locks of another store in this process. */
static int
file_prepare(const char *path, struct err *err)
{
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd >= 0)
        return close(fd) == 0 ? 0 : err_set_errno(err, errno, "%s", path);
    if (errno != EEXIST)
        return err_set_errno(err, errno, "cannot make %s", path);
    struct stat status;
    if (stat(path, &status) < 0)
        return err_set_errno(err, errno, "%s", path);
    if (!S_ISREG(status.st_mode))
        return err_set(err, ERR_INVALID, "%s is not a file", path);
    if ((status.st_mode & 077) != 0 && chmod(path, 0600) < 0)
        return err_set_errno(err, errno, "cannot keep others out of %s", path);
    return 0;
}

/* The first column of the first row; 0 rows: 0. */
static int
query_u64(struct sqlite *sqlite, const char *sql, uint64_t *ret_value)
{
    sqlite3_stmt *statement = NULL;
    int code = sqlite3_prepare_v2(sqlite->db, sql, -1, &statement, NULL);
    if (code == SQLITE_OK)
        code = sqlite3_step(statement);
    if (code == SQLITE_ROW || code == SQLITE_DONE) {
        *ret_value = code == SQLITE_ROW ? (uint64_t)sqlite3_column_int64(statement, 0) : 0;
        code = SQLITE_OK;
    }
    sqlite3_finalize(statement);
    return code;
}

static int
schema_prepare(struct sqlite *sqlite, struct str path, struct err *err)
{
    uint64_t application = 0;
    uint64_t tables = 0;
    int code = sqlite3_exec(sqlite->db, pragmas, NULL, NULL, NULL);
    /* The first write takes the exclusive lock, and it stays ours. */
    if (code == SQLITE_OK)
        code = sqlite3_exec(sqlite->db, "BEGIN EXCLUSIVE; COMMIT;", NULL, NULL, NULL);
    if (code == SQLITE_OK)
        code = query_u64(sqlite, "PRAGMA application_id", &application);
    if (code == SQLITE_OK)
        code = query_u64(sqlite, "SELECT count(*) FROM sqlite_schema", &tables);
    if (code == SQLITE_OK && tables == 0 && application == 0) {
        code = sqlite3_exec(sqlite->db, schema, NULL, NULL, NULL);
        application = APPLICATION_ID;
    }
    if (code != SQLITE_OK)
        return open_error(sqlite, path, code, err);
    if (application != APPLICATION_ID)
        return err_set(err, ERR_INVALID, "%.*s: not a Berth store", STR_ARG(path));
    uint64_t version = 0;
    code = query_u64(sqlite, "SELECT schema FROM meta", &version);
    if (code != SQLITE_OK)
        return open_error(sqlite, path, code, err);
    if (version != SCHEMA_VERSION)
        return err_set(err, ERR_UNSUPPORTED, "%.*s: schema %llu, this Berth knows %d",
                       STR_ARG(path), (unsigned long long)version, SCHEMA_VERSION);
    return 0;
}

static int
state_read(struct sqlite *sqlite, struct str path, struct store_state *ret_state, struct err *err)
{
    struct store_state state = {0};
    uint64_t oldest = 0;
    int code = query_u64(sqlite, "SELECT revision FROM meta", &state.revision);
    if (code == SQLITE_OK)
        code = query_u64(sqlite, "SELECT rev FROM log ORDER BY rev LIMIT 1", &oldest);
    for (size_t i = 0; i < QUERY_COUNT && code == SQLITE_OK; i++)
        code = sqlite3_prepare_v3(sqlite->db, statement_sql[i], -1, SQLITE_PREPARE_PERSISTENT,
                                  &sqlite->statements[i], NULL);
    if (code != SQLITE_OK)
        return open_error(sqlite, path, code, err);
    state.floor = oldest > 0 ? oldest - 1 : state.revision;
    *ret_state = state;
    return 0;
}

int
sqlite_open(struct str path, void **ret_self, struct store_state *ret_state, struct err *err)
{
    if (path.len == 0 || path.ptr[0] != '/')
        return err_set(err, ERR_INVALID, "store sqlite:%.*s: the path must be absolute",
                       STR_ARG(path));
    /* path ends the url, which is NUL-terminated */
    int r = file_prepare(path.ptr, err);
    if (r < 0)
        return r;
    struct sqlite *sqlite = calloc(1, sizeof *sqlite);
    if (sqlite == NULL)
        return err_set(err, ERR_NOMEM, "no memory for the store");
    int code =
        sqlite3_open_v2(path.ptr, &sqlite->db,
                        SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, NULL);
    if (code == SQLITE_OK)
        code = sqlite3_db_config(sqlite->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    r = code == SQLITE_OK ? schema_prepare(sqlite, path, err) : open_error(sqlite, path, code, err);
    if (r == 0)
        r = state_read(sqlite, path, ret_state, err);
    if (r < 0)
        sqlite_close(sqlite);
    else
        *ret_self = sqlite;
    return r;
}

void
sqlite_close(void *self)
{
    struct sqlite *sqlite = self;
    for (size_t i = 0; i < QUERY_COUNT; i++)
        sqlite3_finalize(sqlite->statements[i]);
    ASSERT(sqlite3_close(sqlite->db) == SQLITE_OK);
    free(sqlite);
}

void
store_sqlite_page_max(struct store *store, unsigned pages)
{
    ASSERT(store->backend == &store_backend_sqlite);
    struct sqlite *sqlite = store->self;
    char *sql = sqlite3_mprintf("PRAGMA max_page_count = %u", pages ? pages : 1073741823u);
    ASSERT(sql != NULL && sqlite3_exec(sqlite->db, sql, NULL, NULL, NULL) == SQLITE_OK);
    sqlite3_free(sql);
}
