/* SPDX-License-Identifier: MIT
 * sqlite.c - the store backend in one SQLite file: statements, commits, history.
 * Floor: controlplane/store; the engine thread.
 * Owns: the connection and its prepared statements (sqlite_open.c makes them).
 * Invariant: one connection a file (HARDENING F5: exclusive lock, so no second opener); a commit is
 *            one transaction, synced before it is answered; every statement is reset after use.
 *            Proved in store_test.c and sqlite_test.c. */
#include "controlplane/store/sqlite_int.h"

#include "lib/base/check.h"

int
sqlite_error(int code)
{
    switch (code & 0xff) {
    case SQLITE_FULL:
        return -ERR_NO_SPACE;
    case SQLITE_NOMEM:
        return -ERR_NOMEM;
    case SQLITE_TOOBIG:
        return -ERR_TOO_LARGE;
    default:
        return -ERR_STORE;
    }
}

static void
bind_bytes(sqlite3_stmt *statement, int at, struct str bytes)
{
    /* A NULL pointer would bind NULL instead of no bytes. Cannot fail: `at` is right and the bytes
     * are not copied. */
    ASSERT(sqlite3_bind_blob64(statement, at, bytes.len ? bytes.ptr : "", bytes.len,
                               SQLITE_STATIC) == SQLITE_OK);
}

static void
bind_u64(sqlite3_stmt *statement, int at, uint64_t value)
{
    ASSERT(value <= INT64_MAX);
    ASSERT(sqlite3_bind_int64(statement, at, (int64_t)value) == SQLITE_OK);
}

static uint64_t
column_u64(sqlite3_stmt *statement, int at)
{
    return (uint64_t)sqlite3_column_int64(statement, at);
}

static int
column_dup(sqlite3_stmt *statement, int at, struct arena *arena, struct str *ret_bytes)
{
    const void *bytes = sqlite3_column_blob(statement, at);
    int count = sqlite3_column_bytes(statement, at);
    if (count > 0 && bytes == NULL)
        return -ERR_NOMEM;
    return arena_dup(arena, str_make(count ? bytes : "", (size_t)count), ret_bytes);
}

/* Step a statement that returns no row. */
static int
run(sqlite3_stmt *statement)
{
    int code = sqlite3_step(statement);
    sqlite3_reset(statement);
    return code == SQLITE_DONE ? 0 : sqlite_error(code);
}

/* Keys are printable ASCII, so that DEL is behind every key with the prefix. */
static struct str
prefix_end(struct str prefix, char out[STORE_KEY_BYTES_MAX + 1])
{
    size_t count = MIN(prefix.len, (size_t)STORE_KEY_BYTES_MAX);
    memcpy(out, prefix.ptr, count);
    out[count] = 0x7f;
    return str_make(out, count + 1);
}

static int
sqlite_get(void *self, struct str key, struct arena *arena, struct store_row *ret_row)
{
    struct sqlite *sqlite = self;
    sqlite3_stmt *statement = sqlite->statements[QUERY_GET];
    bind_bytes(statement, 1, key);
    int code = sqlite3_step(statement);
    int r = code == SQLITE_DONE ? -ERR_NOT_FOUND : code == SQLITE_ROW ? 0 : sqlite_error(code);
    struct store_row row;
    if (r == 0)
        r = arena_dup(arena, key, &row.key);
    if (r == 0)
        r = column_dup(statement, 0, arena, &row.value);
    if (r == 0) {
        row.create_rev = column_u64(statement, 1);
        row.mod_rev = column_u64(statement, 2);
        *ret_row = row;
    }
    sqlite3_reset(statement);
    return r;
}

