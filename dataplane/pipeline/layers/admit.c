/* SPDX-License-Identifier: MIT
 * admit.c - may this request start at all: configuration, size, media type, load, journal space.
 * Floor: dataplane/pipeline/layers; the worker's thread.
 * Owns: the reference to the config, the journal ticket until `record` uses it.
 * Invariant: whoever passes keeps its config to the end and can always record its outcome. */
#include "dataplane/pipeline/upload.h"

static enum layer_verdict
admit_request(struct exchange *x)
{
    struct worker *worker = x->worker;
    if (worker->config == NULL)
        return exchange_fail(x, HTTP_ERROR_not_ready, STR_EMPTY);
    x->config = config_acquire(worker->config);
    if (x->endpoint->list_models)
        return LAYER_NEXT;
    bool form = media_is_form(x->endpoint->kind);
    if (form && x->form_type.len == 0)
        return exchange_fail(x, HTTP_ERROR_media_type,
                             STR("The body must be multipart/form-data with a boundary."));
    if (!form && !x->json_content)
        return exchange_fail(x, HTTP_ERROR_media_type, STR_EMPTY);
    if (x->coding == CODING_UNKNOWN)
        return exchange_fail(x, HTTP_ERROR_content_coding, STR_EMPTY);
    uint64_t max = x->config->settings.body_bytes_max;
    if (form)
        max = worker->form_bytes_max;
    if (x->content_length != HTTP_LENGTH_UNKNOWN && x->content_length > max)
        return exchange_fail(x, HTTP_ERROR_too_large, pipeline_too_large(x, max));
    if (worker->open_count > worker->open_max) {
        x->retry_after_s = 1;
        return exchange_fail(x, HTTP_ERROR_overloaded, STR_EMPTY);
    }
    if (journal_admit(worker->journal, &x->ticket) != 0) {
        x->retry_after_s = 5;
        return exchange_fail(x, HTTP_ERROR_journal_unavailable, STR_EMPTY);
    }
    if (form && upload_begin(x) != 0)
        return exchange_fail(x, HTTP_ERROR_overloaded, STR_EMPTY);
    if (!form)
        http_stream_collect(x->stream, max);
    if (x->coding != CODING_IDENTITY && http_stream_decode(x->stream, x->coding) != 0)
        return exchange_fail(x, HTTP_ERROR_overloaded, STR_EMPTY);
    return LAYER_NEXT;
}

static void
admit_settle(struct exchange *x)
{
    journal_forget(x->worker->journal, &x->ticket); /* only what never became an intent */
}

const struct layer layer_admit = {
    .name = "admit", .stage = LAYER_HEAD, .request = admit_request, .settle = admit_settle};
