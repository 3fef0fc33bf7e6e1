#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Must hold: inside a container whose environment has base URLs and container-NAME only, the vendors'
# unmodified SDKs work, and HTTP/2 multiplexes.
# shellcheck source=e2e/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
if ((EUID != 0)) || ! command -v podman >/dev/null || ! command -v node >/dev/null || ! command -v npm >/dev/null; then
  skip sdk "needs root, podman, node and npm"
  exit 0
fi
if [[ ! -d $e2e_root/e2e/sdk/node_modules/openai || ! -d $e2e_root/e2e/sdk/node_modules/@anthropic-ai/sdk ]] &&
  ! (cd "$e2e_root/e2e/sdk" && npm ci --no-audit --no-fund --ignore-scripts >"$e2e_dir/npm.log" 2>&1); then
  not_ok "npm ci" "$(tail -3 "$e2e_dir/npm.log")"
  exit 0
fi
stack_start
pods_start

# The container sees the host's node and its libraries, read-only; nothing else of the host.
mounts=(-v "$e2e_root/e2e/sdk:/sdk:ro" -v /usr/lib:/usr/lib:ro -v /usr/bin:/usr/bin:ro)
for lib in /lib /lib64; do
  [[ ! -e $lib ]] || mounts+=(-v "$(readlink -f $lib):$lib:ro")
done
for extra in /usr/share/nodejs /usr/local; do
  [[ ! -d $extra ]] || mounts+=(-v "$extra:$extra:ro")
done
pod run --rm --name sdk-user --network none "${mounts[@]}" \
  --env "OPENAI_BASE_URL=http://127.0.0.1:$port/v1" --env OPENAI_API_KEY=container-sdk-user \
  --env "ANTHROPIC_BASE_URL=http://127.0.0.1:$port" --env ANTHROPIC_API_KEY=container-sdk-user \
  --workdir /sdk berth-demo "$(readlink -f "$(command -v node)")" /sdk/sdk.mjs 2>"$e2e_dir/sdk.err" ||
  not_ok "sdk.mjs" "$(tail -3 "$e2e_dir/sdk.err")"
