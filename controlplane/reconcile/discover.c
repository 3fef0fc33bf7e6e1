/* SPDX-License-Identifier: MIT
 * discover.c - see discover.h: when which provider is asked, and how often until it is believed.
 * Floor: controlplane/reconcile; engine thread.
 * Owns: see discover.h.
 * Invariant: one scan a provider at a time. */
#include "controlplane/reconcile/discover.h"

#include <stdlib.h>

#include "controlplane/catalog/catalog.h"
#include "controlplane/reconcile/changes.h"
#include "controlplane/reconcile/discover_int.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"

#define ARENA_BYTES_MAX (160u * 1024u * 1024u)
#define TICK_MS_MAX 60000u

static const uint32_t confirm_default_ms[DISCOVER_CONFIRMS] = {15000, 45000};

static struct timers *
timers_of(const struct discover *discover)
{
    return loop_timers(discover->conf.engine->conf.loop);
}

static uint64_t
now_of(const struct discover *discover)
{
    return loop_now_ms(discover->conf.engine->conf.loop);
}

static void
scan_free(struct scan *scan)
{
    timer_cancel(timers_of(scan->discover), &scan->timer);
    if (scan->job)
        lister_cancel(scan->job);
    list_remove(&scan->node);
    listing_fini(&scan->listing);
    arena_fini(&scan->arena);
    free(scan);
}

static struct scan *
scan_of(const struct discover *discover, struct str provider)
{
    LIST_FOREACH (at, &discover->scans) {
        struct scan *scan = LIST_ENTRY(at, struct scan, node);
        if (str_eq(provider, str_from(scan->provider)))
            return scan;
    }
    return NULL;
}

/* ---- one fetch ------------------------------------------------------------------------------- */

const char *
discover_header(struct str dialect)
{
    if (str_eq(dialect, STR("anthropic")))
        return "x-api-key: ";
    if (str_eq(dialect, STR("gemini")))
        return "x-goog-api-key: ";
    return str_eq(dialect, STR("azure-openai")) ? "api-key: " : "Authorization: Bearer ";
}

/* Where the list of this provider stands and how it is written; NULL: not known. */
static const struct listing_shape *
shape_of(const struct object *provider, struct arena *arena, struct str *ret_path)
{
    struct str dialect = schema_text(provider->spec, "dialect", STR_EMPTY);
    struct catalog_provider *rows;
    size_t count;
    const char *path = "";
    if (catalog_providers(arena, &rows, &count) < 0)
        count = 0;
    for (size_t i = 0; i < count; i++) {
        if (!str_eq(rows[i].id, provider->name) || !str_eq(rows[i].dialect, dialect))
            continue;
        *ret_path = rows[i].list_path;
        return rows[i].list_path.len > 0 ? listing_shape(rows[i].list_shape) : NULL;
    }
    const struct listing_shape *shape = listing_of_dialect(dialect, &path);
    *ret_path = str_from(path);
    return shape;
}

static void on_listed(void *user, int code, const struct listing *listing, const struct err *err);

static int
ask(struct scan *scan, const struct object *provider, struct str key, struct arena *arena,
    struct err *err)
{
    struct str dialect = schema_text(provider->spec, "dialect", STR_EMPTY);
    struct str path = STR_EMPTY;
    const struct listing_shape *shape = shape_of(provider, arena, &path);
    if (!shape)
        return err_set(err, ERR_UNSUPPORTED,
                       "Berth knows no list of models of %.*s; declare them as Model objects",
                       STR_ARG(provider->name));
    const struct lister_request request = {
        .base_url = schema_text(provider->spec, "baseUrl", STR_EMPTY),
        .path = path,
        .shape = shape,
        .key = key,
        .header = discover_header(dialect),
        .more = str_eq(dialect, STR("anthropic")) ? "anthropic-version: 2023-06-01" : NULL,
        .ca_file = schema_text(provider->spec, "caFile", STR_EMPTY),
        .allow_private = schema_true(provider->spec, "allowPrivate"),
        .done = on_listed,
        .user = scan,
    };
    int code = lister_start(scan->discover->lister, &request, &scan->job);
    return code < 0 ? err_set(err, (enum err_code) - code, "%s", err_text(code)) : 0;
}

