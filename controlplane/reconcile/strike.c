/* SPDX-License-Identifier: MIT
 * strike.c - models that their providers no longer have, as real traffic finds out: listing a model
 *            is no proof that it answers.
 * Floor: controlplane/reconcile; engine thread (probes run beside it: lister.h).
 * Owns: the strikes, and the probes under way.
 * Invariant: nothing is taken away on the word of traffic alone: the provider says it to a probe of
 *            ours, too. At most one probe a model in probe_ms, PROBES_MAX a provider at once.
 *            discover_test.c. */
#include <stdlib.h>

#include "controlplane/reconcile/discover_int.h"
#include "lib/base/check.h"
#include "lib/base/log.h"

#define STRIKES 3u
#define STRIKES_MAX 4096u /* models that are kept in mind */
#define PROBES_MAX 4u
#define PROBE_TOKENS "64"
#define MODEL_BYTES_MAX 256u
#define ARENA_BYTES_MAX (160u * 1024u * 1024u)

/* count: strikes in a row, none later than strike_ms after the one before. */
struct strike {
    struct discover *discover;
    char provider[64];
    char model[MODEL_BYTES_MAX];
    uint32_t count;
    uint64_t last_ms;
    uint64_t probed_ms; /* 0 = never */
    struct lister_job *job;
};

/* A question of one word, by dialect; % is the model's name as JSON, in the path as it is. */
static const struct {
    const char *dialect;
    const char *path;
    const char *body;
} probes[] = {
    {"openai", "/chat/completions",
     "{\"model\":%,\"max_tokens\":" PROBE_TOKENS
     ",\"messages\":[{\"role\":\"user\",\"content\":\"Hi\"}]}"},
    {"openai-responses", "/responses",
     "{\"model\":%,\"max_output_tokens\":" PROBE_TOKENS ",\"store\":false,\"input\":\"Hi\"}"},
    {"anthropic", "/v1/messages",
     "{\"model\":%,\"max_tokens\":" PROBE_TOKENS
     ",\"messages\":[{\"role\":\"user\",\"content\":\"Hi\"}]}"},
    {"gemini", "/v1beta/models/%:generateContent",
     "{\"contents\":[{\"role\":\"user\",\"parts\":[{\"text\":\"Hi\"}]}],\"generationConfig\":{"
     "\"maxOutputTokens\":" PROBE_TOKENS "}}"},
    {"cohere-v2", "/v2/chat",
     "{\"model\":%,\"max_tokens\":" PROBE_TOKENS
     ",\"messages\":[{\"role\":\"user\",\"content\":\"Hi\"}]}"},
    {"ollama-native", "/api/chat",
     "{\"model\":%,\"stream\":false,\"options\":{\"num_predict\":" PROBE_TOKENS
     "},\"messages\":[{\"role\":\"user\",\"content\":\"Hi\"}]}"},
};

static uint64_t
now_of(const struct discover *discover)
{
    return loop_now_ms(discover->conf.engine->conf.loop);
}

/* ---- the provider's own word ----------------------------------------------------------------- */

static struct str
fill(const char *form, struct str with, struct arena *arena)
{
    struct str head;
    struct str rest;
    if (!str_cut(str_from(form), '%', &head, &rest))
        return str_from(form);
    return arena_printf(arena, "%.*s%.*s%.*s", STR_ARG(head), STR_ARG(with), STR_ARG(rest));
}

/* Names of a model as they are, in a path. */
static bool
is_plain(struct str name)
{
    for (size_t i = 0; i < name.len; i++) {
        char c = name.ptr[i];
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                     c == '-' || c == '_' || c == '.';
        if (!plain)
            return false;
    }
    return true;
}

/* Anything but a clear no leaves the model where it is: it may be for another use, its key too
 * poor, the provider busy. */
static bool
says_gone(long status, struct str text)
{
    static const char *const words[] = {"model_not_found",     "does not exist", "not_found_error",
                                        "NOT_FOUND",           "not found",      "no longer",
                                        "has been deprecated", "decommissioned", "retired"};
    /* a proxy's page, or a path that is not there, says nothing of a model */
    struct str said = str_trim(text);
    bool of_model =
        str_find(said, STR("model")) != SIZE_MAX || str_find(said, STR("Model")) != SIZE_MAX;
    if (said.len == 0 || (said.ptr[0] != '{' && said.ptr[0] != '[') || !of_model)
        return false;
    if (status != 404 && status != 410 && status != 400)
        return false;
    if (status == 410)
        return true;
    /* a 400 needs a code that says nothing else; a model that is no chat model is there */
    if (status == 400)
        return str_find(text, STR("model_not_found")) != SIZE_MAX ||
               str_find(text, STR("model_decommissioned")) != SIZE_MAX;
    if (str_find(text, STR("not a chat model")) != SIZE_MAX)
        return false;
    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        if (str_find(text, str_from(words[i])) != SIZE_MAX)
            return true;
    return false;
}

static void
on_told(void *user, long status, struct str text)
{
    struct strike *strike = user;
    struct err err = {0};
    strike->job = NULL;
    strike->count = 0;
    if (!says_gone(status, text)) {
        LOG_INFO("a model that traffic found gone is not", LOG_C("provider", strike->provider),
                 LOG_C("model", strike->model), LOG_U("status", (uint64_t)status));
        return;
    }
    int code = discover_retire(strike->discover, str_from(strike->provider),
                               str_from(strike->model), &err);
    if (code == -ERR_EXISTS)
        return; /* known: a declared Model of that name is called on */
    if (code < 0) {
        LOG_ERROR("a model that is gone could not be taken away",
                  LOG_C("provider", strike->provider), LOG_C("model", strike->model), LOG_E(&err));
        return;
    }
    strike->discover->retired++;
    LOG_WARN(
        "a model is gone: traffic and a probe were told so; a scan that lists it brings it back",
        LOG_C("provider", strike->provider), LOG_C("model", strike->model));
}

