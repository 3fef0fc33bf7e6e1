/* SPDX-License-Identifier: MIT
 * webhook.h - who may tell us about payments: the rows of webhooks.def.
 * Floor: controlplane/billing; any thread.
 * Owns: nothing.
 * Invariant: one row a sender; its reader is payment_read_NAME. payment_test.c walks them. */
#ifndef BERTH_CONTROLPLANE_BILLING_WEBHOOK_H
#define BERTH_CONTROLPLANE_BILLING_WEBHOOK_H

#include <stdbool.h>

#include "lib/base/str.h"

enum webhook {
#define WEBHOOK_ROW(name, header, variable, text) WEBHOOK_##name,
#include "controlplane/billing/webhooks.def"
#undef WEBHOOK_ROW
    WEBHOOK_COUNT
};

const char *webhook_name(enum webhook webhook);     /* "stripe"; static */
const char *webhook_header(enum webhook webhook);   /* of the signature, lower case */
const char *webhook_variable(enum webhook webhook); /* environment of the control plane */
/* webhook_find - by name; false when there is none. */
bool webhook_find(struct str name, enum webhook *ret_webhook) MUST_USE;

#endif
