/* SPDX-License-Identifier: MIT
 * media.h - calls that are no conversation: images, speech, transcriptions, moderations, reranking.
 *           One body in, JSON or a form; one out, JSON, bytes or events; priced by the piece or by
 *           tokens.
 * Floor: dataplane/media, on dialect; any thread, no shared state, no I/O.
 * Owns: nothing; texts point into the request's body or the arena.
 * Invariant: `most` is no less than anything that the same call can be charged for; what passes is
 *            changed in the model's name only. media_test.c, media_fuzz.c. */
#ifndef BERTH_DATAPLANE_MEDIA_MEDIA_H
#define BERTH_DATAPLANE_MEDIA_MEDIA_H

#include "api/tariff.h"
#include "dataplane/dialect/dialect.h"
#include "dataplane/media/form.h"

/* What Berth relies on in a request. Counts by class (USAGE_CLASS_COUNT of them).
 * model: as said, else what the vendor takes then     model_start, _end: bytes of it in a JSON
 *                                                     body, equal where it is not there
 * most: by the piece, at the utmost: held             counted: in all, where nothing is reported
 * prompt_tokens_max, answer_tokens_max: bounds; answer 0 with text_answer: the model's own limit */
struct media_facts {
    enum chat_endpoint endpoint;
    struct str model;
    bool model_given;
    bool form;
    bool stream;
    bool text_answer;
    bool guessed; /* counted is a guess by the size of a file */
    size_t model_start;
    size_t model_end;
    uint64_t prompt_tokens_max;
    uint64_t answer_tokens_max;
    uint64_t most[USAGE_CLASS_COUNT];
    uint64_t counted[USAGE_CLASS_COUNT];
    struct str quality; /* of images; empty = not said */
    struct str size;
};

/* media_is - an endpoint of this room. media_is_form - its body is multipart/form-data.
 * media_is_heard - and one file of it, `file`, is what counts. */
bool media_is(enum chat_endpoint endpoint);
bool media_is_form(enum chat_endpoint endpoint);
bool media_is_heard(enum chat_endpoint endpoint);

/* media_facts - doc: of a JSON body, scanned; or NULL, and form: of a form as far as it is read:
 * fields that come later count as not said, a file that has not ended as long as it can be. named:
 * the model that the address says, or empty; it is in *ret_facts where the body says none.
 * 0; -ERR_INVALID, -ERR_RANGE with the field's name in err. */
int media_facts(enum chat_endpoint endpoint, const struct json_doc *doc, struct str body,
                const struct form *form, struct str named, struct arena *arena,
                struct media_facts *ret_facts, struct err *err) MUST_USE;
/* media_edit - put the target's name of the model into a JSON body. Of a form: form_edit_model. */
int media_edit(const struct media_facts *facts, const struct json_doc *doc,
               struct str upstream_model, struct splice *splice) MUST_USE;

/* ---- usage ----------------------------------------------------------------------------------- */

/* media_report - what an answer or an event says of its usage; false: nothing. */
bool media_report(enum chat_endpoint endpoint, const struct json_doc *doc, uint32_t root,
                  struct usage *ret_usage);
/* media_note_answer - count what an answer shows: images in `data` (doc; NULL: no JSON), else bytes
 * of sound or text. head: its first bytes. */
void media_note_answer(struct media_facts *facts, const struct json_doc *doc, struct str head,
                       uint64_t bytes);
/* media_usage - the usage to be charged: the report where the model has a price for what it counts,
 * else what was counted, by the piece where pieces have a price, else in tokens. reported: evidence
 * NONE = nothing was. */
void media_usage(const struct media_facts *facts, const struct tariff *tariff,
                 const struct usage *reported, struct usage *ret_usage);
/* media_reader - looks at events of streamed images, speech and transcripts; it has no `read`. */
extern const struct stream_reader_class media_reader;
/* One event may hold a whole image. */
#define MEDIA_EVENT_BYTES_MAX ((size_t)32u * 1024u * 1024u)

#endif
