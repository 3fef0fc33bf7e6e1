/* SPDX-License-Identifier: MIT
 * seen.h - what a provider has listed so far, and what follows when a model is listed no more.
 * Floor: controlplane/catalog; any thread.
 * Owns: its models; texts are copies of its own.
 * Invariant: a model is taken away only after two scheduled scans in a row did not list it, each
 *            confirmed; never by a scan that lost more than half of them, never by hand.
 *            seen_test.c. */
#ifndef BERTH_CONTROLPLANE_CATALOG_SEEN_H
#define BERTH_CONTROLPLANE_CATALOG_SEEN_H

#include "controlplane/catalog/listing.h"

#define SEEN_MISSING_MAX 2u /* scans without it until it is taken away */
#define SEEN_VANISH_MIN 5u  /* more than so many, and more than half: the list is to be blamed */
#define SEEN_SUSPECT_EVENT_MAX 3u /* such scans in a row until somebody is told */
#define SEEN_BYTES_MAX (1000u * 1024u)

/* as: what the list last said of it. missing: scheduled scans in a row without it. gone: taken
 * away. priced_ms: when its price became what it is. */
struct seen_model {
    struct listed as;
    uint32_t missing;
    bool gone;
    int64_t since_ms;
    int64_t priced_ms;
};
struct seen {
    struct arena arena;
    struct seen_model *models; /* sorted by name */
    size_t count;
    uint32_t suspect; /* scans in a row that lost most of it */
    int64_t scanned_ms;
};

enum seen_news {
    SEEN_ADDED,
    SEEN_RETURNED,
    SEEN_DISABLED,
    SEEN_REPRICED,
    SEEN_RESIZED, /* another context */
    SEEN_MISSING,
    SEEN_NEWS
};
typedef void (*seen_news_fn)(enum seen_news news, struct str name, void *user);
const char *seen_news_name(enum seen_news news);

void seen_init(struct seen *seen);
void seen_fini(struct seen *seen);
/* seen_read - from its row in the store. 0; -ERR_INVALID, errors of json_scan, -ERR_NOMEM. */
int seen_read(struct seen *seen, struct str text) MUST_USE;
/* seen_put - the members of the row, into an object that the caller opened. */
void seen_put(const struct seen *seen, struct json_writer *writer);
/* seen_find - by name, or NULL. */
const struct seen_model *seen_find(const struct seen *seen, struct str name);
/* seen_retire - taken away though no list says so: its provider answered that there is no such
 * model. A list that has it brings it back. 0; -ERR_NOMEM, -ERR_TOO_LARGE. */
int seen_retire(struct seen *seen, struct str name, int64_t now_ms) MUST_USE;
/* seen_missing - how many models of ours a sealed listing lacks that are not gone yet. */
size_t seen_missing(const struct seen *seen, const struct listing *listing);
/* seen_apply - a sealed listing that is not empty holds, with everything that confirming found.
 * by_hand: nothing is counted as missing. news: called for each model that changed, SEEN_MISSING
 * for those that are absent but stay. *ret_suspect: the scan lost most of them and changed nothing
 * about what is missing. 0; -ERR_NOMEM, -ERR_TOO_LARGE: nothing changed. */
int seen_apply(struct seen *seen, const struct listing *listing, bool by_hand, int64_t now_ms,
               seen_news_fn news, void *user, bool *ret_suspect) MUST_USE;

#endif
