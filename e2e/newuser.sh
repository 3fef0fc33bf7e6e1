#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Must hold: a newcomer's mistakes change nothing that was not meant, and the answer says in one
# sentence what is wrong, where, and what to do.
# shellcheck source=e2e/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

# refused NAME NEEDLE COMMAND...: it fails and says NEEDLE in one line
refused() {
  local name=$1 needle=$2 out status=0
  shift 2
  out=$("$@" 2>&1 </dev/null) || status=$?
  if ((status == 0)); then not_ok "$name" "exit 0: $out"; else
    has "$name" "$needle" "$out"
    same "$name, in one line" 1 "$(wc -l <<<"$out")"
  fi
}
# yaml NAME NEEDLE TEXT: what `berth apply -f -` says to TEXT (printf format)
yaml() {
  # shellcheck disable=SC2059
  has "$1" "$2" "$(printf "$3" | berth apply -f - 2>&1 || true)"
}

# what a service manager hears
cat >"$e2e_dir/notify.py" <<'PY'
import socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind(sys.argv[1])
while True:
    with open(sys.argv[1] + ".log", "ab") as f:
        f.write(s.recv(4096) + b"\n")
PY
python3 -I "$e2e_dir/notify.py" "$e2e_dir/notify" &
notify_pid=$!
# shellcheck disable=SC2317
notify_listens() { [[ -S $e2e_dir/notify ]]; }
within 10 notify_listens || not_ok "a service manager" "did not start"
export NOTIFY_SOCKET=$e2e_dir/notify
stack_start
v='apiVersion: berth.dev/v1alpha1\n'

# ---- files ----
mkdir "$e2e_dir/folder"
printf '%bkind: Container\nmetadata: {name: a}\nspec: {wallet: team-b}\n' "$v" >"$e2e_dir/folder/1.yaml"
printf '%bkind: Wallet\nmetadata: {name: team-b}\n' "$v" >"$e2e_dir/folder/2.yml"
printf 'no: manifest\n' >"$e2e_dir/folder/notes.txt"
same "a folder is applied file by file, and nothing is missing in the end" \
  "Container a created Wallet team-b created" "$(berth apply -f "$e2e_dir/folder" 2>&1 | xargs)"
has "-f may come twice" "Wallet team-b unchanged" "$(berth apply -f "$e2e_dir/folder/1.yaml" -f "$e2e_dir/folder/2.yml")"
printf '%bkind: Wallet\nmetadata: {name: team-c}\n' "$v" >"$e2e_dir/folder/0.yaml"
printf '%bkind: Wallet\nmetadata: {name: team-d}\nspec: {frozne: true}\n' "$v" >"$e2e_dir/folder/3.yaml"
refused "a bad file of a folder is named" "3.yaml: line 4" berth apply -f "$e2e_dir/folder"
refused "and none of the others was applied" "no Wallet" berth get wallet team-c
refused "a folder without manifests" "there is no *.yaml" berth apply -f "$BERTH_DATA/keys"
yaml "Windows' byte order mark" "Wallet bom created" "\xef\xbb\xbf${v}kind: Wallet\nmetadata: {name: bom}\n"
yaml "a tab has its place" "line 3, column 1: found character" "${v}metadata:\n\tname: x\n"
yaml "a key that is there twice has its place" "line 3, column 1: duplicate key" "${v}kind: Wallet\nkind: Wallet\n"
yaml "a file with nothing in it" "there is no object in it" "# later\n"
yaml "a name says how names are" "1 to 63 bytes" "${v}kind: Wallet\nmetadata: {name: ../x}\n"
yaml "a wallet that nobody made" "Container b names Wallet team-x, which does not exist yet" \
  "${v}kind: Container\nmetadata: {name: b}\nspec: {wallet: team-x}\n"
yaml "a target that nothing offers" "Route r names Model gpt-4o-mini, which nothing offers yet" \
  "${v}kind: Route\nmetadata: {name: r}\nspec: {targets: [gpt-4o-mini]}\n"
# shellcheck disable=SC2317
route_is_unready() { [[ $(berth get route r) == *NoTarget* ]]; }
within 5 route_is_unready && ok "get routes says that it leads nowhere" || not_ok "get routes says that it leads nowhere" "$(berth get routes)"
printf '%bkind: Provider\nmetadata: {name: keyless}\nspec: {dialect: openai, baseUrl: "https://api.example.com/v1", key: {env: NOBODY_SETS_THIS}}\n' "$v" |
  berth apply -f - >/dev/null