/* The provider as it is now: between two fetches its owner may have changed it. */
static int
ask_again(struct scan *scan, struct err *err)
{
    const struct engine *engine = scan->discover->conf.engine;
    struct snapshot_input input;
    struct arena arena;
    arena_init(&arena, ARENA_BYTES_MAX);
    int code = snapshot_load(engine->conf.store, &engine->conf.settings, &arena, &input, err);
    bool found = false;
    for (size_t i = 0; code == 0 && i < input.provider_count; i++) {
        if (!str_eq(input.providers[i].name, str_from(scan->provider)))
            continue;
        found = true;
        if (!input.keys[i].ptr)
            code = err_set(err, ERR_UNSUPPORTED, "%s", input.problems[i]);
        else
            code = ask(scan, &input.providers[i], input.keys[i], &arena, err);
    }
    arena_fini(&arena);
    if (code == 0 && !found)
        code = err_set(err, ERR_NOT_FOUND, "the Provider is gone");
    return code;
}

static void
fail(struct scan *scan, const struct err *why)
{
    scan_note_failure(scan, why);
    scan_free(scan);
}

static void
confirm(struct timer *timer)
{
    struct scan *scan = CONTAINER_OF(timer, struct scan, timer);
    struct err err = {0};
    if (ask_again(scan, &err) < 0)
        fail(scan, &err);
}

/* What one fetch named counts, whatever another of the same scan left out. */
static int
add_all(struct scan *scan, const struct listing *listing)
{
    struct listing *into = &scan->listing;
    size_t count = into->count + listing->count;
    struct listed *models = realloc(into->models, (count + 1) * sizeof *models);
    if (!models)
        return -ERR_NOMEM;
    into->models = models;
    into->cap = count + 1;
    for (size_t i = 0; i < listing->count; i++) {
        if (listing_dup(&listing->models[i], &scan->arena, &into->models[into->count]) < 0)
            return -ERR_NOMEM;
        into->count++;
    }
    listing_seal(into);
    return 0;
}

static bool
needs_proof(const struct scan *scan)
{
    struct seen seen;
    if (scan->trigger == DISCOVER_HAND || scan->confirms == DISCOVER_CONFIRMS)
        return false;
    scan_load(scan, &seen);
    bool missing = seen_missing(&seen, &scan->listing) > 0;
    seen_fini(&seen);
    return missing;
}

static void
on_listed(void *user, int code, const struct listing *listing, const struct err *why)
{
    struct scan *scan = user;
    struct err err = {0};
    scan->job = NULL;
    if (code < 0) {
        fail(scan, why);
        return;
    }
    if (listing->count == 0)
        code = err_set(&err, ERR_INVALID, "its list is empty, which proves nothing");
    else if (add_all(scan, listing) < 0)
        code = err_set(&err, ERR_NOMEM, "out of memory");
    if (code == 0 && needs_proof(scan)) {
        timer_arm(timers_of(scan->discover), &scan->timer,
                  now_of(scan->discover) + scan->discover->conf.confirm_ms[scan->confirms++]);
        return;
    }
    if (code == 0)
        code = scan_note(scan, &err);
    if (code < 0)
        fail(scan, &err);
    else
        scan_free(scan);
}

/* ---- beginning ------------------------------------------------------------------------------- */

static bool
may_ask(const struct object *provider)
{
    return !schema_true(provider->spec, "disabled") &&
           (!schema_get(provider->spec, "discover") || schema_true(provider->spec, "discover"));
}

bool
discover_scans(const struct object *provider, struct arena *arena)
{
    struct str path;
    return may_ask(provider) && shape_of(provider, arena, &path) != NULL;
}

