/* SPDX-License-Identifier: MIT
 * hpack.c - the tables of RFC 7541, Huffman codes, and the decoder.
 * Floor: lib/http; one thread at a time for each object.
 * Owns: entries of dynamic tables; the decoding table of the Huffman code, made once.
 * Invariant: a table holds at most bytes_max, entries counted with their overhead; no length of
 *            the input is
 *            believed before it is compared with what is there. hpack_test.c, hpack_fuzz.c. */
#include <endian.h>
#include <pthread.h>

#include "lib/base/check.h"
#include "lib/base/err.h"
#include "lib/base/piece.h"
#include "lib/http/hpack_int.h"
#include "lib/http/message_int.h"

/* RFC 7541 appendix A. */
static const struct {
    struct str name;
    struct str value;
} static_fields[] = {
    {STR(":authority"), STR("")},
    {STR(":method"), STR("GET")},
    {STR(":method"), STR("POST")},
    {STR(":path"), STR("/")},
    {STR(":path"), STR("/index.html")},
    {STR(":scheme"), STR("http")},
    {STR(":scheme"), STR("https")},
    {STR(":status"), STR("200")},
    {STR(":status"), STR("204")},
    {STR(":status"), STR("206")},
    {STR(":status"), STR("304")},
    {STR(":status"), STR("400")},
    {STR(":status"), STR("404")},
    {STR(":status"), STR("500")},
    {STR("accept-charset"), STR("")},
    {STR("accept-encoding"), STR("gzip, deflate")},
    {STR("accept-language"), STR("")},
    {STR("accept-ranges"), STR("")},
    {STR("accept"), STR("")},
    {STR("access-control-allow-origin"), STR("")},
    {STR("age"), STR("")},
    {STR("allow"), STR("")},
    {STR("authorization"), STR("")},
    {STR("cache-control"), STR("")},
    {STR("content-disposition"), STR("")},
    {STR("content-encoding"), STR("")},
    {STR("content-language"), STR("")},
    {STR("content-length"), STR("")},
    {STR("content-location"), STR("")},
    {STR("content-range"), STR("")},
    {STR("content-type"), STR("")},
    {STR("cookie"), STR("")},
    {STR("date"), STR("")},
    {STR("etag"), STR("")},
    {STR("expect"), STR("")},
    {STR("expires"), STR("")},
    {STR("from"), STR("")},
    {STR("host"), STR("")},
    {STR("if-match"), STR("")},
    {STR("if-modified-since"), STR("")},
    {STR("if-none-match"), STR("")},
    {STR("if-range"), STR("")},
    {STR("if-unmodified-since"), STR("")},
    {STR("last-modified"), STR("")},
    {STR("link"), STR("")},
    {STR("location"), STR("")},
    {STR("max-forwards"), STR("")},
    {STR("proxy-authenticate"), STR("")},
    {STR("proxy-authorization"), STR("")},
    {STR("range"), STR("")},
    {STR("referer"), STR("")},
    {STR("refresh"), STR("")},
    {STR("retry-after"), STR("")},
    {STR("server"), STR("")},
    {STR("set-cookie"), STR("")},
    {STR("strict-transport-security"), STR("")},
    {STR("transfer-encoding"), STR("")},
    {STR("user-agent"), STR("")},
    {STR("vary"), STR("")},
    {STR("via"), STR("")},
    {STR("www-authenticate"), STR("")},
};
_Static_assert(ARRAY_LEN(static_fields) == HPACK_STATIC_COUNT, "RFC 7541 appendix A");

/* ---- dynamic tables -------------------------------------------------------------------------- */

static void
table_evict(struct hpack_table *table)
{
    struct hpack_entry **slot = &table->ring[(table->inserted - table->count) % HPACK_ENTRIES];
    table->bytes -= (*slot)->name_len + (*slot)->value_len + HPACK_ENTRY_BYTES;
    table->count--;
    piece_free(*slot);
    *slot = NULL;
}

