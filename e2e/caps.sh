#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Must hold: a container and a key spend no more than their owner lets them by hour, day and month, however
# many requests and data planes there are and whoever dies; a breach is a 402 in the caller's dialect that
# names caller, cap, what is spent and when the period turns; usage and audit say the same. BERTH_E2E_FULL=1:
# 10,000 requests at once, else 1,000.
CONTROLPLANE_FLAGS=(--validity-lease 2s --orphan-lease 5s)
# shellcheck disable=SC2034
AGENT=$([[ $(id -u) == 0 ]] && command -v podman >/dev/null && echo 1 || echo 0)
# shellcheck source=e2e/daemons.sh
source "$(dirname "${BASH_SOURCE[0]}")/daemons.sh"
# shellcheck source=e2e/ledger/race.sh
source "$(dirname "${BASH_SOURCE[0]}")/ledger/race.sh"
for tool in node openssl; do command -v $tool >/dev/null || { skip caps "needs $tool"; exit 0; }; done
requests=${1:-$([[ ${BERTH_E2E_FULL:-0} == 1 ]] && echo 10000 || echo 1000)}
ulimit -n "$(ulimit -Hn)"
stack_start
wallet_fund 100.00
race_start

# cap KIND NAME CAPS: as the owner does it
cap() { printf 'apiVersion: berth.dev/v1alpha1\nkind: %s\nmetadata: {name: %s}\nspec: {%s}\n' "$1" "$2" "$3" | berth apply -f - >/dev/null; }
spent() { berth get "$1" "$2" -o json | json "d.status.cap.$3.spent"; }
# shellcheck disable=SC2317
is_spent() { [[ $(spent "$1" "$2" "$3") == "$4" ]]; }
# used SUBJECT: what usage of today says
used() { admin GET "/api/v1/usage?group=subject&subject=${1/\//%2F}" | json '(d.items[0]||{charge:"0.00"}).charge'; }
idle() { ! berth get "$1" "$2" -o json | json 'd.status.cap.lent' | grep -qv '^0.00$'; }
audit_ok() { same "$1" true "$(admin GET /api/v1/wallet/audit | json 'd.ok||d.message')"; }

# ---- a key, raced over four data planes ----------------------------------------------------------
key_create race
cap ApiKey race 'cap: {day: "0.50", month: "3.00"}'
revision=$(berth get apikey race -o json | json d.metadata.revision)
known() { [[ $(admin GET /api/v1/nodes | json "Number(d.config_revision)>=$revision&&d.nodes.every(n=>n.in_sync)") == true ]]; }
within 10 known && ok "every node knows that there is a cap" || not_ok "every node knows that there is a cap" "$(admin GET /api/v1/nodes)"
race "key, cap, what is spent and when the day turns" \
  "API key 'race' may spend \\\$0\\.50 a day: \\\$\\d\\.\\d+ of it is spent or held, and this request may cost up to \\\$\\d\\.\\d+\\. The next day begins at \\d{4}-\\d\\d-\\d\\dT00:00:00Z"
cost=$(json 'd.cost' <<<"$seen")
same "no more than the cap" true "$(awk -v c="$cost" 'BEGIN { print (c <= 0.50) ? "true" : c }')"
within 20 is_spent apikey race day "$cost" && ok "what is spent is what clients were told" || not_ok "what is spent is what clients were told" "$(spent apikey race day) not $cost"
same "the month has it, too" "$cost" "$(spent apikey race month)"
same "and so has usage" "$cost" "$(used key/race)"
audit_ok "the audit is clean after the race"

