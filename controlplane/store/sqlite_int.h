/* SPDX-License-Identifier: MIT
 * sqlite_int.h - the SQLite backend's object, shared by sqlite.c and sqlite_open.c.
 * Floor: controlplane/store, private; the engine thread.
 * Owns: nothing.
 * Invariant: statements[] are all prepared in an open object. */
#ifndef BERTH_CONTROLPLANE_STORE_SQLITE_INT_H
#define BERTH_CONTROLPLANE_STORE_SQLITE_INT_H

#include <sqlite3.h>

#include "controlplane/store/store_int.h"

enum query {
#define QUERY_ROW(name, sql) QUERY_##name,
#include "controlplane/store/queries.def"
#undef QUERY_ROW
    QUERY_COUNT
};

struct sqlite {
    sqlite3 *db;
    sqlite3_stmt *statements[QUERY_COUNT];
};

/* sqlite_error - our code of one of theirs. */
int sqlite_error(int code);
int sqlite_open(struct str path, void **ret_self, struct store_state *ret_state,
                struct err *err) MUST_USE;
void sqlite_close(void *self);

#endif
