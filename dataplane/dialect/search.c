/* SPDX-License-Identifier: MIT
 * search.c - searches of the web that a provider makes for a call: read and written.
 * Floor: dataplane/dialect; any thread.
 * Owns: nothing.
 * Invariant: see search_int.h. */
#include "dataplane/dialect/search_int.h"

#include "dataplane/dialect/gemini_int.h"

/* ---- reading --------------------------------------------------------------------------------- */

/* The type of a tool; empty when it is no string. Without memory: as if it searched. */
static struct str
type_of(const struct json_doc *doc, uint32_t tool, struct arena *arena)
{
    struct str text = STR("web_search");
    uint32_t type = json_get(doc, tool, STR("type"));
    if (!json_is(doc, type, JSON_STRING))
        return STR_EMPTY;
    (void)!json_string(doc, type, arena, &text);
    return text;
}

bool
search_is_tool(const struct intake *in, uint32_t tool)
{
    return str_starts(type_of(in->doc, tool, in->arena), STR("web_search"));
}

uint32_t
search_is_gemini(const struct json_doc *doc, uint32_t tool)
{
    uint32_t node = gemini_get(doc, tool, "googleSearch");
    return node != JSON_NONE ? node : gemini_get(doc, tool, "googleSearchRetrieval");
}

static int
read_location(const struct intake *in, uint32_t node, struct chat_search *search)
{
    uint32_t nested = json_get(in->doc, node, STR("approximate"));
    uint32_t at = json_is(in->doc, nested, JSON_OBJECT) ? nested : node;
    int rc = intake_member(in, at, "city", &search->city);
    if (rc == 0)
        rc = intake_member(in, at, "region", &search->region);
    if (rc == 0)
        rc = intake_member(in, at, "country", &search->country);
    return rc < 0 ? rc : intake_member(in, at, "timezone", &search->timezone);
}

static int
read_search(const struct intake *in, uint32_t node, const char *name, const char *const *known,
            struct chat_request *request)
{
    const struct json_doc *doc = in->doc;
    uint32_t allowed = json_get(doc, node, STR("allowed_domains"));
    uint32_t filters = json_get(doc, node, STR("filters"));
    struct chat_search *search = ARENA_NEW(in->arena, struct chat_search);
    if (search == NULL)
        return -ERR_NOMEM;
    search->name = str_from(name);
    if (intake_absent(doc, allowed))
        allowed = json_get(doc, filters, STR("allowed_domains"));
    int rc = intake_count(in, json_get(doc, node, STR("max_uses")), "max_uses", UINT32_MAX,
                          &search->max_uses);
    if (rc == 0)
        rc = intake_member(in, node, "search_context_size", &search->context_size);
    if (rc == 0)
        rc = read_location(in, json_get(doc, node, STR("user_location")), search);
    if (rc == 0)
        rc = intake_texts(in, allowed, "allowed_domains", &search->allowed);
    if (rc == 0)
        rc = intake_texts(in, json_get(doc, node, STR("blocked_domains")), "blocked_domains",
                          &search->blocked);
    if (rc == 0)
        rc = intake_rest(in, node, name, known, request);
    request->search = search;
    return rc;
}

/* Anthropic's types are dated. */
static bool
is_anthropic(struct str type)
{
    return str_starts(type, STR("web_search_2")) && !str_starts(type, STR("web_search_2025_"));
}

int
search_tool_in(const struct intake *in, uint32_t tool, struct chat_request *request)
{
    static const char *const known[] = {"type",
                                        "name",
                                        "max_uses",
                                        "allowed_domains",
                                        "blocked_domains",
                                        "filters",
                                        "user_location",
                                        "search_context_size",
                                        "cache_control",
                                        NULL};
    struct str type = type_of(in->doc, tool, in->arena);
    struct str name = arena_printf(in->arena, "tools.%.*s", STR_ARG(type));
    if (name.ptr == NULL)
        return -ERR_NOMEM;
    int rc = read_search(in, tool, "tools", known, request);
    if (rc < 0)
        return rc;
    request->search->name = name;
    request->search->offered = !is_anthropic(type);
    return 0;
}

int
search_options_in(const struct intake *in, uint32_t node, struct chat_request *request)
{
    static const char *const known[] = {"search_context_size", "user_location", NULL};
    if (!json_is(in->doc, node, JSON_OBJECT))
        return intake_kind_error(in, "web_search_options", "an object");
    return read_search(in, node, "web_search_options", known, request);
}

int
search_gemini_in(const struct intake *in, uint32_t node, struct chat_request *request)
{
    static const char *const known[] = {"excludeDomains", "exclude_domains", NULL};
    if (!json_is(in->doc, node, JSON_OBJECT))
        return intake_kind_error(in, "tools.googleSearch", "an object");
    int rc = read_search(in, node, "googleSearch", known, request);
    return rc < 0 ? rc
                  : intake_texts(in, gemini_get(in->doc, node, "excludeDomains"), "excludeDomains",
                                 &request->search->blocked);
}

