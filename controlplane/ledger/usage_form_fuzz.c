/* SPDX-License-Identifier: MIT
 * usage_form_fuzz.c - no bytes crash the reader or the unpacker; what they accept is JSON, and goes
 *                     through writing and packing unchanged.
 * Floor: controlplane/ledger tests.
 * Owns: nothing.
 * Invariant: see usage_form.h. */
#include "controlplane/ledger/usage_pack.h"

#include "lib/base/check.h"
#include "lib/text/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The record in `form`, written, read again and packed behind `before`. */
static void
check(const struct usage_form *form, const struct usage_form *before)
{
    CLEANUP(json_fini) struct json_doc doc;
    CLEANUP(buf_fini) struct buf text;
    CLEANUP(buf_fini) struct buf again;
    CLEANUP(buf_fini) struct buf packed;
    buf_init(&text, 1u << 20);
    buf_init(&again, 1u << 20);
    buf_init(&packed, 1u << 20);
    json_init(&doc);
    form_write(form, &text);
    ASSERT(!text.failed && json_scan(&doc, buf_str(&text), NULL, NULL) == 0);
    struct usage_form read = {0};
    ASSERT(form_read(buf_str(&text), &read) == text.len);
    pack_put(&read, before, &packed);
    struct usage_form unpacked = *before;
    struct str rest = buf_str(&packed);
    ASSERT(pack_next(&rest, &unpacked) == 1 && rest.len == 0);
    form_write(&unpacked, &again);
    ASSERT(str_eq(buf_str(&again), buf_str(&text)));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str rest = str_make((const char *)data, size);
    struct usage_form forms[2] = {0};
    if (size > 65536)
        return 0;
    for (unsigned i = 0; size > 0 && data[0] == '{'; i ^= 1) {
        size_t used = form_read(rest, &forms[i]);
        if (used == 0)
            return 0;
        check(&forms[i], &forms[i ^ 1]);
        rest = str_skip(rest, used + 1);
    }
    for (unsigned i = 0;; i ^= 1) {
        struct usage_form before = forms[i ^ 1];
        forms[i] = before;
        if (pack_next(&rest, &forms[i]) != 1)
            return 0;
        check(&forms[i], &before);
    }
}
