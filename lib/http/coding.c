/* SPDX-License-Identifier: MIT
 * coding.c - one face for zlib, brotli and zstd.
 * Floor: lib/http; one thread at a time.
 * Owns: the library's state.
 * Invariant: a step either makes progress, or has used up its input; see coding.h. */
#include "lib/http/coding.h"

#include <stdlib.h>

#include <brotli/decode.h>
#include <zlib.h>
#include <zstd.h>

#include "lib/base/check.h"

#define WINDOW_BITS_GZIP (15 + 16)
#define WINDOW_BITS_ZLIB 15
#define ZSTD_WINDOW_BITS 23
#define ZSTD_HEADER_BYTES_MAX 18
#define STEP_BYTES_MAX (1u << 30) /* zlib counts in 32 bits */

struct coding {
    enum coding_kind kind;
    bool complete;
    int failed;           /* sticky */
    uint32_t frame_bytes; /* zstd: taken of this frame, at least so many */
    uint64_t taken;
    uint64_t given;
    union {
        z_stream zlib;
        BrotliDecoderState *brotli;
        ZSTD_DStream *zstd;
    } u;
};

enum coding_kind
coding_kind(struct str value)
{
    static const struct {
        struct str name;
        enum coding_kind kind;
    } rows[] = {
        {{"gzip", 4}, CODING_GZIP}, {{"x-gzip", 6}, CODING_GZIP},
        {{"br", 2}, CODING_BR},     {{"deflate", 7}, CODING_DEFLATE},
        {{"zstd", 4}, CODING_ZSTD}, {{"identity", 8}, CODING_IDENTITY},
        {{"", 0}, CODING_IDENTITY},
    };
    struct str name = str_trim(value);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        if (str_eq_nocase(name, rows[i].name))
            return rows[i].kind;
    }
    return CODING_UNKNOWN;
}

int
coding_new(enum coding_kind kind, struct coding **ret_coding)
{
    ASSERT(kind > CODING_IDENTITY && kind < CODING_UNKNOWN);
    struct coding *coding = calloc(1, sizeof(*coding));
    bool good = coding != NULL;
    if (!good)
        return -ERR_NOMEM;
    coding->kind = kind;
    if (kind == CODING_BR) {
        coding->u.brotli = BrotliDecoderCreateInstance(NULL, NULL, NULL);
        good = coding->u.brotli != NULL;
    } else if (kind == CODING_ZSTD) {
        coding->u.zstd = ZSTD_createDStream();
        good = coding->u.zstd != NULL &&
               !ZSTD_isError(
                   ZSTD_DCtx_setParameter(coding->u.zstd, ZSTD_d_windowLogMax, ZSTD_WINDOW_BITS));
    } else {
        int bits = kind == CODING_GZIP ? WINDOW_BITS_GZIP : WINDOW_BITS_ZLIB;
        good = inflateInit2(&coding->u.zlib, bits) == Z_OK;
    }
    if (!good) {
        coding_free(&coding);
        return -ERR_NOMEM;
    }
    *ret_coding = coding;
    return 0;
}

void
coding_free(struct coding **coding_at)
{
    if (coding_at == NULL || *coding_at == NULL)
        return;
    struct coding *coding = *coding_at;
    if (coding->kind == CODING_BR && coding->u.brotli != NULL)
        BrotliDecoderDestroyInstance(coding->u.brotli);
    else if (coding->kind == CODING_ZSTD)
        (void)ZSTD_freeDStream(coding->u.zstd);
    else if (coding->kind != CODING_BR)
        (void)inflateEnd(&coding->u.zlib);
    free(coding);
    *coding_at = NULL;
}

