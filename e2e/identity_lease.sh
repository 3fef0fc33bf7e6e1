#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Must hold: a revocation is over, everywhere, within a stated time, also when the planes cannot speak to
# each other; AI is switched off and on at once; the server's key changes and no request notices.
export IDENTITY_STACK=daemons
# shellcheck source=e2e/identity/rig.sh
source "$(dirname "${BASH_SOURCE[0]}")/identity/rig.sh"
lease_ms=4000
# shellcheck disable=SC2034
AGENT=1 CONTROLPLANE_FLAGS=(--validity-lease ${lease_ms}ms)
stack_start
wallet_fund 50.00
pods_start
start() { pod run -d --name "$1" --network none "${@:2}" berth-demo sleep 1000000 >/dev/null; }
works() { [[ $(status_in "$1" "$1") == 200 ]]; }
now_ms() { date +%s%3N; }
set_ai() { printf 'apiVersion: berth.dev/v1alpha1\nkind: Container\nmetadata: {name: %s}\nspec: {ai: %s}\n' "$1" "$2" | berth apply -f - >/dev/null; }
url=http://127.0.0.1:$port/v1
start dev
incarnation=$(fact dev incarnation)

# watcher FILE: asks twenty times a second from inside, "MS STATUS" a line, until killed
watcher() {
  : >"$1"
  inside_cgroup dev bash -c "while :; do echo \"\$(date +%s%3N) \$(curl -s -o /dev/null -m 3 -w '%{http_code}' $url/models)\"; sleep 0.03; done" >"$1" 2>/dev/null &
  watcher_pid=$!
  helpers+=("$watcher_pid")
  # shellcheck disable=SC2317
  watched() { grep -q ' 200' "$1"; }
  within 5 watched "$1" || not_ok "the watcher sees 200" "$(cat "$1")"
}
watcher_stop() { pkill -P "$watcher_pid" 2>/dev/null || true; kill "$watcher_pid" 2>/dev/null || true; wait "$watcher_pid" 2>/dev/null || true; }
# stream NAME FILE: an endless stream of container NAME
stream() {
  : >"$2"
  inside_cgroup "$1" curl -s -N -m 60 --json "$endless" "$url/chat/completions" >"$2" 2>"$2.err" &
  stream_pid=$!
  helpers+=("$stream_pid")
  # shellcheck disable=SC2317
  flows() { (($(grep -c '^data:' "$1") > 5)); }
  within 10 flows "$2" || not_ok "a stream of $1 flows" "$(head -c 300 "$2")"
}
# cut_within NAME MS FILE BEGAN_MS
cut_within() {
  wait "$stream_pid" || true
  below "$1, ms" "$2" $(($(now_ms) - $4))
  if grep -q '\[DONE\]' "$3"; then not_ok "$1: no clean end" "$(tail -n 2 "$3")"; else ok "$1: no clean end"; fi
  has "$1: the stream says why" '"error"' "$(tail -n 3 "$3")"
}

# ---- the control plane stops answering ----
watcher "$e2e_dir/watch"
kill -STOP "${pid_of[controlplane]}"
stopped=$(now_ms)
# shellcheck disable=SC2317
refused() { grep -q ' 401' "$e2e_dir/watch"; }
within 12 refused || not_ok "refused after the lease" "$(tail -n 1 "$e2e_dir/watch")"
first=$(grep -m1 ' 401' "$e2e_dir/watch" | cut -d' ' -f1)
last=$(grep ' 200' "$e2e_dir/watch" | tail -n 1 | cut -d' ' -f1)
below "refused when the lease ends, ms after the control plane stopped" $((lease_ms + 500)) $((first - stopped))
# the last tick came at most a fifth of the lease before
below "and never before, ms short of the lease" $((lease_ms / 5 + 300)) $((stopped + lease_ms - last))
if grep -vE ' (200|401)$' "$e2e_dir/watch" | grep -q .; then not_ok "nothing but 200 and 401" "$(grep -vE ' (200|401)$' "$e2e_dir/watch" | head -3)"; else ok "nothing but 200 and 401"; fi
kill -CONT "${pid_of[controlplane]}"
if within 8 works dev; then ok "it resumes without a restart"; else not_ok "it resumes without a restart" "$(status_in dev dev)"; fi
watcher_stop
same "as who it was" "$incarnation" "$(fact dev incarnation)"
watcher "$e2e_dir/watch"
daemon_kill controlplane
daemon_start controlplane
sleep_until=$(($(now_ms) + 2 * lease_ms))
# shellcheck disable=SC2317
passed() { (($(now_ms) > sleep_until)); }
within 30 passed
watcher_stop
same "kill -9 and a restart within the lease are not noticed" "" "$(grep -v ' 200$' "$e2e_dir/watch" | head -3)"

