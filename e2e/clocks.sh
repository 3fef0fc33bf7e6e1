#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Must hold: whoever sets the wall clock, of the control plane, a node or both, back or forth by an hour, a
# day or a month: calls go on, each is charged once, a cap is not given twice for the time that it is, no
# period lasts until a wrong clock is caught up with, no lease lives longer, payments credit once.
CONTROLPLANE_FLAGS=(--validity-lease 2s --orphan-lease 5s)
# shellcheck source=e2e/daemons.sh
source "$(dirname "${BASH_SOURCE[0]}")/daemons.sh"
# shellcheck source=e2e/ledger/race.sh
source "$(dirname "${BASH_SOURCE[0]}")/ledger/race.sh"
command -v node >/dev/null || { skip clocks "needs node"; exit 0; }
wall=$e2e_dir/wall.so
"${CC:-cc}" -O1 -shared -fPIC -o "$wall" "$e2e_root/e2e/clocks/wall.c" 2>"$e2e_dir/wall.log" ||
  { skip clocks "no compiler: $(head -1 "$e2e_dir/wall.log")"; exit 0; }

# ahead NAME|both SECONDS: what the clock of that daemon shows from now on, of ours
ahead() {
  local name
  for name in $([[ $1 == both ]] && echo controlplane dataplane || echo "$1"); do
    printf '%+020d' "$2" | dd of="$e2e_dir/$name.wall" conv=notrunc status=none
  done
}
eval "plain_argv() $(declare -f daemon_argv | tail -n +2)"
daemon_argv() {
  plain_argv "$1"
  [[ ! -e $e2e_dir/$1.wall ]] || argv=(env "LD_PRELOAD=$wall" "WALL_FILE=$e2e_dir/$1.wall" "${argv[@]}")
}
hour=3600 day=86400 month=2592000
# The stack is made while the clock is ahead, as on a machine whose battery is empty: certificates, too.
ahead both $day
stack_start
wallet_fund 100.00
race_model
key_create plain
plain=$key
key_create capped
capped=$key

: >"$e2e_dir/costs"
one='{"model":"openai/race","max_tokens":100,"messages":[{"role":"user","content":"hello"}]}'
# ask KEY: status; what it cost is noted
ask() {
  local status
  status=$(curl -s -o "$e2e_dir/answer" -D "$e2e_dir/head" -w '%{http_code}' -H "authorization: Bearer $1" \
    -H 'content-type: application/json' -d "$one" "$host_url/v1/chat/completions")
  [[ $status != 200 ]] || tr -d '\r' <"$e2e_dir/head" | awk 'tolower($1) == "x-berth-cost:" { print $2 }' >>"$e2e_dir/costs"
  echo "$status"
}
is() { [[ $(ask "$1") == "$2" ]]; }
served() { # NAME: ten calls, each answered
  local i
  for ((i = 0; i < 10; i++)); do
    [[ $(ask "$plain") == 200 ]] || { not_ok "$1" "$(cat "$e2e_dir/answer")"; return; }
  done
  ok "$1"
}
in_sync() { [[ $(admin GET /api/v1/nodes | json 'd.nodes.length>0&&d.nodes.every(n=>n.in_sync)') == true ]]; }
total() { admin GET "/api/v1/usage?by=wallet" | json 'd.items.map(i=>i.requests+" "+i.charge).join()'; }
seen_total() { awk '{ s += $1; n++ } END { printf "%d %.9f", n, s }' "$e2e_dir/costs" | sed -E 's/(\.[0-9]{2}[0-9]*[1-9]|\.[0-9]{2})0*$/\1/'; }
posted() { [[ $(total) == "$(seen_total)" ]]; }
books() { # NAME: each call that was answered is charged once, with what its caller was told
  within 15 posted && ok "$1" || not_ok "$1" "ledger $(total), clients $(seen_total)"
}

served "a stack that starts a day ahead"
ahead both 0
served "and is set right"
daemon_kill dataplane
daemon_start dataplane
within 10 in_sync && ok "its certificates hold for the right time" || not_ok "its certificates hold for the right time" "$(tail -n 2 "$e2e_dir/dataplane.log")"

# ---- every clock by every step --------------------------------------------------------------------
for who in both controlplane dataplane; do
  for step in -$hour $day $month; do
    ahead $who $step
    served "$who by $step s: calls go on"
    ahead $who 0
    served "$who by $step s and back: calls go on"
  done
done
books "each call is charged once"

