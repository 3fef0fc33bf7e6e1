/* SPDX-License-Identifier: MIT
 * layer.h - one step of the pipeline: looks at a request on the way in, settles on the way out.
 * Floor: dataplane/pipeline; the worker's thread.
 * Owns: nothing; a layer keeps its state in the exchange.
 * Invariant: layers never call each other; pipeline.c runs them in the order of layers.def, and
 * calls `settle` in reverse order for exactly those whose `request` was called. */
#ifndef BERTH_DATAPLANE_PIPELINE_LAYER_H
#define BERTH_DATAPLANE_PIPELINE_LAYER_H

#include "lib/base/cc.h"

struct exchange;

enum layer_verdict {
    LAYER_NEXT,   /* go on */
    LAYER_ANSWER, /* the layer has answered (exchange_answer): settle and end */
    LAYER_WAIT,   /* parked; the layer will call pipeline_resume, which calls `request` again */
    LAYER_FAIL    /* refused: exchange.refusal says how */
};
/* HEAD layers run before the body is read (a bad token costs no body), BODY layers on the whole. */
enum layer_stage { LAYER_HEAD, LAYER_BODY };

struct layer {
    const char *name;
    enum layer_stage stage;
    enum layer_verdict (*request)(struct exchange *exchange);
    void (*settle)(struct exchange *exchange); /* may be NULL */
};

#define LAYER_ROW(name, text) extern const struct layer layer_##name;
#include "dataplane/pipeline/layers.def"
#undef LAYER_ROW

/* Rows of layers.def, in order; the last one is followed by NULL. */
extern const struct layer *const layer_table[];

#endif