static int
list_rows(sqlite3_stmt *statement, struct arena *arena, void **rows, size_t *count)
{
    size_t cap = 0;
    int code;
    while ((code = sqlite3_step(statement)) == SQLITE_ROW) {
        int r = store_grow(arena, rows, *count, &cap, sizeof(struct store_row));
        if (r < 0)
            return r;
        struct store_row *row = (struct store_row *)*rows + *count;
        r = column_dup(statement, 0, arena, &row->key);
        if (r == 0)
            r = column_dup(statement, 1, arena, &row->value);
        if (r < 0)
            return r;
        row->create_rev = column_u64(statement, 2);
        row->mod_rev = column_u64(statement, 3);
        (*count)++;
    }
    return code == SQLITE_DONE ? 0 : sqlite_error(code);
}

static int
sqlite_list(void *self, const struct store_range *range, struct arena *arena,
            struct store_row **ret_rows, size_t *ret_count)
{
    struct sqlite *sqlite = self;
    bool behind = range->after_key.len > 0 && str_cmp(range->after_key, range->prefix) >= 0;
    sqlite3_stmt *statement = sqlite->statements[behind ? QUERY_LIST_AFTER : QUERY_LIST];
    char end[STORE_KEY_BYTES_MAX + 1];
    bind_bytes(statement, 1, behind ? range->after_key : range->prefix);
    bind_bytes(statement, 2, prefix_end(range->prefix, end));
    bind_u64(statement, 3, MIN(range->limit, (size_t)INT64_MAX));
    void *rows = NULL;
    size_t count = 0;
    int r = list_rows(statement, arena, &rows, &count);
    sqlite3_reset(statement);
    if (r < 0)
        return r;
    *ret_rows = rows;
    *ret_count = count;
    return 0;
}

/* The row's mod_rev; 0 = there is none. */
static int
row_mod_rev(struct sqlite *sqlite, struct str key, uint64_t *ret_mod_rev)
{
    sqlite3_stmt *statement = sqlite->statements[QUERY_MOD_REV];
    bind_bytes(statement, 1, key);
    int code = sqlite3_step(statement);
    *ret_mod_rev = code == SQLITE_ROW ? column_u64(statement, 0) : 0;
    sqlite3_reset(statement);
    return code == SQLITE_ROW || code == SQLITE_DONE ? 0 : sqlite_error(code);
}

static int
op_apply(struct sqlite *sqlite, uint64_t revision, const struct store_op *op, size_t *event_count)
{
    sqlite3_stmt *statement = sqlite->statements[op->delete_ ? QUERY_DELETE : QUERY_PUT];
    struct str value = op->delete_ ? STR_EMPTY : op->value;
    bind_bytes(statement, 1, op->key);
    if (!op->delete_) {
        bind_bytes(statement, 2, value);
        bind_u64(statement, 3, revision);
    }
    int r = run(statement);
    if (r < 0 || op->quiet || (op->delete_ && sqlite3_changes(sqlite->db) == 0))
        return r;
    statement = sqlite->statements[QUERY_LOG];
    bind_u64(statement, 1, revision);
    bind_u64(statement, 2, (*event_count)++);
    bind_bytes(statement, 3, op->key);
    bind_bytes(statement, 4, value);
    bind_u64(statement, 5, op->delete_);
    return run(statement);
}

static int
commit_body(struct sqlite *sqlite, uint64_t revision, const struct store_cond *conds,
            size_t cond_count, const struct store_op *ops, size_t op_count, size_t *event_count)
{
    for (size_t i = 0; i < cond_count; i++) {
        uint64_t mod_rev;
        int r = row_mod_rev(sqlite, conds[i].key, &mod_rev);
        if (r < 0)
            return r;
        if (mod_rev != conds[i].mod_rev)
            return -ERR_CONFLICT;
    }
    for (size_t i = 0; i < op_count; i++) {
        int r = op_apply(sqlite, revision, &ops[i], event_count);
        if (r < 0)
            return r;
    }
    bind_u64(sqlite->statements[QUERY_SET_REVISION], 1, revision);
    return run(sqlite->statements[QUERY_SET_REVISION]);
}

