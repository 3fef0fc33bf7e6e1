/* SPDX-License-Identifier: MIT
 * multipart.h - strict reader of multipart/form-data: bytes in as they come, parts out.
 * Floor: lib/text; any thread.
 * Owns: what it has read of a delimiter or of a part's header; no memory of its own, whatever the
 *       size of a part.
 * Invariant: a body is read in one way or refused, however it is split: nothing before the first
 *            and behind the last delimiter, one disposition a part, no transfer encodings. RFC
 *            7578, 2046 5.1; multipart_test.c, multipart_fuzz.c. */
#ifndef BERTH_LIB_TEXT_MULTIPART_H
#define BERTH_LIB_TEXT_MULTIPART_H

#include "lib/base/err.h"
#include "lib/base/str.h"

#define MULTIPART_PARTS_MAX 128u
#define MULTIPART_LINE_BYTES_MAX 1024u /* of a part's header */
#define MULTIPART_LINES_MAX 8u
#define MULTIPART_BOUNDARY_BYTES_MAX 70u

/* MORE: the input is used up. PART: a part's header was read. DATA: some of its content. PART_END:
 * all of it was. */
enum multipart_event { MULTIPART_MORE, MULTIPART_PART, MULTIPART_DATA, MULTIPART_PART_END };

/* name: not empty, plain text without quotes and escapes. file_name: empty where there is none;
 * with its escapes. type: of the content, or empty. Texts are the reader's, until the next part.
 * start, bytes: where the content stands in the body, and how much of it was read. */
struct multipart_part {
    struct str name;
    struct str file_name;
    struct str type;
    uint64_t start;
    uint64_t bytes;
    bool file; /* has a file name */
};

struct multipart {
    struct multipart_part part; /* the one that is being read, or was read last */
    uint64_t at;                /* bytes read */
    uint32_t count;             /* parts that ended */
    uint32_t line_count;
    size_t matched; /* bytes of the delimiter */
    size_t delimiter_len;
    size_t line_len;
    uint8_t state;
    char delimiter[MULTIPART_BOUNDARY_BYTES_MAX + 4u]; /* with the line end before it */
    char line[MULTIPART_LINE_BYTES_MAX + 2u];
    char disposition[MULTIPART_LINE_BYTES_MAX];
    char type[MULTIPART_LINE_BYTES_MAX];
};

/* multipart_boundary - the boundary of a content-type field; false: it is not form data. */
bool multipart_boundary(struct str content_type, struct str *ret_boundary);
/* multipart_init - boundary: as multipart_boundary finds it; copied. */
void multipart_init(struct multipart *form, struct str boundary);
/* multipart_next - reads from the front of *input until something is to be told. ret_data: of DATA
 * only, the input's bytes or the reader's own, until the next call. 0; -ERR_PARSE, -ERR_TOO_LARGE
 * (caps above), -ERR_UNSUPPORTED (a transfer encoding), with text for the caller. After an error
 * the form is not to be used. */
int multipart_next(struct multipart *form, struct str *input, enum multipart_event *ret_event,
                   struct str *ret_data, struct err *err) MUST_USE;
/* multipart_end - the body ends here. 0, or -ERR_PARSE: the form does not. */
int multipart_end(const struct multipart *form, struct err *err) MUST_USE;

#endif
