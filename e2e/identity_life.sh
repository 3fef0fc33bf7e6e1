#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Must hold: from its first instruction to its last, through every way in which a container lives and
# dies, its token works; and then it does not.
export IDENTITY_STACK=daemons
# shellcheck source=e2e/identity/rig.sh
source "$(dirname "${BASH_SOURCE[0]}")/identity/rig.sh"
# shellcheck disable=SC2034
AGENT=1 SIM_FLAGS=() AGENT_FLAGS=()
# podman's API, whose events bring renames and pauses; below, the process itself and no shell around it
export BERTH_AGENT_PODMAN_SOCKET=$e2e_dir/podman.sock
stack_start
pods_start
"$e2e_dir/podman/pod" system service --time 0 "unix://$BERTH_AGENT_PODMAN_SOCKET" >"$e2e_dir/podman.log" 2>&1 &
podman_api=$!
helpers+=("$podman_api")
within 10 test -S "$BERTH_AGENT_PODMAN_SOCKET" || not_ok "podman's API" "$(cat "$e2e_dir/podman.log")"
runc_setup
start() { pod run -d --name "$1" --network none "${@:2}" berth-demo sleep 1000000 >/dev/null; }
works() { [[ $(status_in "$1" "$1") == 200 ]]; }
incarnation() { fact "$1" incarnation; }
# runc_named NAME: what runc says when it runs a container of that name
runc_named() {
  runc_bundle true
  runc_ run --bundle "$e2e_dir/bundle" "$1" </dev/null
}

# ---- the first instruction ----
runc_bundle "$(asker '$NAME')"
good=0
for i in $(seq 50); do
  sed -i "s/\"env\":\[[^]]*\]/\"env\":[\"PATH=\/bin\",\"NAME=first-$i\"]/" "$e2e_dir/bundle/config.json"
  have=$(runc_ run --bundle "$e2e_dir/bundle" "first-$i" 2>&1 </dev/null || true)
  [[ $have == "first-$i 200" ]] && good=$((good + 1)) || echo "# $have"
done
same "50 of 50 use their token in their first instruction (runc)" 50 $good
good=0
for i in $(seq 5); do
  have=$(pod run --rm --name "at-once-$i" --network none berth-demo sh -c "$(asker "at-once-$i")" 2>&1 || true)
  [[ $have == "at-once-$i 200" ]] && good=$((good + 1)) || echo "# $have"
done
same "5 of 5 with podman" 5 $good

# ---- names ----
long=$(printf 'Ab9_-%.0s' $(seq 20))
start "$long"
same "a name of 100 letters, digits, - and _" 200 "$(status_in "$long" "$long")"
same "to the letter" "401 401 401" "$(status_in "$long" "${long,,}") $(status_in "$long" "${long%?}") $(status_in "$long" "${long}x")"
have=$(pod exec "$long" wget -q -O - --header "Authorization: Bearer container-$long" --header 'Content-Type: application/json' \
  "http://127.0.0.1:$port/api/v1/models" 2>&1 || true)
has "the base URL may end in /api/v1" '"data"' "${have:0:300}"
has "revoked by its name" "1 identity revoked" "$(berth revoke "$long" --wait 2>&1)"
same "it is" gone "$(fact "$long" state)"
if works "$long"; then not_ok "and has no token" 200; else ok "and has no token"; fi
pod rm -f -t 0 "$long" >/dev/null
pod run -d --name a.b --network none berth-demo sleep 1000000 >/dev/null 2>"$e2e_dir/dots" || true
number=$(berth get containers -o json | json "(d.items ?? d).filter(c => c.status.id == '$(pod inspect -f '{{.Id}}' a.b)').map(c => c.metadata.name)[0]")
same "one whose name can be no token goes by its number" "200 401" "$(status_in a.b "$number") $(status_in a.b a.b)"
pod rm -f -t 0 a.b >/dev/null
start web-infra
same "one that is called like a pod's sandbox is none" 200 "$(status_in web-infra web-infra)"
pod rm -f -t 0 web-infra >/dev/null

