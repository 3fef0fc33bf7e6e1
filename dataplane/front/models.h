/* SPDX-License-Identifier: MIT
 * models.h - GET /v1/models in the caller's dialect.
 * Floor: dataplane/front; the worker's thread.
 * Owns: nothing.
 * Invariant: what is listed can be called by its id. */
#ifndef BERTH_DATAPLANE_FRONT_MODELS_H
#define BERTH_DATAPLANE_FRONT_MODELS_H

#include "dataplane/pipeline/exchange.h"

/* models_answer - answer and settle. dialect: whose shape; OpenAI's has context length, modalities
 * and prices (decimal dollars a million tokens) as extra fields. Models that nobody may call
 * because their price is not known are left out. */
void models_answer(struct exchange *exchange, const struct dialect *dialect);

#endif
