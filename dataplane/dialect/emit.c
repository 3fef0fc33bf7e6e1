/* SPDX-License-Identifier: MIT
 * emit.c - what several dialects write alike, in requests and in answers.
 * Floor: dataplane/dialect; any thread.
 * Owns: nothing.
 * Invariant: a member that would be empty is left out. Proved by carry_test.c. Spec: WIRE-FORMATS
 *            3. */
#include "dataplane/dialect/emit_int.h"

static int
choose_search(struct emit *emit)
{
    const struct chat_search *search = emit->request->search;
    emit->search = NULL;
    if (search == NULL)
        return 0;
    bool takes = emit->has_search && (!search->offered || emit->takes_offers);
    if (!takes || (search->offered && !emit->target->searches))
        return loss(emit->target, emit->dialect, search->name, search->offered, emit->err);
    emit->search = search;
    return 0;
}

int
emit_run(struct emit *emit, struct buf *out, int (*put)(struct emit *emit))
{
    int rc = 0;
    if (!emit->has_custom)
        rc = freeform_wrap(emit->request, emit->arena, &emit->wrapped);
    if (rc < 0)
        return rc;
    if (!emit->has_custom)
        emit->request = &emit->wrapped;
    rc = choose_search(emit);
    if (rc < 0)
        return rc;
    map_init(&emit->calls);
    json_writer_init(&emit->writer, out);
    json_open_object(&emit->writer);
    rc = put(emit);
    if (rc == 0) /* what failed stays open: nobody reads it */
        json_close_object(&emit->writer);
    map_fini(&emit->calls);
    return rc < 0 ? rc : out->failed ? -ERR_TOO_LARGE : 0;
}

int
emit_map_calls(struct emit *emit)
{
    void *old = NULL;
    for (const struct chat_message *at = emit->request->messages; at != NULL; at = at->next) {
        for (struct chat_part *part = at->parts; part != NULL; part = part->next)
            if (part->kind == CHAT_PART_TOOL_CALL &&
                map_put(&emit->calls, part->id, part, &old) < 0)
                return -ERR_NOMEM;
    }
    return 0;
}

int
emit_refuse(const struct emit *emit, const char *field)
{
    return err_set(emit->err, ERR_UNSUPPORTED, "field `%s` cannot be carried to %s", field,
                   emit->dialect);
}

int
emit_lose(const struct emit *emit, const char *field)
{
    return loss(emit->target, emit->dialect, str_from(field), false, emit->err);
}

void
emit_note(const struct emit *emit, const char *field)
{
    loss_note(emit->target, str_from(field));
}

void
emit_note_part(const struct emit *emit, const struct chat_part *part)
{
    if (part->cache.len > 0)
        emit_note(emit, "cache_control");
    if (part->extra.len > 0)
        emit_note(emit, "citations");
}

static void
put_field(struct emit *emit, const struct chat_field *field)
{
    json_key_str(&emit->writer, field->name);
    json_value_raw(&emit->writer, field->raw);
}

static bool
is_listed(const char *const *list, struct str name)
{
    for (; list != NULL && *list != NULL; list++)
        if (str_eq(name, str_from(*list)))
            return true;
    return false;
}

int
emit_others(struct emit *emit, const char *const *native, const char *const *placed)
{
    for (const struct chat_field *at = emit->request->others; at != NULL; at = at->next) {
        bool foreign = str_eq(at->raw, STR("\"standard_only\"")); /* a tier of Anthropic's */
        int rc = 0;
        if (is_listed(placed, at->name))
            continue;
        if (!is_listed(native, at->name) || foreign)
            rc = loss_field(at, emit->target, emit->dialect, emit->err);
        else
            put_field(emit, at);
        if (rc < 0)
            return rc;
    }
    return 0;
}

/* ---- messages -------------------------------------------------------------------------------- */

bool
emit_is_system(const struct chat_message *message)
{
    return message->role == CHAT_ROLE_SYSTEM || message->role == CHAT_ROLE_DEVELOPER;
}

bool
emit_is_signed(const struct chat_part *part)
{
    struct str id;
    struct str encrypted;
    return part->signature.len > 0 && !seal_open_reasoning(part->signature, &id, &encrypted);
}

