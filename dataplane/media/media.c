/* SPDX-License-Identifier: MIT
 * media.c - what a request of each kind asks for, and the most that it can come to.
 * Floor: dataplane/media; any thread.
 * Owns: nothing.
 * Invariant: see media.h. */
#include "dataplane/media/media.h"

#include "dataplane/media/media_int.h"
#include "dataplane/media/sound.h"
#include "lib/base/check.h"
#include "lib/base/num.h"
#include "lib/text/utf8.h"

#define IMAGES_MAX 10u
#define PARTIALS_MAX 3u
/* A picture that is read, and one event of a picture that is not finished (OpenAI: 100 each). */
#define IMAGE_READ_TOKENS_MAX 8192u
#define IMAGE_READ_TOKENS 1024u
#define PARTIAL_TOKENS_MAX 128u
/* A picture of 2^20 pixels: OpenAI's published 272, 1,056 and 4,160 by quality; the utmost is twice
 * the best. */
#define IMAGE_PIXELS (1024u * 1024u)
#define IMAGE_TOKENS_LOW 272u
#define IMAGE_TOKENS_MEDIUM 1056u
#define IMAGE_TOKENS_HIGH 4160u
#define IMAGE_TOKENS_MAX 8192u
#define IMAGE_SIDE_MAX 8192u
#define IMAGE_PIXELS_OPEN (2u * IMAGE_PIXELS) /* where the vendor chooses the size */
/* Sound: ten tokens a second are read, about 21 written; people speak 15 characters a second. */
#define SECOND_TOKENS 10u
#define SPOKEN_TOKENS_MAX 32u
#define SPOKEN_CHARACTERS 2u /* a second, at the slowest */
#define SPOKEN_EXTRA_S 10u
/* Rerankers: up to 100 documents are one unit, and 500 tokens of a document are one document. */
#define RERANK_DOCUMENTS 100u
#define RERANK_DOCUMENT_BYTES 500u

#define BYTES_PER_TOKEN 4u

static uint64_t
up(uint64_t count, uint64_t each)
{
    return count / each + (count % each != 0 ? 1 : 0);
}

/* Text that a form carries: everything but files. */
static uint64_t
form_text_bytes(const struct ask *ask)
{
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < ask->form->count; i++)
        bytes += ask->form->parts[i].file ? 0 : ask->form->parts[i].bytes;
    return bytes;
}

static uint64_t
form_files(const struct ask *ask)
{
    uint64_t count = 0;
    for (uint32_t i = 0; ask->form != NULL && i < ask->form->count; i++)
        count += ask->form->parts[i].file ? 1 : 0;
    return count;
}

/* ---- images ---------------------------------------------------------------------------------- */

static uint64_t
pixels_of(struct str size)
{
    struct str width;
    struct str height;
    uint64_t w = 0;
    uint64_t h = 0;
    if (!str_cut(size, 'x', &width, &height) || num_u64(width, IMAGE_SIDE_MAX, &w) != 0 ||
        num_u64(height, IMAGE_SIDE_MAX, &h) != 0 || w == 0 || h == 0)
        return IMAGE_PIXELS_OPEN;
    return w * h;
}

