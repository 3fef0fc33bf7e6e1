# shellcheck shell=bash
# SPDX-License-Identifier: MIT
# What the end-to-end suites share: a stack of real processes in a folder and on ports of its own,
# deadlines instead of sleeps, and one line a case: "ok NAME" or "not ok NAME: REASON" ("skip NAME").
# BERTH_BIN: folder with the programs (default build/dev/bin).
set -euo pipefail

e2e_root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
bin=${BERTH_BIN:-$e2e_root/build/dev/bin}
[[ -x $bin/berth ]] || { echo "not ok start: no programs in $bin; build them, or set BERTH_BIN"; exit 1; }
bin=$(cd "$bin" && pwd)
export PATH=$bin:$PATH
e2e_bad=0
e2e_dir=$(mktemp -d /tmp/berth-e2e.XXXXXX)
export BERTH_DATA=$e2e_dir/data
# Nothing of a run outlives it, however it ends. The second name reaches what berth starts, too.
export BERTH_AGENT_RUN_OF=$e2e_dir
(setsid bash "$e2e_root/e2e/sweep.sh" "$$" "$e2e_dir" </dev/null >/dev/null 2>&1 &)
stack_pid=
port=
# shellcheck source=e2e/container.sh
source "$e2e_root/e2e/container.sh"

ok() { echo "ok $1"; }
skip() { echo "skip $1: $2"; }
not_ok() {
  echo "not ok $1: ${2:-}"
  e2e_bad=$((e2e_bad + 1))
}
# same NAME WANT HAVE
same() {
  if [[ $2 == "$3" ]]; then ok "$1"; else not_ok "$1" "want '$2', have '${3:0:400}'"; fi
}
# has NAME NEEDLE HAYSTACK
has() {
  if [[ $3 == *"$2"* ]]; then ok "$1"; else not_ok "$1" "no '$2' in '${3:0:400}'"; fi
}
# claims_agree TABLE: docs/clients.md says in its table TABLE what this run wrote into claims.TABLE
claims_agree() {
  node "$e2e_root/e2e/clients.mjs" "$1" "$e2e_dir/claims.$1" "$e2e_root/docs/clients.md" "$e2e_root/build/test/clients.md" ||
    e2e_bad=$((e2e_bad + 1))
}
# below NAME LIMIT HAVE: whole numbers
below() {
  if [[ $3 =~ ^[0-9]+$ ]] && (($3 <= $2)); then ok "$1 ($3 <= $2)"; else not_ok "$1" "$3 > $2"; fi
}
# within SECONDS COMMAND...: until it succeeds
within() {
  local deadline=$((SECONDS + $1))
  shift
  until "$@"; do
    ((SECONDS <= deadline)) || return 1
    sleep 0.02
  done
}

e2e_port_taken() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }
# free_ports: a first port whose neighbours are free
free_ports() {
  local base offset try
  for try in $(seq 50); do
    base=$((10000 + (RANDOM % 1000) * 20 + try))
    for offset in 0 1 2 3 4 10; do
      ! e2e_port_taken $((base + offset)) || continue 2
    done
    echo "$base"
    return
  done
  return 1
}

# stack_start [OPTIONS]: sets port, stack_pid, stack_ready (the JSON line); the simulator answers.
stack_start() {
  [[ -n $port ]] || port=$(free_ports)
  : >"$e2e_dir/up.out"
  berth up --offline --release-on-exit --port "$port" -o json "$@" >"$e2e_dir/up.out" 2>"$e2e_dir/up.err" &
  stack_pid=$!
  if ! within 20 stack_is_ready_or_gone || ! kill -0 "$stack_pid" 2>/dev/null; then
    stack_pid=
    echo "not ok stack_start: $(cat "$e2e_dir/up.err")"
    return 1
  fi
  # shellcheck disable=SC2034  # for the suites
  stack_ready=$(head -1 "$e2e_dir/up.out")
  host_url=http://127.0.0.1:$((port + 1))
  sim_url=http://127.0.0.1:$((port + 10))
  host_key=$(cat "$BERTH_DATA/keys/host.key")
  export host_url sim_url host_key
}
stack_is_ready_or_gone() { grep -q '"ready":true' "$e2e_dir/up.out" || ! kill -0 "$stack_pid" 2>/dev/null; }
stack_stop() { # exit code of berth up
  local status=0
  [[ -n $stack_pid ]] || return 0
  kill -TERM "$stack_pid" 2>/dev/null || true
  wait "$stack_pid" || status=$?
  stack_pid=
  return "$status"
}
# daemon_pid NAME: process of this stack
daemon_pid() { pgrep -P "$stack_pid" -f "berth-$1 " | head -1; }
rss_kb() { awk '/^VmRSS/ { print $2 }' "/proc/$1/status"; }

# pod ...: podman with the hooks of this stack
pods_start() {
  berth install-hooks --dir "$e2e_dir/hooks" >/dev/null
  container_setup "$e2e_dir/podman" "$e2e_dir/hooks"
}
pod() { "$e2e_dir/podman/pod" "$@"; }

e2e_cleanup() { # [STATUS]
  local status=${1:-$?}
  trap - EXIT INT TERM
  container_cleanup "$e2e_dir/podman" || true
  stack_stop || true
  if ((status == 0 && e2e_bad == 0)); then
    rm -rf "$e2e_dir"
  else
    echo "# files of this run are kept in $e2e_dir"
    ((status != 0)) || status=1
  fi
  exit "$status"
}
trap e2e_cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