static bool
is_silent(const struct chat_message *message)
{
    for (const struct chat_part *part = message->parts; part != NULL; part = part->next) {
        bool text = part->kind == CHAT_PART_TEXT || part->kind == CHAT_PART_REFUSAL;
        bool thought = part->kind == CHAT_PART_REASONING || part->kind == CHAT_PART_REDACTED;
        if (!(text && part->text.len == 0) && !(thought && !emit_is_signed(part)))
            return false;
    }
    return true;
}

static const struct chat_message *
next_turn(const struct chat_message *message, bool silent)
{
    while (message != NULL && (emit_is_system(message) || (silent && is_silent(message))))
        message = message->next;
    return message;
}

int
emit_turns(struct emit *emit, const char *key, bool silent,
           int (*put)(struct emit *emit, const struct chat_message *turn,
                      const struct chat_message *end))
{
    const struct chat_message *turn = next_turn(emit->request->messages, silent);
    json_key_array(&emit->writer, key);
    while (turn != NULL) {
        bool assistant = turn->role == CHAT_ROLE_ASSISTANT;
        const struct chat_message *end = next_turn(turn->next, silent);
        while (end != NULL && (end->role == CHAT_ROLE_ASSISTANT) == assistant)
            end = next_turn(end->next, silent);
        int rc = put(emit, turn, end);
        if (rc < 0)
            return rc;
        turn = end;
    }
    json_close_array(&emit->writer);
    return 0;
}

int
emit_turn_parts(struct emit *emit, const struct chat_message *turn, const struct chat_message *end,
                bool results, int (*put)(struct emit *emit, const struct chat_part *part))
{
    for (; turn != end; turn = turn->next) {
        for (const struct chat_part *part = turn->parts; part != NULL; part = part->next) {
            if (emit_is_system(turn) || (part->kind == CHAT_PART_TOOL_RESULT) != results)
                continue;
            int rc = put(emit, part);
            if (rc < 0)
                return rc;
        }
        if (turn->name.len > 0)
            emit_note(emit, "name");
    }
    return 0;
}

int
emit_systems(struct emit *emit, int (*put)(struct emit *emit, const struct chat_part *part))
{
    bool open = false;
    for (const struct chat_message *at = emit->request->messages; at != NULL; at = at->next) {
        for (const struct chat_part *part = at->parts; part != NULL; part = part->next) {
            if (!emit_is_system(at) || (part->kind == CHAT_PART_TEXT && part->text.len == 0))
                continue;
            if (part->kind != CHAT_PART_TEXT)
                return emit_refuse(emit, "media in a system message");
            if (!open)
                json_key_array(&emit->writer, "system");
            open = true;
            int rc = put(emit, part);
            if (rc < 0)
                return rc;
        }
    }
    if (open)
        json_close_array(&emit->writer);
    return 0;
}

int
emit_tools(struct emit *emit, const char *key,
           int (*put)(struct emit *emit, const struct chat_tool *tool))
{
    json_key_array(&emit->writer, key);
    for (const struct chat_tool *tool = emit->request->tools; tool != NULL; tool = tool->next) {
        int rc = put(emit, tool);
        if (rc < 0)
            return rc;
    }
    json_close_array(&emit->writer);
    return 0;
}

bool
emit_has_calls(const struct emit *emit)
{
    for (const struct chat_message *at = emit->request->messages; at != NULL; at = at->next)
        for (const struct chat_part *part = at->parts; part != NULL; part = part->next)
            if (part->kind == CHAT_PART_TOOL_CALL)
                return true;
    return false;
}

const struct chat_tool emit_stand_in = {
    .name = {"no_tool", 7},
    .description = {"Not available. Do not call it.", 30},
    .schema = {"", 0},
};

void
emit_choice(struct emit *emit, bool nested)
{
    static const char *const choices[] = {[CHAT_CHOICE_AUTO] = "auto",
                                          [CHAT_CHOICE_NONE] = "none",
                                          [CHAT_CHOICE_REQUIRED] = "required"};
    const struct chat_request *request = emit->request;
    struct json_writer *writer = &emit->writer;
    if (request->tool_choice == CHAT_CHOICE_NAMED) {
        json_key_object(writer, "tool_choice");
        json_member_str(writer, "type", STR("function"));
        if (nested)
            json_key_object(writer, "function");
        json_member_str(writer, "name", request->tool_choice_name);
        if (nested)
            json_close_object(writer);
        json_close_object(writer);
    } else if (request->tool_choice != CHAT_CHOICE_UNSET) {
        json_member_str(writer, "tool_choice", str_from(choices[request->tool_choice]));
    }
    if (request->parallel_tools != CHAT_UNSET)
        json_member_bool(writer, "parallel_tool_calls", request->parallel_tools == CHAT_ON);
}