/* Each step: at most all of the input, at most `size` bytes out; *ret_count of them. */
static int
step_zlib(struct coding *coding, struct str *input, char *out, size_t size, size_t *ret_count)
{
    z_stream *zlib = &coding->u.zlib;
    if (coding->complete && (coding->kind != CODING_GZIP || inflateReset(zlib) != Z_OK))
        return -ERR_PARSE;
    zlib->next_in = (Bytef *)(uintptr_t)input->ptr; /* zlib's declaration has no const */
    zlib->avail_in = (uInt)MIN(input->len, (size_t)STEP_BYTES_MAX);
    zlib->next_out = (Bytef *)out;
    zlib->avail_out = (uInt)MIN(size, (size_t)STEP_BYTES_MAX);
    size_t in_bytes = zlib->avail_in;
    size_t out_bytes = zlib->avail_out;
    int r = inflate(zlib, Z_NO_FLUSH);
    *input = str_skip(*input, in_bytes - zlib->avail_in);
    *ret_count = out_bytes - zlib->avail_out;
    coding->complete = r == Z_STREAM_END;
    if (r == Z_MEM_ERROR)
        return -ERR_NOMEM;
    return r == Z_OK || r == Z_STREAM_END || r == Z_BUF_ERROR ? 0 : -ERR_PARSE;
}

static int
step_brotli(struct coding *coding, struct str *input, char *out, size_t size, size_t *ret_count)
{
    if (coding->complete)
        return -ERR_PARSE;
    const uint8_t *next_in = (const uint8_t *)input->ptr;
    uint8_t *next_out = (uint8_t *)out;
    size_t in_bytes = input->len;
    size_t out_bytes = size;
    BrotliDecoderResult r = BrotliDecoderDecompressStream(coding->u.brotli, &in_bytes, &next_in,
                                                          &out_bytes, &next_out, NULL);
    *input = str_skip(*input, input->len - in_bytes);
    *ret_count = size - out_bytes;
    coding->complete = r == BROTLI_DECODER_RESULT_SUCCESS;
    return r == BROTLI_DECODER_RESULT_ERROR ? -ERR_PARSE : 0;
}

/* A frame that is there as a whole is decoded at once by the library, without its limit of the
 * window: so that a body's verdict does not depend on how it arrives, a header comes bytewise. */
static int
step_zstd(struct coding *coding, struct str *input, char *out, size_t size, size_t *ret_count)
{
    bool header = coding->frame_bytes < ZSTD_HEADER_BYTES_MAX;
    ZSTD_inBuffer from = {input->ptr, header ? MIN(input->len, (size_t)1) : input->len, 0};
    ZSTD_outBuffer to = {out, size, 0};
    size_t r = ZSTD_decompressStream(coding->u.zstd, &to, &from);
    *input = str_skip(*input, from.pos);
    *ret_count = to.pos;
    coding->complete = r == 0;
    coding->frame_bytes = r == 0 ? 0 : coding->frame_bytes + (header ? (uint32_t)from.pos : 0);
    return ZSTD_isError(r) ? -ERR_PARSE : 0;
}

static int
coding_step(struct coding *coding, struct str *input, char *out, size_t size, size_t *ret_count)
{
    if (coding->kind == CODING_BR)
        return step_brotli(coding, input, out, size, ret_count);
    if (coding->kind == CODING_ZSTD)
        return step_zstd(coding, input, out, size, ret_count);
    return step_zlib(coding, input, out, size, ret_count);
}

int
coding_next(struct coding *coding, struct str *input, char *out, size_t size, size_t *ret_count)
{
    ASSERT(size > 0);
    size_t written = 0;
    while (coding->failed == 0 && written < size) {
        if (input->len == 0 && coding->complete)
            break;
        size_t had = input->len;
        size_t count = 0;
        coding->failed = coding_step(coding, input, out + written, size - written, &count);
        written += count;
        coding->taken += had - input->len;
        coding->given += count;
        if (coding->given > CODING_FREE_BYTES && coding->given / CODING_RATIO_MAX > coding->taken &&
            coding->failed == 0)
            coding->failed = -ERR_TOO_LARGE;
        bool progress = count > 0 || input->len < had;
        if (!progress && input->len > 0 && coding->failed == 0)
            coding->failed = -ERR_PARSE;
        if (!progress)
            break;
    }
    if (coding->failed != 0)
        return coding->failed;
    *ret_count = written;
    return 0;
}

bool
coding_complete(const struct coding *coding)
{
    return coding->complete && coding->failed == 0;
}
