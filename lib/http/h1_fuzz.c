/* SPDX-License-Identifier: MIT
 * h1_fuzz.c - the codec against arbitrary bytes: the first byte chooses request, response or
 * chunked. Floor: tests of lib/http. Owns: copies of its input, exactly as long. Invariant: whole
 * and split input give the same result; an accepted head has only clean names and values, and reads
 * the same after it was written again. */
#include <stdlib.h>

#include "lib/base/check.h"
#include "lib/base/rand.h"
#include "lib/http/h1.h"
#include "lib/http/message_int.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char *
copy_of(const void *bytes, size_t count)
{
    char *copy = malloc(count > 0 ? count : 1);
    ASSERT(copy != NULL);
    if (count > 0)
        memcpy(copy, bytes, count);
    return copy;
}

static bool
head_same(const struct http_head *a, const struct http_head *b)
{
    bool same = a->field_count == b->field_count && a->status == b->status &&
                str_eq(a->method, b->method) && str_eq(a->target, b->target) &&
                str_eq(a->authority, b->authority) && a->content_length == b->content_length;
    for (uint32_t i = 0; same && i < a->field_count; i++)
        same = str_eq(a->fields[i].name, b->fields[i].name) &&
               str_eq(a->fields[i].value, b->fields[i].value);
    return same;
}

static void
check_clean(const struct http_head *head)
{
    ASSERT(head->field_count <= HTTP_FIELDS_MAX);
    for (uint32_t i = 0; i < head->field_count; i++) {
        ASSERT(http_valid_name(head->fields[i].name));
        ASSERT(http_valid_value(head->fields[i].value));
        ASSERT(str_find_byte(head->fields[i].name, '_') == SIZE_MAX);
    }
    static const struct str never[] = {STR("host"),       STR("content-length"),
                                       STR("connection"), STR("transfer-encoding"),
                                       STR("upgrade"),    STR("expect")};
    for (size_t i = 0; i < ARRAY_LEN(never); i++)
        ASSERT(http_field_count(head, never[i]) == 0);
}

/* Bytes come in any sizes; the end must be found at the same place. */
static size_t
head_end_split(const char *bytes, size_t count)
{
    size_t have = 0;
    while (have < count) {
        size_t seen = have;
        have += 1 + rand_below(count - have);
        size_t end = h1_head_end(bytes, have, seen);
        if (end != 0)
            return end;
    }
    return 0;
}

static int
rewrite(const struct h1_head *head, bool request, struct buf *out)
{
    const struct http_head *http = &head->http;
    bool none = head->body == H1_BODY_NONE;
    struct str authority = http->authority.len > 0 ? http->authority : STR("none");
    if (!request)
        return h1_put_response(out, http->status, http->fields, http->field_count,
                               http->content_length, none, false);
    return h1_put_request(out, http->method, http->target, authority, http->fields,
                          http->field_count, http->content_length, none);
}

/* Written again, a head means the same. */
static void
check_rewrite(const struct h1_head *head, bool request, bool head_request)
{
    static struct h1_head again;
    struct buf out;
    unsigned status = 0;
    buf_init(&out, 4u << 20);
    ASSERT(rewrite(head, request, &out) == 0);
    ASSERT(h1_head_end(out.ptr, out.len, 0) == out.len);
    /* Our own framing may be a few bytes longer than theirs was. */
    if (out.len <= HTTP_HEAD_BYTES_MAX) {
        int r = request ? h1_parse_request(out.ptr, out.len, &again, &status, NULL)
                        : h1_parse_response(out.ptr, out.len, head_request, &again, NULL);
        ASSERT(r == 0);
        if (head->http.authority.len == 0)
            again.http.authority = head->http.authority;
        if (head->body == H1_BODY_NONE)
            again.http.content_length = head->http.content_length;
        ASSERT(head_same(&head->http, &again.http));
        if (head->body == H1_BODY_LENGTH || head->body == H1_BODY_CHUNKED)
            ASSERT(head->body == again.body);
    }
    buf_fini(&out);
}

static void
fuzz_head(const uint8_t *data, size_t size, bool request, bool head_request)
{
    static struct h1_head head;
    char *bytes = copy_of(data, size);
    size_t end = h1_head_end(bytes, size, 0);
    ASSERT(end <= size && end == head_end_split(bytes, size));
    if (end == 0) {
        free(bytes);
        return;
    }
    char *exact = copy_of(bytes, end);
    free(bytes);
    unsigned status = 0;
    int r = request ? h1_parse_request(exact, end, &head, &status, NULL)
                    : h1_parse_response(exact, end, head_request, &head, NULL);
    ASSERT(r == 0 || r == -ERR_PROTOCOL);
    ASSERT(!request || (r < 0) == (status >= 400 && status < 600));
    if (r == 0) {
        check_clean(&head.http);
        check_rewrite(&head, request, head_request);
    }
    free(exact);
}

/* All of it in pieces of at most `step`, 0 = at random. The body goes to out; the result, and how
 * much of the input was used. */
static int
run_chunked(const char *bytes, size_t size, size_t step, struct buf *out, size_t *ret_used)
{
    struct h1_chunked chunked = {0};
    struct str piece = STR_EMPTY;
    size_t fed = 0;
    for (;;) {
        struct str data;
        int r = h1_chunked_next(&chunked, &piece, &data);
        ASSERT(r == 0 || data.len == 0);
        (void)buf_put_str(out, data);
        if (r == -ERR_PROTOCOL || chunked.done || (r == -ERR_AGAIN && fed == size)) {
            *ret_used = fed - piece.len;
            return r;
        }
        if (r == 0)
            continue;
        ASSERT(piece.len == 0);
        size_t most = step == 0 ? 1 + rand_below(size - fed) : step;
        piece = str_make(bytes + fed, MIN(most, size - fed));
        fed += piece.len;
    }
}

static void
fuzz_chunked(const uint8_t *data, size_t size)
{
    static const size_t steps[] = {1, 3, 0};
    char *bytes = copy_of(data, size);
    struct buf whole;
    struct buf split;
    size_t used = 0;
    buf_init(&whole, size + 1);
    int r = run_chunked(bytes, size, size + 1, &whole, &used);
    ASSERT(!whole.failed && used <= size);
    for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
        size_t used_split = 0;
        buf_init(&split, size + 1);
        int r_split = run_chunked(bytes, size, steps[i], &split, &used_split);
        ASSERT(r == r_split && used == used_split && str_eq(buf_str(&whole), buf_str(&split)));
        buf_fini(&split);
    }
    buf_fini(&whole);
    free(bytes);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    rand_seed(size);
    switch (data[0] % 4) {
    case 0:
        fuzz_head(data + 1, size - 1, true, false);
        break;
    case 1:
        fuzz_head(data + 1, size - 1, false, false);
        break;
    case 2:
        fuzz_head(data + 1, size - 1, false, true);
        break;
    default:
        fuzz_chunked(data + 1, size - 1);
        break;
    }
    return 0;
}