# ---- whoever dies has no more ---------------------------------------------------------------------
daemon_kill dp2
daemon_kill controlplane
daemon_start controlplane
one='{"model":"openai/race","max_tokens":100,"messages":[{"role":"user","content":"hello"}]}'
# ask KEY [BODY [PATH]]: status; the answer is in $e2e_dir/answer
ask() { curl -s -o "$e2e_dir/answer" -w '%{http_code}' -H "authorization: Bearer $1" -H 'content-type: application/json' -d "${2:-$one}" "$host_url/v1/${3:-chat/completions}"; }
connected() { [[ $(admin GET /api/v1/nodes | json 'd.nodes.filter(n=>n.role==="dataplane").length') == 3 ]]; }
within 15 connected || not_ok "nodes come back" "$(admin GET /api/v1/nodes)"
same "what was spent is known after kill -9" "$cost" "$(spent apikey race day)"
until_402() { for ((i = 0; i < 400; i++)); do [[ $(ask "$1") == 200 ]] || return 0; done; }
until_402 "$key"
within 80 idle apikey race && ok "what idle and killed data planes had comes back" || not_ok "what idle and killed data planes had comes back" "$(berth get apikey race -o json)"
until_402 "$key"
same "still no more than the cap" true "$(spent apikey race day | awk '{ print ($1 <= 0.50) ? "true" : $1 }')"
same "402 as before" 402 "$(ask "$key")"
same "not to be tried again" false "$(curl -s -o /dev/null -D - -H "authorization: Bearer $key" -H 'content-type: application/json' -d "$one" "$host_url/v1/chat/completions" | tr -d '\r' | awk 'tolower($1)=="x-should-retry:" { print $2 }')"
same "Anthropic's dialect" 402 "$(ask "$key" "$one" messages)"
has "in its form" '"type":"error"' "$(cat "$e2e_dir/answer")"
has "with the same words" "API key 'race' may spend \$0.50 a day" "$(cat "$e2e_dir/answer")"

# ---- raised, lowered, taken away ------------------------------------------------------------------
cap ApiKey race 'cap: {day: "0.70"}'
key_is() { [[ $(ask "$1") == "$2" ]]; }
within 5 key_is "$key" 200 && ok "a raised cap holds at once" || not_ok "a raised cap holds at once" "$(cat "$e2e_dir/answer")"
cap ApiKey race 'cap: {day: "0.01"}'
within 5 key_is "$key" 402 && ok "a lowered one, too" || not_ok "a lowered one, too" "$(cat "$e2e_dir/answer")"
has "its words" "may spend \$0.01 a day: \$0." "$(cat "$e2e_dir/answer")"
within 10 idle apikey race && ok "what was lent went back" || not_ok "what was lent went back" "$(berth get apikey race -o json)"
cap ApiKey race 'cap: {hour: "0.00"}'
within 5 key_is "$key" 402 && has "nothing an hour" "may spend \$0.00 an hour" "$(cat "$e2e_dir/answer")"
cap ApiKey race ''
within 5 key_is "$key" 200 && ok "without a cap it is served" || not_ok "without a cap it is served" "$(cat "$e2e_dir/answer")"
cap ApiKey race 'cap: {day: "50.00"}'
counts() { [[ $(used key/race) != "$cost" ]] && is_spent apikey race day "$(used key/race)"; }
within 10 counts && ok "what was spent without a cap counts when one comes" || not_ok "what was spent without a cap counts when one comes" "$(spent apikey race day) not $(used key/race)"
cap ApiKey race 'cap: {day: "0.10"}, wallet: nobody'
key_create other
same "others are not concerned" 200 "$(ask "$key")"
has "no such period" "spec.cap" "$(cap ApiKey race 'cap: {week: "1.00"}' 2>&1 || true)"
has "no such amount" "decimals" "$(cap ApiKey race 'cap: {day: "1.001"}' 2>&1 || true)"

# ---- the wallet still counts ----------------------------------------------------------------------
printf 'apiVersion: berth.dev/v1alpha1\nkind: Wallet\nmetadata: {name: poor}\n' | apply >/dev/null
cap ApiKey other 'wallet: poor, cap: {day: "5.00"}'
within 5 key_is "$key" 402 && has "an empty wallet is named, not the cap" "Wallet 'poor'" "$(cat "$e2e_dir/answer")"
wallet_fund 1.00 poor
within 5 key_is "$key" 200 && ok "money helps" || not_ok "money helps" "$(cat "$e2e_dir/answer")"
# What a payment that went back leaves as a debt is the wallet's matter: the cap neither shrinks nor grows.
admin POST /api/v1/wallet/adjustments -d '{"wallet":"poor","purse":"general","amount":"-50.00","reason":"refund","idempotency_key":"r1"}' >/dev/null
dear='{"model":"openai/race","n":2,"max_tokens":4096,"messages":[{"role":"user","content":"hello"}]}'
same "a debt of the wallet refuses as before" 402 "$(ask "$key" "$dear")"
has "by the wallet's name" "Wallet 'poor'" "$(cat "$e2e_dir/answer")"
agrees() { is_spent apikey other day "$(used key/other)"; }
within 10 agrees && ok "and the cap is what usage says" || not_ok "and the cap is what usage says" "$(spent apikey other day) not $(used key/other)"

