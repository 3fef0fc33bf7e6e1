/* SPDX-License-Identifier: MIT
 * h1_chunked.c - the chunked transfer coding, read strictly (RFC 9112 7.1).
 * Floor: lib/http; any thread.
 * Owns: nothing; the state is the caller's struct h1_chunked.
 * Invariant: lines end in CRLF only; sizes, extensions and trailers are capped; the same bytes give
 *            the same body however they are split: proved in h1_chunked_test.c and h1_fuzz.c. */
#include "lib/base/check.h"
#include "lib/http/h1.h"
#include "lib/http/message_int.h"

#define SIZE_DIGITS_MAX 16u
#define EXTENSION_BYTES_MAX 1024u
#define TRAILER_BYTES_MAX 8192u

enum {
    CHUNK_SIZE, /* zeroed = start */
    CHUNK_EXTENSION,
    CHUNK_SIZE_LF,
    CHUNK_DATA,
    CHUNK_DATA_CR,
    CHUNK_DATA_LF,
    TRAILER_START,
    TRAILER_NAME,
    TRAILER_VALUE,
    TRAILER_LF,
    TRAILER_END_LF,
};

static int
hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

static int
chunk_size_byte(struct h1_chunked *chunked, char c)
{
    int digit = hex_digit(c);
    if (digit >= 0) {
        if (++chunked->line_bytes > SIZE_DIGITS_MAX || chunked->left > INT64_MAX >> 4)
            return -ERR_PROTOCOL;
        chunked->left = chunked->left << 4 | (uint64_t)digit;
        return 0;
    }
    if (chunked->line_bytes == 0 || (c != '\r' && c != ';'))
        return -ERR_PROTOCOL;
    chunked->state = c == '\r' ? CHUNK_SIZE_LF : CHUNK_EXTENSION;
    return 0;
}

static int
trailer_byte(struct h1_chunked *chunked, char c)
{
    if (++chunked->trailer_bytes > TRAILER_BYTES_MAX)
        return -ERR_PROTOCOL;
    switch (chunked->state) {
    case TRAILER_START:
        if (c == '\r') {
            chunked->state = TRAILER_END_LF;
            return 0;
        }
        chunked->state = TRAILER_NAME;
        return http_token_lower[(uint8_t)c] != 0 ? 0 : -ERR_PROTOCOL;
    case TRAILER_NAME:
        if (c == ':')
            chunked->state = TRAILER_VALUE;
        else if (http_token_lower[(uint8_t)c] == 0)
            return -ERR_PROTOCOL;
        return 0;
    case TRAILER_VALUE:
        if (c == '\r')
            chunked->state = TRAILER_LF;
        else if (!http_value_byte((uint8_t)c))
            return -ERR_PROTOCOL;
        return 0;
    case TRAILER_LF:
        chunked->state = TRAILER_START;
        return c == '\n' ? 0 : -ERR_PROTOCOL;
    default:
        ASSERT(chunked->state == TRAILER_END_LF);
        chunked->done = true;
        return c == '\n' ? 0 : -ERR_PROTOCOL;
    }
}

/* One byte of framing. */
static int
chunk_byte(struct h1_chunked *chunked, char c)
{
    switch (chunked->state) {
    case CHUNK_SIZE:
        return chunk_size_byte(chunked, c);
    case CHUNK_EXTENSION:
        if (c == '\r')
            chunked->state = CHUNK_SIZE_LF;
        else if (!http_value_byte((uint8_t)c) || ++chunked->extension_bytes > EXTENSION_BYTES_MAX)
            return -ERR_PROTOCOL;
        return 0;
    case CHUNK_SIZE_LF:
        chunked->state = chunked->left > 0 ? CHUNK_DATA : TRAILER_START;
        return c == '\n' ? 0 : -ERR_PROTOCOL;
    case CHUNK_DATA_CR:
        chunked->state = CHUNK_DATA_LF;
        return c == '\r' ? 0 : -ERR_PROTOCOL;
    case CHUNK_DATA_LF:
        chunked->state = CHUNK_SIZE;
        chunked->line_bytes = 0;
        return c == '\n' ? 0 : -ERR_PROTOCOL;
    default:
        return trailer_byte(chunked, c);
    }
}

int
h1_chunked_next(struct h1_chunked *chunked, struct str *input, struct str *ret_data)
{
    *ret_data = STR_EMPTY;
    if (input->len == 0)
        return chunked->done ? 0 : -ERR_AGAIN;
    const char *at = input->ptr;
    const char *end = at + input->len;
    int r = 0;
    while (!chunked->done) {
        if (at == end) {
            r = -ERR_AGAIN;
            break;
        }
        if (chunked->state == CHUNK_DATA) {
            size_t count = (size_t)MIN(chunked->left, (uint64_t)(end - at));
            *ret_data = str_make(at, count);
            at += count;
            chunked->left -= count;
            if (chunked->left == 0)
                chunked->state = CHUNK_DATA_CR;
            break;
        }
        r = chunk_byte(chunked, *at);
        if (r < 0)
            break;
        at++;
    }
    *input = str_make(at, (size_t)(end - at));
    return r;
}
