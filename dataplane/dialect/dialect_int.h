/* SPDX-License-Identifier: MIT
 * dialect_int.h - what the dialects share: reading fields, naming losses, writing errors.
 * Floor: dataplane/dialect; any thread.
 * Owns: nothing.
 * Invariant: a field that is null is a field that is absent. */
#ifndef BERTH_DATAPLANE_DIALECT_DIALECT_INT_H
#define BERTH_DATAPLANE_DIALECT_DIALECT_INT_H

#include "dataplane/dialect/dialect.h"

/* ---- reading a request or an answer ---------------------------------------------------------- */

struct intake {
    const struct json_doc *doc;
    struct arena *arena;
    struct err *err;
};

/* intake_absent - JSON_NONE or null. */
bool intake_absent(const struct json_doc *doc, uint32_t node);
/* intake_get - member that is neither absent nor null, or JSON_NONE. */
uint32_t intake_get(const struct json_doc *doc, uint32_t object, struct str key);
/* intake_text - string node into *ret_text; an absent one leaves it as it is. -ERR_INVALID naming
 * `field`. */
int intake_text(const struct intake *in, uint32_t node, const char *field, struct str *ret_text);
int intake_member(const struct intake *in, uint32_t object, const char *field,
                  struct str *ret_text);
int intake_switch(const struct intake *in, uint32_t node, const char *field,
                  enum chat_switch *ret_switch);
/* intake_count - an integer 1..max, also as a string of digits; absent leaves it. -ERR_INVALID,
 * -ERR_RANGE naming `field`. */
int intake_count(const struct intake *in, uint32_t node, const char *field, uint64_t max,
                 uint64_t *ret_count);
/* intake_object - text of a JSON object into *ret_raw: the raw text of an object node. */
int intake_object(const struct intake *in, uint32_t node, const char *field, struct str *ret_raw);
int intake_kind_error(const struct intake *in, const char *field, const char *wanted);
/* intake_is_object - text is one whole JSON object under the strict rules. */
bool intake_is_object(struct str text);

/* A request's top-level fields by name; what no row knows goes to request->others. */
struct intake_row {
    const char *name;
    int (*read)(const struct intake *in, uint32_t node, struct chat_request *request);
};
int intake_fields(const struct intake *in, const struct intake_row *rows, size_t count,
                  struct chat_request *request);
/* intake_request - the whole of a request_in: `defaults` filled by the rows, sealed ids opened. */
int intake_request(const struct intake *in, const struct intake_row *rows, size_t count,
                   const struct chat_request *defaults, struct chat_request *ret_request);
/* intake_field_end - where request->others grows. */
struct chat_field **intake_field_end(struct chat_request *request);
/* intake_system - a system message before all others, wherever it stands in the body; NULL on no
 * memory. */
struct chat_message *intake_system(const struct intake *in, struct chat_request *request);

/* Rows that several dialects have, each under the name in its errors. */
int intake_row_model(const struct intake *in, uint32_t node, struct chat_request *request);
int intake_row_stream(const struct intake *in, uint32_t node, struct chat_request *request);
int intake_row_max_tokens(const struct intake *in, uint32_t node, struct chat_request *request);
int intake_row_temperature(const struct intake *in, uint32_t node, struct chat_request *request);
int intake_row_top_p(const struct intake *in, uint32_t node, struct chat_request *request);
int intake_row_top_k(const struct intake *in, uint32_t node, struct chat_request *request);
int intake_row_stop_sequences(const struct intake *in, uint32_t node, struct chat_request *request);
int intake_row_parallel(const struct intake *in, uint32_t node, struct chat_request *request);
int intake_row_user(const struct intake *in, uint32_t node, struct chat_request *request);

/* intake_number - raw text of a number; an absent one leaves it. -ERR_INVALID naming `field`. */
int intake_number(const struct intake *in, uint32_t node, const char *field, struct str *ret_raw);
/* intake_texts - a string, or the strings of a list, appended. -ERR_INVALID naming `field`. */
int intake_texts(const struct intake *in, uint32_t list, const char *field,
                 struct chat_text **ret_texts);
/* intake_role - the message's `role` by the rows of a dialect. -ERR_INVALID when no row has it. */
struct intake_role {
    const char *name;
    enum chat_role role;
};
int intake_role(const struct intake *in, uint32_t message, const struct intake_role *rows,
                size_t count, enum chat_role *ret_role);
/* intake_finish - a word of `rows`; STOP for any other, NONE when there is none. */
struct intake_finish {
    const char *name;
    enum chat_finish finish;
};
enum chat_finish intake_finish(const struct json_doc *doc, uint32_t node,
                               const struct intake_finish *rows, size_t count);
/* intake_choice - a word of `rows` as request->tool_choice; false: it is none of them. */
struct intake_choice {
    const char *name;
    enum chat_tool_choice choice;
};
bool intake_choice(const struct intake *in, uint32_t node, const struct intake_choice *rows,
                   size_t count, struct chat_request *request);
/* intake_rest - members of an object that are not `known` (ends in NULL) go to request->others as
 * "FIELD.MEMBER". At most INTAKE_MEMBERS_MAX: -ERR_INVALID naming `field`. */
#define INTAKE_MEMBERS_MAX 64u
int intake_rest(const struct intake *in, uint32_t node, const char *field, const char *const *known,
                struct chat_request *request);
/* intake_allowed - the tools that may not be called are left out; one that must be called is named.
 * -ERR_INVALID: too many names. Part of intake_request. */
