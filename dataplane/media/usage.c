/* SPDX-License-Identifier: MIT
 * usage.c - what a call of this room used: reported, or counted.
 * Floor: dataplane/media; any thread.
 * Owns: nothing.
 * Invariant: a thing is charged once, by the piece or in tokens, never both. media_test.c. */
#include "dataplane/chat/claim.h"
#include "dataplane/media/media.h"
#include "dataplane/media/sound.h"
#include "lib/base/num.h"

#define BYTES_PER_TOKEN 4u
#define SPOKEN_TOKENS 21u     /* a second */
#define SPOKEN_CHARACTERS 15u /* a second, as people speak */
#define SECOND_DIGITS_MAX 9u

/* ---- reports --------------------------------------------------------------------------------- */

static uint64_t
claim_either(const struct json_doc *doc, uint32_t object, struct str a, struct str b, bool *clamped)
{
    uint32_t node = json_get(doc, object, a);
    return claim_count(doc, node != JSON_NONE ? node : json_get(doc, object, b), clamped);
}

/* Whole seconds, rounded up, of 3, 3.2 or "3.2"; an exponent is no duration of ours. */
static bool
seconds_of(const struct json_doc *doc, uint32_t node, uint64_t *ret_seconds)
{
    struct str raw = json_raw(doc, node);
    if (json_is(doc, node, JSON_STRING) && raw.len >= 2)
        raw = str_make(raw.ptr + 1, raw.len - 2);
    else if (!json_is(doc, node, JSON_NUMBER))
        return false;
    struct str whole;
    struct str part;
    bool any = false;
    (void)str_cut(raw, '.', &whole, &part);
    if (whole.len > SECOND_DIGITS_MAX || num_u64(whole, USAGE_COUNT_MAX - 1, ret_seconds) != 0)
        return false;
    for (size_t i = 0; i < part.len; i++) {
        if (part.ptr[i] < '0' || part.ptr[i] > '9')
            return false;
        any = any || part.ptr[i] != '0';
    }
    *ret_seconds += any ? 1 : 0;
    return true;
}

static uint32_t
details_of(const struct json_doc *doc, uint32_t usage, bool in)
{
    static const char *const names[2][3] = {
        {"output_tokens_details", "output_token_details", "completion_tokens_details"},
        {"input_tokens_details", "input_token_details", "prompt_tokens_details"}};
    for (size_t i = 0; i < 3; i++) {
        uint32_t node = json_get(doc, usage, str_from(names[in][i]));
        if (json_is(doc, node, JSON_OBJECT))
            return node;
    }
    return JSON_NONE;
}

static enum usage_class
answer_class(enum chat_endpoint endpoint)
{
    if (endpoint == CHAT_ENDPOINT_SPEECH)
        return USAGE_audio_out;
    bool images = endpoint == CHAT_ENDPOINT_IMAGES || endpoint == CHAT_ENDPOINT_IMAGE_EDITS ||
                  endpoint == CHAT_ENDPOINT_IMAGE_VARIATIONS;
    return images ? USAGE_image_out : USAGE_output;
}

static bool
report_tokens(enum chat_endpoint endpoint, const struct json_doc *doc, uint32_t usage,
              struct usage *found)
{
    bool *clamped = &found->clamped;
    uint64_t prompt = claim_either(doc, usage, STR("input_tokens"), STR("prompt_tokens"), clamped);
    uint64_t answer =
        claim_either(doc, usage, STR("output_tokens"), STR("completion_tokens"), clamped);
    uint64_t total = claim_count(doc, json_get(doc, usage, STR("total_tokens")), clamped);
    uint32_t in = details_of(doc, usage, true);
    uint32_t out = details_of(doc, usage, false);
    if (prompt == 0 && answer == 0)
        prompt = total; /* Jina, Voyage */
    if (prompt == 0 && answer == 0)
        return false;
    uint64_t cached = claim_count(doc, json_get(doc, in, STR("cached_tokens")), clamped);
    uint64_t image = claim_count(doc, json_get(doc, in, STR("image_tokens")), clamped);
    uint64_t audio = claim_count(doc, json_get(doc, in, STR("audio_tokens")), clamped);
    uint64_t text = claim_count(doc, json_get(doc, out, STR("text_tokens")), clamped);
    found->count[USAGE_cached] += claim_carve(&prompt, cached, clamped);
    found->count[USAGE_image_in] += claim_carve(&prompt, image, clamped);
    found->count[USAGE_audio_in] += claim_carve(&prompt, audio, clamped);
    found->count[USAGE_input] += prompt;
    found->count[USAGE_output] += claim_carve(&answer, text, clamped);
    found->count[answer_class(endpoint)] += answer;
    return true;
}