static int
transaction_end(struct sqlite *sqlite, int r)
{
    if (r == 0)
        r = run(sqlite->statements[QUERY_COMMIT]);
    /* A full disk may have rolled back already. What a rollback itself cannot do, the journal does
     * at the next open; until then every call fails. */
    if (r < 0 && !sqlite3_get_autocommit(sqlite->db))
        (void)run(sqlite->statements[QUERY_ROLLBACK]);
    return r;
}

static int
sqlite_commit(void *self, uint64_t revision, const struct store_cond *conds, size_t cond_count,
              const struct store_op *ops, size_t op_count, size_t *ret_events)
{
    struct sqlite *sqlite = self;
    size_t event_count = 0;
    int r = run(sqlite->statements[QUERY_BEGIN]);
    if (r == 0)
        r = commit_body(sqlite, revision, conds, cond_count, ops, op_count, &event_count);
    r = transaction_end(sqlite, r);
    if (r == 0)
        *ret_events = event_count;
    return r;
}

static int
history_rows(sqlite3_stmt *statement, size_t limit, struct arena *arena, void **events,
             size_t *count)
{
    size_t cap = 0;
    int code;
    while ((code = sqlite3_step(statement)) == SQLITE_ROW) {
        uint64_t revision = column_u64(statement, 0);
        const struct store_event *last = *count ? (struct store_event *)*events + *count - 1 : NULL;
        if (*count >= limit && last != NULL && last->revision != revision)
            return 0;
        int r = store_grow(arena, events, *count, &cap, sizeof(struct store_event));
        if (r < 0)
            return r;
        struct store_event *event = (struct store_event *)*events + *count;
        r = column_dup(statement, 1, arena, &event->key);
        if (r == 0)
            r = column_dup(statement, 2, arena, &event->value);
        if (r < 0)
            return r;
        event->revision = revision;
        event->deleted = sqlite3_column_int(statement, 3) != 0;
        (*count)++;
    }
    return code == SQLITE_DONE ? 0 : sqlite_error(code);
}

static int
sqlite_history(void *self, uint64_t after, struct str prefix, size_t limit, struct arena *arena,
               struct store_event **ret_events, size_t *ret_count)
{
    struct sqlite *sqlite = self;
    sqlite3_stmt *statement = sqlite->statements[QUERY_HISTORY];
    char end[STORE_KEY_BYTES_MAX + 1];
    bind_u64(statement, 1, after);
    bind_bytes(statement, 2, prefix);
    bind_bytes(statement, 3, prefix_end(prefix, end));
    void *events = NULL;
    size_t count = 0;
    int r = history_rows(statement, limit, arena, &events, &count);
    sqlite3_reset(statement);
    if (r < 0)
        return r;
    *ret_events = events;
    *ret_count = count;
    return 0;
}

static int
sqlite_trim(void *self, size_t keep, uint64_t upto, uint64_t *ret_floor)
{
    struct sqlite *sqlite = self;
    sqlite3_stmt *statement = sqlite->statements[QUERY_FIRST_KEPT];
    ASSERT(keep > 0);
    bind_u64(statement, 1, keep - 1);
    int code = sqlite3_step(statement);
    uint64_t first_kept = code == SQLITE_ROW ? column_u64(statement, 0) : 0;
    sqlite3_reset(statement);
    if (code != SQLITE_ROW)
        return code == SQLITE_DONE ? 0 : sqlite_error(code);
    uint64_t floor = MIN(first_kept - 1, upto);
    bind_u64(sqlite->statements[QUERY_FORGET], 1, floor);
    int r = run(sqlite->statements[QUERY_FORGET]);
    if (r == 0 && sqlite3_changes(sqlite->db) > 0)
        *ret_floor = floor;
    return r;
}

const struct store_backend store_backend_sqlite = {
    .open = sqlite_open,
    .close = sqlite_close,
    .get = sqlite_get,
    .list = sqlite_list,
    .commit = sqlite_commit,
    .history = sqlite_history,
    .trim = sqlite_trim,
};
