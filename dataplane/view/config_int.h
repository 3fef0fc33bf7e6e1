/* SPDX-License-Identifier: MIT
 * config_int.h - what the files that read a config document share.
 * Floor: dataplane/view; sync thread.
 * Owns: nothing.
 * Invariant: see config.h. */
#ifndef BERTH_DATAPLANE_VIEW_CONFIG_INT_H
#define BERTH_DATAPLANE_VIEW_CONFIG_INT_H

#include "dataplane/view/config.h"

struct parser {
    const struct json_doc *doc;
    struct config *config;
    struct funds *funds;
    struct err *err;
    const char *list; /* "models" */
    uint32_t index;
};

/* config_bad - a refusal that names the record: "models[3].field: why". */
int config_bad(struct parser *parser, enum err_code code, const char *field, const char *why);
/* config_price - the member "price" of a model: every row of its tariff, into the config's arena.
 * Absent: count 0, no price is known. */
int config_price(struct parser *parser, uint32_t model_node, struct tariff *ret_tariff) MUST_USE;
/* config_scope - the member "models" of a key or a container, behind all models. Absent: NULL. */
int config_scope(struct parser *parser, uint32_t node, const struct scope **ret_scope) MUST_USE;
/* config_free_tools - the member "free_tools" of a model, likewise. */
int config_free_tools(struct parser *parser, uint32_t node,
                      const struct scope **ret_tools) MUST_USE;

#endif