bool
media_report(enum chat_endpoint endpoint, const struct json_doc *doc, uint32_t root,
             struct usage *ret_usage)
{
    struct usage found = {.evidence = EVIDENCE_PROVIDER};
    uint32_t usage = json_get(doc, root, STR("usage"));
    uint32_t billed = json_path(doc, root, "meta.billed_units"); /* Cohere */
    uint64_t seconds = 0;
    bool sound = endpoint == CHAT_ENDPOINT_TRANSCRIPTIONS || endpoint == CHAT_ENDPOINT_TRANSLATIONS;
    bool any = report_tokens(endpoint, doc, usage, &found);
    if (!any && json_is(doc, billed, JSON_OBJECT))
        any = report_tokens(endpoint, doc, billed, &found);
    uint32_t units = json_get(doc, billed, STR("search_units"));
    if (endpoint == CHAT_ENDPOINT_RERANK && units != JSON_NONE) {
        found.count[USAGE_query] = claim_count(doc, units, &found.clamped);
        any = true;
    }
    if (sound && (seconds_of(doc, json_get(doc, usage, STR("seconds")), &seconds) ||
                  seconds_of(doc, json_get(doc, root, STR("duration")), &seconds))) {
        found.count[USAGE_second_in] = seconds;
        any = true;
    }
    if (any)
        *ret_usage = found;
    return any;
}

/* ---- what an answer shows -------------------------------------------------------------------- */

static void
note_images(struct media_facts *facts, uint64_t made)
{
    uint64_t asked = facts->most[USAGE_image];
    made = MIN(made, asked);
    facts->counted[USAGE_image_out] =
        asked > 0 ? facts->counted[USAGE_image_out] / asked * made : 0;
    facts->counted[USAGE_image] = made;
}

static void
note_sound(struct media_facts *facts, struct str head, uint64_t bytes)
{
    struct sound sound = sound_of(head, bytes);
    uint64_t spoken = facts->counted[USAGE_character_in] / SPOKEN_CHARACTERS + 1;
    uint64_t seconds = sound.known ? sound.seconds : spoken;
    seconds = MIN(seconds, facts->most[USAGE_second_out]);
    facts->counted[USAGE_second_out] = seconds;
    facts->counted[USAGE_audio_out] = seconds * SPOKEN_TOKENS;
}

void
media_note_answer(struct media_facts *facts, const struct json_doc *doc, struct str head,
                  uint64_t bytes)
{
    if (facts->most[USAGE_image] > 0 && doc != NULL)
        note_images(facts, json_count(doc, json_get(doc, 0, STR("data"))));
    else if (facts->endpoint == CHAT_ENDPOINT_SPEECH)
        note_sound(facts, head, bytes);
    else if (facts->text_answer)
        facts->counted[USAGE_output] = (bytes + BYTES_PER_TOKEN - 1) / BYTES_PER_TOKEN;
}

/* ---- what is charged ------------------------------------------------------------------------- */

static bool
has(const uint64_t count[USAGE_CLASS_COUNT], bool tokens)
{
    for (size_t i = 0; i < USAGE_CLASS_COUNT; i++) {
        if (usage_is_tokens((enum usage_class)i) == tokens && count[i] > 0)
            return true;
    }
    return false;
}

static bool
tokens_priced(const struct tariff *tariff)
{
    for (size_t i = 0; tariff->count > 0 && i < USAGE_CLASS_COUNT; i++) {
        if (usage_is_tokens((enum usage_class)i) && tariff->rows[0].price.pico[i] > 0)
            return true;
    }
    return false;
}

static bool
pieces_priced(const struct tariff *tariff, const uint64_t count[USAGE_CLASS_COUNT])
{
    for (size_t i = 0; tariff->count > 0 && i < USAGE_CLASS_COUNT; i++) {
        bool price =
            tariff->rows[0].price.pico[i] > 0 || (i == USAGE_image && tariff->picture_count > 0);
        if (!usage_is_tokens((enum usage_class)i) && count[i] > 0 && price)
            return true;
    }
    return false;
}