int intake_allowed(const struct intake *in, struct chat_request *request);
/* intake_allowed_tools - OpenAI's {mode, tools: [{name} or {function: {name}}]}. */
int intake_allowed_tools(const struct intake *in, uint32_t node, struct chat_request *request);
/* intake_messages, intake_tools - each element of the list `messages` or `tools`, appended and read
 * by `read`, whose error ends it. known: a tool's members that `read` reads, see intake_rest. */
int intake_messages(const struct intake *in, uint32_t node, struct chat_request *request,
                    int (*read)(const struct intake *in, uint32_t node,
                                struct chat_message *message));
int intake_tools(const struct intake *in, uint32_t node, struct chat_request *request,
                 const char *const *known,
                 int (*read)(const struct intake *in, uint32_t node, struct chat_tool *tool));
/* intake_result - the parts of a tool message become the content of one result, its only part, with
 * the id in `tool_call_id`. */
int intake_result(const struct intake *in, uint32_t node, struct chat_message *message);
/* intake_part - a text as a part of `kind`, appended; an absent or empty one is none. *list becomes
 * the end of the list. */
int intake_part(const struct intake *in, uint32_t node, const char *field, enum chat_part_kind kind,
                struct chat_part ***list);
/* intake_parts - a string as one text part, or each element of a list by `read`, which appends to
 * *list. */
int intake_parts(const struct intake *in, uint32_t node, const char *field, struct chat_part **list,
                 int (*read)(const struct intake *in, uint32_t node, struct chat_part **list));
struct chat_part **intake_part_end(struct chat_part **list);
/* intake_format - {type: text | json_object | json_schema}; `body` has name, schema and strict. */
int intake_format(const struct intake *in, uint32_t node, uint32_t body,
                  struct chat_request *request);
/* intake_function - {name, description, parameters}; intake_function_tool - the same inside
 * `function`. */
int intake_function(const struct intake *in, uint32_t body, struct chat_tool *tool);
int intake_function_tool(const struct intake *in, uint32_t node, struct chat_tool *tool);

/* dialect_read_thinking - {type: enabled|disabled|adaptive, budget_tokens}. */
int dialect_read_thinking(const struct intake *in, uint32_t node, struct chat_request *request);

/* ---- facts ----------------------------------------------------------------------------------- */

/* facts_common - model, stream and prompt_bytes: they are the same in every dialect so far. */
int facts_common(const struct intake *in, struct chat_facts *facts);
/* facts_embed - of a request for embeddings: facts_common without a stream. */
int facts_embed(const struct intake *in, struct chat_facts *ret_facts);
/* facts_count_payload - correct *bytes for base64 media at string node `node`. */
void facts_count_payload(const struct json_doc *doc, uint32_t node, bool image, uint64_t *bytes);
/* facts_count_url - the same for a data: URL, or what a file that we only see the address of may
 * count. */
void facts_count_url(const struct json_doc *doc, uint32_t node, uint64_t *bytes);
/* facts_output - the output limit in member `field`, usage and tools of a dialect that always
 * reports usage. where: paid_int.h. -ERR_INVALID, -ERR_RANGE naming `field`. */
int facts_output(const struct intake *in, const char *field, unsigned where,
                 struct chat_facts *facts);
#define FACTS_REMOTE_TOKENS 65536u
#define FACTS_OUTPUT_MAX 100000000ull

/* dialect_edit_model - put the upstream's model name in place of the caller's. */
int dialect_edit_model(const struct json_doc *doc, const struct chat_facts *facts,
                       struct str upstream_model, struct splice *splice);

/* dialect_edit_forward - forward_edits of a dialect that always reports usage: the model only. */
int dialect_edit_forward(const struct json_doc *doc, enum chat_endpoint endpoint,
                         const struct chat_facts *facts, struct str upstream_model, bool want_usage,
                         struct splice *splice);

/* ---- losses ---------------------------------------------------------------------------------- */

/* loss - `field` has no place in the target: refused (-ERR_UNSUPPORTED naming both), or noted in
 * target->dropped when it is advisory or the target is lenient. */
int loss(const struct dialect_target *target, const char *dialect, struct str field, bool advisory,
         struct err *err);
/* loss_note - note without refusing. */
void loss_note(const struct dialect_target *target, struct str field);
/* loss_field - a field of request->others: neutral values (false, 0, {}, ...) are nothing lost, and
 * what only advises is noted. */
int loss_field(const struct chat_field *field, const struct dialect_target *target,
               const char *dialect, struct err *err);

/* ---- reasoning ------------------------------------------------------------------------------- */

/* reasoning_budget - tokens for an effort, as a share of max_output; 0 = none at all. */
uint64_t reasoning_budget(struct str effort, uint64_t max_output);
/* reasoning_effort - the effort nearest to a budget. */
struct str reasoning_effort(uint64_t budget);

/* ---- errors ---------------------------------------------------------------------------------- */

/* error_read - any provider's error body (WIRE-FORMATS 4.4), classified. */
int error_read(uint16_t status, struct str body, struct arena *arena, struct chat_error *ret_error);
/* error_read_object - the `error` value of a stream frame or body that is scanned already. */
int error_read_object(const struct json_doc *doc, uint32_t node, struct arena *arena,
                      struct chat_error *ret_error);
/* error_status - the status that an error event stands for, from its type or code; 502
 * otherwise. */
uint16_t error_status(struct str type, struct str code);
/* error_present - an `error` member that means one: an object, or a text that is not empty. */
bool error_present(const struct json_doc *doc, uint32_t node);

/* Limits for what providers send. */
extern const struct json_limits dialect_reply_limits;

#endif
