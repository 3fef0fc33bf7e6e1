/* SPDX-License-Identifier: MIT
 * freeform.c - custom tools as functions, and back.
 * Floor: dataplane/dialect; any thread.
 * Owns: nothing.
 * Invariant: see freeform_int.h. */
#include "dataplane/dialect/freeform_int.h"

#define CALL_BYTES_MAX (16u << 20)

/* ---- requests -------------------------------------------------------------------------------- */

static struct str
wrapped_name(struct str name, struct arena *arena)
{
    return arena_printf(arena, "%.*s%.*s", STR_ARG(name), STR_ARG(FREEFORM_SUFFIX));
}

/* The text as the function's arguments. */
static int
wrap_text(struct str text, struct arena *arena, struct str *ret_arguments)
{
    struct buf out;
    buf_init(&out, text.len * 6 + 16);
    buf_put_str(&out, STR("{\"input\":"));
    json_put_string(&out, text);
    buf_put_byte(&out, '}');
    int rc = out.failed ? -ERR_NOMEM : arena_dup(arena, buf_str(&out), ret_arguments);
    buf_fini(&out);
    return rc;
}

static int
format_text(const struct json_doc *doc, const char *name, struct arena *arena, struct str *ret_text)
{
    uint32_t grammar = json_get(doc, 0, STR("grammar")); /* chat completions nest it */
    uint32_t node = json_get(doc, grammar != JSON_NONE ? grammar : 0, str_from(name));
    return json_is(doc, node, JSON_STRING) ? json_string(doc, node, arena, ret_text) : 0;
}

/* {type: grammar, syntax, definition}: the model is told, and can err. */
static int
describe(const struct chat_tool *tool, struct arena *arena, struct str *ret_text)
{
    struct json_doc doc;
    struct str syntax = STR_EMPTY;
    struct str definition = STR_EMPTY;
    int rc = 0;
    json_init(&doc);
    if (tool->format.len > 0 && json_scan(&doc, tool->format, &dialect_reply_limits, NULL) == 0) {
        rc = format_text(&doc, "syntax", arena, &syntax);
        if (rc == 0)
            rc = format_text(&doc, "definition", arena, &definition);
    }
    json_fini(&doc);
    if (rc < 0)
        return rc;
    *ret_text =
        arena_printf(arena, "%.*s%sThe whole text of the call goes into `input`.%s%.*s%s%.*s",
                     STR_ARG(tool->description), tool->description.len > 0 ? "\n\n" : "",
                     definition.len > 0 ? " It must match this grammar (" : "", STR_ARG(syntax),
                     definition.len > 0 ? "):\n" : "", STR_ARG(definition));
    return ret_text->ptr == NULL ? -ERR_NOMEM : 0;
}

static int
wrap_tool(const struct chat_tool *tool, struct arena *arena, struct chat_tool *copy)
{
    struct chat_tool *next = copy->next;
    *copy = *tool;
    copy->next = next;
    if (!tool->custom)
        return 0;
    copy->custom = false;
    copy->name = wrapped_name(tool->name, arena);
    copy->schema = STR("{\"type\":\"object\",\"properties\":{\"input\":{\"type\":\"string\"}},"
                       "\"required\":[\"input\"],\"additionalProperties\":false}");
    return copy->name.ptr == NULL ? -ERR_NOMEM : describe(tool, arena, &copy->description);
}

static int
wrap_message(const struct chat_message *message, struct arena *arena, struct chat_message *copy)
{
    struct chat_part **end = &copy->parts;
    copy->name = message->name;
    for (const struct chat_part *part = message->parts; part != NULL; part = part->next) {
        struct chat_part *made = chat_part_add(end, part->kind, arena);
        if (made == NULL)
            return -ERR_NOMEM;
        *made = *part;
        made->next = NULL;
        end = &made->next;
        if (!part->custom)
            continue;
        made->custom = false;
        made->name = wrapped_name(part->name, arena);
        if (made->name.ptr == NULL || wrap_text(part->text, arena, &made->text) < 0)
            return -ERR_NOMEM;
    }
    return 0;
}

static bool
has_custom(const struct chat_part *parts)
{
    while (parts != NULL && !parts->custom)
        parts = parts->next;
    return parts != NULL;
}

static int
wrap_tools(const struct chat_tool *tool, struct arena *arena, struct chat_request *request)
{
    struct chat_tool **end = &request->tools;
    request->tools = NULL;
    for (; tool != NULL; tool = tool->next) {
        struct chat_tool *copy = chat_tool_add(end, arena);
        int rc = copy == NULL ? -ERR_NOMEM : wrap_tool(tool, arena, copy);
        if (rc < 0)
            return rc;
        end = &copy->next;
        if (tool->custom && request->tool_choice == CHAT_CHOICE_NAMED &&
            str_eq(request->tool_choice_name, tool->name))
            request->tool_choice_name = copy->name;
    }
    return 0;
}

