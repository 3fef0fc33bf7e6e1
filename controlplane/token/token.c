/* SPDX-License-Identifier: MIT
 * token.c - see token.h.
 * Floor: controlplane/token; see token.h for threads.
 * Owns: see token.h.
 * Invariant: what a fetch works on belongs to its thread from pthread_create until the loop has
 *            joined it. */
#include "controlplane/token/token.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "controlplane/token/service_account.h"
#include "lib/base/check.h"
#include "lib/base/clock.h"
#include "lib/base/digest.h"
#include "lib/base/secret.h"
#include "lib/http/fetch.h"
#include "lib/http/message.h"
#include "lib/text/json.h"

#define FETCH_TIMEOUT_MS 20000u
#define REPLY_BYTES_MAX 65536u
#define ARENA_BYTES_MAX 262144u
#define LIFE_S_MAX 86400u
#define GRANT "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion="

/* Of one key. */
struct token {
    uint8_t id[SHA256_BYTES]; /* of the key's text */
    bool allow_private;
    uint64_t asked_ms; /* tokens_get was called; 0 = this place is free */
    uint64_t ended_ms; /* the last fetch; 0 = none yet */
    uint64_t expires_ms;
    uint64_t margin_ms;
    struct secret *text; /* NULL = none yet */
    char problem[ERR_TEXT_BYTES_MAX];
    /* a fetch */
    struct tokens *tokens;
    struct secret *key; /* not NULL while it runs */
    struct secret *fetched;
    uint64_t life_s;
    struct err err;
    pthread_t thread;
    atomic_bool done;
};
struct tokens {
    struct tokens_conf conf;
    struct loop_io io; /* an eventfd: a fetch ended */
    atomic_bool stopping;
    struct token rows[TOKENS_MAX];
};

/* ---- on the fetch's thread ------------------------------------------------------------------- */

static bool
go_on(void *user)
{
    const struct token *token = user;
    return !atomic_load(&token->tokens->stopping);
}

/* The endpoint's word for what is wrong, when it is a word: "invalid_grant". */
static struct str
error_word(const struct json_doc *doc, struct arena *arena)
{
    struct str word = STR_EMPTY;
    if (json_string(doc, json_get(doc, 0, STR("error")), arena, &word) < 0 || word.len > 64)
        return STR("no reason given");
    for (size_t i = 0; i < word.len; i++) {
        if (word.ptr[i] != '_' && (word.ptr[i] < 'a' || word.ptr[i] > 'z'))
            return STR("no reason given");
    }
    return word;
}

static int
read_reply(struct token *token, long status, struct str reply, struct arena *arena)
{
    struct json_doc doc;
    struct str text = STR_EMPTY;
    json_init(&doc);
    int code = json_scan(&doc, reply, NULL, NULL);
    if (status != 200) {
        struct str word = code == 0 ? error_word(&doc, arena) : STR("no reason given");
        code = err_set(&token->err, ERR_UNAUTHENTICATED,
                       "the token endpoint refuses the service account: status %ld, %.*s", status,
                       STR_ARG(word));
    } else if (code < 0 ||
               json_string(&doc, json_get(&doc, 0, STR("access_token")), arena, &text) < 0 ||
               text.len == 0 || !http_valid_value(text) ||
               json_u64(&doc, json_get(&doc, 0, STR("expires_in")), LIFE_S_MAX, &token->life_s) <
                   0) {
        code = err_set(&token->err, ERR_PROTOCOL, "the token endpoint's answer holds no token");
    } else {
        token->fetched = secret_new(text);
        if (!token->fetched)
            code = err_set(&token->err, ERR_NOMEM, "no memory for an access token");
    }
    json_fini(&doc);
    return code;
}

static int
run_fetch(struct token *token, const struct service_account *account, struct arena *arena)
{
    static const char *const fields[] = {"Content-Type: application/x-www-form-urlencoded",
                                         "Accept: application/json", NULL};
    struct str claim = STR_EMPTY;
    struct buf reply;
    long status = 0;
    uint64_t now_s = (uint64_t)(clock_wall_ns() / 1000000000);
    int code = service_account_claim(account, now_s, arena, &claim, &token->err);
    if (code < 0)
        return code;
    struct str body = arena_printf(arena, "%s%.*s", GRANT, STR_ARG(claim));
    if (!body.ptr)
        return err_set(&token->err, ERR_NOMEM, "no memory for a claim");
    const struct fetch fetch = {.method = "POST",
                                .url = account->token_url.ptr,
                                .ca_file = token->tokens->conf.ca_file,
                                .fields = fields,
                                .body = body,
                                .timeout_ms = FETCH_TIMEOUT_MS,
                                .reply_bytes_max = REPLY_BYTES_MAX,
                                .allow = guard_allow,
                                .allow_user = &token->allow_private,
                                .on_tick = go_on,
                                .user = token};
    buf_init(&reply, REPLY_BYTES_MAX);
    code = fetch_run(&fetch, &status, &reply, &token->err);
    if (code == 0)
        code = read_reply(token, status, buf_str(&reply), arena);
    buf_wipe(&reply);
    return code;
}

