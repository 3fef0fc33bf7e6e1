/* SPDX-License-Identifier: MIT
 * media_int.h - a request of this room, field by field, whether JSON or a form.
 * Floor: dataplane/media; any thread.
 * Owns: nothing.
 * Invariant: a field that counts is there once, or the request is refused. */
#ifndef BERTH_DATAPLANE_MEDIA_MEDIA_INT_H
#define BERTH_DATAPLANE_MEDIA_MEDIA_INT_H

#include "dataplane/media/media.h"

/* doc: JSON, with its body; or NULL: a form, as far as it is read. */
struct ask {
    const struct json_doc *doc;
    struct str body;
    const struct form *form;
    struct arena *arena;
    struct err *err;
};

/* Absent or null leaves *ret as it is. -ERR_INVALID, -ERR_RANGE naming `field`. ask_count: integers
 * from 1 or 0 to max, in a form as digits. Of a form: one of the fields of form.c. */
int ask_text(const struct ask *ask, const char *field, struct str *ret_text) MUST_USE;
int ask_count(const struct ask *ask, const char *field, uint64_t min, uint64_t max,
              uint64_t *ret_count) MUST_USE;
int ask_switch(const struct ask *ask, const char *field, bool *ret_on) MUST_USE;
/* ask_model - model, and where it stands. fallback: what counts where the body says none, or empty:
 * it must be said. */
int ask_model(const struct ask *ask, struct str fallback, struct media_facts *facts) MUST_USE;

#endif
