/* SPDX-License-Identifier: MIT
 * chat.h - the canonical chat model: what a request, an answer, a stream event and an error say,
 *          whatever dialect they were written in.
 * Floor: dataplane/chat; values, any thread.
 * Owns: nothing: lists live in the arena they were built in, texts there or in the scanned
 * document. Invariant: a dialect reads into it and writes out of it; what it has no place for is
 * refused or named, never lost in silence. Proved by dataplane/dialect/carry_test.c. */
#ifndef BERTH_DATAPLANE_CHAT_CHAT_H
#define BERTH_DATAPLANE_CHAT_CHAT_H

#include "lib/text/json.h"
#include "api/http_errors.h"
#include "api/usage.h"

/* What a caller asks of a model. Later endpoints are further values. */
enum chat_endpoint {
    CHAT_ENDPOINT_CHAT,
    CHAT_ENDPOINT_EMBEDDINGS,
    CHAT_ENDPOINT_EMBED_ONE,   /* of one text: Gemini's embedContent, Ollama's of before 2024 */
    CHAT_ENDPOINT_COMPLETIONS, /* OpenAI's of before 2023: passed on, never translated */
    CHAT_ENDPOINT_TOKENS, /* how many tokens a chat request has: nothing is generated, or paid */
    /* what is no conversation: dataplane/media */
    CHAT_ENDPOINT_IMAGES,
    CHAT_ENDPOINT_IMAGE_EDITS,
    CHAT_ENDPOINT_IMAGE_VARIATIONS,
    CHAT_ENDPOINT_SPEECH,
    CHAT_ENDPOINT_TRANSCRIPTIONS,
    CHAT_ENDPOINT_TRANSLATIONS,
    CHAT_ENDPOINT_MODERATIONS,
    CHAT_ENDPOINT_RERANK,
    CHAT_ENDPOINT_COUNT
};

/* A tool that the provider runs for the call and asks for money beside tokens, by name: those of
 * one name together. In the request's arena; texts outlive the body.
 * name: as refusals and a Model's freeTools say it     class_: what it is paid as
 * most: of them in the call, 1..CHAT_RUNS_MOST         unit: a code_run counts so many
 * tool: an element of `tools`                          offered: the request can do without
 * each: so many are paid where the provider tells no count; 0: none
 * sized: the caller said how much context a search has
 * left_out: not sent to the target at hand */
#define CHAT_RUNS_MOST 1000u
struct chat_run {
    struct chat_run *next;
    struct str name;
    enum usage_class class_;
    uint32_t most;
    uint32_t each;
    uint32_t unit;
    bool tool;
    bool offered;
    bool sized;
    bool left_out;
};

/* What Berth itself relies on in a request body of any dialect.
 * model: unescaped, no NUL, any length           model_node: its node in the document, JSON_NONE
 *                                                where the URL says it
 * max_output: tokens, 0 = not given             max_output_node: its node or JSON_NONE
 * prompt_bytes: upper bound of the prompt in tokens: bytes of the body, media counted apart
 * choices: 1..128 (n)                           has_tools: a non-empty list of tools */
struct chat_facts {
    struct str model;
    uint32_t model_node;
    bool stream;
    bool include_usage; /* the caller gets a usage report in a stream */
    bool has_tools;
    struct chat_run *runs; /* NULL = none */
    bool old_calls;        /* offers `functions`, as before 2024, and wants `function_call` */
    uint32_t max_output_node;
    uint64_t max_output;
    uint64_t prompt_bytes;
    uint32_t choices;
};

/* ---- content --------------------------------------------------------------------------------- */

enum chat_role {
    CHAT_ROLE_SYSTEM,
    CHAT_ROLE_DEVELOPER,
    CHAT_ROLE_USER,
    CHAT_ROLE_ASSISTANT,
    CHAT_ROLE_TOOL
};

enum chat_part_kind {
    CHAT_PART_TEXT,       /* text */
    CHAT_PART_REFUSAL,    /* text */
    CHAT_PART_REASONING,  /* text, signature (empty: the provider signs nothing) */
    CHAT_PART_REDACTED,   /* signature: the opaque data of a redacted block */
    CHAT_PART_IMAGE,      /* media; name: detail (low, high, auto) */
    CHAT_PART_FILE,       /* media or text; name: file name or title; text: plain text document */
    CHAT_PART_AUDIO,      /* media; name: format (wav, mp3) */
    CHAT_PART_TOOL_CALL,  /* id, name, text: arguments as JSON text, or free text when custom */
    CHAT_PART_TOOL_RESULT /* id, content, is_error */
};

/* media: exactly one of data (base64), url and file_id is not empty. cache: raw JSON of the mark
 * that ends a cached prefix here, or empty. extra: raw JSON that belongs to the part (citations).
 */
struct chat_part {
    struct chat_part *next;
    enum chat_part_kind kind;
    bool custom;
    bool is_error;
    struct str text;
    struct str signature;
    struct str id;
    struct str name;
    struct str media_type;
    struct str data;
    struct str url;
    struct str file_id;
    struct str cache;
    struct str extra;
    struct chat_part *content;
};

