/* SPDX-License-Identifier: MIT
 * multipart_fuzz.c - a content type, a line end, and a body: every part lies inside the body, in
 *                    order, and has no delimiter in it.
 * Floor: lib/text; one thread.
 * Owns: nothing.
 * Invariant: proves multipart.h. */
#include "lib/text/multipart.h"

#include "lib/base/check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str text = size > 0 ? str_make((const char *)data, size) : STR_EMPTY;
    struct str type;
    struct str body;
    struct str boundary;
    struct multipart form;
    struct multipart_part part;
    struct err err = {0};
    (void)str_cut(text, '\n', &type, &body);
    if (!multipart_boundary(type, &boundary)) {
        boundary = STR("XX");
    }
    int rc = multipart_open(&form, body, boundary, &err);
    const char *last = body.ptr;
    while (rc == 0 && (rc = multipart_next(&form, &part, &err)) == 0) {
        ASSERT(part.name.len > 0 && part.name.ptr >= last && part.content.ptr > part.name.ptr);
        ASSERT(part.content.ptr + part.content.len < body.ptr + body.len);
        ASSERT(str_find(part.content, boundary) != 4 || !str_starts(part.content, STR("\r\n--")));
        last = part.content.ptr + part.content.len;
    }
    ASSERT(rc == 0 || rc == -ERR_NOT_FOUND || err.text[0] != '\0');
    return 0;
}
