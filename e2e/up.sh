#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Must hold: one command starts everything within a second and in little memory, stops cleanly, keeps
# its state, restarts what dies, and says in one sentence what stops it.
# shellcheck source=e2e/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
# Sanitizers and debug builds take more; BERTH_E2E_SLOW=1 widens time and leaves memory out.
start_ms_max=1000
[[ ${BERTH_E2E_SLOW:-} != 1 ]] || start_ms_max=8000

field() { sed -n "s/.*\"$2\":\"\\{0,1\\}\\([^\",}]*\\).*/\\1/p" <<<"$1"; }

stack_start
below "cold start, ms" $start_ms_max "$(field "$stack_ready" start_ms)"
has "offline demo deposit" '"demo_deposit":true' "$stack_ready"
same "AI balance of the first start" 5.00 "$(field "$stack_ready" ai_remaining)"
if [[ ${BERTH_E2E_SLOW:-} != 1 ]]; then
  for daemon in controlplane dataplane $( ((EUID != 0)) || echo agent); do
    below "idle RSS of $daemon, KB" 25600 "$(rss_kb "$(daemon_pid $daemon)")"
  done
fi

# ---- what people see ----
same "check says that it runs" 1 "$(berth check >"$e2e_dir/check" 2>&1; echo $?)"
has "check names the process" "process $stack_pid" "$(cat "$e2e_dir/check")"
has "second up on the same data" "already runs" "$(berth up --offline --port "$port" 2>&1 || true)"
has "unknown option suggests" "did you mean --wallet" "$(berth usage --walet x 2>&1 || true)"
same "usage errors exit 2" 2 "$(berth usage --walet x >/dev/null 2>&1; echo $?)"
same "failures exit 1" 1 "$(berth get model no/such >/dev/null 2>&1; echo $?)"
for command in $(berth --help | awk '/^  [a-z]/ { print $1 }'); do
  has "help of $command has an example" "Examples" "$(berth "$command" --help)"
done
has "models lists prices" "openai/gpt-4o-mini" "$(berth models gpt-4o-mini)"
has "nodes are in sync" "true" "$(berth nodes)"

cat >"$e2e_dir/bad.yaml" <<'YAML'
apiVersion: berth.dev/v1alpha1
kind: Route
metadata:
  name: fast
spec:
  targts: [openai/gpt-4o-mini]
YAML
bad=$(berth apply -f "$e2e_dir/bad.yaml" 2>&1 || true)
has "bad YAML: line" "line 6" "$bad"
has "bad YAML: column" "column 3" "$bad"
has "bad YAML: nearest key" '"targets"' "$bad"
sed -i 's/targts/targets/' "$e2e_dir/bad.yaml"
has "apply creates" "Route fast created" "$(berth apply -f "$e2e_dir/bad.yaml")"
has "apply again changes nothing" "unchanged" "$(berth apply -f "$e2e_dir/bad.yaml")"
has "get lists it" "openai/gpt-4o-mini" "$(berth get routes)"
has "get -o yaml can be applied" "unchanged" "$(berth get ro fast -o yaml | berth apply -f -)"
has "delete" "deleted" "$(berth delete route fast)"

berth keys create ci >/dev/null
same "a key's file" 600 "$(stat -c %a "$BERTH_DATA/keys/ci.key")"
has "a key's second creation is refused" "exists" "$(berth keys create ci 2>&1 || true)"
berth keys delete ci >/dev/null 2>&1
token=$BERTH_DATA/controlplane/admin.token
admin=http://127.0.0.1:$((port + 4))
has "admin API over TCP with the token" '"items"' "$(berth get wallets --server "$admin" --token-file "$token" -o json)"
cp "$token" "$e2e_dir/loose.token"
chmod 644 "$e2e_dir/loose.token"
has "a token that others can read is refused" "chmod" \
  "$(berth get wallets --server "$admin" --token-file "$e2e_dir/loose.token" 2>&1 || true)"

berth wallet deposit 2.50 --idempotency-key once >/dev/null
has "a repeated deposit moves nothing" "true" "$(berth wallet deposit 2.50 --idempotency-key once | grep replayed)"
same "general balance" 7.50 "$(berth wallet show | awk '$1 == "general_balance" { print $2 }')"
has "too much is refused" "INSUFFICIENT_BALANCE" "$(berth wallet transfer 1000.00 2>&1 || true)"

# ---- a daemon dies ----
call() {
  curl -s -o "$e2e_dir/answer" -w '%{http_code}' -H "Authorization: Bearer $host_key" \
    --json '{"model":"openai/gpt-4o-mini","messages":[{"role":"user","content":"hi"}]}' \
    "$host_url/v1/chat/completions" | tee -a "$e2e_dir/codes" || true
  echo >>"$e2e_dir/codes"
}
answers() { [[ $(call) == 200 ]]; }
same "a call is answered" 200 "$(call)"
for daemon in dataplane controlplane $( ((EUID != 0)) || echo agent); do
  old=$(daemon_pid $daemon)
  kill -9 "$old"
  # shellcheck disable=SC2317
  is_back() { grep -q "\"event\":\"ready\",\"daemon\":\"$daemon\"" "$e2e_dir/up.out"; }
  if within 10 is_back && within 10 answers; then ok "$daemon comes back after kill -9"; else
    not_ok "$daemon comes back after kill -9" "$(tail -3 "$e2e_dir/up.out")"
  fi
done

# ---- taken port, stop, second start ----
other=$e2e_dir/other
taken=$(BERTH_DATA=$other berth up --offline --port "$port" 2>&1 || true)
has "a taken port is one sentence" "port $((port + 1)) for API keys is taken (berth-dataplane, process" "$taken"
same "and only one" 1 "$(wc -l <<<"$taken")"
# what is held by leases changes with every start
money() { berth wallet show | grep -E '^(general_balance|ai_limit|ai_usage|ai_remaining)'; }
# what was answered is in the ledger a moment later
# shellcheck disable=SC2317
recorded() { (($(berth usage | awk 'NR > 1 { sum += $2 } END { print sum + 0 }') >= $(grep -c '^200$' "$e2e_dir/codes"))); }
within 10 recorded && ok "every answer is in the ledger" || not_ok "every answer is in the ledger" "$(berth usage)"
before=$(money)
children=$(pgrep -P "$stack_pid" | tr '\n' ' ')
status=0
stack_stop || status=$?
same "clean stop" 0 "$status"
alive=0
for child in $children; do ! kill -0 "$child" 2>/dev/null || alive=$((alive + 1)); done
same "nothing of it runs on" 0 "$alive"
has "without a stack: how to start one" "berth up" "$(berth get wallets 2>&1 || true)"
stack_start
same "a second start keeps the state" "$before" "$(money)"
has "and books no second deposit" '"demo_deposit":false' "$stack_ready"
below "second start, ms" $start_ms_max "$(field "$stack_ready" start_ms)"
same "down stops it" 0 "$(berth down >/dev/null; echo $?)"
wait "$stack_pid" || true
stack_pid=

# ---- unsafe files ----
chmod 644 "$BERTH_DATA/controlplane/server.key"
has "a readable server key stops it" "chmod" "$(berth up --offline --port "$port" 2>&1 || true)"
chmod 600 "$BERTH_DATA/controlplane/server.key"
if ((EUID == 0)); then
  nocap=$(setpriv --bounding-set=-sys_admin --inh-caps=-sys_admin berth up --offline --port "$port" --data "$other" 2>&1 || true)
  has "a missing capability is one sentence" "CAP_SYS_ADMIN" "$nocap"
fi
