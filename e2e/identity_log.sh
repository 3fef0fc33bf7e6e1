#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Must hold: whatever changes the state of a container is in its log, with who did it and for how long the
# state before had lasted; with --container-tokens tag a container's token may say anything, which is
# recorded, and it still is who the kernel says.
export IDENTITY_STACK=daemons
# shellcheck source=e2e/identity/rig.sh
source "$(dirname "${BASH_SOURCE[0]}")/identity/rig.sh"
# shellcheck disable=SC2034
AGENT=1 SIM_FLAGS=() CONTROLPLANE_FLAGS=()
export BERTH_AGENT_PODMAN_SOCKET=$e2e_dir/podman.sock
stack_start
wallet_fund 5.00
pods_start
"$e2e_dir/podman/pod" system service --time 0 "unix://$BERTH_AGENT_PODMAN_SOCKET" >"$e2e_dir/podman.log" 2>&1 &
helpers+=("$!")
within 10 test -S "$BERTH_AGENT_PODMAN_SOCKET" || not_ok "podman's API" "$(cat "$e2e_dir/podman.log")"
start() { pod run -d --name "$1" --network none "${@:2}" berth-demo sleep 1000000 >/dev/null; }
spec() { printf 'apiVersion: berth.dev/v1alpha1\nkind: Container\nmetadata: {name: %s}\nspec: {%s}\n' "$1" "$2" | berth apply -f - >/dev/null; }
# changes NAME: "none>active hook, active>gone exit"
changes() { berth container log "$1" -o json | json 'd.items.map(i => `${i.from_status}>${i.to_status} ${i.triggered_by}`).join(", ")'; }
last_is() { [[ $(changes "$1" 2>/dev/null) == *"$2" ]]; }
# then_log NAME WHAT CHANGE: the log's newest entry comes to be CHANGE
then_log() { if within 5 last_is "$1" "$3"; then ok "$2: $3"; else not_ok "$2" "$(changes "$1")"; fi; }

# ---- the log ----
start dev
same "started by a hook" "none>active hook" "$(changes dev)"
first=$(fact dev incarnation)
pod pause dev >/dev/null
then_log dev "paused" "active>paused events"
pod unpause dev >/dev/null
then_log dev "unpaused" "paused>active events"
spec dev "ai: false"
then_log dev "AI switched off" "active>suspended ai"
spec dev "ai: true"
then_log dev "and on" "suspended>active ai"
spec dev "wallet: team"
then_log dev "another wallet" "active>active wallet"
kill -9 "$(init_of dev)"
then_log dev "its init is killed" "active>gone exit"
pod start dev >/dev/null
same "the next life" "gone>active hook" "$(changes dev | sed 's/.*, //')"
berth revoke dev --wait >/dev/null
same "revoked" "active>gone admin" "$(changes dev | sed 's/.*, //')"
pod rm -f -t 0 dev >/dev/null
same "all of it, in order" \
  "none>active hook, active>paused events, paused>active events, active>suspended ai, suspended>active ai, active>active wallet, active>gone exit, gone>active hook, active>gone admin" \
  "$(changes dev)"
berth container log dev -o json >"$e2e_dir/log.json"
same "each lasted from one time to the next" true "$(json 'd.items.every((i, at) => i.duration_ms === (at ? Date.parse(i.transition_time) - Date.parse(d.items[at - 1].transition_time) : 0))' <"$e2e_dir/log.json")"
same "two lives, the first one's incarnation" "2 $first" "$(json 'new Set(d.items.map(i => i.incarnation)).size + " " + d.items[0].incarnation' <"$e2e_dir/log.json")"
has "as a table" "active>gone" "$(berth container log dev | awk 'NR > 1 { print $2 ">" $3 }' | tr '\n' ' ')"
start janus
pod rename janus bifrons >/dev/null
then_log bifrons "another name" "none>active rename"
same "ends the old one" "none>active hook, active>gone rename" "$(changes janus)"
unshare --net sleep 1000000 &
lonely=$!
helpers+=("$lonely")
berth container register lonely --pid "$lonely" >/dev/null
berth container release lonely >/dev/null
then_log lonely "released" "none>active register, active>gone register"
daemon_kill controlplane
daemon_start controlplane
same "the log outlives the control plane" "none>active hook, active>gone rename" "$(changes janus)"
berth delete container janus >/dev/null
has "and goes with its Container" "no Container" "$(berth container log janus 2>&1 || true)"
has "of nobody" "no Container" "$(berth container log nobody 2>&1 || true)"

# ---- tokens that are tags ----
call_as() { # CONTAINER TOKEN: status of a chat call
  pod exec "$1" wget -S -q -O /dev/null --header 'Content-Type: application/json' --header "Authorization: Bearer $2" \
    --post-data "$body" "http://127.0.0.1:$port/v1/chat/completions" 2>&1 | grep -o 'HTTP/1.1 [0-9]*' | head -1 | cut -d' ' -f2
}
mode() { admin GET /api/v1/settings | json d.container_tokens; }
start one
start two
inside=$(init_of one)
same "strict is the default" "strict 401 200" "$(mode) $(call_as one container-two) $(call_as one container-one)"
daemon_stop controlplane
CONTROLPLANE_FLAGS=(--container-tokens tag)
daemon_start controlplane
tags() { [[ $(call_as one container-anything) == 200 ]]; }
if within 10 tags; then ok "tag: any container-... will do"; else not_ok "tag: any container-... will do" "$(call_as one container-anything)"; fi
same "the settings say so" tag "$(mode)"
same "also another's name" 200 "$(call_as one container-two)"
same "what is no token of a container stays 401" "401 401 401" "$(call_as one sk-other) $(call_as one container-) $(call_as one 'container-a/b')"
same "from the host: nobody" 401 "$(curl_status -H 'Authorization: Bearer container-one' --json "$body" "$host_url/v1/chat/completions")"
same "root of the host in its network: nobody" 401 \
  "$(in_net "$inside" curl -s -o /dev/null -m 5 -w '%{http_code}' -H 'Authorization: Bearer container-one' --json "$body" "http://127.0.0.1:$port/v1/chat/completions" || true)"
recorded() { berth usage --records -o json | json 'd.filter(r => r.tag).map(r => r.subject + " " + r.tag).sort().join(", ")' 2>/dev/null; }
two_recorded() { [[ $(recorded) == "container/one anything, container/one two" ]]; }
if within 10 two_recorded; then ok "who it is pays, the tag is in the record"; else not_ok "who it is pays, the tag is in the record" "$(recorded) $(berth usage --records -o json | tail -c 400)"; fi
same "its own name is no tag" 2 "$(berth usage --records -o json | json 'd.filter(r => r.subject == "container/one" && !r.tag).length + 1')"
kill -9 "$inside"
if within 2 state_is one gone; then ok "a dead container's tag is nobody's"; else not_ok "a dead container's tag is nobody's" "$(fact one state)"; fi
same "the other goes on" 200 "$(call_as two container-one)"
daemon_stop controlplane
CONTROLPLANE_FLAGS=(--container-tokens strict)
daemon_start controlplane
strict() { [[ $(call_as two container-one) == 401 ]]; }
if within 10 strict; then ok "back to strict"; else not_ok "back to strict" "$(call_as two container-one)"; fi
same "its own works as ever" 200 "$(call_as two container-two)"
have=$(berth-controlplane --data "$e2e_dir/none" --listen-admin none --listen-planes 127.0.0.1:0 --container-tokens any 2>&1) && status=0 || status=$?
has "a mode that there is not" "1 " "$status "
has "is named" "--container-tokens wants strict or tag, not 'any'" "$have"
