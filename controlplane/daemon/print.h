/* SPDX-License-Identifier: MIT
 * print.h - what berth-controlplane says without starting: its catalogue.
 * Floor: controlplane/daemon; main thread.
 * Owns: nothing.
 * Invariant: no file, no socket, no environment is looked at. */
#ifndef BERTH_CONTROLPLANE_DAEMON_PRINT_H
#define BERTH_CONTROLPLANE_DAEMON_PRINT_H

#include "lib/base/err.h"

/* print_catalogue - the shipped one on standard output, as {"data": [...]} with the entries of GET
 * /v1/models and "kind" (docs/catalogue.md). 0; -ERR_IO, -ERR_NOMEM. */
int print_catalogue(struct err *err) MUST_USE;

#endif
