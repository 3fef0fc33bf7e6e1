/* SPDX-License-Identifier: MIT
 * coding_test_rows.h - one text in every coding, for the tests of the decoder and of the server.
 * Floor: lib/http, tests only.
 * Owns: nothing.
 * Invariant: made by other programs (Node's zlib, zstd 1.5), not by what is tested. */
#ifndef BERTH_LIB_HTTP_CODING_TEST_ROWS_H
#define BERTH_LIB_HTTP_CODING_TEST_ROWS_H

#include "lib/http/coding.h"

#define CODED_TEXT "The quick brown fox jumps over the lazy dog. The quick brown fox."
#define DEFLATED                                                       \
    "\x0b\xc9\x48\x55\x28\x2c\xcd\x4c\xce\x56\x48\x2a\xca\x2f\xcf\x53" \
    "\x48\xcb\xaf\x50\xc8\x2a\xcd\x2d\x28\x56\xc8\x2f\x4b\x2d\x52\x28" \
    "\xc9\x48\x55\xc8\x49\xac\xaa\x54\x48\xc9\x4f\xd7\x53\x08\xc1\x54" \
    "\xac\x07\x00"
#define CODED_GZIP \
    "\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03" DEFLATED "\x8e\xa5\xfa\x9e\x41\x00\x00\x00"
#define CODED_DEFLATE "\x78\x9c" DEFLATED "\x0b\xa6\x17\x69"
#define CODED_BR                                                       \
    "\x1b\x40\x00\x88\x2c\x0e\x78\xd3\xd0\x95\x5d\x97\x10\xbb\x17\x2b" \
    "\xa9\xca\xd0\x92\xcc\x8c\xad\x41\x5c\xe6\xf2\x36\xc8\x19\x9e\x9e" \
    "\x0a\x7b\x83\x0d\x38\x70\xc8\x02\xd9\x5f\xc8\x6e\xd0\x69\x85\x33" \
    "\x87\xc7\x89\xda\x14\x32\xc2\x7d\x9f\xc6\xd8\x00"
#define CODED_ZSTD                                                     \
    "\x28\xb5\x2f\xfd\x04\x58\xb5\x01\x00\xe4\x02\x54\x68\x65\x20\x71" \
    "\x75\x69\x63\x6b\x20\x62\x72\x6f\x77\x6e\x20\x66\x6f\x78\x20\x6a" \
    "\x75\x6d\x70\x73\x20\x6f\x76\x65\x72\x20\x74\x68\x65\x20\x6c\x61" \
    "\x7a\x79\x20\x64\x6f\x67\x2e\x20\x2e\x01\x00\x85\x89\x2a\x03\xa9" \
    "\x80\xbd\xba"
/* 16 MiB of zeros */
#define BOMB_BR                                                        \
    "\xcb\xff\xff\x3f\xf8\x27\x00\xe2\xb1\x40\x20\xf7\xfe\x2f\xff\xff" \
    "\xff\xf0\x4f\x00\xc4\x61\x11\x80\xee\xfd\x1f"

static const struct {
    const char *name;
    enum coding_kind kind;
    struct str bytes;
} coded[] = {{"gzip", CODING_GZIP, {CODED_GZIP, sizeof(CODED_GZIP) - 1}},
             {"deflate", CODING_DEFLATE, {CODED_DEFLATE, sizeof(CODED_DEFLATE) - 1}},
             {"br", CODING_BR, {CODED_BR, sizeof(CODED_BR) - 1}},
             {"zstd", CODING_ZSTD, {CODED_ZSTD, sizeof(CODED_ZSTD) - 1}}};

#endif
