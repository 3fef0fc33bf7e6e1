/* SPDX-License-Identifier: MIT
 * h2_mem.h - nghttp2's allocator: the many small things of a request come from lib/base/piece.h.
 * Floor: lib/http, private; any thread.
 * Owns: nothing.
 * Invariant: none beyond piece.h's. */
#ifndef BERTH_LIB_HTTP_H2_MEM_H
#define BERTH_LIB_HTTP_H2_MEM_H

#include <nghttp2/nghttp2.h>

/* h2_mem - for nghttp2_session_client_new3 and _server_new3, which copy it. Static. */
nghttp2_mem *h2_mem(void);

#endif
