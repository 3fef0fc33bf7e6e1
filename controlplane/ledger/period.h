/* SPDX-License-Identifier: MIT
 * period.h - the hours, days and months that spending is capped by, UTC.
 * Floor: controlplane/ledger; any thread.
 * Owns: nothing.
 * Invariant: every time lies in one period of each kind, and begin <= time < end. period_test.c. */
#ifndef BERTH_CONTROLPLANE_LEDGER_PERIOD_H
#define BERTH_CONTROLPLANE_LEDGER_PERIOD_H

#include "lib/base/cc.h"
#include "lib/base/str.h"

#include <stdbool.h>
#include <stdint.h>

enum period { PERIOD_HOUR, PERIOD_DAY, PERIOD_MONTH, PERIOD_COUNT };

const char *period_name(enum period period); /* "hour", "day", "month"; static */
/* period_of - false: no such name. */
bool period_of(struct str name, enum period *ret_period);
/* period_begin_ms, period_end_ms - of the period that a time lies in; milliseconds since 1970. */
int64_t period_begin_ms(enum period period, int64_t at_ms);
int64_t period_end_ms(enum period period, int64_t at_ms);

#endif
