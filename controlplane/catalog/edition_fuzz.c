/* SPDX-License-Identifier: MIT
 * edition_fuzz.c - any text: what passes can be read by whoever uses the catalogue.
 * Floor: controlplane/catalog tests.
 * Owns: nothing.
 * Invariant: see edition.h. */
#include "controlplane/catalog/edition.h"

#include "lib/base/check.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    struct str text = str_make((const char *)bytes, size);
    struct catalog_model model;
    struct catalog_model again;
    struct err err = {0};
    uint32_t version;
    uint32_t count = 0;
    uint32_t seen = 0;
    size_t cursor = 0;
    if (edition_check(text, &version, &count, &err) < 0)
        return 0;
    catalog_use(text);
    ASSERT(catalog_version() == version);
    while (catalog_next(STR_EMPTY, &cursor, &model) == 0) {
        ASSERT(catalog_find(model.id, &again) == 0 && again.pricing.ptr == model.pricing.ptr);
        seen++;
    }
    ASSERT(seen == count);
    catalog_use((struct str){NULL, 0});
    return 0;
}
