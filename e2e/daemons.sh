# shellcheck shell=bash
# SPDX-License-Identifier: MIT
# The stack of lib.sh, but each daemon started by hand: suites that kill one at a time, give the
# simulator prices, or leave one out need that. `berth up` is what up.sh tests.
#   stack_start          sim, control plane, data plane; with AGENT=1 the agent too
#   daemon_start NAME    returns when it said that it is ready, the data plane when it serves
#   daemon_kill NAME     kill -9          daemon_stop NAME   SIGTERM, and waits
#   node_pki ROLE NAME DIR   certificate and key of another node
#   node_start N         a data plane dpN with a certificate and ports of its own
#   admin METHOD PATH [curl arguments]    wallet_fund DOLLARS    key_create NAME (into $key)
# SIM_FLAGS, CONTROLPLANE_FLAGS, DATAPLANE_FLAGS, AGENT_FLAGS: arrays of more arguments.
# shellcheck source=e2e/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
[[ -v SIM_FLAGS ]] || SIM_FLAGS=()
[[ -v CONTROLPLANE_FLAGS ]] || CONTROLPLANE_FLAGS=()
[[ -v DATAPLANE_FLAGS ]] || DATAPLANE_FLAGS=()
[[ -v AGENT_FLAGS ]] || AGENT_FLAGS=()
started=()
helpers=() # processes of the suite itself, ended with the stack
declare -A pid_of=()

# What a suite needs and this machine lacks is one "not ok", not a silent end.
stop_suite() {
  not_ok "$1" "$2"
  exit 1
}

daemon_argv() {
  case $1 in
    sim) argv=(berth-sim --listen "127.0.0.1:$((port + 10))" -o json "${SIM_FLAGS[@]}") ;;
    controlplane) argv=(env "BERTH_OFFLINE_SIM=$sim_url" berth-controlplane --data "$BERTH_DATA/controlplane"
      --listen-admin none --listen-planes "127.0.0.1:$((port + 3))" "${CONTROLPLANE_FLAGS[@]}") ;;
    dataplane) argv=(berth-dataplane --data "$BERTH_DATA/dataplane" --control "127.0.0.1:$((port + 3))"
      --pki "$BERTH_DATA/controlplane/pki" --listen "127.0.0.1:$((port + 1))"
      --admin "127.0.0.1:$((port + 2))" --handoff "$BERTH_DATA/run/handoff.sock"
      --journal-mib 64 "${DATAPLANE_FLAGS[@]}") ;;
    agent) argv=(berth-agent --control "127.0.0.1:$((port + 3))" --pki "$BERTH_DATA/controlplane/pki"
      --dataplane "$BERTH_DATA/run/handoff.sock" --run-dir "$BERTH_DATA/run"
      --port "$port" "${AGENT_FLAGS[@]}") ;;
  esac
}

alive() { kill -0 "$1" 2>/dev/null; }
dead() { ! alive "$1"; }
daemon_pid() { echo "${pid_of[$1]:-}"; }
said_ready() { grep -q '"ready":true\|"listen' "$e2e_dir/$1.out" || dead "${pid_of[$1]}"; }
serves() { curl -fs -o /dev/null "http://127.0.0.1:$((port + 2))/readyz"; }

daemon_start() {
  local name=$1 argv
  daemon_argv "$name"
  : >"$e2e_dir/$name.out"
  "${argv[@]}" </dev/null >"$e2e_dir/$name.out" 2>>"$e2e_dir/$name.log" &
  pid_of[$name]=$!
  disown "${pid_of[$name]}"
  [[ " ${started[*]} " == *" $name "* ]] || started=("$name" "${started[@]}")
  within 15 said_ready "$name" && alive "${pid_of[$name]}" ||
    stop_suite "start of $name" "$(tail -n 3 "$e2e_dir/$name.log")"
  [[ $name != dataplane || ${NO_READY:-0} == 1 ]] || within 15 serves ||
    stop_suite "start of $name" "not ready: $(tail -n 3 "$e2e_dir/$name.log")"
}
daemon_end() {
  local pid=${pid_of[$1]:-}
  [[ -n $pid ]] || return 0
  kill "-$2" "$pid" 2>/dev/null || true
  within 15 dead "$pid" || kill -9 "$pid" 2>/dev/null || true
  unset "pid_of[$1]"
}
daemon_kill() { daemon_end "$1" 9; }
daemon_stop() { daemon_end "$1" TERM; }