# ---- ways to die ----
start witness
start victim
number=$(fact victim number)
kill -9 "$(init_of victim)"
if within 2 state_is victim gone; then ok "kill -9 of init ends it"; else not_ok "kill -9 of init ends it" "$(fact victim state)"; fi
pod rm -f -t 0 victim >/dev/null
start victim
same "the same name has the same number" "$number" "$(fact victim number)"
pod stop -t 0 victim >/dev/null
same "stopped: gone when podman returns" gone "$(fact victim state)"
before=$(incarnation victim)
pod start victim >/dev/null
same "started again: its token works" 200 "$(status_in victim victim)"
if [[ $(incarnation victim) != "$before" ]]; then ok "as another incarnation"; else not_ok "as another incarnation" "$before"; fi
pod restart -t 0 victim >/dev/null
same "restart: its token works" 200 "$(status_in victim victim)"
pod pause victim >/dev/null
before=$(incarnation victim)
if within 5 state_is victim paused; then ok "paused: its status says so"; else not_ok "paused: its status says so" "$(fact victim state)"; fi
same "its condition: still its own" True "$(berth get container victim -o json | json 'd.status.conditions[0].status')"
pod unpause victim >/dev/null
if within 5 state_is victim active; then ok "unpaused: active again"; else not_ok "unpaused: active again" "$(fact victim state)"; fi
same "the same life" "$before" "$(incarnation victim)"
same "unpaused: its token works" 200 "$(status_in victim victim)"
pod rm -f -t 0 victim >/dev/null
same "removed: gone when podman returns" gone "$(fact victim state)"
same "and nobody else has it" 401 "$(status_in witness victim)"
start always --restart=always
kill -9 "$(init_of always)"
if within 10 works always; then ok "--restart=always: the next life has its token"; else not_ok "--restart=always" "$(status_in always always)"; fi
pod rm -f -t 0 always >/dev/null

# ---- another name ----
start janus
before=$(incarnation janus)
kill -STOP "$podman_api" # the runtime has renamed it, and Berth does not know yet
pod rename janus bifrons >/dev/null
same "a rename that is not known yet: the old token holds" "200 401" "$(status_in bifrons janus) $(status_in bifrons bifrons)"
have=$(start janus 2>&1 || true)
has "nobody else can take the old name before" "a running container of this host has this name" "$have"
pod rm -f -t 0 janus >/dev/null 2>&1 || true
kill -CONT "$podman_api"
if within 10 works bifrons; then ok "renamed: the new name works"; else not_ok "renamed: the new name works" "$(status_in bifrons bifrons)"; fi
same "not the old one" 401 "$(status_in bifrons janus)"
same "the same life under another name" "$before" "$(incarnation bifrons)"
same "the old name is over" "gone renamed" "$(fact janus state) $(berth get container janus -o json | json d.status.reason)"
number=$(fact bifrons number)
same "its number works, too" 200 "$(status_in bifrons "$number")"
same "nobody else has the new name" 401 "$(status_in witness bifrons)"
pod rename bifrons witness >/dev/null 2>&1 || true # podman itself refuses: both have been made by it
same "a name that is taken cannot be taken" 200 "$(status_in bifrons bifrons)"
have=$(runc_named bifrons 2>&1 || true)
has "nor by a container of another runtime" "a running container of this host has this name" "$have"
start janus
same "the old name is free for another" 200 "$(status_in janus janus)"
if [[ $(incarnation janus) != "$before" && $(fact janus number) != "$number" ]]; then
  ok "as another life, with the number of that name"
else
  not_ok "as another life, with the number of that name" "$(fact janus number)"
fi
same "neither has the other's" "401 401" "$(status_in janus bifrons) $(status_in bifrons janus)"
pod rm -f -t 0 janus >/dev/null
pod rm -f -t 0 bifrons >/dev/null

# ---- the same name forty times ----
runc_bundle "sleep 1000000"
good=0
: >"$e2e_dir/lives"
for i in $(seq 40); do
  runc_ run -d --bundle "$e2e_dir/bundle" phoenix </dev/null >/dev/null 2>&1 || true
  have=$(runc_ exec phoenix sh -c "$(asker phoenix)" 2>&1 </dev/null || true)
  [[ $have == "phoenix 200" ]] && good=$((good + 1)) || echo "# life $i: $have"
  incarnation phoenix >>"$e2e_dir/lives"
  runc_ delete --force phoenix >/dev/null 2>&1 || true
