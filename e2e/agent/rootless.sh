#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Must hold: rootless podman containers of a user whom --rootless names have tokens like any other; those
# of another user start without one; no user can speak for a process that is not in a container of his.
# shellcheck source=e2e/identity/rig.sh
source "$(dirname "${BASH_SOURCE[0]}")/../identity/rig.sh"
if ! command -v newuidmap >/dev/null || [[ ! -e /etc/subuid || ! -e /etc/subgid ]] || ! setpriv --reuid 65534 --clear-groups unshare -Ur true 2>/dev/null; then
  skip rootless "needs newuidmap (package uidmap) and user namespaces for users"
  exit 0
fi
chmod 0711 "$e2e_dir" # users have to reach the socket and the hooks; BERTH_DATA stays closed

# ---- two users, in this mount namespace alone ----
users=$e2e_dir/users
mkdir -p "$users"
for file in passwd group subuid subgid; do
  [[ ! -e /etc/$file ]] || cat "/etc/$file" >"$users/$file"
done
for user in berth-ann:31001:3100000 berth-bob:31002:3200000; do
  IFS=: read -r name uid sub <<<"$user"
  echo "$name:x:$uid:$uid::$users/$name:/bin/sh" >>"$users/passwd"
  echo "$name:x:$uid:" >>"$users/group"
  echo "$name:$sub:65536" | tee -a "$users/subuid" >>"$users/subgid"
  install -d -m 0700 -o "$uid" -g "$uid" "$users/$name" "$e2e_dir/$name" # the second with a short path: podman's limit is 50
done
for file in passwd group subuid subgid; do
  mount --bind "$users/$file" "/etc/$file"
done
# as_user NAME COMMAND...: what it says comes out at its end; podman's helpers live longer and would keep a pipe open
as_user() {
  local name=$1 status=0
  shift
  (cd "$users/$name" && env -u DBUS_SESSION_BUS_ADDRESS HOME="$users/$name" XDG_RUNTIME_DIR="$e2e_dir/$name" \
    setpriv --reuid "$name" --regid "$name" --clear-groups --inh-caps=-all "$@" >"$users/said" 2>&1) || status=$?
  cat "$users/said"
  return "$status"
}
# their PODMAN...: of user $1
their() {
  local name=$1
  shift
  as_user "$name" podman --log-level error --hooks-dir "$e2e_dir/hooks" "$@"
}
export BERTH_AGENT_ROOTLESS=berth-ann BERTH_AGENT_ROOTLESS_SOCKET=$users/socket/rootless.sock
stack_start
pods_start
tar -C "$e2e_dir/podman/rootfs" -cf "$users/image.tar" .
for user in berth-ann berth-bob; do
  mkdir -p "$users/$user/.config/containers" # where podman's own helpers look, too
  printf '[storage]\ndriver = "vfs"\n' >"$users/$user/.config/containers/storage.conf"
  cp "$e2e_dir/podman/containers.conf" "$users/$user/.config/containers/"
  chown -R "$user" "$users/$user/.config"
  if ! their "$user" import "$users/image.tar" berth-demo >/dev/null ||
    ! their "$user" run --rm --network none --annotation io.berth.ai=false berth-demo id >/dev/null; then
    skip rootless "rootless podman does not run here: $(grep -v '^$' "$users/said" | tail -1)"
    exit 0
  fi
done
# there CONTAINER TOKEN_NAME: status in a container of ann's
there() { their berth-ann exec "$1" sh -c "$(asker "$2")" 2>&1 | cut -d' ' -f2-; }

# ---- a user whom --rootless names ----
good=0
for i in 1 2 3 4 5; do
  [[ $(their berth-ann run --rm --name "first-$i" --network none berth-demo sh -c "$(asker "first-$i")" 2>&1) == *" 200" ]] && good=$((good + 1))
