/* SPDX-License-Identifier: MIT
 * usage_lines.h - what a wallet's containers and keys used of which model: lines of an invoice.
 * Floor: controlplane/billing; engine thread.
 * Owns: nothing; lines and texts live in the caller's arena.
 * Invariant: later minus earlier is what came in between, to the last unit. invoice_test.c. */
#ifndef BERTH_CONTROLPLANE_BILLING_USAGE_LINES_H
#define BERTH_CONTROLPLANE_BILLING_USAGE_LINES_H

#include "controlplane/ledger/ledger.h"
#include "lib/text/json.h"

struct usage_line {
    struct str subject; /* container/NAME, key/NAME */
    struct str model;
    struct str provider;
    uint64_t requests;
    uint64_t count[USAGE_CLASS_COUNT];
    struct money charge;
    struct money cost;
};
struct usage_lines {
    struct usage_line *rows;
    size_t count;
    struct money charge; /* of all rows */
    struct money cost;
};
/* usage_lines_read - posted usage of one wallet since from_ms, the begin of an hour, by descending
 * charge. 0; -ERR_UNAVAILABLE (it is still being added up: later), -ERR_STORE, -ERR_RANGE,
 * -ERR_NOMEM. */
int usage_lines_read(struct ledger *ledger, struct str wallet, int64_t from_ms, struct arena *arena,
                     struct usage_lines *ret_lines, struct err *err) MUST_USE;
/* usage_lines_subtract - lines -= earlier, both of the same wallet and from_ms; what is zero then
 * is left out. -ERR_STORE: earlier has more. */
int usage_lines_subtract(struct usage_lines *lines, const struct usage_lines *earlier,
                         struct err *err) MUST_USE;
/* usage_lines_cut - at most rows_max rows: those behind are added up in the last one, with subject,
 * model and provider "(others)". */
int usage_lines_cut(struct usage_lines *lines, size_t rows_max, struct err *err) MUST_USE;
/* usage_lines_put / _scan - as JSON, for a row of ours: [["subject","model","provider",[counts of
 * requests and classes],"charge","cost"],...]. */
void usage_lines_put(struct json_writer *writer, const struct usage_lines *lines);
int usage_lines_scan(const struct json_doc *doc, uint32_t array, struct arena *arena,
                     struct usage_lines *ret_lines) MUST_USE;

#endif
