/* SPDX-License-Identifier: MIT
 * billing.c - settings and secrets of billing.
 * Floor: controlplane/billing; engine thread.
 * Owns: struct billing.
 * Invariant: see billing.h. */
#include "controlplane/billing/billing.h"

#include <stdlib.h>

#include "controlplane/billing/billing_int.h"
#include "controlplane/billing/signature.h"

int
billing_new(const struct billing_conf *conf, struct billing **ret_billing, struct err *err)
{
    for (size_t i = 0; i < WEBHOOK_COUNT; i++) {
        if (conf->secrets[i] && secret_str(conf->secrets[i]).len < SIGNATURE_SECRET_BYTES_MIN) {
            return err_set(err, ERR_PERMISSION,
                           "%s is empty or shorter than %u bytes: anybody could sign payments with "
                           "it; set the secret of your webhook, or unset the variable",
                           webhook_variable((enum webhook)i), SIGNATURE_SECRET_BYTES_MIN);
        }
    }
    struct billing *billing = calloc(1, sizeof *billing);
    if (!billing)
        return err_set(err, ERR_NOMEM, "out of memory");
    billing->conf = *conf;
    json_init(&billing->doc);
    *ret_billing = billing;
    return 0;
}

void
billing_free(struct billing **billing)
{
    if (!*billing)
        return;
    billing_stop(*billing);
    cap_stop(*billing);
    json_fini(&(*billing)->doc);
    free(TAKE(*billing));
}

const struct billing_conf *
billing_conf(const struct billing *billing)
{
    return &billing->conf;
}
