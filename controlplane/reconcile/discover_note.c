/* SPDX-License-Identifier: MIT
 * discover_note.c - what a scan found: a summary in the provider's row, its condition, a log line.
 * Floor: controlplane/reconcile; engine thread.
 * Owns: nothing.
 * Invariant: the row and its summary are one commit. */
#include <stdio.h>

#include "controlplane/catalog/catalog.h"
#include "controlplane/object/condition.h"
#include "controlplane/reconcile/changes.h"
#include "controlplane/reconcile/discover_int.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/base/map.h"

#define SUMMARY_NAMES_MAX 100u
#define CHANGES_BYTES_MAX (256u * 1024u)
#define ROW_ARENA_BYTES (16u * 1024u * 1024u)

/* Names of each kind of news, as JSON lists. known: names that the catalogue has already. */
struct summary {
    struct buf names[SEEN_NEWS];
    size_t counts[SEEN_NEWS];
    struct map known;
    struct buf changes; /* for changes_merge */
    size_t change_count;
    char at[32];
    bool first; /* nothing was seen before: all of it is new, and no news */
};

static void
summary_init(struct summary *summary, struct str provider)
{
    struct catalog_model model;
    size_t cursor = 0;
    memset(summary->counts, 0, sizeof summary->counts);
    for (size_t i = 0; i < SEEN_NEWS; i++) {
        buf_init(&summary->names[i], 65536);
        buf_put_byte(&summary->names[i], '[');
    }
    map_init(&summary->known);
    buf_init(&summary->changes, CHANGES_BYTES_MAX);
    summary->change_count = 0;
    clock_format_rfc3339(clock_wall_ns(), summary->at);
    while (catalog_next(provider, &cursor, &model) == 0) {
        struct str names[] = {str_skip(model.id, provider.len + 1), model.upstream};
        /* on no memory a known model is reported as added: the summary alone is wrong */
        for (size_t i = 0; i < ARRAY_LEN(names); i++)
            (void)!map_put(&summary->known, names[i], summary, NULL);
    }
}

static void
summary_fini(struct summary *summary)
{
    for (size_t i = 0; i < SEEN_NEWS; i++)
        buf_fini(&summary->names[i]);
    map_fini(&summary->known);
    buf_fini(&summary->changes);
}

/* Kept until it is acknowledged; what no longer fits is in the summary of the scan alone. */
static void
note_change(struct summary *summary, enum seen_news news, struct str name)
{
    const char *code = changes_code(news);
    if (summary->first || code == NULL || summary->change_count >= CHANGES_MAX)
        return;
    buf_put_str(&summary->changes, summary->change_count++ > 0 ? STR(",") : STR(""));
    buf_put_str(&summary->changes, STR("{\"model\":"));
    (void)json_put_string(&summary->changes, name);
    buf_printf(&summary->changes, ",\"code\":\"%s\",\"at\":\"%s\"}", code, summary->at);
}

static void
note(enum seen_news news, struct str name, void *user)
{
    struct summary *summary = user;
    struct buf *out = &summary->names[news];
    if (news == SEEN_ADDED && map_get(&summary->known, name))
        return;
    note_change(summary, news, name);
    if (summary->counts[news]++ >= SUMMARY_NAMES_MAX)
        return;
    if (out->len > 1)
        buf_put_byte(out, ',');
    (void)json_put_string(out, name);
}

static const char *
trigger_name(enum discover_trigger trigger)
{
    static const char *const names[] = {"schedule", "created", "hand"};
    return names[trigger];
}

static struct str
row_key(struct str provider, struct arena *arena)
{
    return arena_printf(arena, SNAPSHOT_SEEN_PREFIX "%.*s", STR_ARG(provider));
}

static void
load(struct store *store, struct str provider, struct seen *seen, struct arena *arena,
     struct store_row *ret_row)
{
    struct str key = row_key(provider, arena);
    *ret_row = (struct store_row){.value = STR_EMPTY};
    seen_init(seen);
    if (!key.ptr || store_get(store, key, arena, ret_row) < 0) {
        ret_row->value = STR_EMPTY;
    } else if (seen_read(seen, ret_row->value) < 0) {
        seen_fini(seen);
        seen_init(seen);
    }
}

void
scan_load(const struct scan *scan, struct seen *seen)
{
    struct arena arena;
    struct store_row row;
    arena_init(&arena, ROW_ARENA_BYTES);
    load(scan->discover->conf.engine->conf.store, str_from(scan->provider), seen, &arena, &row);
    arena_fini(&arena);
}