int
freeform_wrap(const struct chat_request *request, struct arena *arena,
              struct chat_request *ret_request)
{
    struct chat_message **end = &ret_request->messages;
    bool any = false;
    *ret_request = *request;
    for (const struct chat_tool *tool = request->tools; tool != NULL; tool = tool->next)
        any = any || tool->custom;
    for (const struct chat_message *at = request->messages; at != NULL && !any; at = at->next)
        any = has_custom(at->parts);
    if (!any)
        return 0;
    ret_request->messages = NULL;
    for (const struct chat_message *at = request->messages; at != NULL; at = at->next) {
        struct chat_message *copy = chat_message_add(end, at->role, arena);
        int rc = copy == NULL ? -ERR_NOMEM : wrap_message(at, arena, copy);
        if (rc < 0)
            return rc;
        end = &copy->next;
    }
    return wrap_tools(request->tools, arena, ret_request);
}

/* ---- answers --------------------------------------------------------------------------------- */

/* What does not say {"input": text} is the text. */
static int
unwrap(struct chat_part *call, struct arena *arena)
{
    struct json_doc doc;
    struct str text = call->text;
    int rc = 0;
    json_init(&doc);
    if (json_scan(&doc, call->text, &dialect_reply_limits, NULL) == 0) {
        uint32_t input = json_get(&doc, 0, STR("input"));
        if (json_is(&doc, input, JSON_STRING))
            rc = json_string(&doc, input, arena, &text);
    }
    json_fini(&doc);
    call->custom = true;
    call->text = text;
    call->name.len -= FREEFORM_SUFFIX.len;
    return rc;
}

static bool
is_wrapped(enum chat_part_kind kind, struct str name)
{
    return kind == CHAT_PART_TOOL_CALL && str_ends(name, FREEFORM_SUFFIX);
}

int
freeform_parts(const struct chat_part *parts, struct arena *arena,
               const struct chat_part **ret_parts)
{
    struct chat_message copy = {0};
    const struct chat_message message = {.parts = (struct chat_part *)(uintptr_t)parts};
    bool any = false;
    *ret_parts = parts;
    for (const struct chat_part *part = parts; part != NULL; part = part->next)
        any = any || is_wrapped(part->kind, part->name);
    if (!any)
        return 0;
    int rc = wrap_message(&message, arena, &copy);
    for (struct chat_part *part = copy.parts; part != NULL && rc == 0; part = part->next)
        rc = is_wrapped(part->kind, part->name) ? unwrap(part, arena) : 0;
    if (rc == 0)
        *ret_parts = copy.parts;
    return rc;
}

static int
write_call(struct pieces *held, const struct chat_event *event, struct chat_part *call,
           int (*write)(void *writer, const struct chat_event *event, struct buf *out),
           void *writer, struct buf *out)
{
    static const enum chat_event_kind kinds[] = {CHAT_EVENT_TOOL_START, CHAT_EVENT_TOOL_DELTA,
                                                 CHAT_EVENT_TOOL_END};
    struct arena arena;
    arena_init(&arena, CALL_BYTES_MAX);
    int rc = unwrap(call, &arena);
    for (size_t i = 0; i < ARRAY_LEN(kinds) && rc == 0; i++) {
        struct chat_event one = *event;
        one.kind = kinds[i];
        one.custom = true;
        one.id = call->id;
        one.name = call->name;
        one.text = i == 1 ? call->text : STR_EMPTY;
        rc = write(writer, &one, out);
    }
    arena_fini(&arena);
    pieces_drop(held, call);
    return rc;
}

int
freeform_write(struct pieces *held, const struct chat_event *event,
               int (*write)(void *writer, const struct chat_event *event, struct buf *out),
               void *writer, struct buf *out)
{
    struct chat_part call;
    bool start = event->kind == CHAT_EVENT_TOOL_START;
    bool more = event->kind == CHAT_EVENT_TOOL_DELTA || event->kind == CHAT_EVENT_TOOL_END;
    if (start && is_wrapped(CHAT_PART_TOOL_CALL, event->name))
        return pieces_take(held, event);
    if (LIKELY(!more || !pieces_find(held, event, &call)))
        return write(writer, event, out);
    return event->kind == CHAT_EVENT_TOOL_DELTA
               ? pieces_take(held, event)
               : write_call(held, event, &call, write, writer, out);
}
