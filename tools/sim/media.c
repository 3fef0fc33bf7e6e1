/* SPDX-License-Identifier: MIT
 * media.c - requests of these kinds, and their answers.
 * Floor: tools/sim; one thread at a time.
 * Owns: nothing.
 * Invariant: see media.h. */
#include "tools/sim/media.h"

#include "lib/base/num.h"
#include "lib/text/base64.h"
#include "lib/text/multipart.h"
#include "lib/text/utf8.h"

#define JSON_TYPE "application/json"
#define EVENT_TYPE "text/event-stream"
#define WAVE_HEAD_BYTES 44u
#define SOUND_BYTES_A_SECOND 32000u /* read: 16 kHz, 16 bit, one channel */
#define MP3_BYTES_A_SECOND 16000u   /* made: 128 kbit/s */
#define SPOKEN_CHARACTERS 15u
#define SPOKEN_TOKENS 21u
#define HEARD_TOKENS 10u
#define PICTURE_TOKENS 100u
#define DOCUMENTS_A_UNIT 100u
#define SIM_DIMENSIONS_MAX 4096u

bool
media_is(enum sim_endpoint endpoint)
{
    return (endpoint >= SIM_EMBED_GEMINI && endpoint <= SIM_DRAW) || endpoint == SIM_IMAGES ||
           endpoint == SIM_SPEECH || endpoint == SIM_TRANSCRIPTIONS ||
           endpoint == SIM_MODERATIONS || endpoint == SIM_RERANK;
}

bool
media_is_named(enum sim_endpoint endpoint)
{
    return endpoint == SIM_EMBED_GEMINI || endpoint == SIM_EMBED_GEMINI_1 ||
           endpoint == SIM_EMBED_BEDROCK || endpoint == SIM_IMAGEN || endpoint == SIM_REPLICATE ||
           endpoint == SIM_CANVAS || endpoint == SIM_DRAW;
}

/* ---- requests -------------------------------------------------------------------------------- */

static void
take_field(struct sim_media *media, struct str name, struct str value)
{
    struct str *const texts[] = {&media->model, &media->text,    &media->text,  &media->text,
                                 &media->size,  &media->quality, &media->format};
    static const char *const names[] = {"model", "prompt",  "input",          "query",
                                        "size",  "quality", "response_format"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        if (str_eq(name, str_from(names[i])))
            *texts[i] = value;
    }
    if (str_eq(name, STR("n")))
        (void)!num_u64(value, 100, &media->count);
    if (str_eq(name, STR("stream")) || str_eq(name, STR("stream_format")))
        media->stream = str_eq(value, STR("true")) || str_eq(value, STR("sse"));
}

struct sim_media
media_blank(enum sim_endpoint endpoint, struct str model)
{
    return (struct sim_media){.endpoint = endpoint,
                              .model = model,
                              .text = STR_EMPTY,
                              .size = STR_EMPTY,
                              .quality = STR_EMPTY,
                              .format = STR_EMPTY,
                              .file = STR_EMPTY,
                              .count = 1};
}

int
media_form(struct str body, struct str boundary, media_part_fn take, void *user, struct err *err)
{
    struct multipart form;
    struct str rest = body;
    struct str data = STR_EMPTY;
    enum multipart_event event = MULTIPART_MORE;
    int rc = 0;
    multipart_init(&form, boundary);
    do {
        const struct multipart_part *part = &form.part;
        rc = multipart_next(&form, &rest, &event, &data, err);
        if (rc == 0 && event == MULTIPART_PART_END)
            rc = take(part, str_make(body.ptr + part->start, (size_t)part->bytes), user);
    } while (rc == 0 && event != MULTIPART_MORE);
    return rc == 0 ? multipart_end(&form, err) : rc;
}

static int
take_part(const struct multipart_part *part, struct str content, void *user)
{
    struct sim_media *media = user;
    if (part->file) {
        media->file = content;
        media->files++;
    } else {
        take_field(media, part->name, content);
    }
    return 0;
}