struct str
emit_role(const struct chat_message *message, bool developer)
{
    if (message->role == CHAT_ROLE_DEVELOPER && developer)
        return STR("developer");
    if (emit_is_system(message))
        return STR("system");
    return message->role == CHAT_ROLE_ASSISTANT ? STR("assistant") : STR("user");
}

int
emit_results(struct emit *emit, const struct chat_message *message,
             int (*put)(struct emit *emit, const struct chat_part *result), bool *ret_more)
{
    bool results = false;
    bool rest = false;
    for (const struct chat_part *part = message->parts; part != NULL; part = part->next) {
        bool result = part->kind == CHAT_PART_TOOL_RESULT;
        int rc = result ? put(emit, part) : 0;
        if (rc < 0)
            return rc;
        results = results || result;
        rest = rest || !result;
    }
    *ret_more = rest || !results;
    return 0;
}

int
emit_join(struct arena *arena, const struct chat_part *parts, unsigned kinds, struct str separator,
          struct str *ret_text)
{
    const struct chat_part *only = NULL;
    size_t count = 0;
    size_t size = 0;
    for (const struct chat_part *part = parts; part != NULL; part = part->next) {
        if ((kinds & EMIT_KIND(part->kind)) == 0)
            continue;
        only = part;
        count++;
        size += part->text.len + separator.len;
    }
    *ret_text = count == 0 ? str_make(NULL, 0) : only->text.len > 0 ? only->text : STR("");
    if (count <= 1)
        return 0;
    char *text = arena_alloc(arena, size);
    size_t used = 0;
    if (text == NULL)
        return -ERR_NOMEM;
    for (const struct chat_part *part = parts; part != NULL; part = part->next) {
        if ((kinds & EMIT_KIND(part->kind)) == 0)
            continue;
        if (used > 0 && separator.len > 0)
            memcpy(text + used, separator.ptr, separator.len);
        used += used > 0 ? separator.len : 0;
        if (part->text.len > 0)
            memcpy(text + used, part->text.ptr, part->text.len);
        used += part->text.len;
    }
    *ret_text = str_make(text, used);
    return 0;
}

struct str
emit_texts(struct json_writer *writer, struct arena *arena, const struct chat_part *parts,
           unsigned kinds, struct str separator)
{
    struct str text = str_make(NULL, 0);
    writer->out->failed |= emit_join(arena, parts, kinds, separator, &text) < 0;
    return text;
}

const struct chat_part *
emit_parts(const struct chat_choice *choice, struct chat_part *last)
{
    if (choice == NULL || choice->parts != NULL || choice->refusal.len == 0)
        return choice != NULL ? choice->parts : NULL;
    *last = (struct chat_part){.kind = CHAT_PART_REFUSAL, .text = choice->refusal};
    return last;
}

struct str
emit_document(struct emit *emit, const struct chat_part *part)
{
    if (part->name.len == 0)
        return part->text;
    struct str text =
        arena_printf(emit->arena, "%.*s\n\n%.*s", STR_ARG(part->name), STR_ARG(part->text));
    emit->writer.out->failed |= text.ptr == NULL;
    return text;
}

uint64_t
emit_budget(const struct emit *emit, uint64_t limit)
{
    const struct chat_request *request = emit->request;
    if (request->thinking_budget > 0)
        return request->thinking_budget;
    if (request->max_output > 0)
        limit = request->max_output;
    else if (emit->target->max_output > 0)
        limit = emit->target->max_output;
    return reasoning_budget(request->effort, limit);
}

/* ---- members --------------------------------------------------------------------------------- */

void
emit_raw(struct emit *emit, const char *key, struct str raw)
{
    if (raw.len > 0)
        json_member_raw(&emit->writer, key, raw);
}