static void *
work(void *user)
{
    struct token *token = user;
    struct arena arena;
    struct service_account account = {.email = STR_EMPTY};
    arena_init(&arena, ARENA_BYTES_MAX);
    int code = service_account_read(secret_str(token->key), &arena, &account, &token->err);
    if (code == 0 && !token->allow_private && !str_starts(account.token_url, STR("https://")))
        code = err_set(&token->err, ERR_INVALID, "the service account's token_uri is not https");
    if (code == 0)
        (void)run_fetch(token, &account, &arena);
    arena_fini(&arena);
    atomic_store(&token->done, true);
    const uint64_t one = 1;
    ASSERT(write(token->tokens->io.fd, &one, sizeof one) == (ssize_t)sizeof one);
    return NULL;
}

/* ---- on the engine thread -------------------------------------------------------------------- */

static void
fetch_start(struct token *token, struct str key)
{
    token->key = secret_new(key);
    token->err = (struct err){0};
    token->life_s = 0;
    atomic_store(&token->done, false);
    if (token->key && pthread_create(&token->thread, NULL, work, token) != 0)
        secret_free(&token->key);
    if (!token->key) {
        token->ended_ms = clock_mono_ms();
        (void)snprintf(token->problem, sizeof token->problem, "no memory to fetch its token");
    }
}

/* What a fetch that has ended brought. */
static void
fetch_end(struct token *token)
{
    ASSERT(pthread_join(token->thread, NULL) == 0);
    secret_free(&token->key);
    token->ended_ms = clock_mono_ms();
    token->problem[0] = '\0';
    if (!token->fetched) {
        (void)snprintf(token->problem, sizeof token->problem, "%s", token->err.text);
        return;
    }
    secret_free(&token->text);
    token->text = TAKE(token->fetched);
    token->expires_ms = token->ended_ms + token->life_s * 1000u;
    token->margin_ms = MIN((uint64_t)TOKEN_MARGIN_MS, token->life_s * 500u);
}

static void
token_drop(struct token *token)
{
    if (token->key)
        fetch_end(token);
    secret_free(&token->text);
    *token = (struct token){.asked_ms = 0};
}

static void
on_ended(struct loop_io *io, uint32_t events)
{
    struct tokens *tokens = CONTAINER_OF(io, struct tokens, io);
    uint64_t count = 0;
    (void)events;
    if (read(io->fd, &count, sizeof count) != (ssize_t)sizeof count)
        return; /* it can be written to: nothing that we asked for */
    for (size_t i = 0; i < TOKENS_MAX; i++) {
        struct token *token = &tokens->rows[i];
        if (token->key && atomic_load(&token->done))
            fetch_end(token);
    }
    tokens->conf.changed(tokens->conf.user);
}

int
tokens_new(const struct tokens_conf *conf, struct tokens **ret_tokens, struct err *err)
{
    struct tokens *tokens = calloc(1, sizeof *tokens);
    if (!tokens)
        return err_set(err, ERR_NOMEM, "no memory for access tokens");
    tokens->conf = *conf;
    tokens->io = (struct loop_io){.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), .ready = on_ended};
    if (tokens->io.fd < 0 || loop_add(conf->loop, &tokens->io, false) < 0) {
        if (tokens->io.fd >= 0)
            (void)close(tokens->io.fd);
        free(tokens);
        return err_set(err, ERR_SYSTEM, "no eventfd for access tokens");
    }
    *ret_tokens = tokens;
    return 0;
}

void
tokens_free(struct tokens **tokens_at)
{
    struct tokens *tokens = TAKE(*tokens_at);
    if (!tokens)
        return;
    atomic_store(&tokens->stopping, true);
    for (size_t i = 0; i < TOKENS_MAX; i++)
        token_drop(&tokens->rows[i]);
    loop_remove(tokens->conf.loop, &tokens->io);
    (void)close(tokens->io.fd);
    free(tokens);
}

/* The row of a key; a new one takes the place of the one that was not asked for the longest. */
static struct token *
find_row(struct tokens *tokens, struct str key, bool allow_private)
{
    uint8_t id[SHA256_BYTES];
    struct token *oldest = NULL;
    digest_sha256(key, id);
    for (size_t i = 0; i < TOKENS_MAX; i++) {
        struct token *token = &tokens->rows[i];
        if (token->asked_ms != 0 && memcmp(token->id, id, sizeof id) == 0 &&
            token->allow_private == allow_private)
            return token;
        if (!token->key && (!oldest || token->asked_ms < oldest->asked_ms))
            oldest = token;
    }
    if (!oldest)
        return NULL;
    token_drop(oldest);
    memcpy(oldest->id, id, sizeof id);
    oldest->allow_private = allow_private;
    oldest->tokens = tokens;
    return oldest;
}

int
tokens_get(struct tokens *tokens, struct str key, bool allow_private, struct arena *arena,
           struct str *ret_token, const char **ret_problem)
{
    struct token *token = find_row(tokens, key, allow_private);
    uint64_t now = clock_mono_ms();
    if (!token) {
        *ret_problem = "too many service accounts ask for their first token at once";
        return 0;
    }
    token->asked_ms = now;
    bool good = token->text && now < token->expires_ms;
    bool due = !good || token->expires_ms - now <= token->margin_ms;
    bool rested = token->ended_ms == 0 || token->problem[0] == '\0' ||
                  now - token->ended_ms >= TOKEN_RETRY_MS;
    if (due && rested && !token->key)
        fetch_start(token, key);
    if (good)
        return arena_dup(arena, secret_str(token->text), ret_token);
    struct str why = arena_printf(
        arena, "%s", token->problem[0] ? token->problem : "its first access token is on its way");
    *ret_problem = why.ptr;
    return why.ptr ? 0 : -ERR_NOMEM;
}