struct chat_message {
    struct chat_message *next;
    enum chat_role role;
    struct str name;
    struct chat_part *parts;
};

/* ---- request --------------------------------------------------------------------------------- */

enum chat_switch { CHAT_UNSET, CHAT_OFF, CHAT_ON };
enum chat_tool_choice {
    CHAT_CHOICE_UNSET,
    CHAT_CHOICE_AUTO,
    CHAT_CHOICE_NONE,
    CHAT_CHOICE_REQUIRED,
    CHAT_CHOICE_NAMED
};
enum chat_format { CHAT_FORMAT_UNSET, CHAT_FORMAT_TEXT, CHAT_FORMAT_JSON, CHAT_FORMAT_SCHEMA };
/* How the caller wants the model to think; ADAPTIVE leaves the amount to the model. */
enum chat_thinking {
    CHAT_THINKING_UNSET,
    CHAT_THINKING_OFF,
    CHAT_THINKING_BUDGET,
    CHAT_THINKING_ADAPTIVE
};

/* schema: raw JSON object; custom: a tool that takes free text, format its raw JSON or empty. */
struct chat_tool {
    struct chat_tool *next;
    struct str name;
    struct str description;
    struct str schema;
    struct str cache;
    struct str format;
    enum chat_switch strict;
    bool custom;
};

/* Searches of the web that the provider makes. name: the caller's field. offered: the request can
 * go without. max_uses: 0 = not said. Texts may be empty. */
#define CHAT_SEARCHES_DEFAULT 10u /* held for where the caller sets no limit */
struct chat_search {
    struct str name;
    bool offered;
    uint64_t max_uses;
    struct str context_size; /* low, medium, high */
    struct str city;
    struct str region;
    struct str country;
    struct str timezone;
    struct chat_text *allowed; /* domains */
    struct chat_text *blocked;
};

/* A list of texts; also of fields: name as the caller wrote it, raw its JSON value. */
struct chat_text {
    struct chat_text *next;
    struct str text;
};
struct chat_field {
    struct chat_field *next;
    struct str name;
    struct str raw;
};

/* Numbers that Berth only passes on are raw JSON text; empty = not given. others: top-level fields
 * without a place here, in the order of the body. Who has read a request leaves out the tools that
 * are not allowed. */
struct chat_request {
    struct str model;
    struct chat_message *messages;
    struct chat_tool *tools;
    struct chat_search *search; /* NULL = none */
    enum chat_tool_choice tool_choice;
    struct str tool_choice_name;
    struct chat_text *allowed; /* names: no other tool may be called; NULL = any */
    enum chat_switch parallel_tools;
    bool stream;
    bool include_usage;
    uint64_t max_output; /* 0 = not given */
    uint32_t choices;    /* 1 = one or not given */
    struct str temperature;
    struct str top_p;
    struct str top_k;
    struct chat_text *stops;
    enum chat_format format;
    struct str format_name;
    struct str schema; /* raw JSON */
    enum chat_switch schema_strict;
    enum chat_thinking thinking;
    uint64_t thinking_budget; /* tokens; with CHAT_THINKING_BUDGET, 0 = by effort */
    struct str effort;        /* none, minimal, low, medium, high, xhigh, max; empty = not given */
    struct str user;          /* opaque id of the end user */
    struct chat_field *others;
};

/* ---- answer ---------------------------------------------------------------------------------- */

enum chat_finish {
    CHAT_FINISH_NONE, /* not finished, or the provider did not say */
    CHAT_FINISH_STOP, /* also a matched stop text (stop_text) and a paused turn */
    CHAT_FINISH_LENGTH,
    CHAT_FINISH_TOOL_CALLS,
    CHAT_FINISH_FILTER, /* refused by the model or a filter */
    CHAT_FINISH_ERROR
};

/* Where an answer has something from. start, end: code points of the choice's text, which is its
 * TEXT parts one after the other; end exclusive. A source that is named for the answer as a whole
 * has all of it. url empty: a document of the request, told by title and id. quote: the source's
 * own words. raw: the citation as its provider wrote it. All of them but one of url, title and id
 * may be empty. */
struct chat_citation {
    struct chat_citation *next;
    uint64_t start;
    uint64_t end;
    struct str url;
    struct str title;
    struct str id;
    struct str quote;
    struct str raw;
};
struct chat_choice {
    struct chat_choice *next;
    uint32_t index;
    enum chat_finish finish;
    struct str stop_text;
    struct str refusal;  /* why, where the dialect tells it apart from the content */
    struct str logprobs; /* raw JSON or empty */
    struct chat_part *parts;
    struct chat_citation *citations;
};
struct chat_answer {
    struct str id;
    struct str model;
    uint64_t created; /* seconds since 1970, 0 = unknown: the caller sets it before answer_out */
    struct chat_choice *choices;
    bool old_calls;     /* set before answer_out: see chat_facts */
    struct usage usage; /* evidence NONE: not reported */
};

/* ---- errors ---------------------------------------------------------------------------------- */