# node_pki ROLE NAME DIR: what another node NAME of that role (dataplane, agent) needs to be let in, into DIR
node_pki() {
  local role=$1 name=$2 dir=$3 pki=$BERTH_DATA/controlplane/pki
  mkdir -p -m 0700 "$dir"
  cp "$pki/ca.crt" "$dir/"
  openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=$name" \
    -keyout "$dir/$role.key" -out "$dir/$role.csr" 2>/dev/null
  openssl x509 -req -in "$dir/$role.csr" -CA "$pki/ca.crt" -CAkey "$pki/ca.key" -CAcreateserial -days 1 -out "$dir/$role.crt" \
    -extfile <(printf 'subjectAltName=URI:spiffe://berth/%s/%s\nextendedKeyUsage=clientAuth' "$role" "$name") 2>/dev/null
}

# node_start N: answers at port + 10 + 2 N, when it returns
node_start() {
  local name=dp$1 dir=$BERTH_DATA/dp$1
  mkdir -p -m 0700 "$dir"
  node_pki dataplane "$name" "$dir/pki"
  berth-dataplane --data "$dir" --control "127.0.0.1:$((port + 3))" --pki "$dir/pki" --listen "127.0.0.1:$((port + 10 + $1 * 2))" \
    --admin "127.0.0.1:$((port + 11 + $1 * 2))" --journal-mib 64 </dev/null >"$e2e_dir/$name.out" 2>"$e2e_dir/$name.log" &
  pid_of[$name]=$!
  disown "${pid_of[$name]}"
  started=("$name" "${started[@]}")
  # shellcheck disable=SC2317
  node_serves() { curl -fs -o /dev/null "http://127.0.0.1:$((port + 11 + $1 * 2))/readyz"; }
  within 15 node_serves "$1" || stop_suite "start of $name" "$(tail -n 3 "$e2e_dir/$name.log")"
}

stack_start() {
  [[ -n $port ]] || port=$(free_ports)
  host_url=http://127.0.0.1:$((port + 1))
  sim_url=http://127.0.0.1:$((port + 10))
  export host_url sim_url
  mkdir -p -m 0700 "$BERTH_DATA" "$BERTH_DATA/run"
  local name
  for name in sim controlplane dataplane $([[ ${AGENT:-0} == 0 ]] || echo agent); do
    daemon_start "$name"
  done
}
stack_stop() { # newest first; the agent's holder outlives it on purpose, its socket names it
  local name pid
  for pid in "${helpers[@]}"; do kill "$pid" 2>/dev/null || true; done
  for name in "${started[@]}"; do daemon_stop "$name"; done
  started=()
  for pid in $(ss -xlpH "src $BERTH_DATA/run/holder.sock" 2>/dev/null | grep -o 'pid=[0-9]*' | cut -d= -f2); do
    kill -9 "$pid" 2>/dev/null || true
  done
}

admin() {
  local method=$1 path=$2
  shift 2
  curl -s -X "$method" --unix-socket "$BERTH_DATA/controlplane/admin.sock" \
    -H "content-type: application/${BODY:-json}" "$@" "http://admin$path"
}
# json EXPRESSION: of the document d on standard input
json() {
  node -e 'let t="";process.stdin.on("data",c=>t+=c).on("end",()=>{const d=JSON.parse(t);
    console.log(eval(process.argv[1]))})' "$1"
}
apply() { BODY=yaml admin POST /apis/berth.dev/v1alpha1/apply --data-binary @-; }

# Money comes in through the front door: a deposit, then the one-way transfer to AI.
wallet_fund() {
  local what
  for what in deposits transfers; do
    admin POST "/api/v1/wallet/$what" -f -o "$e2e_dir/fund.json" \
      -d "{\"wallet\":\"${2:-default}\",\"amount\":\"$1\",\"idempotency_key\":\"$what-$RANDOM$RANDOM\"}" ||
      stop_suite "$what" "$(cat "$e2e_dir/fund.json")"
  done
}
key_works() { [[ $(curl -s -o /dev/null -w '%{http_code}' -H "authorization: Bearer $1" "$host_url/v1/models") == 200 ]]; }
key_create() {
  printf 'apiVersion: berth.dev/v1alpha1\nkind: ApiKey\nmetadata: {name: %s}\nspec: {wallet: %s}\n' \
    "$1" "${2:-default}" | apply >"$e2e_dir/key.json"
  key=$(json 'd.items[0].key' <"$e2e_dir/key.json") || stop_suite "key $1" "$(cat "$e2e_dir/key.json")"
  within 10 key_works "$key" || stop_suite "key $1" "it does not work"
}
