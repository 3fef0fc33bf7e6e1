/* SPDX-License-Identifier: MIT
 * request_fuzz.c - any bytes as a request of each endpoint, and the answers made of it.
 * Floor: tools/sim, fuzz target.
 * Owns: nothing.
 * Invariant: no crash; the chunks of an answer cover it exactly once. */
#include <stdint.h>

#include "lib/base/check.h"
#include "tools/sim/answer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str body = str_make((const char *)data, size);
    for (unsigned endpoint = SIM_CHAT; endpoint < SIM_ENDPOINT_COUNT; endpoint++) {
        struct json_doc doc;
        struct arena arena;
        struct sim_request request = {.model = STR_EMPTY};
        struct sim_answer answer;
        struct directives directives = {0};
        struct err err;
        json_init(&doc);
        arena_init(&arena, 1u << 22);
        if (request_parse(body, (enum sim_endpoint)endpoint, &doc, &arena, &request, &err) == 0) {
            (void)!directives_parse(&directives, directives_in_text(request.last_user), &err);
            answer_make(&request, &directives, &answer);
            uint64_t end = 0;
            uint64_t pieces = answer.tool_call ? answer.tool_arguments.len : answer.words;
            for (uint64_t i = 0; i < answer.chunk_count && i < 1000; i++) {
                uint64_t from = 0;
                uint64_t to = 0;
                answer_chunk_span(&answer, i, &from, &to);
                ASSERT(from == end && to >= from && to <= pieces);
                end = to;
            }
            ASSERT(answer.chunk_count > 1000 || end == pieces || endpoint >= SIM_COUNT_TOKENS ||
                   endpoint == SIM_EMBEDDINGS);
        }
        json_fini(&doc);
        arena_fini(&arena);
    }
    return 0;
}
