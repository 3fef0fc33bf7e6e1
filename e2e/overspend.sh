#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Must hold: 10,000 requests at once on a wallet of 1.00 USD, over four data planes, spend no more than
# that; whoever is refused hears 402, wallet, balance and need; no money stays lent: what a node does not use, what
# a killed node had, and what a stopped node has left go back. BERTH_E2E_FULL=1: 10,000 requests, else 2,000.
CONTROLPLANE_FLAGS=(--validity-lease 2s --orphan-lease 5s)
# shellcheck source=e2e/daemons.sh
source "$(dirname "${BASH_SOURCE[0]}")/daemons.sh"
# shellcheck source=e2e/ledger/race.sh
source "$(dirname "${BASH_SOURCE[0]}")/ledger/race.sh"
for tool in node openssl; do command -v $tool >/dev/null || { skip overspend "needs $tool"; exit 0; }; done
requests=${1:-$([[ ${BERTH_E2E_FULL:-0} == 1 ]] && echo 10000 || echo 2000)}
ulimit -n "$(ulimit -Hn)"
stack_start

race_start
wallet_fund 1.00
key_create race

balance() { admin GET /api/v1/wallet/balances | json "d.$1"; }
race "wallet, balance and need"

# What was served is what is charged, and no more than there was.
usage_is() { [[ $(admin GET '/api/v1/usage?group=wallet' | json 'd.items.reduce((n, i) => n + i.requests, 0)') == "$1" ]]; }
within 20 usage_is "$(json 'd.ok' <<<"$seen")" && ok "all that was served is in the ledger" || not_ok "all that was served is in the ledger" "$(admin GET '/api/v1/usage?group=wallet')"
same "overspend is 0" true "$(balance ai_remaining | awk '{ print ($1 >= 0) ? "true" : $1 }')"
same "the wallet paid what clients were told" "$(json 'd.cost' <<<"$seen")" "$(balance ai_usage)"

# What the others have left unused is there again for one who needs it, while one of them is dead.
daemon_kill dp2
held_is_0() { [[ $(balance held) == 0.00 ]]; }
if within 90 held_is_0; then ok "no money is held after expiry"; else not_ok "no money is held after expiry" "$(balance held)"; fi
wallet_fund 5.00
# shellcheck disable=SC2016
one='{"model":"openai/race","max_tokens":100,"messages":[{"role":"user","content":"hello"}]}'
ask() { curl -s -o /dev/null -w '%{http_code}' -H "authorization: Bearer $key" -H 'content-type: application/json' -d "$one" "$1/v1/chat/completions"; }
refunded() { [[ $(ask "$host_url") == 200 ]]; }
within 5 refunded && ok "a top-up reaches the nodes" || not_ok "a top-up reaches the nodes" "$(ask "$host_url")"
same "a lease is held" true "$([[ $(balance held) != 0.00 ]] && echo true)"
for name in dataplane dp3 dp4; do daemon_stop $name; done
same "stopped nodes hold nothing" 0.00 "$(balance held)"
audit=$(admin GET /api/v1/wallet/audit)
same "the audit is clean" true "$(json 'd.ok' <<<"$audit")"
echo "# audit: $audit"
((e2e_bad == 0))