static void
note_text(const struct json_doc *doc, uint32_t text, struct sim_media *media, uint64_t index)
{
    if (!json_is(doc, text, JSON_STRING))
        return;
    struct str raw = json_raw(doc, text);
    media->text_bytes += raw.len - 2;
    if (index < SIM_TEXTS_MAX)
        media->texts[index] = raw;
}

/* What is to be embedded, in the words of each vendor: a list, and where its elements have the
 * text; or one text. */
static void
count_texts(const struct json_doc *doc, struct sim_media *media)
{
    static const struct {
        const char *list;
        const char *text; /* NULL: the element is it */
    } lists[] = {
        {"requests", "content.parts"}, {"texts", NULL}, {"input", NULL}, {"instances", "content"}};
    static const char *const ones[] = {"input", "prompt", "inputText", "content.parts"};
    static const char *const sizes[] = {"dimensions", "output_dimension", "outputDimensionality",
                                        "parameters.outputDimensionality"};
    for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
        uint32_t list = json_get(doc, 0, str_from(lists[i].list));
        if (!json_is(doc, list, JSON_ARRAY))
            continue;
        uint64_t index = 0;
        media->count = json_count(doc, list);
        for (uint32_t at = json_first(doc, list); at != JSON_NONE;
             at = json_sibling(doc, list, at), index++) {
            uint32_t text = lists[i].text != NULL ? json_path(doc, at, lists[i].text) : at;
            media->vertex = media->vertex || (i == 3 && json_is(doc, text, JSON_STRING));
            if (json_is(doc, text, JSON_ARRAY))
                text = json_get(doc, json_first(doc, text), STR("text"));
            note_text(doc, text, media, index);
            (void)!json_u64(doc, json_get(doc, at, STR("outputDimensionality")), 4096,
                            &media->dimensions);
        }
        break;
    }
    for (size_t i = 0; i < ARRAY_LEN(ones); i++) {
        uint32_t text = json_path(doc, 0, ones[i]);
        if (json_is(doc, text, JSON_ARRAY) && i == 3)
            text = json_get(doc, json_first(doc, text), STR("text"));
        note_text(doc, text, media, 0);
    }
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++)
        (void)!json_u64(doc, json_path(doc, 0, sizes[i]), 4096, &media->dimensions);
}

static int
parse_json(struct str body, struct json_doc *doc, struct arena *arena, struct sim_media *media,
           struct err *err)
{
    int rc = json_scan(doc, body, NULL, err);
    for (uint32_t key = rc == 0 ? json_first(doc, 0) : JSON_NONE; key != JSON_NONE && rc == 0;
         key = json_sibling(doc, 0, key)) {
        struct str name = str_trim(json_raw(doc, key));
        struct str value = json_raw(doc, key + 1);
        if (json_is(doc, key + 1, JSON_STRING))
            rc = json_string(doc, key + 1, arena, &value);
        take_field(media, str_make(name.ptr + 1, name.len - 2), value);
    }
    if (rc == 0)
        count_texts(doc, media);
    uint32_t documents = json_get(doc, 0, STR("documents"));
    uint32_t input = json_get(doc, 0, STR("input"));
    (void)!json_u64(doc, json_path(doc, 0, "parameters.sampleCount"), 4, &media->count);
    if (rc == 0 && documents != JSON_NONE)
        media->count = json_count(doc, documents);
    if (rc == 0 && json_is(doc, input, JSON_ARRAY))
        media->count = json_count(doc, input);
    return rc;
}

int
media_parse(struct str body, struct str content_type, enum sim_endpoint endpoint,
            struct json_doc *doc, struct arena *arena, struct sim_media *ret_media, struct err *err)
{
    struct str boundary;
    struct sim_media media = media_blank(endpoint, ret_media->model); /* if the path says it */
    int rc = multipart_boundary(content_type, &boundary)
                 ? media_form(body, boundary, take_part, &media, err)
                 : parse_json(body, doc, arena, &media, err);
    if (rc == 0 && media.model.len == 0)
        rc = err_set(err, ERR_INVALID, "you must provide a model parameter");
    if (rc == 0 && endpoint == SIM_TRANSCRIPTIONS && media.files == 0)
        rc = err_set(err, ERR_INVALID, "file: a file is required");
    if (rc == 0)
        *ret_media = media;
    return rc;
}

