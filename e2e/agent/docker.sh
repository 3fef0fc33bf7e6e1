#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Must hold: under Docker with the runtime of `berth install-hooks --docker`, a container's token
# works from its first instruction, under the name that Docker gives it, there alone, and dies with it;
# Docker's event stream brings renames.
# shellcheck source=e2e/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"
dockerd=$(command -v dockerd || true)
if ((EUID != 0)) || [[ -z $dockerd ]] || ! command -v containerd >/dev/null || ! command -v runc >/dev/null ||
  ! command -v busybox >/dev/null || ! command -v ip >/dev/null; then
  skip docker "needs root, dockerd, containerd, runc, busybox-static and iproute2"
  exit 0
fi
# the client beside this dockerd: a newer one may refuse to speak to it
docker=$(command -v /usr/bin/docker || command -v docker || true)
if [[ -z $docker ]]; then
  skip docker "needs the docker client"
  exit 0
fi
[[ -x $bin/berth-runc ]] || { not_ok docker "berth-runc is not built"; exit 1; }

# ---- a Docker of our own: its folders, its sockets, its network namespace ----
dir=$e2e_dir/docker
net=berth-e2e-$$
pids=()
docker_() { DOCKER_HOST=unix://$dir/docker.sock DOCKER_CONFIG=$dir/config "$docker" "$@"; }
docker_stop() {
  local pid
  # shellcheck disable=SC2046
  if [[ -S $dir/docker.sock ]]; then docker_ rm -f $(docker_ ps -aq) >/dev/null 2>&1 || true; fi
  for pid in "${pids[@]}"; do kill -TERM "$pid" 2>/dev/null || true; done
  for pid in "${pids[@]}"; do within 10 not_running "$pid" || kill -KILL "$pid" 2>/dev/null || true; done
  pids=()
  ip netns del "$net" 2>/dev/null || true
  awk -v dir="$dir/" 'index($5, dir) == 1 { print $5 }' /proc/self/mountinfo | sort -r | xargs -r umount -l 2>/dev/null || true
}
# shellcheck disable=SC2317
not_running() { ! kill -0 "$1" 2>/dev/null || [[ $(ps -o stat= -p "$1") == Z* ]]; }
trap 'docker_stop; e2e_cleanup' EXIT

docker_start() {
  mkdir -p "$dir/config"
  ip netns add "$net"
  nsenter --net="/run/netns/$net" ip link set lo up
  cat >"$dir/containerd.toml" <<TOML
version = 2
root = "$dir/containerd"
state = "$dir/containerd-state"
disabled_plugins = ["io.containerd.grpc.v1.cri"]
[grpc]
  address = "$dir/containerd.sock"
TOML
  # what containerd starts gets its environment: so is berth-runc told without arguments
  BERTH_SOCKET=$BERTH_DATA/run/hook.sock nsenter --net="/run/netns/$net" containerd -c "$dir/containerd.toml" >"$dir/containerd.log" 2>&1 &
  pids+=($!)
  within 10 test -S "$dir/containerd.sock"
  nsenter --net="/run/netns/$net" "$dockerd" --config-file "$dir/daemon.json" --data-root "$dir/data" --exec-root "$dir/exec" \
    -H "unix://$dir/docker.sock" --containerd "$dir/containerd.sock" -p "$dir/dockerd.pid" --storage-driver vfs \
    >"$dir/dockerd.log" 2>&1 &
  pids+=($!)
  # shellcheck disable=SC2317
  answers() { docker_ version >/dev/null 2>&1; }
  within 30 answers
}

mkdir -p "$dir"
echo '{ "log-level": "warn" }' >"$dir/daemon.json"
berth install-hooks --docker --docker-config "$dir/daemon.json" >/dev/null
has "install-hooks --docker adds the runtime" '"runtimes":{"berth":{"path":"' "$(cat "$dir/daemon.json")"
has "and leaves the rest" '"log-level": "warn"' "$(cat "$dir/daemon.json")"
export BERTH_AGENT_DOCKER_SOCKET=$dir/docker.sock
stack_start
if ! docker_start; then
  skip docker "dockerd does not start here: $(grep -m1 -E 'level=(error|fatal)|failed' "$dir/dockerd.log" || tail -1 "$dir/dockerd.log")"
  exit 0
fi
mkdir -p "$dir/rootfs/bin"
cp "$(command -v busybox)" "$dir/rootfs/bin/busybox"
for applet in sh wget sleep; do ln -sf busybox "$dir/rootfs/bin/$applet"; done
tar -C "$dir/rootfs" -c . | docker_ import - bb >/dev/null

ask() { echo "wget -q -O - --header 'Authorization: Bearer container-$1' http://127.0.0.1:$port/v1/models 2>&1"; }
inside() { docker_ exec "$1" sh -c "$(ask "$2")" 2>&1 || true; }
run() { docker_ run --runtime berth "$@"; }

# ---- first instructions ----
# the name comes by Docker's events: wait until the agent follows them
# shellcheck disable=SC2317
follows() { [[ $(run --rm --name warm --network none bb sh -c "$(ask warm)" 2>&1 || true) == *'"data"'* ]]; }
within 10 follows || not_ok "the agent follows Docker's events" "$(tail -3 "$BERTH_DATA/logs/agent.log")"
good=0
rounds=${BERTH_E2E_ROUNDS:-10}
for ((i = 0; i < rounds; i++)); do
  [[ $(run --rm --name "first-$i" --network none bb sh -c "$(ask "first-$i")" 2>&1 || true) == *'"data"'* ]] && good=$((good + 1))
done
same "first instructions with the container's name" $rounds $good

# ---- the matrix ----
run -d --name web-a --network none bb sleep 100000 >/dev/null
run -d --name web-b bb sleep 100000 >/dev/null
run -d --name side --network container:web-b bb sleep 100000 >/dev/null
for who in web-a web-b side; do
  for token in web-a web-b side; do
    if [[ $who == "$token" ]]; then want='"data"'; else want='401'; fi
    has "$who with the token of $token" "$want" "$(inside $who $token)"
  done
done
id=$(docker_ inspect -f '{{.Id}}' web-a)
has "by its id" '"data"' "$(inside web-a "$id")"
has "the control plane says by which runtime" '"docker"' "$(berth get container web-a -o json)"
docker_ run -d --name plain --network none bb sleep 100000 >/dev/null # without the runtime: no hook
# shellcheck disable=SC2317
late() { [[ $(inside plain plain) == *'"data"'* ]]; }
if within 10 late; then ok "a container that was started without the hook is found"; else not_ok "found without the hook" "$(inside plain plain)"; fi
run -d --name off --network none -l io.berth.ai=false bb sleep 100000 >/dev/null
has "a label switches it off" "refused" "$(inside off off)"

# ---- names, restarts, ends ----
docker_ rename web-a web-c
# shellcheck disable=SC2317
renamed() { [[ $(inside web-c web-c) == *'"data"'* ]]; }
if within 10 renamed; then
  ok "a rename changes the token"
  has "and frees the old one" 401 "$(inside web-c web-a)"
else
  not_ok "a rename changes the token" "$(inside web-c web-c)"
fi
docker_ pause web-b >/dev/null
# shellcheck disable=SC2317
state_is() { [[ $(berth get container web-b -o json | sed -n 's/.*"state": "\([^"]*\)".*/\1/p') == "$1" ]]; }
if within 5 state_is paused; then ok "paused: its status says so"; else not_ok "paused: its status says so" "$(berth get containers)"; fi
docker_ unpause web-b >/dev/null
has "paused and back" '"data"' "$(inside web-b web-b)"
if within 5 state_is active; then ok "and its status"; else not_ok "and its status" "$(berth get containers)"; fi
docker_ restart -t 0 web-c >/dev/null
has "a restart is a new life with the same token" '"data"' "$(inside web-c web-c)"
run -d --name always --restart=always --network none bb sleep 100000 >/dev/null
kill -9 "$(docker_ inspect -f '{{.State.Pid}}' always)"
# shellcheck disable=SC2317
back() { [[ $(inside always always) == *'"data"'* ]]; }
if within 10 back; then ok "--restart=always comes back with its token"; else not_ok "--restart=always" "$(inside always always)"; fi
docker_ rm -f web-c >/dev/null
# shellcheck disable=SC2317
gone() { berth get container web-c -o json | grep -q '"gone"'; }
if within 5 gone; then ok "rm ends it"; else not_ok "rm ends it" "$(berth get containers)"; fi

# ---- no agent ----
kill -STOP "$(daemon_pid controlplane)"
reason=$(run --rm --name never --network none bb sh -c 'echo user code ran' 2>&1 || true)
kill -CONT "$(daemon_pid controlplane)"
has "no control plane: the start is vetoed with a reason that Docker shows" "berth: " "$reason"
if [[ $reason == *'user code ran'* ]]; then not_ok "and nothing of it runs" "$reason"; else ok "and nothing of it runs"; fi

# ---- containerd itself ----
if command -v ctr >/dev/null; then
  out=$(nsenter --net="/run/netns/$net" ctr --address "$dir/containerd.sock" -n e2e run --rm --rootfs --env PATH=/bin \
    --runc-binary "$bin/berth-runc" "$dir/rootfs" ctr-one sh -c "$(ask ctr-one)" 2>&1 </dev/null || true)
  has "ctr --runc-binary berth-runc" '"data"' "$out"
fi
berth install-hooks --uninstall --docker --docker-config "$dir/daemon.json"
same "--uninstall takes it out again" '{ "log-level": "warn" }' "$(sed 's/"runtimes":{},\{0,1\}//' "$dir/daemon.json")"
