/* SPDX-License-Identifier: MIT
 * usage_record.h - what the ledger needs to know of a usage record (api/plane.md).
 * Floor: controlplane/ledger; the engine thread.
 * Owns: nothing; the fields point into the record's text.
 * Invariant: 0 <= cost <= charge <= LEDGER_CHARGE_NANO_MAX and the names are valid, or it is
 *            poison. Proved in usage_test.c and usage_record_fuzz.c. */
#ifndef BERTH_CONTROLPLANE_LEDGER_USAGE_RECORD_H
#define BERTH_CONTROLPLANE_LEDGER_USAGE_RECORD_H

#include "controlplane/ledger/usage_form.h"
#include "lib/text/json.h"

#define USAGE_RECORD_BYTES_MAX 65536u

struct usage_record {
    struct str wallet;
    struct str provider; /* empty only when charge is 0 */
    struct str subject;  /* empty: it says none */
    int64_t at_ms;       /* 0: it says none */
    int64_t charge;      /* nano-USD */
    int64_t cost;
};

/* usage_record_read - text borrowed; seq: what the record must say it is; doc: scratch.
 * 0; -ERR_INVALID: poison, err says why; -ERR_NOMEM. */
int usage_record_read(struct json_doc *doc, struct str text, uint64_t seq,
                      struct usage_record *ret_record, struct err *err) MUST_USE;
/* usage_record_of - the same of a record that form_read took. 0, -ERR_INVALID. */
int usage_record_of(const struct usage_form *form, uint64_t seq, struct usage_record *ret_record,
                    struct err *err) MUST_USE;

#endif