void
hpack_table_resize(struct hpack_table *table, uint32_t bytes_max)
{
    ASSERT(bytes_max <= HPACK_TABLE_BYTES);
    table->bytes_max = bytes_max;
    while (table->bytes > bytes_max)
        table_evict(table);
}

void
hpack_table_fini(struct hpack_table *table)
{
    while (table->count > 0)
        table_evict(table);
}

int
hpack_table_insert(struct hpack_table *table, struct str name, struct str value, bool checked)
{
    size_t bytes = name.len + value.len + HPACK_ENTRY_BYTES;
    struct hpack_entry *entry = NULL;
    if (bytes <= table->bytes_max) { /* copied before what it may point to is evicted */
        entry = piece_alloc(sizeof *entry + name.len + value.len);
        if (entry == NULL)
            return -ERR_NOMEM;
        entry->name_len = (uint32_t)name.len;
        entry->value_len = (uint32_t)value.len;
        entry->checked = checked;
        memcpy(entry->bytes, name.ptr, name.len);
        memcpy(entry->bytes + name.len, value.ptr, value.len);
    }
    while (table->count > 0 && table->bytes + bytes > table->bytes_max)
        table_evict(table);
    if (entry == NULL)
        return 0;
    ASSERT(table->count < HPACK_ENTRIES);
    table->ring[table->inserted++ % HPACK_ENTRIES] = entry;
    table->count++;
    table->bytes += (uint32_t)bytes;
    return 0;
}

/* ---- Huffman codes --------------------------------------------------------------------------- */

#define CODE_BITS_MAX 30u
#define FAST_BITS 8u

/* Appendix B: the code is canonical, so that its lengths say all. EOS, the last of 30 bits, is not
 * among them: nobody may send it. */
static const uint8_t code_bits[256] = {
    13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28,
    28, 28, 28, 28, 28, 28, 28, 28, 6,  10, 10, 12, 13, 6,  8,  11, 10, 10, 8,  11, 8,  6,  6,  6,
    5,  5,  5,  6,  6,  6,  6,  6,  6,  6,  7,  8,  15, 6,  12, 10, 13, 6,  7,  7,  7,  7,  7,  7,
    7,  7,  7,  7,  7,  7,  7,  7,  7,  7,  7,  7,  7,  7,  7,  7,  8,  7,  8,  13, 19, 13, 14, 6,
    15, 5,  6,  5,  6,  5,  6,  6,  6,  5,  7,  7,  6,  6,  6,  5,  6,  7,  6,  5,  5,  6,  7,  7,
    7,  7,  7,  15, 11, 14, 13, 28, 20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23,
    24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24, 22, 21, 20, 22, 22, 23, 23, 21,
    23, 22, 22, 24, 21, 22, 23, 23, 21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23,
    26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25, 19, 21, 26, 27, 27, 26, 27, 24,
    21, 21, 26, 26, 28, 27, 27, 27, 20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23,
    26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26,
};
static struct {
    uint16_t fast[1u << FAST_BITS];     /* bits * 256 + symbol; 0: a longer code */
    uint32_t first[CODE_BITS_MAX + 1];  /* code of each length */
    uint16_t offset[CODE_BITS_MAX + 2]; /* of it in symbols */
    uint8_t symbols[256];               /* by code */
} huffman;
static pthread_once_t huffman_once = PTHREAD_ONCE_INIT;

static void
huffman_setup(void)
{
    uint32_t code = 0;
    uint16_t count = 0;
    for (uint32_t bits = 1; bits <= CODE_BITS_MAX; bits++, code <<= 1) {
        huffman.first[bits] = code;
        huffman.offset[bits] = count;
        for (uint32_t symbol = 0; symbol < 256; symbol++) {
            if (code_bits[symbol] != bits)
                continue;
            huffman.symbols[count++] = (uint8_t)symbol;
            for (uint32_t tail = 0; bits <= FAST_BITS && tail < 1u << (FAST_BITS - bits); tail++) {
                huffman.fast[code << (FAST_BITS - bits) | tail] = (uint16_t)(bits << 8 | symbol);
            }
            code++;
        }
    }
    huffman.offset[CODE_BITS_MAX + 1] = count;
    ASSERT(count == 256);
}

