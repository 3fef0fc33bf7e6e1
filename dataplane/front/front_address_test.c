/* SPDX-License-Identifier: MIT
 * front_address_test.c - the ways in which clients write an address, and where each leads.
 * Floor: test.
 * Owns: nothing.
 * Invariant: must hold: base URLs that clients of other gateways and vendors have lead to the row
 *            they mean, with the model they name; whatever must not be guessed at is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "dataplane/front/address.h"

#define DEPLOYED "/openai/deployments/"

static const struct {
    const char *method, *target;
    const char *want;  /* the row's version and path; "": known, but not so; NULL: unknown */
    const char *model; /* as it stands in the path */
} rows[] = {
    {"POST", "/v1/chat/completions", "/v1/chat/completions", ""},
    {"POST", "/v1/chat/completions/", "/v1/chat/completions", ""},
    {"POST", "/v1/chat/completions?api-version=1", "/v1/chat/completions", ""},
    {"POST", "/chat/completions", "/v1/chat/completions", ""},
    {"POST", "/api/v1/chat/completions", "/v1/chat/completions", ""},
    {"POST", "/v1/v1/chat/completions", "/v1/chat/completions", ""},
    {"POST", "/openai/v1/chat/completions", "/v1/chat/completions", ""},
    {"POST", "/openai/responses?api-version=2025-04-01", "/v1/responses", ""},
    {"POST", "/v1beta/openai/chat/completions", "/v1/chat/completions", ""},
    {"GET", "/v1beta/openai/models", "/v1/models", ""},
    {"GET", "/openai/models?api-version=2024-10-21", "/v1/models", ""},
    {"POST", DEPLOYED "gpt-4o/chat/completions?api-version=2024-10-21", "/v1/chat/completions",
     "gpt-4o"},
    {"POST", DEPLOYED "a/b:c/chat/completions", "/v1/chat/completions", "a/b:c"},
    {"POST", DEPLOYED "a%2Fb/embeddings", "/v1/embeddings", "a%2Fb"},
    {"POST", DEPLOYED "m/completions", "/v1/completions", "m"},
    {"POST", DEPLOYED "w/audio/transcriptions", "/v1/audio/transcriptions", "w"},
    {"POST", DEPLOYED "chat/completions", "/v1/completions", "chat"},
    {"POST", DEPLOYED "m/nothing", NULL, ""},
    {"POST", DEPLOYED, NULL, ""},
    {"POST", "/anthropic/v1/messages", "/v1/messages", ""},
    {"POST", "/anthropic/v1/messages/count_tokens?beta=true", "/v1/messages/count_tokens", ""},
    {"POST", "/mistral/v1/chat/completions", "/v1/chat/completions", ""},
    {"POST", "/cohere/v2/chat", "/v2/chat", ""},
    {"POST", "/v2/chat", "/v2/chat", ""},
    {"POST", "/ollama/api/chat", "/api/chat", ""},
    {"POST", "/v1beta/models/g:generateContent", "/v1beta/models/{model}:generateContent", "g"},
    {"POST", "/gemini/v1beta/models/a%2Fb:streamGenerateContent?alt=sse",
     "/v1beta/models/{model}:streamGenerateContent", "a%2Fb"},
    {"POST", "/v1beta/openai/gpt-4o:generateContent", "/v1beta/models/{model}:generateContent",
     "openai/gpt-4o"},
    {"POST", "/v1beta1/publishers/google/models/g:generateContent",
     "/v1beta/models/{model}:generateContent", "g"},
    {"POST", "/v1/projects/p/locations/l/publishers/google/models/g:countTokens",
     "/v1beta/models/{model}:countTokens", "g"},
    {"POST", "/vertex_ai/v1/projects/p/locations/l/publishers/google/models/g:generateContent",
     "/v1beta/models/{model}:generateContent", "g"},
    {"GET", "/v1/models/", "/v1/models", ""},
    {"HEAD", "/v1/models", "/v1/models", ""},
    {"HEAD", "/v1/models/a%2Fb", "/v1/models/{model}", "a%2Fb"},
    {"GET", "/v1/models/deployments/x", "/v1/models/{model}", "deployments/x"},
    {"HEAD", "/v1/chat/completions", "", ""},
    {"OPTIONS", "/v1/chat/completions", "", ""},
    {"PUT", "/v1/models", "", ""},
    {"POST", "/V1/chat/completions", NULL, ""},
    {"POST", "/openai/v2/chat/completions", NULL, ""},
    {"POST", "/anthropic/messages", NULL, ""},
    {"POST", "/x/v1/messages", NULL, ""},
    {"GET", "/", NULL, ""},
};

static void
addresses_lead_to_rows(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct address address;
        char row[128] = "";
        if (address_read(str_from(rows[i].method), str_from(rows[i].target), &address) != 0)
            fail_msg("%s: refused", rows[i].target);
        if (address.endpoint != NULL)
            (void)snprintf(row, sizeof(row), "%.*s%.*s", STR_ARG(address.endpoint->version),
                           STR_ARG(address.endpoint->path));
        const char *want = rows[i].want != NULL ? rows[i].want : "";
        bool allowed = rows[i].want != NULL && want[0] == '\0';
        if (strcmp(row, want) != 0 || (row[0] == '\0' && (address.allow.len > 0) != allowed))
            fail_msg("%s %s: want '%s', have '%s' (allow %.*s)", rows[i].method, rows[i].target,
                     want, row, STR_ARG(address.allow));
        if (row[0] != '\0' && !str_eq(address.model, str_from(rows[i].model)))
            fail_msg("%s: want the model '%s', have '%.*s'", rows[i].target, rows[i].model,
                     STR_ARG(address.model));
    }
}

static void
what_must_not_be_guessed_at(void **state)
{
    (void)state;
    static const char *const targets[] = {
        "",
        "*",
        "v1/models",
        "//v1/models",
        "/v1//chat/completions",
        "/v1/chat/completions//",
        "/v1/../v1/models",
        "/v1/./models",
        "/v1/chat%2Fcompletions",
        "/v1/%2e%2e/models",
        "/openai//deployments/m/chat/completions",
        "/v1/models%00",
        "/v1/mod els",
    };
    for (size_t i = 0; i < ARRAY_LEN(targets); i++) {
        struct address address;
        if (address_read(STR("POST"), str_from(targets[i]), &address) == 0)
            fail_msg("'%s' was taken", targets[i]);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(addresses_lead_to_rows),
                                       cmocka_unit_test(what_must_not_be_guessed_at)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
