# shellcheck shell=bash
# SPDX-License-Identifier: MIT
# What the identity suites share: the stack in a network namespace of its own (podman's bridge changes
# tables and sysctls there, and nowhere else), containers of podman and runc, and one way to ask.
# Source it first: it starts the suite again inside `unshare`. IDENTITY_STACK=daemons: each daemon by
# hand (e2e/daemons.sh) instead of `berth up`.
if [[ -z ${BERTH_E2E_NETNS:-} ]]; then
  ((EUID == 0)) && command -v podman >/dev/null && command -v runc >/dev/null || {
    echo "skip $(basename "$0" .sh): needs root, podman and runc"
    exit 0
  }
  exec env BERTH_E2E_NETNS=1 unshare --net --mount "$0" "$@"
fi
ip link set lo up
# shellcheck source=e2e/daemons.sh
source "$(dirname "${BASH_SOURCE[0]}")/../${IDENTITY_STACK:-lib}.sh"

body='{"model":"openai/gpt-4o-mini","messages":[{"role":"user","content":"hi"}]}'
# a stream of tokens for as long as anybody listens
endless='{"model":"openai/gpt-4o-mini","stream":true,"messages":[{"role":"user","content":"hi [[sim: words=1000000, chunk_ms=5]]"}]}'

init_of() { pod inspect -f '{{.State.Pid}}' "$1"; }
# fact NAME FIELD: of status
fact() { berth get container "$1" -o json | sed -n "s/.*\"$2\": \"\([^\"]*\)\".*/\1/p" | head -1; }
state_is() { [[ $(fact "$1" state) == "$2" ]]; }

# asker TOKEN_NAME...: a shell script for busybox: one "NAME STATUS" line a name, as a container sees it
asker() {
  cat <<SH
for name in $*; do
  out=\$(wget -S -q -O /dev/null --header "Authorization: Bearer container-\$name" http://127.0.0.1:$port/v1/models 2>&1)
  case \$out in *"HTTP/1.1 200"*) status=200 ;; *"HTTP/1.1 401"*) status=401 ;; *) status="\$out" ;; esac
  echo "\$name \$status"
done
SH
}
# status_in CONTAINER TOKEN_NAME
status_in() { pod exec "$1" sh -c "$(asker "$2")" 2>&1 | cut -d' ' -f2-; }
# in_net PID COMMAND...: root of the host in the network of a process
in_net() { nsenter -t "$1" -n "${@:2}"; }
curl_status() { curl -s -o /dev/null -m 5 -w '%{http_code}' "$@" || true; }
# raw_in CONTAINER TOKEN_NAME: every byte of the answer but what differs between any two answers
raw_in() {
  pod exec "$1" sh -c "printf 'GET /v1/models HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer container-$2\r\nConnection: close\r\n\r\n' | nc 127.0.0.1 $port" |
    canonical
}
canonical() { sed -E 's/req_[0-9A-Za-z]+/req_ID/g; /^[Dd]ate:/d'; }

cgroups=$(awk '$3 == "cgroup2" { print $2; exit }' /proc/mounts)
# inside_cgroup CONTAINER COMMAND...: a program of the host, as a process of the container
inside_cgroup() {
  local init cgroup
  init=$(init_of "$1")
  cgroup=$cgroups$(sed -n 's/^0:://p' "/proc/$init/cgroup")
  (
    echo "$BASHPID" >"$cgroup/cgroup.procs"
    exec nsenter -t "$init" -n "${@:2}"
  ) || true
}

# ---- runc by itself ----
runc_() { runc --root "$e2e_dir/runc" "$@"; }
runc_setup() {
  mkdir -p "$e2e_dir/bundle"
  cp -a "$e2e_dir/podman/rootfs" "$e2e_dir/bundle/rootfs"
  mkdir -p "$e2e_dir/bundle/rootfs/proc"
}
# runc_bundle COMMAND: config.json of the next container
runc_bundle() {
  cat >"$e2e_dir/bundle/config.json" <<JSON
{"ociVersion":"1.0.2","process":{"user":{"uid":0,"gid":0},"args":["/bin/sh","-c",$(printf '%s' "$1" | node -e 'let t="";process.stdin.on("data",c=>t+=c).on("end",()=>process.stdout.write(JSON.stringify(t)))')],"env":["PATH=/bin"],"cwd":"/"},
 "root":{"path":"rootfs","readonly":true},"mounts":[{"destination":"/proc","type":"proc","source":"proc"}],
 "linux":{"namespaces":[{"type":"pid"},{"type":"network"},{"type":"mount"},{"type":"ipc"},{"type":"uts"}]},
 $(berth-agent runc-hooks --run-dir "$BERTH_DATA/run")}
JSON
}
runc_cleanup() {
  local name
  for name in $(runc_ list -q 2>/dev/null); do runc_ delete --force "$name" >/dev/null 2>&1 || true; done
}
identity_cleanup() {
  local status=$?
  runc_cleanup
  e2e_cleanup "$status"
}
trap identity_cleanup EXIT
