/* SPDX-License-Identifier: MIT
 * signature.c - see signature.h.
 * Floor: controlplane/billing; any thread.
 * Owns: nothing.
 * Invariant: see signature.h. */
#include "controlplane/billing/signature.h"

#include "lib/base/buf.h"
#include "lib/base/check.h"
#include "lib/base/num.h"
#include "lib/base/secret.h"

#define AT_S_MAX 253402300799u /* the year 9999 */

static int
refuse(struct err *err, const char *why)
{
    return err_set(err, ERR_SIGNATURE, "the signature of this webhook is not accepted: %s", why);
}

static int
part_read(struct str name, struct str value, struct signature *signature, struct err *err)
{
    uint64_t at_s = 0;
    if (str_eq(name, STR("t"))) {
        if (signature->time.len > 0 || num_u64(value, AT_S_MAX, &at_s) < 0)
            return refuse(err, "its time is malformed");
        signature->time = value;
        signature->at_s = (int64_t)at_s;
    } else if (str_eq(name, STR("v1"))) {
        if (signature->count == SIGNATURE_COUNT_MAX ||
            hex_decode(value, signature->macs[signature->count], SHA256_BYTES) < 0)
            return refuse(err, "a v1 part is malformed");
        signature->count++;
    }
    return 0;
}

int
signature_read(struct str header, struct signature *ret_signature, struct err *err)
{
    struct signature signature = {.time = STR_EMPTY};
    if (header.len == 0)
        return refuse(err, "there is none");
    if (header.len > SIGNATURE_HEADER_BYTES_MAX)
        return refuse(err, "it is too long");
    for (bool more = true; more;) {
        struct str part;
        struct str name;
        struct str value;
        more = str_cut(header, ',', &part, &header);
        if (!str_cut(part, '=', &name, &value))
            return refuse(err, "it is malformed");
        int code = part_read(name, value, &signature, err);
        if (code < 0)
            return code;
    }
    if (signature.time.len == 0 || signature.count == 0)
        return refuse(err, "it lacks t or v1");
    *ret_signature = signature;
    return 0;
}

int
signature_check(const struct signature *signature, struct str secret, struct str body,
                int64_t now_s, struct err *err)
{
    ASSERT(secret.len >= SIGNATURE_SECRET_BYTES_MIN && signature->count > 0);
    CLEANUP(buf_fini) struct buf signed_text;
    uint8_t mac[SHA256_BYTES];
    bool match = false;
    buf_init(&signed_text, signature->time.len + 1 + body.len);
    buf_put_str(&signed_text, signature->time);
    buf_put_byte(&signed_text, '.');
    buf_put_str(&signed_text, body);
    if (signed_text.failed)
        return err_set(err, ERR_NOMEM, "out of memory");
    digest_hmac_sha256(secret, buf_str(&signed_text), mac);
    for (size_t i = 0; i < signature->count; i++)
        match |= secret_eq(str_make((const char *)signature->macs[i], SHA256_BYTES),
                           str_make((const char *)mac, SHA256_BYTES));
    secret_wipe(mac, sizeof mac);
    if (!match)
        return refuse(err, "no v1 part fits this body and our secret");
    if (signature->at_s < now_s - SIGNATURE_TOLERANCE_S ||
        signature->at_s > now_s + SIGNATURE_TOLERANCE_S)
        return refuse(err, "its time is more than 300 seconds away from ours");
    return 0;
}
