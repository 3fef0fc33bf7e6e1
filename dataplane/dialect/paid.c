/* SPDX-License-Identifier: MIT
 * paid.c - tools that a provider runs and bills beside tokens, in requests.
 * Floor: dataplane/dialect; any thread.
 * Owns: nothing.
 * Invariant: see paid_int.h. */
#include "dataplane/dialect/paid_int.h"

#define NAME_BYTES_MAX 64u
#define SOURCES_DEFAULT 20u /* of xAI's search_parameters */
#define RESULTS_DEFAULT 5u  /* of OpenRouter's web plugin */

enum how { FREE, COUNTED, CALL, OFFER };

struct row {
    unsigned where;
    struct str name; /* a prefix, or all of it */
    bool prefix;
    enum usage_class class_;
    enum how how;
};

/* "web_search_2*": the name is what is in front of the digits. */
#define IS_PREFIX(text) ((text)[sizeof(text) - 2] == '*')
#define OPENAI PAID_OPENAI
#define RESPONSES PAID_RESPONSES
#define ANTHROPIC PAID_ANTHROPIC
#define GEMINI PAID_GEMINI
static const struct row rows[] = {
#define PAID_ROW(at, text, paid_as, told, note) \
    {.where = (at),                             \
     .name = {text, sizeof(text) - 1},          \
     .prefix = IS_PREFIX(text),                 \
     .class_ = USAGE_##paid_as,                 \
     .how = (told)},
#include "dataplane/dialect/paid.def"
#undef PAID_ROW
};
#undef OPENAI
#undef RESPONSES
#undef ANTHROPIC
#undef GEMINI

/* ---- the list -------------------------------------------------------------------------------- */

struct found {
    const struct intake *in;
    unsigned where;
    struct chat_facts *facts;
    uint64_t calls_max; /* max_tool_calls, or a great many */
    bool has_free;      /* a tool of the caller's own */
    bool dynamic;       /* a search of 2026, beside which code runs for nothing */
};

static uint32_t
capped(uint64_t count)
{
    return count == 0 ? 1 : (uint32_t)MIN(count, (uint64_t)CHAT_RUNS_MOST);
}

/* Two of one name are paid as the dearer. */
static enum usage_class
dearer(enum usage_class a, enum usage_class b)
{
    if (a == b)
        return a;
    return a == USAGE_web_search_high || b == USAGE_web_search_high ? USAGE_web_search_high
                                                                    : USAGE_web_search;
}

static int
add(struct found *found, const struct chat_run *run)
{
    struct chat_run **end = &found->facts->runs;
    uint32_t count = 0;
    for (; *end != NULL; end = &(*end)->next, count++) {
        struct chat_run *at = *end;
        if (at->tool != run->tool || !str_eq(at->name, run->name))
            continue;
        at->most = capped((uint64_t)at->most + run->most);
        at->each = MIN(at->each + run->each, CHAT_RUNS_MOST);
        at->unit = MAX(at->unit, run->unit);
        at->offered = at->offered && run->offered;
        at->sized = at->sized || run->sized;
        if (at->class_ != run->class_)
            at->class_ = dearer(at->class_, run->class_);
        return 0;
    }
    if (count >= PAID_RUNS_MAX)
        return err_set(found->in->err, ERR_INVALID,
                       "the request asks for more than %u kinds of tools of the provider's own",
                       PAID_RUNS_MAX);
    struct chat_run *copy = ARENA_NEW(found->in->arena, struct chat_run);
    if (copy == NULL)
        return -ERR_NOMEM;
    *copy = *run;
    *end = copy;
    return 0;
}

/* ---- tools ----------------------------------------------------------------------------------- */

static const struct row *
row_find(unsigned where, struct str type)
{
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const struct row *row = &rows[i];
        struct str name = row->name;
        name.len -= row->prefix;
        if ((row->where & where) != 0 &&
            (row->prefix ? str_starts(type, name) : str_eq(type, name)))
            return row;
    }
    return NULL;
}

/* As refusals say it: without the date. */
static struct str
row_name(const struct row *row)
{
    struct str name = row->name;
    name.len -= row->prefix;
    if (str_starts(name, STR("web_search_2")))
        return STR("web_search");
    if (name.len > 0 && name.ptr[name.len - 1] == '_')
        name.len--;
    return name;
}