static int
ask(struct strike *strike, const struct object *provider, struct str key, struct arena *arena)
{
    struct str dialect = schema_text(provider->spec, "dialect", STR_EMPTY);
    struct str model = str_from(strike->model);
    struct buf quoted;
    struct str name;
    size_t i = 0;
    while (i < ARRAY_LEN(probes) && !str_eq(dialect, str_from(probes[i].dialect)))
        i++;
    if (i == ARRAY_LEN(probes))
        return -ERR_UNSUPPORTED;
    if (str_find_byte(str_from(probes[i].path), '%') != SIZE_MAX && !is_plain(model))
        return -ERR_UNSUPPORTED;
    buf_init(&quoted, 8u * MODEL_BYTES_MAX);
    int code = json_put_string(&quoted, model);
    if (code == 0)
        code = arena_dup(arena, buf_str(&quoted), &name);
    buf_fini(&quoted);
    if (code != 0)
        return code;
    const struct lister_request request = {
        .base_url = schema_text(provider->spec, "baseUrl", STR_EMPTY),
        .path = fill(probes[i].path, model, arena),
        .body = fill(probes[i].body, name, arena),
        .key = key,
        .header = discover_header(dialect),
        .more = str_eq(dialect, STR("anthropic")) ? "anthropic-version: 2023-06-01" : NULL,
        .ca_file = schema_text(provider->spec, "caFile", STR_EMPTY),
        .allow_private = schema_true(provider->spec, "allowPrivate"),
        .told = on_told,
        .user = strike,
    };
    return request.body.ptr && request.path.ptr
               ? lister_start(strike->discover->lister, &request, &strike->job)
               : -ERR_NOMEM;
}

static int
probe(struct strike *strike, struct err *err)
{
    const struct engine *engine = strike->discover->conf.engine;
    struct snapshot_input input;
    struct arena arena;
    arena_init(&arena, ARENA_BYTES_MAX);
    int code = snapshot_load(engine->conf.store, &engine->conf.settings, &arena, &input, err);
    int asked = -ERR_NOT_FOUND;
    for (size_t i = 0; code == 0 && i < input.provider_count; i++) {
        if (str_eq(input.providers[i].name, str_from(strike->provider)) && input.keys[i].ptr)
            asked = discover_scans(&input.providers[i], &arena)
                        ? ask(strike, &input.providers[i], input.keys[i], &arena)
                        : 0; /* nothing would bring its models back */
    }
    arena_fini(&arena);
    if (code == 0 && asked < 0)
        code = err_set(err, (enum err_code) - asked, "%s", err_text(asked));
    return code;
}

/* ---- strikes --------------------------------------------------------------------------------- */

static size_t
probes_of(const struct discover *discover, struct str provider)
{
    size_t count = 0;
    for (size_t i = 0; i < discover->strike_count; i++)
        count +=
            discover->strikes[i].job && str_eq(str_from(discover->strikes[i].provider), provider);
    return count;
}

/* Its place, or a new one: in place of the one that was struck the longest time ago when there are
 * too many. */
static struct strike *
find(struct discover *discover, struct str provider, struct str model)
{
    struct strike *oldest = NULL;
    for (size_t i = 0; i < discover->strike_count; i++) {
        struct strike *at = &discover->strikes[i];
        if (str_eq(str_from(at->provider), provider) && str_eq(str_from(at->model), model))
            return at;
        if (!at->job && (!oldest || at->last_ms < oldest->last_ms))
            oldest = at;
    }
    /* never moved: a probe under way points at its strike */
    if (!discover->strikes)
        discover->strikes = calloc(STRIKES_MAX, sizeof *discover->strikes);
    if (discover->strikes && discover->strike_count < STRIKES_MAX)
        oldest = &discover->strikes[discover->strike_count++];
    if (!oldest)
        return NULL;
    *oldest = (struct strike){.discover = discover};
    ASSERT(str_copy(oldest->provider, sizeof oldest->provider, provider));
    ASSERT(str_copy(oldest->model, sizeof oldest->model, model));
    return oldest;
}

void
discover_strike(struct discover *discover, struct str provider, struct str model)
{
    uint64_t now = now_of(discover);
    struct err err = {0};
    if (provider.len == 0 || provider.len >= sizeof(((struct strike *)0)->provider) ||
        model.len == 0 || model.len >= MODEL_BYTES_MAX)
        return;
    struct strike *strike = find(discover, provider, model);
    if (!strike || strike->job)
        return;
    if (strike->last_ms != 0 && now - strike->last_ms > discover->conf.strike_ms)
        strike->count = 0;
    strike->last_ms = now;
    strike->count++;
    bool rested = strike->probed_ms == 0 || now - strike->probed_ms >= discover->conf.probe_ms;
    if (strike->count < STRIKES || !rested || probes_of(discover, provider) >= PROBES_MAX)
        return;
    strike->probed_ms = now;
    if (probe(strike, &err) < 0)
        LOG_WARN("a model that traffic found gone could not be asked for",
                 LOG_C("provider", strike->provider), LOG_C("model", strike->model), LOG_E(&err));
}

void
strikes_fini(struct discover *discover)
{
    for (size_t i = 0; i < discover->strike_count; i++)
        if (discover->strikes[i].job)
            lister_cancel(discover->strikes[i].job);
    free(discover->strikes);
    discover->strikes = NULL;
    discover->strike_count = 0;
}
