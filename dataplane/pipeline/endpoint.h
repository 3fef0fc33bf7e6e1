/* SPDX-License-Identifier: MIT
 * endpoint.h - a path that clients call, and what it speaks.
 * Floor: dataplane/pipeline; any thread.
 * Owns: nothing; static rows of front/endpoints.def.
 * Invariant: every endpoint answers errors in its own dialect. */
#ifndef BERTH_DATAPLANE_PIPELINE_ENDPOINT_H
#define BERTH_DATAPLANE_PIPELINE_ENDPOINT_H

#include "dataplane/dialect/dialect.h"

struct endpoint {
    struct str method;
    struct str version; /* "/v1" or "/v1beta": which one matters for paths without a model */
    struct str path;    /* below it, as in "/chat/completions"; "{model}" stands for any name */
    const struct dialect *dialect;
    enum chat_endpoint kind;
    bool list_models; /* GET models: answered by the front itself */
    bool stream;      /* the path asks for a stream */
};

#endif