/* What an upstream error means for the next step; the pipeline decides, the dialect only reads. */
enum chat_error_class {
    CHAT_ERROR_OTHER, /* by status alone */
    CHAT_ERROR_RATE,  /* waiting helps */
    CHAT_ERROR_QUOTA, /* waiting does not help: quota or credit is used up */
    CHAT_ERROR_OVERLOADED,
    CHAT_ERROR_AUTH,
    CHAT_ERROR_CONTEXT_LENGTH,
    CHAT_ERROR_PARAMETER,           /* param names a field that the upstream does not take */
    CHAT_ERROR_MODEL,               /* no such model there */
    CHAT_ERROR_TOOLS_NEED_RESPONSES /* function tools need the other endpoint (WIRE-FORMATS trap 3)
                                     */
};
/* status: HTTP, 400..599. Texts are borrowed, unescaped, any length; param and code may be empty.
 */
struct chat_error {
    uint16_t status;
    enum chat_error_class class_;
    struct str type;
    struct str code;
    struct str param;
    struct str message;
    struct str request_id;
    uint32_t retry_after_s; /* where the body says it; 0 = it does not */
    bool ours;              /* Berth refuses: type is chosen by the dialect from `row` */
    enum http_error row;
};
/* chat_error_ours - one of our own refusals; message empty = the row's sentence. message borrowed.
 */
struct chat_error chat_error_ours(enum http_error row, struct str message, struct str param);
/* chat_error_row - the refusal for an error code of facts, request_in and json_scan (either sign).
 */
enum http_error chat_error_row(int code);
/* chat_error_classify - fill class_ from status, type, code and message. */
void chat_error_classify(struct chat_error *error);

/* ---- stream events ----------------------------------------------------------------------------
 */

enum chat_event_kind {
    CHAT_EVENT_START,      /* id, model, created; first, once */
    CHAT_EVENT_TEXT,       /* choice, text */
    CHAT_EVENT_REASONING,  /* choice, text */
    CHAT_EVENT_SIGNATURE,  /* choice, text: signs and ends the reasoning so far */
    CHAT_EVENT_REDACTED,   /* choice, text: opaque data of a redacted block */
    CHAT_EVENT_REFUSAL,    /* choice, text */
    CHAT_EVENT_TOOL_START, /* choice, tool, id, name, custom */
    CHAT_EVENT_TOOL_DELTA, /* choice, tool, custom, text: fragment of the arguments */
    CHAT_EVENT_TOOL_END,   /* choice, tool: no further fragment */
    CHAT_EVENT_LOGPROBS,   /* choice, text: raw JSON */
    CHAT_EVENT_CITATION,   /* choice, citation: of text that has come, or comes next */
    CHAT_EVENT_FINISH,     /* choice, finish, text: stop text, id: why refused */
    CHAT_EVENT_USAGE,      /* usage: everything known so far, it replaces earlier ones */
    CHAT_EVENT_PING,
    CHAT_EVENT_ERROR, /* error; nothing but END may follow */
    CHAT_EVENT_END    /* the dialect's clean end */
};
/* tool: position of the call in its choice, 0.. in order of appearance. Texts are borrowed from the
 * fed frame or the arena of that call. */
struct chat_event {
    struct chat_event *next;
    enum chat_event_kind kind;
    uint32_t choice;
    uint32_t tool;
    bool custom;
    enum chat_finish finish;
    uint64_t created;
    struct str text;
    struct str id;
    struct str name;
    struct str model;
    struct usage usage;
    const struct chat_citation *citation;
    struct chat_error error;
};

/* ---- building -------------------------------------------------------------------------------- */

/* chat_part_add - append a zeroed part to *list; NULL on no memory. The same for the others. Walks
 * the list: to build a long one pass &last->next. */
struct chat_part *chat_part_add(struct chat_part **list, enum chat_part_kind kind,
                                struct arena *arena) MUST_USE;
struct chat_message *chat_message_add(struct chat_message **list, enum chat_role role,
                                      struct arena *arena) MUST_USE;
struct chat_choice *chat_choice_add(struct chat_choice **list, uint32_t index,
                                    struct arena *arena) MUST_USE;
struct chat_tool *chat_tool_add(struct chat_tool **list, struct arena *arena) MUST_USE;
int chat_text_add(struct chat_text **list, struct str text, struct arena *arena) MUST_USE;
int chat_field_add(struct chat_field **list, struct str name, struct str raw,
                   struct arena *arena) MUST_USE;
/* chat_citation_add - append a copy; one that names nothing, and those beyond CHAT_CITATIONS_MAX,
 * are left out (0). 0 or -ERR_NOMEM. */
#define CHAT_CITATIONS_MAX 1024u
int chat_citation_add(struct chat_citation **list, const struct chat_citation *citation,
                      struct arena *arena) MUST_USE;

/* chat_data_url - split "data:TYPE;base64,DATA"; "image/jpg" becomes "image/jpeg". false when url
 * is not one. */
bool chat_data_url(struct str url, struct str *ret_media_type, struct str *ret_data);
/* chat_finish_name - "stop", "length", "tool_calls", "content_filter", "error" or "none"; static.
 */
const char *chat_finish_name(enum chat_finish finish);

#endif
