/* SPDX-License-Identifier: MIT
 * listing.h - what a provider says it serves: where its list stands, and reading a page of it.
 * Floor: controlplane/catalog; any thread.
 * Owns: nothing; texts live in the arena that was given.
 * Invariant: a page that does not hold together gives no model at all; names that could not be
 *            asked for are left out and counted. listing_test.c, listing_fuzz.c. */
#ifndef BERTH_CONTROLPLANE_CATALOG_LISTING_H
#define BERTH_CONTROLPLANE_CATALOG_LISTING_H

#include "api/money.h"
#include "lib/base/arena.h"
#include "lib/text/json.h"

#define LISTING_MODELS_MAX 5000u
#define LISTING_PAGES_MAX 20u
#define LISTING_NAME_BYTES_MAX 180u
#define LISTING_CURSOR_BYTES_MAX 1024u

/* How a list is written: one row a dialect, and one for vendors that differ. */
struct listing_shape {
    const char *name;   /* as in list_models.shape of providers.json */
    const char *items;  /* member with the models; "" = the whole is the list */
    const char *id;     /* member with the name */
    const char *prefix; /* taken off the name */
    const char *cursor; /* member with where to go on; "" = one page */
    const char *more;   /* member that says whether there is more; "" = the cursor's being there */
    const char *parameter; /* of the next page's query */
};

/* kind: "chat", "embedding" or "" (neither, or not said). context, max_output: tokens, 0 = not
 * said. prompt, completion, cached: decimal US dollars a token as the list has them, or empty. */
struct listed {
    struct str name;
    struct str kind;
    uint32_t context;
    uint32_t max_output;
    struct str prompt;
    struct str completion;
    struct str cached;
};
struct listing {
    struct listed *models; /* sorted by name after listing_seal */
    size_t count;
    size_t cap;
    size_t left_out;
};

/* listing_dup - a copy with texts in the arena. 0 or -ERR_NOMEM. */
int listing_dup(const struct listed *listed, struct arena *arena, struct listed *ret_copy) MUST_USE;
/* listing_shape - by name, or NULL: not one that we read. listing_of_dialect - path (below the base
 * URL) and shape where the catalogue says nothing of the provider; NULL: it has no list. */
const struct listing_shape *listing_shape(struct str name);
const struct listing_shape *listing_of_dialect(struct str dialect, const char **ret_path);
/* listing_url - of a page: base URL and path put together; cursor empty: the first. A path that
 * begins as the base's own does stands for both. ptr NULL: no memory, or it makes no sense. */
struct str listing_url(struct str base, struct str path, const struct listing_shape *shape,
                       struct str cursor, struct arena *arena);
void listing_init(struct listing *listing);
void listing_fini(struct listing *listing);
/* listing_read - add a page; *ret_cursor: of the next, or empty. 0; -ERR_INVALID: no list in that
 * shape; -ERR_TOO_LARGE; errors of json_scan; -ERR_NOMEM. */
int listing_read(struct listing *listing, struct str page, const struct listing_shape *shape,
                 struct arena *arena, struct str *ret_cursor, struct err *err) MUST_USE;
/* listing_seal - after the last page: sorted, each name once. */
void listing_seal(struct listing *listing);
/* listing_find - by name, or NULL. Sealed. */
const struct listed *listing_find(const struct listing *listing, struct str name);

#endif
