/* SPDX-License-Identifier: MIT
 * model_price.h - what a Model object says its model costs.
 * Floor: controlplane/snapshot; engine thread.
 * Owns: nothing.
 * Invariant: an owner's price replaces the catalogue's as a whole, and a price that does not hold
 *            together is no price: paid use is refused, not guessed. snapshot_test.c. */
#ifndef BERTH_CONTROLPLANE_SNAPSHOT_MODEL_PRICE_H
#define BERTH_CONTROLPLANE_SNAPSHOT_MODEL_PRICE_H

#include "api/tariff.h"
#include "controlplane/catalog/seen.h"
#include "controlplane/object/object.h"

/* model_price - rows: of the caller. Without any price of its own: the catalogue's for the model of
 * that name. count 0: not known. */
void model_price(const struct object *object, struct tariff_row rows[TARIFF_ROWS_MAX],
                 struct tariff *ret_tariff);
/* model_price_listed - where the provider's own list names another price than *tariff, exactly,
 * that is the price: from the day that it was first seen. rows: those of *tariff. */
void model_price_listed(const struct seen_model *live, struct tariff_row rows[TARIFF_ROWS_MAX],
                        struct tariff *tariff);

#endif
