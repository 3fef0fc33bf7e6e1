/* SPDX-License-Identifier: MIT
 * request_int.h - the files that read requests, to each other.
 * Floor: tools/sim.
 * Owns: nothing.
 * Invariant: see request.h. */
#ifndef BERTH_TOOLS_SIM_REQUEST_INT_H
#define BERTH_TOOLS_SIM_REQUEST_INT_H

#include "tools/sim/request.h"

struct reader {
    const struct json_doc *doc;
    struct arena *arena;
    struct sim_request *request;
    struct buf *user; /* texts of the message that is being read */
};

/* request_text - count a string's text, and keep it as the user's when one is being read. */
void request_text(struct reader *reader, uint32_t node);
/* request_tool - the first of a list of tools, with arguments made from its schema. */
int request_tool(struct reader *reader, uint32_t tools);
/* request_other - a body of Gemini or of the Responses API. */
int request_other(struct reader *reader, struct err *err);

#endif
