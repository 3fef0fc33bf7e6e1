#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Must hold: container-NAME works from inside container NAME and nowhere else, and dies with it, open
# streams included.
# shellcheck source=e2e/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
if ((EUID != 0)) || ! command -v podman >/dev/null; then
  skip identity "needs root and podman"
  exit 0
fi
stack_start
pods_start

body='{"model":"openai/gpt-4o-mini","messages":[{"role":"user","content":"hi"}]}'
slow='{"model":"openai/gpt-4o-mini","stream":true,"messages":[{"role":"user","content":"hi [[sim: words=3000, chunk_ms=20]]"}]}'
# status_in CONTAINER TOKEN_NAME [BODY]: HTTP status as busybox sees it
status_in() {
  pod exec "$1" wget -S -q -O /dev/null --header 'Content-Type: application/json' \
    --header "Authorization: Bearer container-$2" --post-data "${3:-$body}" \
    "http://127.0.0.1:$port/v1/chat/completions" 2>&1 | awk '$1 ~ /^HTTP/ { print $2; exit }
      /server returned error/ { for (i = 1; i <= NF; i++) if ($i ~ /^HTTP/) { print $(i + 1); exit } }'
}
status_host() {
  curl -s -o /dev/null -w '%{http_code}' -H "Authorization: Bearer container-$1" --json "$body" \
    "$host_url/v1/chat/completions" || true
}

pod run -d --name dev-env --network none berth-demo sleep 1000000 >/dev/null
pod run -d --name other --network none berth-demo sleep 1000000 >/dev/null
same "the token works inside" 200 "$(status_in dev-env dev-env)"
same "the other's works there" 200 "$(status_in other other)"
same "not from another container" 401 "$(status_in other dev-env)"
same "not from the host" 401 "$(status_host dev-env)"
same "a token of nobody" 401 "$(status_in dev-env nobody)"
# fact NAME: of dev-env's status
fact() { berth get container dev-env -o json | sed -n "s/.*\"$1\": \"\([^\"]*\)\".*/\1/p" | head -1; }
same "its number is a token too" 200 "$(status_in dev-env "$(fact number)")"
same "and its id" 200 "$(status_in dev-env "$(pod inspect -f '{{.Id}}' dev-env)")"
same "another container's number is not" 401 "$(status_in other "$(fact number)")"
first=$(pod exec dev-env wget -q -O - "http://127.0.0.1:$port/v1/models" | head -c 300 || true)
has "no token at all works inside" '"data"' "$first"
# status_beside [CURL OPTIONS]: root of the host, in the container's network but not of it
status_beside() {
  nsenter -t "$(pod inspect -f '{{.State.Pid}}' dev-env)" -n curl -s -o /dev/null -w '%{http_code}' "$@" \
    --json "$body" "http://127.0.0.1:$port/v1/chat/completions" || true
}
same "not from the host's root in its network" 401 "$(status_beside -H 'Authorization: Bearer container-dev-env')"
same "nor without a token there" 401 "$(status_beside)"
first=$(pod run --rm --name at-once --network none berth-demo wget -q -O - \
  --header "Authorization: Bearer container-at-once"  "http://127.0.0.1:$port/v1/models" || true)
has "the first instruction of a container can use it" '"data"' "${first:0:300}"
has "the control plane knows it" "dev-env" "$(berth get containers)"

attested() { curl -s "http://127.0.0.1:$((port + 2))/metrics" | sed -n 's/^berth_agent_attest_seconds_count //p'; }
if (($(attested) > 5)); then ok "each connection's attestation is timed"; else not_ok "each connection's attestation is timed" "$(attested)"; fi

# ---- the same network namespace, another container ----
pod run -d --name sidecar --network container:dev-env berth-demo sleep 1000000 >/dev/null
same "a sidecar has its own token" 200 "$(status_in sidecar sidecar)"
same "and not its neighbour's" 401 "$(status_in sidecar dev-env)"
pod rm -f -t 0 sidecar >/dev/null
same "which outlives the sidecar" 200 "$(status_in dev-env dev-env)"

# ---- a stream whose client outlives the container is cut within a second ----
# Only a process that leaves the container's cgroup behind its socket can see this: its connection is
# the container's, its life is not.
cgroups=$(awk '$3 == "cgroup2" { print $2; exit }' /proc/mounts)
pod run -d --name shortlived --network none berth-demo sleep 1000000 >/dev/null
init=$(pod inspect -f '{{.State.Pid}}' shortlived)
cgroup=$cgroups$(sed -n 's/^0:://p' "/proc/$init/cgroup")
if [[ -z $cgroups || ! -w $cgroup/cgroup.procs ]]; then
  skip "cut within a second" "no cgroup v2 tree"