# ---- caps -----------------------------------------------------------------------------------------
cap() { printf 'apiVersion: berth.dev/v1alpha1\nkind: ApiKey\nmetadata: {name: capped}\nspec: {cap: {%s}}\n' "$1" | berth apply -f - >/dev/null; }
spent() { berth get apikey capped -o json | json "d.status.cap.$1.spent"; }
ends() { berth get apikey capped -o json | json "Math.round((Date.parse(d.status.cap.$1.resets)-Date.now())/1000)"; }
drain() { for ((i = 0; i < 400; i++)); do [[ $(ask "$capped") == 200 ]] || break; done; }
cap 'hour: "0.05", day: "0.08"'
within 5 is "$capped" 200 || not_ok "a capped key is served" "$(cat "$e2e_dir/answer")"
drain
has "an hour's cap is reached" "may spend \$0.05 an hour" "$(cat "$e2e_dir/answer")"
ahead both $day
within 5 is "$capped" 200 && ok "tomorrow it is served again" || not_ok "tomorrow it is served again" "$(cat "$e2e_dir/answer")"
drain
books "what tomorrow cost"
ahead both 0
right_period() { local end; end=$(ends hour) && ((end > 0 && end <= hour)); }
within 15 right_period && ok "set back, the hour is the one at hand" || not_ok "set back, the hour is the one at hand" "ends in $(ends hour) s"
same "and what it lets through is spent" 402 "$(ask "$capped")"
within 1 false || true
same "once more" 402 "$(ask "$capped")"
same "so is the day's" true "$(awk -v s="$(spent day)" 'BEGIN { print (s >= 0.08) ? "true" : s }')"
cap 'hour: "0.05"'
ahead controlplane $hour
within 5 is "$capped" 200 && ok "the next hour it is served" || not_ok "the next hour it is served" "$(cat "$e2e_dir/answer")"
drain
ahead controlplane $month
within 10 is "$capped" 200 || not_ok "in a month it is served" "$(cat "$e2e_dir/answer")"
daemon_kill controlplane # and comes back by the right time
ahead controlplane 0
daemon_start controlplane
within 15 right_period && ok "also when it was set back between two starts" || not_ok "also when it was set back between two starts" "ends in $(ends hour) s"
books "what all of that cost"

# ---- a lease does not live longer by a clock ------------------------------------------------------
within 10 is "$plain" 200 || not_ok "served" "$(cat "$e2e_dir/answer")"
kill -STOP "$(daemon_pid controlplane)"
ahead dataplane -$day
begin=$SECONDS
within 10 is "$plain" 503 && ok "a node whose clock goes back is cut off in time ($((SECONDS - begin)) s)" ||
  not_ok "a node whose clock goes back is cut off in time" "$(cat "$e2e_dir/answer")"
kill -CONT "$(daemon_pid controlplane)"
within 15 is "$plain" 200 && ok "and served when it is heard of again" || not_ok "and served when it is heard of again" "$(cat "$e2e_dir/answer")"
ahead dataplane 0

# ---- payments -------------------------------------------------------------------------------------
deposit() { admin POST /api/v1/wallet/deposits -d '{"amount":"5.00","idempotency_key":"clock"}' | json '[d.amount,d.replayed].join()'; }
general() { admin GET /api/v1/wallet/balances | json d.general_balance; }
before=$(general)
first=$(deposit)
ahead controlplane $month
second=$(deposit)
ahead controlplane -$day
third=$(deposit)
same "a deposit is credited once, whenever it is repeated" "$(awk -v b="$before" 'BEGIN { printf "%.2f", b + 5 }')" "$(general)"
same "and says so" "false true true" "${first#*,} ${second#*,} ${third#*,}"
books "nothing is charged twice"
ahead controlplane 0

# ---- invoices -------------------------------------------------------------------------------------
ahead controlplane $((24 * month))
berth invoices issue >/dev/null || not_ok "an invoice of the future" "it is not made"
ahead controlplane 0
served "calls after it"
books "they are in the books"
berth invoices issue >"$e2e_dir/issued" && ok "an invoice of now follows it" || not_ok "an invoice of now follows it" "$(cat "$e2e_dir/issued")"
berth invoices list -o json >"$e2e_dir/invoices.json"
same "it ends now, not in two years" true "$(json 'Math.abs(Date.parse(d.invoices[0].to)-Date.now())<60000' <"$e2e_dir/invoices.json")"
same "the audit is clean" true "$(admin GET /api/v1/wallet/audit | json 'd.ok||d.message')"
