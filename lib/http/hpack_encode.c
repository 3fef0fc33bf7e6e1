/* SPDX-License-Identifier: MIT
 * hpack_encode.c - header blocks out: what came twice is kept, and sent as an index from then on.
 * Floor: lib/http; one thread at a time for each object.
 * Owns: the encoder's table.
 * Invariant: what may not be kept by the peer is never inserted; a slot is a hint, compared before
 *            it is
 *            used. hpack_test.c. */
#include "lib/base/check.h"
#include "lib/base/err.h"
#include "lib/http/hpack_int.h"
#include "lib/http/message_int.h"

/* Larger ones would push out too much. */
#define INDEXED_BYTES_MAX 1024u

/* KEEP: from the second time on, since an entry that never comes again would push out one that
 * does. ONCE: never. SECRET: in no table, here or at a proxy behind (RFC 7541 6.2.3). */
enum keep { KEEP, ONCE, SECRET };

void
hpack_encoder_init(struct hpack_encoder *encoder)
{
    *encoder = (struct hpack_encoder){.table.bytes_max = HPACK_TABLE_BYTES};
}

void
hpack_encoder_fini(struct hpack_encoder *encoder)
{
    hpack_table_fini(&encoder->table);
}

void
hpack_encoder_limit(struct hpack_encoder *encoder, uint32_t bytes)
{
    bytes = MIN(bytes, HPACK_TABLE_BYTES);
    if (bytes == encoder->table.bytes_max)
        return;
    encoder->smallest = encoder->resized ? MIN(encoder->smallest, bytes) : bytes;
    encoder->resized = true;
    hpack_table_resize(&encoder->table, bytes);
}

/* RFC 7541 5.1: `value` behind the bits of `first`, in a prefix of `bits` bits. */
static char *
put_number(char *at, uint8_t first, unsigned bits, size_t value)
{
    size_t most = (1u << bits) - 1u;
    if (LIKELY(value < most)) {
        *at++ = (char)(first | value);
        return at;
    }
    *at++ = (char)(first | most);
    for (value -= most; value >= 128; value >>= 7)
        *at++ = (char)(value | 128);
    *at++ = (char)value;
    return at;
}

void
hpack_begin(struct hpack_encoder *encoder, struct buf *out)
{
    char bytes[24];
    char *at = bytes;
    if (LIKELY(!encoder->resized))
        return;
    encoder->resized = false;
    if (encoder->smallest < encoder->table.bytes_max)
        at = put_number(at, 0x20, 5, encoder->smallest);
    at = put_number(at, 0x20, 5, encoder->table.bytes_max);
    buf_put(out, bytes, (size_t)(at - bytes));
}

/* The static index of a name (0: none) and what may be kept. */
static uint32_t
known_name(struct str name, enum keep *ret_keep)
{
#define KNOWN(text, index, keep)   \
    if (str_eq(name, STR(text))) { \
        *ret_keep = (keep);        \
        return (index);            \
    }
    switch (name.len) {
    case 4:
        KNOWN("date", 33, KEEP)
        break;
    case 5:
        KNOWN(":path", 4, KEEP)
        break;
    case 6:
        KNOWN("accept", 19, KEEP)
        KNOWN("cookie", 32, SECRET)
        break;
    case 7:
        KNOWN(":status", 8, KEEP)
        KNOWN(":method", 2, KEEP)
        KNOWN(":scheme", 6, KEEP)
        KNOWN("api-key", 0, SECRET)
        break;
    case 9:
        KNOWN("x-api-key", 0, SECRET)
        break;
    case 10:
        KNOWN(":authority", 1, KEEP)
        KNOWN("user-agent", 58, KEEP)
        KNOWN("set-cookie", 55, SECRET)
        break;
    case 12:
        KNOWN("content-type", 31, KEEP)
        break;
    case 13:
        KNOWN("authorization", 23, SECRET)
        KNOWN("cache-control", 24, KEEP)
        break;
    case 14:
        KNOWN("content-length", 28, ONCE)
        KNOWN("x-goog-api-key", 0, SECRET)
        break;
    case 15:
        KNOWN("accept-encoding", 16, KEEP)
        break;
    case 19:
        KNOWN("proxy-authorization", 49, SECRET)
        break;
    case 20:
        KNOWN("x-amz-security-token", 0, SECRET)
        break;
    default:
        break;
    }
#undef KNOWN
    *ret_keep = KEEP;
    return 0;
}

