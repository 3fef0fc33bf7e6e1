#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Must hold: whatever becomes of a request, who pays is what docs/internals/prices.md says, to the
# nano-dollar: completed requests and drained ones by the provider's own bill, interrupted ones by what
# was delivered, the rest nobody; and a provider that lies about usage moves no money it may not.
#   whopays.sh [REQUESTS]      default 1000; BERTH_E2E_FULL=1: 10000. SEED=N repeats a run's requests
: "${AGENT:=1}"
((EUID == 0)) && command -v podman >/dev/null || AGENT=0
# shellcheck source=e2e/daemons.sh
source "$(dirname "${BASH_SOURCE[0]}")/daemons.sh"
command -v node >/dev/null || { skip whopays "needs node"; exit 0; }
requests=${1:-$([[ ${BERTH_E2E_FULL:-0} == 1 ]] && echo 10000 || echo 1000)}
: "${SEED:=$((RANDOM * 32768 + RANDOM))}"
echo "# seed $SEED"
cat >"$e2e_dir/sim.json" <<'JSON'
{"pay":{"input_nano":1000,"output_nano":5000,"cached_nano":100},
 "broken":{"input_nano":1000,"output_nano":5000,"cached_nano":100}}
JSON
SIM_FLAGS=(--prices "$e2e_dir/sim.json")
stack_start

# A model a provider, one that always fails before it, and a route for each way to leave.
{
  printf -- '---\napiVersion: berth.dev/v1alpha1\nkind: Provider\nmetadata: {name: gemini}\n'
  printf 'spec: {dialect: gemini, baseUrl: "%s/v1beta", allowPrivate: true, key: {value: sim}}\n' "$sim_url"
  for provider in openai anthropic gemini; do
    for name in pay broken; do
      printf -- '---\napiVersion: berth.dev/v1alpha1\nkind: Model\nmetadata: {name: %s/%s}\n' $provider $name
      printf 'spec: {provider: %s, upstream: %s, context: 100000, maxOutput: 4096, ' $provider $name
      printf 'price: {input: "1.00", cached: "0.10", output: "5.00"}}\n'
    done
    printf -- '---\napiVersion: berth.dev/v1alpha1\nkind: Model\nmetadata: {name: %s/unpriced}\n' $provider
    printf 'spec: {provider: %s, upstream: pay}\n' $provider
    printf -- '---\napiVersion: berth.dev/v1alpha1\nkind: Model\nmetadata: {name: %s/free}\n' $provider
    printf 'spec: {provider: %s, upstream: pay, free: true}\n' $provider
    printf -- '---\napiVersion: berth.dev/v1alpha1\nkind: Route\nmetadata: {name: over-%s}\n' $provider
    printf 'spec: {targets: [%s/broken, %s/pay]}\n' $provider $provider
    for leave in cancel drain estimate; do
      printf -- '---\napiVersion: berth.dev/v1alpha1\nkind: Route\nmetadata: {name: %s-%s}\n' $leave $provider
      printf 'spec: {targets: [%s/pay], onLeave: %s, stallTimeoutMs: 300, firstTokenTimeoutMs: 600}\n' $provider $leave
    done
  done
} | apply >"$e2e_dir/apply.json"
curl -fs -o /dev/null "$sim_url/sim/script" -d '[{"match":{"model":"broken"},"do":{"status":500}}]' ||
  stop_suite whopays "the simulator takes no script"
wallet_fund 1000.00
key_create whopays
models_are_there() { curl -s -H "authorization: Bearer $key" "$host_url/v1/models" | grep -q gemini/free; }
within 10 models_are_there || stop_suite whopays "own models do not arrive: $(cat "$e2e_dir/apply.json")"

SOCKET=$BERTH_DATA/controlplane/admin.sock
export SOCKET SEED BASE=$host_url SIM=$sim_url KEY=$key
node "$e2e_root/e2e/ledger/whopays.mjs" "$requests" || e2e_bad=$((e2e_bad + 1))

# A container is removed in the middle of its answer: it pays for what it was given.
if ((AGENT)); then
  pods_start
  body='{"model":"cancel-anthropic","stream":true,"max_tokens":500,"messages":[{"role":"user","content":"[[sim: words=200, chunk_ms=20]]"}]}'
  for name in cut-1 cut-2; do
    pod run -d --name $name --network none --pull never berth-demo sleep 1000 >/dev/null
    pod exec $name wget -q -O - --header 'Content-Type: application/json' --header "Authorization: Bearer container-$name" \
      --post-data "$body" "http://127.0.0.1:$port/v1/messages" >"$e2e_dir/$name.out" 2>&1 &
    stream=$!
    # shellcheck disable=SC2317
    flows() { (($(grep -c text_delta "$e2e_dir/$name.out") > 5)); }
    within 10 flows || not_ok "container removed in mid-stream" "no stream in container $name: $(head -c 300 "$e2e_dir/$name.out")"
    pod rm -f -t 0 $name >/dev/null
    wait "$stream" || true
  done
  all_revoked() { node "$e2e_root/e2e/ledger/whopays.mjs" revoked 2 >"$e2e_dir/revoked.out"; }
  if within 10 all_revoked; then
    ok "container removed in mid-stream: what was delivered"
  else
    not_ok "container removed in mid-stream" "$(cat "$e2e_dir/revoked.out")"
  fi
else
  skip "container removed in mid-stream" "needs root and podman"
fi
