#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Must hold: under everything at once (callers of every dialect over HTTP/1.1 and HTTP/2, slow ones, rude ones, containers;
# providers that fail in every way; objects that come and go; money that moves; planes that stop, die and come back) a caller
# with money and a healthy provider is answered, rightly; ledger and bill agree to the nano-dollar; the audit is clean; no
# process grows; no log has an error that nobody caused, or a secret.
#   BERTH_SOAK_SECONDS   of load, in rounds of 30 s (30); every round ends with the books
#   BERTH_SOAK_RUN       a prefix of the load's command (nice -n 10)         SEED=N   repeats a run's requests
AGENT=1
((EUID == 0)) && command -v podman >/dev/null || AGENT=0
# shellcheck source=e2e/daemons.sh
source "$(dirname "${BASH_SOURCE[0]}")/daemons.sh"
for tool in node openssl; do command -v $tool >/dev/null || { skip soak "needs $tool"; exit 0; }; done
seconds=${BERTH_SOAK_SECONDS:-30}
: "${SEED:=$((RANDOM * 32768 + RANDOM))}"
echo "# seed $SEED"
RANDOM=$((SEED & 32767))
soak=$e2e_root/e2e/soak
cat >"$e2e_dir/sim.json" <<'JSON'
{"*": {"input_nano": 1000, "output_nano": 5000, "cached_nano": 100}, "text-embedding-3-small": {"input_nano": 20},
 "whisper-1": {"unit_nano": 100000}, "tts-1": {"unit_nano": 15000}, "dall-e-2": {"unit_nano": 20000000}}
JSON
secret=sk-soak-provider-secret-$SEED
SIM_FLAGS=(--prices "$e2e_dir/sim.json")
DATAPLANE_FLAGS=(--workers 2 --spool-mib 256)
sanitized=$(nm "$bin/berth-dataplane" | grep -c '__asan_init\|__tsan_init' || true)
stack_start

# ---- what there is -----------------------------------------------------------------------------------
object() { printf -- '---\napiVersion: berth.dev/v1alpha1\nkind: %s\nmetadata: {name: %s}\nspec: {%s}\n' "$@"; }
price='price: {input: "1.00", cached: "0.10", output: "5.00"}'
{
  for row in openai,openai,/v1 anthropic,anthropic, gemini,gemini, responses,openai-responses,/v1 ollama,ollama-native, \
    cohere,cohere-v2, azure,azure-openai, bedrock,bedrock-converse,; do
    IFS=, read -r name dialect path <<<"$row"
    [[ $name != bedrock ]] || dialect="$dialect, protocol: http1"
    object Provider "$name-sim" "dialect: $dialect, baseUrl: \"$sim_url$path\", allowPrivate: true, key: {value: \"AKID:$secret\"}"
    for model in m liar broken slow cutter; do
      object Model "$name-sim/$model" "provider: $name-sim, upstream: $model, context: 100000, maxOutput: 4096, $price"
    done
  done
  object Model openai-sim/embed 'provider: openai-sim, upstream: text-embedding-3-small, kind: embedding, price: {input: "0.02", output: "0"}'
  object Model openai-sim/hear 'provider: openai-sim, upstream: whisper-1, kind: transcription, price: {secondIn: "0.0001"}'
  object Model openai-sim/say 'provider: openai-sim, upstream: tts-1, kind: speech, price: {characterIn: "0.000015"}'
  object Model openai-sim/draw 'provider: openai-sim, upstream: dall-e-2, kind: image, price: {image: "0.02"}'
  object Route over-status 'targets: [openai-sim/broken, anthropic-sim/broken, gemini-sim/m]'
  object Route over-slow 'targets: [openai-sim/slow, anthropic-sim/m], firstTokenTimeoutMs: 400'
  object Route over-cut 'targets: [cohere-sim/cutter, openai-sim/m]'
  for provider in openai anthropic; do
    object Route quick-$provider "targets: [$provider-sim/m], stallTimeoutMs: 400"
    object Route drain-$provider "targets: [$provider-sim/m], onLeave: drain"
    object Route estimate-$provider "targets: [$provider-sim/m], onLeave: estimate"
  done
  for wallet in poor team; do object Wallet $wallet ''; done
} | apply >"$e2e_dir/apply.json"
curl -fs -o /dev/null "$sim_url/sim/script" -d '[{"match":{"model":"broken"},"do":{"status":500}},
  {"match":{"model":"slow"},"do":{"delay_ms":3000}}, {"match":{"model":"cutter"},"do":{"cut_after_bytes":10}}]' ||
  stop_suite soak "the simulator takes no script"