static int
begin(struct discover *discover, const struct object *provider, struct str key,
      enum discover_trigger trigger, struct arena *arena, struct err *err)
{
    struct scan *scan = calloc(1, sizeof *scan);
    if (!scan || !str_copy(scan->provider, sizeof scan->provider, provider->name)) {
        free(scan);
        return err_set(err, ERR_NOMEM, "out of memory");
    }
    scan->discover = discover;
    scan->trigger = trigger;
    timer_init(&scan->timer, confirm);
    arena_init(&scan->arena, ARENA_BYTES_MAX);
    listing_init(&scan->listing);
    list_push_back(&discover->scans, &scan->node);
    int code = ask(scan, provider, key, arena, err);
    if (code < 0)
        scan_free(scan);
    return code;
}

static bool
is_due(struct discover *discover, struct str provider, struct arena *arena)
{
    const struct discover_conf *conf = &discover->conf;
    int64_t at_ms = 0;
    (void)discover_last(conf->engine->conf.store, provider, arena, &at_ms);
    uint64_t age = (uint64_t)MAX(clock_wall_ns() / 1000000 - at_ms, (int64_t)0);
    return at_ms == 0 || age >= (discover->started ? conf->interval_ms : conf->fresh_ms);
}

/* Each provider that fits: of that name (empty: any), due by schedule. */
static int
begin_all(struct discover *discover, struct str name, enum discover_trigger trigger,
          size_t *ret_count, struct err *err)
{
    const struct engine *engine = discover->conf.engine;
    struct snapshot_input input;
    struct arena arena;
    size_t found = 0;
    *ret_count = 0;
    arena_init(&arena, ARENA_BYTES_MAX);
    int code = snapshot_load(engine->conf.store, &engine->conf.settings, &arena, &input, err);
    for (size_t i = 0; code == 0 && i < input.provider_count; i++) {
        const struct object *provider = &input.providers[i];
        struct err why = {0};
        if (name.len > 0 && !str_eq(provider->name, name))
            continue;
        found++;
        if (scan_of(discover, provider->name)) {
            ++*ret_count;
            continue;
        }
        if (trigger != DISCOVER_HAND &&
            (!may_ask(provider) || !input.keys[i].ptr ||
             (trigger == DISCOVER_SCHEDULE && !is_due(discover, provider->name, &arena))))
            continue;
        int asked = input.keys[i].ptr
                        ? begin(discover, provider, input.keys[i], trigger, &arena, &why)
                        : err_set(&why, ERR_UNSUPPORTED, "%s", input.problems[i]);
        *ret_count += asked == 0 ? 1 : 0;
        if (asked < 0 && name.len > 0 && trigger == DISCOVER_HAND)
            code = err_set(err, (enum err_code) - asked, "%s", why.text);
    }
    arena_fini(&arena);
    if (code == 0 && name.len > 0 && found == 0)
        code = err_set(err, ERR_NOT_FOUND, "there is no Provider \"%.*s\"",
                       (int)MIN(name.len, (size_t)60), name.ptr);
    return code;
}

int
discover_start(struct discover *discover, struct str provider, enum discover_trigger trigger,
               size_t *ret_count, struct err *err)
{
    return begin_all(discover, provider, trigger, ret_count, err);
}

static void
tick(struct timer *timer)
{
    struct discover *discover = CONTAINER_OF(timer, struct discover, tick);
    struct err err = {0};
    size_t count;
    if (begin_all(discover, STR_EMPTY, DISCOVER_SCHEDULE, &count, &err) < 0)
        LOG_ERROR("providers could not be asked for their models", LOG_E(&err));
    discover->started = true;
    timer_arm(timers_of(discover), timer,
              now_of(discover) + MIN(discover->conf.interval_ms, (uint64_t)TICK_MS_MAX));
}

int
discover_new(const struct discover_conf *conf, struct discover **ret_discover, struct err *err)
{
    struct discover *discover = calloc(1, sizeof *discover);
    if (!discover)
        return err_set(err, ERR_NOMEM, "out of memory");
    discover->conf = *conf;
    for (size_t i = 0; i < DISCOVER_CONFIRMS; i++) {
        if (conf->confirm_ms[i] == 0)
            discover->conf.confirm_ms[i] = confirm_default_ms[i];
    }
    if (conf->fresh_ms == 0)
        discover->conf.fresh_ms = 300000;
    if (conf->strike_ms == 0)
        discover->conf.strike_ms = 1800000;
    if (conf->probe_ms == 0)
        discover->conf.probe_ms = 300000;
    list_init(&discover->scans);
    timer_init(&discover->tick, tick);
    if (lister_new(conf->engine->conf.loop, conf->retry_ms ? conf->retry_ms : 1000,
                   &discover->lister) < 0) {
        free(discover);
        return err_set(err, ERR_NOMEM, "out of memory");
    }
    if (conf->interval_ms > 0)
        timer_arm(timers_of(discover), &discover->tick, now_of(discover));
    conf->engine->discover = discover;
    *ret_discover = discover;
    return 0;
}

