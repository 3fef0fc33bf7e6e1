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

/* OpenAI's request for images. prompt: its node, a string. aspect: "16:9", or NULL: the model's.
 * size: "1024x1024" as it was said, with the aspect. */
struct picture {
    uint32_t prompt;
    uint64_t count;
    const char *aspect;
    const char *size;
};
/* picture_read - most: images that one call can ask for; format: the vendor's own response_format.
 * What would change the picture and has no place there is refused, the rest goes to ret_wish. */
int picture_read(const struct json_doc *doc, struct arena *arena, uint64_t most, const char *format,
                 struct picture *ret_picture, struct carry_wish *ret_wish,
                 struct err *err) MUST_USE;

/* ---- embed.c, picture.c, made.c -------------------------------------------------------------- */
extern const struct carrier carrier_embed_gemini;
extern const struct carrier carrier_embed_vertex;
extern const struct carrier carrier_embed_cohere;
extern const struct carrier carrier_embed_ollama;
extern const struct carrier carrier_embed_bedrock;
extern const struct carrier carrier_picture_gemini;
extern const struct carrier carrier_picture_stability;
extern const struct carrier carrier_picture_replicate;
extern const struct carrier carrier_picture_bfl;

#endif
