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
/* For each object member: for (m = intake_first(..); m != JSON_NONE; m = json_sibling(doc, obj,
 * m)) */

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

/* dialect_read_thinking - {type: enabled|disabled|adaptive, budget_tokens}. */
int dialect_read_thinking(const struct intake *in, uint32_t node, struct chat_request *request);

/* ---- facts ----------------------------------------------------------------------------------- */

/* facts_common - model, stream and prompt_bytes: they are the same in every dialect so far. */
int facts_common(const struct intake *in, struct chat_facts *facts);
/* facts_count_payload - correct *bytes for base64 media at string node `node`. */
void facts_count_payload(const struct json_doc *doc, uint32_t node, bool image, uint64_t *bytes);
/* facts_count_url - the same for a data: URL, or what a file that we only see the address of may
 * count. */
void facts_count_url(const struct json_doc *doc, uint32_t node, uint64_t *bytes);
#define FACTS_REMOTE_TOKENS 65536u
#define FACTS_OUTPUT_MAX 100000000ull

/* dialect_edit_model - put the upstream's model name in place of the caller's. */
int dialect_edit_model(const struct json_doc *doc, const struct chat_facts *facts,
                       struct str upstream_model, struct splice *splice);

/* ---- losses ---------------------------------------------------------------------------------- */

/* loss - `field` has no place in the target: refused (-ERR_UNSUPPORTED naming both), or noted in
 * target->dropped when it is advisory or the target is lenient. */
int loss(const struct dialect_target *target, const char *dialect, struct str field, bool advisory,
         struct err *err);
/* loss_note - note without refusing. */
void loss_note(const struct dialect_target *target, struct str field);
/* loss_others - the same for every field of request->others: those in `advisory` (ends in NULL) are
 * noted, those whose value says nothing (false, 0, {}, [], null) are left out, the rest refused. */
int loss_others(const struct chat_request *request, const struct dialect_target *target,
                const char *dialect, const char *const *advisory, struct err *err);

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
