/* SPDX-License-Identifier: MIT
 * webhooks.c - payments that senders tell us about: no token, a signature instead.
 * Floor: controlplane/admin; engine thread.
 * Owns: nothing.
 * Invariant: nothing of a body is believed, or said back, before its signature fits. */
#include "controlplane/admin/admin_int.h"
#include "controlplane/billing/payment.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"

void
webhook_head(struct call *call, const struct http_head *head)
{
    enum webhook webhook;
    struct str value;
    if (!webhook_find(call->params[0], &webhook))
        return;
    struct str name = str_from(webhook_header(webhook));
    /* two of them: nobody could say which one counts */
    if (http_field_count(head, name) != 1)
        return;
    value = http_field_get(head, name);
    if (arena_dup(&call->arena, value, &call->signature) < 0)
        call->signature = STR_EMPTY;
}

static void
reply_refused(struct call *call, enum webhook webhook, int code, const struct err *err)
{
    LOG_WARN("webhook refused", LOG_C("webhook", webhook_name(webhook)), LOG_E(err));
    if (code == -ERR_UNAVAILABLE)
        reply_error(call, 400, "WEBHOOK_OFF", err->text);
    else if (code == -ERR_SIGNATURE)
        reply_error(call, 400, "SIGNATURE", err->text);
    else
        reply_err(call, code, err);
}

void
endpoint_webhook(struct call *call)
{
    static const char *const none[] = {NULL};
    enum webhook webhook;
    struct payment_receipt receipt;
    struct err err = {0};
    if (!query_known(call, none))
        return;
    if (!webhook_find(call->params[0], &webhook)) {
        reply_error(call, 404, "NOT_FOUND", "there is no webhook of this name");
        return;
    }
    int code = payment_receive(call->admin->conf.billing, webhook, call->signature,
                               http_stream_body(call->stream), clock_wall_ns() / 1000000000,
                               &call->arena, &receipt, &err);
    if (code < 0) {
        reply_refused(call, webhook, code, &err);
        return;
    }
    const struct payment *payment = &receipt.payment;
    if (receipt.credited)
        LOG_INFO("payment credited", LOG_C("webhook", webhook_name(webhook)),
                 LOG_S("event", payment->event), LOG_S("payment", payment->payment),
                 LOG_S("wallet", payment->wallet), LOG_U("transaction", receipt.transaction));
    if (receipt.corrected.nano != 0)
        LOG_WARN("payment went back, or came again", LOG_C("webhook", webhook_name(webhook)),
                 LOG_S("event", payment->event), LOG_S("payment", payment->payment),
                 LOG_S("wallet", payment->wallet), LOG_U("transaction", receipt.transaction));
    struct reply reply;
    struct json_writer *writer = reply_begin(&reply);
    json_open_object(writer);
    json_member_bool(writer, "received", true);
    json_member_bool(writer, "credited", receipt.credited);
    if (payment->ignored)
        json_member_str(writer, "ignored", str_from(payment->ignored));
    else
        reply_digits(writer, "transaction", receipt.transaction);
    if (receipt.corrected.nano != 0)
        reply_money(writer, "corrected", receipt.corrected);
    json_close_object(writer);
    reply_send(call, 200, &reply);
}
