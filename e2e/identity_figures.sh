#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Must hold: the figures that docs/internals/identity.md promises, as a table. Small by default; with
# BERTH_FIGURES=full 500 kills and 1,000 containers, and every bound is checked.
export IDENTITY_STACK=daemons
# shellcheck source=e2e/identity/rig.sh
source "$(dirname "${BASH_SOURCE[0]}")/identity/rig.sh"
[[ -n $cgroups ]] || { skip identity_figures "no cgroup v2 tree"; exit 0; }
# shellcheck disable=SC2034
AGENT=1
stack_start
wallet_fund 1000.00
key_create load
[[ ${BERTH_FIGURES:-} == full ]] && full=1 || full=0
# load: callers with keys, all the while
berth-load rate --rate 300 --seconds 600 --body "$body" --header 'content-type: application/json' \
  --header "authorization: Bearer $key" "$host_url/v1/chat/completions" >"$e2e_dir/load.out" 2>&1 &
helpers+=($!)
python3 "$e2e_root/e2e/identity/figures.py" "$port" "$BERTH_DATA/run/hook.sock" "${pid_of[agent]}" "${pid_of[dataplane]}" "$full" ||
  not_ok "figures" "see above"
