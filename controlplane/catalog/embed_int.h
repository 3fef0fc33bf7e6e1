/* SPDX-License-Identifier: MIT
 * embed_int.h - the data files as texts, and the lines of a text of models.
 * Floor: controlplane/catalog, private to the folder.
 * Owns: nothing.
 * Invariant: see embed.c. */
#ifndef BERTH_CONTROLPLANE_CATALOG_EMBED_INT_H
#define BERTH_CONTROLPLANE_CATALOG_EMBED_INT_H

#include "controlplane/catalog/catalog.h"

struct str embed_models(void);
struct str embed_providers(void);

/* catalog_lines - behind the line `"models":[`; empty when there is none. catalog_line - the one at
 * an offset, without its end. catalog_line_id - empty when it is no model's. catalog_read_line -
 * 0, or an error of json_scan. */
struct str catalog_lines(struct str text);
struct str catalog_line(struct str lines, size_t offset);
struct str catalog_line_id(struct str line);
int catalog_read_line(struct str line, struct catalog_model *ret_model) MUST_USE;

#endif
