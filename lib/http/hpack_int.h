/* SPDX-License-Identifier: MIT
 * hpack_int.h - what the decoder and the encoder of hpack.h share.
 * Floor: lib/http, private; any thread.
 * Owns: the layout of an entry.
 * Invariant: see hpack.h. */
#ifndef BERTH_LIB_HTTP_HPACK_INT_H
#define BERTH_LIB_HTTP_HPACK_INT_H

#include "lib/http/hpack.h"

#define HPACK_STATIC_COUNT 61u

struct hpack_entry {
    uint32_t name_len;
    uint32_t value_len;
    bool checked; /* http_name_ok (or a pseudo field) and http_value_ok hold */
    char bytes[]; /* name, value */
};

static inline struct str
hpack_entry_name(const struct hpack_entry *entry)
{
    return str_make(entry->bytes, entry->name_len);
}
static inline struct str
hpack_entry_value(const struct hpack_entry *entry)
{
    return str_make(entry->bytes + entry->name_len, entry->value_len);
}

/* hpack_table_get - the entry that was inserted `age` entries ago (0: the newest); age < count. */
static inline const struct hpack_entry *
hpack_table_get(const struct hpack_table *table, uint32_t age)
{
    return table->ring[(table->inserted - 1u - age) % HPACK_ENTRIES];
}
void hpack_table_fini(struct hpack_table *table);
void hpack_table_resize(struct hpack_table *table, uint32_t bytes_max);
/* hpack_table_insert - name and value may lie in the table. What is larger than the table empties
 * it
 * (RFC 7541 4.4). 0 or -ERR_NOMEM. */
int hpack_table_insert(struct hpack_table *table, struct str name, struct str value,
                       bool checked) MUST_USE;

#endif
