/* SPDX-License-Identifier: MIT
 * num.h - strict numbers from text: the only place that parses them.
 * Floor: lib/base; any thread.
 * Owns: nothing.
 * Invariant: no locale, no sign or space that was not asked for, no wrap-around, no double. */
#ifndef BERTH_LIB_BASE_NUM_H
#define BERTH_LIB_BASE_NUM_H

#include "lib/base/str.h"

/* num_u64 - decimal digits only, no leading zeros but "0" itself, <= max. 0, -ERR_PARSE,
 * -ERR_RANGE. */
int num_u64(struct str s, uint64_t max, uint64_t *ret_value) MUST_USE;
/* num_i64 - the same with an optional leading '-' ("-0" refused). */
int num_i64(struct str s, int64_t min, int64_t max, int64_t *ret_value) MUST_USE;
/* num_hex_u64 - 1..16 hex digits, either case. */
int num_hex_u64(struct str s, uint64_t *ret_value) MUST_USE;
/* num_duration_ms - "250ms", "30s", "5m", "2h", "1d", or bare digits = seconds. Result in ms, <=
 * max. */
int num_duration_ms(struct str s, uint64_t max_ms, uint64_t *ret_ms) MUST_USE;
/* num_size_bytes - "512", "64KiB", "10MiB", "1GiB" (also K, M, G = binary). */
int num_size_bytes(struct str s, uint64_t max, uint64_t *ret_bytes) MUST_USE;
/* num_write_u64 - decimal into out[20]; returns the count of bytes written, no NUL. */
size_t num_write_u64(char out[20], uint64_t value);

#endif