static int
ask_images(const struct ask *ask, struct media_facts *facts)
{
    uint64_t n = 1;
    uint64_t partials = 0;
    int rc = ask_count(ask, "n", 1, IMAGES_MAX, &n);
    if (rc == 0)
        rc = ask_count(ask, "partial_images", 0, PARTIALS_MAX, &partials);
    if (rc == 0)
        rc = ask_text(ask, "size", &facts->size);
    if (rc == 0)
        rc = ask_text(ask, "quality", &facts->quality);
    if (rc == 0 && (arena_dup(ask->arena, facts->size, &facts->size) != 0 ||
                    arena_dup(ask->arena, facts->quality, &facts->quality) != 0))
        rc = err_set(ask->err, ERR_NOMEM, "no memory for this request"); /* the body goes before */
    if (rc == 0)
        rc = ask_switch(ask, "stream", &facts->stream);
    uint64_t pixels = pixels_of(facts->size);
    uint64_t each = str_eq(facts->quality, STR("low"))      ? IMAGE_TOKENS_LOW
                    : str_eq(facts->quality, STR("medium")) ? IMAGE_TOKENS_MEDIUM
                                                            : IMAGE_TOKENS_HIGH;
    uint64_t text = ask->doc != NULL ? ask->body.len : form_text_bytes(ask);
    uint64_t files = form_files(ask);
    facts->prompt_tokens_max = text + files * IMAGE_READ_TOKENS_MAX;
    facts->answer_tokens_max =
        n * (up(pixels, IMAGE_PIXELS) * IMAGE_TOKENS_MAX + partials * PARTIAL_TOKENS_MAX);
    facts->most[USAGE_image] = n;
    facts->most[USAGE_image_read] = files;
    facts->counted[USAGE_image] = n;
    facts->counted[USAGE_image_read] = files;
    facts->counted[USAGE_input] = up(text, BYTES_PER_TOKEN);
    facts->counted[USAGE_image_in] = files * IMAGE_READ_TOKENS;
    facts->counted[USAGE_image_out] = n * up(pixels * each, IMAGE_PIXELS);
    return rc;
}

/* ---- sound ----------------------------------------------------------------------------------- */

static int
ask_speech(const struct ask *ask, struct media_facts *facts)
{
    struct str input = STR_EMPTY;
    struct str format = STR_EMPTY;
    int rc = ask_text(ask, "input", &input);
    if (rc == 0)
        rc = ask_text(ask, "stream_format", &format);
    if (rc == 0 && input.len == 0)
        rc = err_set(ask->err, ERR_INVALID, "field `input` is missing");
    uint64_t characters = utf8_count(input);
    uint64_t seconds = characters / SPOKEN_CHARACTERS + SPOKEN_EXTRA_S;
    facts->stream = str_eq(format, STR("sse"));
    facts->prompt_tokens_max = ask->body.len;
    facts->answer_tokens_max = seconds * SPOKEN_TOKENS_MAX;
    facts->most[USAGE_character_in] = characters;
    facts->most[USAGE_second_out] = seconds;
    facts->counted[USAGE_character_in] = characters;
    facts->counted[USAGE_input] = up(input.len, BYTES_PER_TOKEN);
    return rc;
}

static int
ask_transcript(const struct ask *ask, struct media_facts *facts)
{
    const struct form *form = ask->form;
    const struct form_part *file = NULL;
    for (uint32_t i = 0; i < form->count; i++) {
        if (!str_eq(form->parts[i].name, STR("file")))
            continue;
        if (file != NULL)
            return err_set(ask->err, ERR_INVALID, "field `file` is there twice");
        file = &form->parts[i];
    }
    if (file == NULL || !file->file)
        return err_set(ask->err, ERR_INVALID, "field `file` is missing, or no file");
    struct sound sound = sound_of(file->head, form_part_bytes(form, file));
    int rc = ask_switch(ask, "stream", &facts->stream);
    facts->text_answer = true;
    facts->guessed = !sound.exact;
    facts->prompt_tokens_max = form_text_bytes(ask) + sound.seconds_max * SECOND_TOKENS;
    facts->most[USAGE_second_in] = MAX(sound.seconds_max, (uint64_t)1); /* an empty file, too */
    facts->counted[USAGE_second_in] = sound.seconds;
    facts->counted[USAGE_audio_in] = sound.seconds * SECOND_TOKENS;
    return rc;
}

/* ---- moderations, reranking ------------------------------------------------------------------ */

static int
ask_moderation(const struct ask *ask, struct media_facts *facts)
{
    facts->prompt_tokens_max = ask->body.len;
    facts->counted[USAGE_input] = up(ask->body.len, BYTES_PER_TOKEN);
    return 0;
}

