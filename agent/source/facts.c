/* SPDX-License-Identifier: MIT
 * facts.c - Docker API 1.40 and libpod 4 (moby api/types, containers/podman pkg/domain/entities).
 * Floor: agent/source; any thread.
 * Owns: nothing.
 * Invariant: see facts.h.
 * Docker says names as "/name" and nests what an inspection tells; libpod says plain names and
 * annotations. Both are read by the same code: what is absent is not said. */
#include "agent/source/facts.h"

#include "lib/base/check.h"
#include "lib/text/json.h"

#define TEXT_BYTES_MAX (32u * 1024u * 1024u)
#define ARENA_BYTES (64u * 1024u)

static const struct json_limits limits = {
    .depth_max = 32, .node_count_max = TEXT_BYTES_MAX / 8, .text_bytes_max = TEXT_BYTES_MAX};

/* ---- reading -------------------------------------------------------------------------------- */

/* A string member as it is, without NULs; empty when it is not there. */
static struct str
text_at(const struct json_doc *doc, uint32_t node, struct arena *arena)
{
    struct str text = STR_EMPTY;
    if (json_string(doc, node, arena, &text) < 0 || str_find_byte(text, '\0') != SIZE_MAX)
        return STR_EMPTY;
    return text;
}

static bool
copy_id(char id[FACTS_ID_BYTES], struct str text)
{
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        bool plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                     c == '_' || c == '-';
        if (!plain)
            return false;
    }
    return text.len > 0 && str_copy(id, FACTS_ID_BYTES, text);
}

static void
copy_name(struct facts *facts, struct str text)
{
    if (str_starts(text, STR("/")))
        text = str_skip(text, 1);
    (void)!str_copy(facts->name, sizeof(facts->name), text);
}

static enum facts_state
state_of(struct str text)
{
    if (str_eq(text, STR("running")))
        return FACTS_RUNNING;
    return str_eq(text, STR("paused")) ? FACTS_PAUSED : FACTS_IDLE;
}

/* Labels or annotations: {"key":"value",...} */
static void
read_notes(const struct json_doc *doc, uint32_t object, struct arena *arena, struct facts *facts)
{
    struct str name = text_at(doc, json_get(doc, object, STR("io.berth.name")), arena);
    if (json_string_eq(doc, json_get(doc, object, STR("io.berth.ai")), STR("false")))
        facts->ai_off = true;
    if (json_string_eq(doc, json_get(doc, object, STR("io.kubernetes.docker.type")),
                       STR("podsandbox")) ||
        json_string_eq(doc, json_get(doc, object, STR("io.kubernetes.cri.container-type")),
                       STR("sandbox")))
        facts->infra = true;
    if (name.len > 0 && str_copy(facts->name, sizeof(facts->name), name))
        facts->name_fixed = true;
}

static void
read_pid(const struct json_doc *doc, uint32_t node, struct facts *facts)
{
    int64_t pid = 0;
    if (json_i64(doc, node, 0, INT32_MAX, &pid) == 0)
        facts->pid = (pid_t)pid;
}

/* ---- events --------------------------------------------------------------------------------- */

int
facts_parse_event(struct str line, struct facts *ret_facts, bool *ret_created)
{
    static const char *const actions[] = {"create", "start",   "restart", "die",
                                          "stop",   "remove",  "destroy", "rename",
                                          "pause",  "unpause", "init",    "cleanup"};
    struct facts facts = {.state = FACTS_IDLE};
    struct json_doc doc;
    struct arena arena;
    json_init(&doc);
    arena_init(&arena, ARENA_BYTES);
    int code = json_scan(&doc, line, &limits, NULL);
    if (code == 0 && !json_is(&doc, 0, JSON_OBJECT))
        code = -ERR_PARSE;
    if (code == 0) {
        uint32_t action = json_get(&doc, 0, STR("Action"));
        size_t i = 0;
        while (i < ARRAY_LEN(actions) && !json_string_eq(&doc, action, str_from(actions[i])))
            i++;
        if (i == ARRAY_LEN(actions) ||
            !json_string_eq(&doc, json_get(&doc, 0, STR("Type")), STR("container")) ||
            !copy_id(facts.id, text_at(&doc, json_path(&doc, 0, "Actor.ID"), &arena)))
            code = -ERR_NOT_FOUND;
        /* labels stand beside the name */
        uint32_t attributes = json_path(&doc, 0, "Actor.Attributes");
        copy_name(&facts, text_at(&doc, json_get(&doc, attributes, STR("name")), &arena));
        read_notes(&doc, attributes, &arena, &facts);
        if (code == 0)
            *ret_created = i == 0;
    }
    if (code == 0)
        *ret_facts = facts;
    arena_fini(&arena);
    json_fini(&doc);
    return code;
}

