/* SPDX-License-Identifier: MIT
 * settings.c - endpoints about what the owner configured: markup, fee, ways to pay, tokens.
 * Floor: controlplane/admin; engine thread.
 * Owns: nothing.
 * Invariant: secrets are said to be there or not, nothing else. */
#include "controlplane/admin/admin_int.h"
#include "controlplane/billing/payment.h"

#define PAYMENT_MIN ((struct money){MONEY_NANO_PER_USD / 100})

void
endpoint_settings(struct call *call)
{
    static const char *const none[] = {NULL};
    const struct billing_conf *billing = billing_conf(call->admin->conf.billing);
    if (!query_known(call, none))
        return;
    struct reply reply;
    struct json_writer *writer = reply_begin(&reply);
    json_open_object(writer);
    json_member_u64(writer, "markup_bps", billing->markup_bps);
    json_member_u64(writer, "transfer_fee_bps", billing->fee_bps);
    json_key(writer, "webhooks");
    json_open_object(writer);
    for (size_t i = 0; i < WEBHOOK_COUNT; i++)
        json_member_bool(writer, webhook_name((enum webhook)i), billing->secrets[i] != NULL);
    json_close_object(writer);
    json_member_str(writer, "container_tokens",
                    call->admin->conf.engine->conf.settings.container_tags ? STR("tag")
                                                                           : STR("strict"));
    json_member_str(writer, "invoices", billing->loop ? STR("monthly") : STR("on demand"));
    json_close_object(writer);
    reply_send(call, 200, &reply);
}

void
endpoint_payment_availability(struct call *call)
{
    static const char *const none[] = {NULL};
    const struct billing_conf *billing = billing_conf(call->admin->conf.billing);
    if (!query_known(call, none))
        return;
    struct reply reply;
    struct json_writer *writer = reply_begin(&reply);
    json_open_object(writer);
    for (size_t i = 0; i < WEBHOOK_COUNT; i++) {
        json_key(writer, webhook_name((enum webhook)i));
        json_open_object(writer);
        json_member_bool(writer, "enabled", billing->secrets[i] != NULL);
        reply_money(writer, "min_usd", PAYMENT_MIN);
        reply_money(writer, "max_usd", (struct money){PAYMENT_NANO_MAX});
        json_close_object(writer);
    }
    json_member_u64(writer, "ai_credit_fee_bps", billing->fee_bps);
    json_close_object(writer);
    reply_send(call, 200, &reply);
}
