/* SPDX-License-Identifier: MIT
 * multipart_fuzz.c - a content type, a line end, a byte that says how the rest is split, and a
 *                    body: read whole and in pieces it is the same, every part lies inside it, in
 *                    order, and has no delimiter in it.
 * Floor: lib/text; one thread.
 * Owns: nothing.
 * Invariant: proves multipart.h. */
#include "lib/text/multipart.h"

#include "lib/base/check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What came of a body: how it ended, where its parts are, and their bytes in one sum. */
struct found {
    int rc;
    uint32_t parts;
    uint64_t at;
    uint64_t sum;
};

static void
add(struct found *found, struct str bytes)
{
    for (size_t i = 0; i < bytes.len; i++) {
        found->sum = found->sum * 31u + (unsigned char)bytes.ptr[i];
    }
}

static void
note(struct found *found, const struct multipart *form, enum multipart_event event, struct str data,
     struct str body)
{
    const struct multipart_part *part = &form->part;
    if (event == MULTIPART_PART) {
        ASSERT(part->name.len > 0 && part->start == form->at && part->bytes == 0);
        add(found, part->name);
        add(found, part->file_name);
        add(found, part->type);
        found->sum += part->start + (part->file ? 1 : 0);
    } else if (event == MULTIPART_DATA) {
        ASSERT(data.len > 0);
        add(found, data);
    } else if (event == MULTIPART_PART_END) {
        struct str content = str_make(body.ptr + part->start, (size_t)part->bytes);
        ASSERT(part->start + part->bytes + form->delimiter_len == form->at);
        ASSERT(str_find(content, str_make(form->delimiter, form->delimiter_len)) == SIZE_MAX);
        found->parts++;
        ASSERT(found->parts == form->count);
    }
}

static struct found
read_body(struct str body, struct str boundary, size_t each)
{
    static struct multipart form;
    struct found found = {0};
    struct str rest = body;
    struct err err = {0};
    multipart_init(&form, boundary);
    while (found.rc == 0 && rest.len > 0) {
        struct str input = str_make(rest.ptr, MIN(each, rest.len));
        enum multipart_event event = MULTIPART_MORE;
        rest = str_skip(rest, input.len);
        do {
            struct str data = STR_EMPTY;
            found.rc = multipart_next(&form, &input, &event, &data, &err);
            if (found.rc == 0) {
                note(&found, &form, event, data, body);
            }
        } while (found.rc == 0 && event != MULTIPART_MORE);
        ASSERT(found.rc != 0 || form.at == body.len - rest.len);
    }
    if (found.rc == 0) {
        found.rc = multipart_end(&form, &err);
    }
    ASSERT(found.rc == 0 || err.text[0] != '\0');
    found.at = found.rc == 0 ? form.at : 0;
    return found;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str text = size > 0 ? str_make((const char *)data, size) : STR_EMPTY;
    struct str type;
    struct str body;
    struct str boundary;
    (void)str_cut(text, '\n', &type, &body);
    if (!multipart_boundary(type, &boundary)) {
        boundary = STR("XX");
    }
    size_t each = body.len > 0 ? (unsigned char)body.ptr[0] % 64u + 1u : 1u;
    body = str_skip(body, MIN(body.len, (size_t)1));
    struct found whole = read_body(body, boundary, MAX(body.len, (size_t)1));
    struct found pieces = read_body(body, boundary, each);
    ASSERT(whole.rc == pieces.rc && whole.at == pieces.at);
    ASSERT(whole.rc != 0 || (whole.parts == pieces.parts && whole.sum == pieces.sum));
    return 0;
}
