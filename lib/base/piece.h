/* SPDX-License-Identifier: MIT
 * piece.h - malloc for what a request takes and gives back: small pieces from lists of the thread.
 * Floor: lib/base; any thread; a piece may be freed on another thread than took it.
 * Owns: per thread at most 1 MiB of idle pieces, freed when the thread ends.
 * Invariant: a piece is as aligned as malloc's and never goes to free(3); piece_test.c. */
#ifndef BERTH_LIB_BASE_PIECE_H
#define BERTH_LIB_BASE_PIECE_H

#include "lib/base/cc.h"

/* As malloc, free, calloc and realloc. Up to 2 KiB no call of malloc once the lists are warm; the
 * larger ones, and under the address sanitizer all, are malloc's own. */
void *piece_alloc(size_t size) MUST_USE;
void piece_free(void *at);
void *piece_calloc(size_t count, size_t size) MUST_USE;
void *piece_realloc(void *at, size_t size) MUST_USE;

#endif
