/* SPDX-License-Identifier: MIT
 * test_int.h - what the simulator's tests include before cmocka.
 * Floor: tools/sim, tests only.
 * Owns: nothing.
 * Invariant: none. */
#ifndef BERTH_TOOLS_SIM_TEST_INT_H
#define BERTH_TOOLS_SIM_TEST_INT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#endif
