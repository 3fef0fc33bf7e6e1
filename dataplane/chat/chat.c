/* SPDX-License-Identifier: MIT
 * chat.c - building the canonical model, and reading sense into errors.
 * Floor: dataplane/chat; values, any thread.
 * Owns: nothing.
 * Invariant: see chat.h. Proved by chat_test.c. */
#include "dataplane/chat/chat.h"

/* Appending walks the list; builders of lists that a caller can make long pass the last item's
 * `next` instead of the head. */
#define LIST_APPEND(list, item)         \
    do {                                \
        __typeof__(item) *at_ = (list); \
        while (*at_ != NULL)            \
            at_ = &(*at_)->next;        \
        *at_ = (item);                  \
    } while (0)

struct chat_part *
chat_part_add(struct chat_part **list, enum chat_part_kind kind, struct arena *arena)
{
    struct chat_part *part = ARENA_NEW(arena, struct chat_part);
    if (part == NULL)
        return NULL;
    part->kind = kind;
    LIST_APPEND(list, part);
    return part;
}

struct chat_message *
chat_message_add(struct chat_message **list, enum chat_role role, struct arena *arena)
{
    struct chat_message *message = ARENA_NEW(arena, struct chat_message);
    if (message == NULL)
        return NULL;
    message->role = role;
    LIST_APPEND(list, message);
    return message;
}

struct chat_choice *
chat_choice_add(struct chat_choice **list, uint32_t index, struct arena *arena)
{
    struct chat_choice *choice = ARENA_NEW(arena, struct chat_choice);
    if (choice == NULL)
        return NULL;
    choice->index = index;
    LIST_APPEND(list, choice);
    return choice;
}

struct chat_tool *
chat_tool_add(struct chat_tool **list, struct arena *arena)
{
    struct chat_tool *tool = ARENA_NEW(arena, struct chat_tool);
    if (tool == NULL)
        return NULL;
    LIST_APPEND(list, tool);
    return tool;
}

int
chat_text_add(struct chat_text **list, struct str text, struct arena *arena)
{
    struct chat_text *item = ARENA_NEW(arena, struct chat_text);
    if (item == NULL)
        return -ERR_NOMEM;
    item->text = text;
    LIST_APPEND(list, item);
    return 0;
}

int
chat_field_add(struct chat_field **list, struct str name, struct str raw, struct arena *arena)
{
    struct chat_field *field = ARENA_NEW(arena, struct chat_field);
    if (field == NULL)
        return -ERR_NOMEM;
    field->name = name;
    field->raw = raw;
    LIST_APPEND(list, field);
    return 0;
}

int
chat_citation_add(struct chat_citation **list, const struct chat_citation *citation,
                  struct arena *arena)
{
    uint32_t count = 0;
    if (citation->url.len == 0 && citation->title.len == 0 && citation->id.len == 0)
        return 0;
    for (; *list != NULL && count < CHAT_CITATIONS_MAX; count++)
        list = &(*list)->next;
    if (count == CHAT_CITATIONS_MAX)
        return 0;
    struct chat_citation *item = ARENA_NEW(arena, struct chat_citation);
    if (item == NULL)
        return -ERR_NOMEM;
    *item = *citation;
    item->next = NULL;
    item->end = MAX(item->start, item->end);
    *list = item;
    return 0;
}

bool
chat_data_url(struct str url, struct str *ret_media_type, struct str *ret_data)
{
    struct str head;
    struct str data;
    if (!str_starts(url, STR("data:")) || !str_cut(str_skip(url, 5), ',', &head, &data))
        return false;
    if (!str_ends(head, STR(";base64")))
        return false;
    struct str type;
    struct str parameters;
    (void)str_cut(head, ';', &type, &parameters);
    *ret_media_type = str_eq(type, STR("image/jpg")) ? STR("image/jpeg") : type;
    *ret_data = data;
    return true;
}

