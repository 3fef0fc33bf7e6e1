/* SPDX-License-Identifier: MIT
 * models.h - GET /v1/models and /v1/models/ID in the caller's dialect.
 * Floor: dataplane/front; the worker's thread.
 * Owns: nothing.
 * Invariant: what is listed can be called by its id, by this caller. front_models_test.c. */
#ifndef BERTH_DATAPLANE_FRONT_MODELS_H
#define BERTH_DATAPLANE_FRONT_MODELS_H

#include "dataplane/pipeline/exchange.h"

/* models_answer - answer and settle; one model when the exchange's facts name one, else all and the
 * routes as route/NAME. dialect: whose shape, with modalities, capabilities and prices (decimal
 * dollars a million tokens) as extra fields, OpenAI's with the context length too. mistral: his
 * SDK's members in OpenAI's shape, with capabilities as he says them. Models that
 * nobody may call because their price is not known are not in the list. */
void models_answer(struct exchange *exchange, const struct dialect *dialect, bool mistral);

#endif
