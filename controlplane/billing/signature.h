/* SPDX-License-Identifier: MIT
 * signature.h - "t=TIME,v1=HEX[,v1=HEX...]": who sent this webhook, and when (Stripe's scheme).
 * Floor: controlplane/billing; any thread.
 * Owns: nothing; values. `time` points into the header.
 * Invariant: a body passes only with a MAC over TIME.BODY under our secret and a TIME within the
 *            tolerance, in constant time. Proved by signature_test.c and signature_fuzz.c. */
#ifndef BERTH_CONTROLPLANE_BILLING_SIGNATURE_H
#define BERTH_CONTROLPLANE_BILLING_SIGNATURE_H

#include "lib/base/digest.h"

#define SIGNATURE_HEADER_BYTES_MAX 4096u
#define SIGNATURE_COUNT_MAX 16u /* one a secret that the sender rolls over */
#define SIGNATURE_TOLERANCE_S 300
#define SIGNATURE_SECRET_BYTES_MIN 16u

struct signature {
    struct str time; /* as written: it is what was signed */
    int64_t at_s;    /* seconds since 1970 */
    uint8_t macs[SIGNATURE_COUNT_MAX][SHA256_BYTES];
    size_t count;
};
/* signature_read - the value of the header. Exactly one t, 1..16 v1 of 64 hex digits; other schemes
 * (v0) are skipped, anything malformed is refused. 0, -ERR_SIGNATURE. */
int signature_read(struct str header, struct signature *ret_signature, struct err *err) MUST_USE;
/* signature_check - secret: >= SIGNATURE_SECRET_BYTES_MIN bytes (ASSERT); body: the raw bytes as
 * they came; now_s: wall clock. 0; -ERR_SIGNATURE, -ERR_NOMEM.
 * Spec: docs.stripe.com/webhooks/signature "Verify webhook signatures manually". */
int signature_check(const struct signature *signature, struct str secret, struct str body,
                    int64_t now_s, struct err *err) MUST_USE;

#endif
