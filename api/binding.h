/* SPDX-License-Identifier: MIT
 * binding.h - the signed fact "this incarnation of this container on this host is NAME and may
 *             call".
 * Floor: api; any thread.
 * Owns: nothing; values and spans in the caller's arena.
 * Invariant: a data plane uses a binding only after binding_verify with the server's key. IDENTITY
 *            7. */
#ifndef BERTH_API_BINDING_H
#define BERTH_API_BINDING_H

#include "lib/base/arena.h"
#include "lib/base/digest.h"
#include "lib/text/json.h"

#define INCARNATION_BYTES 16u

/* All strings are ASCII without control bytes. name: [A-Za-z0-9_-]{1,100}. number: > 0, of this
 * server.
 * evidence: netns_cookie and cgroup_id of the init process. attestors: comma list of ids that
 * suffice.
 * issued_ms: wall clock. */
struct binding {
    struct str server;       /* id of the control plane installation, 32 hex */
    struct str host;         /* host id */
    struct str boot;         /* boot id of that host */
    struct str runtime;      /* "runc", "podman", ... as seen by the hook */
    struct str container_id; /* the runtime's id */
    uint8_t incarnation[INCARNATION_BYTES];
    struct str name;
    uint64_t number;
    struct str wallet;
    struct str attestors;
    uint64_t netns_cookie;
    uint64_t cgroup_id;
    int64_t issued_ms;
    uint8_t signature[ED25519_SIGNATURE_BYTES];
};

/* binding_put_json - one compact JSON object with all fields in fixed order; with or without "sig".
 * The text without "sig" is what is signed. Incarnation and signature in hex; u64 as strings. */
int binding_put_json(const struct binding *binding, bool with_signature, struct buf *out) MUST_USE;
/* binding_parse - from object node; strings point into the document or the arena. */
int binding_parse(const struct json_doc *doc, uint32_t object, struct arena *arena,
                  struct binding *ret_binding, struct err *err) MUST_USE;
/* binding_parse_request - what an agent asks for: server, name, number, wallet, issued_ms and sig
 * may be absent and are then empty or 0. */
int binding_parse_request(const struct json_doc *doc, uint32_t object, struct arena *arena,
                          struct binding *ret_binding, struct err *err) MUST_USE;
int binding_sign(struct binding *binding, const struct ed25519_key *key) MUST_USE;
/* binding_verify - 0 or -ERR_SIGNATURE. */
int binding_verify(const struct binding *binding,
                   const uint8_t server_key[ED25519_KEY_BYTES]) MUST_USE;
/* binding_valid_tag - may stand behind "container-": [A-Za-z0-9_-], 1..100 bytes. */
bool binding_valid_tag(struct str tag);
/* binding_valid_name - a tag that is not all digits. */
bool binding_valid_name(struct str name);

#endif