# shellcheck disable=SC2317
provider_is_unready() { [[ $(berth get provider keyless) == *KeyMissing* ]]; }
within 5 provider_is_unready && ok "get providers says whose key is missing" || not_ok "get providers says whose key is missing" "$(berth get providers)"

# ---- names ----
refused "a name is no path to another kind" 'there is no Wallet "../apikeys/host"' berth get wallet ../apikeys/host
refused "neither when deleting" 'there is no Wallet' berth delete wallet ../apikeys/host
has "and the key is still there" host "$(berth get apikeys)"
refused "no suggestion where nothing is near" 'there are wallets' berth get foo
refused "a kind with a typo" "did you mean containers" berth get conatiners
refused "help of no command" "unknown command" berth help frobnicate
refused "options before the command" "options stand behind the command" berth -o json version

# ---- words that people type ----
same "berth models ls is its list" "$(berth models list)" "$(berth models ls)"
same "keys ls" "$(berth keys list)" "$(berth keys ls)"
same "wallet ls" "$(berth wallet show | head -1)" "$(berth wallet ls | head -1)"
same "invoices ls" "$(berth invoices list)" "$(berth invoices ls)"
refused "a verb with a typo" "did you mean transfer" berth wallet tranfer 1.00
refused "and another" "did you mean create" berth keys craete x
refused "a command of other tools" "did you mean delete" berth rm wallet default
refused "and another one" "did you mean status" berth doctor
berth keys create short >/dev/null
has "keys rm" "deleted" "$(berth keys rm short 2>/dev/null)"

# ---- how is it? ----
# shellcheck disable=SC2317
in_sync() { [[ $(berth status) == *"dataplane is connected and in sync"* ]]; }
within 10 in_sync || not_ok "the data plane is in sync" "$(berth nodes)"
status=$(berth status) && ok "berth status: exit 0 with notes alone" || not_ok "berth status: exit 0" "$status"
for line in 'ok    control plane' 'ok    data plane    dataplane is connected and in sync' 'ok    gateway' 'note  provider      keyless: KeyMissing' \
  'ok    wallet        default: AI 5.00 USD' 'note  wallet        team-b: AI 0.00 USD' 'MiB are free'; do
  [[ $status == *"$line"* ]] || not_ok "berth status says '$line'" "$status"
done
ok "berth status has daemons, providers, wallets, disk"
kill -STOP "$(daemon_pid dataplane)"
code=0
status=$(berth status) || code=$?
has "a gateway that hangs FAILs" "FAIL  gateway" "$status"
same "and then the exit code is 1" 1 "$code"
kill -CONT "$(daemon_pid dataplane)"

# ---- keys ----
printf '%bkind: ApiKey\nmetadata: {name: strict}\nspec: {wallet: team-b, models: ["openai/*"], cap: {day: "1.00"}}\n' "$v" |
  berth apply -f - >/dev/null 2>&1
before=$(berth get apikey strict -o json)
refused "a key is not made twice" "exists already" berth keys create strict --out "$e2e_dir/strict.key"
same "and stays as it is, caps and all" "$before" "$(berth get apikey strict -o json)"
refused "nor for a wallet that is not there" 'there is no Wallet "nope"' berth keys create x --wallet nope
berth delete apikey strict >/dev/null 2>&1
same "a deleted key's file is gone" no "$([[ -e $BERTH_DATA/keys/strict.key ]] && echo yes || echo no)"
answer=$(curl -s --json '{"model":"openai/gpt-4o-mini","messages":[]}' -H 'Authorization: Bearer container-dev' "$host_url/v1/chat/completions")
has "a 401 says what is taken where" "from inside container NAME" "$answer"
same "and is the same for every credential" "$answer" \
  "$(curl -s --json '{"model":"openai/gpt-4o-mini","messages":[]}' "$host_url/v1/chat/completions")"

