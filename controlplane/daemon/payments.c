/* SPDX-License-Identifier: MIT
 * payments.c - see payments.h.
 * Floor: controlplane/daemon; main thread.
 * Owns: see payments.h.
 * Invariant: see payments.h. */
#include "controlplane/daemon/payments.h"

#include <stdio.h>
#include <stdlib.h>

#include "controlplane/reconcile/engine.h"
#include "lib/base/num.h"
#include "lib/text/json.h"

#define BPS_MAX (BPS_ONE - 1u)

static int
bps_read(const char *flag, const char *text, uint32_t *ret_bps, struct err *err)
{
    uint64_t bps = 0;
    if (num_u64(str_from(text), BPS_MAX, &bps) < 0)
        return err_set(err, ERR_INVALID, "%s wants basis points from 0 to %u, not '%s'", flag,
                       BPS_MAX, text);
    *ret_bps = (uint32_t)bps;
    return 0;
}

static int
secret_open(const char *variable, struct secret **ret_secret, struct err *err)
{
    char file[64];
    const char *text = getenv(variable);
    if (text) {
        *ret_secret = secret_new(str_from(text));
        return *ret_secret ? 0 : err_set(err, ERR_NOMEM, "out of memory");
    }
    (void)snprintf(file, sizeof file, "%s_FILE", variable);
    const char *path = getenv(file);
    return path && path[0] ? secret_read_file(path, ret_secret, err) : 0;
}

int
payments_open(const struct flags *options, struct payments *ret_payments, struct err *err)
{
    int code = bps_read("--markup-bps", options->markup_bps, &ret_payments->markup_bps, err);
    if (code == 0)
        code = bps_read("--transfer-fee-bps", options->fee_bps, &ret_payments->fee_bps, err);
    for (size_t i = 0; i < WEBHOOK_COUNT && code == 0; i++)
        code = secret_open(webhook_variable((enum webhook)i), &ret_payments->secrets[i], err);
    return code;
}

void
payments_close(struct payments *payments)
{
    for (size_t i = 0; i < WEBHOOK_COUNT; i++)
        secret_free(&payments->secrets[i]);
}

/* ---- prices for invoices --------------------------------------------------------------------- */

static uint32_t
model_find(const struct json_doc *doc, struct str model)
{
    uint32_t models = json_get(doc, 0, STR("models"));
    for (uint32_t node = json_first(doc, models); node != JSON_NONE;
         node = json_sibling(doc, models, node)) {
        if (json_string_eq(doc, json_get(doc, node, STR("id")), model))
            return node;
    }
    return JSON_NONE;
}

bool
payments_price(const struct engine *engine, struct str model, int64_t ret_pico[USAGE_CLASS_COUNT])
{
    CLEANUP(json_fini) struct json_doc doc;
    json_init(&doc);
    if (json_scan(&doc, buf_str(&engine->snapshot.text), NULL, NULL) < 0)
        return false;
    uint32_t price = json_get(&doc, model_find(&doc, model), STR("price"));
    for (size_t i = 0; i < USAGE_CLASS_COUNT; i++) {
        enum usage_class class_ = (enum usage_class)i;
        uint32_t node = json_get(&doc, price, str_from(usage_class_name(class_)));
        struct str raw = json_raw(&doc, node);
        ret_pico[i] = usage_falls_to(class_) == class_ ? 0 : ret_pico[usage_falls_to(class_)];
        if (node != JSON_NONE &&
            (!json_is(&doc, node, JSON_STRING) ||
             num_i64(str_make(raw.ptr + 1, raw.len - 2), 0, INT64_MAX, &ret_pico[i]) < 0))
            return false;
    }
    return price != JSON_NONE;
}
