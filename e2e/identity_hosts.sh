#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Must hold: two hosts of one control plane may have containers of one name: each answers to its own
# container alone, each dies by itself, and an order by name reaches both.
export IDENTITY_STACK=daemons
# shellcheck source=e2e/identity/rig.sh
source "$(dirname "${BASH_SOURCE[0]}")/identity/rig.sh"
# shellcheck disable=SC2034
AGENT=1 AGENT_FLAGS=(--host-id host-a)
command -v openssl >/dev/null || { skip identity_hosts "needs openssl"; exit 0; }
stack_start
container_setup "$e2e_dir/podman" "$e2e_dir/hooks"
runc_setup

# ---- the other host: its agent, its data plane, on this machine ----
b=$BERTH_DATA/host-b
mkdir -p -m 0700 "$b/run"
node_pki dataplane dataplane-b "$b/pki"
node_pki agent agent-b "$b/pki"
berth-dataplane --data "$b/dataplane" --control "127.0.0.1:$((port + 3))" --pki "$b/pki" --listen "127.0.0.1:$((port + 12))" \
  --admin "127.0.0.1:$((port + 13))" --handoff "$b/run/handoff.sock" --journal-mib 64 </dev/null >"$e2e_dir/b.out" 2>&1 &
helpers+=($!)
serves_b() { curl -fs -o /dev/null "http://127.0.0.1:$((port + 13))/readyz"; }
within 15 serves_b || stop_suite "the other data plane" "$(tail -n 3 "$e2e_dir/b.out")"
berth-agent --control "127.0.0.1:$((port + 3))" --pki "$b/pki" --dataplane "$b/run/handoff.sock" --run-dir "$b/run" --port "$port" \
  --host-id host-b --no-holder --docker-socket none --podman-socket none </dev/null >"$e2e_dir/agent-b.out" 2>&1 &
helpers+=($!)
ready_b() { grep -q '"ready":true' "$e2e_dir/agent-b.out"; }
within 15 ready_b || stop_suite "the other agent" "$(tail -n 3 "$e2e_dir/agent-b.out")"

# on HOST ARGUMENTS...: its runc
on() { runc --root "$e2e_dir/runc-$1" "${@:2}"; }
# run_on HOST NAME
run_on() {
  if [[ $1 == a ]]; then runc_bundle "sleep 1000000"; else BERTH_DATA=$b runc_bundle "sleep 1000000"; fi
  on "$1" run -d --bundle "$e2e_dir/bundle" "$2" </dev/null >"$e2e_dir/said" 2>&1 || not_ok "host $1 starts $2" "$(cat "$e2e_dir/said")"
}
status_on() { on "$1" exec "$2" sh -c "$(asker "$3")" 2>&1 </dev/null | cut -d' ' -f2-; }
hosts_cleanup() {
  local status=$? host name
  for host in a b; do
    for name in $(on $host list -q 2>/dev/null); do on $host delete --force "$name" >/dev/null 2>&1 || true; done
  done
  e2e_cleanup "$status"
}
trap hosts_cleanup EXIT

run_on a twin
run_on b twin
run_on b only-b
same "one name on two hosts: each has its token" "200 200" "$(status_on a twin twin) $(status_on b twin twin)"
same "another name of the other host is nobody here" "401 200" "$(status_on a twin only-b) $(status_on b only-b only-b)"
kill -9 "$(on a state twin | sed -n 's/.*"pid": \([0-9]*\).*/\1/p')"
same "one dies: the other goes on" 200 "$(status_on b twin twin)"
on a delete --force twin >/dev/null 2>&1
same "also when it is deleted" 200 "$(status_on b twin twin)"
if within 5 state_is twin active; then ok "and its status says so"; else not_ok "and its status says so" "$(berth get containers)"; fi
same "of the host where it lives" host-b "$(fact twin host)"
run_on a twin
same "it comes back: both have their token" "200 200" "$(status_on a twin twin) $(status_on b twin twin)"
has "an order by name reaches both" "2 identities revoked" "$(berth revoke twin --wait 2>&1 || true)"
refused() { [[ $(status_on "$1" twin twin) != 200 ]]; }
if refused a && refused b; then ok "at once"; else not_ok "at once" "$(status_on a twin twin) $(status_on b twin twin)"; fi
same "and nobody else" 200 "$(status_on b only-b only-b)"