done
same "recreated 40 times: 40 lives with a token" 40 $good
same "40 incarnations" 40 "$(sort -u "$e2e_dir/lives" | wc -l)"
same "gone when runc delete returns" gone "$(fact phoenix state)"

# ---- a shared namespace outlives its owner ----
start owner
start tenant --network container:owner 2>/dev/null || pod run -d --name tenant --network container:owner berth-demo sleep 1000000 >/dev/null
same "tenant of a shared namespace" 200 "$(status_in tenant tenant)"
kill -9 "$(init_of owner)"
if within 2 state_is owner gone; then ok "its owner dies"; else not_ok "its owner dies" "$(fact owner state)"; fi
same "the tenant goes on" 200 "$(status_in tenant tenant)"
same "not with the dead owner's token" 401 "$(status_in tenant owner)"
pod rm -f -t 0 tenant >/dev/null 2>&1 || true
pod rm -f -t 0 owner >/dev/null 2>&1 || true

# ---- init is gone, and others of its processes are not ----
pod run -d --name leaver --network none --pid host berth-demo sh -c 'sleep 1000000 & exec sleep 1000001' >/dev/null
same "a container in the host's process namespace" 200 "$(status_in leaver leaver)"
init=$(init_of leaver)
cgroup=$cgroups$(sed -n 's/^0:://p' "/proc/$init/cgroup")
orphan=$(grep -vx "$init" "$cgroup/cgroup.procs" | head -1 || true)
if [[ -z $cgroups || -z $orphan ]]; then
  skip "processes that outlive init" "no cgroup v2 tree"
else
  kill -9 "$init"
  if within 2 state_is leaver gone; then ok "its init dies: gone, though a process of it lives"; else not_ok "its init dies" "$(fact leaver state)"; fi
  kill -0 "$orphan" || not_ok "the process lives" ""
  have=$(in_net "$orphan" curl -s -o /dev/null -m 5 -w '%{http_code}' -H 'Authorization: Bearer container-leaver' "http://127.0.0.1:$port/v1/models" || true)
  same "which reaches nobody any more" 000 "$have"
  kill -9 "$orphan" || true
fi
pod rm -f -t 0 leaver >/dev/null 2>&1 || true

# ---- a copy is another container ----
start original --annotation team=x
pod container clone --name copy original >/dev/null 2>&1 && pod start copy >/dev/null 2>&1 || not_ok "podman copies a container" "$(pod ps -a)"
same "a copy has a token of its own" "200 401" "$(status_in copy copy) $(status_in copy original)"
same "the original keeps its own" "200 401" "$(status_in original original) $(status_in original copy)"
if [[ $(incarnation copy) != "$(incarnation original)" && $(fact copy number) != "$(fact original number)" ]]; then
  ok "another life and another number"
else
  not_ok "another life and another number" "$(berth get containers)"
fi
# what a list of containers has of each
berth get containers -o json >"$e2e_dir/list.json"
same "id, name, number, ai and the rest are in the list" \
  "$(pod inspect -f '{{.Id}}' copy) copy $(fact copy number) true active agent $(incarnation copy) netns+cgroup True" \
  "$(json '(d.items ?? d).filter(c => c.metadata.name == "copy").map(c => [c.status.id, c.metadata.name, c.status.number, c.spec.ai, c.status.state, c.status.node, c.status.incarnation, c.status.attestor, c.status.conditions[0].status].join(" "))[0]' <"$e2e_dir/list.json")"
pod rm -f -t 0 copy >/dev/null 2>&1 || true
pod rm -f -t 0 original >/dev/null 2>&1 || true