wallet_fund 10000.00
wallet_fund 500.00 team
wallet_fund 0.05 poor
models_are_there() { curl -s -H "authorization: Bearer $key" "$host_url/v1/models" | grep -q bedrock-sim/m; }
for name in main team poor capped churn; do
  case $name in team | poor) key_create $name $name ;; *) key_create $name ;; esac
  echo "$key" >"$e2e_dir/$name.key"
done
object ApiKey capped 'wallet: default, cap: {hour: "0.30"}' | apply >/dev/null
within 10 models_are_there || stop_suite soak "own models do not arrive: $(cat "$e2e_dir/apply.json")"
node_start 2
export UNTIL=$e2e_dir/enough SEED SIM=$sim_url SOCKET=$BERTH_DATA/controlplane/admin.sock
export TARGETS=dp1=$host_url,dp2=http://127.0.0.1:$((port + 14))
KEYS=$(for name in main team poor capped churn; do printf '%s=%s,' $name "$e2e_dir/$name.key"; done)
export KEYS=${KEYS%,}
if ((AGENT)); then
  pods_start
  node=$(readlink -f "$(command -v node)")
  pod run -d --name soak-box --network none --pull never -v /usr:/usr:ro -v /lib:/lib:ro $([[ ! -d /lib64 ]] || echo -v /lib64:/lib64:ro) \
    -v "$e2e_root/e2e:$e2e_root/e2e:ro" -v "$e2e_dir:$e2e_dir" berth-demo sleep 1000000 >/dev/null
fi