void
discover_free(struct discover **discover)
{
    struct discover *gone = TAKE(*discover);
    if (!gone)
        return;
    gone->conf.engine->discover = NULL;
    timer_cancel(timers_of(gone), &gone->tick);
    LIST_FOREACH_SAFE (at, &gone->scans) {
        scan_free(LIST_ENTRY(at, struct scan, node));
    }
    strikes_fini(gone);
    lister_free(&gone->lister);
    free(gone);
}

/* ---- the reconciler -------------------------------------------------------------------------- */

/* A Provider that was never asked is, and what a gone one listed is forgotten. */
int
reconcile_discovery(struct engine *engine, struct str subject, struct err *err)
{
    struct arena arena;
    struct object object;
    struct err missing = {0};
    int64_t at_ms = 0;
    size_t count;
    arena_init(&arena, ARENA_BYTES_MAX);
    int code =
        object_get(engine->conf.store, kind_at(KIND_PROVIDER), subject, &arena, &object, &missing);
    struct str last = discover_last(engine->conf.store, subject, &arena, &at_ms);
    if (code == -ERR_NOT_FOUND && last.len > 0) {
        const struct store_op ops[] = {
            {.delete_ = true,
             .key = arena_printf(&arena, SNAPSHOT_SEEN_PREFIX "%.*s", STR_ARG(subject))},
            {.delete_ = true,
             .key = arena_printf(&arena, CHANGES_PREFIX "%.*s", STR_ARG(subject))}};
        code = ops[0].key.ptr && ops[1].key.ptr
                   ? store_commit(engine->conf.store, NULL, 0, ops, ARRAY_LEN(ops), NULL)
                   : -ERR_NOMEM;
    } else if (code == 0 && last.len == 0 && engine->discover &&
               engine->discover->conf.interval_ms > 0) {
        code = begin_all(engine->discover, subject, DISCOVER_CREATED, &count, err);
    } else if (code == -ERR_NOT_FOUND) {
        code = 0;
    }
    arena_fini(&arena);
    return code < 0 ? err_set(err, (enum err_code) - code, "discovery of %.*s: %s",
                              STR_ARG(subject), err_text(code))
                    : 0;
}

struct discover_count
discover_count(const struct discover *discover)
{
    struct discover_count count = {.done = discover->scans_done,
                                   .failed = discover->scans_failed,
                                   .retired = discover->retired};
    memcpy(count.news, discover->news, sizeof count.news);
    return count;
}

void
discover_put(struct discover *discover, struct json_writer *writer)
{
    const struct engine *engine = discover->conf.engine;
    struct arena arena;
    struct object *providers = NULL;
    size_t count = 0;
    arena_init(&arena, ARENA_BYTES_MAX);
    if (object_list(engine->conf.store, kind_at(KIND_PROVIDER), STR_EMPTY, 0, &arena, &providers,
                    &count, NULL) < 0)
        count = 0;
    json_open_array(writer);
    for (size_t i = 0; i < count; i++) {
        int64_t at_ms = 0;
        struct str last = discover_last(engine->conf.store, providers[i].name, &arena, &at_ms);
        const struct scan *scan = scan_of(discover, providers[i].name);
        json_open_object(writer);
        json_member_str(writer, "provider", providers[i].name);
        json_member_str(writer, "state",
                        scan == NULL ? STR("idle")
                        : scan->job  ? STR("asking")
                                     : STR("confirming"));
        if (last.len > 0)
            json_member_raw(writer, "last", last);
        json_close_object(writer);
    }
    json_close_array(writer);
    arena_fini(&arena);
}
