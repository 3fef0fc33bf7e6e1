/* SPDX-License-Identifier: MIT
 * media.h - what the simulator makes besides talk: images, sound, transcripts, verdicts, rankings.
 * Floor: tools/sim; one thread at a time.
 * Owns: nothing: texts live in the body or the arena that was given.
 * Invariant: what is billed by the piece (units) is what a provider's price list counts: images,
 *            characters, seconds, search units; for models priced by tokens the tokens of pictures
 *            and sound that are read. media_test.c. */
#ifndef BERTH_TOOLS_SIM_MEDIA_H
#define BERTH_TOOLS_SIM_MEDIA_H

#include "tools/sim/answer.h"

#define SIM_TEXTS_MAX 16u
struct sim_media {
    enum sim_endpoint endpoint;
    struct str model;
    struct str text; /* prompt, input or query; directives may stand in it */
    struct str size;
    struct str quality;
    struct str format; /* response_format */
    struct str file;   /* content of the last file of a form */
    bool stream;
    uint64_t count;                  /* n, inputs or documents */
    uint64_t text_bytes;             /* of all texts to embed */
    struct str texts[SIM_TEXTS_MAX]; /* the first of them, raw JSON */
    uint64_t dimensions;             /* 0 = not said */
    bool vertex;                     /* Google's embeddings at his other address */
    uint64_t files;
    char digest[65]; /* of the pictures that were read: redraw.h; empty = none */
};

/* media_is - this endpoint is one of these. media_is_named - and its path says the model. */
bool media_is(enum sim_endpoint endpoint);
bool media_is_named(enum sim_endpoint endpoint);
/* media_parse - content_type: of the request, decides whether the body is a form. doc is scratch.
 * ret_media: with the model where the path says it, else zeroed. 0; -ERR_INVALID and the errors of
 * the scanners with a text for the caller. */
int media_parse(struct str body, struct str content_type, enum sim_endpoint endpoint,
                struct json_doc *doc, struct arena *arena, struct sim_media *ret_media,
                struct err *err) MUST_USE;
/* media_blank - of one piece; nothing else is known yet. */
struct sim_media media_blank(enum sim_endpoint endpoint, struct str model);
/* media_form - each part of a form, whole, to `take`, whose error ends it. */
struct multipart_part;
typedef int (*media_part_fn)(const struct multipart_part *part, struct str content, void *user);
int media_form(struct str body, struct str boundary, media_part_fn take, void *user,
               struct err *err) MUST_USE;
/* media_write - the whole answer, events too, appended to out; its tokens and units into *answer
 * (zeroed by the caller but for lie). Returns its content type. */
const char *media_write(const struct sim_media *media, struct sim_answer *answer, struct buf *out);

#endif
