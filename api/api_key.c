/* SPDX-License-Identifier: MIT
 * api_key.c - making and pre-checking API keys.
 * Floor: api; any thread.
 * Owns: nothing.
 * Invariant: see api_key.h. */
#include "api/api_key.h"

#include <stdio.h>

#include "lib/base/check.h"
#include "lib/base/digest.h"
#include "lib/base/rand.h"

#define PREFIX_BYTES (sizeof API_KEY_PREFIX - 1)
#define RANDOM_CHARS 43u
#define BODY_BYTES (PREFIX_BYTES + RANDOM_CHARS)

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

_Static_assert(BODY_BYTES + 8 == API_KEY_BYTES, "prefix, random part and checksum");
_Static_assert(sizeof alphabet == 65, "six bits a character");

void
api_key_make(char ret_key[API_KEY_BYTES + 1])
{
    uint8_t random[RANDOM_CHARS];
    rand_bytes(random, sizeof random);
    memcpy(ret_key, API_KEY_PREFIX, PREFIX_BYTES);
    for (size_t i = 0; i < RANDOM_CHARS; i++)
        ret_key[PREFIX_BYTES + i] = alphabet[random[i] & 63u];
    explicit_bzero(random, sizeof random);
    (void)snprintf(ret_key + BODY_BYTES, 9, "%08x", digest_crc32c(0, ret_key, BODY_BYTES));
    ASSERT(api_key_plausible(str_make(ret_key, API_KEY_BYTES)));
}

bool
api_key_plausible(struct str key)
{
    if (key.len != API_KEY_BYTES || !str_starts(key, STR(API_KEY_PREFIX)))
        return false;
    for (size_t i = PREFIX_BYTES; i < BODY_BYTES; i++) {
        if (key.ptr[i] == '\0' || !memchr(alphabet, key.ptr[i], sizeof alphabet - 1))
            return false;
    }
    char want[9];
    (void)snprintf(want, sizeof want, "%08x", digest_crc32c(0, key.ptr, BODY_BYTES));
    return memcmp(want, key.ptr + BODY_BYTES, 8) == 0;
}
