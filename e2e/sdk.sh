#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Must hold: the vendors' unmodified SDKs, and the frameworks above them, work from inside a container that
# knows nothing but base URLs and its own token, in every dialect and across them; so does HTTP/2 with prior
# knowledge; and docs/clients.md says what they can. BERTH_SDK="clients frameworks" runs only these.
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
  npm ci --prefix "$sdk" --ignore-scripts --no-audit --no-fund >"$e2e_dir/npm.log" 2>&1 ||
  { skip sdk "npm ci: $(tail -n 1 "$e2e_dir/npm.log")"; exit 0; }
# Python's SDKs where pip is at hand.
venv=$sdk/.venv
[[ -f $venv/done && ! $sdk/requirements.txt -nt $venv/done ]] ||
  { python3 -m venv --clear "$venv" && "$venv/bin/pip" install -q --disable-pip-version-check -r "$sdk/requirements.txt" &&
    touch "$venv/done"; } >"$e2e_dir/pip.log" 2>&1 ||
  { venv= && skip "Python's SDKs" "pip: $(tail -n 1 "$e2e_dir/pip.log")"; }

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
---
apiVersion: berth.dev/v1alpha1
kind: Provider
metadata: {name: house-mistral}
spec: {dialect: openai, baseUrl: "$sim_url/v1", allowPrivate: true, key: {value: sim}}
---
apiVersion: berth.dev/v1alpha1
kind: Model
metadata: {name: house-mistral/small}
spec: {provider: house-mistral, upstream: mistral-small-latest, price: {input: "0.10", output: "0.30"}}
---
apiVersion: berth.dev/v1alpha1
kind: Model
metadata: {name: house-mistral/embed}
spec: {provider: house-mistral, kind: embedding, upstream: mistral-embed, price: {input: "0.10", output: "0"}}
---
apiVersion: berth.dev/v1alpha1
kind: Provider
metadata: {name: house-cohere}
spec: {dialect: cohere-v2, baseUrl: "$sim_url", allowPrivate: true, key: {value: sim}}
---
apiVersion: berth.dev/v1alpha1
kind: Model
metadata: {name: house-cohere/rank}
spec: {provider: house-cohere, kind: rerank, upstream: rerank-v3.5, price: {query: "0.002"}}
---
apiVersion: berth.dev/v1alpha1
kind: Provider
metadata: {name: house-ollama}
spec: {dialect: ollama-native, baseUrl: "$sim_url", allowPrivate: true, key: {value: sim}}
---
apiVersion: berth.dev/v1alpha1
kind: Model
metadata: {name: house-ollama/embed}
spec: {provider: house-ollama, kind: embedding, upstream: nomic-embed-text, price: {input: "0.01", output: "0"}}
---
apiVersion: berth.dev/v1alpha1
kind: Model
metadata: {name: house-cohere/embed}
spec: {provider: house-cohere, kind: embedding, upstream: embed-v4.0, price: {input: "0.12", output: "0"}}
YAML
key_create sdk-host
lists() { curl -s -H "authorization: Bearer $key" "$host_url/v1/models" | grep -q "\"$1\""; }
within 10 lists house-mistral/embed || stop_suite sdk "own models do not arrive: $(cat "$e2e_dir/apply.json")"
extra=(RESPONSES_MODEL=house/responses AZURE_MODEL=house-azure/deployed BEDROCK_MODEL=house-aws/claude
  MISTRAL_MODEL=house-mistral/small MISTRAL_EMBED_MODEL=house-mistral/embed RERANK_MODEL=house-cohere/rank
  FOREIGN_EMBED_MODEL=house-cohere/embed OLLAMA_EMBED_MODEL=house-ollama/embed)
read -ra suites <<<"${BERTH_SDK:-main gemini dialects media clients frameworks bases python}"
run_tests() { # COMMAND...: its lines are ours, its failures count; what it claims is docs/clients.md's
  local status=0
  "$@" >"$e2e_dir/sdk.out" 2>"$e2e_dir/sdk.err" || status=$?
  grep -v $'^# claim\t' "$e2e_dir/sdk.out" || true
  grep $'^# claim\t' "$e2e_dir/sdk.out" >>"$e2e_dir/claims.$([[ $suite == media ]] && echo media || echo sdk)" || true
  ((status == 0)) || {
    e2e_bad=$((e2e_bad + 1))
    sed 's/^/# /' "$e2e_dir/sdk.err"
  }
}
# program SUITE FOLDER: what runs it, with the libraries in that folder
program() {
  if [[ $1 == python ]]; then argv=("$2/.venv/bin/python" "$2/clients.py"); else argv=("$node" "$2/$1.mjs"); fi
}
node=$(readlink -f "$(command -v node)")
[[ -n $venv ]] || suites=("${suites[@]/python/}")

if [[ $AGENT == 1 ]]; then
  pods_start
  # The host's node and python with their libraries, read-only, in an otherwise empty container.
  mounts=(-v /usr:/usr:ro -v /lib:/lib:ro -v "$sdk:/sdk:ro")
  [[ ! -d /lib64 ]] || mounts+=(-v /lib64:/lib64:ro)
  for prefix in "$(dirname "$(dirname "$node")")" "${venv:+$(python3 -c 'import sys; print(sys.base_prefix)')}"; do
    [[ -z $prefix || $prefix == /usr* ]] || mounts+=(-v "$prefix:$prefix:ro")
  done
fi
for suite in "${suites[@]}"; do
  [[ -n $suite ]] || continue
  if [[ $AGENT == 0 ]]; then
    program "$suite" "$sdk"
    run_tests env -i OPENAI_BASE_URL="$host_url/v1" ANTHROPIC_BASE_URL="$host_url" GOOGLE_GEMINI_BASE_URL="$host_url" \
      OPENAI_API_KEY="$key" ANTHROPIC_API_KEY="$key" GEMINI_API_KEY="$key" "${extra[@]}" "${argv[@]}"
  else
    program "$suite" /sdk
    here=http://127.0.0.1:$port
    token=container-sdk-box
    run_tests pod run --rm --name sdk-box --network none --pull never --http-proxy=false "${mounts[@]}" --unsetenv-all \
      -e OPENAI_BASE_URL="$here/v1" -e ANTHROPIC_BASE_URL="$here" -e GOOGLE_GEMINI_BASE_URL="$here" \
      -e OPENAI_API_KEY=$token -e ANTHROPIC_API_KEY=$token -e GEMINI_API_KEY=$token \
      "${extra[@]/#/--env=}" berth-demo "${argv[@]}"
  fi
done
[[ -n ${BERTH_SDK:-} ]] || for table in sdk media; do claims_agree $table; done