static void
take_size(const struct json_doc *doc, uint32_t node, struct chat_run *run)
{
    uint32_t size = json_get(doc, node, STR("search_context_size"));
    if (run->class_ != USAGE_web_search || !json_is(doc, size, JSON_STRING))
        return;
    run->sized = true;
    if (json_string_eq(doc, size, STR("low")))
        run->class_ = USAGE_web_search_low;
    else if (!json_string_eq(doc, size, STR("medium")))
        run->class_ = USAGE_web_search_high; /* or a word that we do not know */
}

/* OpenAI's containers cost in proportion to their memory, roughly: so many of 1 GB. */
static uint32_t
container_unit(const struct json_doc *doc, uint32_t tool)
{
    uint32_t limit = json_path(doc, tool, "container.memory_limit");
    if (!json_is(doc, limit, JSON_STRING) || json_string_eq(doc, limit, STR("1g")))
        return 1;
    if (json_string_eq(doc, limit, STR("4g")))
        return 4;
    return json_string_eq(doc, limit, STR("16g")) ? 16 : 64;
}

static int
add_tool(struct found *found, uint32_t tool, struct str type, const struct row *row)
{
    const struct json_doc *doc = found->in->doc;
    uint64_t most = CHAT_SEARCHES_DEFAULT;
    struct chat_run run = {.tool = true,
                           .class_ = row != NULL ? row->class_ : USAGE_tool_call,
                           .each = row == NULL || row->how == CALL,
                           .offered = row != NULL && row->how == OFFER,
                           .unit = 1};
    if (row != NULL)
        run.name = row_name(row);
    else if (arena_dup(found->in->arena, str_make(type.ptr, MIN(type.len, NAME_BYTES_MAX)),
                       &run.name) != 0)
        return -ERR_NOMEM;
    if (json_u64(doc, json_get(doc, tool, STR("max_uses")), UINT32_MAX, &most) < 0)
        most = CHAT_SEARCHES_DEFAULT;
    run.most = capped(MIN(most, found->calls_max));
    if (run.class_ == USAGE_code_run)
        run.unit = container_unit(doc, tool);
    if (run.unit > 1)
        run.most = 1; /* who makes containers of many sizes makes one a call */
    take_size(doc, tool, &run);
    return add(found, &run);
}

/* {"type": "shell"} is the caller's, unless it is to be in a container of the vendor's. */
static bool
is_own_shell(const struct json_doc *doc, uint32_t tool, struct str type)
{
    uint32_t at = json_get(doc, json_get(doc, tool, STR("environment")), STR("type"));
    return str_eq(type, STR("shell")) && (at == JSON_NONE || json_string_eq(doc, at, STR("local")));
}

static const struct row shell_row = {.name = {"shell", 5}, .class_ = USAGE_code_run, .how = CALL};

static bool
is_dynamic(struct str type)
{
    static const struct str first = {"20260209", 8};
    struct str date = STR_EMPTY;
    if (str_starts(type, STR("web_search_")))
        date = str_skip(type, STR("web_search_").len);
    else if (str_starts(type, STR("web_fetch_")))
        date = str_skip(type, STR("web_fetch_").len);
    return date.len == first.len && memcmp(date.ptr, first.ptr, first.len) >= 0;
}

/* What a tool says that it is. False: nobody but the caller can run it. */
static bool
type_of(const struct intake *in, uint32_t tool, struct str *ret_type)
{
    const struct json_doc *doc = in->doc;
    uint32_t type = json_get(doc, tool, STR("type"));
    uint32_t key = json_first(doc, tool);
    if (json_is(doc, type, JSON_STRING)) {
        *ret_type = STR("?"); /* without memory: as one that we do not know */
        (void)!json_string(doc, type, in->arena, ret_type);
        return true;
    }
    if (!json_is(doc, tool, JSON_OBJECT) || key == JSON_NONE ||
        json_get(doc, tool, STR("name")) != JSON_NONE ||
        json_get(doc, tool, STR("function")) != JSON_NONE)
        return false;
    *ret_type = STR("?");
    (void)!json_string(doc, key, in->arena, ret_type);
    return true;
}