else
  : >"$e2e_dir/outliving"
  (
    echo "$BASHPID" >"$cgroup/cgroup.procs"
    exec nsenter -t "$init" -n curl -s -N --json "${slow/3000/1000}" "http://127.0.0.1:$port/v1/chat/completions" \
      >"$e2e_dir/outliving"
  ) &
  client=$!
  # shellcheck disable=SC2317
  flows() { (($(grep -c '^data:' "$e2e_dir/outliving") > 5)); }
  within 10 flows || not_ok "the outliving client's stream flows" "$(head -c 300 "$e2e_dir/outliving")"
  echo "$client" >"$cgroups/cgroup.procs"
  start=$(date +%s%3N)
  kill -9 "$init"
  wait $client || true
  below "a stream is cut, ms after the container's death" 1000 $(($(date +%s%3N) - start))
  end=$(tail -n 2 "$e2e_dir/outliving")
  if [[ $end == *'[DONE]'* ]]; then not_ok "without a clean end" "$end"; else ok "without a clean end"; fi
  has "but with the reason" '"error"' "$end"
  # shellcheck disable=SC2317
  revoked() { berth usage --records | grep -qE 'container/shortlived .*revoked'; }
  if within 5 revoked; then ok "recorded as revoked"; else
    not_ok "recorded as revoked" "$(berth usage --records | grep shortlived)"
  fi
fi

# ---- an open stream is cut when the container goes, and only then ----
# held by a process of the container; its output comes out through podman exec
pod exec dev-env wget -q -O - --header 'Content-Type: application/json' \
  --header "Authorization: Bearer container-dev-env" --post-data "$slow" \
  "http://127.0.0.1:$port/v1/chat/completions" >"$e2e_dir/stream" 2>/dev/null &
stream=$!
# shellcheck disable=SC2317
flows() { (($(grep -c '^data:' "$e2e_dir/stream") > 5)); }
if within 10 flows; then ok "a stream flows"; else not_ok "a stream flows" "$(head -c 300 "$e2e_dir/stream")"; fi
pod rm -f -t 0 dev-env >/dev/null
wait "$stream" || true
if grep -q '\[DONE\]' "$e2e_dir/stream"; then not_ok "the stream is cut" "it ended with [DONE]"; else ok "the stream is cut"; fi
# shellcheck disable=SC2317
billed() { berth usage --records --data "$BERTH_DATA" | grep -qE 'container/dev-env .*(revoked|client_gone)'; }
if within 5 billed; then ok "and charged as far as it came"; else
  not_ok "and charged as far as it came" "$(berth usage --records | tail -2)"
fi
same "after rm the token is nobody's, elsewhere" 401 "$(status_in other dev-env)"
same "and on the host" 401 "$(status_host dev-env)"
# shellcheck disable=SC2317
gone() { berth get container dev-env -o json | grep -q '"gone"'; }
if within 5 gone; then ok "its state is gone"; else not_ok "its state is gone" "$(berth get containers)"; fi
old=$(berth get container dev-env -o json | sed -n 's/.*"incarnation": "\(.*\)".*/\1/p')
pod run -d --name dev-env --network none berth-demo sleep 1000000 >/dev/null
same "a new container of that name has a token" 200 "$(status_in dev-env dev-env)"
new=$(berth get container dev-env -o json | sed -n 's/.*"incarnation": "\(.*\)".*/\1/p')
if [[ -n $new && $new != "$old" ]]; then ok "as a new incarnation"; else not_ok "as a new incarnation" "$old -> $new"; fi

# ---- the agent dies: identities stay, the next agent goes on ----
kill -9 "$(daemon_pid agent)"
# shellcheck disable=SC2317
agent_back() { grep -q '"event":"ready","daemon":"agent"' "$e2e_dir/up.out"; }
within 10 agent_back || true
# shellcheck disable=SC2317
works() { [[ $(status_in dev-env dev-env) == 200 ]]; }
if within 5 works; then ok "the token works after kill -9 of the agent"; else
  not_ok "the token works after kill -9 of the agent" "$(status_in dev-env dev-env)"
fi
