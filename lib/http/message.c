/* SPDX-License-Identifier: MIT
 * message.c - look-ups in heads, status texts, and which bytes a field may have.
 * Floor: lib/http; any thread.
 * Owns: the character table.
 * Invariant: what http_valid_* accepts, h1_parse_* reads back unchanged: proved in h1_test.c. */
#include "lib/http/message_int.h"

/* RFC 9110 5.6.2: tchar, lowered; 0 = not a tchar. */
/* clang-format off */
const uint8_t http_token_lower[256] = {
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    0, '!', 0, '#', '$', '%', '&', '\'', 0, 0, '*', '+', 0, '-', '.', 0,
    '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 0, 0, 0, 0, 0, 0,
    0, 'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i', 'j', 'k', 'l', 'm', 'n', 'o',
    'p', 'q', 'r', 's', 't', 'u', 'v', 'w', 'x', 'y', 'z', 0, 0, 0, '^', '_',
    '`', 'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i', 'j', 'k', 'l', 'm', 'n', 'o',
    'p', 'q', 'r', 's', 't', 'u', 'v', 'w', 'x', 'y', 'z', 0, '|', 0, '~', 0,
};
/* clang-format on */

struct str
http_field_get(const struct http_head *head, struct str name)
{
    for (uint32_t i = 0; i < head->field_count; i++) {
        if (str_eq(head->fields[i].name, name))
            return head->fields[i].value;
    }
    return str_make(NULL, 0);
}

uint32_t
http_field_count(const struct http_head *head, struct str name)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < head->field_count; i++)
        count += str_eq(head->fields[i].name, name);
    return count;
}

const char *
http_status_text(unsigned status)
{
    static const struct {
        uint16_t status;
        const char *text;
    } rows[] = {
        {100, "Continue"},
        {101, "Switching Protocols"},
        {103, "Early Hints"},
        {200, "OK"},
        {201, "Created"},
        {202, "Accepted"},
        {204, "No Content"},
        {206, "Partial Content"},
        {301, "Moved Permanently"},
        {302, "Found"},
        {303, "See Other"},
        {304, "Not Modified"},
        {307, "Temporary Redirect"},
        {308, "Permanent Redirect"},
        {400, "Bad Request"},
        {401, "Unauthorized"},
        {402, "Payment Required"},
        {403, "Forbidden"},
        {404, "Not Found"},
        {405, "Method Not Allowed"},
        {406, "Not Acceptable"},
        {408, "Request Timeout"},
        {409, "Conflict"},
        {410, "Gone"},
        {411, "Length Required"},
        {412, "Precondition Failed"},
        {413, "Content Too Large"},
        {414, "URI Too Long"},
        {415, "Unsupported Media Type"},
        {416, "Range Not Satisfiable"},
        {417, "Expectation Failed"},
        {421, "Misdirected Request"},
        {422, "Unprocessable Content"},
        {424, "Failed Dependency"},
        {425, "Too Early"},
        {426, "Upgrade Required"},
        {428, "Precondition Required"},
        {429, "Too Many Requests"},
        {431, "Request Header Fields Too Large"},
        {451, "Unavailable For Legal Reasons"},
        {499, "Client Closed Request"},
        {500, "Internal Server Error"},
        {501, "Not Implemented"},
        {502, "Bad Gateway"},
        {503, "Service Unavailable"},
        {504, "Gateway Timeout"},
        {505, "HTTP Version Not Supported"},
        {507, "Insufficient Storage"},
        {508, "Loop Detected"},
        {529, "Overloaded"},
    };
    if (status == 200)
        return "OK";
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        if (rows[i].status == status)
            return rows[i].text;
    }
    return "";
}

#ifdef __SSE2__
/* Nothing but a-z, 0-9 and '-', as nearly all names. */
static inline bool
name_plain(__m128i block)
{
    unsigned plain = http_between(block, 'a', 'z') | http_between(block, '-', '-') |
                     http_between(block, '0', '9');
    return plain == 0xffffu;
}

static inline bool
value_plain(__m128i block)
{
    const __m128i space = _mm_set1_epi8(0x1f);
    __m128i control = _mm_cmpeq_epi8(_mm_max_epu8(block, space), space); /* unsigned <= 0x1f */
    control = _mm_andnot_si128(_mm_cmpeq_epi8(block, _mm_set1_epi8('\t')), control);
    control = _mm_or_si128(control, _mm_cmpeq_epi8(block, _mm_set1_epi8(0x7f)));
    return _mm_movemask_epi8(control) == 0;
}
#endif

bool
http_valid_name(struct str name)
{
#ifdef __SSE2__
    /* Head and tail, overlapping: longer names are for the loop. */
    if (name.len > 0 && name.len <= 16 && name_plain(http_load(name.ptr, name.len)))
        return true;
    if (name.len > 16 && name.len <= 32 && name_plain(http_load(name.ptr, 16)) &&
        name_plain(http_load(name.ptr + name.len - 16, 16)))
        return true;
#endif
    for (size_t i = 0; i < name.len; i++) {
        uint8_t c = (uint8_t)name.ptr[i];
        if (http_token_lower[c] != c || c == 0)
            return false;
    }
    return name.len > 0;
}

bool
http_valid_value(struct str value)
{
    if (value.len == 0)
        return true;
    char first = value.ptr[0];
    char last = value.ptr[value.len - 1];
    if (first == ' ' || first == '\t' || last == ' ' || last == '\t')
        return false;
#ifdef __SSE2__
    if (value.len <= 16)
        return value_plain(http_load(value.ptr, value.len));
    if (value.len <= 32)
        return value_plain(http_load(value.ptr, 16)) &&
               value_plain(http_load(value.ptr + value.len - 16, 16));
#endif
    const char *end = value.ptr + value.len;
    return http_value_end(value.ptr, end) == end;
}