/* One tool of a list; `row` is what its type is, or NULL. nested: of a namespace, out of which
 * nothing can be cut. */
static int
look_tool(struct found *found, uint32_t tool, bool nested)
{
    struct str type = STR_EMPTY;
    bool typed = type_of(found->in, tool, &type);
    const struct row *row = typed ? row_find(found->where, type) : NULL;
    bool openai = (found->where & (PAID_OPENAI | PAID_RESPONSES)) != 0;
    found->dynamic = found->dynamic || is_dynamic(type);
    if (!typed || (row != NULL && row->how == FREE) ||
        (openai && is_own_shell(found->in->doc, tool, type))) {
        found->has_free = true;
        return 0;
    }
    if (openai && str_eq(type, STR("shell")))
        row = &shell_row;
    struct row kept = row != NULL ? *row : (struct row){.how = CALL};
    kept.how = nested && kept.how == OFFER ? COUNTED : kept.how;
    return add_tool(found, tool, type, row != NULL ? &kept : NULL);
}

static int
look_tools(struct found *found, uint32_t list, bool nested)
{
    const struct json_doc *doc = found->in->doc;
    uint32_t at = json_is(doc, list, JSON_ARRAY) ? json_first(doc, list) : JSON_NONE;
    int rc = 0;
    for (; at != JSON_NONE && rc == 0; at = json_sibling(doc, list, at)) {
        uint32_t inner = json_get(doc, at, STR("tools"));
        bool spaced = !nested && json_is(doc, inner, JSON_ARRAY) &&
                      json_string_eq(doc, json_get(doc, at, STR("type")), STR("namespace"));
        if (!spaced) {
            rc = look_tool(found, at, nested);
            continue;
        }
        for (uint32_t one = json_first(doc, inner); one != JSON_NONE && rc == 0;
             one = json_sibling(doc, inner, one))
            rc = look_tool(found, one, true);
    }
    return rc;
}

/* "google_search" is "googleSearch". */
static struct str
camel(struct str name, char out[NAME_BYTES_MAX])
{
    size_t size = 0;
    for (size_t i = 0; i < name.len && size < NAME_BYTES_MAX; i++) {
        bool joint = name.ptr[i] == '_' && i + 1 < name.len && name.ptr[i + 1] >= 'a' &&
                     name.ptr[i + 1] <= 'z';
        out[size++] = joint ? (char)(name.ptr[++i] - 32) : name.ptr[i];
    }
    return str_make(out, size);
}

/* Each member of a tool of Google's is one. */
static int
look_members(struct found *found, uint32_t tool)
{
    const struct json_doc *doc = found->in->doc;
    if (!json_is(doc, tool, JSON_OBJECT))
        return 0;
    int rc = 0;
    for (uint32_t key = json_first(doc, tool); key != JSON_NONE && rc == 0;
         key = json_sibling(doc, tool, key)) {
        char text[NAME_BYTES_MAX];
        struct str name = STR("?");
        if (intake_absent(doc, key + 1))
            continue;
        (void)!json_string(doc, key, found->in->arena, &name);
        name = camel(name, text);
        const struct row *row = row_find(PAID_GEMINI, name);
        if (row == NULL || row->how != FREE)
            rc = add_tool(found, key + 1, name, row);
    }
    return rc;
}

static int
look_gemini(struct found *found)
{
    const struct json_doc *doc = found->in->doc;
    uint32_t tools = json_get(doc, 0, STR("tools"));
    if (json_is(doc, tools, JSON_OBJECT)) /* Google takes one for a list of one */
        return look_members(found, tools);
    uint32_t at = json_is(doc, tools, JSON_ARRAY) ? json_first(doc, tools) : JSON_NONE;
    int rc = 0;
    for (; at != JSON_NONE && rc == 0; at = json_sibling(doc, tools, at))
        rc = look_members(found, at);
    return rc;
}

/* ---- members of the request ------------------------------------------------------------------ */