/* A symbol of more than FAST_BITS bits at the top of `window`, of which `have` bits are there: its
 * length, or 0. */
static COLD unsigned
huffman_long(uint64_t window, unsigned have, char *ret_symbol)
{
    for (uint32_t bits = FAST_BITS + 1; bits <= CODE_BITS_MAX && bits <= have; bits++) {
        uint32_t code = (uint32_t)(window >> (64 - bits));
        uint32_t count = huffman.offset[bits + 1] - (uint32_t)huffman.offset[bits];
        if (code - huffman.first[bits] >= count) /* smaller ones wrap round */
            continue;
        *ret_symbol = (char)huffman.symbols[huffman.offset[bits] + code - huffman.first[bits]];
        return bits;
    }
    return 0;
}

/* Into `out`, which has room for 8/5 of `in`. SIZE_MAX: malformed. By itself: the clients of
 * tools/pgo do not code, so that inlined it would be as slow as what is never used. */
static NOINLINE size_t
huffman_decode(struct str in, char *out) // NOLINT(readability-function-cognitive-complexity): hot
{
    const uint8_t *at = (const uint8_t *)in.ptr;
    const uint8_t *end = at + in.len;
    const char *start = out;
    uint64_t window = 0; /* the next `have` bits, from the top; zeros behind, or what is next */
    unsigned have = 0;
    unsigned bits;
    for (;;) {
        if (LIKELY(end - at >= 8)) {
            uint64_t word;
            memcpy(&word, at, sizeof word);
            window |= be64toh(word) >> have;
            at += (63 - have) / 8;
            have |= 56; /* and as many more as were left of a byte */
        } else {
            for (; have <= 56 && at < end; have += 8)
                window |= (uint64_t)*at++ << (56 - have);
        }
        while (have >= FAST_BITS) {
            uint16_t code = huffman.fast[window >> (64 - FAST_BITS)];
            *out = (char)code;
            bits = code >> 8;
            if (UNLIKELY(bits == 0)) {
                if (have < CODE_BITS_MAX && at < end)
                    break;
                bits = huffman_long(window, have, out);
                if (bits == 0)
                    return SIZE_MAX;
            }
            out++;
            window <<= bits;
            have -= bits;
        }
        if (at < end)
            continue;
        uint16_t code = huffman.fast[window >> (64 - FAST_BITS)];
        bits = code >> 8;
        if (bits == 0 || bits > have)
            break;
        *out++ = (char)code;
        window <<= bits;
        have -= bits;
    }
    /* The end: less than a byte of ones, RFC 7541 5.2. */
    uint64_t ones = have == 0 ? 0 : ~(uint64_t)0 << (64 - have);
    return have < FAST_BITS && window == ones ? (size_t)(out - start) : SIZE_MAX;
}

/* ---- decoding -------------------------------------------------------------------------------- */

void
hpack_decoder_init(struct hpack_decoder *decoder)
{
    ASSERT(pthread_once(&huffman_once, huffman_setup) == 0);
    *decoder = (struct hpack_decoder){.table.bytes_max = HPACK_TABLE_BYTES};
}

void
hpack_decoder_fini(struct hpack_decoder *decoder)
{
    hpack_table_fini(&decoder->table);
}

/* What is left of a block, and room for its Huffman-coded strings: 8/5 of its bytes. */
struct block {
    const uint8_t *at;
    const uint8_t *end;
    char *text;
};

/* RFC 7541 5.1, with a prefix of `bits` bits. At most 2^28: more is never needed. */
static bool
take_number(struct block *block, unsigned bits, uint32_t *ret)
{
    uint32_t mask = (1u << bits) - 1u;
    uint32_t value = *block->at++ & mask;
    if (UNLIKELY(value == mask)) {
        for (unsigned shift = 0;; shift += 7) {
            if (block->at == block->end || shift > 21)
                return false;
            uint8_t byte = *block->at++;
            value += (uint32_t)(byte & 0x7f) << shift;
            if ((byte & 0x80) == 0)
                break;
        }
    }
    *ret = value;
    return true;
}

