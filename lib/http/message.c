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

bool
http_te_trailers(struct str value)
{
    struct str item;
    for (struct str rest = value; rest.len > 0;) {
        (void)str_cut(rest, ',', &item, &rest);
        if (str_eq_nocase(str_trim(item), STR("trailers")))
            return true;
    }
    return false;
}

bool
http_valid_name(struct str name)
{
    return http_name_ok(name);
}

bool
http_valid_value(struct str value)
{
    return http_value_ok(value);
}
