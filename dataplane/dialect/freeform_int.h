/* SPDX-License-Identifier: MIT
 * freeform_int.h - OpenAI's custom tools, whose calls are free text, for models that only have
 *                  functions: a function of one string, told by its name (WIRE-FORMATS 3.3).
 * Floor: dataplane/dialect; any thread.
 * Owns: nothing; see pieces_int.h.
 * Invariant: nothing is kept between request and answer: the name says it. What was wrapped comes
 *            back as it was written. Proved by carry_test.c. */
#ifndef BERTH_DATAPLANE_DIALECT_FREEFORM_INT_H
#define BERTH_DATAPLANE_DIALECT_FREEFORM_INT_H

#include "dataplane/dialect/pieces_int.h"

#define FREEFORM_SUFFIX STR("__freeform")

/* freeform_wrap - *ret_request = the request with its custom tools, and calls of them, as functions
 * NAME__freeform({"input": text}); what has none is the request itself. Texts are borrowed or in
 * the arena. 0 or -ERR_NOMEM. */
int freeform_wrap(const struct chat_request *request, struct arena *arena,
                  struct chat_request *ret_request);
/* freeform_parts - *ret_parts = the parts of an answer, such calls as the custom calls they are. 0
 * or -ERR_NOMEM. */
int freeform_parts(const struct chat_part *parts, struct arena *arena,
                   const struct chat_part **ret_parts);
/* freeform_write - the same for the events of a stream: those of such a call are held until it
 * ends; all else goes to `write` as it comes. */
int freeform_write(struct pieces *held, const struct chat_event *event,
                   int (*write)(void *writer, const struct chat_event *event, struct buf *out),
                   void *writer, struct buf *out);

#endif
