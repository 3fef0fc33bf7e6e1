/* SPDX-License-Identifier: MIT
 * media_fuzz.c - a first byte says the endpoint; then a request, and the same bytes as an answer,
 *                as an event and as a sound file.
 * Floor: dataplane/media; one thread.
 * Owns: nothing.
 * Invariant: what is counted is never more than what is held; proves media.h, sound.h. */
#include "dataplane/media/media.h"

#include "dataplane/media/sound.h"
#include "lib/base/check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* In pieces. What is held when it begins to flow is for no less sound than it turns out to be. */
static int
read_form(enum chat_endpoint endpoint, struct str body, struct arena *arena, struct form **ret_form,
          struct err *err)
{
    size_t each = body.len > 0 ? (unsigned char)body.ptr[body.len - 1] + 1u : 1u;
    struct str rest = body;
    struct media_facts early = {.model = STR_EMPTY};
    struct media_facts late;
    bool flows = false;
    int rc = form_new(arena, STR("XX"), body.len, ret_form, err);
    while (rc == 0 && rest.len > 0) {
        rc = form_take(*ret_form, str_make(rest.ptr, MIN(each, rest.len)), err);
        rest = str_skip(rest, MIN(each, rest.len));
        if (rc == 0 && !flows && form_flows(*ret_form, media_is_heard(endpoint))) {
            flows =
                media_facts(endpoint, NULL, body, *ret_form, STR_EMPTY, arena, &early, err) == 0;
        }
    }
    if (rc == 0) {
        rc = form_end(*ret_form, err);
    }
    if (rc == 0 && flows &&
        media_facts(endpoint, NULL, body, *ret_form, STR_EMPTY, arena, &late, err) == 0) {
        ASSERT(str_eq(early.model, late.model));
        ASSERT(early.most[USAGE_second_in] >= late.most[USAGE_second_in]);
    }
    return rc;
}

static int
check_edit(const struct form *form, const struct media_facts *facts, struct str body)
{
    struct form_edit edit;
    int rc = form_edit_model(form, STR("other"), &edit);
    ASSERT(rc != 0 || (edit.start <= edit.end && edit.end <= body.len));
    ASSERT(rc != 0 || !facts->model_given ||
           str_eq(str_make(body.ptr + edit.start, (size_t)(edit.end - edit.start)), facts->model));
    return rc;
}

static void
check_request(enum chat_endpoint endpoint, struct str body, struct json_doc *doc,
              struct arena *arena)
{
    struct media_facts facts;
    struct err err = {0};
    struct splice splice;
    struct usage usage;
    struct usage told = {.evidence = EVIDENCE_NONE};
    const struct tariff none = {.count = 0};
    struct json_doc *json = media_is_form(endpoint) ? NULL : doc;
    struct form *form = NULL;
    int rc = json != NULL ? json_scan(json, body, NULL, &err)
                          : read_form(endpoint, body, arena, &form, &err);
    if (rc == 0) {
        rc = media_facts(endpoint, json, body, form, STR_EMPTY, arena, &facts, &err);
    }
    if (rc != 0) {
        ASSERT(err.text[0] != '\0');
        return;
    }
    ASSERT(facts.model.len > 0 && facts.model_start <= facts.model_end &&
           facts.model_end <= body.len);
    splice_init(&splice, arena);
    rc = form != NULL ? check_edit(form, &facts, body)
                      : media_edit(&facts, json, STR("other"), &splice);
    ASSERT(rc == 0);
    media_note_answer(&facts, NULL, body, body.len);
    for (size_t i = 0; i < USAGE_CLASS_COUNT; i++) {
        ASSERT(usage_is_tokens((enum usage_class)i) || facts.counted[i] <= facts.most[i]);
    }
    media_usage(&facts, &none, &told, &usage);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct json_doc doc;
    static const struct json_limits limits = {.allow_duplicates = true};
    struct arena arena;
    struct usage usage;
    struct stream_look look = {0};
    if (size == 0) {
        return 0;
    }
    unsigned first = CHAT_ENDPOINT_IMAGES;
    enum chat_endpoint endpoint =
        (enum chat_endpoint)(first + data[0] % (CHAT_ENDPOINT_COUNT - first));
    struct str text = str_make((const char *)data + 1, size - 1);
    arena_init(&arena, 4u << 20);
    check_request(endpoint, text, &doc, &arena);
    struct stream_frame frame = {.name = STR_EMPTY, .data = text};
    media_reader.look(&look, &frame, &doc);
    media_reader.look(&look, &frame, &doc);
    if (json_scan(&doc, text, &limits, NULL) == 0 && media_report(endpoint, &doc, 0, &usage)) {
        for (size_t i = 0; i < USAGE_CLASS_COUNT; i++) {
            ASSERT(usage.count[i] <= USAGE_COUNT_MAX);
        }
    }
    struct sound sound = sound_of(text, text.len + data[0]);
    ASSERT(sound.seconds <= sound.seconds_max);
    arena_fini(&arena);
    return 0;
}
