/* SPDX-License-Identifier: MIT
 * search_int.h - searches of the web that a provider makes for a call: read, written, counted.
 * Floor: dataplane/dialect; any thread.
 * Owns: nothing.
 * Invariant: what a request may search is known before it is sent, since it is paid apart. Proved
 *            by carry_test.c and request_test.c. Spec: WIRE-FORMATS 3.2, 3.3. */
#ifndef BERTH_DATAPLANE_DIALECT_SEARCH_INT_H
#define BERTH_DATAPLANE_DIALECT_SEARCH_INT_H

#include "dataplane/dialect/emit_int.h"

/* search_is_tool - an element of `tools` of OpenAI's or Anthropic's that is their web search.
 * search_is_gemini - the same of Gemini's: the member that asks for it, or JSON_NONE. */
bool search_is_tool(const struct intake *in, uint32_t tool);
uint32_t search_is_gemini(const struct json_doc *doc, uint32_t tool);

/* search_tool_in - such an element as request->search; Responses only offer it. search_options_in -
 * chat completions' web_search_options. search_gemini_in - the member's value. The later of two
 * holds. */
int search_tool_in(const struct intake *in, uint32_t tool, struct chat_request *request);
int search_options_in(const struct intake *in, uint32_t node, struct chat_request *request);
int search_gemini_in(const struct intake *in, uint32_t node, struct chat_request *request);
/* search_choose - a choice of that tool by name is one of any tool. */
void search_choose(struct chat_request *request);

/* search_put_* - emit->search in the words of a dialect: an element of `tools`, or a member. 0 or
 * -ERR_UNSUPPORTED naming what cannot be said there. */
int search_put_anthropic(struct emit *emit);
int search_put_responses(struct emit *emit);
int search_put_gemini(struct emit *emit);
int search_put_openai(struct emit *emit);
/* search_put_usage - what was searched: Anthropic's member, which others write, too. */
void search_put_usage(struct json_writer *writer, const struct usage *usage);
/* search_put_tools - member "tools": each tool by `put`, then the search by `put_search`. */
int search_put_tools(struct emit *emit, int (*put)(struct emit *emit, const struct chat_tool *tool),
                     int (*put_search)(struct emit *emit));

#endif
