#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Must hold: the ledger equals the provider's own bill plus 5 %, each request rounded half up, to the
# last nano-dollar; also when every daemon is killed with -9 in the middle.
# shellcheck source=e2e/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
command -v node >/dev/null || { skip ledger "needs node"; exit 0; }
requests=${1:-1000}
stack_start

# The prices that the simulator bills, whatever the catalogue says today.
berth apply -f - >/dev/null <<'YAML'
apiVersion: berth.dev/v1alpha1
kind: Model
metadata: {name: openai/test-mini}
spec:
  provider: openai
  upstream: gpt-4o-mini
  maxOutput: 4096
  price: {input: "0.15", cached: "0.075", output: "0.60"}
---
apiVersion: berth.dev/v1alpha1
kind: Model
metadata: {name: openai/test-embedding}
spec:
  provider: openai
  upstream: text-embedding-3-small
  kind: embedding
  price: {input: "0.02"}
---
apiVersion: berth.dev/v1alpha1
kind: Model
metadata: {name: anthropic/test-haiku}
spec:
  provider: anthropic
  upstream: claude-haiku-4-5
  maxOutput: 4096
  price: {input: "1.00", cached: "0.10", output: "5.00"}
YAML
berth wallet deposit 100.00 >/dev/null
berth wallet transfer 100.00 >/dev/null

run_round() { # NAME [kill]
  node "$e2e_root/e2e/ledger.mjs" run "$requests" >"$e2e_dir/$1.seen" 2>"$e2e_dir/$1.progress" &
  local load=$! share daemon
  if [[ ${2:-} == kill ]]; then
    for share in 20:dataplane 45:controlplane 60:agent 75:dataplane; do
      daemon=${share#*:}
      [[ $daemon != agent || $EUID == 0 ]] || continue
      # shellcheck disable=SC2317
      reached() { (($(wc -l <"$e2e_dir/$1.progress") * 100 >= requests * ${share%:*})) || ! kill -0 $load 2>/dev/null; }
      within 120 reached "$1"
      kill -9 "$(daemon_pid "$daemon")"
      echo "# killed $daemon after $(wc -l <"$e2e_dir/$1.progress") requests"
    done
  fi
  wait $load
  node "$e2e_root/e2e/ledger.mjs" compare "$1" "$e2e_dir/$1.seen" || e2e_bad=$((e2e_bad + 1))
}
run_round quiet
curl -s -o /dev/null -X POST "$sim_url/sim/reset" # the bill of the second round is its own
run_round killed kill