done
same "first instructions of rootless containers" 5 $good
their berth-ann run -d --name ann-a --network none berth-demo sleep 1000000 >/dev/null
their berth-ann run -d --name ann-b --network none berth-demo sleep 1000000 >/dev/null
pod run -d --name rooted --network none berth-demo sleep 1000000 >/dev/null
same "its own token" 200 "$(there ann-a ann-a)"
same "not a neighbour's of the same user" 401 "$(there ann-a ann-b)"
same "not one of root's" 401 "$(there ann-a rooted)"
same "nor has root's container the user's" 401 "$(status_in rooted ann-a)"
same "which has its own" 200 "$(status_in rooted rooted)"
their berth-ann rm -f -t 0 ann-b >/dev/null
if within 5 state_is ann-b gone; then ok "rm ends it"; else not_ok "rm ends it" "$(berth get containers)"; fi
their berth-ann restart -t 0 ann-a >/dev/null
same "a restart is a new life" 200 "$(there ann-a ann-a)"
taken=$(their berth-ann run --rm --name rooted --network none berth-demo sh -c "echo user code ran" 2>&1 || true)
has "a name that another container has is refused" "berth: " "$taken"
if [[ $taken == *'user code ran'* ]]; then not_ok "and it does not start" "$taken"; else ok "and it does not start"; fi

# ---- what a user cannot ask for ----
# claim ID PID: berth-hook as ann, in a user namespace of hers
claim() {
  printf '{"ociVersion":"1.0.2","id":"%s","status":"creating","pid":%s,"bundle":"/"}' "$1" "$2" >"$users/state"
  as_user berth-ann unshare -Ur "$bin/berth-hook" createRuntime --socket "$BERTH_DATA/run/hook.sock" \
    --rootless-socket "$BERTH_AGENT_ROOTLESS_SOCKET" <"$users/state" 2>&1 && echo started || true
}
same "root's process" "berth: process $(init_of rooted) is in no user namespace of user 31001" "$(claim mine "$(init_of rooted)")"
their berth-bob run -d --name bob-a --network none berth-demo sleep 1000000 >/dev/null
bob=$(their berth-bob inspect -f '{{.State.Pid}}' bob-a)
same "another user's" "berth: process $bob is in no user namespace of user 31001" "$(claim mine "$bob")"
ann=$(their berth-ann inspect -f '{{.State.Pid}}' ann-a)
same "the id of root's container" "berth: a container with this id runs" "$(claim "$(pod inspect -f '{{.Id}}' rooted)" "$ann")"
same "root's container is as before" 200 "$(status_in rooted rooted)"

# ---- a user whom it does not name, and an agent that takes none ----
note=$(their berth-bob run --rm --name bob-b --network none berth-demo sh -c "$(asker bob-b)" 2>&1 || true)
if [[ $note == *200* || $note != *bob-b* ]]; then not_ok "a stranger's container runs without a token" "$note"; else
  ok "a stranger's container runs without a token"
fi
if berth get container bob-b >/dev/null 2>&1; then not_ok "and has no identity" "$(berth get containers)"; else ok "and has no identity"; fi
kill -STOP "$(daemon_pid controlplane)"
veto=$(their berth-ann run --rm --name never --network none berth-demo sh -c "echo user code ran" 2>&1 || true)
kill -CONT "$(daemon_pid controlplane)"
has "no control plane: the start is vetoed, with the reason" "berth: " "$veto"
stack_stop
unset BERTH_AGENT_ROOTLESS
stack_start
has "with --rootless of nobody, everybody's containers start" "user code ran" \
  "$(their berth-ann run --rm --name none --network none berth-demo sh -c "echo user code ran" 2>&1 || true)"
has "while root's are what they were" 200 "$(pod run --rm --name still --network none berth-demo sh -c "$(asker still)")"
for user in berth-ann berth-bob; do
  their "$user" rm -af -t 0 >/dev/null 2>&1 || true
  as_user "$user" podman system migrate >/dev/null 2>&1 || true # ends podman's own waiting process
done