/* ---- answers --------------------------------------------------------------------------------- */

static bool
by_tokens(const struct sim_media *media)
{
    return str_starts(media->model, STR("gpt-")) || str_starts(media->model, STR("jina-"));
}

/* what: the pieces among the prompt's tokens, or NULL. */
static void
put_usage(const struct sim_answer *answer, const char *what, struct buf *out)
{
    struct sim_usage usage = answer_usage(answer);
    long long read = what != NULL ? (long long)answer->units : 0;
    if (usage.missing)
        return;
    buf_printf(out,
               ",\"usage\":{\"type\":\"tokens\",\"input_tokens\":%lld,\"output_tokens\":%lld,"
               "\"total_tokens\":%lld",
               (long long)usage.prompt + read, (long long)usage.completion,
               (long long)(usage.prompt + usage.completion) + read);
    if (what != NULL)
        buf_printf(out, ",\"input_token%s_details\":{\"text_tokens\":%lld,\"%s_tokens\":%lld}",
                   what[0] == 'i' ? "s" : "", (long long)usage.prompt, what, read);
    buf_put_byte(out, '}');
}

static void
put_picture(const struct sim_media *media, uint64_t index, struct buf *out)
{
    char pixels[48];
    if (media->digest[0] != '\0') {
        buf_printf(out, "\"%s\"", media->digest); /* which is base64, too */
        return;
    }
    for (size_t i = 0; i < sizeof(pixels); i++)
        pixels[i] = (char)(media->text.len + i * 7 + index);
    buf_put_byte(out, '"');
    (void)!base64_put(out, str_make(pixels, sizeof(pixels)), false);
    buf_put_byte(out, '"');
}

static const char *
write_images(const struct sim_media *media, struct sim_answer *answer, struct buf *out)
{
    uint64_t each = str_eq(media->quality, STR("low"))      ? 272
                    : str_eq(media->quality, STR("medium")) ? 1056
                                                            : 4160;
    bool tokens = by_tokens(media);
    answer->units = tokens ? media->files * PICTURE_TOKENS : media->count;
    answer->completion = tokens ? media->count * each : 0;
    answer->prompt = tokens ? (media->text.len + 3) / 4 : 0;
    if (media->stream) {
        buf_put_str(out, STR("event: image_generation.partial_image\ndata: "
                             "{\"type\":\"image_generation.partial_image\","
                             "\"partial_image_index\":0,\"b64_json\":"));
        put_picture(media, 0, out);
        buf_put_str(out, STR("}\n\nevent: image_generation.completed\ndata: "
                             "{\"type\":\"image_generation.completed\",\"b64_json\":"));
        put_picture(media, 1, out);
        put_usage(answer, "image", out);
        buf_put_str(out, STR("}\n\n"));
        return EVENT_TYPE;
    }
    buf_put_str(out, STR("{\"created\":1700000000,\"data\":["));
    for (uint64_t i = 0; i < media->count; i++) {
        buf_put_str(out, i > 0 ? STR(",") : STR(""));
        if (!tokens && !str_eq(media->format, STR("b64_json"))) {
            buf_printf(out, "{\"url\":\"https://images.invalid/%llu.png\"}", (unsigned long long)i);
            continue;
        }
        buf_put_str(out, STR("{\"b64_json\":"));
        put_picture(media, i, out);
        buf_put_byte(out, '}');
    }
    buf_put_byte(out, ']');
    if (tokens)
        put_usage(answer, "image", out);
    buf_put_byte(out, '}');
    return JSON_TYPE;
}

