#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Must hold: a body in gzip, deflate, br or zstd is answered like the same body in plain, over HTTP/1.1 and HTTP/2, from
# Node and Python; what is no such body, not all of it, more than it, too much of it or another coding is refused in the
# caller's dialect; a stream is not compressed, whatever its caller would take.
# shellcheck source=e2e/lib.sh
source "$(dirname "$0")/lib.sh"

stack_start
for client in "node client.mjs" "python3 client.py"; do
  if ! command -v "${client%% *}" >/dev/null; then
    skip "${client%% *}" "is not installed"
    continue
  fi
  # shellcheck disable=SC2086  # two words
  lines=$(cd "$e2e_root/e2e/bodies" && $client "$host_url" "$host_key" 2>"$e2e_dir/client.err") ||
    not_ok "${client%% *}" "ended with $?: $(tail -3 "$e2e_dir/client.err")"
  echo "$lines"
  e2e_bad=$((e2e_bad + $(grep -c '^not ok ' <<<"$lines" || true)))
done
