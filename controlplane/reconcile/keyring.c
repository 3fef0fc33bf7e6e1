/* SPDX-License-Identifier: MIT
 * keyring.c - see keyring.h.
 * Floor: controlplane/reconcile; engine thread.
 * Owns: see keyring.h.
 * Invariant: server.pub is written before server.key, so a key that signs was accepted before. */
#include "controlplane/reconcile/keyring.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "lib/base/check.h"
#include "lib/base/secret.h"

#define HEX_BYTES (2u * ED25519_KEY_BYTES)

static int
write_public(const struct keyring *keyring, struct err *err)
{
    char text[KEYRING_KEYS_MAX * (HEX_BYTES + 1) + 1];
    size_t len = 0;
    for (size_t i = 0; i < keyring->count; i++) {
        hex_encode(keyring->accepted[i], ED25519_KEY_BYTES, text + len);
        len += HEX_BYTES;
        text[len++] = '\n';
    }
    return secret_write_file(keyring->public_path, str_make(text, len), err);
}

static int
write_private(const struct keyring *keyring, const struct ed25519_key *key, struct err *err)
{
    uint8_t bytes[ED25519_KEY_BYTES];
    char text[HEX_BYTES + 1];
    ed25519_private(key, bytes);
    hex_encode(bytes, sizeof bytes, text);
    int code = secret_write_file(keyring->private_path, str_from(text), err);
    secret_wipe(bytes, sizeof bytes);
    secret_wipe(text, sizeof text);
    return code;
}

static bool
accepts(const struct keyring *keyring, const uint8_t key[ED25519_KEY_BYTES])
{
    for (size_t i = 0; i < keyring->count; i++) {
        if (memcmp(keyring->accepted[i], key, ED25519_KEY_BYTES) == 0)
            return true;
    }
    return false;
}

/* A public key takes the first place; the oldest falls out when there is no room. */
static void
put_first(struct keyring *keyring, const uint8_t key[ED25519_KEY_BYTES])
{
    size_t kept = 0;
    uint8_t rest[KEYRING_KEYS_MAX][ED25519_KEY_BYTES];
    for (size_t i = 0; i < keyring->count && kept < KEYRING_KEYS_MAX - 1; i++) {
        if (memcmp(keyring->accepted[i], key, ED25519_KEY_BYTES) != 0)
            memcpy(rest[kept++], keyring->accepted[i], ED25519_KEY_BYTES);
    }
    memcpy(keyring->accepted[0], key, ED25519_KEY_BYTES);
    memcpy(keyring->accepted[1], rest, kept * ED25519_KEY_BYTES);
    keyring->count = kept + 1;
}

static int
read_private(struct keyring *keyring, struct err *err)
{
    uint8_t bytes[ED25519_KEY_BYTES];
    CLEANUP(secret_free) struct secret *secret = NULL;
    int code = secret_read_file(keyring->private_path, &secret, err);
    if (code < 0)
        return code;
    if (hex_decode(secret_str(secret), bytes, sizeof bytes) < 0) {
        return err_set(err, ERR_PARSE,
                       "%s does not hold 64 hex digits; restore it from a backup (all identities "
                       "hang on it)",
                       keyring->private_path);
    }
    code = ed25519_from_private(bytes, &keyring->key);
    secret_wipe(bytes, sizeof bytes);
    return code < 0 ? err_set(err, ERR_SYSTEM, "the server key cannot be used") : 0;
}

/* Only adds: a public file that was lost, or is older than the key, must not stop the server. */
static int
read_public(struct keyring *keyring, struct err *err)
{
    CLEANUP(secret_free) struct secret *file = NULL;
    if (access(keyring->public_path, F_OK) < 0 && errno == ENOENT)
        return 0;
    int code = secret_read_file(keyring->public_path, &file, err);
    if (code < 0)
        return code;
    struct str rest = secret_str(file);
    while (rest.len > 0 && keyring->count < KEYRING_KEYS_MAX) {
        struct str line;
        uint8_t key[ED25519_KEY_BYTES];
        (void)str_cut(rest, '\n', &line, &rest);
        if (hex_decode(line, key, sizeof key) < 0)
            return err_set(err, ERR_PARSE, "%s: a line is no public key of 64 hex digits",
                           keyring->public_path);
        if (!accepts(keyring, key))
            memcpy(keyring->accepted[keyring->count++], key, sizeof key);
    }
    return 0;
}

static int
make_first(struct keyring *keyring, struct err *err)
{
    CLEANUP(ed25519_free) struct ed25519_key *key = NULL;
    if (ed25519_generate(&key) < 0)
        return err_set(err, ERR_SYSTEM, "the server key cannot be made");
    return write_private(keyring, key, err);
}

int
keyring_open(struct keyring *keyring, const char *dir, struct err *err)
{
    uint8_t public[ED25519_KEY_BYTES];
    *keyring = (struct keyring){.count = 0};
    if (strlen(dir) > KEYRING_PATH_BYTES)
        return err_set(err, ERR_INVALID, "the path of the data directory is too long");
    (void)snprintf(keyring->private_path, sizeof keyring->private_path, "%s/server.key", dir);
    (void)snprintf(keyring->public_path, sizeof keyring->public_path, "%s/server.pub", dir);
    int code = 0;
    if (access(keyring->private_path, F_OK) < 0 && errno == ENOENT)
        code = make_first(keyring, err);
    if (code == 0)
        code = read_private(keyring, err);
    if (code == 0)
        code = read_public(keyring, err);
    if (code == 0) {
        ed25519_public(keyring->key, public);
        put_first(keyring, public);
        code = write_public(keyring, err);
    }
    if (code < 0)
        keyring_close(keyring);
    return code;
}

void
keyring_close(struct keyring *keyring)
{
    ed25519_free(&keyring->key);
    keyring->count = 0;
}

int
keyring_rotate(struct keyring *keyring, struct err *err)
{
    CLEANUP(ed25519_free) struct ed25519_key *next = NULL;
    struct keyring wanted = *keyring;
    uint8_t public[ED25519_KEY_BYTES];
    if (keyring->count == KEYRING_KEYS_MAX) {
        return err_set(err, ERR_CONFLICT,
                       "%u keys are accepted already: earlier rotations wait for nodes that have "
                       "not acknowledged",
                       KEYRING_KEYS_MAX);
    }
    if (ed25519_generate(&next) < 0)
        return err_set(err, ERR_SYSTEM, "a new server key cannot be made");
    ed25519_public(next, public);
    put_first(&wanted, public);
    int code = write_public(&wanted, err);
    if (code == 0)
        code = write_private(keyring, next, err);
    if (code < 0)
        return code;
    memcpy(keyring->accepted, wanted.accepted, sizeof keyring->accepted);
    keyring->count = wanted.count;
    ed25519_free(&keyring->key);
    keyring->key = TAKE(next);
    return 0;
}

int
keyring_retire(struct keyring *keyring, struct err *err)
{
    size_t count = keyring->count;
    ASSERT(count > 0);
    keyring->count = 1;
    int code = write_public(keyring, err);
    if (code < 0)
        keyring->count = count;
    return code;
}