/* What RFC 7541 appendix A has whole, of that which is sent. 0: it has not. */
static uint32_t
static_field(uint32_t name, struct str value)
{
    static const struct {
        uint32_t name;
        uint32_t index;
        struct str value;
    } rows[] = {
        {8, 8, STR("200")},   {2, 3, STR("POST")}, {6, 6, STR("http")},
        {6, 7, STR("https")}, {2, 2, STR("GET")},  {4, 4, STR("/")},
        {8, 9, STR("204")},   {8, 11, STR("304")}, {8, 12, STR("400")},
        {8, 13, STR("404")},  {8, 14, STR("500")}, {16, 16, STR("gzip, deflate")},
    };
    const uint64_t names = 1u << 8 | 1u << 2 | 1u << 6 | 1u << 4 | 1u << 16;
    for (size_t i = 0; i < ARRAY_LEN(rows) && (names >> name & 1u) != 0; i++) {
        if (rows[i].name == name && str_eq(value, rows[i].value))
            return rows[i].index;
    }
    return 0;
}

static uint32_t
hash_of(uint32_t name_index, struct str name, struct str value)
{
    uint64_t hash = name_index != 0 ? name_index : name.len * 131u;
    uint64_t word = value.len;
    for (size_t i = 0; i + 8 < value.len; i += 8) {
        memcpy(&word, value.ptr + i, 8);
        hash = (hash ^ word) * 0x9e3779b97f4a7c15u;
    }
    /* The rest; of a longer value its last 8 bytes. */
    if (value.len >= 8)
        memcpy(&word, value.ptr + value.len - 8, 8);
    for (size_t i = 0; i < value.len && value.len < 8; i++)
        word = word << 8 | (uint8_t)value.ptr[i];
    hash = (hash ^ word) * 0x9e3779b97f4a7c15u;
    return (uint32_t)((hash * 0x9e3779b97f4a7c15u) >> 32);
}

/* The index of the field in the table, or 0. */
static uint32_t
find_entry(const struct hpack_encoder *encoder, uint32_t slot, struct str name, struct str value)
{
    const struct hpack_table *table = &encoder->table;
    uint32_t age = table->inserted - encoder->slots[slot]; /* slots are one more than the number */
    if (encoder->slots[slot] == 0 || age >= table->count)
        return 0;
    const struct hpack_entry *entry = hpack_table_get(table, age);
    if (!str_eq(hpack_entry_value(entry), value) || !str_eq(hpack_entry_name(entry), name))
        return 0;
    return HPACK_STATIC_COUNT + 1u + age;
}

static char *
put_string(char *at, struct str bytes)
{
    return http_put(put_number(at, 0, 7, bytes.len), bytes);
}

static bool
put_known(struct hpack_encoder *encoder, char **at, uint32_t name_index, struct str name,
          struct str value)
{
    uint32_t index = name_index != 0 ? static_field(name_index, value) : 0;
    if (index == 0) {
        uint32_t hash = hash_of(name_index, name, value);
        uint32_t slot = hash >> 26; /* of HPACK_SLOTS */
        index = find_entry(encoder, slot, name, value);
        if (index == 0 && encoder->seen[slot] != hash) {
            encoder->seen[slot] = hash;
        } else if (index == 0) {
            size_t bytes = name.len + value.len + HPACK_ENTRY_BYTES;
            if (bytes <= encoder->table.bytes_max &&
                hpack_table_insert(&encoder->table, name, value, false) == 0)
                encoder->slots[slot] = encoder->table.inserted;
        }
    }
    if (index != 0)
        *at = put_number(*at, 0x80, 7, index);
    return index != 0;
}

void
hpack_put(struct hpack_encoder *encoder, struct buf *out, struct str name, struct str value)
{
    if (buf_reserve(out, name.len + value.len + 32) != 0)
        return;
    char *at = out->ptr + out->len;
    enum keep keep;
    uint32_t name_index = known_name(name, &keep);
    if (keep == KEEP && name.len + value.len > INDEXED_BYTES_MAX)
        keep = ONCE;
    uint32_t before = encoder->table.inserted;
    if (keep == KEEP && put_known(encoder, &at, name_index, name, value)) {
        out->len = (size_t)(at - out->ptr);
        return;
    }
    if (encoder->table.inserted != before)
        at = put_number(at, 0x40, 6, name_index);
    else
        at = put_number(at, keep == SECRET ? 0x10 : 0, 4, name_index);
    if (name_index == 0)
        at = put_string(at, name);
    at = put_string(at, value);
    out->len = (size_t)(at - out->ptr);
}