/* Keep one side of it. */
static void
take(struct usage *usage, const uint64_t count[USAGE_CLASS_COUNT], bool tokens)
{
    for (size_t i = 0; i < USAGE_CLASS_COUNT; i++)
        usage->count[i] = usage_is_tokens((enum usage_class)i) == tokens ? count[i] : 0;
}

void
media_usage(const struct media_facts *facts, const struct tariff *tariff,
            const struct usage *reported, struct usage *ret_usage)
{
    struct usage usage = *reported;
    bool by_tokens = tokens_priced(tariff);
    bool by_piece = pieces_priced(tariff, facts->most);
    bool told = reported->evidence != EVIDENCE_NONE;
    if (told && has(reported->count, true) && (by_tokens || !by_piece)) {
        take(&usage, reported->count, true);
    } else if (told && has(reported->count, false) && (by_piece || !by_tokens)) {
        take(&usage, reported->count, false);
        if (usage.count[USAGE_image] > 0 && usage.count[USAGE_image_read] == 0)
            usage.count[USAGE_image_read] = facts->counted[USAGE_image_read]; /* nobody tells */
    } else {
        bool pieces = by_piece || (!by_tokens && has(facts->counted, false));
        take(&usage, facts->counted, !pieces);
        usage.evidence = pieces && !facts->guessed ? EVIDENCE_COUNTED : EVIDENCE_ESTIMATE;
    }
    *ret_usage = usage;
}

/* ---- events ---------------------------------------------------------------------------------- */

static void
look_at_event(struct stream_look *look, const struct json_doc *doc)
{
    struct str type = json_raw(doc, json_get(doc, 0, STR("type")));
    uint32_t error = json_get(doc, 0, STR("error"));
    uint32_t delta = json_get(doc, 0, STR("delta"));
    bool done = str_ends(type, STR(".done\"")) || str_ends(type, STR(".completed\""));
    if (str_eq(type, STR("\"error\"")) || json_is(doc, error, JSON_OBJECT))
        look->flags |= STREAM_ERROR;
    else if (done || str_ends(type, STR(".delta\"")) || str_ends(type, STR(".partial_image\"")))
        look->flags |= STREAM_TOKEN;
    if (json_is(doc, delta, JSON_STRING))
        look->delta_bytes = (uint32_t)json_raw(doc, delta).len - 2;
    if (!done)
        return;
    look->flags |= STREAM_FINISH;
    bool images = str_starts(type, STR("\"image"));
    enum chat_endpoint endpoint = images ? CHAT_ENDPOINT_IMAGES
                                  : str_starts(type, STR("\"speech"))
                                      ? CHAT_ENDPOINT_SPEECH
                                      : CHAT_ENDPOINT_TRANSCRIPTIONS;
    struct usage usage;
    if (!media_report(endpoint, doc, 0, &usage))
        return;
    look->flags |= STREAM_USAGE;
    for (size_t i = 0; images && i < USAGE_CLASS_COUNT; i++) /* each image has its own report */
        usage.count[i] = MIN(usage.count[i] + look->usage.count[i], USAGE_COUNT_MAX);
    usage.clamped = usage.clamped || look->usage.clamped;
    look->usage = usage;
}

static void
media_look(struct stream_look *look, const struct stream_frame *frame, struct json_doc *scratch)
{
    static const struct json_limits limits = {.allow_duplicates = true};
    look->flags = 0;
    look->delta_bytes = 0;
    if (str_starts(frame->data, STR("[DONE]")))
        look->flags = STREAM_END;
    else if (json_scan(scratch, frame->data, &limits, NULL) != 0 ||
             !json_is(scratch, 0, JSON_OBJECT))
        look->flags = STREAM_MALFORMED;
    else
        look_at_event(look, scratch);
    look->total_bytes += look->delta_bytes;
    look->seen |= look->flags;
}

/* The end of the connection is the end, once something is finished. */
static int
media_close(void *reader, struct arena *arena, struct chat_event **ret_events)
{
    (void)reader;
    (void)arena;
    *ret_events = NULL;
    return 0;
}

const struct stream_reader_class media_reader = {.look = media_look, .close = media_close};