static const char *
write_speech(const struct sim_media *media, struct sim_answer *answer, struct buf *out)
{
    uint64_t characters = utf8_count(media->text);
    uint64_t seconds = characters / SPOKEN_CHARACTERS + 1;
    if (media->stream) {
        answer->prompt = (media->text.len + 3) / 4;
        answer->completion = seconds * SPOKEN_TOKENS;
        for (uint64_t i = 0; i < seconds; i++)
            buf_put_str(out, STR("event: speech.audio.delta\ndata: "
                                 "{\"type\":\"speech.audio.delta\",\"audio\":\"//uQRAAA\"}\n\n"));
        buf_put_str(out, STR("event: speech.audio.done\ndata: {\"type\":\"speech.audio.done\""));
        put_usage(answer, NULL, out);
        buf_put_str(out, STR("}\n\n"));
        return EVENT_TYPE;
    }
    answer->units = by_tokens(media) ? seconds : characters;
    answer->units_at_once = true;
    for (uint64_t i = 0; i < seconds * MP3_BYTES_A_SECOND / 4; i++)
        buf_put(out, "\xff\xfb\x90\x44", 4);
    return "audio/mpeg";
}

static uint64_t
seconds_of(struct str file)
{
    size_t head = str_starts(file, STR("RIFF")) ? WAVE_HEAD_BYTES : 0;
    return (file.len - MIN(head, file.len) + SOUND_BYTES_A_SECOND - 1) / SOUND_BYTES_A_SECOND;
}

static const char *
write_transcript(const struct sim_media *media, struct sim_answer *answer, struct buf *out)
{
    static const char *const words[] = {"the", "tide", "was", "out"};
    uint64_t seconds = seconds_of(media->file);
    bool tokens = by_tokens(media);
    answer->units = tokens ? seconds * HEARD_TOKENS : seconds;
    answer->prompt = tokens ? (media->text.len + 3) / 4 : 0;
    answer->completion = tokens ? ARRAY_LEN(words) : 0;
    if (media->stream) {
        for (size_t i = 0; i < ARRAY_LEN(words); i++)
            buf_printf(out, "data: {\"type\":\"transcript.text.delta\",\"delta\":\"%s%s\"}\n\n",
                       i > 0 ? " " : "", words[i]);
        buf_put_str(out, STR("data: {\"type\":\"transcript.text.done\",\"text\":\"the tide was "
                             "out\""));
        put_usage(answer, "audio", out);
        buf_put_str(out, STR("}\n\ndata: [DONE]\n\n"));
        return EVENT_TYPE;
    }
    bool verbose = str_eq(media->format, STR("verbose_json"));
    if (media->format.len > 0 && !verbose && !str_eq(media->format, STR("json"))) {
        buf_put_str(out, STR("the tide was out\n"));
        return "text/plain; charset=utf-8";
    }
    buf_put_str(out, STR("{\"text\":\"the tide was out\""));
    if (verbose) {
        buf_printf(out,
                   ",\"task\":\"transcribe\",\"language\":\"english\",\"duration\":%llu.0,"
                   "\"segments\":[]",
                   (unsigned long long)seconds);
    }
    if (tokens)
        put_usage(answer, "audio", out);
    else
        buf_printf(out, ",\"usage\":{\"type\":\"duration\",\"seconds\":%llu}",
                   (unsigned long long)seconds);
    buf_put_byte(out, '}');
    return JSON_TYPE;
}

static const char *
write_moderation(const struct sim_media *media, struct buf *out)
{
    buf_put_str(out, STR("{\"id\":\"modr-sim\",\"model\":"));
    json_put_string(out, media->model);
    buf_put_str(out, STR(",\"results\":["));
    for (uint64_t i = 0; i < media->count; i++) {
        buf_printf(out,
                   "%s{\"flagged\":false,\"categories\":{\"violence\":false},"
                   "\"category_scores\":{\"violence\":0.01}}",
                   i > 0 ? "," : "");
    }
    buf_put_str(out, STR("]}"));
    return JSON_TYPE;
}