/* ---- containers ----------------------------------------------------------------------------- */

int
facts_parse_inspect(struct str text, struct facts *ret_facts)
{
    struct facts facts = {.state = FACTS_IDLE, .whole = true};
    struct json_doc doc;
    struct arena arena;
    json_init(&doc);
    arena_init(&arena, ARENA_BYTES);
    int code = json_scan(&doc, text, &limits, NULL);
    if (code == 0 && !copy_id(facts.id, text_at(&doc, json_get(&doc, 0, STR("Id")), &arena)))
        code = -ERR_INVALID;
    if (code == 0) {
        uint32_t state = json_get(&doc, 0, STR("State"));
        copy_name(&facts, text_at(&doc, json_get(&doc, 0, STR("Name")), &arena));
        facts.state = state_of(text_at(&doc, json_get(&doc, state, STR("Status")), &arena));
        read_pid(&doc, json_get(&doc, state, STR("Pid")), &facts);
        (void)!json_bool(&doc, json_get(&doc, 0, STR("IsInfra")), &facts.infra);
        read_notes(&doc, json_path(&doc, 0, "Config.Labels"), &arena, &facts);
        read_notes(&doc, json_path(&doc, 0, "Config.Annotations"), &arena, &facts);
        *ret_facts = facts;
    }
    arena_fini(&arena);
    json_fini(&doc);
    return code;
}

/* A container may also have names like "/other/alias" by links. */
static struct str
own_name(const struct json_doc *doc, uint32_t names, struct arena *arena)
{
    uint32_t node = json_is(doc, names, JSON_ARRAY) ? json_first(doc, names) : JSON_NONE;
    for (; node != JSON_NONE; node = json_sibling(doc, names, node)) {
        struct str name = text_at(doc, node, arena);
        if (str_starts(name, STR("/")))
            name = str_skip(name, 1);
        if (name.len > 0 && str_find_byte(name, '/') == SIZE_MAX)
            return name;
    }
    return STR_EMPTY;
}

static bool
read_row(const struct json_doc *doc, uint32_t row, struct arena *arena, struct facts *facts)
{
    if (!copy_id(facts->id, text_at(doc, json_get(doc, row, STR("Id")), arena)))
        return false;
    copy_name(facts, own_name(doc, json_get(doc, row, STR("Names")), arena));
    facts->state = state_of(text_at(doc, json_get(doc, row, STR("State")), arena));
    (void)!json_bool(doc, json_get(doc, row, STR("IsInfra")), &facts->infra);
    read_notes(doc, json_get(doc, row, STR("Labels")), arena, facts);
    return true;
}

int
facts_parse_list(struct str text, void (*each)(const struct facts *facts, void *user), void *user)
{
    struct json_doc doc;
    int count = 0;
    json_init(&doc);
    int code = json_scan(&doc, text, &limits, NULL);
    if (code == 0 && !json_is(&doc, 0, JSON_ARRAY))
        code = -ERR_PARSE;
    for (uint32_t row = code == 0 ? json_first(&doc, 0) : JSON_NONE; row != JSON_NONE;
         row = json_sibling(&doc, 0, row)) {
        struct facts facts = {.state = FACTS_IDLE};
        struct arena arena;
        arena_init(&arena, ARENA_BYTES);
        if (read_row(&doc, row, &arena, &facts)) {
            each(&facts, user);
            count++;
        }
        arena_fini(&arena);
    }
    json_fini(&doc);
    return code < 0 ? code : count;
}
