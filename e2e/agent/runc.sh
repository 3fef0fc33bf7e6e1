#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Must hold: a runc container whose config.json has the hooks of `berth-agent runc-hooks` gets its token
# before its first instruction, nobody else can use it, and it dies with the container's process.
# shellcheck source=e2e/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"
if ((EUID != 0)) || ! command -v runc >/dev/null || ! command -v busybox >/dev/null; then
  skip runc "needs root, runc and busybox-static"
  exit 0
fi
stack_start
mkdir -p "$e2e_dir/bundle/rootfs"/{bin,proc}
cp "$(command -v busybox)" "$e2e_dir/bundle/rootfs/bin/busybox"
for applet in sh wget sleep; do ln -sf busybox "$e2e_dir/bundle/rootfs/bin/$applet"; done
runc_() { runc --root "$e2e_dir/runc" "$@"; }
bundle() { # bundle COMMAND: write config.json
  cat >"$e2e_dir/bundle/config.json" <<JSON
{"ociVersion":"1.0.2","process":{"user":{"uid":0,"gid":0},"args":["/bin/sh","-c","$1"],"env":["PATH=/bin"],"cwd":"/"},
 "root":{"path":"rootfs","readonly":true},"mounts":[{"destination":"/proc","type":"proc","source":"proc"}],
 "linux":{"namespaces":[{"type":"pid"},{"type":"network"},{"type":"mount"},{"type":"ipc"},{"type":"uts"}]},
 $(berth-agent runc-hooks --run-dir "$BERTH_DATA/run")}
JSON
}
ask() { echo "wget -q -O - --header 'Authorization: Bearer container-$1' http://127.0.0.1:$port/v1/models 2>&1"; }
inside() { runc_ exec "$1" sh -c "$(ask "$2")" 2>&1 || true; }
finish() { for name in first one two; do runc_ delete --force "$name" >/dev/null 2>&1 || true; done; }
trap 'finish; e2e_cleanup' EXIT

bundle "$(ask first)"
has "the first instruction can use its token" '"data"' "$(runc_ run --bundle "$e2e_dir/bundle" first 2>&1 </dev/null || true)"
bundle "sleep 1000000"
for name in one two; do
  runc_ run -d --bundle "$e2e_dir/bundle" "$name" </dev/null >/dev/null 2>"$e2e_dir/runc.err" ||
    not_ok "runc starts $name" "$(cat "$e2e_dir/runc.err")"
done
has "its own token" '"data"' "$(inside one one)"
has "not the other's" "401" "$(inside one two)"
has "by its number too" '"data"' \
  "$(inside two "$(berth get container two -o json | sed -n 's/.*"number": "\{0,1\}\([0-9]*\).*/\1/p' | head -1)")"
kill -9 "$(runc_ state one | sed -n 's/.*"pid": \([0-9]*\).*/\1/p')"
# shellcheck disable=SC2317
gone() { berth get container one -o json | grep -q '"gone"'; }
if within 5 gone; then ok "it dies with its process, with no delete"; else not_ok "it dies with its process" "$(berth get containers)"; fi

kill -STOP "$(daemon_pid controlplane)"
has "no answer: the start is vetoed with a reason" "berth: " "$(runc_ run --bundle "$e2e_dir/bundle" never 2>&1 </dev/null || true)"
kill -CONT "$(daemon_pid controlplane)"
same "and leaves nothing behind" "" "$(runc_ list -q | grep never || true)"