static const char *
write_ranking(const struct sim_media *media, struct sim_answer *answer, struct buf *out)
{
    buf_put_str(out, STR("{\"id\":\"rerank-sim\",\"results\":["));
    for (uint64_t i = 0; i < media->count; i++) /* the last one is the best */
        buf_printf(out, "%s{\"index\":%llu,\"relevance_score\":0.%llu}", i > 0 ? "," : "",
                   (unsigned long long)(media->count - 1 - i), (unsigned long long)(900 - i % 800));
    buf_put_byte(out, ']');
    if (by_tokens(media)) {
        answer->prompt = media->count * ((media->text.len + 3) / 4 + 1);
        buf_printf(out, ",\"usage\":{\"total_tokens\":%llu}", (unsigned long long)answer->prompt);
    } else {
        answer->units = (media->count + DOCUMENTS_A_UNIT - 1) / DOCUMENTS_A_UNIT;
        buf_printf(out,
                   ",\"meta\":{\"api_version\":{\"version\":\"2\"},\"billed_units\":"
                   "{\"search_units\":%llu}}",
                   (unsigned long long)answer->units);
    }
    buf_put_byte(out, '}');
    return JSON_TYPE;
}

/* Images of vendors who say it otherwise; one, or as many as Imagen is asked for. */
static const char *
write_made(const struct sim_media *media, struct sim_answer *answer, struct buf *out)
{
    answer->units = media->count;
    if (media->endpoint == SIM_REPLICATE) {
        buf_printf(out,
                   "{\"id\":\"p1\",\"status\":\"succeeded\",\"output\":"
                   "[\"https://images.invalid/%s.png\"]}",
                   media->digest[0] != '\0' ? media->digest : "1");
        return JSON_TYPE;
    }
    if (media->endpoint == SIM_DRAW) {
        buf_put_str(out, STR("{\"candidates\":[{\"content\":{\"role\":\"model\",\"parts\":["
                             "{\"inlineData\":{\"mimeType\":\"image/png\",\"data\":"));
        put_picture(media, 0, out);
        buf_put_str(out, STR("}}]},\"finishReason\":\"STOP\"}]}"));
        return JSON_TYPE;
    }
    if (media->endpoint == SIM_CANVAS) {
        for (uint64_t i = 0; i < media->count; i++) {
            buf_put_str(out, i > 0 ? STR(",") : STR("{\"images\":["));
            put_picture(media, i, out);
        }
        buf_put_str(out, STR("],\"error\":null}"));
        return JSON_TYPE;
    }
    buf_put_str(out, media->endpoint == SIM_IMAGEN
                         ? STR("{\"predictions\":[")
                         : STR("{\"finish_reason\":\"SUCCESS\",\"image\":"));
    for (uint64_t i = 0; i < media->count; i++) {
        if (media->endpoint == SIM_IMAGEN)
            buf_printf(out, "%s{\"bytesBase64Encoded\":", i > 0 ? "," : "");
        put_picture(media, i, out);
        buf_put_str(out, media->endpoint == SIM_IMAGEN ? STR("}") : STR(""));
    }
    buf_put_str(out, media->endpoint == SIM_IMAGEN ? STR("]}") : STR("}"));
    return JSON_TYPE;
}

static void
put_vector(const struct sim_media *media, uint64_t index, struct buf *out)
{
    float values[SIM_DIMENSIONS_MAX];
    if (media->dimensions == 0 || index >= SIM_TEXTS_MAX) {
        buf_printf(out, "[0.5,-0.25,%llu]", (unsigned long long)index);
        return;
    }
    uint64_t count = MIN(media->dimensions, (uint64_t)SIM_DIMENSIONS_MAX);
    embeddings_make(media->texts[index], values, count);
    for (uint64_t i = 0; i < count; i++)
        buf_printf(out, "%s%.6f", i > 0 ? "," : "[", (double)values[i]);
    buf_put_byte(out, ']');
}

/* How each vendor says it: before the vectors, around each, behind them; a '%': tokens. */
struct vector_words {
    const char *before, *open, *close, *behind;
};

