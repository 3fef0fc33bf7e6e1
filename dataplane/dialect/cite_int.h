/* SPDX-License-Identifier: MIT
 * cite_int.h - citations of answers: what all dialects share, and OpenAI's annotations.
 * Floor: dataplane/dialect; any thread.
 * Owns: nothing.
 * Invariant: an offset is the provider's own, or the edge of a text that it named; one that cannot
 *            be read makes no citation, and never an answer unreadable. through_test.c. */
#ifndef BERTH_DATAPLANE_DIALECT_CITE_INT_H
#define BERTH_DATAPLANE_DIALECT_CITE_INT_H

#include "dataplane/dialect/feed_int.h"

/* A longer text has no citations: each is counted in all of it. */
#define CITE_TEXT_BYTES_MAX (1u << 20)
#define CITE_PARTS_MAX 1024u /* parts of an answer that offsets may count in */

/* ---- texts and offsets ----------------------------------------------------------------------- */

/* cite_count - code points of a text. cite_offset - the byte where code point `at` begins, or the
 * text's end. cite_span - the text from code point `start` to `end`. */
uint64_t cite_count(struct str text);
size_t cite_offset(struct str text, uint64_t at);
struct str cite_span(struct str text, uint64_t start, uint64_t end);
/* cite_text - all text of the parts; in the arena, or borrowed. */
int cite_text(struct arena *arena, const struct chat_part *parts, struct str *ret_text);
/* cite_within - the citation begins in the part of the text from `base` on, of `count`. The last
 * part has what begins at its end, too. */
bool cite_within(const struct chat_citation *citation, uint64_t base, uint64_t count, bool last);

/* ---- reading --------------------------------------------------------------------------------- */

/* cite_string - a string node; *ret_text stays for any other. 0 or -ERR_NOMEM. */
int cite_string(const struct intake *in, uint32_t node, struct str *ret_text);
/* cite_number - an integer from 0 on; `otherwise` for any other node. */
uint64_t cite_number(const struct json_doc *doc, uint32_t node, uint64_t otherwise);
/* cite_openai - one annotation of either of OpenAI's dialects, of a text of `count` code points
 * that begins at `base`; without offsets it is of that text. cite_openai_list - all of a list; any
 * other node is none. */
int cite_openai(const struct intake *in, uint32_t node, uint64_t base, uint64_t count,
                struct chat_citation **list);
int cite_openai_list(const struct intake *in, uint32_t node, uint64_t base, uint64_t count,
                     struct chat_citation **list);
/* cite_sources - what Perplexity, xAI and others say beside their choices: `search_results`, or
 * `citations` as URLs; of the whole text, `count` code points. */
int cite_sources(const struct intake *in, uint64_t count, struct chat_citation **list);
/* cite_feed - a CITATION event for each. 0 or -ERR_NOMEM. */
int cite_feed(struct feed *feed, uint32_t choice, const struct chat_citation *list);

/* ---- writing --------------------------------------------------------------------------------- */

/* cite_put_openai - one annotation: nested in url_citation as chat completions have it, or flat as
 * Responses do; offsets count from `base`. index: of a document's, in its list. */
void cite_put_openai(struct json_writer *writer, const struct chat_citation *citation, bool nested,
                     uint64_t base, uint32_t index);
/* cite_put_message - members of a chat completion's message or delta: `annotations` for URLs, and
 * the provider's own words of documents in `provider_specific_fields`. */
void cite_put_message(struct json_writer *writer, const struct chat_citation *list);

#endif