static bool
take_string(struct block *block, struct str *ret)
{
    uint32_t count;
    if (block->at == block->end)
        return false;
    bool coded = (*block->at & 0x80) != 0;
    if (!take_number(block, 7, &count) || count > (size_t)(block->end - block->at))
        return false;
    *ret = str_make((const char *)block->at, count);
    block->at += count;
    if (!coded)
        return true;
    size_t plain = huffman_decode(*ret, block->text);
    if (plain == SIZE_MAX)
        return false;
    *ret = str_make(block->text, plain);
    block->text += plain;
    return true;
}

/* The field of an index, RFC 7541 2.3.3. */
static bool
table_field(const struct hpack_table *table, uint32_t index, struct str *ret_name,
            struct str *ret_value, bool *ret_checked)
{
    if (index == 0)
        return false;
    *ret_checked = true;
    if (index <= HPACK_STATIC_COUNT) {
        *ret_name = static_fields[index - 1].name;
        *ret_value = static_fields[index - 1].value;
        return true;
    }
    index -= HPACK_STATIC_COUNT + 1;
    if (index >= table->count)
        return false;
    const struct hpack_entry *entry = hpack_table_get(table, index);
    *ret_name = hpack_entry_name(entry);
    *ret_value = hpack_entry_value(entry);
    *ret_checked = entry->checked;
    return true;
}

/* One field. The caller's `field` sees it before it is inserted: that may evict what it points to.
 * */
static int
decode_field(struct hpack_decoder *decoder, struct block *block, hpack_field_fn field, void *user)
{
    struct hpack_table *table = &decoder->table;
    uint32_t index;
    struct str name;
    struct str value;
    uint8_t first = *block->at;
    bool insert = (first & 0xc0) == 0x40;
    unsigned bits = (first & 0x80) != 0 ? 7 : insert ? 6 : 4;
    if (!take_number(block, bits, &index))
        return -ERR_PARSE;
    decoder->name_checked = false;
    if (index > 0 ? !table_field(table, index, &name, &value, &decoder->name_checked)
                  : bits == 7 || !take_string(block, &name))
        return -ERR_PARSE;
    if (bits != 7 && !take_string(block, &value))
        return -ERR_PARSE;
    decoder->checked = decoder->name_checked && bits == 7;
    int rc = field(user, name, value);
    if (rc != 0 || !insert)
        return rc;
    bool pseudo = name.len > 0 && name.ptr[0] == ':';
    return hpack_table_insert(table, name, value,
                              (pseudo || http_name_ok(name)) && http_value_ok(value));
}

static int
decode_fields(struct hpack_decoder *decoder, struct block *block, hpack_field_fn field, void *user)
{
    int rc = 0;
    bool begun = false;
    unsigned resizes = 0;
    while (rc == 0 && block->at < block->end) {
        if (UNLIKELY((*block->at & 0xe0) == 0x20)) {
            /* Sizes stand before the first field only: the smallest and the last, 4.2. */
            uint32_t bytes;
            if (begun || ++resizes > 2 || !take_number(block, 5, &bytes) ||
                bytes > HPACK_TABLE_BYTES)
                return -ERR_PARSE;
            hpack_table_resize(&decoder->table, bytes);
            continue;
        }
        begun = true;
        rc = decode_field(decoder, block, field, user);
    }
    return rc;
}

int
hpack_decode(struct hpack_decoder *decoder, struct str block, hpack_field_fn field, void *user)
{
    char *text = piece_alloc(block.len / 5 * 8 + 16);
    if (text == NULL)
        return -ERR_NOMEM;
    struct block rest = {.at = (const uint8_t *)block.ptr,
                         .end = (const uint8_t *)block.ptr + block.len,
                         .text = text};
    int rc = decode_fields(decoder, &rest, field, user);
    piece_free(text);
    return rc;
}
