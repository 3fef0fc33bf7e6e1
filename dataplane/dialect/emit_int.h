/* SPDX-License-Identifier: MIT
 * emit_int.h - a request that is being written: what several dialects write alike.
 * Floor: dataplane/dialect; any thread.
 * Owns: the map of calls; texts live in the arena.
 * Invariant: a member that would be empty is left out; what cannot be said is refused by name or
 *            noted (loss.c). Proved by carry_test.c. Spec: WIRE-FORMATS 3, 6. */
#ifndef BERTH_DATAPLANE_DIALECT_EMIT_INT_H
#define BERTH_DATAPLANE_DIALECT_EMIT_INT_H

#include "lib/base/map.h"
#include "dataplane/dialect/freeform_int.h"
#include "dataplane/dialect/seal_int.h"

/* dialect: its name, for errors. has_custom: it has tools of free text; else they are wrapped.
 * calls: the parts of tool calls by id, after emit_map_calls. */
struct emit {
    struct json_writer writer;
    const struct chat_request *request;
    const struct dialect_target *target;
    const char *dialect;
    bool has_custom;
    struct chat_request wrapped;
    struct arena *arena;
    struct err *err;
    struct map calls;
    bool has_search;                  /* the dialect can ask for web searches */
    bool takes_offers;                /* and for such as the model may do without */
    const struct chat_search *search; /* emit_run: what is to be asked for, or NULL */
    unsigned documents;               /* written so far: their names must differ */
};

/* emit_run - open the body's object, `put` its members, close it. 0, what `put` returned, or
 * -ERR_TOO_LARGE. Searches of the web that are only offered are noted where there are none, or
 * where their price is not known; others are refused. */
int emit_run(struct emit *emit, struct buf *out, int (*put)(struct emit *emit));
int emit_map_calls(struct emit *emit);

/* emit_refuse - -ERR_UNSUPPORTED naming `field`, which nobody can do without. */
int emit_refuse(const struct emit *emit, const char *field);
/* emit_lose - the same, save that a lenient target takes a note instead (0). */
int emit_lose(const struct emit *emit, const char *field);
void emit_note(const struct emit *emit, const char *field);
/* emit_note_part - cache marks and citations of a part, where the dialect has neither. */
void emit_note_part(const struct emit *emit, const struct chat_part *part);
/* emit_others - fields of request->others named in `native` are written as they are, save one value
 * that only Anthropic has; those in `placed` stand elsewhere already; the rest is lost (loss.c).
 * Both lists end in NULL, and may be NULL. */
int emit_others(struct emit *emit, const char *const *native, const char *const *placed);

/* ---- messages -------------------------------------------------------------------------------- */

bool emit_is_system(const struct chat_message *message);
/* emit_turns - member `key`: each turn by `put`, from its first message to the next turn's (NULL:
 * the last). Neighbours of one side are one turn; system messages are in none, nor, with `silent`,
 * are those that say nothing: empty texts and reasoning that nobody signed. */
int emit_turns(struct emit *emit, const char *key, bool silent,
               int (*put)(struct emit *emit, const struct chat_message *turn,
                          const struct chat_message *end));
/* emit_turn_parts - parts of a turn by `put`: its tool results, or all else. */
int emit_turn_parts(struct emit *emit, const struct chat_message *turn,
                    const struct chat_message *end, bool results,
                    int (*put)(struct emit *emit, const struct chat_part *part));
/* emit_systems - member `system`: the texts of all system messages, in order, by `put`;
 * mid-conversation ones are hoisted (3.1). */
int emit_systems(struct emit *emit, int (*put)(struct emit *emit, const struct chat_part *part));
/* emit_is_signed - reasoning with a signature that can be this vendor's. */
bool emit_is_signed(const struct chat_part *part);
/* emit_tools - member `key`: each tool by `put`. */
int emit_tools(struct emit *emit, const char *key,
               int (*put)(struct emit *emit, const struct chat_tool *tool));
