/* SPDX-License-Identifier: MIT
 * media_int.h - a request of this room, field by field, whether JSON or a form.
 * Floor: dataplane/media; any thread.
 * Owns: nothing.
 * Invariant: a field that counts is there once, or the request is refused. */
#ifndef BERTH_DATAPLANE_MEDIA_MEDIA_INT_H
#define BERTH_DATAPLANE_MEDIA_MEDIA_INT_H

#include "dataplane/media/media.h"
#include "lib/text/multipart.h"

/* doc: JSON, or NULL: parts[count] of a form. */
struct ask {
    const struct json_doc *doc;
    struct str body;
    const struct multipart_part *parts;
    uint32_t count;
    struct arena *arena;
    struct err *err;
};

/* ask_form - the parts of a form into the arena. */
int ask_form(struct ask *ask, struct str content_type) MUST_USE;
/* Absent or null leaves *ret as it is. -ERR_INVALID, -ERR_RANGE naming `field`; in a form also when
 * it is there twice. ask_count: 1..max or 0..max, integers, in a form as digits. */
int ask_text(const struct ask *ask, const char *field, struct str *ret_text) MUST_USE;
int ask_count(const struct ask *ask, const char *field, uint64_t min, uint64_t max,
              uint64_t *ret_count) MUST_USE;
int ask_switch(const struct ask *ask, const char *field, bool *ret_on) MUST_USE;
/* ask_model - model, and where it stands. fallback: what the vendor takes where nobody says one, or
 * NULL: it must be said. */
int ask_model(const struct ask *ask, const char *fallback, struct media_facts *facts) MUST_USE;

#endif