static int
ask_rerank(const struct ask *ask, struct media_facts *facts)
{
    struct str query = STR_EMPTY;
    uint32_t list = json_get(ask->doc, 0, STR("documents"));
    int rc = ask_text(ask, "query", &query);
    if (rc != 0)
        return rc;
    if (!json_is(ask->doc, list, JSON_ARRAY))
        return err_set(ask->err, ERR_INVALID, "field `documents` must be a list");
    uint64_t documents = 0;
    uint64_t pieces = 0;
    for (uint32_t at = json_first(ask->doc, list); at != JSON_NONE;
         at = json_sibling(ask->doc, list, at)) {
        documents++;
        pieces += 1 + (json_raw(ask->doc, at).len + query.len) / RERANK_DOCUMENT_BYTES;
    }
    facts->prompt_tokens_max = ask->body.len + documents * query.len;
    facts->most[USAGE_query] = up(MAX(pieces, 1u), RERANK_DOCUMENTS);
    facts->counted[USAGE_query] = up(MAX(documents, 1u), RERANK_DOCUMENTS);
    facts->counted[USAGE_input] = up(facts->prompt_tokens_max, BYTES_PER_TOKEN);
    return 0;
}

/* ---- the table ------------------------------------------------------------------------------- */

/* model: what the vendor takes where none is said, or NULL. */
static const struct kind {
    int (*ask)(const struct ask *ask, struct media_facts *facts);
    const char *model;
    bool form;
} kinds[CHAT_ENDPOINT_COUNT] = {
    [CHAT_ENDPOINT_IMAGES] = {ask_images, "dall-e-2", false},
    [CHAT_ENDPOINT_IMAGE_EDITS] = {ask_images, "dall-e-2", true},
    [CHAT_ENDPOINT_IMAGE_VARIATIONS] = {ask_images, "dall-e-2", true},
    [CHAT_ENDPOINT_SPEECH] = {ask_speech, NULL, false},
    [CHAT_ENDPOINT_TRANSCRIPTIONS] = {ask_transcript, NULL, true},
    [CHAT_ENDPOINT_TRANSLATIONS] = {ask_transcript, NULL, true},
    [CHAT_ENDPOINT_MODERATIONS] = {ask_moderation, "omni-moderation-latest", false},
    [CHAT_ENDPOINT_RERANK] = {ask_rerank, NULL, false},
};

bool
media_is(enum chat_endpoint endpoint)
{
    return kinds[endpoint].ask != NULL;
}

bool
media_is_form(enum chat_endpoint endpoint)
{
    return kinds[endpoint].form;
}

bool
media_is_heard(enum chat_endpoint endpoint)
{
    return kinds[endpoint].ask == ask_transcript;
}

int
media_facts(enum chat_endpoint endpoint, const struct json_doc *doc, struct str body,
            const struct form *form, struct str named, struct arena *arena,
            struct media_facts *ret_facts, struct err *err)
{
    const struct kind *kind = &kinds[endpoint];
    struct ask ask = {.doc = doc, .body = body, .form = form, .arena = arena, .err = err};
    struct media_facts facts = {.endpoint = endpoint, .quality = STR_EMPTY, .size = STR_EMPTY};
    int rc = 0;
    ASSERT((doc == NULL) != (form == NULL));
    if (doc != NULL && !json_is(doc, 0, JSON_OBJECT))
        rc = err_set(err, ERR_INVALID, "the body must be a JSON object");
    if (named.len == 0 && kind->model != NULL)
        named = str_from(kind->model);
    if (rc == 0)
        rc = ask_model(&ask, named, &facts);
    if (rc == 0)
        rc = kind->ask(&ask, &facts);
    if (rc == 0)
        *ret_facts = facts;
    return rc;
}

int
media_edit(const struct media_facts *facts, const struct json_doc *doc, struct str upstream_model,
           struct splice *splice)
{
    struct buf quoted;
    struct str text = upstream_model;
    if (facts->model_given && str_eq(facts->model, upstream_model))
        return 0;
    buf_init(&quoted, upstream_model.len * 6 + 2);
    int rc = json_put_string(&quoted, upstream_model);
    if (rc == 0)
        rc = arena_dup(splice->arena, buf_str(&quoted), &text);
    buf_fini(&quoted);
    if (rc != 0)
        return rc;
    if (!facts->model_given)
        return splice_member_set(splice, doc, 0, STR("model"), text);
    return splice_replace(splice, (uint32_t)facts->model_start, (uint32_t)facts->model_end, text);
}