/* web_search_options; Perplexity's dearer kind of search is another price. */
static int
look_options(struct found *found, uint32_t node)
{
    const struct json_doc *doc = found->in->doc;
    if (intake_absent(doc, node))
        return 0;
    struct chat_run run = {.name = STR("web_search_options"),
                           .class_ = USAGE_web_search,
                           .most = CHAT_SEARCHES_DEFAULT,
                           .each = 1,
                           .unit = 1};
    take_size(doc, node, &run);
    uint32_t type = json_get(doc, node, STR("search_type"));
    int rc = add(found, &run);
    if (rc < 0 || intake_absent(doc, type) || json_string_eq(doc, type, STR("fast")))
        return rc;
    return add(found, &(struct chat_run){.name = STR("web_search_options.search_type"),
                                         .class_ = USAGE_tool_call,
                                         .most = 1,
                                         .each = 1,
                                         .unit = 1});
}

/* xAI's live search, by the source: usage tells how many. */
static int
look_parameters(struct found *found, uint32_t node)
{
    const struct json_doc *doc = found->in->doc;
    uint64_t most = SOURCES_DEFAULT;
    if (intake_absent(doc, node) ||
        json_string_eq(doc, json_get(doc, node, STR("mode")), STR("off")))
        return 0;
    if (json_u64(doc, json_get(doc, node, STR("max_search_results")), UINT32_MAX, &most) < 0)
        most = SOURCES_DEFAULT;
    return add(found, &(struct chat_run){.name = STR("search_parameters"),
                                         .class_ = USAGE_tool_call,
                                         .most = capped(most),
                                         .unit = 1});
}

/* OpenRouter's: they run once; that of the web is paid by the result. */
static int
look_plugin(struct found *found, uint32_t node)
{
    const struct json_doc *doc = found->in->doc;
    struct chat_run run = {.class_ = USAGE_tool_call, .most = 1, .each = 1, .unit = 1};
    struct str id = STR("?");
    uint64_t most = RESULTS_DEFAULT;
    if (json_is(doc, json_get(doc, node, STR("enabled")), JSON_FALSE))
        return 0;
    (void)!json_string(doc, json_get(doc, node, STR("id")), found->in->arena, &id);
    if (str_eq(id, STR("response-healing")))
        return 0;
    if (str_eq(id, STR("web"))) {
        if (json_u64(doc, json_get(doc, node, STR("max_results")), UINT32_MAX, &most) < 0)
            most = RESULTS_DEFAULT;
        run.most = run.each = capped(most);
    }
    run.name =
        arena_printf(found->in->arena, "plugins.%.*s", (int)MIN(id.len, NAME_BYTES_MAX), id.ptr);
    return run.name.ptr == NULL ? -ERR_NOMEM : add(found, &run);
}

static int
look_plugins(struct found *found, uint32_t list)
{
    const struct json_doc *doc = found->in->doc;
    uint32_t at = json_is(doc, list, JSON_ARRAY) ? json_first(doc, list) : JSON_NONE;
    int rc = 0;
    for (; at != JSON_NONE && rc == 0; at = json_sibling(doc, list, at))
        rc = look_plugin(found, at);
    return rc;
}

/* ---- facts ----------------------------------------------------------------------------------- */

/* What is on offer only may be left out, unless it must be called. */
static void
judge_offers(struct found *found, uint32_t choice)
{
    const struct json_doc *doc = found->in->doc;
    uint32_t type = json_get(doc, choice, STR("type"));
    bool must = false;
    if (json_is(doc, choice, JSON_OBJECT))
        must = !json_string_eq(doc, type, STR("function")) &&
               !json_string_eq(doc, type, STR("custom")) &&
               !json_string_eq(doc, type, STR("auto")) && !json_string_eq(doc, type, STR("none"));
    else if (!found->has_free)
        must =
            json_string_eq(doc, choice, STR("required")) || json_string_eq(doc, choice, STR("any"));
    for (struct chat_run *run = found->facts->runs; run != NULL && must; run = run->next)
        run->offered = false;
}

static void
drop_code(struct chat_facts *facts)
{
    for (struct chat_run **at = &facts->runs; *at != NULL; at = &(*at)->next) {
        if ((*at)->class_ == USAGE_code_run) {
            *at = (*at)->next;
            return;
        }
    }
}