# ---- what happens meanwhile --------------------------------------------------------------------------
event() { echo "{\"at\":$(date +%s%3N),\"what\":\"$1\"}" >>"$e2e_dir/events"; }
churn=0
disturb() { # WHAT
  case $1 in
    config) object Model openai-sim/side "provider: openai-sim, upstream: side, price: {input: \"0.$((RANDOM % 90 + 10))\", output: \"1.00\"}" | apply >/dev/null ;;
    key)
      admin DELETE "/apis/berth.dev/v1alpha1/apikeys/churn$([[ $churn == 0 ]] || echo "-$churn")" >/dev/null
      churn=$((churn + 1))
      key_create "churn-$churn"
      echo "$key" >"$e2e_dir/churn.key.new" && mv "$e2e_dir/churn.key.new" "$e2e_dir/churn.key" ;;
    model) { object Model openai-sim/come-and-go "provider: openai-sim, upstream: m, context: 100000, maxOutput: 4096, $price"
      object Route come-and-go 'targets: [openai-sim/come-and-go, anthropic-sim/m]'; } | apply >/dev/null ;;
    no-model) for each in routes/come-and-go models/openai-sim/come-and-go; do admin DELETE "/apis/berth.dev/v1alpha1/$each" >/dev/null; done ;;
    money) wallet_fund 0.05 poor && wallet_fund 1.00 team ;;
    container)
      ((AGENT)) || return 0
      local name=soak-$RANDOM said
      pod run -d --name $name --network none --pull never berth-demo sleep 1000000 >/dev/null
      said=$(pod exec $name wget -q -O - --header "Authorization: Bearer container-$name" --header 'Content-Type: application/json' \
        --post-data '{"model":"openai-sim/m","messages":[{"role":"user","content":"hello"}]}' "http://127.0.0.1:$port/v1/chat/completions" 2>&1 || true)
      [[ $said == *'"choices"'* ]] || not_ok "a new container is served" "$said"
      pod rm -f -t 0 $name >/dev/null ;;
    control-*)
      event "control down ${1#*-}"
      if [[ $1 == control-kill ]]; then daemon_kill controlplane; else daemon_stop controlplane; fi
      daemon_start controlplane
      event "control up" ;;
    node-*)
      event "dp2 down ${1#*-}"
      if [[ $1 == node-kill ]]; then daemon_kill dp2; else daemon_stop dp2; fi
      node_start 2
      event "dp2 up" ;;
    first-stop) # the one that has the containers
      event "dp1 down stop"
      daemon_stop dataplane
      daemon_start dataplane
      event "dp1 up" ;;
  esac
}
sample() { # a line for each process that lives through the run, and what is on disk
  local name pid
  for name in dataplane controlplane $( ((AGENT == 0)) || echo agent); do
    pid=$(daemon_pid $name)
    [[ -d /proc/$pid ]] || continue
    echo "{\"at\":$(date +%s%3N),\"name\":\"$name\",\"pid\":$pid,\"rss\":$(rss_kb "$pid"),\"fds\":$(find "/proc/$pid/fd" -mindepth 1 2>/dev/null | wc -l),\"threads\":$(find "/proc/$pid/task" -mindepth 1 -maxdepth 1 | wc -l)}"
  done >>"$e2e_dir/samples"
}
steps=(config config config model no-model key money container control-stop config node-stop first-stop model money config container control-kill no-model config node-kill key)
round() { # NUMBER SECONDS
  local deadline loads=() pid what
  rm -f "$UNTIL"
  : >"$e2e_dir/begun"
  # shellcheck disable=SC2086
  SEED=$((SEED + $1)) ${BERTH_SOAK_RUN:-nice -n 10} node "$soak/load.mjs" "$e2e_dir/host.seen" 2>"$e2e_dir/host.err" &
  loads+=($!)
  if ((AGENT)); then
    "$e2e_dir/podman/pod" exec -e UNTIL -e SEED=$((SEED + $1)) -e PARALLEL=4 -e TARGETS="box=http://127.0.0.1:$port" -e KEYS="main==container-soak-box" \
      soak-box "$node" "$soak/load.mjs" "$e2e_dir/box.seen" 2>"$e2e_dir/box.err" &
    loads+=($!)
  fi
  helpers+=("${loads[@]}")
  # shellcheck disable=SC2317
  begun() { [[ $e2e_dir/host.seen -nt $e2e_dir/begun ]]; }
  within 300 begun || stop_suite load "does not begin: $(cat "$e2e_dir/host.err")"
  deadline=$((SECONDS + $2))
  while ((SECONDS < deadline)); do
    what=${steps[RANDOM % ${#steps[@]}]}
    disturb "$what" || not_ok "round $1: $what" "did not work"
    sample
    within 1 false || true
  done
  touch "$UNTIL"
  for pid in "${loads[@]}"; do
    within 60 dead "$pid" || { not_ok "load" "does not end" && kill -9 "$pid"; }
    wait "$pid" || not_ok "load" "$(cat "$e2e_dir"/{host,box}.err)"
  done
  METRICS=http://127.0.0.1:$((port + 2)) NAME="round $1" SANITIZED=$sanitized node "$soak/check.mjs" "$e2e_dir" || e2e_bad=$((e2e_bad + 1))
}
for ((n = 1; n * 30 <= seconds || n == 1; n++)); do
  round $n 30
done

# ---- the end: nothing is left ------------------------------------------------------------------------
((!AGENT)) || pod rm -f -t 0 soak-box >/dev/null
for name in dataplane dp2; do daemon_stop $name; done
for wallet in default team poor; do
  same "nothing is held of wallet $wallet" 0.00 "$(admin GET "/api/v1/wallet/balances?wallet=$wallet" | json 'd.held')"
done
same "no file waits in the spool" 0 "$(find "$BERTH_DATA" -path '*spool*' -type f | wc -l)"
for word in "$secret" prompt-canary "$(cat "$e2e_dir/main.key")" "$(cat "$BERTH_DATA/controlplane/admin.token")"; do
  same "no log has ${word:0:12}..." "" "$(grep -lF -- "$word" "$e2e_dir"/*.log "$e2e_dir"/*.out || true)"
done
same "no sanitizer reports" "" "$(grep -hE 'Sanitizer|runtime error' "$e2e_dir"/*.log | head -3 || true)"
((e2e_bad == 0))
