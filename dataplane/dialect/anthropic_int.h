/* SPDX-License-Identifier: MIT
 * anthropic_int.h - the files of the Anthropic dialect, to each other.
 * Floor: dataplane/dialect.
 * Owns: nothing.
 * Invariant: see dialect.h. */
#ifndef BERTH_DATAPLANE_DIALECT_ANTHROPIC_INT_H
#define BERTH_DATAPLANE_DIALECT_ANTHROPIC_INT_H

#include "dataplane/dialect/dialect_int.h"

int anthropic_request_in(const struct json_doc *doc, struct arena *arena,
                         struct chat_request *ret_request, struct err *err);
int anthropic_request_out(const struct chat_request *request, const struct dialect_target *target,
                          struct arena *arena, struct buf *out, struct err *err);
int anthropic_answer_in(const struct json_doc *doc, struct arena *arena,
                        struct chat_answer *ret_answer, struct err *err);
int anthropic_answer_out(const struct chat_answer *answer, struct arena *arena, struct buf *out);
void anthropic_answer_look(const struct json_doc *doc, struct stream_look *ret_look);
int anthropic_error_event(const struct chat_error *error, struct buf *out);
void anthropic_look(struct stream_look *look, const struct stream_frame *frame,
                    struct json_doc *scratch);

extern const struct stream_reader_class anthropic_reader_class;
extern const struct stream_writer_class anthropic_writer_class;

/* ---- shared by requests, whole answers and streams ---- */
enum chat_finish anthropic_finish(const struct json_doc *doc, uint32_t node);
/* anthropic_stop_reason - the word for a finish; a stop text tells stop_sequence from end_turn. */
struct str anthropic_stop_reason(enum chat_finish finish, struct str stop_text);
void anthropic_put_stop(struct json_writer *writer, enum chat_finish finish, struct str stop_text,
                        struct str refusal);
/* anthropic_put_usage - member "usage". */
void anthropic_put_usage(struct json_writer *writer, const struct usage *usage);
/* anthropic_is_search - a block of the provider's own web search: its call, or what it found. */
bool anthropic_is_search(const struct json_doc *doc, uint32_t node);
/* anthropic_block_in - one content block as a part appended to *list; blocks of server tools in an
 * answer add nothing when `answer`, and are refused by name in a request, but for searches. */
int anthropic_block_in(const struct intake *in, uint32_t node, bool answer,
                       struct chat_part **list);
/* anthropic_blocks_in - a list of blocks, or a string as one text part. */
int anthropic_blocks_in(const struct intake *in, uint32_t node, const char *field, bool answer,
                        struct chat_part **list);

/* ---- citations ---- */
/* anthropic_cite - one citation, of the answer's text from start to end; anthropic_cite_raw - all
 * of the text of a list. */
int anthropic_cite(const struct intake *in, uint32_t node, uint64_t start, uint64_t end,
                   struct chat_citation **list);
int anthropic_cite_raw(const struct intake *in, struct str raw, uint64_t start, uint64_t end,
                       struct chat_citation **list);
/* anthropic_put_citation - of a URL. anthropic_put_text - a text that begins at `base` as blocks,
 * cut where citations begin and end. */
void anthropic_put_citation(struct json_writer *writer, const struct chat_citation *citation);
void anthropic_put_text(struct json_writer *writer, struct str text, uint64_t base,
                        const struct chat_citation *list);

#endif
