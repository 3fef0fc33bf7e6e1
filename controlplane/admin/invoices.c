/* SPDX-License-Identifier: MIT
 * invoices.c - endpoints of invoices: list, read as JSON or PDF, issue now.
 * Floor: controlplane/admin; engine thread.
 * Owns: nothing.
 * Invariant: no endpoint changes an invoice. */
#include "controlplane/admin/admin_int.h"
#include "controlplane/billing/invoice.h"
#include "lib/text/tree.h"

#define PDF_BYTES_MAX (16u << 20)

static bool
invoice_of(struct call *call, struct invoice_row *ret_row)
{
    static const char *const none[] = {NULL};
    struct err err = {0};
    if (!query_known(call, none))
        return false;
    int code = invoice_get(call->admin->conf.billing, call->params[0], &call->arena, ret_row, &err);
    if (code < 0)
        reply_err(call, code, &err);
    return code == 0;
}

void
endpoint_invoice_list(struct call *call)
{
    struct str wallet;
    uint64_t before;
    uint64_t limit;
    struct invoice_row *rows;
    size_t count;
    uint64_t next;
    struct err err = {0};
    if (!query_page(call, STR_EMPTY, &wallet, &before, &limit))
        return;
    int code = invoice_list(call->admin->conf.billing, wallet, before, limit, &call->arena, &rows,
                            &count, &next, &err);
    if (code < 0) {
        reply_err(call, code, &err);
        return;
    }
    struct reply reply;
    struct json_writer *writer = reply_begin(&reply);
    json_open_object(writer);
    json_key(writer, "invoices");
    json_open_array(writer);
    for (size_t i = 0; i < count; i++)
        json_value_raw(writer, rows[i].text);
    json_close_array(writer);
    if (next > 0)
        reply_digits(writer, "next", next);
    json_close_object(writer);
    reply_send(call, 200, &reply);
}

static void
reply_invoice(struct call *call, unsigned status, const struct invoice_row *row)
{
    struct reply reply;
    struct json_writer *writer = reply_begin(&reply);
    json_value_raw(writer, row->text);
    reply_send(call, status, &reply);
}

void
endpoint_invoice_get(struct call *call)
{
    struct invoice_row row;
    if (invoice_of(call, &row))
        reply_invoice(call, 200, &row);
}

void
endpoint_invoice_pdf(struct call *call)
{
    struct invoice_row row;
    struct err err = {0};
    CLEANUP(buf_fini) struct buf pdf;
    buf_init(&pdf, PDF_BYTES_MAX);
    if (!invoice_of(call, &row))
        return;
    int code = invoice_pdf(row.text, &pdf, &err);
    if (code < 0)
        reply_err(call, code, &err);
    else
        reply_text(call, 200, "application/pdf", buf_str(&pdf));
}

void
endpoint_invoice_issue(struct call *call)
{
    static const char *const none[] = {NULL};
    static const char *const known[] = {"wallet", NULL};
    struct str wallet;
    struct invoice_row row;
    struct err err = {0};
    if (!query_known(call, none))
        return;
    const struct tree *body = body_object(call, known);
    if (!body || !body_text(call, body, "wallet", STR("default"), &wallet) ||
        !wallet_exists(call, wallet))
        return;
    int code = invoice_issue(call->admin->conf.billing, wallet, &call->arena, &row, &err);
    if (code == -ERR_NOT_FOUND)
        reply_error(call, 409, "NOTHING_TO_INVOICE", err.text);
    else if (code < 0)
        reply_err(call, code, &err);
    else
        reply_invoice(call, 201, &row);
}
