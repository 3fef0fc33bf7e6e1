/* SPDX-License-Identifier: MIT
 * transition.c - one row a container: {"uid", "at_ms" of the last entry, "items"}.
 * Floor: controlplane/reconcile; engine thread.
 * Owns: nothing.
 * Invariant: see transition.h. */
#include "controlplane/reconcile/transition.h"

#include "lib/base/check.h"
#include "lib/base/clock.h"
#include "lib/text/json.h"

/* An entry is 230 bytes at most. */
#define LOG_BYTES_MAX (64u * 1024u)

static const struct {
    const char *name;
    bool agent;
} triggers[] = {
#define TRIGGER_ROW(name, agent, text) {#name, agent},
#include "controlplane/reconcile/triggers.def"
#undef TRIGGER_ROW
};

const char *
trigger_name(enum trigger trigger)
{
    ASSERT(trigger < TRIGGER_COUNT);
    return triggers[trigger].name;
}

enum trigger
trigger_of_agent(struct str word)
{
    for (size_t i = 0; i < TRIGGER_COUNT; i++) {
        if (triggers[i].agent && str_eq(word, str_from(triggers[i].name)))
            return (enum trigger)i;
    }
    return TRIGGER_agent;
}

/* As stored; revision 0: no row. at_ms 0: no entry. */
struct lifelog {
    struct str key;
    uint64_t revision;
    uint64_t at_ms;
    struct str *items;
    size_t count;
};

/* What does not read as a log of this Container leaves it empty. */
static void
parse(const struct object *container, struct str text, struct arena *arena, struct lifelog *log)
{
    struct json_doc doc;
    struct str uid;
    json_init(&doc);
    if (json_scan(&doc, text, NULL, NULL) < 0 ||
        json_string(&doc, json_get(&doc, 0, STR("uid")), arena, &uid) < 0 ||
        !str_eq(uid, container->uid) ||
        json_u64(&doc, json_get(&doc, 0, STR("at_ms")), INT64_MAX, &log->at_ms) < 0) {
        json_fini(&doc);
        return;
    }
    uint32_t list = json_get(&doc, 0, STR("items"));
    uint32_t node = json_is(&doc, list, JSON_ARRAY) ? json_first(&doc, list) : JSON_NONE;
    for (; node != JSON_NONE && log->count < TRANSITIONS_MAX; node = json_sibling(&doc, list, node))
        log->items[log->count++] = json_raw(&doc, node);
    json_fini(&doc);
}

static int
load(struct store *store, const struct object *container, struct arena *arena, struct lifelog *log)
{
    struct store_row row;
    *log = (struct lifelog){.key = object_log_key(container->kind, container->name, arena),
                            .items = arena_array(arena, TRANSITIONS_MAX, sizeof *log->items)};
    if (!log->key.ptr || !log->items)
        return -ERR_NOMEM;
    int code = store_get(store, log->key, arena, &row);
    if (code == -ERR_NOT_FOUND)
        return 0;
    if (code == 0) {
        log->revision = row.mod_rev;
        parse(container, row.value, arena, log);
    }
    return code;
}

static void
put_entry(struct json_writer *writer, const struct transition *transition, uint64_t now_ms,
          uint64_t since_ms)
{
    char time[32];
    clock_format_rfc3339((int64_t)now_ms * 1000000, time);
    json_open_object(writer);
    json_member_str(writer, "from_status",
                    transition->from.len > 0 ? transition->from : STR("none"));
    json_member_str(writer, "to_status", transition->to);
    json_member_str(writer, "transition_time", str_from(time));
    /* the wall clock may have been set back meanwhile */
    json_member_u64(writer, "duration_ms",
                    since_ms > 0 && now_ms > since_ms ? now_ms - since_ms : 0);
    json_member_str(writer, "triggered_by", str_from(trigger_name(transition->by)));
    json_member_str(writer, "incarnation", transition->incarnation);
    json_close_object(writer);
}

int
transition_op(struct store *store, const struct object *container,
              const struct transition *transition, struct arena *arena, struct store_cond *ret_cond,
              struct store_op *ret_op)
{
    struct lifelog log;
    struct json_writer writer;
    struct buf text;
    uint64_t now_ms = (uint64_t)clock_wall_ns() / 1000000u;
    int code = load(store, container, arena, &log);
    if (code < 0)
        return code;
    buf_init(&text, LOG_BYTES_MAX);
    json_writer_init(&writer, &text);
    json_open_object(&writer);
    json_member_str(&writer, "uid", container->uid);
    json_member_u64(&writer, "at_ms", now_ms);
    json_key_array(&writer, "items");
    for (size_t i = log.count == TRANSITIONS_MAX; i < log.count; i++)
        json_value_raw(&writer, log.items[i]);
    put_entry(&writer, transition, now_ms, log.at_ms);
    json_close_array(&writer);
    json_close_object(&writer);
    *ret_cond = (struct store_cond){.key = log.key, .mod_rev = log.revision};
    *ret_op = (struct store_op){.quiet = true, .key = log.key};
    code = text.failed ? -ERR_NOMEM : arena_dup(arena, buf_str(&text), &ret_op->value);
    buf_fini(&text);
    return code;
}

int
transition_list(struct store *store, const struct object *container, struct arena *arena,
                struct str **ret_items, size_t *ret_count)
{
    struct lifelog log;
    int code = load(store, container, arena, &log);
    if (code == 0) {
        *ret_items = log.items;
        *ret_count = log.count;
    }
    return code;
}
