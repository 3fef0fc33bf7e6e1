/* SPDX-License-Identifier: MIT
 * attempt_head.c - the fields of a call to a provider, and its signature.
 * Floor: dataplane/pipeline; the worker's thread.
 * Owns: nothing.
 * Invariant: the caller's credential is in none of them, the provider's in one.
 */
#include "dataplane/pipeline/exchange.h"

#include "dataplane/dialect/sigv4.h"
#include "lib/base/clock.h"

#define CALL_FIELDS_MAX ATTEMPT_FIELDS_MAX /* three are kept for a signature */

static bool
was_forwarded(const struct exchange *x, const char *name)
{
    for (uint32_t i = 0; i < x->forwarded_count; i++) {
        if (str_eq(x->forwarded[i].name, str_from(name)))
            return true;
    }
    return false;
}

/* The credential is a pair that signs each call. */
bool
attempt_is_signed(const struct exchange *x)
{
    return x->attempt.dialect->aws_service != NULL &&
           sigv4_is_key(exchange_model(x)->provider->key);
}

int
attempt_sign(struct exchange *x, struct str target, const uint8_t digest[SHA256_BYTES],
             struct http_field *fields, size_t *count)
{
    const struct config_provider *provider = exchange_model(x)->provider;
    const struct uri *base = &provider->base;
    bool usual = base->port == (base->https ? 443 : 80);
    struct sigv4_fields made = {0};
    struct str host =
        usual ? base->host : arena_printf(&x->arena, "%.*s:%u", STR_ARG(base->host), base->port);
    if (host.ptr == NULL)
        return -ERR_NOMEM;
    const struct sigv4_call call = {.key = provider->key,
                                    .service = str_from(x->attempt.dialect->aws_service),
                                    .region = sigv4_region(base->host),
                                    .host = host,
                                    .path = target,
                                    .digest = digest,
                                    .now_s = (uint64_t)(clock_wall_ns() / 1000000000)};
    int rc = sigv4_sign(&call, &x->arena, &made);
    if (rc < 0)
        return rc;
    fields[(*count)++] = (struct http_field){STR("x-amz-date"), made.date};
    if (made.token.len > 0)
        fields[(*count)++] = (struct http_field){STR("x-amz-security-token"), made.token};
    fields[(*count)++] = (struct http_field){STR("authorization"), made.authorization};
    return 0;
}

static struct str
body_type(const struct exchange *x)
{
    const struct carrier *carrier = x->attempt.carrier;
    if (carrier != NULL && carrier->content_type != NULL)
        return str_from(carrier->content_type);
    bool form = x->form_type.len > 0 && (carrier == NULL || carrier->is_form);
    return form ? x->form_type : STR("application/json");
}

size_t
attempt_fields(struct exchange *x, struct http_field *fields)
{
    const struct config_provider *provider = exchange_model(x)->provider;
    const struct dialect *dialect = exchange_dialect(x);
    size_t count = 0;
    fields[count++] = (struct http_field){STR("content-type"), body_type(x)};
    fields[count++] = (struct http_field){STR("accept-encoding"), STR("identity")};
    fields[count++] =
        (struct http_field){STR("x-client-request-id"), str_make(x->id, REQUEST_ID_BYTES)};
    if (provider->key.len > 0 && !attempt_is_signed(x)) {
        fields[count++] = (struct http_field){str_from(provider->auth_field), provider->auth_value};
    }
    bool same = dialect_same(dialect, x->endpoint->dialect);
    for (uint32_t i = 0; same && i < x->forwarded_count && count < CALL_FIELDS_MAX - 7; i++)
        fields[count++] = x->forwarded[i];
    for (size_t i = 0; dialect->fixed_fields != NULL && dialect->fixed_fields[i].name != NULL &&
                       count < CALL_FIELDS_MAX - 3;
         i++) {
        if (same && was_forwarded(x, dialect->fixed_fields[i].name))
            continue;
        fields[count++] = (struct http_field){str_from(dialect->fixed_fields[i].name),
                                              str_from(dialect->fixed_fields[i].value)};
    }
    return count;
}