# ---- refusals ----
# raw NAME REQUEST: what the gateway says to bytes of HTTP/1.1 (printf format)
raw() {
  local answer
  exec 3<>"/dev/tcp/127.0.0.1/$((port + 1))"
  # shellcheck disable=SC2059
  printf "$2" >&3
  answer=$(timeout 10 cat <&3 || true)
  exec 3<&-
  has "$1: its status" "$3" "$answer"
  has "$1: x-request-id" "x-request-id: req_" "$answer"
}
close='Host: x\r\nConnection: close\r\n'
raw "a path that is not there" "GET /v1/nothing HTTP/1.1\r\n$close\r\n" "HTTP/1.1 404"
raw "a method that is not taken" "GET /v1/chat/completions HTTP/1.1\r\n$close\r\n" "HTTP/1.1 405"
raw "a malformed head" "GET /v1/models HTTP/1.1\r\n$close: x\r\n\r\n" "HTTP/1.1 400"
raw "a body of 10 GB" "POST /v1/chat/completions HTTP/1.1\r\n${close}Content-Length: 10000000000\r\n\r\n" "HTTP/1.1 413"
raw "a coding that nobody knows" "POST /v1/chat/completions HTTP/1.1\r\n${close}Transfer-Encoding: x\r\n\r\n" "HTTP/1.1 501"
has "HTTP/2, too" "x-request-id: req_" "$(curl -s -i --http2-prior-knowledge "$host_url/v1/nothing")"
head -c 11000000 /dev/zero >"$e2e_dir/large"
head -c 2000000 /dev/zero >"$e2e_dir/medium"
has "a 413 says the limit" "limit here, 10485760 bytes" "$(curl -s -H "Authorization: Bearer $host_key" -H 'content-type: application/json' -H 'Expect:' --data-binary "@$e2e_dir/large" "$host_url/v1/chat/completions")"
has "also when the length was not said" "limit here, 10485760 bytes" "$(curl -s -H "Authorization: Bearer $host_key" -H 'content-type: application/json' -H 'Expect:' -H 'Transfer-Encoding: chunked' --data-binary "@$e2e_dir/large" "$host_url/v1/chat/completions")"
has "and the admin API does" "limit here, 1048576 bytes" "$(curl -s --unix-socket "$BERTH_DATA/controlplane/admin.sock" -X POST -H 'content-type: application/json' -H 'Expect:' --data-binary "@$e2e_dir/medium" http://x/apis/berth.dev/v1alpha1/apply)"

# ---- money ----
refused "the default wallet stays" "not deleted" berth delete wallet default
berth wallet deposit 3.00 --wallet team-b >/dev/null
refused "a wallet with money stays" "holds 3.00 USD in General" berth delete wallet team-b
has "-3.00 is an amount" "general_balance    0.00" "$(berth wallet adjust -3.00 --wallet team-b --balance general --reason out)"
has "an empty one goes" deleted "$(berth delete wallet team-b)"
refused "a reference that is too long" "--reference has more than" berth wallet deposit 1 --reference "$(printf 'x%.0s' {1..200})"
has "transactions are in dollars" "-3.00" "$(berth wallet transactions --limit 2)"
refused "an end before the start" "--until is before --since" berth usage --since 1h --until 2h
has "times as Berth writes them" "REQUESTS" "$(berth usage --since 2026-01-31T12:00:00Z --until 2026-02-01T00:00:00Z)"
refused "half a time" "--since wants a time" berth usage --since 2026-01-31T12
refused "records are not added up" "one of the two" berth usage --records --by day
curl -s -o /dev/null -H "Authorization: Bearer $host_key" --json '{"model":"openai/gpt-4o-mini","messages":[{"role":"user","content":"hi"}]}' "$host_url/v1/chat/completions"
# shellcheck disable=SC2317
recorded() { (($(berth usage --records -o csv | wc -l) > 1)); }
within 10 recorded || not_ok "a call is recorded" "$(berth usage --records)"
same "records of one caller" 2 "$(berth usage --records --subject key/host -o csv | wc -l)"
same "records of another caller" 1 "$(berth usage --records --subject key/other -o csv | wc -l)"
same "records before it" 1 "$(berth usage --records --until 1h -o csv | wc -l)"
has "near names of routes" "Did you mean fast?" "$(printf '%bkind: Route\nmetadata: {name: fast}\nspec: {targets: [openai/gpt-4o-mini]}\n' "$v" | berth apply -f - >/dev/null
  # shellcheck disable=SC2317
  near() { curl -s -H "Authorization: Bearer $host_key" --json '{"model":"fas","messages":[]}' "$host_url/v1/chat/completions" | tee "$e2e_dir/near" | grep -q fast; }
  within 5 near; cat "$e2e_dir/near")"