int
paid_facts(const struct intake *in, unsigned where, struct chat_facts *facts)
{
    enum { TOOLS, CHOICE, CALLS, OPTIONS, PARAMETERS, PLUGINS, SEARCH };
    static const struct str names[] = {
        [TOOLS] = JSON_NAME("tools"),
        [CHOICE] = JSON_NAME("tool_choice"),
        [CALLS] = JSON_NAME("max_tool_calls"),
        [OPTIONS] = JSON_NAME("web_search_options"),
        [PARAMETERS] = JSON_NAME("search_parameters"),
        [PLUGINS] = JSON_NAME("plugins"),
        [SEARCH] = JSON_NAME("enable_search"),
    };
    uint32_t at[ARRAY_LEN(names)];
    struct found found = {.in = in, .where = where, .facts = facts, .calls_max = CHAT_RUNS_MOST};
    facts->runs = NULL;
    if (where == PAID_GEMINI)
        return look_gemini(&found);
    json_pick(in->doc, 0, names, ARRAY_LEN(names), at);
    if (json_u64(in->doc, at[CALLS], UINT32_MAX, &found.calls_max) < 0)
        found.calls_max = CHAT_RUNS_MOST;
    int rc = look_tools(&found, at[TOOLS], false);
    if (rc == 0)
        rc = look_options(&found, at[OPTIONS]);
    if (rc == 0)
        rc = look_parameters(&found, at[PARAMETERS]);
    if (rc == 0)
        rc = look_plugins(&found, at[PLUGINS]);
    if (rc == 0 && json_is(in->doc, at[SEARCH], JSON_TRUE)) /* Alibaba */
        rc = add(&found, &(struct chat_run){.name = STR("enable_search"),
                                            .class_ = USAGE_web_search,
                                            .most = 1,
                                            .each = 1,
                                            .unit = 1});
    if (rc < 0 || facts->runs == NULL)
        return rc;
    if (found.dynamic && where == PAID_ANTHROPIC)
        drop_code(facts);
    judge_offers(&found, at[CHOICE]);
    return 0;
}

/* ---- what is left out ------------------------------------------------------------------------ */

static bool
is_left_out(const struct intake *in, const struct chat_facts *facts, uint32_t tool)
{
    struct str type;
    const struct row *row = type_of(in, tool, &type) ? row_find(PAID_RESPONSES, type) : NULL;
    for (const struct chat_run *run = facts->runs; run != NULL && row != NULL; run = run->next) {
        if (run->left_out && run->tool && row->how == OFFER && str_eq(run->name, row_name(row)))
            return true;
    }
    return false;
}

static int
remove_all(const struct json_doc *doc, struct splice *splice)
{
    int rc = splice_member_remove(splice, doc, 0, STR("tools"));
    if (rc == 0)
        rc = splice_member_remove(splice, doc, 0, STR("tool_choice"));
    return rc < 0 ? rc : splice_member_remove(splice, doc, 0, STR("parallel_tool_calls"));
}

int
paid_leave_out(const struct json_doc *doc, const struct chat_facts *facts, struct splice *splice)
{
    const struct intake in = {doc, splice->arena, NULL};
    uint32_t list = json_get(doc, 0, STR("tools"));
    uint32_t kept = JSON_NONE;    /* the last that stays */
    uint32_t gone_to = JSON_NONE; /* the last of those that go, behind it */
    bool any = false;
    int rc = 0;
    for (const struct chat_run *run = facts->runs; run != NULL && !any; run = run->next)
        any = run->left_out;
    if (!any || !json_is(doc, list, JSON_ARRAY))
        return 0;
    for (uint32_t at = json_first(doc, list); at != JSON_NONE && rc == 0;
         at = json_sibling(doc, list, at)) {
        if (is_left_out(&in, facts, at)) {
            gone_to = at;
            continue;
        }
        uint32_t from = kept != JSON_NONE ? doc->nodes[kept].end : doc->nodes[list].start + 1;
        uint32_t to = doc->nodes[at].start;
        if (gone_to != JSON_NONE) /* between two that stay one comma */
            rc = splice_replace(splice, from, to, kept != JSON_NONE ? STR(",") : STR_EMPTY);
        kept = at;
        gone_to = JSON_NONE;
    }
    if (rc < 0 || gone_to == JSON_NONE)
        return rc;
    return kept == JSON_NONE
               ? remove_all(doc, splice)
               : splice_replace(splice, doc->nodes[kept].end, doc->nodes[gone_to].end, STR_EMPTY);
}
