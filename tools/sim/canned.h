/* SPDX-License-Identifier: MIT
 * canned.h - one canned answer to every request, for benchmarks: HTTP/1.1, and HTTP/2 with prior
 *            knowledge, on one port; of a request nothing is read but its framing.
 * Floor: tools/sim; its loop's thread.
 * Owns: its connections.
 * Invariant: far cheaper than what is measured through it: no server library, no header is decoded.
 *   canned_test.c. */
#ifndef BERTH_TOOLS_SIM_CANNED_H
#define BERTH_TOOLS_SIM_CANNED_H

#include "lib/base/err.h"
#include "lib/base/str.h"
#include "lib/net/loop.h"

/* Largest body: what HTTP/2's initial window lets through without asking (RFC 9113 section 6.9.2).
 */
#define CANNED_BODY_BYTES_MAX 65535u

struct canned;

/* canned_new - answers with about `bytes` bytes of a chat completion with usage (OpenAI's; over
 * HTTP/1.1, below /v1/messages, Anthropic's). bytes: 1..CANNED_BODY_BYTES_MAX. 0; -ERR_NOMEM. */
int canned_new(struct loop *loop, size_t bytes, struct canned **ret_canned,
               struct err *err) MUST_USE;
void canned_free(struct canned **canned);
/* canned_listen - accept on listen_fd (borrowed until canned_free, non-blocking). 0; -ERR_RANGE (8
 * listeners); a code of loop_add. Thread of the loop. */
int canned_listen(struct canned *canned, int listen_fd) MUST_USE;

#endif
