/* SPDX-License-Identifier: MIT
 * script.h - rules that give directives to requests: {match: {path, model, nth}, do: {...}}.
 * Floor: tools/sim; any thread.
 * Owns: the rules and their counters.
 * Invariant: the first rule that matches is used; every rule counts the requests that match its
 *            path and model, whether used or not, so `nth` (from 1) is the same in every run.
 *            script_test.c. */
#ifndef BERTH_TOOLS_SIM_SCRIPT_H
#define BERTH_TOOLS_SIM_SCRIPT_H

#include "tools/sim/directive.h"

struct script;

int script_new(struct script **ret_script, struct err *err) MUST_USE;
void script_free(struct script **script);
/* script_load - replace all rules by a YAML (or JSON) list; an empty text removes them. Nothing
 * changes on failure. -ERR_PARSE, -ERR_INVALID, -ERR_NOT_FOUND (unknown directive), with line and
 * column. */
int script_load(struct script *script, struct str text, struct err *err) MUST_USE;
/* script_apply - put the directives of the rule for this request on top of *directives. */
void script_apply(struct script *script, struct str path, struct str model,
                  struct directives *directives);
void script_reset(struct script *script); /* counters to zero */

#endif
