/* SPDX-License-Identifier: MIT
 * gemini_int.h - the files of the Gemini dialect, to each other.
 * Floor: dataplane/dialect.
 * Owns: nothing.
 * Invariant: see dialect.h. */
#ifndef BERTH_DATAPLANE_DIALECT_GEMINI_INT_H
#define BERTH_DATAPLANE_DIALECT_GEMINI_INT_H

#include "dataplane/dialect/feed_int.h"
#include "dataplane/dialect/seal_int.h"

int gemini_request_in(const struct json_doc *doc, struct arena *arena,
                      struct chat_request *ret_request, struct err *err);
int gemini_request_out(const struct chat_request *request, const struct dialect_target *target,
                       struct arena *arena, struct buf *out, struct err *err);
int gemini_answer_in(const struct json_doc *doc, struct arena *arena,
                     struct chat_answer *ret_answer, struct err *err);
int gemini_answer_out(const struct chat_answer *answer, struct arena *arena, struct buf *out);
void gemini_answer_look(const struct json_doc *doc, struct stream_look *ret_look);
int gemini_put_error(const struct chat_error *error, struct buf *out);

extern const struct stream_reader_class gemini_reader_class;
extern const struct stream_writer_class gemini_writer_class;

/* ---- shared ---- */
/* gemini_get - member by its camelCase name, or, as protobuf's JSON allows, in snake_case. */
uint32_t gemini_get(const struct json_doc *doc, uint32_t object, const char *name);
/* gemini_parts_in - the parts of a content, appended to *list. Parts of server tools in an answer
 * add nothing when `answer`, and are refused by name in a request. */
int gemini_parts_in(const struct intake *in, uint32_t content, bool answer,
                    struct chat_part **list);
/* gemini_schema - a schema of either form (OpenAPI subset, JSON Schema) as JSON Schema text. */
int gemini_schema(const struct intake *in, uint32_t node, struct str *ret_schema);
/* gemini_look - what one answer or chunk says; adds to look->flags and look->delta_bytes. */
void gemini_look_at(const struct json_doc *doc, struct stream_look *look);
enum chat_finish gemini_finish(const struct json_doc *doc, uint32_t node);
struct str gemini_finish_name(enum chat_finish finish);
/* gemini_usage - usageMetadata of an answer or chunk; *usage is what the ones before it said, since
 * searches are told once. */
bool gemini_usage(const struct json_doc *doc, uint32_t root, struct usage *usage);
void gemini_put_usage(struct json_writer *writer, const struct usage *usage);
/* gemini_put_part - one part of a model's content: text, thought, functionCall; a media part. */
int gemini_put_part(struct json_writer *writer, const struct chat_part *part, struct arena *arena);
/* gemini_logprobs - logprobsResult as OpenAI's logprobs object; empty when there is none. */
int gemini_logprobs(const struct intake *in, uint32_t candidate, struct str *ret_raw);
/* gemini_put_logprobs - and back: member "logprobsResult"; none when raw has no list. */
void gemini_put_logprobs(struct json_writer *writer, struct str raw);
/* gemini_cite - citations of a candidate, whose text is `text`: all of it so far. parts: its list,
 * or JSON_NONE in a stream, where offsets are of the whole text.
 * gemini_put_citations - member "groundingMetadata" of the text in `parts`; none for no list. */
int gemini_cite(const struct intake *in, uint32_t candidate, uint32_t parts, struct str text,
                struct chat_citation **list);
void gemini_put_citations(struct json_writer *writer, const struct chat_citation *list,
                          const struct chat_part *parts);
/* gemini_block - why a prompt was refused (promptFeedback), or empty. */
int gemini_block(const struct intake *in, struct str *ret_reason);

#endif
