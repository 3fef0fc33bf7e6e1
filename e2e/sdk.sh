#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Must hold: the vendors' unmodified SDKs work from inside a container that knows nothing but two base
# URLs and its own token, in every dialect and across them; so does HTTP/2 with prior knowledge.
# BERTH_SDK_HOST=1 runs the same on the host with an API key (no root, no podman needed).
AGENT=1
[[ ${BERTH_SDK_HOST:-} != 1 && $EUID == 0 ]] || AGENT=0
# shellcheck source=e2e/daemons.sh
source "$(dirname "${BASH_SOURCE[0]}")/daemons.sh"
for program in node npm $([[ $AGENT == 0 ]] || echo podman runc); do
  command -v "$program" >/dev/null || { skip sdk "needs $program"; exit 0; }
done
sdk=$e2e_root/e2e/sdk
[[ -f $sdk/node_modules/.package-lock.json && ! $sdk/package-lock.json -nt $sdk/node_modules/.package-lock.json ]] ||
  npm ci --prefix "$sdk" --no-audit --no-fund >"$e2e_dir/npm.log" 2>&1 ||
  { skip sdk "npm ci: $(tail -n 1 "$e2e_dir/npm.log")"; exit 0; }

stack_start
wallet_fund 100.00
# Dialects that no provider of the offline stack speaks.
apply >"$e2e_dir/apply.json" <<YAML
apiVersion: berth.dev/v1alpha1
kind: Provider
metadata: {name: house}
spec: {dialect: openai-responses, baseUrl: "$sim_url/v1", allowPrivate: true, key: {value: sim}}
---
apiVersion: berth.dev/v1alpha1
kind: Model
metadata: {name: house/responses}
spec: {provider: house, upstream: gpt-4o-mini, price: {input: "0.15", output: "0.60"}}
---
apiVersion: berth.dev/v1alpha1
kind: Provider
metadata: {name: house-azure}
spec: {dialect: azure-openai, baseUrl: "$sim_url", allowPrivate: true, key: {value: sim}}
---
apiVersion: berth.dev/v1alpha1
kind: Model
metadata: {name: house-azure/deployed}
spec: {provider: house-azure, upstream: gpt-4o-mini, price: {input: "0.15", output: "0.60"}}
---
apiVersion: berth.dev/v1alpha1
kind: Provider
metadata: {name: house-aws}
spec: {dialect: bedrock-converse, baseUrl: "$sim_url", allowPrivate: true, key: {value: "AKIDEXAMPLE:not-a-secret-at-all"}}
---
apiVersion: berth.dev/v1alpha1
kind: Model
metadata: {name: house-aws/claude}
spec: {provider: house-aws, upstream: "eu.anthropic.claude-sonnet-4-5-v1:0", price: {input: "3", output: "15"}}
YAML
key_create sdk-host
lists() { curl -s -H "authorization: Bearer $key" "$host_url/v1/models" | grep -q "\"$1\""; }
within 10 lists house-aws/claude || stop_suite sdk "own models do not arrive: $(cat "$e2e_dir/apply.json")"
extra=(RESPONSES_MODEL=house/responses AZURE_MODEL=house-azure/deployed BEDROCK_MODEL=house-aws/claude)
suites=(main gemini dialects)
run_tests() { # COMMAND...: its lines are ours, its failures count
  "$@" 2>"$e2e_dir/sdk.err" || {
    e2e_bad=$((e2e_bad + 1))
    sed 's/^/# /' "$e2e_dir/sdk.err"
  }
}

if [[ $AGENT == 0 ]]; then
  for suite in "${suites[@]}"; do
    run_tests env -i OPENAI_BASE_URL="$host_url/v1" ANTHROPIC_BASE_URL="$host_url" GOOGLE_GEMINI_BASE_URL="$host_url" \
      OPENAI_API_KEY="$key" ANTHROPIC_API_KEY="$key" GEMINI_API_KEY="$key" "${extra[@]}" \
      "$(command -v node)" "$sdk/$suite.mjs"
  done
  exit
fi

pods_start
# The host's node with its libraries, read-only, in an otherwise empty container.
node=$(readlink -f "$(command -v node)")
mounts=(-v /usr:/usr:ro -v /lib:/lib:ro -v "$sdk:/sdk:ro")
[[ ! -d /lib64 ]] || mounts+=(-v /lib64:/lib64:ro)
[[ $node == /usr/* ]] || mounts+=(-v "$(dirname "$(dirname "$node")"):$(dirname "$(dirname "$node")"):ro")
here=http://127.0.0.1:$port
token=container-sdk-box
for suite in "${suites[@]}"; do
  run_tests pod run --rm --name sdk-box --network none --pull never --http-proxy=false "${mounts[@]}" --unsetenv-all \
    -e OPENAI_BASE_URL="$here/v1" -e ANTHROPIC_BASE_URL="$here" -e GOOGLE_GEMINI_BASE_URL="$here" \
    -e OPENAI_API_KEY=$token -e ANTHROPIC_API_KEY=$token -e GEMINI_API_KEY=$token \
    "${extra[@]/#/--env=}" berth-demo "$node" "/sdk/$suite.mjs"
done
