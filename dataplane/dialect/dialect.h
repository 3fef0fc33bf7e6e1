/* SPDX-License-Identifier: MIT
 * dialect.h - one wire format: reading and writing requests, answers, streams and errors.
 * Floor: dataplane/dialect, on chat; any thread, no shared state; nothing here does I/O.
 * Owns: nothing; a stream's reader and writer state is the caller's memory (init .. fini).
 * Invariant: same dialect on both sides = only spliced bytes change; see conform_test.c. */
#ifndef BERTH_DATAPLANE_DIALECT_DIALECT_H
#define BERTH_DATAPLANE_DIALECT_DIALECT_H

#include "lib/text/splice.h"
#include "dataplane/chat/chat.h"
#include "dataplane/dialect/stream.h"

/* A header field that goes upstream; name in lower case. */
struct dialect_field {
    const char *name;
    const char *value;
};
/* What the route knows when a request is written for it. dropped: names of advisory fields that the
 * target has no place for are appended, comma separated (may be NULL); fields that would change the
 * answer are refused, or dropped too when `lenient`. */
struct dialect_target {
    struct str model;    /* the upstream's name of it */
    uint64_t max_output; /* the model's limit, tokens: used where the field is required; 0 = 4096 */
    const char *max_output_field; /* openai: NULL = "max_completion_tokens"; older: "max_tokens" */
    bool adaptive_thinking;       /* takes an effort instead of a budget (newer Claude) */
    bool no_reasoning_control;    /* refuses any reasoning field */
    bool searches;                /* what a web search costs there is known */
    bool lenient;
    struct buf *dropped;
};

/* One that is spoken to providers only has no writer, *_out of answers and errors, forward_edits.
 * Every function: 0 or -ERR_x with err text for a person. doc is borrowed for as long as the
 * results are used. -ERR_INVALID, -ERR_RANGE, -ERR_UNSUPPORTED: the document is at fault
 * (chat_error_row() has the refusal). */
struct dialect {
    const char *name;
    const struct dialect *wire; /* the dialect whose bodies it speaks, or NULL: its own */
    const char *aws_service;    /* keys that are pairs sign the call (sigv4.h), or NULL */
    /* ---- addresses and credentials: data */
    const char *auth_field;  /* "authorization", unless the provider's row differs */
    const char *auth_prefix; /* "Bearer " or "" */
    /* where its SDKs look for the request's id, besides x-request-id; or NULL */
    const char *id_field;
    const struct dialect_field
        *fixed_fields;                 /* sent unless the caller's came through; ends in NULL */
    const char *const *forward_fields; /* caller's fields passed on unchanged; ends in NULL */
    enum stream_framing framing;       /* of streamed answers */
    /* path below the provider's base URL, appended to it; -ERR_UNSUPPORTED: no such endpoint */
    int (*path)(enum chat_endpoint endpoint, struct str model, bool stream, struct buf *out);
    /* ---- requests. *ret_facts says model and stream already where the URL does, else zeroes */
    int (*facts)(const struct json_doc *doc, enum chat_endpoint endpoint, struct arena *arena,
                 struct chat_facts *ret_facts, struct err *err);
    int (*forward_edits)(const struct json_doc *doc, enum chat_endpoint endpoint,
                         const struct chat_facts *facts, struct str upstream_model, bool want_usage,
                         struct splice *splice);
    int (*request_in)(const struct json_doc *doc, struct arena *arena,
                      struct chat_request *ret_request, struct err *err);
    int (*request_out)(const struct chat_request *request, const struct dialect_target *target,
                       struct arena *arena, struct buf *out, struct err *err);
    /* ---- whole answers (status 200) */
    int (*answer_in)(const struct json_doc *doc, struct arena *arena,
                     struct chat_answer *ret_answer, struct err *err);
    int (*answer_out)(const struct chat_answer *answer, struct arena *arena, struct buf *out);
    /* usage and end of a body that passes through; ret->flags has STREAM_ERROR for an error object
     */
    void (*answer_look)(const struct json_doc *doc, struct stream_look *ret_look);
    /* ---- streamed answers: see stream.h */
    const struct stream_reader_class *reader;
    const struct stream_writer_class *writer;
    /* ---- errors: body may be anything; texts point into it or the arena. status 0: an error
     * inside a 200 (a frame with STREAM_ERROR, a body): it is told from the words */
    int (*error_in)(uint16_t status, struct str body, struct arena *arena,
                    struct chat_error *ret_error);
    int (*error_out)(const struct chat_error *error, struct buf *out, uint16_t *ret_status);
};

/* dialect_find - by name, or NULL. dialect_at - rows of dialects.def in order, NULL behind the
 * last. */
const struct dialect *dialect_find(struct str name);
const struct dialect *dialect_at(size_t index);
/* dialect_same - bodies of one pass unchanged to the other. */
bool dialect_same(const struct dialect *a, const struct dialect *b);
#define DIALECT_ROW(name, text) extern const struct dialect dialect_##name;
#include "dataplane/dialect/dialects.def"
#undef DIALECT_ROW

#endif
