/* SPDX-License-Identifier: MIT
 * catalog.h - the catalogue inside the binary: models with prices and limits, providers with their
 *             addresses and the usual names of their keys.
 * Floor: controlplane/catalog; any thread.
 * Owns: nothing; the data lies in the binary, or in a newer edition (edition.h), and is scanned
 *       where it lies. Sources: data/README.md.
 * Invariant: a price is exact in pico-dollars or unknown, never rounded here; catalog_test.c walks
 *            the whole catalogue. */
#ifndef BERTH_CONTROLPLANE_CATALOG_CATALOG_H
#define BERTH_CONTROLPLANE_CATALOG_CATALOG_H

#include "api/tariff.h"

/* Facts of one model; strings are borrowed until the next catalog_use. context, max_output:
 * tokens, 0 = not known. pricing: its prices as they stand, for catalog_tariff; empty: none. */
struct catalog_model {
    struct str id;       /* "openai/gpt-4o-mini" */
    struct str provider; /* "openai" */
    struct str upstream; /* its name at the provider */
    struct str kind;     /* "chat", "embedding", "image_generation", ... */
    struct str aliases;  /* other names at the provider, as they stand: ["a","b"], or empty */
    uint32_t context;
    uint32_t max_output;
    struct str pricing;
    struct str input_modalities; /* as they stand: ["text","image"], or empty */
    struct str output_modalities;
    struct str capabilities; /* ["tools","vision"] */
};
/* catalog_find - by exact id. 0 or -ERR_NOT_FOUND. O(log n), one line scanned. */
int catalog_find(struct str id, struct catalog_model *ret_model) MUST_USE;
/* catalog_next - models of one provider in order of id: start with *cursor = 0; -ERR_NOT_FOUND at
 * the end. An empty provider walks everything. */
int catalog_next(struct str provider, size_t *cursor, struct catalog_model *ret_model) MUST_USE;
/* catalog_version - of the prices, as in 20260821: what charge rows name. catalog_version_of - of a
 * text of models; 0: it does not say. */
uint32_t catalog_version(void);
uint32_t catalog_version_of(struct str text);
/* catalog_use - answer from this text from now on: one that edition_check let pass, borrowed until
 * the next call; ptr NULL: the shipped one. Engine thread, with nothing borrowed.
 * catalog_text - the one in use. catalog_shipped - the one in the binary. */
void catalog_use(struct str text);
struct str catalog_text(void);
struct str catalog_shipped(void);
/* catalog_tariff - every price of a `pricing` object into the caller's rows. count 0: not known
 * (a listed price is; `free` and `local` are known to be nothing). 0; -ERR_INVALID, -ERR_TOO_LARGE:
 * not the catalogue's form.
 * catalog_pictures - prices of images by quality and size into out; returns how many. Texts are
 * borrowed for ever.
 * catalog_price_put - the "price" object of the config document (api/plane.md): version, the
 * classes of the base row that differ from what a reader assumes for those left out, and the other
 * rows. */
int catalog_tariff(struct str pricing, struct tariff_row rows[TARIFF_ROWS_MAX],
                   struct tariff *ret_tariff) MUST_USE;
size_t catalog_pictures(struct str pricing, struct tariff_picture out[TARIFF_PICTURES_MAX]);
int catalog_price_put(const struct tariff *tariff, struct buf *out) MUST_USE;

/* One provider; strings live in the arena that was given. env: names that may hold its key, in
 * order of preference, env_base: the one that may hold its base URL, or empty. dialect: as in the
 * catalogue. */
#define CATALOG_ENV_MAX 8u
struct catalog_provider {
    struct str id;
    struct str name;
    struct str dialect;
    struct str base_url;
    struct str env[CATALOG_ENV_MAX];
    uint32_t env_count;
    struct str env_base;
    struct str list_path;  /* where its models are listed, or empty: listing_url */
    struct str list_shape; /* listing_shape */
};
/* catalog_providers - all of them. Scans 64 KiB of text: call it at start, not per request. */
int catalog_providers(struct arena *arena, struct catalog_provider **ret_providers,
                      size_t *ret_count) MUST_USE;

#endif