# ---- a container ----------------------------------------------------------------------------------
if [[ $AGENT == 1 ]]; then
  pods_start
  start() { pod run -d --name "$1" --network none berth-demo sleep 1000000 >/dev/null; }
  # call NAME: as the container, from inside; the answer, or what wget says
  call() { pod exec "$1" wget -q -O - --header "Authorization: Bearer container-$1" --header 'Content-Type: application/json' --post-data "$one" "http://127.0.0.1:$port/v1/chat/completions" 2>&1 || true; }
  served() { [[ $(call "$1") == *'"choices"'* ]]; }
  is_settled() { is_spent container "$1" month "$(used "container/$1")" && [[ $(used "container/$1") != 0.00 ]]; }
  # runs_dry NAME: it may spend 0.05 a month, and does
  runs_dry() {
    for ((i = 0; i < 200; i++)); do served "$1" || break; done
    has "$1 is served until it has spent its cap" "402" "$(call "$1")"
    within 10 is_settled "$1" && ok "usage of $1 agrees" || not_ok "usage of $1 agrees" "$(spent container "$1" month) not $(used "container/$1")"
    same "$1 spent no more than its cap" true "$(spent container "$1" month | awk '{ print ($1 <= 0.05) ? "true" : $1 }')"
  }
  cap Container boxed 'cap: {month: "0.05"}'
  start boxed
  within 5 served boxed && ok "a capped container is served" || not_ok "a capped container is served" "$(call boxed)"
  runs_dry boxed
  pod rm -f -t 0 boxed >/dev/null
  start boxed
  has "a new container of the name has no new money" "402" "$(call boxed)"
  cap Container boxed 'cap: {month: "0.09"}'
  within 5 served boxed && ok "nor less" || not_ok "nor less" "$(call boxed)"
  start free
  served free && ok "the one beside it has no cap" || not_ok "the one beside it has no cap" "$(call free)"
  # ---- a wallet that caps each of its containers ---------------------------------------------------
  cap Wallet agents 'containerCap: {month: "0.05"}'
  wallet_fund 5.00 agents
  for name in wild calm; do
    cap Container $name 'wallet: agents'
    start $name
  done
  within 5 served wild && ok "a container of a wallet that caps each is served" || not_ok "a container of a wallet that caps each is served" "$(call wild)"
  runs_dry wild
  source_of() { berth get container "$1" -o json | json d.status.cap.source; }
  same "status says whose cap it is" "spec.containerCap of Wallet agents" "$(source_of wild)"
  has "and so does describe" "containerCap of Wallet agents" "$(berth describe container wild)"
  served calm && ok "the wallet is not empty for the one beside it" || not_ok "the wallet is not empty for the one beside it" "$(call calm)"
  cap Container wild 'wallet: agents, cap: {month: "0.09"}'
  within 5 served wild && ok "a cap of its own counts instead" || not_ok "a cap of its own counts instead" "$(call wild)"
  same "and status says that" spec.cap "$(source_of wild)"
  cap Container wild 'wallet: agents'
  refused() { [[ $(call "$1") == *402* ]]; }
  within 5 refused wild && ok "without it the wallet's holds again" || not_ok "without it the wallet's holds again" "$(call wild)"
  cap Wallet agents ''
  within 5 served wild && ok "a wallet that caps none" || not_ok "a wallet that caps none" "$(call wild)"
else
  skip "a container" "needs root and podman"
fi
audit_ok "the audit is clean"
for name in dataplane dp3 dp4; do daemon_stop $name; done
same "stopped nodes have nothing of it" 0.00 "$(berth get apikey other -o json | json 'd.status.cap.lent')"
audit_ok "the audit is clean in the end"
((e2e_bad == 0))
