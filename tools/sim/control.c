/* SPDX-License-Identifier: MIT
 * control.c - the simulator's own endpoints: /sim/bill, /sim/reset, /sim/script, /sim/health; and
 *             Google's /token.
 * Floor: tools/sim; its loop's thread.
 * Owns: nothing.
 * Invariant: none of them is billed. */
#include <stdio.h>

#include "lib/text/uri.h"
#include "tools/sim/sim.h"

/* A service account's claim for an access token (RFC 7523): three parts between dots. The token is
 * the key that this simulator asks for, if it asks for one. */
static void
token_answer(struct exchange *exchange)
{
    const char *key = exchange->thread->sim->key;
    struct str body = http_stream_body(exchange->stream);
    size_t claim = str_find(body, STR("&assertion="));
    struct str head;
    struct str claims;
    struct str signature;
    if (!str_starts(body,
                    STR("grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&")) ||
        claim == SIZE_MAX || !str_cut(str_skip(body, claim + 11), '.', &head, &claims) ||
        !str_cut(claims, '.', &claims, &signature) || head.len == 0 || signature.len < 300) {
        buf_put_str(&exchange->body, STR("{\"error\":\"invalid_grant\"}"));
        exchange_answer_now(exchange, 400, "application/json");
        return;
    }
    buf_printf(&exchange->body,
               "{\"access_token\":\"%s\",\"expires_in\":3599,\"token_type\":\"Bearer\"}",
               key != NULL ? key : "ya29.simulated");
    exchange_answer_now(exchange, 200, "application/json");
}

void
control_handle(struct exchange *exchange)
{
    struct sim *sim = exchange->thread->sim;
    struct str path;
    struct str query;
    struct str summary = STR_EMPTY;
    struct err err = {0};
    struct str method = http_stream_method(exchange->stream);
    bool get = str_eq(method, STR("GET"));
    bool post = str_eq(method, STR("POST"));
    if (!uri_split_target(http_stream_target(exchange->stream), &path, &query))
        path = STR("/");
    if (get && str_eq(path, STR("/sim/bill"))) {
        bool short_form =
            uri_query_get(query, STR("summary"), &summary) && !str_eq(summary, STR("0"));
        if (bill_render(sim->bill, short_form, &exchange->body) != 0) {
            exchange_error(exchange, 500, STR("the bill is too large; ask for ?summary=1"));
            return;
        }
    } else if (post && str_eq(path, STR("/sim/reset"))) {
        bill_reset(sim->bill);
        script_reset(sim->script);
        buf_put_str(&exchange->body, STR("{}"));
    } else if (post && str_eq(path, STR("/sim/script"))) {
        if (script_load(sim->script, http_stream_body(exchange->stream), &err) != 0) {
            char text[ERR_TEXT_BYTES_MAX + 40];
            (void)snprintf(text, sizeof(text), "line %u, column %u: %s", err.line, err.column,
                           err.text);
            exchange_error(exchange, 400, str_from(text));
            return;
        }
        buf_put_str(&exchange->body, STR("{}"));
    } else if (post && str_eq(path, STR("/token"))) {
        token_answer(exchange);
        return;
    } else {
        exchange_error(exchange, 404, STR("GET /sim/bill, POST /sim/reset, POST /sim/script"));
        return;
    }
    exchange_answer_now(exchange, 200, "application/json");
}
