/* SPDX-License-Identifier: MIT
 * answer.h - what the simulator says: computed from the request alone, the same in every run; and
 *            how a dialect writes it.
 * Floor: tools/sim; one thread at a time.
 * Owns: nothing: texts live in the exchange's arena.
 * Invariant: completion tokens = words of the answer (a tool call or a document: (bytes of name and
 *            JSON + 3) / 4) + reasoning; the concatenated chunks are the whole answer.
 *            request_test.c. */
#ifndef BERTH_TOOLS_SIM_ANSWER_H
#define BERTH_TOOLS_SIM_ANSWER_H

#include "tools/sim/request.h"

struct sim_answer {
    struct str model;
    uint64_t seed;
    bool tool_call;
    struct str tool_name;
    struct str tool_arguments;
    struct str document; /* JSON in place of words; `words` are its bytes then */
    bool cut_by_limit;   /* max_tokens was smaller */
    bool include_usage;
    uint64_t words;
    uint64_t chunk_count; /* content chunks of a stream, >= 1 */
    uint64_t prompt;
    uint64_t cached;
    uint64_t completion; /* with reasoning */
    uint64_t reasoning;
    uint64_t searches;  /* of the web: a source each */
    uint64_t code_runs; /* sandboxes that code ran in; then they are what is billed by the piece */
    uint64_t units;     /* billed by the piece: media.h */
    int64_t unit_nano;  /* what one costs, 0 = as in the price table */
    bool units_at_once; /* they are due with the first byte */
    enum directive_lie lie;
};

/* answer_make - deterministic. Texts are those of the request. */
void answer_make(const struct sim_request *request, const struct directives *directives,
                 struct sim_answer *ret_answer);
/* answer_words - append words [from, to) of the text, each but the first of all with a space
 * before. */
void answer_words(const struct sim_answer *answer, uint64_t from, uint64_t to, struct buf *out);
/* answer_put_words - the same as a member. */
void answer_put_words(struct json_writer *json, const char *key, const struct sim_answer *answer,
                      uint64_t from, uint64_t to);
/* answer_chunk_span - which words, or bytes of a tool call's arguments or of the document, are in
 * chunk `index`. */
void answer_chunk_span(const struct sim_answer *answer, uint64_t index, uint64_t *ret_from,
                       uint64_t *ret_to);
/* answer_source - the address of search `index`, from 0; answer_cited - bytes of the first word,
 * which every source is of. answer_put_annotation - one in OpenAI's words, nested or flat. */
#define SOURCE_BYTES 40u
void answer_source(uint64_t index, char out[SOURCE_BYTES]);
uint64_t answer_cited(const struct sim_answer *answer);
void answer_put_annotation(struct json_writer *json, const struct sim_answer *answer,
                           uint64_t index, bool nested);
/* answer_delivered - completion tokens of the first `chunks` content chunks. */
uint64_t answer_delivered(const struct sim_answer *answer, uint64_t chunks);

/* The numbers that are reported, lies included. missing: no usage at all. */
struct sim_usage {
    bool missing;
    int64_t prompt;
    int64_t cached;
    int64_t completion;
    int64_t reasoning;
    int64_t total; /* of prompt and completion, INT64_MAX at the most */
};
struct sim_usage answer_usage(const struct sim_answer *answer);

/* How a dialect writes; all append to out. */
struct sim_dialect {
    const char *name;        /* in the bill */
    const char *stream_type; /* content type of a stream; NULL = text/event-stream */
    void (*whole)(const struct sim_answer *answer, struct buf *out);
    void (*begin)(const struct sim_answer *answer, struct buf *out);
    void (*chunk)(const struct sim_answer *answer, uint64_t index, struct buf *out);
    void (*end)(const struct sim_answer *answer, bool terminator, struct buf *out);
    void (*error)(unsigned status, struct str message, struct buf *out);
    void (*error_event)(struct buf *out);
    void (*models)(const struct str *models, size_t count, struct buf *out);
};
extern const struct sim_dialect sim_openai;
extern const struct sim_dialect sim_anthropic;
extern const struct sim_dialect sim_gemini;
extern const struct sim_dialect sim_responses;
extern const struct sim_dialect sim_ollama;
extern const struct sim_dialect sim_cohere;
extern const struct sim_dialect sim_completions;
extern const struct sim_dialect sim_converse;

/* embeddings_make - words of a text hashed into `count` buckets, length 1, so that texts with
 * common words are near each other. embeddings_write - the OpenAI answer, of such. */
void embeddings_make(struct str text, float *values, size_t count);
void embeddings_write(const struct sim_request *request, const struct sim_answer *answer,
                      struct buf *out);

#endif
