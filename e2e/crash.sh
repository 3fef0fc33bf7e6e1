#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Must hold: the ledger is exact to the nano-dollar over every kind of request, and stays so when any
# daemon is killed with -9 under load, again and again: what a client saw complete is charged once with
# the provider's amount, what it did not see is recorded truthfully, leases of the dead come back.
#   crash.sh [ROUNDS]   kill rounds (6; BERTH_KILLS=full: 500); SEED=N repeats a run's requests
AGENT=1
((EUID == 0)) && command -v podman >/dev/null || AGENT=0
# shellcheck source=e2e/daemons.sh
source "$(dirname "${BASH_SOURCE[0]}")/daemons.sh"
command -v node >/dev/null || { skip crash "needs node"; exit 0; }
rounds=${1:-6}
[[ ${BERTH_KILLS:-} != full || -n ${1:-} ]] || rounds=500
: "${SEED:=$((RANDOM * 32768 + RANDOM))}"
echo "# seed $SEED"
ledger=$e2e_root/e2e/ledger
PRICES=$e2e_dir/prices.json
node "$ledger/prices.mjs" "$e2e_root/controlplane/catalog/data/models.json" "$e2e_dir/sim.json" "$PRICES"
SIM_FLAGS=(--prices "$e2e_dir/sim.json")
stack_start
export PRICES SIM=$sim_url SOCKET=$BERTH_DATA/controlplane/admin.sock SEED

# Prices that are no whole nano-dollars: rounding has to show.
for provider in openai anthropic; do
  apply >"$e2e_dir/apply.json" <<YAML
apiVersion: berth.dev/v1alpha1
kind: Model
metadata: {name: $provider/odd}
spec:
  provider: $provider
  upstream: odd
  maxOutput: 4096
  price: {input: "0.123457", cached: "0.012343", output: "3.333333", reasoning: "1.234567"}
YAML
done
wallet_fund 1000.00
key_create crash
odd_is_there() { curl -s -H "authorization: Bearer $key" "$host_url/v1/models" | grep -q anthropic/odd; }
within 10 odd_is_there || stop_suite crash "own models do not arrive: $(cat "$e2e_dir/apply.json")"

count_bad() { "$@" || e2e_bad=$((e2e_bad + 1)); }

# ---- 1,000 requests, nothing fails --------------------------------------------------------------------
BASE=$host_url KEY=$key COUNT=${REQUESTS:-1000} PARALLEL=32 node "$ledger/load.mjs" "$e2e_dir/exact.seen" ||
  not_ok "exact" "the load ended badly"
NAME=exact count_bad node "$ledger/check.mjs" exact "$e2e_dir/exact.seen"

# ---- clients that leave, providers that fail ----------------------------------------------------------
BASE=$host_url KEY=$key COUNT=${REQUESTS:-1000} PARALLEL=32 RUDE=1 node "$ledger/load.mjs" "$e2e_dir/rude.seen" ||
  not_ok "rude" "the load ended badly"
NAME="rude" count_bad node "$ledger/check.mjs" crash "$e2e_dir/exact.seen" "$e2e_dir/rude.seen"

# ---- kill -9 under load -------------------------------------------------------------------------------
export UNTIL=$e2e_dir/enough COUNT=0 PARALLEL=16 SLOW=1
files=("$e2e_dir/exact.seen" "$e2e_dir/rude.seen")
loads=()
load() { # NAME COMMAND...: until $UNTIL exists
  files+=("$e2e_dir/$1.seen")
  : >"$e2e_dir/$1.seen"
  "${@:2}" "$ledger/load.mjs" "$e2e_dir/$1.seen" 2>"$e2e_dir/$1.err" &
  loads+=($!)
  helpers+=($!)
}
BASE=$host_url KEY=$key load host node
victims=(dataplane controlplane)
if ((AGENT)); then
  pods_start
  node=$(readlink -f "$(command -v node)")
  pod run -d --name crash-box --network none --pull never -v /usr:/usr:ro -v /lib:/lib:ro \
    $([[ ! -d /lib64 ]] || echo -v /lib64:/lib64:ro) -v "$ledger:$ledger:ro" -v "$e2e_dir:$e2e_dir" \
    berth-demo sleep 1000000 >/dev/null
  load box "$e2e_dir/podman/pod" exec -e UNTIL -e COUNT -e PARALLEL=8 -e SLOW -e SEED \
    -e BASE="http://127.0.0.1:$port" -e KEY=container-crash-box crash-box "$node"
  victims+=(agent)
fi
# Complete requests behind what was there when the round began: the files grow to many megabytes.
declare -A seen_bytes=()
seen_since() {
  local file
  for file in "${files[@]:2}"; do tail -c "+$((${seen_bytes[$file]:-0} + 1))" "$file"; done |
    grep -c '"complete":true' || true
}
grown() { (($(seen_since) >= $1)); }
progress() { # some more complete requests, whoever died: the load has to go on
  local file
  for file in "${files[@]:2}"; do seen_bytes[$file]=$(stat -c %s "$file"); done
  within 30 grown "$1" || not_ok "$2" "clients are not served any more"
}
RANDOM=$((SEED & 32767))
for ((round = 1; round <= rounds; round++)); do
  progress $((30 + RANDOM % 60)) "round $round"
  victim=${victims[$(((round - 1) % ${#victims[@]}))]}
  if ((round % 5 == 0)); then # both planes at once
    daemon_kill controlplane
    victim=dataplane
  fi
  daemon_kill "$victim"
  ((round % 4 != 0)) || within 1 false || true # sometimes it is away for a while
  ((round % 5 != 0)) || daemon_start controlplane
  daemon_start "$victim"
  echo "# round $round: killed $victim$( ((round % 5)) || echo ' and controlplane')"
done
progress 100 "after the last kill"
touch "$UNTIL"
for pid in "${loads[@]}"; do
  within 60 dead "$pid" || { not_ok "load" "does not end" && kill -9 "$pid"; }
  wait "$pid" || not_ok "load" "$(cat "$e2e_dir"/{host,box}.err)"
done
((!AGENT)) || pod rm -f -t 0 crash-box >/dev/null
NAME=crash count_bad node "$ledger/check.mjs" crash "${files[@]}"

# ---- a clean stop, and everything once more from the files --------------------------------------------
for name in dataplane controlplane; do daemon_stop $name; done
for name in controlplane dataplane; do daemon_start $name; done
NAME=restarted count_bad node "$ledger/check.mjs" crash "${files[@]}"
