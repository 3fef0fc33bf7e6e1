/* SPDX-License-Identifier: MIT
 * keyring.h - the server's keys: one signs, those before it are accepted until everything that they
 *             signed is signed anew.
 * Floor: controlplane/reconcile; engine thread.
 * Owns: the private key; files server.key (mode 0600, it alone is secret) and server.pub.
 * Invariant: what is on disk after any crash accepts every binding in force. keyring_test.c. */
#ifndef BERTH_CONTROLPLANE_RECONCILE_KEYRING_H
#define BERTH_CONTROLPLANE_RECONCILE_KEYRING_H

#include "lib/base/digest.h"
#include "lib/base/err.h"

#define KEYRING_KEYS_MAX 4u
#define KEYRING_PATH_BYTES 4096u

/* accepted[count]: public keys, [0] is the one that signs. */
struct keyring {
    char private_path[KEYRING_PATH_BYTES + 16];
    char public_path[KEYRING_PATH_BYTES + 16];
    struct ed25519_key *key;
    uint8_t accepted[KEYRING_KEYS_MAX][ED25519_KEY_BYTES];
    size_t count;
};
/* keyring_open - read the files in `dir`, or make them: server.key holds 64 hex digits of the
 * private key, server.pub one accepted public key a line, the signing one first.
 * 0; -ERR_PERMISSION (others may read the key), -ERR_PARSE, -ERR_IO, -ERR_SYSTEM. */
int keyring_open(struct keyring *keyring, const char *dir, struct err *err) MUST_USE;
void keyring_close(struct keyring *keyring);
/* keyring_rotate - a new key signs from now on, the others are still accepted. 0; -ERR_CONFLICT
 * (KEYRING_KEYS_MAX are accepted: earlier rotations are not finished), -ERR_IO. */
int keyring_rotate(struct keyring *keyring, struct err *err) MUST_USE;
/* keyring_retire - only the signing key is accepted from now on. */
int keyring_retire(struct keyring *keyring, struct err *err) MUST_USE;

#endif
