/* SPDX-License-Identifier: MIT
 * seal.h - secrets at rest: AES-256-GCM under one master key, from a file or from a passphrase.
 * Floor: controlplane/seal; any thread.
 * Owns: the master key, in locked memory that is not dumped.
 * Invariant: a sealed text opens only with its own master key and under its own name: what somebody
 *            moved to another row, shortened or changed does not open. seal_test.c, seal_fuzz.c. */
#ifndef BERTH_CONTROLPLANE_SEAL_SEAL_H
#define BERTH_CONTROLPLANE_SEAL_SEAL_H

#include "lib/base/arena.h"
#include "lib/base/err.h"

#define SEAL_KEY_BYTES 32u
/* What a sealed text begins with; base64 of nonce (12 bytes), text and tag (16) follows. */
#define SEAL_PREFIX "sealed:1:"
#define SEAL_TEXT_BYTES_MAX 65536u

struct seal;

/* seal_from_file - the file holds 64 hex digits; it is made, mode 0600, when it does not exist.
 * seal_from_passphrase - the file (0600) holds the passphrase, 12 bytes at least; the key is
 * Argon2id of it (64 MiB, 3 passes, 1 lane; about 0.1 s) under the salt in salt_file, which is made
 * when it does not exist.
 * 0; -ERR_PERMISSION (others may read it), -ERR_PARSE, -ERR_INVALID, -ERR_IO, -ERR_NOMEM. */
int seal_from_file(const char *path, struct seal **ret_seal, struct err *err) MUST_USE;
int seal_from_passphrase(const char *passphrase_file, const char *salt_file, struct seal **ret_seal,
                         struct err *err) MUST_USE;
/* seal_from_key - for tests. */
int seal_from_key(const uint8_t key[SEAL_KEY_BYTES], struct seal **ret_seal) MUST_USE;
void seal_free(struct seal **seal);

/* seal_close - name: the row that the text will stand in, part of what is authenticated. Two calls
 * never give the same text. 0; -ERR_TOO_LARGE, -ERR_NOMEM. */
int seal_close(const struct seal *seal, struct str name, struct str text, struct arena *arena,
               struct str *ret_sealed) MUST_USE;
/* seal_open - 0; -ERR_PARSE: not of this form; -ERR_SIGNATURE: another key, another name, or
 * changed; -ERR_NOMEM. *ret_text lives in the arena: wipe it when done. */
int seal_open(const struct seal *seal, struct str name, struct str sealed, struct arena *arena,
              struct str *ret_text) MUST_USE;
bool seal_is_sealed(struct str text);

#endif
