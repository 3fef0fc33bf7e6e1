/* SPDX-License-Identifier: MIT
 * hpack_fuzz.c - header blocks of any bytes: what we accept, nghttp2 accepts with the same fields.
 * Floor: lib/http, fuzzing; one thread.
 * Owns: nothing between inputs.
 * Invariant: both decoders hold the same table after each block that both took. */
#include <nghttp2/nghttp2.h>

#include "lib/base/check.h"
#include "lib/http/hpack.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int
note(void *user, struct str name, struct str value)
{
    struct buf *text = user;
    buf_put_str(text, name);
    buf_put_byte(text, ':');
    buf_put_str(text, value);
    return buf_put_byte(text, '\n');
}

static bool
theirs(nghttp2_hd_inflater *inflater, struct str block, struct buf *text)
{
    uint8_t *at = (uint8_t *)(uintptr_t)block.ptr;
    for (int flags = 0; (flags & NGHTTP2_HD_INFLATE_FINAL) == 0;) {
        nghttp2_nv nv;
        ssize_t used = nghttp2_hd_inflate_hd2(inflater, &nv, &flags, at, block.len, 1);
        if (used < 0)
            return false;
        at += used;
        block.len -= (size_t)used;
        if ((flags & NGHTTP2_HD_INFLATE_EMIT) != 0)
            (void)note(text, str_make((char *)nv.name, nv.namelen),
                       str_make((char *)nv.value, nv.valuelen));
    }
    return nghttp2_hd_inflate_end_headers(inflater) == 0;
}

/* Blocks of the length that a byte says, one behind the other. */
int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct hpack_decoder decoder;
    nghttp2_hd_inflater *inflater = NULL;
    if (size > 4096)
        return 0;
    hpack_decoder_init(&decoder);
    ASSERT(nghttp2_hd_inflate_new(&inflater) == 0);
    for (size_t at = 0; at < size;) {
        size_t len = MIN((size_t)data[at], size - at - 1);
        struct str block = str_make((const char *)data + at + 1, len);
        struct buf ours_text;
        struct buf theirs_text;
        at += 1 + len;
        buf_init(&ours_text, 64u << 20);
        buf_init(&theirs_text, 64u << 20);
        bool ours = hpack_decode(&decoder, block, note, &ours_text) == 0;
        if (ours) {
            ASSERT(theirs(inflater, block, &theirs_text));
            ASSERT(str_eq(buf_str(&ours_text), buf_str(&theirs_text)));
            ASSERT(nghttp2_hd_inflate_get_dynamic_table_size(inflater) == decoder.table.bytes);
        }
        buf_fini(&ours_text);
        buf_fini(&theirs_text);
        if (!ours)
            break;
    }
    hpack_decoder_fini(&decoder);
    nghttp2_hd_inflate_del(inflater);
    return 0;
}