# ---- without the control plane ----
daemon_stop controlplane
control_is_lost() { tail -n 5 "$e2e_dir/agent.log" | grep -q 'not reachable'; }
within 10 control_is_lost || true
have=$(pod run --rm --name orphan --network none berth-demo true 2>&1 || true)
has "no control plane: the start is vetoed with a reason" "control plane" "$have"
same "and the witness goes on" 200 "$(status_in witness witness)"
began=$SECONDS
pod run -d --name short --network none berth-demo true >/dev/null 2>&1 || true
pod rm -f -t 0 short >/dev/null 2>&1 || true
below "deleting does not hang without it, s" 5 $((SECONDS - began))
AGENT_FLAGS=(--policy allow-untokened)
daemon_kill agent
daemon_start agent
within 10 control_is_lost || true
have=$(pod run --rm --name untokened --network none berth-demo sh -c "$(asker untokened)" 2>&1 || true)
if [[ $have == *"untokened"* && $have != *"untokened 200"* ]]; then
  ok "policy allow-untokened: it starts, without a token"
else
  not_ok "policy allow-untokened: it starts, without a token" "$have"
fi
# shellcheck disable=SC2034
AGENT_FLAGS=()
daemon_kill agent
daemon_start controlplane
daemon_start agent
if within 10 works witness; then ok "both are back: the witness goes on"; else not_ok "both are back" "$(status_in witness witness)"; fi
# shellcheck disable=SC2317
starts() { pod rm -f -t 0 after >/dev/null 2>&1; start after 2>"$e2e_dir/after.err"; }
within 15 starts || not_ok "containers start again" "$(cat "$e2e_dir/after.err")"
same "and containers start again" 200 "$(status_in after after)"

# ---- the agent is killed, and somebody in the container wants its port ----
daemon_kill agent
squat() { pod exec witness sh -c "nc -l $* </dev/null >/dev/null 2>&1 & sleep 0.3; kill \$! 2>/dev/null && echo taken" 2>&1 || true; }
same "a port that nobody has can be taken" taken "$(squat -p $((port + 7)))"
same "Berth's cannot while the agent is dead" "" "$(squat -p "$port" -s 127.0.0.1)"
same "nor on any address" "" "$(squat -p "$port")"
daemon_start agent
if within 10 works witness; then ok "the next agent serves it"; else not_ok "the next agent serves it" "$(status_in witness witness)"; fi
same "with the same incarnation" active "$(fact witness state)"

# ---- a process that no runtime reports ----
unshare --net sleep 1000000 &
lonely=$!
helpers+=("$lonely")
lo_up() { in_net "$lonely" ip link set lo up 2>/dev/null; }
within 5 lo_up || true
has "register" "lonely" "$(berth container register lonely --pid "$lonely" 2>&1 || true)"
have=$(in_net "$lonely" curl -s -o /dev/null -m 5 -w '%{http_code}' -H 'Authorization: Bearer container-lonely' "http://127.0.0.1:$port/v1/models" || true)
same "a registered process's network has its token" 200 "$have"
has "release" "lonely" "$(berth container release lonely 2>&1 || true)"
id=507f1f77bcf86cd799439011
berth container register lonely --pid "$lonely" --id $id >/dev/null
have=$(in_net "$lonely" curl -s -o /dev/null -m 5 -w '%{http_code}' -H "Authorization: Bearer container-$id" "http://127.0.0.1:$port/v1/models" || true)
same "its id is a token, 24 hex digits too" 200 "$have"
berth container release lonely >/dev/null
same "released: gone" gone "$(fact lonely state)"
has "only what is there is released" "berth: " "$(berth container release nobody 2>&1 || true)"

# ---- the host was restarted ----
# These containers live on in truth, and podman would report them anew: this agent does not ask it.
daemon_kill agent
unset BERTH_AGENT_PODMAN_SOCKET
export BERTH_AGENT_BOOT_ID=00000000-0000-4000-8000-000000000001
daemon_start agent
if within 10 state_is witness gone; then ok "another boot id: nothing of the old boot is left"; else not_ok "another boot id" "$(fact witness state)"; fi
same "its reason" rebooted "$(berth get container witness -o json | json 'd.status.reason')"
same "nobody has its token" 401 "$(curl_status -H 'Authorization: Bearer container-witness' "$host_url/v1/models")"