void
emit_text(struct emit *emit, const char *key, struct str text)
{
    if (text.len > 0)
        json_member_str(&emit->writer, key, text);
}

void
emit_limit(struct emit *emit, const char *key, uint64_t count)
{
    if (count > 0)
        json_member_u64(&emit->writer, key, count);
}

void
emit_stops(struct emit *emit, const char *key)
{
    if (emit->request->stops == NULL)
        return;
    json_key_array(&emit->writer, key);
    for (const struct chat_text *stop = emit->request->stops; stop != NULL; stop = stop->next)
        json_value_str(&emit->writer, stop->text);
    json_close_array(&emit->writer);
}

void
emit_url(struct json_writer *writer, const char *key, const struct chat_part *part)
{
    struct buf url;
    if (part->data.len == 0) {
        json_member_str(writer, key, part->url);
        return;
    }
    buf_init(&url, part->data.len + part->media_type.len + 64);
    buf_put_str(&url, STR("data:"));
    buf_put_str(&url, part->media_type);
    buf_put_str(&url, STR(";base64,"));
    buf_put_str(&url, part->data);
    json_member_str(writer, key, buf_str(&url));
    writer->out->failed |= url.failed;
    buf_fini(&url);
}

void
emit_id(struct json_writer *writer, const char *key, struct str id, size_t max)
{
    struct buf *out = writer->out;
    json_member_str(writer, key, STR("")); /* and then what stands in it: it may be long */
    out->len -= out->failed ? 0u : 1u;
    for (size_t i = 0; i < MIN(id.len, max); i++) {
        char c = id.ptr[i];
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                     c == '_' || c == '-';
        buf_put_byte(out, plain ? c : '_');
    }
    buf_put_byte(out, '"');
}

void
emit_arguments(struct json_writer *writer, const char *key, struct str arguments)
{
    if (str_trim(arguments).len == 0) {
        json_member_raw(writer, key, STR("{}"));
    } else if (intake_is_object(arguments)) {
        json_member_raw(writer, key, arguments);
    } else { /* not JSON: kept as it is, so that nothing is lost */
        json_key_object(writer, key);
        json_member_str(writer, "raw_arguments", arguments);
        json_close_object(writer);
    }
}

void
emit_schema(struct json_writer *writer, const char *key, struct str schema)
{
    json_member_raw(writer, key,
                    schema.len > 2 ? schema : STR("{\"type\":\"object\",\"properties\":{}}"));
}

void
emit_function(struct json_writer *writer, const struct chat_tool *tool)
{
    json_open_object(writer);
    json_member_str(writer, "type", STR("function"));
    json_key_object(writer, "function");
    json_member_str(writer, "name", tool->name);
    json_member_str(writer, "description", tool->description);
    emit_schema(writer, "parameters", tool->schema);
    json_close_object(writer);
    json_close_object(writer);
}

void
emit_calls(struct json_writer *writer, const struct chat_part *parts,
           void (*put)(struct json_writer *writer, const struct chat_part *call))
{
    bool open = false;
    for (const struct chat_part *part = parts; part != NULL; part = part->next) {
        if (part->kind != CHAT_PART_TOOL_CALL)
            continue;
        if (!open)
            json_key_array(writer, "tool_calls");
        open = true;
        put(writer, part);
    }
    if (open)
        json_close_array(writer);
}

/* ---- streams --------------------------------------------------------------------------------- */

void
emit_event_open(struct json_writer *json, const char *type, struct buf *out)
{
    buf_put_str(out, STR("event: "));
    buf_put_str(out, str_from(type));
    buf_put_str(out, STR("\ndata: "));
    json_writer_init(json, out);
    json_open_object(json);
    json_member_str(json, "type", str_from(type));
}

void
emit_event_close(struct json_writer *json)
{
    json_close_object(json);
    buf_put_str(json->out, STR("\n\n"));
}

void
emit_line(struct json_writer *json, struct str raw)
{
    struct buf *out = json->out;
    size_t from = out->len;
    json_value_raw(json, raw);
    for (size_t i = from; i < out->len; i++)
        if (out->ptr[i] == '\n' || out->ptr[i] == '\r')
            out->ptr[i] = ' ';
}

int
emit_keepalive(struct buf *out)
{
    return sse_put_comment(out, STR("keep-alive"));
}
