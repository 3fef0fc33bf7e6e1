#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Must hold: each caller's dialect before a provider of each dialect, whole and streamed: every caller reads the same answer
# to the same conversation with tools, and the ledger has it once (tools/bench/pairs, which measures what that costs).
# shellcheck source=e2e/lib.sh
source "$(dirname "$0")/lib.sh"

if ! command -v python3 >/dev/null; then
  skip "pairs of dialects" "needs python3"
elif out=$("$e2e_root/tools/bench/pairs" --smoke --bin "$bin" 2>&1); then
  has "pairs of dialects" "96 answers were right and are in the ledger" "$out"
else
  not_ok "pairs of dialects" "$out"
fi