const char *
chat_finish_name(enum chat_finish finish)
{
    static const char *const names[] = {
        [CHAT_FINISH_NONE] = "none",
        [CHAT_FINISH_STOP] = "stop",
        [CHAT_FINISH_LENGTH] = "length",
        [CHAT_FINISH_TOOL_CALLS] = "tool_calls",
        [CHAT_FINISH_FILTER] = "content_filter",
        [CHAT_FINISH_ERROR] = "error",
    };
    return names[finish];
}

/* "field `NAME` ..." is how readers and writers of requests say whose fault it is. */
static struct str
field_named(struct str message)
{
    static const struct str before = {"field `", 7};
    struct str name = str_skip(message, MIN(message.len, before.len));
    size_t end = str_starts(message, before) ? str_find_byte(name, '`') : SIZE_MAX;
    return end == SIZE_MAX ? STR_EMPTY : str_make(name.ptr, end);
}

struct chat_error
chat_error_ours(enum http_error row, struct str message, struct str param)
{
    const struct http_error_row *text = http_error_row(row);
    if (param.len == 0)
        param = field_named(message);
    return (struct chat_error){
        .status = text->status,
        .class_ = CHAT_ERROR_OTHER,
        .type = str_from(text->openai_type),
        .code = str_from(text->code),
        .param = param,
        .message = message.len > 0 ? message : str_from(text->text),
        .ours = true,
        .row = row,
    };
}

enum http_error
chat_error_row(int code)
{
    switch (code < 0 ? -code : code) {
    case ERR_DUPLICATE:
        return HTTP_ERROR_duplicate_key;
    case ERR_RANGE:
        return HTTP_ERROR_out_of_range;
    case ERR_UNSUPPORTED:
        return HTTP_ERROR_unsupported_field;
    case ERR_TOO_LARGE:
        return HTTP_ERROR_too_large;
    case ERR_NOMEM:
        return HTTP_ERROR_internal;
    default:
        return HTTP_ERROR_bad_request;
    }
}

static bool
has(struct str text, const char *needle)
{
    return str_find(text, str_from(needle)) != SIZE_MAX;
}

static bool
is_context_length(const struct chat_error *error)
{
    return has(error->code, "context_length") || has(error->message, "prompt is too long") ||
           has(error->message, "maximum context length") ||
           has(error->message, "too many tokens") ||
           has(error->message, "Input is too long for requested model") ||
           (has(error->message, "input token count") && has(error->message, "exceeds"));
}

static bool
is_quota(const struct chat_error *error)
{
    return has(error->code, "insufficient_quota") || has(error->type, "insufficient_quota") ||
           has(error->message, "credit balance is too low") || error->status == 402;
}

static bool
is_parameter(const struct chat_error *error)
{
    return has(error->code, "unsupported_parameter") || has(error->code, "unsupported_value") ||
           has(error->code, "unknown_parameter") ||
           has(error->message, "Extra inputs are not permitted");
}

static enum chat_error_class
classify(const struct chat_error *error)
{
    if (is_quota(error))
        return CHAT_ERROR_QUOTA;
    if (is_context_length(error))
        return CHAT_ERROR_CONTEXT_LENGTH;
    if (error->status == 529 || has(error->type, "overloaded") || has(error->code, "overloaded"))
        return CHAT_ERROR_OVERLOADED;
    if (error->status == 429)
        return CHAT_ERROR_RATE;
    if (error->status == 401 || error->status == 403)
        return CHAT_ERROR_AUTH;
    if (error->status == 400 && has(error->message, "/v1/responses") &&
        has(error->message, "tools"))
        return CHAT_ERROR_TOOLS_NEED_RESPONSES;
    if (has(error->code, "model_not_found") ||
        ((error->status == 404 || error->status == 410) && has(error->message, "model")))
        return CHAT_ERROR_MODEL;
    if (error->status < 500 && is_parameter(error))
        return CHAT_ERROR_PARAMETER;
    return CHAT_ERROR_OTHER;
}

void
chat_error_classify(struct chat_error *error)
{
    error->class_ = classify(error);
    if (error->class_ == CHAT_ERROR_CONTEXT_LENGTH && error->status >= 500)
        error->status = 400; /* an event had no status to say */
}
