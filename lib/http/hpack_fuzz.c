/* SPDX-License-Identifier: MIT
 * hpack_fuzz.c - header blocks of any bytes: what we accept, nghttp2 accepts with the same fields.
 * Floor: lib/http, fuzzing; one thread.
 * Owns: nothing between inputs.
 * Invariant: both decoders hold the same table after each block that both took; what is told to be
 *            checked is fit to be sent. */
#include <nghttp2/nghttp2.h>

#include "lib/base/check.h"
#include "lib/http/hpack.h"
#include "lib/http/message.h"

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

struct ours {
    struct hpack_decoder decoder;
    struct buf text;
};

static int
note_ours(void *user, struct str name, struct str value)
{
    struct ours *ours = user;
    bool pseudo = name.len > 0 && name.ptr[0] == ':';
    ASSERT(!ours->decoder.name_checked || pseudo || http_valid_name(name));
    ASSERT(!ours->decoder.checked || (ours->decoder.name_checked && http_valid_value(value)));
    return note(&ours->text, name, value);
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
    struct ours ours;
    nghttp2_hd_inflater *inflater = NULL;
    if (size > 4096)
        return 0;
    hpack_decoder_init(&ours.decoder);
    ASSERT(nghttp2_hd_inflate_new(&inflater) == 0);
    for (size_t at = 0; at < size;) {
        size_t len = MIN((size_t)data[at], size - at - 1);
        struct str block = str_make((const char *)data + at + 1, len);
        struct buf theirs_text;
        at += 1 + len;
        buf_init(&ours.text, 64u << 20);
        buf_init(&theirs_text, 64u << 20);
        bool good = hpack_decode(&ours.decoder, block, note_ours, &ours) == 0;
        if (good) {
            ASSERT(theirs(inflater, block, &theirs_text));
            ASSERT(str_eq(buf_str(&ours.text), buf_str(&theirs_text)));
            ASSERT(nghttp2_hd_inflate_get_dynamic_table_size(inflater) == ours.decoder.table.bytes);
        }
        buf_fini(&ours.text);
        buf_fini(&theirs_text);
        if (!good)
            break;
    }
    hpack_decoder_fini(&ours.decoder);
    nghttp2_hd_inflate_del(inflater);
    return 0;
}