/* emit_has_calls - the conversation has tool calls; emit_stand_in - a tool for upstreams that
 * refuse such a conversation without tools (3.3). */
bool emit_has_calls(const struct emit *emit);
extern const struct chat_tool emit_stand_in;
/* emit_choice - tool_choice and parallel_tool_calls of OpenAI's dialects; a tool is named by `name`
 * in the object itself, or inside `function` when `nested`. */
void emit_choice(struct emit *emit, bool nested);
/* emit_role - "system", "assistant" or "user"; also "developer" where the dialect has it. */
struct str emit_role(const struct chat_message *message, bool developer);
/* emit_results - each tool result of the message by `put`. *ret_more: there is more to say. */
int emit_results(struct emit *emit, const struct chat_message *message,
                 int (*put)(struct emit *emit, const struct chat_part *result), bool *ret_more);
/* emit_texts - the texts of parts of the kinds in `kinds` (EMIT_KIND), with `separator` between;
 * borrowed or in the arena. ptr NULL: there is none (or no memory: the writer has failed, or
 * -ERR_NOMEM). */
#define EMIT_KIND(kind) (1u << (unsigned)(kind))
int emit_join(struct arena *arena, const struct chat_part *parts, unsigned kinds,
              struct str separator, struct str *ret_text);
struct str emit_texts(struct json_writer *writer, struct arena *arena,
                      const struct chat_part *parts, unsigned kinds, struct str separator);
/* emit_parts - the parts of a choice for dialects whose refusals are texts like any other: one more
 * where its words stand apart. *last is the caller's. */
const struct chat_part *emit_parts(const struct chat_choice *choice, struct chat_part *last);
/* emit_document - a plain-text document as text under its title; borrowed. */
struct str emit_document(struct emit *emit, const struct chat_part *part);
/* emit_budget - the budget of what the caller said about reasoning, tokens; 0 = none said. `limit`
 * stands in for a limit that neither caller nor model has. */
uint64_t emit_budget(const struct emit *emit, uint64_t limit);

/* ---- members --------------------------------------------------------------------------------- */

/* emit_raw, emit_text, emit_limit - a member unless it is empty or 0. */
void emit_raw(struct emit *emit, const char *key, struct str raw);
void emit_text(struct emit *emit, const char *key, struct str text);
void emit_limit(struct emit *emit, const char *key, uint64_t count);
/* emit_stops - member `key`: the stop texts. */
void emit_stops(struct emit *emit, const char *key);
/* emit_url - member `key`: the part's data as a data: URL, or its URL. */
void emit_url(struct json_writer *writer, const char *key, const struct chat_part *part);
/* emit_id - a call's id in the alphabet [a-zA-Z0-9_-], at most `max` of it. */
void emit_id(struct json_writer *writer, const char *key, struct str id, size_t max);
/* emit_arguments - the value of `key`: the arguments when they are an object, {} for none, else the
 * raw text wrapped, so that nothing is lost. */
void emit_arguments(struct json_writer *writer, const char *key, struct str arguments);
/* emit_schema - a tool's schema, or the schema of no arguments. */
void emit_schema(struct json_writer *writer, const char *key, struct str schema);
/* emit_function - a tool as {type: function, function: {name, description, parameters}}. */
void emit_function(struct json_writer *writer, const struct chat_tool *tool);
/* emit_calls - member tool_calls: each call by `put`. */
void emit_calls(struct json_writer *writer, const struct chat_part *parts,
                void (*put)(struct json_writer *writer, const struct chat_part *call));

/* ---- streams --------------------------------------------------------------------------------- */

/* emit_event_open - "event: TYPE", and its data opened with the same type; emit_event_close. */
void emit_event_open(struct json_writer *json, const char *type, struct buf *out);
void emit_event_close(struct json_writer *json);
/* emit_line - a whole JSON value without its line ends, which would end the data line and are
 * blanks to JSON. */
void emit_line(struct json_writer *json, struct str raw);
/* emit_keepalive - a comment, as streams of events keep a client waiting. */
int emit_keepalive(struct buf *out);

#endif
