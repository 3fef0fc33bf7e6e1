/* SPDX-License-Identifier: MIT
 * request.h - what the simulator understands of a request in the OpenAI or Anthropic dialect.
 * Floor: tools/sim; one thread at a time.
 * Owns: nothing: texts live in the arena that was given or in the body.
 * Invariant: token counts follow one rule (README of --help): prompt tokens = (bytes of all texts
 *            + 3) / 4 + 3 a message, a system text being one message. request_test.c. */
#ifndef BERTH_TOOLS_SIM_REQUEST_H
#define BERTH_TOOLS_SIM_REQUEST_H

#include "lib/text/json.h"
#include "tools/sim/directive.h"

enum sim_endpoint {
    SIM_CHAT,           /* POST /v1/chat/completions */
    SIM_EMBEDDINGS,     /* POST /v1/embeddings */
    SIM_MESSAGES,       /* POST /v1/messages */
    SIM_COUNT_TOKENS,   /* POST /v1/messages/count_tokens */
    SIM_GEMINI,         /* POST /v1beta/models/MODEL:generateContent, :streamGenerateContent */
    SIM_GEMINI_COUNT,   /* POST /v1beta/models/MODEL:countTokens */
    SIM_RESPONSES,      /* POST /v1/responses */
    SIM_OLLAMA,         /* POST /api/chat */
    SIM_COHERE,         /* POST /v2/chat */
    SIM_COMPLETIONS,    /* POST /v1/completions */
    SIM_CONVERSE,       /* POST /model/MODEL/converse, /converse-stream */
    SIM_IMAGES,         /* POST /v1/images/generations, edits, variations: media.h */
    SIM_SPEECH,         /* POST /v1/audio/speech */
    SIM_TRANSCRIPTIONS, /* POST /v1/audio/transcriptions, translations */
    SIM_MODERATIONS,    /* POST /v1/moderations */
    SIM_RERANK,         /* POST /v1/rerank, /v2/rerank */
    SIM_EMBED_GEMINI,   /* POST /v1beta/models/MODEL:batchEmbedContents */
    SIM_EMBED_GEMINI_1, /* POST /v1beta/models/MODEL:embedContent */
    SIM_EMBED_COHERE,   /* POST /v2/embed */
    SIM_EMBED_OLLAMA,   /* POST /api/embed */
    SIM_EMBED_OLLAMA_1, /* POST /api/embeddings */
    SIM_EMBED_BEDROCK,  /* POST /model/MODEL/invoke: Titan's */
    SIM_IMAGEN,         /* POST /v1beta/models/MODEL:predict, Vertex's embeddings too */
    SIM_STABILITY,      /* POST /v2beta/stable-image/generate/SERVICE */
    SIM_REPLICATE,      /* POST /v1/models/OWNER/NAME/predictions */
    SIM_BFL,            /* POST /v1/flux-...: a ticket */
    SIM_CANVAS,         /* POST /model/MODEL/invoke: Nova Canvas, Titan's images: redraw.h */
    SIM_DRAW,           /* POST /v1beta/models/MODEL:generateContent of one that draws */
    SIM_ENDPOINT_COUNT
};

struct sim_request {
    enum sim_endpoint endpoint;
    struct str model;
    bool stream;
    bool include_usage;
    bool last_is_user; /* the last message, a system's aside, is a user's text */
    uint64_t text_bytes;
    uint64_t message_count;
    uint64_t max_tokens;       /* UINT64_MAX when absent */
    struct str last_user;      /* all texts of the last user message, joined by newlines */
    struct str tools;          /* as they were written, or empty */
    struct str tool_name;      /* of the first tool, or empty */
    struct str tool_arguments; /* JSON object made from its schema */
    struct str document;       /* the same for the schema that the answer has to keep, or empty */
    /* embeddings */
    struct str *inputs;
    size_t input_count;
    uint64_t dimensions;
    bool base64;
};

/* request_parse - doc is scratch. In: model and stream, where the path says them. 0; -ERR_PARSE and
 * friends of the scanner, -ERR_INVALID: the text is fit for the caller. */
int request_parse(struct str body, enum sim_endpoint endpoint, struct json_doc *doc,
                  struct arena *arena, struct sim_request *ret_request, struct err *err) MUST_USE;
uint64_t request_prompt_tokens(const struct sim_request *request);

#endif
