#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Must hold, as figures: kill of a container's init to its last 200, p99 <= 10 ms and max <= 50 ms; to the
# cut of an open stream, p99 <= 50 ms; many containers leave nothing behind; <= 8 KiB a live container.
# BERTH_FIGURES=full measures as promised (500 rounds, 1,000 containers), and fails above 5 ms p50 for both
# hooks and 60 us p50 for the attestation of a connection, from its accept in the agent to its hand-over;
# else a tenth of it, and the last two are only printed.
# shellcheck source=e2e/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"
figures=$bin/../room_agent_daemon_stack_figures_test
if ((EUID != 0)) || [[ ! -x $figures ]]; then
  skip figures "needs root and the test programs beside $bin"
  exit 0
fi
if [[ ${BERTH_FIGURES:-} == full ]]; then
  rounds=500 many=1000
else
  rounds=50 many=100
fi
stack_start
export BERTH_FIGURES_RUN_DIR=$BERTH_DATA/run BERTH_FIGURES_PORT=$port BERTH_FIGURES_ROUNDS=$rounds BERTH_FIGURES_MANY=$many
BERTH_FIGURES_AGENT=$(daemon_pid agent)
BERTH_FIGURES_DATAPLANE=$(daemon_pid dataplane)
BERTH_FIGURES_HOLDER=$(ss -xlpH | grep -F "$BERTH_DATA/run/holder.sock" | grep -o 'pid=[0-9]*' | tail -1 | cut -d= -f2)
export BERTH_FIGURES_HOLDER BERTH_FIGURES_AGENT BERTH_FIGURES_DATAPLANE
status=0
"$figures" >"$e2e_dir/figures" 2>&1 || status=$?
sed -n 's/^figure /# /p' "$e2e_dir/figures"
case $status in
  0) ok "figures of identity" ;;
  77) skip "figures of identity" "$(cat "$e2e_dir/figures")" ;;
  *) not_ok "figures of identity" "$(grep -E 'promised|LINE|ERROR|at the start' "$e2e_dir/figures" | head -5 | tr '\n' ' ')" ;;
esac

# What a new connection costs: in the agent alone, and from connect(2) to the data plane's having it
# (two wake-ups of other processes). Bounds are for release programs on a machine that does nothing else.
attestation=$bin/../room_agent_daemon_figures_test
"$attestation" >"$e2e_dir/attestation" 2>&1 || not_ok "figures of the agent" "$(grep -E 'LINE|ERROR' "$e2e_dir/attestation" | head -3 | tr '\n' ' ')"
sed -n 's/^\(.* p50 .*\)/# \1/p' "$e2e_dir/attestation"
# p50 FILE TITLE: of a printed figure, in microseconds
p50() { sed -n "s/^\(figure \)\{0,1\}$2 .*p50 *\([0-9.]*\).*/\2/p" "$1" | head -1 | awk '{ printf "%.0f", $1 * 1000 }'; }
if [[ ${BERTH_FIGURES:-} == full && $status == 0 ]]; then
  below "both hooks, p50 in us" 5000 "$(p50 "$e2e_dir/figures" "both hooks, exec to exit")"
  below "attestation of a connection, p50 in us" 60 "$(p50 "$e2e_dir/attestation" "attestation, from accept to hand-over")"
fi
