#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Must hold: the vendors' unmodified SDKs work from inside a container that knows nothing but two base
# URLs and its own token, in both dialects and across them; so does HTTP/2 with prior knowledge.
# BERTH_SDK_HOST=1 runs the same on the host with an API key (no root, no podman needed).
AGENT=1
[[ ${BERTH_SDK_HOST:-} != 1 && $EUID == 0 ]] || AGENT=0
# shellcheck source=e2e/daemons.sh
source "$(dirname "${BASH_SOURCE[0]}")/daemons.sh"
for program in node npm $([[ $AGENT == 0 ]] || echo podman runc); do
  command -v "$program" >/dev/null || { skip sdk "needs $program"; exit 0; }
done
sdk=$e2e_root/e2e/sdk
[[ -f $sdk/node_modules/.package-lock.json ]] ||
  npm ci --prefix "$sdk" --no-audit --no-fund >"$e2e_dir/npm.log" 2>&1 ||
  { skip sdk "npm ci: $(tail -n 1 "$e2e_dir/npm.log")"; exit 0; }

stack_start
wallet_fund 100.00
run_tests() { # COMMAND...: its lines are ours, its failures count
  "$@" 2>"$e2e_dir/sdk.err" || {
    e2e_bad=$((e2e_bad + 1))
    sed 's/^/# /' "$e2e_dir/sdk.err"
  }
}

if [[ $AGENT == 0 ]]; then
  key_create sdk
  run_tests env -i OPENAI_BASE_URL="$host_url/v1" ANTHROPIC_BASE_URL="$host_url" \
    OPENAI_API_KEY="$key" ANTHROPIC_API_KEY="$key" "$(command -v node)" "$sdk/main.mjs"
  exit
fi

pods_start
# The host's node with its libraries, read-only, in an otherwise empty container.
node=$(readlink -f "$(command -v node)")
mounts=(-v /usr:/usr:ro -v /lib:/lib:ro -v "$sdk:/sdk:ro")
[[ ! -d /lib64 ]] || mounts+=(-v /lib64:/lib64:ro)
[[ $node == /usr/* ]] || mounts+=(-v "$(dirname "$(dirname "$node")"):$(dirname "$(dirname "$node")"):ro")
run_tests pod run --rm --name sdk-box --network none --pull never --http-proxy=false "${mounts[@]}" --unsetenv-all \
  -e OPENAI_BASE_URL="http://127.0.0.1:$port/v1" -e ANTHROPIC_BASE_URL="http://127.0.0.1:$port" \
  -e OPENAI_API_KEY=container-sdk-box -e ANTHROPIC_API_KEY=container-sdk-box \
  berth-demo "$node" /sdk/main.mjs
