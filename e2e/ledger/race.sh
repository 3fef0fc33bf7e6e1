# shellcheck shell=bash
# SPDX-License-Identifier: MIT
# A race of $requests requests at once on four data planes, for suites that cap what may be spent.
# race_model: the model openai/race; race_start: that, and data planes dp2, dp3 and dp4 beside the stack's.
race_model() {
  apply >/dev/null <<'YAML'
apiVersion: berth.dev/v1alpha1
kind: Model
metadata: {name: openai/race}
spec: {provider: openai, upstream: gpt-4o-mini, maxOutput: 4096, price: {input: "10.00", output: "40.00"}}
YAML
}
race_start() {
  race_model
  local n
  for n in 2 3 4; do node_start $n; done
}
# race WHAT [PATTERN]: with $key, into $seen; every refusal names WHAT, so that it matches PATTERN (race.mjs)
race() {
  local urls
  urls=$host_url,$(for n in 2 3 4; do echo -n "http://127.0.0.1:$((port + 10 + n * 2)),"; done)
  # shellcheck disable=SC2154
  env ${2:+"RACE_REFUSAL=$2"} node "$e2e_root/e2e/ledger/race.mjs" "${urls%,}" "$key" "$requests" openai/race >"$e2e_dir/race.json" 2>"$e2e_dir/race.err" ||
    stop_suite race "$(tail -n 3 "$e2e_dir/race.err")"
  seen=$(cat "$e2e_dir/race.json")
  echo "# $seen"
  same "every request was answered: 200 or 402" "$requests" "$(json 'd.ok + d.refused' <<<"$seen")"
  same "some were refused, some not" true "$(json 'd.ok > 0 && d.refused > 0' <<<"$seen")"
  same "every refusal names $1" "" "$(json 'd.nameless' <<<"$seen")"
}
