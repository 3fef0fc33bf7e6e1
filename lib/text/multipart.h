/* SPDX-License-Identifier: MIT
 * multipart.h - strict reader of multipart/form-data: a whole body in, its parts as spans out.
 * Floor: lib/text; any thread.
 * Owns: nothing: the parts point into the body.
 * Invariant: a body is read in one way or refused: nothing before the first and behind the last
 *            delimiter, one disposition a part, no transfer encodings. RFC 7578, 2046 5.1;
 *            multipart_test.c, multipart_fuzz.c. */
#ifndef BERTH_LIB_TEXT_MULTIPART_H
#define BERTH_LIB_TEXT_MULTIPART_H

#include "lib/base/err.h"
#include "lib/base/str.h"

#define MULTIPART_PARTS_MAX 128u
#define MULTIPART_LINE_BYTES_MAX 1024u /* of a part's header */
#define MULTIPART_LINES_MAX 8u
#define MULTIPART_BOUNDARY_BYTES_MAX 70u

struct multipart {
    struct str body;
    struct str boundary;
    size_t at; /* behind the delimiter that was read last */
    uint32_t count;
    bool ended;
};
/* name: not empty, plain text without quotes and escapes. file_name: empty where there is none;
 * with its escapes. type: of the content, or empty. */
struct multipart_part {
    struct str name;
    struct str file_name;
    struct str type;
    struct str content;
    bool file; /* has a file name */
};

/* multipart_boundary - the boundary of a content-type field; false: it is not form data. */
bool multipart_boundary(struct str content_type, struct str *ret_boundary);
/* multipart_open - body and boundary are borrowed. 0; -ERR_PARSE: no delimiter at its start. */
int multipart_open(struct multipart *form, struct str body, struct str boundary,
                   struct err *err) MUST_USE;
/* multipart_next - 0; -ERR_NOT_FOUND: that was the last one; -ERR_PARSE, -ERR_TOO_LARGE (caps
 * above), -ERR_UNSUPPORTED (a transfer encoding), with text for the caller. After an error the form
 * is not to be used. */
int multipart_next(struct multipart *form, struct multipart_part *ret_part,
                   struct err *err) MUST_USE;

#endif
