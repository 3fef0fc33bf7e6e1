/* SPDX-License-Identifier: MIT
 * responses_int.h - the files of the Responses dialect, to each other.
 * Floor: dataplane/dialect.
 * Owns: nothing.
 * Invariant: see dialect.h. */
#ifndef BERTH_DATAPLANE_DIALECT_RESPONSES_INT_H
#define BERTH_DATAPLANE_DIALECT_RESPONSES_INT_H

#include "dataplane/dialect/feed_int.h"
#include "dataplane/dialect/seal_int.h"

int responses_request_in(const struct json_doc *doc, struct arena *arena,
                         struct chat_request *ret_request, struct err *err);
int responses_request_out(const struct chat_request *request, const struct dialect_target *target,
                          struct arena *arena, struct buf *out, struct err *err);
int responses_answer_in(const struct json_doc *doc, struct arena *arena,
                        struct chat_answer *ret_answer, struct err *err);
int responses_answer_out(const struct chat_answer *answer, struct arena *arena, struct buf *out);
void responses_answer_look(const struct json_doc *doc, struct stream_look *ret_look);
/* responses_put_error - the value of `error` in an answer or event. */
void responses_put_error(struct json_writer *writer, const struct chat_error *error, bool whole);

extern const struct stream_reader_class responses_reader_class;
extern const struct stream_writer_class responses_writer_class;

/* ---- shared ---- */
/* responses_refuse_state - fields that would need answers to be kept here. */
int responses_refuse_state(const struct json_doc *doc, struct err *err);
/* responses_item_in - one item of input or output: its parts appended to *list, its role. Items of
 * server tools add nothing when `answer`, and are refused by name in a request. */
int responses_item_in(const struct intake *in, uint32_t item, bool answer, enum chat_role *ret_role,
                      struct chat_part **list);
/* responses_finish - of a response object that has ended. */
enum chat_finish responses_finish(const struct json_doc *doc, uint32_t response, bool called);
bool responses_usage(const struct json_doc *doc, uint32_t response, struct usage *usage);
void responses_put_usage(struct json_writer *writer, const struct usage *usage);
/* responses_logprobs - what stands between the brackets of a list of logprobs; empty: none.
 * responses_chat_logprobs - the same of chat completions' {content: list}. Both are in the text. */
struct str responses_logprobs(struct str list);
struct str responses_chat_logprobs(struct str raw);
/* responses_signature - a reasoning item's opaque text as a signature, and back. */
int responses_signature(const struct intake *in, uint32_t item, struct str *ret_signature);
/* responses_put_reasoning - a reasoning item; index makes its id where the signature has none. */
void responses_put_reasoning(struct json_writer *writer, struct str text, struct str signature,
                             bool redacted, struct str made_id);

/* responses_prefix - of the id of the item that a part becomes; the API looks at it. Static. */
const char *responses_prefix(enum chat_part_kind kind, bool custom);

/* What a response object says in all its events. */
struct responses_head {
    struct str id;
    struct str model;
    uint64_t created;
    enum chat_finish finish; /* NONE: in progress */
    const struct usage *usage;
    const struct chat_error *error;
};
/* responses_put_head - the object up to and without `output`; responses_put_tail the rest. */
void responses_put_head(struct json_writer *writer, const struct responses_head *head);
void responses_put_tail(struct json_writer *writer, const struct responses_head *head);

#endif