# ---- output ----
for words in "get wallets" "get providers" "describe wallet default" "wallet show" "wallet transactions" "wallet audit" \
  "wallet settings" "invoices list" "keys list" "models" "usage" "usage --records" "nodes" "logs" "version" "server-key show" "status"; do
  # shellcheck disable=SC2086
  berth $words -o json >"$e2e_dir/out.json" || not_ok "berth $words -o json" "exit $?"
  python3 -I -c 'import json, sys; json.load(open(sys.argv[1]))' "$e2e_dir/out.json" ||
    not_ok "berth $words -o json is JSON" "$(head -c 200 "$e2e_dir/out.json")"
done
ok "-o json is JSON"
same "completion of verbs" "deposit describe" "$(bash -c 'source <(berth completion bash)
  try() { COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _berth; echo "${COMPREPLY[*]}"; }
  try berth wallet dep; try berth desc' | xargs)"

# ---- folders ----
refused "a data directory that is a file" "is no directory" berth up --offline --data "$e2e_dir/up.out"
refused "an empty data directory" "empty or too long" berth up --offline --data ""

# ---- a server that keeps it ----
same "systemd is told that it is ready" "READY=1" "$(cat "$NOTIFY_SOCKET.log")"
stack_stop || not_ok "it stops" "$?"
kill "$notify_pid" 2>/dev/null || true
same "and that it stops" "STOPPING=1" "$(tail -1 "$NOTIFY_SOCKET.log")"
"$e2e_root/tools/man" "$bin" "$e2e_dir/man"
pages=("$e2e_dir"/man/man?/*)
((${#pages[@]} > 25)) && ok "man pages (${#pages[@]})" || not_ok "man pages" "${pages[*]}"
if command -v man >/dev/null && command -v groff >/dev/null; then
  same "they render without a warning" "" "$(for page in "${pages[@]}"; do groff -man -Tutf8 -ww -z "$page" 2>&1; done)"
  has "and say what --help says" "--release-on-exit" "$(man -l "$e2e_dir/man/man1/berth-up.1" 2>/dev/null)"
else
  skip "they render without a warning" "there is no groff"
fi
if command -v systemd-analyze >/dev/null; then
  sed "s|@BINDIR@|$bin|" "$e2e_root/manifests/systemd/berth.service.in" >"$e2e_dir/berth.service"
  same "systemd takes the unit" "" "$(systemd-analyze verify --man=no "$e2e_dir/berth.service" 2>&1)"
else
  skip "systemd takes the unit" "there is no systemd-analyze"
fi

# ---- machines that lack something: one sentence, exit 1, nothing left behind ----
# lacking NAME NEEDLE COMMAND...: `berth up` in a machine that COMMAND makes
lacking() {
  local name=$1 needle=$2
  shift 2
  refused "$name" "$needle" "$@" "$bin/berth" up --offline --port "$port" --data "$e2e_dir/lacking"
  same "$name: nothing is left" no "$([[ -e $e2e_dir/lacking ]] && echo yes || echo no)"
}
if ((EUID == 0)); then
  lacking "a container without capabilities" "start with --no-agent" setpriv --bounding-set -sys_admin --inh-caps -all
  lacking "a loopback device that is down" "ip link set lo up" unshare -n
  lacking "loopback with IPv6 alone" "127.0.0.1 does not work here" unshare -n sh -c 'ip link set lo up; ip addr del 127.0.0.1/8 dev lo; exec "$@"' sh
  lacking "a home on a read-only disk" "Read-only file system" unshare -m sh -c 'mount -t tmpfs -o ro none "$1"; shift; exec "$@"' sh "$e2e_dir"
  lacking "somebody else's folder" "name another data directory" setpriv --reuid 65534 --regid 65534 --clear-groups
  python3 -I -c 'import socket, sys, time
s = socket.socket()
s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.bind(("127.0.0.1", int(sys.argv[1])))
s.listen()
print("listens", flush=True)
time.sleep(1000)' $((port + 4)) >"$e2e_dir/squatter" &
  squatter=$!
  within 10 grep -q listens "$e2e_dir/squatter" || not_ok "a squatter" "does not listen"
  lacking "a port that is taken" "port $((port + 4)) for the admin API is taken (python3, process $squatter)" env --
  kill "$squatter"
  mkdir "$e2e_dir/few"
  has "no runtime" "neither podman nor runc nor docker is installed" "$(PATH=$e2e_dir/few "$bin/berth" check --port "$port" --data "$e2e_dir/lacking")"
else
  skip "machines that lack something" "only root makes them"
fi
