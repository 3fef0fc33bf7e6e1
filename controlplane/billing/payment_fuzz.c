/* SPDX-License-Identifier: MIT
 * payment_fuzz.c - any body: what is read of it is a payment that the ledger can take.
 * Floor: controlplane/billing, fuzzing.
 * Owns: nothing.
 * Invariant: no event gives a negative, zero or absurd amount, or a name that is none. */
#include "controlplane/billing/payment.h"
#include "lib/base/check.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count);

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
    CLEANUP(arena_fini) struct arena arena;
    struct payment payment;
    arena_init(&arena, 1u << 20);
    for (size_t i = 0; i < WEBHOOK_COUNT; i++) {
        int code = payment_read((enum webhook)i, str_make((const char *)bytes, count), &arena,
                                &payment, NULL);
        if (code < 0 || payment.ignored)
            continue;
        ASSERT(payment.amount.nano > 0 && payment.amount.nano <= PAYMENT_NANO_MAX);
        ASSERT(payment.event.len > 0 && payment.event.len <= PAYMENT_ID_BYTES_MAX);
        ASSERT(payment.payment.len > 0 && payment.payment.len <= PAYMENT_ID_BYTES_MAX);
        ASSERT(payment.fee.nano >= 0 && payment.fee.nano <= PAYMENT_NANO_MAX);
        ASSERT(payment.fee_back.nano >= 0 && payment.fee_back.nano <= PAYMENT_NANO_MAX);
        ASSERT(payment.wallet.len <= LEDGER_NAME_BYTES_MAX);
        ASSERT((payment.wallet.len > 0) == (payment.kind == PAYMENT_PAID));
        bool disputed = payment.kind == PAYMENT_WITHDRAWN || payment.kind == PAYMENT_REINSTATED;
        ASSERT((payment.dispute.len > 0) == disputed);
    }
    return 0;
}
