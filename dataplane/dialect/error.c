/* SPDX-License-Identifier: MIT
 * error.c - error bodies of providers, whichever shape they come in (WIRE-FORMATS 4.4).
 * Floor: dataplane/dialect; any thread.
 * Owns: nothing.
 * Invariant: any body gives an error with a status and a message; texts point into the body or the
 *            arena. Proved by error_test.c. */
#include "dataplane/dialect/dialect_int.h"

#include "lib/text/utf8.h"

#define MESSAGE_BYTES_MAX 2000u

bool
error_present(const struct json_doc *doc, uint32_t node)
{
    return json_is(doc, node, JSON_OBJECT) || json_is(doc, node, JSON_TRUE) ||
           (json_is(doc, node, JSON_STRING) && json_raw(doc, node).len > 2);
}

/* A string's content, a number's text; anything else leaves *ret_text. */
static int
read_word(const struct json_doc *doc, uint32_t node, struct arena *arena, struct str *ret_text)
{
    if (json_is(doc, node, JSON_STRING))
        return json_string(doc, node, arena, ret_text);
    if (json_is(doc, node, JSON_NUMBER))
        *ret_text = json_raw(doc, node);
    return 0;
}

static int
read_words(const struct json_doc *doc, uint32_t object, struct arena *arena,
           struct chat_error *error)
{
    const struct {
        struct str key;
        struct str *text;
    } words[] = {/* the usual words count more than MiniMax' */
                 {STR("status_msg"), &error->message}, {STR("status_code"), &error->code},
                 {STR("message"), &error->message},    {STR("type"), &error->type},
                 {STR("code"), &error->code},          {STR("param"), &error->param},
                 {STR("status"), &error->code},        {STR("request_id"), &error->request_id}};
    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        int rc = read_word(doc, json_get(doc, object, words[i].key), arena, words[i].text);
        if (rc < 0)
            return rc;
    }
    return 0;
}

int
error_read_object(const struct json_doc *doc, uint32_t node, struct arena *arena,
                  struct chat_error *ret_error)
{
    struct chat_error error = {0};
    int rc = json_is(doc, node, JSON_OBJECT) ? read_words(doc, node, arena, &error)
                                             : read_word(doc, node, arena, &error.message);
    if (rc < 0)
        return rc;
    if (error.message.len == 0 && node != JSON_NONE)
        error.message = json_raw(doc, node);
    error.message.len = MIN(error.message.len, (size_t)MESSAGE_BYTES_MAX);
    error.message.len = utf8_valid_bytes(error.message);
    error.status = error_status(error.type, error.code);
    chat_error_classify(&error);
    *ret_error = error;
    return 0;
}

/* {"error": ..}, {"detail": ..}, {"errors": [..]}, {"base_resp": ..}, or the object itself. */
static uint32_t
find_error(const struct json_doc *doc)
{
    static const char *const keys[] = {"error", "detail", "errors", "base_resp"};
    for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
        uint32_t node = intake_get(doc, 0, str_from(keys[i]));
        if (json_is(doc, node, JSON_ARRAY))
            node = json_first(doc, node);
        if (node != JSON_NONE)
            return node;
    }
    return 0;
}

int
error_read(uint16_t status, struct str body, struct arena *arena, struct chat_error *ret_error)
{
    struct json_doc doc;
    struct chat_error error = {0};
    int rc = 0;
    json_init(&doc);
    if (json_scan(&doc, body, &dialect_reply_limits, NULL) == 0) {
        rc = error_read_object(&doc, find_error(&doc), arena, &error);
        if (rc == 0 && error.request_id.len == 0)
            rc = read_word(&doc, json_get(&doc, 0, STR("request_id")), arena, &error.request_id);
    } else {
        error.message = str_trim(body);
        error.message.len = MIN(error.message.len, (size_t)MESSAGE_BYTES_MAX);
        error.message.len = utf8_valid_bytes(error.message);
    }
    json_fini(&doc);
    if (rc < 0)
        return rc;
    if (error.message.len == 0)
        error.message = STR("The provider gave no reason.");
    if (status == 0) /* an error inside a 200: only its own words tell */
        error.status = error_status(error.type, error.code);
    else
        error.status = status >= 400 && status <= 599 ? status : 502;
    chat_error_classify(&error);
    *ret_error = error;
    return 0;
}

uint16_t
error_status(struct str type, struct str code)
{
    static const struct {
        const char *word;
        uint16_t status;
    } rows[] = {
        {"overloaded", 529},
        {"overloaded_error", 529},
        {"rate_limit_error", 429},
        {"rate_limit_exceeded", 429},
        {"insufficient_quota", 429},
        {"invalid_request_error", 400},
        {"authentication_error", 401},
        {"billing_error", 402},
        {"permission_error", 403},
        {"not_found_error", 404},
        {"request_too_large", 413},
        {"timeout_error", 504},
        {"api_error", 500},
        {"server_error", 500},
        {"INVALID_ARGUMENT", 400},
        {"FAILED_PRECONDITION", 400},
        {"UNAUTHENTICATED", 401},
        {"PERMISSION_DENIED", 403},
        {"NOT_FOUND", 404},
        {"RESOURCE_EXHAUSTED", 429},
        {"INTERNAL", 500},
        {"UNAVAILABLE", 503},
        {"DEADLINE_EXCEEDED", 504},
        {"1002", 429}, /* MiniMax, inside a 200: too many requests, tokens; no balance; bad key */
        {"1039", 429},
        {"1008", 429},
        {"1004", 401},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        if (str_eq(type, str_from(rows[i].word)) || str_eq(code, str_from(rows[i].word)))
            return rows[i].status;
    }
    uint16_t status = 0; /* OpenRouter: the code is a status */
    for (size_t i = 0; i < code.len && code.len == 3; i++) {
        if (code.ptr[i] < '0' || code.ptr[i] > '9')
            return 502;
        status = (uint16_t)(status * 10 + (code.ptr[i] - '0'));
    }
    return status >= 400 && status <= 599 ? status : 502;
}