static void
put_last(struct json_writer *writer, const struct scan *scan, const struct summary *summary,
         bool suspect, const char *problem)
{
    char at[32];
    clock_format_rfc3339(clock_wall_ns(), at);
    json_key(writer, "last");
    json_open_object(writer);
    json_member_str(writer, "at", str_from(at));
    json_member_str(writer, "trigger", str_from(trigger_name(scan->trigger)));
    json_member_bool(writer, "ok", problem[0] == '\0');
    if (problem[0])
        json_member_str(writer, "problem", str_from(problem));
    if (summary) {
        json_member_u64(writer, "listed", scan->listing.count);
        if (suspect)
            json_member_bool(writer, "suspect", true);
        for (size_t i = 0; i < SEEN_NEWS; i++) {
            json_member_raw(writer, seen_news_name((enum seen_news)i), buf_str(&summary->names[i]));
        }
    }
    json_close_object(writer);
}

/* The row of its changes, as it is to be; texts in the arena. */
static int
add_changes(struct store *store, struct str provider, const struct buf *changes,
            struct arena *arena, struct store_op *ret_op)
{
    struct store_row row = {.value = STR_EMPTY};
    struct buf out;
    struct str key = arena_printf(arena, CHANGES_PREFIX "%.*s", STR_ARG(provider));
    buf_init(&out, SEEN_BYTES_MAX / 2);
    int code = key.ptr ? store_get(store, key, arena, &row) : -ERR_NOMEM;
    if (code == 0 || code == -ERR_NOT_FOUND)
        code = changes->failed
                   ? -ERR_TOO_LARGE
                   : changes_merge(code == 0 ? row.value : STR_EMPTY, buf_str(changes), &out);
    *ret_op = (struct store_op){.key = key};
    if (code == 0)
        code = arena_dup(arena, buf_str(&out), &ret_op->value);
    buf_fini(&out);
    return code;
}

static int
store_row(const struct scan *scan, const struct seen *seen, const struct summary *summary,
          bool suspect, const char *problem)
{
    struct buf out;
    struct json_writer writer;
    struct arena arena;
    buf_init(&out, SEEN_BYTES_MAX);
    arena_init(&arena, ROW_ARENA_BYTES);
    json_writer_init(&writer, &out);
    json_open_object(&writer);
    json_member_i64(&writer, "tried_ms", clock_wall_ns() / 1000000);
    seen_put(seen, &writer);
    put_last(&writer, scan, summary, suspect, problem);
    json_close_object(&writer);
    struct store_op ops[2] = {
        {.key = row_key(str_from(scan->provider), &arena), .value = buf_str(&out)}};
    size_t count = 1;
    int code = out.failed ? -ERR_TOO_LARGE : ops[0].key.ptr ? 0 : -ERR_NOMEM;
    if (code == 0 && summary && summary->change_count > 0)
        code = add_changes(scan->discover->conf.engine->conf.store, str_from(scan->provider),
                           &summary->changes, &arena, &ops[count++]);
    if (code == 0)
        code = store_commit(scan->discover->conf.engine->conf.store, NULL, 0, ops, count, NULL);
    arena_fini(&arena);
    buf_fini(&out);
    return code;
}

/* The Provider's own word on it. */
static void
tell_provider(const struct scan *scan, bool ok, const char *reason, const char *message)
{
    struct store *store = scan->discover->conf.engine->conf.store;
    struct arena arena;
    struct object object;
    arena_init(&arena, 4u * OBJECT_BYTES_MAX);
    /* somebody may change it meanwhile: the next scan says it again */
    if (object_get(store, kind_at(KIND_PROVIDER), str_from(scan->provider), &arena, &object,
                   NULL) == 0)
        (void)!condition_write(store, &object, "Listed", ok, reason, message);
    arena_fini(&arena);
}

static void
say(const struct scan *scan, const struct summary *summary, const struct seen *seen, bool suspect)
{
    char text[256];
    const size_t *n = summary->counts;
    (void)snprintf(text, sizeof text,
                   "%zu listed; %zu added, %zu returned, %zu disabled, %zu repriced, %zu missing",
                   scan->listing.count, n[SEEN_ADDED], n[SEEN_RETURNED], n[SEEN_DISABLED],
                   n[SEEN_REPRICED], n[SEEN_MISSING]);
    if (suspect && seen->suspect >= SEEN_SUSPECT_EVENT_MAX) {
        LOG_WARN("a provider lists less than half of its models, again; none was taken away",
                 LOG_C("provider", scan->provider), LOG_U("scans", seen->suspect),
                 LOG_U("missing", n[SEEN_MISSING]));
        tell_provider(scan, false, "MassVanish", text);
        return;
    }
    LOG_INFO("a provider was asked for its models", LOG_C("provider", scan->provider),
             LOG_C("trigger", trigger_name(scan->trigger)), LOG_U("listed", scan->listing.count),
             LOG_U("added", n[SEEN_ADDED]), LOG_U("returned", n[SEEN_RETURNED]),
             LOG_U("disabled", n[SEEN_DISABLED]), LOG_U("repriced", n[SEEN_REPRICED]),
             LOG_U("missing", n[SEEN_MISSING]));
    tell_provider(scan, true, suspect ? "Suspect" : "Scanned", text);
}

