/* SPDX-License-Identifier: MIT
 * later.c - pictures that are made later: a ticket first, then whoever asks is told how far it is.
 * Floor: tools/sim; its loop's thread.
 * Owns: nothing: a ticket says itself when its picture is done.
 * Invariant: the call that gets a picture is billed for it, no other. */
#include "lib/base/num.h"
#include "lib/text/uri.h"
#include "tools/sim/sim.h"

#define MAKING_MS 700u

static const struct str bfl_path = {"/v1/get_result", 14};
static const struct str replicate_path = {"/v1/predictions/", 16};
static const struct str replicate_cancel = {"/cancel", 7};

bool
later_ticket(struct exchange *exchange, const struct sim_media *media)
{
    uint64_t due = loop_now_ms(exchange->thread->loop) + MAKING_MS;
    struct str host = exchange->authority;
    bool slow = media->endpoint == SIM_REPLICATE && str_find(media->model, STR("slow")) != SIZE_MAX;
    if (media->endpoint != SIM_BFL && !slow)
        return false;
    exchange->body.len = 0;
    exchange->control = true; /* a ticket is free */
    if (slow) {
        buf_printf(&exchange->body,
                   "{\"id\":\"%llu.%.*s\",\"status\":\"starting\",\"urls\":{\"get\":"
                   "\"http://%.*s/v1/predictions/%llu.%.*s\",\"cancel\":"
                   "\"http://%.*s/v1/predictions/%llu.%.*s/cancel\"}}",
                   (unsigned long long)due, STR_ARG(media->model), STR_ARG(host),
                   (unsigned long long)due, STR_ARG(media->model), STR_ARG(host),
                   (unsigned long long)due, STR_ARG(media->model));
    } else {
        buf_printf(&exchange->body,
                   "{\"id\":\"%llu.%.*s\",\"polling_url\":\"http://%.*s%.*s?id=%llu.%.*s\"}",
                   (unsigned long long)due, STR_ARG(media->model), STR_ARG(host), STR_ARG(bfl_path),
                   (unsigned long long)due, STR_ARG(media->model));
    }
    return true;
}

bool
later_is(struct str method, struct str path)
{
    bool canceled = str_eq(method, STR("POST")) && str_ends(path, replicate_cancel);
    return (str_eq(method, STR("GET")) && str_eq(path, bfl_path)) ||
           ((str_eq(method, STR("GET")) || canceled) && str_starts(path, replicate_path));
}

void
later_answer(struct exchange *exchange, struct str path, struct str query)
{
    struct str id = STR_EMPTY;
    struct str due_text;
    struct str model;
    uint64_t due = 0;
    bool bfl = str_eq(path, bfl_path);
    bool canceled = str_ends(path, replicate_cancel);
    if (bfl)
        (void)uri_query_get(query, STR("id"), &id);
    else
        id = str_skip(path, replicate_path.len);
    exchange->control = true;
    if (canceled || !str_cut(id, '.', &due_text, &model) || num_u64(due_text, UINT64_MAX, &due)) {
        buf_put_str(&exchange->body, canceled ? STR("{\"status\":\"canceled\"}")
                                              : STR("{\"status\":\"Task not found\"}"));
    } else if (loop_now_ms(exchange->thread->loop) < due) {
        buf_put_str(&exchange->body, bfl ? STR("{\"status\":\"Pending\",\"result\":null}")
                                         : STR("{\"status\":\"processing\",\"output\":null}"));
    } else {
        exchange->control = false;
        exchange->answer.model = model;
        exchange->answer.units = 1;
        (void)!str_copy(exchange->entry.model, sizeof(exchange->entry.model), model);
        buf_put_str(&exchange->body, bfl ? STR("{\"status\":\"Ready\",\"result\":{\"sample\":"
                                               "\"https://images.invalid/later.png\"}}")
                                         : STR("{\"status\":\"succeeded\",\"output\":"
                                               "[\"https://images.invalid/later.png\"]}"));
    }
    exchange_answer_now(exchange, 200, "application/json");
}
