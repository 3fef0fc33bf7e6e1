/* SPDX-License-Identifier: MIT
 * hpack.h - header blocks of HTTP/2 as bytes (RFC 7541), both directions.
 * Floor: lib/http; one thread at a time for each object.
 * Owns: the entries of the two dynamic tables of a connection (4 KiB each at most).
 * Invariant: whatever a decoder accepts, nghttp2's accepts with the same fields; what an encoder
 *            writes, nghttp2's reads back: hpack_test.c, hpack_fuzz.c. Credentials enter no table.
 */
#ifndef BERTH_LIB_HTTP_HPACK_H
#define BERTH_LIB_HTTP_HPACK_H

#include "lib/base/buf.h"

#define HPACK_TABLE_BYTES 4096u /* RFC 7541 4.2: what both sides start with, and we keep */
#define HPACK_ENTRY_BYTES 32u   /* RFC 7541 4.1: overhead of an entry */
#define HPACK_ENTRIES (HPACK_TABLE_BYTES / HPACK_ENTRY_BYTES)

struct hpack_entry;
/* A ring: entry number n (from 0, ever) is at n % HPACK_ENTRIES while it lives. */
struct hpack_table {
    struct hpack_entry *ring[HPACK_ENTRIES];
    uint32_t inserted;
    uint32_t count;
    uint32_t bytes;
    uint32_t bytes_max;
};

struct hpack_decoder {
    struct hpack_table table;
    /* Of the field that `field` is being told, as far as it came out of a table: its name is one
     * that may be sent (message.h; or a pseudo field's); its value, too. */
    bool name_checked;
    bool checked;
};
void hpack_decoder_init(struct hpack_decoder *decoder);
void hpack_decoder_fini(struct hpack_decoder *decoder);
/* One field; borrowed until it returns. Not 0: decoding ends with it. */
typedef int (*hpack_field_fn)(void *user, struct str name, struct str value);
/* hpack_decode - a whole header block. 0; what `field` returned; -ERR_PARSE: the connection cannot
 * go
 * on (COMPRESSION_ERROR); -ERR_NOMEM: nor then. */
int hpack_decode(struct hpack_decoder *decoder, struct str block, hpack_field_fn field,
                 void *user) MUST_USE;

#define HPACK_SLOTS 64u /* 6 bits of a hash */
struct hpack_encoder {
    struct hpack_table table;
    uint32_t smallest;           /* size to be announced before the last one, RFC 7541 4.2 */
    bool resized;                /* tell the peer at the start of the next block */
    uint32_t slots[HPACK_SLOTS]; /* by hash: number + 1 of the entry that was put last */
    uint32_t seen[HPACK_SLOTS];  /* and the hash of the field that was */
};
void hpack_encoder_init(struct hpack_encoder *encoder);
void hpack_encoder_fini(struct hpack_encoder *encoder);
/* hpack_encoder_limit - the peer's SETTINGS_HEADER_TABLE_SIZE. */
void hpack_encoder_limit(struct hpack_encoder *encoder, uint32_t bytes);
/* hpack_begin - before the first field of a block. */
void hpack_begin(struct hpack_encoder *encoder, struct buf *out);
/* hpack_put - append a field; name: lower case. out->failed on no memory. No Huffman coding: a few
 * bytes
 * more cost less than it does on both sides. */
void hpack_put(struct hpack_encoder *encoder, struct buf *out, struct str name, struct str value);

#endif
