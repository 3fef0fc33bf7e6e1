/* SPDX-License-Identifier: MIT
 * dialect.c - the table of dialects.
 * Floor: dataplane/dialect; any thread.
 * Owns: nothing; static data.
 * Invariant: one row of dialects.def, one vtable. Proved by conform_test.c. */
#include "dataplane/dialect/dialect_int.h"

static const struct dialect *const dialects[] = {
#define DIALECT_ROW(name, text) &dialect_##name,
#include "dataplane/dialect/dialects.def"
#undef DIALECT_ROW
};

/* A reply may repeat a key: the first one wins, as for any reader of ours. */
const struct json_limits dialect_reply_limits = {.allow_duplicates = true};

const struct dialect *
dialect_find(struct str name)
{
    for (size_t i = 0; i < ARRAY_LEN(dialects); i++) {
        if (str_eq(str_from(dialects[i]->name), name))
            return dialects[i];
    }
    return NULL;
}

bool
dialect_same(const struct dialect *a, const struct dialect *b)
{
    return (a->wire != NULL ? a->wire : a) == (b->wire != NULL ? b->wire : b);
}

const struct dialect *
dialect_at(size_t index)
{
    return index < ARRAY_LEN(dialects) ? dialects[index] : NULL;
}
