/* SPDX-License-Identifier: MIT
 * carry_int.h - what the carriers share, and they themselves.
 * Floor: dataplane/media; any thread.
 * Owns: nothing.
 * Invariant: see carry.h. */
#ifndef BERTH_DATAPLANE_MEDIA_CARRY_INT_H
#define BERTH_DATAPLANE_MEDIA_CARRY_INT_H

#include "dataplane/media/carry.h"

/* carry_given - a member of the request that is neither absent nor null, or JSON_NONE. */
uint32_t carry_given(const struct json_doc *doc, struct str name);
/* carry_dropped - names of the members of an object that are not among known[count], as a header
 * may have them, into the arena. */
int carry_dropped(const struct json_doc *doc, uint32_t object, const char *const *known,
                  size_t count, struct arena *arena, struct str *ret_names) MUST_USE;

/* OpenAI's request for images. prompt: its node, a string, or JSON_NONE where the rules have none.
 * aspect: "16:9", or NULL: the model's. size: "1024x1024" as it was said, with the aspect. */
struct picture {
    uint32_t prompt;
    uint64_t count;
    const char *aspect;
    const char *size;
};
/* What a vendor can. most: images that one call can ask for. format: his own response_format. own:
 * a field of his that callers may say, too, or NULL. silent: there is no prompt. unsized: the size
 * is the given picture's. */
struct picture_rules {
    uint64_t most;
    const char *format;
    const char *own;
    bool silent;
    bool unsized;
};
/* picture_read - what would change the picture and has no place there is refused, the rest goes to
 * ret_wish. */
int picture_read(const struct json_doc *doc, struct arena *arena, const struct picture_rules *rules,
                 struct picture *ret_picture, struct carry_wish *ret_wish,
                 struct err *err) MUST_USE;
/* picture_put - one more element of an answer's `data`, where the node is a string that says
 * something. member: "b64_json" or "url". */
void picture_put(const struct json_doc *doc, uint32_t node, const char *member, uint64_t *made,
                 struct buf *out);
/* retouch_quote - a picture of a letter, in base64 and quotes; as_url: a data URL, which says its
 * type. retouch_list - all of them, behind `open` and before a bracket. */
void retouch_quote(const struct letter_picture *picture, bool as_url, struct draft *draft);
void retouch_list(const struct letter *letter, bool as_url, struct str open, struct draft *draft);
/* retouch_strength - how much of a given picture is drawn anew, of 1: `strength`, or the usual, as
 * JSON. 0; -ERR_INVALID, -ERR_NOMEM. */
int retouch_strength(const struct json_doc *doc, struct arena *arena, struct str *ret_text,
                     struct err *err) MUST_USE;
/* The answers and tickets of those who draw after a picture as they do after words. */
int picture_answer(const struct json_doc *doc, const struct carry_wish *wish, struct buf *out,
                   struct usage *ret_usage) MUST_USE;
int made_stability(const struct json_doc *doc, const struct carry_wish *wish, struct buf *out,
                   struct usage *ret_usage) MUST_USE;
int made_replicate(const struct json_doc *doc, const struct carry_wish *wish, struct buf *out,
                   struct usage *ret_usage) MUST_USE;
int made_replicate_ticket(const struct json_doc *doc, struct arena *arena,
                          struct ticket *ret_ticket) MUST_USE;
int made_bfl(const struct json_doc *doc, const struct carry_wish *wish, struct buf *out,
             struct usage *ret_usage) MUST_USE;
int made_bfl_ticket(const struct json_doc *doc, struct arena *arena,
                    struct ticket *ret_ticket) MUST_USE;
/* picture_config - how a model that talks and draws is told to draw; and the request's end. */
void picture_config(const struct picture *picture, struct buf *out);

/* ---- embed.c, picture.c, made.c, canvas.c, retouch.c ----------------------------------------- */
extern const struct carrier carrier_embed_gemini;
extern const struct carrier carrier_embed_vertex;
extern const struct carrier carrier_embed_cohere;
extern const struct carrier carrier_embed_ollama;
extern const struct carrier carrier_embed_bedrock;
extern const struct carrier carrier_picture_gemini;
extern const struct carrier carrier_picture_stability;
extern const struct carrier carrier_picture_replicate;
extern const struct carrier carrier_picture_bfl;
extern const struct carrier carrier_picture_bedrock;
extern const struct carrier carrier_edit_gemini;
extern const struct carrier carrier_edit_stability;
extern const struct carrier carrier_edit_replicate;
extern const struct carrier carrier_edit_bfl;
extern const struct carrier carrier_edit_bedrock;
extern const struct carrier carrier_vary_replicate;
extern const struct carrier carrier_vary_bfl;
extern const struct carrier carrier_vary_bedrock;

#endif
