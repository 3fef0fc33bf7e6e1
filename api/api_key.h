/* SPDX-License-Identifier: MIT
 * api_key.h - the shape of Berth's own API keys: "sk-bth-", 43 url-safe random characters (256
 *             bits), 8 hex digits of CRC-32C over what stands before them.
 * Floor: api; any thread.
 * Owns: nothing.
 * Invariant: a mistyped or foreign key fails the checksum and costs no lookup; api_key_test.c. */
#ifndef BERTH_API_API_KEY_H
#define BERTH_API_API_KEY_H

#include "lib/base/str.h"

#define API_KEY_PREFIX "sk-bth-"
#define API_KEY_BYTES 58u

/* api_key_make - a new key, NUL-terminated. The caller wipes it. */
void api_key_make(char ret_key[API_KEY_BYTES + 1]);
/* api_key_plausible - right prefix, length, alphabet and checksum. Says nothing about validity. */
bool api_key_plausible(struct str key);

#endif
