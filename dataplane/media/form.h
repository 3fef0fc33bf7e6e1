/* SPDX-License-Identifier: MIT
 * form.h - a form as it comes: what Berth relies on of it, and from where on it can flow to a
 *          provider.
 * Floor: dataplane/media; any thread.
 * Owns: its summary, in the arena; none of the body, whatever its size.
 * Invariant: the same facts come of a form however it is split; what flows before the end of the
 *            body is changed in the model's name only. media_test.c, media_fuzz.c. */
#ifndef BERTH_DATAPLANE_MEDIA_FORM_H
#define BERTH_DATAPLANE_MEDIA_FORM_H

#include "lib/base/arena.h"
#include "lib/text/multipart.h"

/* What is kept of a part: of fields that count all of their text, of the file that a transcript is
 * made of what tells how long it lasts. */
#define FORM_HEAD_BYTES 4096u
#define FORM_VALUE_BYTES_MAX 1024u

struct form_part {
    struct str name;
    struct str head; /* its first bytes, of parts that count */
    uint64_t start;
    uint64_t bytes;
    bool file;
    bool ended;
};

struct form {
    struct multipart reader;
    struct arena *arena;
    struct form_part *parts; /* parts[count]; the last one may not have ended */
    uint32_t count;
    uint64_t body_bytes; /* as announced; UINT64_MAX = unknown */
    bool ended;
};

/* form_new - boundary: copied. arena: outlives it. 0, -ERR_NOMEM. */
int form_new(struct arena *arena, struct str boundary, uint64_t body_bytes, struct form **ret_form,
             struct err *err) MUST_USE;
/* form_take - the next bytes of the body. 0; as multipart_next, and -ERR_INVALID naming a field
 * that is too long, or there twice. */
int form_take(struct form *form, struct str bytes, struct err *err) MUST_USE;
/* form_end - the body ends here. 0, -ERR_PARSE. */
int form_end(struct form *form, struct err *err) MUST_USE;
/* form_flows - the model is known, and a file has begun of which no more has to be seen before the
 * provider is called. sound: it is the one that is transcribed, or behind that. */
bool form_flows(const struct form *form, bool sound);
/* form_part_bytes - of a part that has not ended: as many as there can be. */
uint64_t form_part_bytes(const struct form *form, const struct form_part *part);

/* The body's bytes from start to end become text. */
struct form_edit {
    uint64_t start;
    uint64_t end;
    struct str text;
};
/* form_edit_model - the target's name in the part `model`, or in a part of its own before all
 * others. text: borrowed of model or in the arena. 0, -ERR_NOMEM. */
int form_edit_model(const struct form *form, struct str model, struct form_edit *ret_edit) MUST_USE;

#endif
