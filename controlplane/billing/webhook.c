/* SPDX-License-Identifier: MIT
 * webhook.c - see webhook.h.
 * Floor: controlplane/billing; any thread.
 * Owns: nothing.
 * Invariant: see webhook.h. */
#include "controlplane/billing/webhook.h"

#include "lib/base/check.h"

static const struct {
    const char *name;
    const char *header;
    const char *variable;
} webhooks[WEBHOOK_COUNT] = {
#define WEBHOOK_ROW(name_, header_, variable_, text) \
    [WEBHOOK_##name_] = {.name = #name_, .header = header_, .variable = variable_},
#include "controlplane/billing/webhooks.def"
#undef WEBHOOK_ROW
};

const char *
webhook_name(enum webhook webhook)
{
    ASSERT(webhook < WEBHOOK_COUNT);
    return webhooks[webhook].name;
}

const char *
webhook_header(enum webhook webhook)
{
    ASSERT(webhook < WEBHOOK_COUNT);
    return webhooks[webhook].header;
}

const char *
webhook_variable(enum webhook webhook)
{
    ASSERT(webhook < WEBHOOK_COUNT);
    return webhooks[webhook].variable;
}

bool
webhook_find(struct str name, enum webhook *ret_webhook)
{
    for (size_t i = 0; i < WEBHOOK_COUNT; i++) {
        if (str_eq(name, str_from(webhooks[i].name))) {
            *ret_webhook = (enum webhook)i;
            return true;
        }
    }
    return false;
}
