/* SPDX-License-Identifier: MIT
 * reply.c - answers of the admin API: JSON, text, errors in one shape {statusCode, error, message,
 *           code}.
 * Floor: controlplane/admin; engine thread.
 * Owns: the text of a reply until it is sent.
 * Invariant: see admin_int.h. */
#include "controlplane/admin/admin_int.h"
#include "lib/base/check.h"
#include "lib/base/num.h"

/* Which HTTP status an error of ours is; all else is 500. */
static const struct {
    enum err_code code;
    unsigned status;
} statuses[] = {
    {ERR_INVALID, 400},     {ERR_PARSE, 400},       {ERR_DUPLICATE, 400},
    {ERR_DEPTH, 400},       {ERR_ENCODING, 400},    {ERR_RANGE, 400},
    {ERR_UNKNOWN_KEY, 400}, {ERR_UNSUPPORTED, 400}, {ERR_UNAUTHENTICATED, 401},
    {ERR_OVERDRAWN, 402},   {ERR_PERMISSION, 403},  {ERR_NOT_FOUND, 404},
    {ERR_EXISTS, 409},      {ERR_CONFLICT, 409},    {ERR_KEY_REUSED, 409},
    {ERR_TOO_LARGE, 413},   {ERR_OVERLOADED, 503},  {ERR_UNAVAILABLE, 503},
    {ERR_STORE, 503},       {ERR_NO_SPACE, 507},
};

unsigned
reply_status_of(int code)
{
    for (size_t i = 0; i < ARRAY_LEN(statuses); i++) {
        if ((int)statuses[i].code == -code)
            return statuses[i].status;
    }
    return 500;
}

static void
send_bytes(struct call *call, unsigned status, const char *type, struct str text)
{
    const struct http_field fields[] = {
        {STR("content-type"), str_from(type)},
        {STR("cache-control"), STR("no-store")},
    };
    char code[20];
    struct str label = str_make(code, num_write_u64(code, status));
    ASSERT(!call->answered);
    call->answered = true;
    metric_add(metrics_series(call->admin->metrics,
                              ADMIN_METRIC_berth_controlplane_admin_requests_total, &label),
               1);
    http_stream_answer(call->stream, status, fields, ARRAY_LEN(fields), text);
}

struct json_writer *
reply_begin(struct reply *reply)
{
    buf_init(&reply->text, REPLY_BYTES_MAX);
    json_writer_init(&reply->writer, &reply->text);
    return &reply->writer;
}

void
reply_send(struct call *call, unsigned status, struct reply *reply)
{
    buf_put_byte(&reply->text, '\n');
    if (reply->text.failed)
        reply_error(call, 500, "TOO_LARGE", "the answer is too large; ask for less with limit");
    else
        send_bytes(call, status, "application/json", buf_str(&reply->text));
    buf_wipe(&reply->text);
}

void
reply_text(struct call *call, unsigned status, const char *type, struct str text)
{
    send_bytes(call, status, type, text);
}

void
reply_error(struct call *call, unsigned status, const char *code, const char *message)
{
    struct reply reply;
    struct json_writer *writer = reply_begin(&reply);
    json_open_object(writer);
    json_member_u64(writer, "statusCode", status);
    json_member_str(writer, "error", str_from(http_status_text(status)));
    json_member_str(writer, "message", str_from(message));
    json_member_str(writer, "code", str_from(code));
    json_close_object(writer);
    buf_put_byte(&reply.text, '\n');
    send_bytes(call, status, "application/json", buf_str(&reply.text));
    buf_fini(&reply.text);
}

void
reply_err(struct call *call, int code, const struct err *err)
{
    const char *text = err->code != 0 ? err->text : err_text(code);
    reply_error(call, reply_status_of(code), err_name(code), text);
}

void
reply_money(struct json_writer *writer, const char *key, struct money money)
{
    char text[32];
    money_format(money, text);
    json_member_str(writer, key, str_from(text));
}

void
reply_digits(struct json_writer *writer, const char *key, uint64_t value)
{
    char text[20];
    json_member_str(writer, key, str_make(text, num_write_u64(text, value)));
}