# ---- revoke --wait ----
start other
start third
has "revoke --wait says that every node refuses" "acknowledged by 2 nodes" "$(berth revoke other --wait 2>&1 || true)"
if works other; then not_ok "at once" "$(status_in other other)"; else ok "at once"; fi
kill -STOP "${pid_of[dataplane]}"
have=$(berth revoke third --wait --timeout 1s 2>&1) && status=0 || status=$?
kill -CONT "${pid_of[dataplane]}"
same "a node that does not answer: exit code" 1 "$status"
has "and its name" "dataplane" "$have"
# shellcheck disable=SC2317
over() { ! works third; }
if within 5 over; then ok "it refuses when it comes to itself"; else not_ok "it refuses when it comes to itself" "$(status_in third third)"; fi
has "revoked already: nothing to wait for" "0 identities" "$(berth revoke third --wait --timeout 10s 2>&1 || true)"

# ---- AI off and on ----
stream dev "$e2e_dir/stream"
began=$(now_ms)
set_ai dev false
cut_within "AI off cuts an open stream" 1000 "$e2e_dir/stream" "$began"
same "and refuses" 401 "$(status_in dev dev)"
same "its condition" "AISwitchedOff" "$(berth get container dev -o json | json 'd.status.conditions[0].reason')"
same "no binding is shown" undefined "$(berth get container dev -o json | json 'd.status.binding')"
began=$(now_ms)
set_ai dev true
if within 5 works dev; then ok "AI on: it works again ($(($(now_ms) - began)) ms)"; else not_ok "AI on" "$(status_in dev dev)"; fi
same "without a restart" "$incarnation" "$(fact dev incarnation)"
printf 'apiVersion: berth.dev/v1alpha1\nkind: Container\nmetadata: {name: mute}\nspec: {ai: false}\n' | berth apply -f - >/dev/null
start mute
same "a container without AI starts" 401 "$(status_in mute mute)"
set_ai mute true
if within 5 works mute; then ok "and has its token when AI is switched on"; else not_ok "and has its token when AI is switched on" "$(status_in mute mute)"; fi

# ---- the server's key ----
berth get container dev -o yaml >"$e2e_dir/old.yaml"
berth server-key show >"$e2e_dir/old.pub"
has "a binding is checked offline" "container-dev" "$(berth verify-binding "$e2e_dir/old.yaml" --key "$e2e_dir/old.pub" 2>&1)"
sed 's/number: "1"/number: "2"/' "$e2e_dir/old.yaml" >"$e2e_dir/forged.yaml"
have=$(berth verify-binding "$e2e_dir/forged.yaml" --key "$e2e_dir/old.pub" 2>&1) && status=0 || status=$?
same "a changed one is not valid" "1 berth: not valid: none of the 1 keys in $e2e_dir/old.pub signed this binding" "$status $have"
watcher "$e2e_dir/watch"
for i in 1 2 3; do
  berth server-key rotate >/dev/null
  start "during-$i"
  same "a container starts during rotation $i" 200 "$(status_in "during-$i" "during-$i")"
done
# shellcheck disable=SC2317
one_key() { (($(berth server-key show | wc -l) == 1)); }
if within 10 one_key; then ok "the older keys are done"; else not_ok "the older keys are done" "$(berth server-key show)"; fi
watcher_stop
same "no request failed" "" "$(grep -v ' 200$' "$e2e_dir/watch" | head -3)"
have=$(berth verify-binding "$e2e_dir/old.yaml" 2>&1) && status=0 || status=$?
same "what the old key signed is no longer valid" 1 "$status"
has "what is in force is" "container-dev" "$(berth get container dev -o json | berth verify-binding - 2>&1)"
same "mode of the key" 600 "$(stat -c %a "$BERTH_DATA/controlplane/server.key")"
daemon_kill controlplane
daemon_start controlplane
same "the same server after a restart" "$(sed -n 's/^ *server: //p' "$e2e_dir/old.yaml")" "$(berth get container dev -o yaml | sed -n 's/^ *server: //p')"

# ---- the agent is gone ----
stream dev "$e2e_dir/stream"
began=$(now_ms)
daemon_kill agent
cut_within "an agent that is gone loses its containers" 13500 "$e2e_dir/stream" "$began"
below "and not before its lease, ms short of 10 s" 500 $((began + 10000 - $(now_ms) > 0 ? began + 10000 - $(now_ms) : 0))
same "its condition" "AgentAway" "$(berth get container dev -o json | json 'd.status.conditions[0].reason')"
daemon_start agent
if within 10 works dev; then ok "it comes back with its containers"; else not_ok "it comes back with its containers" "$(status_in dev dev)"; fi
same "as who they were" "$incarnation" "$(fact dev incarnation)"
