/* SPDX-License-Identifier: MIT
 * embed_int.h - the data files as texts.
 * Floor: controlplane/catalog, private to the folder.
 * Owns: nothing.
 * Invariant: see embed.c. */
#ifndef BERTH_CONTROLPLANE_CATALOG_EMBED_INT_H
#define BERTH_CONTROLPLANE_CATALOG_EMBED_INT_H

#include "lib/base/str.h"

struct str embed_models(void);
struct str embed_providers(void);

#endif