void
search_choose(struct chat_request *request)
{
    if (request->search != NULL && request->tool_choice == CHAT_CHOICE_NAMED &&
        str_eq(request->tool_choice_name, STR("web_search")))
        request->tool_choice = CHAT_CHOICE_REQUIRED;
}

/* ---- writing --------------------------------------------------------------------------------- */

static void
put_location(struct emit *emit, bool nested)
{
    const struct chat_search *search = emit->search;
    struct json_writer *writer = &emit->writer;
    if (search->city.len + search->region.len + search->country.len + search->timezone.len == 0)
        return;
    json_key_object(writer, "user_location");
    json_member_str(writer, "type", STR("approximate"));
    if (nested)
        json_key_object(writer, "approximate");
    emit_text(emit, "city", search->city);
    emit_text(emit, "region", search->region);
    emit_text(emit, "country", search->country);
    emit_text(emit, "timezone", search->timezone);
    if (nested)
        json_close_object(writer);
    json_close_object(writer);
}

static void
put_domains(struct json_writer *writer, const char *key, const struct chat_text *list)
{
    if (list == NULL)
        return;
    json_key_array(writer, key);
    for (; list != NULL; list = list->next)
        json_value_str(writer, list->text);
    json_close_array(writer);
}

/* What only narrows a search changes its answer; what else it says advises. */
static int
lose(const struct emit *emit, bool allowed, bool blocked)
{
    int rc = 0;
    if (allowed && emit->search->allowed != NULL)
        rc = emit_lose(emit, "allowed_domains");
    if (rc == 0 && blocked && emit->search->blocked != NULL)
        rc = emit_lose(emit, "blocked_domains");
    return rc;
}

static void
note(const struct emit *emit, bool uses, bool size, bool location)
{
    const struct chat_search *search = emit->search;
    if (uses && search->max_uses > 0)
        emit_note(emit, "max_uses");
    if (size && search->context_size.len > 0)
        emit_note(emit, "search_context_size");
    if (location && search->city.len + search->region.len + search->country.len > 0)
        emit_note(emit, "user_location");
}

int
search_put_anthropic(struct emit *emit)
{
    struct json_writer *writer = &emit->writer;
    const struct chat_search *search = emit->search;
    note(emit, false, true, false);
    json_open_object(writer);
    json_member_str(writer, "type", STR("web_search_20250305"));
    json_member_str(writer, "name", STR("web_search"));
    json_member_u64(writer, "max_uses",
                    search->max_uses > 0 ? search->max_uses : CHAT_SEARCHES_DEFAULT);
    put_domains(writer, "allowed_domains", search->allowed);
    put_domains(writer, "blocked_domains", search->blocked);
    put_location(emit, false);
    json_close_object(writer);
    return 0;
}

int
search_put_responses(struct emit *emit)
{
    struct json_writer *writer = &emit->writer;
    const struct chat_search *search = emit->search;
    json_open_object(writer);
    json_member_str(writer, "type", STR("web_search"));
    emit_text(emit, "search_context_size", search->context_size);
    put_location(emit, false);
    if (search->allowed != NULL) {
        json_key_object(writer, "filters");
        put_domains(writer, "allowed_domains", search->allowed);
        json_close_object(writer);
    }
    json_close_object(writer);
    return lose(emit, false, true);
}

int
search_put_gemini(struct emit *emit)
{
    note(emit, true, true, true);
    json_open_object(&emit->writer);
    json_member_raw(&emit->writer, "googleSearch", STR("{}"));
    json_close_object(&emit->writer);
    return lose(emit, true, true);
}

int
search_put_openai(struct emit *emit)
{
    note(emit, true, false, false);
    json_key_object(&emit->writer, "web_search_options");
    emit_text(emit, "search_context_size", emit->search->context_size);
    put_location(emit, true);
    json_close_object(&emit->writer);
    return lose(emit, true, true);
}

void
search_put_usage(struct json_writer *writer, const struct usage *usage)
{
    if (usage->count[USAGE_web_search] == 0)
        return;
    json_key_object(writer, "server_tool_use");
    json_member_u64(writer, "web_search_requests", usage->count[USAGE_web_search]);
    json_close_object(writer);
}

int
search_put_tools(struct emit *emit, int (*put)(struct emit *emit, const struct chat_tool *tool),
                 int (*put_search)(struct emit *emit))
{
    int rc = 0;
    json_key_array(&emit->writer, "tools");
    for (const struct chat_tool *tool = emit->request->tools; tool != NULL && rc == 0;
         tool = tool->next)
        rc = put(emit, tool);
    if (rc == 0 && emit->search != NULL)
        rc = put_search(emit);
    json_close_array(&emit->writer);
    return rc;
}