static const struct vector_words *
vector_words_of(const struct sim_media *media)
{
    static const struct vector_words words[] = {
        {"{\"embeddings\":[", "", "", "],\"prompt_eval_count\":%}"},
        {"{\"embeddings\":[", "{\"values\":", "}", "]}"},
        {"{\"embedding\":", "{\"values\":", "}", "}"},
        {"{\"id\":\"sim\",\"embeddings\":{\"float\":[", "", "",
         "]},\"meta\":{\"billed_units\":{\"input_tokens\":%}}}"},
        {"{\"embedding\":", "", "", "}"},
        {"{\"embedding\":", "", "", ",\"inputTextTokenCount\":%}"},
        {"{\"predictions\":[",
         "{\"embeddings\":{\"values\":", ",\"statistics\":{\"token_count\":1}}}", "]}"}};
    return media->vertex                           ? &words[6]
           : media->endpoint == SIM_EMBED_GEMINI   ? &words[1]
           : media->endpoint == SIM_EMBED_GEMINI_1 ? &words[2]
           : media->endpoint == SIM_EMBED_COHERE   ? &words[3]
           : media->endpoint == SIM_EMBED_OLLAMA_1 ? &words[4]
           : media->endpoint == SIM_EMBED_BEDROCK  ? &words[5]
                                                   : &words[0];
}

static const char *
write_vectors(const struct sim_media *media, struct sim_answer *answer, struct buf *out)
{
    const struct vector_words *say = vector_words_of(media);
    answer->prompt = media->vertex ? media->count : (media->text_bytes + 3) / 4;
    buf_put_str(out, str_from(say->before));
    for (uint64_t i = 0; i < media->count; i++) {
        buf_put_str(out, i > 0 ? STR(",") : STR(""));
        buf_put_str(out, str_from(say->open));
        put_vector(media, i, out);
        buf_put_str(out, str_from(say->close));
    }
    struct str head;
    struct str tail;
    bool counted = str_cut(str_from(say->behind), '%', &head, &tail);
    buf_put_str(out, head);
    if (counted)
        (void)!buf_put_u64(out, answer->prompt);
    buf_put_str(out, tail);
    return JSON_TYPE;
}

/* DALL-E's list: by quality and size; others have one price. */
static int64_t
picture_nano(const struct sim_media *media)
{
    bool wide = str_eq(media->size, STR("1792x1024")) || str_eq(media->size, STR("1024x1792"));
    bool fine = str_eq(media->quality, STR("hd"));
    if (media->endpoint != SIM_IMAGES || !str_eq(media->model, STR("dall-e-3")))
        return 0;
    return INT64_C(40000000) * (1 + (wide ? 1 : 0) + (fine ? 1 : 0));
}

const char *
media_write(const struct sim_media *media, struct sim_answer *answer, struct buf *out)
{
    answer->model = media->model;
    answer->unit_nano = picture_nano(media);
    switch (media->endpoint) {
    case SIM_IMAGES:
        return write_images(media, answer, out);
    case SIM_SPEECH:
        return write_speech(media, answer, out);
    case SIM_TRANSCRIPTIONS:
        return write_transcript(media, answer, out);
    case SIM_MODERATIONS:
        return write_moderation(media, out);
    case SIM_RERANK:
        return write_ranking(media, answer, out);
    case SIM_EMBED_GEMINI:
    case SIM_EMBED_GEMINI_1:
    case SIM_EMBED_COHERE:
    case SIM_EMBED_OLLAMA:
    case SIM_EMBED_OLLAMA_1:
    case SIM_EMBED_BEDROCK:
        return write_vectors(media, answer, out);
    case SIM_IMAGEN:
        return media->vertex ? write_vectors(media, answer, out) : write_made(media, answer, out);
    case SIM_STABILITY:
    case SIM_REPLICATE:
    case SIM_BFL:
    case SIM_CANVAS:
    case SIM_DRAW:
        return write_made(media, answer, out);
    case SIM_CHAT:
    case SIM_EMBEDDINGS:
    case SIM_MESSAGES:
    case SIM_COUNT_TOKENS:
    case SIM_GEMINI:
    case SIM_GEMINI_COUNT:
    case SIM_RESPONSES:
    case SIM_OLLAMA:
    case SIM_COHERE:
    case SIM_COMPLETIONS:
    case SIM_CONVERSE:
    case SIM_ENDPOINT_COUNT:
        break;
    }
    return JSON_TYPE;
}