int
scan_note(struct scan *scan, struct err *err)
{
    struct seen seen;
    struct summary summary;
    bool suspect = false;
    scan_load(scan, &seen);
    summary_init(&summary, str_from(scan->provider));
    summary.first = seen.count == 0;
    int code = seen_apply(&seen, &scan->listing, scan->trigger == DISCOVER_HAND,
                          clock_wall_ns() / 1000000, note, &summary, &suspect);
    for (size_t i = 0; i < SEEN_NEWS; i++)
        buf_put_byte(&summary.names[i], ']');
    if (code == 0)
        code = store_row(scan, &seen, &summary, suspect, "");
    if (code == 0) {
        scan->discover->scans_done++;
        for (size_t i = 0; i < SEEN_NEWS; i++)
            scan->discover->news[i] += summary.counts[i];
        say(scan, &summary, &seen, suspect);
    }
    summary_fini(&summary);
    seen_fini(&seen);
    return code < 0 ? err_set(err, (enum err_code) - code, "keeping its list: %s", err_text(code))
                    : 0;
}

void
scan_note_failure(struct scan *scan, const struct err *why)
{
    struct seen seen;
    scan->discover->scans_failed++;
    scan_load(scan, &seen);
    LOG_WARN("a provider's list of models could not be read", LOG_C("provider", scan->provider),
             LOG_E(why));
    if (store_row(scan, &seen, NULL, false, why->text) == 0)
        tell_provider(scan, false, "ListFailed", why->text);
    seen_fini(&seen);
}

/* The row with what the last scan said of itself. */
static int
put_again(const struct seen *seen, struct str before, struct buf *out)
{
    struct json_doc doc;
    struct json_writer writer;
    int64_t tried_ms = 0;
    json_init(&doc);
    bool known = before.len > 0 && json_scan(&doc, before, NULL, NULL) == 0;
    struct str last = known ? json_raw(&doc, json_get(&doc, 0, STR("last"))) : STR_EMPTY;
    if (known && json_i64(&doc, json_get(&doc, 0, STR("tried_ms")), 0, INT64_MAX, &tried_ms) < 0)
        tried_ms = 0;
    json_writer_init(&writer, out);
    json_open_object(&writer);
    json_member_i64(&writer, "tried_ms", tried_ms);
    seen_put(seen, &writer);
    if (last.len > 0)
        json_member_raw(&writer, "last", last);
    json_close_object(&writer);
    json_fini(&doc);
    return out->failed ? -ERR_TOO_LARGE : 0;
}

int
discover_retire(struct discover *discover, struct str provider, struct str model, struct err *err)
{
    struct store *store = discover->conf.engine->conf.store;
    struct seen seen;
    struct arena arena;
    struct store_row row;
    struct buf out;
    struct buf changes;
    char at[32];
    arena_init(&arena, ROW_ARENA_BYTES);
    buf_init(&out, SEEN_BYTES_MAX);
    buf_init(&changes, 8192);
    load(store, provider, &seen, &arena, &row);
    clock_format_rfc3339(clock_wall_ns(), at);
    buf_put_str(&changes, STR("{\"model\":"));
    (void)json_put_string(&changes, model);
    buf_printf(&changes, ",\"code\":\"retired\",\"at\":\"%s\"}", at);
    struct store_op ops[2] = {{.key = row_key(provider, &arena)}};
    const struct seen_model *known = seen_find(&seen, model);
    int code = !ops[0].key.ptr        ? -ERR_NOMEM
               : known && known->gone ? -ERR_EXISTS
                                      : seen_retire(&seen, model, clock_wall_ns() / 1000000);
    if (code == 0)
        code = put_again(&seen, row.value, &out);
    ops[0].value = buf_str(&out);
    if (code == 0)
        code = add_changes(store, provider, &changes, &arena, &ops[1]);
    if (code == 0)
        code = store_commit(store, NULL, 0, ops, ARRAY_LEN(ops), NULL);
    seen_fini(&seen);
    buf_fini(&changes);
    buf_fini(&out);
    arena_fini(&arena);
    return code < 0 ? err_set(err, (enum err_code) - code, "keeping it: %s", err_text(code)) : 0;
}

struct str
discover_last(struct store *store, struct str provider, struct arena *arena, int64_t *ret_at_ms)
{
    struct json_doc doc;
    struct store_row row;
    struct str last = STR_EMPTY;
    struct str key = row_key(provider, arena);
    *ret_at_ms = 0;
    if (!key.ptr || store_get(store, key, arena, &row) < 0)
        return last;
    json_init(&doc);
    if (json_scan(&doc, row.value, NULL, NULL) == 0) {
        last = json_raw(&doc, json_get(&doc, 0, STR("last")));
        if (json_i64(&doc, json_get(&doc, 0, STR("tried_ms")), 0, INT64_MAX, ret_at_ms) < 0)
            *ret_at_ms = 0;
    }
    json_fini(&doc);
    return last;
}
