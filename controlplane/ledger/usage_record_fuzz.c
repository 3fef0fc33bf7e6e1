/* SPDX-License-Identifier: MIT
 * usage_record_fuzz.c - no bytes crash the reader, and what it accepts is within bounds.
 * Floor: controlplane/ledger tests.
 * Owns: nothing.
 * Invariant: see usage_record.h. */
#include "controlplane/ledger/usage_record.h"

#include "controlplane/ledger/ledger.h"
#include "lib/base/check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct json_doc doc;
    struct usage_record record = {0};
    json_init(&doc);
    if (usage_record_read(&doc, str_make((const char *)data, size), 7, &record, NULL) == 0) {
        ASSERT(record.cost >= 0 && record.cost <= record.charge);
        ASSERT(record.charge <= LEDGER_CHARGE_NANO_MAX && ledger_name_valid(record.wallet));
        ASSERT(record.charge == 0 || ledger_name_valid(record.provider));
    }
    json_fini(&doc);
    return 0;
}
